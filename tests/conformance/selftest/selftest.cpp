// Each broken driver must fail the tests it names, the correct one none, and the one that does nothing nearly all.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <sstream>

#include "stele/testing/broken_drivers.h"

namespace stele::testing {

// For GoogleTest, which would print its bytes.
static void PrintTo(const BrokenDriver& broken, std::ostream* out) {
  *out << broken.what_is_broken;
}

namespace {

struct Outcome {
  std::string result;
  std::string reason;
};

struct SuiteRun {
  int exit_code = -1;
  std::string log;
  std::map<std::string, Outcome> tests;

  std::vector<std::string> with(const std::string& result) const {
    std::vector<std::string> names;
    for (const auto& [name, test] : tests) {
      if (test.result == result) names.push_back(name);
    }
    return names;
  }
};

/// The suite has a program of its own, because GoogleTest runs its tests once in a process.
SuiteRun run_suite(const std::string& driver, const std::string& arguments = {}, const std::string& settings = {}) {
  std::string file = (std::filesystem::temp_directory_path() / "stele-selftest-XXXXXX").string();
  const int descriptor = ::mkstemp(file.data());
  if (descriptor < 0) throw std::runtime_error("cannot make a temporary file");
  ::close(descriptor);
  const std::string command = "STELE_CONFORMANCE_QUICK=1 " + settings + " '" STELE_BROKEN_CONFORMANCE "' " + driver +
                              " --gtest_brief=1 --gtest_color=no --conformance-report='" + file + "' " + arguments +
                              " > '" + file + ".log' 2>&1";
  SuiteRun run;
  const int status = std::system(command.c_str());
  if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
  std::stringstream log;
  log << std::ifstream(file + ".log").rdbuf();
  run.log = log.str();
  std::ifstream report(file);
  const nlohmann::json json = nlohmann::json::parse(report, nullptr, false);
  if (json.is_object() && json.contains(driver)) {
    for (const auto& [name, test] : json.at(driver).items()) {
      run.tests[name] = {test.at("result").get<std::string>(), test.value("reason", "")};
    }
  } else {
    ADD_FAILURE() << "no report of " << driver << ":\n" << run.log;
  }
  std::filesystem::remove(file);
  std::filesystem::remove(file + ".log");
  return run;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += "\n  " + name;
  return text;
}

// One run for all tests of what is correct.
const SuiteRun& correct() {
  static const SuiteRun run = run_suite("correct");
  return run;
}

TEST(Selftest, TheCorrectDriverFailsNothing) {
  EXPECT_EQ(correct().exit_code, 0) << correct().log;
  EXPECT_EQ(join(correct().with("failed")), "");
  EXPECT_GT(correct().with("passed").size(), 200u);
}

TEST(Selftest, EverySkipHasAReasonAndIsNoPass) {
  const std::vector<std::string> skipped = correct().with("skipped");
  EXPECT_FALSE(skipped.empty());
  for (const std::string& name : skipped) {
    EXPECT_NE(correct().tests.at(name).reason.find("capability"), std::string::npos) << name;
  }
  EXPECT_EQ(correct().with("passed").size() + skipped.size() + correct().with("failed").size(), correct().tests.size());
}

TEST(Selftest, ASkipIsAFailureWhereAllIsRequired) {
  ASSERT_EQ(::setenv("STELE_CONFORMANCE_REQUIRE_ALL", "1", 1), 0);
  const SuiteRun strict = run_suite("correct", "--gtest_filter='*lifecycle*:*migrations*'");
  ASSERT_EQ(::unsetenv("STELE_CONFORMANCE_REQUIRE_ALL"), 0);
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_TRUE(strict.with("skipped").empty());
  EXPECT_FALSE(strict.with("failed").empty());
}

// A harness that is to have all capabilities and has lost one.
TEST(Selftest, ASkipIsAFailureOfAHarnessThatSkipsNothing) {
  const SuiteRun strict = run_suite("skips_nothing", "--gtest_filter='*lifecycle*:*migrations*'");
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_TRUE(strict.with("skipped").empty());
  EXPECT_FALSE(strict.with("failed").empty());
}

TEST(Selftest, ADriverThatDoesNothingFailsNearlyEverything) {
  // Nothing ever comes of it.
  const SuiteRun run = run_suite("no_op", {}, "STELE_CONFORMANCE_PATIENCE=1");
  EXPECT_EQ(run.exit_code, 1);
  const std::size_t failed = run.with("failed").size();
  const std::size_t passed = run.with("passed").size();
  // What passes is what core refuses before any driver is asked, and what is said of an empty store.
  EXPECT_GE(100 * failed, 85 * (failed + passed)) << "passed:" << join(run.with("passed"));
}

TEST(Selftest, NamesAreUniqueAndEachNamesItsTests) {
  std::set<std::string> names;
  for (const BrokenDriver& broken : broken_drivers()) {
    EXPECT_TRUE(names.insert(broken.name).second) << broken.name;
    EXPECT_FALSE(broken.what_is_broken.empty()) << broken.name;
    EXPECT_FALSE(broken.caught_by.empty()) << broken.name;
    for (const std::string& test : broken.caught_by) {
      EXPECT_TRUE(correct().tests.contains(test)) << broken.name << " names " << test << ", which is not in the suite";
    }
  }
  EXPECT_GE(names.size(), 14u);
}

class BrokenDriverIsCaught : public ::testing::TestWithParam<BrokenDriver> {};

TEST_P(BrokenDriverIsCaught, ByTheTestsItNames) {
  const BrokenDriver& broken = GetParam();
  std::string filter;
  for (std::string test : broken.caught_by) {
    test.replace(test.find('/'), 1, ".");
    filter += broken.name + "/" + test + ":";
  }
  const SuiteRun run = run_suite(broken.name, "--gtest_filter='" + filter + "'");
  EXPECT_EQ(run.exit_code, 1);
  for (const std::string& test : broken.caught_by) {
    const auto found = run.tests.find(test);
    const std::string result = found == run.tests.end() ? "missing" : found->second.result;
    EXPECT_EQ(result, "failed") << test << " does not notice that " << broken.what_is_broken
                                << "; those that do:" << join(run.with("failed"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, BrokenDriverIsCaught, ::testing::ValuesIn(broken_drivers()),
                         [](const ::testing::TestParamInfo<BrokenDriver>& driver) { return driver.param.name; });

}  // namespace
}  // namespace stele::testing
