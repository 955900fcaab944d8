#include <memory>

#include "driver.h"
#include "settings.h"
#include "stele/postgres.h"

namespace stele::postgres {

void register_driver(Registry& registry) {
  for (const char* scheme : {"postgresql", "postgres"}) {
    registry.add(scheme, [](const Url& url, const DriverOptions& /*options*/) {
      return std::make_unique<PostgresDriver>(parse_settings(url));
    });
  }
}

}  // namespace stele::postgres
