// What only a server does to the read side: sessions that wait for each other's rows, deadlocks, lost connections.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "postgres_server.h"
#include "stele/driver/driver.h"
#include "stele/driver/forwarding_driver.h"
#include "stele/projection.h"
#include "stele/soci.h"

namespace stele::testing {
namespace {

using driver::Lease;
using driver::PartKey;
using driver::ReadModelTransaction;
using std::chrono::milliseconds;

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

class PostgresReadSide : public ::testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url().empty()) GTEST_SKIP() << no_postgres;
    schema_ = std::make_unique<PostgresSchema>();
    store_ = std::make_unique<EventStore>(open_postgres(schema_->url()));
    driver().open_projection(part.projection, 1);
    schema_->connect().run(
        "CREATE TABLE stock (item text PRIMARY KEY, amount bigint); INSERT INTO stock VALUES "
        "('first', 0), ('second', 0)");
  }

  driver::Driver& driver() { return store_->driver(); }
  Lease lease(const std::string& holder, milliseconds time = long_time) {
    return driver().acquire_lease(part, holder, time).value();
  }
  std::string position() { return schema_->connect().value("SELECT last_position FROM projection_offsets"); }
  std::string amount(const std::string& item = "first") {
    return schema_->connect().value("SELECT amount FROM stock WHERE item = " + sql_text(item));
  }
  static void add(ReadModelTransaction& transaction, const std::string& item = "first") {
    sql(transaction) << "UPDATE stock SET amount = amount + 1 WHERE item = :item", soci::use(item);
  }
  static int process_of(ReadModelTransaction& transaction) {
    int process = 0;
    sql(transaction) << "SELECT pg_backend_pid()", soci::into(process);
    return process;
  }
  void kill(int process) {
    schema_->connect().run("SELECT pg_terminate_backend(" + std::to_string(process) + ", 5000)");
  }
  /// Waits until so many sessions wait for a lock of a row of this schema's tables.
  void wait_for_waiting(int sessions) {
    PostgresConnection other = schema_->connect();
    for (int i = 0; i < 2'000; ++i) {
      const std::string waiting = other.value(
          "SELECT count(DISTINCT w.pid) FROM pg_locks AS w JOIN pg_locks AS r ON r.pid = w.pid "
          "JOIN pg_class AS c ON c.oid = r.relation WHERE NOT w.granted AND c.relnamespace = "
          "current_schema()::regnamespace");
      if (waiting == std::to_string(sessions)) return;
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

  std::unique_ptr<PostgresSchema> schema_;
  std::unique_ptr<EventStore> store_;
};

TEST_F(PostgresReadSide, AConnectionLostBeforeTheCommitLeavesNothing) {
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

TEST_F(PostgresReadSide, AConnectionLostInTheHandlerIsNotTheHandlersFault) {
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

TEST_F(PostgresReadSide, AConnectionLostInTheHookLeavesNothing) {
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
TEST_F(PostgresReadSide, AConnectionLostLongAgoIsMadeAgain) {
  int process = 0;
  process = process_of(*driver().begin_read_model());
  kill(process);
  add(*driver().begin_read_model());
  process = process_of(*driver().begin_read_model());
  kill(process);
  append_with_hook("a", [&](ReadModelTransaction& transaction, auto) { add(transaction); });
  EXPECT_EQ(amount(), "1");
}

TEST_F(PostgresReadSide, TwoSessionsAskForOneLeaseAtOnce) {
  EventStore other = open_postgres(schema_->url());
  PostgresConnection blocker = schema_->connect();
  blocker.run("BEGIN; SELECT FROM projection_offsets FOR UPDATE");
  auto first = std::async(std::launch::async, [&] { return driver().acquire_lease(part, "a", long_time); });
  auto second = std::async(std::launch::async, [&] { return other.driver().acquire_lease(part, "b", long_time); });
  wait_for_waiting(2);
  blocker.run("COMMIT");
  EXPECT_NE(first.get().has_value(), second.get().has_value());
}

// The zombie's transaction is open while another takes over; it has written, and not yet moved the checkpoint.
TEST_F(PostgresReadSide, AZombieInTheMiddleOfItsHandlerMovesNothing) {
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
TEST_F(PostgresReadSide, WhoWaitsForARowSeesWhatBecameOfIt) {
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
  PostgresConnection heir = schema_->connect();
  heir.run("BEGIN; UPDATE projection_offsets SET holder = 'c', fence = fence + 1");
  auto moved =
      std::async(std::launch::async, [&] { return driver().begin_read_model()->move_checkpoint(late, Position(99)); });
  wait_for_waiting(1);
  heir.run("COMMIT");
  EXPECT_FALSE(moved.get());
  EXPECT_EQ(position(), "9");
}

TEST_F(PostgresReadSide, AStatementThatFailedLetsNothingBeCommitted) {
  const Lease held = lease("a");
  {
    const auto transaction = driver().begin_read_model();
    add(*transaction);
    EXPECT_THROW(sql(*transaction) << "SELECT 1 / 0", soci::soci_error);
    EXPECT_EQ(error_of([&] { transaction->move_checkpoint(held, Position(1)); }).code(), ErrorCode::invalid_argument);
    EXPECT_EQ(error_of([&] { transaction->commit(); }).code(), ErrorCode::invalid_argument);
  }
  for (const char* end : {"ROLLBACK", "COMMIT"}) {
    const auto transaction = driver().begin_read_model();
    add(*transaction, "second");
    sql(*transaction) << end;
    EXPECT_EQ(error_of([&] { transaction->move_checkpoint(held, Position(1)); }).code(), ErrorCode::invalid_argument);
    EXPECT_EQ(error_of([&] { transaction->commit(); }).code(), ErrorCode::invalid_argument);
  }
  EXPECT_EQ(position(), "0");
  EXPECT_EQ(amount(), "0");
  const Error error = error_of([&] {
    append_with_hook("a", [&](ReadModelTransaction& transaction, auto) {
      EXPECT_THROW(sql(transaction) << "SELECT 1 / 0", soci::soci_error);
    });
  });
  EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "a")), Version(0));
}

// The hook waits for a row of another session, which then waits for one of the hook's: the server gives the hook's
// transaction up, which is made anew.
TEST_F(PostgresReadSide, AHookThatTheServerGaveUpIsCalledAgain) {
  PostgresConnection other = schema_->connect();
  other.run("SET deadlock_timeout = '1min'; BEGIN; UPDATE stock SET amount = amount + 10 WHERE item = 'first'");
  std::future<void> crossing;
  int calls = 0;
  const driver::AppendAnswer answer = append_with_hook("a", [&](ReadModelTransaction& transaction, auto events) {
    EXPECT_EQ(events.size(), 1u);
    add(transaction, "second");
    if (++calls == 1) {
      crossing = std::async(std::launch::async, [&] {
        wait_for_waiting(1);
        other.run("UPDATE stock SET amount = amount + 10 WHERE item = 'second'; COMMIT");
      });
    }
    add(transaction, "first");
  });
  crossing.get();
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(answer.result.status, AppendStatus::appended);
  EXPECT_EQ(store_->stream_version(StreamKey("thing", "a")), Version(1));
  EXPECT_EQ(amount("first"), "11");
  EXPECT_EQ(amount("second"), "11");
}

Position append_one(EventStore& store) {
  NewEvent event;
  event.type = "Happened";
  return store.append(StreamKey("thing", "a"), ExpectedVersion::any(), {event}).or_throw().last_position();
}

// The handler waits for a row that somebody else has for longer than a session waits.
TEST_F(PostgresReadSide, ALockOfAnotherIsNoEventsFault) {
  EventStore store = open_postgres(schema_->url("busy_timeout=200ms"));
  PostgresConnection other = schema_->connect();
  other.run("BEGIN; UPDATE stock SET amount = amount + 10 WHERE item = 'first'");
  std::atomic<int> busy = 0;
  const auto projection = std::make_shared<Handled>([](auto&, ReadModelTransaction& transaction) { add(transaction); });
  ProjectionRunner runner(store, projection, strict([&](const Error& error) {
                            EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
                            ++busy;
                          }));
  const Position last = append_one(store);
  ASSERT_TRUE(comes_true([&] { return busy >= 3 || runner.error(); }));
  other.run("COMMIT");
  ASSERT_TRUE(runner.wait_for(last, patience));
  EXPECT_TRUE(driver().list_dead_letters({"handled", ""}, 10).empty());
  EXPECT_EQ(amount(), "11");
}

// Also where the handler threw an exception of its own behind it; but not a statement of its own that took too long.
TEST_F(PostgresReadSide, WhatTheServerGaveUpIsNoEventsFault) {
  const std::vector<std::string> states = {"40P01", "40001", "55P03", "53200", "57014"};
  std::atomic<std::size_t> next = 0;
  std::atomic<int> troubles = 0;
  const auto projection = std::make_shared<Handled>([&](auto&, ReadModelTransaction& transaction) {
    add(transaction);
    if (next >= states.size()) return;
    const std::string state = states[next++];
    try {
      sql(transaction) << "DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''" + state + "'', MESSAGE = ''given up''; END'";
    } catch (const soci::soci_error&) {
      std::throw_with_nested(std::runtime_error("the stock cannot be counted"));
    }
  });
  ProjectionRunner runner(*store_, projection, strict([&](const Error&) { ++troubles; }));
  ASSERT_TRUE(runner.wait_for(append_one(*store_), patience));  // Alone, it is tried once each time.
  ASSERT_TRUE(runner.wait_for(append_one(*store_), patience));
  EXPECT_EQ(driver().list_dead_letters({"handled", ""}, 10).size(), 1u);
  EXPECT_EQ(troubles, 5);
  EXPECT_EQ(amount(), "1");
}

/// Renews nothing while it is frozen.
class Freezing final : public driver::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  std::atomic<bool> frozen = false;
  bool renew_lease(const Lease& lease, milliseconds time) override {
    if (frozen) throw Error(ErrorCode::cannot_connect, "frozen");
    return ForwardingDriver::renew_lease(lease, time);
  }
};

// The process was stopped inside of its transaction: its connection is there, and so are its locks.
TEST_F(PostgresReadSide, AFrozenHoldersTransactionEndsAndTheHeirGoesOn) {
  EventStore inner = open_postgres(schema_->url());
  const auto freezing = std::make_shared<Freezing>(std::shared_ptr<driver::Driver>(&inner.driver(), [](auto*) {}));
  EventStore frozen_store(std::make_unique<driver::ForwardingDriver>(freezing));
  std::promise<void> thaw;
  std::atomic<bool> arrived = false;
  const auto sleeper =
      std::make_shared<Handled>([&, gate = thaw.get_future().share()](auto&, ReadModelTransaction& transaction) {
        add(transaction);
        if (arrived.exchange(true)) return;
        freezing->frozen = true;
        gate.wait();
      });
  ProjectionRunner frozen(frozen_store, sleeper, strict());
  const Position last = append_one(*store_);
  const bool is_frozen = comes_true([&] { return arrived.load(); });
  EventStore store = open_postgres(schema_->url("busy_timeout=200ms"));
  std::atomic<int> busy = 0;
  const auto projection = std::make_shared<Handled>([](auto&, ReadModelTransaction& transaction) { add(transaction); });
  {
    ProjectionRunner heir(store, projection, strict([&](const Error&) { ++busy; }));
    EXPECT_TRUE(is_frozen && heir.wait_for(last, std::chrono::seconds(30))) << "the frozen one keeps its row locked";
    EXPECT_GT(busy, 0) << "it was in the way";
    EXPECT_EQ(amount(), "1");
    freezing->frozen = false;
    thaw.set_value();
    EXPECT_TRUE(comes_true([&] { return frozen.parts().empty(); }));
    EXPECT_FALSE(frozen.error());
  }
  EXPECT_TRUE(driver().list_dead_letters({"handled", ""}, 10).empty());
  EXPECT_TRUE(frozen.wait_for(append_one(*store_), patience));
  EXPECT_EQ(amount(), "2");
}

TEST_F(PostgresReadSide, TheServerNoticesThatWeAreGone) {
  const auto transaction = driver().begin_read_model(milliseconds(7'000));
  const auto shown = [&](const std::string& setting) {
    std::string value;
    sql(*transaction) << "SHOW " + setting, soci::into(value);
    return value;
  };
  EXPECT_EQ(shown("idle_in_transaction_session_timeout"), "7s");
  if (shown("tcp_keepalives_idle") != "0") {  // It is for connections over TCP.
    EXPECT_EQ(shown("tcp_keepalives_idle"), "15");
    EXPECT_EQ(shown("tcp_keepalives_interval"), "5");
    EXPECT_EQ(shown("tcp_keepalives_count"), "3");
  }
}

// Losing the last moment of a read model at a crash loses its checkpoint, too. Events are not to be lost.
TEST_F(PostgresReadSide, ReadModelsDoNotWaitForTheDiskAndAppendsDo) {
  const auto synchronous = [](ReadModelTransaction& transaction) {
    std::string setting;
    sql(transaction) << "SHOW synchronous_commit", soci::into(setting);
    return setting;
  };
  EXPECT_EQ(synchronous(*driver().begin_read_model()), "off");
  {
    const auto transaction = driver().begin_read_model();
    EXPECT_FALSE(transaction->activate(part.projection, 0, 1));
    EXPECT_EQ(synchronous(*transaction), "off");
    EXPECT_TRUE(transaction->activate(part.projection, 1, 1));
    EXPECT_EQ(synchronous(*transaction), "on") << "what it replaces may be dropped as soon as it is committed";
  }
  {
    const auto transaction = driver().begin_read_model();
    transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
    EXPECT_EQ(synchronous(*transaction), "on") << "who was told of it does not handle the event again";
  }
  EXPECT_EQ(synchronous(*driver().begin_read_model()), "off") << "once more";
  std::string of_append;
  append_with_hook("a", [&](ReadModelTransaction& transaction, auto) { of_append = synchronous(transaction); });
  EXPECT_NE(of_append, "off");
}

// A standby that takes over has what was told: its own role may ask for more, or for less.
TEST_F(PostgresReadSide, WhatIsToldIsAsSafeAsAnAppend) {
  for (const std::string own : {"remote_apply", "remote_write", "on", "local", "off"}) {
    PostgresLogin login("SUPERUSER");
    schema_->connect().run("ALTER ROLE " + login.name() + " SET synchronous_commit = " + own);
    EventStore other = open_postgres(login.url(*schema_));
    const auto transaction = other.driver().begin_read_model();
    transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
    std::string setting;
    sql(*transaction) << "SHOW synchronous_commit", soci::into(setting);
    EXPECT_EQ(setting, own == "off" ? "on" : own);
  }
}

// A switch, or a reset, that somebody else is about to commit. What is written about what it removes is nobody's fault.
TEST_F(PostgresReadSide, WhatIsRemovedMeanwhileIsMissingAndNoError) {
  PostgresConnection other = schema_->connect();
  other.run("BEGIN; DELETE FROM projection_offsets");
  auto letter = std::async(std::launch::async, [&] {
    const auto transaction = driver().begin_read_model();
    transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
    transaction->commit();
  });
  wait_for_waiting(1);
  other.run("COMMIT");
  EXPECT_NO_THROW(letter.get());
  EXPECT_TRUE(driver().list_dead_letters(part.projection, 10).empty());
  other.run("BEGIN; DELETE FROM projections");
  auto member =
      std::async(std::launch::async, [&] { return driver().announce_member(part.projection, "a", long_time); });
  wait_for_waiting(1);
  other.run("COMMIT");
  EXPECT_EQ(member.get(), 0);
}

// A clock was wrong when it was given. It would hold for as long as that.
TEST_F(PostgresReadSide, ALeaseOfTheFarFutureHoldsNothing) {
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

TEST_F(PostgresReadSide, DeadLettersAreCountedOnlyWhenProjectionsAreListed) {
  const auto transaction = driver().begin_read_model();
  transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
  transaction->commit();
  EXPECT_EQ(driver().list_projections().at(0).dead_letters, 1);
  EXPECT_EQ(driver().find_projection(part.projection)->dead_letters, 0);
  EXPECT_EQ(driver().open_projection(part.projection, 1).dead_letters, 0);
}

// One that was made before kinds were kept.
TEST_F(PostgresReadSide, WhoOpensAnOldOneSaysWhatItIs) {
  using Kind = driver::ProjectionKind;
  schema_->connect().run("UPDATE projections SET kind = NULL");
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
