// Runs the conformance suite on one driver: stele_broken_conformance NAME [flags of the suite]. NAME is a broken
// driver's, or "correct" for the reference driver as it is.
#include <iostream>

#include "shifted_positions.h"
#include "stele/registry.h"
#include "stele/testing/broken_drivers.h"
#include "stele/testing/conformance.h"

namespace {

using namespace stele::testing;
using stele::driver::Driver;

class BrokenHarness final : public Harness {
 public:
  explicit BrokenHarness(const BrokenDriver& broken) : broken_(broken) {}

  std::unique_ptr<Driver> open() override {
    if (!driver_) {
      stele::Registry registry;
      stele::register_memory_driver(registry);
      driver_ =
          broken_.wrap(std::make_unique<ShiftedPositions>(registry.open(stele::Url::parse("memory:")), skipped_to_));
    }
    return share(driver_);
  }
  std::set<Capability> capabilities() const override {
    return {Capability::positions, Capability::read_models, Capability::governance};
  }
  std::string url() const override { return "memory: as " + broken_.name; }
  void skip_positions_to(stele::Position position) override { skipped_to_ = position; }
  Counters& counters() override { return *counters_; }

 private:
  const BrokenDriver& broken_;
  stele::Position skipped_to_;
  const std::unique_ptr<Counters> counters_ = counters_in_memory();
  std::shared_ptr<Driver> driver_;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<BrokenDriver> drivers = broken_drivers();
  drivers.push_back(no_op_driver());
  drivers.push_back({"correct", "nothing", {}, [](std::unique_ptr<Driver> driver) { return driver; }});
  drivers.push_back(drivers.back());
  drivers.back().name = "skips_nothing";
  const std::string name = argc > 1 ? argv[1] : "";
  for (const BrokenDriver& broken : drivers) {
    if (broken.name != name) continue;
    argv[1] = argv[0];
    return run_conformance(
        argc - 1, argv + 1,
        {{name, [&broken] { return std::make_unique<BrokenHarness>(broken); }, name == "skips_nothing"}});
  }
  std::cerr << "usage: stele_broken_conformance NAME [--gtest_…] [--conformance-report=FILE]\n";
  for (const BrokenDriver& broken : drivers) std::cerr << "  " << broken.name << ": " << broken.what_is_broken << "\n";
  return 2;
}
