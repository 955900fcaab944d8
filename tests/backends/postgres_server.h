// The PostgreSQL server that tests use: STELE_TEST_POSTGRES_URL, as a superuser of a database that may be filled.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stele/event_store.h"

struct pg_conn;

namespace stele::testing {

/// Why a test is skipped where there is none.
inline constexpr const char* no_postgres = "STELE_TEST_POSTGRES_URL names no server";

/// Empty when no server was given.
std::string postgres_url();

/// The URL of a store in a schema of this name. `settings` are joined by &.
std::string postgres_url(const std::string& schema, const std::string& settings = {});

/// The server's URL with another database, or another user.
std::string postgres_url_in(const std::string& database, const std::string& url = postgres_url());
std::string postgres_url_as(const std::string& user, const std::string& password,
                            const std::string& url = postgres_url());

/// A name that no other test uses.
std::string fresh_schema();

/// A store at this URL, migrated.
EventStore open_postgres(const std::string& url);
/// A store at this URL, which has to be migrated.
EventStore open_migrated_postgres(const std::string& url);

/// A program of the server's own version, as it is to be called; empty when it is not installed.
std::string postgres_program(const std::string& name);

/// Names in quotes, and texts.
std::string sql_name(const std::string& name);
std::string sql_text(const std::string& text);

/// A SELECT that appends this many events to one stream of the default tenant with the database's function append(),
/// and gives the first position: for connections that stall, roll back or die where Stele's would commit.
std::string append_sql(const std::string& type, const std::string& id, int events = 1);
/// The same with append_several(): an append of so many events to each of these streams.
std::string append_several_sql(const std::string& type, const std::vector<std::string>& ids, int events = 1);

/// A bare connection, without Stele.
class PostgresConnection {
 public:
  /// With this schema as its search path. Throws std::runtime_error.
  explicit PostgresConnection(const std::string& schema, const std::string& url = postgres_url());

  /// Executes any number of statements. Returns the database's error, or nothing.
  std::string execute(const std::string& sql);
  /// Executes them; throws std::runtime_error with the error.
  void run(const std::string& sql);
  /// The rows of a query, columns joined by |. Throws std::runtime_error.
  std::vector<std::string> rows(const std::string& sql);
  /// The one value of a query.
  std::string value(const std::string& sql);
  /// The server's process for this connection.
  std::string process() { return value("SELECT pg_backend_pid()"); }

  pg_conn* handle() const noexcept { return connection_.get(); }

 private:
  struct Close {
    void operator()(pg_conn* connection) const noexcept;
  };
  std::unique_ptr<pg_conn, Close> connection_;
};

/// A schema that is dropped with this object.
class PostgresSchema {
 public:
  PostgresSchema() : name_(fresh_schema()) {}
  explicit PostgresSchema(std::string name) : name_(std::move(name)) {}
  PostgresSchema(const PostgresSchema&) = delete;
  PostgresSchema& operator=(const PostgresSchema&) = delete;
  ~PostgresSchema();

  const std::string& name() const noexcept { return name_; }
  std::string url(const std::string& settings = {}) const { return postgres_url(name_, settings); }
  PostgresConnection connect() const { return PostgresConnection(name_); }

 private:
  const std::string name_;
};

/// A database of the same server, dropped with this object.
class PostgresDatabase {
 public:
  PostgresDatabase();
  PostgresDatabase(const PostgresDatabase&) = delete;
  PostgresDatabase& operator=(const PostgresDatabase&) = delete;
  ~PostgresDatabase();

  const std::string& name() const noexcept { return name_; }
  std::string url() const { return postgres_url_in(name_); }

 private:
  const std::string name_;
};

/// A role that may log in, dropped with this object and all that it owns or may do.
class PostgresLogin {
 public:
  /// `options` come behind the name in CREATE ROLE.
  explicit PostgresLogin(const std::string& options = {});
  /// A role that somebody else makes.
  struct MadeElsewhere {};
  explicit PostgresLogin(MadeElsewhere) : name_(fresh_schema()) {}
  PostgresLogin(const PostgresLogin&) = delete;
  PostgresLogin& operator=(const PostgresLogin&) = delete;
  ~PostgresLogin();

  const std::string& name() const noexcept { return name_; }
  /// The URL of a store, as this role.
  std::string url(const PostgresSchema& schema, const std::string& settings = {}) const {
    return postgres_url_as(name_, password, schema.url(settings));
  }
  PostgresConnection connect(const std::string& schema) const {
    return PostgresConnection(schema, postgres_url_as(name_, password));
  }
  static constexpr const char* password = "not-a-secret";

 private:
  const std::string name_;
};

}  // namespace stele::testing
