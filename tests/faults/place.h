// Where a fault test keeps its store: a file, or a schema on the server that tests use.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace stele::testing {

class Place {
 public:
  virtual ~Place() = default;
  virtual std::string url() const = 0;
};

/// "sqlite", and "postgres" in a build that has it.
std::vector<std::string> place_names();

/// Null when there is no server for it.
std::unique_ptr<Place> make_place(const std::string& name);

/// A test that runs once for each kind of place; each call of place() makes a new one, empty.
class PlaceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (make_place(GetParam()) == nullptr) GTEST_SKIP() << "STELE_TEST_POSTGRES_URL names no server";
  }
  const Place& place() { return *places_.emplace_back(make_place(GetParam())); }

 private:
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace stele::testing
