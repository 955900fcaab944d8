#include "settings.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <set>

#include "stele/error.h"

namespace stele::postgres {
namespace {

constexpr std::string_view own_settings[] = {"schema", "busy_timeout", "connections", "max_lifetime", "pooler"};

/// The names that libpq knows, without those that Stele sets itself.
std::set<std::string> libpq_settings() {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconndefaults(), &PQconninfoFree);
  std::set<std::string> names;
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    names.insert(option->keyword);
  }
  for (const char* ours : {"client_encoding", "replication", "fallback_application_name"}) names.erase(ours);
  return names;
}

void add(std::string& conninfo, std::string_view key, std::string_view value) {
  if (!conninfo.empty()) conninfo += ' ';
  conninfo += key;
  conninfo += "='";
  for (const char c : value) {
    if (c == '\'' || c == '\\') conninfo += '\\';
    conninfo += c;
  }
  conninfo += '\'';
}

void add_hosts(std::string& conninfo, const Url& url) {
  if (url.hosts.empty()) return;
  std::string names;
  std::string ports;
  for (const Url::Host& host : url.hosts) {
    names += (names.empty() ? "" : ",") + host.name;
    ports += (&host == &url.hosts.front() ? "" : ",") + std::to_string(host.port == 0 ? 5432 : host.port);
  }
  add(conninfo, "host", names);
  add(conninfo, "port", ports);
}

}  // namespace

Settings parse_settings(const Url& url) {
  const std::set<std::string> known = libpq_settings();
  std::set<std::string> seen;
  if (!url.hosts.empty()) seen.insert({"host", "port"});
  if (url.user) seen.insert("user");
  if (url.password) seen.insert("password");
  if (!url.path.empty()) seen.insert("dbname");
  Settings settings;
  std::string& conninfo = settings.conninfo;
  add_hosts(conninfo, url);
  if (url.user) add(conninfo, "user", *url.user);
  if (url.password) add(conninfo, "password", *url.password);
  if (!url.path.empty()) add(conninfo, "dbname", url.path);
  for (const auto& [key, value] : url.params) {
    if (!seen.insert(key).second) throw Error(ErrorCode::invalid_argument, "URL: \"" + key + "\" comes twice");
    if (std::find(std::begin(own_settings), std::end(own_settings), key) != std::end(own_settings)) continue;
    if (!known.contains(key)) {
      throw Error(ErrorCode::invalid_argument, "URL: there is no setting \"" + key +
                                                   "\"; Stele has schema, busy_timeout, " +
                                                   "connections, max_lifetime and pooler, and libpq has sslmode, " +
                                                   "connect_timeout, target_session_attrs and others");
    }
    add(conninfo, key, value);
  }
  if (!seen.contains("connect_timeout")) add(conninfo, "connect_timeout", "10");
  // A connection that broke without a word is noticed within half a minute.
  if (!seen.contains("keepalives_idle")) add(conninfo, "keepalives_idle", "15");
  if (!seen.contains("tcp_user_timeout")) add(conninfo, "tcp_user_timeout", "30000");
  if (!seen.contains("application_name")) add(conninfo, "application_name", "stele");
  add(conninfo, "client_encoding", "UTF8");
  if (const auto schema = url.param("schema")) {
    if (schema->empty() || schema->size() > 63 || schema->starts_with("pg_")) {
      throw Error(ErrorCode::invalid_argument,
                  "URL: \"schema\" has to be a name of 1 to 63 bytes that does not begin with pg_");
    }
    settings.schema = *schema;
  }
  settings.busy_timeout = url.duration_param("busy_timeout").value_or(settings.busy_timeout);
  settings.max_lifetime = url.duration_param("max_lifetime").value_or(settings.max_lifetime);
  settings.behind_pooler = url.choice_param("pooler", {"none", "session"}) == "session";
  settings.connections = static_cast<std::size_t>(url.integer_param("connections", 1, 256).value_or(16));
  return settings;
}

std::string quoted_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + '"';
}

}  // namespace stele::postgres
