// Snapshots of streams.
#pragma once

#include "session.h"
#include "stele/snapshot.h"

namespace stele::sqlite {

/// As driver::ReadSide describes them; these two inside a write transaction …
bool save_snapshot(Session& session, const Snapshot& snapshot);
std::int64_t delete_snapshots(Session& session, const SnapshotDeletion& which);
/// … and these inside any.
std::optional<Snapshot> find_snapshot(Session& session, const StreamKey& stream, Version at_or_below,
                                      std::optional<std::int32_t> schema_version);
std::vector<SnapshotInfo> list_snapshots(Session& session, const SnapshotListOptions& options);

}  // namespace stele::sqlite
