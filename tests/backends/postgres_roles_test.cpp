// What the roles of grant_roles() may do, and what nobody may.
#include <gtest/gtest.h>

#include <algorithm>

#include "postgres_server.h"
#include "stele/driver/driver.h"

namespace stele::testing {
namespace {

NewEvent event() {
  NewEvent made;
  made.type = "Happened";
  made.attributes = {{"room", "blue"}};
  return made;
}

AppendRequest request(const std::string& id, const std::string& request_id) {
  AppendRequest made;
  made.streams.push_back({StreamKey("thing", id), ExpectedVersion::any(), {event(), event()}});
  made.command.emplace();
  made.command->key = {std::string(default_tenant), "app", request_id};
  made.command->type = "do";
  return made;
}

class PostgresRoles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    // The first to be made is the last to be dropped.
    names_ = std::make_unique<Names>();
    schema_ = std::make_unique<PostgresSchema>();
    owner_ = std::make_unique<EventStore>(open_postgres(schema_->url()));
    owner_->driver().grant_roles({names_->reader.name(), names_->writer.name(), names_->admin.name()});
    reader_ = std::make_unique<PostgresLogin>("IN ROLE " + names_->reader.name());
    writer_ = std::make_unique<PostgresLogin>("IN ROLE " + names_->writer.name());
    admin_ = std::make_unique<PostgresLogin>("IN ROLE " + names_->admin.name());
    owner_->append(request("first", "r-1")).or_throw();
    schema_->connect().run(
        "INSERT INTO snapshots (snapshot_id, stream_no, stream_version, recorded_at, state_bytes, state) "
        "SELECT gen_random_uuid(), stream_no, 1, now(), 2, '{}' FROM streams");
    owner_->driver().open_projection({"p", ""}, 1);
  }

  EventStore open(const PostgresLogin& login) { return open_migrated_postgres(login.url(*schema_)); }
  PostgresConnection connect(const PostgresLogin& login) { return login.connect(schema_->name()); }

  /// None of these is done, and each for one of these reasons.
  static void expect_refused(PostgresConnection& connection, const std::vector<std::string>& attacks,
                             const std::vector<std::string>& reasons) {
    for (const std::string& attack : attacks) {
      const std::string error = connection.execute(attack);
      const bool expected = std::any_of(reasons.begin(), reasons.end(), [&](const std::string& reason) {
        return error.find(reason) != std::string::npos;
      });
      EXPECT_TRUE(expected) << attack << ": " << (error.empty() ? "was done" : error);
    }
  }
  static std::vector<std::string> changes() {
    std::vector<std::string> all;
    for (const std::string& table : std::vector<std::string>{"events", "commands", "event_attributes", "streams"}) {
      all.push_back("DELETE FROM " + table);
      all.push_back("TRUNCATE " + table + " CASCADE");
    }
    all.insert(all.end(),
               {"UPDATE events SET data = '{\"changed\":true}'", "UPDATE events SET event_version = 7 WHERE false",
                "UPDATE commands SET outcome = '[]'", "UPDATE event_attributes SET value = 'changed'",
                "UPDATE streams SET version = version - 1"});
    return all;
  }
  std::vector<std::string> contents() {
    return schema_->connect().rows(
        "SELECT 'e', global_position::text, stream_version, event_id::text, data::text FROM events UNION ALL "
        "SELECT 's', stream_no::text, version, stream_id, last_recorded_at::text FROM streams UNION ALL "
        "SELECT 'c', command_no::text, 0, request_id, outcome::text FROM commands UNION ALL "
        "SELECT 'a', global_position::text, 0, name, value FROM event_attributes ORDER BY 1, 2, 4");
  }

  struct Names {
    const PostgresLogin reader{PostgresLogin::MadeElsewhere()};
    const PostgresLogin writer{PostgresLogin::MadeElsewhere()};
    const PostgresLogin admin{PostgresLogin::MadeElsewhere()};
  };
  std::unique_ptr<Names> names_;
  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<PostgresLogin> reader_, writer_, admin_;
  std::unique_ptr<EventStore> owner_;
};

const std::vector<std::string> denied = {"permission denied", "must be owner"};

TEST_F(PostgresRoles, ReaderReadsAll) {
  EventStore store = open(*reader_);
  std::size_t found = 0;
  for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
  for ([[maybe_unused]] const RecordedEvent& each : store.read_stream(StreamKey("thing", "first"))) ++found;
  EXPECT_EQ(found, 4U);
  EXPECT_EQ(store.stats().events, 2);
  EXPECT_EQ(store.list_streams().size(), 1U);
  EXPECT_TRUE(store.find_command(CommandKey{std::string(default_tenant), "app", "r-1"}));
  EXPECT_EQ(store.list_commands(StreamKey("thing", "first")).size(), 1U);
  try {
    const VerifyReport report = store.verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
    EXPECT_GE(report.events, 2);
  } catch (const Error& error) {
    ADD_FAILURE() << "verify: " << error.what();
  }
}

TEST_F(PostgresRoles, ReaderChangesNothing) {
  EventStore store = open(*reader_);
  for (const bool together : {false, true}) {
    try {
      const std::vector<AppendRequest> requests(together ? 2 : 1, request("mine", "r-2"));
      together ? store.append_all(requests).front().or_throw() : store.append(requests.front()).or_throw();
      ADD_FAILURE() << "a reader appended";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::permission_denied) << error.what();
      EXPECT_EQ(error.outcome(), Outcome::not_applied);
    }
  }
  const std::vector<std::string> before = contents();
  PostgresConnection bare = connect(*reader_);
  expect_refused(bare, changes(), denied);
  expect_refused(bare,
                 {append_sql("thing", "mine"), append_several_sql("thing", {"mine"}),
                  "SELECT append_locks('{}', '{}', '{}')", "SELECT nextval('events_global_position_seq')",
                  "SELECT setval('events_global_position_seq', 1)", "INSERT INTO snapshots SELECT * FROM snapshots",
                  "DELETE FROM snapshots", "UPDATE projection_offsets SET last_position = 0", "DELETE FROM projections",
                  "DELETE FROM projection_members", "DELETE FROM dead_letters"},
                 denied);
  EXPECT_EQ(contents(), before);
}

TEST_F(PostgresRoles, WriterAppends) {
  EventStore store = open(*writer_);
  EXPECT_EQ(store.append(request("mine", "r-2")).or_throw().status, AppendStatus::appended);
  EXPECT_EQ(store.append(request("mine", "r-2")).or_throw().status, AppendStatus::replayed);
  const std::vector<AppendRequest> several = {request("mine", "r-3"), request("other", "r-4"), request("mine", "r-3")};
  const std::vector<AppendResult> results = store.append_all(several);
  EXPECT_EQ(results[0].status, AppendStatus::appended);
  EXPECT_EQ(results[1].status, AppendStatus::appended);
  EXPECT_EQ(results[2].status, AppendStatus::replayed);
  EXPECT_EQ(store.append(StreamKey("thing", "mine"), ExpectedVersion::no_stream(), {event()}).status,
            AppendStatus::conflict);
  std::size_t found = 0;
  for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
  EXPECT_EQ(found, 8U);
  const VerifyReport report = owner_->verify();
  EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
}

TEST_F(PostgresRoles, WriterAndAdminChangeNothingThatWasWritten) {
  for (const PostgresLogin* login : {writer_.get(), admin_.get()}) {
    const std::vector<std::string> before = contents();
    PostgresConnection bare = connect(*login);
    expect_refused(bare, changes(), denied);
    expect_refused(
        bare,
        {"SET session_replication_role = replica", "CREATE TABLE mine (a int)",
         "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP TABLE events CASCADE",
         "ALTER TABLE events DISABLE TRIGGER events_append_only", "DROP TRIGGER events_append_only ON events",
         "SELECT setval('events_global_position_seq', 1)", "SELECT nextval('events_global_position_seq')",
         "INSERT INTO streams (tenant_id, stream_type, stream_id, version, created_at, last_recorded_at) "
         "VALUES ('default', 'thing', 'stray', 1, now(), now())",
         "INSERT INTO commands OVERRIDING SYSTEM VALUE SELECT * FROM commands",
         "INSERT INTO event_attributes VALUES (1, 'a', 'b')", "SELECT grant_roles('a', 'b', 'c')",
         "UPDATE stele_migrations SET checksum = ''", "DELETE FROM stele_migrations"},
        denied);
    // A row by hand that would be no event of append().
    const std::string columns =
        "(global_position, stream_no, stream_version, tenant_id, stream_type, event_id, event_type, occurred_at, "
        "recorded_at, data) OVERRIDING SYSTEM VALUE SELECT ";
    const std::string rest =
        ", tenant_id, stream_type, gen_random_uuid(), event_type, occurred_at, recorded_at, data "
        "FROM events LIMIT 1";
    expect_refused(bare,
                   {"INSERT INTO events " + columns + "1000000, stream_no, stream_version + 1000" + rest,
                    "INSERT INTO events " + columns + "1000000, stream_no, 3" + rest,
                    "INSERT INTO events " + columns + "1000000, stream_no, 2" + rest,
                    "INSERT INTO events " + columns + "1000000, 9999, 1" + rest},
                   {"append()", "duplicate key", "foreign key", "permission denied"});
    EXPECT_EQ(contents(), before);
  }
}

TEST_F(PostgresRoles, ReaderLooksAtWhatReadersKeep) {
  EventStore store = open(*reader_);
  driver::Driver& driver = store.driver();
  EXPECT_EQ(driver.settled_position(), Position(2));
  EXPECT_EQ(driver.list_projections().size(), 1U);
  EXPECT_TRUE(driver.list_dead_letters({"p", ""}, 10).empty());
  EXPECT_TRUE(driver.find_snapshot(StreamKey("thing", "first"), Version(2), {}));
  EXPECT_EQ(driver.list_snapshots({}).size(), 1U);
  EXPECT_EQ(driver.open_projection({"p", ""}, 1).parts, 1);
  for (const auto& call :
       std::vector<std::function<void()>>{[&] {
                                            driver.open_projection({"q", ""}, 1);
                                          },
                                          [&] {
                                            driver.acquire_lease({{"p", ""}, 1, 0}, "a", std::chrono::seconds(1));
                                          },
                                          [&] { driver.delete_snapshots({}); }}) {
    try {
      call();
      ADD_FAILURE() << "a reader wrote";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::permission_denied) << error.what();
    }
  }
}

TEST_F(PostgresRoles, WriterAndAdminRunProjections) {
  for (const PostgresLogin* login : {writer_.get(), admin_.get()}) {
    EventStore store = open(*login);
    driver::Driver& driver = store.driver();
    const driver::ProjectionKey key{"own", ""};
    driver.open_projection(key, 2);
    EXPECT_EQ(driver.announce_member(key, "a", std::chrono::seconds(60)), 1);
    const auto lease = driver.acquire_lease({key, driver.add_generation(key), 1}, "a", std::chrono::seconds(60));
    ASSERT_TRUE(lease);
    EXPECT_TRUE(driver.renew_lease(*lease, std::chrono::seconds(60)));
    {
      const auto transaction = driver.begin_read_model();
      transaction->add_dead_letter({lease->key, Position(1), Uuid::v7(), 1, "why", {}});
      EXPECT_TRUE(transaction->move_checkpoint(*lease, Position(1)));
      EXPECT_TRUE(transaction->activate(key, 1, lease->key.generation));
      transaction->commit();
    }
    EXPECT_TRUE(driver.remove_dead_letter(lease->key, Position(1)));
    driver.release_lease(*lease);
    EXPECT_EQ(driver.announce_member(key, "a", std::chrono::seconds(0)), 0);
    driver.remove_projection(key);
    Snapshot snapshot;
    snapshot.stream = StreamKey("thing", "first");
    snapshot.version = Version(1);
    snapshot.snapshot_id = Uuid::v7();
    snapshot.state = Json("{}");
    EXPECT_TRUE(driver.save_snapshot(snapshot)) << "it takes the place of another";
    EXPECT_EQ(driver.delete_snapshots({}), 1);
    EXPECT_TRUE(driver.save_snapshot(snapshot));
    PostgresConnection bare = connect(*login);
    expect_refused(bare, {"TRUNCATE snapshots", "TRUNCATE projections CASCADE", "DROP TABLE dead_letters"}, denied);
  }
}

SubjectKey key_of(const std::string& subject) {
  SubjectKey key;
  key.key_id = Uuid::v7();
  key.subject = subject;
  key.wrapped = WrappedKey{"m", "w"};
  return key;
}

TEST_F(PostgresRoles, AdminGoverns) {
  EventStore store = open(*admin_);
  driver::Driver& driver = store.driver();
  const std::string tenant(default_tenant);
  EXPECT_TRUE(driver.add_schema({tenant, {"Happened", 1}, "{}", {}}));
  EXPECT_TRUE(driver.add_schema({tenant, {"Unused", 1}, "{}", {}}));
  EXPECT_TRUE(driver.remove_schema(tenant, {"Unused", 1}));
  EXPECT_THROW(driver.remove_schema(tenant, {"Happened", 1}), Error) << "there are events of it";
  EventTypeRules rules;
  rules.event_type = "Happened";
  driver.set_type_rules(rules);
  const SubjectKey key = key_of("a");
  EXPECT_TRUE(driver.add_subject_key(key));
  EXPECT_TRUE(driver.rewrap_subject_key(tenant, key.key_id, *key.wrapped, {"n", "v"}));
  EXPECT_TRUE(driver.destroy_subject_key(tenant, key.key_id));
  EXPECT_TRUE(driver.forget_subject(tenant, key.key_id));
  LogSeal seal;
  seal.to = Position(1);
  seal.events = 1;
  const driver::EventHash hash{Position(1), {}, {}};
  EXPECT_TRUE(driver.add_seal(seal, {&hash, 1}));
  PostgresConnection bare = connect(*admin_);
  expect_refused(bare,
                 {"UPDATE event_schemas SET schema_text = '[]'", "TRUNCATE event_schemas",
                  "DELETE FROM event_type_rules", "TRUNCATE event_type_rules", "DELETE FROM subject_keys",
                  "TRUNCATE subject_keys", "UPDATE event_hashes SET link = content_hash", "DELETE FROM event_hashes",
                  "TRUNCATE event_hashes", "UPDATE log_seals SET events = 0", "DELETE FROM log_seals",
                  "TRUNCATE log_seals", "DROP TRIGGER log_seals_append_only ON log_seals"},
                 denied);
  expect_refused(bare,
                 {"DELETE FROM event_schemas", "UPDATE event_type_rules SET schema_mode = 'off'",
                  "UPDATE subject_keys SET wrapped = 'w', master_key_id = 'm', destroyed_at = NULL, subject = 'b'"},
                 {"refused"});
}

TEST_F(PostgresRoles, WriterAddsSubjectKeysAndGovernsNothing) {
  const std::string tenant(default_tenant);
  EXPECT_TRUE(owner_->driver().add_schema({tenant, {"Happened", 1}, "{}", {}}));
  EXPECT_TRUE(owner_->driver().add_seal(LogSeal(), {}));
  const SubjectKey known = key_of("known");
  EXPECT_TRUE(owner_->driver().add_subject_key(known));
  for (const PostgresLogin* login : {reader_.get(), writer_.get()}) {
    EventStore store = open(*login);
    driver::Driver& driver = store.driver();
    EXPECT_EQ(driver.event_types_revision(tenant), 1);
    EXPECT_EQ(driver.list_event_types(tenant).schemas.size(), 1U);
    EXPECT_TRUE(driver.find_subject_key(tenant, "known"));
    EXPECT_TRUE(driver.last_seal());
    EXPECT_TRUE(driver.read_hashes({}, Position(9), 9).empty());
    EXPECT_FALSE(driver.find_hashes(std::vector{driver::EventPlace{StreamKey("thing", "first"), Version(1)}}).at(0));
    if (login == writer_.get()) {
      EXPECT_TRUE(driver.add_subject_key(key_of("a")));
      EXPECT_FALSE(driver.add_subject_key(key_of("a")));
    }
    EventTypeRules rules;
    rules.event_type = "Happened";
    LogSeal second;
    second.number = 2;
    std::vector<std::function<void()>> calls = {
        [&] {
          driver.add_schema({tenant, {"Other", 1}, "{}", {}});
        },
        [&] {
          driver.remove_schema(tenant, {"Other", 1});
        },
        [&] { driver.set_type_rules(rules); },
        [&] {
          driver.rewrap_subject_key(tenant, known.key_id, *known.wrapped, {"n", "v"});
        },
        [&] { driver.destroy_subject_key(tenant, known.key_id); },
        [&] { driver.forget_subject(tenant, known.key_id); },
        [&] { driver.add_seal(second, {}); }};
    if (login == reader_.get()) calls.emplace_back([&] { driver.add_subject_key(key_of("b")); });
    for (std::size_t i = 0; i < calls.size(); ++i) {
      try {
        calls[i]();
        ADD_FAILURE() << "call " << i << " was done";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::permission_denied) << i << ": " << error.what();
      }
    }
    // Who may not forget leaves nothing behind: a subject that is closed takes no more events.
    try {
      store.forget(tenant, "known");
      ADD_FAILURE() << "somebody was forgotten";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::permission_denied) << error.what();
    }
    const StreamKey notices(tenant, std::string(subject_stream_type), known.key_id.to_string());
    EXPECT_EQ(owner_->stream_version(notices), Version(0));
  }
}

// A superuser who owns all of it, and says so as a replica.
TEST_F(PostgresRoles, OwnerChangesNothing) {
  const std::vector<std::string> before = contents();
  PostgresConnection bare = schema_->connect();
  for (const char* role : {"origin", "replica", "local"}) {
    bare.run(std::string("SET session_replication_role = ") + role);
    expect_refused(bare, changes(), {"append-only", "only move forwards"});
  }
  EXPECT_EQ(contents(), before);
}

// A role that owns the store and nothing else of the server.
TEST_F(PostgresRoles, OwnerWithoutOtherRights) {
  const PostgresDatabase database;
  const PostgresLogin plain;
  PostgresConnection("public").run("GRANT CREATE ON DATABASE " + database.name() + " TO " + plain.name());
  {
    EventStore store = open_postgres(
        postgres_url_as(plain.name(), PostgresLogin::password, postgres_url_in(database.name()) + "?schema=own"));
    store.append(request("mine", "r-1")).or_throw();
    std::size_t found = 0;
    for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
    EXPECT_EQ(found, 2U);
    const VerifyReport report = store.verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
    // The position of a writer of another role is seen by this one.
    PostgresConnection other("own", database.url());
    other.run("BEGIN");
    other.run(append_sql("thing", "stopped"));
    store.append(request("mine", "r-2")).or_throw();
    found = 0;
    for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
    EXPECT_EQ(found, 2U) << "passed by what is not settled";
  }
  PostgresConnection("public", database.url()).run("DROP OWNED BY " + plain.name() + " CASCADE");
}

// Readers of every role see that a writer of another role is under way.
TEST_F(PostgresRoles, AllRolesSeeWhatIsNotSettled) {
  PostgresConnection stopped = connect(*writer_);
  stopped.run("BEGIN");
  stopped.run(append_sql("thing", "stopped"));
  open(*admin_).append(request("behind", "r-9")).or_throw();
  for (const PostgresLogin* login : {reader_.get(), writer_.get(), admin_.get()}) {
    EventStore store = open(*login);
    std::size_t found = 0;
    for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
    EXPECT_EQ(found, 2U);
  }
}

// append() finds its own tables and functions, whatever its caller puts in their way.
TEST_F(PostgresRoles, CallersDoNotMislead) {
  const std::vector<std::string> tables = {"streams", "events", "commands", "event_attributes"};
  const std::string own = sql_name(schema_->name());
  const PostgresSchema traps;
  schema_->connect().run("CREATE SCHEMA " + traps.name() + " AUTHORIZATION " + writer_->name());
  PostgresConnection bare = connect(*writer_);
  for (const std::string& schema : {std::string("pg_temp"), traps.name()}) {
    for (const std::string& table : tables) {
      bare.run("CREATE TABLE " + schema + "." + table + " (LIKE " + own + "." + table + ")");
    }
    bare.run("CREATE SEQUENCE " + schema + ".events_global_position_seq");
    bare.run("CREATE FUNCTION " + schema + ".lock_class(regclass) RETURNS integer LANGUAGE sql AS 'SELECT 7'");
    bare.run("CREATE FUNCTION " + schema + ".append_lock(regclass, text) RETURNS bigint LANGUAGE sql AS 'SELECT 7'");
    bare.run("CREATE FUNCTION " + schema +
             ".clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT '1999-01-01Z'::timestamptz$$");
  }
  bare.run("SET search_path = pg_temp, " + traps.name() + ", pg_catalog, " + own);
  std::string call = append_sql("thing", "trapped");
  const std::string from = "FROM append(";
  call.replace(call.find(from), from.size(), "FROM " + own + ".append(");
  EXPECT_EQ(bare.execute(call), "");
  EXPECT_EQ(bare.execute("SELECT " + own + ".append_locks(ARRAY['a'], ARRAY['b'], ARRAY[true])"), "");
  EXPECT_EQ(bare.value("SELECT " + own + ".settled_position() = (SELECT max(global_position) FROM " + own + ".events)"),
            "t");
  for (const std::string& schema : {std::string("pg_temp"), traps.name()}) {
    for (const std::string& table : tables) {
      EXPECT_EQ(bare.value("SELECT count(*) FROM " + schema + "." + table), "0") << schema << "." << table;
    }
  }
  EXPECT_EQ(owner_->stream_version(StreamKey("thing", "trapped")), Version(1));
  EXPECT_GT(owner_->stream_info(StreamKey("thing", "trapped"))->created_at, Timestamp());
  EXPECT_EQ(schema_->connect().value("SELECT count(*) FROM streams WHERE created_at < '2000-01-01'"), "0");
}

TEST_F(PostgresRoles, NobodyElseMayDoAnything) {
  EXPECT_EQ(schema_->connect().rows(
                "SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = current_schema()::regnamespace AND "
                "(p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = 0))"),
            std::vector<std::string>{})
      << "functions that PUBLIC may execute";
  const PostgresLogin stranger;
  EXPECT_THROW(open_migrated_postgres(stranger.url(*schema_)), Error);
  schema_->connect().run("GRANT USAGE ON SCHEMA " + sql_name(schema_->name()) + " TO " + stranger.name());
  PostgresConnection bare = connect(stranger);
  expect_refused(bare,
                 {append_sql("thing", "mine"), append_several_sql("thing", {"mine"}), "SELECT settled_position()",
                  "SELECT append_locks('{}', '{}', '{}')", "SELECT grant_roles('a', 'b', 'c')", "SELECT FROM events",
                  "SELECT FROM commands", "SELECT FROM event_log"},
                 denied);
}

// To be repeated after a migration; rights that somebody added by hand are taken back.
// In the same schema, and none of the store's business.
TEST_F(PostgresRoles, LeaveOtherTablesAlone) {
  PostgresConnection owner = schema_->connect();
  owner.run("CREATE TABLE secrets (word text)");
  owner.run("CREATE TABLE totals (cents int)");
  owner.run("GRANT SELECT, INSERT ON totals TO " + names_->writer.name());
  owner_->driver().grant_roles({names_->reader.name(), names_->writer.name(), names_->admin.name()});
  EXPECT_EQ(connect(*writer_).execute("INSERT INTO totals VALUES (5)"), "");
  for (const PostgresLogin* login : {reader_.get(), writer_.get(), admin_.get()}) {
    PostgresConnection bare = connect(*login);
    expect_refused(bare, {"SELECT FROM secrets"}, denied);
  }
}

TEST_F(PostgresRoles, GrantedAgain) {
  schema_->connect().run("GRANT UPDATE, DELETE ON events TO " + names_->reader.name());
  owner_->driver().grant_roles({names_->reader.name(), names_->writer.name(), names_->admin.name()});
  PostgresConnection bare = connect(*reader_);
  expect_refused(bare, changes(), denied);
  EXPECT_EQ(open(*writer_).append(request("mine", "r-2")).status, AppendStatus::appended);
}

}  // namespace
}  // namespace stele::testing
