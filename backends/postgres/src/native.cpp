#include "native.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>

#include "errors.h"

namespace stele::postgres {
namespace {

// PostgreSQL counts microseconds from 2000-01-01.
constexpr std::int64_t epoch_micros = 946'684'800'000'000;

template <class Unsigned>
void append_big_endian(std::string& out, Unsigned value) {
  for (int shift = static_cast<int>(sizeof(Unsigned)) * 8 - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(static_cast<unsigned char>(value >> shift));
  }
}

std::uint64_t read_big_endian(const char* bytes, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void write_big_endian(std::string& out, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    out[at + i] = static_cast<char>(static_cast<unsigned char>(value >> (24 - 8 * i)));
}

}  // namespace

void encode(std::string& out, bool value) {
  out += value ? '\1' : '\0';
}
void encode(std::string& out, std::int16_t value) {
  append_big_endian(out, static_cast<std::uint16_t>(value));
}
void encode(std::string& out, std::int32_t value) {
  append_big_endian(out, static_cast<std::uint32_t>(value));
}
void encode(std::string& out, std::int64_t value) {
  append_big_endian(out, static_cast<std::uint64_t>(value));
}
void encode(std::string& out, std::string_view value) {
  out += value;
}
void encode(std::string& out, const std::string& value) {
  out += value;
}
void encode(std::string& out, const Uuid& value) {
  out.append(reinterpret_cast<const char*>(value.bytes().data()), value.bytes().size());
}
void encode(std::string& out, Timestamp value) {
  encode(out, value.micros() - epoch_micros);
}

std::size_t Array::begin_element() {
  ++size_;
  bytes_.append(4, '\0');
  return bytes_.size();
}

void Array::end_element(std::size_t at) {
  write_big_endian(bytes_, at - 4, static_cast<std::uint32_t>(bytes_.size() - at));
}

void Array::add_null() {
  ++size_;
  has_null_ = true;
  bytes_.append(4, '\xFF');
}

std::string Array::encoded() const {
  std::string out;
  out.reserve(20 + bytes_.size());
  encode(out, std::int32_t{size_ == 0 ? 0 : 1});
  encode(out, std::int32_t{has_null_ ? 1 : 0});
  encode(out, static_cast<std::int32_t>(element_));
  if (size_ == 0) return out;
  encode(out, size_);
  encode(out, std::int32_t{1});
  return out + bytes_;
}

unsigned Array::array_type() const noexcept {
  switch (element_) {
    case Type::boolean: return 1000;
    case Type::bytea: return 1001;
    case Type::int2: return 1005;
    case Type::int4: return 1007;
    case Type::text: return 1009;
    case Type::int8: return 1016;
    case Type::timestamptz: return 1185;
    case Type::uuid: return 2951;
  }
  return 0;
}

Parameters& Parameters::add_null(Type type) {
  types_.push_back(static_cast<unsigned>(type));
  values_.emplace_back();
  return *this;
}

Parameters& Parameters::add(const Array& array) {
  types_.push_back(array.array_type());
  values_.emplace_back(array.encoded());
  return *this;
}

Result::Result(pg_result* result) noexcept : result_(result) {}
void Result::Clear::operator()(pg_result* result) const noexcept {
  PQclear(result);
}

int Result::rows() const noexcept {
  return PQntuples(result_.get());
}
bool Result::is_null(int row, int column) const noexcept {
  return PQgetisnull(result_.get(), row, column) != 0;
}

std::string_view Result::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::string_view Result::json(int row, int column) const {
  const std::string_view bytes = text(row, column);
  if (bytes.empty() || bytes.front() != 1) throw make_error(ErrorCode::unsupported, "a jsonb format that is not known");
  return bytes.substr(1);
}

bool Result::boolean(int row, int column) const {
  return text(row, column) == std::string_view("\1", 1);
}

std::int64_t Result::integer(int row, int column) const {
  const std::string_view bytes = text(row, column);
  const std::uint64_t value = read_big_endian(bytes.data(), bytes.size());
  switch (bytes.size()) {
    case 2: return static_cast<std::int16_t>(value);
    case 4: return static_cast<std::int32_t>(value);
    case 8: return static_cast<std::int64_t>(value);
    default: throw make_error(ErrorCode::internal, "a column is not the integer it should be");
  }
}

Uuid Result::uuid(int row, int column) const {
  const std::string_view bytes = text(row, column);
  Uuid::Bytes id{};
  if (bytes.size() != id.size()) throw make_error(ErrorCode::internal, "a column is not the UUID it should be");
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return Uuid(id);
}

Timestamp Result::time(int row, int column) const {
  return Timestamp::from_micros(integer(row, column) + epoch_micros);
}

std::vector<std::int64_t> Result::integers(int row, int column) const {
  const std::string_view bytes = text(row, column);
  std::vector<std::int64_t> values;
  if (bytes.size() < 20) return values;
  const std::uint64_t count = read_big_endian(bytes.data() + 12, 4);
  if (bytes.size() != 20 + count * 12) throw make_error(ErrorCode::internal, "a column is not the array it should be");
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(static_cast<std::int64_t>(read_big_endian(bytes.data() + 20 + i * 12 + 4, 8)));
  }
  return values;
}

std::vector<std::string> Result::texts(int row, int column) const {
  const std::string_view bytes = text(row, column);
  std::vector<std::string> values;
  if (bytes.size() < 12) return values;
  std::size_t at = 12 + 8 * read_big_endian(bytes.data(), 4);
  while (at + 4 <= bytes.size()) {
    const std::uint64_t size = read_big_endian(bytes.data() + at, 4);
    at += 4;
    if (size > bytes.size() - at) throw make_error(ErrorCode::internal, "a column is not the array it should be");
    values.emplace_back(bytes.substr(at, size));
    at += size;
  }
  return values;
}

}  // namespace stele::postgres
