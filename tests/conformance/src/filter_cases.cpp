// Filters of the log: each alone, in pairs, across pages, and what they do not mean.

#include <algorithm>
#include <chrono>
#include <thread>

#include "support.h"

namespace stele::testing {
namespace {

/// What a filter should select, said a second time, in words of the recorded event.
struct Criterion {
  const char* name;
  void (*set)(LogFilter&, const std::vector<RecordedEvent>&);
  bool (*holds)(const RecordedEvent&, const std::vector<RecordedEvent>&);
};

using Log = std::vector<RecordedEvent>;

constexpr std::int64_t day = 86'400'000'000;

/// 240 events whose fields vary with different periods, so that each pair of criteria selects some of them.
void write_varied_log(EventStore& store) {
  for (int i = 0; i < 240; ++i) {
    NewEvent made = event("type-" + std::to_string(i % 4), "{\"n\":" + std::to_string(i) + "}");
    if (i % 5 != 0) made.actor = Actor{static_cast<ActorType>(i % 4), "actor-" + std::to_string(i % 3)};
    if (i % 7 != 0) made.source = "source-" + std::to_string(i % 3);
    if (i % 3 != 0) made.correlation_id = uuid(static_cast<std::uint8_t>(i % 5));
    if (i % 4 != 1) made.causation_id = uuid(static_cast<std::uint8_t>(100 + i % 3));
    made.occurred_at = Timestamp::from_micros((i * 7 % 60) * day);
    if (i % 3 != 1) made.valid_from = Timestamp::from_micros((i % 40) * day);
    if (i % 4 != 2) made.valid_to = Timestamp::from_micros((40 + i % 40) * day);
    if (i % 2 == 0) made.attributes["room"] = "room-" + std::to_string(i % 3);
    if (i % 3 == 0) made.attributes["mission"] = "m" + std::to_string(i % 4);
    const StreamKey stream(i % 6 == 5 ? "other" : "default", "stream-type-" + std::to_string(i % 3),
                           "s" + std::to_string(i % 9));
    store.append(stream, ExpectedVersion::any(), {made});
    if (i == 79 || i == 159) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

constexpr Criterion criteria[] = {
    {"tenant", [](LogFilter& f, const Log&) { f.tenant = "other"; },
     [](const RecordedEvent& e, const Log&) { return e.stream.tenant == "other"; }},
    {"one stream type", [](LogFilter& f, const Log&) { f.stream_types = {"stream-type-1"}; },
     [](const RecordedEvent& e, const Log&) { return e.stream.type == "stream-type-1"; }},
    {"two stream types, one unknown",
     [](LogFilter& f, const Log&) {
       f.stream_types = {"stream-type-2", "none", "stream-type-0"};
     },
     [](const RecordedEvent& e, const Log&) { return e.stream.type != "stream-type-1"; }},
    {"one event type", [](LogFilter& f, const Log&) { f.event_types = {"type-2"}; },
     [](const RecordedEvent& e, const Log&) { return e.type == "type-2"; }},
    {"three event types",
     [](LogFilter& f, const Log&) {
       f.event_types = {"type-3", "type-0", "type-1"};
     },
     [](const RecordedEvent& e, const Log&) { return e.type != "type-2"; }},
    {"source", [](LogFilter& f, const Log&) { f.source = "source-2"; },
     [](const RecordedEvent& e, const Log&) { return e.source == "source-2"; }},
    {"actor type", [](LogFilter& f, const Log&) { f.actor_type = ActorType::agent; },
     [](const RecordedEvent& e, const Log&) { return e.actor && e.actor->type == ActorType::agent; }},
    {"actor type user", [](LogFilter& f, const Log&) { f.actor_type = ActorType::user; },
     [](const RecordedEvent& e, const Log&) { return e.actor && e.actor->type == ActorType::user; }},
    {"actor id", [](LogFilter& f, const Log&) { f.actor_id = "actor-1"; },
     [](const RecordedEvent& e, const Log&) { return e.actor && e.actor->id == "actor-1"; }},
    {"correlation id", [](LogFilter& f, const Log&) { f.correlation_id = uuid(2); },
     [](const RecordedEvent& e, const Log&) { return e.correlation_id == uuid(2); }},
    {"causation id", [](LogFilter& f, const Log&) { f.causation_id = uuid(101); },
     [](const RecordedEvent& e, const Log&) { return e.causation_id == uuid(101); }},
    {"occurred from", [](LogFilter& f, const Log&) { f.occurred_from = Timestamp::from_micros(21 * day); },
     [](const RecordedEvent& e, const Log&) { return e.occurred_at.micros() >= 21 * day; }},
    {"occurred until", [](LogFilter& f, const Log&) { f.occurred_until = Timestamp::from_micros(35 * day); },
     [](const RecordedEvent& e, const Log&) { return e.occurred_at.micros() < 35 * day; }},
    {"recorded from", [](LogFilter& f, const Log& all) { f.recorded_from = all[80].recorded_at; },
     [](const RecordedEvent& e, const Log& all) { return e.recorded_at >= all[80].recorded_at; }},
    {"recorded until", [](LogFilter& f, const Log& all) { f.recorded_until = all[160].recorded_at; },
     [](const RecordedEvent& e, const Log& all) { return e.recorded_at < all[160].recorded_at; }},
    {"valid at", [](LogFilter& f, const Log&) { f.valid_at = Timestamp::from_micros(30 * day); },
     [](const RecordedEvent& e, const Log&) {
       return (!e.valid_from || e.valid_from->micros() <= 30 * day) && (!e.valid_to || e.valid_to->micros() > 30 * day);
     }},
    {"attribute", [](LogFilter& f, const Log&) { f.attributes.emplace_back("room", "room-0"); },
     [](const RecordedEvent& e, const Log&) {
       const auto room = e.attributes.find("room");
       return room != e.attributes.end() && room->second == "room-0";
     }},
    {"another attribute", [](LogFilter& f, const Log&) { f.attributes.emplace_back("mission", "m0"); },
     [](const RecordedEvent& e, const Log&) {
       const auto mission = e.attributes.find("mission");
       return mission != e.attributes.end() && mission->second == "m0";
     }},
};

/// In both directions, whole, limited and between bounds.
void expect_selected(EventStore& store, const LogFilter& filter, const std::vector<std::int64_t>& wanted) {
  EXPECT_EQ(positions(log_events(store, {.filter = filter})), wanted);
  std::vector<std::int64_t> backwards = wanted;
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards, .filter = filter})), backwards);
  if (wanted.size() < 3) return;
  EXPECT_EQ(positions(log_events(store, {.limit = 2, .filter = filter})),
            std::vector<std::int64_t>(wanted.begin(), wanted.begin() + 2));
  EXPECT_EQ(positions(log_events(
                store, {.after = Position(wanted.front()), .before = Position(wanted.back()), .filter = filter})),
            std::vector<std::int64_t>(wanted.begin() + 1, wanted.end() - 1));
}

void each_filter_alone(Harness& harness) {
  EventStore store = open_store(harness);
  write_varied_log(store);
  const Log all = log_events(store);
  ASSERT_EQ(all.size(), 240u);
  for (const Criterion& criterion : criteria) {
    SCOPED_TRACE(criterion.name);
    LogFilter filter;
    criterion.set(filter, all);
    std::vector<std::int64_t> wanted;
    for (const RecordedEvent& event : all) {
      if (criterion.holds(event, all)) wanted.push_back(event.position.value());
    }
    EXPECT_TRUE(wanted.size() >= 5 && wanted.size() < all.size()) << "the case selects " << wanted.size() << " events";
    expect_selected(store, filter, wanted);
  }
}

void each_pair_of_filters(Harness& harness) {
  EventStore store = open_store(harness);
  write_varied_log(store);
  const Log all = log_events(store);
  ASSERT_EQ(all.size(), 240u);
  int selected = 0;
  for (const Criterion& one : criteria) {
    for (const Criterion& two : criteria) {
      LogFilter filter;
      one.set(filter, all);
      LogFilter overridden;
      two.set(overridden, all);
      if (&one >= &two || (!filter.stream_types.empty() && !overridden.stream_types.empty()) ||
          (!filter.event_types.empty() && !overridden.event_types.empty()) ||
          (filter.actor_type && overridden.actor_type)) {
        continue;  // The second would replace the first.
      }
      SCOPED_TRACE(std::string(one.name) + " and " + two.name);
      two.set(filter, all);
      std::vector<std::int64_t> wanted;
      for (const RecordedEvent& event : all) {
        if (one.holds(event, all) && two.holds(event, all)) wanted.push_back(event.position.value());
      }
      selected += wanted.empty() ? 0 : 1;
      expect_selected(store, filter, wanted);
    }
  }
  EXPECT_GT(selected, 100);
}

void all_filters_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  write_varied_log(store);
  NewEvent wanted = full_event(3);
  const AppendResult result =
      store.append({"us", "thing", "a"}, ExpectedVersion::any(), {full_event(1), wanted, full_event(5)});
  LogFilter filter;
  filter.tenant = "us";
  filter.stream_types = {"stream-type-0", "thing"};
  filter.event_types = {wanted.type, "type-1"};
  filter.source = wanted.source;
  filter.actor_type = wanted.actor->type;
  filter.actor_id = wanted.actor->id;
  filter.correlation_id = wanted.correlation_id;
  filter.causation_id = wanted.causation_id;
  filter.occurred_from = wanted.occurred_at;
  filter.occurred_until = Timestamp::from_micros(wanted.occurred_at->micros() + 1);
  const std::vector<RecordedEvent> stored = stream_events(store, {"us", "thing", "a"});
  ASSERT_EQ(stored.size(), 3u);
  filter.recorded_from = stored[1].recorded_at;
  filter.recorded_until = Timestamp::from_micros(stored[1].recorded_at.micros() + 1);
  filter.valid_at = wanted.valid_from;
  filter.attributes = {{"room", "blue"}, {"mission_id", "mission-3"}};
  const std::vector<std::int64_t> position{stored[1].position.value()};
  EXPECT_EQ(positions(log_events(store, {.filter = filter})), position);
  EXPECT_EQ(positions(log_events(store, {.direction = Direction::backwards, .filter = filter})), position);
  filter.actor_id = "actor-33";
  EXPECT_TRUE(log_events(store, {.filter = filter}).empty());
}

void windows_are_half_open(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(5);
  for (std::size_t i = 0; i < given.size(); ++i) {
    given[i].occurred_at = Timestamp::from_micros(1'000'000 + static_cast<std::int64_t>(i));
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  const auto between = [&](std::optional<std::int64_t> from, std::optional<std::int64_t> until) {
    LogFilter filter;
    if (from) filter.occurred_from = Timestamp::from_micros(*from);
    if (until) filter.occurred_until = Timestamp::from_micros(*until);
    return versions(log_events(store, {.filter = filter}));
  };
  EXPECT_EQ(between(1'000'000, 1'000'005), numbers(1, 5));
  EXPECT_EQ(between(1'000'001, 1'000'004), numbers(2, 4));
  EXPECT_EQ(between(1'000'002, 1'000'003), numbers(3, 3));
  EXPECT_TRUE(between(1'000'002, 1'000'002).empty());
  EXPECT_TRUE(between(1'000'004, 1'000'001).empty());
  EXPECT_EQ(between(1'000'004, {}), numbers(5, 5));
  EXPECT_EQ(between({}, 1'000'001), numbers(1, 1));
  const Timestamp recorded = log_events(store).at(0).recorded_at;
  EXPECT_EQ(log_events(store, {.filter = {.recorded_from = recorded}}).size(), 5u);
  EXPECT_TRUE(log_events(store, {.filter = {.recorded_until = recorded}}).empty());
}

void times_before_1970(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(3);
  given[0].occurred_at = Timestamp::parse("0001-01-01T00:00:00Z");
  given[1].occurred_at = Timestamp::parse("1969-12-31T23:59:59.999999Z");
  given[2].occurred_at = Timestamp::parse("9999-12-31T23:59:59.999999Z");
  store.append(thing("a"), ExpectedVersion::any(), given);
  const auto versions_of = [&](const LogFilter& filter) { return versions(log_events(store, {.filter = filter})); };
  EXPECT_EQ(versions_of({.occurred_until = given[1].occurred_at}), numbers(1, 1));
  EXPECT_EQ(versions_of({.occurred_from = given[1].occurred_at}), numbers(2, 3));
  EXPECT_EQ(versions_of({.occurred_until = Timestamp()}), numbers(1, 2));
  EXPECT_EQ(versions_of({.occurred_from = given[0].occurred_at, .occurred_until = given[2].occurred_at}),
            numbers(1, 2));
}

void few_matches_across_many_pages(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(3'000);
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (i % 250 == 100) given[i].attributes["rare"] = "yes";
    if (i % 20 == 7) given[i].type = "seldom";
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  LogFilter rare;
  rare.attributes.emplace_back("rare", "yes");
  LogFilter seldom;
  seldom.event_types = {"seldom"};
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    EXPECT_EQ(log_events(store, {.direction = direction, .filter = rare}).size(), 12u);
    const std::vector<RecordedEvent> found = log_events(store, {.direction = direction, .filter = seldom});
    ASSERT_EQ(found.size(), 150u);  // More than two pages.
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::size_t n = direction == Direction::forwards ? i : found.size() - 1 - i;
      EXPECT_EQ(found[i].version.value(), static_cast<std::int64_t>(n * 20 + 8));
    }
  }
}

void coming_back_with_a_filter(Harness& harness) {
  EventStore store = open_store(harness);
  write_varied_log(store);
  LogFilter filter;
  filter.event_types = {"type-1"};
  std::vector<std::int64_t> seen;
  LogReadOptions options{.limit = 7, .filter = filter};
  while (true) {
    const std::vector<std::int64_t> page = positions(log_events(store, options));
    if (page.empty() || seen.size() > 240) break;
    seen.insert(seen.end(), page.begin(), page.end());
    options.after = Position(seen.back());
  }
  EXPECT_EQ(seen, positions(log_events(store, {.filter = filter})));
  EXPECT_EQ(seen.size(), 60u);
}

void what_a_command_gives_is_found(Harness& harness) {
  EventStore store = open_store(harness);
  Command given = command("r1");
  given.command_id = uuid(200);
  store.append(request(given, thing("a"), ExpectedVersion::any(), events(2)));
  store.append(request(command("r2", "mill"), thing("a"), ExpectedVersion::any(), events(1)));
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  EXPECT_EQ(versions(log_events(store, {.filter = {.source = "shop"}})), numbers(1, 2));
  EXPECT_EQ(versions(log_events(store, {.filter = {.source = "mill"}})), numbers(3, 3));
  EXPECT_EQ(versions(log_events(store, {.filter = {.causation_id = uuid(200)}})), numbers(1, 2));
}

void attributes_need_name_and_value(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(6);
  given[0].attributes = {{"a", "1"}, {"b", "2"}};
  given[1].attributes = {{"a", "2"}, {"b", "1"}};
  given[2].attributes = {{"a", "1"}};
  given[3].attributes = {{"A", "1"}};
  given[4].attributes = {{"a", "1 "}, {"b", "2"}};
  store.append(thing("a"), ExpectedVersion::any(), given);
  using List = std::vector<std::int64_t>;
  const auto with = [&](std::vector<std::pair<std::string, std::string>> attributes) {
    return versions(log_events(store, {.filter = {.attributes = std::move(attributes)}}));
  };
  EXPECT_EQ(with({{"a", "1"}}), (List{1, 3}));
  EXPECT_EQ(with({{"a", "1"}, {"b", "2"}}), (List{1}));
  EXPECT_EQ(with({{"b", "2"}, {"a", "1"}}), (List{1}));
  EXPECT_EQ(with({{"b", "2"}}), (List{1, 5}));
  EXPECT_EQ(with({{"a", "1 "}}), (List{5}));
  EXPECT_EQ(with({{"A", "1"}}), (List{4}));
  EXPECT_TRUE(with({{"a", "1"}, {"a", "2"}}).empty());  // No event has both.
  EXPECT_EQ(with({{"a", "1"}, {"a", "1"}}), (List{1, 3}));
  EXPECT_TRUE(with({{"a", "b"}}).empty());
  EXPECT_TRUE(with({{"unknown", "1"}}).empty());
}

void many_attributes_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(3);
  LogFilter filter;
  for (int i = 0; i < 32; ++i) {
    const std::string name = "name-" + std::to_string(i);
    for (NewEvent& one : given) one.attributes[name] = "value";
    filter.attributes.emplace_back(name, "value");
  }
  given[1].attributes["name-31"] = "other";
  store.append(thing("a"), ExpectedVersion::any(), given);
  EXPECT_EQ(versions(log_events(store, {.filter = filter})), (std::vector<std::int64_t>{1, 3}));
  filter.attributes.emplace_back("name-32", "value");
  expect_error(ErrorCode::invalid_argument, "attributes", [&] { store.read_log({.filter = filter}); });
}

void many_types_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  LogFilter filter;
  for (int i = 0; i < 150; ++i) {
    const std::string type = "type-" + std::to_string(i);
    store.append({type, "a"}, ExpectedVersion::any(), {event(type)});
    if (i < 100) filter.event_types.push_back(type);
    if (i >= 50) filter.stream_types.push_back(type);
  }
  EXPECT_EQ(log_events(store, {.filter = filter}).size(), 50u);
  filter.event_types.push_back("type-0");
  expect_error(ErrorCode::invalid_argument, "100", [&] { store.read_log({.filter = filter}); });
}

void a_type_named_twice(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(3));
  const LogFilter filter{.stream_types = {"thing", "thing"}, .event_types = {"happened", "happened"}};
  EXPECT_EQ(versions(log_events(store, {.filter = filter})), numbers(1, 3));
}

void filters_have_no_wildcards(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent made = full_event(1);
  made.attributes = {{"room", "blue"}};
  store.append(thing("a"), ExpectedVersion::any(), {made});
  EXPECT_EQ(log_events(store, {.filter = {.event_types = {"type-1"}, .attributes = {{"room", "blue"}}}}).size(), 1u);
  for (const char* pattern :
       {"%", "_______", "type-_", "t%", "*", ".*", "TYPE-1", "type-1 ", "' OR 1=1 --", "\"type-1\""}) {
    SCOPED_TRACE(pattern);
    EXPECT_TRUE(log_events(store, {.filter = {.event_types = {pattern}}}).empty());
    EXPECT_TRUE(log_events(store, {.filter = {.stream_types = {pattern}}}).empty());
    EXPECT_TRUE(log_events(store, {.filter = {.source = pattern}}).empty());
    EXPECT_TRUE(log_events(store, {.filter = {.actor_id = pattern}}).empty());
    EXPECT_TRUE(log_events(store, {.filter = {.tenant = pattern}}).empty());
    EXPECT_TRUE(log_events(store, {.filter = {.attributes = {{"room", pattern}}}}).empty());
    EXPECT_TRUE(log_events(store, {.filter = {.attributes = {{pattern, "blue"}}}}).empty());
  }
}

void filters_take_special_characters(Harness& harness) {
  EventStore store = open_store(harness);
  for (const char* text : {"it's", "a \"b\"", "100%", "_", "\\", "é😀", "a;b--c", ":p1", "?", "$1", "@p", "{}", "[a]"}) {
    SCOPED_TRACE(text);
    NewEvent made = event(text);
    made.source = text;
    made.actor = Actor{ActorType::user, text};
    made.attributes[text] = text;
    store.append({text, text, text}, ExpectedVersion::any(), {made});
    LogFilter filter;
    filter.tenant = text;
    filter.stream_types = {text};
    filter.event_types = {text};
    filter.source = text;
    filter.actor_id = text;
    filter.attributes.emplace_back(text, text);
    EXPECT_EQ(log_events(store, {.filter = filter}).size(), 1u);
  }
}

void tenants_are_kept_apart(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 100; ++i) {
    store.append({i % 3 == 0 ? "us" : "them", "thing", "s" + std::to_string(i % 4)}, ExpectedVersion::any(),
                 events(1, i));
  }
  int ours = 0;
  for (const RecordedEvent& event : store.read_log({.filter = {.tenant = "us"}})) {
    EXPECT_EQ(event.stream.tenant, "us");
    ++ours;
  }
  EXPECT_EQ(ours, 34);
  EXPECT_EQ(log_events(store, {.filter = {.tenant = "them"}}).size(), 66u);
  EXPECT_TRUE(log_events(store, {.filter = {.tenant = "default"}}).empty());
  EXPECT_TRUE(log_events(store, {.filter = {.tenant = "Us"}}).empty());
}

void a_filter_that_breaks_a_rule(Harness& harness) {
  EventStore store = open_store(harness);
  const auto refused = [&](ErrorCode code, std::string_view field, LogFilter filter) {
    expect_error(code, field, [&] { store.read_log({.filter = filter}); });
  };
  refused(ErrorCode::invalid_argument, "tenant_id", {.tenant = ""});
  refused(ErrorCode::invalid_argument, "stream_type", {.stream_types = {"a", ""}});
  refused(ErrorCode::invalid_argument, "event_type", {.event_types = {std::string("a\0b", 3)}});
  refused(ErrorCode::invalid_argument, "source", {.source = "\xff"});
  refused(ErrorCode::invalid_argument, "actor_id", {.actor_id = ""});
  refused(ErrorCode::invalid_argument, "attributes", {.attributes = {{"", "x"}}});
  refused(ErrorCode::too_large, "event_type", {.event_types = {std::string(129, 'x')}});
  refused(ErrorCode::too_large, "attributes", {.attributes = {{"x", std::string(256, 'x')}}});
}

constexpr Case all_filter_cases[] = {
    {"API", "each_filter_alone", each_filter_alone},
    {"API", "each_pair_of_filters", each_pair_of_filters},
    {"API", "all_filters_at_once", all_filters_at_once},
    {"API", "windows_are_half_open", windows_are_half_open},
    {"G10", "times_before_1970", times_before_1970},
    {"API", "few_matches_across_many_pages", few_matches_across_many_pages},
    {"G7", "coming_back_with_a_filter", coming_back_with_a_filter},
    {"G5", "what_a_command_gives_is_found", what_a_command_gives_is_found},
    {"API", "attributes_need_name_and_value", attributes_need_name_and_value},
    {"API", "many_attributes_at_once", many_attributes_at_once},
    {"API", "many_types_at_once", many_types_at_once},
    {"API", "a_type_named_twice", a_type_named_twice},
    {"API", "filters_have_no_wildcards", filters_have_no_wildcards},
    {"API", "filters_take_special_characters", filters_take_special_characters},
    {"G14", "tenants_are_kept_apart", tenants_are_kept_apart},
    {"G9", "a_filter_that_breaks_a_rule", a_filter_that_breaks_a_rule},
};

}  // namespace

std::span<const Case> filter_cases() {
  return all_filter_cases;
}

}  // namespace stele::testing
