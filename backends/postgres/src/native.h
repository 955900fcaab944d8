// Parameters and results on the bare PGconn of a SOCI session, in PostgreSQL's binary format: exact, without a trip
// through text for ids, times and numbers, and with arrays, which SOCI does not have.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/timestamp.h"
#include "stele/uuid.h"

struct pg_result;

namespace stele::postgres {

/// Types by their fixed oid.
enum class Type : unsigned {
  boolean = 16,
  bytea = 17,
  int8 = 20,
  int2 = 21,
  int4 = 23,
  text = 25,
  timestamptz = 1184,
  uuid = 2950,
};

/// A value in binary format, appended to `out`.
void encode(std::string& out, bool value);
void encode(std::string& out, std::int16_t value);
void encode(std::string& out, std::int32_t value);
void encode(std::string& out, std::int64_t value);
void encode(std::string& out, std::string_view value);
void encode(std::string& out, const std::string& value);
void encode(std::string& out, const Uuid& value);
void encode(std::string& out, Timestamp value);

/// The elements of an array parameter; an empty optional is NULL.
class Array {
 public:
  explicit Array(Type element) : element_(element) {}

  template <class T>
  void add(const T& value) {
    const std::size_t at = begin_element();
    encode(bytes_, value);
    end_element(at);
  }
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add_null();
    }
  }
  void add_null();
  std::size_t size() const noexcept { return static_cast<std::size_t>(size_); }

  /// The array as it is sent.
  std::string encoded() const;
  unsigned array_type() const noexcept;

 private:
  std::size_t begin_element();
  void end_element(std::size_t at);

  Type element_;
  std::int32_t size_ = 0;
  bool has_null_ = false;
  std::string bytes_;
};

/// The parameters of one statement, $1 first.
class Parameters {
 public:
  template <class T>
  Parameters& add(Type type, const T& value) {
    types_.push_back(static_cast<unsigned>(type));
    std::string bytes;
    encode(bytes, value);
    values_.emplace_back(std::move(bytes));
    return *this;
  }
  template <class T>
  Parameters& add(Type type, const std::optional<T>& value) {
    return value ? add(type, *value) : add_null(type);
  }
  Parameters& add_null(Type type);
  Parameters& add(const Array& array);

  std::size_t size() const noexcept { return types_.size(); }
  const std::vector<unsigned>& types() const noexcept { return types_; }
  const std::vector<std::optional<std::string>>& values() const noexcept { return values_; }

 private:
  std::vector<unsigned> types_;
  std::vector<std::optional<std::string>> values_;
};

/// The rows of one statement, in binary format. Rows and columns count from 0.
class Result {
 public:
  explicit Result(pg_result* result) noexcept;

  int rows() const noexcept;
  bool is_null(int row, int column) const noexcept;
  bool boolean(int row, int column) const;
  std::int64_t integer(int row, int column) const;  ///< int2, int4 or int8.
  std::string_view text(int row, int column) const;
  std::string_view json(int row, int column) const;  ///< jsonb: its text.
  Uuid uuid(int row, int column) const;
  Timestamp time(int row, int column) const;
  std::vector<std::int64_t> integers(int row, int column) const;  ///< int8[] without NULLs.

  std::vector<std::string> texts(int row, int column) const;  ///< text[] of any dimensions, without NULLs.

  pg_result* handle() const noexcept { return result_.get(); }

 private:
  struct Clear {
    void operator()(pg_result* result) const noexcept;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

}  // namespace stele::postgres
