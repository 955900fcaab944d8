#include <memory>

#include "driver.h"
#include "settings.h"
#include "stele/sqlite.h"

namespace stele::sqlite {

void register_driver(Registry& registry) {
  registry.add("sqlite", [](const Url& url, const DriverOptions& options) {
    return std::make_unique<SqliteDriver>(parse_settings(url, options.create));
  });
}

}  // namespace stele::sqlite
