// A statement of ODBC: its parameters' buffers, its results, its errors.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "errors.h"
#include "native.h"

namespace stele::mssql {

/// What went wrong in a call of ODBC.
struct Failure {
  Diagnostic diagnostic;
  bool dead;  ///< The connection is gone.
};

/// "[FreeTDS][SQL Server]Login failed" without who passed it on.
std::string without_origin(std::string message);

/// The first diagnostic of a handle of ODBC; `handle_type` is SQL_HANDLE_STMT or SQL_HANDLE_DBC.
Diagnostic diagnostic_of(short handle_type, void* handle);

class Statement {
 public:
  /// `freetds` says which driver it is: the two do not agree on what NVARCHAR(MAX) is called.
  Statement(void* connection, bool freetds);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  /// Each of these throws Failure. What follows a failure is close().
  void prepare(std::string_view sql);
  /// Copies the values into buffers of the statement's own. These stay where they are as long as they are large enough,
  /// because FreeTDS prepares a statement anew after each call that binds.
  void bind(const Parameters& parameters);
  void execute();
  void execute_directly(std::string_view sql);
  /// Moves to the first result with columns, from the current one on; false when there is none.
  bool has_columns();
  bool next_result();
  /// Reads the next row of the current result behind those that `rows` has; false when there is none.
  bool fetch(Result& rows);
  /// The same without reading it.
  bool skip_row();
  /// Values of outputs, once all results were taken.
  void take_outputs(const Parameters& parameters);

  /// Ends what it is doing; false when that fails.
  bool close() noexcept;

 private:
  /// A parameter's buffer, which ODBC knows the address of.
  struct Slot {
    Type type{};
    bool output = false;
    std::size_t capacity = 0;
    std::unique_ptr<std::byte[]> data;
    std::int64_t indicator = 0;
  };

  void check(short result);
  void bind_value(std::size_t parameter, Type type, const Parameters::Value& value, const void* bytes,
                  std::size_t size);
  void bind_slot(std::size_t parameter);

  void* connection_;
  void* handle_ = nullptr;
  const bool freetds_;
  std::deque<Slot> slots_;
  std::vector<short> column_types_;  // Of the current result; empty until they were asked for.
  std::u16string wide_;              // A text that is being read.
};

}  // namespace stele::mssql
