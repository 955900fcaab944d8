#include "sqlite_harness.h"

#include <stdexcept>

#include "soci_counters.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "stele/registry.h"
#include "stele/sqlite.h"

namespace stele::testing {
namespace {

std::unique_ptr<driver::Driver> open_url(const std::string& url, bool migrate) {
  Registry registry;
  sqlite::register_driver(registry);
  std::unique_ptr<driver::Driver> driver = registry.open(Url::parse(url), DriverOptions{.create = true});
  if (migrate) Migrator(*driver->migrations()).up();
  return driver;
}

// Long enough for a loaded machine, short enough that a test can wait for it to run out.
constexpr const char* busy_timeout = "?busy_timeout=3s";

/// The text of a trigger as it is migrated.
std::string trigger_sql(const std::string& name) {
  const std::string schema = open_url("sqlite::memory:", true)->migrations()->dump_schema();
  const std::size_t begin = schema.find("CREATE TRIGGER " + name + " ");
  const std::size_t end = schema.find("\nEND;", begin);
  if (begin == std::string::npos || end == std::string::npos) throw std::logic_error("no trigger " + name);
  return schema.substr(begin, end + 4 - begin);
}

/// Damage behind a trigger's back: the trigger is there again afterwards, so that verify has to notice the rows.
RawScript without_trigger(const std::string& name, const std::string& trigger, const std::string& damage) {
  return {name, {"DROP TRIGGER " + trigger, damage, trigger_sql(trigger)}};
}

}  // namespace

std::unique_ptr<driver::Driver> SqliteFileHarness::open() {
  return open_url(url(), true);
}

std::set<Capability> SqliteFileHarness::capabilities() const {
  return {Capability::durable,    Capability::raw_sql,   Capability::corruption,  Capability::migrations,
          Capability::write_lock, Capability::positions, Capability::read_models, Capability::governance};
}

std::string SqliteFileHarness::url() const {
  return "sqlite://" + directory_.file("store.db").string() + busy_timeout;
}

std::string SqliteFileHarness::raw_sql(const std::string& statement) {
  return SqliteConnection(directory_.file("store.db")).execute(statement);
}

std::vector<RawScript> SqliteFileHarness::immutability_attacks() {
  const std::string columns =
      "stream_no, stream_version, tenant_no, stream_type_no, event_id, event_type_no, occurred_at, recorded_at, "
      "idempotency_key, data";
  const std::string command_columns =
      "tenant_no, source_no, request_id, command_id, command_type_no, fingerprint, outcome, recorded_at";
  const std::vector<RawScript> attacks = {
      {"UPDATE of events", {"UPDATE events SET data = '{\"changed\":true}'"}},
      {"UPDATE of one event", {"UPDATE events SET recorded_at = recorded_at + 1 WHERE global_position = 1"}},
      {"UPDATE of events from another table",
       {"UPDATE events SET stream_version = 100 FROM streams AS s WHERE s.stream_no = events.stream_no"}},
      {"UPDATE OR REPLACE onto another event",
       {"UPDATE OR REPLACE events SET global_position = 1 WHERE global_position = 2"}},
      {"DELETE of all events", {"DELETE FROM events"}},
      {"DELETE of one event", {"DELETE FROM events WHERE global_position = (SELECT max(global_position) FROM events)"}},
      {"REPLACE of an event at its position", {"REPLACE INTO events SELECT * FROM events LIMIT 1"}},
      {"INSERT OR REPLACE of all events", {"INSERT OR REPLACE INTO events SELECT * FROM events"}},
      {"INSERT OR REPLACE of an event by its id",
       {"INSERT OR REPLACE INTO events (" + columns +
        ") SELECT stream_no, stream_version + 1000, tenant_no, stream_type_no, event_id, event_type_no, occurred_at, "
        "recorded_at, NULL, '{}' FROM events LIMIT 1"}},
      {"INSERT OR REPLACE of an event by its version",
       {"INSERT OR REPLACE INTO events (" + columns +
        ") SELECT stream_no, stream_version, tenant_no, stream_type_no, randomblob(16), event_type_no, occurred_at, "
        "recorded_at, NULL, '{}' FROM events LIMIT 1"}},
      {"INSERT OR REPLACE of an event by its idempotency key",
       {"INSERT OR REPLACE INTO events (" + columns +
        ") SELECT stream_no, stream_version + 1000, tenant_no, stream_type_no, randomblob(16), event_type_no, "
        "occurred_at, recorded_at, idempotency_key, '{}' FROM events WHERE idempotency_key IS NOT NULL LIMIT 1"}},
      {"UPSERT of an event by its id",
       {"INSERT INTO events (" + columns + ") SELECT " + columns +
        " FROM events WHERE true LIMIT 1 ON CONFLICT (event_id) DO UPDATE SET data = '{\"changed\":true}'"}},
      {"UPSERT of an event by its position",
       {"INSERT INTO events SELECT * FROM events WHERE true LIMIT 1 "
        "ON CONFLICT (global_position) DO UPDATE SET recorded_at = 0"}},
      {"UPDATE of attributes", {"UPDATE event_attributes SET value = 'changed'"}},
      {"DELETE of attributes", {"DELETE FROM event_attributes"}},
      {"REPLACE of attributes",
       {"REPLACE INTO event_attributes SELECT global_position, name_no, 'changed' FROM event_attributes"}},
      {"INSERT of one more attribute of a stored event",
       {"INSERT INTO event_attributes SELECT global_position, 1, 'added' FROM event_attributes LIMIT 1"}},
      {"UPDATE of commands", {"UPDATE commands SET outcome = '[]'"}},
      {"DELETE of commands", {"DELETE FROM commands"}},
      {"REPLACE of commands", {"REPLACE INTO commands SELECT * FROM commands"}},
      {"INSERT OR REPLACE of a command by its key",
       {"INSERT OR REPLACE INTO commands (" + command_columns +
        ") SELECT tenant_no, source_no, request_id, randomblob(16), command_type_no, fingerprint, '[]', recorded_at "
        "FROM commands LIMIT 1"}},
      {"INSERT OR REPLACE of a command by its id",
       {"INSERT OR REPLACE INTO commands (" + command_columns +
        ") SELECT tenant_no, source_no, 'another', command_id, command_type_no, fingerprint, '[]', recorded_at "
        "FROM commands LIMIT 1"}},
      {"UPSERT of a command",
       {"INSERT INTO commands SELECT * FROM commands WHERE true LIMIT 1 "
        "ON CONFLICT (command_id) DO UPDATE SET outcome = '[]'"}},
      {"a stream's head moved back", {"UPDATE streams SET version = version - 1"}},
      {"a stream renamed", {"UPDATE streams SET stream_id = stream_id || '-x', version = version + 1"}},
      {"DELETE of streams", {"DELETE FROM streams"}},
      {"REPLACE of streams", {"REPLACE INTO streams SELECT * FROM streams"}},
      {"UPSERT of a stream",
       {"INSERT INTO streams SELECT * FROM streams WHERE true "
        "ON CONFLICT (stream_no) DO UPDATE SET version = excluded.version + 1"}},
      {"UPDATE of names", {"UPDATE names SET name = name || '-x'"}},
      {"DELETE of names", {"DELETE FROM names"}},
      {"REPLACE of names", {"REPLACE INTO names SELECT name_no, name || '-x' FROM names"}},
      {"UPDATE of schemas", {"UPDATE event_schemas SET schema_text = '{\"changed\":true}'"}},
      {"DELETE of schemas in use", {"DELETE FROM event_schemas"}},
      {"DELETE of rules", {"DELETE FROM event_type_rules"}},
      {"UPDATE of rules that tells nobody", {"UPDATE event_type_rules SET schema_mode = 'off'"}},
      {"UPDATE of rules' type",
       {"UPDATE event_type_rules SET event_type = event_type || '-x', revision = revision + 1"}},
      {"DELETE of subject keys", {"DELETE FROM subject_keys"}},
      {"a subject key of another subject", {"UPDATE subject_keys SET subject = subject || '-x'"}},
      {"a subject key of another tenant", {"UPDATE subject_keys SET tenant_id = 'another'"}},
      {"a subject key that is still good without its subject",
       {"UPDATE subject_keys SET subject = NULL WHERE destroyed_at IS NULL"}},
      {"a subject key that is still good without its bytes",
       {"UPDATE subject_keys SET wrapped = NULL, master_key_id = NULL WHERE destroyed_at IS NULL"}},
      {"a forgotten subject remembered", {"UPDATE subject_keys SET subject = 'again' WHERE subject IS NULL"}},
      {"REPLACE of schemas", {"REPLACE INTO event_schemas SELECT * FROM event_schemas"}},
      {"REPLACE of schemas by rowid",
       {"REPLACE INTO event_schemas (rowid, tenant_id, event_type, event_version, schema_text, recorded_at) SELECT "
        "rowid, tenant_id, event_type || '-x', event_version, '{}', recorded_at FROM event_schemas"}},
      {"REPLACE of rules", {"REPLACE INTO event_type_rules SELECT * FROM event_type_rules"}},
      {"UPSERT of rules",
       {"INSERT INTO event_type_rules SELECT * FROM event_type_rules WHERE true ON CONFLICT (tenant_id, event_type) DO "
        "UPDATE SET schema_mode = 'off'"}},
      {"a subject key's time moved", {"UPDATE subject_keys SET created_at = created_at - 1"}},
      {"a destroyed key given bytes again",
       {"UPDATE subject_keys SET wrapped = x'00', master_key_id = 'm', destroyed_at = NULL WHERE subject = "
        "'subject-102'"}},
      {"a destroyed key's time moved",
       {"UPDATE subject_keys SET destroyed_at = destroyed_at - 1 WHERE destroyed_at IS NOT NULL"}},
      {"a subject key with another id", {"UPDATE subject_keys SET key_id = randomblob(16)"}},
      {"a destroyed key replaced by its id",
       {"INSERT OR REPLACE INTO subject_keys (key_id, tenant_id, subject, master_key_id, wrapped, created_at) SELECT "
        "key_id, tenant_id, 'new', 'm', x'00', created_at FROM subject_keys WHERE subject = 'subject-102'"}},
      {"a destroyed key replaced by its subject",
       {"INSERT OR REPLACE INTO subject_keys (key_id, tenant_id, subject, master_key_id, wrapped, created_at) SELECT "
        "randomblob(16), tenant_id, subject, 'm', x'00', created_at FROM subject_keys WHERE subject = 'subject-102'"}},
      {"a destroyed key replaced by its rowid",
       {"INSERT OR REPLACE INTO subject_keys (rowid, key_id, tenant_id, subject, master_key_id, wrapped, created_at) "
        "SELECT rowid, randomblob(16), tenant_id, 'new', 'm', x'00', created_at FROM subject_keys WHERE subject = "
        "'subject-102'"}},
      {"UPDATE of hashes", {"UPDATE event_hashes SET link = content_hash"}},
      {"DELETE of hashes", {"DELETE FROM event_hashes"}},
      {"REPLACE of hashes", {"REPLACE INTO event_hashes SELECT global_position, link, content_hash FROM event_hashes"}},
      {"UPSERT of hashes",
       {"INSERT INTO event_hashes SELECT * FROM event_hashes WHERE true ON CONFLICT (global_position) DO UPDATE SET "
        "link = content_hash"}},
      {"UPDATE of seals", {"UPDATE log_seals SET seal_hash = zeroblob(32)"}},
      {"DELETE of seals", {"DELETE FROM log_seals"}},
      {"REPLACE of seals", {"REPLACE INTO log_seals SELECT * FROM log_seals"}},
  };
  // REPLACE fires DELETE triggers only when triggers are recursive, so everything is tried both ways.
  std::vector<RawScript> all = attacks;
  for (RawScript attack : attacks) {
    attack.name += ", recursive_triggers on";
    attack.statements[0] = "PRAGMA recursive_triggers = ON; " + attack.statements[0];
    all.push_back(std::move(attack));
  }
  return all;
}

std::vector<RawScript> SqliteFileHarness::corruptions() {
  return {
      without_trigger("a version skipped", "events_no_update",
                      "UPDATE events SET stream_version = stream_version + 10 WHERE global_position = "
                      "(SELECT max(global_position) FROM events)"),
      without_trigger("a recorded time that is no time", "events_no_update",
                      "PRAGMA ignore_check_constraints = ON; "
                      "UPDATE events SET recorded_at = 9223372036854775807 WHERE global_position = 3"),
      {"a trigger that is not Stele's",
       {"CREATE TRIGGER helpful AFTER INSERT ON events BEGIN UPDATE sqlite_sequence SET seq = seq + 1; END"}},
      without_trigger("an event deleted in the middle of its stream", "events_no_delete",
                      "DELETE FROM events WHERE global_position = 3"),
      without_trigger("the last event deleted", "events_no_delete",
                      "DELETE FROM events WHERE global_position = (SELECT max(global_position) FROM events)"),
      without_trigger("two versions exchanged", "events_no_update",
                      "UPDATE events SET stream_version = stream_version + 1000 WHERE global_position IN (1, 2); "
                      "UPDATE events SET stream_version = 1003 - stream_version WHERE global_position IN (1, 2)"),
      without_trigger("a recorded time that falls", "events_no_update",
                      "UPDATE events SET recorded_at = recorded_at - 1000000 WHERE global_position = 5"),
      without_trigger("an event in a stream that does not exist", "events_no_update",
                      "UPDATE events SET stream_no = 9999 WHERE global_position = 2"),
      without_trigger("an event of another tenant than its stream", "events_no_update",
                      "UPDATE events SET tenant_no = tenant_no + 1 WHERE global_position = 4"),
      without_trigger("an event without its command", "events_no_update",
                      "UPDATE events SET command_no = NULL WHERE global_position = 1"),
      without_trigger("a payload with U+0000", "events_no_update",
                      "UPDATE events SET data = '{\"a\":\"\\u0000\"}' WHERE global_position = 2"),
      without_trigger("a payload that is no JSON", "events_no_update",
                      "PRAGMA ignore_check_constraints = ON; "
                      "UPDATE events SET data = '{\"a\":' WHERE global_position = 2"),
      without_trigger("an event id of another length", "events_no_update",
                      "PRAGMA ignore_check_constraints = ON; "
                      "UPDATE events SET event_id = x'0102' WHERE global_position = 2"),
      without_trigger("an attribute deleted", "event_attributes_no_delete",
                      "DELETE FROM event_attributes WHERE global_position = "
                      "(SELECT min(global_position) FROM event_attributes)"),
      without_trigger("an attribute of no event", "event_attributes_no_update",
                      "UPDATE event_attributes SET global_position = 999999 WHERE global_position = "
                      "(SELECT min(global_position) FROM event_attributes)"),
      without_trigger("a command deleted", "commands_no_delete",
                      "DELETE FROM commands WHERE command_no = (SELECT min(command_no) FROM commands)"),
      without_trigger("a command with another outcome", "commands_no_update",
                      "UPDATE commands SET outcome = '[]' WHERE command_no = (SELECT min(command_no) FROM commands)"),
      without_trigger("a command whose outcome cannot be read", "commands_no_update",
                      "UPDATE commands SET outcome = '{}' WHERE command_no = (SELECT min(command_no) FROM commands)"),
      without_trigger("a stream made younger", "streams_only_forwards",
                      "UPDATE streams SET created_at = created_at - 1"),
      without_trigger("a stream deleted", "streams_no_delete",
                      "DELETE FROM streams WHERE stream_no = (SELECT min(stream_no) FROM streams)"),
      {"a stream's head that runs ahead", {"UPDATE streams SET version = version + 1"}},
      {"positions that would be given again", {"UPDATE sqlite_sequence SET seq = 1 WHERE name = 'events'"}},
      {"a trigger dropped", {"DROP TRIGGER events_no_delete"}},
      {"a trigger of governance dropped", {"DROP TRIGGER subject_keys_only_forwards"}},
      {"a trigger that does nothing",
       {"DROP TRIGGER events_no_update",
        "CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT 1; END"}},
      {"an index dropped", {"DROP INDEX events_event_id"}},
      {"a table dropped", {"DROP TABLE event_attributes"}},
  };
}

std::vector<RawScript> SqliteFileHarness::forgeries() {
  return {
      without_trigger("a byte flipped", "events_no_update",
                      "UPDATE events SET data = '{\"n\":7}' WHERE global_position = 3"),
      without_trigger("a time changed", "events_no_update",
                      "UPDATE events SET recorded_at = recorded_at + 1 WHERE global_position = 3"),
      without_trigger("a row deleted", "events_no_delete", "DELETE FROM events WHERE global_position = 3"),
      without_trigger("two exchanged", "events_no_update",
                      "UPDATE events SET stream_version = stream_version + 1000 WHERE global_position IN (2, 4); "
                      "UPDATE events SET stream_version = 1006 - stream_version WHERE global_position IN (2, 4)"),
      without_trigger("the last row deleted", "events_no_delete", "DELETE FROM events WHERE global_position = 9"),
      {"an event inserted",
       {"INSERT INTO events (global_position, stream_version, event_id, stream_no, tenant_no, stream_type_no, "
        "event_type_no, occurred_at, recorded_at, data) SELECT 10, 7, randomblob(16), stream_no, tenant_no, "
        "stream_type_no, event_type_no, occurred_at, recorded_at, data FROM events WHERE global_position = 21"}},
  };
}

std::unique_ptr<driver::Driver> SqliteFileHarness::open_unmigrated() {
  return open_url("sqlite://" + directory_.file("unmigrated.db").string() + busy_timeout, false);
}

void SqliteFileHarness::hold_write_lock(const std::function<void()>& body) {
  SqliteConnection other(directory_.file("store.db"));
  std::string error = other.execute(
      "BEGIN IMMEDIATE; INSERT INTO sqlite_sequence (name, seq) SELECT 'other', 0; "
      "UPDATE sqlite_sequence SET seq = seq + 1");
  if (!error.empty()) throw std::runtime_error("the write lock could not be taken: " + error);
  body();
  error = other.execute("ROLLBACK");
  if (!error.empty()) throw std::runtime_error("the write lock could not be given back: " + error);
}

void SqliteFileHarness::skip_positions_to(Position position) {
  open();  // Makes the tables.
  const std::string error =
      raw_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', " + std::to_string(position.value()) + ")");
  if (!error.empty()) throw std::runtime_error("positions could not be skipped: " + error);
}

Counters& SqliteFileHarness::counters() {
  if (!counters_) {
    counters_ = std::make_unique<SociCounters>(
        open(), [this](const std::string& sql) { return SqliteConnection(directory_.file("store.db")).rows(sql); });
  }
  return *counters_;
}

std::unique_ptr<driver::Driver> SqliteMemoryHarness::open() {
  if (!driver_) driver_ = open_url("sqlite::memory:", true);
  return share(driver_);
}

std::unique_ptr<driver::Driver> SqliteMemoryHarness::open_unmigrated() {
  if (!unmigrated_) unmigrated_ = open_url("sqlite::memory:", false);
  return share(unmigrated_);
}

Counters& SqliteMemoryHarness::counters() {
  if (!counters_) counters_ = std::make_unique<SociCounters>(open());
  return *counters_;
}

}  // namespace stele::testing
