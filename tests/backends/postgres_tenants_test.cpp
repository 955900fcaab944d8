// Row-level security: what sessions of one tenant see and do, with raw SQL and with a core that has forgotten to ask.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <future>
#include <memory>

#include "append.h"
#include "postgres_server.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"
#include "stele/postgres.h"
#include "stele/registry.h"

namespace stele::testing {
namespace {

NewEvent event(std::string data = "{}") {
  NewEvent made;
  made.type = "Happened";
  made.data = Json(std::move(data));
  made.attributes = {{"room", "blue"}};
  return made;
}

StreamKey stream(std::string tenant) {
  StreamKey key("thing", "a");
  key.tenant = std::move(tenant);
  return key;
}

AppendRequest request(const std::string& tenant, const std::string& request_id,
                      ExpectedVersion expected = ExpectedVersion::any()) {
  AppendRequest made;
  made.streams.push_back({stream(tenant), expected, {event(R"({"of":")" + tenant + "\"}"), event()}});
  made.command.emplace();
  made.command->key = {tenant, "app", request_id};
  made.command->type = "do";
  return made;
}

class PostgresTenants : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    // The first to be made is the last to be dropped.
    owner_login_ = std::make_unique<PostgresLogin>();
    reader_role_ = std::make_unique<PostgresLogin>();
    writer_role_ = std::make_unique<PostgresLogin>();
    admin_role_ = std::make_unique<PostgresLogin>();
    schema_ = std::make_unique<PostgresSchema>();
    PostgresConnection("public").run("CREATE SCHEMA " + schema_->name() + " AUTHORIZATION " + owner_login_->name());
    owner_ = std::make_unique<EventStore>(open_postgres(owner_login_->url(*schema_)));
    owner_->driver().grant_roles({reader_role_->name(), writer_role_->name(), admin_role_->name()});
    login_ = std::make_unique<PostgresLogin>("IN ROLE " + writer_role_->name());
    for (const char* tenant : {"acme", "rival"}) {
      owner_->append(request(tenant, "r-1")).or_throw();
      Snapshot snapshot;
      snapshot.stream = stream(tenant);
      snapshot.version = Version(2);
      snapshot.state = Json("{}");
      ASSERT_TRUE(owner_->save_snapshot(snapshot));
      owner_->driver().open_projection({"p", tenant}, 1);
    }
    owner_->driver().isolate_tenants(true);
  }

  /// A store whose core lets everything through: only the database knows whose session it is.
  EventStore careless(const std::string& tenant) {
    DriverOptions options;
    options.tenant = tenant;
    return EventStore(registry().open(Url::parse(login_->url(*schema_)), options));
  }
  static Registry registry() {
    Registry made;
    postgres::register_driver(made);
    return made;
  }
  PostgresConnection connect() { return login_->connect(schema_->name()); }

  /// Rows of each table that has any.
  static std::string counts(PostgresConnection& connection) {
    std::string all;
    for (const char* table : {"streams", "commands", "events", "event_attributes", "snapshots", "projections",
                              "projection_offsets", "event_log"}) {
      all += connection.value(std::string("SELECT count(*) FROM ") + table) + " ";
    }
    return all;
  }

  std::unique_ptr<PostgresLogin> owner_login_, reader_role_, writer_role_, admin_role_;
  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<PostgresLogin> login_;
  std::unique_ptr<EventStore> owner_;
};

const std::string nothing = "0 0 0 0 0 0 0 0 ";
const std::string one_tenants = "1 1 2 2 1 1 1 2 ";
const std::string everything = "2 2 4 4 2 2 2 4 ";

TEST_F(PostgresTenants, WithoutATenantThereIsNothing) {
  PostgresConnection connection = connect();
  EXPECT_EQ(counts(connection), nothing);
  connection.run("SET app.current_tenant_id = ''");
  EXPECT_EQ(counts(connection), nothing);
  connection.run("SET app.current_tenant_id = 'nobody'");
  EXPECT_EQ(counts(connection), nothing);
  EventStore store = open_migrated_postgres(login_->url(*schema_));
  EXPECT_EQ(store.read_log().next(), nullptr);
  EXPECT_THROW(store.append(request("acme", "r-2")), Error);
}

TEST_F(PostgresTenants, ASessionSeesItsOwnAndNoMore) {
  PostgresConnection connection = connect();
  connection.run("SET app.current_tenant_id = 'acme'");
  EXPECT_EQ(counts(connection), one_tenants);
  EXPECT_EQ(connection.value("SELECT count(*) FROM event_log WHERE tenant_id <> 'acme'"), "0");
  // Whatever is asked for by number.
  for (const char* table : {"events", "event_attributes", "event_log"}) {
    EXPECT_EQ(connection.value(std::string("SELECT count(*) FROM ") + table + " WHERE global_position > 2"), "0");
  }
  connection.run("SET app.current_tenant_id = 'rival'");
  EXPECT_EQ(counts(connection), one_tenants);
  // A connection that somebody else gets next.
  for (const char* forgets : {"RESET app.current_tenant_id", "DISCARD ALL"}) {
    connection.run("SET app.current_tenant_id = 'acme'");
    connection.run(forgets);
    connection.run("SET search_path = " + sql_name(schema_->name()));
    EXPECT_EQ(counts(connection), nothing) << forgets;
  }
  // Of one transaction alone.
  connection.run("BEGIN; SET LOCAL app.current_tenant_id = 'acme'; COMMIT");
  EXPECT_EQ(counts(connection), nothing);
}

TEST_F(PostgresTenants, NothingIsWrittenForAnother) {
  const std::string before = schema_->connect().value("SELECT string_agg(e::text, ' ' ORDER BY 1) FROM events AS e");
  PostgresConnection connection = connect();
  connection.run("SET app.current_tenant_id = 'rival'");
  for (const char* attack :
       {"INSERT INTO projections (projection_name, tenant_id, parts, created_at) VALUES ('q', 'acme', 1, now())",
        "INSERT INTO projections (projection_name, tenant_id, parts, created_at) VALUES ('q', '', 1, now())",
        "UPDATE projections SET tenant_id = 'acme'"}) {
    EXPECT_NE(connection.execute(attack).find("row-level security"), std::string::npos) << attack;
  }
  EXPECT_EQ(connection.value("WITH gone AS (DELETE FROM snapshots RETURNING 1) SELECT count(*) FROM gone"), "1")
      << "its own";
  EXPECT_EQ(connection.value("WITH moved AS (UPDATE projection_offsets SET last_position = 9 WHERE tenant_id = 'acme' "
                             "RETURNING 1) SELECT count(*) FROM moved"),
            "0");
  PostgresConnection superuser = schema_->connect();
  EXPECT_EQ(superuser.value("SELECT count(*) FROM snapshots"), "1");
  EXPECT_EQ(superuser.value("SELECT string_agg(e::text, ' ' ORDER BY 1) FROM events AS e"), before);
}

TEST_F(PostgresTenants, ACarelessCoreGivesNothingAway) {
  const std::vector<RecordedEvent> secrets = [&] {
    std::vector<RecordedEvent> all;
    LogReadOptions read;
    read.filter.tenant = "acme";
    for (const RecordedEvent& each : owner_->read_log(read)) all.push_back(each);
    return all;
  }();
  ASSERT_EQ(secrets.size(), 2u);
  EventStore rival = careless("rival");
  EXPECT_EQ(rival.append(request("rival", "r-1")).status, AppendStatus::replayed);
  EXPECT_EQ(rival.append(request("rival", "r-2")).status, AppendStatus::appended);

  EXPECT_EQ(rival.read_stream(stream("acme")).next(), nullptr);
  EXPECT_FALSE(rival.find_event(secrets.front().event_id));
  EXPECT_FALSE(rival.stream_info(stream("acme")));
  EXPECT_FALSE(rival.find_command({"acme", "app", "r-1"}));
  EXPECT_FALSE(rival.find_command(owner_->find_command({"acme", "app", "r-1"}).value().command_id));
  EXPECT_FALSE(rival.find_snapshot(stream("acme")));
  EXPECT_FALSE(rival.driver().find_projection({"p", "acme"}));
  EXPECT_FALSE(rival.driver().acquire_lease({{"p", "acme"}, 1, 0}, "thief", std::chrono::seconds(5)));
  for (const RecordedEvent& each : rival.read_log()) EXPECT_EQ(each.stream.tenant, "rival");
  EXPECT_EQ(rival.stats().events, 4);

  // Neither the outcome of its request, nor the version of its stream.
  const auto refused = [&](const AppendRequest& attempt) {
    try {
      const AppendResult result = rival.append(attempt);
      EXPECT_FALSE(result.ok()) << to_string(result.status);
      EXPECT_EQ(result.conflict ? result.conflict->actual : Version(0), Version(0));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::permission_denied) << error.what();
      EXPECT_EQ(error.outcome(), Outcome::not_applied);
    }
  };
  refused(request("acme", "r-1"));
  refused(request("acme", "r-9"));
  refused(request("acme", "r-9", ExpectedVersion::exactly(2)));
  AppendRequest stolen = request("rival", "r-10");
  stolen.streams.front().events.front().event_id = secrets.front().event_id;
  refused(stolen);
  EXPECT_EQ(rival.append(stolen).status, AppendStatus::duplicate_event_id);
  stolen = request("rival", "r-11");
  stolen.command->command_id = owner_->find_command({"acme", "app", "r-1"}).value().command_id;
  EXPECT_EQ(rival.append(stolen).status, AppendStatus::request_id_reused);
  EXPECT_EQ(owner_->stream_version(stream("acme")), Version(2));
}

TEST_F(PostgresTenants, AStoreOfOneTenantWorks) {
  EventStore acme = EventStore::open(registry(), login_->url(*schema_, "tenant=acme"));
  EXPECT_EQ(acme.tenant(), "acme");
  EXPECT_EQ(acme.append(request("acme", "r-1")).status, AppendStatus::replayed);
  AppendRequest next = request("acme", "r-2", ExpectedVersion::exactly(2));
  EXPECT_EQ(acme.append(next).status, AppendStatus::appended);
  EXPECT_EQ(acme.append(next).status, AppendStatus::replayed);
  EXPECT_EQ(acme.append(request("acme", "r-3", ExpectedVersion::exactly(2))).conflict.value().actual, Version(4));
  std::size_t found = 0;
  for (const RecordedEvent& each : acme.read_log()) {
    EXPECT_EQ(each.attributes.size(), 1u);
    ++found;
  }
  EXPECT_EQ(found, 4u);
  Snapshot snapshot;
  snapshot.stream = stream("acme");
  snapshot.version = Version(4);
  snapshot.state = Json("{}");
  EXPECT_TRUE(acme.save_snapshot(snapshot));
  EXPECT_TRUE(acme.driver().acquire_lease({{"p", "acme"}, 1, 0}, "runner", std::chrono::seconds(5)));
}

// Schemas, rules and keys are a tenant's; hashes and seals are the whole store's, and no tenant sees them.
TEST_F(PostgresTenants, WhatGovernsIsOneTenants) {
  driver::Driver& driver = owner_->driver();
  SubjectKey acmes;
  for (const char* tenant : {"acme", "rival"}) {
    ASSERT_TRUE(driver.add_schema({tenant, {"Happened", 1}, "{}", {}}));
    ASSERT_TRUE(driver.add_schema({tenant, {"Unused", 1}, "{}", {}}));
    SubjectKey key;
    key.tenant = tenant;
    key.key_id = Uuid::v7();
    key.subject = "somebody";
    key.wrapped = WrappedKey{"m", "w"};
    ASSERT_TRUE(driver.add_subject_key(key));
    if (acmes.subject.empty()) acmes = key;
  }
  LogSeal seal;
  seal.to = Position(1);
  seal.events = 1;
  const driver::EventHash hash{Position(1), {}, {}};
  ASSERT_TRUE(driver.add_seal(seal, {&hash, 1}));
  const std::vector<std::pair<std::string, std::string>> rows_of_a_tenant = {{"event_schemas", "2"},
                                                                             {"event_type_rules", "2"},
                                                                             {"subject_keys", "1"},
                                                                             {"event_hashes", "0"},
                                                                             {"log_seals", "0"}};
  const PostgresLogin admin("IN ROLE " + admin_role_->name());
  PostgresConnection connection = admin.connect(schema_->name());
  for (const auto& [table, rows] : rows_of_a_tenant) {
    EXPECT_EQ(connection.value("SELECT count(*) FROM " + table), "0") << table;
  }
  connection.run("SET app.current_tenant_id = 'rival'");
  for (const auto& [table, rows] : rows_of_a_tenant) {
    EXPECT_EQ(connection.value("SELECT count(*) FROM " + table), rows) << table;
    if (rows == "0") continue;
    EXPECT_EQ(connection.value("SELECT count(*) FROM " + table + " WHERE tenant_id <> 'rival'"), "0") << table;
  }
  for (const char* attack :
       {"INSERT INTO event_schemas VALUES ('acme', 'New', 1, '{}', now())",
        "INSERT INTO event_type_rules (tenant_id, event_type, updated_at) VALUES ('acme', 'New', now())",
        "INSERT INTO subject_keys (key_id, tenant_id, subject, master_key_id, wrapped, created_at) "
        "VALUES (gen_random_uuid(), 'acme', 's', 'm', 'w', now())",
        "INSERT INTO event_hashes SELECT 2, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex')",
        "INSERT INTO log_seals SELECT 2, 1, 2, 1, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), "
        "now()"}) {
    EXPECT_NE(connection.execute(attack).find("row-level security"), std::string::npos) << attack;
  }
  const auto changed = [&](const std::string& statement) {
    return connection.value("WITH changed AS (" + statement + " RETURNING 1) SELECT count(*) FROM changed");
  };
  EXPECT_EQ(changed("DELETE FROM event_schemas WHERE tenant_id = 'acme'"), "0");
  EXPECT_EQ(changed("DELETE FROM event_schemas WHERE event_type = 'Unused'"), "1") << "its own";
  EXPECT_EQ(changed("UPDATE event_type_rules SET revision = revision + 1 WHERE tenant_id = 'acme'"), "0");
  EXPECT_EQ(changed("UPDATE subject_keys SET wrapped = NULL, master_key_id = NULL, destroyed_at = now()"), "1")
      << "its own";
  EXPECT_TRUE(driver.find_subject_key("acme", "somebody")->wrapped);

  EventStore rival = careless("rival");
  EXPECT_TRUE(rival.driver().find_subject_key("rival", "somebody"));
  EXPECT_FALSE(rival.driver().find_subject_key("acme", "somebody"));
  EXPECT_TRUE(rival.driver().find_subject_keys("acme", {&acmes.key_id, 1}).empty());
  EXPECT_TRUE(rival.driver().list_event_types("acme").schemas.empty());
  EXPECT_EQ(rival.driver().event_types_revision("acme"), 0);
  EXPECT_FALSE(rival.driver().last_seal());
}

TEST_F(PostgresTenants, TheOwnerLooksAfterTheWholeStore) {
  PostgresConnection connection = owner_login_->connect(schema_->name());
  EXPECT_EQ(counts(connection), everything);
  EXPECT_EQ(owner_->stats().events, 4);
  EXPECT_TRUE(owner_->verify().ok());
  owner_->driver().isolate_tenants(true);  // Again.
  owner_->driver().isolate_tenants(false);
  owner_->driver().isolate_tenants(false);
  PostgresConnection other = connect();
  EXPECT_EQ(counts(other), everything);
  EXPECT_TRUE(owner_->verify().ok());
}

TEST_F(PostgresTenants, WhomItWouldNotHoldForIsToldSo) {
  const PostgresSchema of_superuser;
  EventStore store = open_postgres(of_superuser.url());
  try {
    store.driver().isolate_tenants(true);
    FAIL() << "it was switched on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(error.message().find("superuser"), std::string::npos) << error.message();
  }
  EXPECT_EQ(of_superuser.connect().value("SELECT count(*) FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid "
                                         "WHERE c.relnamespace = current_schema()::regnamespace"),
            "0");
  EventStore mine = open_migrated_postgres(login_->url(*schema_));
  EXPECT_THROW(mine.driver().isolate_tenants(false), Error) << "only the owner may";
}

/// One event with this id, made elsewhere, for a stream of its own.
class OneEvent {
 public:
  OneEvent(std::string stream_id, const Uuid& id) : key_("thing", std::move(stream_id)), event_(event()) {
    event_.attributes.clear();
    event_.event_id = id;
    append_.tenant = default_tenant;
    append_.streams.push_back(
        {&key_, ExpectedVersion::any(), {{&event_, id, true, Timestamp::now(), true, nullptr, {}, {}, false}}});
  }
  OneEvent(const OneEvent&) = delete;
  OneEvent& operator=(const OneEvent&) = delete;
  const driver::PreparedAppend& append() const { return append_; }

 private:
  const StreamKey key_;
  NewEvent event_;
  driver::PreparedAppend append_;
};

// An id may be taken by somebody who commits while this one waits. What that means is seen by the next try, and not to
// be guessed when there is no time for one: it may be this very event.
TEST(PostgresTakenIds, AreNotJudgedByTheFirstTry) {
  if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
  using std::chrono::steady_clock;
  const PostgresSchema schema;
  open_postgres(schema.url());
  const postgres::Settings settings = postgres::parse_settings(Url::parse(schema.url()));
  for (const bool in_time : {false, true}) {
    postgres::Session first(settings);
    postgres::Session second(settings);
    const Uuid id = Uuid::v7();
    const OneEvent taken("a", id);
    const OneEvent late("b", id);
    const auto deadline = steady_clock::now() + std::chrono::seconds(in_time ? 60 : 0);
    first.run("BEGIN", "test");
    postgres::append_one(first, taken.append(), deadline);
    auto answer = std::async(std::launch::async, [&] { return postgres::append_one(second, late.append(), deadline); });
    PostgresConnection watching = schema.connect();
    while (watching.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = " +
                          std::to_string(PQbackendPID(second.handle()))) == "0") {
      ASSERT_EQ(answer.wait_for(std::chrono::milliseconds(1)), std::future_status::timeout) << "it did not wait";
    }
    first.run("COMMIT", "test");
    if (in_time) {
      const AppendResult result = answer.get();
      EXPECT_EQ(result.status, AppendStatus::duplicate_event_id);
      EXPECT_NE(result.detail.find("in another stream"), std::string::npos) << result.detail;
    } else {
      EXPECT_THROW(answer.get(), Error);
    }
  }
}

}  // namespace
}  // namespace stele::testing
