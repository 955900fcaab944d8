#include "snapshots.h"

#include "errors.h"

namespace stele::postgres {
namespace {

Parameters key_of(const StreamKey& stream) {
  Parameters parameters;
  parameters.add(Type::text, stream.tenant).add(Type::text, stream.type).add(Type::text, stream.id);
  return parameters;
}

/// Adds a parameter and gives its name.
template <class Value>
std::string with(Parameters& parameters, Type type, const Value& value) {
  parameters.add(type, value);
  return "$" + std::to_string(parameters.size());
}

}  // namespace

bool save_snapshot(Session& session, const Snapshot& snapshot) {
  Parameters parameters = key_of(snapshot.stream);
  parameters.add(Type::int8, snapshot.version.value())
      .add(Type::uuid, snapshot.snapshot_id)
      .add(Type::int4, snapshot.schema_version)
      .add(Type::int8, static_cast<std::int64_t>(snapshot.state.text().size()))
      .add(Type::text, snapshot.state.text());
  if (snapshot.metadata) {
    parameters.add(Type::text, snapshot.metadata->text());
  } else {
    parameters.add_null(Type::text);
  }
  try {
    return session
               .execute(
                   "INSERT INTO snapshots (stream_no, stream_version, snapshot_id, snapshot_version, recorded_at, "
                   "state_bytes, state, metadata) "
                   "SELECT stream_no, $4, $5, $6, clock_timestamp(), $7, $8::jsonb, $9::jsonb FROM streams "
                   "WHERE tenant_id = $1 AND stream_type = $2 AND stream_id = $3 AND version >= $4 "
                   "ON CONFLICT (stream_no, stream_version) DO UPDATE SET snapshot_id = excluded.snapshot_id, "
                   "snapshot_version = excluded.snapshot_version, recorded_at = excluded.recorded_at, "
                   "state_bytes = excluded.state_bytes, state = excluded.state, metadata = excluded.metadata "
                   "RETURNING true",
                   parameters)
               .rows() > 0;
  } catch (const Error& error) {
    if (error.sqlstate() != "23505") throw;
    throw make_error(ErrorCode::invalid_argument, "the snapshot_id belongs to another snapshot");
  }
}

std::optional<Snapshot> find_snapshot(Session& session, const StreamKey& stream, Version at_or_below,
                                      std::optional<std::int32_t> schema_version) {
  Parameters parameters = key_of(stream);
  parameters.add(Type::int8, at_or_below.value());
  // The stream's number and version come from queries of their own, so that the primary key gives the latest first.
  std::string sql =
      "SELECT stream_version, snapshot_version, snapshot_id, recorded_at, state, metadata FROM snapshots "
      "WHERE stream_no = (SELECT s.stream_no FROM streams AS s "
      "WHERE s.tenant_id = $1 AND s.stream_type = $2 AND s.stream_id = $3) "
      "AND stream_version <= least($4, (SELECT s.version FROM streams AS s "
      "WHERE s.tenant_id = $1 AND s.stream_type = $2 AND s.stream_id = $3))";
  if (schema_version) sql += " AND snapshot_version = " + with(parameters, Type::int4, *schema_version);
  const Result row = session.execute(sql + " ORDER BY stream_version DESC LIMIT 1", parameters);
  if (row.rows() == 0) return std::nullopt;
  Snapshot snapshot;
  snapshot.stream = stream;
  snapshot.version = Version(row.integer(0, 0));
  snapshot.schema_version = static_cast<std::int32_t>(row.integer(0, 1));
  snapshot.snapshot_id = row.uuid(0, 2);
  snapshot.recorded_at = row.time(0, 3);
  snapshot.state.assign_trusted(row.json(0, 4));
  if (!row.is_null(0, 5)) snapshot.metadata.emplace().assign_trusted(row.json(0, 5));
  return snapshot;
}

std::vector<SnapshotInfo> list_snapshots(Session& session, const SnapshotListOptions& options) {
  Parameters parameters;
  parameters.add(Type::text, options.tenant);
  std::string sql =
      "SELECT s.stream_type, s.stream_id, n.stream_version, n.snapshot_version, n.snapshot_id, n.recorded_at, "
      "n.state_bytes FROM streams AS s JOIN snapshots AS n ON n.stream_no = s.stream_no WHERE s.tenant_id = $1";
  if (options.stream_type) sql += " AND s.stream_type = " + with(parameters, Type::text, *options.stream_type);
  if (options.stream_id) sql += " AND s.stream_id = " + with(parameters, Type::text, *options.stream_id);
  if (options.after) {
    const std::string stream = "(" + with(parameters, Type::text, options.after->stream.type) + ", " +
                               with(parameters, Type::text, options.after->stream.id) + ")";
    sql += " AND (s.stream_type, s.stream_id) >= " + stream + " AND ((s.stream_type, s.stream_id) > " + stream +
           " OR n.stream_version < " + with(parameters, Type::int8, options.after->version.value()) + ")";
  }
  sql += " ORDER BY s.stream_type, s.stream_id, n.stream_version DESC LIMIT " +
         with(parameters, Type::int8, static_cast<std::int64_t>(options.limit));
  const Result rows = session.execute(sql, parameters);
  std::vector<SnapshotInfo> list;
  for (int row = 0; row < rows.rows(); ++row) {
    list.push_back({StreamKey(options.tenant, std::string(rows.text(row, 0)), std::string(rows.text(row, 1))),
                    Version(rows.integer(row, 2)), static_cast<std::int32_t>(rows.integer(row, 3)), rows.uuid(row, 4),
                    rows.time(row, 5), rows.integer(row, 6)});
  }
  return list;
}

std::int64_t delete_snapshots(Session& session, const SnapshotDeletion& which) {
  Parameters parameters;
  parameters.add(Type::text, which.tenant);
  std::string sql =
      "DELETE FROM snapshots AS n USING streams AS s WHERE s.stream_no = n.stream_no AND s.tenant_id = $1";
  if (which.stream_type) sql += " AND s.stream_type = " + with(parameters, Type::text, *which.stream_type);
  if (which.stream_id) sql += " AND s.stream_id = " + with(parameters, Type::text, *which.stream_id);
  // The oldest that is kept: null when there are fewer, and then none is older than it.
  if (which.keep > 0) {
    sql +=
        " AND n.stream_version < (SELECT k.stream_version FROM snapshots AS k WHERE k.stream_no = n.stream_no "
        "ORDER BY k.stream_version DESC LIMIT 1 OFFSET " +
        with(parameters, Type::int8, std::int64_t{which.keep} - 1) + ")";
  }
  if (which.before) sql += " AND n.recorded_at < " + with(parameters, Type::timestamptz, *which.before);
  const Result count = session.execute("WITH gone AS (" + sql + " RETURNING 1) SELECT count(*) FROM gone", parameters);
  return count.integer(0, 0);
}

}  // namespace stele::postgres
