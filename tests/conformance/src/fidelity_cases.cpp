// What is read is what was written: every field, every digit, every character.
#include <atomic>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "support.h"

namespace stele::testing {
namespace {

/// What a reader gets for `data` given as this text.
std::string stored_data(EventStore& store, const std::string& text) {
  static std::atomic<int> next = 0;
  const StreamKey stream = thing("data-" + std::to_string(++next));
  const AppendResult result = store.append(stream, ExpectedVersion::no_stream(), {event("happened", text)});
  EXPECT_TRUE(result.ok()) << describe(result);
  const std::vector<RecordedEvent> stored = stream_events(store, stream);
  if (stored.size() != 1)
    throw std::runtime_error("one event was written, " + std::to_string(stored.size()) + " were read");
  return stored.front().data.text();
}

void expect_kept(EventStore& store, const std::string& text) {
  const std::string stored = stored_data(store, text);
  // The text that comes back must pass the checks that let it in.
  EXPECT_EQ(json(stored).canonical(), json(text).canonical()) << "given: " << text << "\nstored: " << stored;
}

/// `count` times `text`.
std::string repeat(std::string_view text, std::size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

// --- Fields

void every_field_comes_back(Harness& harness) {
  EventStore store = open_store(harness);
  // Numbers are chosen by full_event so that every actor type, channel, level and flag is among them.
  std::vector<NewEvent> given;
  for (int number = 0; number < 20; ++number) given.push_back(full_event(number));
  ASSERT_TRUE(store.append(thing("full"), ExpectedVersion::no_stream(), given).ok());
  const std::vector<RecordedEvent> stored = stream_events(store, thing("full"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    SCOPED_TRACE("event " + std::to_string(i));
    expect_stored(given[i], stored[i]);
    EXPECT_EQ(stored[i].stream, thing("full"));
    EXPECT_FALSE(stored[i].command);
  }
}

void every_way_of_reading_gives_the_same_event(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest append = request(command("r-1"), thing("full"), ExpectedVersion::any(), {full_event(3), full_event(4)});
  ASSERT_TRUE(store.append(append).ok());
  const std::vector<std::string> from_stream = describe(stream_events(store, thing("full")));
  ASSERT_EQ(from_stream.size(), 2u);
  EXPECT_EQ(describe(log_events(store)), from_stream);
  LogReadOptions with_filter;
  with_filter.filter.attributes = {{"room", "blue"}};
  EXPECT_EQ(describe(log_events(store, with_filter)), from_stream);
  for (std::size_t i = 0; i < from_stream.size(); ++i) {
    const std::optional<RecordedEvent> found = store.find_event(uuid(static_cast<std::uint8_t>(3 + i)));
    ASSERT_TRUE(found);
    EXPECT_EQ(describe(*found), from_stream[i]);
  }
  StreamReadOptions backwards;
  backwards.direction = Direction::backwards;
  std::vector<std::string> reversed = describe(stream_events(store, thing("full"), backwards));
  EXPECT_EQ(std::vector<std::string>(reversed.rbegin(), reversed.rend()), from_stream);
}

void absent_fields_stay_absent(Harness& harness) {
  EventStore store = open_store(harness);
  // Full ones around it: a reader that reuses memory must not show their fields.
  ASSERT_TRUE(store.append(thing("mixed"), ExpectedVersion::any(), {full_event(1), event("bare"), full_event(2)}).ok());
  const std::vector<RecordedEvent> stored = stream_events(store, thing("mixed"));
  ASSERT_EQ(stored.size(), 3u);
  const RecordedEvent& bare = stored[1];
  expect_stored(event("bare"), bare);
  EXPECT_EQ(bare.event_version, 1);
  EXPECT_FALSE(bare.event_id.is_nil());
  EXPECT_EQ(bare.event_id.version(), 7);
  EXPECT_FALSE(bare.command);
  EXPECT_TRUE(bare.attributes.empty());
  expect_stored(full_event(2), stored[2]);
}

void present_and_empty_is_not_absent(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  given.metadata = given.policy_context = given.model_context = given.display = json("{}");
  ASSERT_TRUE(store.append(thing("empty"), ExpectedVersion::any(), {given, event("happened", "[]")}).ok());
  const std::vector<RecordedEvent> stored = stream_events(store, thing("empty"));
  ASSERT_EQ(stored.size(), 2u);
  expect_stored(given, stored[0]);
  EXPECT_EQ(stored[1].data.canonical(), "[]");
}

void a_command_gives_its_fields_to_its_events(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest append = request(command("r-1", "shop"), thing("a"), ExpectedVersion::any(), {event(), full_event(1)});
  append.command->command_id = uuid(200);
  append.command->channel = Channel::webhook;
  ASSERT_TRUE(store.append(append).ok());
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].source, "shop");
  EXPECT_EQ(stored[0].channel, Channel::webhook);
  EXPECT_EQ(stored[0].causation_id, uuid(200));
  expect_stored(full_event(1), stored[1]);  // Its own fields win.
  for (const RecordedEvent& event : stored) EXPECT_EQ(event.command, append.command->key);
}

void every_field_of_a_command_comes_back(Harness& harness) {
  EventStore store = open_store(harness);
  for (int number = 0; number < 10; ++number) {
    SCOPED_TRACE(number);
    AppendRequest append = request(command("réq " + std::to_string(number), "søurce", "type-" + std::to_string(number)),
                                   thing("of-" + std::to_string(number)), ExpectedVersion::any(), events(2));
    Command& given = *append.command;
    given.command_id = uuid(static_cast<std::uint8_t>(number + 1));
    if (number % 2 == 0) given.stream = StreamKey("other", "about " + std::to_string(number));
    given.actor = Actor{static_cast<ActorType>(number % 4), "actor-" + std::to_string(number)};
    given.channel = static_cast<Channel>(number % 5);
    given.data = json(R"({"total":0.1000000000000000000000001,"n":)" + std::to_string(number) + "}");
    const AppendResult result = store.append(append);
    ASSERT_TRUE(result.ok());
    const std::optional<CommandRecord> stored = store.find_command(given.key);
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->key, given.key);
    EXPECT_EQ(stored->command_id, given.command_id);
    EXPECT_EQ(stored->type, given.type);
    EXPECT_EQ(stored->stream, given.stream ? *given.stream : append.streams[0].stream);
    EXPECT_EQ(stored->actor, given.actor);
    EXPECT_EQ(stored->channel, given.channel);
    ASSERT_TRUE(stored->data);
    EXPECT_EQ(stored->data->canonical(), given.data->canonical());
    EXPECT_EQ(stored->outcome, result.streams);
    EXPECT_EQ(describe(store.find_command(*given.command_id).value()), describe(*stored));
  }
  AppendRequest bare = request(command("bare"), thing("bare"), ExpectedVersion::any(), {});
  ASSERT_TRUE(store.append(bare).ok());
  const CommandRecord stored = store.find_command(bare.command->key).value();
  EXPECT_FALSE(stored.actor || stored.channel || stored.data);
}

void each_context_keeps_its_own_contents(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  given.metadata = json(R"({"where":"metadata","n":12345678901234567890.5,"ключ":"значение"})");
  given.policy_context = json(R"({"where":"policy","list":[[],{},null,false]})");
  given.model_context = json(R"({"where":"model","temperature":0.1,"big":9007199254740993})");
  given.display = json(R"({"where":"display","title":"🎉 \"quoted\" \\ / \b\f\n\r\t"})");
  ASSERT_TRUE(store.append(thing("contexts"), ExpectedVersion::any(), {given}).ok());
  expect_stored(given, stream_events(store, thing("contexts")).at(0));
}

void attributes_keep_names_and_values(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  given.attributes = {{"a", "1"},
                      {"A", "2"},
                      {"a ", "trailing space"},
                      {" a", "leading space"},
                      {"é", "precomposed"},
                      {"e\u0301", "combining"},
                      {"emoji", "👩‍👩‍👧"},
                      {"quotes", R"('"`; DROP TABLE events; --)"},
                      {"percent", "%_\\"},
                      {"number", "0012.50"}};
  ASSERT_TRUE(store.append(thing("attributes"), ExpectedVersion::any(), {given}).ok());
  EXPECT_EQ(stream_events(store, thing("attributes")).at(0).attributes, given.attributes);
  for (const auto& [name, value] : given.attributes) {
    LogReadOptions options;
    options.filter.attributes = {{name, value}};
    EXPECT_EQ(log_events(store, options).size(), 1u) << name << " = " << value;
  }
}

// --- JSON

void every_digit_of_a_number_is_kept(Harness& harness) {
  EventStore store = open_store(harness);
  for (const std::string number : {
           "0",
           "-0",
           "1",
           "-1",
           "1.0",
           "1.10",
           "0.1",
           "100",
           "1e2",
           "1E+2",
           "1e-2",
           "9223372036854775807",
           "-9223372036854775808",
           "18446744073709551615",  // The ends of 64 bits,
           "9223372036854775808",
           "-9223372036854775809",
           "18446744073709551616",  // and one further.
           "9007199254740993",
           "-9007199254740993",  // 2^53 + 1: no double.
           "0.1000000000000000055511151231257827",
           "3.14159265358979323846264338327950288419716939937510582097",
           "12345678901234567890123456789012345678901234567890",
           "0.00000000000000000000000000000000000000012345678901234567",
           "1234567890.123456789012345678901234567890",
           "9.9999999999999999e307",
           "-1e307",
           "4.9406564584124654e-324",
           "1e-400",
       }) {
    expect_kept(store, R"({"n":)" + number + "}");
    expect_kept(store, "[" + number + "]");
  }
  expect_kept(store, "[0." + repeat("123456789", 100) + "]");
  expect_kept(store, "[" + repeat("987654321", 33) + "]");
}

// Canonical form is what other cases compare by; this one looks at the text itself.
void numbers_are_not_rounded_on_the_way(Harness& harness) {
  EventStore store = open_store(harness);
  for (const std::string number :
       {"9007199254740993", "0.12345678901234567890123456789", "123456789012345678901234567890"}) {
    const std::string stored = stored_data(store, R"({"n":)" + number + "}");
    EXPECT_NE(stored.find(number), std::string::npos) << stored;
  }
}

void near_numbers_stay_different(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_NE(json(stored_data(store, "[9007199254740992]")).canonical(),
            json(stored_data(store, "[9007199254740993]")).canonical());
  EXPECT_NE(json(stored_data(store, "[0.1]")).canonical(),
            json(stored_data(store, "[0.1000000000000000055511151231257827]")).canonical());
  EXPECT_EQ(json(stored_data(store, "[1]")).canonical(), json(stored_data(store, "[1.0]")).canonical());
}

void integers_come_back_through_value(Harness& harness) {
  EventStore store = open_store(harness);
  const nlohmann::json given = {{"least", std::numeric_limits<std::int64_t>::min()},
                                {"most", std::numeric_limits<std::uint64_t>::max()},
                                {"over_53_bits", std::int64_t{9007199254740993}},
                                {"over_32_bits", std::int64_t{4294967297}}};
  NewEvent made = event();
  made.data = Json(given);
  ASSERT_TRUE(store.append(thing("integers"), ExpectedVersion::any(), {made}).ok());
  EXPECT_EQ(stream_events(store, thing("integers")).at(0).data.value(), given);
}

void every_kind_of_character_is_kept(Harness& harness) {
  EventStore store = open_store(harness);
  for (const std::string text : {
           "",
           " leading and trailing ",
           "äöü ß ñ ç",
           "Ελληνικά Русский עברית العربية हिन्दी ไทย 中文 日本語 한국어",
           "𝒳 𐍈 😀 👩‍👩‍👧‍👦 🇩🇪 \U0010FFFD",  // Beyond 16 bits, joined, and near the last
                                                                            // code point.
           "\u00e9 e\u0301 \u1e9b\u0323 \u212b",                            // Not to be normalised.
           "\u200b\u200d\ufeff\u2028\u2029\u00a0",  // Invisible ones; no byte order mark is to be cut off.
           "\x7f \u0080 \u009f \ufffd \uffff",
           "'single' `back` ; -- /* */ $1 ?1 :name @p %s %n {} <a href=\\\"x\\\">&amp;",
       }) {
    expect_kept(store, R"({"text":")" + text + "\"}");
    expect_kept(store, R"({")" + text + "\":1}");
  }
}

void escapes_keep_their_meaning(Harness& harness) {
  EventStore store = open_store(harness);
  expect_kept(store, R"(["\" \\ \/ \b \f \n \r \t"])");
  expect_kept(store, R"(["\u0001\u001f\u007f\u00e9\u20ac\ud83d\ude00\uffff"])");
  expect_kept(store, R"({"\ud83d\ude00":1,"\n":2,"":3})");
  // Escaped and written out are the same string.
  EXPECT_EQ(json(stored_data(store, R"(["\u00e9\ud83d\ude00\/"])")).canonical(),
            json(stored_data(store, R"(["é😀/"])")).canonical());
  // A backslash followed by u0000 is six characters and no escape.
  expect_kept(store, R"(["\\u0000"])");
  std::string controls = "[\"";
  for (int code = 1; code < 0x20; ++code) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(code));
    controls += escape;
  }
  expect_kept(store, controls + "\"]");
}

void order_and_white_space_do_not_count(Harness& harness) {
  EventStore store = open_store(harness);
  const std::string spread = " {\r\n\t\"b\" : [ 1 , 2 ] ,\n \"a\" : { \"y\" : null , \"x\" : true } } ";
  expect_kept(store, spread);
  EXPECT_EQ(json(stored_data(store, spread)).canonical(), R"({"a":{"x":true,"y":null},"b":[1,2]})");
  // The order of an array does.
  EXPECT_EQ(json(stored_data(store, "[3,1,2]")).canonical(), "[3,1,2]");
  expect_kept(store, R"({"a":1,"A":2,"á":3,"aa":4,"a b":5,"10":6,"9":7})");
}

void deep_nesting_is_kept(Harness& harness) {
  EventStore store = open_store(harness);
  expect_kept(store, repeat("[", 100) + repeat("]", 100));
  expect_kept(store, repeat(R"({"a":)", 99) + "[1]" + repeat("}", 99));
  expect_kept(store, repeat(R"([{"a":)", 50) + "1" + repeat("}]", 50));
}

void many_members_are_kept(Harness& harness) {
  EventStore store = open_store(harness);
  std::string object = "{";
  for (int i = 0; i < 5000; ++i)
    object += (i ? ",\"member-" : "\"member-") + std::to_string(i * 7919 % 5000) + "\":" + std::to_string(i);
  expect_kept(store, object + "}");
}

void a_large_payload_is_kept(Harness& harness) {
  EventStore store = open_store(harness);
  // Three bytes a character: a wrong count of characters for bytes would cut it.
  expect_kept(store, R"({"text":")" + repeat("日本語€", (1 << 20) / 12) + R"(","last":true})");
  expect_kept(store, "[" + repeat("0.12345678901234567890,", (1 << 20) / 23) + "1]");
  NewEvent given = event();
  given.metadata = given.policy_context = given.model_context = given.display =
      json(R"({"text":")" + repeat("0123456789abcdef", (1 << 20) / 16 - 2) + "\"}");
  ASSERT_TRUE(store.append(thing("large"), ExpectedVersion::any(), {given}).ok());
  expect_stored(given, stream_events(store, thing("large")).at(0));
}

// Every boundary where a driver might switch to another way of storing or fetching.
void payloads_of_every_size_are_kept(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given;
  for (const std::size_t power :
       {64u, 128u, 256u, 1000u, 1024u, 2000u, 2048u, 4000u, 4096u, 8000u, 8192u, 16384u, 32768u, 65536u}) {
    for (const std::size_t size : {power - 1, power, power + 1}) {
      given.push_back(event("sized", R"({"t":")" + repeat("x", size - 8) + "\"}"));
      ASSERT_EQ(given.back().data.text().size(), size);
    }
  }
  ASSERT_TRUE(store.append(thing("sizes"), ExpectedVersion::any(), given).ok());
  const std::vector<RecordedEvent> stored = stream_events(store, thing("sizes"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(stored[i].data.canonical() == given[i].data.canonical(), true) << given[i].data.text().size() << " bytes";
  }
}

void a_repetition_compares_as_json(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event("happened", R"({"a":1.50,"b":["é",null]})");
  given.event_id = uuid(1);
  const AppendResult original = store.append(thing("same"), ExpectedVersion::any(), {given});
  NewEvent respelled = given;
  respelled.data = json(R"( { "b" : [ "\u00e9" , null ] , "a" : 15e-1 } )");
  expect_replay_of(original, store.append(thing("same"), ExpectedVersion::any(), {respelled}));
  NewEvent other = given;
  other.data = json(R"({"a":1.5000000000000000000000001,"b":["é",null]})");
  expect_status(AppendStatus::duplicate_event_id, store.append(thing("same"), ExpectedVersion::any(), {other}));
}

constexpr Case all_fidelity_cases[] = {
    {"G11", "every_field_comes_back", every_field_comes_back},
    {"G11", "every_way_of_reading_gives_the_same_event", every_way_of_reading_gives_the_same_event},
    {"G11", "absent_fields_stay_absent", absent_fields_stay_absent},
    {"G11", "present_and_empty_is_not_absent", present_and_empty_is_not_absent},
    {"G5", "a_command_gives_its_fields_to_its_events", a_command_gives_its_fields_to_its_events},
    {"G5", "every_field_of_a_command_comes_back", every_field_of_a_command_comes_back},
    {"G11", "each_context_keeps_its_own_contents", each_context_keeps_its_own_contents},
    {"G11", "attributes_keep_names_and_values", attributes_keep_names_and_values},
    {"G11", "every_digit_of_a_number_is_kept", every_digit_of_a_number_is_kept},
    {"G11", "numbers_are_not_rounded_on_the_way", numbers_are_not_rounded_on_the_way},
    {"G11", "near_numbers_stay_different", near_numbers_stay_different},
    {"G11", "integers_come_back_through_value", integers_come_back_through_value},
    {"G11", "every_kind_of_character_is_kept", every_kind_of_character_is_kept},
    {"G11", "escapes_keep_their_meaning", escapes_keep_their_meaning},
    {"G11", "order_and_white_space_do_not_count", order_and_white_space_do_not_count},
    {"G11", "deep_nesting_is_kept", deep_nesting_is_kept},
    {"G11", "many_members_are_kept", many_members_are_kept},
    {"G11", "a_large_payload_is_kept", a_large_payload_is_kept},
    {"G11", "payloads_of_every_size_are_kept", payloads_of_every_size_are_kept},
    {"G6", "a_repetition_compares_as_json", a_repetition_compares_as_json},
};

}  // namespace

std::span<const Case> fidelity_cases() {
  return all_fidelity_cases;
}

}  // namespace stele::testing
