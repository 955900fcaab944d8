// Reading the log: positions, bounds, directions, page boundaries, coming back for more.

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "support.h"

namespace stele::testing {
namespace {

std::vector<std::int64_t> reversed(std::vector<std::int64_t> list) {
  std::reverse(list.begin(), list.end());
  return list;
}

/// Writes {"n": 1} … {"n": count} over seven streams, in appends of one to five events.
void write_log(EventStore& store, int count) {
  int next = 1;
  for (int round = 0; next <= count; ++round) {
    const int size = std::min(1 + round % 5, count - next + 1);
    const StreamKey stream("type-" + std::to_string(round % 3), "s" + std::to_string(round % 7));
    store.append(stream, ExpectedVersion::any(), events(size, next));
    next += size;
  }
}

/// The positions of all events, in order, checked against their data.
std::vector<std::int64_t> all_positions(EventStore& store) {
  const std::vector<RecordedEvent> all = log_events(store);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].data.canonical(), numbered(i + 1));
    if (i > 0) {
      EXPECT_LT(all[i - 1].position, all[i].position);
    }
  }
  return positions(all);
}

void an_empty_log(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_TRUE(log_events(store).empty());
  EXPECT_TRUE(log_events(store, {.direction = Direction::backwards}).empty());
  EXPECT_TRUE(log_events(store, {.after = Position(5)}).empty());
  store.record_command(command("r1"));
  EXPECT_TRUE(log_events(store).empty());
}

void the_log_has_every_event_in_order(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 40);
  const std::vector<std::int64_t> all = all_positions(store);
  ASSERT_EQ(all.size(), 40u);
  EXPECT_GE(all.front(), 1);
  EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards})), reversed(all));
  EXPECT_EQ(store.stats().last_position.value(), all.back());
}

void a_streams_events_are_in_version_order(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 200);
  std::map<StreamKey, std::int64_t> last;
  for (const RecordedEvent& event : store.read_log()) EXPECT_EQ(event.version.value(), ++last[event.stream]);
  EXPECT_EQ(last.size(), 21u);
  for (const auto& [stream, version] : last) EXPECT_EQ(store.stream_version(stream).value(), version);
}

void the_log_and_the_streams_agree(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 6; ++i) {
    store.append(request(command("r" + std::to_string(i)), thing("s" + std::to_string(i % 2)), ExpectedVersion::any(),
                         {full_event(2 * i + 1), full_event(2 * i + 2)}));
  }
  const std::vector<RecordedEvent> all = log_events(store);
  ASSERT_EQ(all.size(), 12u);
  for (const RecordedEvent& event : all) {
    const Version version = event.version;
    const std::vector<RecordedEvent> read = stream_events(store, event.stream, {.from = version, .to = version});
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(describe(read.front()), describe(event));
    const std::optional<RecordedEvent> found = store.find_event(event.event_id);
    ASSERT_TRUE(found);
    EXPECT_EQ(describe(*found), describe(event));
  }
}

void after_and_before_are_exclusive(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 20);
  const std::vector<std::int64_t> all = all_positions(store);
  ASSERT_EQ(all.size(), 20u);
  for (std::size_t low = 0; low < all.size(); low += 3) {
    for (std::size_t high = 0; high < all.size(); ++high) {
      SCOPED_TRACE("after " + std::to_string(all[low]) + " before " + std::to_string(all[high]));
      std::vector<std::int64_t> wanted;
      for (std::size_t i = low + 1; i < high; ++i) wanted.push_back(all[i]);
      LogReadOptions options{.after = Position(all[low]), .before = Position(all[high])};
      EXPECT_EQ(positions(log_events(store, options)), wanted);
      options.direction = Direction::backwards;
      EXPECT_EQ(positions(log_events(store, options)), reversed(wanted));
    }
  }
  const std::vector<std::int64_t> tail(all.begin() + 5, all.end());
  EXPECT_EQ(positions(log_events(store, {.after = Position(all[4])})), tail);
  const std::vector<std::int64_t> head(all.begin(), all.begin() + 4);
  EXPECT_EQ(positions(log_events(store, {.before = Position(all[4])})), head);
}

void bounds_far_beyond_the_log(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 5);
  const std::vector<std::int64_t> all = all_positions(store);
  ASSERT_EQ(all.size(), 5u);
  for (const std::int64_t far : {all.back() + 1, (std::int64_t{1} << 32) + all.back(), INT64_MAX}) {
    for (const Direction direction : {Direction::forwards, Direction::backwards}) {
      EXPECT_TRUE(log_events(store, {.direction = direction, .after = Position(far)}).empty());
      EXPECT_EQ(log_events(store, {.direction = direction, .before = Position(far)}).size(), 5u);
    }
  }
  EXPECT_TRUE(log_events(store, {.after = Position(all.back())}).empty());
  EXPECT_TRUE(log_events(store, {.before = Position(all.front())}).empty());
  EXPECT_TRUE(log_events(store, {.before = Position(0)}).empty());
  EXPECT_TRUE(log_events(store, {.after = Position(all[3]), .before = Position(all[1])}).empty());
}

void bounds_that_are_no_positions(Harness& harness) {
  EventStore store = open_store(harness);
  expect_error(ErrorCode::invalid_argument, "after", [&] { store.read_log({.after = Position(-1)}); });
  expect_error(ErrorCode::invalid_argument, "before", [&] { store.read_log({.before = Position(-1)}); });
}

void a_limit_of_the_log(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 10);
  const std::vector<std::int64_t> all = all_positions(store);
  ASSERT_EQ(all.size(), 10u);
  using List = std::vector<std::int64_t>;
  EXPECT_TRUE(log_events(store, {.limit = 0}).empty());
  EXPECT_EQ(positions(log_events(store, {.limit = 3})), List(all.begin(), all.begin() + 3));
  EXPECT_EQ(positions(log_events(store, {.limit = 11})), all);
  EXPECT_EQ(positions(log_events(store, {.after = Position(all[1]), .limit = 2})),
            List(all.begin() + 2, all.begin() + 4));
  EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards, .limit = 1})), List{all.back()});
  EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards, .before = Position(all[5]), .limit = 2})),
            (List{all[4], all[3]}));
}

void logs_that_end_at_a_page(Harness& harness) {
  EventStore store = open_store(harness);
  int size = 0;
  for (const int wanted : {63, 64, 65, 191, 192, 193, 447, 448, 449, 960, 961}) {
    while (size < wanted) {
      const int more = std::min(wanted - size, 1 + size % 4);
      store.append(thing("s" + std::to_string(size % 5)), ExpectedVersion::any(), events(more, size + 1));
      size += more;
    }
    const std::vector<std::int64_t> all = all_positions(store);
    EXPECT_EQ(all.size(), static_cast<std::size_t>(wanted));
    EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards})), reversed(all));
  }
}

void log_reads_that_end_at_a_page(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 1'500);
  const std::vector<std::int64_t> all = all_positions(store);
  ASSERT_EQ(all.size(), 1'500u);
  // Core asks for 64 events, then 128, 256, 512, 512 …
  for (const std::size_t end : {64u, 192u, 448u, 960u, 1'472u}) {
    for (const std::size_t near : {end - 1, end, end + 1}) {
      SCOPED_TRACE(near);
      const auto count = static_cast<std::ptrdiff_t>(near);
      const std::vector<std::int64_t> head(all.begin(), all.begin() + count);
      const std::vector<std::int64_t> tail(all.end() - count, all.end());
      EXPECT_EQ(positions(log_events(store, {.limit = near})), head);
      EXPECT_EQ(positions(log_events(store, {.before = Position(all[near])})), head);
      EXPECT_EQ(positions(log_events(store, {.after = Position(all[all.size() - near - 1])})), tail);
      EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards, .limit = near})), reversed(tail));
    }
  }
}

void coming_back_after_the_last_position(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 300);
  const std::vector<std::int64_t> all = all_positions(store);
  ASSERT_EQ(all.size(), 300u);
  for (const std::uint64_t step : {1u, 7u, 64u, 65u, 150u}) {
    std::vector<std::int64_t> seen;
    LogReadOptions options{.limit = step};
    while (true) {
      const std::vector<std::int64_t> page = positions(log_events(store, options));
      if (page.empty() || seen.size() > all.size()) break;
      seen.insert(seen.end(), page.begin(), page.end());
      options.after = Position(seen.back());
    }
    EXPECT_EQ(seen, all) << "in steps of " << step;
  }
}

void coming_back_while_others_write(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<std::int64_t> seen;
  LogReadOptions options;
  for (int round = 0; round < 100; ++round) {
    store.append(thing("s" + std::to_string(round % 7)), ExpectedVersion::any(), events(1 + round % 4));
    if (round % 3 == 0) {
      for (const std::int64_t position : positions(log_events(store, options))) seen.push_back(position);
      if (!seen.empty()) options.after = Position(seen.back());
    }
  }
  for (const std::int64_t position : positions(log_events(store, options))) seen.push_back(position);
  EXPECT_EQ(seen, positions(log_events(store)));
  EXPECT_EQ(seen.size(), 250u);
}

void a_log_reader_sees_what_is_appended_meanwhile(Harness& harness) {
  EventStore store = open_store(harness);
  write_log(store, 100);
  EventReader reader = store.read_log();
  const RecordedEvent* event = reader.next();
  ASSERT_NE(event, nullptr);
  const std::int64_t first = event->position.value();
  EventReader down = store.read_log({.direction = Direction::backwards});
  ASSERT_NE(down.next(), nullptr);
  store.append(thing("later"), ExpectedVersion::any(), events(200, 101));
  std::vector<std::int64_t> seen = positions(read_all(std::move(reader)));
  seen.insert(seen.begin(), first);
  EXPECT_EQ(seen, all_positions(store));
  EXPECT_EQ(read_all(std::move(down)).size(), 99u);
}

void log_pages_of_large_events(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<std::size_t> sizes{400'000, 400'000, 400'000, (1u << 20) + 5, 10, 2u << 20, 2u << 20, 10, 10};
  std::vector<std::string> wanted;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    wanted.push_back("[\"" + std::string(sizes[i] - 4, static_cast<char>('a' + i)) + "\"]");
    NewEvent large = event("large", wanted.back());
    large.metadata = json(R"({"m":")" + std::string(1'000, 'm') + "\"}");
    store.append(thing("s" + std::to_string(i % 2)), ExpectedVersion::any(), {large});
  }
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    std::vector<std::string> found;
    for (const RecordedEvent& event : log_events(store, {.direction = direction})) {
      found.push_back(event.data.canonical());
    }
    if (direction == Direction::backwards) std::reverse(found.begin(), found.end());
    EXPECT_TRUE(found == wanted) << "different data, or order, or " << found.size() << " events";
  }
}

void the_log_holds_every_tenant(Harness& harness) {
  EventStore store = open_store(harness);
  for (const char* tenant : {"b", "default", "a"}) {
    store.append({tenant, "thing", "x"}, ExpectedVersion::any(), events(2));
  }
  std::vector<std::string> tenants;
  for (const RecordedEvent& event : log_events(store)) tenants.push_back(event.stream.tenant);
  EXPECT_EQ(tenants, (std::vector<std::string>{"b", "b", "default", "default", "a", "a"}));
}

void the_log_as_of_a_recorded_time(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 3; ++i) {
    store.append(thing("s" + std::to_string(i % 2)), ExpectedVersion::any(), events(100, 1 + i * 100));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::vector<RecordedEvent> all = log_events(store);
  ASSERT_EQ(all.size(), 300u);
  ASSERT_LT(all[99].recorded_at, all[100].recorded_at);
  const std::vector<std::int64_t> order = positions(all);
  const std::vector<std::int64_t> first_two(order.begin(), order.begin() + 200);
  EXPECT_EQ(positions(log_events(store, {.as_of = all[199].recorded_at})), first_two);
  EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards, .as_of = all[199].recorded_at})),
            reversed(first_two));
  const Timestamp before_second = Timestamp::from_micros(all[100].recorded_at.micros() - 1);
  EXPECT_EQ(log_events(store, {.as_of = before_second}).size(), 100u);
  EXPECT_EQ(log_events(store, {.after = Position(order[49]), .limit = 70, .as_of = before_second}).size(), 50u);
  EXPECT_TRUE(log_events(store, {.as_of = Timestamp::from_micros(all[0].recorded_at.micros() - 1)}).empty());
}

constexpr Case all_read_log_cases[] = {
    {"G7", "an_empty_log", an_empty_log},
    {"G7", "the_log_has_every_event_in_order", the_log_has_every_event_in_order},
    {"G7", "a_streams_events_are_in_version_order", a_streams_events_are_in_version_order},
    {"G7", "the_log_and_the_streams_agree", the_log_and_the_streams_agree},
    {"API", "after_and_before_are_exclusive", after_and_before_are_exclusive},
    {"API", "bounds_far_beyond_the_log", bounds_far_beyond_the_log},
    {"API", "bounds_that_are_no_positions", bounds_that_are_no_positions},
    {"API", "a_limit_of_the_log", a_limit_of_the_log},
    {"API", "logs_that_end_at_a_page", logs_that_end_at_a_page},
    {"API", "log_reads_that_end_at_a_page", log_reads_that_end_at_a_page},
    {"G7", "coming_back_after_the_last_position", coming_back_after_the_last_position},
    {"G7", "coming_back_while_others_write", coming_back_while_others_write},
    {"G7", "a_log_reader_sees_what_is_appended_meanwhile", a_log_reader_sees_what_is_appended_meanwhile},
    {"API", "log_pages_of_large_events", log_pages_of_large_events},
    {"G14", "the_log_holds_every_tenant", the_log_holds_every_tenant},
    {"G10", "the_log_as_of_a_recorded_time", the_log_as_of_a_recorded_time},
};

}  // namespace

std::span<const Case> read_log_cases() {
  return all_read_log_cases;
}

}  // namespace stele::testing
