#include "stele/migrate.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>

#include "error_of.h"
#include "stele/driver/driver.h"

namespace stele {
namespace {

using std::string;

constexpr std::array<driver::Migration, 4> four_migrations{{
    {1, "streams", "CREATE TABLE streams;\n", "DROP TABLE streams;\n"},
    {2, "index", "CREATE INDEX a;\n", "DROP INDEX a;\n"},
    {3, "snapshots", "CREATE TABLE snapshots;\n", "-- stele:loses-data\nDROP TABLE snapshots;\n"},
    {4, "view", "CREATE VIEW v;\n", "DROP VIEW v;\n"},
}};

/// A database as migrations see it, in memory: it keeps the history and the scripts that ran, and executes nothing.
class MemoryMigrations final : public driver::MigrationStore {
 public:
  explicit MemoryMigrations(std::size_t known = four_migrations.size()) : known_(known) {}

  std::span<const driver::Migration> migrations() const noexcept override {
    return std::span(four_migrations).first(known_);
  }
  std::vector<driver::MigrationRecord> history() override { return history_; }
  bool apply(const driver::MigrationStep& step) override {
    if (before_apply) before_apply();
    if (step.current != driver::current_migration(history_)) return false;
    if (step.migration->number == failing) {
      throw Error(ErrorCode::migration_failed, string(step.migration->title) + ": line 1");
    }
    write(*step.migration, step.up);
    return true;
  }
  string dump_schema() override { return {}; }

  void write(const driver::Migration& migration, bool up) {
    ran.emplace_back(up ? migration.up : migration.down);
    history_.push_back({.number = migration.number,
                        .title = string(migration.title),
                        .checksum = driver::checksum(migration.up),
                        .up = up,
                        .applied_at = Timestamp::from_micros(static_cast<std::int64_t>(history_.size()) + 1)});
  }
  void write_up_to(int number) {
    for (int i = 0; i < number; ++i) write(four_migrations[static_cast<std::size_t>(i)], true);
    ran.clear();
  }
  int current() const { return driver::current_migration(history_); }

  std::vector<string> ran;
  std::vector<driver::MigrationRecord> history_;
  std::function<void()> before_apply;
  int failing = 0;

 private:
  std::size_t known_;
};

/// MigrateOptions of which some are named.
struct Options {
  std::optional<int> to{};
  std::optional<int> steps{};
  bool dry_run = false;
  bool allow_data_loss = false;
  std::function<void(const MigrationStepInfo&)> on_step{};
  operator MigrateOptions() const { return {to, steps, dry_run, allow_data_loss, on_step}; }
};

std::vector<int> numbers(const std::vector<MigrationStepInfo>& steps) {
  std::vector<int> made;
  for (const MigrationStepInfo& step : steps) made.push_back(step.number);
  return made;
}

using MigrationNumbers = std::vector<int>;

TEST(MigrateUp, AppliesEverythingInOrderOnce) {
  MemoryMigrations store;
  Migrator migrator(store);
  std::vector<string> reported;
  const auto steps = migrator.up(Options{.on_step = [&](const MigrationStepInfo& step) {
    reported.push_back(step.title);
    EXPECT_EQ(store.current(), step.number);  // It is called after the step.
    EXPECT_TRUE(step.up);
    EXPECT_FALSE(step.loses_data);
  }});
  EXPECT_EQ(numbers(steps), (MigrationNumbers{1, 2, 3, 4}));
  EXPECT_EQ(reported, (std::vector<string>{"streams", "index", "snapshots", "view"}));
  EXPECT_EQ(store.ran, (std::vector<string>{"CREATE TABLE streams;\n", "CREATE INDEX a;\n", "CREATE TABLE snapshots;\n",
                                            "CREATE VIEW v;\n"}));
  EXPECT_TRUE(migrator.up().empty());
  EXPECT_EQ(store.ran.size(), 4U);
}

TEST(MigrateUp, GoesAsFarAsItIsTold) {
  MemoryMigrations store;
  Migrator migrator(store);
  EXPECT_EQ(numbers(migrator.up(Options{.to = 2})), (MigrationNumbers{1, 2}));
  EXPECT_TRUE(migrator.up(Options{.to = 2}).empty());
  EXPECT_EQ(numbers(migrator.up(Options{.steps = 1})), (MigrationNumbers{3}));
  EXPECT_EQ(numbers(migrator.up(Options{.steps = 5})), (MigrationNumbers{4}));
  EXPECT_TRUE(migrator.up(Options{.steps = 5}).empty());
}

TEST(MigrateUp, TakesAnyNumberOfSteps) {
  MemoryMigrations store;
  store.write_up_to(1);
  EXPECT_EQ(numbers(Migrator(store).up(Options{.steps = std::numeric_limits<int>::max()})),
            (MigrationNumbers{2, 3, 4}));
}

TEST(MigrateUp, RefusesWhereItCannotGo) {
  MemoryMigrations store;
  store.write_up_to(2);
  Migrator migrator(store);
  constexpr ErrorCode invalid = ErrorCode::invalid_argument;
  EXPECT_ERROR(migrator.up(Options{.to = 5}), invalid, "between 1 and 4");
  EXPECT_ERROR(migrator.up(Options{.to = 0}), invalid, "between 1 and 4");
  EXPECT_ERROR(migrator.up(Options{.to = -1}), invalid, "between 1 and 4");
  EXPECT_ERROR(migrator.up(Options{.to = 1}), invalid, "use down");
  EXPECT_ERROR(migrator.up(Options{.steps = 0}), invalid, "at least 1");
  EXPECT_ERROR(migrator.up(Options{.steps = -1}), invalid, "at least 1");
  EXPECT_ERROR(migrator.up(Options{.to = 3, .steps = 1}), invalid, "either");
  EXPECT_TRUE(store.ran.empty());
}

TEST(MigrateUp, ADryRunOnlySays) {
  MemoryMigrations store;
  store.write_up_to(1);
  Migrator migrator(store);
  EXPECT_EQ(numbers(migrator.up(Options{.dry_run = true})), (MigrationNumbers{2, 3, 4}));
  EXPECT_EQ(numbers(migrator.up(Options{.to = 3, .dry_run = true})), (MigrationNumbers{2, 3}));
  EXPECT_EQ(numbers(migrator.up(Options{.steps = 1, .dry_run = true})), (MigrationNumbers{2}));
  EXPECT_TRUE(store.ran.empty());
  EXPECT_EQ(store.current(), 1);
}

TEST(MigrateUp, StopsAtAFailureWithWhatWasDoneBefore) {
  MemoryMigrations store;
  store.failing = 3;
  int reported = 0;
  EXPECT_ERROR(Migrator(store).up(Options{.on_step = [&](const MigrationStepInfo&) { ++reported; }}),
               ErrorCode::migration_failed, "snapshots: line 1");
  EXPECT_EQ(store.current(), 2);
  EXPECT_EQ(reported, 2);
  store.failing = 0;
  EXPECT_EQ(numbers(Migrator(store).up()), (MigrationNumbers{3, 4}));
}

TEST(MigrateUp, DoesNotReportAStepThatAnotherProcessMade) {
  MemoryMigrations store;
  bool raced = false;
  store.before_apply = [&] {
    if (raced || store.current() != 1) return;
    raced = true;
    store.write(four_migrations[1], true);
    store.write(four_migrations[2], true);
  };
  EXPECT_EQ(numbers(Migrator(store).up()), (MigrationNumbers{1, 4}));
  EXPECT_TRUE(raced);
  EXPECT_EQ(store.ran.size(), 4U);  // Nothing ran twice.
  EXPECT_EQ(store.current(), 4);
}

TEST(MigrateDown, UndoesOneStepUnlessToldOtherwise) {
  MemoryMigrations store;
  store.write_up_to(4);
  Migrator migrator(store);
  const auto steps = migrator.down();
  ASSERT_EQ(numbers(steps), (MigrationNumbers{4}));
  EXPECT_FALSE(steps[0].up);
  EXPECT_EQ(store.ran, std::vector<string>{"DROP VIEW v;\n"});
  EXPECT_EQ(numbers(migrator.down(Options{.steps = 2, .allow_data_loss = true})), (MigrationNumbers{3, 2}));
  EXPECT_EQ(numbers(migrator.down(Options{.steps = std::numeric_limits<int>::max()})), (MigrationNumbers{1}));
  EXPECT_TRUE(migrator.down().empty());
}

TEST(MigrateDown, GoesToANumber) {
  MemoryMigrations store;
  store.write_up_to(4);
  Migrator migrator(store);
  EXPECT_TRUE(migrator.down(Options{.to = 4}).empty());
  EXPECT_EQ(numbers(migrator.down(Options{.to = 0, .allow_data_loss = true})), (MigrationNumbers{4, 3, 2, 1}));
  EXPECT_EQ(store.current(), 0);
  EXPECT_EQ(numbers(migrator.up()), (MigrationNumbers{1, 2, 3, 4}));  // And up again.
}

TEST(MigrateDown, RefusesWhereItCannotGo) {
  MemoryMigrations store;
  store.write_up_to(2);
  Migrator migrator(store);
  EXPECT_ERROR(migrator.down(Options{.to = 3}), ErrorCode::invalid_argument, "between 0 and 2");
  EXPECT_ERROR(migrator.down(Options{.to = -1}), ErrorCode::invalid_argument, "between 0 and 2");
  EXPECT_ERROR(migrator.down(Options{.steps = 0}), ErrorCode::invalid_argument, "at least 1");
  EXPECT_ERROR(migrator.down(Options{.to = 1, .steps = 1}), ErrorCode::invalid_argument, "either");
  EXPECT_TRUE(store.ran.empty());
}

TEST(MigrateDown, AsksBeforeItLosesData) {
  MemoryMigrations store;
  store.write_up_to(4);
  Migrator migrator(store);
  // Nothing is undone, not even what would lose nothing.
  EXPECT_ERROR(migrator.down(Options{.steps = 2}), ErrorCode::invalid_argument, "0003_snapshots");
  EXPECT_ERROR(migrator.down(Options{.to = 0}), ErrorCode::invalid_argument, "drops data");
  EXPECT_TRUE(store.ran.empty());
  const auto steps = migrator.down(Options{.steps = 2, .dry_run = true});
  ASSERT_EQ(numbers(steps), (MigrationNumbers{4, 3}));
  EXPECT_FALSE(steps[0].loses_data);
  EXPECT_TRUE(steps[1].loses_data);
  EXPECT_TRUE(store.ran.empty());
  EXPECT_EQ(numbers(migrator.down()), (MigrationNumbers{4}));  // This one loses nothing.
  EXPECT_ERROR(migrator.down(), ErrorCode::invalid_argument, "0003_snapshots");
  EXPECT_EQ(numbers(migrator.down(Options{.allow_data_loss = true})), (MigrationNumbers{3}));
}

TEST(MigrateDown, AsksBeforeItLosesDataAlsoWhenAnotherProcessGoesUp) {
  MemoryMigrations store;
  store.write_up_to(2);
  bool raced = false;
  store.before_apply = [&] {
    if (!raced) store.write(four_migrations[2], true);
    raced = true;
  };
  Migrator migrator(store);
  try {
    migrator.down();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  }
  ASSERT_TRUE(raced);
  for (const string& script : store.ran) EXPECT_NE(script, string(four_migrations[2].down));
}

TEST(MigrationStatus, ShowsWhatIsAppliedAndWhatIsPending) {
  MemoryMigrations store;
  store.write_up_to(2);
  const MigrationStatus status = Migrator(store).status();
  EXPECT_EQ(status.current, 2);
  EXPECT_EQ(status.latest, 4);
  EXPECT_FALSE(status.up_to_date());
  ASSERT_EQ(status.migrations.size(), 4U);
  const std::vector<MigrationState> states{MigrationState::applied, MigrationState::applied, MigrationState::pending,
                                           MigrationState::pending};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(status.migrations[i].number, static_cast<int>(i) + 1);
    EXPECT_EQ(status.migrations[i].title, four_migrations[i].title);
    EXPECT_EQ(status.migrations[i].state, states[i]);
    EXPECT_EQ(status.migrations[i].applied_at.has_value(), i < 2);
    EXPECT_EQ(status.migrations[i].down_loses_data, i == 2);
  }
  EXPECT_EQ(status.migrations[1].applied_at, Timestamp::from_micros(2));
}

TEST(MigrationStatus, AfterUpDownAndUpTheLastTimeCounts) {
  MemoryMigrations store;
  store.write_up_to(1);
  store.write(four_migrations[0], false);
  EXPECT_EQ(Migrator(store).status().current, 0);
  EXPECT_EQ(Migrator(store).status().migrations[0].state, MigrationState::pending);
  store.write(four_migrations[0], true);
  EXPECT_EQ(Migrator(store).status().migrations[0].applied_at, Timestamp::from_micros(3));
}

TEST(MigrationStatus, ShowsWhatWasEditedAndWhatANewerProgramApplied) {
  MemoryMigrations store(2);
  store.write_up_to(3);
  store.history_[0].checksum = driver::checksum("CREATE TABLE other;\n");
  const MigrationStatus status = Migrator(store).status();
  EXPECT_EQ(status.current, 3);
  EXPECT_EQ(status.latest, 2);
  EXPECT_FALSE(status.up_to_date());
  ASSERT_EQ(status.migrations.size(), 3U);
  EXPECT_EQ(status.migrations[0].state, MigrationState::modified);
  EXPECT_EQ(status.migrations[1].state, MigrationState::applied);
  EXPECT_EQ(status.migrations[2].state, MigrationState::unknown);
  EXPECT_EQ(status.migrations[2].title, "snapshots");
  EXPECT_EQ(to_string(MigrationState::pending), "pending");
  EXPECT_EQ(to_string(MigrationState::applied), "applied");
  EXPECT_EQ(to_string(MigrationState::modified), "modified");
  EXPECT_EQ(to_string(MigrationState::unknown), "unknown");
}

TEST(Migrate, TouchesNothingThatANewerProgramMade) {
  MemoryMigrations store(2);
  store.write_up_to(3);
  Migrator migrator(store);
  EXPECT_ERROR(migrator.up(), ErrorCode::schema_too_new, "migration 3");
  EXPECT_ERROR(migrator.down(), ErrorCode::schema_too_new, "migration 3");
  EXPECT_ERROR(migrator.up(Options{.dry_run = true}), ErrorCode::schema_too_new, "this one knows 2");
  EXPECT_ERROR(migrator.require_current(), ErrorCode::schema_too_new, "migration 3");
  EXPECT_TRUE(store.ran.empty());
}

TEST(Migrate, TouchesNothingThatWasEdited) {
  MemoryMigrations store;
  store.write_up_to(3);
  store.history_[1].checksum = driver::checksum("something else");
  Migrator migrator(store);
  EXPECT_ERROR(migrator.up(), ErrorCode::checksum_mismatch, "0002_index");
  EXPECT_ERROR(migrator.down(), ErrorCode::checksum_mismatch, "0002_index");
  EXPECT_ERROR(migrator.require_current(), ErrorCode::checksum_mismatch, "0002_index");
  EXPECT_TRUE(store.ran.empty());
}

TEST(Migrate, AnEditOfAnUndoneMigrationIsNone) {
  MemoryMigrations store;
  store.write_up_to(1);
  store.history_[0].checksum = driver::checksum("an earlier draft");
  store.write(four_migrations[0], false);
  EXPECT_EQ(numbers(Migrator(store).up(Options{.to = 1})), (MigrationNumbers{1}));
}

TEST(Migrate, LineEndsAreNoEdit) {
  MemoryMigrations store;
  store.write_up_to(1);
  store.history_[0].checksum = driver::checksum("CREATE TABLE streams;\r\n");
  EXPECT_EQ(Migrator(store).status().migrations[0].state, MigrationState::applied);
  EXPECT_NO_THROW(Migrator(store).up());
}

TEST(RequireCurrent, AcceptsNothingElse) {
  MemoryMigrations store;
  EXPECT_ERROR(Migrator(store).require_current(), ErrorCode::schema_outdated, "migration 0 of 4");
  store.write_up_to(3);
  EXPECT_ERROR(Migrator(store).require_current(), ErrorCode::schema_outdated, "migration 3 of 4");
  store.write(four_migrations[3], true);
  EXPECT_NO_THROW(Migrator(store).require_current());
  EXPECT_TRUE(Migrator(store).status().up_to_date());
}

}  // namespace
}  // namespace stele
