// Parameters and results on the bare ODBC connection of a SOCI session: exact for ids, times, 64-bit numbers and texts
// of any length, which SOCI's own binding is not.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stele/timestamp.h"
#include "stele/uuid.h"

namespace stele::mssql {

/// How a parameter is sent.
enum class Type : std::uint8_t {
  boolean,    ///< BIT
  int4,       ///< INT
  int8,       ///< BIGINT
  text,       ///< NVARCHAR(4000): at most 4000 UTF-16 units.
  long_text,  ///< NVARCHAR(MAX): JSON.
  bytes,      ///< VARBINARY(8000)
  uuid,       ///< UNIQUEIDENTIFIER
  time,       ///< DATETIME2(6)
};

/// The parameters of one statement, in the order of its ?.
class Parameters {
 public:
  Parameters& add(Type type, bool value);
  template <std::integral T>
  requires(!std::same_as<T, bool>) Parameters& add(Type type, T value) {
    return add_integer(type, static_cast<std::int64_t>(value));
  }
  /// Text: valid UTF-8. Bytes: as they are. Throws too_large when it is longer than its type.
  Parameters& add(Type type, std::string_view value);
  Parameters& add(Type type, const std::string& value) { return add(type, std::string_view(value)); }
  Parameters& add(Type type, const char* value) { return add(type, std::string_view(value)); }
  Parameters& add(Type type, std::span<const std::uint8_t> bytes);
  Parameters& add(Type type, const Uuid& value);
  Parameters& add(Type type, Timestamp value);
  template <class T>
  Parameters& add(Type type, const std::optional<T>& value) {
    return value ? add(type, *value) : add_null(type);
  }
  Parameters& add_null(Type type);

  /// An OUTPUT parameter of a procedure; its value is there after Session::call(). Not for long_text. Give it no value.
  Parameters& add_output(Type type);

  std::size_t size() const noexcept { return values_.size(); }
  void clear() noexcept;

  /// What an OUTPUT parameter holds after the call; parameters count from 0.
  bool is_null(std::size_t parameter) const noexcept;
  bool boolean(std::size_t parameter) const { return integer(parameter) != 0; }
  std::int64_t integer(std::size_t parameter) const;
  std::string text(std::size_t parameter) const;
  std::string bytes(std::size_t parameter) const;
  Uuid uuid(std::size_t parameter) const;
  Timestamp time(std::size_t parameter) const;

  /// For Statement: a parameter as ODBC wants it.
  struct Value {
    Type type;
    bool output;
    bool null;
    std::size_t offset;  // Where its bytes begin, in data().
    std::size_t size;
  };
  const std::vector<Value>& values() const noexcept { return values_; }
  const std::byte* data(const Value& value) const noexcept { return data_.data() + value.offset; }
  /// Takes the value of an output.
  void set_output(std::size_t parameter, const std::byte* bytes, std::size_t size, bool null) const;

 private:
  Parameters& add_integer(Type type, std::int64_t value);
  Parameters& add_value(Type type, const void* bytes, std::size_t size);
  std::string_view output(std::size_t parameter) const;

  // A call changes the values of its outputs, and nothing else.
  mutable std::vector<Value> values_;
  mutable std::vector<std::byte> data_;
};

/// The rows of one result. Rows and columns count from 0. Views hold until the result is changed or gone.
class Result {
 public:
  /// Forgets the rows and keeps the memory.
  void clear() noexcept {
    rows_ = 0;
    cells_.clear();
    bytes_.clear();
  }
  int rows() const noexcept { return rows_; }
  int columns() const noexcept { return columns_; }
  bool is_null(int row, int column) const noexcept { return cell(row, column).kind == Kind::null; }
  bool boolean(int row, int column) const { return integer(row, column) != 0; }
  std::int64_t integer(int row, int column) const;   ///< BIT, TINYINT, SMALLINT, INT, BIGINT.
  std::string_view text(int row, int column) const;  ///< Any character type, as UTF-8.
  std::string_view json(int row, int column) const { return text(row, column); }
  std::string_view bytes(int row, int column) const;  ///< BINARY, VARBINARY.
  Uuid uuid(int row, int column) const;
  Timestamp time(int row, int column) const;  ///< DATETIME2.

 private:
  friend class RowReader;  // Statement's.
  friend class Statement;
  enum class Kind : std::uint8_t { null, integer, text, bytes, uuid, time };
  struct Cell {
    Kind kind;
    std::int64_t value;  // The number or the microseconds; else where its bytes begin.
    std::size_t size;
  };
  const Cell& cell(int row, int column) const noexcept {
    return cells_[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
                  static_cast<std::size_t>(column)];
  }
  const Cell& cell(int row, int column, Kind kind) const;

  int rows_ = 0;
  int columns_ = 0;
  std::vector<Cell> cells_;
  std::string bytes_;
};

}  // namespace stele::mssql
