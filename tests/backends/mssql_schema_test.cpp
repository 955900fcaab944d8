// migrations/mssql/schema.sql shows what the migrations make. STELE_UPDATE_SCHEMA=1 writes it anew: on Babelfish, whose
// way to spell types, defaults and checks the file has; another server's is compared by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "mssql_server.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "stele/mssql.h"
#include "stele/registry.h"

namespace stele::testing {
namespace {

std::string read_file(const std::string& name) {
  std::ifstream in(name, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

constexpr const char* header =
    "-- The schema that the migrations make, for reading and for comparison; made by the test of it. Not a script.\n\n";

/// The lines that only one of two dumps has; empty when they are equal.
std::string difference(const std::string& before, const std::string& after) {
  std::map<std::string, int> count;
  for (const auto& [text, step] : {std::pair(&before, -1), {&after, 1}}) {
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) count[line] += step;
  }
  std::string different = before == after || before.size() != after.size() ? "" : "(order) ";
  for (const auto& [line, more] : count) {
    if (more != 0) different += (more < 0 ? "- " : "+ ") + line + "\n";
  }
  return before == after ? "" : different + "(different)";
}

class MssqlSchemas : public ::testing::Test {
 protected:
  void SetUp() override {
    if (mssql_url().empty()) GTEST_SKIP() << no_mssql;
    schema_ = std::make_unique<MssqlSchema>();
    driver_ = open(*schema_);
    Migrator(*driver_->migrations()).up();
    bare_ = std::make_unique<MssqlConnection>();
  }

  static std::unique_ptr<driver::Driver> open(const MssqlSchema& schema) {
    Registry registry;
    mssql::register_driver(registry);
    return registry.open(Url::parse(schema.url()), {});
  }
  std::string dump() { return driver_->migrations()->dump_schema(); }
  void run(const std::string& sql) { bare_->run(schema_->in(sql)); }
  /// What is left in the schema but for the history.
  std::string objects_left() {
    return bare_->value("SELECT COUNT(*) FROM sys.objects WHERE schema_id = SCHEMA_ID(N'" + schema_->name() +
                        "') AND type IN ('U', 'V', 'P', 'TR', 'FN', 'SO') AND name NOT LIKE '%stele_migrations%'");
  }

  std::unique_ptr<MssqlSchema> schema_;
  std::unique_ptr<driver::Driver> driver_;
  std::unique_ptr<MssqlConnection> bare_;
};

TEST_F(MssqlSchemas, FileIsWhatTheMigrationsMake) {
  if (!bare_->is_babelfish()) GTEST_SKIP() << "the file has Babelfish's way to spell types and checks";
  std::string schema = header + dump();
  while (schema.ends_with("\n\n")) schema.pop_back();
  if (const char* update = std::getenv("STELE_UPDATE_SCHEMA"); update != nullptr && std::string(update) == "1") {
    std::ofstream(STELE_MSSQL_SCHEMA, std::ios::binary) << schema;
  }
  EXPECT_EQ(read_file(STELE_MSSQL_SCHEMA), schema)
      << "run this test with STELE_UPDATE_SCHEMA=1 and look at the difference";
}

TEST_F(MssqlSchemas, NamesOfSchemasMakeNoDifference) {
  const std::string expected = dump();
  const std::string process = schema_->name();
  for (const std::string& name :
       {std::string("We\"ird [schema] ") + process, std::string("SELECT"), "\xC3\x89t\xC3\xA9 100% $ \\ " + process,
        process + std::string(100 - process.size(), 'l'), std::string("7")}) {
    if (bare_->is_babelfish() && (name.size() > 63 || name.find_first_of("[]\"") != std::string::npos)) continue;
    // There, sys.sql_modules has no definitions in a schema of any other name.
    const bool plain = !bare_->is_babelfish() || std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    const MssqlSchema other(name);
    const auto driver = open(other);
    Migrator(*driver->migrations()).up();
    EXPECT_EQ(plain ? difference(expected, driver->migrations()->dump_schema()) : "", "") << name;
    EventStore store(open(other));
    NewEvent event;
    event.type = "Happened";
    EXPECT_EQ(store.append(StreamKey("thing", "a"), ExpectedVersion::no_stream(), {event}).status,
              AppendStatus::appended)
        << name;
    EXPECT_NE(store.read_log().next(), nullptr) << name;
    const VerifyReport report = store.verify();
    EXPECT_TRUE(report.ok() || !plain) << name << ": " << report.violations.front().where << " "
                                       << report.violations.front().what;
    Migrator(*driver->migrations()).down({.to = 0, .allow_data_loss = true});
    EXPECT_EQ(driver->migrations()->dump_schema(), "") << name;
  }
}

// A procedure that has fewer parameters than the program gives it is an older schema's, and nothing is written.
TEST_F(MssqlSchemas, AnOpenStoreIsToldThatItsSchemaWasTakenBack) {
  EventStore store(open(*schema_));
  NewEvent event;
  event.type = "Happened";
  store.append(StreamKey("thing", "a"), ExpectedVersion::no_stream(), {event}).or_throw();
  Migrator(*driver_->migrations()).down({.to = 8});
  for (const char* id : {"a", "new"}) {
    try {
      store.append(StreamKey("thing", id), ExpectedVersion::any(), {event});
      ADD_FAILURE() << id;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::schema_outdated) << error.native_code() << " " << error.what();
    }
  }
  Migrator(*driver_->migrations()).up();
  EXPECT_EQ(store.append(StreamKey("thing", "a"), ExpectedVersion::any(), {event}).streams.front().last_version,
            Version(2));
  EXPECT_EQ(store.append(StreamKey("thing", "new"), ExpectedVersion::any(), {event}).streams.front().last_version,
            Version(1));
  EXPECT_TRUE(store.verify().ok());
}

// Whatever is changed, the dump shows, and verify where it is Stele's own.
TEST_F(MssqlSchemas, DriftShows) {
  struct Change {
    std::string change;
    std::string back;
    bool own = true;  // Of Stele's own objects; people may add their tables, views and indexes.
  };
  const std::string before = dump();
  std::vector<Change> changes = {
      {"CREATE INDEX mine ON $(schema).events (actor_id)", "DROP INDEX mine ON $(schema).events", false},
      {"CREATE VIEW $(schema).mine AS SELECT 1 AS one", "DROP VIEW $(schema).mine", false},
      {"CREATE TABLE $(schema).mine (a INT)", "DROP TABLE $(schema).mine", false},
      {"ALTER TABLE $(schema).streams ADD CONSTRAINT mine CHECK (version < 1000)",
       "ALTER TABLE $(schema).streams DROP CONSTRAINT mine", false},
      {"DISABLE TRIGGER $(schema).events_append_only ON $(schema).events",
       "ENABLE TRIGGER $(schema).events_append_only ON $(schema).events"},
      {"DROP INDEX events_type ON $(schema).events",
       "CREATE INDEX events_type ON $(schema).events (event_type, global_position)"},
      {"DROP INDEX events_type ON $(schema).events; CREATE INDEX events_type ON $(schema).events (event_type)",
       "DROP INDEX events_type ON $(schema).events; "
       "CREATE INDEX events_type ON $(schema).events (event_type, global_position)"},
      {"DROP INDEX events_stream ON $(schema).events; "
       "CREATE INDEX events_stream ON $(schema).events (stream_no, stream_version)",
       "DROP INDEX events_stream ON $(schema).events; "
       "CREATE UNIQUE INDEX events_stream ON $(schema).events (stream_no, stream_version)"},
      {"ALTER TABLE $(schema).truncate_guard DROP CONSTRAINT fk_guard_commands",
       "ALTER TABLE $(schema).truncate_guard ADD CONSTRAINT fk_guard_commands FOREIGN KEY (command_no) REFERENCES "
       "$(schema).commands (command_no)"},
      {"ALTER TABLE $(schema).event_attributes DROP CONSTRAINT ck_event_attributes",
       "ALTER TABLE $(schema).event_attributes ADD CONSTRAINT ck_event_attributes CHECK (name_bytes BETWEEN 1 AND 64 "
       "AND DATALENGTH(name) > 0 AND DATALENGTH(value) > 0)"},
  };
  if (!bare_->is_babelfish()) {
    // There, to drop a column drops the table's triggers as well.
    changes.push_back({"ALTER TABLE $(schema).events ADD mine INT", "ALTER TABLE $(schema).events DROP COLUMN mine"});
    changes.push_back({"ALTER TABLE $(schema).events NOCHECK CONSTRAINT ck_events",
                       "ALTER TABLE $(schema).events WITH CHECK CHECK CONSTRAINT ck_events"});
    changes.push_back(
        {"ALTER INDEX events_type ON $(schema).events DISABLE", "ALTER INDEX events_type ON $(schema).events REBUILD"});
    changes.push_back(
        {"ALTER TABLE $(schema).events ALTER COLUMN source NVARCHAR(65) COLLATE Latin1_General_100_BIN2",
         "ALTER TABLE $(schema).events ALTER COLUMN source NVARCHAR(64) COLLATE Latin1_General_100_BIN2"});
  }
  EventStore store(open(*schema_));
  for (const Change& each : changes) {
    run(each.change);
    EXPECT_NE(dump(), before) << each.change;
    EXPECT_EQ(store.verify().ok(), !each.own) << each.change;
    run(each.back);
    EXPECT_EQ(difference(before, dump()), "") << each.back;
  }
  EXPECT_TRUE(store.verify().ok());
}

// A store that lacks what an operation needs says so, and does not take it for an old one.
TEST_F(MssqlSchemas, DamageIsFound) {
  EventStore store(open(*schema_));
  NewEvent event;
  event.type = "Happened";
  store.append(StreamKey("thing", "a"), ExpectedVersion::any(), {event}).or_throw();
  run("DROP VIEW $(schema).event_log; DROP PROCEDURE $(schema).settled_position");
  try {
    store.read_log().next();
    ADD_FAILURE() << "the log was read without settled_position";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupt) << error.what();
  }
  EXPECT_FALSE(store.verify().ok());
}

// Down to nothing and up again makes the same, and down leaves nothing of ours behind.
TEST_F(MssqlSchemas, DownAndUpAgainIsTheSame) {
  const std::string before = dump();
  Migrator migrator(*driver_->migrations());
  const std::size_t steps = driver_->migrations()->migrations().size();
  for (std::size_t to = steps; to-- > 0;) {
    migrator.down({.to = static_cast<int>(to), .allow_data_loss = true});
    migrator.up();
    EXPECT_EQ(difference(before, dump()), "") << "down to " << to << " and up again";
  }
  // With rows in each table, one step at a time.
  EventStore store(open(*schema_));
  NewEvent event;
  event.type = "Happened";
  event.attributes = {{"room", "blue"}};
  AppendRequest request;
  request.streams.push_back({StreamKey("thing", "a"), ExpectedVersion::any(), {event}});
  request.command.emplace();
  request.command->key = {std::string(default_tenant), "app", "r-1"};
  request.command->type = "do";
  store.append(request).or_throw();
  for (std::size_t to = steps; to-- > 0;) migrator.down({.to = static_cast<int>(to), .allow_data_loss = true});
  EXPECT_EQ(dump(), "");
  EXPECT_EQ(objects_left(), "0");
  migrator.up();
  EXPECT_EQ(dump(), before);
  EXPECT_EQ(EventStore(open(*schema_)).stats().events, 0);
}

// --- What tables refuse, whoever writes ------------------------------------------------------------------------------

/// Values by column, as SQL.
using Row = std::map<std::string, std::string>;

Row with(Row row, const std::string& column, const std::string& value) {
  row[column] = value;
  return row;
}

std::string insert(const std::string& table, const Row& row) {
  std::string columns;
  std::string values;
  for (const auto& [column, value] : row) {
    columns += (columns.empty() ? "" : ", ") + column;
    values += (values.empty() ? "" : ", ") + value;
  }
  return "INSERT INTO $(schema)." + table + " (" + columns + ") SELECT " + values;
}

TEST_F(MssqlSchemas, ChecksRefuseBadRows) {
  const Row stream = {{"tenant_id", "N'default'"},
                      {"stream_type", "N'thing'"},
                      {"stream_id", "N'a'"},
                      {"tenant_key", "0x64656661756C74"},
                      {"type_key", "0x7468696E67"},
                      {"stream_key", "0x61"},
                      {"version", "1"},
                      {"created_at", "'2026-01-01'"},
                      {"last_recorded_at", "'2026-01-01'"}};
  const Row command = {{"tenant_id", "N'default'"},
                       {"source", "N'app'"},
                       {"request_id", "N'r-1'"},
                       {"tenant_key", "0x64656661756C74"},
                       {"source_key", "0x617070"},
                       {"request_key", "0x722D31"},
                       {"command_id", "NEWID()"},
                       {"command_type", "N'do'"},
                       {"fingerprint", "CAST(0x00 AS BINARY(32))"},
                       {"outcome", "N'[]'"},
                       {"recorded_at", "'2026-01-01'"},
                       {"stream_type", "N'thing'"},
                       {"stream_id", "N'a'"},
                       {"type_key", "0x7468696E67"},
                       {"stream_key", "0x61"},
                       {"actor_type", "N'user'"},
                       {"actor_id", "N'u-1'"}};
  const Row event = {{"stream_no", "(SELECT MAX(stream_no) FROM $(schema).streams)"},
                     {"stream_version", "1"},
                     {"tenant_id", "N'default'"},
                     {"stream_type", "N'thing'"},
                     {"event_id", "NEWID()"},
                     {"event_type", "N'Happened'"},
                     {"event_version", "1"},
                     {"occurred_at", "'2026-01-01'"},
                     {"recorded_at", "'2026-01-01'"},
                     {"actor_type", "N'user'"},
                     {"actor_id", "N'u-1'"},
                     {"idempotency_key", "N'k'"},
                     {"idempotency_bytes", "1"},
                     {"redaction_level", "N'none'"},
                     {"contains_secrets", "0"},
                     {"attribute_count", "0"},
                     {"data", "N'{}'"}};
  const Row attribute = {{"global_position", "(SELECT MAX(global_position) FROM $(schema).events)"},
                         {"name", "N'room'"},
                         {"name_bytes", "4"},
                         {"value", "N'blue'"}};
  const Row snapshot = {{"snapshot_id", "NEWID()"},
                        {"stream_no", "(SELECT MAX(stream_no) FROM $(schema).streams)"},
                        {"stream_version", "1"},
                        {"snapshot_version", "1"},
                        {"recorded_at", "'2026-01-01'"},
                        {"state_bytes", "2"},
                        {"state", "N'{}'"}};
  const Row key = {{"projection_name", "N'p'"}, {"tenant_id", "N''"}, {"projection_key", "0x70"}, {"tenant_key", "0x"}};
  const auto of_key = [&](const Row& more) {
    Row row = key;
    row.insert(more.begin(), more.end());
    return row;
  };
  const Row projection = of_key({{"parts", "2"}, {"active_generation", "1"}, {"created_at", "'2026-01-01'"}});
  const Row offset = of_key({{"generation", "1"},
                             {"part", "0"},
                             {"last_position", "0"},
                             {"holder", "N''"},
                             {"fence", "0"},
                             {"updated_at", "'2026-01-01'"}});
  const Row member = of_key({{"member", "N'm'"}, {"member_key", "0x6D"}, {"present_until", "'2026-01-01'"}});
  const Row letter = of_key({{"global_position", "1"},
                             {"generation", "1"},
                             {"part", "0"},
                             {"event_id", "NEWID()"},
                             {"attempts", "1"},
                             {"error", "N'why'"},
                             {"recorded_at", "'2026-01-01'"}});

  // The row itself is good, so that what is wrong with it afterwards is why it is refused.
  const auto attempt = [&](const std::string& table, const Row& row) {
    std::string script = "SET XACT_ABORT ON; BEGIN TRANSACTION; ";
    if (table != "streams") script += insert("streams", stream) + "; ";
    if (table == "event_attributes") script += insert("events", with(event, "attribute_count", "1")) + "; ";
    const bool of_projection = table == "projection_offsets" || table == "projection_members";
    if (of_projection || table == "dead_letters") script += insert("projections", projection) + "; ";
    if (table == "dead_letters") script += insert("projection_offsets", offset) + "; ";
    const std::string error = bare_->execute(schema_->in(script + insert(table, row)));
    bare_->run("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION");
    return error;
  };
  const auto refuses = [&](const std::string& table, const Row& row, const std::string& column,
                           const std::vector<std::string>& values) {
    ASSERT_EQ(attempt(table, row), "") << table;
    for (const std::string& value : values) {
      const std::string error = attempt(table, with(row, column, value));
      // A CHECK, or NOT NULL, or a text that is longer than its column.
      EXPECT_TRUE(error.starts_with("547 ") || error.starts_with("515 ") || error.starts_with("8152 ") ||
                  error.starts_with("2628 "))
          << table << "." << column << " = " << value << ": " << error;
    }
  };
  const auto longer = [](int most) { return "REPLICATE(N'x', " + std::to_string(most + 1) + ")"; };

  for (const char* column : {"tenant_key", "type_key", "stream_key"})
    refuses("streams", stream, column, {"0x", "NULL"});
  refuses("streams", stream, "stream_id", {longer(255), "NULL"});
  refuses("streams", stream, "version", {"0", "-1", "NULL"});
  refuses("streams", stream, "last_recorded_at", {"'2025-12-31'", "NULL"});

  refuses("commands", command, "source_key", {"0x", "NULL"});
  refuses("commands", command, "request_key", {"0x", "NULL"});
  refuses("commands", command, "command_type", {"N''", "NULL", longer(128)});
  refuses("commands", command, "actor_type", {"N'robot'", "N'User'", "N''", "NULL"});
  refuses("commands", command, "actor_id", {"N''", "NULL", longer(255)});
  for (const char* column : {"stream_type", "stream_id", "type_key", "stream_key"}) {
    refuses("commands", command, column, {"NULL"});
  }
  refuses("commands", command, "channel", {"N'phone'", "N''"});
  refuses("commands", command, "data", {"N'{'", "N''"});
  refuses("commands", command, "outcome", {"N'{'", "N''", "NULL"});
  refuses("commands", command, "fingerprint", {"NULL"});

  refuses("events", event, "event_type", {"N''", "NULL", longer(128)});
  refuses("events", event, "actor_id", {"N''", "NULL", longer(255)});
  refuses("events", event, "actor_type", {"N'robot'", "N'User'", "N''", "NULL"});
  refuses("events", event, "source", {"N''", longer(64)});
  refuses("events", event, "idempotency_key", {"N''", "NULL", longer(255)});
  refuses("events", event, "idempotency_bytes", {"0", "256", "NULL"});
  refuses("events", event, "stream_version", {"0", "-1", "NULL"});
  refuses("events", event, "event_version", {"0", "-1", "NULL"});
  refuses("events", event, "channel", {"N'phone'", "N''"});
  refuses("events", event, "redaction_level", {"N'some'", "N''", "NULL"});
  refuses("events", event, "attribute_count", {"-1", "NULL"});
  refuses("events", event, "contains_secrets", {"NULL"});
  refuses("events", event, "data", {"N'{'", "N'text'", "N''", "NULL"});
  for (const char* column : {"metadata", "policy_context", "model_context", "display"}) {
    refuses("events", event, column, {"N'1'", "N'[]'", "N'{'", "N''"});
  }
  const Row valid = with(event, "valid_from", "'2020-01-01'");
  refuses("events", with(valid, "valid_to", "'2020-01-02'"), "valid_to", {"'2020-01-01'", "'2019-12-31'"});
  refuses("events", event, "event_id", {"NULL"});

  refuses("event_attributes", attribute, "name", {"N''", "NULL", longer(64)});
  refuses("event_attributes", attribute, "name_bytes", {"0", "65", "NULL"});
  refuses("event_attributes", attribute, "value", {"N''", "NULL", longer(255)});

  refuses("snapshots", snapshot, "stream_version", {"0", "NULL"});
  refuses("snapshots", snapshot, "snapshot_version", {"0", "NULL"});
  refuses("snapshots", snapshot, "state", {"N'{'", "NULL"});
  refuses("snapshots", snapshot, "state_bytes", {"-1", "NULL"});
  refuses("snapshots", snapshot, "metadata", {"N'{'", "N''"});
  refuses("projections", projection, "projection_key", {"0x", "NULL"});
  refuses("projections", projection, "projection_name", {longer(128), "NULL"});
  refuses("projections", projection, "tenant_key", {"NULL"});
  refuses("projections", projection, "parts", {"0", "65", "NULL"});
  refuses("projections", projection, "active_generation", {"0", "NULL"});
  refuses("projection_offsets", offset, "projection_key", {"0x71", "NULL"});
  refuses("projection_offsets", offset, "generation", {"0", "NULL"});
  refuses("projection_offsets", offset, "part", {"-1", "64", "NULL"});
  refuses("projection_offsets", offset, "last_position", {"-1", "NULL"});
  refuses("projection_offsets", offset, "fence", {"-1", "NULL"});
  refuses("projection_offsets", offset, "holder", {"NULL", longer(255)});
  refuses("projection_members", member, "tenant_key", {"0x78", "NULL"});
  refuses("projection_members", member, "member_key", {"0x", "NULL"});
  refuses("dead_letters", letter, "part", {"1", "NULL"});
  refuses("dead_letters", letter, "global_position", {"0", "NULL"});
  refuses("dead_letters", letter, "attempts", {"0", "NULL"});
  refuses("dead_letters", letter, "error", {longer(4000), "NULL"});
}

// --- Two stores in one database --------------------------------------------------------------------------------------

TEST_F(MssqlSchemas, TwoStoresDoNotSeeEachOther) {
  const MssqlSchema other_schema;
  Migrator(*open(other_schema)->migrations()).up();
  EventStore one(open(*schema_));
  EventStore other(open(other_schema));
  NewEvent event;
  event.type = "Happened";
  event.event_id = Uuid::parse("01890a5d-ac96-774b-bcce-b302099a8057");
  event.idempotency_key = "once";
  event.attributes = {{"room", "blue"}};
  AppendRequest request;
  request.streams.push_back({StreamKey("thing", "a"), ExpectedVersion::no_stream(), {event}});
  request.command.emplace();
  request.command->key = {std::string(default_tenant), "app", "r-1"};
  request.command->type = "do";

  EXPECT_EQ(one.append(request).status, AppendStatus::appended);
  EXPECT_EQ(other.read_log().next(), nullptr);
  EXPECT_EQ(other.stream_version(StreamKey("thing", "a")), Version(0));
  EXPECT_FALSE(other.is_command_processed(request.command->key));
  EXPECT_FALSE(other.find_event(*event.event_id));
  // It is another one there, and nobody in flight here holds its readers back.
  run("BEGIN TRANSACTION; UPDATE $(schema).streams SET version = version; EXEC $(schema).announce_positions");
  EXPECT_EQ(other.append(request).status, AppendStatus::appended);
  EXPECT_EQ(other.append(request).status, AppendStatus::replayed);
  const auto first = other.read_log().next();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->position, Position(1));
  bare_->run("ROLLBACK TRANSACTION");
  // One goes down, and the other is as it was.
  Migrator(*driver_->migrations()).down({.to = 0, .allow_data_loss = true});
  EXPECT_EQ(other.stats().events, 1);
  const VerifyReport report = other.verify();
  EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
}

}  // namespace
}  // namespace stele::testing
