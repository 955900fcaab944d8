#include "postgres_harness.h"

#include "soci_counters.h"
#include "stele/migrate.h"
#include "stele/postgres.h"
#include "stele/registry.h"

namespace stele::testing {
namespace {

// Long enough for a loaded machine, short enough that a test can wait for it to run out.
constexpr const char* settings = "busy_timeout=3s";

std::unique_ptr<driver::Driver> open_url(const std::string& url) {
  Registry registry;
  postgres::register_driver(registry);
  return registry.open(Url::parse(url), {});
}

/// Damage behind a trigger's back: it is as before afterwards, so that verify has to notice the rows. References are
/// not checked meanwhile.
RawScript without_trigger(const std::string& name, const std::string& table, const std::string& damage) {
  return {name,
          {"ALTER TABLE " + table + " DISABLE TRIGGER USER", "SET session_replication_role = replica; " + damage,
           "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = '" + table +
               "'::regclass AND NOT tgisinternal LOOP EXECUTE format('ALTER TABLE " + table +
               " ENABLE ALWAYS TRIGGER %I', t); END LOOP; END $$"}};
}

}  // namespace

std::unique_ptr<driver::Driver> PostgresHarness::open() {
  std::unique_ptr<driver::Driver> driver = open_url(schema_.url(settings));
  Migrator(*driver->migrations()).up();
  return driver;
}

std::set<Capability> PostgresHarness::capabilities() const {
  return {Capability::durable,    Capability::raw_sql,   Capability::corruption,  Capability::migrations,
          Capability::write_lock, Capability::positions, Capability::read_models, Capability::governance};
}

std::string PostgresHarness::raw_sql(const std::string& statement) {
  return schema_.connect().execute(statement);
}

std::vector<RawScript> PostgresHarness::immutability_attacks() {
  const std::string columns =
      "stream_no, stream_version, tenant_id, stream_type, event_id, event_type, occurred_at, recorded_at, data";
  const std::vector<RawScript> attacks = {
      {"UPDATE of events", {"UPDATE events SET data = '{\"changed\":true}'"}},
      {"UPDATE of one event",
       {"UPDATE events SET recorded_at = recorded_at + interval '1 s' WHERE global_position = 1"}},
      {"UPDATE of no event", {"UPDATE events SET event_version = 7 WHERE false"}},
      {"UPDATE of events from another table",
       {"UPDATE events SET stream_version = 100 FROM streams AS s WHERE s.stream_no = events.stream_no"}},
      {"UPDATE through a query that looks like a reading",
       {"WITH changed AS (UPDATE events SET contains_secrets = true RETURNING *) SELECT count(*) FROM changed"}},
      {"DELETE of all events", {"DELETE FROM events"}},
      {"DELETE of one event", {"DELETE FROM events WHERE global_position = (SELECT max(global_position) FROM events)"}},
      {"DELETE with attributes", {"DELETE FROM event_attributes; DELETE FROM events"}},
      {"MERGE that updates events",
       {"MERGE INTO events AS e USING streams AS s ON s.stream_no = e.stream_no "
        "WHEN MATCHED THEN UPDATE SET event_version = 7"}},
      {"MERGE that deletes events",
       {"MERGE INTO events AS e USING streams AS s ON s.stream_no = e.stream_no WHEN MATCHED THEN DELETE"}},
      {"TRUNCATE of events", {"TRUNCATE events"}},
      {"TRUNCATE of events with all that refers to them", {"TRUNCATE events CASCADE"}},
      {"TRUNCATE of streams with all that refers to them", {"TRUNCATE streams RESTART IDENTITY CASCADE"}},
      {"TRUNCATE of everything at once", {"TRUNCATE events, streams, commands, event_attributes CASCADE"}},
      {"UPSERT of an event by its id",
       {"INSERT INTO events (" + columns + ") SELECT " + columns +
        " FROM events LIMIT 1 ON CONFLICT (event_id) DO UPDATE SET data = '{\"changed\":true}'"}},
      {"UPSERT of an event by its position",
       {"INSERT INTO events OVERRIDING SYSTEM VALUE SELECT * FROM events LIMIT 1 "
        "ON CONFLICT (global_position) DO UPDATE SET event_version = 7"}},
      {"INSERT of an event past its stream's head",
       {"INSERT INTO events (" + columns +
        ") SELECT stream_no, stream_version + 1000, tenant_id, stream_type, gen_random_uuid(), event_type, "
        "occurred_at, "
        "recorded_at, data FROM events LIMIT 1"}},
      {"UPDATE of attributes", {"UPDATE event_attributes SET value = 'changed'"}},
      {"DELETE of attributes", {"DELETE FROM event_attributes"}},
      {"TRUNCATE of attributes", {"TRUNCATE event_attributes"}},
      {"INSERT of one more attribute of a stored event",
       {"INSERT INTO event_attributes SELECT global_position, 'one-more', 'added' FROM event_attributes LIMIT 1"}},
      {"UPDATE of commands", {"UPDATE commands SET outcome = '[]'"}},
      {"DELETE of commands", {"DELETE FROM commands"}},
      {"TRUNCATE of commands", {"TRUNCATE commands CASCADE"}},
      {"UPSERT of a command",
       {"INSERT INTO commands OVERRIDING SYSTEM VALUE SELECT * FROM commands LIMIT 1 "
        "ON CONFLICT (command_id) DO UPDATE SET outcome = '[]'"}},
      {"a stream's head moved back", {"UPDATE streams SET version = version - 1"}},
      {"a stream renamed", {"UPDATE streams SET stream_id = stream_id || '-x', version = version + 1"}},
      {"DELETE of streams", {"DELETE FROM streams"}},
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
      {"TRUNCATE of schemas", {"TRUNCATE event_schemas"}},
      {"TRUNCATE of rules", {"TRUNCATE event_type_rules"}},
      {"UPSERT of rules",
       {"INSERT INTO event_type_rules SELECT * FROM event_type_rules ON CONFLICT (tenant_id, event_type) DO UPDATE SET "
        "schema_mode = 'off'"}},
      {"TRUNCATE of subject keys", {"TRUNCATE subject_keys"}},
      {"a subject key's time moved", {"UPDATE subject_keys SET created_at = created_at - interval '1 s'"}},
      {"a destroyed key given bytes again",
       {"UPDATE subject_keys SET wrapped = '\\x00', master_key_id = 'm', destroyed_at = NULL WHERE subject = "
        "'subject-102'"}},
      {"a destroyed key's time moved",
       {"UPDATE subject_keys SET destroyed_at = destroyed_at - interval '1 s' WHERE destroyed_at IS NOT NULL"}},
      {"a subject key with another id", {"UPDATE subject_keys SET key_id = gen_random_uuid()"}},
      {"UPDATE of hashes", {"UPDATE event_hashes SET link = content_hash"}},
      {"DELETE of hashes", {"DELETE FROM event_hashes"}},
      {"TRUNCATE of hashes", {"TRUNCATE event_hashes"}},
      {"UPSERT of hashes",
       {"INSERT INTO event_hashes SELECT * FROM event_hashes ON CONFLICT (global_position) DO UPDATE SET link = "
        "excluded.content_hash"}},
      {"UPDATE of seals", {"UPDATE log_seals SET seal_hash = root"}},
      {"DELETE of seals", {"DELETE FROM log_seals"}},
      {"TRUNCATE of seals", {"TRUNCATE log_seals"}},
  };
  std::vector<RawScript> all = attacks;
  for (RawScript attack : attacks) {
    attack.name += ", as a replica";
    attack.statements[0] = "SET session_replication_role = replica; " + attack.statements[0];
    all.push_back(std::move(attack));
  }
  return all;
}

std::vector<RawScript> PostgresHarness::corruptions() {
  return {
      without_trigger("a version skipped", "events",
                      "UPDATE events SET stream_version = stream_version + 10 WHERE global_position = "
                      "(SELECT max(global_position) FROM events)"),
      without_trigger("an event deleted in the middle of its stream", "events",
                      "DELETE FROM events WHERE global_position = 3"),
      without_trigger("the last event deleted", "events",
                      "DELETE FROM events WHERE global_position = (SELECT max(global_position) FROM events)"),
      without_trigger("two versions exchanged", "events",
                      "UPDATE events SET stream_version = stream_version + 1000 WHERE global_position IN (1, 2); "
                      "UPDATE events SET stream_version = 1003 - stream_version WHERE global_position IN (1, 2)"),
      without_trigger("a recorded time that falls", "events",
                      "UPDATE events SET recorded_at = recorded_at - interval '1 s' WHERE global_position = 5"),
      without_trigger("an event in a stream that does not exist", "events",
                      "UPDATE events SET stream_no = 9999 WHERE global_position = 2"),
      without_trigger("an event of another tenant than its stream", "events",
                      "UPDATE events SET tenant_id = tenant_id || '-x' WHERE global_position = 4"),
      without_trigger("an event without its command", "events",
                      "UPDATE events SET command_no = NULL WHERE global_position = 1"),
      without_trigger("an event of a command that does not exist", "events",
                      "UPDATE events SET command_no = 9999 WHERE global_position = 1"),
      without_trigger("an attribute deleted", "event_attributes",
                      "DELETE FROM event_attributes WHERE global_position = "
                      "(SELECT min(global_position) FROM event_attributes)"),
      without_trigger("an attribute of no event", "event_attributes",
                      "UPDATE event_attributes SET global_position = 999999 WHERE global_position = "
                      "(SELECT min(global_position) FROM event_attributes)"),
      without_trigger("a command deleted", "commands",
                      "DELETE FROM commands WHERE command_no = (SELECT min(command_no) FROM commands)"),
      without_trigger("a command with another outcome", "commands",
                      "UPDATE commands SET outcome = '[]' WHERE command_no = (SELECT min(command_no) FROM commands)"),
      without_trigger("a command whose outcome cannot be read", "commands",
                      "UPDATE commands SET outcome = '{}' WHERE command_no = (SELECT min(command_no) FROM commands)"),
      without_trigger("a stream made younger", "streams",
                      "UPDATE streams SET created_at = created_at - interval '1 s'"),
      without_trigger("a stream deleted", "streams",
                      "DELETE FROM streams WHERE stream_no = (SELECT min(stream_no) FROM streams)"),
      {"a stream's head that runs ahead", {"UPDATE streams SET version = version + 1"}},
      {"positions that would be given again", {"SELECT setval('events_global_position_seq', 1)"}},
      {"a trigger that is not Stele's",
       {"CREATE FUNCTION helpful() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER helpful BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION helpful()"}},
      {"a trigger dropped", {"DROP TRIGGER events_append_only ON events"}},
      {"a trigger of governance dropped", {"DROP TRIGGER subject_keys_only_forwards ON subject_keys"}},
      {"a trigger switched off", {"ALTER TABLE events DISABLE TRIGGER events_append_only"}},
      {"a trigger that replicas pass by", {"ALTER TABLE commands ENABLE TRIGGER commands_append_only"}},
      {"a trigger that does nothing",
       {"CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"}},
      {"an append function that is not Stele's", {"ALTER FUNCTION append SECURITY INVOKER"}},
      {"a CHECK dropped", {"ALTER TABLE events DROP CONSTRAINT events_check"}},
      {"a domain's CHECK dropped", {"ALTER DOMAIN actor_kind DROP CONSTRAINT actor_kind_check"}},
      {"a reference dropped", {"ALTER TABLE events DROP CONSTRAINT events_command_no_fkey"}},
      {"an index dropped", {"DROP INDEX events_event_id"}},
      {"a table dropped", {"DROP TABLE event_attributes CASCADE"}},
  };
}

std::vector<RawScript> PostgresHarness::forgeries() {
  return {
      without_trigger("a byte flipped", "events", "UPDATE events SET data = '{\"n\":7}' WHERE global_position = 3"),
      without_trigger(
          "a time changed", "events",
          "UPDATE events SET recorded_at = recorded_at + interval '1 microsecond' WHERE global_position = 3"),
      without_trigger("a row deleted", "events", "DELETE FROM events WHERE global_position = 3"),
      without_trigger("two exchanged", "events",
                      "UPDATE events SET stream_version = stream_version + 1000 WHERE global_position IN (2, 4); "
                      "UPDATE events SET stream_version = 1006 - stream_version WHERE global_position IN (2, 4)"),
      without_trigger("the last row deleted", "events", "DELETE FROM events WHERE global_position = 9"),
      without_trigger("an event inserted", "events",
                      "INSERT INTO events OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(e, jsonb_build_object("
                      "'global_position', 10, 'stream_version', 7, 'event_id', gen_random_uuid()))).* "
                      "FROM events AS e WHERE global_position = 21"),
  };
}

std::unique_ptr<driver::Driver> PostgresHarness::open_unmigrated() {
  return open_url(unmigrated_.url(settings));
}

void PostgresHarness::hold_write_lock(const std::function<void()>& body) {
  PostgresConnection other = schema_.connect();
  other.run("BEGIN; LOCK TABLE streams IN SHARE ROW EXCLUSIVE MODE");
  body();
  other.run("ROLLBACK");
}

Counters& PostgresHarness::counters() {
  if (!counters_) counters_ = std::make_unique<SociCounters>(open());
  return *counters_;
}

void PostgresHarness::skip_positions_to(Position position) {
  open();  // Makes the tables.
  schema_.connect().run("SELECT setval('events_global_position_seq', " + std::to_string(position.value()) + ")");
}

}  // namespace stele::testing
