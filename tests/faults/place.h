// Where a fault test keeps its store: a file, or a schema on one of the servers that tests use.
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

/// A place whose connections somebody else can end.
class ServerPlace : public Place {
 public:
  /// A URL whose connections are recognised.
  virtual std::string recognised_url() const = 0;
  /// Ends up to two of them, any. Returns how many. Called by one thread at a time, always the same.
  virtual int end_connections() = 0;
  /// How many operations a test should let pass between two calls: where connections are slow to make, more.
  virtual int operations_between() const = 0;
};

/// "sqlite", and each server's that this build has.
std::vector<std::string> place_names();
std::vector<std::string> server_names();

/// Why there is no such place: the variable that names no server. Empty when there is one.
std::string missing_server(const std::string& name);

std::unique_ptr<Place> make_place(const std::string& name);
std::unique_ptr<ServerPlace> make_server_place(const std::string& name);

/// A test that runs once for each kind of place; each call of place() makes a new one, empty.
class PlaceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string missing = missing_server(GetParam());
    if (!missing.empty()) GTEST_SKIP() << missing << " names no server";
  }
  const Place& place() { return *places_.emplace_back(make_place(GetParam())); }

 private:
  std::vector<std::unique_ptr<Place>> places_;
};

/// For INSTANTIATE_TEST_SUITE_P.
inline std::string name_of_place(const ::testing::TestParamInfo<std::string>& tested) {
  return tested.param;
}

}  // namespace stele::testing
