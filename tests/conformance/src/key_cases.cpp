// Keys compare byte for byte, take any UTF-8 but NUL, and are checked before anything is written.

#include "stele/limits.h"
#include "support.h"

namespace stele::testing {
namespace {

/// Texts that some database, collation or type would take for another one of them.
const std::vector<std::string>& look_alikes() {
  static const std::vector<std::string> list{
      "key",     "Key",   "KEY",    "kéy",     "ke\u0301y", "kèy",       "key ",      "key  ",     " key",
      "key\t",   "key\n", "\nkey",  "key\r",   "key\u00A0", "key\u200B", "\uFEFFkey", "k\u00ADey", "ｋｅｙ",
      "κey",     "keý",   "straße", "strasse", "STRASSE",   "İ",         "I",         "i",         "ı",
      "i\u0307", "ﬁ",     "fi",     "K",       "\u212A",    "Å",         "A\u030A",   "\u212B",    "ǆ",
      "dž",      "1",     "01",     "1.0",     "1e0",       "+1",        "0x1",       " 1",        "１",
      "¹",       "null",  "NULL",   "true",    "0",         "-0",        "''"};
  return list;
}

/// Characters of every length and kind; any of them may be in a key.
const std::vector<std::string>& unusual_texts() {
  static const std::vector<std::string> list{"\x01",
                                             "\x1F\x7F",
                                             " ",
                                             "  ",
                                             "\t",
                                             "\r\n",
                                             "\"",
                                             "'",
                                             "\\",
                                             "/",
                                             "a/b",
                                             ":",
                                             "%",
                                             "_",
                                             "*",
                                             "$1",
                                             ":p",
                                             "?",
                                             "@p",
                                             "--",
                                             ";",
                                             "'; DROP TABLE events; --",
                                             "{\"a\":1}",
                                             "\u0080",
                                             "\u07FF",
                                             "\u0800",
                                             "\uD7FF",
                                             "\uE000",
                                             "\uFFFD",
                                             "\uFFFE",
                                             "\uFFFF",
                                             "\U00010000",
                                             "\U0001F600",
                                             "\U0010FFFF",
                                             "👩‍👩‍👧‍👦",
                                             "مرحبا",
                                             "שלום",
                                             "日本語",
                                             "नमस्ते",
                                             "\u202Eabc",
                                             "e\u0301\u0302\u0303"};
  return list;
}

const std::vector<std::string>& broken_texts() {
  static const std::vector<std::string> list{
      "\x80",              // a continuation that continues nothing
      "a\xC3",             // cut short
      "\xC0\xAF",          // overlong
      "\xE0\x80\xAF",      // overlong
      "\xF0\x80\x80\xAF",  // overlong
      "\xED\xA0\x80",      // a surrogate
      "\xF4\x90\x80\x80",  // beyond U+10FFFF
      "\xF8\x88\x80\x80\x80",
      "\xFF",
      "caf\xE9",     // Latin-1
      "ok\xE2\x82",  // cut short
  };
  return list;
}

void expect_streams_apart(EventStore& store, const std::vector<StreamKey>& streams) {
  for (std::size_t i = 0; i < streams.size(); ++i) {
    expect_appended(store.append(streams[i], ExpectedVersion::no_stream(), events(1, static_cast<int>(i))), 1, 1);
  }
  for (std::size_t i = 0; i < streams.size(); ++i) {
    expect_numbers(store, streams[i], {static_cast<int>(i)});
    EXPECT_EQ(stream_events(store, streams[i]).at(0).stream, streams[i]);
  }
  EXPECT_EQ(store.stats().streams, static_cast<std::int64_t>(streams.size()));
}

void look_alike_stream_ids(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<StreamKey> streams;
  for (const std::string& text : look_alikes()) streams.push_back(thing(text));
  expect_streams_apart(store, streams);
  EXPECT_EQ(store.list_streams({.type = "thing"}).size(), streams.size());
}

void look_alike_stream_types(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<StreamKey> streams;
  for (const std::string& text : look_alikes()) streams.emplace_back(text, "a");
  expect_streams_apart(store, streams);
  for (const StreamKey& stream : streams) {
    EXPECT_EQ(store.list_streams({.type = stream.type}).size(), 1u);
    EXPECT_EQ(log_events(store, {.filter = {.stream_types = {stream.type}}}).size(), 1u);
  }
}

void look_alike_tenants(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<StreamKey> streams;
  for (const std::string& text : look_alikes()) streams.emplace_back(text, "thing", "a");
  expect_streams_apart(store, streams);
  for (const StreamKey& stream : streams) {
    EXPECT_EQ(store.list_streams({.tenant = stream.tenant}).size(), 1u);
    EXPECT_EQ(log_events(store, {.filter = {.tenant = stream.tenant}}).size(), 1u);
  }
}

void the_parts_of_a_key_do_not_run_together(Harness& harness) {
  EventStore store = open_store(harness);
  expect_streams_apart(store, {{"a", "b", "c"},
                               {"ab", "c", "c"},
                               {"a", "bc", "c"},
                               {"a", "b", "cc"},
                               {"a", "b/c", "d"},
                               {"a", "b", "c/d"},
                               {"a:b", "c", "d"},
                               {"a", "b:c", "d"},
                               {"b", "a", "c"},
                               {"a", "c", "b"},
                               {"a|b", "c", "d"},
                               {"a", "b|c", "d"},
                               {"a\x1F"
                                "b",
                                "c", "d"},
                               {"a",
                                "b\x1F"
                                "c",
                                "d"}});
}

void unusual_stream_keys(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<StreamKey> streams;
  for (const std::string& text : unusual_texts()) streams.emplace_back(text, text, text);
  expect_streams_apart(store, streams);
  for (const StreamKey& stream : streams) {
    const std::vector<StreamInfo> list =
        store.list_streams({.tenant = stream.tenant, .type = stream.type, .id_prefix = stream.id});
    ASSERT_EQ(list.size(), 1u);
    EXPECT_EQ(list.front().stream, stream);
  }
}

void look_alike_commands(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<std::string> texts = look_alikes();
  for (const std::string& text : texts) {
    expect_status(AppendStatus::appended, store.record_command(command(text, "shop", text)));
    expect_status(AppendStatus::appended, store.record_command(command("request", text, text)));
  }
  for (const std::string& text : texts) {
    for (const CommandKey& key :
         {CommandKey{.source = "shop", .request_id = text}, CommandKey{.source = text, .request_id = "request"}}) {
      const std::optional<CommandRecord> record = store.find_command(key);
      ASSERT_TRUE(record) << text;
      EXPECT_EQ(record->key, key);
      EXPECT_EQ(record->type, text);
    }
  }
  EXPECT_EQ(store.stats().commands, static_cast<std::int64_t>(2 * texts.size()));
}

void unusual_commands(Harness& harness) {
  EventStore store = open_store(harness);
  for (const std::string& text : unusual_texts()) {
    Command given = command(text, text, text);
    given.key.tenant = text;
    given.stream = StreamKey(text, text, text);
    given.actor = Actor{ActorType::service, text};
    expect_status(AppendStatus::appended, store.record_command(given));
    expect_status(AppendStatus::replayed, store.record_command(given));
    const std::optional<CommandRecord> record = store.find_command(given.key);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->type, text);
    EXPECT_EQ(record->stream, given.stream);
    EXPECT_EQ(record->actor, given.actor);
    EXPECT_EQ(store.list_commands(*given.stream).size(), 1u);
  }
}

void look_alike_idempotency_keys(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given;
  for (const std::string& text : look_alikes()) {
    given.push_back(event());
    given.back().idempotency_key = text;
  }
  const AppendResult first = store.append(thing("a"), ExpectedVersion::any(), given);
  expect_appended(first, 1, static_cast<std::int64_t>(given.size()));
  expect_replay_of(first, store.append(thing("a"), ExpectedVersion::any(), given));
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) EXPECT_EQ(stored[i].idempotency_key, given[i].idempotency_key);
}

void look_alike_names_of_an_event(Harness& harness) {
  EventStore store = open_store(harness);
  const std::vector<std::string> texts = look_alikes();
  std::vector<NewEvent> given;
  for (const std::string& text : texts) {
    NewEvent& one = given.emplace_back(event(text));
    one.source = text;
    one.actor = Actor{ActorType::user, text};
    one.attributes = {{"name", text}, {text, "value"}};
  }
  store.append(thing("a"), ExpectedVersion::any(), given);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    SCOPED_TRACE(texts[i]);
    expect_stored(given[i], stored[i]);
    const auto only_this = numbers(stored[i].version.value(), stored[i].version.value());
    EXPECT_EQ(versions(log_events(store, {.filter = {.event_types = {texts[i]}}})), only_this);
    EXPECT_EQ(versions(log_events(store, {.filter = {.source = texts[i]}})), only_this);
    EXPECT_EQ(versions(log_events(store, {.filter = {.actor_id = texts[i]}})), only_this);
    EXPECT_EQ(versions(log_events(store, {.filter = {.attributes = {{"name", texts[i]}}}})), only_this);
    EXPECT_EQ(versions(log_events(store, {.filter = {.attributes = {{texts[i], "value"}}}})), only_this);
  }
}

void look_alike_attributes_of_one_event(Harness& harness) {
  EventStore store = open_store(harness);
  NewEvent given = event();
  for (const std::string& text : look_alikes()) {
    if (given.attributes.size() < limits::attributes_per_event) given.attributes[text] = text;
  }
  store.append(thing("a"), ExpectedVersion::any(), {given});
  EXPECT_EQ(stream_events(store, thing("a")).at(0).attributes, given.attributes);
}

void unusual_names_of_an_event(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<NewEvent> given;
  for (const std::string& text : unusual_texts()) {
    NewEvent& one = given.emplace_back(event(text));
    one.source = text;
    one.actor = Actor{ActorType::agent, text};
    one.idempotency_key = text;
    one.attributes = {{text, text}};
  }
  const AppendResult first = store.append(thing("a"), ExpectedVersion::any(), given);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) expect_stored(given[i], stored[i]);
  expect_replay_of(first, store.append(thing("a"), ExpectedVersion::any(), given));
}

// --- What no name can be

struct Place {
  const char* field;  // As the message names it.
  void (*put)(AppendRequest&, const std::string&);
};

NewEvent& event_with_key(AppendRequest& asked) {
  return asked.streams.front().events.front();
}

constexpr Place places[] = {
    {"tenant_id",
     [](AppendRequest& r, const std::string& text) {
       r.streams.front().stream.tenant = text;
       r.conditions.front().stream.tenant = text;
       r.command->key.tenant = text;
     }},
    {"stream_type", [](AppendRequest& r, const std::string& text) { r.streams.front().stream.type = text; }},
    {"stream_id", [](AppendRequest& r, const std::string& text) { r.streams.front().stream.id = text; }},
    {"stream_type", [](AppendRequest& r, const std::string& text) { r.conditions.front().stream.type = text; }},
    {"stream_id", [](AppendRequest& r, const std::string& text) { r.conditions.front().stream.id = text; }},
    {"source", [](AppendRequest& r, const std::string& text) { r.command->key.source = text; }},
    {"request_id", [](AppendRequest& r, const std::string& text) { r.command->key.request_id = text; }},
    {"command_type", [](AppendRequest& r, const std::string& text) { r.command->type = text; }},
    {"actor_id",
     [](AppendRequest& r, const std::string& text) {
       r.command->actor = Actor{ActorType::user, text};
     }},
    {"stream_id", [](AppendRequest& r, const std::string& text) { r.command->stream = thing(text); }},
    {"event_type", [](AppendRequest& r, const std::string& text) { event_with_key(r).type = text; }},
    {"actor_id",
     [](AppendRequest& r, const std::string& text) {
       event_with_key(r).actor = Actor{ActorType::user, text};
     }},
    {"source", [](AppendRequest& r, const std::string& text) { event_with_key(r).source = text; }},
    {"idempotency_key", [](AppendRequest& r, const std::string& text) { event_with_key(r).idempotency_key = text; }},
    {"attributes", [](AppendRequest& r, const std::string& text) { event_with_key(r).attributes[text] = "x"; }},
    {"attributes", [](AppendRequest& r, const std::string& text) { event_with_key(r).attributes["x"] = text; }},
};

AppendRequest good_request() {
  AppendRequest made = request(command("r1"), thing("a"), ExpectedVersion::any(), events(1));
  made.conditions.push_back({thing("b"), ExpectedVersion::any()});
  return made;
}

void expect_refused_everywhere(EventStore& store, const std::vector<std::string>& texts) {
  expect_nothing_written(store, [&] {
    for (const Place& place : places) {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        SCOPED_TRACE(std::string(place.field) + ", place " + std::to_string(&place - places) + ", text " +
                     std::to_string(i));
        AppendRequest asked = good_request();
        place.put(asked, texts[i]);
        expect_error(ErrorCode::invalid_argument, place.field, [&] { store.append(asked); });
      }
    }
  });
  expect_status(AppendStatus::appended, store.append(good_request()));
  EXPECT_EQ(store.stats().events, 1);
}

void an_empty_name_is_refused(Harness& harness) {
  EventStore store = open_store(harness);
  expect_refused_everywhere(store, {""});
}

void nul_is_refused(Harness& harness) {
  EventStore store = open_store(harness);
  expect_refused_everywhere(
      store, {std::string(1, '\0'), std::string("a\0b", 3), std::string("a\0", 2), std::string("\0a", 2)});
}

void broken_utf8_is_refused(Harness& harness) {
  EventStore store = open_store(harness);
  expect_refused_everywhere(store, broken_texts());
}

void reads_refuse_what_no_name_can_be(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<std::string> texts = broken_texts();
  texts.emplace_back();
  texts.emplace_back("a\0b", 3);
  for (const std::string& text : texts) {
    expect_error(ErrorCode::invalid_argument, "stream_id", [&] { store.read_stream(thing(text)); });
    expect_error(ErrorCode::invalid_argument, "stream_type", [&] { store.stream_info({text, "a"}); });
    expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.list_commands({text, "thing", "a"}); });
    expect_error(ErrorCode::invalid_argument, "request_id",
                 [&] { store.find_command(CommandKey{.source = "shop", .request_id = text}); });
    expect_error(ErrorCode::invalid_argument, "source",
                 [&] { store.is_command_processed(CommandKey{.source = text, .request_id = "r1"}); });
    expect_error(ErrorCode::invalid_argument, "event_type",
                 [&] { store.read_log({.filter = {.event_types = {text}}}); });
  }
}

constexpr Case all_key_cases[] = {
    {"G1", "look_alike_stream_ids", look_alike_stream_ids},
    {"G1", "look_alike_stream_types", look_alike_stream_types},
    {"G1", "look_alike_tenants", look_alike_tenants},
    {"G1", "the_parts_of_a_key_do_not_run_together", the_parts_of_a_key_do_not_run_together},
    {"G1", "unusual_stream_keys", unusual_stream_keys},
    {"G5", "look_alike_commands", look_alike_commands},
    {"G5", "unusual_commands", unusual_commands},
    {"G6", "look_alike_idempotency_keys", look_alike_idempotency_keys},
    {"G1", "look_alike_names_of_an_event", look_alike_names_of_an_event},
    {"G1", "look_alike_attributes_of_one_event", look_alike_attributes_of_one_event},
    {"G1", "unusual_names_of_an_event", unusual_names_of_an_event},
    {"G9", "an_empty_name_is_refused", an_empty_name_is_refused},
    {"G9", "nul_is_refused", nul_is_refused},
    {"G9", "broken_utf8_is_refused", broken_utf8_is_refused},
    {"G9", "reads_refuse_what_no_name_can_be", reads_refuse_what_no_name_can_be},
};

}  // namespace

std::span<const Case> key_cases() {
  return all_key_cases;
}

}  // namespace stele::testing
