#include "stele/governance.h"

namespace stele {

std::string_view to_string(SchemaMode mode) noexcept {
  switch (mode) {
    case SchemaMode::off: return "off";
    case SchemaMode::warn: return "warn";
    case SchemaMode::enforce: return "enforce";
  }
  return "unknown";
}

std::optional<SchemaMode> parse_schema_mode(std::string_view name) noexcept {
  for (const SchemaMode mode : {SchemaMode::off, SchemaMode::warn, SchemaMode::enforce}) {
    if (name == to_string(mode)) return mode;
  }
  return std::nullopt;
}

}  // namespace stele
