#include "streams.h"

#include <algorithm>

namespace stele::mssql {
namespace {

/// The first bytes behind all that begin with `prefix`. UTF-8 has no byte 0xFF, so the last one can be raised.
std::string behind(std::string prefix) {
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::int64_t bytes_used(Session& session) {
  // Babelfish has no view of what SQL Server calls allocation units.
  const std::string_view sql =
      session.is_babelfish()
          ? "SELECT CAST(SUM(pg_total_relation_size(c.oid)) AS BIGINT) FROM pg_catalog.pg_class AS c "
            "WHERE c.relkind = 'r' AND c.oid IN (SELECT t.object_id FROM sys.tables AS t WHERE t.schema_id = "
            "SCHEMA_ID(?))"
          : "SELECT SUM(a.total_pages) * 8192 FROM sys.tables AS t JOIN sys.partitions AS p ON p.object_id = "
            "t.object_id JOIN sys.allocation_units AS a ON a.container_id = p.partition_id "
            "WHERE t.schema_id = SCHEMA_ID(?)";
  const Result row = session.execute(sql, Parameters().add(Type::text, session.schema()));
  return row.is_null(0, 0) ? 0 : row.integer(0, 0);
}

}  // namespace

std::optional<StreamInfo> stream_info(Session& session, const StreamKey& key) {
  const Result rows = session.execute(
      "SELECT version, created_at, last_recorded_at FROM $(schema).streams WHERE tenant_key = ? AND type_key = ? AND "
      "stream_key = ?",
      Parameters().add(Type::bytes, key.tenant).add(Type::bytes, key.type).add(Type::bytes, key.id));
  if (rows.rows() == 0) return std::nullopt;
  return StreamInfo{key, Version(rows.integer(0, 0)), rows.time(0, 1), rows.time(0, 2)};
}

std::vector<StreamInfo> list_streams(Session& session, const StreamListOptions& options) {
  Parameters parameters;
  std::string sql =
      "SELECT type_key, stream_key, version, created_at, last_recorded_at FROM $(schema).streams WHERE tenant_key = ?";
  parameters.add(Type::bytes, options.tenant);
  if (options.type) {
    sql += " AND type_key = ?";
    parameters.add(Type::bytes, *options.type);
  }
  if (options.after) {
    sql += " AND type_key >= ? AND (type_key > ? OR stream_key > ?)";
    parameters.add(Type::bytes, options.after->type)
        .add(Type::bytes, options.after->type)
        .add(Type::bytes, options.after->id);
  }
  if (!options.id_prefix.empty()) {
    sql += " AND stream_key >= ? AND stream_key < ?";
    parameters.add(Type::bytes, options.id_prefix).add(Type::bytes, behind(options.id_prefix));
  }
  sql += " ORDER BY type_key, stream_key OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY";
  parameters.add(Type::int8, options.limit);
  const Result rows = session.execute(sql, parameters);
  std::vector<StreamInfo> list;
  for (int row = 0; row < rows.rows(); ++row) {
    list.push_back({StreamKey(options.tenant, std::string(rows.bytes(row, 0)), std::string(rows.bytes(row, 1))),
                    Version(rows.integer(row, 2)), rows.time(row, 3), rows.time(row, 4)});
  }
  return list;
}

std::vector<std::string> list_tenants(Session& session) {
  // From tenant to tenant along the indexes, instead of reading all rows.
  std::vector<std::string> tenants;
  for (const std::string_view sql :
       {"SELECT TOP (1) tenant_key FROM $(schema).streams WHERE tenant_key > ? ORDER BY tenant_key",
        "SELECT TOP (1) tenant_key FROM $(schema).commands WHERE tenant_key > ? ORDER BY tenant_key"}) {
    std::string last;
    for (;;) {
      const Result row = session.execute(sql, Parameters().add(Type::bytes, last));
      if (row.rows() == 0) break;
      last = row.bytes(0, 0);
      tenants.push_back(last);
    }
  }
  std::sort(tenants.begin(), tenants.end());
  tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
  return tenants;
}

StoreStats stats(Session& session) {
  StoreStats stats;
  const auto number = [&](std::string_view sql) { return session.execute(sql).integer(0, 0); };
  stats.streams = number("SELECT COUNT_BIG(*) FROM $(schema).streams");
  stats.commands = number("SELECT COUNT_BIG(*) FROM $(schema).commands");
  stats.last_position = Position(number("SELECT ISNULL(MAX(global_position), 0) FROM $(schema).events"));
  stats.bytes = bytes_used(session);
  const Result times = session.execute("SELECT MIN(recorded_at), MAX(recorded_at) FROM $(schema).events");
  if (!times.is_null(0, 0)) stats.first_recorded_at = times.time(0, 0);
  if (!times.is_null(0, 1)) stats.last_recorded_at = times.time(0, 1);
  // Grouped by length, too: types that differ in trailing blanks are different types.
  const Result types = session.execute(
      "SELECT event_type, COUNT_BIG(*) AS events FROM $(schema).events GROUP BY event_type, DATALENGTH(event_type) "
      "ORDER BY COUNT_BIG(*) DESC, event_type, DATALENGTH(event_type)");
  for (int row = 0; row < types.rows(); ++row) {
    stats.events_by_type.emplace_back(types.text(row, 0), types.integer(row, 1));
    stats.events += types.integer(row, 1);
  }
  return stats;
}

}  // namespace stele::mssql
