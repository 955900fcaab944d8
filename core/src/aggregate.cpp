#include "stele/aggregate.h"

#include <algorithm>
#include <random>
#include <thread>

namespace stele::detail {
namespace {

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::handler_failed, std::string("the aggregate's own code threw: ") + error.what());
  } catch (...) {
    return Error(ErrorCode::handler_failed, "the aggregate's own code threw something that is no std::exception");
  }
}

bool same_json(const std::optional<Json>& a, const std::optional<Json>& b) {
  return a && b ? json_equal(*a, *b) : a.has_value() == b.has_value();
}

/// Data that this reader may not see is not compared: who repeats a request's key repeats the request.
bool is_recorded_as(const Command& command, const CommandRecord& record, bool sees_data) {
  return command.type == record.type && command.stream == record.stream && command.actor == record.actor &&
         command.channel == record.channel && (!sees_data || same_json(command.data, record.data)) &&
         (!command.command_id || *command.command_id == record.command_id);
}

}  // namespace

void check_repository(const RepositoryOptions& options) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::invalid_argument, what);
  };
  require(options.attempts >= 1, "attempts: must be at least 1");
  require(options.first_pause.count() >= 0, "first_pause: must not be negative");
  require(options.snapshots.every_events >= 0, "every_events: must not be negative");
  require(options.snapshots.every_minutes.value_or(std::chrono::minutes(0)).count() >= 0,
          "every_minutes: must not be negative");
  require(options.snapshots.keep >= 0, "keep: must not be negative");
}

void tell_snapshot_trouble(const RepositoryOptions& options) noexcept {
  if (!options.snapshot_trouble) return;
  try {
    options.snapshot_trouble(current_error());
  } catch (...) {  // What was asked for succeeds in spite of the snapshot, and in spite of this.
  }
}

bool keep_snapshot(EventStore& store, const RepositoryOptions& options, const Snapshot& snapshot) {
  if (!store.save_snapshot(snapshot)) return false;
  if (options.snapshots.keep == 0) return true;
  try {
    SnapshotDeletion older;
    older.tenant = snapshot.stream.tenant;
    older.stream_type = snapshot.stream.type;
    older.stream_id = snapshot.stream.id;
    older.keep = options.snapshots.keep;
    store.delete_snapshots(older);
  } catch (...) {
    tell_snapshot_trouble(options);
  }
  return true;
}

void drop_snapshots(EventStore& store, const StreamKey& stream) {
  SnapshotDeletion all;
  all.tenant = stream.tenant;
  all.stream_type = stream.type;
  all.stream_id = stream.id;
  store.delete_snapshots(all);
}

std::optional<AppendResult> known_outcome(EventStore& store, const Command& command) {
  std::optional<CommandRecord> record = store.find_command(command.key);
  if (!record) return std::nullopt;
  AppendResult result;
  if (is_recorded_as(command, *record, store.clearance() == Clearance::secrets)) {
    result.status = AppendStatus::replayed;
    result.streams = std::move(record->outcome);
  } else {
    result.status = AppendStatus::request_id_reused;
    result.detail =
        "request " + command.key.source + ":" + command.key.request_id + " was made before with another content";
  }
  return result;
}

std::optional<AppendResult> known_outcome_if_any(EventStore& store, const AppendRequest& request) noexcept {
  if (!request.command) return std::nullopt;
  try {
    return known_outcome(store, *request.command);
  } catch (...) {  // Why it is asked for says more.
    return std::nullopt;
  }
}

void pause_before_retry(std::int32_t attempts, std::chrono::milliseconds first_pause) {
  constexpr std::chrono::milliseconds longest{1'000};
  std::chrono::milliseconds pause = first_pause;
  for (std::int32_t i = 1; i < attempts && pause < longest; ++i) pause *= 2;
  // Callers that met each other once must not meet again.
  thread_local std::minstd_rand random{std::random_device{}()};
  const double chance = std::uniform_real_distribution<double>(0.5, 1.5)(random);
  std::this_thread::sleep_for(std::min(pause, longest) * chance);
}

}  // namespace stele::detail
