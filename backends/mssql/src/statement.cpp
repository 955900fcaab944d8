#include "statement.h"

#include <sql.h>
#include <sqlext.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "odbc_values.h"
#include "utf16.h"

namespace stele::mssql {
namespace {

static_assert(sizeof(SQLWCHAR) == sizeof(char16_t));
static_assert(sizeof(SQLLEN) == sizeof(std::int64_t));

// A buffer that was needed once for a large document is not kept.
constexpr std::size_t largest_kept_buffer = 256 * 1024;
constexpr std::size_t first_units = 2048;
constexpr SQLSMALLINT diagnostic_line = -1154;  // SQL_DIAG_SS_LINE, in both drivers.

/// How ODBC is told of a parameter.
struct Binding {
  SQLSMALLINT c_type;
  SQLSMALLINT sql_type;
  SQLULEN size;
  SQLSMALLINT digits;
  std::size_t min_capacity;
  std::size_t output_capacity;
};

Binding binding_of(Type type, bool freetds) {
  switch (type) {
    case Type::boolean: return {SQL_C_BIT, SQL_BIT, 1, 0, 1, 1};
    case Type::int4: return {SQL_C_SLONG, SQL_INTEGER, 10, 0, 4, 4};
    case Type::int8: return {SQL_C_SBIGINT, SQL_BIGINT, 19, 0, 8, 8};
    case Type::text: return {SQL_C_WCHAR, SQL_WVARCHAR, 4000, 0, 128, 8002};
    // With FreeTDS the long type of this size is NVARCHAR(MAX), and the other one is cut to 4000 units; with
    // Microsoft's driver the long type is the old NTEXT.
    case Type::long_text:
      return {SQL_C_WCHAR, static_cast<SQLSMALLINT>(freetds ? SQL_WLONGVARCHAR : SQL_WVARCHAR), 0, 0, 1024, 0};
    case Type::bytes: return {SQL_C_BINARY, SQL_VARBINARY, 8000, 0, 64, 8000};
    case Type::uuid: return {SQL_C_GUID, SQL_GUID, 16, 0, sizeof(SQLGUID), sizeof(SQLGUID)};
    case Type::time:
      return {SQL_C_TYPE_TIMESTAMP,         SQL_TYPE_TIMESTAMP,          26, 6,
              sizeof(SQL_TIMESTAMP_STRUCT), sizeof(SQL_TIMESTAMP_STRUCT)};
  }
  return {};
}

/// The last year of those whose dates FreeTDS gets wrong on their way to the server: it divides as if numbers were
/// never negative, and moves them by up to two days.
constexpr SQLSMALLINT last_wrong_year = 1600;

/// A time as text, which a server reads as DATETIME2 in any language.
std::u16string text_of(const SQL_TIMESTAMP_STRUCT& time) {
  std::string text = Timestamp::from_micros(micros_of(time)).to_string();
  text[text.find('T')] = ' ';
  text.pop_back();  // The Z.
  return to_utf16(text);
}

SQLWCHAR* odbc_text(char16_t* text) {
  return reinterpret_cast<SQLWCHAR*>(text);
}

}  // namespace

std::string without_origin(std::string message) {
  std::size_t begin = 0;
  while (begin < message.size() && message[begin] == '[') {
    const std::size_t end = message.find(']', begin);
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  return message.substr(std::min(begin, message.size()));
}

Diagnostic diagnostic_of(short handle_type, void* handle) {
  std::array<char16_t, 6> state{};
  std::array<char16_t, 1024> text{};
  SQLINTEGER native = 0;
  SQLSMALLINT length = 0;
  const SQLRETURN result = SQLGetDiagRecW(handle_type, handle, 1, odbc_text(state.data()), &native,
                                          odbc_text(text.data()), static_cast<SQLSMALLINT>(text.size()), &length);
  if (!SQL_SUCCEEDED(result)) return {"HY000", 0, "the driver does not say what went wrong", 0};
  const std::size_t size = std::min<std::size_t>(static_cast<std::size_t>(std::max<int>(length, 0)), text.size() - 1);
  Diagnostic diagnostic{to_utf8(std::u16string_view(state.data(), 5)), native, {}, 0};
  SQLUSMALLINT line = 0;
  if (SQL_SUCCEEDED(SQLGetDiagField(handle_type, handle, 1, diagnostic_line, &line, sizeof line, &length))) {
    diagnostic.line = line;
  }
  try {
    diagnostic.message = without_origin(to_utf8(std::u16string_view(text.data(), size)));
  } catch (const Error&) {  // Cut in the middle of a character.
    diagnostic.message = "the message cannot be read";
  }
  return diagnostic;
}

Statement::Statement(void* connection, bool freetds) : connection_(connection), freetds_(freetds) {
  if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, connection, &handle_))) {
    throw Failure{diagnostic_of(SQL_HANDLE_DBC, connection), false};
  }
}

Statement::~Statement() {
  SQLFreeHandle(SQL_HANDLE_STMT, handle_);
}

void Statement::check(short result) {
  if (result == SQL_SUCCESS || result == SQL_NO_DATA) return;
  Diagnostic diagnostic = diagnostic_of(SQL_HANDLE_STMT, handle_);
  // A warning. FreeTDS reports some errors as such.
  if (result == SQL_SUCCESS_WITH_INFO && diagnostic.sqlstate.starts_with("01") && diagnostic.native != 20017) return;
  SQLUINTEGER dead = SQL_CD_FALSE;
  SQLGetConnectAttr(connection_, SQL_ATTR_CONNECTION_DEAD, &dead, 0, nullptr);
  throw Failure{std::move(diagnostic), dead == SQL_CD_TRUE};
}

void Statement::prepare(std::string_view sql) {
  std::u16string text = to_utf16(sql);
  check(SQLPrepareW(handle_, odbc_text(text.data()), static_cast<SQLINTEGER>(text.size())));
}

void Statement::bind_slot(std::size_t parameter) {
  Slot& slot = slots_[parameter];
  const Binding binding = binding_of(slot.type, freetds_);
  check(SQLBindParameter(handle_, static_cast<SQLUSMALLINT>(parameter + 1),
                         slot.output ? SQL_PARAM_OUTPUT : SQL_PARAM_INPUT, binding.c_type, binding.sql_type,
                         binding.size, binding.digits, slot.data.get(), static_cast<SQLLEN>(slot.capacity),
                         reinterpret_cast<SQLLEN*>(&slot.indicator)));
}

void Statement::bind(const Parameters& parameters) {
  if (slots_.size() < parameters.size()) slots_.resize(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameters::Value& value = parameters.values()[i];
    if (freetds_ && value.type == Type::time && !value.null) {
      SQL_TIMESTAMP_STRUCT time{};
      std::memcpy(&time, parameters.data(value), sizeof time);
      if (time.year <= last_wrong_year) {
        const std::u16string text = text_of(time);
        bind_value(i, Type::text, value, text.data(), text.size() * sizeof(char16_t));
        continue;
      }
    }
    bind_value(i, value.type, value, parameters.data(value), value.size);
  }
}

void Statement::bind_value(std::size_t parameter, Type type, const Parameters::Value& value, const void* bytes,
                           std::size_t size) {
  Slot& slot = slots_[parameter];
  const Binding binding = binding_of(type, freetds_);
  const std::size_t needed = value.output ? binding.output_capacity : std::max(size, binding.min_capacity);
  if (slot.data == nullptr || slot.capacity < needed || slot.type != type || slot.output != value.output) {
    slot.type = type;
    slot.output = value.output;
    slot.capacity = size > binding.min_capacity ? needed + needed / 2 : needed;
    slot.data = std::make_unique<std::byte[]>(slot.capacity);
    bind_slot(parameter);
  }
  if (value.null) {
    slot.indicator = SQL_NULL_DATA;
  } else {
    std::memcpy(slot.data.get(), bytes, size);
    slot.indicator = static_cast<std::int64_t>(size);
  }
}

void Statement::execute() {
  column_types_.clear();
  check(SQLExecute(handle_));
}

void Statement::execute_directly(std::string_view sql) {
  column_types_.clear();
  std::u16string text = to_utf16(sql);
  check(SQLExecDirectW(handle_, odbc_text(text.data()), static_cast<SQLINTEGER>(text.size())));
}

bool Statement::has_columns() {
  SQLSMALLINT columns = 0;
  check(SQLNumResultCols(handle_, &columns));
  if (columns == 0) return false;
  if (column_types_.empty()) {
    column_types_.resize(static_cast<std::size_t>(columns));
    for (SQLUSMALLINT i = 0; i < columns; ++i) {
      check(SQLDescribeColW(handle_, static_cast<SQLUSMALLINT>(i + 1), nullptr, 0, nullptr, &column_types_[i], nullptr,
                            nullptr, nullptr));
    }
  }
  return true;
}

bool Statement::next_result() {
  column_types_.clear();
  const SQLRETURN result = SQLMoreResults(handle_);
  check(result);
  return result != SQL_NO_DATA;
}

bool Statement::skip_row() {
  const SQLRETURN result = SQLFetch(handle_);
  check(result);
  return result != SQL_NO_DATA;
}

/// Reads the columns of the current row. Each is read once, in their order: what every driver allows.
class RowReader {
 public:
  RowReader(SQLHSTMT statement, std::u16string& wide, Result& rows) : statement_(statement), wide_(wide), rows_(rows) {}

  /// False when ODBC refused.
  bool read(SQLUSMALLINT column, short type) {
    switch (type) {
      case SQL_BIT:
      case SQL_TINYINT:
      case SQL_SMALLINT:
      case SQL_INTEGER:
      case SQL_BIGINT: {
        std::int64_t number = 0;
        return value(column, SQL_C_SBIGINT, number, [&] { add(Result::Kind::integer, number, 0); });
      }
      case SQL_GUID: {
        SQLGUID guid{};
        return value(column, SQL_C_GUID, guid, [&] {
          const Uuid id = uuid_of(guid);
          add_bytes(Result::Kind::uuid, reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size());
        });
      }
      case SQL_TYPE_TIMESTAMP: {
        SQL_TIMESTAMP_STRUCT time{};
        return value(column, SQL_C_TYPE_TIMESTAMP, time, [&] { add(Result::Kind::time, micros_of(time), 0); });
      }
      case SQL_BINARY:
      case SQL_VARBINARY:
      case SQL_LONGVARBINARY:
        return long_value(column, SQL_C_BINARY, 0, [&](std::size_t size) {
          add_bytes(Result::Kind::bytes, reinterpret_cast<const char*>(wide_.data()), size);
        });
      default:
        return long_value(column, SQL_C_WCHAR, sizeof(char16_t), [&](std::size_t size) {
          const std::size_t begin = rows_.bytes_.size();
          append_utf8(rows_.bytes_, std::u16string_view(wide_.data(), size / sizeof(char16_t)));
          add(Result::Kind::text, static_cast<std::int64_t>(begin), rows_.bytes_.size() - begin);
        });
    }
  }

 private:
  template <class T, class Store>
  bool value(SQLUSMALLINT column, SQLSMALLINT c_type, T& target, const Store& store) {
    SQLLEN indicator = 0;
    if (!SQL_SUCCEEDED(SQLGetData(statement_, column, c_type, &target, sizeof target, &indicator))) return false;
    if (indicator == SQL_NULL_DATA) {
      add(Result::Kind::null, 0, 0);
    } else {
      store();
    }
    return true;
  }

  /// Piece by piece. `terminator` is what ODBC puts behind each piece.
  template <class Store>
  bool long_value(SQLUSMALLINT column, SQLSMALLINT c_type, std::size_t terminator, const Store& store) {
    if (wide_.size() < first_units) wide_.resize(first_units);
    std::size_t size = 0;
    for (;;) {
      const std::size_t room = wide_.size() * sizeof(char16_t) - size;
      SQLLEN indicator = 0;
      const SQLRETURN result = SQLGetData(statement_, column, c_type, reinterpret_cast<char*>(wide_.data()) + size,
                                          static_cast<SQLLEN>(room), &indicator);
      if (result == SQL_NO_DATA) break;
      if (!SQL_SUCCEEDED(result)) return false;
      if (indicator == SQL_NULL_DATA) {
        add(Result::Kind::null, 0, 0);
        return true;
      }
      const bool known = indicator >= 0;
      const std::size_t left = static_cast<std::size_t>(known ? indicator : 0);  // With what came now.
      if (known && left + terminator <= room) {
        size += left;
        break;
      }
      size += room - terminator;
      const std::size_t wanted = known ? size + left - (room - terminator) + terminator : 2 * size;
      wide_.resize(wanted / sizeof(char16_t) + 1);
    }
    store(size);
    return true;
  }

  void add(Result::Kind kind, std::int64_t number, std::size_t size) { rows_.cells_.push_back({kind, number, size}); }
  void add_bytes(Result::Kind kind, const char* bytes, std::size_t size) {
    add(kind, static_cast<std::int64_t>(rows_.bytes_.size()), size);
    rows_.bytes_.append(bytes, size);
  }

  SQLHSTMT statement_;
  std::u16string& wide_;
  Result& rows_;
};

bool Statement::fetch(Result& rows) {
  if (!skip_row()) return false;
  rows.columns_ = static_cast<int>(column_types_.size());
  RowReader reader(handle_, wide_, rows);
  for (std::size_t i = 0; i < column_types_.size(); ++i) {
    if (!reader.read(static_cast<SQLUSMALLINT>(i + 1), column_types_[i])) check(SQL_ERROR);
  }
  ++rows.rows_;
  if (wide_.size() * sizeof(char16_t) > largest_kept_buffer) wide_ = {};
  return true;
}

void Statement::take_outputs(const Parameters& parameters) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.output) continue;
    const bool null = slot.indicator == SQL_NULL_DATA;
    parameters.set_output(i, slot.data.get(), null ? 0 : static_cast<std::size_t>(slot.indicator), null);
  }
}

bool Statement::close() noexcept {
  for (Slot& slot : slots_) {
    if (slot.capacity > largest_kept_buffer) slot = {};
  }
  return SQL_SUCCEEDED(SQLFreeStmt(handle_, SQL_CLOSE));
}

}  // namespace stele::mssql
