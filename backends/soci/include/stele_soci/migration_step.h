// A step of a migration: its script, and the row that it leaves in the history.
#pragma once

#include <string>
#include <string_view>

#include "stele/driver/driver.h"

namespace stele::soci_backend {

struct MigrationScript {
  std::string name;  ///< For errors: "migration 0001_event_store.up.sql".
  std::string_view text;
};

inline MigrationScript script_of(const driver::MigrationStep& step) {
  std::string digits = std::to_string(step.migration->number);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  return {"migration " + digits + "_" + std::string(step.migration->title) + (step.up ? ".up.sql" : ".down.sql"),
          step.up ? step.migration->up : step.migration->down};
}

/// How stele_migrations spells a direction.
constexpr std::string_view direction_name(bool up) noexcept {
  return up ? "up" : "down";
}

/// The row that a step leaves in the history; its time is the backend's. The checksum is the up script's for a step
/// down, too: it says which migration was taken back.
inline driver::MigrationRecord history_row(const driver::MigrationStep& step) {
  return {.number = step.migration->number,
          .title = std::string(step.migration->title),
          .checksum = driver::checksum(step.migration->up),
          .up = step.up,
          .applied_at = {}};
}

}  // namespace stele::soci_backend
