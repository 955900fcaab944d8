// Reading a stream: bounds, directions, limits, page boundaries, times.

#include <algorithm>
#include <chrono>
#include <thread>

#include "support.h"

namespace stele::testing {
namespace {

std::vector<std::int64_t> backwards(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> list = numbers(first, last);
  return {list.rbegin(), list.rend()};
}

/// A stream of so many events among others, so that versions are not positions.
void write_stream(EventStore& store, const StreamKey& stream, int count) {
  store.append(thing("before"), ExpectedVersion::any(), events(3, 1'000'000));
  store.append(stream, ExpectedVersion::any(), events(count / 2));
  store.append(thing("between"), ExpectedVersion::any(), events(5, 1'000'000));
  store.append(stream, ExpectedVersion::any(), events(count - count / 2, count / 2 + 1));
}

/// Reads with these options in both directions, and expects these versions, with the data that belongs to each.
void expect_versions(EventStore& store, const StreamKey& stream, StreamReadOptions options, std::int64_t first,
                     std::int64_t last) {
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    options.direction = direction;
    const std::vector<RecordedEvent> found = stream_events(store, stream, options);
    EXPECT_EQ(versions(found), direction == Direction::forwards ? numbers(first, last) : backwards(first, last))
        << (direction == Direction::forwards ? "forwards" : "backwards");
    for (const RecordedEvent& event : found) {
      ASSERT_EQ(event.data.canonical(), numbered(event.version.value()));
      ASSERT_EQ(event.stream, stream);
    }
  }
}

void a_missing_stream_reads_as_empty(Harness& harness) {
  EventStore store = open_store(harness);
  expect_versions(store, thing("a"), {}, 1, 0);
  EXPECT_EQ(store.stream_version(thing("a")).value(), 0);
  EXPECT_FALSE(store.stream_info(thing("a")));
  store.append(thing("b"), ExpectedVersion::any(), events(3));
  expect_versions(store, thing("b"), {}, 1, 3);
  expect_versions(store, thing("a"), {}, 1, 0);
  expect_versions(store, thing("a"), {.from = Version(2), .to = Version(5), .limit = 3}, 1, 0);
}

void forwards_and_backwards(Harness& harness) {
  EventStore store = open_store(harness);
  write_stream(store, thing("a"), 10);
  expect_versions(store, thing("a"), {}, 1, 10);
}

void from_and_to_are_inclusive(Harness& harness) {
  EventStore store = open_store(harness);
  write_stream(store, thing("a"), 10);
  for (std::int64_t from = 1; from <= 12; ++from) {
    expect_versions(store, thing("a"), {.from = Version(from)}, from, 10);
    for (std::int64_t to = 0; to <= 12; ++to) {
      SCOPED_TRACE("from " + std::to_string(from) + " to " + std::to_string(to));
      expect_versions(store, thing("a"), {.from = Version(from), .to = Version(to)}, from,
                      std::min<std::int64_t>(to, 10));
    }
  }
}

void bounds_far_beyond_the_stream(Harness& harness) {
  EventStore store = open_store(harness);
  write_stream(store, thing("a"), 4);
  const Version far(INT64_MAX);
  expect_versions(store, thing("a"), {.to = far}, 1, 4);
  expect_versions(store, thing("a"), {.to = Version((std::int64_t{1} << 32) + 2)}, 1, 4);
  expect_versions(store, thing("a"), {.from = far}, 1, 0);
  expect_versions(store, thing("a"), {.from = Version((std::int64_t{1} << 32) + 2)}, 1, 0);
  expect_versions(store, thing("a"), {.from = far, .to = far}, 1, 0);
}

void bounds_that_are_no_versions(Harness& harness) {
  EventStore store = open_store(harness);
  expect_error(ErrorCode::invalid_argument, "from", [&] { store.read_stream(thing("a"), {.from = Version(0)}); });
  expect_error(ErrorCode::invalid_argument, "from", [&] { store.read_stream(thing("a"), {.from = Version(-5)}); });
  expect_error(ErrorCode::invalid_argument, "to", [&] { store.read_stream(thing("a"), {.to = Version(-1)}); });
  expect_error(ErrorCode::invalid_argument, "stream_id", [&] { store.read_stream(thing("")); });
}

void a_limit_counts_from_where_reading_starts(Harness& harness) {
  EventStore store = open_store(harness);
  write_stream(store, thing("a"), 10);
  const auto read = [&](StreamReadOptions options) { return versions(stream_events(store, thing("a"), options)); };
  EXPECT_TRUE(read({.limit = 0}).empty());
  EXPECT_EQ(read({.limit = 1}), numbers(1, 1));
  EXPECT_EQ(read({.limit = 3}), numbers(1, 3));
  EXPECT_EQ(read({.limit = 10}), numbers(1, 10));
  EXPECT_EQ(read({.limit = 11}), numbers(1, 10));
  EXPECT_EQ(read({.limit = UINT64_MAX}), numbers(1, 10));
  EXPECT_EQ(read({.from = Version(4), .limit = 3}), numbers(4, 6));
  EXPECT_EQ(read({.from = Version(4), .to = Version(5), .limit = 3}), numbers(4, 5));
  EXPECT_EQ(read({.direction = Direction::backwards, .limit = 1}), backwards(10, 10));
  EXPECT_EQ(read({.direction = Direction::backwards, .limit = 3}), backwards(8, 10));
  EXPECT_EQ(read({.direction = Direction::backwards, .to = Version(5), .limit = 3}), backwards(3, 5));
  EXPECT_EQ(read({.direction = Direction::backwards, .from = Version(4), .to = Version(5), .limit = 3}),
            backwards(4, 5));
}

// Core asks for 64 events, then 128, 256, 512, 512 …
constexpr std::int64_t page_ends[] = {64, 192, 448, 960, 1'472};

void streams_that_end_at_a_page(Harness& harness) {
  EventStore store = open_store(harness);
  for (const int size : {1, 63, 64, 65, 191, 192, 193, 447, 448, 449}) {
    SCOPED_TRACE(std::to_string(size) + " events");
    const StreamKey stream = thing("s" + std::to_string(size));
    write_stream(store, stream, size);
    expect_versions(store, stream, {}, 1, size);
  }
}

void reads_that_end_at_a_page(Harness& harness) {
  EventStore store = open_store(harness);
  constexpr int size = 1'500;
  write_stream(store, thing("a"), size);
  expect_versions(store, thing("a"), {}, 1, size);
  for (const std::int64_t end : page_ends) {
    for (const std::int64_t near : {end - 1, end, end + 1}) {
      SCOPED_TRACE(near);
      expect_versions(store, thing("a"), {.to = Version(near)}, 1, near);
      expect_versions(store, thing("a"), {.from = Version(size + 1 - near)}, size + 1 - near, size);
      StreamReadOptions limited{.limit = static_cast<std::uint64_t>(near)};
      EXPECT_EQ(versions(stream_events(store, thing("a"), limited)), numbers(1, near));
      limited.direction = Direction::backwards;
      EXPECT_EQ(versions(stream_events(store, thing("a"), limited)), backwards(size + 1 - near, size));
    }
  }
}

void pages_of_large_events(Harness& harness) {
  EventStore store = open_store(harness);
  // A page holds 1 MiB of JSON: pages end in the middle, at an event of exactly that size, and before one that is
  // larger.
  const std::vector<std::size_t> sizes{300'000,  300'000, 300'000,         300'000, 1u << 20, 10,
                                       3u << 20, 10,      (1u << 20) - 10, 10,      11};
  std::vector<NewEvent> given;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    given.push_back(event("large", "[\"" + std::string(sizes[i] - 4, static_cast<char>('a' + i)) + "\"]"));
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    std::vector<RecordedEvent> found = stream_events(store, thing("a"), {.direction = direction});
    if (direction == Direction::backwards) std::reverse(found.begin(), found.end());
    ASSERT_EQ(versions(found), numbers(1, static_cast<std::int64_t>(sizes.size())));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_TRUE(json_equal(found[i].data, given[i].data)) << "event " << i + 1;
    }
  }
}

void only_this_stream(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<StreamKey> streams{thing("a"),
                                       thing("b"),
                                       {"thong", "a"},
                                       {"other", "thing", "a"},
                                       thing("aa"),
                                       {"other", "a", "thing"},
                                       {"default", "a", "thing"}};
  for (int round = 1; round <= 100; ++round) {
    for (const StreamKey& stream : streams) store.append(stream, ExpectedVersion::any(), events(1, round));
  }
  for (const StreamKey& stream : streams) expect_versions(store, stream, {}, 1, 100);
}

// --- The reader

/// The version of the reader's next event; 0 at its end.
std::int64_t next_version(EventReader& reader) {
  const RecordedEvent* event = reader.next();
  return event != nullptr ? event->version.value() : 0;
}

void a_reader_stays_at_its_end(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  EventReader reader = store.read_stream(thing("a"));
  EXPECT_NE(reader.next(), nullptr);
  EXPECT_NE(reader.next(), nullptr);
  EXPECT_EQ(reader.next(), nullptr);
  EXPECT_EQ(reader.next(), nullptr);
  EventReader limited = store.read_stream(thing("a"), {.limit = 1});
  EXPECT_NE(limited.next(), nullptr);
  EXPECT_EQ(limited.next(), nullptr);
  EXPECT_EQ(limited.next(), nullptr);
}

void a_reader_can_be_moved(Harness& harness) {
  EventStore store = open_store(harness);
  write_stream(store, thing("a"), 150);
  EventReader first = store.read_stream(thing("a"));
  for (int i = 1; i <= 70; ++i) ASSERT_EQ(next_version(first), i);
  EventReader second = std::move(first);
  for (int i = 71; i <= 150; ++i) ASSERT_EQ(next_version(second), i);
  EXPECT_EQ(second.next(), nullptr);
}

void several_readers_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  write_stream(store, thing("a"), 300);
  EventReader up = store.read_stream(thing("a"));
  EventReader down = store.read_stream(thing("a"), {.direction = Direction::backwards});
  EventReader part = store.read_stream(thing("a"), {.from = Version(100)});
  for (int i = 1; i <= 300; ++i) {
    ASSERT_EQ(next_version(up), i);
    ASSERT_EQ(next_version(down), 301 - i);
    if (i <= 201) {
      ASSERT_EQ(next_version(part), 99 + i);
    }
  }
  EXPECT_TRUE(up.next() == nullptr && down.next() == nullptr && part.next() == nullptr);
}

void events_appended_while_reading_are_given(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(100));
  EventReader open = store.read_stream(thing("a"));
  EventReader bounded = store.read_stream(thing("a"), {.to = Version(100)});
  EventReader limited = store.read_stream(thing("a"), {.limit = 100});
  // The first page of each is fetched, and not more.
  for (EventReader* reader : {&open, &bounded, &limited}) ASSERT_EQ(next_version(*reader), 1);
  store.append(thing("a"), ExpectedVersion::any(), events(150, 101));
  EXPECT_EQ(versions(read_all(std::move(open))), numbers(2, 250));
  EXPECT_EQ(versions(read_all(std::move(bounded))), numbers(2, 100));
  EXPECT_EQ(versions(read_all(std::move(limited))), numbers(2, 100));
}

void writing_while_reading_is_possible(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(200));
  int copied = 0;
  for (const RecordedEvent& event : store.read_stream(thing("a"))) {
    ++copied;
    expect_appended(store.append(thing("copy"), ExpectedVersion::exactly(copied - 1), events(1, copied)), copied,
                    copied);
    ASSERT_EQ(event.version.value(), copied);
  }
  EXPECT_EQ(copied, 200);
  expect_versions(store, thing("copy"), {}, 1, 200);
}

// --- Times

/// Waits until the database's clock shows another time.
void let_time_pass() {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void as_of_a_recorded_time(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 3; ++i) {
    store.append(thing("a"), ExpectedVersion::any(), events(2, 1 + i * 2));
    let_time_pass();
  }
  const std::vector<RecordedEvent> all = stream_events(store, thing("a"));
  ASSERT_EQ(all.size(), 6u);
  ASSERT_LT(all[1].recorded_at, all[2].recorded_at);
  ASSERT_LT(all[3].recorded_at, all[4].recorded_at);
  const auto micros = [&](std::size_t i) { return all[i].recorded_at.micros(); };
  expect_versions(store, thing("a"), {.as_of = Timestamp::from_micros(micros(0) - 1)}, 1, 0);
  expect_versions(store, thing("a"), {.as_of = all[1].recorded_at}, 1, 2);
  expect_versions(store, thing("a"), {.as_of = Timestamp::from_micros(micros(2) - 1)}, 1, 2);
  expect_versions(store, thing("a"), {.as_of = all[3].recorded_at}, 1, 4);
  expect_versions(store, thing("a"), {.as_of = all[5].recorded_at}, 1, 6);
  expect_versions(store, thing("a"), {.from = Version(2), .to = Version(5), .as_of = all[3].recorded_at}, 2, 4);
  EXPECT_EQ(versions(stream_events(store, thing("a"),
                                   {.direction = Direction::backwards, .limit = 1, .as_of = all[3].recorded_at})),
            numbers(4, 4));
}

void valid_at_a_business_time(Harness& harness) {
  EventStore store = open_store(harness);
  const auto between = [](int number, std::optional<std::int64_t> from, std::optional<std::int64_t> to) {
    NewEvent made = events(1, number).front();
    if (from) made.valid_from = Timestamp::from_micros(*from);
    if (to) made.valid_to = Timestamp::from_micros(*to);
    return made;
  };
  store.append(thing("a"), ExpectedVersion::any(),
               {between(1, {}, {}), between(2, 1'000'000, {}), between(3, {}, 1'000'000),
                between(4, 1'000'000, 1'000'001), between(5, -5, 2'000'000), between(6, 1'000'001, 2'000'000)});
  const auto at = [&](std::int64_t micros) {
    std::vector<std::int64_t> up =
        versions(stream_events(store, thing("a"), {.valid_at = Timestamp::from_micros(micros)}));
    std::vector<std::int64_t> down = versions(stream_events(
        store, thing("a"), {.direction = Direction::backwards, .valid_at = Timestamp::from_micros(micros)}));
    std::reverse(down.begin(), down.end());
    EXPECT_EQ(up, down);
    return up;
  };
  using List = std::vector<std::int64_t>;
  EXPECT_EQ(at(-6), (List{1, 3}));
  EXPECT_EQ(at(-5), (List{1, 3, 5}));
  EXPECT_EQ(at(999'999), (List{1, 3, 5}));
  EXPECT_EQ(at(1'000'000), (List{1, 2, 4, 5}));
  EXPECT_EQ(at(1'000'001), (List{1, 2, 5, 6}));
  EXPECT_EQ(at(2'000'000), (List{1, 2}));
}

void times_across_pages(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(700);
  std::vector<std::int64_t> wanted;
  for (std::size_t i = 0; i < given.size(); ++i) {
    given[i].valid_from = Timestamp::from_micros(i % 9 == 4 ? 100 : 200);
    if (i % 9 == 4) wanted.push_back(static_cast<std::int64_t>(i + 1));
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  const Timestamp at = Timestamp::from_micros(150);
  EXPECT_EQ(versions(stream_events(store, thing("a"), {.valid_at = at})), wanted);
  EXPECT_EQ(versions(stream_events(store, thing("a"), {.limit = 65, .valid_at = at})),
            std::vector<std::int64_t>(wanted.begin(), wanted.begin() + 65));
  std::reverse(wanted.begin(), wanted.end());
  EXPECT_EQ(versions(stream_events(store, thing("a"), {.direction = Direction::backwards, .valid_at = at})), wanted);
}

constexpr Case all_read_stream_cases[] = {
    {"G2", "a_missing_stream_reads_as_empty", a_missing_stream_reads_as_empty},
    {"G2", "forwards_and_backwards", forwards_and_backwards},
    {"API", "from_and_to_are_inclusive", from_and_to_are_inclusive},
    {"API", "bounds_far_beyond_the_stream", bounds_far_beyond_the_stream},
    {"API", "bounds_that_are_no_versions", bounds_that_are_no_versions},
    {"API", "a_limit_counts_from_where_reading_starts", a_limit_counts_from_where_reading_starts},
    {"API", "streams_that_end_at_a_page", streams_that_end_at_a_page},
    {"API", "reads_that_end_at_a_page", reads_that_end_at_a_page},
    {"API", "pages_of_large_events", pages_of_large_events},
    {"G1", "only_this_stream", only_this_stream},
    {"API", "a_reader_stays_at_its_end", a_reader_stays_at_its_end},
    {"API", "a_reader_can_be_moved", a_reader_can_be_moved},
    {"API", "several_readers_at_once", several_readers_at_once},
    {"API", "events_appended_while_reading_are_given", events_appended_while_reading_are_given},
    {"API", "writing_while_reading_is_possible", writing_while_reading_is_possible},
    {"G10", "as_of_a_recorded_time", as_of_a_recorded_time},
    {"G10", "valid_at_a_business_time", valid_at_a_business_time},
    {"API", "times_across_pages", times_across_pages},
};

}  // namespace

std::span<const Case> read_stream_cases() {
  return all_read_stream_cases;
}

}  // namespace stele::testing
