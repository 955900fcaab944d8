#include "floor_mssql.h"

#include <sql.h>
#include <sqlext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "stele/backends.h"
#include "stele/url.h"

namespace stele::bench {
namespace {

[[noreturn]] void fail(SQLSMALLINT type, void* handle, const char* doing) {
  std::array<SQLCHAR, 6> state{};
  std::array<SQLCHAR, 1024> text{};
  SQLINTEGER native = 0;
  SQLGetDiagRec(type, handle, 1, state.data(), &native, text.data(), static_cast<SQLSMALLINT>(text.size()), nullptr);
  std::fprintf(stderr, "floor: ODBC answered to %s: %s\n", doing, reinterpret_cast<const char*>(text.data()));
  std::abort();
}

SQLRETURN check(SQLRETURN result, void* statement, const char* doing) {
  if (!SQL_SUCCEEDED(result) && result != SQL_NO_DATA) fail(SQL_HANDLE_STMT, statement, doing);
  return result;
}

bool names_freetds(const Url& url) {
  return url.param("driver").value_or("FreeTDS").find("SQL Server") == std::string::npos;
}

std::string connection_string(const Url& url) {
  const std::string port = std::to_string(url.hosts.at(0).port == 0 ? 1433 : url.hosts.at(0).port);
  const std::string login =
      ";Database=" + url.path + ";UID=" + url.user.value_or("") + ";PWD=" + url.password.value_or("") + ";";
  if (names_freetds(url)) {
    return "Driver=" + url.param("driver").value_or("FreeTDS") + ";Server=" + url.hosts.at(0).name + ";Port=" + port +
           ";TDS_Version=7.4;ClientCharset=UTF-8" + login;
  }
  return "Driver={" + *url.param("driver") + "};Server=tcp:" + url.hosts.at(0).name + "," + port + login +
         "Encrypt=" + url.param("encrypt").value_or("yes") +
         ";TrustServerCertificate=" + url.param("trust_server_certificate").value_or("no");
}

/// The samples have characters of one to three bytes.
std::u16string utf16(std::string_view text) {
  std::u16string wide;
  wide.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(text[at])); };
    unsigned unit = byte(i);
    std::size_t length = 1;
    if (unit >= 0xE0) {
      unit = (unit & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F);
      length = 3;
    } else if (unit >= 0xC0) {
      unit = (unit & 0x1F) << 6 | (byte(i + 1) & 0x3F);
      length = 2;
    }
    wide += static_cast<char16_t>(unit);
    i += length;
  }
  return wide;
}

void utf8(const char16_t* text, std::size_t units, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < units; ++i) {
    const unsigned unit = text[i];
    if (unit < 0x80) {
      out += static_cast<char>(unit);
    } else if (unit < 0x800) {
      out += {static_cast<char>(0xC0 | unit >> 6), static_cast<char>(0x80 | (unit & 0x3F))};
    } else {
      out += {static_cast<char>(0xE0 | unit >> 12), static_cast<char>(0x80 | (unit >> 6 & 0x3F)),
              static_cast<char>(0x80 | (unit & 0x3F))};
    }
  }
}

SQL_TIMESTAMP_STRUCT timestamp(std::int64_t micros) {
  using namespace std::chrono;
  const sys_time<microseconds> time{microseconds(micros)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  SQL_TIMESTAMP_STRUCT made{};
  made.year = static_cast<SQLSMALLINT>(static_cast<int>(date.year()));
  made.month = static_cast<SQLUSMALLINT>(static_cast<unsigned>(date.month()));
  made.day = static_cast<SQLUSMALLINT>(static_cast<unsigned>(date.day()));
  made.hour = static_cast<SQLUSMALLINT>(clock.hours().count());
  made.minute = static_cast<SQLUSMALLINT>(clock.minutes().count());
  made.second = static_cast<SQLUSMALLINT>(clock.seconds().count());
  made.fraction = static_cast<SQLUINTEGER>(clock.subseconds().count() * 1'000);
  return made;
}

std::string replaced(std::string sql, const std::string& schema) {
  const std::string variable = "$(schema)";
  for (std::size_t at = sql.find(variable); at != std::string::npos; at = sql.find(variable, at)) {
    sql.replace(at, variable.size(), "[" + schema + "]");
  }
  return sql;
}

std::string with_settings(const std::string& settings) {
  const std::string url = mssql_url();
  return url + (url.find('?') == std::string::npos ? '?' : '&') + settings;
}

void drop_schema(const std::string& schema) {
  const FloorOdbc server;
  const std::string own = "schema_id = SCHEMA_ID(N'" + schema + "')";
  std::string script;
  for (const std::string& drop :
       server.column("SELECT N'ALTER TABLE [" + schema +
                     "].[' + t.name + N'] DROP CONSTRAINT [' + f.name + N']' FROM "
                     "sys.foreign_keys AS f JOIN sys.tables AS t ON t.object_id = f.parent_object_id WHERE t." +
                     own)) {
    script += drop + "; ";
  }
  for (const auto& [type, what] : {std::pair("V", "VIEW"), {"P", "PROCEDURE"}, {"U", "TABLE"}}) {
    for (const std::string& name :
         server.column("SELECT name FROM sys.objects WHERE type = '" + std::string(type) + "' AND " + own)) {
      script += std::string("DROP ") + what + " [" + schema + "].[" + name + "]; ";
    }
  }
  server.run(script + "DROP SCHEMA [" + schema + "]");
}

}  // namespace

std::string mssql_url() {
  for (const char* variable : {"STELE_BENCH_MSSQL_URL", "STELE_TEST_MSSQL_URL"}) {
    if (const char* url = std::getenv(variable); url != nullptr && *url != '\0') return url;
  }
  return {};
}

std::string mssql_store_url(const std::string& schema) {
  return with_settings("schema=" + schema + "&connections=40");
}

FloorOdbc::FloorOdbc() {
  SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment_);
  // A macro of ODBC casts to a pointer.
  SQLSetEnvAttr(environment_, SQL_ATTR_ODBC_VERSION, reinterpret_cast<SQLPOINTER>(std::uintptr_t{SQL_OV_ODBC3}), 0);
  SQLAllocHandle(SQL_HANDLE_DBC, environment_, &connection_);
  std::string text = connection_string(Url::parse(mssql_url()));
  if (!SQL_SUCCEEDED(SQLDriverConnect(connection_, nullptr, reinterpret_cast<SQLCHAR*>(text.data()), SQL_NTS, nullptr,
                                      0, nullptr, SQL_DRIVER_NOPROMPT))) {
    fail(SQL_HANDLE_DBC, connection_, "connect");
  }
  run("SET NOCOUNT ON; SET XACT_ABORT ON; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; "
      "SET ANSI_WARNINGS ON; SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET TEXTSIZE 2147483647");
}

FloorOdbc::~FloorOdbc() {
  SQLDisconnect(connection_);
  SQLFreeHandle(SQL_HANDLE_DBC, connection_);
  SQLFreeHandle(SQL_HANDLE_ENV, environment_);
}

void FloorOdbc::run(const std::string& batch) const {
  SQLHSTMT statement = SQL_NULL_HSTMT;
  SQLAllocHandle(SQL_HANDLE_STMT, connection_, &statement);
  std::string text = batch;
  SQLRETURN result =
      check(SQLExecDirect(statement, reinterpret_cast<SQLCHAR*>(text.data()), SQL_NTS), statement, batch.c_str());
  while (result != SQL_NO_DATA) result = check(SQLMoreResults(statement), statement, batch.c_str());
  SQLFreeHandle(SQL_HANDLE_STMT, statement);
}

std::vector<std::string> FloorOdbc::column(const std::string& query) const {
  std::vector<std::string> values;
  SQLHSTMT statement = SQL_NULL_HSTMT;
  SQLAllocHandle(SQL_HANDLE_STMT, connection_, &statement);
  std::string text = query;
  check(SQLExecDirect(statement, reinterpret_cast<SQLCHAR*>(text.data()), SQL_NTS), statement, query.c_str());
  while (check(SQLFetch(statement), statement, "fetch") != SQL_NO_DATA) {
    std::array<char, 1024> cell{};
    SQLLEN length = 0;
    SQLGetData(statement, 1, SQL_C_CHAR, cell.data(), cell.size(), &length);
    values.emplace_back(length == SQL_NULL_DATA ? "" : cell.data());
  }
  SQLFreeHandle(SQL_HANDLE_STMT, statement);
  return values;
}

MssqlScratch::MssqlScratch()
    : name_([] {
        static std::atomic<int> count{0};
        return "stele_bench_" + std::to_string(getpid()) + "_" + std::to_string(++count);
      }()) {
  stele::open(mssql_store_url(name_), {.migrate = true}).close();
}

MssqlScratch::~MssqlScratch() {
  drop_schema(name_);
}

EventStore MssqlScratch::open_store() const {
  return stele::open(mssql_store_url(name_));
}

// --- Statements ------------------------------------------------------------------------------------------------------

struct FloorOdbcStatement::Slot {
  std::vector<std::byte> data;
  SQLLEN length = 0;
  std::size_t bound = 0;  // The size of the buffer that the driver knows.
};

FloorOdbcStatement::FloorOdbcStatement(const FloorOdbc& connection, const std::string& sql)
    : freetds_(names_freetds(Url::parse(mssql_url()))) {
  SQLAllocHandle(SQL_HANDLE_STMT, connection.handle(), &statement_);
  std::string text = sql;
  check(SQLPrepare(statement_, reinterpret_cast<SQLCHAR*>(text.data()), SQL_NTS), statement_, sql.c_str());
  next_ = slots_.begin();
}

FloorOdbcStatement::~FloorOdbcStatement() {
  SQLFreeHandle(SQL_HANDLE_STMT, statement_);
}

FloorOdbcStatement::Slot& FloorOdbcStatement::slot(short c_type, short sql_type, std::size_t column_size, short digits,
                                                   std::size_t bytes) {
  if (next_ == slots_.end()) next_ = slots_.emplace(slots_.end());
  Slot& found = *next_;
  // Room for the next ones, which may be longer: FreeTDS prepares anew after each call that binds.
  if (found.data.size() < bytes) found.data.resize(std::max<std::size_t>(2 * bytes, 64));
  found.length = static_cast<SQLLEN>(bytes);
  if (found.bound != found.data.size()) {
    const auto number = static_cast<SQLUSMALLINT>(std::distance(slots_.begin(), next_) + 1);
    check(SQLBindParameter(statement_, number, SQL_PARAM_INPUT, c_type, sql_type, column_size, digits,
                           found.data.data(), static_cast<SQLLEN>(found.data.size()), &found.length),
          statement_, "bind");
    found.bound = found.data.size();
  }
  ++next_;
  return found;
}

FloorOdbcStatement& FloorOdbcStatement::text(std::string_view value) {
  const std::u16string wide = utf16(value);
  Slot& made = slot(SQL_C_WCHAR, SQL_WVARCHAR, 255, 0, 2 * wide.size());
  std::memcpy(made.data.data(), wide.data(), 2 * wide.size());
  return *this;
}

FloorOdbcStatement& FloorOdbcStatement::json(std::string_view value) {
  const std::u16string wide = utf16(value);
  Slot& made = slot(SQL_C_WCHAR, static_cast<short>(freetds_ ? SQL_WLONGVARCHAR : SQL_WVARCHAR), 0, 0, 2 * wide.size());
  std::memcpy(made.data.data(), wide.data(), 2 * wide.size());
  return *this;
}

FloorOdbcStatement& FloorOdbcStatement::bytes(std::string_view value) {
  Slot& made = slot(SQL_C_BINARY, SQL_VARBINARY, 255, 0, value.size());
  std::memcpy(made.data.data(), value.data(), value.size());
  return *this;
}

FloorOdbcStatement& FloorOdbcStatement::number(std::int64_t value) {
  Slot& made = slot(SQL_C_SBIGINT, SQL_BIGINT, 0, 0, sizeof value);
  std::memcpy(made.data.data(), &value, sizeof value);
  return *this;
}

FloorOdbcStatement& FloorOdbcStatement::time(std::int64_t micros) {
  const SQL_TIMESTAMP_STRUCT value = timestamp(micros);
  Slot& made = slot(SQL_C_TYPE_TIMESTAMP, SQL_TYPE_TIMESTAMP, 26, 6, sizeof value);
  std::memcpy(made.data.data(), &value, sizeof value);
  return *this;
}

FloorOdbcStatement& FloorOdbcStatement::id(const Uuid& value) {
  const auto& bytes = value.bytes();
  SQLGUID guid{};
  guid.Data1 = static_cast<decltype(guid.Data1)>(bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
  guid.Data2 = static_cast<decltype(guid.Data2)>(bytes[4] << 8 | bytes[5]);
  guid.Data3 = static_cast<decltype(guid.Data3)>(bytes[6] << 8 | bytes[7]);
  std::memcpy(guid.Data4, bytes.data() + 8, 8);
  Slot& made = slot(SQL_C_GUID, SQL_GUID, 16, 0, sizeof guid);
  std::memcpy(made.data.data(), &guid, sizeof guid);
  return *this;
}

void FloorOdbcStatement::open() {
  next_ = slots_.begin();
  check(SQLExecute(statement_), statement_, "execute");
}

void FloorOdbcStatement::execute() {
  open();
  while (check(SQLMoreResults(statement_), statement_, "execute") != SQL_NO_DATA) {
  }
}

void FloorOdbcStatement::close() {
  SQLFreeStmt(statement_, SQL_CLOSE);
}

// --- Writing ---------------------------------------------------------------------------------------------------------

namespace {

constexpr const char* columns =
    "stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, recorded_at, "
    "actor_type, actor_id, source, channel, correlation_id, redaction_level, contains_secrets, attribute_count, data";

/// Moves the head by @n, or makes the stream; leaves @no and the version before in @version.
constexpr const char* move_head =
    "DECLARE @no BIGINT, @version BIGINT, @now DATETIME2(6); SET @now = SYSUTCDATETIME(); "
    "UPDATE $(schema).streams SET version = version + @n, last_recorded_at = @now WHERE tenant_key = 0x64656661756C74 "
    "AND type_key = 0x6F72646572 AND stream_key = @key; "
    "SELECT @no = stream_no, @version = version - @n FROM $(schema).streams WHERE tenant_key = 0x64656661756C74 AND "
    "type_key = 0x6F72646572 AND stream_key = @key; "
    "IF @no IS NULL BEGIN "
    "INSERT INTO $(schema).streams (tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, version, "
    "created_at, last_recorded_at) VALUES (N'default', N'order', @id, 0x64656661756C74, 0x6F72646572, @key, @n, @now, "
    "@now); SET @no = SCOPE_IDENTITY(); SET @version = 0; END ";

}  // namespace

void FloorMssqlWriter::prepare_schema(const std::string& schema) {
  const FloorOdbc connection;
  connection.run(replaced(
      std::string(
          "CREATE PROCEDURE $(schema).floor_append @id NVARCHAR(255), @key VARBINARY(255), @event UNIQUEIDENTIFIER, "
          "@type NVARCHAR(128), @occurred DATETIME2(6), @actor NVARCHAR(255), @source NVARCHAR(64), "
          "@correlation UNIQUEIDENTIFIER, @data NVARCHAR(MAX) AS BEGIN DECLARE @n BIGINT; SET @n = 1; BEGIN "
          "TRANSACTION; ") +
          move_head + "INSERT INTO $(schema).events (" + columns +
          ") VALUES (@no, @version + 1, N'default', N'order', @event, @type, 1, @occurred, @now, N'user', @actor, "
          "@source, N'api', @correlation, N'none', 0, 0, @data); COMMIT TRANSACTION; END",
      schema));
  // The head's new version comes back as a row.
  connection.run(
      replaced(std::string("CREATE PROCEDURE $(schema).floor_head @id NVARCHAR(255), @key VARBINARY(255), @n "
                           "BIGINT AS BEGIN ") +
                   move_head + "SELECT @no, @version; END",
               schema));
}

FloorMssqlWriter::FloorMssqlWriter(const std::string& schema) : schema_(schema) {
  call_ = std::make_unique<FloorOdbcStatement>(connection_,
                                               replaced("{call $(schema).floor_append(?,?,?,?,?,?,?,?,?)}", schema));
}

void FloorMssqlWriter::append_one(std::string_view stream_id, const SampleEvent& event) {
  call_->text(stream_id).bytes(stream_id).id(Uuid::v7()).text(event.type).time(event.occurred_at);
  call_->text(event.actor_id).text(event.source).id(event.correlation_id).json(event.data);
  call_->execute();
}

void FloorMssqlWriter::append(std::string_view stream_id, std::span<const SampleEvent> events) {
  connection_.run("BEGIN TRANSACTION");
  if (!head_)
    head_ = std::make_unique<FloorOdbcStatement>(connection_, replaced("{call $(schema).floor_head(?,?,?)}", schema_));
  head_->text(stream_id).bytes(stream_id).number(static_cast<std::int64_t>(events.size()));
  head_->open();
  std::int64_t stream_no = 0;
  std::int64_t version = 0;
  SQLLEN length = 0;
  check(SQLFetch(head_->handle()), head_->handle(), "fetch");
  SQLGetData(head_->handle(), 1, SQL_C_SBIGINT, &stream_no, sizeof stream_no, &length);
  SQLGetData(head_->handle(), 2, SQL_C_SBIGINT, &version, sizeof version, &length);
  while (check(SQLMoreResults(head_->handle()), head_->handle(), "head") != SQL_NO_DATA) {
  }
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  for (std::size_t from = 0; from < events.size();) {
    std::size_t rows = rows_at_once;
    std::size_t logarithm = 5;
    while (rows > events.size() - from) {
      rows /= 2;
      --logarithm;
    }
    if (inserts_.size() <= logarithm) inserts_.resize(logarithm + 1);
    std::unique_ptr<FloorOdbcStatement>& insert = inserts_[logarithm];
    if (!insert) {
      std::string values;
      for (std::size_t i = 0; i < rows; ++i) {
        values += (i == 0 ? "(" : ", (") + std::to_string(i) +
                  ", ?, ?, N'default', N'order', ?, ?, 1, ?, ?, N'user', ?, ?, N'api', ?, N'none', 0, 0, ?)";
      }
      insert = std::make_unique<FloorOdbcStatement>(
          connection_, replaced(std::string("INSERT INTO $(schema).events (") + columns + ") SELECT " + columns +
                                    " FROM (VALUES " + values + ") AS r (n, " + columns + ") ORDER BY r.n",
                                schema_));
    }
    for (std::size_t i = from; i < from + rows; ++i) {
      const SampleEvent& event = events[i];
      insert->number(stream_no).number(++version).id(Uuid::v7()).text(event.type).time(event.occurred_at).time(now);
      insert->text(event.actor_id).text(event.source).id(event.correlation_id).json(event.data);
    }
    insert->execute();
    from += rows;
  }
  connection_.run("COMMIT TRANSACTION");
}

// --- Reading ---------------------------------------------------------------------------------------------------------

namespace {

constexpr const char* select_columns =
    "SELECT e.global_position, e.stream_version, e.event_id, e.event_type, e.event_version, e.occurred_at, "
    "e.recorded_at, "
    "e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source, e.channel, e.idempotency_key, e.causation_id, "
    "e.correlation_id, e.redaction_level, e.contains_secrets, e.attribute_count, c.source, c.request_id, e.tenant_id, "
    "e.stream_type, s.stream_id, e.data, e.metadata, e.policy_context, e.model_context, e.display FROM "
    "$(schema).events "
    "AS e JOIN $(schema).streams AS s ON s.stream_no = e.stream_no LEFT JOIN $(schema).commands AS c ON c.command_id = "
    "e.command_id ";
constexpr const char* limit = " OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY";
constexpr SQLUSMALLINT data_column = 25;

}  // namespace

/// Buffers that the columns before `data` are bound to.
struct FloorMssqlReader::Row {
  std::int64_t position, version;
  SQLGUID ids[3];
  std::array<char16_t, 256> texts[12];
  SQL_TIMESTAMP_STRUCT times[4];
  std::int32_t numbers[3];
  SQLLEN lengths[data_column];

  void bind(SQLHSTMT statement) {
    SQLUSMALLINT column = 0;
    const auto one = [&](SQLSMALLINT type, void* to, std::size_t size) {
      ++column;
      check(SQLBindCol(statement, column, type, to, static_cast<SQLLEN>(size), &lengths[column - 1]), statement,
            "bind");
    };
    const auto text = [&](int i) { one(SQL_C_WCHAR, texts[i].data(), sizeof texts[i]); };
    one(SQL_C_SBIGINT, &position, sizeof position);
    one(SQL_C_SBIGINT, &version, sizeof version);
    one(SQL_C_GUID, &ids[0], sizeof ids[0]);
    text(0);
    one(SQL_C_SLONG, &numbers[0], sizeof numbers[0]);
    for (auto& each : times) one(SQL_C_TYPE_TIMESTAMP, &each, sizeof each);
    for (const int i : {1, 2, 3, 4, 5}) text(i);
    one(SQL_C_GUID, &ids[1], sizeof ids[1]);
    one(SQL_C_GUID, &ids[2], sizeof ids[2]);
    text(6);
    one(SQL_C_SLONG, &numbers[1], sizeof numbers[1]);
    one(SQL_C_SLONG, &numbers[2], sizeof numbers[2]);
    for (const int i : {7, 8, 9, 10, 11}) text(i);
  }
};

FloorMssqlReader::FloorMssqlReader(const std::string& schema) {
  stream_ = std::make_unique<FloorOdbcStatement>(
      connection_, replaced(std::string(select_columns) +
                                "WHERE e.stream_no = (SELECT stream_no FROM $(schema).streams WHERE tenant_key = "
                                "0x64656661756C74 AND type_key = 0x6F72646572 AND stream_key = ?) AND "
                                "e.stream_version > ? ORDER BY e.stream_version" +
                                limit,
                            schema));
  log_ = std::make_unique<FloorOdbcStatement>(
      connection_,
      replaced(std::string(select_columns) + "WHERE e.global_position > ? ORDER BY e.global_position" + limit, schema));
}

template <class Set>
std::size_t FloorMssqlReader::read(FloorOdbcStatement& page, const Set& set, bool by_version, const Consume& consume) {
  const auto row = std::make_unique<Row>();
  const auto statement = static_cast<SQLHSTMT>(page.handle());
  std::size_t count = 0;
  std::int64_t last = 0;
  std::vector<char16_t> data(8'192);
  std::string text;
  row->bind(statement);
  for (std::int64_t size = first_page;; size = std::min(2 * size, largest_page)) {
    set(last);
    page.number(size);
    page.open();
    std::int64_t found = 0;
    while (check(SQLFetch(statement), statement, "fetch") != SQL_NO_DATA) {
      for (SQLUSMALLINT column = data_column; column < data_column + 5; ++column) {
        SQLLEN length = 0;
        check(SQLGetData(statement, column, SQL_C_WCHAR, data.data(), static_cast<SQLLEN>(2 * data.size()), &length),
              statement, "data");
        if (length == SQL_NULL_DATA) continue;
        utf8(data.data(), static_cast<std::size_t>(length) / 2, text);
      }
      consume(text, row->position);
      last = by_version ? row->version : row->position;
      ++found;
    }
    while (check(SQLMoreResults(statement), statement, "read") != SQL_NO_DATA) {
    }
    count += static_cast<std::size_t>(found);
    if (found < size) break;
  }
  SQLFreeStmt(statement, SQL_UNBIND);
  return count;
}

std::size_t FloorMssqlReader::read_stream(std::string_view stream_id, const Consume& consume) {
  return read(
      *stream_, [&](std::int64_t last) { stream_->bytes(stream_id).number(last); }, true, consume);
}

std::size_t FloorMssqlReader::read_log(const Consume& consume) {
  return read(
      *log_, [&](std::int64_t last) { log_->number(last); }, false, consume);
}

}  // namespace stele::bench
