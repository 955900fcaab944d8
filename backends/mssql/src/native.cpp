#include "native.h"

#include <sql.h>
#include <sqlext.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "errors.h"
#include "odbc_values.h"
#include "utf16.h"

namespace stele::mssql {
namespace {

constexpr std::size_t max_text_units = 4000;
constexpr std::size_t max_bytes = 8000;

[[noreturn]] void wrong_type() {
  throw make_error(ErrorCode::internal, "a parameter or a column is not of the type it should be");
}

}  // namespace

SQL_TIMESTAMP_STRUCT to_odbc(Timestamp time) noexcept {
  using namespace std::chrono;
  const sys_time<microseconds> instant{microseconds(time.micros())};
  const auto day = floor<days>(instant);
  const year_month_day date(day);
  const hh_mm_ss<microseconds> clock(instant - day);
  SQL_TIMESTAMP_STRUCT result{};
  result.year = static_cast<SQLSMALLINT>(static_cast<int>(date.year()));
  result.month = static_cast<SQLUSMALLINT>(static_cast<unsigned>(date.month()));
  result.day = static_cast<SQLUSMALLINT>(static_cast<unsigned>(date.day()));
  result.hour = static_cast<SQLUSMALLINT>(clock.hours().count());
  result.minute = static_cast<SQLUSMALLINT>(clock.minutes().count());
  result.second = static_cast<SQLUSMALLINT>(clock.seconds().count());
  result.fraction = static_cast<SQLUINTEGER>(clock.subseconds().count() * 1000);
  return result;
}

std::int64_t micros_of(const SQL_TIMESTAMP_STRUCT& time) noexcept {
  using namespace std::chrono;
  const sys_days day = year(time.year) / time.month / time.day;
  const auto instant = sys_time<microseconds>(day) + hours(time.hour) + minutes(time.minute) + seconds(time.second) +
                       microseconds(time.fraction / 1000);
  return instant.time_since_epoch().count();
}

SQLGUID to_odbc(const Uuid& id) noexcept {
  const Uuid::Bytes& bytes = id.bytes();
  const auto number = [&](std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
  };
  SQLGUID guid{};
  guid.Data1 = number(0, 4);
  guid.Data2 = static_cast<std::uint16_t>(number(4, 2));
  guid.Data3 = static_cast<std::uint16_t>(number(6, 2));
  std::copy(bytes.begin() + 8, bytes.end(), std::begin(guid.Data4));
  return guid;
}

Uuid uuid_of(const SQLGUID& guid) noexcept {
  Uuid::Bytes bytes{};
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(guid.Data1 >> (24 - 8 * i));
  for (std::size_t i = 0; i < 2; ++i) {
    bytes[4 + i] = static_cast<std::uint8_t>(guid.Data2 >> (8 - 8 * i));
    bytes[6 + i] = static_cast<std::uint8_t>(guid.Data3 >> (8 - 8 * i));
  }
  std::copy(std::begin(guid.Data4), std::end(guid.Data4), bytes.begin() + 8);
  return Uuid(bytes);
}

Parameters& Parameters::add_value(Type type, const void* bytes, std::size_t size) {
  values_.push_back({.type = type, .output = false, .null = false, .offset = data_.size(), .size = size});
  const auto* begin = static_cast<const std::byte*>(bytes);
  data_.insert(data_.end(), begin, begin + size);
  return *this;
}

Parameters& Parameters::add_integer(Type type, std::int64_t value) {
  switch (type) {
    case Type::boolean: return add(type, value != 0);
    case Type::int4: {
      const auto narrow = static_cast<std::int32_t>(value);
      if (narrow != value) wrong_type();
      return add_value(type, &narrow, sizeof narrow);
    }
    case Type::int8: return add_value(type, &value, sizeof value);
    default: wrong_type();
  }
}

Parameters& Parameters::add(Type type, bool value) {
  if (type != Type::boolean) return add_integer(type, value ? 1 : 0);
  const unsigned char bit = value ? 1 : 0;
  return add_value(type, &bit, sizeof bit);
}

Parameters& Parameters::add(Type type, std::string_view value) {
  if (type == Type::bytes) {
    if (value.size() > max_bytes) throw make_error(ErrorCode::too_large, "a value is longer than 8000 bytes");
    return add_value(type, value.data(), value.size());
  }
  if (type != Type::text && type != Type::long_text) wrong_type();
  if (type == Type::text && value.size() > max_text_units && utf16_length(value) > max_text_units) {
    throw make_error(ErrorCode::too_large, "a text is longer than 4000 characters");
  }
  // Texts begin at even offsets, so that they can be written as UTF-16 in place.
  data_.resize(data_.size() + data_.size() % sizeof(char16_t));
  const std::size_t offset = data_.size();
  data_.resize(offset + value.size() * sizeof(char16_t));
  const std::size_t units = to_utf16(value, reinterpret_cast<char16_t*>(data_.data() + offset));
  data_.resize(offset + units * sizeof(char16_t));
  values_.push_back({.type = type, .output = false, .null = false, .offset = offset, .size = units * sizeof(char16_t)});
  return *this;
}

Parameters& Parameters::add(Type type, std::span<const std::uint8_t> bytes) {
  return add(type, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Parameters& Parameters::add(Type type, const Uuid& value) {
  if (type != Type::uuid) wrong_type();
  const SQLGUID guid = to_odbc(value);
  return add_value(type, &guid, sizeof guid);
}

Parameters& Parameters::add(Type type, Timestamp value) {
  if (type != Type::time) wrong_type();
  const SQL_TIMESTAMP_STRUCT time = to_odbc(value);
  return add_value(type, &time, sizeof time);
}

Parameters& Parameters::add_null(Type type) {
  values_.push_back({.type = type, .output = false, .null = true, .offset = data_.size(), .size = 0});
  return *this;
}

Parameters& Parameters::add_output(Type type) {
  if (type == Type::long_text) wrong_type();
  values_.push_back({.type = type, .output = true, .null = true, .offset = data_.size(), .size = 0});
  return *this;
}

void Parameters::clear() noexcept {
  values_.clear();
  data_.clear();
}

void Parameters::set_output(std::size_t parameter, const std::byte* bytes, std::size_t size, bool null) const {
  Value& value = values_.at(parameter);
  value.null = null;
  value.offset = data_.size();
  value.size = null ? 0 : size;
  data_.insert(data_.end(), bytes, bytes + value.size);
}

bool Parameters::is_null(std::size_t parameter) const noexcept {
  return values_[parameter].null;
}

std::string_view Parameters::output(std::size_t parameter) const {
  const Value& value = values_.at(parameter);
  if (value.null) wrong_type();
  return {reinterpret_cast<const char*>(data(value)), value.size};
}

namespace {

template <class T>
T copied(std::string_view bytes) {
  T value{};
  if (bytes.size() != sizeof value) wrong_type();
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

std::int64_t Parameters::integer(std::size_t parameter) const {
  const std::string_view bytes = output(parameter);
  switch (values_[parameter].type) {
    case Type::boolean: return copied<unsigned char>(bytes);
    case Type::int4: return copied<std::int32_t>(bytes);
    case Type::int8: return copied<std::int64_t>(bytes);
    default: wrong_type();
  }
}

std::string Parameters::text(std::size_t parameter) const {
  const std::string_view bytes = output(parameter);
  if (values_[parameter].type != Type::text) wrong_type();
  std::u16string units(bytes.size() / sizeof(char16_t), u'\0');
  std::memcpy(units.data(), bytes.data(), units.size() * sizeof(char16_t));
  return to_utf8(units);
}

std::string Parameters::bytes(std::size_t parameter) const {
  if (values_.at(parameter).type != Type::bytes) wrong_type();
  return std::string(output(parameter));
}

Uuid Parameters::uuid(std::size_t parameter) const {
  if (values_.at(parameter).type != Type::uuid) wrong_type();
  return uuid_of(copied<SQLGUID>(output(parameter)));
}

Timestamp Parameters::time(std::size_t parameter) const {
  if (values_.at(parameter).type != Type::time) wrong_type();
  return Timestamp::from_micros(micros_of(copied<SQL_TIMESTAMP_STRUCT>(output(parameter))));
}

const Result::Cell& Result::cell(int row, int column, Kind kind) const {
  const Cell& found = cell(row, column);
  if (found.kind != kind) wrong_type();
  return found;
}

std::int64_t Result::integer(int row, int column) const {
  return cell(row, column, Kind::integer).value;
}

std::string_view Result::text(int row, int column) const {
  const Cell& found = cell(row, column, Kind::text);
  return std::string_view(bytes_).substr(static_cast<std::size_t>(found.value), found.size);
}

std::string_view Result::bytes(int row, int column) const {
  const Cell& found = cell(row, column, Kind::bytes);
  return std::string_view(bytes_).substr(static_cast<std::size_t>(found.value), found.size);
}

Uuid Result::uuid(int row, int column) const {
  const Cell& found = cell(row, column, Kind::uuid);
  Uuid::Bytes id{};
  std::memcpy(id.data(), bytes_.data() + found.value, id.size());
  return Uuid(id);
}

Timestamp Result::time(int row, int column) const {
  return Timestamp::from_micros(cell(row, column, Kind::time).value);
}

}  // namespace stele::mssql
