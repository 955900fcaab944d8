// Schemas and rules of event types: what an append refuses, and what a reader with less clearance is shown.
#include <mutex>

#include "stele/encryption.h"
#include "stele/subscription.h"
#include "stele/trace.h"
#include "support.h"

namespace stele::testing {
namespace {

constexpr const char* order_schema =
    R"({"type":"object","required":["total"],"properties":{"total":{"type":"number","minimum":0,"multipleOf":0.01}}})";

EventSchema schema(std::string type, std::int32_t version, std::string text = order_schema,
                   std::string tenant = std::string(default_tenant)) {
  EventSchema made;
  made.tenant = std::move(tenant);
  made.form = {std::move(type), version};
  made.text = std::move(text);
  return made;
}

AppendResult append_order(EventStore& store, const std::string& data, const std::string& type = "order",
                          int version = 1) {
  NewEvent made = event(type, data);
  made.event_version = version;
  return store.append(thing("a"), ExpectedVersion::any(), {made});
}

void set_mode(EventStore& store, const std::string& type, SchemaMode mode) {
  EventTypeRules rules = store.type_rules(std::string(default_tenant), type);
  rules.schema_mode = mode;
  store.set_type_rules(rules);
}

void what_a_schema_refuses_is_not_appended(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_TRUE(store.add_schema(schema("order", 1)));
  append_order(store, R"({"total":19.99,"note":"x"})").or_throw();
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::schema_violation, "/total", [&] { append_order(store, R"({"total":-1})"); });
    expect_error(ErrorCode::schema_violation, "multipleOf", [&] { append_order(store, R"({"total":19.999})"); });
    expect_error(ErrorCode::schema_violation, "required", [&] { append_order(store, "{}"); });
    expect_error(ErrorCode::schema_violation, "version 2 has no schema",
                 [&] { append_order(store, R"({"total":1})", "order", 2); });
    // One bad event takes its append along, and append_all is checked before anything is written.
    const std::vector<AppendRequest> several{
        request(thing("b"), ExpectedVersion::any(), {event("order", R"({"total":1})")}),
        request(thing("c"), ExpectedVersion::any(), {event("order", R"({"total":1})"), event("order", "{}")})};
    expect_error(ErrorCode::schema_violation, "append 2", [&] { store.append_all(several); });
  });
  append_order(store, "{}", "other").or_throw();  // Of which nothing is said.
  expect_error(ErrorCode::schema_violation, "thing/a", [&] { append_order(store, "{}"); });
}

// What is encrypted cannot be checked; all else can, whatever it says of itself.
void what_comes_encrypted_is_checked_around_it(Harness& harness) {
  EventStore store = open_store(harness);
  store.add_schema(schema("order", 1,
                          R"({"required":["total","name"],"properties":{"total":{"minimum":0},
                              "name":{"type":"string"},"who":{"properties":{"name":{"type":"string"}}}}})"));
  const SubjectCipher cipher(uuid(7), SecretKey::random());
  const EventIdentity identity{thing("a"), uuid(1), "order", 1};
  const auto append_stored = [&](const std::string& data, std::vector<std::string> places) {
    NewEvent made = event("order", "{}");
    made.data = cipher.encrypt(identity, json(data), JsonPointers(std::move(places)));
    made.attributes["stele.key"] = cipher.key_id().to_string();
    made.as_stored = true;
    store.append(thing("a"), ExpectedVersion::any(), {made}).or_throw();
  };
  append_stored(R"({"total":1,"name":"Erika"})", {"/name"});
  append_stored(R"({"total":1,"name":"Erika"})", {""});
  append_stored(R"({"total":1,"name":"x","who":{"name":"Erika"}})", {"/who/name"});
  append_stored(R"({"total":1,"name":"x","who":{"name":"Erika"}})", {"/who"});
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::schema_violation, "/total",
                 [&] { append_stored(R"({"total":-1,"name":"Erika"})", {"/name"}); });
    expect_error(ErrorCode::invalid_argument, "stele.key", [&] {
      NewEvent made = event("order", R"({"total":-1,"name":"$encrypted"})");
      made.attributes["stele.key"] = uuid(7).to_string();
      made.as_stored = true;
      store.append(thing("a"), ExpectedVersion::any(), {made});
    });
  });
}

void a_message_holds_no_value(Harness& harness) {
  EventStore store = open_store(harness);
  store.add_schema(schema("order", 1, R"({"properties":{"name":{"maxLength":3}}})"));
  try {
    append_order(store, R"({"name":"Erika Mustermann"})");
    ADD_FAILURE() << "was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("Erika"), std::string::npos) << error.what();
  }
}

void modes(Harness& harness) {
  EventStore store = open_store(harness);
  store.add_schema(schema("order", 1));
  set_mode(store, "order", SchemaMode::warn);
  const AppendResult warned = append_order(store, R"({"total":-1})").or_throw();
  ASSERT_EQ(warned.warnings.size(), 1u);
  EXPECT_NE(warned.warnings.front().find("/total"), std::string::npos) << warned.warnings.front();
  EXPECT_TRUE(append_order(store, R"({"total":1})").warnings.empty());
  set_mode(store, "order", SchemaMode::off);
  EXPECT_TRUE(append_order(store, R"({"total":-1})").warnings.empty());
  set_mode(store, "order", SchemaMode::enforce);
  expect_error(ErrorCode::schema_violation, "/total", [&] { append_order(store, R"({"total":-1})"); });
}

void a_schema_never_changes(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_TRUE(store.add_schema(schema("order", 1)));
  EXPECT_FALSE(store.add_schema(schema("order", 1)));
  expect_error(ErrorCode::invalid_argument, "add the next version",
               [&] { store.add_schema(schema("order", 1, "{}")); });
  EXPECT_EQ(store.list_schemas().at(0).text, order_schema);
  EXPECT_TRUE(store.add_schema(schema("order", 2, "{}")));
  append_order(store, R"({"total":1})").or_throw();
  expect_error(ErrorCode::invalid_argument, "", [&] {
    store.remove_schema(std::string(default_tenant), {"order", 1});
  });
  EXPECT_TRUE(store.remove_schema(std::string(default_tenant), {"order", 2}));
  EXPECT_FALSE(store.remove_schema(std::string(default_tenant), {"order", 2}));
  expect_error(ErrorCode::invalid_argument, "", [&] { store.add_schema(schema("order", 3, "{")); });
  expect_error(ErrorCode::invalid_argument, "", [&] { store.add_schema(schema("order", 3, R"({"type":"money"})")); });
  expect_error(ErrorCode::unsupported, "",
               [&] { store.add_schema(schema("order", 3, R"({"$ref":"https://example.org/order.json"})")); });
  expect_error(ErrorCode::invalid_argument, "",
               [&] { store.add_schema(schema("order", 3, R"({"allOf":[{"$ref":"#"}]})")); });
  expect_error(ErrorCode::unsupported, "",
               [&] { store.add_schema(schema("order", 3, R"({"properties":{"a":{"pattern":"(?=a)b"}}})")); });
  EXPECT_EQ(store.list_schemas().size(), 1u);
}

void what_would_take_for_ever_does_not(Harness& harness) {
  EventStore store = open_store(harness);
  store.add_schema(schema("text", 1, R"({"properties":{"a":{"pattern":"^(a|a)*$"}}})"));
  append_order(store, R"({"a":")" + std::string(100'000, 'a') + R"("})", "text").or_throw();
  expect_error(ErrorCode::schema_violation, "pattern",
               [&] { append_order(store, R"({"a":")" + std::string(100'000, 'a') + R"(b"})", "text"); });
  store.add_schema(schema("tree", 1, R"({"properties":{"next":{"$ref":"#"}},"additionalProperties":false})"));
  std::string nested = "{}";
  for (int i = 0; i < 90; ++i) nested = R"({"next":)" + nested + "}";
  append_order(store, nested, "tree").or_throw();
  // 10 MB of it.
  std::string large = R"({"lines":[)";
  while (large.size() < 10'000'000) large += R"({"sku":"A-1","qty":2},)";
  large += R"({"sku":"A-1","qty":0}]})";
  store.add_schema(
      schema("lines", 1,
             R"({"properties":{"lines":{"items":{"required":["sku","qty"],"properties":{"qty":{"minimum":1}}}}}})"));
  expect_error(ErrorCode::schema_violation, "/qty", [&] { append_order(store, large, "lines"); });
}

// Who repeats a request has its answer, whatever was added to the rules since (G5, G6).
void a_repetition_is_not_judged_again(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent made = event("order", "{}");
  made.event_id = uuid(1);
  const AppendRequest by_command = request(command("r"), thing("a"), ExpectedVersion::any(), {event("order", "{}")});
  const AppendRequest by_id = request(thing("b"), ExpectedVersion::any(), {made});
  const AppendResult first = store.append(by_command).or_throw();
  const AppendResult second = store.append(by_id).or_throw();
  store.add_schema(schema("order", 1));
  expect_replay_of(first, store.append(by_command));
  expect_replay_of(second, store.append(by_id));
  AppendRequest another = by_command;
  another.streams.front().events.front().data = json(R"({"n":1})");
  expect_status(AppendStatus::request_id_reused, store.append(another));
  another.command->key.request_id = "s";
  expect_error(ErrorCode::schema_violation, "", [&] { store.append(another); });
}

void each_tenant_has_its_own(Harness& harness) {
  EventStore store = open_store(harness);
  store.add_schema(schema("order", 1, order_schema, "acme"));
  append_order(store, "{}").or_throw();
  StreamKey key = thing("a");
  key.tenant = "acme";
  expect_error(ErrorCode::schema_violation, "total",
               [&] { store.append(key, ExpectedVersion::any(), {event("order", "{}")}); });
  EXPECT_TRUE(store.list_schemas().empty());
  EXPECT_EQ(store.list_schemas("acme").size(), 1u);
  EventStore rival(driver::for_tenant(harness.open(), "rival"));
  expect_error(ErrorCode::permission_denied, "rival", [&] { rival.list_schemas("acme"); });
  expect_error(ErrorCode::permission_denied, "rival", [&] { rival.add_schema(schema("order", 2, "{}", "acme")); });
  expect_error(ErrorCode::permission_denied, "rival", [&] { rival.remove_schema("acme", {"order", 1}); });
}

void others_know_it_within_a_second(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  append_order(other, "{}").or_throw();  // It has asked now.
  store.add_schema(schema("order", 1));
  const bool known = comes_true([&] {
    try {
      append_order(other, "{}");
    } catch (const Error& error) {
      return error.code() == ErrorCode::schema_violation;
    }
    return false;
  });
  EXPECT_TRUE(known);
}

void rules_are_checked(Harness& harness) {
  EventStore store = open_store(harness);
  EventTypeRules rules;
  expect_error(ErrorCode::invalid_argument, "event_type", [&] { store.set_type_rules(rules); });
  rules.event_type = "order";
  rules.keep_days = -1;
  expect_error(ErrorCode::invalid_argument, "keep_days", [&] { store.set_type_rules(rules); });
  rules.keep_days = 2'557;
  rules.masked = {"/a", "no pointer"};
  expect_error(ErrorCode::invalid_argument, "masked", [&] { store.set_type_rules(rules); });
  rules.masked = {"/a", "/b/*/c", ""};
  rules.mask_contexts = false;
  rules.schema_mode = SchemaMode::warn;
  store.set_type_rules(rules);
  EXPECT_EQ(store.type_rules(std::string(default_tenant), "order"), rules);
  EXPECT_EQ(store.type_rules(std::string(default_tenant), "Order").schema_mode, SchemaMode::enforce);
  EXPECT_EQ(store.list_type_rules(), std::vector<EventTypeRules>{rules});
}

// --- Clearances

constexpr std::string_view withheld = R"({"$withheld":true})";

/// One event of each kind, of a type whose places are named and of one whose are not.
void append_marked(EventStore& store) {
  EventTypeRules rules;
  rules.event_type = "patient";
  rules.masked = {"/name", "/visits/*/doctor"};
  store.set_type_rules(rules);
  std::vector<NewEvent> all;
  for (const char* type : {"patient", "other"}) {
    for (const RedactionLevel level : {RedactionLevel::none, RedactionLevel::partial, RedactionLevel::full}) {
      NewEvent made = event(type, R"({"name":"Erika","age":40,"visits":[{"doctor":"X","day":1},{"doctor":"Y"}]})");
      made.redaction_level = level;
      made.metadata = json(R"({"ward":"7"})");
      all.push_back(made);
      made.contains_secrets = true;
      all.push_back(std::move(made));
    }
  }
  store.append(thing("a"), ExpectedVersion::any(), all).or_throw();
}

/// c: clear, m: masked, w: withheld; in the order of append_marked().
std::string shown(const std::vector<RecordedEvent>& events) {
  std::string text;
  for (const RecordedEvent& event : events) {
    const std::string& data = event.data.text();
    const bool name = data.find("Erika") != std::string::npos;
    const bool doctor = data.find("\"X\"") != std::string::npos || data.find("\"Y\"") != std::string::npos;
    const bool contexts = event.metadata && event.metadata->text().find("ward") != std::string::npos;
    if (json_equal(event.data, json(std::string(withheld)))) {
      EXPECT_FALSE(contexts);
      text += 'w';
    } else if (name) {
      EXPECT_TRUE(doctor && contexts);
      text += 'c';
    } else {
      EXPECT_FALSE(doctor || contexts);
      EXPECT_NE(data.find("40"), std::string::npos) << data;
      text += 'm';
    }
    EXPECT_EQ(event.type.empty(), false);
  }
  return text;
}

const std::vector<std::pair<Clearance, std::string>> what_each_sees = {{Clearance::none, "cwmwwwcwwwww"},
                                                                       {Clearance::partial, "cwcwmwcwcwww"},
                                                                       {Clearance::full, "cwcwcwcwcwcw"},
                                                                       {Clearance::secrets, "cccccccccccc"}};

EventStore open_with(Harness& harness, Clearance clearance) {
  return EventStore(harness.open(), {.clearance = clearance});
}

void each_reader_sees_what_it_may(Harness& harness) {
  EventStore writer = open_store(harness);
  append_marked(writer);
  for (const auto& [clearance, wanted] : what_each_sees) {
    SCOPED_TRACE(to_string(clearance));
    EventStore store = open_with(harness, clearance);
    EXPECT_EQ(store.clearance(), clearance);
    EXPECT_EQ(shown(stream_events(store, thing("a"))), wanted);
    EXPECT_EQ(shown(stream_events(store, thing("a"), {.as_stored = true})), wanted);
    EXPECT_EQ(shown(log_events(store)), wanted);
    EXPECT_EQ(shown(log_events(store, {.as_stored = true})), wanted);
    std::vector<RecordedEvent> one_by_one;
    for (const RecordedEvent& each : log_events(writer)) one_by_one.push_back(store.find_event(each.event_id).value());
    EXPECT_EQ(shown(one_by_one), wanted);
    std::vector<RecordedEvent> traced;
    for (const RecordedEvent& each : log_events(writer)) traced.push_back(trace(store, each.event_id).event.value());
    EXPECT_EQ(shown(traced), wanted);
  }
}

void subscriptions_see_no_more(Harness& harness) {
  EventStore writer = open_store(harness);
  append_marked(writer);
  for (const auto& [clearance, wanted] : what_each_sees) {
    SCOPED_TRACE(to_string(clearance));
    EventStore store = open_with(harness, clearance);
    std::mutex mutex;
    std::vector<RecordedEvent> seen;
    SubscriptionOptions options;
    Subscription subscription(store, options, [&](const RecordedEvent& event) {
      const std::lock_guard lock(mutex);
      seen.push_back(event);
    });
    ASSERT_TRUE(comes_true([&] {
      const std::lock_guard lock(mutex);
      return seen.size() >= wanted.size();
    }));
    subscription.stop();
    EXPECT_EQ(shown(seen), wanted);
  }
}

void commands_and_snapshots_have_no_level(Harness& harness) {
  EventStore writer = open_store(harness);
  Command made = command("r");
  made.data = json(R"({"name":"Erika"})");
  writer.append(request(made, thing("a"), ExpectedVersion::any(), {event()})).or_throw();
  Snapshot snapshot;
  snapshot.stream = thing("a");
  snapshot.version = Version(1);
  snapshot.state = json(R"({"name":"Erika"})");
  if (harness.has(Capability::read_models)) {
    EXPECT_TRUE(writer.save_snapshot(snapshot));
  }
  EXPECT_TRUE(json_equal(writer.find_command(made.key).value().data.value(), *made.data));
  for (const Clearance clearance : {Clearance::none, Clearance::partial, Clearance::full}) {
    EventStore store = open_with(harness, clearance);
    // It may hold what its events keep secret, from who has full clearance, too.
    EXPECT_FALSE(json_equal(store.find_command(made.key).value().data.value(), *made.data));
    EXPECT_FALSE(json_equal(store.list_commands(thing("a")).at(0).data.value(), *made.data));
    if (!harness.has(Capability::read_models)) continue;
    EXPECT_FALSE(store.find_snapshot(thing("a")));
    expect_error(ErrorCode::permission_denied, "clearance", [&] { store.save_snapshot(snapshot); });
  }
}

void new_rules_hold_for_old_events(Harness& harness) {
  EventStore writer = open_store(harness);
  NewEvent made = event("late", R"({"name":"Erika","age":40})");
  made.redaction_level = RedactionLevel::partial;
  writer.append(thing("a"), ExpectedVersion::any(), {made}).or_throw();
  EventStore store = open_with(harness, Clearance::none);
  EXPECT_EQ(stream_events(store, thing("a")).at(0).data.text().find("age"), std::string::npos);
  EventTypeRules rules;
  rules.event_type = "late";
  rules.masked = {"/name"};
  store.set_type_rules(rules);
  const std::string shown_now = stream_events(store, thing("a")).at(0).data.text();
  EXPECT_NE(shown_now.find("40"), std::string::npos);
  EXPECT_EQ(shown_now.find("Erika"), std::string::npos);
}

constexpr Capability governed = Capability::governance;
constexpr Case cases[] = {
    {"API", "what_a_schema_refuses_is_not_appended", governed, what_a_schema_refuses_is_not_appended},
    {"API", "what_comes_encrypted_is_checked_around_it", governed, what_comes_encrypted_is_checked_around_it},
    {"API", "a_message_holds_no_value", governed, a_message_holds_no_value},
    {"API", "modes", governed, modes},
    {"API", "a_schema_never_changes", governed, a_schema_never_changes},
    {"API", "what_would_take_for_ever_does_not", governed, what_would_take_for_ever_does_not},
    {"G5", "a_repetition_is_not_judged_again", governed, a_repetition_is_not_judged_again},
    {"G14", "each_tenant_has_its_own", governed, each_tenant_has_its_own},
    {"API", "others_know_it_within_a_second", governed, others_know_it_within_a_second},
    {"API", "rules_are_checked", governed, rules_are_checked},
    {"API", "each_reader_sees_what_it_may", governed, each_reader_sees_what_it_may},
    {"API", "subscriptions_see_no_more", governed, subscriptions_see_no_more},
    {"API", "commands_and_snapshots_have_no_level", governed, commands_and_snapshots_have_no_level},
    {"API", "new_rules_hold_for_old_events", governed, new_rules_hold_for_old_events},
};

}  // namespace

std::span<const Case> schema_cases() {
  return cases;
}

}  // namespace stele::testing
