// URLs, connections that break, the pool, the listener.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "../free_port.h"
#include "postgres_server.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"

namespace stele::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

NewEvent event() {
  NewEvent made;
  made.type = "Happened";
  return made;
}

/// The error of opening a store, or of anything else.
template <class Call>
std::optional<Error> error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

class PostgresConnections : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    schema_ = std::make_unique<PostgresSchema>();
    open_postgres(schema_->url());
    watch_ = std::make_unique<PostgresConnection>(schema_->connect());
  }

  /// A URL by whose name its connections are found.
  std::string named(const std::string& settings = {}) const {
    return schema_->url("application_name=" + schema_->name() + (settings.empty() ? "" : "&" + settings));
  }
  std::vector<std::string> processes() {
    return watch_->rows("SELECT pid FROM pg_stat_activity WHERE application_name = '" + schema_->name() +
                        "' ORDER BY 1");
  }
  void kill_all() {
    const std::vector<std::string> all = processes();
    ASSERT_FALSE(all.empty());
    for (const std::string& process : all) {
      ASSERT_EQ(watch_->value("SELECT pg_terminate_backend(" + process + ", 30000)"), "t");
    }
  }
  static AppendResult append(EventStore& store, const std::string& id = "a") {
    return store.append(StreamKey("thing", id), ExpectedVersion::any(), {event()}).or_throw();
  }
  static std::size_t count(EventStore& store) {
    std::size_t found = 0;
    for ([[maybe_unused]] const RecordedEvent& each : store.read_log()) ++found;
    return found;
  }

  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<PostgresConnection> watch_;
};

// --- URLs ------------------------------------------------------------------------------------------------------------

TEST_F(PostgresConnections, BadSettings) {
  for (const std::string& bad :
       std::vector<std::string>{"shcema=x", "schema=pg_x", "schema=", "pooler=transaction", "connections=0",
                                "connections=257", "connections=many", "busy_timeout=soon", "busy_timeout=-1s",
                                "max_lifetime=ever", "application_name=a&application_name=b", "client_encoding=LATIN1",
                                "replication=database", "user=somebody"}) {
    const std::string url = postgres_url() + (postgres_url().find('?') == std::string::npos ? "?" : "&") + bad;
    const auto error = error_of([&] { open_postgres(url); });
    ASSERT_TRUE(error) << bad;
    EXPECT_EQ(error->code(), ErrorCode::invalid_argument) << bad << ": " << error->what();
    EXPECT_NE(error->message().find(bad.substr(0, bad.find('='))), std::string::npos) << bad << ": " << error->what();
  }
}

TEST_F(PostgresConnections, WrongPasswordIsNotRepeated) {
  const PostgresLogin login;
  const std::string wrong = "Wr0ng-and-never-shown";
  const auto error = error_of([&] { open_migrated_postgres(postgres_url_as(login.name(), wrong, schema_->url())); });
  ASSERT_TRUE(error) << "the server asks for no password";
  EXPECT_EQ(error->code(), ErrorCode::cannot_connect);
  EXPECT_FALSE(error->retryable()) << "it stays wrong";
  EXPECT_EQ(std::string(error->what()).find(wrong), std::string::npos) << error->what();
}

TEST_F(PostgresConnections, NoSuchDatabaseOrServer) {
  const auto database = error_of([&] { open_postgres(postgres_url_in("no_such_database")); });
  ASSERT_TRUE(database);
  EXPECT_EQ(database->code(), ErrorCode::cannot_connect) << database->what();
  EXPECT_FALSE(database->retryable());
  const auto server = error_of([] { open_postgres("postgresql://u:hidden-word@127.0.0.1:1/d"); });
  ASSERT_TRUE(server);
  EXPECT_EQ(server->code(), ErrorCode::cannot_connect);
  EXPECT_TRUE(server->retryable());
  EXPECT_EQ(std::string(server->what()).find("hidden-word"), std::string::npos);
}

TEST_F(PostgresConnections, SeveralHosts) {
  std::string url = named("target_session_attrs=read-write");
  url.insert(url.rfind('@', url.find('?')) + 1, "127.0.0.1:1,");
  EventStore store = open_migrated_postgres(url);
  EXPECT_EQ(append(store).status, AppendStatus::appended);
  const auto error = error_of([&] {
    std::string standby = named("target_session_attrs=standby");
    open_migrated_postgres(standby);
  });
  ASSERT_TRUE(error) << "this server is no standby";
  EXPECT_EQ(error->code(), ErrorCode::cannot_connect);
}

// --- What a server or a role is set to -------------------------------------------------------------------------------

TEST_F(PostgresConnections, CommitsAreDurableWhateverTheRoleIsSetTo) {
  const PostgresLogin login("SUPERUSER");
  watch_->run("ALTER ROLE " + login.name() + " SET synchronous_commit = off");
  ASSERT_EQ(login.connect(schema_->name()).value("SHOW synchronous_commit"), "off");
  postgres::Session session(postgres::parse_settings(Url::parse(login.url(*schema_))));
  EXPECT_EQ(session.run("SHOW synchronous_commit", "test").text(0, 0), "on");
  // Settings that wait for standbys are stronger, and stay.
  watch_->run("ALTER ROLE " + login.name() + " SET synchronous_commit = remote_apply");
  postgres::Session stronger(postgres::parse_settings(Url::parse(login.url(*schema_))));
  EXPECT_EQ(stronger.run("SHOW synchronous_commit", "test").text(0, 0), "remote_apply");
}

TEST_F(PostgresConnections, OddSettingsOfARole) {
  const PostgresLogin login("SUPERUSER");
  for (const char* setting :
       {"DateStyle = 'German, DMY'", "TimeZone = 'Asia/Kathmandu'", "IntervalStyle = 'sql_standard'",
        "standard_conforming_strings = off", "extra_float_digits = -5", "bytea_output = escape",
        "default_transaction_isolation = serializable", "search_path = public", "lock_timeout = 1",
        "plan_cache_mode = force_custom_plan", "check_function_bodies = off", "client_min_messages = debug1",
        "client_encoding = LATIN1", "enable_seqscan = off"}) {
    watch_->run("ALTER ROLE " + login.name() + " SET " + setting);
  }
  const PostgresSchema own;
  EventStore store = open_postgres(login.url(own));
  NewEvent made = event();
  made.data = Json(R"({"text":"\\ ' é 漢","number":1.000000000000000000000000001})");
  made.occurred_at = Timestamp::parse("2024-02-29T12:34:56.789012Z");
  made.attributes = {{"room", "é\\"}};
  const auto position =
      store.append(StreamKey("thing", "é\\'"), ExpectedVersion::any(), {made}).or_throw().last_position();
  EventReader reader = store.read_log();
  const RecordedEvent* found = reader.next();
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->position, position);
  EXPECT_EQ(found->occurred_at, *made.occurred_at);
  EXPECT_NE(found->data.text().find("1.000000000000000000000000001"), std::string::npos);
  EXPECT_EQ(found->stream.id, "é\\'");
  EXPECT_EQ(found->attributes, made.attributes);
  const VerifyReport report = store.verify();
  EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
}

// --- Connections that break ------------------------------------------------------------------------------------------

TEST_F(PostgresConnections, KilledWhileIdleIsReplaced) {
  EventStore store = open_migrated_postgres(named("connections=2"));
  append(store);
  kill_all();
  EXPECT_EQ(append(store).status, AppendStatus::appended);
  kill_all();
  EXPECT_EQ(count(store), 2U);
  kill_all();
  EXPECT_EQ(store.stream_version(StreamKey("thing", "a")), Version(2));
  kill_all();
  const std::vector<AppendRequest> several(2, {{{StreamKey("thing", "b"), ExpectedVersion::any(), {event()}}}, {}, {}});
  for (const AppendResult& result : store.append_all(several)) EXPECT_EQ(result.status, AppendStatus::appended);
  EXPECT_GE(store.driver().connection_stats().dropped, 4U);
}

TEST_F(PostgresConnections, VerifyBeginsAgainWhenItsConnectionIsLost) {
  EventStore store = open_migrated_postgres(named("busy_timeout=60s"));
  append(store);
  // A fault that is found first, and a wait in a later check.
  watch_->run(
      "ALTER TABLE event_attributes RENAME TO attributes_of_events; "
      "CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); "
      "RETURN true; END $$; "
      "CREATE VIEW event_attributes AS SELECT a.* FROM (SELECT gate() AS open OFFSET 0) AS g "
      "LEFT JOIN attributes_of_events AS a ON g.open WHERE a.global_position IS NOT NULL");
  PostgresConnection holder = schema_->connect();
  holder.run("SELECT pg_advisory_lock(42)");
  auto report = std::async(std::launch::async, [&] { return store.verify(); });
  const std::string waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name = '" + schema_->name() +
      "'";
  while (watch_->value(waiting) != "1") std::this_thread::sleep_for(milliseconds(5));
  kill_all();
  holder.run("SELECT pg_advisory_unlock(42)");
  const VerifyReport found = report.get();
  const VerifyReport undisturbed = store.verify();
  EXPECT_FALSE(undisturbed.ok());
  EXPECT_EQ(found.violations.size(), undisturbed.violations.size()) << "what was found before is told once";
  EXPECT_EQ(found.checks, undisturbed.checks);
  EXPECT_EQ(found.events, 1);
}

TEST_F(PostgresConnections, OldConnectionsAreReplaced) {
  EventStore store = open_migrated_postgres(named("connections=1&max_lifetime=1ms"));
  const auto opened = store.driver().connection_stats().opened;
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(milliseconds(5));
    store.stream_version(StreamKey("thing", "a"));
  }
  EXPECT_GE(store.driver().connection_stats().opened, opened + 3);
  EventStore lasting = open_migrated_postgres(named("connections=1"));
  for (int i = 0; i < 3; ++i) lasting.stream_version(StreamKey("thing", "a"));
  EXPECT_EQ(lasting.driver().connection_stats().opened, 1U);
}

TEST_F(PostgresConnections, ExhaustedPoolIsBusy) {
  EventStore store = open_migrated_postgres(named("connections=1&busy_timeout=500ms"));
  PostgresConnection holder = schema_->connect();
  holder.run("BEGIN");
  holder.run(append_sql("thing", "a"));
  // The one that has the connection waits for the stream, and the others for the connection.
  std::vector<std::future<std::optional<Error>>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(std::async(std::launch::async, [&] { return error_of([&] { append(store); }); }));
  }
  for (auto& call : calls) {
    const std::optional<Error> error = call.get();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::busy) << error->what();
    EXPECT_TRUE(error->retryable());
    EXPECT_EQ(error->outcome(), Outcome::not_applied);
  }
  const driver::ConnectionStats stats = store.driver().connection_stats();
  EXPECT_GE(stats.timed_out, 1U);
  EXPECT_EQ(stats.open, 1U);
  EXPECT_EQ(stats.waiting, 0U);
  holder.run("ROLLBACK");
  EXPECT_EQ(append(store).status, AppendStatus::appended);
}

TEST_F(PostgresConnections, StatsSayWhatIsGoingOn) {
  EventStore store = open_migrated_postgres(named("connections=2&busy_timeout=20s"));
  PostgresConnection holder = schema_->connect();
  holder.run("BEGIN");
  holder.run(append_sql("thing", "a"));
  std::vector<std::future<void>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(std::async(std::launch::async, [&] { append(store); }));
  const auto deadline = steady_clock::now() + seconds(15);
  driver::ConnectionStats stats = store.driver().connection_stats();
  while ((stats.opened < 2 || stats.waiting < 1) && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
    stats = store.driver().connection_stats();
  }
  EXPECT_EQ(stats.open, 2U);
  EXPECT_EQ(stats.in_use, 2U);
  EXPECT_EQ(stats.waiting, 1U);
  EXPECT_EQ(processes().size(), 2U) << "no more than the URL allows";
  holder.run("ROLLBACK");
  for (auto& call : calls) call.get();
  EXPECT_EQ(store.driver().connection_stats().opened, 2U);
  EXPECT_EQ(store.driver().connection_stats().timed_out, 0U);
}

// --- Appends that share a call
// ----------------------------------------------------------------------------------------

/// One call of the driver with an append of one event to each of these streams.
std::vector<driver::AppendAnswer> append_each_to(EventStore& store, const std::vector<std::string>& ids) {
  const NewEvent made = event();
  std::vector<StreamKey> keys;
  keys.reserve(ids.size());
  std::vector<driver::PreparedAppend> appends(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const StreamKey& key = keys.emplace_back("thing", ids[i]);
    appends[i].tenant = key.tenant;
    appends[i].streams.push_back({&key, ExpectedVersion::any(), {}});
    appends[i].streams[0].events.push_back({&made, Uuid::v7(), false, Timestamp::now(), false, nullptr, {}, {}, false});
  }
  return store.driver().append(appends);
}

milliseconds since(steady_clock::time_point started) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - started);
}

// Each of them would wait its time for itself after the common transaction has failed. The whole call waits about twice
// the timeout, however many they are.
class PostgresSharedCalls : public PostgresConnections, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(PostgresSharedCalls, WaitForAHeldStreamTogether) {
  EventStore store = open_migrated_postgres(named("connections=1&busy_timeout=300ms"));
  PostgresConnection holder = schema_->connect();
  holder.run("BEGIN");
  holder.run(append_sql("thing", "held"));
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < GetParam(); ++i) ids.push_back(i % 5 == 2 ? "free-" + std::to_string(i) : "held");

  const auto started = steady_clock::now();
  const std::vector<driver::AppendAnswer> answers = append_each_to(store, ids);
  EXPECT_LT(since(started), seconds(3));
  ASSERT_EQ(answers.size(), ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == "held") {
      ASSERT_TRUE(answers[i].error) << i;
      EXPECT_EQ(answers[i].error->code(), ErrorCode::busy) << answers[i].error->what();
      EXPECT_TRUE(answers[i].error->retryable());
      EXPECT_EQ(answers[i].error->outcome(), Outcome::not_applied);
    } else {
      ASSERT_FALSE(answers[i].error) << i << ": " << answers[i].error->what();
      EXPECT_EQ(answers[i].result.status, AppendStatus::appended);
      EXPECT_EQ(store.stream_version(StreamKey("thing", ids[i])), Version(1));
    }
  }

  // The connection is as patient as before.
  EXPECT_EQ(processes().size(), 1U);
  const auto expect_full_timeout = [](auto call) {
    const auto alone = steady_clock::now();
    const auto error = error_of(call);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::busy);
    EXPECT_GE(since(alone), milliseconds(280));
  };
  holder.run("LOCK TABLE events IN ACCESS EXCLUSIVE MODE");
  expect_full_timeout([&] { store.find_event(Uuid::v7()); });
  expect_full_timeout([&] { append(store, "held"); });
  EXPECT_EQ(store.driver().connection_stats().opened, 1U);
  holder.run("ROLLBACK");
  for (const driver::AppendAnswer& answer : append_each_to(store, ids)) {
    EXPECT_FALSE(answer.error) << answer.error->what();
  }
}

// One transaction, and several.
INSTANTIATE_TEST_SUITE_P(Sizes, PostgresSharedCalls, ::testing::Values(25, 250),
                         [](const auto& tested) { return std::to_string(tested.param); });

// A lock that comes free in time is waited for, also when the common transaction fails then.
TEST_F(PostgresConnections, SharedCallWaitsForWhatComesFree) {
  EventStore store = open_migrated_postgres(named("connections=1&busy_timeout=10s"));
  append(store, "a");
  watch_->run(
      "CREATE FUNCTION refuse_bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$; "
      "CREATE TRIGGER refuse_bad BEFORE INSERT ON streams FOR EACH ROW WHEN (NEW.stream_id = 'bad') "
      "EXECUTE FUNCTION refuse_bad()");
  PostgresConnection holder = schema_->connect();
  holder.run("BEGIN");
  holder.run(append_sql("thing", "held"));
  auto answers = std::async(std::launch::async, [&] { return append_each_to(store, {"a", "bad", "held", "b"}); });
  EXPECT_EQ(answers.wait_for(milliseconds(500)), std::future_status::timeout);
  holder.run("COMMIT");
  const std::vector<driver::AppendAnswer> found = answers.get();
  ASSERT_EQ(found.size(), 4U);
  EXPECT_TRUE(found[1].error) << "the trigger refuses it";
  for (const std::size_t i : {0U, 2U, 3U}) EXPECT_FALSE(found[i].error) << i << ": " << found[i].error->what();
  EXPECT_EQ(count(store), 5U);
}

// Threads share transactions; a stream that another process holds must not hold up the appends of the others.
TEST_F(PostgresConnections, ThreadsWithAHeldStreamDoNotHoldUpOthers) {
  EventStore store = open_migrated_postgres(named("connections=16&busy_timeout=60s"));
  PostgresConnection holder = schema_->connect();
  holder.run("BEGIN");
  holder.run(append_sql("thing", "held"));
  constexpr int held_threads = 6;
  constexpr int free_threads = 8;
  constexpr int appends_each = 25;
  std::atomic<int> held_done = 0;
  std::vector<std::future<void>> held;
  for (int i = 0; i < held_threads; ++i) {
    held.push_back(std::async(std::launch::async, [&] {
      append(store, "held");
      ++held_done;
    }));
  }
  std::vector<std::future<void>> free;
  for (int t = 0; t < free_threads; ++t) {
    free.push_back(std::async(std::launch::async, [&, t] {
      for (int i = 0; i < appends_each; ++i) append(store, "free-" + std::to_string(t));
    }));
  }
  for (auto& each : free) each.get();
  EXPECT_EQ(held_done, 0);
  for (int t = 0; t < free_threads; ++t) {
    EXPECT_EQ(store.stream_version(StreamKey("thing", "free-" + std::to_string(t))), Version(appends_each));
  }
  holder.run("COMMIT");
  for (auto& each : held) each.get();
  EXPECT_EQ(store.stream_version(StreamKey("thing", "held")), Version(held_threads + 1));
}

// What another has checked, and not committed on yet, stays as it was: also for appends that are done several at once.
TEST_F(PostgresConnections, SeveralAtOnceWaitForWhoHasCheckedTheirStream) {
  EventStore store = open_migrated_postgres(named("busy_timeout=300ms"));
  append(store, "checked");
  PostgresConnection checking = schema_->connect();
  checking.run("BEGIN");
  checking.run(
      "SELECT pg_advisory_xact_lock_shared(append_lock('streams', concat_ws(chr(31), 'default', 'thing', 'checked')))");
  std::vector<AppendRequest> requests(2);
  requests[0].streams.push_back({StreamKey("thing", "checked"), ExpectedVersion::any(), {event()}});
  requests[1].streams.push_back({StreamKey("thing", "other"), ExpectedVersion::any(), {event()}});
  const auto error = error_of([&] { store.append_all(requests); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::busy) << error->what();
  EXPECT_EQ(store.stream_version(StreamKey("thing", "checked")), Version(1));
  checking.run("COMMIT");
  EXPECT_EQ(store.append_all(requests).front().status, AppendStatus::appended);
}

// One append that the database refuses takes only its own caller's answer with it.
TEST_F(PostgresConnections, ThreadsWithARefusedAppendAreAllAnswered) {
  EventStore store = open_migrated_postgres(named("connections=4"));
  watch_->run(
      "CREATE FUNCTION refuse_bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$; "
      "CREATE TRIGGER refuse_bad BEFORE INSERT ON streams FOR EACH ROW WHEN (NEW.stream_id LIKE 'bad%') "
      "EXECUTE FUNCTION refuse_bad()");
  std::atomic<int> refused = 0;
  std::vector<std::future<void>> threads;
  for (int t = 0; t < 12; ++t) {
    threads.push_back(std::async(std::launch::async, [&, t] {
      for (int i = 0; i < 20; ++i) {
        const bool bad = (t + i) % 4 == 0;
        const std::string id = (bad ? "bad-" : "good-") + std::to_string(t) + "-" + std::to_string(i);
        const auto error = error_of([&] { append(store, id); });
        EXPECT_EQ(bad, error.has_value()) << id;
        if (error) ++refused;
      }
    }));
  }
  for (auto& each : threads) each.get();
  EXPECT_EQ(refused, 60);
  EXPECT_EQ(count(store), 180U);
}

// --- Tables that change under open connections
// ------------------------------------------------------------------------

// The server refuses a prepared statement whose columns have another type now.
TEST_F(PostgresConnections, StatementsArePreparedAnewWhenAColumnChanges) {
  EventStore store = open_migrated_postgres(named("connections=1"));
  const StreamKey key("thing", "a");
  NewEvent given = event();
  given.event_id = Uuid::v7();
  const auto read_all = [&] {
    std::size_t found = 0;
    for (const RecordedEvent& each : store.read_stream(key)) {
      EXPECT_EQ(each.type, "Happened");
      EXPECT_EQ(each.version, Version(static_cast<std::int64_t>(++found)));
    }
    EXPECT_EQ(count(store), found);
    EXPECT_TRUE(store.find_event(*given.event_id));
    return found;
  };
  const auto append_given = [&] { return store.append(key, ExpectedVersion::any(), {given}).or_throw(); };
  append(store);
  append_given();
  EXPECT_TRUE(append_given().replayed());
  ASSERT_EQ(read_all(), 2U);

  const auto change_to = [this](const std::string& domain) {
    watch_->run("DROP VIEW IF EXISTS event_log; ALTER TABLE events ALTER COLUMN event_type TYPE " + domain);
  };
  change_to("key_255");
  EXPECT_EQ(read_all(), 2U);
  // Each kind of statement as the first that finds out.
  change_to("key_128");
  EXPECT_EQ(count(store), 2U);
  change_to("key_255");
  EXPECT_TRUE(append_given().replayed());
  change_to("key_128");
  append(store);
  EXPECT_EQ(read_all(), 3U);
  EXPECT_EQ(store.driver().connection_stats().opened, 1U) << "it was not the statement that was made anew";
}

// In a transaction, which the refusal has ended, nothing can be repeated.
TEST_F(PostgresConnections, StaleStatementInATransactionIsAnError) {
  append(*std::make_unique<EventStore>(open_migrated_postgres(schema_->url())));
  postgres::Session session(postgres::parse_settings(Url::parse(schema_->url())));
  int rows = 0;
  const auto read = [&] {
    session.for_each_row("SELECT event_type FROM events", {}, [&](const postgres::Result&) { return ++rows > 0; });
  };
  read();
  watch_->run("DROP VIEW event_log; ALTER TABLE events ALTER COLUMN event_type TYPE key_255");
  {
    postgres::Transaction transaction(session, "BEGIN");
    const auto error = error_of(read);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->sqlstate(), "0A000");
  }
  EXPECT_EQ(rows, 1);
  EXPECT_TRUE(session.usable());
  read();
  EXPECT_EQ(rows, 2);
}

// --- The listener ----------------------------------------------------------------------------------------------------

class PostgresListener : public PostgresConnections {
 protected:
  void SetUp() override {
    PostgresConnections::SetUp();
    if (IsSkipped()) return;
    store_ = std::make_unique<EventStore>(open_migrated_postgres(named()));
    listener_ = store_->driver().listen();
    listener_->wait(seconds(30));  // Connects, and returns for that.
  }
  /// Waits on a thread. The answer is how long after `since` it returned.
  std::future<milliseconds> wait_since(steady_clock::time_point since) {
    return std::async(std::launch::async, [this, since] {
      listener_->wait(seconds(30));
      return std::chrono::duration_cast<milliseconds>(steady_clock::now() - since);
    });
  }
  std::string listening() {
    const auto rows = watch_->rows(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN stele_append_%' AND "
        "application_name = '" +
        schema_->name() + "'");
    return rows.size() == 1 ? rows.front() : std::string();
  }

  std::unique_ptr<EventStore> store_;
  std::unique_ptr<driver::AppendListener> listener_;
};

TEST_F(PostgresListener, WakesForAnotherStoresAppend) {
  EventStore other = open_migrated_postgres(schema_->url());
  for (int i = 0; i < 3; ++i) {
    append(other);
    EXPECT_LT(wait_since(steady_clock::now()).get(), seconds(1));
  }
}

TEST_F(PostgresListener, WakesWhileItWaits) {
  EventStore other = open_migrated_postgres(schema_->url());
  auto waiting = wait_since(steady_clock::now());
  EXPECT_EQ(waiting.wait_for(milliseconds(300)), std::future_status::timeout) << "returned for nothing";
  const auto appended = steady_clock::now();
  append(other);
  EXPECT_EQ(waiting.wait_for(seconds(1)), std::future_status::ready);
  waiting.wait();
  EXPECT_LT(steady_clock::now() - appended, seconds(1));
}

TEST_F(PostgresListener, HearsNothingOfOtherStores) {
  const PostgresSchema elsewhere;
  EventStore other = open_postgres(elsewhere.url());
  append(other);
  const auto since = steady_clock::now();
  listener_->wait(milliseconds(500));
  EXPECT_GE(steady_clock::now() - since, milliseconds(450));
}

TEST_F(PostgresListener, WakesAfterItsConnectionWasKilled) {
  EventStore other = open_migrated_postgres(schema_->url());
  const std::string process = listening();
  ASSERT_FALSE(process.empty());
  auto waiting = wait_since(steady_clock::now());
  ASSERT_EQ(watch_->value("SELECT pg_terminate_backend(" + process + ", 30000)"), "t");
  // It may return for its new connection, and has to be called again then.
  const auto until = steady_clock::now() + seconds(5);
  while (listening().empty() && steady_clock::now() < until) {
    if (waiting.wait_for(milliseconds(10)) == std::future_status::ready) waiting = wait_since(steady_clock::now());
  }
  EXPECT_FALSE(listening().empty()) << "does not listen any more";
  const auto appended = steady_clock::now();
  append(other);
  EXPECT_EQ(waiting.wait_for(seconds(1)), std::future_status::ready) << "sleeps through an append";
  waiting.wait();
  EXPECT_LT(steady_clock::now() - appended, seconds(1));
}

// --- Poolers ---------------------------------------------------------------------------------------------------------

/// PgBouncer in front of the server, stopped with this object.
class Bouncer {
 public:
  explicit Bouncer(const std::string& mode) {
    directory_ = std::filesystem::temp_directory_path() / fresh_schema();
    std::filesystem::create_directory(directory_);
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    const Url url = Url::parse(postgres_url());
    port_ = free_port();
    std::ofstream(directory_ / "users") << '"' << url.user.value_or("") << "\" \"" << url.password.value_or("")
                                        << "\"\n";
    std::ofstream(directory_ / "ini") << "[databases]\n* = host=" << url.hosts.front().name
                                      << " port=" << url.hosts.front().port << "\n[pgbouncer]\npool_mode = " << mode
                                      << "\nlisten_addr = 127.0.0.1\nlisten_port = " << port_
                                      << "\nunix_socket_dir =\nauth_type = plain\nauth_file = "
                                      << (directory_ / "users").string()
                                      << "\nignore_startup_parameters = extra_float_digits,search_path\nlogfile = "
                                      << (directory_ / "log").string()
                                      << "\npidfile = " << (directory_ / "pid").string() << "\n";
    // It refuses to run as root.
    const std::string user = ::geteuid() == 0 ? " --user=nobody" : "";
    started =
        std::system(("pgbouncer --daemon --quiet" + user + " " + (directory_ / "ini").string() + " > /dev/null 2>&1")
                        .c_str()) == 0;
    const auto deadline = steady_clock::now() + seconds(10);
    for (bool answers = false; started && !answers;) {
      try {
        PostgresConnection("public", behind(postgres_url()));
        answers = true;
      } catch (const std::exception&) {
        started = steady_clock::now() < deadline;
      }
    }
  }
  ~Bouncer() {
    std::ifstream in(directory_ / "pid");
    if (int process = 0; in >> process) std::system(("kill " + std::to_string(process)).c_str());
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::string url(const std::string& schema, const std::string& settings) const {
    return behind(postgres_url(schema, settings));
  }

  bool started = false;

 private:
  /// A URL of the server with the pooler in its place.
  std::string behind(std::string url) const {
    const std::size_t hosts = url.rfind('@', url.find('?')) + 1;
    const std::size_t end = std::min(url.find_first_of("/?", hosts), url.size());
    return url.replace(hosts, end - hosts, "127.0.0.1:" + std::to_string(port_));
  }

  std::filesystem::path directory_;
  int port_ = 0;
};

TEST_F(PostgresConnections, PoolerInTransactionModeIsRefused) {
  if (std::system("command -v pgbouncer > /dev/null") != 0) GTEST_SKIP() << "pgbouncer is not installed";
  const Bouncer bouncer("transaction");
  ASSERT_TRUE(bouncer.started);
  const auto error = error_of([&] { open_migrated_postgres(bouncer.url(schema_->name(), "")); });
  ASSERT_TRUE(error) << "worked through a pooler";
  EXPECT_EQ(error->code(), ErrorCode::unsupported) << error->what();
}

TEST_F(PostgresConnections, PoolerInSessionModeIsAllowedWhenNamed) {
  if (std::system("command -v pgbouncer > /dev/null") != 0) GTEST_SKIP() << "pgbouncer is not installed";
  const Bouncer bouncer("session");
  ASSERT_TRUE(bouncer.started);
  const auto unnamed = error_of([&] { open_migrated_postgres(bouncer.url(schema_->name(), "")); });
  ASSERT_TRUE(unnamed);
  EXPECT_EQ(unnamed->code(), ErrorCode::unsupported) << unnamed->what();
  EventStore store = open_migrated_postgres(bouncer.url(schema_->name(), "pooler=session"));
  EXPECT_EQ(append(store).status, AppendStatus::appended);
  EXPECT_EQ(count(store), 1U);
}

}  // namespace
}  // namespace stele::testing
