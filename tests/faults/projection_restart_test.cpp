// A PostgreSQL server restarts under running subscriptions and projections. Only where the server is one that may be
// restarted: STELE_TEST_MAY_RESTART_POSTGRES says so, see CMakeLists.txt.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "../backends/postgres_server.h"
#include "projection_effects.h"
#include "stele/backends.h"

namespace stele::testing {
namespace {

constexpr int subscriptions = 10;
constexpr int projections = 10;
constexpr int writers = 2;
constexpr std::chrono::seconds patience{120};

/// The server's own programs and files, as it says itself.
class Server {
 public:
  Server() {
    PostgresConnection connection("public");
    data_ = connection.value("SHOW data_directory");
    programs_ = connection.value("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
  }

  /// `mode`: "fast", or "immediate", which is a crash.
  bool restart(const std::string& mode) const {
    const std::string as_server = ::getuid() == 0 ? "runuser -u postgres -- " : "";  // It refuses to run as root.
    // Where it was started: its options name the folder as they did then.
    const std::string command = "cd '" + data_.parent_path().string() + "' && " + as_server + "'" + programs_ +
                                "/pg_ctl' restart -D '" + data_.filename().string() + "' -m " + mode +
                                " -w -s -l log < /dev/null > /dev/null 2>&1";
    return std::system(command.c_str()) == 0;
  }

 private:
  std::filesystem::path data_;
  std::string programs_;
};

/// Appends until it is over, each append again and again until it is known to be there.
class Writing {
 public:
  explicit Writing(const std::string& url) : store_(stele::open(url)) {
    for (int i = 0; i < writers; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~Writing() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  /// Waits until so many more were appended.
  void wait_for(int more) const {
    const int wanted = done_ + more;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (done_ < wanted && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_GE(done_, wanted) << "appends do not go on";
  }
  int done() const { return done_; }

 private:
  void run(int thread) {
    for (int i = 0; !over_; ++i) {
      NewEvent event;
      event.type = "Written";
      event.data = Json("{}");
      event.event_id = Uuid::v7();
      AppendRequest request;
      request.streams.push_back({StreamKey("written", std::to_string(thread) + "-" + std::to_string(i % 5)),
                                 ExpectedVersion::any(),
                                 {event}});
      while (true) {
        try {
          store_.append(request).or_throw();
          break;
        } catch (const Error&) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
      }
      ++done_;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  EventStore store_;
  std::atomic<bool> over_ = false;
  std::atomic<int> done_ = 0;
  std::vector<std::thread> threads_;
};

/// What a handler was given.
class Seen {
 public:
  void add(const RecordedEvent& event) {
    const std::lock_guard lock(mutex_);
    positions_.push_back(event.position.value());
  }
  std::vector<std::int64_t> positions() const {
    const std::lock_guard lock(mutex_);
    return positions_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::int64_t> positions_;
};

TEST(PostgresRestart, G13_twenty_followers_lose_nothing_and_double_nothing) {
  if (std::getenv("STELE_TEST_MAY_RESTART_POSTGRES") == nullptr) {
    GTEST_SKIP() << "only with a server of its own: ctest starts one";
  }
  const Server server;
  const PostgresSchema schema;
  EventStore store = open_postgres(schema.url("connections=24"));
  std::vector<Seen> seen(subscriptions);
  std::vector<Subscription> followers;
  for (int i = 0; i < subscriptions; ++i) {
    SubscriptionOptions options;
    if (i % 2 == 0) options.name = "subscription_" + std::to_string(i);
    Seen& to = seen[static_cast<std::size_t>(i)];
    followers.emplace_back(store, options, [&to](const RecordedEvent& event) { to.add(event); });
  }
  std::vector<ProjectionRunner> runners;
  for (int i = 0; i < projections; ++i) {
    runners.emplace_back(store, std::make_shared<SumsProjection>("sums_" + std::to_string(i)));
  }
  {
    const Writing writing(schema.url("connections=4"));
    writing.wait_for(100);
    for (const char* mode : {"fast", "immediate", "fast", "immediate"}) {
      ASSERT_TRUE(server.restart(mode)) << mode;
      writing.wait_for(200);
    }
    RecordProperty("appends", writing.done());
  }
  const Position last = store.log_end();
  std::vector<std::int64_t> all;
  for (const RecordedEvent& event : store.read_log()) all.push_back(event.position.value());
  EXPECT_GE(all.size(), 900u);
  for (int i = 0; i < subscriptions; ++i) {
    Subscription& follower = followers[static_cast<std::size_t>(i)];
    ASSERT_TRUE(follower.wait_for(last, patience)) << "subscription " << i;
    follower.stop();
    EXPECT_EQ(seen[static_cast<std::size_t>(i)].positions(), all) << "subscription " << i;
  }
  const StreamSums wanted = computed_sums(store, last);
  for (int i = 0; i < projections; ++i) {
    ProjectionRunner& runner = runners[static_cast<std::size_t>(i)];
    ASSERT_TRUE(runner.wait_for(last, patience)) << "projection " << i;
    EXPECT_FALSE(runner.error()) << "projection " << i;
    EXPECT_EQ(read_sums(store, "sums_" + std::to_string(i)).sums, wanted) << "projection " << i;
  }
}

}  // namespace
}  // namespace stele::testing
