// What the tests of SQLite share: a directory that goes away, a connection that is not the product's, and a look at
// what the product's own connections do.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <vector>

namespace stele::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  std::filesystem::path file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The bare C API, with SQLite's defaults.
class SqliteConnection {
 public:
  explicit SqliteConnection(const std::filesystem::path& file);
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  ~SqliteConnection() { sqlite3_close(db_); }

  /// Executes all statements of the text. Returns SQLite's error, or nothing.
  std::string execute(const std::string& sql);
  /// Every row as text, columns joined by "|". Throws std::runtime_error.
  std::vector<std::string> rows(const std::string& sql);
  sqlite3* handle() const noexcept { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

/// While it lives, notes the statements of every connection that is opened in this process. One at a time.
class StatementTrace {
 public:
  StatementTrace();
  StatementTrace(const StatementTrace&) = delete;
  StatementTrace& operator=(const StatementTrace&) = delete;
  ~StatementTrace();
  /// The texts since the last call, in their order, with parameters as they are written.
  std::vector<std::string> take();
};

}  // namespace stele::testing
