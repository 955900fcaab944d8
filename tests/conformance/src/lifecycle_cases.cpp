// Opening, closing and opening again; several drivers on one storage; a database that others hold.
#include <chrono>
#include <thread>

#include "support.h"

namespace stele::testing {
namespace {

void fill_some(EventStore& store) {
  ASSERT_TRUE(
      store.append(request(command("r-1"), thing("a"), ExpectedVersion::any(), {full_event(1), full_event(2)})).ok());
  ASSERT_TRUE(store.append(thing("b"), ExpectedVersion::any(), events(3)).ok());
  ASSERT_TRUE(store.record_command(command("without-events")).ok());
}

// --- Durable

void everything_is_there_after_opening_again(Harness& harness) {
  std::string before;
  AppendRequest last = request(command("r-2"), thing("a"), ExpectedVersion::exactly(2), events_with_ids({50}));
  AppendResult result;
  {
    EventStore store = open_store(harness);
    fill_some(store);
    result = store.append(last);
    expect_appended(result, 3, 3);
    before = contents(store) + describe(store.find_command(last.command->key).value());
  }
  EventStore store = open_store(harness);
  EXPECT_EQ(contents(store) + describe(store.find_command(last.command->key).value()), before);
  expect_replay_of(result, store.append(last));
  last.command.reset();
  expect_status(AppendStatus::duplicate_event_id, store.append(last));  // It was written under a command.
  expect_conflict(store.append(thing("a"), ExpectedVersion::exactly(2), events(1)), thing("a"),
                  ExpectedVersion::exactly(2), 3);
  EXPECT_TRUE(store.verify().ok());
}

void streams_and_positions_go_on_after_opening_again(Harness& harness) {
  std::int64_t last = 0;
  for (int i = 0; i < 6; ++i) {
    EventStore store = open_store(harness);
    const AppendResult result = store.append(thing("a"), ExpectedVersion::exactly(2 * i), events(2, 2 * i + 1));
    expect_appended(result, 2 * i + 1, 2 * i + 2);
    EXPECT_GT(result.streams[0].first_position.value(), last);
    last = result.last_position().value();
    if (i % 2 == 0) store.close();
  }
  EventStore store = open_store(harness);
  expect_numbers(store, thing("a"), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_TRUE(store.verify().ok());
}

void a_large_append_is_there_after_opening_again(Harness& harness) {
  constexpr int count = 3000;
  {
    EventStore store = open_store(harness);
    expect_appended(store.append(thing("large"), ExpectedVersion::no_stream(), events(count)), 1, count);
  }
  EventStore store = open_store(harness);
  EXPECT_EQ(versions(stream_events(store, thing("large"))), numbers(1, count));
}

// --- Several drivers

void drivers_of_one_storage_see_each_other(Harness& harness) {
  EventStore first = open_store(harness);
  EventStore second = open_store(harness);
  EventStore third = open_store(harness);
  for (int i = 0; i < 10; ++i) {
    EventStore& writing = i % 2 == 0 ? first : second;
    EventStore& reading = i % 2 == 0 ? second : first;
    const AppendRequest append =
        request(command(std::to_string(i)), thing("a"), ExpectedVersion::exactly(i), events(1, i + 1));
    const AppendResult result = writing.append(append);
    expect_appended(result, i + 1, i + 1);
    // At once: what was acknowledged is visible to everybody.
    EXPECT_EQ(reading.stream_version(thing("a")).value(), i + 1);
    EXPECT_EQ(third.stream_version(thing("a")).value(), i + 1);
    EXPECT_TRUE(reading.is_command_processed(append.command->key));
    expect_replay_of(result, reading.append(append));
    expect_conflict(reading.append(thing("a"), ExpectedVersion::exactly(i), events(1)), thing("a"),
                    ExpectedVersion::exactly(i), i + 1);
  }
  EXPECT_EQ(contents(first), contents(second));
  EXPECT_EQ(contents(first), contents(third));
}

void closing_one_store_leaves_the_others(Harness& harness) {
  EventStore first = open_store(harness);
  EventStore second = open_store(harness);
  fill_some(first);
  first.close();
  expect_appended(second.append(thing("a"), ExpectedVersion::exactly(2), events(1, 3)), 3, 3);
  EventStore third = open_store(harness);
  EXPECT_EQ(contents(second), contents(third));
}

// --- Closed

void every_call_after_close_says_so(Harness& harness) {
  EventStore keeps_the_storage = open_store(harness);
  EventStore store = open_store(harness);
  fill_some(store);
  const std::string before = contents(keeps_the_storage);
  EventReader half_read = store.read_stream(thing("a"));
  store.close();
  store.close();
  const auto expect_closed = [](const std::function<void()>& call) { expect_error(ErrorCode::closed, "closed", call); };
  const std::vector<AppendRequest> requests = {request(thing("a"), ExpectedVersion::any(), events(1))};
  expect_closed([&] { store.append(requests[0]); });
  expect_closed([&] { store.append(thing("a"), ExpectedVersion::any(), events(1)); });
  expect_closed([&] { store.append_all(requests); });
  expect_closed([&] { store.record_command(command("r-9")); });
  expect_closed([&] { store.is_command_processed(command("r-1").key); });
  expect_closed([&] { store.is_command_processed(uuid(1)); });
  expect_closed([&] { store.find_command(command("r-1").key); });
  expect_closed([&] { store.find_command(uuid(1)); });
  expect_closed([&] { store.list_commands(thing("a")); });
  expect_closed([&] { read_all(store.read_stream(thing("a"))); });
  expect_closed([&] { read_all(store.read_log()); });
  expect_closed([&] { half_read.next(); });
  expect_closed([&] { store.find_event(uuid(1)); });
  expect_closed([&] { store.stream_info(thing("a")); });
  expect_closed([&] { store.stream_version(thing("a")); });
  expect_closed([&] { store.list_streams(); });
  expect_closed([&] { store.stats(); });
  expect_closed([&] { store.verify(); });
  expect_closed([&] { store.driver(); });
  EXPECT_EQ(contents(keeps_the_storage), before);
}

void a_moved_store_is_the_same_store(Harness& harness) {
  EventStore first = open_store(harness);
  fill_some(first);
  const std::string before = contents(first);
  EventReader reader = first.read_stream(thing("b"));
  EventStore second = std::move(first);
  EXPECT_EQ(contents(second), before);
  EXPECT_EQ(versions(read_all(std::move(reader))), numbers(1, 3));
  EventStore third = open_store(harness);
  third = std::move(second);
  expect_appended(third.append(thing("b"), ExpectedVersion::exactly(3), events(1)), 4, 4);
}

// --- A database that others hold

void expect_busy(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  try {
    call();
    ADD_FAILURE() << "a write succeeded while another transaction held the database";
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.code()), "busy") << error.what();
    EXPECT_TRUE(error.retryable());
    EXPECT_EQ(to_string(error.outcome()), "not_applied");
    EXPECT_FALSE(error.backend().empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60)) << "the deadline did not hold";
}

void a_held_database_gives_busy_and_applies_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  fill_some(store);
  const std::string before = contents(store);
  const AppendRequest append = request(command("r-9"), thing("a"), ExpectedVersion::any(), events(2));
  harness.hold_write_lock([&] {
    expect_busy([&] { store.append(append); });
    EXPECT_EQ(contents(store), before) << "readers see what is committed meanwhile";
  });
  EXPECT_EQ(contents(store), before);
  // The same call succeeds when the database is free.
  expect_appended(store.append(append), 3, 4);
  EXPECT_TRUE(store.verify().ok());
}

void held_calls_of_several_threads_are_busy_and_free_again(Harness& harness) {
  EventStore store = open_store(harness);
  fill_some(store);
  const std::string before = contents(store);
  harness.hold_write_lock([&] {
    in_threads(4, [&](int i) {
      const StreamKey mine = thing("thread-" + std::to_string(i));
      expect_busy([&] {
        if (i % 2 == 0) {
          store.append(mine, ExpectedVersion::any(), events(1));
        } else {
          store.append_all(std::vector{request(mine, ExpectedVersion::any(), events(1))});
        }
      });
    });
  });
  EXPECT_EQ(contents(store), before);
  in_threads(4, [&](int i) {
    expect_appended(store.append(thing("thread-" + std::to_string(i)), ExpectedVersion::no_stream(), events(1)), 1, 1);
  });
}

void a_write_waits_for_a_database_that_is_soon_free(Harness& harness) {
  EventStore store = open_store(harness);
  fill_some(store);
  std::jthread writer;
  AppendResult result;
  std::string failure;
  harness.hold_write_lock([&] {
    writer = std::jthread([&] {
      try {
        result = store.append(thing("a"), ExpectedVersion::exactly(2), events(1));
      } catch (const std::exception& error) {
        failure = error.what();
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  });
  writer.join();
  EXPECT_EQ(failure, "");
  expect_appended(result, 3, 3);
}

constexpr Case all_lifecycle_cases[] = {
    {"G12", "everything_is_there_after_opening_again", Capability::durable, everything_is_there_after_opening_again},
    {"G12", "streams_and_positions_go_on_after_opening_again", Capability::durable,
     streams_and_positions_go_on_after_opening_again},
    {"G12", "a_large_append_is_there_after_opening_again", Capability::durable,
     a_large_append_is_there_after_opening_again},
    {"API", "drivers_of_one_storage_see_each_other", drivers_of_one_storage_see_each_other},
    {"API", "closing_one_store_leaves_the_others", closing_one_store_leaves_the_others},
    {"API", "every_call_after_close_says_so", every_call_after_close_says_so},
    {"API", "a_moved_store_is_the_same_store", a_moved_store_is_the_same_store},
    {"G4", "a_held_database_gives_busy_and_applies_nothing", Capability::write_lock,
     a_held_database_gives_busy_and_applies_nothing},
    {"G4", "held_calls_of_several_threads_are_busy_and_free_again", Capability::write_lock,
     held_calls_of_several_threads_are_busy_and_free_again},
    {"API", "a_write_waits_for_a_database_that_is_soon_free", Capability::write_lock,
     a_write_waits_for_a_database_that_is_soon_free},
};

}  // namespace

std::span<const Case> lifecycle_cases() {
  return all_lifecycle_cases;
}

}  // namespace stele::testing
