// What a tenant's writers and readers know of its event types, as the database last said.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "stele/driver/driver.h"
#include "stele/redaction.h"
#include "stele/schema.h"

namespace stele::detail {

/// One type's schemas and rules, compiled.
struct KnownEventType {
  SchemaMode mode = SchemaMode::enforce;
  std::map<std::int32_t, SchemaValidator> schemas;  // By event_version.
  RedactionRules redaction;
};

/// Immutable. Types of which nothing is known are not in it.
struct KnownEventTypes {
  std::int64_t revision = 0;
  bool any_schema = false;
  std::map<std::string, KnownEventType, std::less<>> types;

  const KnownEventType* find(std::string_view type) const {
    const auto found = types.find(type);
    return found == types.end() ? nullptr : &found->second;
  }
};

/// Asks the database for a tenant's revision at most once in `fresh_for`, and for everything when it has moved. What
/// another process changes is known here after that time at the latest. Thread-safe.
class EventTypeCatalog {
 public:
  static constexpr std::chrono::milliseconds fresh_for{1'000};

  std::shared_ptr<const KnownEventTypes> get(driver::Driver& driver, std::string_view tenant);
  /// The next get() asks.
  void forget(std::string_view tenant);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::shared_ptr<const KnownEventTypes> types;
    Clock::time_point asked;
  };

  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> tenants_;
  std::int64_t forgotten_ = 0;  // How often.
};

}  // namespace stele::detail
