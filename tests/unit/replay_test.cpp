#include "stele/driver/replay.h"

#include <gtest/gtest.h>

#include <functional>

#include "error_of.h"
#include "memory_store.h"
#include "prepare.h"

namespace stele::driver {
namespace {

using std::string;

const StreamKey order_7("order", "7");
const StreamKey order_8("order", "8");

Uuid uuid(int number) {
  Uuid::Bytes bytes{};
  bytes[15] = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

NewEvent event(int id, string key = {}) {
  NewEvent made = testing::event_of("Placed", R"({"n":1})");
  if (id != 0) made.event_id = uuid(id);
  if (!key.empty()) made.idempotency_key = std::move(key);
  return made;
}

/// What a store would have made of the event, at this place.
RecordedEvent recorded(const NewEvent& from, const StreamKey& stream, std::int64_t version, std::int64_t position) {
  RecordedEvent stored;
  static_cast<EventFields&>(stored) = from;
  stored.stream = stream;
  stored.version = Version(version);
  stored.position = Position(position);
  stored.event_id = from.event_id.value_or(uuid(200 + static_cast<int>(version)));
  stored.occurred_at = from.occurred_at.value_or(Timestamp::from_micros(1));
  return stored;
}

AppendRequest request_of(std::vector<NewEvent> events) {
  AppendRequest request;
  request.streams.push_back({order_7, ExpectedVersion::any(), std::move(events)});
  return request;
}

Version version_42(const StreamKey&) {
  return Version(42);
}

TEST(DecideReplay, AllFoundInPlaceIsAReplay) {
  AppendRequest request = request_of({event(1), event(2), event(3)});
  request.streams.push_back({order_8, ExpectedVersion::any(), {event(4)}});
  request.streams.push_back({StreamKey("checked", "1"), ExpectedVersion::any(), {}});
  const PreparedAppend append = detail::prepare_append(request);
  std::vector<RecordedEvent> stored;
  for (int i = 0; i < 3; ++i) {
    stored.push_back(recorded(request.streams[0].events[static_cast<std::size_t>(i)], order_7, 5 + i, 100 + 2 * i));
  }
  stored.push_back(recorded(request.streams[1].events[0], order_8, 9, 105));
  const std::vector<ExistingEvent> found{{0, 0, &stored[0], nullptr},
                                         {0, 1, &stored[1], nullptr},
                                         {0, 2, &stored[2], nullptr},
                                         {1, 0, &stored[3], nullptr}};
  const AppendResult result = decide_replay(append, found, version_42);
  EXPECT_EQ(result.status, AppendStatus::replayed);
  const std::vector<StreamOutcome> outcome{
      {order_7, Version(5), Version(7), Position(100), Position(104)},
      {order_8, Version(9), Version(9), Position(105), Position(105)},
      {StreamKey("checked", "1"), Version(43), Version(42), Position(0), Position(0)}};
  EXPECT_EQ(result.streams, outcome);
}

TEST(DecideReplay, KeysDoAsWellAsIds) {
  const AppendRequest request = request_of({event(0, "a"), event(0, "b")});
  const PreparedAppend append = detail::prepare_append(request);
  const RecordedEvent first = recorded(request.streams[0].events[0], order_7, 1, 1);
  const RecordedEvent second = recorded(request.streams[0].events[1], order_7, 2, 2);
  const std::vector<ExistingEvent> found{{0, 0, nullptr, &first}, {0, 1, nullptr, &second}};
  EXPECT_EQ(decide_replay(append, found, version_42).status, AppendStatus::replayed);
}

TEST(DecideReplay, IdAndKeyOfOneEventDo) {
  const AppendRequest request = request_of({event(1, "a")});
  const PreparedAppend append = detail::prepare_append(request);
  const RecordedEvent stored = recorded(request.streams[0].events[0], order_7, 1, 1);
  EXPECT_EQ(decide_replay(append, std::vector<ExistingEvent>{{0, 0, &stored, &stored}}, version_42).status,
            AppendStatus::replayed);
}

TEST(DecideReplay, IdAndKeyOfDifferentEventsDoNot) {
  const AppendRequest request = request_of({event(1, "a")});
  const PreparedAppend append = detail::prepare_append(request);
  const RecordedEvent by_id = recorded(request.streams[0].events[0], order_7, 1, 1);
  RecordedEvent by_key = recorded(request.streams[0].events[0], order_7, 2, 2);
  by_key.event_id = uuid(50);
  const AppendResult result = decide_replay(append, std::vector<ExistingEvent>{{0, 0, &by_id, &by_key}}, version_42);
  EXPECT_EQ(result.status, AppendStatus::duplicate_idempotency_key);
  EXPECT_TRUE(testing::contains(result.detail, "'a'")) << result.detail;
}

TEST(DecideReplay, SomeFoundAndSomeNewIsADuplicate) {
  const AppendRequest request = request_of({event(1), event(2, "b"), event(3)});
  const PreparedAppend append = detail::prepare_append(request);
  const RecordedEvent second = recorded(request.streams[0].events[1], order_7, 2, 2);
  const RecordedEvent third = recorded(request.streams[0].events[2], order_7, 3, 3);

  const AppendResult by_id =
      decide_replay(append, std::vector<ExistingEvent>{{0, 1, &second, nullptr}, {0, 2, &third, nullptr}}, version_42);
  EXPECT_EQ(by_id.status, AppendStatus::duplicate_event_id);
  EXPECT_TRUE(testing::contains(by_id.detail, uuid(2).to_string())) << by_id.detail;
  EXPECT_TRUE(by_id.streams.empty());

  const AppendResult by_key = decide_replay(append, std::vector<ExistingEvent>{{0, 1, nullptr, &second}}, version_42);
  EXPECT_EQ(by_key.status, AppendStatus::duplicate_idempotency_key);
  EXPECT_TRUE(testing::contains(by_key.detail, "'b'")) << by_key.detail;
}

TEST(DecideReplay, AnotherPlaceIsADuplicate) {
  const AppendRequest request = request_of({event(1), event(2)});
  const PreparedAppend append = detail::prepare_append(request);
  const auto decide = [&](std::int64_t first, std::int64_t second, const StreamKey& stream) {
    const RecordedEvent a = recorded(request.streams[0].events[0], stream, first, first);
    const RecordedEvent b = recorded(request.streams[0].events[1], stream, second, second);
    return decide_replay(append, std::vector<ExistingEvent>{{0, 0, &a, nullptr}, {0, 1, &b, nullptr}}, version_42);
  };
  EXPECT_EQ(decide(3, 4, order_7).status, AppendStatus::replayed);
  for (const auto& [first, second] : {std::pair(3, 5), std::pair(4, 3), std::pair(3, 3)}) {
    const AppendResult result = decide(first, second, order_7);
    EXPECT_EQ(result.status, AppendStatus::duplicate_event_id) << first << " " << second;
    EXPECT_TRUE(testing::contains(result.detail, uuid(2).to_string())) << result.detail;
  }
  const AppendResult elsewhere = decide(3, 4, order_8);
  EXPECT_EQ(elsewhere.status, AppendStatus::duplicate_event_id);
  EXPECT_TRUE(testing::contains(elsewhere.detail, uuid(1).to_string())) << elsewhere.detail;
  EXPECT_EQ(decide(3, 4, StreamKey("acme", "order", "7")).status, AppendStatus::duplicate_event_id);
}

/// An event in a stream, which is stored already and differs from the one that is asked for by one field.
AppendStatus decide_with(const std::function<void(NewEvent&)>& ask, const std::function<void(RecordedEvent&)>& store,
                         bool with_command = false) {
  NewEvent asked = event(1, "k");
  ask(asked);
  AppendRequest request = request_of({asked});
  if (with_command) {
    request.command = Command{.key = {"default", "gate", "r"},
                              .type = "Place",
                              .command_id = uuid(9),
                              .stream = {},
                              .actor = {},
                              .channel = Channel::api,
                              .data = {}};
  }
  const PreparedAppend append = detail::prepare_append(request);
  RecordedEvent stored = recorded(asked, order_7, 1, 1);
  stored.event_id = uuid(1);
  store(stored);
  const bool by_id = asked.event_id.has_value();
  const std::vector<ExistingEvent> found{{0, 0, by_id ? &stored : nullptr, by_id ? nullptr : &stored}};
  return decide_replay(append, found, version_42).status;
}

void asks_nothing(NewEvent&) {}
void stores_the_same(RecordedEvent&) {}

TEST(SameContent, EveryFieldCounts) {
  ASSERT_EQ(decide_with(asks_nothing, stores_the_same), AppendStatus::replayed);
  const std::vector<std::pair<string, std::function<void(RecordedEvent&)>>> edits{
      {"type", [](RecordedEvent& e) { e.type = "placed"; }},
      {"event_version", [](RecordedEvent& e) { e.event_version = 2; }},
      {"valid_from", [](RecordedEvent& e) { e.valid_from = Timestamp::from_micros(5); }},
      {"valid_to", [](RecordedEvent& e) { e.valid_to = Timestamp::from_micros(5); }},
      {"actor", [](RecordedEvent& e) { e.actor = Actor{}; }},
      {"source", [](RecordedEvent& e) { e.source = "shop"; }},
      {"channel", [](RecordedEvent& e) { e.channel = Channel::ui; }},
      {"idempotency_key", [](RecordedEvent& e) { e.idempotency_key.reset(); }},
      {"causation_id", [](RecordedEvent& e) { e.causation_id = uuid(60); }},
      {"correlation_id", [](RecordedEvent& e) { e.correlation_id = uuid(60); }},
      {"redaction_level", [](RecordedEvent& e) { e.redaction_level = RedactionLevel::full; }},
      {"contains_secrets", [](RecordedEvent& e) { e.contains_secrets = true; }},
      {"data", [](RecordedEvent& e) { e.data = Json(string(R"({"n":2})")); }},
      {"a digit of data", [](RecordedEvent& e) { e.data = Json(string(R"({"n":1.000000000000000000001})")); }},
      {"metadata", [](RecordedEvent& e) { e.metadata = Json(); }},
      {"policy_context", [](RecordedEvent& e) { e.policy_context = Json(); }},
      {"model_context", [](RecordedEvent& e) { e.model_context = Json(); }},
      {"display", [](RecordedEvent& e) { e.display = Json(); }},
      {"attributes", [](RecordedEvent& e) { e.attributes["a"] = "b"; }},
      {"command",
       [](RecordedEvent& e) {
         e.command = CommandKey{"default", "gate", "r"};
       }},
  };
  for (const auto& [what, edit] : edits) {
    EXPECT_EQ(to_string(decide_with(asks_nothing, edit)), "duplicate_event_id") << what;
  }
}

TEST(SameContent, TheSpellingOfJsonDoesNotCount) {
  EXPECT_EQ(decide_with(asks_nothing, [](RecordedEvent& e) { e.data = Json(string(R"({ "n" : 1.0 })")); }),
            AppendStatus::replayed);
  EXPECT_EQ(decide_with([](NewEvent& e) { e.display = Json(string(R"({"a":1,"b":2})")); },
                        [](RecordedEvent& e) { e.display = Json(string(R"({"b":2,"a":1e0})")); }),
            AppendStatus::replayed);
}

TEST(SameContent, WhatTheCallerLeftOutDoesNotCount) {
  // The time was made by the append, this one's and the stored one's.
  EXPECT_EQ(decide_with(asks_nothing, [](RecordedEvent& e) { e.occurred_at = Timestamp::from_micros(99); }),
            AppendStatus::replayed);
  // So was the id, when the event is found by its key.
  EXPECT_EQ(decide_with([](NewEvent& e) { e.event_id.reset(); }, [](RecordedEvent& e) { e.event_id = uuid(77); }),
            AppendStatus::replayed);
  EXPECT_EQ(decide_with(asks_nothing, [](RecordedEvent& e) { e.recorded_at = Timestamp::from_micros(99); }),
            AppendStatus::replayed);
}

TEST(SameContent, WhatTheCallerGaveCounts) {
  const auto later = [](RecordedEvent& e) { e.occurred_at = Timestamp::from_micros(99); };
  EXPECT_EQ(decide_with([](NewEvent& e) { e.occurred_at = Timestamp::from_micros(98); }, later),
            AppendStatus::duplicate_event_id);
  EXPECT_EQ(decide_with([](NewEvent& e) { e.occurred_at = Timestamp::from_micros(99); }, later),
            AppendStatus::replayed);
  EXPECT_EQ(
      decide_with([](NewEvent& e) { e.causation_id = uuid(60); }, [](RecordedEvent& e) { e.causation_id = uuid(61); }),
      AppendStatus::duplicate_event_id);
}

TEST(SameContent, TheCommandCounts) {
  const auto stored_under = [](string request_id) {
    return [=](RecordedEvent& e) {
      e.command = CommandKey{"default", "gate", request_id};
      e.source = "gate";
      e.channel = Channel::api;
      e.causation_id = uuid(9);
    };
  };
  EXPECT_EQ(decide_with(asks_nothing, stored_under("r"), true), AppendStatus::replayed);
  EXPECT_EQ(decide_with(asks_nothing, stored_under("other"), true), AppendStatus::duplicate_event_id);
  EXPECT_EQ(decide_with(asks_nothing, stored_under("r"), false), AppendStatus::duplicate_event_id);
  EXPECT_EQ(decide_with(asks_nothing, stores_the_same, true), AppendStatus::duplicate_event_id);
  // What the event inherits from the command is what it says itself.
  EXPECT_EQ(decide_with(
                [](NewEvent& e) {
                  e.source = "gate";
                  e.channel = Channel::api;
                },
                stored_under("r"), true),
            AppendStatus::replayed);
  EXPECT_EQ(decide_with([](NewEvent& e) { e.source = "shop"; }, stored_under("r"), true),
            AppendStatus::duplicate_event_id);
}

}  // namespace
}  // namespace stele::driver
