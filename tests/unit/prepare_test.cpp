// What every append, read and look-up is checked for before any I/O.
#include "prepare.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "error_of.h"
#include "memory_store.h"
#include "stele/limits.h"

namespace stele {
namespace {

using std::string;

AppendRequest good_request() {
  AppendRequest request;
  request.streams.push_back({StreamKey("order", "7"), ExpectedVersion::any(), {testing::event_of("Placed")}});
  return request;
}

AppendRequest good_command() {
  AppendRequest request = good_request();
  request.command = Command{.key = {"default", "shop", "r-1"},
                            .type = "Place",
                            .command_id = {},
                            .stream = {},
                            .actor = {},
                            .channel = {},
                            .data = {}};
  return request;
}

using Edit = std::function<void(AppendRequest&)>;

void accepts(const Edit& edit, AppendRequest request = good_command()) {
  edit(request);
  EXPECT_NO_THROW(EventStore::validate(request));
}

void refuses(const Edit& edit, ErrorCode code, const string& words, AppendRequest request = good_command()) {
  edit(request);
  EXPECT_ERROR(EventStore::validate(request), code, words);
}

/// A text of the requests, as a caller sets it.
struct TextField {
  string name;  // as it begins messages
  std::size_t limit;
  std::function<void(AppendRequest&, string)> set;
};

std::vector<TextField> text_fields() {
  const auto event = [](AppendRequest& request) -> NewEvent& { return request.streams[0].events[0]; };
  return {
      {"tenant_id", limits::tenant_id_bytes,
       [](AppendRequest& r, string text) { r.streams[0].stream.tenant = r.command->key.tenant = std::move(text); }},
      {"stream_type", limits::stream_type_bytes,
       [](AppendRequest& r, string text) { r.streams[0].stream.type = std::move(text); }},
      {"stream_id", limits::stream_id_bytes,
       [](AppendRequest& r, string text) { r.streams[0].stream.id = std::move(text); }},
      {"event_type", limits::event_type_bytes, [=](AppendRequest& r, string text) { event(r).type = std::move(text); }},
      {"source", limits::source_bytes, [=](AppendRequest& r, string text) { event(r).source = std::move(text); }},
      {"actor_id", limits::actor_id_bytes,
       [=](AppendRequest& r, string text) {
         event(r).actor = Actor{ActorType::user, std::move(text)};
       }},
      {"idempotency_key", limits::idempotency_key_bytes,
       [=](AppendRequest& r, string text) { event(r).idempotency_key = std::move(text); }},
      {"attributes: name", limits::attribute_name_bytes,
       [=](AppendRequest& r, string text) {
         event(r).attributes = {{std::move(text), "v"}};
       }},
      {"attributes: value of n", limits::attribute_value_bytes,
       [=](AppendRequest& r, string text) {
         event(r).attributes = {{"n", std::move(text)}};
       }},
      {"source", limits::source_bytes, [](AppendRequest& r, string text) { r.command->key.source = std::move(text); }},
      {"request_id", limits::request_id_bytes,
       [](AppendRequest& r, string text) { r.command->key.request_id = std::move(text); }},
      {"command_type", limits::command_type_bytes,
       [](AppendRequest& r, string text) { r.command->type = std::move(text); }},
      {"actor_id", limits::actor_id_bytes,
       [](AppendRequest& r, string text) {
         r.command->actor = Actor{ActorType::user, std::move(text)};
       }},
      {"stream_id", limits::stream_id_bytes,
       [](AppendRequest& r, string text) { r.command->stream = StreamKey("order", std::move(text)); }},
      {"stream_id", limits::stream_id_bytes,
       [](AppendRequest& r, string text) {
         r.conditions.push_back({StreamKey("customer", std::move(text)), ExpectedVersion::any()});
       }},
  };
}

TEST(Validate, AcceptsTheGoodRequests) {
  accepts([](AppendRequest&) {});
  accepts([](AppendRequest&) {}, good_request());
}

TEST(Validate, TextsAreNotEmptyAndNotTooLong) {
  for (const TextField& field : text_fields()) {
    SCOPED_TRACE(field.name);
    accepts([&](AppendRequest& r) { field.set(r, "x"); });
    accepts([&](AppendRequest& r) { field.set(r, string(field.limit, 'x')); });
    refuses([&](AppendRequest& r) { field.set(r, ""); }, ErrorCode::invalid_argument,
            field.name + ": must not be empty");
    refuses(
        [&](AppendRequest& r) { field.set(r, string(field.limit + 1, 'x')); }, ErrorCode::too_large,
        field.name + ": " + std::to_string(field.limit + 1) + " bytes, the limit is " + std::to_string(field.limit));
    // Bytes count, not characters.
    string wide;
    while (wide.size() + 2 <= field.limit) wide += "\xC3\xA9";
    accepts([&](AppendRequest& r) { field.set(r, wide); });
    refuses([&](AppendRequest& r) { field.set(r, wide + "\xC3\xA9"); }, ErrorCode::too_large, field.name + ": ");
  }
}

TEST(Validate, TextsAreUtf8WithoutNul) {
  for (const TextField& field : text_fields()) {
    SCOPED_TRACE(field.name);
    for (const string& text : {string("\0", 1), string("a\0b", 3), string("a\0", 2)}) {
      refuses([&](AppendRequest& r) { field.set(r, text); }, ErrorCode::invalid_argument,
              field.name + ": must not contain NUL");
    }
    for (const string text : {"\xC3", "\xED\xA0\x80", "a\xFF", "\xC0\x80"}) {
      refuses([&](AppendRequest& r) { field.set(r, text); }, ErrorCode::invalid_argument,
              field.name + ": is not valid UTF-8");
    }
    for (const string text : {" ", "a b", "\n", "\xF0\x9F\x98\x80", "'; DROP TABLE events; --", "%_\\\"/"}) {
      accepts([&](AppendRequest& r) { field.set(r, text); });
    }
  }
}

TEST(Validate, IdsAreNotNil) {
  const auto event = [](AppendRequest& r) -> NewEvent& { return r.streams[0].events[0]; };
  refuses([&](AppendRequest& r) { event(r).event_id = Uuid(); }, ErrorCode::invalid_argument, "event_id: ");
  refuses([&](AppendRequest& r) { event(r).causation_id = Uuid(); }, ErrorCode::invalid_argument, "causation_id: ");
  refuses([&](AppendRequest& r) { event(r).correlation_id = Uuid(); }, ErrorCode::invalid_argument, "correlation_id: ");
  refuses([&](AppendRequest& r) { r.command->command_id = Uuid(); }, ErrorCode::invalid_argument, "command_id: ");
  // Any other id will do, whatever its version.
  accepts([&](AppendRequest& r) {
    Uuid::Bytes bytes{};
    bytes[15] = 1;
    event(r).event_id = event(r).causation_id = event(r).correlation_id = r.command->command_id = Uuid(bytes);
  });
}

TEST(Validate, NumbersListsAndTimes) {
  const auto event = [](AppendRequest& r) -> NewEvent& { return r.streams[0].events[0]; };
  accepts([&](AppendRequest& r) { event(r).event_version = 1; });
  accepts([&](AppendRequest& r) { event(r).event_version = std::numeric_limits<std::int32_t>::max(); });
  for (const int version : {0, -1}) {
    refuses([&](AppendRequest& r) { event(r).event_version = version; }, ErrorCode::invalid_argument,
            "event_version: ");
  }
  refuses(
      [&](AppendRequest& r) {
        event(r).actor = Actor{static_cast<ActorType>(4), "a"};
      },
      ErrorCode::invalid_argument, "actor_type: ");
  refuses([&](AppendRequest& r) { event(r).channel = static_cast<Channel>(5); }, ErrorCode::invalid_argument,
          "channel: ");
  refuses([&](AppendRequest& r) { event(r).redaction_level = static_cast<RedactionLevel>(3); },
          ErrorCode::invalid_argument, "redaction_level: ");
  refuses([&](AppendRequest& r) { r.command->channel = static_cast<Channel>(255); }, ErrorCode::invalid_argument,
          "channel: ");
  refuses(
      [&](AppendRequest& r) {
        r.command->actor = Actor{static_cast<ActorType>(4), "a"};
      },
      ErrorCode::invalid_argument, "actor_type: ");

  const Timestamp time = Timestamp::now();
  const Timestamp later = Timestamp::from_micros(time.micros() + 1);
  const auto valid = [&](std::optional<Timestamp> from, std::optional<Timestamp> to) {
    return [=](AppendRequest& r) {
      r.streams[0].events[0].valid_from = from;
      r.streams[0].events[0].valid_to = to;
    };
  };
  accepts(valid(time, later));
  accepts(valid(time, std::nullopt));
  accepts(valid(std::nullopt, time));
  refuses(valid(time, time), ErrorCode::invalid_argument, "valid_to: ");
  refuses(valid(later, time), ErrorCode::invalid_argument, "valid_to: ");
}

TEST(Validate, ExpectedVersionsAreNotNegative) {
  accepts([](AppendRequest& r) {
    r.streams[0].expected = ExpectedVersion::exactly(std::numeric_limits<std::int64_t>::max());
  });
  refuses([](AppendRequest& r) { r.streams[0].expected = ExpectedVersion::exactly(-1); }, ErrorCode::invalid_argument,
          "expected version: ");
  refuses(
      [](AppendRequest& r) {
        r.conditions.push_back({StreamKey("a", "b"), ExpectedVersion::exactly(-1)});
      },
      ErrorCode::invalid_argument, "expected version: ");
}

string object_of(std::size_t size) {
  return "{\"a\":\"" + string(size - 8, 'x') + "\"}";
}

TEST(Validate, PayloadsAreObjectsWithinTheirLimits) {
  const auto event = [](AppendRequest& r) -> NewEvent& { return r.streams[0].events[0]; };
  ASSERT_EQ(object_of(100).size(), 100U);
  accepts([&](AppendRequest& r) { event(r).data = Json(string("[1]")); });
  accepts([&](AppendRequest& r) { r.command->data = Json(string("[1]")); });
  accepts([&](AppendRequest& r) { event(r).data = Json(object_of(limits::data_bytes)); });
  refuses([&](AppendRequest& r) { event(r).data = Json(object_of(limits::data_bytes + 1)); }, ErrorCode::too_large,
          "data: 16777217 bytes, the limit is 16777216");
  accepts([&](AppendRequest& r) { r.command->data = Json(object_of(limits::data_bytes)); });
  refuses([&](AppendRequest& r) { r.command->data = Json(object_of(limits::data_bytes + 1)); }, ErrorCode::too_large,
          "command data: 16777217 bytes");
  const std::vector<std::pair<string, std::optional<Json> NewEvent::*>> contexts{
      {"metadata", &NewEvent::metadata},
      {"policy_context", &NewEvent::policy_context},
      {"model_context", &NewEvent::model_context},
      {"display", &NewEvent::display}};
  for (const auto& [name, member] : contexts) {
    SCOPED_TRACE(name);
    const auto set = [&, field = member](string text) {
      return [=](AppendRequest& r) { r.streams[0].events[0].*field = Json(text); };
    };
    accepts(set("{}"));
    accepts(set(object_of(limits::context_bytes)));
    refuses(set("[]"), ErrorCode::invalid_argument, name + ": must be a JSON object");
    refuses(set(object_of(limits::context_bytes + 1)), ErrorCode::too_large,
            name + ": 1048577 bytes, the limit is 1048576");
  }
}

TEST(Validate, AnAppendHasALimitOfBytes) {
  // Four payloads of 16 MiB are 64 MiB, the limit.
  const Json largest(object_of(limits::data_bytes));
  AppendRequest request = good_command();
  request.streams[0].events.clear();
  for (int i = 0; i < 4; ++i) {
    request.streams[0].events.push_back(testing::event_of("Placed"));
    request.streams[0].events.back().data = largest;
  }
  accepts([](AppendRequest&) {}, request);
  AppendRequest more_events = request;
  more_events.streams.push_back({StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("Placed")}});
  refuses([](AppendRequest&) {}, ErrorCode::too_large, "append: 67108866 bytes, the limit is 67108864", more_events);
  AppendRequest with_context = request;
  with_context.streams[0].events[0].display = Json();
  refuses([](AppendRequest&) {}, ErrorCode::too_large, "append: ", with_context);
  // All JSON of the append counts, so the command's too.
  request.command->data = Json();
  refuses([](AppendRequest&) {}, ErrorCode::too_large, "append: ", request);
}

TEST(Validate, CountsOfEventsStreamsAndAttributes) {
  accepts([](AppendRequest& r) { r.streams[0].events.resize(limits::events_per_append, testing::event_of("Placed")); });
  refuses(
      [](AppendRequest& r) { r.streams[0].events.resize(limits::events_per_append + 1, testing::event_of("Placed")); },
      ErrorCode::too_large, "events: 20001, the limit is 20000");
  refuses(
      [](AppendRequest& r) {
        r.streams[0].events.resize(limits::events_per_append, testing::event_of("Placed"));
        r.streams.push_back({StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("Placed")}});
      },
      ErrorCode::too_large, "events: 20001, the limit is 20000");

  const auto streams = [](std::size_t appended, std::size_t conditions) {
    return [=](AppendRequest& r) {
      r.streams.clear();
      for (std::size_t i = 0; i < appended; ++i)
        r.streams.push_back({StreamKey("a", std::to_string(i)), ExpectedVersion::any(), {}});
      for (std::size_t i = 0; i < conditions; ++i)
        r.conditions.push_back({StreamKey("b", std::to_string(i)), ExpectedVersion::any()});
    };
  };
  accepts(streams(600, 400));
  accepts(streams(1000, 0));
  accepts(streams(0, 1000));
  refuses(streams(600, 401), ErrorCode::too_large, "streams: 1001, the limit is 1000");
  refuses(streams(1001, 0), ErrorCode::too_large, "streams: 1001, the limit is 1000");

  const auto attributes = [](std::size_t count) {
    return [=](AppendRequest& r) {
      for (std::size_t i = 0; i < count; ++i) r.streams[0].events[0].attributes[std::to_string(i)] = "v";
    };
  };
  accepts(attributes(limits::attributes_per_event));
  refuses(attributes(limits::attributes_per_event + 1), ErrorCode::too_large, "attributes: 33, the limit is 32");
}

TEST(Validate, AnAppendIsOfSomething) {
  refuses([](AppendRequest& r) { r = {}; }, ErrorCode::invalid_argument, "names no stream and no command");
  accepts([](AppendRequest& r) { r.streams.clear(); });            // A command alone.
  accepts([](AppendRequest& r) { r.streams[0].events.clear(); });  // A check alone.
  accepts([](AppendRequest& r) {
    r = {};
    r.conditions.push_back({StreamKey("a", "b"), ExpectedVersion::any()});
  });
}

TEST(Validate, StreamsAndIdsComeOnce) {
  refuses([](AppendRequest& r) { r.streams.push_back(r.streams[0]); }, ErrorCode::invalid_argument, "order/7");
  refuses(
      [](AppendRequest& r) {
        r.conditions.push_back({r.streams[0].stream, ExpectedVersion::any()});
      },
      ErrorCode::invalid_argument, "order/7");
  refuses(
      [](AppendRequest& r) {
        r.conditions.resize(2, {StreamKey("a", "b"), ExpectedVersion::any()});
      },
      ErrorCode::invalid_argument, "a/b");
  accepts([](AppendRequest& r) { r.conditions.push_back({StreamKey("Order", "7"), ExpectedVersion::any()}); });

  const Uuid id = Uuid::v7();
  const auto second = [](AppendRequest& r) -> NewEvent& {
    r.streams.push_back({StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("Placed")}});
    return r.streams[1].events[0];
  };
  refuses([&](AppendRequest& r) { second(r).event_id = r.streams[0].events[0].event_id = id; },
          ErrorCode::invalid_argument, id.to_string() + " comes twice");
  // An idempotency key is its stream's.
  accepts([&](AppendRequest& r) { second(r).idempotency_key = r.streams[0].events[0].idempotency_key = "k"; });
  refuses(
      [&](AppendRequest& r) {
        r.streams[0].events[0].idempotency_key = "k";
        r.streams[0].events.push_back(r.streams[0].events[0]);
      },
      ErrorCode::invalid_argument, "idempotency_key: k comes twice");
}

TEST(Validate, OneAppendIsOfOneTenant) {
  constexpr std::string_view words = "tenant_id: one append writes for one tenant";
  refuses(
      [](AppendRequest& r) {
        r.streams.push_back({StreamKey("acme", "a", "b"), ExpectedVersion::any(), {}});
      },
      ErrorCode::invalid_argument, string(words));
  refuses(
      [](AppendRequest& r) {
        r.conditions.push_back({StreamKey("acme", "a", "b"), ExpectedVersion::any()});
      },
      ErrorCode::invalid_argument, string(words));
  refuses([](AppendRequest& r) { r.command->key.tenant = "acme"; }, ErrorCode::invalid_argument, string(words));
  refuses([](AppendRequest& r) { r.command->stream = StreamKey("acme", "a", "b"); }, ErrorCode::invalid_argument,
          string(words));
  refuses(
      [](AppendRequest& r) {
        r.streams.clear();
        r.command->stream = StreamKey("acme", "a", "b");
      },
      ErrorCode::invalid_argument, string(words));
  accepts([](AppendRequest& r) {
    r.streams[0].stream.tenant = r.command->key.tenant = "acme";
    r.command->stream = StreamKey("acme", "x", "y");
  });
}

TEST(Validate, HappensBeforeAnythingIsWritten) {
  EventStore store = testing::memory_store();
  std::vector<AppendRequest> requests{good_request(), good_request()};
  requests[1].streams[0].events[0].type = "";
  EXPECT_ERROR(store.append_all(requests), ErrorCode::invalid_argument, "append 2: event_type: must not be empty");
  EXPECT_ERROR(store.append(requests[1]), ErrorCode::invalid_argument, "event_type: must not be empty");
  EXPECT_EQ(store.stats().events, 0);
  EXPECT_TRUE(store.append_all({}).empty());
}

TEST(Validate, ReadsAndLookUps) {
  EventStore store = testing::memory_store();
  const StreamKey key("order", "7");
  constexpr ErrorCode invalid = ErrorCode::invalid_argument;
  EXPECT_ERROR(store.read_stream(StreamKey("", "7")), invalid, "stream_type");
  EXPECT_ERROR(store.read_stream(key, {.from = Version(0)}), invalid, "from");
  EXPECT_ERROR(store.read_stream(key, {.to = Version(-1)}), invalid, "to");
  EXPECT_ERROR(store.read_log({.after = Position(-1)}), invalid, "after");
  EXPECT_ERROR(store.read_log({.before = Position(-1)}), invalid, "before");
  EXPECT_ERROR(store.read_log({.filter = {.tenant = ""}}), invalid, "tenant_id");
  EXPECT_ERROR(store.read_log({.filter = {.stream_types = {"a", ""}}}), invalid, "stream_type");
  EXPECT_ERROR(store.read_log({.filter = {.event_types = {"\xFF"}}}), invalid, "event_type");
  EXPECT_ERROR(store.read_log({.filter = {.source = ""}}), invalid, "source");
  EXPECT_ERROR(store.read_log({.filter = {.actor_id = string("\0", 1)}}), invalid, "actor_id");
  EXPECT_ERROR(store.read_log({.filter = {.attributes = {{"", "v"}}}}), invalid, "attributes: name");
  EXPECT_ERROR(store.read_log({.filter = {.attributes = {{"n", ""}}}}), invalid, "attributes: value");
  EXPECT_ERROR(store.stream_info(StreamKey("a", "")), invalid, "stream_id");
  EXPECT_ERROR(store.stream_version(StreamKey("", "a", "b")), invalid, "tenant_id");
  EXPECT_ERROR(store.find_command(CommandKey{"default", "", "r"}), invalid, "source");
  EXPECT_ERROR(store.is_command_processed(CommandKey{"default", "s", ""}), invalid, "request_id");
  EXPECT_ERROR(store.list_commands(key, 0), invalid, "limit");
  EXPECT_ERROR(store.list_commands(key, 10'001), invalid, "limit");
  EXPECT_ERROR(store.list_streams({.tenant = ""}), invalid, "tenant_id");
  EXPECT_ERROR(store.list_streams({.type = ""}), invalid, "stream_type");
  EXPECT_ERROR(store.list_streams({.limit = 0}), invalid, "limit");
  EXPECT_ERROR(store.list_streams({.limit = 10'001}), invalid, "limit");
  EXPECT_NO_THROW(store.list_streams({.limit = 10'000}));
  EXPECT_NO_THROW(store.list_commands(key, 1));
}

TEST(Prepare, CompletesWhatTheCallerLeftOut) {
  AppendRequest request = good_command();
  request.command->channel = Channel::api;
  request.streams[0].events.push_back(testing::event_of("Own"));
  NewEvent& own = request.streams[0].events[1];
  own.event_id = Uuid::v7();
  own.occurred_at = Timestamp::from_micros(1);
  own.source = "mine";
  own.channel = Channel::ui;
  own.causation_id = Uuid::v7();

  const Timestamp before = Timestamp::now();
  const driver::PreparedAppend prepared = detail::prepare_append(request);
  EXPECT_EQ(prepared.tenant, "default");
  ASSERT_TRUE(prepared.command);
  EXPECT_EQ(prepared.command->command_id.version(), 7);
  EXPECT_FALSE(prepared.command->command_id_given);
  EXPECT_EQ(prepared.command->stream, &request.streams[0].stream);
  const driver::PreparedEvent& made = prepared.streams.at(0).events.at(0);
  EXPECT_EQ(made.event_id.version(), 7);
  EXPECT_FALSE(made.event_id_given);
  EXPECT_GE(made.occurred_at, before);
  EXPECT_FALSE(made.occurred_at_given);
  EXPECT_EQ(*made.source, "shop");
  EXPECT_EQ(made.channel, Channel::api);
  EXPECT_EQ(made.causation_id, prepared.command->command_id);
  EXPECT_FALSE(made.causation_id_given);
  const driver::PreparedEvent& given = prepared.streams.at(0).events.at(1);
  EXPECT_EQ(given.event_id, own.event_id);
  EXPECT_TRUE(given.event_id_given);
  EXPECT_EQ(given.occurred_at, own.occurred_at);
  EXPECT_TRUE(given.occurred_at_given);
  EXPECT_EQ(*given.source, "mine");
  EXPECT_EQ(given.channel, Channel::ui);
  EXPECT_EQ(given.causation_id, own.causation_id);
  EXPECT_TRUE(given.causation_id_given);
  EXPECT_NE(made.event_id, detail::prepare_append(request).streams[0].events[0].event_id);
}

TEST(Prepare, ACommandIsAboutTheFirstStreamAppendedTo) {
  AppendRequest request = good_command();
  request.streams.insert(request.streams.begin(), {StreamKey("checked", "1"), ExpectedVersion::any(), {}});
  const driver::PreparedAppend prepared = detail::prepare_append(request);
  ASSERT_NE(prepared.command->stream, nullptr);
  EXPECT_EQ(prepared.command->stream->to_string(), "order/7");  // The first one is only checked.

  request.command->stream = StreamKey("given", "2");
  EXPECT_EQ(detail::prepare_append(request).command->stream->to_string(), "given/2");
  request.command->stream.reset();
  request.streams.clear();
  EXPECT_EQ(detail::prepare_append(request).command->stream, nullptr);
}

TEST(Prepare, WithoutACommandNothingIsInherited) {
  const AppendRequest request = good_request();
  const driver::PreparedAppend prepared = detail::prepare_append(request);
  EXPECT_FALSE(prepared.command);
  const driver::PreparedEvent& event = prepared.streams.at(0).events.at(0);
  EXPECT_EQ(event.source, nullptr);
  EXPECT_FALSE(event.channel);
  EXPECT_FALSE(event.causation_id);
}

}  // namespace
}  // namespace stele
