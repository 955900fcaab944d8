// Deliberately broken drivers: proof that the conformance suite can fail. Each breaks one promise the way real stores
// have broken it, and names the tests that must notice.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stele/driver/driver.h"

namespace stele::testing {

struct BrokenDriver {
  std::string name;
  std::string what_is_broken;
  std::vector<std::string> caught_by;  ///< Tests that must fail on it, as in a report: "append/G2_first_event_…".
  /// Breaks a correct driver. Wrap each storage once and give handles to it with share(): some keep their fault in
  /// memory.
  std::function<std::unique_ptr<driver::Driver>(std::unique_ptr<driver::Driver>)> wrap;
};

std::vector<BrokenDriver> broken_drivers();

/// Answers every append with success and stores nothing. Nearly every test has to fail on it: one that does not, does
/// not look at what it claims to test.
BrokenDriver no_op_driver();

}  // namespace stele::testing
