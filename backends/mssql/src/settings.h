// What an mssql: URL says.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "stele/url.h"

namespace stele::mssql {

struct Settings {
  std::string connection;  ///< ODBC's connection string, in Latin-1; holds the password.
  std::string driver;      ///< The name or the path in it.
  std::string schema = "stele";
  std::chrono::milliseconds busy_timeout{10'000};
  std::chrono::milliseconds max_lifetime{30 * 60'000};
  std::size_t connections = 16;
};

/// The ODBC drivers of this machine: names of odbcinst.ini, and the paths of FreeTDS where it is not named there.
std::vector<std::string> installed_drivers();

/// Throws invalid_argument for an unknown or bad setting, and cannot_connect when there is no driver; messages never
/// hold the password.
Settings parse_settings(const Url& url, const std::vector<std::string>& installed = installed_drivers());

/// The FreeTDS driver, going by its name or path. It takes other connection strings than Microsoft's.
bool names_freetds(std::string_view driver);

/// Which package to install for a driver that cannot be loaded.
std::string missing_driver_hint(std::string_view driver);

/// A name as SQL writes it: in brackets, with closing ones doubled.
std::string quoted_identifier(std::string_view name);

/// A text as SQL writes it: N'…'.
std::string quoted_text(std::string_view text);

}  // namespace stele::mssql
