// Stores on the memory driver.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "stele/driver/driver.h"
#include "stele/event_store.h"
#include "stele/registry.h"

namespace stele::testing {

inline std::unique_ptr<driver::Driver> memory_driver() {
  Registry registry;
  register_memory_driver(registry);
  return registry.open(Url::parse("memory:"));
}

inline EventStore memory_store() {
  return EventStore(memory_driver());
}

inline NewEvent event_of(std::string type, std::string data = "{}") {
  NewEvent event;
  event.type = std::move(type);
  event.data = Json(std::move(data));
  return event;
}

}  // namespace stele::testing
