// G13 against SIGKILL: whatever was under way, the read model is what the log says.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <random>
#include <thread>

#include "place.h"
#include "projection_effects.h"
#include "stele/backends.h"
#include "stele/driver/driver.h"
#include "worker_process.h"

namespace stele::testing {
namespace {

constexpr int kills = 50;
constexpr int streams = 8;

std::vector<NewEvent> some_events(int count) {
  std::vector<NewEvent> events(static_cast<std::size_t>(count));
  for (NewEvent& event : events) {
    event.type = "Written";
    event.data = Json("{}");
  }
  return events;
}

/// Appends without a break, while it lives. The projection is never far behind, and never done.
class Appending {
 public:
  explicit Appending(const std::string& url) : store_(stele::open(url)), thread_([this] { run(); }) {}
  ~Appending() {
    over_ = true;
    thread_.join();
  }

 private:
  void run() {
    for (int i = 0; !over_; ++i) {
      try {
        const StreamKey stream("written", std::to_string(i % streams));
        store_.append(stream, ExpectedVersion::any(), some_events(1 + i % 5)).or_throw();
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  EventStore store_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// Gives back what the dead one held, as whoever looks after it could; otherwise its lease would have to run out.
void release_lease_of_the_dead(EventStore& store) {
  const auto state = store.driver().find_projection({"sums", ""});
  if (!state || !state->checkpoints.at(0).leased) return;
  const driver::PartState& part = state->checkpoints.at(0);
  store.driver().release_lease({part.key, part.holder, part.fence, part.position});
}

class ProjectionCrash : public PlaceTest {};

TEST_P(ProjectionCrash, G13_after_fifty_kills_the_read_model_is_what_the_log_says) {
  const Place& folder = place();
  const std::string tables = tables_of(folder.url());
  EventStore store = EventStore::open(default_registry(), folder.url(), {.migrate = true});
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::optional<Appending> appending(folder.url());
  Position before;
  int moved = 0;
  for (int round = 0; round < kills; ++round) {
    WorkerProcess worker({"project", folder.url(), "sums"});
    worker.wait_for_lines(1);
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution<>(0, 40'000)(random)));
    worker.kill();
    ASSERT_FALSE(worker.lines().empty()) << "the worker did not get to apply anything";
    const SumsState state = read_sums(store, "sums", tables);
    ASSERT_EQ(state.sums, computed_sums(store, state.checkpoint)) << "after kill " << round;
    moved += state.checkpoint > before ? 1 : 0;
    before = state.checkpoint;
    if (round % 10 != 9) release_lease_of_the_dead(store);  // Now and then it runs out, as it has to elsewhere.
  }
  RecordProperty("moved", moved);
  EXPECT_GT(moved, kills / 4) << "the kills came before anything was committed";
  appending.reset();
  release_lease_of_the_dead(store);
  SumsProjection projection("sums", tables);
  EXPECT_GE(run_projection(store, projection), store.log_end());
  const SumsState state = read_sums(store, "sums", tables);
  EXPECT_EQ(state.sums, computed_sums(store, store.log_end()));
}

INSTANTIATE_TEST_SUITE_P(On, ProjectionCrash, ::testing::ValuesIn(place_names()),
                         [](const ::testing::TestParamInfo<std::string>& name) { return name.param; });

}  // namespace
}  // namespace stele::testing
