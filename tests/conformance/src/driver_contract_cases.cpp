// What driver.h asks of a driver and an EventStore does not show: pages, several appends in one call, second tries.
#include <algorithm>
#include <atomic>
#include <limits>

#include "prepared.h"
#include "support.h"

namespace stele::testing {
namespace {

using driver::Driver;
using driver::EventPage;
using driver::LogPageRequest;
using driver::PageLimits;
using driver::PreparedAppend;
using driver::StreamPageRequest;

constexpr std::int64_t no_bound = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t many = 1'000'000;

AppendResult send(Driver& driver, AppendRequest request, std::uint8_t fingerprint = 0) {
  Prepared prepared;
  prepared.add(std::move(request), fingerprint);
  return prepared.send(driver).at(0);
}

void fill(Driver& driver, const StreamKey& stream, int count, std::size_t payload = 0) {
  std::vector<NewEvent> made = events(count);
  if (payload > 0) {
    for (NewEvent& event : made) event.data = json(R"({"p":")" + std::string(payload - 8, 'x') + "\"}");
  }
  expect_appended(send(driver, request(stream, ExpectedVersion::no_stream(), std::move(made))), 1, count);
}

std::vector<std::int64_t> page_versions(const EventPage& page) {
  std::vector<std::int64_t> list;
  for (std::size_t i = 0; i < page.size(); ++i) list.push_back(page[i].version.value());
  return list;
}

std::size_t json_bytes(const EventPage& page) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < page.size(); ++i) {
    bytes += page[i].data.text().size();
    for (const auto* json : {&page[i].metadata, &page[i].policy_context, &page[i].model_context, &page[i].display}) {
      if (*json) bytes += (*json)->text().size();
    }
  }
  return bytes;
}

/// All versions of a stream, page by page, and the sizes of the pages.
std::vector<std::int64_t> page_through(Driver& driver, const StreamKey& stream, Direction direction, PageLimits limits,
                                       std::vector<std::size_t>& sizes) {
  std::vector<std::int64_t> all;
  EventPage page;
  StreamPageRequest request{&stream, direction, Version(1), Version(no_bound), std::nullopt, std::nullopt, limits};
  for (int pages = 0; pages < 1000; ++pages) {
    page.clear();
    driver.read_stream(request, page);
    sizes.push_back(page.size());
    for (const std::int64_t version : page_versions(page)) all.push_back(version);
    EXPECT_LE(page.size(), limits.max_events);
    EXPECT_EQ(page.bytes(), json_bytes(page));
    if (page.end) return all;
    if (page.size() == 0) throw std::runtime_error("an empty page that is not the end");
    if (direction == Direction::forwards) {
      request.from = Version(all.back() + 1);
    } else {
      if (all.back() == 1) return all;
      request.to = Version(all.back() - 1);
    }
  }
  throw std::runtime_error("the pages do not end");
}

// --- Pages

void a_page_of_a_stream_holds_max_events(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  fill(*driver, thing("a"), 20);
  fill(*driver, thing("b"), 5);
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    std::vector<std::int64_t> wanted = numbers(1, 20);
    if (direction == Direction::backwards) std::reverse(wanted.begin(), wanted.end());
    for (const std::size_t max : {1u, 2u, 7u, 19u, 20u, 21u, 1000u}) {
      SCOPED_TRACE(max);
      std::vector<std::size_t> sizes;
      EXPECT_EQ(page_through(*driver, thing("a"), direction, {max, many}, sizes), wanted);
      EXPECT_EQ(sizes.front(), std::min<std::size_t>(max, 20)) << "the first page is not full";
      // A full page at the very end may leave open that nothing follows.
      EXPECT_LE(sizes.size(), 20 / max + 1);
    }
  }
}

void a_page_of_a_stream_keeps_its_bounds(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  const StreamKey key = thing("a");
  fill(*driver, key, 10);
  EventPage page;
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    const bool forwards = direction == Direction::forwards;
    driver->read_stream({&key, direction, Version(3), Version(6), {}, {}, {2, many}}, page);
    EXPECT_EQ(page_versions(page), (forwards ? std::vector<std::int64_t>{3, 4} : std::vector<std::int64_t>{6, 5}));
    EXPECT_FALSE(page.end);
    page.clear();
    driver->read_stream({&key, direction, Version(3), Version(6), {}, {}, {100, many}}, page);
    EXPECT_EQ(page.size(), 4u);
    EXPECT_TRUE(page.end);
    page.clear();
    driver->read_stream({&key, direction, Version(7), Version(7), {}, {}, {100, many}}, page);
    EXPECT_EQ(page_versions(page), numbers(7, 7));
    page.clear();
    driver->read_stream({&key, direction, Version(11), Version(no_bound), {}, {}, {100, many}}, page);
    EXPECT_EQ(page.size(), 0u);
    EXPECT_TRUE(page.end);
    page.clear();
    const StreamKey missing = thing("missing");
    driver->read_stream({&missing, direction, Version(1), Version(no_bound), {}, {}, {100, many}}, page);
    EXPECT_EQ(page.size(), 0u);
    EXPECT_TRUE(page.end);
    page.clear();
  }
}

void a_page_holds_max_bytes(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  fill(*driver, thing("a"), 10, 5000);
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    std::vector<std::size_t> sizes;
    EXPECT_EQ(page_through(*driver, thing("a"), direction, {1000, 12'000}, sizes).size(), 10u);
    // Two fit; a driver that stops only when it is full takes a third.
    for (std::size_t i = 0; i + 2 < sizes.size(); ++i) EXPECT_TRUE(sizes[i] == 2 || sizes[i] == 3) << sizes[i];
    // The first is always given, however large.
    sizes.clear();
    EXPECT_EQ(page_through(*driver, thing("a"), direction, {1000, 1}, sizes).size(), 10u);
    EXPECT_EQ(std::count(sizes.begin(), sizes.end(), 1u), 10);
  }
  const LogFilter everything;
  EventPage page;
  driver->read_log({Direction::forwards, Position(0), Position(no_bound), {}, &everything, {1000, 1}}, page);
  ASSERT_EQ(page_versions(page), numbers(1, 1));
  EXPECT_FALSE(page.end);
  const Position after = page.scanned_to;
  EXPECT_GE(after, page[0].position);
  page.clear();
  driver->read_log({Direction::forwards, after, Position(no_bound), {}, &everything, {1000, 1}}, page);
  EXPECT_EQ(page_versions(page), numbers(2, 2));
}

void a_page_shows_nothing_of_the_page_before(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  const StreamKey full = thing("full");
  const StreamKey bare = thing("bare");
  AppendRequest with_command = request(command("r-1"), full, ExpectedVersion::any(), {full_event(1), full_event(2)});
  send(*driver, with_command);
  send(*driver, request(bare, ExpectedVersion::any(), {event("bare"), event("bare")}));
  EventPage fresh;
  driver->read_stream({&bare, Direction::forwards, Version(1), Version(no_bound), {}, {}, {10, many}}, fresh);
  EventPage used;
  driver->read_stream({&full, Direction::forwards, Version(1), Version(no_bound), {}, {}, {10, many}}, used);
  ASSERT_EQ(used.size(), 2u);
  EXPECT_GT(used.bytes(), 0u);
  used.clear();
  EXPECT_EQ(used.size(), 0u);
  EXPECT_EQ(used.bytes(), 0u);
  driver->read_stream({&bare, Direction::forwards, Version(1), Version(no_bound), {}, {}, {10, many}}, used);
  ASSERT_EQ(used.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(describe(used[i]), describe(fresh[i]));
}

void pages_of_the_log_follow_one_another(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  for (int i = 0; i < 6; ++i) fill(*driver, thing("s-" + std::to_string(i)), 5);
  LogFilter filter;
  filter.stream_types = {"thing"};
  for (const bool with_filter : {false, true}) {
    const LogFilter& used = with_filter ? filter : LogFilter();
    for (const std::size_t max : {1u, 4u, 29u, 30u, 31u}) {
      SCOPED_TRACE(max);
      std::vector<std::int64_t> found;
      LogPageRequest request{Direction::forwards, Position(0), Position(no_bound), {}, &used, {max, many}};
      EventPage page;
      for (int pages = 0; pages < 50; ++pages) {
        page.clear();
        driver->read_log(request, page);
        ASSERT_LE(page.size(), max);
        for (std::size_t i = 0; i < page.size(); ++i) found.push_back(page[i].position.value());
        EXPECT_GE(page.scanned_to, page.size() > 0 ? page[page.size() - 1].position : request.after);
        request.after = page.scanned_to;
        if (page.end) break;
        ASSERT_GT(page.size(), 0u);
      }
      EXPECT_TRUE(page.end);
      EXPECT_EQ(found.size(), 30u);
      EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
      std::vector<std::int64_t> backwards;
      LogPageRequest back{Direction::backwards, Position(0), Position(no_bound), {}, &used, {max, many}};
      for (int pages = 0; pages < 50 && back.before > Position(1); ++pages) {
        page.clear();
        driver->read_log(back, page);
        for (std::size_t i = 0; i < page.size(); ++i) backwards.push_back(page[i].position.value());
        if (page.end) break;
        back.before = page[page.size() - 1].position;
      }
      std::reverse(backwards.begin(), backwards.end());
      EXPECT_EQ(backwards, found);
    }
  }
}

// A subscription's checkpoint: going on from scanned_to loses nothing, also when nothing matched.
void scanned_to_passes_nothing_that_comes_later(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  LogFilter rare;
  rare.event_types = {"rare"};
  EventPage page;
  Position after;
  const auto poll = [&] {
    page.clear();
    driver->read_log({Direction::forwards, after, Position(no_bound), {}, &rare, {100, many}}, page);
    EXPECT_GE(page.scanned_to, after);
    EXPECT_TRUE(page.end);
    after = page.scanned_to;
    return page.size();
  };
  EXPECT_EQ(poll(), 0u);
  for (int i = 0; i < 10; ++i) {
    send(*driver, request(thing("a"), ExpectedVersion::any(), events(5)));
    EXPECT_EQ(poll(), 0u);
    const AppendResult result =
        send(*driver, request(thing("a"), ExpectedVersion::any(), {event("rare"), event("common")}));
    EXPECT_GT(result.streams[0].first_position, after);
    EXPECT_EQ(poll(), 1u);
  }
}

void scanned_to_passes_no_event_of_concurrent_writers(Harness& harness) {
  const std::unique_ptr<Driver> writing = harness.open();
  const std::unique_ptr<Driver> reading = harness.open();
  constexpr int appenders = 6;
  const int each = rounds(60, 12);
  std::atomic<int> still_writing = appenders;
  std::vector<std::string> seen;
  LogFilter rare;
  rare.event_types = {"rare"};
  in_threads(appenders + 1, [&](int i) {
    if (i < appenders) {
      const Leaving leaving(still_writing);
      for (int n = 0; n < each; ++n) {
        send(*writing, request(thing(std::to_string(i)), ExpectedVersion::any(),
                               {event("common"), event(n % 3 ? "common" : "rare")}));
      }
      return;
    }
    EventPage page;
    Position after;
    for (bool last = false; !last;) {
      last = still_writing == 0;
      do {
        page.clear();
        reading->read_log({Direction::forwards, after, Position(no_bound), {}, &rare, {3, many}}, page);
        for (std::size_t k = 0; k < page.size(); ++k) seen.push_back(describe(page[k]));
        after = page.scanned_to;
      } while (!page.end);
    }
  });
  EventPage whole;
  reading->read_log({Direction::forwards, Position(0), Position(no_bound), {}, &rare, {many, many}}, whole);
  std::vector<std::string> wanted;
  for (std::size_t k = 0; k < whole.size(); ++k) wanted.push_back(describe(whole[k]));
  EXPECT_EQ(wanted.size(), static_cast<std::size_t>(appenders * ((each + 2) / 3)));
  EXPECT_EQ(seen == wanted, true) << "seen " << seen.size() << " of " << wanted.size();
}

// --- Several appends in one call

void appends_of_one_call_follow_one_another(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  Prepared prepared;
  prepared.add(request(thing("a"), ExpectedVersion::no_stream(), events(2)));
  prepared.add(request(thing("a"), ExpectedVersion::no_stream(), events(1)));      // No longer.
  prepared.add(request(thing("a"), ExpectedVersion::exactly(2), events(1, 3)));    // As the first left it.
  prepared.add(request(thing("b"), ExpectedVersion::stream_exists(), events(1)));  // Not yet.
  AppendRequest with_condition = request(thing("b"), ExpectedVersion::no_stream(), events(1));
  with_condition.conditions.push_back({thing("a"), ExpectedVersion::exactly(3)});
  prepared.add(with_condition);
  prepared.add(request(thing("b"), ExpectedVersion::stream_exists(), events(1, 2)));
  const std::vector<AppendResult> results = prepared.send(*driver);
  expect_appended(results[0], 1, 2);
  expect_conflict(results[1], thing("a"), ExpectedVersion::no_stream(), 2);
  expect_appended(results[2], 3, 3);
  expect_conflict(results[3], thing("b"), ExpectedVersion::stream_exists(), 0);
  expect_appended(results[4], 1, 1);
  expect_appended(results[5], 2, 2);
  EXPECT_LT(results[0].last_position(), results[2].last_position());
  EXPECT_LT(results[2].last_position(), results[4].last_position());
  EXPECT_LT(results[4].last_position(), results[5].last_position());
  EventStore store(harness.open());
  expect_numbers(store, thing("a"), {1, 2, 3});
  expect_numbers(store, thing("b"), {1, 2});
}

void a_conflict_in_the_second_stream_writes_nothing_of_the_first(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  Prepared prepared;
  prepared.add(request(thing("taken"), ExpectedVersion::any(), events(1)));
  AppendRequest half = request(command("half"), thing("a"), ExpectedVersion::any(), events(3));
  half.streams.push_back({thing("taken"), ExpectedVersion::no_stream(), events(1, 2)});
  prepared.add(half);
  prepared.add(request(thing("b"), ExpectedVersion::any(), events(1)));
  const std::vector<AppendResult> results = prepared.send(*driver);
  expect_appended(results[0], 1, 1);
  expect_conflict(results[1], thing("taken"), ExpectedVersion::no_stream(), 1);
  expect_appended(results[2], 1, 1);
  EXPECT_FALSE(driver->stream_info(thing("a")));
  EXPECT_FALSE(driver->find_command(half.command->key));
  EXPECT_EQ(driver->stats().events, 2);
}

void a_repetition_in_the_same_call_is_a_replay(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  Prepared prepared;
  const AppendRequest ordered = request(command("r-1"), thing("a"), ExpectedVersion::no_stream(), events(2));
  prepared.add(ordered, 1);
  prepared.add(ordered, 1);
  prepared.add(ordered, 2);  // Another request under the same key.
  const AppendRequest by_id = request(thing("b"), ExpectedVersion::no_stream(), events_with_ids({1, 2}));
  prepared.add(by_id);
  prepared.add(by_id);
  prepared.add(request(thing("c"), ExpectedVersion::no_stream(), events_with_ids({2, 3})));
  std::vector<NewEvent> keyed = events(1);
  keyed[0].idempotency_key = "once";
  prepared.add(request(thing("d"), ExpectedVersion::no_stream(), keyed));
  prepared.add(request(thing("d"), ExpectedVersion::no_stream(), keyed));
  keyed[0].type = "other";
  prepared.add(request(thing("d"), ExpectedVersion::any(), keyed));
  const std::vector<AppendResult> results = prepared.send(*driver);
  expect_appended(results[0], 1, 2);
  expect_replay_of(results[0], results[1]);
  expect_status(AppendStatus::request_id_reused, results[2]);
  expect_appended(results[3], 1, 2);
  expect_replay_of(results[3], results[4]);
  expect_status(AppendStatus::duplicate_event_id, results[5]);
  expect_appended(results[6], 1, 1);
  expect_replay_of(results[6], results[7]);
  expect_status(AppendStatus::duplicate_idempotency_key, results[8]);
  EXPECT_EQ(driver->stats().events, 5);
  EXPECT_EQ(driver->stats().commands, 1);
}

void many_appends_in_one_call(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  EXPECT_TRUE(driver->append({}).empty());
  Prepared prepared;
  constexpr int count = 1000;
  for (int i = 0; i < count; ++i) {
    // Every tenth has to fail.
    const std::string id = std::to_string(i % 10 == 9 ? i - 1 : i);
    prepared.add(request(thing(id), ExpectedVersion::no_stream(), events(1, i)));
  }
  const std::vector<AppendResult> results = prepared.send(*driver);
  Position last;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 10 == 9) {
      expect_conflict(results[i], thing(std::to_string(i - 1)), ExpectedVersion::no_stream(), 1);
    } else {
      expect_appended(results[i], 1, 1);
      EXPECT_EQ(results[i].streams.at(0).stream, thing(std::to_string(i)));
      EXPECT_GT(results[i].last_position(), last);
      last = results[i].last_position();
    }
  }
  EXPECT_EQ(driver->stats().events, count * 9 / 10);
}

void an_append_of_nothing_only_checks(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  fill(*driver, thing("a"), 3);
  const AppendResult held = send(*driver, request(thing("a"), ExpectedVersion::exactly(3), {}));
  expect_status(AppendStatus::appended, held);
  ASSERT_EQ(held.streams.size(), 1u);
  EXPECT_EQ(held.streams[0].first_version.value(), 4);
  EXPECT_EQ(held.streams[0].last_version.value(), 3);
  EXPECT_EQ(held.streams[0].first_position.value(), 0);
  EXPECT_EQ(held.streams[0].last_position.value(), 0);
  expect_conflict(send(*driver, request(thing("a"), ExpectedVersion::exactly(2), {})), thing("a"),
                  ExpectedVersion::exactly(2), 3);
  EXPECT_EQ(send(*driver, request(thing("b"), ExpectedVersion::no_stream(), {})).streams.at(0).last_version.value(), 0);
  EXPECT_FALSE(driver->stream_info(thing("b")));
  EXPECT_EQ(driver->stats().events, 3);
  EXPECT_EQ(driver->list_tenants(), std::vector<std::string>{std::string(default_tenant)});
}

// --- Second tries

// Core repeats an append whose commit was never answered with the ids it made, and marks them as given.
void a_second_try_finds_the_first(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  for (const bool with_command : {false, true}) {
    const std::string id = with_command ? "with" : "without";
    AppendRequest append = request(thing(id), ExpectedVersion::no_stream(), {event(), full_event(with_command)});
    if (with_command) append.command = command("r-1");
    Prepared prepared;
    PreparedAppend& tried = prepared.add(append);
    const AppendResult first = prepared.send(*driver).at(0);
    expect_appended(first, 1, 2);
    for (driver::PreparedEvent& event : tried.streams[0].events) event.event_id_given = true;
    if (tried.command) tried.command->command_id_given = true;
    const std::int64_t before = driver->stats().events;
    expect_replay_of(first, prepared.send(*driver).at(0));
    EXPECT_EQ(driver->stats().events, before);
  }
}

void a_second_try_writes_what_the_first_did_not(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  Prepared prepared;
  PreparedAppend& tried = prepared.add(request(command("r-1"), thing("a"), ExpectedVersion::no_stream(), events(3)));
  for (driver::PreparedEvent& event : tried.streams[0].events) event.event_id_given = true;
  tried.command->command_id_given = true;
  expect_appended(prepared.send(*driver).at(0), 1, 3);
  for (const driver::PreparedEvent& event : tried.streams[0].events) EXPECT_TRUE(driver->find_event(event.event_id));
  EXPECT_TRUE(driver->find_command(tried.command->command_id));
}

void what_core_filled_in_may_differ_in_a_repetition(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  const AppendRequest append = request(thing("a"), ExpectedVersion::any(), events_with_ids({1}));
  Prepared first;
  first.add(append).streams[0].events[0].occurred_at = Timestamp::from_micros(1);
  const AppendResult original = first.send(*driver).at(0);
  Prepared second;
  second.add(append).streams[0].events[0].occurred_at = Timestamp::from_micros(2);
  expect_replay_of(original, second.send(*driver).at(0));
  EXPECT_EQ(driver->find_event(uuid(1)).value().occurred_at.micros(), 1);
  // A time that the caller gave is part of what is repeated.
  second[0].streams[0].events[0].occurred_at_given = true;
  expect_status(AppendStatus::duplicate_event_id, second.send(*driver).at(0));
}

void prepared_fields_take_the_place_of_the_events_own(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  const std::string source = "prepared source";
  Prepared prepared;
  driver::PreparedEvent& made =
      prepared.add(request(thing("a"), ExpectedVersion::any(), {full_event(1), event()})).streams[0].events[1];
  made.event_id = uuid(77);
  made.occurred_at = Timestamp::from_micros(-5);
  made.source = &source;
  made.channel = Channel::import;
  made.causation_id = uuid(78);
  expect_appended(prepared.send(*driver).at(0), 1, 2);
  const RecordedEvent stored = driver->find_event(uuid(77)).value();
  EXPECT_EQ(stored.version.value(), 2);
  EXPECT_EQ(stored.occurred_at.micros(), -5);
  EXPECT_EQ(stored.source, source);
  EXPECT_EQ(stored.channel, Channel::import);
  EXPECT_EQ(stored.causation_id, uuid(78));
}

// --- The rest

void tenants_are_listed_in_byte_order(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  EXPECT_TRUE(driver->list_tenants().empty());
  for (const char* tenant : {"b", "ä", "B", "a ", "a"}) {
    send(*driver, request(StreamKey(tenant, "t", "1"), ExpectedVersion::any(), events(1)));
  }
  AppendRequest only_command;
  only_command.command = command("r-1");
  only_command.command->key.tenant = "command only";
  send(*driver, only_command);
  EXPECT_EQ(driver->list_tenants(), (std::vector<std::string>{"B", "a", "a ", "b", "command only", "ä"}));
}

void the_name_is_lower_case(Harness& harness) {
  const std::unique_ptr<Driver> driver = harness.open();
  const std::string_view name = driver->name();
  EXPECT_FALSE(name.empty());
  EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string_view::npos) << name;
  EXPECT_EQ(harness.open()->name(), name);
}

constexpr Case all_driver_contract_cases[] = {
    {"API", "a_page_of_a_stream_holds_max_events", a_page_of_a_stream_holds_max_events},
    {"API", "a_page_of_a_stream_keeps_its_bounds", a_page_of_a_stream_keeps_its_bounds},
    {"API", "a_page_holds_max_bytes", a_page_holds_max_bytes},
    {"API", "a_page_shows_nothing_of_the_page_before", a_page_shows_nothing_of_the_page_before},
    {"API", "pages_of_the_log_follow_one_another", pages_of_the_log_follow_one_another},
    {"G7", "scanned_to_passes_nothing_that_comes_later", scanned_to_passes_nothing_that_comes_later},
    {"G7", "scanned_to_passes_no_event_of_concurrent_writers", scanned_to_passes_no_event_of_concurrent_writers},
    {"G4", "appends_of_one_call_follow_one_another", appends_of_one_call_follow_one_another},
    {"G4", "a_conflict_in_the_second_stream_writes_nothing_of_the_first",
     a_conflict_in_the_second_stream_writes_nothing_of_the_first},
    {"G5", "a_repetition_in_the_same_call_is_a_replay", a_repetition_in_the_same_call_is_a_replay},
    {"G4", "many_appends_in_one_call", many_appends_in_one_call},
    {"API", "an_append_of_nothing_only_checks", an_append_of_nothing_only_checks},
    {"G12", "a_second_try_finds_the_first", a_second_try_finds_the_first},
    {"G12", "a_second_try_writes_what_the_first_did_not", a_second_try_writes_what_the_first_did_not},
    {"G6", "what_core_filled_in_may_differ_in_a_repetition", what_core_filled_in_may_differ_in_a_repetition},
    {"API", "prepared_fields_take_the_place_of_the_events_own", prepared_fields_take_the_place_of_the_events_own},
    {"API", "tenants_are_listed_in_byte_order", tenants_are_listed_in_byte_order},
    {"API", "the_name_is_lower_case", the_name_is_lower_case},
};

}  // namespace

std::span<const Case> driver_contract_cases() {
  return all_driver_contract_cases;
}

}  // namespace stele::testing
