#include "sqlite_file.h"

#include <stdlib.h>

#include <mutex>
#include <stdexcept>
#include <utility>

namespace stele::testing {
namespace {

std::mutex trace_mutex;
std::vector<std::string> traced;

int on_statement(unsigned, void*, void* statement, void*) {
  const std::lock_guard lock(trace_mutex);
  if (const char* sql = sqlite3_sql(static_cast<sqlite3_stmt*>(statement))) traced.emplace_back(sql);
  return 0;
}

/// SQLite calls this for every connection that is opened.
int trace_connection(sqlite3* db, char**, const sqlite3_api_routines*) {
  return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, nullptr);
}

// sqlite3_auto_extension() takes it under this type.
void (*trace_extension())() {
  return reinterpret_cast<void (*)()>(trace_connection);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "stele-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary directory");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SqliteConnection::SqliteConnection(const std::filesystem::path& file) {
  if (sqlite3_open(file.c_str(), &db_) != SQLITE_OK) {
    const std::string message = sqlite3_errmsg(db_);
    sqlite3_close(db_);
    throw std::runtime_error(message);
  }
  sqlite3_busy_timeout(db_, 10'000);
}

std::string SqliteConnection::execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return sqlite3_errmsg(db_);
}

std::vector<std::string> SqliteConnection::rows(const std::string& sql) {
  std::vector<std::string> rows;
  const auto add = [](void* context, int count, char** values, char**) {
    std::string row;
    for (int i = 0; i < count; ++i) {
      if (i > 0) row += '|';
      row += values[i] != nullptr ? values[i] : "NULL";
    }
    static_cast<std::vector<std::string>*>(context)->push_back(std::move(row));
    return 0;
  };
  if (sqlite3_exec(db_, sql.c_str(), add, &rows, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db_));
  return rows;
}

StatementTrace::StatementTrace() {
  take();
  sqlite3_auto_extension(trace_extension());
}

StatementTrace::~StatementTrace() {
  sqlite3_cancel_auto_extension(trace_extension());
}

std::vector<std::string> StatementTrace::take() {
  const std::lock_guard lock(trace_mutex);
  return std::exchange(traced, {});
}

}  // namespace stele::testing
