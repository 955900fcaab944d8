// Snapshots of streams.
#pragma once

#include "session.h"
#include "stele/snapshot.h"

namespace stele::postgres {

/// As driver::ReadSide describes them. Each is one statement.
bool save_snapshot(Session& session, const Snapshot& snapshot);
std::optional<Snapshot> find_snapshot(Session& session, const StreamKey& stream, Version at_or_below,
                                      std::optional<std::int32_t> schema_version);
std::vector<SnapshotInfo> list_snapshots(Session& session, const SnapshotListOptions& options);
std::int64_t delete_snapshots(Session& session, const SnapshotDeletion& which);

}  // namespace stele::postgres
