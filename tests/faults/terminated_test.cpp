// Connections that the server ends while they are used.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <thread>

#include "place.h"
#include "projection_effects.h"
#include "stele/backends.h"
#include "stele/driver/driver.h"

namespace stele::testing {
namespace {

constexpr int threads = 8;
// 5,000 in all; fewer where a sanitizer makes each of them slow.
const int appends_each = std::getenv("STELE_CONFORMANCE_QUICK") == nullptr ? 625 : 100;

AppendRequest request_of(int thread, int number) {
  AppendRequest request;
  Command command;
  command.key = {std::string(default_tenant), "terminated", std::to_string(thread) + "/" + std::to_string(number)};
  command.type = "Write";
  request.command = command;
  NewEvent event;
  event.type = "Written";
  event.data = Json("{\"number\":" + std::to_string(number) + "}");
  request.streams.push_back({StreamKey("terminated", std::to_string(thread % 5)), ExpectedVersion::any(), {event}});
  return request;
}

/// Ends two connections whenever a number more of `done` were reached, until it is told to stop: by progress and not by
/// time, for a slow machine would do nothing but connect.
class Terminator {
 public:
  Terminator(ServerPlace& place, const std::atomic<int>& done, int step)
      : thread_([this, &place, &done, step] {
          for (int next = done + step; !stop_;) {
            if (done < next) {
              std::this_thread::sleep_for(std::chrono::milliseconds(2));
              continue;
            }
            next = done + step;
            terminated_ += place.end_connections();
          }
        }) {}
  Terminator(const Terminator&) = delete;
  Terminator& operator=(const Terminator&) = delete;
  ~Terminator() { finish(); }

  int ended() const { return terminated_; }
  int finish() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return terminated_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> terminated_{0};
  std::thread thread_;
};

/// What `ask` answers. A connection whose end was asked for may last until it is used, and those of a pool one after
/// the other: asked again then, as the error says.
template <class Ask>
auto answer_of(Ask ask) {
  for (;;) {
    try {
      return ask();
    } catch (const Error& error) {
      if (!error.retryable()) throw;
    }
  }
}

class Terminated : public PlaceTest {
 protected:
  ServerPlace& server() {
    if (place_ == nullptr) place_ = make_server_place(GetParam());
    return *place_;
  }

 private:
  std::unique_ptr<ServerPlace> place_;
};

INSTANTIATE_TEST_SUITE_P(On, Terminated, ::testing::ValuesIn(server_names()), name_of_place);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Terminated);

TEST_P(Terminated, G5_G12_every_append_ends_as_applied_or_not_and_none_twice) {
  EventStore store = EventStore::open(default_registry(), server().recognised_url(), {.migrate = true});

  std::atomic<int> unknown{0};
  std::atomic<int> not_applied{0};
  std::atomic<int> appended{0};
  std::atomic<int> replayed{0};
  std::atomic<int> done{0};
  Terminator terminator(server(), done, server().operations_between());
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int n = 0; n < appends_each; ++n) {
        const AppendRequest request = request_of(t, n);
        for (bool in_doubt = false;;) {
          try {
            const AppendResult result = store.append(request).or_throw();
            ++(result.replayed() ? replayed : appended);
            EXPECT_TRUE(in_doubt || !result.replayed()) << "applied, and the caller was told that it was not";
            ++done;
            break;
          } catch (const Error& error) {
            // What a careful caller does: the same again, and the command says whether it had been applied.
            ++(error.outcome() == Outcome::unknown ? unknown : not_applied);
            in_doubt = in_doubt || error.outcome() == Outcome::unknown;
            ASSERT_TRUE(error.outcome() == Outcome::unknown || error.retryable()) << error.what();
          }
        }
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  EXPECT_GT(terminator.finish(), threads * appends_each / 100) << "too few connections were ended to show anything";

  // The store goes on by itself, and everything is there once.
  const StoreStats stats = answer_of([&] { return store.stats(); });
  EXPECT_EQ(stats.events, threads * appends_each);
  EXPECT_EQ(stats.commands, threads * appends_each);
  EXPECT_EQ(appended + replayed, threads * appends_each);
  const auto times = answer_of([&] {
    std::map<std::string, int> counted;
    for (const RecordedEvent& event : store.read_log()) ++counted[event.command->request_id];
    return counted;
  });
  EXPECT_EQ(times.size(), static_cast<std::size_t>(threads * appends_each));
  for (const auto& [request, count] : times) EXPECT_EQ(count, 1) << request;
  const VerifyReport report = answer_of([&] { return store.verify(); });
  for (const Violation& violation : report.violations) {
    ADD_FAILURE() << violation.guarantee << " " << violation.where << ": " << violation.what;
  }
  RecordProperty("unknown", unknown);
  RecordProperty("not_applied", not_applied);
}

// No event is to blame for a connection, whatever was going on in it: a dead letter would be a lost effect.
TEST_P(Terminated, G13_a_projection_has_each_effect_once) {
  const std::string url = server().recognised_url();
  EventStore store = EventStore::open(default_registry(), url, {.migrate = true});
  std::vector<AppendRequest> requests;
  for (int n = 0; n < 3'000; ++n) requests.push_back(request_of(n % threads, n));
  static_cast<void>(store.append_all(requests));
  const Position last = store.log_end();

  std::atomic<int> applied{0};
  std::atomic<int> troubles{0};
  const auto projection = std::make_shared<SumsProjection>("sums", tables_of(url));
  projection->applying = [&] { ++applied; };
  ProjectionOptions options;
  options.batch = 20;
  options.lease = std::chrono::milliseconds(1'000);
  options.on_error = {.retries = 0, .then = ErrorPolicy::Then::dead_letter};
  options.trouble = [&](const Error& error) {
    EXPECT_TRUE(error.retryable() || error.outcome() == Outcome::unknown) << error.what();
    ++troubles;
  };
  {
    Terminator terminator(server(), applied, server().operations_between());
    ProjectionRunner runner(store, projection, options);
    EXPECT_TRUE(runner.wait_for(last, std::chrono::minutes(5)));
    EXPECT_FALSE(runner.error());
    EXPECT_GT(terminator.finish(), 3) << "too few connections were ended to show anything";
  }
  EXPECT_GT(troubles, 0) << "none was ended while it was used";
  EXPECT_TRUE(answer_of([&] { return store.driver().list_dead_letters({"sums", ""}, 10); }).empty());
  EXPECT_EQ(answer_of([&] { return read_sums(store, "sums", tables_of(url)); }).sums,
            answer_of([&] { return computed_sums(store, last); }));
  RecordProperty("troubles", troubles);
}

TEST_P(Terminated, a_reader_goes_on_where_it_was) {
  EventStore store = EventStore::open(default_registry(), server().recognised_url(), {.migrate = true});
  std::vector<AppendRequest> requests;
  for (int n = 0; n < 3'000; ++n) requests.push_back(request_of(0, n));
  static_cast<void>(store.append_all(requests));

  std::atomic<int> read{0};
  Terminator terminator(server(), read, 25 * server().operations_between());
  for (int round = 0; round < 5 || (terminator.ended() < 2 && round < 500); ++round) {
    std::int64_t count = 0;
    Position last;
    EventReader reader = store.read_log();
    for (;;) {
      const RecordedEvent* event = nullptr;
      try {
        event = reader.next();
      } catch (const Error& error) {
        ASSERT_TRUE(error.retryable()) << error.what();
        continue;
      }
      if (event == nullptr) break;
      ASSERT_GT(event->position, last);
      last = event->position;
      ++count;
      ++read;
    }
    ASSERT_EQ(count, 3'000);
  }
  EXPECT_GT(terminator.finish(), 1);
}

}  // namespace
}  // namespace stele::testing
