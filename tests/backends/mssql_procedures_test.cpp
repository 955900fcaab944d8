// The procedures as people call them by SQL: from a session that is set up as a client's are, and inside of a
// transaction of their own.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mssql_server.h"
#include "stele/mssql.h"
#include "stele/registry.h"
#include "stele/uuid.h"

namespace stele::testing {
namespace {

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

class MssqlProcedures : public ::testing::Test {
 protected:
  void SetUp() override {
    if (mssql_url().empty()) GTEST_SKIP() << no_mssql;
    schema_ = std::make_unique<MssqlSchema>();
    store_ = std::make_unique<EventStore>(open(schema_->url(), true));
    store_->append(stream_, ExpectedVersion::no_stream(), {event()}).or_throw();
    // As a client's session is: what an error ends is its statement.
    client_ = std::make_unique<MssqlConnection>();
    client_->run("SET NOCOUNT ON; SET XACT_ABORT OFF; SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
  }
  void TearDown() override {
    // A driver manager that pools connections would keep it otherwise.
    if (client_) client_->execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION");
  }

  std::string in(const std::string& sql) const { return schema_->in(sql); }
  /// A call of append_one for the stream thing/`id`; with `lock` as the lock's name that the caller gives.
  std::string append_one(const std::string& id, const std::string& expected, const std::string& data = "{}",
                         const std::string& lock = "mine", const std::string& event_id = {}) const {
    return in("DECLARE @key VARBINARY(255) = CAST('" + id +
              "' AS VARBINARY(255)); EXEC $(schema).append_one N'default', N'thing', N'" + id +
              "', 0x64656661756C74, 0x7468696E67, @key, N'" + lock + "', " + expected + ", '" + id_or_new(event_id) +
              "', " + (event_id.empty() ? "0" : "1") + ", N'Happened', 1, '2026-01-02', N'" + data + "'");
  }
  std::string append_to_stream(const std::string& id, const std::string& expected,
                               const std::string& data = "{}") const {
    return short_call(id, expected, data, {}, "");
  }
  /// The same, but that it makes a stream that is not there.
  std::string append_or_make(const std::string& id, const std::string& expected, const std::string& data = "{}",
                             const std::string& event_id = {}) const {
    return short_call(id, expected, data, event_id,
                      ", @tenant_id = N'default', @stream_type = N'thing', @stream_id = N'" + id + "'");
  }
  std::string in_transactions() { return client_->value("SELECT @@TRANCOUNT"); }
  std::string heads() {
    return client_->value(
        in("SELECT CAST(COUNT(*) AS NVARCHAR(20)) + N' streams, ' + CAST(SUM(version) AS NVARCHAR(20)) "
           "+ N' versions, ' + CAST((SELECT COUNT(*) FROM $(schema).events) AS NVARCHAR(20)) + "
           "N' events' FROM $(schema).streams"));
  }
  void expect_sound() {
    const VerifyReport report = store_->verify();
    EXPECT_TRUE(report.ok()) << report.violations.front().where << " " << report.violations.front().what;
  }

  const StreamKey stream_{"thing", "a"};
  std::unique_ptr<MssqlSchema> schema_;
  std::unique_ptr<EventStore> store_;
  std::unique_ptr<MssqlConnection> client_;

 private:
  std::string short_call(const std::string& id, const std::string& expected, const std::string& data,
                         const std::string& event_id, const std::string& spelled) const {
    return in("DECLARE @key VARBINARY(255) = CAST('" + id +
              "' AS VARBINARY(255)); EXEC $(schema).append_to_stream 0x64656661756C74, 0x7468696E67, @key, " +
              expected + ", '" + id_or_new(event_id) + "', " + (event_id.empty() ? "0" : "1") +
              ", N'Happened', 1, '2026-01-02', N'" + data + "'" + spelled);
  }
  static std::string id_or_new(const std::string& id) { return id.empty() ? Uuid::v7().to_string() : id; }
};

TEST_F(MssqlProcedures, AnErrorTakesAllOfItBackWhateverTheSessionIsSetTo) {
  for (const std::string& call :
       {append_one("a", "-1", "{"), append_one("new", "-1", "{"), append_to_stream("a", "-1", "{"),
        append_or_make("a", "-1", "{"), append_or_make("new", "-1", "{")}) {
    const std::string error = client_->execute(call);
    EXPECT_TRUE(error.starts_with("547 ")) << error;
    EXPECT_EQ(in_transactions(), "0");
    EXPECT_EQ(heads(), "1 streams, 1 versions, 1 events") << "a head moved without its event";
  }
  EXPECT_TRUE(client_->value(append_one("a", "1")).starts_with("0|2|"));
  EXPECT_TRUE(client_->value(append_to_stream("a", "2")).starts_with("0|3|"));
  expect_sound();
}

TEST_F(MssqlProcedures, ALockThatIsNotToBeHadEndsTheTransaction) {
  MssqlConnection other;
  other.run("BEGIN TRANSACTION");
  other.run(
      in("DECLARE @got INT; EXEC @got = sp_getapplock N'$(schema):test', N'Exclusive', N'Transaction'; "
         "EXEC @got = sp_getapplock N'$(schema):range:0', N'Exclusive', N'Transaction'"));
  client_->run("SET LOCK_TIMEOUT 100");
  for (const char* call :
       {"EXEC $(schema).take_lock N'$(schema):test', N'Shared'", "EXEC $(schema).announce_positions"}) {
    client_->run("BEGIN TRANSACTION");
    EXPECT_NE(client_->execute(in(call)), "") << call;
    EXPECT_EQ(in_transactions(), "0") << call;
  }
  other.run("ROLLBACK TRANSACTION");
}

// Under SNAPSHOT the log's end is that of the transaction's beginning: it would be announced where nobody looks.
TEST_F(MssqlProcedures, OnlyReadCommittedWillDo) {
  const bool babelfish = client_->is_babelfish();
  for (const std::string& call :
       {append_one("a", "-1"), append_one("new", "-1"), append_to_stream("a", "-1"), append_or_make("new", "-1"),
        in("DECLARE @settled BIGINT; EXEC $(schema).settled_position 0, @settled OUTPUT"),
        in("EXEC $(schema).announce_positions")}) {
    client_->run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT");
    client_->run("BEGIN TRANSACTION");
    const std::string refused = client_->execute(in("SELECT COUNT(*) FROM $(schema).events"));
    if (refused.starts_with("3952 ")) GTEST_SKIP() << "!! NOT tested: the database does not allow SNAPSHOT";
    ASSERT_EQ(refused, "");
    const std::string error = client_->execute(call);
    // announce_positions reads under READ COMMITTED there, and needs nobody's word for it.
    const bool own = call.find("announce_positions") != std::string::npos;
    EXPECT_TRUE(own || error.starts_with("51012 ")) << call << ": " << error;
    EXPECT_TRUE(!own || !babelfish || !error.empty()) << call;
    EXPECT_TRUE(error.empty() || in_transactions() == "0") << call;
    client_->run("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION");
    // And outside of one: either it is so refused, or it is an append like any other.
    EXPECT_TRUE(own || !babelfish || !client_->execute(call).empty()) << call;
    client_->run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
  }
  expect_sound();
}

// What is refused, or there already, leaves the caller's own work and its transaction alone.
TEST_F(MssqlProcedures, ARefusedAppendTakesNothingElseBack) {
  const Uuid id = Uuid::v7();
  ASSERT_TRUE(client_->value(append_one("a", "-1", "{}", "mine", id.to_string())).starts_with("0|2|"));
  client_->run(in("CREATE TABLE $(schema).own (n INT NOT NULL)"));
  struct Call {
    std::string sql;
    std::string status;
  };
  const std::vector<Call> calls = {{append_one("a", "7"), "4|2|"},
                                   {append_one("none", "7"), "4|0|"},
                                   {append_one("a", "-1", "{}", "mine", id.to_string()), "5|2|"},
                                   {append_to_stream("a", "7"), "4|2|"},
                                   {append_to_stream("none", "-1"), "6|0|"},
                                   {append_or_make("a", "7"), "4|2|"},
                                   {append_or_make("a", "0"), "4|2|"},
                                   {append_or_make("a", "-1", "{}", id.to_string()), "5|2|"},
                                   {append_or_make("none", "-1", "{}", id.to_string()), "5|0|"},
                                   {append_or_make("none", "7"), "4|0|"},
                                   {append_or_make("none", "-2"), "4|0|"}};
  int rows = 0;
  for (const Call& call : calls) {
    client_->run("BEGIN TRANSACTION");
    client_->run(in("INSERT INTO $(schema).own VALUES (1)"));
    EXPECT_TRUE(client_->value(call.sql).starts_with(call.status)) << call.sql;
    EXPECT_EQ(in_transactions(), "1") << call.sql;
    client_->execute("IF @@TRANCOUNT > 0 COMMIT TRANSACTION");
    EXPECT_EQ(client_->value(in("SELECT COUNT(*) FROM $(schema).own")), std::to_string(++rows)) << call.sql;
    EXPECT_EQ(heads(), "1 streams, 2 versions, 2 events") << call.sql;
  }
  // One after the other in a transaction, of which some are refused.
  client_->run("BEGIN TRANSACTION");
  EXPECT_TRUE(client_->value(append_one("b", "0")).starts_with("0|1|"));
  EXPECT_TRUE(client_->value(append_one("b", "0")).starts_with("4|1|"));
  EXPECT_TRUE(client_->value(append_to_stream("b", "1")).starts_with("0|2|"));
  EXPECT_TRUE(client_->value(append_to_stream("b", "1")).starts_with("4|2|"));
  EXPECT_TRUE(client_->value(append_one("c", "5")).starts_with("4|0|"));
  EXPECT_TRUE(client_->value(append_one("c", "0")).starts_with("0|1|"));
  EXPECT_TRUE(client_->value(append_or_make("d", "5")).starts_with("4|0|"));
  EXPECT_TRUE(client_->value(append_or_make("d", "0")).starts_with("0|1|"));
  EXPECT_TRUE(client_->value(append_or_make("d", "0")).starts_with("4|1|"));
  EXPECT_TRUE(client_->value(append_or_make("d", "-1")).starts_with("0|2|"));
  client_->run("COMMIT TRANSACTION");
  EXPECT_EQ(heads(), "4 streams, 7 versions, 7 events");
  expect_sound();
}

// A stream that is there is what its row says, however it is called.
TEST_F(MssqlProcedures, AStreamThatIsThereIsNotSpelledAnew) {
  std::string call = append_or_make("a", "1");
  const std::string type = "@stream_type = N'thing'";
  call.replace(call.find(type), type.size(), "@stream_type = N'other'");
  EXPECT_TRUE(client_->value(call).starts_with("0|2|"));
  EXPECT_EQ(client_->value(in("SELECT COUNT(*) FROM $(schema).events WHERE stream_type = N'thing'")), "2");
  expect_sound();
}

// Who checks that a stream is not there, and who makes it, exclude each other: by the stream's key, whatever they say.
TEST_F(MssqlProcedures, NobodyNamesTheLockOfANewStream) {
  EventStore impatient = open(schema_->url("busy_timeout=300ms"));
  const auto makes_it_alone = [&](const std::string& id, const std::string& call) {
    SCOPED_TRACE(call);
    client_->run("BEGIN TRANSACTION");
    ASSERT_TRUE(client_->value(call).starts_with("0|1|"));
    AppendRequest request;
    request.streams.push_back({StreamKey("thing", "other"), ExpectedVersion::any(), {event()}});
    request.conditions.push_back({StreamKey("thing", id), ExpectedVersion::no_stream()});
    try {
      impatient.append(request);
      ADD_FAILURE() << "a stream was taken for missing while somebody made it";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
    }
    client_->run("COMMIT TRANSACTION");
    EXPECT_EQ(impatient.append(request).status, AppendStatus::conflict);
  };
  makes_it_alone("new", append_one("new", "0", "{}", "free text"));
  makes_it_alone("newer", append_or_make("newer", "0"));
}

// Whoever comes while somebody makes the stream waits, and finds it. The lock is taken before there is a row, so that
// the other has seen none when it comes to the lock, on a server too where an UPDATE waits for rows that are not
// committed.
TEST_F(MssqlProcedures, AStreamThatIsMadeMeanwhileIsFound) {
  // Its statements have been compiled, so that it is sure to have come to the lock.
  MssqlConnection other;
  other.run("SET NOCOUNT ON");
  ASSERT_TRUE(other.value(append_or_make("first", "-1")).starts_with("0|1|"));
  int number = 0;
  for (const bool both_short : {true, false}) {
    const std::string id = "new-" + std::to_string(++number);
    client_->run("BEGIN TRANSACTION");
    client_->run(in("DECLARE @name NVARCHAR(255) = N'$(schema):stream:' + CAST(CAST(SUBSTRING(HASHBYTES('SHA2_256', "
                    "N'default' + NCHAR(31) + N'thing' + NCHAR(31) + N'") +
                 id +
                 in("'), 1, 8) AS BIGINT) AS NVARCHAR(20)); "
                    "EXEC $(schema).take_lock @name, N'Exclusive'"));
    std::atomic<bool> done{false};
    std::string answer;
    std::string refused;
    std::thread second([&] {
      try {
        answer = other.value(append_or_make(id, "-1"));
        refused = other.value(append_or_make(id, "0"));
      } catch (const std::exception& error) {
        answer = error.what();
      }
      done = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
    EXPECT_FALSE(done.load()) << "it did not wait for who makes the stream";
    const std::string made = client_->value(both_short ? append_or_make(id, "-1") : append_one(id, "-1"));
    EXPECT_TRUE(made.starts_with("0|1|")) << made;
    client_->run("COMMIT TRANSACTION");
    second.join();
    EXPECT_TRUE(answer.starts_with("0|2|")) << answer;
    EXPECT_TRUE(refused.starts_with("4|2|")) << refused;
  }
  expect_sound();
}

// Where the database makes no difference of case, neither do the names of locks: both URLs are of one store.
TEST_F(MssqlProcedures, OneStoreHasOneNameHoweverTheUrlSpellsIt) {
  std::string other = schema_->name();
  for (char& c : other) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (client_->value("SELECT CASE WHEN SCHEMA_ID(N'" + other + "') IS NULL THEN 0 ELSE 1 END") == "0") {
    GTEST_SKIP() << "the database tells case apart";
  }
  EventStore shouting = open(mssql_url(other, "busy_timeout=300ms"));
  EXPECT_EQ(shouting.stream_version(stream_), Version(1));
  client_->run("BEGIN TRANSACTION");
  ASSERT_TRUE(client_->value(append_one("new", "0")).starts_with("0|1|"));
  AppendRequest request;
  request.streams.push_back({StreamKey("thing", "other"), ExpectedVersion::any(), {event()}});
  request.conditions.push_back({StreamKey("thing", "new"), ExpectedVersion::no_stream()});
  try {
    shouting.append(request);
    ADD_FAILURE() << "it did not wait for who makes the stream";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
  }
  client_->run("COMMIT TRANSACTION");
  EXPECT_TRUE(shouting.verify().ok()) << "the schema is as migrated";
}

}  // namespace
}  // namespace stele::testing
