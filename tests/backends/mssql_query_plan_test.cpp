// The backend's own calls use their indexes: asked of the server's counters of what was read, around each of them, so
// that statements inside of procedures count as well, in the plans that the server settles on. SHOWPLAN would show a
// statement that the test writes down, and not the one that is prepared with parameters.
//
// Babelfish counts rows: a call may read few. SQL Server counts seeks and scans: a call may scan nothing.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "append.h"
#include "commands.h"
#include "governance.h"
#include "log_query.h"
#include "mssql_server.h"
#include "read.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"
#include "stele/migrate.h"
#include "stele/mssql.h"
#include "stele/registry.h"
#include "streams.h"

namespace stele::testing {
namespace {

using mssql::Session;

constexpr std::int64_t streams_in_all = 4'000;
constexpr std::int64_t events_in_all = 5 * streams_in_all;

/// 20,000 events of 40 types in 4,000 streams of 20 types, and of a rare one each; one in ten is of another tenant.
/// Each five events are of one append. Triggers are off meanwhile: they are not what is tested.
std::vector<std::string> fill() {
  const std::string numbers =
      "(SELECT 1000 * a.n + 100 * b.n + 10 * c.n + d.n AS i FROM (VALUES (0), (1), (2), (3)) AS a (n), "
      "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS b (n), "
      "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS c (n), "
      "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS d (n)) AS x ";
  const auto uuid = [](const std::string& kind, const std::string& number) {
    return "CAST('" + kind + "0000000-0000-7000-8000-' + RIGHT('000000000000' + CAST(" + number +
           " AS VARCHAR(12)), 12) AS UNIQUEIDENTIFIER)";
  };
  const std::string tenant = "CASE WHEN i % 10 = 0 THEN 'other' ELSE 'default' END";
  const std::string type = "CASE WHEN i % 300 = 9 THEN 'rare' ELSE 'thing-' + CAST(i % 20 AS VARCHAR(9)) END";
  const std::string id = "'s-' + CAST(i AS VARCHAR(9))";
  const auto bytes = [](const std::string& text) { return "CAST(CAST(" + text + " AS VARCHAR(64)) AS VARBINARY(64))"; };
  std::vector<std::string> script;
  const std::vector<std::pair<std::string, std::string>> triggers = {
      {"streams", "streams_no_delete"},
      {"streams", "streams_only_forwards"},
      {"commands", "commands_append_only"},
      {"events", "events_append_only"},
      {"events", "events_no_stray"},
      {"event_attributes", "event_attributes_append_only"},
      {"event_attributes", "event_attributes_no_more"}};
  const auto switch_triggers = [&](const std::string& how) {
    for (const auto& [table, trigger] : triggers) {
      script.push_back(how + " TRIGGER $(schema)." + trigger + " ON $(schema)." + table);
    }
  };
  switch_triggers("DISABLE");
  script.push_back(
      "INSERT INTO $(schema).streams (tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, version, "
      "created_at, last_recorded_at) SELECT " +
      tenant + ", " + type + ", " + id + ", " + bytes(tenant) + ", " + bytes(type) + ", " + bytes(id) +
      ", 5, '2024-01-01', '2024-12-31' FROM " + numbers);
  for (const std::string number : {"1", "2"}) {
    const std::string request = "'r-' + CAST(s.stream_no AS VARCHAR(9)) + '-" + number + "'";
    script.push_back(
        "INSERT INTO $(schema).commands (tenant_id, source, request_id, tenant_key, source_key, request_key, "
        "command_id, command_type, stream_type, stream_id, type_key, stream_key, fingerprint, outcome, recorded_at) "
        "SELECT s.tenant_id, N'app', " +
        request + ", s.tenant_key, 0x617070, " + bytes(request) + ", " + uuid("c", "2 * s.stream_no + " + number) +
        ", N'do', s.stream_type, s.stream_id, s.type_key, s.stream_key, CAST(0x00 AS BINARY(32)), N'[]', '2024-01-01' "
        "FROM $(schema).streams AS s");
  }
  for (const std::string v : {"1", "2", "3", "4", "5"}) {
    script.push_back(
        "INSERT INTO $(schema).events (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, "
        "event_version, occurred_at, recorded_at, source, actor_type, actor_id, command_id, idempotency_key, "
        "idempotency_bytes, causation_id, correlation_id, redaction_level, contains_secrets, attribute_count, data) "
        "SELECT s.stream_no, " +
        v + ", s.tenant_id, s.stream_type, " + uuid("e", "10 * s.stream_no + " + v) + ", CASE WHEN " + v +
        " = 3 AND s.stream_no % 30 = 0 THEN N'Rare' ELSE N'Type' + CAST((s.stream_no + " + v +
        ") % 40 AS NVARCHAR(9)) END, 1, DATEADD(minute, 4000 * " + v +
        " + CAST(s.stream_no AS INT), '2024-01-01'), DATEADD(minute, 4000 * " + v +
        " + CAST(s.stream_no AS INT), '2024-01-01'), N'app', N'user', N'u-" + v + "', " +
        uuid("c", "2 * s.stream_no + 1") + ", N'key-" + v + "', 5, " + uuid("a", "s.stream_no") + ", " +
        uuid("b", "s.stream_no % 400") + ", N'none', 0, 2, N'{}' FROM $(schema).streams AS s ORDER BY s.stream_no");
  }
  for (const auto& [name, size, value] :
       {std::tuple("room", "4", "N'blue-' + CAST(global_position % 200 AS NVARCHAR(9))"),
        std::tuple("run", "3", "CAST(global_position % 1000 AS NVARCHAR(9))")}) {
    script.push_back(std::string("INSERT INTO $(schema).event_attributes (global_position, name, name_bytes, value) "
                                 "SELECT global_position, N'") +
                     name + "', " + size + ", " + value + " FROM $(schema).events");
  }
  switch_triggers("ENABLE");
  script.push_back(
      "INSERT INTO $(schema).append_spans (first_position, last_position) SELECT 5 * i + 1, 5 * i + 5 FROM " + numbers);
  const std::string tenants = "'t-' + CAST(i % 40 AS VARCHAR(9))";
  const std::string types = "'Type' + CAST(i / 40 AS VARCHAR(9))";
  script.push_back(
      "INSERT INTO $(schema).event_schemas (tenant_id, event_type, tenant_key, type_key, event_version, schema_text, "
      "recorded_at) SELECT " +
      tenants + ", " + types + ", " + bytes(tenants) + ", " + bytes(types) + ", 1, N'{}', '2024-01-01' FROM " +
      numbers);
  script.push_back(
      "INSERT INTO $(schema).event_type_rules (tenant_id, event_type, tenant_key, type_key, schema_mode, masked, "
      "mask_contexts, revision, updated_at) SELECT " +
      tenants + ", " + types + ", " + bytes(tenants) + ", " + bytes(types) +
      ", N'enforce', N'[]', 1, 1, '2024-01-01' FROM " + numbers);
  script.push_back(
      "INSERT INTO $(schema).subject_keys (key_id, key_bytes, tenant_id, tenant_key, subject, subject_key, "
      "master_key_id, wrapped, created_at) SELECT " +
      uuid("d", "i") + ", CAST(CAST(1000000 + i AS VARCHAR(16)) AS VARBINARY(16)), " + tenants + ", " + bytes(tenants) +
      ", " + id + ", " + bytes(id) + ", N'm', 0x77, '2024-01-01' FROM " + numbers);
  script.push_back(
      "INSERT INTO $(schema).event_hashes (global_position, content_hash, link) SELECT global_position, CAST(0x00 AS "
      "BINARY(32)), CAST(0x00 AS BINARY(32)) FROM $(schema).events");
  script.push_back(
      "INSERT INTO $(schema).log_seals (seal_number, after_position, to_position, events, root, seal_hash, sealed_at) "
      "SELECT i + 1, i, i + 1, 1, CAST(0x00 AS BINARY(32)), CAST(0x00 AS BINARY(32)), '2024-01-01' FROM " +
      numbers);
  return script;
}

class MssqlPlans : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (mssql_url().empty()) return;
    schema_ = std::make_unique<MssqlSchema>();
    Registry registry;
    mssql::register_driver(registry);
    Migrator(*registry.open(Url::parse(schema_->url()), {})->migrations()).up();
    bare_ = std::make_unique<MssqlConnection>();
    babelfish_ = bare_->is_babelfish();
    bare_->run("SET NOCOUNT ON; SET XACT_ABORT ON; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON");
    for (const std::string& statement : fill()) bare_->run(schema_->in(statement));
    for (const char* table : {"streams", "commands", "events", "event_attributes", "event_schemas", "event_type_rules",
                              "subject_keys", "event_hashes", "log_seals"}) {
      if (!babelfish_) bare_->run(schema_->in(std::string("UPDATE STATISTICS $(schema).") + table + " WITH FULLSCAN"));
    }
    // It goes over all tables of the database, and gives up when somebody drops one meanwhile.
    for (int attempt = 0; babelfish_ && attempt < 20 && analyzed_tables() < 9; ++attempt)
      bare_->run("EXEC sp_updatestats");
    // What this connection has counted while it filled the tables is not to arrive in the middle of a test.
    if (babelfish_) bare_->run("SELECT 1 WHERE pg_stat_force_next_flush() IS NULL");
  }
  static int analyzed_tables() {
    return std::stoi(bare_->value(
        "SELECT COUNT(*) FROM pg_catalog.pg_stat_all_tables WHERE analyze_count > 0 AND relname IN ('streams', "
        "'commands', 'events', 'event_attributes', 'event_schemas', 'event_type_rules', 'subject_keys', "
        "'event_hashes', "
        "'log_seals') AND relid IN (SELECT object_id FROM sys.tables WHERE schema_id = "
        "SCHEMA_ID(N'" +
        schema_->name() + "'))"));
  }
  static void TearDownTestSuite() {
    bare_.reset();
    schema_.reset();
  }

  void SetUp() override {
    if (mssql_url().empty()) GTEST_SKIP() << no_mssql;
    session_ = std::make_unique<Session>(mssql::parse_settings(Url::parse(schema_->url())));
    // Solid disks: for others, tables of a test's size are best read whole.
    if (babelfish_) session_->run("SELECT set_config('random_page_cost', '1.1', false)", "test");
    ASSERT_TRUE(!babelfish_ || analyzed_tables() == 9) << "no statistics";
    settled_position(*session_);
  }

  struct Counters {
    std::map<std::string, std::int64_t> uses;   // Of each index; on SQL Server, seeks and look-ups.
    std::map<std::string, std::int64_t> scans;  // Of tables and indexes from end to end.
    std::int64_t rows = 0;                      // Read, in all; on Babelfish.
  };

  Counters counters() {
    Counters counted;
    const std::string own =
        "(SELECT object_id FROM sys.tables WHERE schema_id = SCHEMA_ID(N'" + schema_->name() + "'))";
    if (babelfish_) {
      // What the session has counted goes out now, and not at its leisure.
      session_->run("SELECT 1 WHERE pg_stat_force_next_flush() IS NULL", "test");
      for (const std::string& row :
           bare_->rows("SELECT indexrelname, relname, idx_scan, idx_tup_read FROM pg_catalog.pg_stat_all_indexes WHERE "
                       "relid IN " +
                       own)) {
        const std::vector<std::string> cells = split(row);
        counted.uses[without_table(cells[0], cells[1])] += std::stoll(cells[2]);
        counted.rows += std::stoll(cells[3]);
      }
      for (const std::string& row : bare_->rows(
               "SELECT relname, seq_scan, seq_tup_read FROM pg_catalog.pg_stat_all_tables WHERE relid IN " + own)) {
        const std::vector<std::string> cells = split(row);
        counted.scans[cells[0]] += std::stoll(cells[1]);
        counted.rows += std::stoll(cells[2]);
      }
    } else {
      for (const std::string& row : bare_->rows(
               "SELECT x.name, u.user_seeks + u.user_lookups, u.user_scans FROM sys.dm_db_index_usage_stats AS u JOIN "
               "sys.indexes AS x ON x.object_id = u.object_id AND x.index_id = u.index_id WHERE u.database_id = "
               "DB_ID() "
               "AND u.object_id IN " +
               own)) {
        const std::vector<std::string> cells = split(row);
        counted.uses[cells[0]] += std::stoll(cells[1]);
        counted.scans[cells[0]] += std::stoll(cells[2]);
      }
    }
    return counted;
  }

  /// Babelfish puts the table's name, or as much of it as there is room for, and a hash of 32 digits behind an index's.
  static std::string without_table(std::string index, const std::string& table) {
    if (index.size() <= 32 || index.find_first_not_of("0123456789abcdef", index.size() - 32) != std::string::npos) {
      return index;
    }
    index.resize(index.size() - 32);
    for (std::size_t size = std::min(table.size(), index.size()); size > 0; --size) {
      if (index.ends_with(table.substr(0, size))) return index.substr(0, index.size() - size);
    }
    return index;
  }

  static std::vector<std::string> split(const std::string& row) {
    std::vector<std::string> cells(1);
    for (const char c : row) {
      if (c == '|') {
        cells.emplace_back();
      } else {
        cells.back() += c;
      }
    }
    return cells;
  }

  /// The call uses all of these indexes and reads few rows. More than once, as a server may settle on another plan
  /// later.
  void expect_along(const std::vector<std::string>& indexes, std::int64_t most_rows,
                    const std::function<void(Session&)>& call, const std::string& what, int times = 7) {
    const Counters before = counters();
    for (int i = 0; i < times; ++i) call(*session_);
    const Counters after = counters();
    std::string seen;
    for (const auto& [index, uses] : after.uses) {
      const auto found = before.uses.find(index);
      const std::int64_t was = found == before.uses.end() ? 0 : found->second;
      if (uses > was) seen += " " + index + ":" + std::to_string(uses - was);
    }
    for (const auto& [table, scans] : after.scans) {
      const auto found = before.scans.find(table);
      const std::int64_t more = scans - (found == before.scans.end() ? 0 : found->second);
      if (more > 0) seen += " scanned " + table + ":" + std::to_string(more);
      EXPECT_TRUE(babelfish_ || more == 0) << what << " reads from end to end; used:" << seen;
    }
    for (const std::string& index : indexes) {
      EXPECT_NE(seen.find(" " + index + ":"), std::string::npos)
          << what << " does not use " << index << "; used:" << seen;
    }
    EXPECT_LE(after.rows - before.rows, times * most_rows) << what << " in " << times << " calls; used:" << seen;
  }

  /// A page from the middle of the log with this filter comes along one of these indexes.
  void expect_log_along(const LogFilter& filter, const std::vector<std::string>& indexes, std::int64_t most_rows,
                        const std::string& what) {
    for (const Direction direction : {Direction::forwards, Direction::backwards}) {
      driver::EventPage page;
      expect_along(
          indexes, most_rows,
          [&](Session& session) {
            page.clear();
            const driver::LogPageRequest request{direction, Position(0), Position(events_in_all + 1),
                                                 {},        &filter,     {50, 1 << 20}};
            read_log(session, request, page);
          },
          what + (direction == Direction::forwards ? " forwards" : " backwards"), 3);
      EXPECT_GT(page.size(), 0U) << what << ": a filter that nothing passes";
    }
  }

  static std::unique_ptr<MssqlSchema> schema_;
  static std::unique_ptr<MssqlConnection> bare_;
  static bool babelfish_;
  std::unique_ptr<Session> session_;
};

std::unique_ptr<MssqlSchema> MssqlPlans::schema_;
std::unique_ptr<MssqlConnection> MssqlPlans::bare_;
bool MssqlPlans::babelfish_ = false;

Uuid uuid(char kind, std::int64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, 12 - digits.size(), '0');
  return *Uuid::parse(std::string(1, kind) + "0000000-0000-7000-8000-" + digits);
}

const StreamKey known("thing-7", "s-7");

TEST_F(MssqlPlans, Streams) {
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    for (const bool times : {false, true}) {
      const auto time = times ? std::optional(Timestamp::now()) : std::nullopt;
      expect_along(
          {"uq_streams_key", "events_stream"}, 50,
          [&](Session& session) {
            driver::EventPage page;
            read_stream(session, {&known, direction, Version(2), Version(4), time, time, {100, 1 << 20}}, page);
            EXPECT_EQ(page.size(), 3U);
          },
          "a stream");
    }
  }
  expect_along(
      {"uq_streams_key"}, 5, [&](Session& session) { EXPECT_TRUE(stream_info(session, known)); }, "a stream's head");
}

TEST_F(MssqlPlans, ListsOfStreams) {
  for (const bool type : {false, true}) {
    for (const bool after : {false, true}) {
      for (const bool prefix : {false, true}) {
        StreamListOptions options;
        options.limit = 20;
        if (type) options.type = "thing-7";
        if (after) options.after = StreamKey("thing-7", "s-1");
        options.id_prefix = prefix ? "s-2" : "";
        // Without a type, most of the table has the tenant, and a prefix is looked for in every type.
        const std::int64_t rows = type ? 500 : streams_in_all;
        expect_along(
            type || after ? std::vector<std::string>{"uq_streams_key"} : std::vector<std::string>{}, rows,
            [&](Session& session) { EXPECT_FALSE(list_streams(session, options).empty()); },
            std::string("a list of streams") + (type ? " of a type" : "") + (after ? " behind one" : "") +
                (prefix ? " with a prefix" : ""));
      }
    }
  }
  expect_along(
      {"uq_streams_key", "uq_commands_key"}, 50, [](Session& session) { EXPECT_EQ(list_tenants(session).size(), 2U); },
      "a list of tenants");
}

TEST_F(MssqlPlans, SingleEventsAndCommands) {
  expect_along(
      {"events_event_id"}, 20, [](Session& session) { EXPECT_TRUE(find_event(session, uuid('e', 73))); }, "an event");
  expect_along(
      {"uq_commands_key"}, 5,
      [](Session& session) {
        EXPECT_TRUE(find_command(session, CommandKey{std::string(default_tenant), "app", "r-8-1"}));
      },
      "a command");
  expect_along(
      {"uq_commands_id"}, 5, [](Session& session) { EXPECT_TRUE(find_command(session, uuid('c', 17))); },
      "a command by its id");
  expect_along(
      {"commands_stream"}, 10, [](Session& session) { EXPECT_EQ(list_commands(session, known, 10).size(), 2U); },
      "a stream's commands");
}

TEST_F(MssqlPlans, LogFilters) {
  expect_log_along({}, {"pk_events"}, 500, "the log");
  expect_log_along({.tenant = std::string(default_tenant)}, {"pk_events"}, 500, "a tenant that has nearly all");
  expect_log_along({.tenant = "other"}, {}, 3'000, "another tenant");
  expect_log_along({.stream_types = {"rare"}}, {"events_stream_type"}, 1'000, "a rare type of stream");
  expect_log_along({.event_types = {"Rare"}}, {"events_type"}, 1'000, "a rare type of event");
  expect_log_along({.event_types = {"Type7", "Type8"}}, {}, 4'000, "two types of event");
  expect_log_along({.source = "app"}, {"pk_events"}, 500, "a source that all have");
  expect_log_along({.correlation_id = uuid('b', 7)}, {"events_correlation"}, 500, "a correlation");
  expect_log_along({.causation_id = uuid('a', 7)}, {"events_causation"}, 200, "a cause");
  expect_log_along({.attributes = {{"room", "blue-7"}}}, {"event_attributes_value"}, 1'500, "an attribute");
  LogFilter window;
  window.occurred_from = Timestamp::parse("2024-01-06T00:00:00Z");
  window.occurred_until = Timestamp::parse("2024-01-06T02:00:00Z");
  expect_log_along(window, {"events_occurred"}, 1'000, "a window of times");
}

NewEvent happened() {
  NewEvent event;
  event.type = "Happened";
  return event;
}

driver::PreparedEvent prepared(const NewEvent& event, const Uuid& id, bool given) {
  return {&event, id, given, Timestamp::now(), true, nullptr, {}, {}, false};
}

// One event to one stream goes through the procedure; what is not there is made by the first call.
TEST_F(MssqlPlans, AppendsOfOneEvent) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const NewEvent event = happened();
  expect_along(
      {"uq_streams_key", "uq_commands_key"}, 100,
      [&](Session& session) {
        Command command;
        command.key = {std::string(default_tenant), "app", Uuid::v7().to_string()};
        command.type = "do";
        const driver::PreparedAppend append{std::string_view(default_tenant),
                                            {{&known, ExpectedVersion::any(), {prepared(event, Uuid::v7(), false)}}},
                                            {},
                                            driver::PreparedCommand{&command, Uuid::v7(), false, &known, {}}};
        EXPECT_EQ(append_one(session, append, deadline).status, AppendStatus::appended);
      },
      "an append of one event");
}

TEST_F(MssqlPlans, AppendsOfEveryKind) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const StreamKey condition("thing-8", "s-8");
  const std::vector<StreamCondition> conditions = {{condition, ExpectedVersion::stream_exists()}};
  expect_along(
      {"uq_streams_key", "events_event_id", "events_idempotency", "events_stream", "uq_commands_key", "uq_commands_id"},
      1'000,
      [&](Session& session) {
        NewEvent event = happened();
        event.attributes = {{"room", "blue"}};
        event.idempotency_key = Uuid::v7().to_string();
        const NewEvent plain = happened();
        const StreamKey fresh("thing-7", Uuid::v7().to_string());
        Command command;
        command.key = {std::string(default_tenant), "app", Uuid::v7().to_string()};
        command.type = "do";
        const driver::PreparedAppend append{std::string_view(default_tenant),
                                            {{&known, ExpectedVersion::any(), {prepared(event, Uuid::v7(), true)}},
                                             {&fresh, ExpectedVersion::any(), {prepared(plain, Uuid::v7(), true)}}},
                                            conditions,
                                            driver::PreparedCommand{&command, Uuid::v7(), true, &known, {}}};
        EXPECT_EQ(append_one(session, append, deadline).status, AppendStatus::appended);
      },
      "an append to two streams");
}

TEST_F(MssqlPlans, SettledPosition) {
  expect_along(
      {"pk_events"}, 50, [](Session& session) { settled_position(session); }, "what is settled");
  // For a reader that is new: the ranges of the whole log.
  expect_along(
      {"pk_events", "append_spans_key"}, 100,
      [](Session& session) {
        session.known_settled = 0;
        settled_position(session);
      },
      "what is settled, for a new reader");
}

TEST_F(MssqlPlans, Governance) {
  const std::string tenant = "t-7";
  expect_along(
      {"pk_event_schemas", "pk_event_type_rules"}, 500,
      [&](Session& session) {
        EXPECT_GE(event_types_revision(session, tenant), 100);
        EXPECT_GE(list_event_types(session, tenant).schemas.size(), 100U);
      },
      "a tenant's event types");
  expect_along(
      {"pk_event_schemas", "pk_event_type_rules"}, 700,
      [&](Session& session) {
        EXPECT_TRUE(add_schema(session, {tenant, {"Rare", 3}, "{}", {}}));
        EXPECT_TRUE(remove_schema(session, tenant, {"Rare", 3}));
        EventTypeRules rules;
        rules.tenant = tenant;
        rules.event_type = "Type1";
        set_type_rules(session, rules);
      },
      "changes of event types");
  int made = 0;
  expect_along(
      {"pk_subject_keys", "subject_keys_subject", "subject_keys_tenant"}, 300,  // A tenant has 100.
      [&](Session& session) {
        SubjectKey key;
        key.tenant = tenant;
        key.key_id = Uuid::v7();
        key.subject = "new-" + std::to_string(++made);
        key.wrapped = WrappedKey{"m", "w"};
        EXPECT_TRUE(add_subject_key(session, key));
        EXPECT_TRUE(find_subject_key(session, tenant, key.subject));
        EXPECT_EQ(find_subject_keys(session, tenant, {&key.key_id, 1}).size(), 1U);
        EXPECT_EQ(list_subject_keys(session, tenant, std::nullopt, 5).size(), 5U);
        EXPECT_EQ(list_subject_keys(session, tenant, Uuid(), 5).size(), 5U);
        EXPECT_TRUE(rewrap_subject_key(session, tenant, key.key_id, *key.wrapped, {"n", "v"}));
        EXPECT_TRUE(destroy_subject_key(session, tenant, key.key_id));
        EXPECT_TRUE(forget_subject(session, tenant, key.key_id));
      },
      "subject keys");
  expect_along(
      {"pk_log_seals", "pk_event_hashes", "events_stream"}, 100,
      [&](Session& session) {
        LogSeal seal = last_seal(session).value();
        ++seal.number;
        const driver::EventHash hash{Position(1'000'000 + seal.number), {}, {}};
        EXPECT_TRUE(add_seal(session, seal, {&hash, 1}));
        EXPECT_EQ(list_seals(session, 2'000, 3).size(), 3U);
        EXPECT_EQ(read_hashes(session, Position(100), Position(900), 5).size(), 5U);
        EXPECT_TRUE(find_hashes(session, std::vector{driver::EventPlace{known, Version(2)}}).at(0));
      },
      "seals");
}

// stats() counts everything and so reads everything. It shows that the tests above can fail.
TEST_F(MssqlPlans, StatsReadsAll) {
  const Counters before = counters();
  stats(*session_);
  const Counters after = counters();
  if (babelfish_) {
    EXPECT_GT(after.rows - before.rows, events_in_all);
    return;
  }
  std::int64_t scans = 0;
  for (const auto& [index, count] : after.scans) scans += count;
  for (const auto& [index, count] : before.scans) scans -= count;
  EXPECT_GT(scans, 0);
}

}  // namespace
}  // namespace stele::testing
