#include <memory>

#include "driver.h"
#include "settings.h"
#include "stele/mssql.h"

namespace stele::mssql {

void register_driver(Registry& registry) {
  registry.add("mssql", [](const Url& url, const DriverOptions& /*options*/) {
    return std::make_unique<MssqlDriver>(parse_settings(url));
  });
}

}  // namespace stele::mssql
