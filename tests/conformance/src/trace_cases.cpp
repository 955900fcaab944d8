// Traces: what led to an event, and what followed from it.
#include "stele/trace.h"
#include "support.h"

namespace stele::testing {
namespace {

using Strings = std::vector<std::string>;

/// Appends one event with this id (its number), caused by `cause`.
void append_caused(EventStore& store, std::uint8_t number, std::optional<Uuid> cause, const StreamKey& stream,
                   std::optional<Uuid> correlation = {}) {
  NewEvent made = event("e" + std::to_string(number));
  made.event_id = uuid(number);
  made.causation_id = cause;
  made.correlation_id = correlation;
  store.append(stream, ExpectedVersion::any(), {made}).or_throw();
}

/// "depth:type<cause" of each effect.
Strings outline(const Trace& trace) {
  Strings lines;
  for (const TracedEvent& effect : trace.effects) {
    lines.push_back(std::to_string(effect.depth) + ":" + effect.event.type +
                    (effect.cause ? "<" + trace.effects.at(*effect.cause).event.type : ""));
  }
  return lines;
}

Strings causes(const Trace& trace) {
  Strings names;
  for (const auto& cause : trace.causes) {
    const auto* found = std::get_if<RecordedEvent>(&cause);
    names.push_back(found != nullptr ? found->type : "command " + std::get<CommandRecord>(cause).key.request_id);
  }
  return names;
}

/// A command makes 1 and 2; 3 and 6 follow from 1, 4 and 5 from 3; and 7 is of another story.
Uuid story(EventStore& store) {
  AppendRequest placed = request(command("r-1"), thing("a"), ExpectedVersion::no_stream(), {event("e1"), event("e2")});
  placed.streams.front().events[0].event_id = uuid(1);
  placed.streams.front().events[1].event_id = uuid(2);
  store.append(placed).or_throw();
  append_caused(store, 3, uuid(1), thing("b"));
  append_caused(store, 4, uuid(3), thing("c"));
  append_caused(store, 6, uuid(1), thing("b"));
  append_caused(store, 5, uuid(3), thing("a"));
  append_caused(store, 7, uuid(99), thing("c"));
  return store.find_command(command("r-1").key).value().command_id;
}

void effects_follow_a_command(Harness& harness) {
  EventStore store = open_store(harness);
  const Uuid command_id = story(store);
  const Trace found = trace(store, command_id);
  ASSERT_TRUE(found.command);
  EXPECT_EQ(found.command->key.request_id, "r-1");
  EXPECT_FALSE(found.event);
  EXPECT_TRUE(found.complete);
  EXPECT_EQ(outline(found), (Strings{"0:e1", "1:e3<e1", "2:e4<e3", "2:e5<e3", "1:e6<e1", "0:e2"}));
}

void an_event_stands_between_causes_and_effects(Harness& harness) {
  EventStore store = open_store(harness);
  story(store);
  const Trace found = trace(store, uuid(3));
  ASSERT_TRUE(found.event);
  EXPECT_EQ(found.event->type, "e3");
  EXPECT_EQ(causes(found), (Strings{"e1", "command r-1"}));
  EXPECT_EQ(outline(found), (Strings{"0:e4", "0:e5"}));
  const Trace last = trace(store, uuid(5));
  EXPECT_EQ(causes(last), (Strings{"e3", "e1", "command r-1"}));
  EXPECT_TRUE(last.effects.empty());
  const Trace stranger = trace(store, uuid(7));
  EXPECT_TRUE(stranger.causes.empty()) << "its cause is nobody's here";
}

void a_trace_that_comes_round_ends(Harness& harness) {
  EventStore store = open_store(harness);
  append_caused(store, 1, uuid(3), thing("a"), uuid(50));
  append_caused(store, 2, uuid(1), thing("a"), uuid(50));
  append_caused(store, 3, uuid(2), thing("a"), uuid(50));
  append_caused(store, 4, uuid(4), thing("a"), uuid(50));
  const Trace found = trace(store, uuid(1));
  EXPECT_EQ(causes(found), (Strings{"e3", "e2"}));
  EXPECT_EQ(outline(found), (Strings{"0:e2", "1:e3<e2"}));
  const Trace own = trace(store, uuid(4));
  EXPECT_TRUE(own.causes.empty());
  EXPECT_TRUE(own.effects.empty());
  EXPECT_EQ(outline(trace(store, uuid(50))), (Strings{"0:e1", "1:e2<e1", "2:e3<e2", "0:e4"}));
}

void a_correlation_is_traced_as_a_whole(Harness& harness) {
  EventStore store = open_store(harness);
  append_caused(store, 1, std::nullopt, thing("a"), uuid(50));
  append_caused(store, 2, uuid(1), thing("b"), uuid(50));
  append_caused(store, 3, uuid(2), thing("c"), uuid(51));
  append_caused(store, 4, uuid(3), thing("c"), uuid(50));
  append_caused(store, 5, uuid(1), thing("c"), uuid(50));
  const Trace found = trace(store, uuid(50));
  EXPECT_FALSE(found.event);
  EXPECT_FALSE(found.command);
  EXPECT_EQ(outline(found), (Strings{"0:e1", "1:e2<e1", "1:e5<e1", "0:e4"}));
  expect_error(ErrorCode::not_found, uuid(60).to_string(), [&] { trace(store, uuid(60)); });
}

void a_trace_has_a_limit(Harness& harness) {
  EventStore store = open_store(harness);
  const Uuid command_id = story(store);
  TraceOptions options;
  options.limit = 3;
  const Trace found = trace(store, command_id, options);
  EXPECT_FALSE(found.complete);
  EXPECT_EQ(outline(found), (Strings{"0:e1", "1:e3<e1", "0:e2"})) << "the nearest";
  options.limit = 6;
  EXPECT_TRUE(trace(store, command_id, options).complete);
  for (const std::size_t limit : {std::size_t{0}, std::size_t{100'001}}) {
    options.limit = limit;
    expect_error(ErrorCode::invalid_argument, "limit", [&] { trace(store, command_id, options); });
  }
}

void a_long_chain_is_traced(Harness& harness) {
  EventStore store = open_store(harness);
  const int length = rounds(1'000, 200);
  std::vector<NewEvent> chain = events(length);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    chain[i].event_id = Uuid::v7();
    if (i > 0) chain[i].causation_id = chain[i - 1].event_id;
  }
  store.append(thing("a"), ExpectedVersion::any(), chain).or_throw();
  const Trace down = trace(store, *chain.front().event_id);
  ASSERT_EQ(down.effects.size(), chain.size() - 1);
  EXPECT_EQ(down.effects.back().depth, length - 2);
  EXPECT_EQ(trace(store, *chain.back().event_id).causes.size(), chain.size() - 1);
}

void a_trace_keeps_to_its_tenant(Harness& harness) {
  EventStore store = open_store(harness);
  StreamKey elsewhere = thing("a");
  elsewhere.tenant = "acme";
  append_caused(store, 1, std::nullopt, thing("a"), uuid(50));
  append_caused(store, 2, uuid(1), elsewhere, uuid(50));
  append_caused(store, 3, uuid(2), thing("a"), uuid(50));
  TraceOptions ours;
  ours.tenant = std::string(default_tenant);
  EXPECT_EQ(outline(trace(store, uuid(1))), (Strings{"0:e2", "1:e3<e2"}));
  EXPECT_TRUE(trace(store, uuid(1), ours).effects.empty());
  EXPECT_TRUE(trace(store, uuid(3), ours).causes.empty());
  EXPECT_EQ(outline(trace(store, uuid(50), ours)), (Strings{"0:e1", "0:e3"}));
  expect_error(ErrorCode::not_found, uuid(2).to_string(), [&] { trace(store, uuid(2), ours); });
}

constexpr Case all_trace_cases[] = {
    {"API", "effects_follow_a_command", effects_follow_a_command},
    {"API", "an_event_stands_between_causes_and_effects", an_event_stands_between_causes_and_effects},
    {"API", "a_trace_that_comes_round_ends", a_trace_that_comes_round_ends},
    {"API", "a_correlation_is_traced_as_a_whole", a_correlation_is_traced_as_a_whole},
    {"API", "a_trace_has_a_limit", a_trace_has_a_limit},
    {"API", "a_long_chain_is_traced", a_long_chain_is_traced},
    {"G14", "a_trace_keeps_to_its_tenant", a_trace_keeps_to_its_tenant},
};

}  // namespace

std::span<const Case> trace_cases() {
  return all_trace_cases;
}

}  // namespace stele::testing
