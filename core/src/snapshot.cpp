#include "stele/snapshot.h"

#include <limits>

#include "prepare.h"
#include "stele/driver/driver.h"
#include "stele/event_store.h"

namespace stele {

bool should_snapshot(const SnapshotPolicy& policy, const StreamKey& stream, Version version,
                     const std::optional<SnapshotInfo>& latest, Timestamp now) {
  if (!policy.stream_types.empty() && !policy.stream_types.contains(stream.type)) return false;
  const Version last = latest ? latest->version : Version(0);
  if (version <= last) return false;
  if (policy.every_events > 0 && version.value() - last.value() >= policy.every_events) return true;
  if (!policy.every_minutes) return false;
  return !latest || std::chrono::microseconds(now.micros() - latest->recorded_at.micros()) >= *policy.every_minutes;
}

bool EventStore::save_snapshot(const Snapshot& snapshot) {
  detail::check_snapshot(snapshot);
  if (!snapshot.snapshot_id.is_nil()) return driver().save_snapshot(snapshot);
  Snapshot named = snapshot;
  named.snapshot_id = Uuid::v7();
  return driver().save_snapshot(named);
}

std::optional<Snapshot> EventStore::find_snapshot(const StreamKey& stream, std::optional<Version> at,
                                                  std::optional<std::int32_t> schema_version) {
  detail::check_find_snapshot(stream, at, schema_version);
  return driver().find_snapshot(stream, at.value_or(Version(std::numeric_limits<std::int64_t>::max())), schema_version);
}

std::vector<SnapshotInfo> EventStore::list_snapshots(const SnapshotListOptions& options) {
  detail::check_list(options);
  return driver().list_snapshots(options);
}

std::int64_t EventStore::delete_snapshots(const SnapshotDeletion& which) {
  detail::check_deletion(which);
  return driver().delete_snapshots(which);
}

}  // namespace stele
