// What only a server does to the read side: sessions that wait for each other's rows, deadlocks, lost connections; and
// what T-SQL does to a transaction in which somebody else's statements fail.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "listener.h"
#include "mssql_server.h"
#include "settings.h"
#include "soci_backend.h"
#include "stele/driver/driver.h"
#include "stele/mssql.h"
#include "stele/projection.h"
#include "stele/registry.h"
#include "stele/soci.h"

namespace stele::testing {
namespace {

using driver::Lease;
using driver::PartKey;
using driver::ReadModelTransaction;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

const PartKey part{{"stock", ""}, 1, 0};
constexpr milliseconds long_time{600'000};

/// A read model whose handler is a function.
class Handled final : public Projection {
 public:
  using Apply = std::function<void(const RecordedEvent&, ReadModelTransaction&)>;
  explicit Handled(Apply apply) : apply_(std::move(apply)) {}
  std::string name() const override { return "handled"; }
  void apply(const RecordedEvent& event, ProjectionContext& context) override { apply_(event, context.transaction()); }

 private:
  const Apply apply_;
};

/// Whatever is an event's fault makes a dead letter at once.
ProjectionOptions strict(std::function<void(const Error&)> trouble = {}) {
  ProjectionOptions options;
  options.lease = milliseconds(1'000);
  options.poll_interval = milliseconds(20);
  options.on_error = {.retries = 0,
                      .first_pause = milliseconds(1),
                      .longest_pause = milliseconds(1),
                      .then = ErrorPolicy::Then::dead_letter};
  options.trouble = std::move(trouble);
  return options;
}

constexpr std::chrono::seconds patience{60};

template <class Condition>
bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

EventStore open(const std::string& url) {
  Registry registry;
  mssql::register_driver(registry);
  return EventStore::open(registry, url, {.migrate = true});
}

class MssqlReadSide : public ::testing::Test {
 protected:
  void SetUp() override {
    if (mssql_url().empty()) GTEST_SKIP() << no_mssql;
    schema_ = std::make_unique<MssqlSchema>();
    store_ = std::make_unique<EventStore>(open(schema_->url()));
    watch_ = std::make_unique<MssqlConnection>();
    driver().open_projection(part.projection, 1);
    run("CREATE TABLE $(schema).stock (item NVARCHAR(64) PRIMARY KEY, amount BIGINT)");
    run("INSERT INTO $(schema).stock VALUES (N'first', 0), (N'second', 0)");
  }

  driver::Driver& driver() { return store_->driver(); }
  Lease lease(const std::string& holder, milliseconds time = long_time) {
    return driver().acquire_lease(part, holder, time).value();
  }
  void run(const std::string& sql) { watch_->run(schema_->in(sql)); }
  std::string value(const std::string& sql) { return watch_->value(schema_->in(sql)); }
  std::string position() { return value("SELECT last_position FROM $(schema).projection_offsets"); }
  std::string amount(const std::string& item = "first") {
    return value("SELECT amount FROM $(schema).stock WHERE item = N'" + item + "'");
  }
  void add(ReadModelTransaction& transaction, const std::string& item = "first") {
    sql(transaction) << schema_->in("UPDATE $(schema).stock SET amount = amount + 1 WHERE item = :item"),
        soci::use(item);
  }
  static int process_of(ReadModelTransaction& transaction) {
    int process = 0;
    sql(transaction) << "SELECT CAST(@@SPID AS INT)", soci::into(process);
    return process;
  }
  void kill(int process) {
    watch_->run("KILL " + std::to_string(process));
    for (int i = 0; i < 2'000; ++i) {
      if (watch_->value("SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = " + std::to_string(process)) ==
          "0") {
        return;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    throw std::runtime_error("the connection does not end");
  }
  /// Waits until so many sessions wait for a lock of a row of this schema's tables.
  void wait_for_waiting(int sessions) {
    MssqlConnection other;
    const std::string waiting = schema_->in(
        other.is_babelfish() ? "SELECT COUNT(DISTINCT w.pid) FROM pg_catalog.pg_locks AS w JOIN pg_catalog.pg_locks AS "
                               "r ON r.pid = w.pid WHERE w.granted = 0 AND r.relation IN (SELECT object_id FROM "
                               "sys.tables WHERE schema_id = SCHEMA_ID(N'$(schema_name)'))"
                             : "SELECT COUNT(DISTINCT w.request_session_id) FROM sys.dm_tran_locks AS w JOIN "
                               "sys.partitions AS p ON p.hobt_id = w.resource_associated_entity_id WHERE "
                               "w.request_status = N'WAIT' AND p.object_id IN (SELECT object_id FROM sys.tables WHERE "
                               "schema_id = SCHEMA_ID(N'$(schema_name)'))");
    for (int i = 0; i < 2'000; ++i) {
      if (other.value(waiting) == std::to_string(sessions)) return;
      std::this_thread::sleep_for(milliseconds(5));
    }
    throw std::runtime_error("nobody waits");
  }
  driver::AppendAnswer append_with_hook(const std::string& id, const driver::AppendHook& hook) {
    NewEvent event;
    event.type = "Happened";
    const StreamKey key("thing", id);
    const driver::PreparedEvent prepared{&event, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false};
    return driver().append_with_hook({default_tenant, {{&key, ExpectedVersion::any(), {prepared}}}, {}, {}}, hook);
  }
  template <class Call>
  static Error error_of(Call call) {
    try {
      call();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorCode::internal, "nothing");
  }

  std::unique_ptr<MssqlSchema> schema_;
  std::unique_ptr<EventStore> store_;
  std::unique_ptr<MssqlConnection> watch_;
};

TEST_F(MssqlReadSide, AConnectionLostBeforeTheCommitLeavesNothing) {
  const Lease held = lease("a");
  {
    const auto transaction = driver().begin_read_model();
    add(*transaction);
    ASSERT_TRUE(transaction->move_checkpoint(held, Position(7)));
    kill(process_of(*transaction));
    const Error error = error_of([&] { transaction->commit(); });
    EXPECT_EQ(error.code(), ErrorCode::cannot_connect) << error.what();
    EXPECT_NE(error.outcome(), Outcome::applied);
  }
  EXPECT_EQ(position(), "0");
  EXPECT_EQ(amount(), "0");
  const auto again = driver().begin_read_model();
  add(*again);
  ASSERT_TRUE(again->move_checkpoint(held, Position(7)));
  again->commit();
  EXPECT_EQ(position(), "7");
  EXPECT_EQ(amount(), "1");
}

TEST_F(MssqlReadSide, AConnectionLostInTheHandlerIsNotTheHandlersFault) {
  const Lease held = lease("a");
  {
    const auto transaction = driver().begin_read_model();
    try {
      sql(*transaction) << "SELECT 1 / 0";
      ADD_FAILURE() << "nothing was thrown";
    } catch (const soci::soci_error&) {
      const std::optional<Error> error = transaction->database_error(std::current_exception());
      ASSERT_TRUE(error);
      EXPECT_EQ(error->code(), ErrorCode::rejected_by_database) << error->what();
    }
  }
  {
    const auto transaction = driver().begin_read_model();
    add(*transaction);
    kill(process_of(*transaction));
    EXPECT_THROW(add(*transaction), soci::soci_error);
    const Error error = error_of([&] { transaction->activate(part.projection, 0, 1); });
    EXPECT_EQ(error.code(), ErrorCode::cannot_connect);
    EXPECT_TRUE(error.retryable());
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_EQ(error_of([&] { transaction->move_checkpoint(held, Position(7)); }).code(), ErrorCode::cannot_connect);
    EXPECT_EQ(error_of([&] { transaction->commit(); }).outcome(), Outcome::not_applied);
  }
  EXPECT_EQ(position(), "0");
  EXPECT_EQ(amount(), "0");
}

TEST_F(MssqlReadSide, AConnectionLostInTheHookLeavesNothing) {
  const Error error = error_of([&] {
    append_with_hook("a", [&](ReadModelTransaction& transaction, auto) {
      add(transaction);
      kill(process_of(transaction));
    });
  });
  EXPECT_EQ(error.code(), ErrorCode::cannot_connect) << error.what();
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "a")), Version(0));
  EXPECT_EQ(amount(), "0");
  append_with_hook("a", [&](ReadModelTransaction& transaction, auto) { add(transaction); });
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "a")), Version(1));
  EXPECT_EQ(amount(), "1");
}

// The pool's connections were lost while nobody used them.
TEST_F(MssqlReadSide, AConnectionLostLongAgoIsMadeAgain) {
  int process = 0;
  process = process_of(*driver().begin_read_model());
  kill(process);
  add(*driver().begin_read_model());
  process = process_of(*driver().begin_read_model());
  kill(process);
  append_with_hook("a", [&](ReadModelTransaction& transaction, auto) { add(transaction); });
  EXPECT_EQ(amount(), "1");
}

TEST_F(MssqlReadSide, TwoSessionsAskForOneLeaseAtOnce) {
  EventStore other = open(schema_->url());
  MssqlConnection blocker;
  blocker.run(schema_->in("BEGIN TRANSACTION; UPDATE $(schema).projection_offsets SET fence = fence"));
  auto first = std::async(std::launch::async, [&] { return driver().acquire_lease(part, "a", long_time); });
  auto second = std::async(std::launch::async, [&] { return other.driver().acquire_lease(part, "b", long_time); });
  wait_for_waiting(2);
  blocker.run("COMMIT TRANSACTION");
  EXPECT_NE(first.get().has_value(), second.get().has_value());
}

// The zombie's transaction is open while another takes over; it has written, and not yet moved the checkpoint.
TEST_F(MssqlReadSide, AZombieInTheMiddleOfItsHandlerMovesNothing) {
  const Lease zombie = lease("a", milliseconds(1));
  auto transaction = driver().begin_read_model();
  add(*transaction);
  std::this_thread::sleep_for(milliseconds(5));
  const Lease heir = lease("b");
  EXPECT_FALSE(transaction->move_checkpoint(zombie, Position(9)));
  transaction.reset();
  EXPECT_EQ(amount(), "0");
  const auto next = driver().begin_read_model();
  add(*next);
  ASSERT_TRUE(next->move_checkpoint(heir, Position(3)));
  next->commit();
  EXPECT_EQ(position(), "3");
  EXPECT_EQ(amount(), "1");
}

// Both have asked: the heir for the lease, while the zombie's move is not committed; and the zombie to move, while the
// heir's lease is not. Whoever came second sees what the first one did.
TEST_F(MssqlReadSide, WhoWaitsForARowSeesWhatBecameOfIt) {
  const Lease zombie = lease("a", milliseconds(1));
  std::this_thread::sleep_for(milliseconds(5));
  {
    auto transaction = driver().begin_read_model();
    ASSERT_TRUE(transaction->move_checkpoint(zombie, Position(9)));
    auto heir = std::async(std::launch::async, [&] { return driver().acquire_lease(part, "b", milliseconds(1)); });
    wait_for_waiting(1);
    transaction->commit();
    const std::optional<Lease> taken = heir.get();
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->position, Position(9));
  }
  std::this_thread::sleep_for(milliseconds(5));
  const Lease late = lease("b", milliseconds(1));
  std::this_thread::sleep_for(milliseconds(5));
  MssqlConnection heir;
  heir.run(schema_->in("BEGIN TRANSACTION; UPDATE $(schema).projection_offsets SET holder = N'c', fence = fence + 1"));
  auto moved =
      std::async(std::launch::async, [&] { return driver().begin_read_model()->move_checkpoint(late, Position(99)); });
  wait_for_waiting(1);
  heir.run("COMMIT TRANSACTION");
  EXPECT_FALSE(moved.get());
  EXPECT_EQ(position(), "9");
}

TEST_F(MssqlReadSide, AStatementThatFailedLetsNothingBeCommitted) {
  const Lease held = lease("a");
  {
    const auto transaction = driver().begin_read_model();
    add(*transaction);
    EXPECT_THROW(sql(*transaction) << "SELECT 1 / 0", soci::soci_error);
    add(*transaction);  // The server has rolled back already, and would commit this by itself.
    EXPECT_EQ(error_of([&] { transaction->move_checkpoint(held, Position(1)); }).code(), ErrorCode::invalid_argument);
    EXPECT_EQ(error_of([&] { transaction->commit(); }).code(), ErrorCode::invalid_argument);
  }
  for (const char* end : {"ROLLBACK", "COMMIT", "ROLLBACK; BEGIN TRANSACTION", "BEGIN TRANSACTION"}) {
    const auto transaction = driver().begin_read_model();
    add(*transaction, "second");
    sql(*transaction) << end;
    add(*transaction, "second");  // Outside of it, and committed by nobody.
    EXPECT_EQ(error_of([&] { transaction->move_checkpoint(held, Position(1)); }).code(), ErrorCode::invalid_argument);
    EXPECT_EQ(error_of([&] { transaction->commit(); }).code(), ErrorCode::invalid_argument);
  }
  EXPECT_EQ(position(), "0");
  EXPECT_EQ(amount(), "0");
  EXPECT_EQ(amount("second"), "0");
  const Error error = error_of([&] {
    append_with_hook("a", [&](ReadModelTransaction& transaction, auto) {
      add(transaction);
      EXPECT_THROW(sql(transaction) << "SELECT 1 / 0", soci::soci_error);
    });
  });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "a")), Version(0));
}

// Statements of the next user of the connection are committed by themselves again.
TEST_F(MssqlReadSide, AConnectionIsAsBeforeAfterwards) {
  store_ = std::make_unique<EventStore>(open(schema_->url("connections=1")));
  const Lease held = lease("a");
  for (const bool commits : {true, false}) {
    {
      const auto transaction = driver().begin_read_model();
      add(*transaction);
      if (commits) transaction->commit();
    }
    ASSERT_TRUE(driver().renew_lease(held, long_time));
    MssqlConnection other;  // It would wait for the row, had the renewal not been committed.
    other.run("SET LOCK_TIMEOUT 1000");
    other.run(schema_->in("UPDATE $(schema).projection_offsets SET fence = fence"));
  }
  EXPECT_EQ(amount(), "1");
}

// The handler waits for a row that somebody else has for longer than a session waits.
TEST_F(MssqlReadSide, ALockOfAnotherIsNoEventsFault) {
  EventStore store = open(schema_->url("busy_timeout=200ms"));
  MssqlConnection other;
  other.run(schema_->in("BEGIN TRANSACTION; UPDATE $(schema).stock SET amount = amount + 10 WHERE item = N'first'"));
  std::atomic<int> busy = 0;
  const auto projection =
      std::make_shared<Handled>([this](auto&, ReadModelTransaction& transaction) { add(transaction); });
  ProjectionRunner runner(store, projection, strict([&](const Error& error) {
                            EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
                            ++busy;
                          }));
  NewEvent event;
  event.type = "Happened";
  const Position last =
      store.append(StreamKey("thing", "a"), ExpectedVersion::any(), {event}).or_throw().last_position();
  ASSERT_TRUE(comes_true([&] { return busy >= 3 || runner.error(); }));
  other.run("COMMIT TRANSACTION");
  ASSERT_TRUE(runner.wait_for(last, patience));
  EXPECT_TRUE(driver().list_dead_letters({"handled", ""}, 10).empty());
  EXPECT_EQ(amount(), "11");
}

// The hook waits for a row of another session, which then waits for one of the hook's: the server gives one of the two
// up. The hook's transaction is made anew if it was that one; the other one says so and is not repeated here.
TEST_F(MssqlReadSide, AHookThatTheServerGaveUpIsCalledAgain) {
  MssqlConnection other;
  if (!other.is_babelfish()) other.run("SET DEADLOCK_PRIORITY HIGH");
  int calls = 0;
  std::string crossed = "deadlock";
  driver::AppendAnswer answer;
  // On Babelfish, who waited longer than a second looks first, and gives itself up: the hook, if it began first.
  for (int tries = 0; tries < 5 && !crossed.empty(); ++tries) {
    calls = 0;
    other.run(schema_->in("BEGIN TRANSACTION; UPDATE $(schema).stock SET amount = amount + 10 WHERE item = N'first'"));
    std::future<void> crossing;
    answer = append_with_hook("a" + std::to_string(tries), [&](ReadModelTransaction& transaction, auto events) {
      EXPECT_EQ(events.size(), 1u);
      add(transaction, "second");
      if (++calls == 1) {
        crossing = std::async(std::launch::async, [&] {
          wait_for_waiting(1);
          crossed =
              other.execute(schema_->in("UPDATE $(schema).stock SET amount = amount + 10 WHERE item = N'second'"));
          other.execute("IF @@TRANCOUNT > 0 COMMIT TRANSACTION");
        });
      }
      add(transaction, "first");
    });
    crossing.get();
    EXPECT_EQ(answer.result.status, AppendStatus::appended);
    EXPECT_EQ(store_->stream_version(StreamKey("thing", "a" + std::to_string(tries))), Version(1));
  }
  EXPECT_EQ(crossed, "") << "the hook was never the one to be given up";
  EXPECT_EQ(calls, 2);
}

TEST_F(MssqlReadSide, NamesThatDifferByBlanksOrCaseAreDifferent) {
  const std::vector<std::string> names = {"stock", "stock ", "Stock", "stock\u00e9", "stock\u00c9", "\u65e5\u672c", ""};
  for (const std::string& tenant : names) {
    if (tenant.empty()) continue;
    driver().open_projection({"p", tenant}, 1);
    driver().open_projection({tenant, "t"}, 2);
  }
  EXPECT_EQ(driver().list_projections().size(), 1 + 2 * (names.size() - 1));
  ASSERT_TRUE(driver().acquire_lease(part, "holder", long_time));
  EXPECT_FALSE(driver().acquire_lease(part, "holder ", long_time)) << "another holder, for all its blanks";
  EXPECT_EQ(driver().announce_member(part.projection, "m", long_time), 1);
  EXPECT_EQ(driver().announce_member(part.projection, "m ", long_time), 2);
}

// A switch, or a reset, that somebody else is about to commit. What is written about what it removes is nobody's fault.
TEST_F(MssqlReadSide, WhatIsRemovedMeanwhileIsMissingAndNoError) {
  MssqlConnection other;
  other.run(schema_->in("BEGIN TRANSACTION; DELETE FROM $(schema).projection_offsets"));
  auto letter = std::async(std::launch::async, [&] {
    const auto transaction = driver().begin_read_model();
    transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
    transaction->commit();
  });
  wait_for_waiting(1);
  other.run("COMMIT TRANSACTION");
  EXPECT_NO_THROW(letter.get());
  EXPECT_TRUE(driver().list_dead_letters(part.projection, 10).empty());
  other.run(schema_->in("BEGIN TRANSACTION; DELETE FROM $(schema).projections"));
  auto member =
      std::async(std::launch::async, [&] { return driver().announce_member(part.projection, "a", long_time); });
  wait_for_waiting(1);
  other.run("COMMIT TRANSACTION");
  EXPECT_EQ(member.get(), 0);
}

// A clock was wrong when it was given. It would hold for as long as that.
TEST_F(MssqlReadSide, ALeaseOfTheFarFutureHoldsNothing) {
  constexpr std::chrono::hours year(24 * 365);
  ASSERT_TRUE(driver().acquire_lease(part, "dead", year));
  EXPECT_FALSE(driver().find_projection(part.projection)->checkpoints.at(0).leased);
  EXPECT_TRUE(driver().acquire_lease(part, "b", driver::longest_lease));
  EXPECT_TRUE(driver().find_projection(part.projection)->checkpoints.at(0).leased);
  EXPECT_FALSE(driver().acquire_lease(part, "c", driver::longest_lease));
  driver().announce_member(part.projection, "ghost", year);
  EXPECT_EQ(driver().announce_member(part.projection, "a", driver::longest_lease), 1);
  EXPECT_EQ(driver().announce_member(part.projection, "b", driver::longest_lease), 2);
}

TEST_F(MssqlReadSide, DeadLettersAreCountedOnlyWhenProjectionsAreListed) {
  const auto transaction = driver().begin_read_model();
  transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
  transaction->commit();
  EXPECT_EQ(driver().list_projections().at(0).dead_letters, 1);
  EXPECT_EQ(driver().find_projection(part.projection)->dead_letters, 0);
  EXPECT_EQ(driver().open_projection(part.projection, 1).dead_letters, 0);
}

// What SOCI alone would send as VARCHAR, in the code page of the database.
TEST_F(MssqlReadSide, HandlersTextsArriveAsTheyAre) {
  run("CREATE TABLE $(schema).texts (number INT, text NVARCHAR(MAX))");
  std::string more_than_short;
  for (int i = 0; i < 2'000; ++i) more_than_short += "\u65e5\U0001F600";  // 6,000 units of UTF-16.
  const std::vector<std::string> texts = {"s\u00e9cond \U0001F600 \u65e5\u672c 'x'", "", std::string(4'000, 'x'),
                                          more_than_short, std::string(20'000, 'y')};
  {
    const auto transaction = driver().begin_read_model();
    for (int i = 0; i < static_cast<int>(texts.size()); ++i) {
      sql(*transaction) << schema_->in("/* :no 'quote */ INSERT INTO $(schema).texts /* -- */ VALUES (:number, :text)"),
          soci::use(i, "number"), soci::use(texts[static_cast<std::size_t>(i)], "text");
    }
    sql(*transaction) << "CREATE TABLE #own (text NVARCHAR(50))";
    sql(*transaction) << "INSERT INTO #own VALUES (:text + N' \u672c')", soci::use(texts[0], "text");
    sql(*transaction) << schema_->in("INSERT INTO $(schema).texts SELECT 100, text FROM #own");
    std::string none;
    soci::indicator null = soci::i_null;
    sql(*transaction) << schema_->in("INSERT INTO $(schema).texts VALUES (101, :text)"), soci::use(none, null, "text");
    std::string back;
    const int first = 0;
    sql(*transaction) << schema_->in("SELECT CAST(text AS NVARCHAR(50)) FROM $(schema).texts WHERE number = :n"),
        soci::use(first, "n"), soci::into(back);
    EXPECT_EQ(back, texts[0]);
    transaction->commit();
  }
  const std::vector<std::string> rows = watch_->rows(schema_->in("SELECT text FROM $(schema).texts ORDER BY number"));
  ASSERT_EQ(rows.size(), texts.size() + 2);
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(rows[i], texts[i]) << i;
  EXPECT_EQ(rows[texts.size()], texts[0] + " \u672c");
  EXPECT_EQ(rows.back(), "NULL");
}

TEST(MssqlHandlers, ParametersAreFoundAsTSqlIsRead) {
  const auto rewritten = [](const std::string& query) {
    std::vector<std::string> names;
    std::string made = mssql::with_question_marks(query, names);
    for (const std::string& name : names) made += " " + name;
    return made;
  };
  EXPECT_EQ(rewritten("SELECT :a, :b_1, :a"), "SELECT ?, ?, ? a b_1 a");
  EXPECT_EQ(rewritten("SELECT ':a', N'it''s :b', \"c:d\", [e:f], :g"), "SELECT ':a', N'it''s :b', \"c:d\", [e:f], ? g");
  EXPECT_EQ(rewritten("SELECT 1 -- :a 'b\n, :c /* :d /* ' */ :e */, :f"),
            "SELECT 1 -- :a 'b\n, ? /* :d /* ' */ :e */, ? c f");
  EXPECT_EQ(rewritten("SELECT geometry::Parse(:a), x: FROM #t"), "SELECT geometry::Parse(?), x: FROM #t a");
  for (const char* unfinished : {"'a", "[a", "\"a", "/* a", "-- a", ":", "a::"}) {
    EXPECT_EQ(rewritten(unfinished), unfinished);
  }
}

// --- Waking

class MssqlListener : public MssqlReadSide {
 protected:
  void SetUp() override {
    MssqlReadSide::SetUp();
    if (IsSkipped()) return;
    listener_ = driver().listen();
    EXPECT_TRUE(told(milliseconds(30'000))) << "nobody listened before";
  }
  /// Whether something was noticed before the time was over.
  bool told(milliseconds time) {
    const auto deadline = steady_clock::now() + time;
    do {
      if (listener_->wait(milliseconds(50))) return true;  // As long as core asks it to.
    } while (steady_clock::now() < deadline);
    return false;
  }
  void append(const std::string& id = "a") {
    NewEvent event;
    event.type = "Happened";
    store_->append(StreamKey("thing", id), ExpectedVersion::any(), {event}).or_throw();
  }
  std::unique_ptr<driver::AppendListener> listener_;
};

TEST_F(MssqlListener, IsToldOfAppendsAndOfNothingElse) {
  EXPECT_FALSE(told(milliseconds(300)));
  driver().open_projection({"another", ""}, 1);
  EXPECT_FALSE(told(milliseconds(300)));
  append();
  EXPECT_TRUE(told(milliseconds(30'000)));
  EXPECT_FALSE(told(milliseconds(300)));
}

// The position behind is committed first: nothing is to be read yet. Then the one before.
TEST_F(MssqlListener, IsToldWhenAPositionIsFilledThatOthersWaitFor) {
  append("held");
  EXPECT_TRUE(told(milliseconds(30'000)));
  MssqlConnection stopped;
  stopped.run(schema_->in(
      "SET NOCOUNT ON; SET XACT_ABORT ON; BEGIN TRANSACTION; "
      "UPDATE $(schema).streams SET version = version + 1 WHERE stream_id = N'held'; EXEC "
      "$(schema).announce_positions; "
      "INSERT INTO $(schema).events (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, "
      "event_version, occurred_at, recorded_at, redaction_level, contains_secrets, attribute_count, data) SELECT "
      "stream_no, version, tenant_id, stream_type, NEWID(), N'Happened', 1, SYSUTCDATETIME(), SYSUTCDATETIME(), "
      "N'none', 0, 0, N'{}' FROM $(schema).streams WHERE stream_id = N'held'"));
  append("other");
  EXPECT_FALSE(told(milliseconds(500))) << "there is nothing to be read yet";
  stopped.run("COMMIT TRANSACTION");
  EXPECT_TRUE(told(milliseconds(30'000))) << "and nothing was committed behind it";
}

TEST_F(MssqlListener, ListensAgainAfterItsConnectionWasLost) {
  const auto processes = [&] {
    return watch_->rows("SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = N'" + schema_->name() + "'");
  };
  EventStore other = open(schema_->url("application_name=" + schema_->name()));
  const std::vector<std::string> pool = processes();
  listener_ = other.driver().listen();
  EXPECT_TRUE(told(milliseconds(30'000)));
  int ended = 0;
  for (const std::string& process : processes()) {
    if (std::find(pool.begin(), pool.end(), process) != pool.end()) continue;
    kill(std::stoi(process));
    ++ended;
  }
  EXPECT_EQ(ended, 1);
  append();
  EXPECT_TRUE(told(milliseconds(60'000)));
}

// Looks come less and less often; what they cost this process is measured, and is far below one part in a hundred.
TEST_F(MssqlListener, CostsNextToNothingWhenIdle) {
  const auto used = [] {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    const auto micros = [](const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; };
    return micros(usage.ru_utime) + micros(usage.ru_stime);
  };
  told(milliseconds(1'000));
  const auto before = used();
  EXPECT_FALSE(told(milliseconds(2'000)));
  const auto cost = used() - before;
  RecordProperty("microseconds_in_two_seconds", static_cast<int>(cost));
  EXPECT_LT(cost, 20'000) << "microseconds in two seconds";
}

// One that was made before kinds were kept.
TEST_F(MssqlReadSide, WhoOpensAnOldOneSaysWhatItIs) {
  using Kind = driver::ProjectionKind;
  run("UPDATE $(schema).projections SET kind = NULL");
  EXPECT_EQ(driver().find_projection(part.projection)->kind, std::nullopt);
  EXPECT_EQ(driver().list_projections().at(0).kind, std::nullopt);
  const auto open_as = [&](Kind kind, int parts) {
    return driver().open_projection(part.projection, parts, Position(0), kind).kind;
  };
  EXPECT_EQ(error_of([&] { open_as(Kind::relay, 2); }).code(), ErrorCode::invalid_argument);
  EXPECT_EQ(open_as(Kind::relay, 1), Kind::relay);
  EXPECT_EQ(error_of([&] { open_as(Kind::projection, 1); }).code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace stele::testing
