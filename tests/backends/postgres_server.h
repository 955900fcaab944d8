// The PostgreSQL server that tests use: STELE_TEST_POSTGRES_URL, as a superuser of a database that may be filled.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;

namespace stele::testing {

/// Empty when no server was given.
std::string postgres_url();

/// The URL of a store in a schema of this name. `settings` are joined by &.
std::string postgres_url(const std::string& schema, const std::string& settings = {});

/// A name that no other test uses.
std::string fresh_schema();

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
  PostgresSchema(const PostgresSchema&) = delete;
  PostgresSchema& operator=(const PostgresSchema&) = delete;
  ~PostgresSchema();

  const std::string& name() const noexcept { return name_; }
  std::string url(const std::string& settings = {}) const { return postgres_url(name_, settings); }
  PostgresConnection connect() const { return PostgresConnection(name_); }

 private:
  const std::string name_;
};

}  // namespace stele::testing
