// What a postgresql: URL says.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "stele/url.h"

namespace stele::postgres {

struct Settings {
  std::string conninfo;  ///< For libpq; holds the password.
  std::string schema = "stele";
  std::chrono::milliseconds busy_timeout{10'000};
  std::chrono::milliseconds max_lifetime{30 * 60'000};
  std::size_t connections = 16;
  std::string tenant{};        ///< The only one there is; empty: all.
  bool behind_pooler = false;  ///< One that keeps a server connection for each client.
};

/// Throws invalid_argument for an unknown or bad setting; messages never hold the password.
Settings parse_settings(const Url& url);

/// A name as SQL writes it: in quotes, with quotes doubled.
std::string quoted_identifier(std::string_view name);

}  // namespace stele::postgres
