#include "streams.h"

#include <algorithm>

namespace stele::postgres {

std::optional<StreamInfo> stream_info(Session& session, const StreamKey& key) {
  const Result rows = session.execute(
      "SELECT version, created_at, last_recorded_at FROM streams WHERE tenant_id = $1 AND stream_type = $2 AND "
      "stream_id = $3",
      Parameters().add(Type::text, key.tenant).add(Type::text, key.type).add(Type::text, key.id));
  if (rows.rows() == 0) return std::nullopt;
  return StreamInfo{key, Version(rows.integer(0, 0)), rows.time(0, 1), rows.time(0, 2)};
}

std::vector<StreamInfo> list_streams(Session& session, const StreamListOptions& options) {
  Parameters parameters;
  const auto parameter = [&](Type type, const auto& value) {
    parameters.add(type, value);
    return "$" + std::to_string(parameters.size());
  };
  std::string sql =
      "SELECT stream_type, stream_id, version, created_at, last_recorded_at FROM streams WHERE tenant_id = " +
      parameter(Type::text, options.tenant);
  if (options.type) sql += " AND stream_type = " + parameter(Type::text, *options.type);
  if (options.after) {
    sql += " AND (stream_type, stream_id) > (" + parameter(Type::text, options.after->type);
    sql += ", " + parameter(Type::text, options.after->id) + ")";
  }
  if (!options.id_prefix.empty()) {
    sql += " AND stream_id >= " + parameter(Type::text, options.id_prefix);
    // The first text behind all with the prefix would not be valid UTF-8, so the database compares bytes itself.
    sql += " AND starts_with(stream_id, " + parameter(Type::text, options.id_prefix) + ")";
  }
  sql += " ORDER BY stream_type, stream_id LIMIT " + parameter(Type::int8, static_cast<std::int64_t>(options.limit));
  const Result rows = session.execute(sql, parameters);
  std::vector<StreamInfo> list;
  for (int row = 0; row < rows.rows(); ++row) {
    list.push_back({StreamKey(options.tenant, std::string(rows.text(row, 0)), std::string(rows.text(row, 1))),
                    Version(rows.integer(row, 2)), rows.time(row, 3), rows.time(row, 4)});
  }
  return list;
}

std::vector<std::string> list_tenants(Session& session) {
  // From tenant to tenant along the indexes, instead of reading all rows.
  std::vector<std::string> tenants;
  for (const std::string_view sql : {"SELECT min(tenant_id) FROM streams WHERE tenant_id > $1",
                                     "SELECT min(tenant_id) FROM commands WHERE tenant_id > $1"}) {
    std::string last;
    for (;;) {
      const Result row = session.execute(sql, Parameters().add(Type::text, last));
      if (row.is_null(0, 0)) break;
      last = row.text(0, 0);
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
  stats.streams = number("SELECT count(*) FROM streams");
  stats.commands = number("SELECT count(*) FROM commands");
  stats.last_position = Position(number("SELECT coalesce(max(global_position), 0) FROM events"));
  stats.bytes = number(
      "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c "
      "WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND c.relkind = 'r'");
  const Result times = session.execute("SELECT min(recorded_at), max(recorded_at) FROM events");
  if (!times.is_null(0, 0)) stats.first_recorded_at = times.time(0, 0);
  if (!times.is_null(0, 1)) stats.last_recorded_at = times.time(0, 1);
  const Result types =
      session.execute("SELECT event_type, count(*) FROM events GROUP BY event_type ORDER BY count(*) DESC, event_type");
  for (int row = 0; row < types.rows(); ++row) {
    stats.events_by_type.emplace_back(types.text(row, 0), types.integer(row, 1));
    stats.events += types.integer(row, 1);
  }
  return stats;
}

}  // namespace stele::postgres
