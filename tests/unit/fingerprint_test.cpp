// What makes two requests the same request (G5), by what a store answers to the second.
#include <gtest/gtest.h>

#include <functional>

#include "memory_store.h"

namespace stele {
namespace {

using std::string;
using Edit = std::function<void(AppendRequest&)>;

Uuid numbered_uuid(int number) {
  Uuid::Bytes bytes{};
  bytes[15] = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

NewEvent event_of_all_fields() {
  NewEvent event = testing::event_of("Placed", R"({"a":1,"b":[1.50,"x"]})");
  event.event_version = 2;
  event.event_id = numbered_uuid(1);
  event.occurred_at = Timestamp::from_micros(1);
  event.valid_from = Timestamp::from_micros(2);
  event.valid_to = Timestamp::from_micros(3);
  event.actor = Actor{ActorType::user, "ann"};
  event.source = "shop";
  event.channel = Channel::ui;
  event.idempotency_key = "k";
  event.causation_id = numbered_uuid(2);
  event.correlation_id = numbered_uuid(3);
  event.redaction_level = RedactionLevel::partial;
  event.contains_secrets = true;
  event.metadata = Json(string(R"({"m":1})"));
  event.policy_context = Json(string(R"({"p":1})"));
  event.model_context = Json(string(R"({"o":1})"));
  event.display = Json(string(R"({"d":1})"));
  event.attributes = {{"a", "1"}, {"b", "2"}};
  return event;
}

/// Two streams, the first with two events, and a command with every field.
AppendRequest full_request() {
  AppendRequest request;
  request.streams.push_back(
      {StreamKey("order", "7"), ExpectedVersion::any(), {event_of_all_fields(), testing::event_of("Paid")}});
  request.streams.push_back({StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("Placed")}});
  request.command = Command{.key = {"default", "gate", "r-1"},
                            .type = "Place",
                            .command_id = numbered_uuid(9),
                            .stream = StreamKey("customer", "1"),
                            .actor = Actor{ActorType::service, "gate"},
                            .channel = Channel::api,
                            .data = Json(string(R"({"c":1})"))};
  return request;
}

AppendStatus status_of_second(const Edit& first, const Edit& second) {
  EventStore store = testing::memory_store();
  AppendRequest request = full_request();
  first(request);
  EXPECT_EQ(store.append(request).status, AppendStatus::appended);
  request = full_request();
  second(request);
  return store.append(request).status;
}

void nothing(AppendRequest&) {}

void same(const Edit& edit, const string& what) {
  EXPECT_EQ(to_string(status_of_second(nothing, edit)), "replayed") << what;
  EXPECT_EQ(to_string(status_of_second(edit, nothing)), "replayed") << what;
}

void differs(const Edit& edit, const string& what) {
  EXPECT_EQ(to_string(status_of_second(nothing, edit)), "request_id_reused") << what;
  EXPECT_EQ(to_string(status_of_second(edit, nothing)), "request_id_reused") << what;
}

TEST(Fingerprint, TheSameRequestAgainIsAReplay) {
  same(nothing, "nothing");
}

TEST(Fingerprint, ExpectationsDoNotCount) {
  same([](AppendRequest& r) { r.streams[0].expected = ExpectedVersion::no_stream(); }, "expected version");
  same(
      [](AppendRequest& r) {
        r.conditions.push_back({StreamKey("a", "b"), ExpectedVersion::no_stream()});
      },
      "condition");
  same(
      [](AppendRequest& r) {
        r.streams.push_back({StreamKey("a", "b"), ExpectedVersion::no_stream(), {}});
      },
      "a stream that is only checked");
  same(
      [](AppendRequest& r) {
        r.streams.insert(r.streams.begin(), {StreamKey("a", "b"), ExpectedVersion::any(), {}});
      },
      "a stream that is only checked, first");
}

TEST(Fingerprint, TheSpellingOfJsonDoesNotCount) {
  const auto first = [](AppendRequest& r) -> NewEvent& { return r.streams[0].events[0]; };
  same([&](AppendRequest& r) { first(r).data = Json(string(R"( { "b" : [15e-1,"\u0078"], "a" : 1.0 } )")); }, "data");
  same([&](AppendRequest& r) { first(r).metadata = Json(string(R"({"\u006d":1.0})")); }, "metadata");
  same([&](AppendRequest& r) { r.command->data = Json(string(R"({ "c":10e-1 })")); }, "command data");
}

TEST(Fingerprint, EveryFieldOfTheCommandCounts) {
  differs([](AppendRequest& r) { r.command->type = "place"; }, "type");
  differs([](AppendRequest& r) { r.command->command_id.reset(); }, "command_id, absent");
  differs([](AppendRequest& r) { r.command->command_id = numbered_uuid(10); }, "command_id");
  differs([](AppendRequest& r) { r.command->stream->id = "2"; }, "stream id");
  differs([](AppendRequest& r) { r.command->stream->type = "client"; }, "stream type");
  differs([](AppendRequest& r) { r.command->actor.reset(); }, "actor, absent");
  differs([](AppendRequest& r) { r.command->actor->id = "gates"; }, "actor id");
  differs([](AppendRequest& r) { r.command->actor->type = ActorType::agent; }, "actor type");
  differs([](AppendRequest& r) { r.command->channel.reset(); }, "channel, absent");
  differs([](AppendRequest& r) { r.command->channel = Channel::ui; }, "channel");
  differs([](AppendRequest& r) { r.command->data.reset(); }, "data, absent");
  differs([](AppendRequest& r) { r.command->data = Json(string(R"({"c":2})")); }, "data");
}

TEST(Fingerprint, EveryFieldOfAnEventCounts) {
  const std::vector<std::pair<string, std::function<void(NewEvent&)>>> edits{
      {"type", [](NewEvent& e) { e.type = "placed"; }},
      {"event_version", [](NewEvent& e) { e.event_version = 3; }},
      {"event_id", [](NewEvent& e) { e.event_id = numbered_uuid(100); }},
      {"event_id, absent", [](NewEvent& e) { e.event_id.reset(); }},
      {"occurred_at", [](NewEvent& e) { e.occurred_at = Timestamp::from_micros(100); }},
      {"occurred_at, absent", [](NewEvent& e) { e.occurred_at.reset(); }},
      {"valid_from", [](NewEvent& e) { e.valid_from = Timestamp::from_micros(-1); }},
      {"valid_from, absent", [](NewEvent& e) { e.valid_from.reset(); }},
      {"valid_to", [](NewEvent& e) { e.valid_to = Timestamp::from_micros(100); }},
      {"valid_to, absent", [](NewEvent& e) { e.valid_to.reset(); }},
      {"only one of valid_from and valid_to",
       [](NewEvent& e) {
         e.valid_from = e.valid_to;
         e.valid_to.reset();
       }},
      {"actor id", [](NewEvent& e) { e.actor->id = "bob"; }},
      {"actor type", [](NewEvent& e) { e.actor->type = ActorType::agent; }},
      {"actor, absent", [](NewEvent& e) { e.actor.reset(); }},
      {"source", [](NewEvent& e) { e.source = "web"; }},
      {"source, absent", [](NewEvent& e) { e.source.reset(); }},
      {"channel", [](NewEvent& e) { e.channel = Channel::webhook; }},
      {"channel, absent", [](NewEvent& e) { e.channel.reset(); }},
      {"idempotency_key", [](NewEvent& e) { e.idempotency_key = "K"; }},
      {"idempotency_key, absent", [](NewEvent& e) { e.idempotency_key.reset(); }},
      {"causation_id", [](NewEvent& e) { e.causation_id = numbered_uuid(100); }},
      {"causation_id, absent", [](NewEvent& e) { e.causation_id.reset(); }},
      {"correlation_id", [](NewEvent& e) { e.correlation_id = numbered_uuid(100); }},
      {"correlation_id, absent", [](NewEvent& e) { e.correlation_id.reset(); }},
      {"causation_id and correlation_id, exchanged", [](NewEvent& e) { std::swap(e.causation_id, e.correlation_id); }},
      {"redaction_level", [](NewEvent& e) { e.redaction_level = RedactionLevel::full; }},
      {"contains_secrets", [](NewEvent& e) { e.contains_secrets = false; }},
      {"data", [](NewEvent& e) { e.data = Json(string(R"({"a":1,"b":[1.51,"x"]})")); }},
      {"a digit of data", [](NewEvent& e) { e.data = Json(string(R"({"a":1.00000000000000000001,"b":[1.50,"x"]})")); }},
      {"metadata", [](NewEvent& e) { e.metadata = Json(string(R"({"m":2})")); }},
      {"metadata, absent", [](NewEvent& e) { e.metadata.reset(); }},
      {"metadata, empty", [](NewEvent& e) { e.metadata = Json(); }},
      {"policy_context", [](NewEvent& e) { e.policy_context.reset(); }},
      {"model_context", [](NewEvent& e) { e.model_context.reset(); }},
      {"display", [](NewEvent& e) { e.display.reset(); }},
      {"metadata and display, exchanged", [](NewEvent& e) { std::swap(e.metadata, e.display); }},
      {"attributes, one less", [](NewEvent& e) { e.attributes.erase("a"); }},
      {"attributes, one more", [](NewEvent& e) { e.attributes["c"] = "3"; }},
      {"attributes, a value", [](NewEvent& e) { e.attributes["a"] = "2"; }},
      {"attributes, cut otherwise",
       [](NewEvent& e) {
         e.attributes = {{"a1", "b"}, {"2", "x"}};
       }},
  };
  for (const auto& [what, edit] : edits) {
    differs([edit = edit](AppendRequest& r) { edit(r.streams[0].events[0]); }, what);
  }
}

TEST(Fingerprint, WhichEventsGoWhereCounts) {
  differs([](AppendRequest& r) { r.streams[0].events.pop_back(); }, "an event less");
  differs([](AppendRequest& r) { r.streams[1].events.push_back(testing::event_of("Paid")); }, "an event more");
  differs([](AppendRequest& r) { std::swap(r.streams[0].events[0], r.streams[0].events[1]); }, "the order of events");
  differs([](AppendRequest& r) { std::swap(r.streams[0], r.streams[1]); }, "the order of streams");
  differs([](AppendRequest& r) { r.streams[1].stream.id = "9"; }, "the stream's id");
  differs([](AppendRequest& r) { r.streams[1].stream.type = "Order"; }, "the stream's type");
  differs([](AppendRequest& r) { r.streams[1].stream = StreamKey("orde", "r8"); }, "the stream's name, cut otherwise");
  differs([](AppendRequest& r) { r.streams.pop_back(); }, "a stream less");
  differs(
      [](AppendRequest& r) {
        r.streams[1].events.insert(r.streams[1].events.begin(), r.streams[0].events.back());
        r.streams[0].events.pop_back();
      },
      "an event in the other stream");
  differs([](AppendRequest& r) { r.streams.clear(); }, "no events");
}

TEST(Fingerprint, WhatAppendMakesDoesNotCount) {
  EventStore store = testing::memory_store();
  const auto request_without_ids = [] {
    AppendRequest request = full_request();
    request.command->command_id.reset();
    request.streams[0].events[0].event_id.reset();
    request.streams[0].events[0].occurred_at.reset();
    request.streams[0].events[0].causation_id.reset();
    return request;
  };
  const AppendResult first = store.append(request_without_ids());
  const AppendResult second = store.append(request_without_ids());
  EXPECT_EQ(first.status, AppendStatus::appended);
  EXPECT_EQ(second.status, AppendStatus::replayed);
  EXPECT_EQ(second.streams, first.streams);
  EXPECT_EQ(store.stats().events, 3);
}

}  // namespace
}  // namespace stele
