// What the roles of grant_roles() may do, and what nobody may: in plain T-SQL, on connections of users of each.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "mssql_server.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"
#include "stele/mssql.h"
#include "stele/registry.h"
#include "stele/url.h"

namespace stele::testing {
namespace {

using mssql::Session;

EventStore open(const std::string& url, bool migrate = false) {
  Registry registry;
  mssql::register_driver(registry);
  return EventStore::open(registry, url, {.migrate = migrate});
}

NewEvent event() {
  NewEvent made;
  made.type = "Happened";
  return made;
}

/// With all that a store can hold, so in several statements; append() with one bare event calls a procedure.
AppendRequest request(const std::string& id, const std::string& request_id) {
  AppendRequest made;
  made.streams.push_back({StreamKey("thing", id), ExpectedVersion::any(), {event(), event()}});
  made.streams[0].events[0].attributes = {{"room", "blue"}};
  made.command.emplace();
  made.command->key = {std::string(default_tenant), "app", request_id};
  made.command->type = "do";
  return made;
}

std::size_t count_log(EventStore& store) {
  std::size_t found = 0;
  for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
  return found;
}

/// A login of the server and its user of the database, with or without a role. Dropped with this object.
class Login {
 public:
  explicit Login(const std::string& role = {}) {
    static int made = 0;
    name_ = "stele_login_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
    MssqlConnection server;
    server.run("CREATE LOGIN " + name_ + " WITH PASSWORD = '" + password + "'");
    server.run("CREATE USER " + name_ + " FOR LOGIN " + name_);
    if (!role.empty()) server.run("ALTER ROLE " + role + " ADD MEMBER " + name_);
  }
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;
  ~Login() {
    try {
      MssqlConnection server;
      server.execute("DROP USER " + name_);
      server.execute("DROP LOGIN " + name_);
    } catch (const std::exception&) {  // The server goes away with them.
    }
  }

  std::string url(const MssqlSchema& schema) const {
    std::string url = schema.url();
    const std::size_t user = url.find("://") + 3;
    return url.replace(user, url.find('@') - user, name_ + ":" + password);
  }

 private:
  static constexpr const char* password = "Stele-Test-1";
  std::string name_;
};

/// A role that grant_roles() makes.
class Role {
 public:
  explicit Role(const std::string& kind) : name("stele_role_" + std::to_string(::getpid()) + "_" + kind) {}
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;
  ~Role() {
    try {
      MssqlConnection().execute("DROP ROLE " + name);
    } catch (const std::exception&) {
    }
  }

  const std::string name;
};

using Codes = std::vector<ErrorCode>;
const Codes denied = {ErrorCode::permission_denied};
// A user without rights is told that there is no such thing, by some statements.
const Codes denied_or_hidden = {ErrorCode::permission_denied, ErrorCode::schema_outdated, ErrorCode::internal};
const Codes refused = {ErrorCode::permission_denied, ErrorCode::rejected_by_database};

class MssqlRoles : public ::testing::Test {
 protected:
  // One store for all: connections and logins are slow to make, and no test may change what another reads.
  struct Place {
    const Role reader_role{"reader"}, writer_role{"writer"}, admin_role{"admin"};
    const MssqlSchema schema;
    std::unique_ptr<Login> reader, writer, admin;
    std::unique_ptr<EventStore> owner;
  };

  static void SetUpTestSuite() {
    if (mssql_url().empty()) return;
    place_ = std::make_unique<Place>();
    place_->owner = std::make_unique<EventStore>(open(place_->schema.url(), true));
    place_->owner->driver().grant_roles({place_->reader_role.name, place_->writer_role.name, place_->admin_role.name});
    place_->reader = std::make_unique<Login>(place_->reader_role.name);
    place_->writer = std::make_unique<Login>(place_->writer_role.name);
    place_->admin = std::make_unique<Login>(place_->admin_role.name);
    place_->owner->append(request("first", "r-1")).or_throw();
    MssqlConnection().run(place_->schema.in(
        "INSERT INTO $(schema).snapshots (snapshot_id, stream_no, stream_version, snapshot_version, recorded_at, "
        "state_bytes, state) SELECT NEWID(), stream_no, 1, 1, SYSUTCDATETIME(), 2, N'{}' FROM $(schema).streams"));
    place_->owner->driver().open_projection({"p", ""}, 1);
  }
  static void TearDownTestSuite() { place_.reset(); }

  void SetUp() override {
    if (mssql_url().empty()) GTEST_SKIP() << no_mssql;
    ASSERT_NE(place_, nullptr);
    ASSERT_NE(place_->admin, nullptr);
  }

  static std::unique_ptr<Session> connect(const std::string& url) {
    return std::make_unique<Session>(mssql::parse_settings(Url::parse(url)));
  }
  static std::unique_ptr<Session> connect(const Login& login) { return connect(login.url(place_->schema)); }
  static EventStore open_as(const Login& login) { return open(login.url(place_->schema)); }

  /// None of these is done, and each for one of these reasons.
  static void expect_refused(Session& session, const std::vector<std::string>& attacks, const Codes& codes) {
    for (const std::string& attack : attacks) {
      try {
        session.run(attack, "attack");
        ADD_FAILURE() << "was done: " << attack;
      } catch (const Error& error) {
        EXPECT_TRUE(std::find(codes.begin(), codes.end(), error.code()) != codes.end())
            << attack << ": " << error.what() << " " << error.native_code();
        EXPECT_TRUE(session.usable()) << attack;
      }
    }
  }

  static std::vector<std::string> changes() {
    std::vector<std::string> all;
    for (const std::string table : {"events", "commands", "event_attributes", "streams"}) {
      all.push_back("DELETE FROM $(schema)." + table);
      all.push_back("DELETE FROM $(schema)." + table + " WHERE 1 = 0");
      all.push_back("TRUNCATE TABLE $(schema)." + table);
    }
    all.insert(all.end(), {"UPDATE $(schema).events SET data = N'{\"changed\":true}'",
                           "UPDATE $(schema).events SET event_version = 7 WHERE 1 = 0",
                           "UPDATE $(schema).commands SET outcome = N'[]'",
                           "UPDATE $(schema).event_attributes SET value = N'changed'",
                           "UPDATE $(schema).streams SET version = version - 1",
                           "UPDATE $(schema).streams SET last_recorded_at = '2001-01-01', created_at = '2001-01-01'",
                           "UPDATE $(schema).streams SET stream_key = 0x78"});
    return all;
  }

  static std::vector<std::string> contents() {
    return MssqlConnection().rows(place_->schema.in(
        "SELECT 'e', global_position, stream_version, CAST(event_id AS NVARCHAR(40)), data FROM $(schema).events UNION "
        "ALL SELECT 's', stream_no, version, stream_id, CAST(last_recorded_at AS NVARCHAR(40)) FROM $(schema).streams "
        "UNION ALL SELECT 'c', command_no, 0, request_id, outcome FROM $(schema).commands UNION ALL "
        "SELECT 'a', global_position, 0, name, value FROM $(schema).event_attributes ORDER BY 1, 2, 4"));
  }

  static void expect_sound() {
    const VerifyReport report = place_->owner->verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
  }

  static std::unique_ptr<Place> place_;
};

std::unique_ptr<MssqlRoles::Place> MssqlRoles::place_;

TEST_F(MssqlRoles, ReaderReadsAll) {
  EventStore store = open_as(*place_->reader);
  EXPECT_EQ(count_log(store), static_cast<std::size_t>(place_->owner->stats().events));
  EXPECT_EQ(store.stats().events, place_->owner->stats().events);
  EXPECT_EQ(store.stream_version(StreamKey("thing", "first")), Version(2));
  EXPECT_FALSE(store.list_streams().empty());
  EXPECT_TRUE(store.find_command(CommandKey{std::string(default_tenant), "app", "r-1"}));
  const VerifyReport report = store.verify();
  EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
}

TEST_F(MssqlRoles, ReaderChangesNothing) {
  const std::vector<std::string> before = contents();
  EventStore store = open_as(*place_->reader);
  AppendRequest single = request("mine", "r-2");
  single.streams[0].events.resize(1);
  single.streams[0].events[0].attributes.clear();
  for (const AppendRequest& each : {request("mine", "r-2"), single}) {
    try {
      store.append(each).or_throw();
      ADD_FAILURE() << "a reader appended";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::permission_denied) << error.what();
      EXPECT_EQ(error.outcome(), Outcome::not_applied);
    }
  }
  const auto bare = connect(*place_->reader);
  expect_refused(*bare, changes(), denied);
  expect_refused(*bare,
                 {"EXEC $(schema).announce_positions", "EXEC $(schema).take_lock N'mine', N'Exclusive'",
                  "INSERT INTO $(schema).streams (tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, "
                  "version, created_at, last_recorded_at) VALUES (N'd', N't', N's', 0x64, 0x74, 0x73, 1, "
                  "SYSUTCDATETIME(), SYSUTCDATETIME())",
                  "DELETE FROM $(schema).snapshots", "UPDATE $(schema).projection_offsets SET last_position = 0",
                  "DELETE FROM $(schema).projections", "DELETE FROM $(schema).projection_members",
                  "DELETE FROM $(schema).dead_letters"},
                 denied);
  EXPECT_EQ(contents(), before);
}

TEST_F(MssqlRoles, WriterAndAdminAppend) {
  for (const Login* login : {place_->writer.get(), place_->admin.get()}) {
    const std::string own = login == place_->writer.get() ? "writers" : "admins";
    EventStore store = open_as(*login);
    EXPECT_EQ(store.append(request(own, own + "-2")).or_throw().status, AppendStatus::appended);
    EXPECT_EQ(store.append(request(own, own + "-2")).or_throw().status, AppendStatus::replayed);
    EXPECT_EQ(store.append(StreamKey("thing", own), ExpectedVersion::exactly(2), {event()}).status,
              AppendStatus::appended);
    EXPECT_EQ(store.append(StreamKey("thing", own), ExpectedVersion::no_stream(), {event()}).status,
              AppendStatus::conflict);
    AppendRequest with_condition = request(own, own + "-3");
    with_condition.conditions.push_back({StreamKey("thing", "first"), ExpectedVersion::exactly(2)});
    with_condition.conditions.push_back({StreamKey("thing", "never"), ExpectedVersion::no_stream()});
    const std::vector<AppendRequest> several = {with_condition, request(own + "-other", own + "-4"),
                                                request(own, own + "-3")};
    const std::vector<AppendResult> results = store.append_all(several);
    EXPECT_EQ(results[0].status, AppendStatus::appended);
    EXPECT_EQ(results[1].status, AppendStatus::appended);
    // Conditions are no part of a request's fingerprint.
    EXPECT_EQ(results[2].status, AppendStatus::replayed);
    EXPECT_EQ(count_log(store), static_cast<std::size_t>(place_->owner->stats().events));
  }
  expect_sound();
}

TEST_F(MssqlRoles, WriterAndAdminChangeNothingThatWasWritten) {
  const std::vector<std::string> before = contents();
  for (const Login* login : {place_->writer.get(), place_->admin.get()}) {
    const auto bare = connect(*login);
    expect_refused(*bare, changes(), refused);
    expect_refused(
        *bare,
        {"DELETE FROM $(schema).events", "UPDATE $(schema).events SET event_version = 7",
         "UPDATE $(schema).commands SET outcome = N'[]'", "TRUNCATE TABLE $(schema).events",
         "UPDATE $(schema).streams SET stream_id = N'other', version = version + 1",
         "UPDATE $(schema).stele_migrations SET checksum = N''", "DELETE FROM $(schema).stele_migrations",
         "INSERT INTO $(schema).stele_migrations (number, title, checksum, direction) VALUES (9, N'', N'', N'up')",
         "INSERT INTO $(schema).truncate_guard SELECT TOP (1) a.global_position, a.name, a.name_bytes, c.command_no, "
         "e.stream_no FROM $(schema).event_attributes AS a, $(schema).commands AS c, $(schema).events AS e"},
        denied);
    expect_refused(
        *bare,
        {"CREATE TABLE $(schema).mine (a INT)", "CREATE PROCEDURE $(schema).mine AS SELECT 1",
         "DROP TABLE $(schema).truncate_guard", "DROP PROCEDURE $(schema).append_one",
         "DROP PROCEDURE $(schema).append_to_stream", "DROP TRIGGER $(schema).events_append_only",
         "DISABLE TRIGGER $(schema).events_append_only ON $(schema).events",
         "ALTER TABLE $(schema).events DROP CONSTRAINT ck_events", "DROP INDEX events_stream ON $(schema).events",
         "DROP SCHEMA $(schema)", "EXEC $(schema).grant_roles N'a', N'b', N'c'",
         "DBCC CHECKIDENT ('" + place_->schema.name() + ".events', RESEED, 1)"},
        denied_or_hidden);
    // Rows by hand that would be no event of Stele's.
    const std::string columns =
        "INSERT INTO $(schema).events (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, "
        "event_version, occurred_at, recorded_at, redaction_level, contains_secrets, attribute_count, data) SELECT TOP "
        "(1) ";
    const std::string rest =
        ", tenant_id, stream_type, NEWID(), event_type, 1, occurred_at, recorded_at, N'none', 0, 0, data FROM "
        "$(schema).events";
    expect_refused(*bare,
                   {columns + "stream_no, 1000" + rest, columns + "stream_no, 1" + rest, columns + "9999, 1" + rest,
                    "INSERT INTO $(schema).event_attributes (global_position, name, name_bytes, value) SELECT TOP (1) "
                    "global_position, N'one-more', 8, N'x' FROM $(schema).event_attributes"},
                   {ErrorCode::rejected_by_database});
  }
  EXPECT_EQ(contents(), before);
  expect_sound();
}

// Who owns all of it, in a connection of his own.
TEST_F(MssqlRoles, OwnerChangesNothing) {
  const std::vector<std::string> before = contents();
  const auto bare = connect(place_->schema.url());
  expect_refused(*bare, changes(), {ErrorCode::rejected_by_database});
  EXPECT_EQ(contents(), before);
}

TEST_F(MssqlRoles, ReaderLooksAtWhatReadersKeep) {
  EventStore store = open_as(*place_->reader);
  driver::Driver& driver = store.driver();
  EXPECT_EQ(driver.settled_position(), place_->owner->log_end());
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

TEST_F(MssqlRoles, WriterAndAdminRunProjections) {
  for (const Login* login : {place_->writer.get(), place_->admin.get()}) {
    EventStore store = open_as(*login);
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
    const auto bare = connect(*login);
    expect_refused(*bare, {"DROP TABLE $(schema).dead_letters"}, denied_or_hidden);
  }
  expect_sound();
}

SubjectKey key_of(const std::string& subject) {
  SubjectKey key;
  key.key_id = Uuid::v7();
  key.subject = subject;
  key.wrapped = WrappedKey{"m", "w"};
  return key;
}

TEST_F(MssqlRoles, AdminGoverns) {
  EventStore store = open_as(*place_->admin);
  driver::Driver& driver = store.driver();
  const std::string tenant(default_tenant);
  EXPECT_TRUE(driver.add_schema({tenant, {"Happened", 1}, "{}", {}}));
  EXPECT_TRUE(driver.add_schema({tenant, {"Unused", 1}, "{}", {}}));
  EXPECT_TRUE(driver.remove_schema(tenant, {"Unused", 1}));
  EXPECT_THROW(driver.remove_schema(tenant, {"Happened", 1}), Error) << "there are events of it";
  EventTypeRules rules;
  rules.event_type = "Happened";
  driver.set_type_rules(rules);
  const SubjectKey key = key_of("of the admin");
  EXPECT_TRUE(driver.add_subject_key(key));
  EXPECT_TRUE(driver.rewrap_subject_key(tenant, key.key_id, *key.wrapped, {"n", "v"}));
  EXPECT_TRUE(driver.destroy_subject_key(tenant, key.key_id));
  EXPECT_TRUE(driver.forget_subject(tenant, key.key_id));
  LogSeal seal;
  const std::optional<LogSeal> last = driver.last_seal();
  seal.number = last ? last->number + 1 : 1;
  seal.to = Position(1);
  seal.events = 1;
  const driver::EventHash hash{Position(1), {}, {}};
  EXPECT_TRUE(driver.add_seal(seal, {&hash, 1}));
  const auto bare = connect(*place_->admin);
  expect_refused(*bare,
                 {"UPDATE $(schema).event_schemas SET schema_text = N'[]'", "DELETE FROM $(schema).event_schemas",
                  "TRUNCATE TABLE $(schema).event_schemas", "DELETE FROM $(schema).event_type_rules",
                  "UPDATE $(schema).event_type_rules SET schema_mode = N'off'", "DELETE FROM $(schema).subject_keys",
                  "UPDATE $(schema).subject_keys SET wrapped = 0x77, master_key_id = N'm', destroyed_at = NULL, "
                  "subject = N'b', subject_key = 0x62",
                  "UPDATE $(schema).event_hashes SET link = content_hash", "DELETE FROM $(schema).event_hashes",
                  "TRUNCATE TABLE $(schema).event_hashes", "UPDATE $(schema).log_seals SET events = 0",
                  "DELETE FROM $(schema).log_seals", "TRUNCATE TABLE $(schema).log_seals"},
                 refused);
  expect_sound();
}

TEST_F(MssqlRoles, WriterAddsSubjectKeysAndGovernsNothing) {
  const std::string tenant(default_tenant);
  const SubjectKey known = key_of("known");
  EXPECT_TRUE(place_->owner->driver().add_subject_key(known));
  for (const Login* login : {place_->reader.get(), place_->writer.get()}) {
    EventStore store = open_as(*login);
    driver::Driver& driver = store.driver();
    EXPECT_EQ(driver.event_types_revision(tenant), driver.list_event_types(tenant).revision);
    EXPECT_TRUE(driver.find_subject_key(tenant, "known"));
    EXPECT_FALSE(driver.find_hashes(std::vector{driver::EventPlace{StreamKey("thing", "first"), Version(2)}}).at(0));
    driver.list_seals(0, 9);
    if (login == place_->writer.get()) {
      EXPECT_TRUE(driver.add_subject_key(key_of("of the writer")));
      EXPECT_FALSE(driver.add_subject_key(key_of("of the writer")));
    }
    EventTypeRules rules;
    rules.event_type = "Happened";
    const std::optional<LogSeal> last = driver.last_seal();
    LogSeal next;
    next.number = last ? last->number + 1 : 1;
    std::vector<std::function<void()>> calls = {
        [&] {
          driver.add_schema({tenant, {"Other", 1}, "{}", {}});
        },
        [&] { driver.set_type_rules(rules); },
        [&] {
          driver.rewrap_subject_key(tenant, known.key_id, *known.wrapped, {"n", "v"});
        },
        [&] { driver.destroy_subject_key(tenant, known.key_id); },
        [&] { driver.forget_subject(tenant, known.key_id); },
        [&] { driver.add_seal(next, {}); }};
    if (login == place_->reader.get()) calls.emplace_back([&] { driver.add_subject_key(key_of("of the reader")); });
    for (std::size_t i = 0; i < calls.size(); ++i) {
      try {
        calls[i]();
        ADD_FAILURE() << "call " << i << " was done";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::permission_denied) << i << ": " << error.what();
      }
    }
  }
}

// Locks of one user are seen by readers of every other.
TEST_F(MssqlRoles, AllRolesSeeWhatIsNotSettled) {
  const auto stopped = connect(*place_->writer);
  const std::size_t settled = static_cast<std::size_t>(place_->owner->stats().events);
  {
    // The locks, and a position that is taken and not committed.
    const mssql::Transaction transaction(*stopped);
    stopped->run(
        "UPDATE $(schema).streams SET version = version + 1 WHERE stream_id = N'first'; "
        "EXEC $(schema).announce_positions; "
        "INSERT INTO $(schema).events (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, "
        "event_version, occurred_at, recorded_at, redaction_level, contains_secrets, attribute_count, data) SELECT "
        "stream_no, version, tenant_id, stream_type, NEWID(), N'Happened', 1, SYSUTCDATETIME(), SYSUTCDATETIME(), "
        "N'none', 0, 0, N'{}' FROM $(schema).streams WHERE stream_id = N'first'",
        "stop");
    open_as(*place_->admin).append(request("behind", "behind-1")).or_throw();
    for (const Login* login : {place_->reader.get(), place_->writer.get(), place_->admin.get()}) {
      EventStore store = open_as(*login);
      EXPECT_EQ(count_log(store), settled) << "read past a position that may still be filled";
    }
  }
  EventStore reader = open_as(*place_->reader);
  EXPECT_EQ(count_log(reader), settled + 2);
  expect_sound();
}

TEST_F(MssqlRoles, NobodyElseMayDoAnything) {
  const Login stranger;
  EXPECT_THROW(open_as(stranger).stats(), Error);
  const auto bare = connect(stranger);
  expect_refused(
      *bare,
      {"SELECT COUNT(*) FROM $(schema).events", "SELECT COUNT(*) FROM $(schema).event_log",
       "EXEC $(schema).announce_positions", "DECLARE @s BIGINT; EXEC $(schema).settled_position 0, @s OUTPUT",
       "DELETE FROM $(schema).events", "EXEC $(schema).grant_roles N'a', N'b', N'c'"},
      denied_or_hidden);
}

}  // namespace
}  // namespace stele::testing
