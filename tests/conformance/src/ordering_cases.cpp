// The order of the log: positions rise, and a reader that polls misses nothing.
#include <atomic>
#include <map>

#include "support.h"

namespace stele::testing {
namespace {

void expect_rising(const std::vector<std::int64_t>& positions) {
  for (std::size_t i = 1; i < positions.size(); ++i) {
    ASSERT_LT(positions[i - 1], positions[i]) << "at event " << i << " of the log";
  }
}

/// In the log, each stream's versions are 1, 2, 3 …
void expect_stream_order(const std::vector<RecordedEvent>& log) {
  std::map<StreamKey, std::int64_t> last;
  for (const RecordedEvent& event : log) {
    ASSERT_EQ(event.version.value(), ++last[event.stream])
        << event.stream.to_string() << " at " << event.position.value();
  }
}

void positions_rise(Harness& harness) {
  EventStore store = open_store(harness);
  std::int64_t last = 0;
  for (int i = 0; i < 30; ++i) {
    const AppendResult result =
        store.append(thing("s-" + std::to_string(i % 3)), ExpectedVersion::any(), events(1 + i % 4));
    ASSERT_TRUE(result.ok());
    EXPECT_GT(result.streams[0].first_position.value(), last);
    EXPECT_GE(result.streams[0].last_position, result.streams[0].first_position);
    last = result.last_position().value();
  }
  const std::vector<RecordedEvent> log = log_events(store);
  ASSERT_EQ(log.size(), 73u);
  EXPECT_GE(log.front().position.value(), 1);
  EXPECT_EQ(log.back().position.value(), last);
  EXPECT_EQ(store.stats().last_position.value(), last);
  expect_rising(positions(log));
  expect_stream_order(log);
}

void positions_follow_the_order_of_a_request(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest append;
  for (const char* id : {"z", "a", "m"}) append.streams.push_back({thing(id), ExpectedVersion::any(), events(3)});
  const AppendResult result = store.append(append);
  ASSERT_TRUE(result.ok());
  std::vector<std::string> order;
  const std::vector<RecordedEvent> log = log_events(store);
  for (const RecordedEvent& event : log) order.push_back(event.stream.id + std::to_string(event.version.value()));
  EXPECT_EQ(order, (std::vector<std::string>{"z1", "z2", "z3", "a1", "a2", "a3", "m1", "m2", "m3"}));
  ASSERT_EQ(log.size(), 9u);
  ASSERT_EQ(result.streams.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(result.streams[i].first_position, log[3 * i].position);
    EXPECT_EQ(result.streams[i].last_position, log[3 * i + 2].position);
  }
}

void append_all_goes_to_the_log_in_order(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<AppendRequest> requests;
  for (int i = 0; i < 50; ++i) {
    requests.push_back(
        request(thing("s-" + std::to_string(i * 7 % 5)), ExpectedVersion::any(), events(1 + i % 3, 10 * i)));
  }
  std::int64_t last = 0;
  for (const AppendResult& result : store.append_all(requests)) {
    ASSERT_TRUE(result.ok());
    EXPECT_GT(result.streams[0].first_position.value(), last);
    last = result.last_position().value();
  }
  const std::vector<RecordedEvent> log = log_events(store);
  std::vector<std::string> wanted;
  std::vector<std::string> found;
  for (const AppendRequest& one : requests) {
    for (const NewEvent& event : one.streams[0].events) wanted.push_back(event.data.canonical());
  }
  for (const RecordedEvent& event : log) found.push_back(event.data.canonical());
  EXPECT_EQ(found, wanted);
  expect_rising(positions(log));
}

void positions_rise_with_concurrent_writers(Harness& harness) {
  EventStore first = open_store(harness);
  EventStore second = open_store(harness);
  const int each = rounds(40, 8);
  in_threads(8, [&](int i) {
    EventStore& store = i % 2 == 0 ? first : second;
    std::int64_t last = 0;
    for (int n = 0; n < each; ++n) {
      AppendRequest append = request(thing("shared"), ExpectedVersion::any(), events(2));
      append.streams.push_back({thing("own-" + std::to_string(i)), ExpectedVersion::any(), events(1)});
      const AppendResult result = store.append(append);
      ASSERT_TRUE(result.ok()) << describe(result);
      // What was acknowledged before is before it.
      EXPECT_GT(result.streams[0].first_position.value(), last);
      last = result.last_position().value();
    }
  });
  const std::vector<RecordedEvent> log = log_events(first);
  EXPECT_EQ(log.size(), static_cast<std::size_t>(8 * 3 * each));
  expect_rising(positions(log));
  expect_stream_order(log);
}

/// Writers append, and also fail and repeat themselves, while readers come back again and again with the last position
/// they saw.
void poll_while_writing(Harness& harness, const LogFilter& filter, bool only_even) {
  EventStore first = open_store(harness);
  EventStore second = open_store(harness);
  constexpr int writers = 6;
  constexpr int readers = 3;
  const int each = rounds(60, 12);
  std::atomic<int> still_writing = writers;
  std::vector<std::vector<RecordedEvent>> seen(readers);
  in_threads(writers + readers, [&](int i) {
    EventStore& store = i % 2 == 0 ? first : second;
    if (i < writers) {
      const Leaving leaving(still_writing);
      for (int n = 0; n < each; ++n) {
        const StreamKey mine = thing("writer-" + std::to_string(i));
        std::vector<NewEvent> made = events(1 + n % 3);
        for (NewEvent& event : made) event.type = n % 2 == 0 ? "even" : "odd";
        AppendRequest append =
            request(command(std::to_string(i) + "/" + std::to_string(n)), mine, ExpectedVersion::any(), made);
        append.streams.push_back({thing("shared"), ExpectedVersion::any(), {event(n % 2 == 0 ? "even" : "odd")}});
        EXPECT_TRUE(store.append(append).ok());
        EXPECT_TRUE(store.append(append).replayed());
        expect_status(AppendStatus::conflict, store.append(mine, ExpectedVersion::no_stream(), events(1)));
      }
      return;
    }
    std::vector<RecordedEvent>& mine = seen[static_cast<std::size_t>(i - writers)];
    LogReadOptions options;
    options.filter = filter;
    for (bool last = false; !last;) {
      last = still_writing == 0;
      if (i == writers) options.limit = 5;  // One of them in small bites; at the end it takes the rest.
      if (last) options.limit.reset();
      for (const RecordedEvent& event : store.read_log(options)) {
        mine.push_back(event);
        options.after = event.position;
      }
    }
  });
  std::vector<std::string> wanted;
  for (const RecordedEvent& event : log_events(first)) {
    if (!only_even || event.type == "even") wanted.push_back(describe(event));
  }
  EXPECT_GE(wanted.size(), static_cast<std::size_t>(writers * each));
  for (const std::vector<RecordedEvent>& log : seen) {
    EXPECT_EQ(describe(log) == wanted, true)
        << "a reader saw " << log.size() << " events of " << wanted.size() << ", or in another order";
    expect_rising(positions(log));
  }
}

void a_polling_reader_sees_everything_once(Harness& harness) {
  poll_while_writing(harness, {}, false);
}

void a_polling_reader_with_a_filter_sees_everything_once(Harness& harness) {
  LogFilter filter;
  filter.event_types = {"even"};
  poll_while_writing(harness, filter, true);
}

void a_reader_at_the_end_goes_on_with_what_is_new(Harness& harness) {
  EventStore store = open_store(harness);
  Position last;
  for (int i = 0; i < 20; ++i) {
    const AppendResult result = store.append(thing("a"), ExpectedVersion::any(), events(3, 3 * i + 1));
    LogReadOptions options;
    options.after = last;
    const std::vector<RecordedEvent> found = log_events(store, options);
    EXPECT_EQ(versions(found), numbers(3 * i + 1, 3 * i + 3));
    last = result.last_position();
    options.after = last;
    EXPECT_TRUE(log_events(store, options).empty());
  }
}

// Losers may burn positions; readers have to get over the gaps.
void losers_leave_no_gap_that_stops_a_reader(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<int> wanted;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(store.append(thing("a"), ExpectedVersion::exactly(i), events_with_ids({i + 1})).ok());
    wanted.push_back(i + 1);
    for (int lost = 0; lost < 3; ++lost) {
      expect_status(AppendStatus::conflict, store.append(thing("a"), ExpectedVersion::exactly(i), events(5)));
      // The first stream would do; the second does not.
      AppendRequest append = request(thing("b"), ExpectedVersion::any(), events(2));
      append.streams.push_back({thing("a"), ExpectedVersion::no_stream(), events(2)});
      expect_status(AppendStatus::conflict, store.append(append));
      std::vector<NewEvent> taken = events(1);
      taken.push_back(events_with_ids({i + 1})[0]);
      expect_status(AppendStatus::duplicate_event_id, store.append(thing("c"), ExpectedVersion::any(), taken));
    }
  }
  expect_numbers(store, thing("a"), wanted);
  const std::vector<RecordedEvent> log = log_events(store);
  EXPECT_EQ(log.size(), 20u);
  expect_rising(positions(log));
  LogReadOptions one_by_one;
  one_by_one.limit = 1;
  for (const RecordedEvent& event : log) {
    const std::vector<RecordedEvent> next = log_events(store, one_by_one);
    ASSERT_EQ(next.size(), 1u);
    EXPECT_EQ(describe(next[0]), describe(event));
    one_by_one.after = next[0].position;
  }
}

// --- Large positions

/// Everything that carries a position, at positions above `above`.
void use_positions_above(Harness& harness, std::int64_t above) {
  harness.skip_positions_to(Position(above));
  EventStore store = open_store(harness);
  const AppendRequest append =
      request(command("r-1"), thing("far"), ExpectedVersion::any(), events_with_ids({1, 2, 3}));
  const AppendResult result = store.append(append);
  expect_appended(result, 1, 3);
  EXPECT_GT(result.streams[0].first_position.value(), above);
  expect_replay_of(result, store.append(append));
  AppendRequest by_ids = append;
  by_ids.command.reset();
  by_ids.streams[0].events = events_with_ids({4, 5});
  const AppendResult second = store.append(by_ids);
  expect_appended(second, 4, 5);
  expect_replay_of(second, store.append(by_ids));

  const std::vector<RecordedEvent> log = log_events(store);
  ASSERT_EQ(log.size(), 5u);
  expect_rising(positions(log));
  EXPECT_EQ(log.front().position, result.streams[0].first_position);
  EXPECT_EQ(log.back().position, second.last_position());
  EXPECT_EQ(describe(stream_events(store, thing("far"))), describe(log));
  for (std::size_t i = 0; i < log.size(); ++i) {
    EXPECT_EQ(store.find_event(uuid(static_cast<std::uint8_t>(i + 1))).value().position, log[i].position);
    LogReadOptions options;
    options.after = log[i].position;
    EXPECT_EQ(log_events(store, options).size(), log.size() - i - 1) << "after " << options.after.value();
    options.after = Position(0);
    options.before = log[i].position;
    EXPECT_EQ(log_events(store, options).size(), i) << "before " << options.before->value();
    options.direction = Direction::backwards;
    EXPECT_EQ(log_events(store, options).size(), i) << "backwards before " << options.before->value();
  }
  EXPECT_EQ(store.find_command(append.command->key).value().outcome, result.streams);
  EXPECT_EQ(store.stats().last_position, second.last_position());
  EXPECT_TRUE(store.verify().ok());
}

void positions_beyond_32_bits(Harness& harness) {
  use_positions_above(harness, std::int64_t{1} << 32);
}

// A double cannot tell these from their neighbours.
void positions_beyond_53_bits(Harness& harness) {
  use_positions_above(harness, std::int64_t{1} << 53);
}

constexpr Case all_ordering_cases[] = {
    {"G7", "positions_rise", positions_rise},
    {"G7", "positions_follow_the_order_of_a_request", positions_follow_the_order_of_a_request},
    {"G7", "append_all_goes_to_the_log_in_order", append_all_goes_to_the_log_in_order},
    {"G7", "positions_rise_with_concurrent_writers", positions_rise_with_concurrent_writers},
    {"G7", "a_polling_reader_sees_everything_once", a_polling_reader_sees_everything_once},
    {"G7", "a_polling_reader_with_a_filter_sees_everything_once", a_polling_reader_with_a_filter_sees_everything_once},
    {"G7", "a_reader_at_the_end_goes_on_with_what_is_new", a_reader_at_the_end_goes_on_with_what_is_new},
    {"G7", "losers_leave_no_gap_that_stops_a_reader", losers_leave_no_gap_that_stops_a_reader},
    {"G7", "positions_beyond_32_bits", Capability::positions, positions_beyond_32_bits},
    {"G7", "positions_beyond_53_bits", Capability::positions, positions_beyond_53_bits},
};

}  // namespace

std::span<const Case> ordering_cases() {
  return all_ordering_cases;
}

}  // namespace stele::testing
