#include "stele/migrate.h"

#include <algorithm>
#include <map>

#include "stele/driver/driver.h"
#include "stele/error.h"

namespace stele {

std::string_view to_string(MigrationState state) noexcept {
  switch (state) {
    case MigrationState::pending: return "pending";
    case MigrationState::applied: return "applied";
    case MigrationState::modified: return "modified";
    case MigrationState::unknown: return "unknown";
  }
  return "?";
}

namespace {

// A down script says so on a line of its own when it drops data.
constexpr std::string_view loses_data_mark = "-- stele:loses-data";

bool loses_data(const driver::Migration& migration) {
  return migration.down.find(loses_data_mark) != std::string_view::npos;
}

/// Four digits and the title: how the migration's files are called.
std::string label(int number, const std::string& title) {
  std::string digits = std::to_string(number);
  return std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits + "_" + title;
}

/// The last record of each number that is applied now.
std::map<int, driver::MigrationRecord> applied_now(const std::vector<driver::MigrationRecord>& history) {
  std::map<int, driver::MigrationRecord> applied;
  for (const driver::MigrationRecord& record : history) {
    if (record.up) {
      applied[record.number] = record;
    } else {
      applied.erase(record.number);
    }
  }
  return applied;
}

/// Throws for a history that this program cannot continue. Returns the current number.
int check_history(const driver::MigrationStore& store, const std::vector<driver::MigrationRecord>& history) {
  const auto known = store.migrations();
  const int latest = static_cast<int>(known.size());
  const auto applied = applied_now(history);
  if (!applied.empty() && applied.rbegin()->first > latest) {
    throw Error(ErrorCode::schema_too_new, "the database is at migration " + std::to_string(applied.rbegin()->first) +
                                               " of a newer program; this one knows " + std::to_string(latest));
  }
  for (const auto& [number, record] : applied) {
    if (number < 1)
      throw Error(ErrorCode::corrupt, "the migration history has a row with the number " + std::to_string(number));
    const driver::Migration& migration = known[static_cast<std::size_t>(number) - 1];
    if (record.checksum != driver::checksum(migration.up)) {
      throw Error(ErrorCode::checksum_mismatch,
                  "migration " + label(number, std::string(migration.title)) +
                      " was applied with another content than this program carries; see `migrate status`");
    }
  }
  return applied.empty() ? 0 : applied.rbegin()->first;
}

MigrationStepInfo describe(const driver::Migration& migration, bool up) {
  return {.number = migration.number,
          .title = std::string(migration.title),
          .up = up,
          .loses_data = !up && loses_data(migration)};
}

int checked_target(const MigrateOptions& options, int low, int high) {
  if (*options.to < low || *options.to > high) {
    throw Error(ErrorCode::invalid_argument, "migrate to " + std::to_string(*options.to) + ": must be between " +
                                                 std::to_string(low) + " and " + std::to_string(high));
  }
  return *options.to;
}

/// Makes one step, or finds it made by another process.
void make_step(driver::MigrationStore& store, const driver::Migration& migration, bool up, int current,
               const MigrateOptions& options, std::vector<MigrationStepInfo>& done) {
  MigrationStepInfo info = describe(migration, up);
  const auto start = std::chrono::steady_clock::now();
  if (!options.dry_run && !store.apply({&migration, up, current})) return;
  info.duration = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  done.push_back(info);
  if (options.on_step) options.on_step(info);
}

void check_steps(const MigrateOptions& options) {
  if (options.steps && *options.steps < 1)
    throw Error(ErrorCode::invalid_argument, "migrate: steps must be at least 1");
  if (options.steps && options.to) throw Error(ErrorCode::invalid_argument, "migrate: give either to or steps");
}

}  // namespace

MigrationStatus Migrator::status() const {
  const auto history = store_->history();
  const auto applied = applied_now(history);
  const auto known = store_->migrations();
  MigrationStatus status;
  status.latest = static_cast<int>(known.size());
  status.current = driver::current_migration(history);
  for (const driver::Migration& migration : known) {
    MigrationInfo info{.number = migration.number,
                       .title = std::string(migration.title),
                       .state = MigrationState::pending,
                       .applied_at = std::nullopt,
                       .down_loses_data = loses_data(migration)};
    if (const auto found = applied.find(migration.number); found != applied.end()) {
      info.state =
          found->second.checksum == driver::checksum(migration.up) ? MigrationState::applied : MigrationState::modified;
      info.applied_at = found->second.applied_at;
    }
    status.migrations.push_back(std::move(info));
  }
  for (const auto& [number, record] : applied) {
    if (number <= status.latest) continue;
    status.migrations.push_back({.number = number,
                                 .title = record.title,
                                 .state = MigrationState::unknown,
                                 .applied_at = record.applied_at,
                                 .down_loses_data = false});
  }
  return status;
}

std::vector<MigrationStepInfo> Migrator::up(const MigrateOptions& options) {
  check_steps(options);
  const auto known = store_->migrations();
  const int latest = static_cast<int>(known.size());
  int current = check_history(*store_, store_->history());
  int target = options.to ? checked_target(options, 1, latest) : latest;
  if (options.to && target < current) {
    throw Error(ErrorCode::invalid_argument, "migrate up to " + std::to_string(target) + ": the database is at " +
                                                 std::to_string(current) + " already; use down");
  }
  if (options.steps && *options.steps < target - current) target = current + *options.steps;

  std::vector<MigrationStepInfo> done;
  while (current < target) {
    make_step(*store_, known[static_cast<std::size_t>(current)], true, current, options, done);
    current = options.dry_run ? current + 1 : check_history(*store_, store_->history());
  }
  return done;
}

std::vector<MigrationStepInfo> Migrator::down(const MigrateOptions& options) {
  check_steps(options);
  const auto known = store_->migrations();
  int current = check_history(*store_, store_->history());
  const int target =
      options.to ? checked_target(options, 0, current) : std::max(0, current - options.steps.value_or(1));

  // Looked at before the first step and, because another process may go up meanwhile, before each.
  const auto refuse_loss = [&] {
    if (options.dry_run || options.allow_data_loss) return;
    for (int number = current; number > target; --number) {
      const driver::Migration& migration = known[static_cast<std::size_t>(number) - 1];
      if (loses_data(migration)) {
        throw Error(ErrorCode::invalid_argument, "undoing migration " + label(number, std::string(migration.title)) +
                                                     " drops data; it has to be allowed explicitly");
      }
    }
  };
  std::vector<MigrationStepInfo> done;
  while (current > target) {
    refuse_loss();
    make_step(*store_, known[static_cast<std::size_t>(current) - 1], false, current, options, done);
    current = options.dry_run ? current - 1 : check_history(*store_, store_->history());
  }
  return done;
}

void Migrator::require_current() const {
  const int current = check_history(*store_, store_->history());
  const int latest = static_cast<int>(store_->migrations().size());
  if (current < latest) {
    throw Error(ErrorCode::schema_outdated, "the database is at migration " + std::to_string(current) + " of " +
                                                std::to_string(latest) + "; run `migrate up`");
  }
}

}  // namespace stele
