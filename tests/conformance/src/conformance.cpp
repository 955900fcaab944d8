#include "stele/testing/conformance.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "support.h"

namespace stele::testing {
namespace {

struct Group {
  std::string_view name;
  std::span<const Case> (*cases)();
};

constexpr Group groups[] = {
    {"append", append_cases},
    {"expected_version", expected_version_cases},
    {"commands", command_cases},
    {"event_ids", event_id_cases},
    {"read_stream", read_stream_cases},
    {"read_log", read_log_cases},
    {"filters", filter_cases},
    {"streams", stream_cases},
    {"fidelity", fidelity_cases},
    {"keys", key_cases},
    {"limits", limit_cases},
    {"time", time_cases},
    {"ordering", ordering_cases},
    {"concurrency", concurrency_cases},
    {"immutability", immutability_cases},
    {"migrations", migration_cases},
    {"lifecycle", lifecycle_cases},
    {"verify", verify_cases},
    {"driver_contract", driver_contract_cases},
    {"aggregates", aggregate_cases},
    {"subscriptions", subscription_cases},
    {"tenants", tenant_cases},
    {"traces", trace_cases},
    {"upcasters", upcaster_cases},
    {"model", model_cases},
    {"snapshots", snapshot_cases},
    {"checkpoints", checkpoint_cases},
    {"projections", projection_cases},
    {"governance", governance_cases},
    {"schemas", schema_cases},
    {"encryption", encryption_cases},
    {"chains", chain_cases},
    {"archives", archive_cases},
};

bool require_all() {
  const char* value = std::getenv("STELE_CONFORMANCE_REQUIRE_ALL");
  return value != nullptr && std::string_view(value) == "1";
}

class CaseTest : public ::testing::Test {
 public:
  CaseTest(const Case& body, const NamedHarness& harness) : case_(body), harness_(harness) {}

  void TestBody() override {
    try {
      make_harnesses_with(harness_.make);
      const std::unique_ptr<Harness> harness = harness_.make();
      if (!harness->has(case_.needs)) {
        if (require_all() || harness_.skips_nothing) {
          FAIL() << "needs the capability " << to_string(case_.needs) << ", and no skip is allowed";
        }
        GTEST_SKIP() << "the harness has no capability " << to_string(case_.needs);
      }
      case_.body(*harness);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }

 private:
  const Case& case_;
  const NamedHarness& harness_;
};

struct Outcome {
  std::string harness;
  std::string test;
  std::string guarantee;
  std::string result;
  std::string reason;
};

/// Notes what became of each test, and reports it at the end.
class Report final : public ::testing::EmptyTestEventListener {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void OnTestEnd(const ::testing::TestInfo& info) override {
    const std::string suite = info.test_suite_name();
    const std::string name = info.name();
    const std::size_t slash = suite.rfind('/');
    if (slash == std::string::npos) return;  // A test of the program's own.
    Outcome& outcome = outcomes_.emplace_back();
    outcome.harness = suite.substr(0, slash);
    outcome.test = suite.substr(slash + 1) + "/" + name;
    outcome.guarantee = name.substr(0, name.find('_'));
    const ::testing::TestResult& result = *info.result();
    outcome.result = result.Failed() ? "failed" : result.Skipped() ? "skipped" : "passed";
    for (int i = 0; i < result.total_part_count() && outcome.reason.empty(); ++i) {
      const ::testing::TestPartResult& part = result.GetTestPartResult(i);
      if (!part.passed()) outcome.reason = part.message();
    }
    if (const std::size_t end = outcome.reason.find_last_not_of(" \n"); end != std::string::npos) {
      outcome.reason.resize(end + 1);
    }
  }

  void OnTestProgramEnd(const ::testing::UnitTest&) override {
    if (outcomes_.empty()) return;
    print();
    if (!file_.empty()) write();
  }

 private:
  // G2 before G10.
  static std::pair<std::size_t, std::string> by_number(const std::string& guarantee) {
    return {guarantee.size(), guarantee};
  }

  void print() const {
    std::map<std::pair<std::size_t, std::string>, std::map<std::string, int>> counts;
    std::map<std::string, std::vector<const Outcome*>> skips;
    for (const Outcome& outcome : outcomes_) {
      ++counts[by_number(outcome.guarantee)][outcome.result];
      if (outcome.result == "skipped") skips[outcome.harness + ": " + outcome.reason].push_back(&outcome);
    }
    std::cout << "\nConformance, tests by guarantee:\n";
    for (auto& [guarantee, results] : counts) {
      std::cout << "  " << guarantee.second << std::string(5 - std::min<std::size_t>(5, guarantee.second.size()), ' ')
                << results["passed"] << " passed, " << results["failed"] << " failed, " << results["skipped"]
                << " skipped\n";
    }
    for (const auto& [reason, tests] : skips) {
      std::cout << "Skipped " << tests.size() << " on " << reason << "\n";
      for (const Outcome* outcome : tests) std::cout << "  " << outcome->test << "\n";
    }
    std::cout.flush();
  }

  void write() const {
    nlohmann::json report = nlohmann::json::object();
    for (const Outcome& outcome : outcomes_) {
      nlohmann::json& entry = report[outcome.harness][outcome.test];
      entry = {{"guarantee", outcome.guarantee}, {"result", outcome.result}};
      if (!outcome.reason.empty()) entry["reason"] = outcome.reason;
    }
    std::ofstream out(file_);
    out << report.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    if (!out) std::cerr << "the conformance report could not be written to " << file_ << "\n";
  }

  std::string file_;
  std::vector<Outcome> outcomes_;
};

/// Takes --conformance-report=FILE out of the arguments.
std::string take_report_file(int& argc, char** argv) {
  constexpr std::string_view flag = "--conformance-report=";
  std::string file;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (const std::string_view argument = argv[i]; argument.starts_with(flag)) {
      file = argument.substr(flag.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  argv[argc] = nullptr;
  return file;
}

}  // namespace

int run_conformance(int argc, char** argv, const std::vector<NamedHarness>& harnesses) {
  ::testing::InitGoogleTest(&argc, argv);
  const std::string report_file = take_report_file(argc, argv);
  if (argc > 1) {
    std::cerr << "unknown argument " << argv[1] << "\n";
    return 2;
  }
  for (const NamedHarness& harness : harnesses) {
    for (const Group& group : groups) {
      for (const Case& body : group.cases()) {
        const std::string suite = harness.name + "/" + std::string(group.name);
        const std::string name = std::string(body.guarantee) + "_" + std::string(body.name);
        ::testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                                [&body, &harness]() -> CaseTest* { return new CaseTest(body, harness); });
      }
    }
  }
  ::testing::UnitTest::GetInstance()->listeners().Append(new Report(report_file));  // GoogleTest owns it.
  return RUN_ALL_TESTS();
}

}  // namespace stele::testing
