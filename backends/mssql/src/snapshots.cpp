#include "snapshots.h"

#include "errors.h"

namespace stele::mssql {
namespace {

Parameters& add_key(Parameters& parameters, const StreamKey& stream) {
  return parameters.add(Type::bytes, stream.tenant).add(Type::bytes, stream.type).add(Type::bytes, stream.id);
}

constexpr std::string_view of_stream = "s.tenant_key = ? AND s.type_key = ? AND s.stream_key = ?";

}  // namespace

bool save_snapshot(Session& session, const Snapshot& snapshot) {
  // The texts may be large, so each is sent once.
  static const std::string sql =
      "DECLARE @stream BIGINT, @version BIGINT, @id UNIQUEIDENTIFIER, @schema INT, @bytes BIGINT, "
      "@state NVARCHAR(MAX), @metadata NVARCHAR(MAX), @now DATETIME2(6), @done INT; "
      "SET @version = ?; SET @id = ?; SET @schema = ?; SET @bytes = ?; SET @state = ?; SET @metadata = ?; "
      "SET @now = SYSUTCDATETIME(); SET @done = 0; "
      "SELECT @stream = s.stream_no FROM $(schema).streams AS s WHERE " +
      std::string(of_stream) +
      " AND s.version >= @version; "
      "IF @stream IS NOT NULL BEGIN "
      "UPDATE $(schema).snapshots SET snapshot_id = @id, snapshot_version = @schema, recorded_at = @now, "
      "state_bytes = @bytes, state = @state, metadata = @metadata WHERE stream_no = @stream "
      "AND stream_version = @version; "
      "IF @@ROWCOUNT = 0 INSERT INTO $(schema).snapshots (snapshot_id, stream_no, stream_version, snapshot_version, "
      "recorded_at, state_bytes, state, metadata) VALUES (@id, @stream, @version, @schema, @now, @bytes, @state, "
      "@metadata); "
      "SET @done = 1; END; "
      "SELECT @done";
  Parameters parameters;
  parameters.add(Type::int8, snapshot.version.value())
      .add(Type::uuid, snapshot.snapshot_id)
      .add(Type::int4, snapshot.schema_version)
      .add(Type::int8, snapshot.state.text().size())
      .add(Type::long_text, snapshot.state.text());
  snapshot.metadata ? parameters.add(Type::long_text, snapshot.metadata->text()) : parameters.add_null(Type::long_text);
  add_key(parameters, snapshot.stream);
  // Another may save one of the same version between the two statements: the second attempt finds it.
  for (bool again = true;; again = false) {
    try {
      return session.execute(sql, parameters).integer(0, 0) == 1;
    } catch (const Error& error) {
      if (!is_duplicate_key(error)) throw;
      if (!again) throw make_error(ErrorCode::invalid_argument, "the snapshot_id belongs to another snapshot");
    }
  }
}

std::optional<Snapshot> find_snapshot(Session& session, const StreamKey& stream, Version at_or_below,
                                      std::optional<std::int32_t> schema_version) {
  // The stream's number comes from a query of its own, so that the primary key gives the latest first.
  std::string sql =
      "SELECT TOP (1) n.stream_version, n.snapshot_version, n.snapshot_id, n.recorded_at, n.state, n.metadata "
      "FROM $(schema).snapshots AS n WHERE n.stream_no = (SELECT s.stream_no FROM $(schema).streams AS s WHERE " +
      std::string(of_stream) +
      ") AND n.stream_version <= ? AND n.stream_version <= (SELECT s.version FROM $(schema).streams AS s WHERE " +
      std::string(of_stream) + ")";
  Parameters parameters;
  add_key(parameters, stream).add(Type::int8, at_or_below.value());
  add_key(parameters, stream);
  if (schema_version) {
    sql += " AND n.snapshot_version = ?";
    parameters.add(Type::int4, *schema_version);
  }
  const Result row = session.execute(sql + " ORDER BY n.stream_version DESC", parameters);
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
  parameters.add(Type::bytes, options.tenant);
  std::string sql =
      "SELECT s.type_key, s.stream_key, n.stream_version, n.snapshot_version, n.snapshot_id, n.recorded_at, "
      "n.state_bytes FROM $(schema).streams AS s JOIN $(schema).snapshots AS n ON n.stream_no = s.stream_no "
      "WHERE s.tenant_key = ?";
  if (options.stream_type) {
    sql += " AND s.type_key = ?";
    parameters.add(Type::bytes, *options.stream_type);
  }
  if (options.stream_id) {
    sql += " AND s.stream_key = ?";
    parameters.add(Type::bytes, *options.stream_id);
  }
  if (options.after) {
    const StreamKey& stream = options.after->stream;
    sql += " AND s.type_key >= ? AND (s.type_key > ? OR s.stream_key > ? OR s.stream_key = ? AND n.stream_version < ?)";
    parameters.add(Type::bytes, stream.type)
        .add(Type::bytes, stream.type)
        .add(Type::bytes, stream.id)
        .add(Type::bytes, stream.id)
        .add(Type::int8, options.after->version.value());
  }
  sql += " ORDER BY s.type_key, s.stream_key, n.stream_version DESC OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY";
  parameters.add(Type::int8, options.limit);
  const Result rows = session.execute(sql, parameters);
  std::vector<SnapshotInfo> list;
  for (int row = 0; row < rows.rows(); ++row) {
    list.push_back({StreamKey(options.tenant, std::string(rows.bytes(row, 0)), std::string(rows.bytes(row, 1))),
                    Version(rows.integer(row, 2)), static_cast<std::int32_t>(rows.integer(row, 3)), rows.uuid(row, 4),
                    rows.time(row, 5), rows.integer(row, 6)});
  }
  return list;
}

std::int64_t delete_snapshots(Session& session, const SnapshotDeletion& which) {
  // Not by a join: Babelfish does not ask then whether the user may delete.
  Parameters parameters;
  parameters.add(Type::bytes, which.tenant);
  std::string sql =
      "DELETE FROM $(schema).snapshots WHERE stream_no IN (SELECT s.stream_no FROM $(schema).streams AS s "
      "WHERE s.tenant_key = ?";
  if (which.stream_type) {
    sql += " AND s.type_key = ?";
    parameters.add(Type::bytes, *which.stream_type);
  }
  if (which.stream_id) {
    sql += " AND s.stream_key = ?";
    parameters.add(Type::bytes, *which.stream_id);
  }
  sql += ")";
  // The oldest that is kept: null when there are fewer, and then none is older than it.
  if (which.keep > 0) {
    sql +=
        " AND stream_version < (SELECT k.stream_version FROM $(schema).snapshots AS k WHERE k.stream_no = "
        "snapshots.stream_no ORDER BY k.stream_version DESC OFFSET ? ROWS FETCH NEXT 1 ROWS ONLY)";
    parameters.add(Type::int8, std::int64_t{which.keep} - 1);
  }
  if (which.before) {
    sql += " AND recorded_at < ?";
    parameters.add(Type::time, *which.before);
  }
  return session.execute(sql + "; SELECT @@ROWCOUNT", parameters).integer(0, 0);
}

}  // namespace stele::mssql
