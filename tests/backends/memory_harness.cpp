#include "memory_harness.h"

#include "stele/registry.h"

namespace stele::testing {

MemoryHarness::MemoryHarness() {
  Registry registry;
  register_memory_driver(registry);
  driver_ = registry.open(Url::parse("memory:"));
}

}  // namespace stele::testing
