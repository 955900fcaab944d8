// The server that tests of the SQL Server backend use: STELE_TEST_MSSQL_URL, as the owner of a database that may be
// filled.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stele/event_store.h"

namespace stele::testing {

/// Why a test is skipped where there is none.
inline constexpr const char* no_mssql = "STELE_TEST_MSSQL_URL names no server";

/// Empty when no server was given.
std::string mssql_url();

/// The URL of a store in a schema of this name. `settings` are joined by &.
std::string mssql_url(const std::string& schema, const std::string& settings = {});

/// A name that no other test uses.
std::string fresh_mssql_schema();

/// A bare connection, without Stele.
class MssqlConnection {
 public:
  /// Throws std::runtime_error.
  MssqlConnection();
  MssqlConnection(const MssqlConnection&) = delete;
  MssqlConnection& operator=(const MssqlConnection&) = delete;
  ~MssqlConnection();

  /// Executes a batch. Returns the database's error, or nothing.
  std::string execute(const std::string& sql);
  /// Executes it; throws std::runtime_error with the error.
  void run(const std::string& sql);
  /// The rows of the batch's last result, columns joined by |; NULL is "NULL". Throws std::runtime_error.
  std::vector<std::string> rows(const std::string& sql);
  /// The one value of a query.
  std::string value(const std::string& sql);
  bool is_babelfish();

 private:
  std::string perform(const std::string& sql, std::vector<std::string>* rows);

  void* environment_ = nullptr;
  void* connection_ = nullptr;
};

/// A schema that is dropped with this object.
class MssqlSchema {
 public:
  MssqlSchema() : name_(fresh_mssql_schema()) {}
  explicit MssqlSchema(std::string name) : name_(std::move(name)) {}
  MssqlSchema(const MssqlSchema&) = delete;
  MssqlSchema& operator=(const MssqlSchema&) = delete;
  ~MssqlSchema();

  const std::string& name() const noexcept { return name_; }
  /// As SQL writes it.
  std::string quoted() const;
  std::string url(const std::string& settings = {}) const { return mssql_url(name_, settings); }
  /// `sql` with the schema's name for $(schema); without brackets for $(schema_name).
  std::string in(std::string sql) const;

 private:
  const std::string name_;
};

}  // namespace stele::testing
