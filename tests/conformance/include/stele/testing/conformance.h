// The conformance suite: every guarantee of Stele as tests that run against any driver.
//
//     class MyHarness final : public stele::testing::Harness { … };
//     int main(int argc, char** argv) {
//       return stele::testing::run_conformance(argc, argv, {{"mine", [] { return std::make_unique<MyHarness>(); }}});
//     }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stele/testing/harness.h"

namespace stele::testing {

struct NamedHarness {
  std::string name;
  std::function<std::unique_ptr<Harness>()> make;  ///< A harness with a fresh storage; called once for each case.
  bool skips_nothing = false;                      ///< A skip is a failure: a capability that gets lost shows.
};

/// Registers every case for every harness with GoogleTest, runs what the command line selects, and prints how many
/// tests ran for each guarantee and every skip with its reason. Returns the exit code of main.
///
/// A test is called <harness>/<group>.<guarantee>_<name>; guarantee "API" stands for the contracts of the headers.
/// Besides GoogleTest's flags:
///   --conformance-report=FILE   writes {harness: {"group/test": {"guarantee", "result", "reason"}}} as JSON; result is
///                               "passed", "failed" or "skipped"
///   STELE_CONFORMANCE_REQUIRE_ALL=1   a skip is a failure
///   STELE_CONFORMANCE_QUICK=1         the long cases make fewer rounds
///   STELE_CONFORMANCE_PATIENCE=N      waits N seconds, instead of 60, for what has to come before a case fails
///   STELE_SEED=N                      repeats the random cases of an earlier run, which printed N
int run_conformance(int argc, char** argv, const std::vector<NamedHarness>& harnesses);

}  // namespace stele::testing
