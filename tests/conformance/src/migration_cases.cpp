// The schema is brought up to date, back, and never half way.
#include <algorithm>
#include <list>
#include <mutex>

#include "stele/migrate.h"
#include "support.h"

namespace stele::testing {
namespace {

using driver::Driver;
using driver::Migration;
using driver::MigrationRecord;
using driver::MigrationStep;
using driver::MigrationStore;

MigrationStore& store_of(Driver& driver) {
  MigrationStore* store = driver.migrations();
  if (store == nullptr) throw std::logic_error("the harness names migrations and its driver has none");
  return *store;
}

int latest_of(MigrationStore& store) {
  return static_cast<int>(store.migrations().size());
}

MigrateOptions destructive() {
  MigrateOptions options;
  options.allow_data_loss = true;
  return options;
}

MigrateOptions only(int steps) {
  MigrateOptions options = destructive();
  options.steps = steps;
  return options;
}

MigrateOptions until(int number) {
  MigrateOptions options = destructive();
  options.to = number;
  return options;
}

std::vector<int> numbers_of(const std::vector<MigrationStepInfo>& steps) {
  std::vector<int> list;
  for (const MigrationStepInfo& step : steps) list.push_back(step.number);
  return list;
}

std::vector<int> range(int first, int last) {
  std::vector<int> list;
  for (int n = first; n <= last; ++n) list.push_back(n);
  return list;
}

std::string text(const std::vector<MigrationRecord>& history) {
  std::string text;
  for (const MigrationRecord& record : history) {
    text += std::to_string(record.number) + (record.up ? " up " : " down ") + record.title + " " + record.checksum +
            " " + record.applied_at.to_string() + "\n";
  }
  return text;
}

/// The same database as another program would see it: one with other migrations.
class OtherProgram final : public MigrationStore {
 public:
  OtherProgram(const Harness& harness, MigrationStore& store) : harness_(harness), store_(store) {
    for (const Migration& migration : store.migrations()) migrations_.push_back(migration);
  }

  OtherProgram& edit(int number, std::string_view up) {
    migrations_[static_cast<std::size_t>(number) - 1].up = up;
    return *this;
  }
  OtherProgram& without_last() {
    migrations_.pop_back();
    return *this;
  }
  /// A migration that makes a table, and then does what else is said.
  OtherProgram& with_table(std::string_view title, const std::string& table, const std::string& up = "",
                           const std::string& down = "") {
    const std::string name = harness_.table_of_migration(table);
    const std::string& make = scripts_.emplace_back("CREATE TABLE " + name + " (n INTEGER);" + up);
    const std::string& drop = scripts_.emplace_back("DROP TABLE " + name + ";" + down);
    migrations_.push_back({static_cast<int>(migrations_.size()) + 1, title, make, drop});
    return *this;
  }

  std::span<const Migration> migrations() const noexcept override { return migrations_; }
  std::vector<MigrationRecord> history() override { return store_.history(); }
  bool apply(const MigrationStep& step) override { return store_.apply(step); }
  std::string dump_schema() override { return store_.dump_schema(); }

 private:
  const Harness& harness_;
  MigrationStore& store_;
  std::vector<Migration> migrations_;
  std::list<std::string> scripts_;  // Migrations look at them.
};

/// What no call may have changed.
std::string state(MigrationStore& store) {
  return text(store.history()) + store.dump_schema();
}

void expect_unchanged(MigrationStore& store, ErrorCode code, std::string_view mentions,
                      const std::function<void()>& call) {
  const std::string before = state(store);
  expect_error(code, mentions, call);
  EXPECT_EQ(state(store), before);
}

// --- Up and down

void migrations_are_numbered_and_titled(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  ASSERT_GE(latest_of(store), 1);
  int number = 0;
  for (const Migration& migration : store.migrations()) {
    EXPECT_EQ(migration.number, ++number);
    EXPECT_FALSE(migration.title.empty() || migration.up.empty() || migration.down.empty());
  }
}

void status_of_an_empty_database_writes_nothing(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  const std::string empty = store.dump_schema();
  Migrator migrator(store);
  for (int times = 0; times < 2; ++times) {
    const MigrationStatus status = migrator.status();
    EXPECT_EQ(status.current, 0);
    EXPECT_EQ(status.latest, latest_of(store));
    EXPECT_FALSE(status.up_to_date());
    ASSERT_EQ(status.migrations.size(), store.migrations().size());
    for (const MigrationInfo& info : status.migrations) {
      EXPECT_EQ(to_string(info.state), "pending");
      EXPECT_FALSE(info.applied_at);
    }
  }
  expect_error(ErrorCode::schema_outdated, "migrat", [&] { migrator.require_current(); });
  EXPECT_TRUE(store.history().empty());
  EXPECT_EQ(store.dump_schema(), empty) << "a question was answered by writing";
}

void up_makes_the_database_current(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator migrator(store);
  std::vector<int> called;
  MigrateOptions options;
  options.on_step = [&](const MigrationStepInfo& step) { called.push_back(step.number); };
  const std::vector<MigrationStepInfo> steps = migrator.up(options);
  EXPECT_EQ(numbers_of(steps), range(1, latest_of(store)));
  EXPECT_EQ(called, numbers_of(steps));
  for (const MigrationStepInfo& step : steps) EXPECT_TRUE(step.up);
  EXPECT_NO_THROW(migrator.require_current());
  const MigrationStatus status = migrator.status();
  EXPECT_TRUE(status.up_to_date());
  EXPECT_EQ(status.current, latest_of(store));
  for (const MigrationInfo& info : status.migrations) {
    EXPECT_EQ(to_string(info.state), "applied");
    ASSERT_TRUE(info.applied_at);
    EXPECT_GT(info.applied_at->micros(), Timestamp::now().micros() - 3'600'000'000);
    EXPECT_LT(info.applied_at->micros(), Timestamp::now().micros() + 3'600'000'000);
  }
  ASSERT_EQ(store.history().size(), store.migrations().size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const MigrationRecord record = store.history()[i];
    EXPECT_EQ(record.number, static_cast<int>(i) + 1);
    EXPECT_EQ(record.title, store.migrations()[i].title);
    EXPECT_EQ(record.checksum, driver::checksum(store.migrations()[i].up));
    EXPECT_TRUE(record.up);
  }
}

void up_twice_does_nothing_the_second_time(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator migrator(store);
  migrator.up();
  const std::string before = state(store);
  EXPECT_TRUE(migrator.up().empty());
  EXPECT_EQ(state(store), before);
}

void a_migrated_database_is_a_store(Harness& harness) {
  Migrator(store_of(*harness.open_unmigrated())).up();
  EventStore store(harness.open_unmigrated());
  expect_appended(store.append(request(command("r-1"), thing("a"), ExpectedVersion::no_stream(), {full_event(1)})), 1,
                  1);
  EXPECT_TRUE(store.verify().ok());
  // Its schema is the one that the suite's other cases run on.
  const std::unique_ptr<Driver> usual = harness.open();
  EXPECT_EQ(store.driver().migrations()->dump_schema(), store_of(*usual).dump_schema());
}

/// Whether there is nothing in a script but lines of comment.
bool is_comment(std::string_view script) {
  while (!script.empty()) {
    const std::size_t end = std::min(script.find('\n'), script.size());
    const std::string_view line = script.substr(0, end);
    script.remove_prefix(std::min(end + 1, script.size()));
    if (!line.empty() && !line.starts_with("--")) return false;
  }
  return true;
}

void down_and_up_again_gives_the_same_schema(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator migrator(store);
  const int latest = latest_of(store);
  migrator.up(only(1));
  // The history stays; everything else goes.
  migrator.down(until(0));
  std::vector<std::string> schemas = {store.dump_schema()};
  for (int n = 1; n <= latest; ++n) {
    EXPECT_EQ(numbers_of(migrator.up(only(1))), range(n, n));
    EXPECT_EQ(migrator.status().current, n);
    schemas.push_back(store.dump_schema());
    // Some are another backend's, and have nothing to do here.
    const bool does_something = !is_comment(store.migrations()[static_cast<std::size_t>(n) - 1].up);
    EXPECT_EQ(schemas[static_cast<std::size_t>(n)] != schemas[static_cast<std::size_t>(n) - 1], does_something) << n;
  }
  for (int n = latest; n >= 1; --n) {
    const std::vector<MigrationStepInfo> steps = migrator.down(only(1));
    EXPECT_EQ(numbers_of(steps), range(n, n));
    ASSERT_EQ(steps.size(), 1u);
    EXPECT_FALSE(steps[0].up);
    EXPECT_EQ(migrator.status().current, n - 1);
    EXPECT_EQ(store.dump_schema(), schemas[static_cast<std::size_t>(n) - 1]) << "migration " << n << " is not undone";
  }
  EXPECT_TRUE(migrator.down(destructive()).empty());
  migrator.up();
  EXPECT_EQ(store.dump_schema(), schemas.back());
  EventStore events(harness.open_unmigrated());
  expect_appended(events.append(thing("a"), ExpectedVersion::no_stream(), {full_event(1)}), 1, 1);
}

void history_keeps_what_was_undone(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator migrator(store);
  migrator.up(until(1));
  const std::string first = text(store.history());
  migrator.down(until(0));
  migrator.up(until(1));
  const std::vector<MigrationRecord> history = store.history();
  ASSERT_EQ(history.size(), 3u);
  EXPECT_TRUE(history[0].up && !history[1].up && history[2].up);
  EXPECT_EQ(text({history[0]}), first);
  EXPECT_EQ(migrator.status().current, 1);
}

// --- How far

void dry_run_only_tells(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator migrator(store);
  MigrateOptions dry;
  dry.dry_run = true;
  const std::string empty = state(store);
  EXPECT_EQ(numbers_of(migrator.up(dry)), range(1, latest_of(store)));
  EXPECT_EQ(state(store), empty);
  migrator.up();
  const std::string full = state(store);
  EXPECT_TRUE(migrator.up(dry).empty());
  EXPECT_EQ(numbers_of(migrator.down(dry)), range(latest_of(store), latest_of(store)));
  dry.to = 0;
  std::vector<int> all = range(1, latest_of(store));
  std::reverse(all.begin(), all.end());
  const std::vector<MigrationStepInfo> steps = migrator.down(dry);
  EXPECT_EQ(numbers_of(steps), all);
  // The events are among what the first migration made.
  EXPECT_TRUE(steps.back().loses_data);
  EXPECT_EQ(state(store), full);
}

void steps_and_to_bound_the_way(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  // So that there is a way to go, however many the backend has.
  OtherProgram program(harness, store);
  program.with_table("probe_a", "conformance_probe_a").with_table("probe_b", "conformance_probe_b");
  Migrator migrator(program);
  const int latest = latest_of(program);
  EXPECT_EQ(numbers_of(migrator.up(only(2))), range(1, 2));
  EXPECT_EQ(numbers_of(migrator.up(until(latest - 1))), range(3, latest - 1));
  EXPECT_TRUE(migrator.up(until(latest - 1)).empty());
  EXPECT_EQ(numbers_of(migrator.up(only(100))), range(latest, latest));
  expect_unchanged(store, ErrorCode::invalid_argument, "", [&] { migrator.up(until(1)); });
  EXPECT_EQ(numbers_of(migrator.down()), range(latest, latest)) << "down undoes one unless told otherwise";
  migrator.up();
  EXPECT_EQ(numbers_of(migrator.down(until(latest - 2))), (std::vector<int>{latest, latest - 1}));
  EXPECT_EQ(migrator.status().current, latest - 2);
  expect_unchanged(store, ErrorCode::invalid_argument, "", [&] { migrator.up(until(latest + 1)); });
  expect_unchanged(store, ErrorCode::invalid_argument, "", [&] { migrator.up(only(0)); });
  expect_unchanged(store, ErrorCode::invalid_argument, "", [&] { migrator.down(until(-1)); });
  expect_unchanged(store, ErrorCode::invalid_argument, "", [&] { migrator.down(until(latest)); });
  MigrateOptions both = only(1);
  both.to = latest;
  expect_unchanged(store, ErrorCode::invalid_argument, "", [&] { migrator.up(both); });
}

void down_asks_before_it_drops_data(Harness& harness) {
  Migrator(store_of(*harness.open_unmigrated())).up();
  EventStore events(harness.open_unmigrated());
  ASSERT_TRUE(events.append(thing("a"), ExpectedVersion::any(), {full_event(1)}).ok());
  MigrationStore& store = *events.driver().migrations();
  const std::string before = contents(events);
  MigrateOptions unasked;
  unasked.to = 0;
  expect_unchanged(store, ErrorCode::invalid_argument, "drops data", [&] { Migrator(store).down(unasked); });
  EXPECT_EQ(contents(events), before);
  EXPECT_TRUE(Migrator(store).status().migrations.at(0).down_loses_data);
}

// --- What must not happen

void an_edited_migration_is_noticed(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator(store).up();
  const std::string edited_script = std::string(store.migrations()[0].up) + "\n-- edited\n";
  OtherProgram edited(harness, store);
  edited.edit(1, edited_script);
  Migrator migrator(edited);
  EXPECT_EQ(to_string(migrator.status().migrations.at(0).state), "modified");
  expect_unchanged(store, ErrorCode::checksum_mismatch, "0001", [&] { migrator.require_current(); });
  expect_unchanged(store, ErrorCode::checksum_mismatch, "0001", [&] { migrator.up(); });
  expect_unchanged(store, ErrorCode::checksum_mismatch, "0001", [&] { migrator.down(destructive()); });
}

void line_ends_are_no_edit(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator(store).up();
  std::string windows = "\xEF\xBB\xBF";
  for (const char c : store.migrations()[0].up) windows += c == '\n' ? "\r\n" : std::string(1, c);
  OtherProgram checked_out(harness, store);
  checked_out.edit(1, windows);
  EXPECT_NO_THROW(Migrator(checked_out).require_current());
}

void a_newer_database_is_noticed(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  OtherProgram newer(harness, store);
  newer.with_table("from_the_future", "conformance_probe");
  Migrator(newer).up();
  Migrator migrator(store);
  const MigrationStatus status = migrator.status();
  EXPECT_EQ(status.current, status.latest + 1);
  EXPECT_EQ(to_string(status.migrations.back().state), "unknown");
  EXPECT_EQ(status.migrations.back().title, "from_the_future");
  expect_unchanged(store, ErrorCode::schema_too_new, "newer", [&] { migrator.require_current(); });
  expect_unchanged(store, ErrorCode::schema_too_new, "newer", [&] { migrator.up(); });
  expect_unchanged(store, ErrorCode::schema_too_new, "newer", [&] { migrator.down(destructive()); });
}

void an_outdated_database_is_noticed(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  Migrator(store).up();
  OtherProgram newer(harness, store);
  newer.with_table("from_the_future", "conformance_probe");
  expect_unchanged(store, ErrorCode::schema_outdated, "migrat", [&] { Migrator(newer).require_current(); });
}

void a_failed_migration_leaves_nothing(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  OtherProgram broken(harness, store);
  broken.with_table("works", "conformance_probe")
      .with_table("broken", "conformance_half", "\n\nINSERT INTO no_such_table VALUES (1);\n",
                  "\n\nDROP TABLE no_such_table;\n");
  Migrator migrator(broken);
  const int broken_number = latest_of(broken);
  expect_error(ErrorCode::migration_failed, "line 3", [&] { migrator.up(); });
  EXPECT_EQ(migrator.status().current, broken_number - 1) << "the steps before the failed one stay";
  expect_unchanged(store, ErrorCode::migration_failed, "broken", [&] { migrator.up(); });
  // A mended script goes on from there.
  OtherProgram mended(harness, store);
  mended.with_table("works", "conformance_probe")
      .with_table("broken", "conformance_half", "", "\n\nDROP TABLE no_such_table;\n");
  EXPECT_EQ(numbers_of(Migrator(mended).up()), range(broken_number, broken_number));
  expect_unchanged(store, ErrorCode::migration_failed, "line 3", [&] { Migrator(mended).down(destructive()); });
}

void a_step_for_another_state_does_nothing(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open_unmigrated();
  MigrationStore& store = store_of(*driver);
  const Migration& first = store.migrations()[0];
  EXPECT_TRUE(store.apply({&first, true, 0}));
  const std::string before = state(store);
  EXPECT_FALSE(store.apply({&first, true, 0}));
  EXPECT_FALSE(store.apply({&first, false, 2}));
  EXPECT_EQ(state(store), before);
}

void migrators_at_once_share_the_work(Harness&) {
  constexpr int migrators = 4;
  for (int round = 0; round < rounds(5, 2); ++round) {
    const std::unique_ptr<Harness> fresh = another_harness();
    std::vector<std::unique_ptr<Driver>> drivers;
    for (int i = 0; i < migrators; ++i) drivers.push_back(fresh->open_unmigrated());
    std::mutex mutex;
    std::vector<int> done;
    in_threads(migrators, [&](int i) {
      Migrator migrator(store_of(*drivers[static_cast<std::size_t>(i)]));
      const std::vector<int> mine = numbers_of(migrator.up());
      migrator.require_current();
      const std::lock_guard lock(mutex);
      done.insert(done.end(), mine.begin(), mine.end());
    });
    std::sort(done.begin(), done.end());
    MigrationStore& store = store_of(*drivers[0]);
    EXPECT_EQ(done, range(1, latest_of(store))) << "each step is made once, by one of them";
    EXPECT_EQ(store.history().size(), store.migrations().size());
    EventStore events(fresh->open_unmigrated());
    expect_appended(events.append(thing("a"), ExpectedVersion::no_stream(), {full_event(1)}), 1, 1);
  }
}

void dump_schema_is_stable_and_reads_only(Harness& harness) {
  const std::unique_ptr<Driver> first = harness.open();
  const std::unique_ptr<Driver> second = harness.open();
  const std::string schema = store_of(*first).dump_schema();
  EXPECT_FALSE(schema.empty());
  EXPECT_EQ(store_of(*first).dump_schema(), schema);
  EXPECT_EQ(store_of(*second).dump_schema(), schema);
  EventStore store = open_store(harness);
  ASSERT_TRUE(store.append(thing("a"), ExpectedVersion::any(), events(3)).ok());
  EXPECT_EQ(store_of(*first).dump_schema(), schema) << "the schema depends on the events";
}

constexpr Case all_migration_cases[] = {
    {"API", "migrations_are_numbered_and_titled", Capability::migrations, migrations_are_numbered_and_titled},
    {"API", "status_of_an_empty_database_writes_nothing", Capability::migrations,
     status_of_an_empty_database_writes_nothing},
    {"API", "up_makes_the_database_current", Capability::migrations, up_makes_the_database_current},
    {"API", "up_twice_does_nothing_the_second_time", Capability::migrations, up_twice_does_nothing_the_second_time},
    {"API", "a_migrated_database_is_a_store", Capability::migrations, a_migrated_database_is_a_store},
    {"API", "down_and_up_again_gives_the_same_schema", Capability::migrations, down_and_up_again_gives_the_same_schema},
    {"API", "history_keeps_what_was_undone", Capability::migrations, history_keeps_what_was_undone},
    {"API", "dry_run_only_tells", Capability::migrations, dry_run_only_tells},
    {"API", "steps_and_to_bound_the_way", Capability::migrations, steps_and_to_bound_the_way},
    {"API", "down_asks_before_it_drops_data", Capability::migrations, down_asks_before_it_drops_data},
    {"API", "an_edited_migration_is_noticed", Capability::migrations, an_edited_migration_is_noticed},
    {"API", "line_ends_are_no_edit", Capability::migrations, line_ends_are_no_edit},
    {"API", "a_newer_database_is_noticed", Capability::migrations, a_newer_database_is_noticed},
    {"API", "an_outdated_database_is_noticed", Capability::migrations, an_outdated_database_is_noticed},
    {"API", "a_failed_migration_leaves_nothing", Capability::migrations, a_failed_migration_leaves_nothing},
    {"API", "a_step_for_another_state_does_nothing", Capability::migrations, a_step_for_another_state_does_nothing},
    {"API", "migrators_at_once_share_the_work", Capability::migrations, migrators_at_once_share_the_work},
    {"API", "dump_schema_is_stable_and_reads_only", Capability::migrations, dump_schema_is_stable_and_reads_only},
};

}  // namespace

std::span<const Case> migration_cases() {
  return all_migration_cases;
}

}  // namespace stele::testing
