// Projections on a driver that can be counted, held up and broken. The conformance suite has what every backend does.
#include "stele/projection.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <set>
#include <stdexcept>

#include "controlled_driver.h"
#include "error_of.h"
#include "projection_shares.h"

namespace stele {
namespace {

using namespace std::chrono_literals;
using testing::comes_true;
using testing::patience;
using State = Subscription::State;
using Counts = std::map<std::int64_t, int>;

/// How often each position took effect.
class Effects final : public Projection {
 public:
  std::function<void(const RecordedEvent&)> before;  ///< May wait or throw.
  std::function<void()> creating;

  std::string name() const override { return "effects"; }
  void create(ProjectionContext&) override {
    if (creating) creating();
  }
  void apply(const RecordedEvent& event, ProjectionContext& context) override {
    if (before) before(event);
    context.transaction().on_commit([this, position = event.position.value()] {
      const std::lock_guard lock(mutex_);
      ++counts_[position];
    });
  }
  Counts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;
  Counts counts_;
};

class Projecting : public ::testing::Test {
 protected:
  EventStore make_store() { return EventStore(std::make_unique<testing::ControlledDriver>(shared, control)); }

  Position append(int count = 1, const std::string& type = "E", const std::string& id = "7") {
    std::vector<NewEvent> events;
    for (int i = 0; i < count; ++i) events.push_back(testing::event_of(type));
    return store.append(StreamKey("order", id), ExpectedVersion::any(), std::move(events)).or_throw().last_position();
  }

  /// Nothing is found by polling; pauses are short.
  ProjectionOptions fast() {
    ProjectionOptions options;
    options.poll_interval = 1h;
    options.lease = 1h;
    options.on_error = {.retries = 0, .first_pause = 1ms, .longest_pause = 2ms};
    options.trouble = [this](const Error& error) {
      const std::lock_guard lock(mutex);
      troubles.push_back(error);
    };
    return options;
  }

  static Counts once(std::int64_t last) {
    Counts numbers;
    for (std::int64_t i = 1; i <= last; ++i) numbers[i] = 1;
    return numbers;
  }

  Position checkpoint() { return store.driver().find_projection({"effects", ""})->checkpoints.at(0).position; }

  testing::Control control;
  const std::shared_ptr<driver::Driver> shared = testing::memory_driver();
  EventStore store = make_store();
  const std::shared_ptr<Effects> effects = std::make_shared<Effects>();
  std::mutex mutex;
  std::vector<Error> troubles;
};

Error lost_answer() {
  Error::Details details;
  details.retryable = true;
  details.outcome = Outcome::unknown;
  return Error(ErrorCode::io, "the answer was lost", details);
}

// --- Parts and shares

TEST(ProjectionPart, IsTheSameForAllTime) {
  // FNV-1a, 64 bits: of "default\x1Forder\x1F7" and so on, as computed by another program.
  const auto part = [](std::string tenant, std::string type, std::string id, std::int32_t parts) {
    StreamKey key(std::move(type), std::move(id));
    key.tenant = std::move(tenant);
    return projection_part(key, parts);
  };
  EXPECT_EQ(part("default", "order", "7", 64), 11);
  EXPECT_EQ(part("default", "order", "8", 64), 50);
  EXPECT_EQ(part("acme", "order", "7", 64), 6);
  EXPECT_EQ(part("default", "orde", "r7", 64), 25);
  EXPECT_EQ(part("default", "bestellung", "\xC3\xBC", 64), 62);
  EXPECT_EQ(part("default", "thing", "s0", 8), 1);
  EXPECT_EQ(part("default", "order", "7", 3), 0);
  EXPECT_EQ(part("default", "order", "7", 1), 0);
}

TEST(ProjectionPart, NeedsParts) {
  EXPECT_THROW(projection_part(StreamKey("order", "7"), 0), Error);
}

TEST(FairShare, OfFourPartsAndThreeMembers) {
  using Held = std::map<std::string, std::int32_t>;
  using detail::fair_share;
  EXPECT_EQ(fair_share({}, "a", 4, 1), 4);
  EXPECT_EQ(fair_share({}, "a", 4, 4), 1);
  EXPECT_EQ(fair_share({}, "a", 4, 3), 2) << "one of three may have two";
  EXPECT_EQ(fair_share(Held{{"b", 2}}, "a", 4, 3), 1) << "somebody has two already";
  EXPECT_EQ(fair_share(Held{{"a", 2}, {"b", 2}}, "a", 4, 3), 2) << "the first of two stays";
  EXPECT_EQ(fair_share(Held{{"a", 2}, {"b", 2}}, "b", 4, 3), 1) << "the second one gives up";
  EXPECT_EQ(fair_share(Held{{"a", 2}, {"b", 2}}, "c", 4, 3), 1) << "who has none gets one";
  EXPECT_EQ(fair_share(Held{{"a", 4}}, "a", 4, 3), 2);
  EXPECT_EQ(fair_share(Held{{"a", 1}}, "b", 1, 2), 0) << "more members than parts";
  EXPECT_EQ(fair_share({}, "b", 1, 2), 1);
}

// Whatever there was, they come to shares that differ by one at most, and stay there.
TEST(FairShare, MembersComeToIt) {
  for (std::int32_t parts = 1; parts <= 12; ++parts) {
    for (std::int32_t members = 1; members <= 5; ++members) {
      std::map<std::string, std::int32_t> held;
      std::int32_t free = 0;
      held["m0"] = parts;
      for (int round = 0; round < 50; ++round) {
        for (std::int32_t m = 0; m < members; ++m) {
          const std::string name = "m" + std::to_string(m);
          const std::int32_t share = detail::fair_share(held, name, parts, members);
          const std::int32_t wanted = std::min(share, held[name] + free);
          free += held[name] - wanted;
          held[name] = wanted;
          std::erase_if(held, [](const auto& entry) { return entry.second == 0; });
        }
      }
      EXPECT_EQ(free, 0) << parts << " parts, " << members << " members";
      for (const auto& [name, count] : held) {
        EXPECT_GE(count, parts / members);
        EXPECT_LE(count, (parts + members - 1) / members) << parts << " parts, " << members << " members";
      }
    }
  }
}

// --- Errors of the database

TEST_F(Projecting, AServerThatIsAwayIsWaitedFor) {
  append(10);
  control.fail("begin_read_model", 3);
  control.fail("read_log", 2);
  ProjectionRunner runner(store, effects, fast());
  ASSERT_TRUE(runner.wait_for(Position(10), patience));
  EXPECT_EQ(effects->counts(), once(10));
  EXPECT_GE(troubles.size(), 4u);
}

TEST_F(Projecting, ACommitWhoseAnswerWasLostIsLookedUp) {
  append(10);
  ProjectionOptions options = fast();
  options.batch = 5;
  std::atomic<int> commits = 0;
  // Of the first batch; the transaction before makes the tables.
  control.at("committed", [&](int call) {
    ++commits;
    if (call == 2) throw lost_answer();
  });
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(runner.wait_for(Position(10), patience));
  EXPECT_EQ(effects->counts(), once(10)) << "it was committed: nothing of it comes again";
  EXPECT_EQ(commits, 3);
}

TEST_F(Projecting, ACommitThatDidNotArriveIsMadeAgain) {
  append(10);
  control.at("commit", [](int call) {
    if (call == 2) throw lost_answer();
  });
  ProjectionRunner runner(store, effects, fast());
  ASSERT_TRUE(runner.wait_for(Position(10), patience));
  EXPECT_EQ(effects->counts(), once(10));
}

// A crash of the server takes back the last commits, the effects with the checkpoint. (The effects of this test stay:
// so it can be seen that they are made again.)
TEST_F(Projecting, WhatWasTakenBackIsAppliedAgain) {
  append(5);
  ProjectionOptions options = fast();
  for (const bool idle : {false, true}) {
    ProjectionRunner runner(store, effects, options);
    ASSERT_TRUE(runner.wait_for(Position(5), patience));
    ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
    const driver::PartState part = store.driver().find_projection({"effects", ""})->checkpoints.at(0);
    const auto taking_back = shared->begin_read_model();
    ASSERT_TRUE(taking_back->move_checkpoint({part.key, part.holder, part.fence, part.position}, Position(2)));
    taking_back->commit();
    if (!idle) append(3);
    EXPECT_TRUE(comes_true([&] { return checkpoint() == Position(8); }));
    runner.stop();
    const int times = idle ? 2 : 1;
    EXPECT_EQ(
        effects->counts(),
        (Counts{{1, 1}, {2, 1}, {3, times + 1}, {4, times + 1}, {5, times + 1}, {6, times}, {7, times}, {8, times}}));
  }
}

// What an earlier event made is missing then: that is not the fault of the one that needs it.
TEST_F(Projecting, AHandlerIsNotBlamedForWhatWasTakenBack) {
  append(5);
  std::atomic<bool> gap = false;
  effects->before = [&](const RecordedEvent& event) {
    if (event.position == Position(3)) gap = false;
    if (gap) throw std::runtime_error("there is no such row");
  };
  ProjectionRunner runner(store, effects, fast());  // No retries: it would end.
  ASSERT_TRUE(runner.wait_for(Position(5), patience));
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  const driver::PartState part = store.driver().find_projection({"effects", ""})->checkpoints.at(0);
  const auto taking_back = shared->begin_read_model();
  ASSERT_TRUE(taking_back->move_checkpoint({part.key, part.holder, part.fence, part.position}, Position(2)));
  gap = true;
  taking_back->commit();
  append(3);
  EXPECT_TRUE(comes_true([&] { return checkpoint() == Position(8) || runner.error(); }));
  EXPECT_FALSE(runner.error());
  EXPECT_EQ(checkpoint(), Position(8));
}

/// Transactions whose connection breaks when it is said.
class Breaking final : public testing::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  std::atomic<bool> broken = false;

  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    broken = false;
    return std::make_unique<Transaction>(ForwardingDriver::begin_read_model(idle_limit), broken);
  }

 private:
  class Transaction final : public testing::ForwardingTransaction {
   public:
    Transaction(std::unique_ptr<driver::ReadModelTransaction> inner, const std::atomic<bool>& broken)
        : ForwardingTransaction(std::move(inner)), broken_(broken) {}
    bool activate(const driver::ProjectionKey& key, std::int32_t from, std::int32_t to) override {
      if (broken_) throw testing::unreachable();
      return ForwardingTransaction::activate(key, from, to);
    }

   private:
    const std::atomic<bool>& broken_;
  };
};

TEST_F(Projecting, AHandlerIsNotBlamedForABrokenConnection) {
  append(3);
  const auto driver = std::make_shared<Breaking>(shared);
  EventStore breaking(std::make_unique<testing::ForwardingDriver>(driver));
  std::atomic<int> tries = 0;
  effects->before = [&](const RecordedEvent& event) {
    if (event.version != Version(2) || tries++ > 0) return;
    driver->broken = true;
    throw std::runtime_error("the connection broke");
  };
  ProjectionRunner runner(breaking, effects, fast());  // No retries: it would end.
  ASSERT_TRUE(runner.wait_for(Position(3), patience));
  EXPECT_EQ(effects->counts(), once(3));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_EQ(troubles[0].code(), ErrorCode::cannot_connect);
}

/// Transactions whose database tells what a handler was told: what it threw, by its name.
class Telling final : public testing::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    return std::make_unique<Transaction>(ForwardingDriver::begin_read_model(idle_limit));
  }

 private:
  class Transaction final : public testing::ForwardingTransaction {
   public:
    using ForwardingTransaction::ForwardingTransaction;
    std::optional<Error> database_error(const std::exception_ptr& thrown) override {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::runtime_error& error) {
        if (error.what() == std::string("deadlock")) return Error(ErrorCode::busy, "given up");
        if (error.what() == std::string("constraint")) return Error(ErrorCode::rejected_by_database, "refused");
      }
      return std::nullopt;
    }
  };
};

TEST_F(Projecting, AHandlerIsNotBlamedForWhatWasInItsWay) {
  append(3);
  EventStore telling(std::make_unique<Telling>(shared));
  std::atomic<int> tries = 0;
  effects->before = [&](const RecordedEvent& event) {
    if (event.version == Version(2) && tries++ < 3) throw std::runtime_error("deadlock");
    if (event.version == Version(3)) throw std::runtime_error("constraint");
  };
  ProjectionOptions options = fast();  // No retries.
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  ProjectionRunner runner(telling, effects, options);
  ASSERT_TRUE(runner.wait_for(Position(3), patience));
  runner.stop();
  EXPECT_EQ(effects->counts(), once(2));
  const std::vector<driver::DeadLetter> letters = store.driver().list_dead_letters({"effects", ""}, 10);
  ASSERT_EQ(letters.size(), 1u) << "what the handler itself did wrong";
  EXPECT_EQ(letters[0].position, Position(3));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(troubles.size(), 4u);
  EXPECT_EQ(troubles[0].code(), ErrorCode::busy);
  EXPECT_EQ(troubles[3].code(), ErrorCode::handler_failed);
}

TEST_F(Projecting, ACommitThatIsRefusedIsTheEventsFault) {
  append(3);
  control.at("commit", [](int call) {
    // The tables, the batch, the first one alone; then the second one is refused.
    if (call == 2 || call == 4) throw Error(ErrorCode::rejected_by_database, "a constraint");
  });
  ProjectionRunner runner(store, effects, fast());
  EXPECT_EQ(testing::error_of([&] { runner.join(); }).code(), ErrorCode::rejected_by_database);
  EXPECT_EQ(effects->counts(), once(1));
  EXPECT_EQ(checkpoint(), Position(1));
}

TEST_F(Projecting, WhatCreateThrowsEndsIt) {
  append(3);
  effects->creating = [] { throw std::runtime_error("no room"); };
  ProjectionRunner runner(store, effects, fast());
  EXPECT_EQ(testing::error_of([&] { runner.join(); }).code(), ErrorCode::handler_failed);
  EXPECT_EQ(runner.state(), State::failed);
  EXPECT_EQ(effects->counts(), Counts());
  effects->creating = {};
  ProjectionRunner next(store, effects, fast());
  EXPECT_TRUE(next.wait_for(Position(3), patience)) << "the one that failed, and is still there, gave its lease back";
}

TEST_F(Projecting, PauseWaitsForWhatMakesTheTables) {
  append(3);
  std::promise<void> begun;
  std::promise<void> go_on;
  std::atomic<bool> over = false;
  effects->creating = [&] {
    begun.set_value();
    go_on.get_future().wait();
    over = true;
  };
  ProjectionRunner runner(store, effects, fast());
  begun.get_future().wait();
  auto pausing = std::async(std::launch::async, [&] {
    runner.pause();
    EXPECT_TRUE(over) << "its transaction is under way";
  });
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::paused; }));
  std::this_thread::sleep_for(20ms);
  go_on.set_value();
  pausing.get();
  EXPECT_EQ(effects->counts(), Counts());
  runner.resume();
  EXPECT_TRUE(runner.wait_for(Position(3), patience));
}

TEST_F(Projecting, ALeaseOfTheFarFutureHoldsNothing) {
  append(3);
  shared->open_projection({"effects", ""}, 1);
  ASSERT_TRUE(shared->acquire_lease({{"effects", ""}, 1, 0}, "dead", std::chrono::hours(24 * 365)));
  ProjectionRunner runner(store, effects, fast());
  EXPECT_TRUE(runner.wait_for(Position(3), patience));
  EXPECT_FALSE(shared->acquire_lease({{"effects", ""}, 1, 0}, "other", 1h));
  shared->announce_member({"effects", ""}, "ghost", std::chrono::hours(24 * 365));
  EXPECT_EQ(shared->announce_member({"effects", ""}, "b", 1h), 1);
}

// A pause between two tries may be long. Who finds that the checkpoint was taken back meanwhile does not sit it out.
TEST_F(Projecting, ALongPauseEndsWhenTheCheckpointWasTakenBack) {
  append(3);
  ProjectionOptions options = fast();
  options.on_error = {.retries = 1, .first_pause = 1h, .longest_pause = 1h};
  std::atomic<bool> gap = false;
  effects->before = [&](const RecordedEvent& event) {
    if (event.position == Position(2)) gap = false;
    if (event.position == Position(4) && gap) throw std::runtime_error("there is no such row");
  };
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(runner.wait_for(Position(3), patience));
  gap = true;
  append();
  ASSERT_TRUE(comes_true([&] {
    const std::lock_guard lock(mutex);
    return !troubles.empty();
  }));
  const driver::PartState part = store.driver().find_projection({"effects", ""})->checkpoints.at(0);
  const auto taking_back = shared->begin_read_model();
  ASSERT_TRUE(taking_back->move_checkpoint({part.key, part.holder, part.fence, part.position}, Position(1)));
  taking_back->commit();
  EXPECT_TRUE(runner.wait_for(Position(4), patience));
  EXPECT_EQ(effects->counts(), (Counts{{1, 1}, {2, 2}, {3, 2}, {4, 1}}));
}

// Also one that has just seen parts that nobody has, and is about to count the members again.
TEST_F(Projecting, WhoStopsIsNoMemberAnyMore) {
  append(3);
  ProjectionOptions options = fast();
  options.parts = 4;
  shared->open_projection({"effects", ""}, 4);
  ASSERT_EQ(shared->announce_member({"effects", ""}, "away", 1h), 1);
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(comes_true([&] { return runner.parts().size() == 2; })) << "the rest is for the other one";
  EXPECT_EQ(shared->announce_member({"effects", ""}, "b", 1h), 3);
  runner.stop();
  EXPECT_EQ(shared->announce_member({"effects", ""}, "b", 1h), 2);
}

// Each part may have to wait for a database that does not answer. They do so at the same time.
TEST_F(Projecting, PartsEndSideBySide) {
  append(3);
  ProjectionOptions options = fast();
  options.parts = 8;
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(runner.wait_for(Position(3), patience));
  ASSERT_TRUE(comes_true([&] { return runner.parts().size() == 8; }));
  const int before = control.count("release_lease");
  std::atomic<int> met = 0;
  control.at("release_lease", [&](int) { met += control.wait_for_count("release_lease", before + 8) ? 1 : 0; });
  runner.stop();
  EXPECT_EQ(met, 8);
}

TEST_F(Projecting, OneThatIsStoppedBeforeItHasItsTablesGivesItsLeaseBack) {
  append(3);
  control.fail("begin_read_model", 1'000'000);
  ProjectionRunner runner(store, effects, fast());
  ASSERT_TRUE(control.wait_for_count("begin_read_model", 2));
  runner.stop();
  EXPECT_FALSE(store.driver().find_projection({"effects", ""})->checkpoints.at(0).leased);
}

TEST_F(Projecting, AnEventThatCannotBeUpcastIsTreatedLikeOneThatCannotBeApplied) {
  const auto upcasters = std::make_shared<Upcasters>();
  upcasters->add({"bad", 1}, {{"good", 1}},
                 [](const RecordedEvent&) -> std::vector<RecordedEvent> { throw std::runtime_error("what is this"); });
  store.use_upcasters(upcasters);
  append(2);
  append(1, "bad");
  append(2);
  ProjectionOptions options = fast();
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(runner.wait_for(Position(5), patience));
  runner.stop();
  EXPECT_EQ(effects->counts(), (Counts{{1, 1}, {2, 1}, {4, 1}, {5, 1}}));
  const auto letters = store.driver().list_dead_letters({"effects", ""}, 10);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].position, Position(3));
  EXPECT_EQ(checkpoint(), Position(5));
}

// --- Transactions

TEST_F(Projecting, ATransactionIsOverBeforeItGetsLong) {
  append(5);
  effects->before = [](const RecordedEvent&) { std::this_thread::sleep_for(30ms); };
  Effects& projection = *effects;
  run_projection(store, projection, fast());
  EXPECT_EQ(effects->counts(), once(5));
  EXPECT_EQ(control.count("committed"), 1 + 5) << "tables, and each event that takes too long";
}

TEST_F(Projecting, ABatchHasSoManyEventsAtMost) {
  append(10);
  ProjectionOptions options = fast();
  options.batch = 4;
  run_projection(store, *effects, options);
  EXPECT_EQ(control.count("committed"), 1 + 3);
}

TEST_F(Projecting, NothingIsWrittenWhenNothingHappens) {
  append(5);
  ProjectionOptions options = fast();
  options.poll_interval = 1ms;
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(runner.wait_for(Position(5), patience));
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  const int before = control.count("begin_read_model");
  const int reads = control.count("read_log");
  ASSERT_TRUE(control.wait_for_count("read_log", reads + 20));
  EXPECT_EQ(control.count("begin_read_model"), before);
}

TEST_F(Projecting, AnAppendWakesItAtOnce) {
  ProjectionRunner runner(store, effects, fast());
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  ASSERT_TRUE(runner.wait_for(append(), patience));  // The poll is an hour away.
}

TEST_F(Projecting, RunningOnceComesToAnEndWithoutEvents) {
  EXPECT_EQ(run_projection(store, *effects, fast()), Position(0));
  EXPECT_EQ(control.count("committed"), 1) << "its tables";
  append(3, "other");
  ProjectionOptions options = fast();
  options.tenant = "nobody";
  EXPECT_EQ(run_projection(store, *effects, options), Position(3));
}

TEST_F(Projecting, WhatEndsARunIsThrown) {
  append(3);
  effects->before = [](const RecordedEvent&) { throw std::runtime_error("no"); };
  EXPECT_EQ(testing::error_of([&] { run_projection(store, *effects, fast()); }).code(), ErrorCode::handler_failed);
  EXPECT_FALSE(store.driver().find_projection({"effects", ""})->checkpoints.at(0).leased);
}

TEST_F(Projecting, TheSwitchWhoseAnswerWasLostIsLookedUp) {
  append(10);
  run_projection(store, *effects, fast());
  // The tables, everything, the switch.
  control.at("committed", [](int call) {
    if (call == 3) throw lost_answer();
  });
  EXPECT_EQ(rebuild_projection(store, *effects, fast()), 2);
  EXPECT_EQ(store.driver().find_projection({"effects", ""})->active_generation, 2);
}

TEST_F(Projecting, TheSwitchThatDidNotArriveIsMadeAgain) {
  append(10);
  run_projection(store, *effects, fast());
  control.at("commit", [](int call) {
    if (call == 3) throw lost_answer();
  });
  EXPECT_EQ(rebuild_projection(store, *effects, fast()), 2);
  const driver::ProjectionState state = *store.driver().find_projection({"effects", ""});
  EXPECT_EQ(state.active_generation, 2);
  EXPECT_EQ(state.checkpoints.size(), 1u);
}

/// Does not say where the projections are while a transaction is open, because of this error; only so many times.
class SilentInside final : public testing::ForwardingDriver {
 public:
  SilentInside(std::shared_ptr<driver::Driver> inner, ErrorCode code, int times)
      : ForwardingDriver(std::move(inner)), code_(code), times_(times) {}
  std::function<void(int)> beginning;   ///< Called with the number of the transaction.
  std::function<void()> asked_outside;  ///< Called when it is asked where they are while no transaction is open.
  int acquired = 0;                     ///< Leases.

  std::optional<driver::ProjectionState> find_projection(const driver::ProjectionKey& key) override {
    if (inside_ && times_ > 0) {
      --times_;
      throw Error(code_, "not now");
    }
    if (!inside_ && asked_outside) asked_outside();
    return ForwardingDriver::find_projection(key);
  }
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time) override {
    ++acquired;
    return ForwardingDriver::acquire_lease(key, holder, time);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    if (beginning) beginning(++transactions_);
    return std::make_unique<Transaction>(ForwardingDriver::begin_read_model(idle_limit), inside_);
  }

 private:
  class Transaction final : public testing::ForwardingTransaction {
   public:
    Transaction(std::unique_ptr<driver::ReadModelTransaction> inner, bool& inside)
        : ForwardingTransaction(std::move(inner)), inside_(inside) {
      inside_ = true;
    }
    ~Transaction() override { inside_ = false; }

   private:
    bool& inside_;
  };

  const ErrorCode code_;
  int times_;
  int transactions_ = 0;
  bool inside_ = false;
};

// The active generation moves on in the last moment before the switch. What its readers saw, the new one has.
TEST_F(Projecting, ASwitchNeverGoesBackWhateverTheDatabaseAnswers) {
  append(10);
  run_projection(store, *effects, fast());
  for (const ErrorCode code : {ErrorCode::busy, ErrorCode::cannot_connect, ErrorCode::invalid_argument}) {
    // Who has one session for everything never answers.
    const auto driver = std::make_shared<SilentInside>(shared, code, code == ErrorCode::invalid_argument ? 1'000 : 1);
    driver->beginning = [&](int transaction) {
      if (transaction != 3) return;  // The tables, everything, the switch.
      append();
      run_projection(store, *effects, fast());
    };
    EventStore rebuilding(std::make_unique<testing::ForwardingDriver>(driver));
    Effects rebuilt;
    rebuild_projection(rebuilding, rebuilt, fast());
    EXPECT_EQ(checkpoint(), store.log_end()) << to_string(code);
    EXPECT_EQ(rebuilt.counts(), once(store.log_end().value())) << to_string(code);
  }
}

TEST_F(Projecting, ARebuildEndsWhileAppendsGoOn) {
  append(10);
  run_projection(store, *effects, fast());
  int appends = 0;
  const auto driver = std::make_shared<SilentInside>(shared, ErrorCode::busy, 0);
  driver->asked_outside = [&] {
    if (++appends > 50) return;  // Else one that does not end would not end here, either.
    append();
    run_projection(store, *effects, fast());
  };
  EventStore rebuilding(std::make_unique<testing::ForwardingDriver>(driver));
  Effects rebuilt;
  EXPECT_EQ(rebuild_projection(rebuilding, rebuilt, fast()), 2);
  EXPECT_LT(appends, 10);
  EXPECT_LE(driver->acquired, 3) << "its leases stay its own";
  EXPECT_EQ(checkpoint(), store.log_end());
  EXPECT_EQ(rebuilt.counts(), once(store.log_end().value()));
}

// Before it has its lease, another finds what looks like the rest of a dead rebuild, removes it, and makes a generation
// of the same number the active one.
TEST_F(Projecting, WhoseGenerationAnotherSwitchedToHasNotSwitched) {
  append(10);
  run_projection(store, *effects, fast());
  EventStore other(std::make_unique<testing::ForwardingDriver>(shared));
  Effects rebuilt;
  control.at("acquire_lease", [&](int call) {
    if (call != 1) return;
    EXPECT_EQ(rebuild_projection(other, rebuilt, fast()), 2);
  });
  EXPECT_EQ(testing::error_of([&] { rebuild_projection(store, *effects, fast()); }).code(), ErrorCode::busy);
  EXPECT_EQ(effects->counts(), once(10));
  EXPECT_EQ(rebuilt.counts(), once(10));
  const driver::ProjectionState state = *store.driver().find_projection({"effects", ""});
  EXPECT_EQ(state.active_generation, 2);
  EXPECT_EQ(state.checkpoints.size(), 1u);
}

// A crash of the server may take the tables back that a rebuild has just made.
TEST_F(Projecting, ARebuildThatBeginsAgainMakesItsTablesAgain) {
  append(10);
  run_projection(store, *effects, fast());
  int made = 0;
  effects->creating = [&] { ++made; };
  control.at("commit", [](int call) {
    if (call == 2) throw lost_answer();  // The tables, everything.
  });
  EXPECT_EQ(rebuild_projection(store, *effects, fast()), 2);
  EXPECT_EQ(made, 2);
}

// --- Arguments

TEST_F(Projecting, RefusesWhatMakesNoSense) {
  const auto refused = [&](auto change) {
    ProjectionOptions options = fast();
    change(options);
    return testing::error_of([&] { ProjectionRunner(store, effects, options); }).code() == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused([](auto& options) { options.parts = 0; }));
  EXPECT_TRUE(refused([](auto& options) { options.parts = 65; }));
  EXPECT_TRUE(refused([](auto& options) { options.lease = 999ms; }));
  EXPECT_TRUE(refused([](auto& options) { options.lease = 1h + 1ms; }));
  EXPECT_TRUE(refused([](auto& options) { options.batch = 0; }));
  EXPECT_TRUE(refused([](auto& options) { options.batch = 10'001; }));
  EXPECT_TRUE(refused([](auto& options) { options.poll_interval = 0ms; }));
  EXPECT_TRUE(refused([](auto& options) { options.on_error.retries = -1; }));
  EXPECT_TRUE(refused([](auto& options) { options.tenant = std::string(65, 'x'); }));
  EXPECT_TRUE(refused([](auto& options) { options.member = std::string(97, 'x'); }));
  EXPECT_TRUE(refused([](auto& options) { options.member = "\xFF"; }));
  EXPECT_EQ(testing::error_of([&] { ProjectionRunner(store, nullptr); }).code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(store.driver().list_projections().empty());
}

TEST_F(Projecting, MembersAreToldApart) {
  ProjectionOptions options = fast();
  options.member = "worker-1";
  ProjectionRunner runner(store, effects, options);
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  const std::string holder = store.driver().find_projection({"effects", ""})->checkpoints.at(0).holder;
  EXPECT_TRUE(holder.starts_with("worker-1:")) << holder;
}

// --- Inline

/// A backend that can do nothing of this.
class Plain final : public testing::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override {
    return Driver::append_with_hook(append, hook);
  }
};

TEST(InlineProjection, NeedsABackendThatCan) {
  EventStore store(std::make_unique<Plain>(testing::memory_driver()));
  const auto effects = std::make_shared<Effects>();
  EXPECT_EQ(testing::error_of([&] { store.use_inline_projection(effects); }).code(), ErrorCode::unsupported);
  store.append(StreamKey("order", "7"), ExpectedVersion::any(), {testing::event_of("E")}).or_throw();
  EXPECT_EQ(effects->counts(), Counts());
  EXPECT_EQ(testing::error_of([&] { store.use_inline_projection(nullptr); }).code(), ErrorCode::invalid_argument);
}

/// The answer of an append is lost, behind its commit or before it.
class LosesAnswers final : public testing::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  int committed = 0;  ///< So many answers are lost behind the commit …
  int not_sent = 0;   ///< … and before it.
  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override {
    if (not_sent > 0 && not_sent-- > 0) throw lost_answer();
    driver::AppendAnswer answer = ForwardingDriver::append_with_hook(append, hook);
    if (committed > 0 && committed-- > 0) throw lost_answer();
    return answer;
  }
};

TEST(InlineProjection, RunsOnceWhenAnAnswerIsLost) {
  const auto driver = std::make_shared<LosesAnswers>(testing::memory_driver());
  EventStore store(std::make_unique<testing::ForwardingDriver>(driver));
  const auto effects = std::make_shared<Effects>();
  store.use_inline_projection(effects);
  driver->committed = 1;
  EXPECT_EQ(store.append(StreamKey("order", "7"), ExpectedVersion::any(), {testing::event_of("E")}).status,
            AppendStatus::appended);
  driver->not_sent = 1;
  EXPECT_EQ(store.append(StreamKey("order", "7"), ExpectedVersion::any(), {testing::event_of("E")}).status,
            AppendStatus::appended);
  EXPECT_EQ(effects->counts(), (Counts{{1, 1}, {2, 1}}));
  std::vector<AppendRequest> several(3);
  for (AppendRequest& request : several) {
    request.streams.push_back({StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("E")}});
  }
  driver->committed = 2;
  for (const AppendResult& result : store.append_all(several)) EXPECT_EQ(result.status, AppendStatus::appended);
  EXPECT_EQ(effects->counts(), (Counts{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}}));
}

TEST_F(Projecting, WhatWasAppendedBeforeAnInlineFailureWakesThoseWhoFollow) {
  class Refusing final : public Projection {
   public:
    std::string name() const override { return "refusing"; }
    void apply(const RecordedEvent& event, ProjectionContext&) override {
      if (event.type == "Bad") throw std::runtime_error("no");
    }
  };
  store.use_inline_projection(std::make_shared<Refusing>());
  ProjectionRunner runner(store, effects, fast());
  ASSERT_TRUE(runner.wait_for(append(), patience));
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  ASSERT_TRUE(control.wait_for_count("listening", 1));  // Who begins to listen wakes it once.
  std::vector<AppendRequest> several(3);
  for (AppendRequest& request : several) {
    request.streams.push_back({StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("E")}});
  }
  several.back().streams.front().events = {testing::event_of("Bad")};
  EXPECT_THROW(store.append_all(several), std::runtime_error);
  EXPECT_TRUE(runner.wait_for(Position(3), 5s)) << "nothing told it of the two that are there";
  EXPECT_EQ(effects->counts(), once(3));
}

/// Refuses appends to some streams; loses the answer of another one.
class RefusesSome final : public testing::ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;
  std::set<std::string> refused{};
  std::string lost{};

  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override {
    const std::string id = append.streams.empty() ? "" : append.streams.front().key->id;
    if (refused.count(id) > 0) {
      Error::Details busy;
      busy.retryable = true;
      throw Error(ErrorCode::busy, "held by somebody", busy);
    }
    driver::AppendAnswer answer = ForwardingDriver::append_with_hook(append, hook);
    if (id != lost || lost.empty()) return answer;
    lost.clear();
    throw lost_answer();
  }
};

// One of several fails: the others are appended nevertheless, and the error does not say that nothing was.
TEST(InlineProjection, OneOfSeveralThatFailsLeavesTheOthersAlone) {
  const auto driver = std::make_shared<RefusesSome>(testing::memory_driver());
  EventStore store(std::make_unique<testing::ForwardingDriver>(driver));
  const auto effects = std::make_shared<Effects>();
  store.use_inline_projection(effects);
  std::vector<AppendRequest> several(3);
  for (std::size_t i = 0; i < several.size(); ++i) {
    const std::string id(1, static_cast<char>('a' + i));
    several[i].streams.push_back({StreamKey("order", id), ExpectedVersion::any(), {testing::event_of("E")}});
  }
  const auto versions = [&] {
    std::string all;
    for (const char* id : {"a", "b", "c"}) all += std::to_string(store.stream_version(StreamKey("order", id)).value());
    return all;
  };
  driver->refused = {"b"};
  driver->lost = "a";  // To be looked up all the same.
  const Error some = testing::error_of([&] { store.append_all(several); });
  EXPECT_EQ(some.code(), ErrorCode::busy);
  EXPECT_EQ(some.outcome(), Outcome::unknown);
  EXPECT_FALSE(some.retryable()) << "two are there already";
  EXPECT_EQ(versions(), "101");
  EXPECT_EQ(effects->counts(), (Counts{{1, 1}, {2, 1}}));

  driver->refused = {"a", "b", "c"};
  const Error none = testing::error_of([&] { store.append_all(several); });
  EXPECT_EQ(none.outcome(), Outcome::not_applied);
  EXPECT_TRUE(none.retryable());
  const Error one = testing::error_of([&] { store.append(several[0]); });
  EXPECT_EQ(one.outcome(), Outcome::not_applied);
  EXPECT_TRUE(one.retryable());
  EXPECT_EQ(versions(), "101");
}

}  // namespace
}  // namespace stele
