// What is kept of event types, data subjects' keys and the log's seals.
#include <algorithm>
#include <atomic>
#include <limits>
#include <set>

#include "support.h"

namespace stele::testing {
namespace {

using driver::Driver;
using driver::EventHash;
using driver::EventPlace;
using driver::EventTypes;

constexpr Position end_of_log{std::numeric_limits<std::int64_t>::max()};
constexpr std::size_t no_limit = 1'000'000;
const std::string home{default_tenant};

/// Keys that a database may take for the same: by case, by trailing blanks, by accents; and one beyond the BMP.
const std::vector<std::string> similar_keys = {"a", "A", "a ", " a", "ä", "a\xCC\x88", "😀"};

std::vector<std::string> sorted(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  return texts;
}

// --- Event types

EventSchema schema(std::string type, std::int32_t version = 1, std::string text = R"({"type":"object"})",
                   std::string tenant = home) {
  return {std::move(tenant), {std::move(type), version}, std::move(text), {}};
}

EventTypeRules rules(std::string type, std::string tenant = home) {
  EventTypeRules rules;
  rules.tenant = std::move(tenant);
  rules.event_type = std::move(type);
  return rules;
}

/// "type/version" of each schema, in the driver's order.
std::vector<std::string> forms(const EventTypes& types) {
  std::vector<std::string> list;
  for (const EventSchema& schema : types.schemas) {
    list.push_back(schema.form.type + "/" + std::to_string(schema.form.event_version));
  }
  return list;
}

std::vector<std::string> ruled(const EventTypes& types) {
  std::vector<std::string> list;
  for (const EventTypeRules& rules : types.rules) list.push_back(rules.event_type);
  return list;
}

std::optional<std::string> schema_text(Driver& driver, const EventForm& form, const std::string& tenant = home) {
  for (const EventSchema& schema : driver.list_event_types(tenant).schemas) {
    if (schema.form == form) return schema.text;
  }
  return std::nullopt;
}

void a_store_without_governance_says_nothing(Harness& harness) {
  const auto driver = harness.open();
  EXPECT_EQ(driver->event_types_revision(home), 0);
  const EventTypes types = driver->list_event_types(home);
  EXPECT_EQ(types.revision, 0);
  EXPECT_TRUE(types.schemas.empty());
  EXPECT_TRUE(types.rules.empty());
  EXPECT_FALSE(driver->remove_schema(home, {"a", 1}));
  EXPECT_FALSE(driver->find_subject_key(home, "a"));
  EXPECT_TRUE(driver->find_subject_keys(home, {}).empty());
  EXPECT_TRUE(driver->list_subject_keys(home, std::nullopt, 10).empty());
  EXPECT_TRUE(driver->list_key_tenants().empty());
  EXPECT_FALSE(driver->last_seal());
  EXPECT_TRUE(driver->list_seals(0, 10).empty());
  EXPECT_TRUE(driver->read_hashes({}, end_of_log, 10).empty());
  EXPECT_TRUE(driver->find_hashes({}).empty());
  EXPECT_EQ(driver->find_hashes(std::vector{EventPlace{thing("a"), Version(1)}}),
            std::vector{std::optional<EventHash>()});
}

void a_schema_is_kept(Harness& harness) {
  const auto driver = harness.open();
  const Timestamp before = Timestamp::from_micros(Timestamp::now().micros() - 60'000'000);
  EventSchema given = schema("a", 2, "{ \"type\" :\t\"object\",\r\n \"title\": \"ä €😀 \\u0041\\ud83d\\ude00\" }\n ");
  given.recorded_at = Timestamp::from_micros(1);
  ASSERT_TRUE(driver->add_schema(given));
  const EventTypes types = harness.open()->list_event_types(home);
  ASSERT_EQ(types.schemas.size(), 1u);
  EXPECT_EQ(types.schemas[0].tenant, home);
  EXPECT_EQ(types.schemas[0].form, given.form);
  EXPECT_EQ(types.schemas[0].text, given.text);
  EXPECT_GT(types.schemas[0].recorded_at, before) << "the database's clock says when";
  ASSERT_TRUE(driver->add_schema(schema("a", 3, "true")));
  EXPECT_EQ(schema_text(*driver, {"a", 3}), "true");
  ASSERT_TRUE(driver->add_schema(schema("a", std::numeric_limits<std::int32_t>::max(), R"({"const":"\u0000"})")));
  EXPECT_EQ(schema_text(*driver, {"a", std::numeric_limits<std::int32_t>::max()}), R"({"const":"\u0000"})");
}

void a_schema_comes_back_byte_for_byte(Harness& harness) {
  const auto driver = harness.open();
  std::string text = "{\r\n\t\"title\" : \"ä €😀\",\n \"enum\":[ 1.0, 1e2 , 12345678901234567890.10";
  for (int i = 0; text.size() < 1'048'576; ++i) {
    text += " ,\n\t\"\\u00e4 ä\xF0\x9F\x98\x80 a\xCC\x88 \\/ " + std::to_string(i) + "  \"";
  }
  text += "\n]  , \"title\":\"twice\"}  \n";
  ASSERT_TRUE(driver->add_schema(schema("large", 1, text)));
  const std::optional<std::string> found = schema_text(*driver, {"large", 1});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), text.size());
  EXPECT_TRUE(*found == text) << "not byte for byte";
}

void a_form_has_one_schema(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_schema(schema("a", 1, R"({"a":1})")));
  const std::int64_t revision = driver->event_types_revision(home);
  EXPECT_FALSE(driver->add_schema(schema("a", 1, R"({"a":2})")));
  EXPECT_FALSE(driver->add_schema(schema("a", 1, R"({"a":1})")));
  EXPECT_EQ(driver->event_types_revision(home), revision) << "nothing was done";
  EXPECT_EQ(schema_text(*driver, {"a", 1}), R"({"a":1})");
  EXPECT_TRUE(driver->add_schema(schema("a", 2)));
  EXPECT_TRUE(driver->add_schema(schema("a", 1, R"({"a":3})", "other")));
  EXPECT_EQ(schema_text(*driver, {"a", 1}), R"({"a":1})");
}

void event_types_compare_byte_for_byte(Harness& harness) {
  const auto driver = harness.open();
  for (const std::string& type : similar_keys) {
    EXPECT_TRUE(driver->add_schema(schema(type, 10, "{\"title\":\"" + type + "\"}"))) << type;
    EXPECT_TRUE(driver->add_schema(schema(type, 9))) << type;
    EventTypeRules given = rules(type);
    given.masked = {"/" + type};
    driver->set_type_rules(given);
  }
  const EventTypes types = driver->list_event_types(home);
  std::vector<std::string> expected;
  for (const std::string& type : sorted(similar_keys)) {
    expected.push_back(type + "/9");
    expected.push_back(type + "/10");
  }
  EXPECT_EQ(forms(types), expected) << "by type as bytes, then version";
  EXPECT_EQ(ruled(types), sorted(similar_keys));
  for (const EventTypeRules& rules : types.rules) {
    EXPECT_EQ(rules.masked, std::vector<std::string>{"/" + rules.event_type});
  }
  for (const std::string& type : similar_keys) {
    EXPECT_EQ(schema_text(*driver, {type, 10}), "{\"title\":\"" + type + "\"}");
  }
  EXPECT_TRUE(driver->remove_schema(home, {"a", 10}));
  EXPECT_FALSE(driver->remove_schema(home, {"a", 10}));
  EXPECT_EQ(driver->list_event_types(home).schemas.size(), expected.size() - 1);
}

void tenants_have_event_types_of_their_own(Harness& harness) {
  const auto driver = harness.open();
  for (const std::string& tenant : similar_keys) {
    ASSERT_TRUE(driver->add_schema(schema("type", 1, "{\"title\":\"" + tenant + "\"}", tenant)));
    EventTypeRules given = rules("type", tenant);
    given.keep_days = 7;
    driver->set_type_rules(given);
  }
  for (const std::string& tenant : similar_keys) {
    const EventTypes types = driver->list_event_types(tenant);
    ASSERT_EQ(types.schemas.size(), 1u) << tenant;
    EXPECT_EQ(types.schemas[0].tenant, tenant);
    EXPECT_EQ(types.schemas[0].text, "{\"title\":\"" + tenant + "\"}");
    ASSERT_EQ(types.rules.size(), 1u);
    EXPECT_EQ(types.rules[0].tenant, tenant);
  }
  EXPECT_TRUE(driver->remove_schema("a", {"type", 1}));
  EXPECT_TRUE(schema_text(*driver, {"type", 1}, "A"));
  EXPECT_TRUE(schema_text(*driver, {"type", 1}, "a "));
}

void rules_are_kept(Harness& harness) {
  const auto driver = harness.open();
  EventTypeRules given = rules("a");
  given.schema_mode = SchemaMode::warn;
  given.masked = {"/name", "/list/0/ä€😀", "", "/a~1b~0c", "/\"quoted\\\""};
  given.mask_contexts = false;
  given.keep_days = 3650;
  driver->set_type_rules(given);
  const EventTypes types = harness.open()->list_event_types(home);
  ASSERT_EQ(types.rules.size(), 1u);
  EXPECT_EQ(types.rules[0], given);
  EXPECT_TRUE(types.schemas.empty());
}

void rules_take_the_place_of_rules(Harness& harness) {
  const auto driver = harness.open();
  EventTypeRules given = rules("a");
  given.masked = {"/name"};
  given.keep_days = 0;
  given.schema_mode = SchemaMode::off;
  driver->set_type_rules(given);
  EXPECT_EQ(driver->list_event_types(home).rules, (std::vector<EventTypeRules>{given}));
  driver->set_type_rules(rules("a"));
  EXPECT_EQ(driver->list_event_types(home).rules, (std::vector<EventTypeRules>{rules("a")})) << "back to the defaults";
  given.keep_days = std::numeric_limits<std::int32_t>::max();
  driver->set_type_rules(given);
  EXPECT_EQ(driver->list_event_types(home).rules, (std::vector<EventTypeRules>{given}));
}

void a_schema_leaves_the_rules(Harness& harness) {
  const auto driver = harness.open();
  EventTypeRules given = rules("a");
  given.masked = {"/name"};
  given.schema_mode = SchemaMode::off;
  driver->set_type_rules(given);
  ASSERT_TRUE(driver->add_schema(schema("a")));
  ASSERT_TRUE(driver->remove_schema(home, {"a", 1}));
  EXPECT_EQ(driver->list_event_types(home).rules, (std::vector<EventTypeRules>{given}));
}

void each_change_moves_the_revision(Harness& harness) {
  const auto driver = harness.open();
  const auto other = harness.open();
  std::int64_t last = 0;
  const auto expect_more = [&](std::string_view what) {
    const std::int64_t now = other->event_types_revision(home);
    EXPECT_GT(now, last) << what;
    EXPECT_EQ(driver->list_event_types(home).revision, now) << what;
    last = now;
  };
  ASSERT_TRUE(driver->add_schema(schema("a")));
  expect_more("the first schema");
  ASSERT_TRUE(driver->add_schema(schema("a", 2)));
  expect_more("a second version");
  ASSERT_TRUE(driver->add_schema(schema("b")));
  expect_more("another type");
  driver->set_type_rules(rules("b"));
  expect_more("rules");
  driver->set_type_rules(rules("b"));
  expect_more("the same rules once more");
  driver->set_type_rules(rules("c"));
  expect_more("rules of a type without a schema");
  ASSERT_TRUE(driver->remove_schema(home, {"a", 2}));
  expect_more("a schema removed");
  ASSERT_TRUE(driver->remove_schema(home, {"b", 1}));
  expect_more("the type's last schema removed");
  ASSERT_TRUE(driver->add_schema(schema("b")));
  expect_more("and added again");
}

void a_revision_is_one_tenants(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_schema(schema("a")));
  driver->set_type_rules(rules("b"));
  const std::int64_t revision = driver->event_types_revision(home);
  EXPECT_EQ(driver->event_types_revision("other"), 0);
  EXPECT_EQ(driver->list_event_types("other").revision, 0);
  ASSERT_TRUE(driver->add_schema(schema("a", 1, "{}", "other")));
  driver->set_type_rules(rules("a", "other"));
  EXPECT_GT(driver->event_types_revision("other"), 0);
  EXPECT_EQ(driver->event_types_revision(home), revision);
}

void a_schema_in_use_stays(Harness& harness) {
  EventStore store = open_store(harness);
  const auto driver = harness.open();
  NewEvent second = event("used");
  second.event_version = 2;
  store.append(thing("1"), ExpectedVersion::any(), {event("used"), second, event("unused")});
  for (const std::string& tenant : {home, std::string("other")}) {
    for (const int version : {1, 2, 3}) ASSERT_TRUE(driver->add_schema(schema("used", version, "{}", tenant)));
  }
  const std::int64_t revision = driver->event_types_revision(home);
  for (const int version : {1, 2}) {
    expect_error(ErrorCode::invalid_argument, "used", [&] { driver->remove_schema(home, {"used", version}); });
  }
  EXPECT_EQ(driver->event_types_revision(home), revision);
  EXPECT_EQ(forms(driver->list_event_types(home)), (std::vector<std::string>{"used/1", "used/2", "used/3"}));
  EXPECT_FALSE(driver->remove_schema(home, {"unused", 1})) << "there is none";
  EXPECT_TRUE(driver->remove_schema(home, {"used", 3})) << "no event of this version";
  EXPECT_TRUE(driver->remove_schema("other", {"used", 1})) << "no event of this tenant";
  ASSERT_TRUE(driver->add_schema(schema("USED")));
  ASSERT_TRUE(driver->add_schema(schema("used ")));
  EXPECT_TRUE(driver->remove_schema(home, {"USED", 1})) << "types compare byte for byte";
  EXPECT_TRUE(driver->remove_schema(home, {"used ", 1})) << "types compare byte for byte";
}

void long_keys_of_governance(Harness& harness) {
  const auto driver = harness.open();
  const std::string tenant(64, 't');
  std::string type;
  for (int i = 0; i < 32; ++i) type += "😀";
  ASSERT_TRUE(driver->add_schema(schema(type, 1, "{}", tenant)));
  driver->set_type_rules(rules(type, tenant));
  EXPECT_EQ(forms(driver->list_event_types(tenant)), std::vector<std::string>{type + "/1"});
  SubjectKey key;
  key.tenant = tenant;
  key.key_id = uuid(1);
  key.subject = std::string(255, 's');
  key.wrapped = WrappedKey{std::string(128, 'm'), std::string(4'096, '\xFF')};
  ASSERT_TRUE(driver->add_subject_key(key));
  const std::optional<SubjectKey> found = driver->find_subject_key(tenant, key.subject);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->wrapped, key.wrapped);
}

void one_schema_wins(Harness& harness) {
  const auto driver = harness.open();
  for (int round = 0; round < rounds(20, 3); ++round) {
    const std::string type = "raced-" + std::to_string(round);
    std::atomic<int> winners = 0;
    std::atomic<int> winner = -1;
    in_threads(4, [&](int thread) {
      const std::string text = "{\"n\":" + std::to_string(thread) + "}";
      if (!driver->add_schema(schema(type, 1, text))) return;
      ++winners;
      winner = thread;
    });
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(schema_text(*driver, {type, 1}), "{\"n\":" + std::to_string(winner) + "}");
  }
}

// Each change counts, also of those that meet in one row.
void no_change_of_event_types_is_lost(Harness& harness) {
  const auto driver = harness.open();
  const int each = rounds(20, 3);
  in_threads(4, [&](int thread) {
    for (int i = 0; i < each; ++i) {
      EXPECT_TRUE(driver->add_schema(schema("a", 1 + thread * each + i)));
      driver->set_type_rules(rules("b"));
    }
  });
  const EventTypes types = driver->list_event_types(home);
  EXPECT_EQ(types.schemas.size(), static_cast<std::size_t>(4 * each));
  EXPECT_GE(types.revision, 2 * 4 * each);
  EXPECT_EQ(driver->event_types_revision(home), types.revision);
}

// --- Data subjects' keys

/// Bytes that no text could be.
std::string raw_bytes(int number, std::size_t size = 60) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) {
    bytes += static_cast<char>((static_cast<std::size_t>(number) * 31 + i * 7) % 256);
  }
  bytes[0] = '\0';
  bytes[size - 1] = '\0';
  return bytes;
}

SubjectKey subject_key(std::string subject, std::uint8_t number, std::string tenant = home) {
  SubjectKey key;
  key.tenant = std::move(tenant);
  key.key_id = uuid(number);
  key.subject = std::move(subject);
  key.wrapped = WrappedKey{"master-1", raw_bytes(number)};
  return key;
}

std::optional<SubjectKey> find_key(Driver& driver, std::uint8_t number, const std::string& tenant = home) {
  const Uuid id = uuid(number);
  std::vector<SubjectKey> found = driver.find_subject_keys(tenant, {&id, 1});
  EXPECT_LE(found.size(), 1u);
  if (found.empty()) return std::nullopt;
  return found[0];
}

void a_subject_key_is_kept(Harness& harness) {
  const auto driver = harness.open();
  const Timestamp before = Timestamp::from_micros(Timestamp::now().micros() - 60'000'000);
  SubjectKey given = subject_key("user ä😀", 1);
  given.created_at = Timestamp::from_micros(1);
  ASSERT_TRUE(driver->add_subject_key(given));
  const auto other = harness.open();
  for (const std::optional<SubjectKey>& found :
       {other->find_subject_key(home, given.subject), find_key(*other, 1),
        std::optional<SubjectKey>(other->list_subject_keys(home, std::nullopt, 10).at(0))}) {
    ASSERT_TRUE(found);
    EXPECT_EQ(found->tenant, home);
    EXPECT_EQ(found->key_id, given.key_id);
    EXPECT_EQ(found->subject, given.subject);
    EXPECT_EQ(found->wrapped, given.wrapped);
    EXPECT_GT(found->created_at, before) << "the database's clock says when";
    EXPECT_FALSE(found->destroyed_at);
  }
}

void a_subject_has_one_key(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
  EXPECT_FALSE(driver->add_subject_key(subject_key("a", 2))) << "the subject has one";
  EXPECT_FALSE(driver->add_subject_key(subject_key("b", 1))) << "the id belongs to another";
  EXPECT_FALSE(driver->add_subject_key(subject_key("a", 1, "other"))) << "an id is unique in the store";
  EXPECT_FALSE(driver->find_subject_key(home, "b"));
  EXPECT_FALSE(driver->find_subject_key("other", "a"));
  EXPECT_FALSE(find_key(*driver, 2));
  const std::optional<SubjectKey> found = driver->find_subject_key(home, "a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->wrapped, subject_key("a", 1).wrapped);
  EXPECT_TRUE(driver->add_subject_key(subject_key("a", 3, "other"))) << "a tenant's subjects are its own";
}

void subjects_compare_byte_for_byte(Harness& harness) {
  const auto driver = harness.open();
  std::uint8_t number = 0;
  for (const std::string& subject : similar_keys) {
    EXPECT_TRUE(driver->add_subject_key(subject_key(subject, ++number))) << subject;
  }
  for (const std::string& tenant : similar_keys) {
    EXPECT_TRUE(driver->add_subject_key(subject_key("a", ++number, tenant))) << tenant;
  }
  number = 0;
  for (const std::string& subject : similar_keys) {
    const std::optional<SubjectKey> found = driver->find_subject_key(home, subject);
    ASSERT_TRUE(found) << subject;
    EXPECT_EQ(found->key_id, uuid(++number)) << subject;
    EXPECT_EQ(found->subject, subject);
  }
  const std::vector<std::string> tenants = driver->list_key_tenants();
  EXPECT_EQ(tenants.size(), std::set<std::string>(tenants.begin(), tenants.end()).size());
  for (const std::string& tenant : similar_keys) {
    EXPECT_EQ(std::count(tenants.begin(), tenants.end(), tenant), 1) << tenant;
    const std::optional<SubjectKey> found = driver->find_subject_key(tenant, "a");
    ASSERT_TRUE(found) << tenant;
    EXPECT_EQ(found->key_id, uuid(++number)) << tenant;
    EXPECT_EQ(found->tenant, tenant);
  }
}

void keys_are_one_tenants(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
  EXPECT_FALSE(find_key(*driver, 1, "other"));
  EXPECT_TRUE(driver->list_subject_keys("other", std::nullopt, 10).empty());
  EXPECT_EQ(driver->list_key_tenants(), std::vector<std::string>{home});
  const WrappedKey wrapped = *subject_key("a", 1).wrapped;
  EXPECT_FALSE(driver->rewrap_subject_key("other", uuid(1), wrapped, {"m", "w"}));
  EXPECT_FALSE(driver->destroy_subject_key("other", uuid(1)));
  EXPECT_EQ(find_key(*driver, 1).value().wrapped, wrapped);
  ASSERT_TRUE(driver->destroy_subject_key(home, uuid(1)));
  EXPECT_FALSE(driver->forget_subject("other", uuid(1)));
  EXPECT_EQ(find_key(*driver, 1).value().subject, "a");
}

void many_keys_are_found(Harness& harness) {
  const auto driver = harness.open();
  for (std::uint8_t number = 1; number <= 20; ++number) {
    ASSERT_TRUE(driver->add_subject_key(
        subject_key("s-" + std::to_string(number), number, number % 4 == 0 ? std::string("other") : home)));
  }
  ASSERT_TRUE(driver->destroy_subject_key(home, uuid(3)));
  std::vector<Uuid> ids;
  for (std::uint8_t number = 1; number <= 250; ++number) ids.push_back(uuid(number));
  while (ids.size() < 1'000) ids.push_back(Uuid::v7());
  std::vector<SubjectKey> found = driver->find_subject_keys(home, ids);
  ASSERT_EQ(found.size(), 15u);
  std::sort(found.begin(), found.end(), [](const SubjectKey& a, const SubjectKey& b) { return a.key_id < b.key_id; });
  for (const SubjectKey& key : found) {
    const int number = key.key_id.bytes()[15];
    EXPECT_EQ(key.subject, "s-" + std::to_string(number));
    if (number == 3) {
      EXPECT_FALSE(key.wrapped);
    } else {
      ASSERT_TRUE(key.wrapped);
      EXPECT_EQ(key.wrapped->bytes, raw_bytes(number));
    }
  }
  EXPECT_EQ(driver->find_subject_keys("other", ids).size(), 5u);
}

void a_list_of_keys_goes_on(Harness& harness) {
  const auto driver = harness.open();
  // Databases have orders of their own for ids: these differ in one byte each.
  std::vector<std::string> expected;
  for (int at = 0; at < 16; ++at) {
    for (const int value : {1, 2, 200}) {
      Uuid::Bytes bytes{};
      bytes.fill(0x10);
      bytes[6] = 0x41;
      bytes[8] = 0x81;
      bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(at == 6   ? 0x40 + value % 16
                                                                      : at == 8 ? 0x80 + value % 64
                                                                                : value);
      SubjectKey key = subject_key("s-" + std::to_string(at) + "-" + std::to_string(value), 1);
      key.key_id = Uuid(bytes);
      if (std::find(expected.begin(), expected.end(), key.key_id.to_string()) != expected.end()) continue;
      ASSERT_TRUE(driver->add_subject_key(key));
      expected.push_back(key.key_id.to_string());
    }
  }
  ASSERT_TRUE(driver->add_subject_key(subject_key("s", 200, "other")));
  std::sort(expected.begin(), expected.end());
  ASSERT_TRUE(driver->destroy_subject_key(home, driver->list_subject_keys(home, std::nullopt, 8).at(7).key_id));
  for (const std::size_t limit : {1u, 7u, 1'000u}) {
    std::vector<std::string> listed;
    std::optional<Uuid> after;
    for (;;) {
      const std::vector<SubjectKey> page = driver->list_subject_keys(home, after, limit);
      if (page.empty()) break;
      ASSERT_LE(page.size(), limit);
      for (const SubjectKey& key : page) listed.push_back(key.key_id.to_string());
      after = page.back().key_id;
      ASSERT_LE(listed.size(), expected.size());
    }
    EXPECT_EQ(listed, expected) << limit;
  }
}

void a_key_is_rewrapped_from_what_it_is(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
  ASSERT_TRUE(driver->add_subject_key(subject_key("b", 2)));
  const WrappedKey first = *subject_key("a", 1).wrapped;
  const WrappedKey second{"master-2", raw_bytes(100, 200)};
  WrappedKey other_bytes = first;
  other_bytes.bytes.back() = '\1';
  EXPECT_FALSE(driver->rewrap_subject_key(home, uuid(1), {"Master-1", first.bytes}, second));
  EXPECT_FALSE(driver->rewrap_subject_key(home, uuid(1), {"master-1 ", first.bytes}, second));
  EXPECT_FALSE(driver->rewrap_subject_key(home, uuid(1), other_bytes, second));
  EXPECT_FALSE(driver->rewrap_subject_key(home, uuid(9), first, second)) << "there is no such key";
  EXPECT_EQ(find_key(*driver, 1).value().wrapped, first);
  EXPECT_TRUE(driver->rewrap_subject_key(home, uuid(1), first, second));
  const std::optional<SubjectKey> found = find_key(*driver, 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->wrapped, second);
  EXPECT_EQ(found->subject, "a");
  EXPECT_EQ(find_key(*driver, 2).value().wrapped, subject_key("b", 2).wrapped) << "another key stays as it was";
  EXPECT_FALSE(driver->rewrap_subject_key(home, uuid(1), first, second)) << "it is that no more";
  EXPECT_TRUE(driver->rewrap_subject_key(home, uuid(1), second, {"master-3", "w"}));
  EXPECT_EQ(find_key(*driver, 1).value().wrapped, (WrappedKey{"master-3", "w"}));
}

void a_destroyed_key_has_no_bytes(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
  ASSERT_TRUE(driver->add_subject_key(subject_key("b", 2)));
  const WrappedKey wrapped = *subject_key("a", 1).wrapped;
  EXPECT_TRUE(driver->destroy_subject_key(home, uuid(1)));
  for (const std::optional<SubjectKey>& found : {harness.open()->find_subject_key(home, "a"), find_key(*driver, 1)}) {
    ASSERT_TRUE(found);
    EXPECT_EQ(found->subject, "a");
    EXPECT_FALSE(found->wrapped);
    ASSERT_TRUE(found->destroyed_at);
    EXPECT_GE(*found->destroyed_at, found->created_at);
  }
  const Timestamp destroyed_at = find_key(*driver, 1).value().destroyed_at.value();
  EXPECT_FALSE(driver->destroy_subject_key(home, uuid(1))) << "it was destroyed before";
  EXPECT_FALSE(driver->destroy_subject_key(home, uuid(9))) << "there is no such key";
  EXPECT_FALSE(driver->rewrap_subject_key(home, uuid(1), wrapped, {"m", "w"}));
  EXPECT_EQ(find_key(*driver, 1).value().destroyed_at, destroyed_at);
  EXPECT_FALSE(find_key(*driver, 1).value().wrapped);
  EXPECT_EQ(find_key(*driver, 2).value().wrapped, subject_key("b", 2).wrapped) << "another key stays";
  EXPECT_FALSE(driver->add_subject_key(subject_key("a", 3))) << "the subject still has one";
}

void a_forgotten_subject_may_come_again(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
  EXPECT_FALSE(driver->forget_subject(home, uuid(1))) << "its key is not destroyed";
  EXPECT_EQ(find_key(*driver, 1).value().subject, "a");
  EXPECT_FALSE(driver->forget_subject(home, uuid(9)));
  ASSERT_TRUE(driver->destroy_subject_key(home, uuid(1)));
  EXPECT_TRUE(driver->forget_subject(home, uuid(1)));
  EXPECT_FALSE(driver->forget_subject(home, uuid(1))) << "nothing is left to forget";
  const std::optional<SubjectKey> forgotten = find_key(*driver, 1);
  ASSERT_TRUE(forgotten);
  EXPECT_EQ(forgotten->subject, "");
  EXPECT_TRUE(forgotten->destroyed_at);
  EXPECT_FALSE(driver->find_subject_key(home, "a"));
  EXPECT_FALSE(driver->find_subject_key(home, ""));
  EXPECT_FALSE(driver->add_subject_key(subject_key("a", 1))) << "the id stays taken";
  EXPECT_TRUE(driver->add_subject_key(subject_key("a", 2)));
  EXPECT_EQ(driver->find_subject_key(home, "a").value().key_id, uuid(2));
  ASSERT_TRUE(driver->destroy_subject_key(home, uuid(2)));
  ASSERT_TRUE(driver->forget_subject(home, uuid(2))) << "several may be forgotten";
  EXPECT_EQ(driver->list_subject_keys(home, std::nullopt, 10).size(), 2u);
}

void one_subject_key_wins(Harness& harness) {
  const auto driver = harness.open();
  for (int round = 0; round < rounds(20, 3); ++round) {
    const std::string subject = "raced-" + std::to_string(round);
    std::atomic<int> winners = 0;
    std::atomic<int> winner = 0;
    in_threads(4, [&](int thread) {
      const auto number = static_cast<std::uint8_t>(1 + round * 4 + thread);
      if (!driver->add_subject_key(subject_key(subject, number))) return;
      ++winners;
      winner = number;
    });
    EXPECT_EQ(winners, 1);
    const std::optional<SubjectKey> found = driver->find_subject_key(home, subject);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->key_id, uuid(static_cast<std::uint8_t>(winner.load())));
  }
}

void one_rewrap_wins(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
  for (int round = 0; round < rounds(20, 3); ++round) {
    const WrappedKey from = find_key(*driver, 1).value().wrapped.value();
    std::atomic<int> winners = 0;
    in_threads(4, [&](int thread) {
      const std::string name = "m-" + std::to_string(round) + "-" + std::to_string(thread);
      if (driver->rewrap_subject_key(home, uuid(1), from, {name, raw_bytes(thread)})) ++winners;
    });
    EXPECT_EQ(winners, 1);
  }
}

// --- Seals

ChainHash hash(std::int64_t number, std::uint8_t kind = 0) {
  ChainHash hash{};
  for (std::size_t i = 0; i < 8; ++i) hash[i] = static_cast<std::uint8_t>(number >> (8 * i));
  hash[30] = kind;
  hash[31] = 0xFF;
  return hash;
}

std::vector<EventHash> hashes_of(std::int64_t first, std::int64_t last) {
  std::vector<EventHash> hashes;
  for (std::int64_t position = first; position <= last; ++position) {
    hashes.push_back({Position(position), hash(position, 1), hash(position, 2)});
  }
  return hashes;
}

LogSeal seal(std::int64_t number, std::int64_t after, std::int64_t to) {
  LogSeal seal;
  seal.number = number;
  seal.after = Position(after);
  seal.to = Position(to);
  seal.events = to - after;
  seal.root = hash(number, 3);
  seal.hash = hash(number, 4);
  return seal;
}

bool add_seal(Driver& driver, std::int64_t number, std::int64_t after, std::int64_t to) {
  return driver.add_seal(seal(number, after, to), hashes_of(after + 1, to));
}

void a_seal_is_kept(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(add_seal(*driver, 1, 0, 3));
  ASSERT_TRUE(add_seal(*driver, 2, 3, 5));
  const auto other = harness.open();
  EXPECT_EQ(other->last_seal(), seal(2, 3, 5));
  EXPECT_EQ(other->list_seals(0, 10), (std::vector<LogSeal>{seal(1, 0, 3), seal(2, 3, 5)}));
  EXPECT_EQ(other->read_hashes({}, end_of_log, 10), hashes_of(1, 5));
}

void seals_are_numbered_without_gaps(Harness& harness) {
  const auto driver = harness.open();
  EXPECT_FALSE(add_seal(*driver, 2, 0, 2)) << "there is no seal 1";
  EXPECT_FALSE(driver->last_seal());
  ASSERT_TRUE(add_seal(*driver, 1, 0, 2));
  EXPECT_FALSE(add_seal(*driver, 1, 2, 4)) << "there is a seal 1";
  EXPECT_FALSE(add_seal(*driver, 3, 2, 4)) << "there is no seal 2";
  EXPECT_EQ(driver->list_seals(0, 10), (std::vector<LogSeal>{seal(1, 0, 2)}));
  EXPECT_EQ(driver->read_hashes({}, end_of_log, 10), hashes_of(1, 2)) << "nothing of a refused seal is there";
  EXPECT_TRUE(add_seal(*driver, 2, 2, 4));
  EXPECT_EQ(driver->last_seal(), seal(2, 2, 4));
}

void a_seal_may_have_no_events(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(driver->add_seal(seal(1, 0, 0), {}));
  LogSeal empty = seal(2, 0, 100);
  empty.events = 0;
  ASSERT_TRUE(driver->add_seal(empty, {}));
  EXPECT_EQ(driver->last_seal(), empty);
  EXPECT_TRUE(driver->read_hashes({}, end_of_log, 10).empty());
}

void a_list_of_seals_goes_on(Harness& harness) {
  const auto driver = harness.open();
  std::vector<LogSeal> all;
  for (int number = 1; number <= 11; ++number) {
    ASSERT_TRUE(add_seal(*driver, number, number - 1, number));
    all.push_back(seal(number, number - 1, number));
  }
  EXPECT_EQ(driver->list_seals(0, no_limit), all);
  EXPECT_EQ(driver->list_seals(8, 2), std::vector<LogSeal>(all.begin() + 8, all.begin() + 10));
  EXPECT_EQ(driver->list_seals(10, 10), std::vector<LogSeal>(all.begin() + 10, all.end()));
  EXPECT_TRUE(driver->list_seals(11, 10).empty());
  EXPECT_EQ(driver->last_seal(), all.back());
}

void hashes_have_bounds(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(add_seal(*driver, 1, 0, 20));
  EXPECT_EQ(driver->read_hashes(Position(5), Position(9), no_limit), hashes_of(6, 9)) << "(after, to]";
  EXPECT_EQ(driver->read_hashes(Position(5), Position(9), 2), hashes_of(6, 7));
  EXPECT_EQ(driver->read_hashes(Position(0), Position(1), 10), hashes_of(1, 1));
  EXPECT_EQ(driver->read_hashes(Position(19), end_of_log, 10), hashes_of(20, 20));
  EXPECT_TRUE(driver->read_hashes(Position(20), end_of_log, 10).empty());
  EXPECT_TRUE(driver->read_hashes(Position(9), Position(9), 10).empty());
  EXPECT_TRUE(driver->read_hashes(Position(9), Position(5), 10).empty());
}

void positions_of_hashes_have_64_bits(Harness& harness) {
  const auto driver = harness.open();
  const std::int64_t large = (std::int64_t{1} << 53) + 1;
  std::vector<EventHash> hashes = hashes_of(large, large + 2);
  hashes.erase(hashes.begin() + 1);  // Positions have holes.
  LogSeal given = seal(1, 0, large + 2);
  given.events = 2;
  ASSERT_TRUE(driver->add_seal(given, hashes));
  EXPECT_EQ(driver->last_seal(), given);
  EXPECT_EQ(driver->read_hashes(Position(large - 1), end_of_log, 10), hashes);
  EXPECT_EQ(driver->read_hashes(Position(large), end_of_log, 10), hashes_of(large + 2, large + 2));
}

void hashes_of_many_events(Harness& harness) {
  const auto driver = harness.open();
  ASSERT_TRUE(add_seal(*driver, 1, 0, 10'000));
  ASSERT_TRUE(add_seal(*driver, 2, 10'000, 22'001));
  ASSERT_TRUE(add_seal(*driver, 3, 22'001, 25'000));
  std::vector<EventHash> all;
  for (;;) {
    const std::vector<EventHash> page =
        driver->read_hashes(all.empty() ? Position() : all.back().position, end_of_log, 7'000);
    if (page.empty()) break;
    all.insert(all.end(), page.begin(), page.end());
    ASSERT_LE(all.size(), 25'000u);
  }
  EXPECT_TRUE(all == hashes_of(1, 25'000));
}

void a_hash_is_found_by_its_event(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  store.append(thing("A"), ExpectedVersion::any(), events(1));
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  store.append(StreamKey("other", "thing", "a"), ExpectedVersion::any(), events(1));
  std::vector<EventHash> hashes;
  const std::vector<RecordedEvent> log = log_events(store);
  ASSERT_EQ(log.size(), 6u);
  for (const RecordedEvent& event : log) {
    const std::int64_t position = event.position.value();
    hashes.push_back({event.position, hash(position, 1), hash(position, 2)});
  }
  hashes.pop_back();  // The last event is not sealed yet.
  LogSeal given = seal(1, 0, hashes.back().position.value());
  given.events = static_cast<std::int64_t>(hashes.size());
  Driver& driver = store.driver();
  ASSERT_TRUE(driver.add_seal(given, hashes));
  std::vector<EventPlace> places;
  std::vector<std::optional<EventHash>> wanted;
  const auto ask = [&](const StreamKey& stream, Version version, const std::optional<EventHash>& hash) {
    places.push_back({stream, version});
    wanted.push_back(hash);
  };
  // In no order, with some that are not there among those that are, and one twice.
  for (auto event = log.rbegin(); event != log.rend(); ++event) {
    const std::int64_t position = event->position.value();
    const bool sealed = event->position <= given.to;
    ask(event->stream, event->version,
        sealed ? std::optional(EventHash{event->position, hash(position, 1), hash(position, 2)}) : std::nullopt);
    ask(thing("b"), event->version, std::nullopt);
  }
  ask(thing("a"), Version(5), std::nullopt);
  ask(thing("a"), Version(0), std::nullopt);
  ask(places[2].stream, places[2].version, wanted[2]);
  ASSERT_TRUE(wanted.back());
  EXPECT_EQ(driver.find_hashes(places), wanted);
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(driver.find_hashes(std::span(places).subspan(i, 1)), std::vector{wanted[i]}) << i;
  }
  while (places.size() < 1'000) ask(places[2].stream, places[2].version, wanted[2]);
  EXPECT_EQ(driver.find_hashes(places), wanted) << "as many as may be asked for";
}

void one_seal_wins(Harness& harness) {
  const auto driver = harness.open();
  for (int round = 1; round <= rounds(20, 3); ++round) {
    std::atomic<int> winners = 0;
    std::atomic<int> winner = -1;
    in_threads(4, [&](int thread) {
      // Each seals another range: whose seal it is can be told by its hashes.
      const std::int64_t first = (round - 1) * 400 + thread * 100;
      LogSeal mine = seal(round, first, first + 50);
      if (!driver->add_seal(mine, hashes_of(first + 1, first + 50))) return;
      ++winners;
      winner = thread;
    });
    EXPECT_EQ(winners, 1);
    const std::int64_t first = (round - 1) * 400 + winner * 100;
    EXPECT_EQ(driver->last_seal(), seal(round, first, first + 50));
    EXPECT_EQ(driver->read_hashes(Position((round - 1) * 400), Position(round * 400), no_limit),
              hashes_of(first + 1, first + 50))
        << "nothing of the others is there";
  }
}

void what_governs_stays(Harness& harness) {
  {
    const auto driver = harness.open();
    ASSERT_TRUE(driver->add_schema(schema("a")));
    driver->set_type_rules(rules("b"));
    ASSERT_TRUE(driver->add_subject_key(subject_key("a", 1)));
    ASSERT_TRUE(driver->add_subject_key(subject_key("b", 2)));
    ASSERT_TRUE(driver->destroy_subject_key(home, uuid(2)));
    ASSERT_TRUE(add_seal(*driver, 1, 0, 3));
  }
  const auto driver = harness.open();
  EXPECT_EQ(forms(driver->list_event_types(home)), std::vector<std::string>{"a/1"});
  EXPECT_GE(driver->event_types_revision(home), 2);
  EXPECT_EQ(driver->find_subject_key(home, "a").value().wrapped, subject_key("a", 1).wrapped);
  EXPECT_FALSE(driver->find_subject_key(home, "b").value().wrapped);
  EXPECT_EQ(driver->last_seal(), seal(1, 0, 3));
  EXPECT_EQ(driver->read_hashes({}, end_of_log, 10), hashes_of(1, 3));
  // The schema is as it was migrated, and all checks go on.
  EXPECT_TRUE(open_store(harness).verify().violations.empty());
}

constexpr Capability governance = Capability::governance;

constexpr Case all_governance_cases[] = {
    {"API", "a_store_without_governance_says_nothing", governance, a_store_without_governance_says_nothing},
    {"API", "a_schema_is_kept", governance, a_schema_is_kept},
    {"API", "a_schema_comes_back_byte_for_byte", governance, a_schema_comes_back_byte_for_byte},
    {"API", "a_form_has_one_schema", governance, a_form_has_one_schema},
    {"G1", "event_types_compare_byte_for_byte", governance, event_types_compare_byte_for_byte},
    {"G14", "tenants_have_event_types_of_their_own", governance, tenants_have_event_types_of_their_own},
    {"API", "rules_are_kept", governance, rules_are_kept},
    {"API", "rules_take_the_place_of_rules", governance, rules_take_the_place_of_rules},
    {"API", "a_schema_leaves_the_rules", governance, a_schema_leaves_the_rules},
    {"API", "each_change_moves_the_revision", governance, each_change_moves_the_revision},
    {"G14", "a_revision_is_one_tenants", governance, a_revision_is_one_tenants},
    {"API", "a_schema_in_use_stays", governance, a_schema_in_use_stays},
    {"G1", "long_keys_of_governance", governance, long_keys_of_governance},
    {"API", "one_schema_wins", governance, one_schema_wins},
    {"API", "no_change_of_event_types_is_lost", governance, no_change_of_event_types_is_lost},
    {"API", "a_subject_key_is_kept", governance, a_subject_key_is_kept},
    {"API", "a_subject_has_one_key", governance, a_subject_has_one_key},
    {"G1", "subjects_compare_byte_for_byte", governance, subjects_compare_byte_for_byte},
    {"G14", "keys_are_one_tenants", governance, keys_are_one_tenants},
    {"API", "many_keys_are_found", governance, many_keys_are_found},
    {"API", "a_list_of_keys_goes_on", governance, a_list_of_keys_goes_on},
    {"API", "a_key_is_rewrapped_from_what_it_is", governance, a_key_is_rewrapped_from_what_it_is},
    {"API", "a_destroyed_key_has_no_bytes", governance, a_destroyed_key_has_no_bytes},
    {"API", "a_forgotten_subject_may_come_again", governance, a_forgotten_subject_may_come_again},
    {"API", "one_subject_key_wins", governance, one_subject_key_wins},
    {"API", "one_rewrap_wins", governance, one_rewrap_wins},
    {"API", "a_seal_is_kept", governance, a_seal_is_kept},
    {"API", "seals_are_numbered_without_gaps", governance, seals_are_numbered_without_gaps},
    {"API", "a_seal_may_have_no_events", governance, a_seal_may_have_no_events},
    {"API", "a_list_of_seals_goes_on", governance, a_list_of_seals_goes_on},
    {"API", "hashes_have_bounds", governance, hashes_have_bounds},
    {"API", "positions_of_hashes_have_64_bits", governance, positions_of_hashes_have_64_bits},
    {"API", "hashes_of_many_events", governance, hashes_of_many_events},
    {"API", "a_hash_is_found_by_its_event", governance, a_hash_is_found_by_its_event},
    {"API", "one_seal_wins", governance, one_seal_wins},
    {"G12", "what_governs_stays", governance, what_governs_stays},
};

}  // namespace

std::span<const Case> governance_cases() {
  return all_governance_cases;
}

}  // namespace stele::testing
