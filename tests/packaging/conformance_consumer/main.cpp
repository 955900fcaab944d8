// The whole of what the author of a driver writes to run the conformance suite. The driver here is the reference
// driver.
#include <gtest/gtest.h>
#include <stele/driver/driver.h>
#include <stele/registry.h>
#include <stele/testing/conformance.h>

namespace {

class MyHarness final : public stele::testing::Harness {
 public:
  MyHarness() {
    stele::Registry registry;
    stele::register_memory_driver(registry);
    driver_ = registry.open(stele::Url::parse("memory:"));
  }
  std::unique_ptr<stele::driver::Driver> open() override { return stele::testing::share(driver_); }

 private:
  std::shared_ptr<stele::driver::Driver> driver_;
};

}  // namespace

int main(int argc, char** argv) {
  const int code =
      stele::testing::run_conformance(argc, argv, {{"mine", [] { return std::make_unique<MyHarness>(); }}});
  // A filter that selects nothing would pass.
  return ::testing::UnitTest::GetInstance()->successful_test_count() > 0 ? code : 1;
}
