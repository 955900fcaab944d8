// What a sqlite: URL says.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "stele/url.h"

namespace stele::sqlite {

struct Settings {
  std::string path;  ///< Empty for a database in memory.
  std::string synchronous = "FULL";
  std::chrono::milliseconds busy_timeout{10'000};
  std::size_t readers = 4;
  bool create = false;

  bool in_memory() const noexcept { return path.empty(); }
};

/// Throws invalid_argument for a URL with parts that SQLite has no use for, or an unknown or bad setting.
Settings parse_settings(const Url& url, bool create);

}  // namespace stele::sqlite
