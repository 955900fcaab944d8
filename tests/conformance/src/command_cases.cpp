// Commands: recorded with their outcome, replayed for a repetition, refused for another request under the same key.

#include "support.h"

namespace stele::testing {
namespace {

Command full_command(std::string request_id = "r1") {
  Command made = command(std::move(request_id));
  made.command_id = uuid(200);
  made.stream = thing("subject");
  made.actor = Actor{ActorType::agent, "robot 7"};
  made.channel = Channel::webhook;
  made.data = json(R"({"wanted":12345678901234567890.10,"tags":["ä",null]})");
  return made;
}

/// A request with every field of a command and of an event set.
AppendRequest full_request() {
  AppendRequest made = request(full_command(), thing("a"), ExpectedVersion::any(), {full_event(1), full_event(2)});
  made.streams.push_back({thing("b"), ExpectedVersion::any(), {full_event(3)}});
  return made;
}

AppendRequest simple_request(int count = 2) {
  return request(command("r1"), thing("a"), ExpectedVersion::no_stream(), events(count));
}

// --- Recorded

void a_command_is_recorded_with_its_outcome(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest asked = full_request();
  EXPECT_FALSE(store.is_command_processed(asked.command->key));
  const AppendResult result = store.append(asked);
  expect_status(AppendStatus::appended, result);
  const std::optional<CommandRecord> record = store.find_command(asked.command->key);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key, asked.command->key);
  EXPECT_EQ(record->command_id, uuid(200));
  EXPECT_EQ(record->type, "do-it");
  EXPECT_EQ(record->stream, thing("subject"));
  EXPECT_EQ(record->actor, asked.command->actor);
  EXPECT_EQ(record->channel, Channel::webhook);
  ASSERT_TRUE(record->data);
  EXPECT_EQ(record->data->canonical(), asked.command->data->canonical());
  EXPECT_EQ(record->outcome, result.streams);
  EXPECT_TRUE(store.is_command_processed(asked.command->key));
}

void what_a_command_leaves_out(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(simple_request());
  const std::optional<CommandRecord> record = store.find_command(CommandKey{.source = "shop", .request_id = "r1"});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->command_id.version(), 7);
  EXPECT_EQ(record->stream, thing("a"));  // The first one appended to.
  EXPECT_FALSE(record->actor || record->channel || record->data);
}

void a_command_is_found_by_key_and_by_id(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(full_request());
  const std::optional<CommandRecord> by_key = store.find_command(full_command().key);
  const std::optional<CommandRecord> by_id = store.find_command(uuid(200));
  ASSERT_TRUE(by_key && by_id);
  EXPECT_EQ(describe(*by_key), describe(*by_id));
  EXPECT_TRUE(store.is_command_processed(uuid(200)));
}

void a_command_that_was_never_sent(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(full_request());
  const CommandKey other_request{.source = "shop", .request_id = "r2"};
  const CommandKey other_source{.source = "mill", .request_id = "r1"};
  const CommandKey other_tenant{.tenant = "other", .source = "shop", .request_id = "r1"};
  for (const CommandKey& key : {other_request, other_source, other_tenant}) {
    EXPECT_FALSE(store.find_command(key)) << key.tenant << ' ' << key.source << ' ' << key.request_id;
    EXPECT_FALSE(store.is_command_processed(key));
  }
  EXPECT_TRUE(store.is_command_processed(full_command().key));
  EXPECT_FALSE(store.find_command(uuid(201)));
  EXPECT_FALSE(store.is_command_processed(uuid(1)));  // An event's id.
}

void events_carry_their_command(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = simple_request();
  asked.command->channel = Channel::import;
  asked.command->actor = Actor{ActorType::user, "u1"};
  store.append(asked);
  const std::optional<CommandRecord> record = store.find_command(asked.command->key);
  ASSERT_TRUE(record);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 2u);
  for (const RecordedEvent& event : stored) {
    EXPECT_EQ(event.command, asked.command->key);
    EXPECT_EQ(event.source, "shop");
    EXPECT_EQ(event.channel, Channel::import);
    EXPECT_EQ(event.causation_id, record->command_id);
    EXPECT_FALSE(event.actor);
  }
}

void an_event_keeps_what_it_says_itself(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendRequest asked = full_request();
  store.append(asked);
  const std::vector<RecordedEvent> stored = log_events(store);
  ASSERT_EQ(stored.size(), 3u);
  expect_stored(asked.streams[0].events[0], stored[0]);
  expect_stored(asked.streams[0].events[1], stored[1]);
  expect_stored(asked.streams[1].events[0], stored[2]);
  for (const RecordedEvent& event : stored) EXPECT_EQ(event.command, asked.command->key);
}

// --- Replayed

void a_repetition_gets_the_outcome(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.append(simple_request());
  expect_appended(first, 1, 2);
  expect_nothing_written(store, [&] {
    expect_replay_of(first, store.append(simple_request()));
    expect_replay_of(first, store.append(simple_request()));
  });
}

void a_repetition_after_the_stream_moved_on(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1, 50));
  AppendRequest asked = request(command("r1"), thing("a"), ExpectedVersion::exactly(1), events(2, 51));
  const AppendResult first = store.append(asked);
  expect_appended(first, 2, 3);
  store.append(thing("a"), ExpectedVersion::exactly(3), events(4, 53));
  store.append(thing("b"), ExpectedVersion::any(), events(3));
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });
  expect_numbers(store, thing("a"), {50, 51, 52, 53, 54, 55, 56});
}

void expectations_and_conditions_do_not_count(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.append(simple_request());
  expect_nothing_written(store, [&] {
    for (const ExpectedVersion expected : {ExpectedVersion::any(), ExpectedVersion::exactly(2),
                                           ExpectedVersion::exactly(99), ExpectedVersion::stream_exists()}) {
      AppendRequest again = simple_request();
      again.streams.front().expected = expected;
      expect_replay_of(first, store.append(again));
      again.conditions.push_back({thing("missing"), ExpectedVersion::stream_exists()});
      expect_replay_of(first, store.append(again));
    }
  });
}

void a_repetition_of_every_field(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.append(full_request());
  ASSERT_EQ(first.streams.size(), 2u);
  store.append(thing("b"), ExpectedVersion::any(), events(1));
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(full_request())); });
}

void json_compares_as_json(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = simple_request();
  asked.command->data = json(R"({"a":1.0,"b":[1,2]})");
  asked.streams.front().events.front().data = json(R"({"x":100,"y":"é"})");
  asked.streams.front().events.front().metadata = json(R"({"p":{"q":1,"r":2}})");
  const AppendResult first = store.append(asked);
  asked.command->data = json(" { \"b\" : [ 1 , 2 ],\n\"a\" : 1 } ");
  asked.streams.front().events.front().data = json(R"({"y":"\u00e9","x":1e2})");
  asked.streams.front().events.front().metadata = json(R"({"p":{"r":2.00,"q":1}})");
  expect_nothing_written(store, [&] { expect_replay_of(first, store.append(asked)); });
  asked.command->data = json(R"({"b":[2,1],"a":1})");  // The order of an array counts.
  expect_nothing_written(store, [&] { expect_status(AppendStatus::request_id_reused, store.append(asked)); });
}

void a_repetition_through_another_store(Harness& harness) {
  EventStore one = open_store(harness);
  EventStore two = open_store(harness);
  const AppendResult first = one.append(full_request());
  expect_replay_of(first, two.append(full_request()));
  EXPECT_TRUE(two.is_command_processed(full_command().key));
  EXPECT_EQ(two.stats().events, 3);
}

void a_repetition_within_one_append_all(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest other = simple_request(3);  // The same key for another request.
  const std::vector<AppendRequest> asked{simple_request(), simple_request(), other, simple_request()};
  const std::vector<AppendResult> results = store.append_all(asked);
  ASSERT_EQ(results.size(), 4u);
  expect_appended(results[0], 1, 2);
  expect_replay_of(results[0], results[1]);
  expect_status(AppendStatus::request_id_reused, results[2]);
  expect_replay_of(results[0], results[3]);
  expect_numbers(store, thing("a"), {1, 2});
  EXPECT_EQ(store.stats().commands, 1);
}

void an_outcome_of_many_streams_comes_back_in_order(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("s7"), ExpectedVersion::any(), events(5));
  AppendRequest asked;
  asked.command = command("r1");
  for (int i = 30; i > 0; --i) {  // Not the order of the keys, and some without events.
    asked.streams.push_back({thing("s" + std::to_string(i)), ExpectedVersion::any(), events(i % 3)});
  }
  const AppendResult first = store.append(asked);
  expect_status(AppendStatus::appended, first);
  for (int i = 1; i <= 30; ++i) store.append(thing("s" + std::to_string(i)), ExpectedVersion::any(), events(1));
  const AppendResult again = store.append(asked);
  expect_replay_of(first, again);
  EXPECT_EQ(again.streams, first.streams);
  EXPECT_EQ(store.find_command(asked.command->key).value().outcome, first.streams);
}

void keys_with_special_characters_in_the_outcome(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked;
  asked.command = command("r\"1\\'%");
  asked.streams.push_back({{"ty\"pe\\", "i'd {\"x\":[1]} \n\t\x01"}, ExpectedVersion::any(), events(1)});
  asked.streams.push_back({{"тип", "😀é\u2028"}, ExpectedVersion::any(), events(2)});
  const AppendResult first = store.append(asked);
  expect_status(AppendStatus::appended, first);
  const AppendResult again = store.append(asked);
  expect_replay_of(first, again);
  EXPECT_EQ(again.streams, first.streams);
}

// --- Another request

struct Change {
  const char* what;
  void (*make)(AppendRequest&);
};

NewEvent& first_event(AppendRequest& asked) {
  return asked.streams.front().events.front();
}

constexpr Change changes[] = {
    {"command type", [](AppendRequest& r) { r.command->type = "do-that"; }},
    {"command id", [](AppendRequest& r) { r.command->command_id = uuid(201); }},
    {"command stream", [](AppendRequest& r) { r.command->stream = thing("object"); }},
    {"command stream type", [](AppendRequest& r) { r.command->stream->type = "thong"; }},
    {"command actor", [](AppendRequest& r) { r.command->actor->id = "robot 8"; }},
    {"command actor type", [](AppendRequest& r) { r.command->actor->type = ActorType::user; }},
    {"no command actor", [](AppendRequest& r) { r.command->actor.reset(); }},
    {"command channel", [](AppendRequest& r) { r.command->channel = Channel::ui; }},
    {"last digit of the command's data",
     [](AppendRequest& r) { r.command->data = json(R"({"wanted":12345678901234567890.11,"tags":["ä",null]})"); }},
    {"no command data", [](AppendRequest& r) { r.command->data.reset(); }},
    {"event type", [](AppendRequest& r) { first_event(r).type = "type-x"; }},
    {"event version", [](AppendRequest& r) { first_event(r).event_version = 9; }},
    {"event id", [](AppendRequest& r) { first_event(r).event_id = uuid(9); }},
    {"occurred_at",
     [](AppendRequest& r) { first_event(r).occurred_at = Timestamp::from_micros(1'700'000'000'123'456); }},
    {"valid_from", [](AppendRequest& r) { first_event(r).valid_from = Timestamp::from_micros(5); }},
    {"no valid_to", [](AppendRequest& r) { first_event(r).valid_to.reset(); }},
    {"actor", [](AppendRequest& r) { first_event(r).actor->id += " "; }},
    {"actor type", [](AppendRequest& r) { first_event(r).actor->type = ActorType::system; }},
    {"source", [](AppendRequest& r) { first_event(r).source = "Source-1"; }},
    {"channel", [](AppendRequest& r) { first_event(r).channel = Channel::system; }},
    {"idempotency key", [](AppendRequest& r) { first_event(r).idempotency_key = "key-x"; }},
    {"causation id", [](AppendRequest& r) { first_event(r).causation_id = uuid(9); }},
    {"no correlation id", [](AppendRequest& r) { first_event(r).correlation_id.reset(); }},
    {"redaction level", [](AppendRequest& r) { first_event(r).redaction_level = RedactionLevel::full; }},
    {"contains_secrets", [](AppendRequest& r) { first_event(r).contains_secrets = false; }},
    {"data",
     [](AppendRequest& r) { first_event(r).data = json(R"({"number":1,"text":"héllo","list":[1,2.5,null,false]})"); }},
    {"metadata", [](AppendRequest& r) { first_event(r).metadata = json(R"({"m":"1"})"); }},
    {"policy context", [](AppendRequest& r) { first_event(r).policy_context = json("{}"); }},
    {"no model context", [](AppendRequest& r) { first_event(r).model_context.reset(); }},
    {"display", [](AppendRequest& r) { first_event(r).display = json(R"({"title":"No 1"})"); }},
    {"attribute value", [](AppendRequest& r) { first_event(r).attributes["room"] = "Blue"; }},
    {"one attribute more", [](AppendRequest& r) { first_event(r).attributes["floor"] = "1"; }},
    {"one attribute fewer", [](AppendRequest& r) { first_event(r).attributes.erase("room"); }},
    {"one event more", [](AppendRequest& r) { r.streams.back().events.push_back(full_event(4)); }},
    {"one event fewer", [](AppendRequest& r) { r.streams.front().events.pop_back(); }},
    {"events in another order", [](AppendRequest& r) { std::swap(r.streams[0].events[0], r.streams[0].events[1]); }},
    {"an event in another stream",
     [](AppendRequest& r) {
       r.streams[1].events.insert(r.streams[1].events.begin(), r.streams[0].events[1]);
       r.streams[0].events.pop_back();
     }},
    {"another stream", [](AppendRequest& r) { r.streams.front().stream.id = "A"; }},
    {"another stream type", [](AppendRequest& r) { r.streams.front().stream.type = "thong"; }},
    {"one stream fewer", [](AppendRequest& r) { r.streams.pop_back(); }},
    {"no events at all", [](AppendRequest& r) { r.streams.clear(); }},
};

void each_change_is_another_request(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.append(full_request());
  expect_nothing_written(store, [&] {
    for (const Change& change : changes) {
      SCOPED_TRACE(change.what);
      AppendRequest asked = full_request();
      change.make(asked);
      const AppendResult result = store.append(asked);
      expect_status(AppendStatus::request_id_reused, result);
      EXPECT_NE(result.detail.find("r1"), std::string::npos) << result.detail;
      EXPECT_TRUE(result.streams.empty());
    }
  });
  expect_replay_of(first, store.append(full_request()));
}

void a_reused_key_wins_over_a_conflict(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(simple_request());
  AppendRequest asked = request(command("r1"), thing("z"), ExpectedVersion::stream_exists(), events_with_ids({1}));
  expect_nothing_written(store, [&] { expect_status(AppendStatus::request_id_reused, store.append(asked)); });
  EXPECT_FALSE(store.find_event(uuid(1)));
}

void a_command_id_belongs_to_one_key(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(full_request());
  AppendRequest asked = request(full_command("r2"), thing("z"), ExpectedVersion::any(), events(1));
  expect_nothing_written(store, [&] {
    const AppendResult result = store.append(asked);
    expect_status(AppendStatus::request_id_reused, result);
    EXPECT_NE(result.detail.find(uuid(200).to_string()), std::string::npos) << result.detail;
    asked.command->key.source = "mill";
    expect_status(AppendStatus::request_id_reused, store.append(asked));
  });
  EXPECT_FALSE(store.is_command_processed(asked.command->key));
  asked.command->command_id = uuid(201);
  expect_status(AppendStatus::appended, store.append(asked));
}

void a_command_id_is_unique_across_tenants(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(full_request());
  Command other = command("r1");
  other.key.tenant = "other";
  other.command_id = uuid(200);
  expect_nothing_written(store, [&] { expect_status(AppendStatus::request_id_reused, store.record_command(other)); });
}

void each_source_numbers_its_own_requests(Harness& harness) {
  EventStore store = open_store(harness);
  expect_appended(store.append(request(command("1", "shop"), thing("a"), ExpectedVersion::any(), events(1, 1))), 1, 1);
  expect_appended(store.append(request(command("1", "mill"), thing("a"), ExpectedVersion::any(), events(1, 2))), 2, 2);
  expect_appended(store.append(request(command("2", "shop"), thing("a"), ExpectedVersion::any(), events(1, 3))), 3, 3);
  AppendRequest tenant = request(command("1", "shop"), {"other", "thing", "a"}, ExpectedVersion::any(), events(1, 4));
  tenant.command->key.tenant = "other";
  expect_appended(store.append(tenant), 1, 1);
  EXPECT_EQ(store.stats().commands, 4);
  EXPECT_TRUE(store.append(tenant).replayed());
}

void source_and_request_id_are_two_fields(Harness& harness) {
  EventStore store = open_store(harness);
  for (const auto& [source, request_id] : std::vector<std::pair<std::string, std::string>>{
           {"a", "b:c"}, {"a:b", "c"}, {"a", "bc"}, {"ab", "c"}, {"a|b", "c"}, {"a", "b|c"}}) {
    expect_status(AppendStatus::appended, store.record_command(command(request_id, source)));
  }
  EXPECT_EQ(store.stats().commands, 6);
}

// --- What failed was not processed

void a_conflict_does_not_record_the_command(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1, 0));
  expect_nothing_written(
      store, [&] { expect_conflict(store.append(simple_request()), thing("a"), ExpectedVersion::no_stream(), 1); });
  EXPECT_FALSE(store.is_command_processed(CommandKey{.source = "shop", .request_id = "r1"}));
  AppendRequest again = simple_request();
  again.streams.front().expected = ExpectedVersion::exactly(1);
  expect_appended(store.append(again), 2, 3);
  EXPECT_TRUE(store.is_command_processed(again.command->key));
}

void a_duplicate_event_does_not_record_the_command(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events_with_ids({1}));
  const AppendRequest asked = request(command("r1"), thing("a"), ExpectedVersion::any(), events_with_ids({1, 2}));
  expect_nothing_written(store, [&] { expect_status(AppendStatus::duplicate_event_id, store.append(asked)); });
  EXPECT_FALSE(store.is_command_processed(asked.command->key));
  EXPECT_TRUE(store.list_commands(thing("a")).empty());
}

// --- Without events

void a_command_without_events_is_recorded(Harness& harness) {
  EventStore store = open_store(harness);
  const AppendResult first = store.record_command(full_command());
  expect_status(AppendStatus::appended, first);
  EXPECT_TRUE(first.streams.empty());
  EXPECT_EQ(store.stats().events, 0);
  EXPECT_EQ(store.stats().streams, 0);
  EXPECT_FALSE(store.stream_info(thing("subject")));
  const std::optional<CommandRecord> record = store.find_command(full_command().key);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->stream, thing("subject"));
  EXPECT_TRUE(record->outcome.empty());
  expect_nothing_written(store, [&] {
    expect_replay_of(first, store.record_command(full_command()));
    Command other = full_command();
    other.type = "do-that";
    expect_status(AppendStatus::request_id_reused, store.record_command(other));
    expect_status(AppendStatus::request_id_reused, store.append(full_request()));
  });
}

void a_command_about_no_stream(Harness& harness) {
  EventStore store = open_store(harness);
  expect_status(AppendStatus::appended, store.record_command(command("r1")));
  const std::optional<CommandRecord> record = store.find_command(command("r1").key);
  ASSERT_TRUE(record);
  EXPECT_FALSE(record->stream);
}

void a_command_that_checks_a_stream(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  const AppendRequest asked = request(command("r1"), thing("a"), ExpectedVersion::exactly(2), {});
  const AppendResult first = store.append(asked);
  expect_status(AppendStatus::appended, first);
  ASSERT_EQ(first.streams.size(), 1u);
  EXPECT_EQ(first.streams.front(), (StreamOutcome{thing("a"), Version(3), Version(2), Position(0), Position(0)}));
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  const AppendResult again = store.append(asked);
  expect_replay_of(first, again);
  EXPECT_EQ(again.streams, first.streams);
  const AppendRequest missing = request(command("r2"), thing("b"), ExpectedVersion::no_stream(), {});
  expect_status(AppendStatus::appended, store.append(missing));
  EXPECT_FALSE(store.stream_info(thing("b")));
}

// --- Listed

std::vector<std::string> request_ids(const std::vector<CommandRecord>& records) {
  std::vector<std::string> ids;
  for (const CommandRecord& record : records) ids.push_back(record.key.request_id);
  return ids;
}

void commands_of_a_stream_the_latest_first(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(request(command("z"), thing("a"), ExpectedVersion::any(), events(1)));
  store.append(request(command("a"), thing("a"), ExpectedVersion::any(), events(1)));
  store.append(request(command("m"), thing("b"), ExpectedVersion::any(), events(1)));
  Command about = command("k");
  about.stream = thing("a");
  store.record_command(about);
  AppendRequest elsewhere = request(command("q"), thing("a"), ExpectedVersion::any(), events(1));
  elsewhere.command->stream = thing("b");
  store.append(elsewhere);
  EXPECT_EQ(request_ids(store.list_commands(thing("a"))), (std::vector<std::string>{"k", "a", "z"}));
  EXPECT_EQ(request_ids(store.list_commands(thing("a"), 2)), (std::vector<std::string>{"k", "a"}));
  EXPECT_EQ(request_ids(store.list_commands(thing("a"), 1)), (std::vector<std::string>{"k"}));
  EXPECT_EQ(request_ids(store.list_commands(thing("b"))), (std::vector<std::string>{"q", "m"}));
  EXPECT_TRUE(store.list_commands(thing("c")).empty());
  EXPECT_TRUE(store.list_commands({"other", "thing", "a"}).empty());
}

void a_listed_command_is_the_one_found(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(full_request());
  const std::vector<CommandRecord> list = store.list_commands(thing("subject"));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(describe(list.front()), describe(store.find_command(uuid(200)).value()));
}

void many_commands_of_a_stream(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<AppendRequest> asked;
  std::vector<std::string> wanted;
  for (int i = 0; i < 250; ++i) {
    asked.push_back(request(command("r" + std::to_string(i)), thing("a"), ExpectedVersion::any(), events(1, i)));
    wanted.insert(wanted.begin(), "r" + std::to_string(i));
  }
  store.append_all(asked);
  EXPECT_EQ(request_ids(store.list_commands(thing("a"), 10'000)), wanted);
  EXPECT_EQ(store.list_commands(thing("a")).size(), 100u);
  expect_error(ErrorCode::invalid_argument, "limit", [&] { store.list_commands(thing("a"), 0); });
  expect_error(ErrorCode::invalid_argument, "limit", [&] { store.list_commands(thing("a"), 10'001); });
}

constexpr Case all_command_cases[] = {
    {"G5", "a_command_is_recorded_with_its_outcome", a_command_is_recorded_with_its_outcome},
    {"G5", "what_a_command_leaves_out", what_a_command_leaves_out},
    {"G5", "a_command_is_found_by_key_and_by_id", a_command_is_found_by_key_and_by_id},
    {"G5", "a_command_that_was_never_sent", a_command_that_was_never_sent},
    {"G5", "events_carry_their_command", events_carry_their_command},
    {"G5", "an_event_keeps_what_it_says_itself", an_event_keeps_what_it_says_itself},
    {"G5", "a_repetition_gets_the_outcome", a_repetition_gets_the_outcome},
    {"G5", "a_repetition_after_the_stream_moved_on", a_repetition_after_the_stream_moved_on},
    {"G5", "expectations_and_conditions_do_not_count", expectations_and_conditions_do_not_count},
    {"G5", "a_repetition_of_every_field", a_repetition_of_every_field},
    {"G5", "json_compares_as_json", json_compares_as_json},
    {"G5", "a_repetition_through_another_store", a_repetition_through_another_store},
    {"G5", "a_repetition_within_one_append_all", a_repetition_within_one_append_all},
    {"G5", "an_outcome_of_many_streams_comes_back_in_order", an_outcome_of_many_streams_comes_back_in_order},
    {"G5", "keys_with_special_characters_in_the_outcome", keys_with_special_characters_in_the_outcome},
    {"G5", "each_change_is_another_request", each_change_is_another_request},
    {"G5", "a_reused_key_wins_over_a_conflict", a_reused_key_wins_over_a_conflict},
    {"G5", "a_command_id_belongs_to_one_key", a_command_id_belongs_to_one_key},
    {"G5", "a_command_id_is_unique_across_tenants", a_command_id_is_unique_across_tenants},
    {"G5", "each_source_numbers_its_own_requests", each_source_numbers_its_own_requests},
    {"G5", "source_and_request_id_are_two_fields", source_and_request_id_are_two_fields},
    {"G5", "a_conflict_does_not_record_the_command", a_conflict_does_not_record_the_command},
    {"G5", "a_duplicate_event_does_not_record_the_command", a_duplicate_event_does_not_record_the_command},
    {"G5", "a_command_without_events_is_recorded", a_command_without_events_is_recorded},
    {"G5", "a_command_about_no_stream", a_command_about_no_stream},
    {"G5", "a_command_that_checks_a_stream", a_command_that_checks_a_stream},
    {"G5", "commands_of_a_stream_the_latest_first", commands_of_a_stream_the_latest_first},
    {"G5", "a_listed_command_is_the_one_found", a_listed_command_is_the_one_found},
    {"G5", "many_commands_of_a_stream", many_commands_of_a_stream},
};

}  // namespace

std::span<const Case> command_cases() {
  return all_command_cases;
}

}  // namespace stele::testing
