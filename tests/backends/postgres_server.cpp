#include "postgres_server.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>

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

}  // namespace

std::string postgres_url() {
  const char* url = std::getenv("STELE_TEST_POSTGRES_URL");
  return url == nullptr ? std::string() : std::string(url);
}

std::string postgres_url(const std::string& schema, const std::string& settings) {
  std::string url = postgres_url();
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += "schema=" + schema;
  if (!settings.empty()) url += "&" + settings;
  return url;
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
  run("SET client_min_messages = warning; SET search_path = \"" + schema + "\", pg_temp");
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
    connect().run("DROP SCHEMA IF EXISTS \"" + name_ + "\" CASCADE");
  } catch (const std::exception&) {  // The server goes away with its schemas.
  }
}

}  // namespace stele::testing
