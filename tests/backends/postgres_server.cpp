#include "postgres_server.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "stele/postgres.h"
#include "stele/registry.h"

namespace stele::testing {
namespace {

struct Clear {
  void operator()(pg_result* result) const noexcept { PQclear(result); }
};
using Answer = std::unique_ptr<pg_result, Clear>;

bool succeeded(const Answer& answer) {
  const ExecStatusType status = PQresultStatus(answer.get());
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

std::string percent_encoded(const std::string& text) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '_') {
      encoded += c;
    } else {
      encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return encoded;
}

std::string quoted(const std::string& text, char quote) {
  std::string all(1, quote);
  for (const char c : text) {
    all += c;
    if (c == quote) all += c;
  }
  return all + quote;
}

/// Where the user, and behind it the hosts, begin in a URL, and where the hosts end.
struct UrlParts {
  explicit UrlParts(const std::string& url)
      : user(url.find("//") + 2), end(std::min(url.find_first_of("/?", user), url.size())) {
    const std::size_t at = url.rfind('@', end);
    hosts = at == std::string::npos || at < user ? user : at + 1;
  }
  std::size_t user;
  std::size_t hosts;
  std::size_t end;
};

EventStore open_store(const std::string& url, bool migrate) {
  Registry registry;
  postgres::register_driver(registry);
  return EventStore::open(registry, url, {.migrate = migrate});
}

}  // namespace

std::string postgres_url() {
  const char* url = std::getenv("STELE_TEST_POSTGRES_URL");
  return url == nullptr ? std::string() : std::string(url);
}

std::string postgres_url(const std::string& schema, const std::string& settings) {
  std::string url = postgres_url();
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += "schema=" + percent_encoded(schema);
  if (!settings.empty()) url += "&" + settings;
  return url;
}

std::string postgres_url_in(const std::string& database, const std::string& url) {
  const std::size_t end = UrlParts(url).end;
  const std::size_t settings = std::min(url.find('?', end), url.size());
  return url.substr(0, end) + "/" + database + url.substr(settings);
}

std::string postgres_url_as(const std::string& user, const std::string& password, const std::string& url) {
  const UrlParts parts(url);
  return url.substr(0, parts.user) + percent_encoded(user) + ":" + percent_encoded(password) + "@" +
         url.substr(parts.hosts);
}

EventStore open_postgres(const std::string& url) {
  return open_store(url, true);
}

EventStore open_migrated_postgres(const std::string& url) {
  return open_store(url, false);
}

std::string postgres_program(const std::string& name) {
  std::map<int, std::string> found;
  std::error_code ignored;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const std::filesystem::path program = version.path() / "bin" / name;
    if (std::filesystem::exists(program)) found[std::atoi(version.path().filename().c_str())] = program;
  }
  if (!found.empty()) return found.rbegin()->second;
  return std::system(("command -v " + name + " > /dev/null").c_str()) == 0 ? name : std::string();
}

std::string sql_name(const std::string& name) {
  return quoted(name, '"');
}

std::string sql_text(const std::string& text) {
  return quoted(text, '\'');
}

std::string append_sql(const std::string& type, const std::string& id, int events) {
  const std::string count = std::to_string(events);
  const auto column = [&](const std::string& value) { return ", array_fill(" + value + ", ARRAY[" + count + "])"; };
  std::string sql = "SELECT first_positions[1] FROM append('default', ARRAY[" + sql_text(type) + "], ARRAY[" +
                    sql_text(id) + "], '{0}', '{0}', ARRAY[" + count + "], 1";
  for (int i = 0; i < 12; ++i) sql += ", NULL";  // The command.
  sql += ", '{}'" + column("1") + ", (SELECT array_agg(gen_random_uuid()) FROM generate_series(1, " + count + "))";
  sql += column("'Raw'::text") + column("1") + column("clock_timestamp()");
  for (int i = 0; i < 2; ++i) sql += column("NULL::timestamptz");  // Validity.
  for (int i = 0; i < 5; ++i) sql += column("NULL::text");         // Actor, source, channel, key.
  for (int i = 0; i < 2; ++i) sql += column("NULL::uuid");         // Causation, correlation.
  sql += column("'none'::text") + column("false") + column("'{}'::text");
  for (int i = 0; i < 4; ++i) sql += column("NULL::text");  // Metadata and the like.
  return sql + column("0::smallint") + ", '{}', '{}', '{}')";
}

std::string append_several_sql(const std::string& type, const std::vector<std::string>& ids, int events) {
  const std::string appends = std::to_string(ids.size());
  const std::string count = std::to_string(ids.size() * static_cast<std::size_t>(events));
  const auto filled = [](const std::string& value, const std::string& size) {
    return ", array_fill(" + value + ", ARRAY[" + size + "])";
  };
  const auto of_append = [&](const std::string& value) { return filled(value, appends); };
  const auto of_event = [&](const std::string& value) { return filled(value, count); };
  std::string listed;
  for (const std::string& id : ids) listed += (listed.empty() ? "" : ", ") + sql_text(id);
  std::string sql = "SELECT first_position FROM append_several(array_fill('default'::text, ARRAY[" + appends + "])" +
                    of_append(sql_text(type) + "::text") + ", ARRAY[" + listed + "]" + of_append("0::smallint") +
                    of_append("0::bigint") + of_append(std::to_string(events));
  for (const char* none : {"text", "text", "uuid", "text", "text", "text", "text", "text", "text", "text", "bytea"}) {
    sql += of_append(std::string("NULL::") + none);  // The commands.
  }
  sql +=
      ", (SELECT array_agg((i - 1) / " + std::to_string(events) + " + 1) FROM generate_series(1, " + count + ") AS i)";
  sql += ", (SELECT array_agg(gen_random_uuid()) FROM generate_series(1, " + count + "))";
  sql += of_event("'Raw'::text") + of_event("1") + of_event("clock_timestamp()");
  for (int i = 0; i < 2; ++i) sql += of_event("NULL::timestamptz");  // Validity.
  for (int i = 0; i < 4; ++i) sql += of_event("NULL::text");         // Actor, source, channel.
  for (int i = 0; i < 2; ++i) sql += of_event("NULL::uuid");         // Causation, correlation.
  sql += of_event("'none'::text") + of_event("false") + of_event("'{}'::text");
  for (int i = 0; i < 4; ++i) sql += of_event("NULL::text");  // Metadata and the like.
  return sql + of_event("0::smallint") + ", '{}', '{}', '{}') LIMIT 1";
}

std::string fresh_schema() {
  static std::atomic<int> made{0};
  return "stele_test_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
}

void PostgresConnection::Close::operator()(pg_conn* connection) const noexcept {
  PQfinish(connection);
}

PostgresConnection::PostgresConnection(const std::string& schema, const std::string& url)
    : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(handle()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(handle()));
  run("SET client_min_messages = warning; SET search_path = " + sql_name(schema) + ", pg_temp");
}

std::string PostgresConnection::execute(const std::string& sql) {
  const Answer answer(PQexec(handle(), sql.c_str()));
  return succeeded(answer) ? std::string() : PQerrorMessage(handle());
}

void PostgresConnection::run(const std::string& sql) {
  const std::string error = execute(sql);
  if (!error.empty()) throw std::runtime_error(error + " in: " + sql.substr(0, 200));
}

std::vector<std::string> PostgresConnection::rows(const std::string& sql) {
  const Answer answer(PQexec(handle(), sql.c_str()));
  if (!succeeded(answer)) throw std::runtime_error(PQerrorMessage(handle()));
  std::vector<std::string> rows;
  for (int row = 0; row < PQntuples(answer.get()); ++row) {
    std::string text;
    for (int column = 0; column < PQnfields(answer.get()); ++column) {
      if (column > 0) text += '|';
      text += PQgetvalue(answer.get(), row, column);
    }
    rows.push_back(std::move(text));
  }
  return rows;
}

std::string PostgresConnection::value(const std::string& sql) {
  const std::vector<std::string> all = rows(sql);
  if (all.size() != 1) throw std::runtime_error("not one row: " + sql);
  return all.front();
}

PostgresSchema::~PostgresSchema() {
  try {
    connect().run("DROP SCHEMA IF EXISTS " + sql_name(name_) + " CASCADE");
  } catch (const std::exception&) {  // The server goes away with its schemas.
  }
}

PostgresDatabase::PostgresDatabase() : name_(fresh_schema()) {
  PostgresConnection("public").run("CREATE DATABASE " + name_ + " TEMPLATE template0");
}

PostgresDatabase::~PostgresDatabase() {
  try {
    PostgresConnection("public").run("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  } catch (const std::exception&) {
  }
}

PostgresLogin::PostgresLogin(const std::string& options) : name_(fresh_schema()) {
  PostgresConnection("public").run("CREATE ROLE " + name_ + " LOGIN PASSWORD '" + password + "' " + options);
}

PostgresLogin::~PostgresLogin() {
  try {
    PostgresConnection("public").run("DROP OWNED BY " + name_ + " CASCADE; DROP ROLE " + name_);
  } catch (const std::exception&) {
  }
}

}  // namespace stele::testing
