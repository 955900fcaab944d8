// Event ids and idempotency keys: a repetition is replayed, anything else that uses a taken one is a duplicate.

#include "support.h"

namespace stele::testing {
namespace {

AppendRequest with_ids(const std::vector<int>& numbers, StreamKey stream = thing("a")) {
  return request(std::move(stream), ExpectedVersion::any(), events_with_ids(numbers));
}

NewEvent keyed(int number, std::string key) {
  NewEvent made = events(1, number).front();
  made.idempotency_key = std::move(key);
  return made;
}

AppendRequest with_keys(const std::vector<std::pair<int, std::string>>& list, StreamKey stream = thing("a")) {
  AppendRequest made = request(std::move(stream), ExpectedVersion::any(), {});
  for (const auto& [number, key] : list) made.streams.front().events.push_back(keyed(number, key));
  return made;
}

void expect_duplicate_id(EventStore& store, const AppendRequest& asked, const Uuid& id) {
  expect_nothing_written(store, [&] {
    const AppendResult result = store.append(asked);
    expect_status(AppendStatus::duplicate_event_id, result);
    EXPECT_NE(result.detail.find(id.to_string()), std::string::npos) << result.detail;
    EXPECT_TRUE(result.streams.empty());
  });
}

void expect_duplicate_key(EventStore& store, const AppendRequest& asked, std::string_view key) {
  expect_nothing_written(store, [&] {
    const AppendResult result = store.append(asked);
    expect_status(AppendStatus::duplicate_idempotency_key, result);
    EXPECT_NE(result.detail.find(key), std::string::npos) << result.detail;
  });
}

// --- Ids

void a_given_id_is_kept(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given;
  for (const char* id : {"00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                         "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"}) {
    given.push_back(event());
    given.back().event_id = Uuid::parse(id);
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(stored[i].event_id.to_string(), given[i].event_id->to_string());
    const std::optional<RecordedEvent> found = store.find_event(*given[i].event_id);
    ASSERT_TRUE(found);
    EXPECT_EQ(describe(*found), describe(stored[i]));
  }
}

void a_missing_id_is_made(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 3; ++i) store.append(thing("a"), ExpectedVersion::any(), events(50));
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 150u);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    EXPECT_EQ(stored[i].event_id.version(), 7);
    if (i > 0) {
      EXPECT_LT(stored[i - 1].event_id, stored[i].event_id);
    }
  }
}

void an_unknown_id_is_not_found(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_FALSE(store.find_event(uuid(1)));
  store.append(with_ids({1}));
  EXPECT_TRUE(store.find_event(uuid(1)));
  EXPECT_FALSE(store.find_event(uuid(2)));
  EXPECT_FALSE(store.find_event(Uuid()));
}

void an_id_comes_once_in_an_append(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest apart = with_ids({1, 2});
  apart.streams.push_back({thing("b"), ExpectedVersion::any(), events_with_ids({3, 1})});
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::invalid_argument, "event_id", [&] { store.append(with_ids({1, 2, 1})); });
    expect_error(ErrorCode::invalid_argument, uuid(1).to_string(), [&] { store.append(apart); });
  });
}

void the_nil_id_is_refused(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(1);
  expect_nothing_written(store, [&] {
    given.front().event_id = Uuid();
    expect_error(ErrorCode::invalid_argument, "event_id",
                 [&] { store.append(thing("a"), ExpectedVersion::any(), given); });
    given = events(1);
    given.front().correlation_id = Uuid();
    expect_error(ErrorCode::invalid_argument, "correlation_id",
                 [&] { store.append(thing("a"), ExpectedVersion::any(), given); });
    given = events(1);
    given.front().causation_id = Uuid();
    expect_error(ErrorCode::invalid_argument, "causation_id",
                 [&] { store.append(thing("a"), ExpectedVersion::any(), given); });
    Command nil = command("r1");
    nil.command_id = Uuid();
    expect_error(ErrorCode::invalid_argument, "command_id", [&] { store.record_command(nil); });
  });
}

// --- Replays

void the_same_append_is_replayed(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1, 100));
  const AppendResult first = store.append(with_ids({1, 2, 3}));
  expect_appended(first, 2, 4);
  expect_nothing_written(store, [&] {
    expect_replay_of(first, store.append(with_ids({1, 2, 3})));
    expect_replay_of(first, store.append(with_ids({1, 2, 3})));
  });
}

void a_replay_after_the_stream_moved_on(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = with_ids({1, 2});
  asked.streams.front().expected = ExpectedVersion::no_stream();
  const AppendResult first = store.append(asked);
  store.append(thing("a"), ExpectedVersion::exactly(2), events(3, 3));
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });
  expect_numbers(store, thing("a"), {1, 2, 3, 4, 5});
}

void a_replay_wins_over_a_conflict(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = with_ids({1});
  const AppendResult first = store.append(asked);
  asked.streams.front().expected = ExpectedVersion::exactly(17);
  asked.conditions.push_back({thing("missing"), ExpectedVersion::stream_exists()});
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });
}

void a_duplicate_wins_over_a_conflict(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_ids({1}));
  AppendRequest asked = with_ids({1, 2});
  asked.streams.front().expected = ExpectedVersion::no_stream();
  expect_duplicate_id(store, asked, uuid(1));
}

void a_replay_of_every_field(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest asked = request(thing("a"), ExpectedVersion::any(), {full_event(1), full_event(2)});
  const AppendResult first = store.append(asked);
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });
}

void a_replay_compares_json_as_json(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = with_ids({1});
  NewEvent& given = asked.streams.front().events.front();
  given.data = json(R"({"a":1.50,"b":{"c":[],"d":"é/"}})");
  given.display = json(R"({"x":0,"y":10})");
  const AppendResult first = store.append(asked);
  given.data = json(" {\"b\" : {\"d\":\"\\u00E9\\/\",\"c\":[ ]}, \"a\":15e-1 }");
  given.display = json(R"({"y":1e1,"x":-0})");
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });
  given.display = json(R"({"y":"10","x":0})");
  expect_duplicate_id(store, asked, uuid(1));
}

void a_part_in_a_row_is_replayed(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.append(with_ids({1, 2, 3}));
  const AppendResult second = store.append(with_ids({4, 5}));
  ASSERT_TRUE(first.ok() && second.ok());
  expect_nothing_written(store, [&] {
    const AppendResult middle = store.append(with_ids({2, 3, 4}));
    expect_status(AppendStatus::replayed, middle);
    ASSERT_EQ(middle.streams.size(), 1u);
    EXPECT_EQ(middle.streams.front().first_version.value(), 2);
    EXPECT_EQ(middle.streams.front().last_version.value(), 4);
    EXPECT_EQ(middle.streams.front().last_position, second.streams.at(0).first_position);
    expect_status(AppendStatus::replayed, store.append(with_ids({5})));
  });
}

void several_streams_are_replayed(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("b"), ExpectedVersion::any(), events(2, 100));
  AppendRequest asked = with_ids({1, 2}, thing("b"));
  asked.streams.push_back({thing("a"), ExpectedVersion::any(), events_with_ids({3})});
  const AppendResult first = store.append(asked);
  expect_status(AppendStatus::appended, first);
  store.append(thing("a"), ExpectedVersion::any(), events(4, 100));
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });

  asked.streams.push_back({thing("a 2"), ExpectedVersion::any(), {}});
  asked.streams.insert(asked.streams.begin(), {thing("z"), ExpectedVersion::any(), {}});
  expect_nothing_written(store, [&] {
    const AppendResult again = store.append(asked);
    expect_status(AppendStatus::replayed, again);
    ASSERT_EQ(again.streams.size(), 4u);
    EXPECT_EQ(again.streams[0], (StreamOutcome{thing("z"), Version(1), Version(0), Position(0), Position(0)}));
    EXPECT_EQ(again.streams[1], first.streams.at(0));
    EXPECT_EQ(again.streams[2], first.streams.at(1));
  });
}

void many_events_are_replayed(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(1'200);
  for (NewEvent& one : given) one.event_id = Uuid::v7();
  const AppendResult first = store.append(thing("a"), ExpectedVersion::any(), given);
  expect_appended(first, 1, 1'200);
  expect_nothing_written(store, [&] {
    expect_replay_of(first, store.append(thing("a"), ExpectedVersion::any(), given));
    given[1'199].data = json(R"({"n":0})");
    expect_status(AppendStatus::duplicate_event_id, store.append(thing("a"), ExpectedVersion::any(), given));
  });
}

// --- Duplicates

void a_partial_overlap_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_ids({1, 2}));
  expect_duplicate_id(store, with_ids({1, 2, 3}), uuid(1));
  expect_duplicate_id(store, with_ids({3, 1, 2}), uuid(1));
  expect_duplicate_id(store, with_ids({2, 3}), uuid(2));
  expect_duplicate_id(store, with_ids({3, 4, 5, 6, 2}), uuid(2));
  EXPECT_FALSE(store.find_event(uuid(3)));
  AppendRequest unnamed = with_ids({1, 2});
  unnamed.streams.front().events.push_back(event());
  expect_duplicate_id(store, unnamed, uuid(1));
}

void an_overlap_in_another_stream_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_ids({1, 2}));
  AppendRequest asked = with_ids({1, 2});
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events_with_ids({3})});
  expect_duplicate_id(store, asked, uuid(1));
  std::swap(asked.streams[0], asked.streams[1]);
  expect_duplicate_id(store, asked, uuid(1));
}

void another_order_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_ids({1, 2, 3}));
  expect_duplicate_id(store, with_ids({2, 1}), uuid(1));
  expect_duplicate_id(store, with_ids({3, 2, 1}), uuid(2));
  expect_duplicate_id(store, with_ids({1, 3}), uuid(3));  // Not in a row.
}

void another_stream_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_ids({1}));
  expect_duplicate_id(store, with_ids({1}, thing("b")), uuid(1));
  expect_duplicate_id(store, with_ids({1}, thing("A")), uuid(1));
  expect_duplicate_id(store, with_ids({1}, {"thong", "a"}), uuid(1));
  expect_duplicate_id(store, with_ids({1}, {"other", "thing", "a"}), uuid(1));
}

void events_that_changed_streams_are_duplicates(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = with_ids({1}, thing("a"));
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events_with_ids({2})});
  store.append(asked);
  std::swap(asked.streams[0].stream, asked.streams[1].stream);
  expect_duplicate_id(store, asked, uuid(1));
}

struct EventChange {
  const char* what;
  void (*make)(NewEvent&);
};

constexpr EventChange event_changes[] = {
    {"type", [](NewEvent& e) { e.type = "Type-1"; }},
    {"event version", [](NewEvent& e) { e.event_version = 3; }},
    {"occurred_at by a microsecond",
     [](NewEvent& e) { e.occurred_at = Timestamp::from_micros(e.occurred_at->micros() + 1); }},
    {"valid_from by a microsecond",
     [](NewEvent& e) { e.valid_from = Timestamp::from_micros(e.valid_from->micros() - 1); }},
    {"no valid_from", [](NewEvent& e) { e.valid_from.reset(); }},
    {"no valid_to", [](NewEvent& e) { e.valid_to.reset(); }},
    {"actor id", [](NewEvent& e) { e.actor->id = "Actor-1"; }},
    {"actor type", [](NewEvent& e) { e.actor->type = ActorType::user; }},
    {"no actor", [](NewEvent& e) { e.actor.reset(); }},
    {"source", [](NewEvent& e) { e.source = "source-1 "; }},
    {"no source", [](NewEvent& e) { e.source.reset(); }},
    {"channel", [](NewEvent& e) { e.channel = Channel::ui; }},
    {"no channel", [](NewEvent& e) { e.channel.reset(); }},
    {"idempotency key", [](NewEvent& e) { e.idempotency_key = "key-one"; }},
    {"no idempotency key", [](NewEvent& e) { e.idempotency_key.reset(); }},
    {"causation id", [](NewEvent& e) { e.causation_id = uuid(7); }},
    {"no causation id", [](NewEvent& e) { e.causation_id.reset(); }},
    {"correlation id", [](NewEvent& e) { e.correlation_id = uuid(7); }},
    {"no correlation id", [](NewEvent& e) { e.correlation_id.reset(); }},
    {"redaction level", [](NewEvent& e) { e.redaction_level = RedactionLevel::none; }},
    {"contains_secrets", [](NewEvent& e) { e.contains_secrets = !e.contains_secrets; }},
    {"data", [](NewEvent& e) { e.data = json(R"({"number":1,"text":"hello","list":[1,2.50,null,true]})"); }},
    {"metadata", [](NewEvent& e) { e.metadata = json(R"({"m":1.0000000000000000000000000001})"); }},
    {"no metadata", [](NewEvent& e) { e.metadata.reset(); }},
    {"policy context", [](NewEvent& e) { e.policy_context = json(R"({"p":-1})"); }},
    {"model context", [](NewEvent& e) { e.model_context = json(R"({"model":"x","t":0.10,"u":null})"); }},
    {"no display", [](NewEvent& e) { e.display.reset(); }},
    {"attribute value", [](NewEvent& e) { e.attributes["room"] = "bleu"; }},
    {"one attribute more", [](NewEvent& e) { e.attributes["Room"] = "blue"; }},
    {"no attributes", [](NewEvent& e) { e.attributes.clear(); }},
};

void each_change_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest original = request(thing("a"), ExpectedVersion::any(), {full_event(1)});
  const AppendResult first = store.append(original);
  for (const EventChange& change : event_changes) {
    SCOPED_TRACE(change.what);
    AppendRequest asked = original;
    change.make(asked.streams.front().events.front());
    expect_duplicate_id(store, asked, uuid(1));
  }
  expect_replay_of(first, store.append(original));
}

void a_field_added_later_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest original = with_ids({1});
  store.append(original);
  const NewEvent full = full_event(1);
  const auto refused = [&](const char* what, const std::function<void(NewEvent&)>& change) {
    SCOPED_TRACE(what);
    AppendRequest asked = original;
    change(asked.streams.front().events.front());
    expect_duplicate_id(store, asked, uuid(1));
  };
  refused("valid_from", [&](NewEvent& e) { e.valid_from = full.valid_from; });
  refused("valid_to", [&](NewEvent& e) { e.valid_to = full.valid_to; });
  refused("actor", [&](NewEvent& e) { e.actor = full.actor; });
  refused("source", [&](NewEvent& e) { e.source = full.source; });
  refused("channel", [&](NewEvent& e) { e.channel = full.channel; });
  refused("idempotency_key", [&](NewEvent& e) { e.idempotency_key = full.idempotency_key; });
  refused("causation_id", [&](NewEvent& e) { e.causation_id = full.causation_id; });
  refused("correlation_id", [&](NewEvent& e) { e.correlation_id = full.correlation_id; });
  refused("metadata", [&](NewEvent& e) { e.metadata = Json(); });
  refused("policy_context", [&](NewEvent& e) { e.policy_context = Json(); });
  refused("model_context", [&](NewEvent& e) { e.model_context = Json(); });
  refused("display", [&](NewEvent& e) { e.display = Json(); });
  refused("attributes", [&](NewEvent& e) { e.attributes = full.attributes; });
}

void another_command_is_a_duplicate(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest bare = with_ids({1});
  AppendRequest commanded = with_ids({2});
  commanded.command = command("r1");
  store.append(bare);
  store.append(commanded);
  AppendRequest asked = bare;
  asked.command = command("r2");
  expect_duplicate_id(store, asked, uuid(1));
  asked = commanded;
  asked.command = command("r2");
  expect_duplicate_id(store, asked, uuid(2));
  asked.command.reset();
  expect_duplicate_id(store, asked, uuid(2));
}

// --- Idempotency keys

void an_idempotency_key_is_replayed(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.append(with_keys({{1, "k1"}, {2, "k2"}}));
  expect_appended(first, 1, 2);
  store.append(thing("a"), ExpectedVersion::any(), events(1, 3));
  expect_nothing_written(store, [&] {  // Without event ids: each call makes others.
    expect_replay_of(first, store.append(with_keys({{1, "k1"}, {2, "k2"}})));
    AppendRequest asked = with_keys({{1, "k1"}, {2, "k2"}});
    asked.streams.front().expected = ExpectedVersion::no_stream();
    expect_replay_of(first, store.append(asked));
  });
  EXPECT_EQ(stream_events(store, thing("a")).at(0).idempotency_key, "k1");
}

void an_idempotency_key_counts_in_its_stream(Harness& harness) {
  EventStore store = open_store(harness);
  expect_appended(store.append(with_keys({{1, "k"}}, thing("a"))), 1, 1);
  expect_appended(store.append(with_keys({{2, "k"}}, thing("b"))), 1, 1);
  expect_appended(store.append(with_keys({{3, "k"}}, {"thong", "a"})), 1, 1);
  expect_appended(store.append(with_keys({{4, "k"}}, {"other", "thing", "a"})), 1, 1);
  AppendRequest both = with_keys({{5, "same"}}, thing("a"));
  both.streams.push_back({thing("b"), ExpectedVersion::any(), {keyed(6, "same")}});
  expect_status(AppendStatus::appended, store.append(both));
  EXPECT_EQ(store.stats().events, 6);
}

void an_idempotency_key_with_other_content(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_keys({{1, "k"}}));
  expect_duplicate_key(store, with_keys({{2, "k"}}), "k");
  AppendRequest asked = with_keys({{1, "k"}});
  asked.streams.front().events.front().type = "Happened";
  expect_duplicate_key(store, asked, "k");
  expect_numbers(store, thing("a"), {1});
}

void an_idempotency_key_that_overlaps(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(with_keys({{1, "k1"}, {2, "k2"}}));
  expect_duplicate_key(store, with_keys({{1, "k1"}, {3, "k3"}}), "k1");
  expect_duplicate_key(store, with_keys({{3, "k3"}, {2, "k2"}}), "k2");
  expect_duplicate_key(store, with_keys({{2, "k2"}, {1, "k1"}}), "k1");  // Another order.
  AppendRequest unnamed = with_keys({{1, "k1"}});
  unnamed.streams.front().events.push_back(event());
  expect_duplicate_key(store, unnamed, "k1");
}

void an_idempotency_key_comes_once_in_an_append(Harness& harness) {
  EventStore store = open_store(harness);
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::invalid_argument, "idempotency_key", [&] {
      store.append(with_keys({{1, "k"}, {2, "k"}}));
    });
  });
}

void an_idempotency_key_under_another_event_id(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given{keyed(1, "k1"), keyed(2, "k2")};
  given[0].event_id = uuid(1);
  given[1].event_id = uuid(2);
  const AppendResult first = store.append(thing("a"), ExpectedVersion::any(), given);
  expect_replay_of(first, store.append(thing("a"), ExpectedVersion::any(), given));
  given[0].event_id.reset();  // The key alone is enough.
  expect_replay_of(first, store.append(thing("a"), ExpectedVersion::any(), given));
  given[0].event_id = uuid(3);
  expect_duplicate_key(store, request(thing("a"), ExpectedVersion::any(), given), "k1");
  given[0].event_id = uuid(1);
  given[0].idempotency_key = "k2";  // The id of one event, the key of another.
  given.pop_back();
  expect_nothing_written(store, [&] { EXPECT_FALSE(store.append(thing("a"), ExpectedVersion::any(), given).ok()); });
}

void an_idempotency_key_under_a_command(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = with_keys({{1, "k"}});
  asked.command = command("r1");
  const AppendResult first = store.append(asked);
  expect_replay_of(first, store.append(asked));
  asked.command = command("r2");
  expect_duplicate_key(store, asked, "k");
  EXPECT_FALSE(store.is_command_processed(command("r2").key));
}

constexpr Case all_event_id_cases[] = {
    {"G6", "a_given_id_is_kept", a_given_id_is_kept},
    {"G6", "a_missing_id_is_made", a_missing_id_is_made},
    {"G6", "an_unknown_id_is_not_found", an_unknown_id_is_not_found},
    {"G6", "an_id_comes_once_in_an_append", an_id_comes_once_in_an_append},
    {"G9", "the_nil_id_is_refused", the_nil_id_is_refused},
    {"G6", "the_same_append_is_replayed", the_same_append_is_replayed},
    {"G6", "a_replay_after_the_stream_moved_on", a_replay_after_the_stream_moved_on},
    {"G6", "a_replay_wins_over_a_conflict", a_replay_wins_over_a_conflict},
    {"G6", "a_duplicate_wins_over_a_conflict", a_duplicate_wins_over_a_conflict},
    {"G6", "a_replay_of_every_field", a_replay_of_every_field},
    {"G6", "a_replay_compares_json_as_json", a_replay_compares_json_as_json},
    {"G6", "a_part_in_a_row_is_replayed", a_part_in_a_row_is_replayed},
    {"G6", "several_streams_are_replayed", several_streams_are_replayed},
    {"G6", "many_events_are_replayed", many_events_are_replayed},
    {"G6", "a_partial_overlap_is_a_duplicate", a_partial_overlap_is_a_duplicate},
    {"G6", "an_overlap_in_another_stream_is_a_duplicate", an_overlap_in_another_stream_is_a_duplicate},
    {"G6", "another_order_is_a_duplicate", another_order_is_a_duplicate},
    {"G6", "another_stream_is_a_duplicate", another_stream_is_a_duplicate},
    {"G6", "events_that_changed_streams_are_duplicates", events_that_changed_streams_are_duplicates},
    {"G6", "each_change_is_a_duplicate", each_change_is_a_duplicate},
    {"G6", "a_field_added_later_is_a_duplicate", a_field_added_later_is_a_duplicate},
    {"G6", "another_command_is_a_duplicate", another_command_is_a_duplicate},
    {"G6", "an_idempotency_key_is_replayed", an_idempotency_key_is_replayed},
    {"G6", "an_idempotency_key_counts_in_its_stream", an_idempotency_key_counts_in_its_stream},
    {"G6", "an_idempotency_key_with_other_content", an_idempotency_key_with_other_content},
    {"G6", "an_idempotency_key_that_overlaps", an_idempotency_key_that_overlaps},
    {"G6", "an_idempotency_key_comes_once_in_an_append", an_idempotency_key_comes_once_in_an_append},
    {"G6", "an_idempotency_key_under_another_event_id", an_idempotency_key_under_another_event_id},
    {"G6", "an_idempotency_key_under_a_command", an_idempotency_key_under_a_command},
};

}  // namespace

std::span<const Case> event_id_cases() {
  return all_event_id_cases;
}

}  // namespace stele::testing
