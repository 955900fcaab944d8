// G12 and G4 against SIGKILL: what was acknowledged is there, and nothing is there in part.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "place.h"
#include "stele/backends.h"
#include "worker_process.h"

namespace stele::testing {
namespace {

constexpr int threads = 4;

struct Acknowledged {
  std::string stream;
  std::int64_t first;
  std::int64_t last;
  std::int64_t batch;
};

std::vector<Acknowledged> acknowledged(const WorkerProcess& worker) {
  std::vector<Acknowledged> all;
  for (const std::string& line : worker.lines()) {
    std::istringstream words(line);
    std::string word;
    Acknowledged ack;
    words >> word >> ack.stream >> ack.first >> ack.last >> ack.batch;
    EXPECT_EQ(word, "ACK") << line;
    all.push_back(ack);
  }
  return all;
}

/// Checks one round's streams: batches whole and in order, acknowledged ones where they were promised to be.
void check_streams(EventStore& store, const std::string& name, const std::vector<Acknowledged>& acks) {
  for (int t = 0; t < threads; ++t) {
    const std::string id = name + "-" + std::to_string(t);
    std::vector<std::int64_t> batches(1, 0);  // By version.
    std::int64_t batch = 0;
    std::int64_t index = 0;
    std::int64_t size = 0;
    for (const RecordedEvent& event : store.read_stream(StreamKey("crash", id))) {
      const nlohmann::json data = event.data.value();
      if (index == size) {
        ASSERT_EQ(data["batch"].get<std::int64_t>(), batch + 1) << id;
        batch = data["batch"];
        size = data["size"];
        index = 0;
      }
      ASSERT_EQ(data["batch"].get<std::int64_t>(), batch) << id;
      ASSERT_EQ(data["index"].get<std::int64_t>(), index) << id;
      ++index;
      batches.push_back(batch);
    }
    ASSERT_EQ(index, size) << id << ": the last batch is there in part";
    for (const Acknowledged& ack : acks) {
      if (ack.stream != id) continue;
      ASSERT_LT(static_cast<std::size_t>(ack.last), batches.size()) << id << ": an acknowledged append is missing";
      ASSERT_EQ(batches[static_cast<std::size_t>(ack.first)], ack.batch) << id;
      ASSERT_EQ(batches[static_cast<std::size_t>(ack.last)], ack.batch) << id;
    }
  }
}

class Crash : public PlaceTest {};

TEST_P(Crash, G12_kills_lose_nothing_acknowledged_and_leave_nothing_in_part) {
  // What a server does with a client that is gone is its own affair, and new connections are slow.
  const int kills = GetParam() == "sqlite" ? 50 : 8;
  const int longest = GetParam() == "sqlite" ? 60'000 : 600'000;  // Microseconds.
  const Place& folder = place();
  EventStore::open(default_registry(), folder.url(), {.migrate = true});
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::size_t promised = 0;
  for (int round = 0; round < kills; ++round) {
    const std::string name = "round" + std::to_string(round);
    WorkerProcess worker({"append", folder.url(), name, std::to_string(threads)});
    worker.wait_for_lines(2);  // So that it is killed among appends, however slow they are.
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution<>(0, longest)(random)));
    worker.kill();
    const std::vector<Acknowledged> acks = acknowledged(worker);
    ASSERT_FALSE(acks.empty()) << "the worker did not get to append";
    promised += acks.size();

    EventStore store = stele::open(folder.url());
    ASSERT_NO_FATAL_FAILURE(check_streams(store, name, acks));
    const VerifyReport report = store.verify();
    for (const Violation& violation : report.violations) {
      ADD_FAILURE() << violation.guarantee << " " << violation.where << ": " << violation.what;
    }
    ASSERT_TRUE(report.ok()) << "after kill " << round;
  }
  RecordProperty("acknowledged", static_cast<int>(promised));
  EXPECT_GT(promised, static_cast<std::size_t>(kills));
}

INSTANTIATE_TEST_SUITE_P(On, Crash, ::testing::ValuesIn(place_names()), name_of_place);

}  // namespace
}  // namespace stele::testing
