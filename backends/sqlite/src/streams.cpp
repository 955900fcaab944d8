#include "streams.h"

#include <algorithm>
#include <map>

namespace stele::sqlite {

// Jumps along the index from type to type instead of reading all streams.
std::map<std::string, std::int64_t> stream_types(Session& session, std::int64_t tenant_no) {
  std::map<std::string, std::int64_t> types;
  std::int64_t type_no = 0;
  for (;;) {
    {
      const Use query =
          session.use("SELECT min(stream_type_no) FROM streams WHERE tenant_no = ?1 AND stream_type_no > ?2");
      query->bind(1, tenant_no);
      query->bind(2, type_no);
      query->step();
      if (query->is_null(0)) return types;
      type_no = query->int64(0);
    }
    types.emplace(session.names().name(type_no), type_no);
  }
}

namespace {

/// The first text behind all that begin with the prefix, byte for byte. No byte of UTF-8 is 0xFF, so the last can be
/// raised.
std::string behind_prefix(std::string prefix) {
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

void list_type(Session& session, const StreamListOptions& options, std::int64_t tenant_no, const std::string& type,
               std::int64_t type_no, std::vector<StreamInfo>& list) {
  std::string sql =
      "SELECT stream_id, version, created_at, last_recorded_at FROM streams "
      "WHERE tenant_no = ?1 AND stream_type_no = ?2";
  const bool after = options.after && options.after->type == type;
  if (after) sql += " AND stream_id > ?3";
  if (!options.id_prefix.empty()) sql += " AND stream_id >= ?4 AND stream_id < ?5";
  const Use query = session.use(sql + " ORDER BY stream_id LIMIT ?6");
  query->bind(1, tenant_no);
  query->bind(2, type_no);
  if (after) query->bind(3, options.after->id);
  const std::string behind = options.id_prefix.empty() ? std::string() : behind_prefix(options.id_prefix);
  if (!options.id_prefix.empty()) {
    query->bind(4, options.id_prefix);
    query->bind(5, behind);
  }
  query->bind(6, static_cast<std::int64_t>(options.limit - list.size()));
  while (query->step()) {
    list.push_back({StreamKey(options.tenant, type, std::string(query->text(0))), Version(query->int64(1)),
                    query->time(2), query->time(3)});
  }
}

std::int64_t single_number(Session& session, std::string_view sql) {
  const Use query = session.use(sql);
  query->step();
  return query->int64(0);
}

}  // namespace

std::optional<std::int64_t> find_stream_no(Session& session, const StreamKey& key) {
  const auto tenant_no = session.names().find(key.tenant);
  const auto type_no = session.names().find(key.type);
  if (!tenant_no || !type_no) return std::nullopt;
  const Use query =
      session.use("SELECT stream_no FROM streams WHERE tenant_no = ?1 AND stream_type_no = ?2 AND stream_id = ?3");
  query->bind(1, *tenant_no);
  query->bind(2, *type_no);
  query->bind(3, key.id);
  if (!query->step()) return std::nullopt;
  return query->int64(0);
}

std::optional<StreamInfo> stream_info(Session& session, const StreamKey& key) {
  const auto stream_no = find_stream_no(session, key);
  if (!stream_no) return std::nullopt;
  const Use query = session.use("SELECT version, created_at, last_recorded_at FROM streams WHERE stream_no = ?1");
  query->bind(1, *stream_no);
  query->step();
  return StreamInfo{key, Version(query->int64(0)), query->time(1), query->time(2)};
}

std::vector<StreamInfo> list_streams(Session& session, const StreamListOptions& options) {
  std::vector<StreamInfo> list;
  const auto tenant_no = session.names().find(options.tenant);
  if (!tenant_no) return list;
  for (const auto& [type, type_no] : stream_types(session, *tenant_no)) {
    if (list.size() == options.limit) break;
    if (options.type && *options.type != type) continue;
    if (options.after && type < options.after->type) continue;
    list_type(session, options, *tenant_no, type, type_no, list);
  }
  return list;
}

std::vector<std::string> list_tenants(Session& session) {
  std::vector<std::string> tenants;
  for (const std::string_view sql : {"SELECT min(tenant_no) FROM streams WHERE tenant_no > ?1",
                                     "SELECT min(tenant_no) FROM commands WHERE tenant_no > ?1"}) {
    std::int64_t tenant_no = 0;
    for (;;) {
      {
        const Use query = session.use(sql);
        query->bind(1, tenant_no);
        query->step();
        if (query->is_null(0)) break;
        tenant_no = query->int64(0);
      }
      tenants.push_back(session.names().name(tenant_no));
    }
  }
  std::sort(tenants.begin(), tenants.end());
  tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
  return tenants;
}

StoreStats stats(Session& session) {
  StoreStats stats;
  stats.streams = single_number(session, "SELECT count(*) FROM streams");
  stats.commands = single_number(session, "SELECT count(*) FROM commands");
  stats.last_position = Position(single_number(session, "SELECT coalesce(max(global_position), 0) FROM events"));
  stats.bytes = single_number(session, "PRAGMA page_count") * single_number(session, "PRAGMA page_size");
  {
    const Use first = session.use("SELECT recorded_at FROM events ORDER BY global_position LIMIT 1");
    if (first->step()) stats.first_recorded_at = first->time(0);
  }
  {
    const Use last = session.use("SELECT recorded_at FROM events ORDER BY global_position DESC LIMIT 1");
    if (last->step()) stats.last_recorded_at = last->time(0);
  }
  const Use counts =
      session.use("SELECT event_type_no, count(*) FROM events INDEXED BY events_type GROUP BY event_type_no");
  while (counts->step()) {
    stats.events_by_type.emplace_back(session.names().name(counts->int64(0)), counts->int64(1));
    stats.events += counts->int64(1);
  }
  std::sort(stats.events_by_type.begin(), stats.events_by_type.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return stats;
}

}  // namespace stele::sqlite
