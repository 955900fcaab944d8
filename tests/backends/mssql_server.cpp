#include "mssql_server.h"

#include <sql.h>
#include <sqlext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "stele/url.h"

namespace stele::testing {
namespace {

std::string percent_encoded(const std::string& text) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '_') {
      encoded += c;
    } else {
      encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return encoded;
}

/// For FreeTDS; what is special in connection strings does not occur in the URL of a test server.
std::string connection_string() {
  const Url url = Url::parse(mssql_url());
  const std::string port = std::to_string(url.hosts.at(0).port == 0 ? 1433 : url.hosts.at(0).port);
  std::string driver = url.param("driver").value_or("FreeTDS");
  if (driver.find("Microsoft") != std::string::npos || driver.find("SQL Server") != std::string::npos) {
    return "Driver={" + driver + "};Server=tcp:" + url.hosts.at(0).name + "," + port + ";Database=" + url.path +
           ";UID=" + url.user.value_or("") + ";PWD=" + url.password.value_or("") +
           ";Encrypt=" + url.param("encrypt").value_or("no") +
           ";TrustServerCertificate=" + url.param("trust_server_certificate").value_or("yes") + ";";
  }
  return "Driver=" + driver + ";Server=" + url.hosts.at(0).name + ";Port=" + port +
         ";TDS_Version=7.4;ClientCharset=UTF-8;Database=" + url.path + ";UID=" + url.user.value_or("") +
         ";PWD=" + url.password.value_or("") + ";";
}

std::string message_of(SQLSMALLINT type, void* handle) {
  std::array<SQLCHAR, 6> state{};
  std::array<SQLCHAR, 1024> text{};
  SQLINTEGER native = 0;
  SQLSMALLINT length = 0;
  if (!SQL_SUCCEEDED(SQLGetDiagRec(type, handle, 1, state.data(), &native, text.data(),
                                   static_cast<SQLSMALLINT>(text.size()), &length))) {
    return "an error without a message";
  }
  return std::to_string(native) + " " + reinterpret_cast<const char*>(text.data());
}

std::string in_brackets(const std::string& name) {
  std::string quoted = "[";
  for (const char c : name) {
    quoted += c;
    if (c == ']') quoted += c;
  }
  return quoted + "]";
}

}  // namespace

std::string mssql_url() {
  const char* url = std::getenv("STELE_TEST_MSSQL_URL");
  return url == nullptr ? std::string() : std::string(url);
}

std::string mssql_url(const std::string& schema, const std::string& settings) {
  std::string url = mssql_url();
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += "schema=" + percent_encoded(schema);
  if (!settings.empty()) url += "&" + settings;
  return url;
}

std::string fresh_mssql_schema() {
  static std::atomic<int> made{0};
  return "stele_test_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
}

MssqlConnection::MssqlConnection() {
  SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment_);
  SQLSetEnvAttr(environment_, SQL_ATTR_ODBC_VERSION, reinterpret_cast<SQLPOINTER>(std::uintptr_t{SQL_OV_ODBC3}), 0);
  SQLAllocHandle(SQL_HANDLE_DBC, environment_, &connection_);
  std::string text = connection_string();
  if (!SQL_SUCCEEDED(SQLDriverConnect(connection_, nullptr, reinterpret_cast<SQLCHAR*>(text.data()), SQL_NTS, nullptr,
                                      0, nullptr, SQL_DRIVER_NOPROMPT))) {
    const std::string message = message_of(SQL_HANDLE_DBC, connection_);
    SQLFreeHandle(SQL_HANDLE_DBC, connection_);
    SQLFreeHandle(SQL_HANDLE_ENV, environment_);
    throw std::runtime_error("cannot connect: " + message);
  }
}

MssqlConnection::~MssqlConnection() {
  SQLDisconnect(connection_);
  SQLFreeHandle(SQL_HANDLE_DBC, connection_);
  SQLFreeHandle(SQL_HANDLE_ENV, environment_);
}

std::string MssqlConnection::perform(const std::string& sql, std::vector<std::string>* rows) {
  SQLHSTMT statement = SQL_NULL_HSTMT;
  SQLAllocHandle(SQL_HANDLE_STMT, connection_, &statement);
  std::string text = sql;
  std::string error;
  SQLRETURN result = SQLExecDirect(statement, reinterpret_cast<SQLCHAR*>(text.data()), SQL_NTS);
  while (result != SQL_NO_DATA) {
    if (!SQL_SUCCEEDED(result)) {
      error = message_of(SQL_HANDLE_STMT, statement);
      break;
    }
    SQLSMALLINT columns = 0;
    SQLNumResultCols(statement, &columns);
    if (columns > 0 && rows != nullptr) rows->clear();
    while (columns > 0) {
      result = SQLFetch(statement);
      if (!SQL_SUCCEEDED(result)) break;
      std::string row;
      for (SQLSMALLINT i = 1; i <= columns; ++i) {
        if (i > 1) row += '|';
        std::vector<char> cell(std::size_t{1} << 18);  // At once: what is read in pieces may be cut within a character.
        SQLLEN length = 0;
        SQLGetData(statement, static_cast<SQLUSMALLINT>(i), SQL_C_CHAR, cell.data(), cell.size(), &length);
        row += length == SQL_NULL_DATA ? "NULL" : cell.data();
      }
      if (rows != nullptr) rows->push_back(std::move(row));
    }
    if (result == SQL_ERROR) continue;
    result = SQLMoreResults(statement);
  }
  SQLFreeHandle(SQL_HANDLE_STMT, statement);
  return error;
}

std::string MssqlConnection::execute(const std::string& sql) {
  return perform(sql, nullptr);
}

void MssqlConnection::run(const std::string& sql) {
  const std::string error = execute(sql);
  if (!error.empty()) throw std::runtime_error(error + " in: " + sql.substr(0, 200));
}

std::vector<std::string> MssqlConnection::rows(const std::string& sql) {
  std::vector<std::string> rows;
  const std::string error = perform(sql, &rows);
  if (!error.empty()) throw std::runtime_error(error + " in: " + sql.substr(0, 200));
  return rows;
}

std::string MssqlConnection::value(const std::string& sql) {
  const std::vector<std::string> all = rows(sql);
  if (all.size() != 1) throw std::runtime_error("not one row: " + sql);
  return all.front();
}

bool MssqlConnection::is_babelfish() {
  return value("SELECT CAST(SERVERPROPERTY('BabelfishVersion') AS NVARCHAR(128))") != "NULL";
}

std::string MssqlSchema::quoted() const {
  return in_brackets(name_);
}

std::string MssqlSchema::in(std::string sql) const {
  for (const auto& [variable, value] :
       {std::pair<std::string, std::string>("$(schema)", quoted()), {"$(schema_name)", name_}}) {
    for (std::size_t at = sql.find(variable); at != std::string::npos; at = sql.find(variable, at + value.size())) {
      sql.replace(at, variable.size(), value);
    }
  }
  return sql;
}

MssqlSchema::~MssqlSchema() {
  // There is no CASCADE: references first, then what stands on the tables, then these.
  try {
    MssqlConnection server;
    const std::string own = "SCHEMA_ID(N'" + name_ + "')";
    if (server.rows("SELECT 1 FROM sys.schemas WHERE name = N'" + name_ + "'").empty()) return;
    std::string script;
    for (const std::string& row :
         server.rows("SELECT t.name, f.name FROM sys.foreign_keys AS f JOIN sys.tables AS t ON t.object_id = "
                     "f.parent_object_id WHERE t.schema_id = " +
                     own)) {
      const std::size_t bar = row.find('|');
      script += "ALTER TABLE " + quoted() + "." + in_brackets(row.substr(0, bar)) + " DROP CONSTRAINT " +
                in_brackets(row.substr(bar + 1)) + ";\n";
    }
    for (const auto& [type, drop] : {std::pair("V", "DROP VIEW "), {"P", "DROP PROCEDURE "}, {"U", "DROP TABLE "}}) {
      for (const std::string& name : server.rows("SELECT name FROM sys.objects WHERE type = '" + std::string(type) +
                                                 "' AND schema_id = " + own)) {
        script += drop + quoted() + "." + in_brackets(name) + ";\n";
      }
    }
    server.run(script + "DROP SCHEMA " + quoted());
  } catch (const std::exception&) {  // The server goes away with its schemas.
  }
}

}  // namespace stele::testing
