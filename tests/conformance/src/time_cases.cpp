// Times: the database's own, and the caller's to the microsecond, from the year 1 to the year 9999.
#include <algorithm>
#include <chrono>
#include <thread>

#include "support.h"

namespace stele::testing {
namespace {

constexpr std::int64_t first_moment = -62'135'596'800'000'000;  // 0001-01-01T00:00:00Z
constexpr std::int64_t last_moment = 253'402'300'799'999'999;   // 9999-12-31T23:59:59.999999Z
constexpr std::int64_t an_hour = 3'600'000'000;

Timestamp at(std::int64_t micros) {
  return Timestamp::from_micros(micros);
}
Timestamp later(Timestamp time, std::int64_t micros) {
  return at(time.micros() + micros);
}

/// Moments where a conversion might go wrong.
std::vector<Timestamp> moments() {
  std::vector<Timestamp> list;
  for (const std::int64_t micros : {first_moment, first_moment + 1, last_moment - 1, last_moment, std::int64_t{-1},
                                    std::int64_t{0}, std::int64_t{1}, std::int64_t{-999'999}, std::int64_t{-1'000'000},
                                    std::int64_t{-1'000'001}, std::int64_t{999'999}, std::int64_t{1'000'001},
                                    std::int64_t{9'007'199'254'740'993}, std::int64_t{-9'007'199'254'740'993}}) {
    list.push_back(at(micros));
  }
  for (const char* text :
       {"1582-10-10T12:00:00.000001Z", "1752-09-02T23:59:59.999999Z", "1753-01-01T00:00:00Z",
        "1899-12-30T00:00:00.000003Z", "1900-02-28T23:59:59.999999Z", "1969-07-20T20:17:40.000001Z",
        "2000-02-29T00:00:00.123456Z", "2038-01-19T03:14:08.000001Z", "2262-04-11T23:47:16.854776Z",
        "2024-03-31T01:30:00.100000Z", "2024-10-27T02:30:00.000010Z", "2024-12-31T23:59:59.999999Z"}) {
    list.push_back(Timestamp::parse(text));
  }
  return list;
}

/// Appends until the stream's last event was recorded later than `time`.
RecordedEvent append_after(EventStore& store, const StreamKey& stream, Timestamp time) {
  for (int tries = 0; tries < 1000; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const AppendResult result = store.append(stream, ExpectedVersion::any(), events(1));
    StreamReadOptions options;
    options.from = result.streams.at(0).first_version;
    const RecordedEvent stored = stream_events(store, stream, options).at(0);
    if (stored.recorded_at > time) return stored;
  }
  throw std::runtime_error("the database's clock stands still");
}

// --- The caller's times

void every_moment_is_kept_to_the_microsecond(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given;
  for (const Timestamp moment : moments()) {
    NewEvent& made = given.emplace_back(event());
    made.occurred_at = moment;
    if (moment < at(last_moment)) made.valid_from = moment;
    if (moment > at(first_moment)) {
      NewEvent& until = given.emplace_back(event());
      until.occurred_at = moment;
      until.valid_to = moment;
    }
  }
  given.push_back(event());
  given.back().valid_from = at(first_moment);
  given.back().valid_to = at(last_moment);
  given.push_back(event());
  given.back().valid_from = at(-1);
  given.back().valid_to = at(0);
  ASSERT_TRUE(store.append(thing("times"), ExpectedVersion::any(), given).ok());
  const std::vector<RecordedEvent> stored = stream_events(store, thing("times"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    SCOPED_TRACE(i);
    expect_stored(given[i], stored[i]);
  }
}

void filters_tell_microseconds_apart(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<Timestamp> all = moments();
  std::vector<NewEvent> given;
  for (const Timestamp moment : all) {
    given.push_back(event());
    given.back().occurred_at = moment;
  }
  ASSERT_TRUE(store.append(thing("times"), ExpectedVersion::any(), given).ok());
  const auto count = [&](std::optional<Timestamp> from, std::optional<Timestamp> until) {
    LogReadOptions options;
    options.filter.occurred_from = from;
    options.filter.occurred_until = until;
    return log_events(store, options).size();
  };
  for (const Timestamp moment : all) {
    SCOPED_TRACE(moment.to_string());
    std::size_t before = 0;
    for (const Timestamp other : all) before += other < moment;
    EXPECT_EQ(count(std::nullopt, moment), before);
    EXPECT_EQ(count(moment, std::nullopt), all.size() - before);
    if (moment < at(last_moment)) {
      EXPECT_EQ(count(moment, later(moment, 1)), 1u);
      EXPECT_EQ(count(later(moment, 1), std::nullopt), all.size() - before - 1);
    }
  }
}

void validity_is_half_open(Harness& harness) {
  EventStore store = open_store(harness);
  const auto valid_event = [](const char* type, std::optional<std::int64_t> from, std::optional<std::int64_t> to) {
    NewEvent made = event(type);
    if (from) made.valid_from = at(*from);
    if (to) made.valid_to = at(*to);
    return made;
  };
  const std::vector<NewEvent> given = {valid_event("always", {}, {}), valid_event("from-10", 10, {}),
                                       valid_event("to-10", {}, 10), valid_event("10-to-20", 10, 20),
                                       valid_event("all-times", first_moment, last_moment)};
  ASSERT_TRUE(store.append(thing("valid"), ExpectedVersion::any(), given).ok());
  using Types = std::vector<std::string>;
  const auto valid = [&](std::int64_t micros) {
    StreamReadOptions options;
    options.valid_at = at(micros);
    Types types;
    for (const RecordedEvent& event : stream_events(store, thing("valid"), options)) types.push_back(event.type);
    LogReadOptions of_log;
    of_log.filter.valid_at = at(micros);
    Types in_log;
    for (const RecordedEvent& event : log_events(store, of_log)) in_log.push_back(event.type);
    EXPECT_EQ(in_log, types) << micros;
    return types;
  };
  EXPECT_EQ(valid(9), (Types{"always", "to-10", "all-times"}));
  EXPECT_EQ(valid(10), (Types{"always", "from-10", "10-to-20", "all-times"}));
  EXPECT_EQ(valid(19), (Types{"always", "from-10", "10-to-20", "all-times"}));
  EXPECT_EQ(valid(20), (Types{"always", "from-10", "all-times"}));
  EXPECT_EQ(valid(first_moment), (Types{"always", "to-10", "all-times"}));
  EXPECT_EQ(valid(last_moment), (Types{"always", "from-10"}));
}

void occurred_at_is_the_callers_clock_unless_given(Harness& harness) {
  EventStore store = open_store(harness);
  const Timestamp before = Timestamp::now();
  ASSERT_TRUE(store.append(thing("now"), ExpectedVersion::any(), events(2)).ok());
  const Timestamp after = Timestamp::now();
  const std::vector<RecordedEvent> stored = stream_events(store, thing("now"));
  ASSERT_EQ(stored.size(), 2u);
  for (const RecordedEvent& event : stored) {
    EXPECT_GE(event.occurred_at, before);
    EXPECT_LE(event.occurred_at, after);
  }
}

void occurred_at_orders_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(3);
  given[0].occurred_at = at(last_moment);
  given[1].occurred_at = at(0);
  given[2].occurred_at = at(first_moment);
  ASSERT_TRUE(store.append(thing("backwards"), ExpectedVersion::any(), given).ok());
  expect_numbers(store, thing("backwards"), {1, 2, 3});
  EXPECT_EQ(versions(log_events(store)), numbers(1, 3));
}

// --- The database's time

void recorded_at_is_now_whatever_the_caller_says(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent past = event();
  past.occurred_at = past.valid_from = at(first_moment);
  NewEvent future = event();
  future.occurred_at = future.valid_to = at(last_moment);
  const Timestamp now = Timestamp::now();
  ASSERT_TRUE(store.append(request(command("r-1"), thing("a"), ExpectedVersion::any(), {past, future})).ok());
  std::vector<Timestamp> recorded;
  for (const RecordedEvent& event : stream_events(store, thing("a"))) recorded.push_back(event.recorded_at);
  recorded.push_back(store.find_command(command("r-1").key).value().recorded_at);
  ASSERT_EQ(recorded.size(), 3u);
  for (const Timestamp time : recorded) {
    // The database may be on another machine; its clock is not that wrong.
    EXPECT_GT(time, later(now, -an_hour)) << time.to_string();
    EXPECT_LT(time, later(now, an_hour)) << time.to_string();
  }
}

void recorded_at_has_microseconds(Harness& harness) {
  EventStore store = open_store(harness);
  bool finer_than_milliseconds = false;
  for (int i = 0; i < 50 && !finer_than_milliseconds; ++i) {
    ASSERT_TRUE(store.append(thing("a"), ExpectedVersion::any(), events(1)).ok());
    finer_than_milliseconds = store.stream_info(thing("a")).value().last_recorded_at.micros() % 1000 != 0;
  }
  EXPECT_TRUE(finer_than_milliseconds) << "fifty times in a row without microseconds";
}

void recorded_at_never_falls_within_a_stream(Harness& harness) {
  EventStore first = open_store(harness);
  EventStore second = open_store(harness);
  in_threads(6, [&](int i) {
    EventStore& store = i % 2 == 0 ? first : second;
    for (int n = 0; n < rounds(30, 6); ++n) {
      AppendRequest append = request(thing("shared"), ExpectedVersion::any(), events(1 + n % 3));
      append.streams.push_back({thing("own-" + std::to_string(i)), ExpectedVersion::any(), events(1)});
      EXPECT_TRUE(store.append(append).ok());
    }
  });
  const std::vector<StreamInfo> streams = first.list_streams();
  ASSERT_EQ(streams.size(), 7u);
  for (const StreamInfo& info : streams) {
    const std::vector<RecordedEvent> stored = stream_events(first, info.stream);
    ASSERT_FALSE(stored.empty());
    for (std::size_t i = 1; i < stored.size(); ++i) {
      ASSERT_GE(stored[i].recorded_at, stored[i - 1].recorded_at) << info.stream.to_string() << " version " << i + 1;
    }
    EXPECT_EQ(info.created_at, stored.front().recorded_at);
    EXPECT_EQ(info.last_recorded_at, stored.back().recorded_at);
  }
}

void stats_tell_the_first_and_the_last_time(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_FALSE(store.stats().first_recorded_at || store.stats().last_recorded_at);
  const RecordedEvent first = append_after(store, thing("a"), at(0));
  const RecordedEvent last = append_after(store, thing("b"), first.recorded_at);
  EXPECT_EQ(store.stats().first_recorded_at, first.recorded_at);
  EXPECT_EQ(store.stats().last_recorded_at, last.recorded_at);
}

void a_repetition_keeps_the_first_time(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest append = request(command("r-1"), thing("a"), ExpectedVersion::any(), events(1));
  ASSERT_TRUE(store.append(append).ok());
  const std::string before = contents(store) + describe(store.find_command(append.command->key).value());
  append_after(store, thing("b"), store.stream_info(thing("a")).value().last_recorded_at);
  const std::string stream = describe(stream_events(store, thing("a")).at(0));
  EXPECT_TRUE(store.append(append).replayed());
  EXPECT_EQ(describe(stream_events(store, thing("a")).at(0)), stream);
  EXPECT_NE(before.find(stream), std::string::npos);
  EXPECT_NE(before.find(describe(store.find_command(append.command->key).value())), std::string::npos);
}

// --- As of

void as_of_shows_what_was_recorded_then(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<RecordedEvent> recorded = {append_after(store, thing("a"), at(0))};
  for (int i = 1; i < 5; ++i) {
    recorded.push_back(append_after(store, thing(i % 2 ? "b" : "a"), recorded.back().recorded_at));
  }
  // append_after() may have needed several tries.
  const std::vector<RecordedEvent> log = log_events(store);
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    for (const RecordedEvent& event : recorded) {
      for (const std::int64_t offset : {-1, 0, 1}) {
        const Timestamp time = later(event.recorded_at, offset);
        SCOPED_TRACE(time.to_string());
        const auto wanted = [&](const std::optional<StreamKey>& stream) {
          std::vector<std::string> list;
          for (const RecordedEvent& other : log) {
            if (other.recorded_at <= time && (!stream || other.stream == *stream)) list.push_back(describe(other));
          }
          if (direction == Direction::backwards) std::reverse(list.begin(), list.end());
          return list;
        };
        LogReadOptions of_log;
        of_log.direction = direction;
        of_log.as_of = time;
        EXPECT_EQ(describe(log_events(store, of_log)), wanted(std::nullopt));
        StreamReadOptions of_stream;
        of_stream.direction = direction;
        of_stream.as_of = time;
        for (const char* id : {"a", "b"}) {
          EXPECT_EQ(describe(stream_events(store, thing(id), of_stream)), wanted(thing(id))) << id;
        }
      }
    }
  }
  StreamReadOptions ends;
  ends.as_of = at(first_moment);
  EXPECT_TRUE(stream_events(store, thing("a"), ends).empty());
  ends.as_of = at(last_moment);
  EXPECT_EQ(static_cast<std::int64_t>(stream_events(store, thing("a"), ends).size()),
            store.stream_version(thing("a")).value());
}

void recorded_filters_tell_microseconds_apart(Harness& harness) {
  EventStore store = open_store(harness);
  const RecordedEvent first = append_after(store, thing("a"), at(0));
  const RecordedEvent second = append_after(store, thing("a"), first.recorded_at);
  const auto count = [&](std::optional<Timestamp> from, std::optional<Timestamp> until) {
    LogReadOptions options;
    options.filter.recorded_from = from;
    options.filter.recorded_until = until;
    std::size_t found = 0;
    for (const RecordedEvent& event : log_events(store, options)) found += event.position == second.position;
    return found;
  };
  const Timestamp time = second.recorded_at;
  EXPECT_EQ(count(time, std::nullopt), 1u);
  EXPECT_EQ(count(later(time, 1), std::nullopt), 0u);
  EXPECT_EQ(count(std::nullopt, time), 0u);
  EXPECT_EQ(count(std::nullopt, later(time, 1)), 1u);
  EXPECT_EQ(count(time, later(time, 1)), 1u);
}

constexpr Case all_time_cases[] = {
    {"G10", "every_moment_is_kept_to_the_microsecond", every_moment_is_kept_to_the_microsecond},
    {"G10", "filters_tell_microseconds_apart", filters_tell_microseconds_apart},
    {"G10", "validity_is_half_open", validity_is_half_open},
    {"G10", "occurred_at_is_the_callers_clock_unless_given", occurred_at_is_the_callers_clock_unless_given},
    {"G10", "occurred_at_orders_nothing", occurred_at_orders_nothing},
    {"G10", "recorded_at_is_now_whatever_the_caller_says", recorded_at_is_now_whatever_the_caller_says},
    {"G10", "recorded_at_has_microseconds", recorded_at_has_microseconds},
    {"G10", "recorded_at_never_falls_within_a_stream", recorded_at_never_falls_within_a_stream},
    {"G10", "stats_tell_the_first_and_the_last_time", stats_tell_the_first_and_the_last_time},
    {"G10", "a_repetition_keeps_the_first_time", a_repetition_keeps_the_first_time},
    {"G10", "as_of_shows_what_was_recorded_then", as_of_shows_what_was_recorded_then},
    {"G10", "recorded_filters_tell_microseconds_apart", recorded_filters_tell_microseconds_apart},
};

}  // namespace

std::span<const Case> time_cases() {
  return all_time_cases;
}

}  // namespace stele::testing
