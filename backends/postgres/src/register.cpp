#include <memory>

#include "driver.h"
#include "settings.h"
#include "stele/postgres.h"

namespace stele::postgres {

void register_driver(Registry& registry) {
  for (const char* scheme : {"postgresql", "postgres"}) {
    registry.add(scheme, [](const Url& url, const DriverOptions& options) {
      Settings settings = parse_settings(url);
      settings.tenant = options.tenant.value_or(std::string());
      return std::make_unique<PostgresDriver>(std::move(settings));
    });
  }
}

}  // namespace stele::postgres
