// Snapshots: an aggregate's state at a version of its stream. They save time and nothing else: any may be missing,
// deleted or damaged, and what is loaded is the same.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "stele/export.h"
#include "stele/json.h"
#include "stele/timestamp.h"
#include "stele/types.h"
#include "stele/uuid.h"

namespace stele {

struct Snapshot {
  StreamKey stream;
  Version version;  ///< The state holds everything up to this event. At least 1.
  std::int32_t schema_version =
      1;  ///< Of the state's form, at least 1: another one is another form, and is not loaded.
  Json state;
  std::optional<Json> metadata{};
  Uuid snapshot_id{};       ///< Made when it is saved (version 7) if all zero.
  Timestamp recorded_at{};  ///< The database's clock; ignored when it is saved.
};

/// A snapshot without its state.
struct SnapshotInfo {
  StreamKey stream;
  Version version;
  std::int32_t schema_version = 1;
  Uuid snapshot_id;
  Timestamp recorded_at;
  std::int64_t bytes = 0;  ///< Of the state's text; about right.
};

/// Which snapshots of one tenant.
struct SnapshotListOptions {
  std::string tenant{default_tenant};
  std::optional<std::string> stream_type{};
  std::optional<std::string> stream_id{};  ///< With stream_type only.
  std::optional<SnapshotInfo> after{};     ///< Continue behind this one: the last of the previous page.
  std::size_t limit = 100;                 ///< 1 … 10,000.
};

/// What to delete: of each stream that matches, all but the `keep` latest, and of those only what is older than
/// `before`.
struct SnapshotDeletion {
  std::string tenant{default_tenant};
  std::optional<std::string> stream_type{};
  std::optional<std::string> stream_id{};  ///< With stream_type only.
  std::int32_t keep = 0;                   ///< 0: none is kept.
  std::optional<Timestamp> before{};       ///< Recorded before this time.
};

/// When a new snapshot of a stream is worth its cost. Either reason is enough.
struct SnapshotPolicy {
  std::int64_t every_events = 0;  ///< This many events after the last one, or after none; 0: not by number.
  /// This long after the last one (by the database's clock, seen from this process's) if there are new events, at once
  /// when there is none; empty: not by time.
  std::optional<std::chrono::minutes> every_minutes{};
  std::set<std::string, std::less<>> stream_types{};  ///< Only these; empty: all.
  std::int32_t keep = 5;                              ///< The latest so many of a stream stay; 0: all stay.
};

/// Whether the policy wants a snapshot of a stream that is at `version`. `latest`: the last one there is, if any.
STELE_API bool should_snapshot(const SnapshotPolicy& policy, const StreamKey& stream, Version version,
                               const std::optional<SnapshotInfo>& latest, Timestamp now);

}  // namespace stele
