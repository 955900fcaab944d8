// Many writers and readers at once: one winner, nothing lost, nothing half done.
#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "support.h"

namespace stele::testing {
namespace {

constexpr int writers = 8;

/// Two drivers on one storage, so that the threads of a case meet inside a driver and between drivers.
class TwoStores {
 public:
  explicit TwoStores(Harness& harness) : first_(open_store(harness)), second_(open_store(harness)) {}
  EventStore& operator[](int thread) { return thread % 2 == 0 ? first_ : second_; }

 private:
  EventStore first_;
  EventStore second_;
};

/// What the threads of one round were answered, by thread.
std::vector<AppendResult> race(TwoStores& stores, const std::function<AppendRequest(int)>& make) {
  std::vector<AppendResult> results(writers);
  in_threads(writers, [&](int i) { results[static_cast<std::size_t>(i)] = stores[i].append(make(i)); });
  return results;
}

int count(const std::vector<AppendResult>& results, AppendStatus status) {
  return static_cast<int>(std::ranges::count(results, status, &AppendResult::status));
}

/// One result is appended; all others are replays of it.
void expect_one_append_and_replays(const std::vector<AppendResult>& results) {
  ASSERT_EQ(count(results, AppendStatus::appended), 1);
  const AppendResult& winner = *std::ranges::find(results, AppendStatus::appended, &AppendResult::status);
  for (const AppendResult& result : results) {
    if (&result != &winner) expect_replay_of(winner, result);
  }
}

/// Events that name the append they came with.
std::vector<NewEvent> batch(int size, const std::string& name) {
  std::vector<NewEvent> made;
  for (int i = 0; i < size; ++i) made.push_back(event("happened", R"({"batch":")" + name + "\"}"));
  return made;
}

// --- Expected versions

void one_winner_for_each_version(Harness& harness) {
  TwoStores stores(harness);
  const StreamKey stream = thing("contested");
  const int all = rounds(40, 5);
  for (int round = 0; round < all; ++round) {
    const std::vector<AppendResult> results =
        race(stores, [&](int) { return request(stream, ExpectedVersion::exactly(round), events(1, round + 1)); });
    ASSERT_EQ(count(results, AppendStatus::appended), 1) << "round " << round;
    for (const AppendResult& result : results) {
      if (!result.ok()) expect_conflict(result, stream, ExpectedVersion::exactly(round), round + 1);
    }
  }
  std::vector<int> wanted;
  for (int n = 1; n <= all; ++n) wanted.push_back(n);
  expect_numbers(stores[0], stream, wanted);
}

void retried_increments_lose_no_update(Harness& harness) {
  TwoStores stores(harness);
  const StreamKey stream = thing("counter");
  const int each = rounds(15, 3);
  in_threads(writers, [&](int i) {
    for (int done = 0; done < each;) {
      const std::int64_t version = stores[i].stream_version(stream).value();
      const AppendResult result =
          stores[i].append(stream, ExpectedVersion::exactly(version), events(1, static_cast<int>(version) + 1));
      if (result.ok()) ++done;
    }
  });
  std::vector<int> wanted;
  for (int n = 1; n <= writers * each; ++n) wanted.push_back(n);
  expect_numbers(stores[1], stream, wanted);
}

void appends_without_expectation_all_succeed(Harness& harness) {
  TwoStores stores(harness);
  const StreamKey stream = thing("busy");
  const int each = rounds(20, 4);
  std::mutex mutex;
  std::set<std::int64_t> answered;
  in_threads(writers, [&](int i) {
    for (int done = 0; done < each; ++done) {
      const AppendResult result = stores[i].append(stream, ExpectedVersion::any(), events(3));
      ASSERT_TRUE(result.ok()) << describe(result);
      const StreamOutcome& outcome = result.streams.at(0);
      EXPECT_EQ(outcome.last_version.value() - outcome.first_version.value(), 2);
      const std::lock_guard lock(mutex);
      for (std::int64_t version : numbers(outcome.first_version.value(), outcome.last_version.value())) {
        EXPECT_TRUE(answered.insert(version).second) << "version " << version << " was given to two appends";
      }
    }
  });
  const std::int64_t total = std::int64_t{3} * writers * each;
  EXPECT_EQ(static_cast<std::int64_t>(answered.size()), total);
  EXPECT_EQ(versions(stream_events(stores[0], stream)), numbers(1, total));
}

void one_winner_creates_a_stream(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  for (int round = 0; round < all; ++round) {
    const StreamKey stream = thing("new-" + std::to_string(round));
    const std::vector<AppendResult> results =
        race(stores, [&](int i) { return request(stream, ExpectedVersion::no_stream(), events(2, 10 * i)); });
    EXPECT_EQ(count(results, AppendStatus::appended), 1);
    EXPECT_EQ(count(results, AppendStatus::conflict), writers - 1);
    EXPECT_EQ(stores[0].stream_version(stream).value(), 2);
  }
}

// Each writes to its own stream if the other's does not exist: with snapshots alone both would see nothing.
void conditions_hold_until_the_commit(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(40, 5);
  for (int round = 0; round < all; ++round) {
    const std::array<StreamKey, 2> streams{thing("left-" + std::to_string(round)),
                                           thing("right-" + std::to_string(round))};
    std::array<AppendResult, 2> results;
    in_threads(2, [&](int i) {
      const auto mine = static_cast<std::size_t>(i);
      AppendRequest append = request(streams[mine], ExpectedVersion::no_stream(), events(1));
      append.conditions.push_back({streams[1 - mine], ExpectedVersion::no_stream()});
      results[mine] = stores[i].append(append);
    });
    const std::size_t winner = results[0].ok() ? 0 : 1;
    ASSERT_TRUE(results[winner].ok()) << describe(results[0]) << describe(results[1]);
    expect_conflict(results[1 - winner], streams[winner], ExpectedVersion::no_stream(), 1);
    EXPECT_EQ(stores[0].stream_version(streams[1 - winner]).value(), 0);
  }
}

void one_winner_takes_all_streams_of_an_append(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  const std::array<StreamKey, 3> streams{thing("a"), thing("b"), thing("c")};
  for (int round = 0; round < all; ++round) {
    const std::vector<AppendResult> results = race(stores, [&](int i) {
      // Every thread names them in another order.
      AppendRequest append;
      for (std::size_t k = 0; k < streams.size(); ++k) {
        const StreamKey& stream = streams[(k + static_cast<std::size_t>(i)) % streams.size()];
        append.streams.push_back({stream, ExpectedVersion::exactly(round), events(1, i)});
      }
      return append;
    });
    ASSERT_EQ(count(results, AppendStatus::appended), 1) << "round " << round;
    EXPECT_EQ(count(results, AppendStatus::conflict), writers - 1);
    std::set<std::string> data;
    for (const StreamKey& stream : streams) {
      const std::vector<RecordedEvent> stored = stream_events(stores[0], stream);
      ASSERT_EQ(stored.size(), static_cast<std::size_t>(round + 1)) << stream.to_string();
      data.insert(stored.back().data.canonical());
    }
    EXPECT_EQ(data.size(), 1u) << "the streams have events of different winners";
  }
}

// --- Repetitions

void one_append_for_one_request_key(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  for (int round = 0; round < all; ++round) {
    const StreamKey stream = thing("ordered-" + std::to_string(round));
    const std::vector<AppendResult> results = race(stores, [&](int) {
      return request(command("request-" + std::to_string(round)), stream, ExpectedVersion::no_stream(), events(2));
    });
    expect_one_append_and_replays(results);
    expect_numbers(stores[0], stream, {1, 2});
  }
  EXPECT_EQ(stores[0].stats().commands, all);
}

void one_request_owns_a_request_key(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  for (int round = 0; round < all; ++round) {
    const std::string id = std::to_string(round);
    const std::vector<AppendResult> results = race(stores, [&](int i) {
      return request(command(id), thing(id + "-" + std::to_string(i)), ExpectedVersion::any(), events(1, i));
    });
    ASSERT_EQ(count(results, AppendStatus::appended), 1) << "round " << round;
    EXPECT_EQ(count(results, AppendStatus::request_id_reused), writers - 1);
  }
  EXPECT_EQ(stores[0].stats().events, all);
}

void one_append_for_one_command_without_events(Harness& harness) {
  TwoStores stores(harness);
  std::vector<AppendResult> results(writers);
  in_threads(writers,
             [&](int i) { results[static_cast<std::size_t>(i)] = stores[i].record_command(command("nothing-to-do")); });
  expect_one_append_and_replays(results);
  EXPECT_EQ(stores[0].stats().commands, 1);
}

void one_append_for_the_same_event_ids(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  for (int round = 0; round < all; ++round) {
    const StreamKey stream = thing("ids-" + std::to_string(round));
    const std::vector<AppendResult> results = race(stores, [&](int) {
      return request(stream, ExpectedVersion::any(), events_with_ids({2 * round + 1, 2 * round + 2}));
    });
    expect_one_append_and_replays(results);
    expect_numbers(stores[0], stream, {2 * round + 1, 2 * round + 2});
  }
}

void one_event_owns_an_event_id(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  for (int round = 0; round < all; ++round) {
    const std::vector<AppendResult> results = race(stores, [&](int i) {
      return request(thing(std::to_string(round) + "-" + std::to_string(i)), ExpectedVersion::any(),
                     events_with_ids({round + 1}));
    });
    ASSERT_EQ(count(results, AppendStatus::appended), 1) << "round " << round;
    EXPECT_EQ(count(results, AppendStatus::duplicate_event_id), writers - 1);
  }
  EXPECT_EQ(stores[0].stats().events, all);
  EXPECT_EQ(stores[0].stats().streams, all);
}

void one_append_for_one_idempotency_key(Harness& harness) {
  TwoStores stores(harness);
  const int all = rounds(20, 4);
  for (int round = 0; round < all; ++round) {
    const StreamKey stream = thing("keyed-" + std::to_string(round));
    const std::vector<AppendResult> results = race(stores, [&](int) {
      std::vector<NewEvent> made = events(1);
      made[0].idempotency_key = "only-once";
      return request(stream, ExpectedVersion::any(), made);
    });
    expect_one_append_and_replays(results);
    expect_numbers(stores[0], stream, {1});
  }
}

// --- Several streams

void opposite_orders_do_not_deadlock(Harness& harness) {
  TwoStores stores(harness);
  const int each = rounds(20, 4);
  in_threads(writers, [&](int i) {
    for (int done = 0; done < each; ++done) {
      AppendRequest append;
      append.streams.push_back({thing(i / 2 % 2 == 0 ? "a" : "b"), ExpectedVersion::any(), events(1)});
      append.streams.push_back({thing(i / 2 % 2 == 0 ? "b" : "a"), ExpectedVersion::any(), events(1)});
      const AppendResult result = stores[i].append(append);
      EXPECT_TRUE(result.ok()) << describe(result);
    }
  });
  for (const char* id : {"a", "b"}) {
    EXPECT_EQ(versions(stream_events(stores[0], thing(id))), numbers(1, writers * each)) << id;
  }
}

void readers_see_whole_appends(Harness& harness) {
  TwoStores stores(harness);
  constexpr int batch_size = 7;
  constexpr int writing = 4;
  const int each = rounds(30, 10);
  std::atomic<int> still_writing = writing;
  in_threads(writing + 2, [&](int i) {
    if (i < writing) {
      const Leaving leaving(still_writing);
      for (int done = 0; done < each; ++done) {
        const std::string name = std::to_string(i) + "-" + std::to_string(done);
        AppendRequest append = request(thing("first"), ExpectedVersion::any(), batch(batch_size, name));
        append.streams.push_back({thing("second"), ExpectedVersion::any(), batch(batch_size, name)});
        EXPECT_TRUE(stores[i].append(append).ok());
      }
      return;
    }
    for (bool last = false; !last;) {
      last = still_writing == 0;
      const std::size_t in_stream = stream_events(stores[i], thing("first")).size();
      EXPECT_EQ(in_stream % batch_size, 0u) << "a part of an append is in the stream";
      // The streams grow together, so what is read later is never behind.
      const std::int64_t first = stores[i].stream_version(thing("first")).value();
      const std::int64_t second = stores[i].stream_version(thing("second")).value();
      EXPECT_GE(second, first);
      EXPECT_GE(stores[i].stream_version(thing("first")).value(), second);
      std::map<std::string, int> seen;
      for (const RecordedEvent& event : log_events(stores[i])) ++seen[event.data.canonical()];
      for (const auto& [name, events] : seen) {
        EXPECT_EQ(events, 2 * batch_size) << "a part of " << name << " is in the log";
      }
    }
  });
  EXPECT_EQ(stores[0].stats().events, writing * each * 2 * batch_size);
}

// --- append_all

void conflicts_in_append_all_harm_nobody(Harness& harness) {
  TwoStores stores(harness);
  const StreamKey taken = thing("taken");
  ASSERT_TRUE(stores[0].append(taken, ExpectedVersion::no_stream(), events(1)).ok());
  const int each = rounds(10, 2);
  constexpr int in_call = 9;
  in_threads(writers, [&](int i) {
    for (int done = 0; done < each; ++done) {
      const StreamKey mine = thing("of-" + std::to_string(i));
      std::vector<AppendRequest> requests;
      for (int k = 0; k < in_call; ++k) {
        // Every third one has to fail; the others follow one another in the thread's own stream.
        const int next = (in_call - in_call / 3) * done + k - k / 3;
        requests.push_back(k % 3 == 2 ? request(taken, ExpectedVersion::no_stream(), events(1))
                                      : request(mine, ExpectedVersion::exactly(next), events(1, next + 1)));
      }
      const std::vector<AppendResult> results = stores[i].append_all(requests);
      ASSERT_EQ(results.size(), requests.size());
      for (int k = 0; k < in_call; ++k) {
        const AppendResult& result = results[static_cast<std::size_t>(k)];
        if (k % 3 == 2) {
          expect_conflict(result, taken, ExpectedVersion::no_stream(), 1);
        } else {
          const int next = (in_call - in_call / 3) * done + k - k / 3;
          expect_appended(result, next + 1, next + 1);
        }
      }
    }
  });
  std::vector<int> wanted;
  for (int n = 1; n <= (in_call - in_call / 3) * each; ++n) wanted.push_back(n);
  for (int i = 0; i < writers; ++i) expect_numbers(stores[0], thing("of-" + std::to_string(i)), wanted);
  expect_numbers(stores[0], taken, {1});
}

void racing_calls_of_append_all_write_each_command_once(Harness& harness) {
  TwoStores stores(harness);
  constexpr int commands = 20;
  std::vector<std::vector<AppendResult>> results(writers);
  in_threads(writers, [&](int i) {
    std::vector<AppendRequest> requests;
    for (int k = 0; k < commands; ++k) {
      // Half of the threads work backwards.
      const int n = i % 4 < 2 ? k : commands - 1 - k;
      requests.push_back(
          request(command(std::to_string(n)), thing(std::to_string(n)), ExpectedVersion::any(), events(1, n)));
    }
    std::vector<AppendResult> mine = stores[i].append_all(requests);
    ASSERT_EQ(mine.size(), requests.size());
    if (i % 4 >= 2) std::ranges::reverse(mine);
    results[static_cast<std::size_t>(i)] = std::move(mine);
  });
  for (std::size_t n = 0; n < commands; ++n) {
    std::vector<AppendResult> of_one;
    for (const std::vector<AppendResult>& mine : results) {
      ASSERT_EQ(mine.size(), static_cast<std::size_t>(commands));
      of_one.push_back(mine[n]);
    }
    expect_one_append_and_replays(of_one);
    expect_numbers(stores[0], thing(std::to_string(n)), {static_cast<int>(n)});
  }
  EXPECT_EQ(stores[0].stats().commands, commands);
}

// --- Contents

void threads_do_not_mix_their_events(Harness& harness) {
  TwoStores stores(harness);
  const int each = rounds(20, 4);
  in_threads(writers, [&](int i) {
    const StreamKey mine = thing("mine-" + std::to_string(i));
    std::vector<NewEvent> written;
    for (int done = 0; done < each; ++done) {
      NewEvent made = full_event(10 * i + done % 10);
      made.event_id.reset();
      made.idempotency_key = std::to_string(done);
      // Sizes differ from thread to thread and from event to event.
      made.data = json(R"({"filler":")" +
                       std::string(static_cast<std::size_t>(50 * i + 13 * done), static_cast<char>('a' + i)) + "\"}");
      ASSERT_TRUE(stores[i].append(mine, ExpectedVersion::exactly(done), {made}).ok());
      written.push_back(std::move(made));
      const std::vector<RecordedEvent> stored = stream_events(stores[i + 1], mine);
      ASSERT_EQ(stored.size(), written.size());
      for (std::size_t k = 0; k < stored.size(); ++k) expect_stored(written[k], stored[k]);
    }
  });
}

constexpr Case all_concurrency_cases[] = {
    {"G3", "one_winner_for_each_version", one_winner_for_each_version},
    {"G3", "retried_increments_lose_no_update", retried_increments_lose_no_update},
    {"G2", "appends_without_expectation_all_succeed", appends_without_expectation_all_succeed},
    {"G3", "one_winner_creates_a_stream", one_winner_creates_a_stream},
    {"G3", "conditions_hold_until_the_commit", conditions_hold_until_the_commit},
    {"G4", "one_winner_takes_all_streams_of_an_append", one_winner_takes_all_streams_of_an_append},
    {"G5", "one_append_for_one_request_key", one_append_for_one_request_key},
    {"G5", "one_request_owns_a_request_key", one_request_owns_a_request_key},
    {"G5", "one_append_for_one_command_without_events", one_append_for_one_command_without_events},
    {"G6", "one_append_for_the_same_event_ids", one_append_for_the_same_event_ids},
    {"G6", "one_event_owns_an_event_id", one_event_owns_an_event_id},
    {"G6", "one_append_for_one_idempotency_key", one_append_for_one_idempotency_key},
    {"G4", "opposite_orders_do_not_deadlock", opposite_orders_do_not_deadlock},
    {"G4", "readers_see_whole_appends", readers_see_whole_appends},
    {"G4", "conflicts_in_append_all_harm_nobody", conflicts_in_append_all_harm_nobody},
    {"G5", "racing_calls_of_append_all_write_each_command_once", racing_calls_of_append_all_write_each_command_once},
    {"API", "threads_do_not_mix_their_events", threads_do_not_mix_their_events},
};

}  // namespace

std::span<const Case> concurrency_cases() {
  return all_concurrency_cases;
}

}  // namespace stele::testing
