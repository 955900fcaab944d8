// The reference driver under the conformance suite.
#pragma once

#include "stele/testing/harness.h"

namespace stele::testing {

class MemoryHarness final : public Harness {
 public:
  MemoryHarness();
  std::unique_ptr<driver::Driver> open() override { return share(driver_); }
  std::set<Capability> capabilities() const override { return {Capability::read_models, Capability::governance}; }
  std::string url() const override { return "memory:"; }
  Counters& counters() override { return *counters_; }

 private:
  std::shared_ptr<driver::Driver> driver_;
  const std::unique_ptr<Counters> counters_ = counters_in_memory();
};

}  // namespace stele::testing
