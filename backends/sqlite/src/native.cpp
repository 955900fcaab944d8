#include "native.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "errors.h"

namespace stele::sqlite {
namespace {

constexpr std::string_view doing = "sqlite";

void check(sqlite3* db, int code) {
  if (code != SQLITE_OK) throw_error(db, doing);
}

}  // namespace

Statement::Statement(sqlite3* db, std::string_view sql, bool keep) : db_(db) {
  check(db_, sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), keep ? SQLITE_PREPARE_PERSISTENT : 0,
                                &statement_, nullptr));
}

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::bind_null(int index) {
  check(db_, sqlite3_bind_null(statement_, index));
}

void Statement::bind(int index, std::int64_t value) {
  check(db_, sqlite3_bind_int64(statement_, index, value));
}

void Statement::bind(int index, std::string_view text) {
  check(db_, sqlite3_bind_text64(statement_, index, text.data() != nullptr ? text.data() : "", text.size(),
                                 SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind_blob(int index, const void* bytes, std::size_t size) {
  check(db_, sqlite3_bind_blob64(statement_, index, bytes, size, SQLITE_STATIC));
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw_error(db_, doing);
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() noexcept {
  sqlite3_reset(statement_);
}

bool Statement::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Statement::int64(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::text(int column) const noexcept {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view Statement::blob(int column) const noexcept {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Uuid Statement::uuid(int column) const noexcept {
  Uuid::Bytes bytes{};
  const std::string_view stored = blob(column);
  std::memcpy(bytes.data(), stored.data(), std::min(stored.size(), bytes.size()));
  return Uuid(bytes);
}

Timestamp Statement::time(int column) const {
  try {
    return Timestamp::from_micros(int64(column));
  } catch (const Error&) {
    throw make_error(ErrorCode::corrupt, "a column holds a time outside the years 1 to 9999");
  }
}

void run_script(sqlite3* db, std::string_view script, std::string_view what) {
  const char* at = script.data();
  const char* const end = at + script.size();
  while (at < end) {
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    int code = sqlite3_prepare_v2(db, at, static_cast<int>(end - at), &statement, &tail);
    while (code == SQLITE_OK && statement != nullptr) {
      const int stepped = sqlite3_step(statement);
      if (stepped != SQLITE_ROW) {
        code = stepped == SQLITE_DONE ? SQLITE_OK : stepped;
        break;
      }
    }
    if (code != SQLITE_OK) {
      const int native = sqlite3_extended_errcode(db);
      std::string message = sqlite3_errmsg(db);
      sqlite3_finalize(statement);
      if ((native & 0xFF) == SQLITE_BUSY) throw make_error(native, what);
      // The statement begins behind the white space that the one before left.
      while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
      const auto line = 1 + std::count(script.data(), at, '\n');
      throw Error(ErrorCode::migration_failed,
                  std::string(what) + ", statement at line " + std::to_string(line) + ": " + message,
                  {.backend = std::string(backend_name),
                   .native_code = native,
                   .sqlstate = {},
                   .retryable = false,
                   .outcome = Outcome::not_applied});
    }
    sqlite3_finalize(statement);
    at = tail;
  }
}

}  // namespace stele::sqlite
