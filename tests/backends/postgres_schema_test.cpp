// migrations/postgres/schema.sql shows what the migrations make. STELE_UPDATE_SCHEMA=1 writes it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "postgres_server.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "stele/postgres.h"

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

class PostgresSchemas : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    schema_ = std::make_unique<PostgresSchema>();
    driver_ = open(*schema_);
    Migrator(*driver_->migrations()).up();
  }

  static std::unique_ptr<driver::Driver> open(const PostgresSchema& schema) {
    Registry registry;
    postgres::register_driver(registry);
    return registry.open(Url::parse(schema.url()), {});
  }
  std::string dump() { return driver_->migrations()->dump_schema(); }

  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<driver::Driver> driver_;
};

TEST_F(PostgresSchemas, FileIsWhatTheMigrationsMake) {
  std::string schema = header + dump();
  while (schema.ends_with("\n\n")) schema.pop_back();
  if (const char* update = std::getenv("STELE_UPDATE_SCHEMA"); update != nullptr && std::string(update) == "1") {
    std::ofstream(STELE_POSTGRES_SCHEMA, std::ios::binary) << schema;
  }
  EXPECT_EQ(read_file(STELE_POSTGRES_SCHEMA), schema)
      << "run this test with STELE_UPDATE_SCHEMA=1 and look at the difference";
}

TEST_F(PostgresSchemas, NamesOfSchemasMakeNoDifference) {
  const std::string expected = dump();
  const std::string process = schema_->name();
  for (const std::string& name :
       {std::string("We\"ird schema ") + process, std::string("x"), std::string("e"), std::string("Z"),
        std::string("SELECT"), std::string("user"), std::string("\xC3\xA9t\xC3\xA9 100% 'q' $$ \\ ") + process,
        process + std::string(63 - process.size(), 'l'), std::string("7"), std::string("a,b")}) {
    const PostgresSchema other(name);
    const auto driver = open(other);
    Migrator(*driver->migrations()).up();
    EXPECT_EQ(driver->migrations()->dump_schema(), expected) << name;
    EventStore store(open(other));
    NewEvent event;
    event.type = "Happened";
    EXPECT_EQ(store.append(StreamKey("thing", "a"), ExpectedVersion::no_stream(), {event}).status,
              AppendStatus::appended)
        << name;
    std::size_t found = 0;
    for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
    EXPECT_EQ(found, 1U) << name;
    const VerifyReport report = store.verify();
    EXPECT_TRUE(report.ok()) << name << ": " << report.violations.front().where << " "
                             << report.violations.front().what;
    Migrator(*driver->migrations()).down({.to = 0, .allow_data_loss = true});
    EXPECT_EQ(driver->migrations()->dump_schema(), "") << name;
  }
}

TEST_F(PostgresSchemas, DriftShows) {
  const std::string before = dump();
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"CREATE INDEX mine ON events (actor_id)", "DROP INDEX mine"},
      {"CREATE VIEW mine AS SELECT 1 AS one", "DROP VIEW mine"},
      {"ALTER TABLE events ADD COLUMN mine int", "ALTER TABLE events DROP COLUMN mine"},
      {"ALTER TABLE streams ADD CONSTRAINT mine CHECK (version < 1000)", "ALTER TABLE streams DROP CONSTRAINT mine"},
      {"ALTER TABLE events ENABLE TRIGGER events_append_only",
       "ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only"},
      {"ALTER FUNCTION append SECURITY INVOKER", "ALTER FUNCTION append SECURITY DEFINER"},
      {"ALTER FUNCTION settled_position SET work_mem = '1MB'", "ALTER FUNCTION settled_position RESET work_mem"},
      {"ALTER TABLE events ALTER COLUMN data DROP NOT NULL", "ALTER TABLE events ALTER COLUMN data SET NOT NULL"},
  };
  for (const auto& [change, back] : changes) {
    schema_->connect().run(change);
    EXPECT_NE(dump(), before) << change;
    schema_->connect().run(back);
    EXPECT_EQ(dump(), before) << back;
  }
}

// Down to nothing and up again makes the same, and down leaves nothing of ours behind.
TEST_F(PostgresSchemas, DownAndUpAgainIsTheSame) {
  const std::string before = dump();
  Migrator migrator(*driver_->migrations());
  const std::string left =
      "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = n.oid AND relname NOT LIKE 'stele_migrations%'), "
      "(SELECT count(*) FROM pg_proc WHERE pronamespace = n.oid), (SELECT count(*) FROM pg_type WHERE typnamespace = "
      "n.oid "
      "AND typname NOT LIKE '%stele_migrations') FROM pg_namespace AS n WHERE n.nspname = current_schema()";
  const std::size_t steps = driver_->migrations()->migrations().size();
  for (std::size_t to = steps; to-- > 0;) {
    migrator.down({.to = static_cast<int>(to), .allow_data_loss = true});
    migrator.up();
    EXPECT_EQ(dump(), before) << "down to " << to << " and up again";
  }
  migrator.down({.to = 0, .allow_data_loss = true});
  EXPECT_EQ(dump(), "");
  EXPECT_EQ(schema_->connect().value(left), "0|0|0");
  migrator.up();
  EXPECT_EQ(dump(), before);
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
  return "INSERT INTO " + table + " (" + columns + ") VALUES (" + values + ")";
}

std::string repeated(int times) {
  return "repeat('x', " + std::to_string(times) + ")";
}

TEST_F(PostgresSchemas, ChecksRefuseBadRows) {
  PostgresConnection bare = schema_->connect();
  const Row stream = {{"tenant_id", "'default'"}, {"stream_type", "'thing'"}, {"stream_id", "'a'"},
                      {"version", "1"},           {"created_at", "now()"},    {"last_recorded_at", "now()"}};
  const Row command = {{"tenant_id", "'default'"}, {"source", "'app'"},
                       {"request_id", "'r-1'"},    {"command_id", "gen_random_uuid()"},
                       {"command_type", "'do'"},   {"fingerprint", "decode(repeat('00', 32), 'hex')"},
                       {"outcome", "'[]'"},        {"recorded_at", "now()"},
                       {"stream_type", "'thing'"}, {"stream_id", "'a'"},
                       {"actor_type", "'user'"},   {"actor_id", "'u-1'"}};
  const Row event = {{"stream_no", "(SELECT stream_no FROM streams)"},
                     {"stream_version", "1"},
                     {"tenant_id", "'default'"},
                     {"stream_type", "'thing'"},
                     {"event_id", "gen_random_uuid()"},
                     {"event_type", "'Happened'"},
                     {"occurred_at", "now()"},
                     {"recorded_at", "now()"},
                     {"actor_type", "'user'"},
                     {"actor_id", "'u-1'"},
                     {"data", "'{}'"}};
  const Row attribute = {
      {"global_position", "(SELECT global_position FROM events)"}, {"name", "'room'"}, {"value", "'blue'"}};
  const Row snapshot = {{"snapshot_id", "gen_random_uuid()"},
                        {"stream_no", "(SELECT stream_no FROM streams)"},
                        {"stream_version", "1"},
                        {"recorded_at", "now()"},
                        {"state_bytes", "2"},
                        {"state", "'{}'"}};
  const Row projection = {{"projection_name", "'p'"}, {"tenant_id", "''"}, {"parts", "2"}, {"created_at", "now()"}};
  const Row offset = {
      {"projection_name", "'p'"}, {"tenant_id", "''"}, {"generation", "1"}, {"part", "0"}, {"updated_at", "now()"}};
  const Row member = {{"projection_name", "'p'"}, {"tenant_id", "''"}, {"member", "'m'"}, {"present_until", "now()"}};
  const Row letter = {{"projection_name", "'p'"}, {"tenant_id", "''"},
                      {"generation", "1"},        {"part", "0"},
                      {"global_position", "1"},   {"event_id", "gen_random_uuid()"},
                      {"attempts", "1"},          {"error", "''"},
                      {"recorded_at", "now()"}};

  // The row itself is good, so that what is wrong with it afterwards is why it is refused.
  const auto attempt = [&](const std::string& table, const Row& row) {
    bare.run("BEGIN");
    if (table != "streams") bare.run(insert("streams", stream));
    if (table == "event_attributes") bare.run(insert("events", with(event, "attribute_count", "1")));
    const bool of_projection = table == "projection_offsets" || table == "projection_members";
    if (of_projection || table == "dead_letters") bare.run(insert("projections", projection));
    if (table == "dead_letters") bare.run(insert("projection_offsets", offset));
    std::string error = bare.execute(insert(table, row));
    bare.run("ROLLBACK");
    return error;
  };
  const auto refuses = [&](const std::string& table, const Row& row, const std::string& column,
                           const std::vector<std::string>& values) {
    ASSERT_EQ(attempt(table, row), "") << table;
    for (const std::string& value : values) {
      const std::string error = attempt(table, with(row, column, value));
      EXPECT_TRUE(error.find("violates check constraint") != std::string::npos ||
                  error.find("violates not-null constraint") != std::string::npos ||
                  error.find("does not allow null values") != std::string::npos)
          << table << "." << column << " = " << value << ": " << error;
    }
  };
  const auto refuses_name = [&](const std::string& table, const Row& row, const std::string& column, int most) {
    refuses(table, with(row, column, repeated(most)), column, {"''", repeated(most + 1), repeated(most) + " || 'é'"});
    refuses(table, with(row, column, "repeat('é', " + std::to_string(most / 2) + ")"), column,
            {"repeat('é', " + std::to_string(most / 2 + 1) + ")"});
  };

  refuses_name("streams", stream, "tenant_id", 64);
  refuses_name("streams", stream, "stream_type", 64);
  refuses_name("streams", stream, "stream_id", 255);
  refuses("streams", stream, "version", {"0", "-1", "NULL"});
  refuses("streams", stream, "last_recorded_at", {"now() - interval '1 us'", "NULL"});
  refuses("streams", stream, "tenant_id", {"NULL"});

  refuses_name("commands", command, "tenant_id", 64);
  refuses_name("commands", command, "source", 64);
  refuses_name("commands", command, "request_id", 255);
  refuses_name("commands", command, "command_type", 128);
  refuses_name("commands", command, "stream_id", 255);
  refuses_name("commands", command, "actor_id", 255);
  refuses("commands", command, "actor_type", {"'robot'", "'User'", "''", "NULL"});
  refuses("commands", command, "actor_id", {"NULL"});
  refuses("commands", command, "stream_type", {"NULL", "''"});
  refuses("commands", command, "channel", {"'phone'", "''"});
  refuses("commands", command, "data", {"'1'", "'\"text\"'", "'null'", "'true'"});
  refuses("commands", command, "fingerprint",
          {"''", "decode(repeat('00', 31), 'hex')", "decode(repeat('00', 33), 'hex')"});

  refuses_name("events", event, "event_type", 128);
  refuses_name("events", event, "actor_id", 255);
  refuses_name("events", event, "source", 64);
  refuses_name("events", event, "idempotency_key", 255);
  refuses("events", event, "stream_version", {"0", "-1", "NULL"});
  refuses("events", event, "event_version", {"0", "-1", "NULL"});
  refuses("events", event, "actor_type", {"'robot'", "'User'", "''", "NULL"});
  refuses("events", event, "actor_id", {"NULL"});
  refuses("events", event, "channel", {"'phone'", "''"});
  refuses("events", event, "redaction_level", {"'some'", "''", "NULL"});
  refuses("events", event, "attribute_count", {"-1", "NULL"});
  refuses("events", event, "contains_secrets", {"NULL"});
  refuses("events", event, "data", {"'1'", "'\"text\"'", "'null'", "'true'", "NULL"});
  for (const char* column : {"metadata", "policy_context", "model_context", "display"}) {
    refuses("events", event, column, {"'1'", "'[]'", "'\"text\"'", "'null'"});
  }
  for (const char* column : {"occurred_at", "valid_from", "valid_to"}) {
    refuses("events", event, column,
            {"'infinity'", "'-infinity'", "'10000-01-01Z'", "'0001-12-31 23:59:59.999999Z BC'"});
  }
  const Row valid = with(event, "valid_from", "'2020-01-01Z'");
  refuses("events", with(valid, "valid_to", "'2020-01-02Z'"), "valid_to", {"'2020-01-01Z'", "'2019-12-31Z'"});
  refuses("events", event, "event_id", {"NULL"});

  refuses_name("event_attributes", attribute, "name", 64);
  refuses_name("event_attributes", attribute, "value", 255);

  refuses("snapshots", snapshot, "stream_version", {"0", "NULL"});
  refuses("snapshots", snapshot, "snapshot_version", {"0", "NULL"});
  refuses("snapshots", snapshot, "state_bytes", {"-1", "NULL"});
  refuses("snapshots", with(snapshot, "metadata", "'{}'"), "metadata", {"'1'", "'[]'", "'\"text\"'", "'null'"});
  refuses_name("projections", projection, "projection_name", 128);
  refuses("projections", with(projection, "tenant_id", repeated(64)), "tenant_id", {repeated(65), "NULL"});
  refuses("projections", projection, "parts", {"0", "65", "NULL"});
  refuses("projections", projection, "active_generation", {"0", "NULL"});
  refuses("projection_offsets", offset, "generation", {"0", "NULL"});
  refuses("projection_offsets", offset, "part", {"-1", "64", "NULL"});
  refuses("projection_offsets", offset, "last_position", {"-1", "NULL"});
  refuses("projection_offsets", offset, "fence", {"-1", "NULL"});
  refuses("projection_offsets", offset, "holder", {"NULL"});
  refuses("projection_members", member, "member", {"''", "NULL"});
  refuses("dead_letters", letter, "global_position", {"0", "NULL"});
  refuses("dead_letters", letter, "attempts", {"0", "NULL"});
  refuses("dead_letters", with(letter, "error", repeated(4000)), "error", {repeated(4001), "NULL"});
}

// --- Two stores in one database --------------------------------------------------------------------------------------

TEST_F(PostgresSchemas, TwoStoresDoNotSeeEachOther) {
  const PostgresSchema other_schema;
  EventStore one(open(*schema_));
  EventStore other = open_postgres(other_schema.url());
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
  EXPECT_EQ(other.stats().events, 0);
  // The same request is another one there, even while the stream and the request are locked here.
  PostgresConnection holder = schema_->connect();
  holder.run(
      "BEGIN; SELECT append_locks(ARRAY['default\x1F"
      "app\x1Fr-1'], ARRAY['default\x1Fthing\x1F"
      "a'], '{true}')");
  EXPECT_EQ(other.append(request).status, AppendStatus::appended);
  EXPECT_EQ(other.append(request).status, AppendStatus::replayed);
  EXPECT_EQ(other.read_log().next()->position, Position(1));
  holder.run("ROLLBACK");
  // One goes down, and the other is as it was.
  Migrator(*driver_->migrations()).down({.to = 0, .allow_data_loss = true});
  EXPECT_EQ(other.stats().events, 1);
  const VerifyReport report = other.verify();
  EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
}

}  // namespace
}  // namespace stele::testing
