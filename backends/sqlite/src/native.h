// Statements on the bare sqlite3 handle of a SOCI session: what carries data goes through here, because it is exact
// (16-byte ids, 64-bit numbers, NULLs) and reads 1.6 times as fast as through SOCI; see docs/decisions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "stele/timestamp.h"
#include "stele/uuid.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stele::sqlite {

/// A prepared statement. Parameters count from 1, columns from 0. Text and ids that are bound have to stay alive until
/// the statement is reset. Every function throws Error.
class Statement {
 public:
  /// `keep`: it will be used many times.
  Statement(sqlite3* db, std::string_view sql, bool keep = true);
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  void bind_null(int index);
  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view text);
  void bind_blob(int index, const void* bytes, std::size_t size);
  void bind(int index, const Uuid& id) { bind_blob(index, id.bytes().data(), id.bytes().size()); }
  void bind(int index, Timestamp time) { bind(index, time.micros()); }
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value) {
      bind(index, *value);
    } else {
      bind_null(index);
    }
  }

  /// True for a row, false at the end.
  bool step();
  /// For statements without rows.
  void run();
  void reset() noexcept;

  bool is_null(int column) const noexcept;
  std::int64_t int64(int column) const noexcept;
  std::string_view text(int column) const noexcept;  ///< Valid until the next step or reset.
  std::string_view blob(int column) const noexcept;  ///< Likewise.
  Uuid uuid(int column) const noexcept;
  Timestamp time(int column) const;  ///< Throws corrupt for a number that is no time.

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
};

/// Resets a statement of a session's cache at the end of its use, so that it holds no lock and no binding.
class Use {
 public:
  explicit Use(Statement& statement) noexcept : statement_(statement) {}
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() { statement_.reset(); }
  Statement* operator->() const noexcept { return &statement_; }
  Statement& operator*() const noexcept { return statement_; }

 private:
  Statement& statement_;
};

/// Runs a script of several statements. Throws migration_failed that names `what` and the line of the statement that
/// failed.
void run_script(sqlite3* db, std::string_view script, std::string_view what);

}  // namespace stele::sqlite
