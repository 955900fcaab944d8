#include "mssql_harness.h"

#include "soci_counters.h"
#include "stele/migrate.h"
#include "stele/mssql.h"
#include "stele/registry.h"

namespace stele::testing {
namespace {

// Long enough for a loaded machine, short enough that a test can wait for it to run out. Babelfish needs seconds to
// warm up a connection.
// Long, as threads may wait for each other on a machine that has other work; a case that waits it out waits twice.
constexpr const char* settings = "busy_timeout=20s";

std::unique_ptr<driver::Driver> open_url(const std::string& url) {
  Registry registry;
  mssql::register_driver(registry);
  return registry.open(Url::parse(url), {});
}

bool on_babelfish() {
  static const bool answer = MssqlConnection().is_babelfish();
  return answer;
}

/// Damage behind a trigger's back: it is as before afterwards, so that verify has to notice the rows. References are
/// not checked meanwhile; Babelfish cannot do that, and the one that is in the way is dropped there.
RawScript without_trigger(const std::string& name, const std::string& table, const std::string& damage,
                          const std::string& reference_of = {}, const std::string& reference = {}) {
  const std::string all = "$(schema)." + table;
  RawScript script{name, {}};
  if (on_babelfish()) {
    std::vector<std::string> triggers = {table + "_append_only"};
    if (table == "streams") triggers = {"streams_no_delete", "streams_only_forwards"};
    for (const std::string& trigger : triggers) {
      script.statements.push_back("DISABLE TRIGGER $(schema)." + trigger + " ON " + all);
    }
    if (!reference.empty()) {
      script.statements.push_back("ALTER TABLE $(schema)." + reference_of + " DROP CONSTRAINT " + reference);
    }
    script.statements.push_back(damage);
    for (const std::string& trigger : triggers) {
      script.statements.push_back("ENABLE TRIGGER $(schema)." + trigger + " ON " + all);
    }
    return script;
  }
  if (!reference.empty()) {
    script.statements.push_back("ALTER TABLE $(schema)." + reference_of + " NOCHECK CONSTRAINT " + reference);
  }
  script.statements.push_back("DISABLE TRIGGER ALL ON " + all);
  script.statements.push_back(damage);
  script.statements.push_back("ENABLE TRIGGER ALL ON " + all);
  if (!reference.empty()) {
    script.statements.push_back("ALTER TABLE $(schema)." + reference_of + " WITH NOCHECK CHECK CONSTRAINT " +
                                reference);
  }
  return script;
}

}  // namespace

std::unique_ptr<driver::Driver> MssqlHarness::open() {
  std::unique_ptr<driver::Driver> driver = open_url(schema_.url(settings));
  Migrator(*driver->migrations()).up();
  return driver;
}

std::set<Capability> MssqlHarness::capabilities() const {
  return {Capability::durable,    Capability::raw_sql,   Capability::corruption,  Capability::migrations,
          Capability::write_lock, Capability::positions, Capability::read_models, Capability::governance};
}

std::string MssqlHarness::raw_sql(const std::string& statement) {
  return MssqlConnection().execute(schema_.in(statement));
}

std::vector<RawScript> MssqlHarness::immutability_attacks() {
  const std::string columns =
      "stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, "
      "recorded_at, "
      "redaction_level, contains_secrets, attribute_count, data";
  return {
      {"UPDATE of events", {"UPDATE $(schema).events SET data = N'{\"changed\":true}'"}},
      {"UPDATE of one event",
       {"UPDATE $(schema).events SET recorded_at = DATEADD(second, 1, recorded_at) WHERE global_position = 1"}},
      {"UPDATE of no event", {"UPDATE $(schema).events SET event_version = 7 WHERE 1 = 0"}},
      {"UPDATE of events from another table",
       {"UPDATE e SET stream_version = 100 FROM $(schema).events AS e JOIN $(schema).streams AS s ON s.stream_no = "
        "e.stream_no"}},
      {"UPDATE with OUTPUT", {"UPDATE $(schema).events SET contains_secrets = 1 OUTPUT inserted.global_position"}},
      {"UPDATE through a view", {"UPDATE $(schema).event_log SET event_type = N'Changed'"}},
      {"DELETE of all events", {"DELETE FROM $(schema).events"}},
      {"DELETE of one event",
       {"DELETE FROM $(schema).events WHERE global_position = (SELECT MAX(global_position) FROM $(schema).events)"}},
      {"DELETE with attributes", {"DELETE FROM $(schema).event_attributes; DELETE FROM $(schema).events"}},
      {"DELETE that catches the error",
       {"SET XACT_ABORT OFF; BEGIN TRY DELETE FROM $(schema).events END TRY BEGIN CATCH COMMIT END CATCH"}},
      {"MERGE that updates events",
       {"MERGE INTO $(schema).events AS e USING $(schema).streams AS s ON s.stream_no = e.stream_no "
        "WHEN MATCHED THEN UPDATE SET event_version = 7;"}},
      {"MERGE that deletes events",
       {"MERGE INTO $(schema).events AS e USING $(schema).streams AS s ON s.stream_no = e.stream_no "
        "WHEN MATCHED THEN DELETE;"}},
      {"TRUNCATE of events", {"TRUNCATE TABLE $(schema).events"}},
      {"TRUNCATE of streams", {"TRUNCATE TABLE $(schema).streams"}},
      {"TRUNCATE behind the guard's back",
       {"TRUNCATE TABLE $(schema).truncate_guard; TRUNCATE TABLE $(schema).event_attributes"}},
      {"a row of the guard",
       {"INSERT INTO $(schema).truncate_guard SELECT TOP (1) a.global_position, a.name, a.name_bytes, c.command_no, "
        "s.stream_no FROM $(schema).event_attributes AS a CROSS JOIN $(schema).commands AS c CROSS JOIN "
        "$(schema).streams AS s"}},
      {"INSERT of an event past its stream's head",
       {"INSERT INTO $(schema).events (" + columns +
        ") SELECT TOP (1) stream_no, stream_version + 1000, tenant_id, stream_type, NEWID(), event_type, "
        "event_version, "
        "occurred_at, recorded_at, redaction_level, contains_secrets, 0, data FROM $(schema).events"}},
      {"INSERT of an event in another's place",
       {"INSERT INTO $(schema).events (" + columns +
        ") SELECT TOP (1) stream_no, stream_version, tenant_id, stream_type, NEWID(), event_type, event_version, "
        "occurred_at, recorded_at, redaction_level, contains_secrets, 0, data FROM $(schema).events"}},
      {"UPDATE of attributes", {"UPDATE $(schema).event_attributes SET value = N'changed'"}},
      {"DELETE of attributes", {"DELETE FROM $(schema).event_attributes"}},
      {"TRUNCATE of attributes", {"TRUNCATE TABLE $(schema).event_attributes"}},
      {"INSERT of one more attribute of a stored event",
       {"INSERT INTO $(schema).event_attributes (global_position, name, name_bytes, value) SELECT TOP (1) "
        "global_position, N'one-more', 8, N'added' FROM $(schema).event_attributes"}},
      {"UPDATE of commands", {"UPDATE $(schema).commands SET outcome = N'[]'"}},
      {"DELETE of commands", {"DELETE FROM $(schema).commands"}},
      {"TRUNCATE of commands", {"TRUNCATE TABLE $(schema).commands"}},
      {"a stream's head moved back", {"UPDATE $(schema).streams SET version = version - 1"}},
      {"a stream renamed", {"UPDATE $(schema).streams SET stream_id = stream_id + N'-x', version = version + 1"}},
      {"a stream with another key",
       {"UPDATE $(schema).streams SET stream_key = stream_key + 0x2D78, version = version + 1"}},
      {"DELETE of streams", {"DELETE FROM $(schema).streams"}},
      {"UPDATE of schemas", {"UPDATE $(schema).event_schemas SET schema_text = N'{\"changed\":true}'"}},
      {"DELETE of schemas in use", {"DELETE FROM $(schema).event_schemas"}},
      {"TRUNCATE of schemas", {"TRUNCATE TABLE $(schema).event_schemas"}},
      {"DELETE of rules", {"DELETE FROM $(schema).event_type_rules"}},
      {"TRUNCATE of rules", {"TRUNCATE TABLE $(schema).event_type_rules"}},
      {"UPDATE of rules that tells nobody", {"UPDATE $(schema).event_type_rules SET schema_mode = N'off'"}},
      {"UPDATE of rules' type",
       {"UPDATE $(schema).event_type_rules SET type_key = type_key + 0x2D78, revision = revision + 1"}},
      {"DELETE of subject keys", {"DELETE FROM $(schema).subject_keys"}},
      {"TRUNCATE of subject keys", {"TRUNCATE TABLE $(schema).subject_keys"}},
      {"a subject key of another subject",
       {"UPDATE $(schema).subject_keys SET subject = subject + N'-x', subject_key = subject_key + 0x2D78 WHERE subject "
        "IS NOT NULL"}},
      {"a subject key of another tenant",
       {"UPDATE $(schema).subject_keys SET tenant_id = N'another', tenant_key = 0x61"}},
      {"a subject key that is still good without its subject",
       {"UPDATE $(schema).subject_keys SET subject = NULL, subject_key = NULL WHERE destroyed_at IS NULL"}},
      {"a subject key that is still good without its bytes",
       {"UPDATE $(schema).subject_keys SET wrapped = NULL, master_key_id = NULL WHERE destroyed_at IS NULL"}},
      {"a forgotten subject remembered",
       {"UPDATE $(schema).subject_keys SET subject = N'again', subject_key = 0x61 WHERE subject IS NULL"}},
      {"a subject key's time moved",
       {"UPDATE $(schema).subject_keys SET created_at = DATEADD(second, -1, created_at)"}},
      {"a destroyed key given bytes again",
       {"UPDATE $(schema).subject_keys SET wrapped = 0x00, master_key_id = N'm', destroyed_at = NULL WHERE subject = "
        "N'subject-102'"}},
      {"a destroyed key's time moved",
       {"UPDATE $(schema).subject_keys SET destroyed_at = DATEADD(second, -1, destroyed_at) WHERE destroyed_at IS NOT "
        "NULL"}},
      {"a subject key with another id", {"UPDATE $(schema).subject_keys SET key_id = NEWID()"}},
      {"UPDATE of hashes", {"UPDATE $(schema).event_hashes SET link = content_hash"}},
      {"DELETE of hashes", {"DELETE FROM $(schema).event_hashes"}},
      {"TRUNCATE of hashes", {"TRUNCATE TABLE $(schema).event_hashes"}},
      {"UPDATE of seals", {"UPDATE $(schema).log_seals SET seal_hash = root"}},
      {"DELETE of seals", {"DELETE FROM $(schema).log_seals"}},
      {"TRUNCATE of seals", {"TRUNCATE TABLE $(schema).log_seals"}},
  };
}

std::vector<RawScript> MssqlHarness::forgeries() {
  const std::string update = "UPDATE $(schema).events SET ";
  const std::string remove = "DELETE FROM $(schema).events WHERE global_position = ";
  return {
      without_trigger("a byte flipped", "events", update + "data = N'{\"n\":7}' WHERE global_position = 3"),
      without_trigger("a time changed", "events",
                      update + "recorded_at = DATEADD(microsecond, 1, recorded_at) WHERE global_position = 3"),
      without_trigger("a row deleted", "events", remove + "3", "event_attributes", "fk_attributes_event"),
      without_trigger("two exchanged", "events",
                      update + "stream_version = stream_version + 1000 WHERE global_position IN (2, 4); " + update +
                          "stream_version = 1006 - stream_version WHERE global_position IN (2, 4)"),
      without_trigger("the last row deleted", "events", remove + "9", "event_attributes", "fk_attributes_event"),
      {"an event inserted",
       {"DISABLE TRIGGER $(schema).events_no_stray ON $(schema).events",
        "SET IDENTITY_INSERT $(schema).events ON; INSERT INTO $(schema).events (global_position, stream_version, "
        "event_id, stream_no, tenant_id, stream_type, event_type, event_version, occurred_at, recorded_at, "
        "redaction_level, contains_secrets, attribute_count, data) SELECT 10, 7, NEWID(), stream_no, tenant_id, "
        "stream_type, event_type, event_version, occurred_at, recorded_at, redaction_level, contains_secrets, "
        "attribute_count, data FROM $(schema).events WHERE global_position = 21; "
        "SET IDENTITY_INSERT $(schema).events OFF",
        "ENABLE TRIGGER $(schema).events_no_stray ON $(schema).events"}},
  };
}

std::vector<RawScript> MssqlHarness::corruptions() {
  const std::string last = "(SELECT MAX(global_position) FROM $(schema).events)";
  std::vector<RawScript> scripts = {
      without_trigger(
          "a version skipped", "events",
          "UPDATE $(schema).events SET stream_version = stream_version + 10 WHERE global_position = " + last),
      without_trigger("an event deleted in the middle of its stream", "events",
                      "DELETE FROM $(schema).events WHERE global_position = 3", "event_attributes",
                      "fk_attributes_event"),
      without_trigger("the last event deleted", "events",
                      "DELETE FROM $(schema).events WHERE global_position = " + last, "event_attributes",
                      "fk_attributes_event"),
      without_trigger(
          "two versions exchanged", "events",
          "UPDATE $(schema).events SET stream_version = stream_version + 1000 WHERE global_position IN (1, 2); "
          "UPDATE $(schema).events SET stream_version = 1003 - stream_version WHERE global_position IN "
          "(1, 2)"),
      without_trigger(
          "a recorded time that falls", "events",
          "UPDATE $(schema).events SET recorded_at = DATEADD(second, -1, recorded_at) WHERE global_position = "
          "5"),
      without_trigger("an event in a stream that does not exist", "events",
                      "UPDATE $(schema).events SET stream_no = 9999 WHERE global_position = 2", "events",
                      "fk_events_stream"),
      without_trigger("an event of another tenant than its stream", "events",
                      "UPDATE $(schema).events SET tenant_id = tenant_id + N'-x' WHERE global_position = 4"),
      without_trigger("an event of another type than its stream, by a blank", "events",
                      "UPDATE $(schema).events SET stream_type = stream_type + N' ' WHERE global_position = 4"),
      without_trigger("an event without its command", "events",
                      "UPDATE $(schema).events SET command_id = NULL WHERE global_position = 1"),
      without_trigger("an event of a command that does not exist", "events",
                      "UPDATE $(schema).events SET command_id = NEWID() WHERE global_position = 1"),
      without_trigger("an attribute deleted", "event_attributes",
                      "DELETE FROM $(schema).event_attributes WHERE global_position = "
                      "(SELECT MIN(global_position) FROM $(schema).event_attributes)"),
      without_trigger("an attribute of no event", "event_attributes",
                      "UPDATE $(schema).event_attributes SET global_position = 999999 WHERE global_position = "
                      "(SELECT MIN(global_position) FROM $(schema).event_attributes)",
                      "event_attributes", "fk_attributes_event"),
      without_trigger("a command deleted", "commands",
                      "DELETE FROM $(schema).commands WHERE command_no = (SELECT MIN(command_no) FROM "
                      "$(schema).commands)"),
      without_trigger("a command with another outcome", "commands",
                      "UPDATE $(schema).commands SET outcome = N'[]' WHERE command_no = (SELECT MIN(command_no) FROM "
                      "$(schema).commands)"),
      without_trigger("a command whose outcome cannot be read", "commands",
                      "UPDATE $(schema).commands SET outcome = N'{}' WHERE command_no = (SELECT MIN(command_no) FROM "
                      "$(schema).commands)"),
      without_trigger("a stream made younger", "streams",
                      "UPDATE $(schema).streams SET created_at = DATEADD(second, -1, created_at)"),
      without_trigger("a stream deleted", "streams",
                      "DELETE FROM $(schema).streams WHERE stream_no = (SELECT MIN(stream_no) FROM $(schema).streams)",
                      "events", "fk_events_stream"),
      without_trigger("a stream whose text is not its key", "streams",
                      "UPDATE $(schema).streams SET stream_id = stream_id + N' ' WHERE stream_no = (SELECT "
                      "MIN(stream_no) FROM $(schema).streams)"),
      {"a stream's head that runs ahead", {"UPDATE $(schema).streams SET version = version + 1"}},
      {"positions that would be given again", {"DBCC CHECKIDENT ('$(schema_name).events', RESEED, 1)"}},
      {"a trigger that is not Stele's",
       {"CREATE TRIGGER $(schema).helpful ON $(schema).events AFTER INSERT AS BEGIN SET NOCOUNT ON; END"}},
      {"a trigger dropped", {"DROP TRIGGER $(schema).events_append_only"}},
      {"a trigger of governance dropped", {"DROP TRIGGER $(schema).subject_keys_only_forwards"}},
      {"a trigger switched off", {"DISABLE TRIGGER $(schema).events_append_only ON $(schema).events"}},
      {"a trigger that does nothing",
       {"DROP TRIGGER $(schema).events_append_only",
        "CREATE TRIGGER $(schema).events_append_only ON $(schema).events AFTER UPDATE, DELETE AS BEGIN SET NOCOUNT ON; "
        "END"}},
      {"a procedure that is not Stele's",
       {"DROP PROCEDURE $(schema).announce_positions",
        "CREATE PROCEDURE $(schema).announce_positions AS BEGIN SET NOCOUNT ON; END"}},
      {"a CHECK dropped", {"ALTER TABLE $(schema).events DROP CONSTRAINT ck_events"}},
      {"a reference dropped", {"ALTER TABLE $(schema).truncate_guard DROP CONSTRAINT fk_guard_events"}},
      {"an index dropped", {"DROP INDEX events_event_id ON $(schema).events"}},
      {"a table dropped", {"DROP TABLE $(schema).truncate_guard"}},
  };
  if (!on_babelfish()) {
    scripts.push_back({"a CHECK switched off", {"ALTER TABLE $(schema).events NOCHECK CONSTRAINT ck_events"}});
  }
  return scripts;
}

std::unique_ptr<driver::Driver> MssqlHarness::open_unmigrated() {
  return open_url(unmigrated_.url(settings));
}

std::string MssqlHarness::table_of_migration(const std::string& table) const {
  return "$(schema)." + table;
}

void MssqlHarness::hold_write_lock(const std::function<void()>& body) {
  // What every append shares just before it takes its position.
  MssqlConnection other;
  other.run(
      schema_.in("BEGIN TRANSACTION; DECLARE @name NVARCHAR(255); "
                 "SET @name = N'$(schema):range:' + CAST((SELECT (ISNULL(MAX(global_position), 0) + 1) / 256 FROM "
                 "$(schema).events) AS NVARCHAR(20)); "
                 "EXEC sp_getapplock @Resource = @name, @LockMode = N'Exclusive', @LockOwner = N'Transaction'"));
  body();
  other.run("ROLLBACK TRANSACTION");
}

Counters& MssqlHarness::counters() {
  if (!counters_) {
    counters_ =
        std::make_unique<SociCounters>(open(), SociCounters::Rows(), SociCounters::transact_sql(schema_.quoted()));
  }
  return *counters_;
}

void MssqlHarness::skip_positions_to(Position position) {
  open();  // Makes the tables.
  // A table that never had a row begins with the number itself.
  MssqlConnection().run("DBCC CHECKIDENT ('" + schema_.name() + ".events', RESEED, " +
                        std::to_string(position.value() + 1) + ")");
}

}  // namespace stele::testing
