// Appending: versions, order, several streams at once, nothing at all, and many independent appends.

#include "support.h"

namespace stele::testing {
namespace {

void first_event_has_version_1(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult result = store.append(thing("a"), ExpectedVersion::any(), events(1));
  expect_appended(result, 1, 1);
  EXPECT_EQ(result.streams.at(0).stream, thing("a"));
  expect_numbers(store, thing("a"), {1});
}

void versions_go_on_without_a_gap(Harness& harness) {
  EventStore store = open_store(harness);
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), events(1, 1)), 1, 1);
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), events(2, 2)), 2, 3);
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), events(3, 4)), 4, 6);
  expect_numbers(store, thing("a"), {1, 2, 3, 4, 5, 6});
}

void each_stream_counts_for_itself(Harness& harness) {
  EventStore store = open_store(harness);
  for (int round = 0; round < 3; ++round) {
    for (const char* id : {"a", "b", "c"}) {
      expect_appended(store.append(thing(id), ExpectedVersion::any(), events(1, round + 1)), round + 1, round + 1);
    }
  }
  for (const char* id : {"a", "b", "c"}) expect_numbers(store, thing(id), {1, 2, 3});
}

void outcome_says_where_the_events_are(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("other"), ExpectedVersion::any(), events(2));
  const AppendResult result = store.append(thing("a"), ExpectedVersion::any(), events(3));
  expect_appended(result, 1, 3);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored.front().position, result.streams.at(0).first_position);
  EXPECT_EQ(stored.back().position, result.streams.at(0).last_position);
  EXPECT_LT(stored[0].position, stored[1].position);
  EXPECT_LT(stored[1].position, stored[2].position);
}

void what_the_caller_leaves_out_is_filled_in(Harness& harness) {
  EventStore store = open_store(harness);
  const Timestamp before = Timestamp::now();
  NewEvent bare;
  bare.type = "bare";
  store.append(thing("a"), ExpectedVersion::any(), {bare, bare});
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].event_id.version(), 7);
  EXPECT_LT(stored[0].event_id, stored[1].event_id);
  EXPECT_GE(stored[0].occurred_at, before);
  EXPECT_LE(stored[0].occurred_at, Timestamp::now());
  EXPECT_EQ(stored[0].event_version, 1);
  EXPECT_EQ(stored[0].data.canonical(), "{}");
  EXPECT_EQ(to_string(stored[0].redaction_level), "none");
  EXPECT_FALSE(stored[0].contains_secrets || stored[0].actor || stored[0].source || stored[0].channel ||
               stored[0].metadata || stored[0].policy_context || stored[0].model_context || stored[0].display ||
               stored[0].valid_from || stored[0].valid_to || stored[0].idempotency_key || stored[0].causation_id ||
               stored[0].correlation_id || stored[0].command);
  EXPECT_TRUE(stored[0].attributes.empty());
}

void every_field_is_stored(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<NewEvent> given{full_event(1), full_event(2), full_event(3), full_event(4), full_event(5)};
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), given), 1, 5);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    SCOPED_TRACE("event " + std::to_string(i + 1));
    expect_stored(given[i], stored[i]);
    EXPECT_FALSE(stored[i].command);
  }
}

void one_append_of_many_events(Harness& harness) {
  EventStore store = open_store(harness);
  constexpr int count = 2'500;  // More than a statement of any database has parameters for, at 20 fields an event.
  expect_appended(store.append(thing("a"), ExpectedVersion::no_stream(), events(count)), 1, count);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < stored.size(); ++i) {
    ASSERT_EQ(stored[i].data.canonical(), numbered(i + 1));
    ASSERT_EQ(stored[i].version.value(), static_cast<std::int64_t>(i + 1));
  }
}

// --- Several streams in one append

AppendRequest three_streams() {
  AppendRequest asked;
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events(2, 1)});
  asked.streams.push_back({thing("c"), ExpectedVersion::any(), events(1, 3)});
  asked.streams.push_back({thing("a"), ExpectedVersion::any(), events(2, 4)});
  return asked;
}

void several_streams_in_one_append(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("c"), ExpectedVersion::any(), events(1, 0));
  const AppendResult result = store.append(three_streams());
  expect_status(AppendStatus::appended, result);
  ASSERT_EQ(result.streams.size(), 3u);
  EXPECT_EQ(result.streams[0].stream, thing("b"));
  EXPECT_EQ(result.streams[1].stream, thing("c"));
  EXPECT_EQ(result.streams[2].stream, thing("a"));
  EXPECT_EQ(result.streams[1].first_version.value(), 2);
  EXPECT_EQ(result.streams[2].last_version.value(), 2);
  EXPECT_EQ(result.last_position(), result.streams[2].last_position);
  expect_numbers(store, thing("b"), {1, 2});
  expect_numbers(store, thing("c"), {0, 3});
  expect_numbers(store, thing("a"), {4, 5});
}

void positions_follow_the_request(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult result = store.append(three_streams());
  std::vector<std::string> order;
  for (const RecordedEvent& event : log_events(store)) {
    order.push_back(event.stream.id + std::to_string(event.version.value()) + event.data.canonical());
  }
  EXPECT_EQ(order,
            (std::vector<std::string>{"b1{\"n\":1}", "b2{\"n\":2}", "c1{\"n\":3}", "a1{\"n\":4}", "a2{\"n\":5}"}));
  ASSERT_EQ(result.streams.size(), 3u);
  EXPECT_LT(result.streams[0].last_position, result.streams[1].first_position);
  EXPECT_LT(result.streams[1].last_position, result.streams[2].first_position);
}

void conflict_in_the_second_stream_writes_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("b"), ExpectedVersion::any(), events(2));
  AppendRequest asked = request(thing("a"), ExpectedVersion::no_stream(), {full_event(1), full_event(2)});
  asked.streams.push_back({thing("b"), ExpectedVersion::exactly(1), events(1)});
  asked.streams.push_back({thing("c"), ExpectedVersion::any(), events(1)});
  expect_nothing_written(store,
                         [&] { expect_conflict(store.append(asked), thing("b"), ExpectedVersion::exactly(1), 2); });
  EXPECT_FALSE(store.stream_info(thing("a")));
  EXPECT_FALSE(store.stream_info(thing("c")));
  EXPECT_FALSE(store.find_event(uuid(1)));
  asked.streams[1].expected = ExpectedVersion::exactly(2);
  expect_status(AppendStatus::appended, store.append(asked));
  EXPECT_EQ(store.stats().events, 6);
}

void conflict_in_the_last_of_many_streams_writes_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked;
  for (int i = 0; i < 100; ++i) {
    asked.streams.push_back({thing("s" + std::to_string(i)), ExpectedVersion::no_stream(), events(2)});
  }
  asked.streams.back().expected = ExpectedVersion::stream_exists();
  expect_nothing_written(
      store, [&] { expect_conflict(store.append(asked), thing("s99"), ExpectedVersion::stream_exists(), 0); });
  EXPECT_EQ(store.stats().streams, 0);
}

void duplicate_in_the_second_stream_writes_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("b"), ExpectedVersion::any(), events_with_ids({1}));
  AppendRequest asked = request(thing("a"), ExpectedVersion::any(), events(1));
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events_with_ids({1})});
  expect_nothing_written(store, [&] { expect_status(AppendStatus::duplicate_event_id, store.append(asked)); });
  EXPECT_EQ(store.stream_version(thing("a")).value(), 0);
}

void a_stream_comes_once_in_an_append(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = request(thing("a"), ExpectedVersion::any(), events(1));
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events(1)});
  expect_nothing_written(store, [&] {
    AppendRequest twice = asked;
    twice.streams.push_back({thing("a"), ExpectedVersion::any(), events(1)});
    expect_error(ErrorCode::invalid_argument, "thing/a", [&] { store.append(twice); });
    AppendRequest checked = asked;
    checked.conditions.push_back({thing("b"), ExpectedVersion::any()});
    expect_error(ErrorCode::invalid_argument, "thing/b", [&] { store.append(checked); });
    checked.conditions = {{thing("c"), ExpectedVersion::any()}, {thing("c"), ExpectedVersion::any()}};
    expect_error(ErrorCode::invalid_argument, "thing/c", [&] { store.append(checked); });
  });
}

void an_append_is_of_one_tenant(Harness& harness) {
  EventStore store = open_store(harness);
  const StreamKey foreign("other", "thing", "a");
  expect_nothing_written(store, [&] {
    AppendRequest asked = request(thing("a"), ExpectedVersion::any(), events(1));
    asked.streams.push_back({foreign, ExpectedVersion::any(), events(1)});
    expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.append(asked); });
    asked.streams.pop_back();
    asked.conditions.push_back({foreign, ExpectedVersion::any()});
    expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.append(asked); });
    asked.conditions.clear();
    asked.command = command("r1");
    asked.command->key.tenant = "other";
    expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.append(asked); });
    asked.command = command("r1");
    asked.command->stream = foreign;
    expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.append(asked); });
  });
}

void tenants_have_streams_of_their_own(Harness& harness) {
  EventStore store = open_store(harness);
  const StreamKey ours("us", "thing", "a");
  const StreamKey theirs("them", "thing", "a");
  expect_appended(store.append(ours, ExpectedVersion::no_stream(), events(2, 1)), 1, 2);
  expect_appended(store.append(theirs, ExpectedVersion::no_stream(), events(1, 7)), 1, 1);
  expect_appended(store.append(thing("a"), ExpectedVersion::no_stream(), events(1, 9)), 1, 1);
  expect_numbers(store, ours, {1, 2});
  expect_numbers(store, theirs, {7});
  expect_numbers(store, thing("a"), {9});
}

// --- Nothing

void an_append_of_nothing_creates_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  expect_nothing_written(store, [&] {
    const AppendResult result = store.append(thing("a"), ExpectedVersion::no_stream(), {});
    expect_status(AppendStatus::appended, result);
    ASSERT_EQ(result.streams.size(), 1u);
    EXPECT_EQ(result.streams.front(), (StreamOutcome{thing("a"), Version(1), Version(0), Position(0), Position(0)}));
    EXPECT_EQ(result.last_position().value(), 0);
  });
  EXPECT_FALSE(store.stream_info(thing("a")));
  EXPECT_TRUE(store.list_streams().empty());
  expect_appended(store.append(thing("a"), ExpectedVersion::no_stream(), events(1)), 1, 1);
}

void an_append_of_nothing_says_where_the_stream_is(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(3));
  expect_nothing_written(store, [&] {
    const AppendResult result = store.append(thing("a"), ExpectedVersion::exactly(3), {});
    expect_status(AppendStatus::appended, result);
    ASSERT_EQ(result.streams.size(), 1u);
    EXPECT_EQ(result.streams.front(), (StreamOutcome{thing("a"), Version(4), Version(3), Position(0), Position(0)}));
    expect_conflict(store.append(thing("a"), ExpectedVersion::exactly(2), {}), thing("a"), ExpectedVersion::exactly(2),
                    3);
  });
}

void a_stream_without_events_beside_one_with_events(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  AppendRequest asked = request(thing("a"), ExpectedVersion::exactly(2), {});
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events(1)});
  asked.streams.push_back({thing("c"), ExpectedVersion::no_stream(), {}});
  const AppendResult result = store.append(asked);
  expect_status(AppendStatus::appended, result);
  ASSERT_EQ(result.streams.size(), 3u);
  EXPECT_EQ(result.streams[0], (StreamOutcome{thing("a"), Version(3), Version(2), Position(0), Position(0)}));
  EXPECT_EQ(result.streams[1].first_position, result.last_position());
  EXPECT_EQ(result.streams[2], (StreamOutcome{thing("c"), Version(1), Version(0), Position(0), Position(0)}));
  EXPECT_EQ(store.stats().streams, 2);
  EXPECT_EQ(store.stats().events, 3);
}

void an_append_names_a_stream_or_a_command(Harness& harness) {
  EventStore store = open_store(harness);
  expect_error(ErrorCode::invalid_argument, "names no stream and no command", [&] { store.append(AppendRequest{}); });
}

// --- Independent appends

void append_all_gives_each_its_own_result(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("b"), ExpectedVersion::any(), events(1, 1));
  const std::vector<AppendRequest> asked{request(thing("a"), ExpectedVersion::no_stream(), events(2, 1)),
                                         request(thing("b"), ExpectedVersion::no_stream(), events(2, 2)),
                                         request(thing("c"), ExpectedVersion::any(), events(1, 1)),
                                         request(thing("b"), ExpectedVersion::exactly(1), events(1, 9))};
  const std::vector<AppendResult> results = store.append_all(asked);
  ASSERT_EQ(results.size(), 4u);
  expect_appended(results[0], 1, 2);
  expect_conflict(results[1], thing("b"), ExpectedVersion::no_stream(), 1);
  expect_appended(results[2], 1, 1);
  expect_appended(results[3], 2, 2);
  expect_numbers(store, thing("a"), {1, 2});
  expect_numbers(store, thing("b"), {1, 9});
  expect_numbers(store, thing("c"), {1});
}

// Each of another stream, so that a backend may do all of them at once.
void append_all_judges_each_of_many_streams(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("two"), ExpectedVersion::any(), events(2)).or_throw();
  store.append(thing("three"), ExpectedVersion::any(), events(3)).or_throw();
  store.append(thing("one"), ExpectedVersion::any(), events(1)).or_throw();
  const AppendRequest known = request(command("known"), thing("known"), ExpectedVersion::no_stream(), events(2));
  const AppendResult original = store.append(known).or_throw();
  store.append(request(command("used"), thing("used"), ExpectedVersion::any(), events(1))).or_throw();
  NewEvent with_attributes = event();
  with_attributes.attributes = {{"room", "blue"}, {"run", "7"}};
  const std::vector<AppendRequest> asked = {
      request(thing("two"), ExpectedVersion::exactly(2), events(2, 3)),
      request(thing("three"), ExpectedVersion::exactly(2), events(1, 4)),
      request(thing("new"), ExpectedVersion::no_stream(), events(1)),
      request(thing("one"), ExpectedVersion::no_stream(), events(1, 2)),
      request(thing("missing"), ExpectedVersion::stream_exists(), events(1)),
      request(thing("missing too"), ExpectedVersion::exactly(1), events(1)),
      request(thing("at zero"), ExpectedVersion::exactly(0), events(3)),
      request(thing("any"), ExpectedVersion::any(), {with_attributes}),
      known,
      request(command("used", "shop", "other"), thing("known too"), ExpectedVersion::any(), events(1)),
      request(command("fresh"), thing("of a command"), ExpectedVersion::any(), events(2)),
      request(command("in vain"), thing("in vain"), ExpectedVersion::stream_exists(), events(1)),
  };
  const std::vector<AppendResult> results = store.append_all(asked);
  ASSERT_EQ(results.size(), asked.size());
  expect_appended(results[0], 3, 4);
  expect_conflict(results[1], thing("three"), ExpectedVersion::exactly(2), 3);
  expect_appended(results[2], 1, 1);
  expect_conflict(results[3], thing("one"), ExpectedVersion::no_stream(), 1);
  expect_conflict(results[4], thing("missing"), ExpectedVersion::stream_exists(), 0);
  expect_conflict(results[5], thing("missing too"), ExpectedVersion::exactly(1), 0);
  expect_appended(results[6], 1, 3);
  expect_appended(results[7], 1, 1);
  expect_replay_of(original, results[8]);
  expect_status(AppendStatus::request_id_reused, results[9]);
  expect_appended(results[10], 1, 2);
  expect_conflict(results[11], thing("in vain"), ExpectedVersion::stream_exists(), 0);
  expect_numbers(store, thing("two"), {1, 2, 3, 4});
  expect_numbers(store, thing("three"), {1, 2, 3});
  expect_numbers(store, thing("one"), {1});
  expect_numbers(store, thing("known"), {1, 2});
  for (const char* nothing : {"missing", "missing too", "known too", "in vain"}) {
    EXPECT_EQ(store.stream_version(thing(nothing)), Version(0)) << nothing;
  }
  expect_stored(with_attributes, stream_events(store, thing("any")).at(0));
  EXPECT_EQ(store.find_command(asked[10].command->key).value().outcome, results[10].streams);
  EXPECT_FALSE(store.find_command(asked[11].command->key));
  for (const RecordedEvent& each : stream_events(store, thing("of a command"))) {
    ASSERT_TRUE(each.command);
    EXPECT_EQ(each.command->request_id, "fresh");
  }
  EXPECT_TRUE(store.verify().ok());
}

void append_all_sees_what_came_before_in_the_call(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<AppendRequest> asked{request(thing("a"), ExpectedVersion::no_stream(), events_with_ids({1})),
                                         request(thing("a"), ExpectedVersion::exactly(1), events_with_ids({2})),
                                         request(thing("a"), ExpectedVersion::no_stream(), events_with_ids({1})),
                                         request(thing("a"), ExpectedVersion::no_stream(), events_with_ids({3})),
                                         request(thing("b"), ExpectedVersion::any(), events_with_ids({2}))};
  const std::vector<AppendResult> results = store.append_all(asked);
  ASSERT_EQ(results.size(), 5u);
  expect_appended(results[0], 1, 1);
  expect_appended(results[1], 2, 2);
  expect_replay_of(results[0], results[2]);
  expect_conflict(results[3], thing("a"), ExpectedVersion::no_stream(), 2);
  expect_status(AppendStatus::duplicate_event_id, results[4]);
  expect_numbers(store, thing("a"), {1, 2});
}

void a_failed_append_leaves_its_neighbours_alone(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<AppendRequest> asked;
  for (int i = 0; i < 300; ++i) {
    // Every third one fails in its second stream, after its first one was fine.
    AppendRequest& one = asked.emplace_back(request(thing("all"), ExpectedVersion::any(), events(1, i)));
    one.streams.push_back({thing("s" + std::to_string(i)),
                           i % 3 == 0 ? ExpectedVersion::stream_exists() : ExpectedVersion::no_stream(), events(1, i)});
  }
  const std::vector<AppendResult> results = store.append_all(asked);
  ASSERT_EQ(results.size(), asked.size());
  std::vector<int> written;
  for (int i = 0; i < 300; ++i) {
    expect_status(i % 3 == 0 ? AppendStatus::conflict : AppendStatus::appended, results[static_cast<std::size_t>(i)]);
    if (i % 3 != 0) written.push_back(i);
  }
  expect_numbers(store, thing("all"), written);
  EXPECT_EQ(store.stats().streams, 201);
}

void append_all_checks_everything_first(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<AppendRequest> asked{request(thing("a"), ExpectedVersion::any(), events(1)),
                                   request(thing("b"), ExpectedVersion::any(), {event("")})};
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::invalid_argument, "append 2: event_type", [&] { store.append_all(asked); });
  });
}

void append_all_of_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_TRUE(store.append_all({}).empty());
  const std::vector<AppendRequest> asked{request(thing("a"), ExpectedVersion::any(), {})};
  const std::vector<AppendResult> results = store.append_all(asked);
  ASSERT_EQ(results.size(), 1u);
  expect_status(AppendStatus::appended, results.front());
  EXPECT_EQ(store.stats().streams, 0);
}

// --- The rest

void stores_on_one_database_see_each_other(Harness& harness) {
  EventStore one = open_store(harness);
  EventStore two = open_store(harness);
  expect_appended(one.append(thing("a"), ExpectedVersion::no_stream(), events(1, 1)), 1, 1);
  expect_appended(two.append(thing("a"), ExpectedVersion::exactly(1), events(1, 2)), 2, 2);
  expect_conflict(one.append(thing("a"), ExpectedVersion::exactly(1), events(1, 3)), thing("a"),
                  ExpectedVersion::exactly(1), 2);
  expect_numbers(one, thing("a"), {1, 2});
  EXPECT_EQ(contents(one), contents(two));
}

void validate_throws_what_append_throws(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest good = request(thing("a"), ExpectedVersion::any(), events(1));
  EXPECT_NO_THROW(EventStore::validate(good));
  AppendRequest bad = good;
  bad.streams.front().events.front().event_version = 0;
  expect_error(ErrorCode::invalid_argument, "event_version", [&] { EventStore::validate(bad); });
  expect_error(ErrorCode::invalid_argument, "event_version", [&] { store.append(bad); });
  EXPECT_EQ(store.stats().events, 0);
}

void or_throw_throws_the_status(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> keyed = events_with_ids({1});
  keyed.front().idempotency_key = "k";
  const AppendRequest first = request(command("r1"), thing("a"), ExpectedVersion::any(), keyed);
  EXPECT_EQ(store.append(first).or_throw().last_position(), store.append(first).or_throw().last_position());
  expect_error(ErrorCode::conflict, "thing/a",
               [&] { store.append(thing("a"), ExpectedVersion::exactly(7), events(1)).or_throw(); });
  expect_error(ErrorCode::request_id_reused, "r1",
               [&] { store.append(request(command("r1"), thing("a"), ExpectedVersion::any(), events(2))).or_throw(); });
  expect_error(ErrorCode::duplicate_event_id, uuid(1).to_string(),
               [&] { store.append(thing("b"), ExpectedVersion::any(), events_with_ids({1})).or_throw(); });
  keyed.front().event_id.reset();
  expect_error(ErrorCode::duplicate_idempotency_key, "k",
               [&] { store.append(thing("a"), ExpectedVersion::any(), keyed).or_throw(); });
}

constexpr Case all_append_cases[] = {
    {"G2", "first_event_has_version_1", first_event_has_version_1},
    {"G2", "versions_go_on_without_a_gap", versions_go_on_without_a_gap},
    {"G2", "each_stream_counts_for_itself", each_stream_counts_for_itself},
    {"G2", "outcome_says_where_the_events_are", outcome_says_where_the_events_are},
    {"API", "what_the_caller_leaves_out_is_filled_in", what_the_caller_leaves_out_is_filled_in},
    {"API", "every_field_is_stored", every_field_is_stored},
    {"G4", "one_append_of_many_events", one_append_of_many_events},
    {"G4", "several_streams_in_one_append", several_streams_in_one_append},
    {"G4", "positions_follow_the_request", positions_follow_the_request},
    {"G4", "conflict_in_the_second_stream_writes_nothing", conflict_in_the_second_stream_writes_nothing},
    {"G4", "conflict_in_the_last_of_many_streams_writes_nothing", conflict_in_the_last_of_many_streams_writes_nothing},
    {"G4", "duplicate_in_the_second_stream_writes_nothing", duplicate_in_the_second_stream_writes_nothing},
    {"G4", "a_stream_comes_once_in_an_append", a_stream_comes_once_in_an_append},
    {"G14", "an_append_is_of_one_tenant", an_append_is_of_one_tenant},
    {"G14", "tenants_have_streams_of_their_own", tenants_have_streams_of_their_own},
    {"G4", "an_append_of_nothing_creates_nothing", an_append_of_nothing_creates_nothing},
    {"G4", "an_append_of_nothing_says_where_the_stream_is", an_append_of_nothing_says_where_the_stream_is},
    {"G4", "a_stream_without_events_beside_one_with_events", a_stream_without_events_beside_one_with_events},
    {"API", "an_append_names_a_stream_or_a_command", an_append_names_a_stream_or_a_command},
    {"G4", "append_all_gives_each_its_own_result", append_all_gives_each_its_own_result},
    {"G4", "append_all_judges_each_of_many_streams", append_all_judges_each_of_many_streams},
    {"G4", "append_all_sees_what_came_before_in_the_call", append_all_sees_what_came_before_in_the_call},
    {"G4", "a_failed_append_leaves_its_neighbours_alone", a_failed_append_leaves_its_neighbours_alone},
    {"API", "append_all_checks_everything_first", append_all_checks_everything_first},
    {"API", "append_all_of_nothing", append_all_of_nothing},
    {"G4", "stores_on_one_database_see_each_other", stores_on_one_database_see_each_other},
    {"API", "validate_throws_what_append_throws", validate_throws_what_append_throws},
    {"API", "or_throw_throws_the_status", or_throw_throws_the_status},
};

}  // namespace

std::span<const Case> append_cases() {
  return all_append_cases;
}

}  // namespace stele::testing
