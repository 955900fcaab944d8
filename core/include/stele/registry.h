// Which URL scheme is served by which driver. Filled explicitly; nothing registers itself.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/export.h"
#include "stele/url.h"

namespace stele {

namespace driver {
class Driver;
}

/// How a driver is opened.
struct DriverOptions {
  bool create =
      false;  ///< Create the database when it does not exist (SQLite files). Otherwise that is cannot_connect.
  /// Whose alone it is for. Core sees to that; a server that has row-level security is told, too.
  std::optional<std::string> tenant{};
};

/// Not thread-safe while it is being filled; const use is.
class STELE_API Registry {
 public:
  using Factory = std::function<std::unique_ptr<driver::Driver>(const Url&, const DriverOptions&)>;

  /// Throws invalid_argument when the scheme is taken.
  void add(std::string scheme, Factory factory);

  /// Throws invalid_argument for a scheme that nobody serves, listing those that are served; else what the factory
  /// throws.
  std::unique_ptr<driver::Driver> open(const Url& url, const DriverOptions& options = {}) const;

  std::vector<std::string> schemes() const;

 private:
  std::map<std::string, Factory, std::less<>> factories_;
};

/// The reference driver, scheme `memory:`. Correct, complete and forgotten at close; for tests and as the model of the
/// suite.
STELE_API void register_memory_driver(Registry& registry);

/// Archives as stores that can only be read, scheme `archive:PATH`; see archive.h.
STELE_API void register_archive_driver(Registry& registry);

}  // namespace stele
