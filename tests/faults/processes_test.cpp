// Several processes, each with several threads, on one file or one schema.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "place.h"
#include "stele/backends.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "worker_process.h"

namespace stele::testing {
namespace {

constexpr int processes = 4;
constexpr int threads = 8;
constexpr int appends_each = 504;  // 2,016 in all.

class Processes : public PlaceTest {};

TEST_P(Processes, G3_G5_two_thousand_appends_from_four_processes_of_eight_threads) {
  const Place& folder = place();
  EventStore::open(default_registry(), folder.url(), {.migrate = true});
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int p = 0; p < processes; ++p) {
    workers.push_back(std::make_unique<WorkerProcess>(std::vector<std::string>{
        "race", folder.url(), "p" + std::to_string(p), std::to_string(threads), std::to_string(appends_each)}));
  }
  std::map<std::string, std::int64_t> own;                // Stream → highest acknowledged version.
  std::map<std::int64_t, int> winners;                    // Contested version → how many won it.
  std::map<std::string, std::set<std::string>> outcomes;  // Request → its outcomes.
  std::map<std::string, int> appended;                    // Request → how often it was appended.
  int lost = 0;
  for (const auto& worker : workers) {
    EXPECT_EQ(worker->wait(), 0);
    int own_lines = 0;
    for (const std::string& line : worker->lines()) {
      std::istringstream words(line);
      std::string word;
      std::string name;
      std::string value;
      words >> word >> name >> value;
      if (word == "OWN") {
        ++own_lines;
        own[name] = std::max<std::int64_t>(own[name], std::stoll(value));
      } else if (word == "WON") {
        ++winners[std::stoll(name)];
      } else if (word == "LOST") {
        ++lost;
      } else {
        ASSERT_TRUE(word == "APPENDED" || word == "REPLAYED") << line;
        outcomes[name].insert(value);
        appended[name] += word == "APPENDED" ? 1 : 0;
      }
    }
    EXPECT_EQ(own_lines, appends_each);
  }

  EventStore store = stele::open(folder.url());
  for (const auto& [stream, version] : own) {
    EXPECT_EQ(version, appends_each / threads) << stream;
    EXPECT_EQ(store.stream_version(StreamKey("own", stream)).value(), version) << stream;
  }
  EXPECT_EQ(own.size(), static_cast<std::size_t>(processes * threads));
  const std::int64_t contested = store.stream_version(StreamKey("contested", "one")).value();
  EXPECT_EQ(winners.size(), static_cast<std::size_t>(contested));
  for (const auto& [version, count] : winners) EXPECT_EQ(count, 1) << "contested version " << version;
  EXPECT_GT(lost, 0) << "nobody ever lost: the race was none";
  EXPECT_EQ(outcomes.size(), static_cast<std::size_t>(appends_each));
  for (const auto& [request, different] : outcomes) {
    EXPECT_EQ(different.size(), 1u) << "request " << request << " has several outcomes";
    EXPECT_EQ(appended[request], 1) << "request " << request;
  }
  std::int64_t requested = 0;
  for (int i = 0; i < 7; ++i) requested += store.stream_version(StreamKey("requested", std::to_string(i))).value();
  EXPECT_EQ(requested, 2 * appends_each);
  const VerifyReport report = store.verify();
  for (const Violation& violation : report.violations) {
    ADD_FAILURE() << violation.guarantee << " " << violation.where << ": " << violation.what;
  }
}

TEST_P(Processes, twelve_processes_migrate_an_empty_place_at_once) {
  const int rounds = GetParam() == "mssql" ? 2 : 5;  // There it takes minutes.
  for (int round = 0; round < rounds; ++round) {
    const Place& folder = place();
    std::vector<std::unique_ptr<WorkerProcess>> workers;
    for (int p = 0; p < 12; ++p) {
      workers.push_back(std::make_unique<WorkerProcess>(std::vector<std::string>{"migrate", folder.url()}));
    }
    for (const auto& worker : workers) EXPECT_EQ(worker->wait(), 0);
    EventStore store = stele::open(folder.url());
    driver::MigrationStore& migrations = *store.driver().migrations();
    std::vector<int> numbers;
    for (const driver::MigrationRecord& record : migrations.history()) numbers.push_back(record.number);
    std::vector<int> expected;
    for (const driver::Migration& migration : migrations.migrations()) expected.push_back(migration.number);
    EXPECT_EQ(numbers, expected) << "history has each migration once";
  }
}

INSTANTIATE_TEST_SUITE_P(On, Processes, ::testing::ValuesIn(place_names()), name_of_place);

}  // namespace
}  // namespace stele::testing
