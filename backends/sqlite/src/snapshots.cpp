#include "snapshots.h"

#include <sqlite3.h>

#include <algorithm>

#include "errors.h"
#include "streams.h"

namespace stele::sqlite {
namespace {

void list_type(Session& session, const SnapshotListOptions& options, std::int64_t tenant_no, const std::string& type,
               std::int64_t type_no, std::vector<SnapshotInfo>& list) {
  const bool after = options.after && options.after->stream.type == type;
  std::string sql =
      "SELECT s.stream_id, n.stream_version, n.snapshot_version, n.snapshot_id, n.recorded_at, n.state_bytes "
      "FROM streams AS s CROSS JOIN snapshots AS n ON n.stream_no = s.stream_no "
      "WHERE s.tenant_no = ?1 AND s.stream_type_no = ?2";
  if (options.stream_id) sql += " AND s.stream_id = ?3";
  if (after) sql += " AND s.stream_id >= ?4 AND (s.stream_id > ?4 OR n.stream_version < ?5)";
  const Use query = session.use(sql + " ORDER BY s.stream_id, n.stream_version DESC LIMIT ?6");
  query->bind(1, tenant_no);
  query->bind(2, type_no);
  if (options.stream_id) query->bind(3, *options.stream_id);
  if (after) {
    query->bind(4, options.after->stream.id);
    query->bind(5, options.after->version.value());
  }
  query->bind(6, static_cast<std::int64_t>(options.limit - list.size()));
  while (query->step()) {
    list.push_back({StreamKey(options.tenant, type, std::string(query->text(0))), Version(query->int64(1)),
                    static_cast<std::int32_t>(query->int64(2)), query->uuid(3), query->time(4), query->int64(5)});
  }
}

}  // namespace

bool save_snapshot(Session& session, const Snapshot& snapshot) {
  const std::optional<StreamInfo> stream = stream_info(session, snapshot.stream);
  if (!stream || stream->version < snapshot.version) return false;
  const Use insert = session.use(
      "INSERT INTO snapshots (stream_no, stream_version, snapshot_id, snapshot_version, recorded_at, state_bytes, "
      "state, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (stream_no, stream_version) DO UPDATE SET "
      "snapshot_id = excluded.snapshot_id, snapshot_version = excluded.snapshot_version, "
      "recorded_at = excluded.recorded_at, state_bytes = excluded.state_bytes, state = excluded.state, "
      "metadata = excluded.metadata");
  insert->bind(1, *find_stream_no(session, snapshot.stream));
  insert->bind(2, snapshot.version.value());
  insert->bind(3, snapshot.snapshot_id);
  insert->bind(4, std::int64_t{snapshot.schema_version});
  insert->bind(5, Timestamp::now());
  insert->bind(6, static_cast<std::int64_t>(snapshot.state.text().size()));
  insert->bind(7, snapshot.state.text());
  if (snapshot.metadata) {
    insert->bind(8, snapshot.metadata->text());
  } else {
    insert->bind_null(8);
  }
  try {
    insert->step();
  } catch (const Error& error) {
    if (error.native_code() != SQLITE_CONSTRAINT_UNIQUE) throw;
    throw make_error(ErrorCode::invalid_argument, "the snapshot_id belongs to another snapshot");
  }
  return true;
}

std::optional<Snapshot> find_snapshot(Session& session, const StreamKey& stream, Version at_or_below,
                                      std::optional<std::int32_t> schema_version) {
  const std::optional<StreamInfo> info = stream_info(session, stream);
  if (!info) return std::nullopt;
  std::string sql =
      "SELECT stream_version, snapshot_version, snapshot_id, recorded_at, state, metadata FROM snapshots "
      "WHERE stream_no = ?1 AND stream_version <= ?2 AND json_valid(state) "
      "AND (metadata IS NULL OR json_valid(metadata))";
  if (schema_version) sql += " AND snapshot_version = ?3";
  const Use query = session.use(sql + " ORDER BY stream_version DESC LIMIT 1");
  query->bind(1, *find_stream_no(session, stream));
  query->bind(2, std::min(at_or_below, info->version).value());
  if (schema_version) query->bind(3, std::int64_t{*schema_version});
  if (!query->step()) return std::nullopt;
  Snapshot snapshot;
  snapshot.stream = stream;
  snapshot.version = Version(query->int64(0));
  snapshot.schema_version = static_cast<std::int32_t>(query->int64(1));
  snapshot.snapshot_id = query->uuid(2);
  snapshot.recorded_at = query->time(3);
  snapshot.state.assign_trusted(query->text(4));
  if (!query->is_null(5)) snapshot.metadata.emplace().assign_trusted(query->text(5));
  return snapshot;
}

std::vector<SnapshotInfo> list_snapshots(Session& session, const SnapshotListOptions& options) {
  std::vector<SnapshotInfo> list;
  const auto tenant_no = session.names().find(options.tenant);
  if (!tenant_no) return list;
  for (const auto& [type, type_no] : stream_types(session, *tenant_no)) {
    if (list.size() == options.limit) break;
    if (options.stream_type && *options.stream_type != type) continue;
    if (options.after && type < options.after->stream.type) continue;
    list_type(session, options, *tenant_no, type, type_no, list);
  }
  return list;
}

std::int64_t delete_snapshots(Session& session, const SnapshotDeletion& which) {
  const auto tenant_no = session.names().find(which.tenant);
  const auto type_no = which.stream_type ? session.names().find(*which.stream_type) : std::nullopt;
  if (!tenant_no || (which.stream_type && !type_no)) return 0;
  std::string sql =
      "DELETE FROM snapshots AS n WHERE n.stream_no IN (SELECT s.stream_no FROM streams AS s WHERE s.tenant_no = ?1";
  if (type_no) sql += " AND s.stream_type_no = ?2";
  if (which.stream_id) sql += " AND s.stream_id = ?3";
  sql += ")";
  // The oldest that is kept: none when there are fewer, and then none is older than it.
  if (which.keep > 0) {
    sql +=
        " AND n.stream_version < (SELECT k.stream_version FROM snapshots AS k WHERE k.stream_no = n.stream_no "
        "ORDER BY k.stream_version DESC LIMIT 1 OFFSET ?4)";
  }
  if (which.before) sql += " AND n.recorded_at < ?5";
  const Use remove = session.use(sql);
  remove->bind(1, *tenant_no);
  if (type_no) remove->bind(2, *type_no);
  if (which.stream_id) remove->bind(3, *which.stream_id);
  if (which.keep > 0) remove->bind(4, std::int64_t{which.keep} - 1);
  if (which.before) remove->bind(5, *which.before);
  remove->step();
  return sqlite3_changes64(session.handle());
}

}  // namespace stele::sqlite
