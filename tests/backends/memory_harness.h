// The reference driver under the conformance suite.
#pragma once

#include "stele/testing/harness.h"

namespace stele::testing {

class MemoryHarness final : public Harness {
 public:
  MemoryHarness();
  std::unique_ptr<driver::Driver> open() override { return share(driver_); }
  std::string url() const override { return "memory:"; }

 private:
  std::shared_ptr<driver::Driver> driver_;
};

}  // namespace stele::testing
