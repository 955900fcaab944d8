// Subscriptions on a driver that can be counted, held up and broken. The conformance suite has what every backend does.
#include "stele/subscription.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <stdexcept>

#include "controlled_driver.h"
#include "error_of.h"

namespace stele {
namespace {

using namespace std::chrono_literals;
using testing::comes_true;
using testing::patience;
using State = Subscription::State;
using SeenPositions = std::vector<std::int64_t>;

/// What a handler was given, by position. Thread-safe.
class Seen {
 public:
  void add(const RecordedEvent& event) {
    const std::lock_guard lock(mutex_);
    positions_.push_back(event.position.value());
  }
  SeenPositions positions() const {
    const std::lock_guard lock(mutex_);
    return positions_;
  }

 private:
  mutable std::mutex mutex_;
  SeenPositions positions_;
};

class Subscribing : public ::testing::Test {
 protected:
  EventStore make_store() { return EventStore(std::make_unique<testing::ControlledDriver>(shared, control)); }

  Position append(int count = 1, const std::string& type = "E") {
    std::vector<NewEvent> events;
    for (int i = 0; i < count; ++i) events.push_back(testing::event_of(type));
    return store.append(StreamKey("order", "7"), ExpectedVersion::any(), std::move(events)).or_throw().last_position();
  }

  SubscriptionOptions named(std::string name = "mailer") {
    SubscriptionOptions options = fast();
    options.name = std::move(name);
    return options;
  }

  /// Nothing is found by polling; pauses are short.
  SubscriptionOptions fast() {
    SubscriptionOptions options;
    options.poll_interval = 1h;
    options.on_error = {.retries = 2, .first_pause = 1ms, .longest_pause = 2ms};
    options.trouble = [this](const Error& error) {
      const std::lock_guard lock(mutex);
      troubles.push_back(error);
    };
    return options;
  }

  std::function<void(const RecordedEvent&)> see() {
    return [this](const RecordedEvent& event) { seen.add(event); };
  }

  std::vector<std::string> trouble_names() {
    const std::lock_guard lock(mutex);
    std::vector<std::string> names;
    for (const Error& error : troubles) names.emplace_back(to_string(error.code()));
    return names;
  }

  Position saved(const std::string& name = "mailer") {
    return store.driver().find_projection({name, ""})->checkpoints.at(0).position;
  }

  static SeenPositions range(std::int64_t first, std::int64_t last) {
    SeenPositions numbers;
    for (std::int64_t i = first; i <= last; ++i) numbers.push_back(i);
    return numbers;
  }

  testing::Control control;
  const std::shared_ptr<driver::Driver> shared = testing::memory_driver();
  EventStore store = make_store();
  Seen seen;
  std::mutex mutex;
  std::vector<Error> troubles;
};

// --- From where, and on

TEST_F(Subscribing, FromTheBeginningAndLiveAfterwards) {
  append(1000);
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(subscription.wait_for(Position(1000), patience));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(subscription.wait_for(append(), patience)) << i;
  EXPECT_EQ(seen.positions(), range(1, 1020));
  EXPECT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
}

TEST_F(Subscribing, AfterAPosition) {
  append(10);
  SubscriptionOptions options = fast();
  options.start = Start::after(Position(7));
  Subscription subscription(store, options, see());
  ASSERT_TRUE(subscription.wait_for(Position(10), patience));
  EXPECT_EQ(seen.positions(), range(8, 10));
}

TEST_F(Subscribing, FromNowIsDecidedWhenItIsMade) {
  append(10);
  // Its thread gets to the log only after the next append.
  std::promise<void> appended;
  control.at("read_log", [done = appended.get_future().share()](int) { done.wait(); });
  SubscriptionOptions options = fast();
  options.start = Start::now();
  Subscription subscription(store, options, see());
  append(5);
  appended.set_value();
  ASSERT_TRUE(subscription.wait_for(Position(15), patience));
  EXPECT_EQ(seen.positions(), range(11, 15));
}

TEST_F(Subscribing, AnAppendWakesItAtOnce) {
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  ASSERT_TRUE(subscription.wait_for(append(), patience));  // The poll is an hour away.
}

TEST_F(Subscribing, AnAppendOfAnotherStoreIsHeardOfByTheListener) {
  EventStore other = make_store();
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  other.append(StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("E")});
  control.tell_listeners();
  ASSERT_TRUE(subscription.wait_for(Position(1), patience));
}

TEST_F(Subscribing, AnAppendBeforeAnybodyListensIsFound) {
  EventStore other = make_store();
  std::promise<void> appended;
  control.at("listen", [done = appended.get_future().share()](int) { done.wait(); });
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  other.append(StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("E")});
  appended.set_value();
  ASSERT_TRUE(subscription.wait_for(Position(1), patience));  // The poll is an hour away.
}

TEST_F(Subscribing, WhatNobodyTellsOfIsFoundByPolling) {
  EventStore other = make_store();
  SubscriptionOptions options = fast();
  options.poll_interval = 5ms;
  Subscription subscription(store, options, see());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  other.append(StreamKey("order", "8"), ExpectedVersion::any(), {testing::event_of("E")});
  ASSERT_TRUE(subscription.wait_for(Position(1), patience));
}

TEST_F(Subscribing, AnAppendBetweenTheReadAndTheSleepIsNotSleptOver) {
  // It has read an empty page, and does not wait yet, when the append comes.
  SubscriptionOptions options = fast();
  options.caught_up = [&](Position position) {
    if (position == Position(0)) append();
  };
  Subscription subscription(store, options, see());
  EXPECT_TRUE(subscription.wait_for(Position(1), patience));
}

TEST_F(Subscribing, IdleItReadsNothing) {
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(subscription.wait_for(append(), patience));
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  const int listening = control.count("listening");
  ASSERT_TRUE(control.wait_for_count("listening", listening + 4));  // Some time goes by.
  const int reads = control.count("read_log");
  ASSERT_TRUE(control.wait_for_count("listening", listening + 8));
  EXPECT_EQ(control.count("read_log"), reads);
}

TEST_F(Subscribing, ReadsOnePageAhead) {
  append(2000);
  std::promise<void> go_on;
  Subscription subscription(store, fast(), [&, gate = go_on.get_future().share()](const RecordedEvent& event) {
    gate.wait();
    seen.add(event);
  });
  ASSERT_TRUE(control.wait_for_count("read_log", 1));
  append(10);
  EXPECT_EQ(control.count("read_log"), 1);
  go_on.set_value();
  ASSERT_TRUE(subscription.wait_for(Position(2010), patience));
  EXPECT_EQ(seen.positions(), range(1, 2010));
}

TEST_F(Subscribing, FilteredItMovesOnAllTheSame) {
  append(700, "Other");
  SubscriptionOptions options = fast();
  options.filter.event_types = {"Wanted"};
  Subscription subscription(store, options, see());
  ASSERT_TRUE(subscription.wait_for(Position(700), patience));
  append(1, "Wanted");
  ASSERT_TRUE(subscription.wait_for(append(1, "Other"), patience));
  EXPECT_EQ(seen.positions(), SeenPositions{701});
}

TEST_F(Subscribing, TellsWhenItHasCaughtUpAndWhenItFellBehind) {
  append(3);
  std::mutex told_mutex;
  std::vector<std::string> told;
  const auto tell = [&](std::string what) {
    return [&, what = std::move(what)](Position position) {
      const std::lock_guard lock(told_mutex);
      told.push_back(what + std::to_string(position.value()));
    };
  };
  SubscriptionOptions options = fast();
  options.caught_up = tell("up ");
  options.fell_behind = tell("behind ");
  Subscription subscription(store, options, see());
  ASSERT_TRUE(subscription.wait_for(Position(3), patience));
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  ASSERT_TRUE(subscription.wait_for(append(), patience));
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  // Woken for nothing, it has nothing to tell.
  const int reads = control.count("read_log");
  control.tell_listeners();
  ASSERT_TRUE(control.wait_for_count("read_log", reads + 1));
  append(1500);
  ASSERT_TRUE(subscription.wait_for(Position(1504), patience));
  ASSERT_TRUE(comes_true([&] {
    const std::lock_guard lock(told_mutex);
    return told.size() >= 4;
  }));
  subscription.stop();
  EXPECT_EQ(told, (std::vector<std::string>{"up 3", "up 4", "behind 4", "up 1504"}));
}

// --- Handlers that fail

TEST_F(Subscribing, AFailedHandlerIsTriedAgain) {
  append(3);
  int failures = 0;
  Subscription subscription(store, fast(), [&](const RecordedEvent& event) {
    if (event.position == Position(2) && failures++ < 2) throw std::runtime_error("not yet");
    seen.add(event);
  });
  ASSERT_TRUE(subscription.wait_for(Position(3), patience));
  EXPECT_EQ(seen.positions(), range(1, 3));
  EXPECT_EQ(trouble_names(), (std::vector<std::string>{"handler_failed", "handler_failed"}));
}

TEST_F(Subscribing, EnoughRetriesStopIt) {
  append(3);
  int calls = 0;
  Subscription subscription(store, fast(), [&](const RecordedEvent& event) {
    if (event.position == Position(2)) {
      ++calls;
      throw std::runtime_error("never");
    }
    seen.add(event);
  });
  EXPECT_ERROR(subscription.join(), ErrorCode::handler_failed, "never");
  EXPECT_EQ(subscription.state(), State::failed);
  EXPECT_EQ(subscription.error()->code(), ErrorCode::handler_failed);
  EXPECT_EQ(subscription.position(), Position(1));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(seen.positions(), range(1, 1));
  EXPECT_FALSE(subscription.wait_for(Position(2), patience));
  subscription.stop();
  EXPECT_EQ(subscription.state(), State::failed);
}

TEST_F(Subscribing, AnErrorOfTheHandlersOwnStoreIsNotTakenForTheSubscriptions) {
  append(1);
  SubscriptionOptions options = fast();
  options.on_error.retries = 0;
  Subscription subscription(store, options, [](const RecordedEvent&) { throw testing::unreachable(); });
  EXPECT_ERROR(subscription.join(), ErrorCode::cannot_connect, "the server is away");
}

TEST_F(Subscribing, ThePolicyRetryNeverEnds) {
  append(2);
  std::atomic<int> calls{0};
  SubscriptionOptions options = fast();
  options.on_error.then = ErrorPolicy::Then::retry;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    if (event.position == Position(1) && ++calls < 20) throw 7;
    seen.add(event);
  });
  ASSERT_TRUE(subscription.wait_for(Position(2), patience));
  EXPECT_EQ(calls, 20);
  EXPECT_EQ(seen.positions(), range(1, 2));
}

TEST_F(Subscribing, StopEndsALongPause) {
  append(1);
  SubscriptionOptions options = fast();
  options.on_error = {.retries = 5, .first_pause = 1h, .longest_pause = 1h};
  Subscription subscription(store, options, [](const RecordedEvent&) { throw std::runtime_error("no"); });
  ASSERT_TRUE(comes_true([&] { return !trouble_names().empty(); }));
  subscription.stop();
  EXPECT_EQ(subscription.state(), State::stopped);
  EXPECT_FALSE(subscription.error());
}

TEST_F(Subscribing, DeadLettersKeepWhatFailedAndItGoesOn) {
  append(4);
  SubscriptionOptions options = named();
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    if (event.position.value() % 2 == 0) throw std::runtime_error("even \xFF" + std::string(5000, 'x'));
    seen.add(event);
  });
  ASSERT_TRUE(subscription.wait_for(Position(4), patience));
  subscription.stop();
  EXPECT_EQ(seen.positions(), (SeenPositions{1, 3}));
  const std::vector<driver::DeadLetter> letters = store.driver().list_dead_letters({"mailer", ""}, 10);
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_EQ(letters[0].position, Position(2));
  EXPECT_EQ(letters[1].position, Position(4));
  EXPECT_EQ(letters[1].attempts, 3);
  EXPECT_EQ(letters[1].event_id, store.find_event(letters[1].event_id)->event_id);
  EXPECT_TRUE(letters[0].error.starts_with("handler_failed: even"));
  EXPECT_LE(letters[0].error.size(), 4000U);
  EXPECT_EQ(saved(), Position(4));
}

TEST_F(Subscribing, ADeadLetterIsSavedBeforeTheNextEvent) {
  append(2);
  SubscriptionOptions options = named();
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  std::vector<driver::DeadLetter> letters;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    if (event.position == Position(1)) throw std::runtime_error("no");
    letters = store.driver().list_dead_letters({"mailer", ""}, 10);
  });
  ASSERT_TRUE(subscription.wait_for(Position(2), patience));
  EXPECT_EQ(letters.size(), 1U);
}

// --- A database that fails

TEST_F(Subscribing, ADatabaseThatIsAwayIsWaitedFor) {
  append(600);
  control.at("read_log", [](int call) {
    if (call == 1 || call == 3 || call == 4) throw testing::unreachable();
  });
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(subscription.wait_for(Position(600), patience));
  EXPECT_EQ(seen.positions(), range(1, 600));
  EXPECT_EQ(trouble_names(), std::vector<std::string>(3, "cannot_connect"));
}

TEST_F(Subscribing, PausesGrowAndAppendsDoNotCutThemShort) {
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  std::vector<std::chrono::steady_clock::time_point> calls;
  control.at("read_log", [&](int call) {
    calls.push_back(std::chrono::steady_clock::now());
    if (call <= 4) throw testing::unreachable();
  });
  std::atomic<bool> stop{false};
  std::thread appending([&] {
    while (!stop) append();
  });
  ASSERT_TRUE(control.wait_for_count("read_log", control.count("read_log") + 4));
  ASSERT_TRUE(comes_true([&] { return !seen.positions().empty(); }));
  stop = true;
  appending.join();
  ASSERT_TRUE(subscription.wait_for(append(), patience));
  subscription.stop();
  const SeenPositions positions = seen.positions();
  EXPECT_EQ(positions, range(1, positions.back()));
  ASSERT_GE(calls.size(), 5U);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_GE(calls[i] - calls[i - 1], 50ms * (1 << (i - 1))) << i;
}

TEST_F(Subscribing, AnErrorThatDoesNotPassEndsIt) {
  control.at("read_log", [](int) { throw Error(ErrorCode::schema_outdated, "somebody migrated it down"); });
  Subscription subscription(store, fast(), see());
  EXPECT_ERROR(subscription.join(), ErrorCode::schema_outdated, "somebody");
}

TEST_F(Subscribing, AClosedStoreEndsIt) {
  Subscription subscription(store, fast(), see());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  store.close();
  EXPECT_ERROR(subscription.join(), ErrorCode::closed, "closed");
}

TEST_F(Subscribing, ACheckpointThatCannotBeSavedRepeatsNoHandler) {
  append(10);
  SubscriptionOptions options = named();
  options.checkpoint_every = 3;
  control.at("commit", [](int call) {
    if (call <= 3) throw testing::unreachable();
  });
  control.at("committed", [](int call) {
    if (call == 1) {  // The answer is lost.
      Error::Details details;
      details.outcome = Outcome::unknown;
      throw Error(ErrorCode::io, "lost", details);
    }
  });
  Subscription subscription(store, options, see());
  ASSERT_TRUE(subscription.wait_for(Position(10), patience));
  subscription.stop();
  EXPECT_EQ(seen.positions(), range(1, 10));
  EXPECT_EQ(saved(), Position(10));
  EXPECT_EQ(trouble_names().size(), 4U);
}

TEST_F(Subscribing, WhatCannotBeSavedWhenItStopsComesAgain) {
  append(10);
  SubscriptionOptions options = named();
  options.checkpoint_every = 4;
  {
    Subscription subscription(store, options, [&](const RecordedEvent& event) {
      seen.add(event);
      if (event.position == Position(10)) control.fail("begin_read_model", 1'000'000);
    });
    ASSERT_TRUE(subscription.wait_for(Position(10), patience));
    subscription.stop();
    EXPECT_EQ(subscription.state(), State::stopped);
  }
  control.at("begin_read_model", {});
  EXPECT_EQ(saved(), Position(8));
  Subscription again(store, options, see());
  ASSERT_TRUE(again.wait_for(Position(10), patience));
  SeenPositions expected = range(1, 10);
  expected.insert(expected.end(), {9, 10});
  EXPECT_EQ(seen.positions(), expected);
}

// --- Pause, resume, stop, join

/// A handler that a test lets go on event by event.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_ > 0; });
    --open_;
  }
  void open(int times = 1) {
    const std::lock_guard lock(mutex_);
    open_ += times;
    changed_.notify_all();
  }
  bool wait_for(int arrived) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return arrived_ >= arrived; });
  }
  int arrived() {
    const std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  int open_ = 0;
};

TEST_F(Subscribing, PauseWaitsForTheHandlerAndNoneBeginsUntilResume) {
  append(5);
  Gate gate;
  Subscription subscription(store, fast(), [&](const RecordedEvent& event) {
    gate.pass();
    seen.add(event);
  });
  ASSERT_TRUE(gate.wait_for(1));
  std::future<void> pausing = std::async(std::launch::async, [&] { subscription.pause(); });
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::paused; }));
  EXPECT_EQ(pausing.wait_for(0s), std::future_status::timeout);
  gate.open(2);
  pausing.get();
  EXPECT_EQ(seen.positions(), range(1, 1));
  append(3);
  const int listening = control.count("listening");
  ASSERT_TRUE(control.wait_for_count("listening", listening + 2));  // Some time goes by.
  EXPECT_EQ(gate.arrived(), 1);
  EXPECT_EQ(subscription.state(), State::paused);
  subscription.resume();
  gate.open(6);
  ASSERT_TRUE(subscription.wait_for(Position(8), patience));
  EXPECT_EQ(seen.positions(), range(1, 8));
}

TEST_F(Subscribing, PauseFromInsideAHandlerTakesEffectBehindIt) {
  append(3);
  Subscription* self = nullptr;
  std::promise<void> made;
  Subscription subscription(store, fast(), [&, ready = made.get_future().share()](const RecordedEvent& event) {
    ready.wait();
    if (event.position == Position(2)) self->pause();
    seen.add(event);
  });
  self = &subscription;
  made.set_value();
  ASSERT_TRUE(subscription.wait_for(Position(2), patience));
  subscription.pause();
  EXPECT_EQ(seen.positions(), range(1, 2));
  subscription.resume();
  ASSERT_TRUE(subscription.wait_for(Position(3), patience));
}

TEST_F(Subscribing, StopWaitsForTheHandler) {
  append(5);
  Gate gate;
  Subscription subscription(store, named(), [&](const RecordedEvent& event) {
    gate.pass();
    seen.add(event);
  });
  ASSERT_TRUE(gate.wait_for(1));
  std::future<void> stopping = std::async(std::launch::async, [&] { subscription.stop(); });
  EXPECT_EQ(stopping.wait_for(0s), std::future_status::timeout);
  gate.open(5);
  stopping.get();
  // Those that began before it was stopped are handled and saved, and there is nothing behind them.
  const SeenPositions positions = seen.positions();
  EXPECT_EQ(positions, range(1, static_cast<std::int64_t>(positions.size())));
  EXPECT_EQ(saved().value(), positions.back());
  EXPECT_FALSE(store.driver().find_projection({"mailer", ""})->checkpoints.at(0).leased);
  EXPECT_EQ(subscription.state(), State::stopped);
  subscription.stop();
  subscription.join();
}

TEST_F(Subscribing, StopWhilePaused) {
  append(5);
  Subscription subscription(store, fast(), see());
  subscription.pause();
  subscription.stop();
  EXPECT_EQ(subscription.state(), State::stopped);
}

// Mostly its thread has not begun anything by then.
TEST_F(Subscribing, StoppedAtOnceItGivesItsLeaseBack) {
  for (int round = 0; round < 20; ++round) {
    Subscription subscription(store, named(), see());
    subscription.pause();
    subscription.stop();
    EXPECT_FALSE(store.driver().find_projection({"mailer", ""})->checkpoints.at(0).leased);
  }
}

TEST_F(Subscribing, FromInsideAHandler) {
  append(5);
  Subscription* self = nullptr;
  std::promise<void> made;
  Subscription subscription(store, named(), [&, ready = made.get_future().share()](const RecordedEvent& event) {
    ready.wait();
    seen.add(event);
    if (event.position != Position(3)) return;
    EXPECT_TRUE(self->wait_for(Position(2), 1h));
    EXPECT_FALSE(self->wait_for(Position(3), 1h));
    EXPECT_ERROR(self->join(), ErrorCode::invalid_argument, "wait for itself");
    self->stop();
    EXPECT_NE(self->state(), State::stopped);
  });
  self = &subscription;
  made.set_value();
  subscription.join();
  EXPECT_EQ(subscription.state(), State::stopped);
  EXPECT_EQ(seen.positions(), range(1, 3));
  EXPECT_EQ(subscription.position(), Position(3));
  EXPECT_EQ(saved(), Position(3));
}

TEST_F(Subscribing, ItsDestructorStopsIt) {
  append(1000);
  {
    const Subscription subscription(store, fast(), see());
    ASSERT_TRUE(subscription.wait_for(Position(1), patience));
  }
  const std::size_t handled = seen.positions().size();
  append(10);
  EXPECT_EQ(seen.positions().size(), handled);
}

TEST_F(Subscribing, WaitingEndsWhenItEnds) {
  Subscription subscription(store, fast(), see());
  std::future<bool> waiting = std::async(std::launch::async, [&] { return subscription.wait_for(Position(1), 1h); });
  subscription.stop();
  EXPECT_FALSE(waiting.get());
  EXPECT_FALSE(subscription.wait_for(Position(1), 0ms));
  EXPECT_TRUE(subscription.wait_for(Position(0), 0ms));
}

TEST_F(Subscribing, Moves) {
  Subscription first(store, fast(), see());
  Subscription second = std::move(first);
  ASSERT_TRUE(second.wait_for(append(), patience));
  Subscription third(store, fast(), see());
  third = std::move(second);
  ASSERT_TRUE(third.wait_for(append(), patience));
}

TEST_F(Subscribing, ACallbackThatThrowsEndsIt) {
  SubscriptionOptions options = fast();
  options.caught_up = [](Position) { throw std::runtime_error("what now"); };
  Subscription subscription(store, options, see());
  EXPECT_ERROR(subscription.join(), ErrorCode::handler_failed, "what now");
}

// Also one that looks as if the database had been away.
TEST_F(Subscribing, ACallbackIsNotTakenForTheDatabase) {
  for (const bool behind : {false, true}) {
    SubscriptionOptions options = fast();
    const auto fails = [](Position) { throw testing::unreachable(); };
    (behind ? options.fell_behind : options.caught_up) = fails;
    Subscription subscription(store, options, see());
    if (behind) {
      ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
      append(2'000);
    }
    EXPECT_TRUE(comes_true([&] { return subscription.state() == State::failed; })) << behind;
    subscription.stop();
  }
}

TEST_F(Subscribing, WhatTroubleThrowsEndsItToo) {
  append();
  for (const bool of_handler : {false, true}) {
    SubscriptionOptions options = fast();
    options.on_error = {.retries = 1'000'000, .first_pause = 1ms, .longest_pause = 1ms};
    options.trouble = [calls = 0](const Error&) mutable {
      if (++calls == 1) throw testing::unreachable();
    };
    control.fail("read_log", of_handler ? 0 : 1'000'000);
    Subscription subscription(store, options, [](const RecordedEvent&) { throw std::runtime_error("no"); });
    EXPECT_TRUE(comes_true([&] { return subscription.state() == State::failed; })) << of_handler;
    EXPECT_EQ(subscription.error().value_or(Error(ErrorCode::internal, "none")).code(), ErrorCode::cannot_connect);
  }
}

// --- With a name

TEST_F(Subscribing, ANameRemembersAndStartCountsOnce) {
  append(5);
  SubscriptionOptions options = named();
  options.start = Start::after(Position(2));
  {
    Subscription subscription(store, options, see());
    ASSERT_TRUE(subscription.wait_for(Position(5), patience));
  }
  append(5);
  options.start = Start::beginning();
  {
    Subscription subscription(store, options, see());
    ASSERT_TRUE(subscription.wait_for(Position(10), patience));
  }
  EXPECT_EQ(seen.positions(), range(3, 10));
}

TEST_F(Subscribing, ANameFromNowOnRemembersThatNothingHadHappened) {
  SubscriptionOptions options = named();
  options.start = Start::now();
  { const Subscription subscription(store, options, see()); }
  append(3);
  {
    Subscription subscription(store, options, see());
    ASSERT_TRUE(subscription.wait_for(Position(3), patience));
  }
  EXPECT_EQ(seen.positions(), range(1, 3));
}

TEST_F(Subscribing, ANameFromNowOnMissesNothingWhoeverRunsItFirst) {
  append(5);
  SubscriptionOptions options = named();
  options.start = Start::now();
  // The first one has made the checkpoint, and is held up before it asks for the lease; the second gets that.
  std::promise<void> go_on;
  control.at("acquire_lease", [gate = go_on.get_future().share()](int call) {
    if (call == 1) gate.wait();
  });
  std::future<Subscription> first = std::async(std::launch::async, [&] { return Subscription(store, options, see()); });
  ASSERT_TRUE(control.wait_for_count("acquire_lease", 1));
  append(2);
  options.start = Start::beginning();
  Subscription second(store, options, see());
  ASSERT_TRUE(second.wait_for(Position(7), patience));
  go_on.set_value();
  first.get().stop();
  EXPECT_EQ(seen.positions(), range(6, 7));
}

TEST_F(Subscribing, ItHasBegunWhateverFailsAfterwards) {
  append(5);
  SubscriptionOptions options = named();
  options.start = Start::now();
  control.fail("begin_read_model", 1'000);
  { const Subscription subscription(store, options, see()); }
  EXPECT_EQ(saved(), Position(5));
  append(2);
  control.fail("begin_read_model", 0);
  options.start = Start::beginning();
  Subscription subscription(store, options, see());
  ASSERT_TRUE(subscription.wait_for(Position(7), patience));
  EXPECT_EQ(seen.positions(), range(6, 7));
}

// A crash of the server takes back the last checkpoint. What was handled needs not be handled again, for this one
// knows.
TEST_F(Subscribing, ACheckpointThatWasTakenBackIsSavedAgain) {
  Subscription subscription(store, named(), see());
  ASSERT_TRUE(subscription.wait_for(append(5), patience));
  ASSERT_TRUE(comes_true([&] { return saved() == Position(5); }));
  const driver::PartState part = store.driver().find_projection({"mailer", ""})->checkpoints.at(0);
  const auto taking_back = shared->begin_read_model();
  ASSERT_TRUE(taking_back->move_checkpoint({part.key, part.holder, part.fence, part.position}, Position(2)));
  taking_back->commit();
  ASSERT_TRUE(subscription.wait_for(append(3), patience));
  EXPECT_TRUE(comes_true([&] { return saved() == Position(8); }));
  EXPECT_EQ(seen.positions(), range(1, 8));
}

TEST_F(Subscribing, ACheckpointWhoseAnswerWasLostIsNoReasonToBeginAgain) {
  control.at("committed", [](int call) {
    if (call == 1) throw testing::unreachable();
  });
  Subscription subscription(store, named(), see());
  ASSERT_TRUE(subscription.wait_for(append(5), patience));
  ASSERT_TRUE(control.wait_for_count("committed", 1));
  ASSERT_TRUE(subscription.wait_for(append(3), patience));
  EXPECT_TRUE(comes_true([&] { return saved() == Position(8); }));
  EXPECT_EQ(seen.positions(), range(1, 8));
}

TEST_F(Subscribing, TheCheckpointIsSavedEveryFewEventsAndWhenItHasCaughtUp) {
  append(25);
  Gate gate;
  SubscriptionOptions options = named();
  options.checkpoint_every = 10;
  Subscription subscription(store, options, [&](const RecordedEvent&) { gate.pass(); });
  gate.open(9);
  ASSERT_TRUE(gate.wait_for(10));
  EXPECT_EQ(saved(), Position(0));
  gate.open(1);
  ASSERT_TRUE(gate.wait_for(11));
  EXPECT_EQ(saved(), Position(10));
  gate.open(14);
  ASSERT_TRUE(gate.wait_for(25));
  EXPECT_EQ(saved(), Position(20));
  gate.open(1);
  EXPECT_TRUE(comes_true([&] { return saved() == Position(25); }));
}

TEST_F(Subscribing, ACheckpointMovesPastWhatTheFilterDrops) {
  SubscriptionOptions options = named();
  options.filter.event_types = {"Wanted"};
  Subscription subscription(store, options, see());
  append(600, "Other");
  EXPECT_TRUE(comes_true([&] { return saved() == Position(600); }));
  // And once more, soon afterwards.
  append(3, "Other");
  EXPECT_TRUE(comes_true([&] { return saved() == Position(603); }));
  EXPECT_TRUE(seen.positions().empty());
}

TEST_F(Subscribing, ATricklingLogIsNotSavedEventByEvent) {
  SubscriptionOptions options = named();
  options.checkpoint_every = 1000;
  Subscription subscription(store, options, see());
  const int before = control.count("commit");
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(subscription.wait_for(append(), patience));
  const auto quarters = (std::chrono::steady_clock::now() - begin) / 250ms;
  EXPECT_LE(control.count("commit") - before, quarters + 1);
  EXPECT_TRUE(comes_true([&] { return saved() == Position(200); }));
}

TEST_F(Subscribing, OneRunsItAndTheNextTakesOverWhenItStops) {
  SubscriptionOptions options = named();
  options.lease = 100ms;  // Those who wait look five times in a lease.
  auto first = std::make_unique<Subscription>(store, options, see());
  ASSERT_TRUE(first->wait_for(append(3), patience));
  Seen of_second;
  Subscription second(store, options, [&](const RecordedEvent& event) { of_second.add(event); });
  ASSERT_TRUE(comes_true([&] { return second.state() == State::waiting_for_lease; }));
  ASSERT_TRUE(first->wait_for(append(2), patience));
  first.reset();
  ASSERT_TRUE(second.wait_for(append(), patience));
  EXPECT_EQ(seen.positions(), range(1, 5));
  EXPECT_EQ(of_second.positions(), SeenPositions{6});
}

TEST_F(Subscribing, StopWhileItWaitsForTheLease) {
  SubscriptionOptions options = named();
  options.lease = 1h;
  Subscription first(store, options, see());
  Subscription second(store, options, see());
  ASSERT_TRUE(comes_true([&] { return second.state() == State::waiting_for_lease; }));
  second.stop();
  EXPECT_EQ(second.state(), State::stopped);
  ASSERT_TRUE(first.wait_for(append(), patience));
}

TEST_F(Subscribing, ALeaseIsRenewedWhileAHandlerIsSlow) {
  append(2);
  SubscriptionOptions options = named();
  options.lease = 60ms;
  std::vector<std::int64_t> fences;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    fences.push_back(store.driver().find_projection({"mailer", ""})->checkpoints.at(0).fence);
    // Six renewals are two lives of the lease.
    EXPECT_TRUE(control.wait_for_count("renewed", control.count("renewed") + 6));
    seen.add(event);
  });
  ASSERT_TRUE(subscription.wait_for(Position(2), patience));
  subscription.stop();
  ASSERT_EQ(fences.size(), 2U);
  EXPECT_EQ(fences[0], fences[1]);  // It had one lease all the time.
  EXPECT_EQ(seen.positions(), range(1, 2));
}

TEST_F(Subscribing, ALeaseThatRanOutUnseenIsRenewedBeforeTheNextEvent) {
  append(3);
  SubscriptionOptions options = named();
  options.lease = 50ms;
  std::atomic<bool> away{false};
  control.at("renew_lease", [&](int) {
    if (away) throw testing::unreachable();
  });
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    seen.add(event);
    if (event.position != Position(1)) {
      EXPECT_FALSE(away) << "an event was handed over without a lease";
      return;
    }
    away = true;
    std::this_thread::sleep_for(options.lease * 2);
  });
  ASSERT_TRUE(comes_true([&] { return trouble_names().size() >= 2; }));
  EXPECT_EQ(seen.positions(), range(1, 1));
  away = false;
  ASSERT_TRUE(subscription.wait_for(Position(3), patience));
  subscription.stop();
  EXPECT_EQ(seen.positions(), range(1, 3));  // Nothing twice: nobody else had it meanwhile.
}

// The database is slow: whatever a renewal gives has run out when its answer comes.
TEST_F(Subscribing, ARenewalThatTakesLongerThanItsLeaseIsAnAnswer) {
  SubscriptionOptions options = named();
  options.lease = 20ms;
  control.at("renew_lease", [](int call) {
    if (call <= 200) std::this_thread::sleep_for(40ms);  // It fails rather than to hang.
  });
  {
    Subscription subscription(store, options, see());
    ASSERT_TRUE(control.wait_for_count("renewed", 2));
    ASSERT_TRUE(subscription.wait_for(append(3), patience));
    subscription.stop();
  }
  EXPECT_LT(control.count("renew_lease"), 100) << "it renewed again and again";
  EXPECT_EQ(seen.positions(), range(1, 3));
}

TEST_F(Subscribing, WhoLostItsLeaseSavesNothingAndStartsBehindTheOther) {
  append(4);
  SubscriptionOptions options = named();
  options.lease = 50ms;
  options.checkpoint_every = 1;
  std::atomic<bool> away{true};
  control.at("renew_lease", [&](int) {
    if (away) throw testing::unreachable();
  });
  EventStore other(std::make_unique<testing::ForwardingDriver>(shared));
  Seen of_second;
  std::optional<Subscription> second;
  Subscription first(store, options, [&](const RecordedEvent& event) {
    seen.add(event);
    if (event.position != Position(2) || second) return;
    // The lease runs out inside the handler, and another takes over and finishes.
    second.emplace(other, options, [&](const RecordedEvent& e) { of_second.add(e); });
    ASSERT_TRUE(second->wait_for(Position(4), patience));
    away = false;
  });
  ASSERT_TRUE(comes_true([&] { return first.state() == State::waiting_for_lease; }));
  EXPECT_EQ(seen.positions(), range(1, 2));
  EXPECT_EQ(of_second.positions(), range(2, 4));  // Its checkpoint was behind 1.
  second.reset();
  EXPECT_EQ(saved(), Position(4));
  ASSERT_TRUE(first.wait_for(append(), patience));
  EXPECT_EQ(seen.positions(), (SeenPositions{1, 2, 5}));
}

TEST_F(Subscribing, OneThatWasRemovedBeginsAgain) {
  SubscriptionOptions options = named();
  options.lease = 60ms;
  options.poll_interval = 20ms;
  Subscription subscription(store, options, see());
  ASSERT_TRUE(subscription.wait_for(append(2), patience));
  store.driver().remove_projection({"mailer", ""});
  EXPECT_TRUE(comes_true([&] { return seen.positions() == SeenPositions({1, 2, 1, 2}); }));
}

TEST_F(Subscribing, NamesOfTenantsAreTheirOwn) {
  SubscriptionOptions options = named();
  options.filter.tenant = "acme";
  Subscription acme(store, options, see());
  Subscription all(store, named(), see());
  EXPECT_TRUE(comes_true([&] { return acme.state() == State::live && all.state() == State::live; }));
  EXPECT_TRUE(store.driver().find_projection({"mailer", "acme"}));
}

// --- Events that cannot be upcast

class SubscribingToday : public Subscribing {
 protected:
  void SetUp() override {
    auto upcasters = std::make_shared<Upcasters>();
    upcasters->add({"Old", 1}, {{"First", 1}, {"Second", 1}}, [this](const RecordedEvent& event) {
      if (upcast_failures-- > 0) throw std::runtime_error("what is this");
      std::vector<RecordedEvent> made{event, event};
      made[0].type = "First";
      made[1].type = "Second";
      return made;
    });
    upcasters->drop({"Gone", 1});
    store.use_upcasters(upcasters);
  }

  std::function<void(const RecordedEvent&)> note() {
    return [this](const RecordedEvent& event) { notes.push_back(event.type + std::to_string(event.position.value())); };
  }

  int upcast_failures = 0;
  std::vector<std::string> notes;
};

using Notes = std::vector<std::string>;

TEST_F(SubscribingToday, GetsTodaysEventsAndMovesPastThoseThatAreGone) {
  append(1, "Old");
  append(600, "Gone");
  Subscription subscription(store, named(), note());
  ASSERT_TRUE(subscription.wait_for(Position(601), patience));
  append(1, "Kept");
  ASSERT_TRUE(subscription.wait_for(append(1, "Gone"), patience));
  subscription.stop();
  EXPECT_EQ(notes, (Notes{"First1", "Second1", "Kept602"}));
  EXPECT_EQ(saved(), Position(603));
}

// Who dies in the middle of many that are gone does not look through them all again.
TEST_F(SubscribingToday, TheCheckpointMovesWhileNothingIsWanted) {
  append(3'000, "Gone");
  Position saved_meanwhile;
  control.at("read_log", [&](int call) {
    if (call == 2) std::this_thread::sleep_for(300ms);  // Longer than between two checkpoints.
    if (call == 4) saved_meanwhile = saved();
  });
  Subscription subscription(store, named(), note());
  ASSERT_TRUE(subscription.wait_for(Position(3'000), patience));
  subscription.stop();
  EXPECT_GT(saved_meanwhile, Position(0));
  EXPECT_LT(saved_meanwhile, Position(3'000));
}

TEST_F(SubscribingToday, AFilterMeansTodaysTypes) {
  append(1, "Old");
  append(1, "Kept");
  append(1, "Old");
  SubscriptionOptions options = fast();
  options.filter.event_types = {"Second"};
  Subscription subscription(store, options, note());
  ASSERT_TRUE(subscription.wait_for(Position(3), patience));
  EXPECT_EQ(notes, (Notes{"Second1", "Second3"}));
}

TEST_F(SubscribingToday, OnlyTheOneThatFailedIsHandedOverAgain) {
  append(1, "Old");
  int failures = 1;
  Subscription subscription(store, fast(), [&](const RecordedEvent& event) {
    if (event.type == "Second" && failures-- > 0) throw std::runtime_error("no");
    note()(event);
  });
  ASSERT_TRUE(subscription.wait_for(Position(1), patience));
  EXPECT_EQ(notes, (Notes{"First1", "Second1"}));
}

TEST_F(SubscribingToday, ThePositionStaysUntilAllOfAnEventIsHandled) {
  append(1, "Old");
  SubscriptionOptions options = fast();
  options.on_error.retries = 0;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    if (event.type == "Second") throw std::runtime_error("no");
  });
  EXPECT_ERROR(subscription.join(), ErrorCode::handler_failed, "no");
  EXPECT_EQ(subscription.position(), Position(0));
}

TEST_F(SubscribingToday, AFailedUpcastIsTriedAgain) {
  append(1, "Kept");
  append(1, "Old");
  append(1, "Kept");
  upcast_failures = 2;
  Subscription subscription(store, fast(), note());
  ASSERT_TRUE(subscription.wait_for(Position(3), patience));
  EXPECT_EQ(notes, (Notes{"Kept1", "First2", "Second2", "Kept3"}));
  EXPECT_EQ(trouble_names(), (std::vector<std::string>{"upcast_failed", "upcast_failed"}));
}

TEST_F(SubscribingToday, AFailedUpcastStopsItInTheEnd) {
  append(1, "Kept");
  append(1, "Old");
  upcast_failures = 1000;
  Subscription subscription(store, fast(), note());
  EXPECT_ERROR(subscription.join(), ErrorCode::upcast_failed, "Old version 1");
  EXPECT_EQ(subscription.position(), Position(1));
}

TEST_F(SubscribingToday, AFailedUpcastBecomesADeadLetter) {
  append(1, "Kept");
  append(2, "Old");
  append(1, "Kept");
  upcast_failures = 3;  // As often as the first one is tried.
  SubscriptionOptions options = named();
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  Subscription subscription(store, options, note());
  ASSERT_TRUE(subscription.wait_for(Position(4), patience));
  EXPECT_EQ(notes, (Notes{"Kept1", "First3", "Second3", "Kept4"}));
  const std::vector<driver::DeadLetter> letters = store.driver().list_dead_letters({"mailer", ""}, 10);
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].position, Position(2));
  EXPECT_TRUE(letters[0].error.starts_with("upcast_failed"));
}

// --- What is refused

TEST_F(Subscribing, BadOptionsAreRefused) {
  const auto refuses = [&](auto change, const char* words) {
    SubscriptionOptions options = named();
    change(options);
    EXPECT_ERROR(Subscription(store, options, see()), ErrorCode::invalid_argument, words);
  };
  refuses([](SubscriptionOptions& o) { o.name = ""; }, "name");
  refuses([](SubscriptionOptions& o) { o.name = std::string(129, 'x'); }, "name");
  refuses([](SubscriptionOptions& o) { o.name = std::string("a\0b", 3); }, "NUL");
  refuses([](SubscriptionOptions& o) { o.name = "\xFF"; }, "UTF-8");
  refuses([](SubscriptionOptions& o) { o.start = Start::after(Position(-1)); }, "after");
  refuses([](SubscriptionOptions& o) { o.filter.event_types = {""}; }, "event_type");
  refuses([](SubscriptionOptions& o) { o.lease = 0ms; }, "lease");
  refuses([](SubscriptionOptions& o) { o.lease = 9ms; }, "lease");
  refuses([](SubscriptionOptions& o) { o.lease = 1h + 1ms; }, "lease");
  refuses([](SubscriptionOptions& o) { o.poll_interval = 0ms; }, "poll_interval");
  refuses([](SubscriptionOptions& o) { o.checkpoint_every = 0; }, "checkpoint_every");
  refuses([](SubscriptionOptions& o) { o.on_error.retries = -1; }, "retries");
  refuses([](SubscriptionOptions& o) { o.on_error.first_pause = -1ms; }, "first_pause");
  refuses([](SubscriptionOptions& o) { o.on_error.longest_pause = 0ms; }, "longest_pause");
  refuses(
      [](SubscriptionOptions& o) {
        o.name.reset();
        o.on_error.then = ErrorPolicy::Then::dead_letter;
      },
      "dead letters");
  EXPECT_ERROR(Subscription(store, fast(), {}), ErrorCode::invalid_argument, "handler");
  store.driver().open_projection({"group", ""}, 4, Position(0), driver::ProjectionKind::subscription);
  EXPECT_ERROR(Subscription(store, named("group"), see()), ErrorCode::invalid_argument, "parts");
  store.close();
  EXPECT_ERROR(Subscription(store, named(), see()), ErrorCode::closed, "closed");
}

TEST_F(Subscribing, AFirstLookThatFailsIsThrown) {
  control.fail("settled_position", 1);
  SubscriptionOptions options = fast();
  options.start = Start::now();
  EXPECT_ERROR(Subscription(store, options, see()), ErrorCode::cannot_connect, "away");
}

}  // namespace
}  // namespace stele
