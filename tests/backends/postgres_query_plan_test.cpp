// The way PostgreSQL goes about every statement of the backend, those inside its functions too: as auto_explain reports
// them on the backend's own session, with plans made for the values and plans made for any.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <array>
#include <functional>
#include <regex>

#include "append.h"
#include "commands.h"
#include "governance.h"
#include "log_query.h"
#include "postgres_server.h"
#include "projections.h"
#include "read.h"
#include "session.h"
#include "settings.h"
#include "snapshots.h"
#include "stele/driver/driver.h"
#include "streams.h"

namespace stele::testing {
namespace {

/// 30,000 events of 40 types in 6,000 streams of 20 types, and of a rare one each; one in ten is of another tenant.
constexpr const char* fill = R"(
  SET session_replication_role = replica;
  ALTER TABLE streams DISABLE TRIGGER USER; ALTER TABLE commands DISABLE TRIGGER USER;
  ALTER TABLE events DISABLE TRIGGER USER; ALTER TABLE event_attributes DISABLE TRIGGER USER;
  INSERT INTO streams (tenant_id, stream_type, stream_id, version, created_at, last_recorded_at)
    SELECT CASE WHEN i % 10 = 0 THEN 'other' ELSE 'default' END, CASE WHEN i % 300 = 9 THEN 'rare' ELSE 'thing-' || i % 20 END, 's-' || i, 5, '2024-01-01', now()
    FROM generate_series(0, 5999) AS i;
  INSERT INTO commands (tenant_id, source, request_id, command_id, command_type, stream_type, stream_id, fingerprint,
                        outcome, recorded_at)
    SELECT s.tenant_id, 'app', 'r-' || s.stream_no || '-' || i, gen_random_uuid(), 'do', s.stream_type, s.stream_id,
           decode(repeat('00', 32), 'hex'), '[]', now()
    FROM streams AS s, generate_series(1, 2) AS i;
  INSERT INTO events (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, occurred_at, recorded_at,
                      source, actor_type, actor_id, command_no, idempotency_key, causation_id, correlation_id,
                      attribute_count, data)
    SELECT s.stream_no, v, s.tenant_id, s.stream_type, md5('e' || s.stream_no || '-' || v)::uuid, CASE WHEN v = 3 AND s.stream_no % 30 = 0 THEN 'Rare' ELSE 'Type' || (s.stream_no + v) % 40 END,
           '2024-01-01'::timestamptz + make_interval(mins => (v * 6000 + s.stream_no)::int),
           '2024-01-01'::timestamptz + make_interval(mins => (v * 6000 + s.stream_no)::int), 'app', 'user', 'u-' || v,
           s.stream_no, 'key-' || v, md5('a' || s.stream_no)::uuid, md5('o' || s.stream_no % 600)::uuid, 2, '{}'
    FROM generate_series(1, 5) AS v, streams AS s ORDER BY v, s.stream_no;
  INSERT INTO event_attributes
    SELECT global_position, 'room', 'blue-' || global_position % 200 FROM events
    UNION ALL SELECT global_position, 'run', (global_position % 1000)::text FROM events;
  INSERT INTO snapshots (snapshot_id, stream_no, stream_version, recorded_at, state_bytes, state)
    SELECT gen_random_uuid(), stream_no, v, now(), 2, '{}' FROM streams, generate_series(1, 5) AS v;
  INSERT INTO projections SELECT 'p-' || i, '', 16, 1, now() FROM generate_series(1, 500) AS i;
  INSERT INTO projection_offsets (projection_name, tenant_id, generation, part, updated_at)
    SELECT 'p-' || i, '', 1, n, now() FROM generate_series(1, 500) AS i, generate_series(0, 15) AS n;
  INSERT INTO projection_members SELECT 'p-' || i, '', 'm-' || n, now() + interval '1 h'
    FROM generate_series(1, 500) AS i, generate_series(0, 15) AS n;
  INSERT INTO dead_letters SELECT 'p-' || i, '', n, 1, n % 16, gen_random_uuid(), 1, '', now()
    FROM generate_series(1, 500) AS i, generate_series(1, 40) AS n;
  INSERT INTO event_schemas SELECT 't-' || i % 100, 'Type' || i / 100, 1, '{}', now() FROM generate_series(0, 9999) AS i;
  INSERT INTO event_type_rules (tenant_id, event_type, updated_at)
    SELECT 't-' || i % 100, 'Type' || i / 100, now() FROM generate_series(0, 9999) AS i;
  INSERT INTO subject_keys (key_id, tenant_id, subject, master_key_id, wrapped, created_at)
    SELECT md5('k' || i)::uuid, 't-' || i % 100, 's-' || i / 100, 'm', '\x00', now() FROM generate_series(0, 9999) AS i;
  INSERT INTO event_hashes SELECT global_position, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex')
    FROM events;
  INSERT INTO log_seals SELECT i, i - 1, i, 1, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), now()
    FROM generate_series(1, 10000) AS i;
  ANALYZE event_schemas; ANALYZE event_type_rules; ANALYZE subject_keys; ANALYZE event_hashes; ANALYZE log_seals;
  ANALYZE streams; ANALYZE commands; ANALYZE events; ANALYZE event_attributes; ANALYZE snapshots; ANALYZE projections;
  ANALYZE projection_offsets; ANALYZE projection_members; ANALYZE dead_letters;
)";

Uuid uuid_of(PostgresConnection& connection, const std::string& text) {
  return *Uuid::parse(connection.value("SELECT md5('" + text + "')::uuid"));
}

class PostgresPlans : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    if (postgres_url().empty()) return;
    schema_ = std::make_unique<PostgresSchema>();
    open_postgres(schema_->url());
    PostgresConnection bare = schema_->connect();
    bare.run(fill);
    correlation_ = uuid_of(bare, "o7");
    causation_ = uuid_of(bare, "a7");
    event_id_ = uuid_of(bare, "e7-3");
  }
  static void TearDownTestSuite() { schema_.reset(); }

  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    session_ = std::make_unique<postgres::Session>(postgres::parse_settings(Url::parse(schema_->url())));
    try {
      session_->run("LOAD 'auto_explain'", "test");
    } catch (const Error& error) {
      GTEST_SKIP() << "auto_explain is not installed: " << error.what();
    }
    // Solid disks: for others, tables of a test's size are best read whole.
    session_->run(
        "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; "
        "SET auto_explain.log_level = notice; SET client_min_messages = notice; SET random_page_cost = 1.1; SET "
        "plan_cache_mode = " +
            GetParam(),
        "test");
    PQsetNoticeProcessor(
        session_->handle(),
        [](void* plans, const char* text) { static_cast<std::vector<std::string>*>(plans)->push_back(text); }, &plans_);
  }

  /// The plans of all that `call` did, or of those statements alone that contain a text. None of them all reads a table
  /// of the log from end to end.
  std::string plans(const std::function<void(postgres::Session&)>& call, const std::string& containing = {}) {
    // Left alone, PostgreSQL settles on a kind of plan after five executions.
    for (int i = GetParam() == "auto" ? 0 : 9; i < 10; ++i) {
      plans_.clear();
      call(*session_);
    }
    EXPECT_FALSE(plans_.empty()) << "no statement was caught";
    static const std::regex scan(
        "Seq Scan on (\\S+\\.)?(events|streams|commands|event_attributes|snapshots|"
        "projections|projection_offsets|projection_members|dead_letters|"
        "event_schemas|event_type_rules|subject_keys|event_hashes|log_seals)\\b");
    std::string all;
    for (const std::string& plan : plans_) {
      EXPECT_FALSE(std::regex_search(plan, scan)) << plan;
      if (plan.find(containing) != std::string::npos) all += plan;
    }
    return all;
  }
  static void expect_index(const std::string& plans, const std::string& index) {
    const std::regex used("(Index (Only )?Scan( Backward)? using|Bitmap Index Scan on) " + index + "\\b");
    EXPECT_TRUE(std::regex_search(plans, used)) << index << " is not used:\n" << plans;
  }
  static void expect_none(const std::string& plans, const std::string& step) {
    EXPECT_EQ(plans.find(step), std::string::npos) << plans;
  }

  /// A page from the middle of the log with this filter comes along one of these indexes.
  void expect_log_along(const LogFilter& filter, const std::string& index, bool in_order = true) {
    for (const Direction direction : {Direction::forwards, Direction::backwards}) {
      driver::EventPage page;
      const std::string found = plans(
          [&](postgres::Session& session) {
            page.clear();
            const driver::LogPageRequest request{direction, Position(0), Position(30'001), {}, &filter, {100, 1 << 20}};
            read_log(session, request, page);
          },
          "FROM events AS e");
      EXPECT_GT(page.size(), 0U) << "a filter that nothing passes";
      expect_index(found, index);
      if (in_order) expect_none(found, "Sort");
    }
  }

  static std::unique_ptr<PostgresSchema> schema_;
  static Uuid correlation_, causation_, event_id_;
  std::unique_ptr<postgres::Session> session_;
  std::vector<std::string> plans_;
};

std::unique_ptr<PostgresSchema> PostgresPlans::schema_;
Uuid PostgresPlans::correlation_, PostgresPlans::causation_, PostgresPlans::event_id_;

INSTANTIATE_TEST_SUITE_P(Modes, PostgresPlans, ::testing::Values("force_generic_plan", "force_custom_plan", "auto"),
                         [](const auto& tested) {
                           return tested.param == "auto"                 ? "AsSettledOn"
                                  : tested.param == "force_generic_plan" ? "Generic"
                                                                         : "Custom";
                         });

// --- Reading ---------------------------------------------------------------------------------------------------------

TEST_P(PostgresPlans, Streams) {
  const StreamKey key("thing-7", "s-7");
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    for (const bool times : {false, true}) {
      const auto time = times ? std::optional(Timestamp::now()) : std::nullopt;
      const std::string found = plans([&](postgres::Session& session) {
        driver::EventPage page;
        read_stream(session, {&key, direction, Version(2), Version(4), time, time, {100, 1 << 20}}, page);
        EXPECT_EQ(page.size(), 3U);
      });
      expect_index(found, "streams_tenant_id_stream_type_stream_id_key");
      expect_index(found, "events_stream");
    }
  }
  expect_index(plans([&](postgres::Session& session) { EXPECT_TRUE(stream_info(session, key)); }),
               "streams_tenant_id_stream_type_stream_id_key");
}

TEST_P(PostgresPlans, ListsOfStreams) {
  for (const bool type : {false, true}) {
    for (const bool after : {false, true}) {
      for (const bool prefix : {false, true}) {
        StreamListOptions options;
        if (type) options.type = "thing-7";
        if (after) options.after = StreamKey("thing-7", "s-1");
        options.id_prefix = prefix ? "s-2" : "";
        const std::string found =
            plans([&](postgres::Session& session) { EXPECT_FALSE(list_streams(session, options).empty()); });
        expect_index(found, "streams_tenant_id_stream_type_stream_id_key");
        if (!after && !prefix) expect_none(found, "Sort");  // The others find a few, in either way.
      }
    }
  }
  const std::string tenants = plans([](postgres::Session& session) { EXPECT_EQ(list_tenants(session).size(), 2U); });
  expect_index(tenants, "streams_tenant_id_stream_type_stream_id_key");
  expect_index(tenants, "commands_tenant_id_source_request_id_key");
}

TEST_P(PostgresPlans, SingleEventsAndCommands) {
  expect_index(plans([&](postgres::Session& session) { EXPECT_TRUE(find_event(session, event_id_)); }),
               "events_event_id");
  std::optional<CommandRecord> command;
  expect_index(plans([&](postgres::Session& session) {
                 command = find_command(session, CommandKey{std::string(default_tenant), "app", "r-7-1"});
                 ASSERT_TRUE(command);
               }),
               "commands_tenant_id_source_request_id_key");
  expect_index(plans([&](postgres::Session& session) { EXPECT_TRUE(find_command(session, command->command_id)); }),
               "commands_command_id_key");
  const std::string list = plans([](postgres::Session& session) {
    EXPECT_EQ(list_commands(session, StreamKey("thing-7", "s-7"), 10).size(), 2U);
  });
  expect_index(list, "commands_stream");
}

TEST_P(PostgresPlans, LogFilters) {
  expect_log_along({}, "events_pkey");
  expect_log_along({.tenant = std::string(default_tenant)}, "events_pkey");
  expect_log_along({.tenant = "other"}, "events_(tenant|pkey)");
  // A plan for any value cannot know how wide the window of positions is, and goes along them.
  const bool any = GetParam() == "force_generic_plan";
  expect_log_along({.stream_types = {"rare"}}, any ? "events_(stream_type|pkey)" : "events_stream_type");
  expect_log_along({.event_types = {"Rare"}}, any ? "events_(type|pkey)" : "events_type");
  expect_log_along({.event_types = {"Type7", "Type8"}}, "events_(type|pkey)", false);
  expect_log_along({.source = "app"}, "events_pkey");
  expect_log_along({.actor_type = ActorType::user, .actor_id = "u-3"}, "events_pkey");
  expect_log_along({.correlation_id = correlation_}, "events_correlation", false);
  expect_log_along({.causation_id = causation_}, "events_causation", false);
  expect_log_along({.attributes = {{"room", "blue-7"}}}, "event_attributes_(value|pkey)", false);
  expect_log_along({.attributes = {{"room", "blue-7"}, {"run", "7"}}}, "event_attributes_(value|pkey)", false);
  expect_log_along({.recorded_from = Timestamp::parse("2024-01-06T00:00:00Z"), .recorded_until = Timestamp::now()},
                   "events_(recorded|pkey)", false);
  LogFilter window;
  window.occurred_from = Timestamp::parse("2024-01-06T00:00:00Z");
  window.occurred_until = Timestamp::parse("2024-01-06T02:00:00Z");
  expect_log_along(window, "events_(occurred|pkey)", false);
  if (!any) expect_log_along(window, "events_occurred", false);
}

// --- Writing ---------------------------------------------------------------------------------------------------------

/// An append's statements are planned by themselves each time, or once for all: never like those that are settled on.
class PostgresAppendPlans : public PostgresPlans {};

INSTANTIATE_TEST_SUITE_P(Modes, PostgresAppendPlans, ::testing::Values("force_generic_plan", "force_custom_plan"),
                         [](const auto& tested) {
                           return tested.param == "force_generic_plan" ? "Generic" : "Custom";
                         });

TEST_P(PostgresAppendPlans, Appends) {
  NewEvent event;
  event.type = "Happened";
  event.idempotency_key = GetParam();
  event.attributes = {{"room", "blue"}};
  const Uuid new_id = Uuid::parse(GetParam() == "force_generic_plan" ? "01890a5d-ac96-774b-bcce-b302099a8051"
                                                                     : "01890a5d-ac96-774b-bcce-b302099a8052")
                          .value();
  const StreamKey known("thing-7", "s-7");
  const StreamKey fresh("thing-7", "new-" + GetParam());
  const StreamKey condition("thing-8", "s-8");
  Command command;
  command.key = {std::string(default_tenant), "app", GetParam()};
  command.type = "do";
  const driver::PreparedEvent prepared{&event, new_id, true, Timestamp::now(), true, nullptr, {}, {}, false};
  driver::PreparedEvent second = prepared;
  NewEvent plain;
  plain.type = "Happened";
  second.event = &plain;
  Uuid::Bytes other_id = new_id.bytes();
  other_id[15] ^= 0x80;
  second.event_id = Uuid(other_id);
  const std::vector<StreamCondition> conditions = {{condition, ExpectedVersion::stream_exists()}};
  driver::PreparedAppend append{
      std::string_view(default_tenant),
      {{&known, ExpectedVersion::any(), {prepared}}, {&fresh, ExpectedVersion::any(), {second}}},
      conditions,
      driver::PreparedCommand{&command, new_id, true, &known, {}}};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const std::string found = plans([&](postgres::Session& session) {
    EXPECT_EQ(append_one(session, append, deadline).status, AppendStatus::appended);
  });
  for (const char* index :
       {"streams_tenant_id_stream_type_stream_id_key", "streams_pkey", "events_event_id", "events_idempotency",
        "commands_tenant_id_source_request_id_key", "commands_command_id_key"}) {
    expect_index(found, index);
  }
  // What is there already is looked up, not searched.
  append.command.reset();
  const std::string again = plans([&](postgres::Session& session) { append_one(session, append, deadline); });
  expect_index(again, "events_event_id");
  expect_index(again, "events_idempotency");
  const std::vector<driver::PreparedAppend> several(2, append);
  plans([&](postgres::Session& session) { append_together(session, several); });
}

// The common append has branches of its own: its stream is found and moved by one statement.
TEST_P(PostgresPlans, AppendsToOneStream) {
  NewEvent event;
  event.type = "Happened";
  const StreamKey known("thing-7", "s-7");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (const std::size_t count : {1U, 2U}) {
    const auto append_some = [&](postgres::Session& session) {
      std::vector<driver::PreparedEvent> events;
      while (events.size() < count) {
        events.push_back({&event, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false});
      }
      const driver::PreparedAppend append{
          std::string_view(default_tenant), {{&known, ExpectedVersion::stream_exists(), std::move(events)}}, {}, {}};
      EXPECT_EQ(append_one(session, append, deadline).status, AppendStatus::appended);
    };
    expect_index(plans(append_some, "UPDATE streams AS h"), "streams_tenant_id_stream_type_stream_id_key");
    EXPECT_EQ(plans(append_some, "FROM streams AS h"), "") << "its head was looked up as well";
    EXPECT_NE(plans(append_some, "INSERT INTO events"), "");
  }
}

// Several appends that have nothing but events for a stream each are done by a few statements for all of them.
TEST_P(PostgresAppendPlans, AppendsSeveral) {
  NewEvent event;
  event.type = "Happened";
  event.attributes = {{"room", "blue"}};
  int calls = 0;
  const auto append_two = [&](postgres::Session& session) {
    const std::string number = GetParam() + std::to_string(++calls);
    const StreamKey known("thing-7", "s-7");
    const StreamKey fresh("thing-7", "several-" + number);
    std::array<Command, 2> commands;
    std::vector<driver::PreparedAppend> appends;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      commands[i].key = {std::string(default_tenant), "several", number + "/" + std::to_string(i)};
      commands[i].type = "do";
      const StreamKey& stream = i == 0 ? known : fresh;
      appends.push_back({std::string_view(default_tenant),
                         {{&stream,
                           ExpectedVersion::any(),
                           {{&event, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false},
                            {&event, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false}}}},
                         {},
                         driver::PreparedCommand{&commands[i], Uuid::v7(), false, &stream, {}}});
    }
    for (const driver::AppendAnswer& answer : append_together(session, appends)) {
      ASSERT_FALSE(answer.error) << answer.error->what();
      EXPECT_EQ(answer.result.status, AppendStatus::appended);
    }
    // Again: both are known, and say so.
    for (const driver::AppendAnswer& answer : append_together(session, appends)) {
      EXPECT_EQ(answer.result.status, AppendStatus::replayed);
    }
  };
  const std::string found = plans(append_two);
  EXPECT_NE(found.find("UPDATE streams AS h"), std::string::npos);
  expect_index(plans(append_two, "UPDATE streams AS h"), "streams_tenant_id_stream_type_stream_id_key");
  expect_index(plans(append_two, "JOIN commands AS c"), "commands_tenant_id_source_request_id_key");
  expect_index(plans(append_two, "SELECT h.version"), "streams_tenant_id_stream_type_stream_id_key");
}

TEST_P(PostgresPlans, SettledPosition) {
  const std::string found = plans([](postgres::Session& session) { settled_position(session); });
  EXPECT_NE(found.find("pg_lock_status"), std::string::npos) << "its inner statements were not caught:\n" << found;
  expect_index(found, "append_spans_pkey");
}

TEST_P(PostgresPlans, Snapshots) {
  const StreamKey key("thing-7", "s-7");
  Snapshot snapshot;
  snapshot.stream = key;
  snapshot.version = Version(3);
  snapshot.state = Json("{}");
  expect_index(plans([&](postgres::Session& session) {
                 snapshot.snapshot_id = Uuid::v7();
                 EXPECT_TRUE(save_snapshot(session, snapshot));
               }),
               "streams_tenant_id_stream_type_stream_id_key");
  for (const std::optional<std::int32_t> schema : {std::optional<std::int32_t>(), std::optional(1)}) {
    const std::string found =
        plans([&](postgres::Session& session) { EXPECT_TRUE(find_snapshot(session, key, Version(4), schema)); });
    expect_index(found, "snapshots_pkey");
    expect_none(found, "Sort");
  }
  const std::string listed = plans([&](postgres::Session& session) {
    EXPECT_EQ(list_snapshots(session, {.stream_type = "thing-7", .stream_id = "s-7"}).size(), 5U);
  });
  expect_index(listed, "streams_tenant_id_stream_type_stream_id_key");
  expect_index(listed, "snapshots_pkey");
  const std::string deleted = plans([&](postgres::Session& session) {
    delete_snapshots(session, {.stream_type = "thing-8", .stream_id = "s-8", .keep = 2, .before = Timestamp()});
  });
  expect_index(deleted, "streams_tenant_id_stream_type_stream_id_key");
  expect_index(deleted, "snapshots_pkey");
}

TEST_P(PostgresPlans, Projections) {
  const driver::ProjectionKey key{"p-7", ""};
  const std::string found = plans([&](postgres::Session& session) {
    EXPECT_TRUE(find_projection(session, key));
    open_projection(session, key, 16, Position(0), driver::ProjectionKind::projection);
    const std::int32_t generation = add_generation(session, key);
    const auto lease = acquire_lease(session, {key, generation, 0}, "a", std::chrono::hours(1));
    ASSERT_TRUE(lease);
    EXPECT_TRUE(renew_lease(session, *lease, std::chrono::hours(1)));
    EXPECT_TRUE(move_checkpoint(session, *lease, Position(5)));
    add_dead_letter(session, {lease->key, Position(5), Uuid::v7(), 1, "why", {}});
    EXPECT_EQ(list_dead_letters(session, key, 3).size(), 3U);
    EXPECT_TRUE(remove_dead_letter(session, lease->key, Position(5)));
    announce_member(session, key, "a", std::chrono::hours(1));
    announce_member(session, key, "a", std::chrono::hours(0));
    release_lease(session, *lease);
    EXPECT_TRUE(activate(session, key, 1, 1));
    remove_generation(session, key, generation);
    open_projection(session, {"new", ""}, 4, Position(0), driver::ProjectionKind::projection);
    remove_projection(session, {"new", ""});
  });
  for (const char* index :
       {"projections_pkey", "projection_offsets_pkey", "projection_members_pkey", "dead_letters_pkey"}) {
    expect_index(found, index);
  }
}

TEST_P(PostgresPlans, Governance) {
  const std::string tenant = "t-7";
  const EventForm unused{"Rare", 3};
  const std::string types = plans([&](postgres::Session& session) {
    EXPECT_GE(event_types_revision(session, tenant), 100);
    EXPECT_GE(list_event_types(session, tenant).schemas.size(), 100U);
    EXPECT_TRUE(add_schema(session, {tenant, unused, "{}", {}}));
    EXPECT_TRUE(remove_schema(session, tenant, unused));
    EventTypeRules rules;
    rules.tenant = tenant;
    rules.event_type = "Type1";
    set_type_rules(session, rules);
  });
  expect_index(types, "event_schemas_pkey");
  expect_index(types, "event_type_rules_pkey");
  expect_index(types, "events_(type|tenant)");  // Whichever has fewer.

  const Uuid key_id = *Uuid::parse(schema_->connect().value("SELECT md5('k7')::uuid"));
  EXPECT_TRUE(find_subject_key(*session_, tenant, "s-0"));
  const std::string keys = plans([&](postgres::Session& session) {
    SubjectKey key;
    key.tenant = tenant;
    key.key_id = Uuid::v7();
    key.subject = key.key_id.to_string();
    key.wrapped = WrappedKey{"m", "w"};
    EXPECT_TRUE(add_subject_key(session, key));
    EXPECT_TRUE(find_subject_key(session, tenant, "s-0"));
    EXPECT_EQ(find_subject_keys(session, tenant, {&key_id, 1}).size(), 1U);
    EXPECT_EQ(list_subject_keys(session, tenant, key_id, 5).size(), 5U);
    EXPECT_EQ(list_subject_keys(session, tenant, std::nullopt, 5).size(), 5U);
    EXPECT_TRUE(rewrap_subject_key(session, tenant, key.key_id, *key.wrapped, {"n", "v"}));
    EXPECT_TRUE(destroy_subject_key(session, tenant, key.key_id));
    EXPECT_TRUE(forget_subject(session, tenant, key.key_id));
  });
  expect_index(keys, "subject_keys_subject");
  expect_index(keys, "subject_keys_tenant");

  const std::string seals = plans([&](postgres::Session& session) {
    LogSeal seal = last_seal(session).value();
    seal.after = seal.to;
    ++seal.number;
    const driver::EventHash hash{Position(1'000'000 + seal.number), {}, {}};
    EXPECT_TRUE(add_seal(session, seal, {&hash, 1}));
    EXPECT_EQ(list_seals(session, 5'000, 3).size(), 3U);
    EXPECT_EQ(read_hashes(session, Position(100), Position(900), 5).size(), 5U);
    EXPECT_TRUE(find_hashes(session, std::vector{driver::EventPlace{StreamKey("thing-7", "s-7"), Version(2)}}).at(0));
  });
  for (const char* index : {"log_seals_pkey", "event_hashes_pkey", "events_stream"}) expect_index(seals, index);
  expect_none(seals, "Sort");
}

// Asked by who reads all keys next.
TEST_P(PostgresPlans, TenantsOfKeysReadTheKeysAlone) {
  EXPECT_FALSE(list_key_tenants(*session_).empty());
  std::string all;
  for (const std::string& plan : plans_) all += plan;
  EXPECT_NE(all.find("subject_keys"), std::string::npos) << all;
  EXPECT_EQ(all.find("on events"), std::string::npos) << all;
}

// stats() counts everything and so reads everything. It shows that the tests above can fail.
TEST_P(PostgresPlans, StatsScans) {
  stats(*session_);
  std::string all;
  for (const std::string& plan : plans_) all += plan;
  EXPECT_NE(all.find("Seq Scan on events"), std::string::npos) << "a plan with a scan is not told from one without\n"
                                                               << all;
}

}  // namespace
}  // namespace stele::testing
