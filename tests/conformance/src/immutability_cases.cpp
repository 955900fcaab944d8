// What was recorded stays as it is, whoever asks the database.
#include <sstream>

#include "support.h"

namespace stele::testing {
namespace {

const std::string home_tenant{default_tenant};

ChainHash hash_with(std::uint8_t byte) {
  ChainHash hash{};
  hash.fill(byte);
  return hash;
}

SubjectKey key_of_subject(std::uint8_t number) {
  SubjectKey key;
  key.key_id = uuid(number);
  key.subject = "subject-" + std::to_string(number);
  key.wrapped = WrappedKey{"master", "wrapped"};
  return key;
}

/// A schema and rules for each type, a key, one that is destroyed and one that is forgotten, and a seal.
void fill_governance(driver::Driver& driver, const std::vector<RecordedEvent>& log) {
  ASSERT_FALSE(log.empty());
  std::vector<driver::EventHash> hashes;
  for (const RecordedEvent& event : log) {
    driver.add_schema({home_tenant, {event.type, event.event_version}, "{}", {}});
    EventTypeRules rules;
    rules.event_type = event.type;
    driver.set_type_rules(rules);
    hashes.push_back({event.position, hash_with(1), hash_with(2)});
  }
  for (const std::uint8_t number : std::vector<std::uint8_t>{101, 102, 103})
    ASSERT_TRUE(driver.add_subject_key(key_of_subject(number)));
  for (const std::uint8_t number : std::vector<std::uint8_t>{102, 103})
    ASSERT_TRUE(driver.destroy_subject_key(home_tenant, uuid(number)));
  ASSERT_TRUE(driver.forget_subject(home_tenant, uuid(103)));
  LogSeal seal;
  seal.to = hashes.back().position;
  seal.events = static_cast<std::int64_t>(hashes.size());
  ASSERT_TRUE(driver.add_seal(seal, hashes));
}

std::string describe_governance(driver::Driver& driver) {
  std::string text;
  const driver::EventTypes types = driver.list_event_types(home_tenant);
  text += "revision " + std::to_string(types.revision) + "\n";
  for (const EventSchema& schema : types.schemas) {
    text += "schema " + schema.form.type + " " + std::to_string(schema.form.event_version) + " " + schema.text + " " +
            schema.recorded_at.to_string() + "\n";
  }
  for (const EventTypeRules& rules : types.rules) {
    text += "rules " + rules.event_type + " " + std::string(to_string(rules.schema_mode)) + "\n";
  }
  for (const SubjectKey& key : driver.list_subject_keys(home_tenant, std::nullopt, 1'000)) {
    text += "key " + key.key_id.to_string() + " " + key.subject + " " + (key.wrapped ? key.wrapped->bytes : "gone") +
            " " + key.created_at.to_string() + " " + (key.destroyed_at ? key.destroyed_at->to_string() : "") + "\n";
  }
  for (const LogSeal& seal : driver.list_seals(0, 1'000)) {
    text +=
        "seal " + std::to_string(seal.number) + " " + std::to_string(seal.to.value()) + " " + to_hex(seal.root) + "\n";
  }
  for (const driver::EventHash& hash : driver.read_hashes({}, Position(1'000'000), 1'000'000)) {
    text += "hash " + std::to_string(hash.position.value()) + " " + to_hex(hash.content) + to_hex(hash.link) + "\n";
  }
  return text;
}

/// Events with attributes and every other field, several streams and tenants, commands with and without events; and
/// what governs them.
void fill_for_attacks(Harness& harness, EventStore& store) {
  for (int i = 1; i <= 3; ++i) {
    AppendRequest append = request(command("r-" + std::to_string(i)), thing("s-" + std::to_string(i)),
                                   ExpectedVersion::any(), {full_event(2 * i), full_event(2 * i + 1)});
    append.command->actor = Actor{ActorType::user, "u-1"};
    append.command->data = json(R"({"n":1})");
    ASSERT_TRUE(store.append(append).ok());
  }
  ASSERT_TRUE(store.append(StreamKey("other", "thing", "s-1"), ExpectedVersion::any(), events(2)).ok());
  ASSERT_TRUE(store.record_command(command("without-events")).ok());
  if (harness.has(Capability::governance)) fill_governance(store.driver(), stream_events(store, thing("s-1")));
}

/// The commands too, which contents() only counts.
std::string everything(Harness& harness, EventStore& store) {
  std::string text = contents(store);
  for (const std::string id : {"r-1", "r-2", "r-3", "without-events"}) {
    text += describe(store.find_command(command(id).key).value()) + "\n";
  }
  for (const StreamInfo& info : store.list_streams()) {
    for (const CommandRecord& record : store.list_commands(info.stream)) text += describe(record) + "\n";
  }
  if (harness.has(Capability::governance)) text += describe_governance(store.driver());
  return text;
}

/// The first line that is not the same, of both; empty when all are.
std::string first_difference(const std::string& before, const std::string& after) {
  std::istringstream old_lines(before);
  std::istringstream new_lines(after);
  std::string old_line;
  std::string new_line;
  do {
    old_line.clear();
    new_line.clear();
    std::getline(old_lines, old_line);
    std::getline(new_lines, new_line);
    if (old_line != new_line) return "before: " + old_line + "\nafter:  " + new_line;
  } while (old_lines || new_lines);
  return {};
}

void attacks_are_refused(Harness& harness) {
  EventStore store = open_store(harness);
  fill_for_attacks(harness, store);
  std::string before = everything(harness, store);
  const std::vector<RawScript> attacks = harness.immutability_attacks();
  EXPECT_GE(attacks.size(), 6u) << "too few attacks to believe in";
  for (const RawScript& attack : attacks) {
    SCOPED_TRACE(attack.name);
    ASSERT_EQ(attack.statements.size(), 1u);
    EXPECT_NE(harness.raw_sql(attack.statements[0]), "") << "the database executed " << attack.statements[0];
    std::string after = everything(harness, store);
    EXPECT_EQ(first_difference(before, after), "") << attack.statements[0];
    before = std::move(after);  // What one attack did is not the next one's failure.
  }
  // A driver of its own sees no change either.
  EventStore fresh = open_store(harness);
  EXPECT_EQ(first_difference(before, everything(harness, fresh)), "");
  const VerifyReport report = fresh.verify();
  for (const Violation& violation : report.violations) ADD_FAILURE() << violation.where << ": " << violation.what;
}

// The refusals above must not be a database that refuses everything.
void the_store_goes_on_after_attacks(Harness& harness) {
  EventStore store = open_store(harness);
  fill_for_attacks(harness, store);
  for (const RawScript& attack : harness.immutability_attacks()) harness.raw_sql(attack.statements.at(0));
  expect_appended(store.append(thing("s-1"), ExpectedVersion::exactly(2), events(2)), 3, 4);
  expect_appended(store.append(thing("new"), ExpectedVersion::no_stream(), {full_event(50)}), 1, 1);
  expect_status(AppendStatus::replayed, store.record_command(command("without-events")));
}

// Through the store itself nothing can be changed: what exists is repeated, refused or continued.
void no_append_changes_what_is_there(Harness& harness) {
  EventStore store = open_store(harness);
  fill_for_attacks(harness, store);
  const std::string before = everything(harness, store);
  NewEvent changed = full_event(2);
  changed.data = json(R"({"changed":true})");
  expect_status(AppendStatus::duplicate_event_id, store.append(thing("s-1"), ExpectedVersion::any(), {changed}));
  changed.event_id.reset();  // Its idempotency key is taken all the same.
  expect_status(AppendStatus::duplicate_idempotency_key, store.append(thing("s-1"), ExpectedVersion::any(), {changed}));
  expect_status(AppendStatus::request_id_reused,
                store.append(request(command("r-1"), thing("s-9"), ExpectedVersion::any(), events(1))));
  expect_status(AppendStatus::request_id_reused, store.record_command(command("r-2", "shop", "another-type")));
  expect_status(AppendStatus::conflict, store.append(thing("s-1"), ExpectedVersion::exactly(1), events(1)));
  EXPECT_EQ(everything(harness, store), before);
  expect_appended(store.append(thing("s-1"), ExpectedVersion::any(), events(1)), 3, 3);
  const std::vector<RecordedEvent> stored = stream_events(store, thing("s-1"));
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_NE(before.find(describe(stored[0])), std::string::npos);
  EXPECT_NE(before.find(describe(stored[1])), std::string::npos);
}

void raw_sql_executes_and_reports(Harness& harness) {
  EventStore store = open_store(harness);
  fill_for_attacks(harness, store);
  // raw_sql() does execute statements, and does report errors: without that the other cases prove nothing.
  EXPECT_EQ(harness.raw_sql("SELECT 1"), "");
  EXPECT_NE(harness.raw_sql("SELECT * FROM no_such_table_anywhere"), "");
}

constexpr Case all_immutability_cases[] = {
    {"G8", "attacks_are_refused", Capability::raw_sql, attacks_are_refused},
    {"G8", "the_store_goes_on_after_attacks", Capability::raw_sql, the_store_goes_on_after_attacks},
    {"G8", "raw_sql_executes_and_reports", Capability::raw_sql, raw_sql_executes_and_reports},
    {"G8", "no_append_changes_what_is_there", no_append_changes_what_is_there},
};

}  // namespace

std::span<const Case> immutability_cases() {
  return all_immutability_cases;
}

}  // namespace stele::testing
