#include "settings.h"

#include <sql.h>
#include <sqlext.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "errors.h"
#include "utf16.h"

namespace stele::mssql {
namespace {

constexpr std::string_view microsoft_driver = "ODBC Driver 18 for SQL Server";
constexpr std::uint16_t default_port = 1433;
// Names of application locks begin with it, and have 255 characters at most.
constexpr std::size_t max_schema_name = 100;
// unixODBC copies the string into a buffer of this size, without a word when it is too long.
constexpr std::size_t max_connection_string = 2000;

/// Where distributions put FreeTDS's driver, which not all of them name in odbcinst.ini.
constexpr std::string_view freetds_paths[] = {
    "/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so",
    "/usr/lib/aarch64-linux-gnu/odbc/libtdsodbc.so",
    "/usr/lib64/libtdsodbc.so.0",
    "/usr/lib/libtdsodbc.so",
    "/usr/local/lib/libtdsodbc.so",
    "/opt/homebrew/lib/libtdsodbc.so",
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "URL: " + why);
}

/// ODBC's connection string, key by key.
class ConnectionString {
 public:
  explicit ConnectionString(bool freetds) : freetds_(freetds) {}

  /// `what` names the value in an error, which must not show it.
  void add(std::string_view key, std::string_view value, std::string_view what) {
    text_ += key;
    text_ += '=';
    add_value(value, what);
    text_ += ';';  // FreeTDS needs one behind the last value, too, when that is in braces.
  }

  /// In Latin-1: SOCI connects by ODBC's function for bytes, and unixODBC takes each for a character.
  std::string take() const {
    std::string bytes;
    for (const char16_t unit : to_utf16(text_)) {
      if (unit > 0xFF) refuse("user, password and database can only have characters up to U+00FF, those of Latin-1");
      bytes += static_cast<char>(unit);
    }
    if (bytes.size() > max_connection_string) refuse("what it says makes too long a connection string for ODBC");
    return bytes;
  }

 private:
  void add_value(std::string_view value, std::string_view what) {
    const bool needs_braces = value.find(';') != std::string_view::npos || value.starts_with('{');
    if (freetds_) {
      // Up to 1.3 it reads braces without undoubling those inside, and later it undoubles: values without braces around
      // them mean the same to both.
      if (!needs_braces) {
        text_ += value;
        return;
      }
      if (value.find('}') != std::string_view::npos) {
        refuse("FreeTDS cannot be given a " + std::string(what) + " with } beside ; or a { at its beginning");
      }
    } else if (!needs_braces && value.find_first_of("[]{}(),?*=!@ ") == std::string_view::npos) {
      text_ += value;
      return;
    }
    text_ += '{';
    for (const char c : value) {
      text_ += c;
      if (c == '}') text_ += c;
    }
    text_ += '}';
  }

  const bool freetds_;
  std::string text_;
};

std::string choose_driver(const std::optional<std::string>& wanted, const std::vector<std::string>& installed) {
  const auto named = [&](std::string_view name) {
    return std::any_of(installed.begin(), installed.end(),
                       [&](const std::string& driver) { return lower(driver) == lower(name); });
  };
  const auto fail = [](const std::string& what, std::string_view driver) {
    throw Error(ErrorCode::cannot_connect, what + ". " + missing_driver_hint(driver),
                {.backend = std::string(backend_name),
                 .native_code = 0,
                 .sqlstate = {},
                 .retryable = false,
                 .outcome = Outcome::not_applied});
  };
  if (wanted) {
    if (wanted->empty()) refuse("\"driver\" is empty");
    const bool path = wanted->find('/') != std::string::npos;
    std::error_code ignored;
    if (path ? !std::filesystem::exists(*wanted, ignored) : !named(*wanted)) {
      fail("there is no ODBC driver \"" + *wanted + "\"", *wanted);
    }
    return *wanted;
  }
  const auto freetds =
      std::find_if(installed.begin(), installed.end(), [](const std::string& name) { return names_freetds(name); });
  if (freetds != installed.end()) return *freetds;
  if (!named(microsoft_driver)) fail("there is no ODBC driver for SQL Server", {});
  return std::string(microsoft_driver);
}

void add_server(ConnectionString& connection, const Url& url, bool freetds) {
  if (url.hosts.size() != 1) refuse("an mssql URL has one host: mssql://user:password@host:port/database");
  const Url::Host& host = url.hosts.front();
  const std::string port = std::to_string(host.port == 0 ? default_port : host.port);
  if (freetds) {
    connection.add("Server", host.name, "host");
    connection.add("Port", port, "port");
    connection.add("TDS_Version", "7.4", "version");
    connection.add("ClientCharset", "UTF-8", "encoding");
  } else {
    connection.add("Server", "tcp:" + host.name + "," + port, "host");
    // By itself it would make a lost connection anew, without what it was set to, and as if nothing had been lost.
    connection.add("ConnectRetryCount", "0", "setting");
  }
}

void add_encryption(ConnectionString& connection, const Url& url, bool freetds) {
  const auto encrypt = url.choice_param("encrypt", {"yes", "no", "strict"});
  const auto trust = url.choice_param("trust_server_certificate", {"yes", "no"});
  if (!freetds) {
    if (encrypt) connection.add("Encrypt", *encrypt, "setting");
    if (trust) connection.add("TrustServerCertificate", *trust, "setting");
    return;
  }
  if (encrypt == "strict") connection.add("Encryption", "strict", "setting");
  if (encrypt == "yes") connection.add("Encryption", "require", "setting");
  if (encrypt == "no") connection.add("Encryption", "off", "setting");
  if (trust == "no") {
    refuse(
        "FreeTDS takes the certificates that it checks against from freetds.conf (\"ca file\") and checks none "
        "without; "
        "leave trust_server_certificate=no away when that is set, or use Microsoft's driver");
  }
}

}  // namespace

std::vector<std::string> installed_drivers() {
  std::vector<std::string> drivers;
  SQLHENV environment = SQL_NULL_HENV;
  if (SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment) != SQL_SUCCESS) return drivers;
  // A macro of ODBC casts to a pointer.
  SQLSetEnvAttr(environment, SQL_ATTR_ODBC_VERSION, reinterpret_cast<SQLPOINTER>(std::uintptr_t{SQL_OV_ODBC3}), 0);
  std::array<SQLCHAR, 256> name{};
  std::array<SQLCHAR, 256> attributes{};
  SQLSMALLINT length = 0;
  SQLSMALLINT attributes_length = 0;
  SQLUSMALLINT direction = SQL_FETCH_FIRST;
  while (
      SQL_SUCCEEDED(SQLDrivers(environment, direction, name.data(), static_cast<SQLSMALLINT>(name.size()), &length,
                               attributes.data(), static_cast<SQLSMALLINT>(attributes.size()), &attributes_length))) {
    drivers.emplace_back(reinterpret_cast<const char*>(name.data()));
    direction = SQL_FETCH_NEXT;
  }
  SQLFreeHandle(SQL_HANDLE_ENV, environment);
  std::error_code ignored;
  for (const std::string_view path : freetds_paths) {
    if (std::filesystem::exists(path, ignored)) drivers.emplace_back(path);
  }
  return drivers;
}

Settings parse_settings(const Url& url, const std::vector<std::string>& installed) {
  url.allow_params({"schema", "busy_timeout", "connections", "max_lifetime", "connect_timeout", "application_name",
                    "driver", "encrypt", "trust_server_certificate"});
  Settings settings;
  settings.driver = choose_driver(url.param("driver"), installed);
  const bool freetds = names_freetds(settings.driver);
  ConnectionString connection(freetds);
  connection.add("Driver", settings.driver, "driver");
  add_server(connection, url, freetds);
  if (!url.path.empty()) connection.add("Database", url.path, "database");
  if (url.user) connection.add("UID", *url.user, "user");
  if (url.password) connection.add("PWD", *url.password, "password");
  connection.add("APP", url.param("application_name").value_or("stele"), "application_name");
  add_encryption(connection, url, freetds);
  const auto timeout = url.duration_param("connect_timeout").value_or(std::chrono::seconds(10));
  const auto seconds = std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(timeout).count(), 1);
  // SOCI has no way to set an attribute before it connects; unixODBC takes it from here.
  connection.add("DMConnAttr", "SQL_ATTR_LOGIN_TIMEOUT=" + std::to_string(seconds), "connect_timeout");
  settings.connection = connection.take();

  if (const auto schema = url.param("schema")) {
    // Migrations have it inside of texts, too.
    if (schema->empty() || utf16_length(*schema) > max_schema_name || schema->find('\'') != std::string::npos) {
      refuse("\"schema\" has to be a name of 1 to 100 characters without an apostrophe");
    }
    settings.schema = *schema;
  }
  settings.busy_timeout = url.duration_param("busy_timeout").value_or(settings.busy_timeout);
  settings.max_lifetime = url.duration_param("max_lifetime").value_or(settings.max_lifetime);
  settings.connections = static_cast<std::size_t>(url.integer_param("connections", 1, 256).value_or(16));
  return settings;
}

bool names_freetds(std::string_view driver) {
  const std::string name = lower(driver);
  return name.find("freetds") != std::string::npos || name.find("tdsodbc") != std::string::npos;
}

std::string missing_driver_hint(std::string_view driver) {
  const std::string freetds = "FreeTDS: apt-get install tdsodbc";
  const std::string microsoft = "Microsoft's ODBC Driver 18: install msodbcsql18 from Microsoft's packages";
  if (driver.empty()) return "Install one of them. " + freetds + ". " + microsoft;
  return "Install " + (names_freetds(driver) ? freetds : microsoft) + ", or name another with driver=";
}

std::string quoted_identifier(std::string_view name) {
  std::string quoted = "[";
  for (const char c : name) {
    quoted += c;
    if (c == ']') quoted += c;
  }
  return quoted + ']';
}

std::string quoted_text(std::string_view text) {
  std::string quoted = "N'";
  for (const char c : text) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  return quoted + '\'';
}

}  // namespace stele::mssql
