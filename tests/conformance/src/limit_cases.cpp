// Limits: what is at a limit is accepted and read back; what is one over is refused before anything is written.

#include "stele/limits.h"
#include "support.h"

namespace stele::testing {
namespace {

/// Exactly `bytes` bytes of UTF-8, most of them in characters of four bytes.
std::string text_of(std::size_t bytes) {
  std::string text;
  while (text.size() + 4 <= bytes) text += "\xF0\x9F\x98\x80";
  return text + std::string(bytes - text.size(), '~');
}

/// A JSON object whose text has exactly `bytes` bytes.
Json object_of(std::size_t bytes) {
  return json("{\"a\":\"" + std::string(bytes - 8, 'x') + "\"}");
}

NewEvent& first_of(AppendRequest& asked) {
  return asked.streams.front().events.front();
}

AppendRequest small_request() {
  AppendRequest made = request(command("r1"), thing("a"), ExpectedVersion::any(), events(1));
  made.conditions.push_back({thing("condition"), ExpectedVersion::any()});
  return made;
}

struct TextLimit {
  const char* field;  // As the message names it.
  std::size_t bytes;
  void (*put)(AppendRequest&, const std::string&);
  /// What was read back after it was written.
  std::string (*get)(const RecordedEvent&, const CommandRecord&);
};

constexpr TextLimit text_limits[] = {
    {"tenant_id", limits::tenant_id_bytes,
     [](AppendRequest& r, const std::string& text) {
       r.streams.front().stream.tenant = text;
       r.conditions.front().stream.tenant = text;
       r.command->key.tenant = text;
     },
     [](const RecordedEvent& e, const CommandRecord&) { return e.stream.tenant; }},
    {"stream_type", limits::stream_type_bytes,
     [](AppendRequest& r, const std::string& text) { r.streams.front().stream.type = text; },
     [](const RecordedEvent& e, const CommandRecord&) { return e.stream.type; }},
    {"stream_id", limits::stream_id_bytes,
     [](AppendRequest& r, const std::string& text) { r.streams.front().stream.id = text; },
     [](const RecordedEvent& e, const CommandRecord&) { return e.stream.id; }},
    {"event_type", limits::event_type_bytes, [](AppendRequest& r, const std::string& text) { first_of(r).type = text; },
     [](const RecordedEvent& e, const CommandRecord&) { return e.type; }},
    {"actor_id", limits::actor_id_bytes,
     [](AppendRequest& r, const std::string& text) {
       first_of(r).actor = Actor{ActorType::agent, text};
     },
     [](const RecordedEvent& e, const CommandRecord&) { return e.actor ? e.actor->id : ""; }},
    {"source", limits::source_bytes, [](AppendRequest& r, const std::string& text) { first_of(r).source = text; },
     [](const RecordedEvent& e, const CommandRecord&) { return e.source.value_or(""); }},
    {"idempotency_key", limits::idempotency_key_bytes,
     [](AppendRequest& r, const std::string& text) { first_of(r).idempotency_key = text; },
     [](const RecordedEvent& e, const CommandRecord&) { return e.idempotency_key.value_or(""); }},
    {"attributes", limits::attribute_name_bytes,
     [](AppendRequest& r, const std::string& text) { first_of(r).attributes[text] = "x"; },
     [](const RecordedEvent& e, const CommandRecord&) {
       return e.attributes.empty() ? "" : e.attributes.begin()->first;
     }},
    {"attributes", limits::attribute_value_bytes,
     [](AppendRequest& r, const std::string& text) { first_of(r).attributes["x"] = text; },
     [](const RecordedEvent& e, const CommandRecord&) {
       return e.attributes.empty() ? "" : e.attributes.begin()->second;
     }},
    {"source", limits::source_bytes, [](AppendRequest& r, const std::string& text) { r.command->key.source = text; },
     [](const RecordedEvent& e, const CommandRecord& c) {
       return e.command && *e.command == c.key ? c.key.source : "";
     }},
    {"request_id", limits::request_id_bytes,
     [](AppendRequest& r, const std::string& text) { r.command->key.request_id = text; },
     [](const RecordedEvent& e, const CommandRecord& c) {
       return e.command && *e.command == c.key ? c.key.request_id : "";
     }},
    {"command_type", limits::command_type_bytes,
     [](AppendRequest& r, const std::string& text) { r.command->type = text; },
     [](const RecordedEvent&, const CommandRecord& c) { return c.type; }},
    {"actor_id", limits::actor_id_bytes,
     [](AppendRequest& r, const std::string& text) {
       r.command->actor = Actor{ActorType::service, text};
     },
     [](const RecordedEvent&, const CommandRecord& c) { return c.actor ? c.actor->id : ""; }},
    {"stream_id", limits::stream_id_bytes,
     [](AppendRequest& r, const std::string& text) { r.command->stream = thing(text); },
     [](const RecordedEvent&, const CommandRecord& c) { return c.stream ? c.stream->id : ""; }},
};

void texts_at_their_limit(Harness& harness) {
  EventStore store = open_store(harness);
  std::uint8_t number = 0;
  for (const TextLimit& limit : text_limits) {
    SCOPED_TRACE(std::string(limit.field) + " of " + std::to_string(limit.bytes));
    const std::string text = text_of(limit.bytes);
    ASSERT_EQ(text.size(), limit.bytes);
    AppendRequest asked = small_request();
    asked.command->key.request_id = "r" + std::to_string(++number);
    first_of(asked).event_id = uuid(number);
    limit.put(asked, text);
    expect_status(AppendStatus::appended, store.append(asked));
    const std::optional<RecordedEvent> event = store.find_event(uuid(number));
    const std::optional<CommandRecord> record = store.find_command(asked.command->key);
    ASSERT_TRUE(event && record);
    EXPECT_EQ(limit.get(*event, *record), text);
    expect_status(AppendStatus::replayed, store.append(asked));
  }
}

void texts_over_their_limit(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  expect_nothing_written(store, [&] {
    for (const TextLimit& limit : text_limits) {
      SCOPED_TRACE(std::string(limit.field) + " of " + std::to_string(limit.bytes));
      AppendRequest asked = small_request();
      limit.put(asked, text_of(limit.bytes + 1));
      expect_error(ErrorCode::too_large, limit.field, [&] { store.append(asked); });
      expect_error(ErrorCode::too_large, std::to_string(limit.bytes), [&] { store.append(asked); });
    }
    AppendRequest asked = small_request();
    asked.conditions.front().stream.id = text_of(limits::stream_id_bytes + 1);
    expect_error(ErrorCode::too_large, "stream_id", [&] { store.append(asked); });
  });
}

void all_keys_at_their_limit_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  const StreamKey stream(text_of(limits::tenant_id_bytes), text_of(limits::stream_type_bytes),
                         text_of(limits::stream_id_bytes));
  AppendRequest asked = request(command(text_of(limits::request_id_bytes), text_of(limits::source_bytes)), stream,
                                ExpectedVersion::no_stream(), {full_event(1)});
  asked.command->key.tenant = stream.tenant;
  NewEvent& given = first_of(asked);
  given.type = text_of(limits::event_type_bytes);
  given.source = text_of(limits::source_bytes);
  given.actor->id = text_of(limits::actor_id_bytes);
  given.idempotency_key = text_of(limits::idempotency_key_bytes);
  given.attributes.clear();
  for (std::size_t i = 0; i < limits::attributes_per_event; ++i) {
    given.attributes[text_of(limits::attribute_name_bytes - 2) + std::to_string(10 + i)] =
        text_of(limits::attribute_value_bytes);
  }
  const AppendResult first = store.append(asked);
  expect_appended(first, 1, 1);
  expect_replay_of(first, store.append(asked));
  const std::vector<RecordedEvent> stored = stream_events(store, stream);
  ASSERT_EQ(stored.size(), 1u);
  expect_stored(given, stored.front());
  EXPECT_EQ(store.list_streams({.tenant = stream.tenant, .type = stream.type, .id_prefix = stream.id}).size(), 1u);
  EXPECT_EQ(store.list_commands(stream).size(), 1u);
}

void attributes_of_an_event(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  for (std::size_t i = 0; i < limits::attributes_per_event; ++i)
    given.attributes["name-" + std::to_string(i)] = "value";
  store.append(thing("a"), ExpectedVersion::any(), {given});
  EXPECT_EQ(stream_events(store, thing("a")).at(0).attributes, given.attributes);
  given.attributes["one more"] = "value";
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::too_large, "attributes",
                 [&] { store.append(thing("a"), ExpectedVersion::any(), {given}); });
  });
}

void data_of_an_event(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  given.data = object_of(limits::data_bytes);
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), {given}), 1, 1);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_TRUE(json_equal(stored.front().data, given.data));
  given.data = object_of(limits::data_bytes + 1);
  expect_error(ErrorCode::too_large, "data", [&] { store.append(thing("b"), ExpectedVersion::any(), {given}); });
  EXPECT_EQ(store.stats().events, 1);
}

void data_of_a_command(Harness& harness) {
  EventStore store = open_store(harness);
  Command given = command("r1");
  given.data = object_of(limits::data_bytes + 1);
  expect_error(ErrorCode::too_large, "data", [&] { store.record_command(given); });
  EXPECT_EQ(store.stats().commands, 0);
  given.data = object_of(limits::data_bytes);
  expect_status(AppendStatus::appended, store.record_command(given));
  const std::optional<CommandRecord> record = store.find_command(given.key);
  ASSERT_TRUE(record && record->data);
  EXPECT_TRUE(json_equal(*record->data, *given.data));
}

void contexts_of_an_event(Harness& harness) {
  EventStore store = open_store(harness);
  struct Context {
    const char* field;
    std::optional<Json> EventFields::*member;
  };
  constexpr Context contexts[] = {{"metadata", &EventFields::metadata},
                                  {"policy_context", &EventFields::policy_context},
                                  {"model_context", &EventFields::model_context},
                                  {"display", &EventFields::display}};
  NewEvent full = event();
  for (const Context& context : contexts) {
    SCOPED_TRACE(context.field);
    NewEvent given = event();
    given.*context.member = object_of(limits::context_bytes + 1);
    expect_error(ErrorCode::too_large, context.field,
                 [&] { store.append(thing("a"), ExpectedVersion::any(), {given}); });
    given.*context.member = json("[1]");
    expect_error(ErrorCode::invalid_argument, context.field,
                 [&] { store.append(thing("a"), ExpectedVersion::any(), {given}); });
    full.*context.member = object_of(limits::context_bytes);
  }
  EXPECT_EQ(store.stats().events, 0);
  store.append(thing("a"), ExpectedVersion::any(), {full});
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 1u);
  for (const Context& context : contexts) {
    ASSERT_TRUE(stored.front().*context.member) << context.field;
    EXPECT_TRUE(json_equal(*(stored.front().*context.member), *(full.*context.member))) << context.field;
  }
}

void all_json_of_an_append(Harness& harness) {
  EventStore store = open_store(harness);
  static_assert(limits::append_bytes == 4 * limits::data_bytes);
  std::vector<NewEvent> given(4, event());
  for (NewEvent& one : given) one.data = object_of(limits::data_bytes);
  given.back().data = object_of(limits::data_bytes - 10);
  given.front().metadata = object_of(11);
  expect_error(ErrorCode::too_large, "append", [&] { store.append(thing("a"), ExpectedVersion::any(), given); });
  EXPECT_EQ(store.stats().events, 0);
  given.front().metadata = object_of(10);
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), given), 1, 4);
  std::size_t read = 0;
  for (const RecordedEvent& stored : store.read_stream(thing("a"))) {
    EXPECT_TRUE(json_equal(stored.data, given[read].data)) << "event " << read + 1;
    ++read;
  }
  EXPECT_EQ(read, 4u);
}

void events_of_an_append(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(static_cast<int>(limits::events_per_append) + 1);
  AppendRequest asked = request(thing("a"), ExpectedVersion::any(), {given.begin(), given.begin() + 10'000});
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), {given.begin() + 10'000, given.end()}});
  expect_error(ErrorCode::too_large, "events", [&] { store.append(asked); });
  EXPECT_EQ(store.stats().events, 0);
  given.pop_back();
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), given), 1, limits::events_per_append);
  std::size_t n = 0;
  for (const RecordedEvent& stored : store.read_stream(thing("a"))) {
    ++n;
    ASSERT_EQ(stored.version.value(), static_cast<std::int64_t>(n));
    ASSERT_EQ(stored.data.canonical(), numbered(n));
  }
  EXPECT_EQ(n, limits::events_per_append);
}

void streams_of_an_append(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked;
  for (std::size_t i = 0; i < limits::streams_per_append; ++i) {
    const StreamKey stream = thing("s" + std::to_string(i));
    if (i % 2 == 0) {
      asked.streams.push_back({stream, ExpectedVersion::no_stream(), events(1, static_cast<int>(i))});
    } else {
      asked.conditions.push_back({stream, ExpectedVersion::no_stream()});
    }
  }
  AppendRequest more = asked;
  more.conditions.push_back({thing("one more"), ExpectedVersion::any()});
  expect_nothing_written(store, [&] { expect_error(ErrorCode::too_large, "streams", [&] { store.append(more); }); });
  const AppendResult result = store.append(asked);
  expect_status(AppendStatus::appended, result);
  EXPECT_EQ(result.streams.size(), 500u);
  EXPECT_EQ(store.stats().streams, 500);
  expect_numbers(store, thing("s998"), {998});
}

void nesting_of_json(Harness& harness) {
  EventStore store = open_store(harness);
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  expect_error(ErrorCode::invalid_argument, "", [&] { json(nested(limits::json_depth + 1)); });
  NewEvent given = event();
  given.data = json(nested(limits::json_depth));
  std::string objects = "{}";
  for (std::size_t i = 1; i < limits::json_depth; ++i) objects = "{\"a\":" + objects + "}";
  given.metadata = json(objects);
  store.append(thing("a"), ExpectedVersion::any(), {given});
  expect_stored(given, stream_events(store, thing("a")).at(0));
  expect_error(ErrorCode::invalid_argument, "", [&] { json("{\"a\":" + objects + "}"); });
}

void length_of_a_number(Harness& harness) {
  EventStore store = open_store(harness);
  const std::string plain = "3." + std::string(limits::json_number_length - 2, '7');
  const std::string negative = "-" + plain.substr(0, plain.size() - 1);
  NewEvent given = event();
  given.data = json("[" + plain + "," + negative + "]");
  store.append(thing("a"), ExpectedVersion::any(), {given});
  const Json stored = stream_events(store, thing("a")).at(0).data;
  EXPECT_TRUE(json_equal(stored, given.data)) << stored.text();
  EXPECT_FALSE(json_equal(stored, json("[" + plain.substr(0, plain.size() - 1) + "8," + negative + "]")));
  expect_error(ErrorCode::invalid_argument, "", [&] { json("[" + plain + "7]"); });
  expect_error(ErrorCode::invalid_argument, "", [&] { json("[" + negative + "7]"); });
}

void event_versions(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given = events(2);
  given[1].event_version = INT32_MAX;
  store.append(thing("a"), ExpectedVersion::any(), given);
  EXPECT_EQ(stream_events(store, thing("a")).at(1).event_version, INT32_MAX);
  expect_nothing_written(store, [&] {
    for (const std::int32_t wrong : {0, -1, INT32_MIN}) {
      given[1].event_version = wrong;
      expect_error(ErrorCode::invalid_argument, "event_version",
                   [&] { store.append(thing("a"), ExpectedVersion::any(), given); });
    }
  });
}

void values_outside_their_lists(Harness& harness) {
  EventStore store = open_store(harness);
  const auto refused = [&](std::string_view field, const std::function<void(AppendRequest&)>& change) {
    AppendRequest asked = small_request();
    change(asked);
    expect_nothing_written(store,
                           [&] { expect_error(ErrorCode::invalid_argument, field, [&] { store.append(asked); }); });
  };
  refused("actor_type", [](AppendRequest& r) { first_of(r).actor = Actor{static_cast<ActorType>(4), "x"}; });
  refused("channel", [](AppendRequest& r) { first_of(r).channel = static_cast<Channel>(5); });
  refused("redaction_level", [](AppendRequest& r) { first_of(r).redaction_level = static_cast<RedactionLevel>(3); });
  refused("actor_type", [](AppendRequest& r) { r.command->actor = Actor{static_cast<ActorType>(255), "x"}; });
  refused("channel", [](AppendRequest& r) { r.command->channel = static_cast<Channel>(255); });
}

void values_of_their_lists(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given;
  for (const ActorType type : {ActorType::user, ActorType::service, ActorType::agent, ActorType::system}) {
    given.push_back(event());
    given.back().actor = Actor{type, "x"};
  }
  for (const Channel channel : {Channel::ui, Channel::api, Channel::import, Channel::webhook, Channel::system}) {
    given.push_back(event());
    given.back().channel = channel;
    Command one = command("r" + std::to_string(given.size()));
    one.channel = channel;
    store.record_command(one);
    EXPECT_EQ(store.find_command(one.key).value().channel, channel);
  }
  for (const RedactionLevel level : {RedactionLevel::none, RedactionLevel::partial, RedactionLevel::full}) {
    given.push_back(event());
    given.back().redaction_level = level;
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) expect_stored(given[i], stored[i]);
}

void validity_that_ends_before_it_begins(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  given.valid_from = Timestamp::from_micros(1'000);
  expect_nothing_written(store, [&] {
    for (const std::int64_t to : {std::int64_t{1'000}, std::int64_t{999}, std::int64_t{-5}}) {
      given.valid_to = Timestamp::from_micros(to);
      expect_error(ErrorCode::invalid_argument, "valid_to",
                   [&] { store.append(thing("a"), ExpectedVersion::any(), {given}); });
    }
  });
  given.valid_to = Timestamp::from_micros(1'001);
  expect_appended(store.append(thing("a"), ExpectedVersion::any(), {given}), 1, 1);
  expect_stored(given, stream_events(store, thing("a")).at(0));
}

void the_last_event_of_many_is_checked_too(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest asked = request(command("r1"), thing("a"), ExpectedVersion::any(), events(500));
  asked.streams.push_back({thing("b"), ExpectedVersion::any(), events(500)});
  asked.streams.back().events.back().type = text_of(limits::event_type_bytes + 1);
  expect_nothing_written(store,
                         [&] { expect_error(ErrorCode::too_large, "event_type", [&] { store.append(asked); }); });
  EXPECT_FALSE(store.is_command_processed(asked.command->key));
}

constexpr Case all_limit_cases[] = {
    {"G9", "texts_at_their_limit", texts_at_their_limit},
    {"G9", "texts_over_their_limit", texts_over_their_limit},
    {"G9", "all_keys_at_their_limit_at_once", all_keys_at_their_limit_at_once},
    {"G9", "attributes_of_an_event", attributes_of_an_event},
    {"G9", "data_of_an_event", data_of_an_event},
    {"G9", "data_of_a_command", data_of_a_command},
    {"G9", "contexts_of_an_event", contexts_of_an_event},
    {"G9", "all_json_of_an_append", all_json_of_an_append},
    {"G9", "events_of_an_append", events_of_an_append},
    {"G9", "streams_of_an_append", streams_of_an_append},
    {"G9", "nesting_of_json", nesting_of_json},
    {"G9", "length_of_a_number", length_of_a_number},
    {"G9", "event_versions", event_versions},
    {"G9", "values_outside_their_lists", values_outside_their_lists},
    {"G9", "values_of_their_lists", values_of_their_lists},
    {"G9", "validity_that_ends_before_it_begins", validity_that_ends_before_it_begins},
    {"G9", "the_last_event_of_many_is_checked_too", the_last_event_of_many_is_checked_too},
};

}  // namespace

std::span<const Case> limit_cases() {
  return all_limit_cases;
}

}  // namespace stele::testing
