// Projections: each effect exactly once, whoever runs them and whatever fails meanwhile (G13).
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "stele/testing/forwarding_driver.h"
#include "support.h"

namespace stele::testing {
namespace {

using driver::Driver;
using driver::PartState;
using driver::ProjectionState;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Numbers = std::map<std::string, std::int64_t>;
using State = Subscription::State;

constexpr milliseconds short_lease{1'000};  // The shortest there is.
constexpr milliseconds scheduling{1'000};   // What a busy machine may take longer.

/// Where a thread waits until a case lets it go on.
class Gateway {
 public:
  ~Gateway() { open(); }
  void pass() {
    std::unique_lock lock(mutex_);
    arrived_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  bool wait_for_arrival() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience(), [this] { return arrived_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool arrived_ = false;
  bool open_ = false;
};

/// Calls something when a case is over, however it ends.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> call) : call_(std::move(call)) {}
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() { call_(); }

 private:
  const std::function<void()> call_;
};

/// Counts events by generation and position: "g1/@7" is how often the event at 7 took effect.
class TallyProjection : public Projection {
 public:
  explicit TallyProjection(Harness& harness) : counters_(harness.counters()) {}

  // May be set before it is used.
  LogFilter only;
  std::function<void(const RecordedEvent&, ProjectionContext&)> before;  ///< May wait or throw.
  std::function<void(const RecordedEvent&, ProjectionContext&)> after;

  std::string name() const override { return "tally"; }
  LogFilter filter() const override { return only; }
  void create(ProjectionContext& context) override { counters_.add(context.transaction(), at(context, "created"), 1); }
  void apply(const RecordedEvent& event, ProjectionContext& context) override {
    if (before) before(event, context);
    counters_.add(context.transaction(), at(context, "@" + std::to_string(event.position.value())), 1);
    if (after) after(event, context);
  }
  void activate(ProjectionContext& context) override {
    counters_.forget(context.transaction(), "active/");
    counters_.add(context.transaction(), "active/" + std::to_string(context.generation()), 1);
  }
  void drop(ProjectionContext& context) override { counters_.forget(context.transaction(), at(context, "")); }

 private:
  static std::string at(const ProjectionContext& context, const std::string& key) {
    return "g" + std::to_string(context.generation()) + "/" + key;
  }
  Counters& counters_;
};

std::shared_ptr<TallyProjection> tally(Harness& harness) {
  return std::make_shared<TallyProjection>(harness);
}

/// Positions that took effect in a generation, and how often.
std::map<std::int64_t, std::int64_t> effects(Harness& harness, int generation = 1) {
  const std::string prefix = "g" + std::to_string(generation) + "/@";
  std::map<std::int64_t, std::int64_t> found;
  for (const auto& [key, number] : harness.counters().read()) {
    if (key.starts_with(prefix)) found[std::stoll(key.substr(prefix.size()))] = number;
  }
  return found;
}

std::map<std::int64_t, std::int64_t> once(const std::vector<RecordedEvent>& events) {
  std::map<std::int64_t, std::int64_t> wanted;
  for (const RecordedEvent& event : events) wanted[event.position.value()] = 1;
  return wanted;
}

void expect_all_once(Harness& harness, EventStore& store, int generation = 1, const LogFilter& filter = {}) {
  EXPECT_EQ(effects(harness, generation), once(log_events(store, {.filter = filter})));
}

std::set<std::string> generations(Harness& harness) {
  std::set<std::string> found;
  for (const auto& [key, number] : harness.counters().read()) {
    if (key.starts_with("g")) found.insert(key.substr(0, key.find('/')));
  }
  return found;
}

ProjectionOptions options_of(milliseconds lease = milliseconds(600'000)) {
  ProjectionOptions options;
  options.lease = lease;
  options.poll_interval = milliseconds(20);
  options.on_error = {.retries = 1, .first_pause = milliseconds(1), .longest_pause = milliseconds(2)};
  return options;
}

Position append(EventStore& store, const std::string& stream, int count = 1, const std::string& type = "happened") {
  std::vector<NewEvent> some;
  for (int i = 0; i < count; ++i) some.push_back(event(type));
  return store.append(thing(stream), ExpectedVersion::any(), std::move(some)).or_throw().last_position();
}

ProjectionState state_of(EventStore& store) {
  const std::optional<ProjectionState> found = store.driver().find_projection({"tally", ""});
  if (!found) throw std::runtime_error("the projection is missing");
  return *found;
}

Position checkpoint(EventStore& store) {
  return state_of(store).checkpoints.at(0).position;
}

/// A driver of somebody who will be cut off: nothing it does from then on reaches the database until it is let go on.
class Doomed final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  Gateway at_transaction;  ///< Where the one who works waits, its events in hand.
  Gateway at_renewal;
  std::atomic<bool> held_up = false;  ///< It works no more, and still has its leases: first, so that it has events.
  std::atomic<bool> cut_off = false;
  std::atomic<bool> dead = false;  ///< As if the process were gone.

  /// A case that ends early has to open the gates before its runners are destroyed.
  void open_gates() {
    at_transaction.open();
    at_renewal.open();
  }

  bool renew_lease(const driver::Lease& lease, milliseconds time) override {
    if (cut_off) at_renewal.pass();
    check();
    return ForwardingDriver::renew_lease(lease, time);
  }
  void release_lease(const driver::Lease& lease) override {
    check();
    ForwardingDriver::release_lease(lease);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    if (held_up || cut_off) at_transaction.pass();
    check();
    return ForwardingDriver::begin_read_model(idle_limit);
  }
  std::int32_t announce_member(const driver::ProjectionKey& key, const std::string& member,
                               milliseconds time) override {
    check();
    return ForwardingDriver::announce_member(key, member, time);
  }
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             milliseconds time) override {
    check();
    return ForwardingDriver::acquire_lease(key, holder, time);
  }
  std::optional<driver::ProjectionState> find_projection(const driver::ProjectionKey& key) override {
    check();
    return ForwardingDriver::find_projection(key);
  }

 private:
  void check() const {
    if (dead) throw Error(ErrorCode::closed, "the process is gone");
  }
};

// --- Exactly once

void every_event_takes_effect_once(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 100);
  ProjectionOptions options = options_of();
  options.batch = 7;
  {
    ProjectionRunner runner(store, tally(harness), options);
    ASSERT_TRUE(runner.wait_for(Position(append(store, "b", 30)), patience()));
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(runner.wait_for(append(store, "a"), patience())) << i;
    EXPECT_EQ(runner.parts(), std::vector<std::int32_t>{0});
  }
  expect_all_once(harness, store);
  EXPECT_EQ(checkpoint(store), store.log_end());
  EXPECT_EQ(harness.counters().read().at("active/1"), 1);
  const Position last = append(store, "c", 20);
  ProjectionRunner runner(store, tally(harness), options);
  ASSERT_TRUE(runner.wait_for(last, patience()));
  expect_all_once(harness, store);
}

void what_fails_is_rolled_back_and_ends_it(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  const std::vector<RecordedEvent> log = log_events(store);
  const auto projection = tally(harness);
  std::vector<std::int64_t> seen;  // By one thread.
  projection->after = [&](const RecordedEvent& event, ProjectionContext&) {
    seen.push_back(event.version.value());
    if (event.version == Version(5)) throw Refusal("not this one");
  };
  {
    ProjectionRunner runner(store, projection, options_of());
    expect_error(ErrorCode::handler_failed, "not this one", [&] { runner.join(); });
    EXPECT_EQ(runner.state(), State::failed);
    ASSERT_TRUE(runner.error());
    EXPECT_FALSE(runner.wait_for(log.back().position, patience()));
  }
  // The batch, then one a transaction, and the failing one as often as the policy says. A slow database gets less into
  // a batch: what was committed before is not seen again.
  std::vector<std::int64_t> expected = {1, 2, 3, 4, 5};
  ASSERT_GT(seen.size(), expected.size());
  for (std::int64_t version = seen[expected.size()]; version <= 5; ++version) expected.push_back(version);
  expected.push_back(5);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(effects(harness), once({log.begin(), log.begin() + 4}));
  EXPECT_EQ(checkpoint(store), log[3].position);
  EXPECT_FALSE(state_of(store).checkpoints.at(0).leased) << "it gave its lease back";
  ProjectionRunner next(store, tally(harness), options_of());
  ASSERT_TRUE(next.wait_for(log.back().position, patience()));
  expect_all_once(harness, store);
}

void what_fails_for_a_while_takes_effect_once(Harness& harness) {
  EventStore store = open_store(harness);
  const Position last = append(store, "a", 10);
  const auto projection = tally(harness);
  std::atomic<int> failures = 0;
  projection->after = [&](const RecordedEvent& event, ProjectionContext&) {
    if (event.version == Version(5) && failures++ < 5) throw Refusal("later");
  };
  ProjectionOptions options = options_of();
  std::atomic<int> troubles = 0;
  options.trouble = [&](const Error&) { ++troubles; };
  options.on_error.then = ErrorPolicy::Then::retry;
  ProjectionRunner runner(store, projection, options);
  ASSERT_TRUE(runner.wait_for(last, patience()));
  expect_all_once(harness, store);
  EXPECT_EQ(failures, 6);
  EXPECT_EQ(troubles, 4) << "the batch does not count";
}

void what_cannot_be_applied_goes_to_the_dead_letters(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  const std::vector<RecordedEvent> log = log_events(store);
  const auto projection = tally(harness);
  projection->after = [&](const RecordedEvent& event, ProjectionContext&) {
    if (event.version == Version(3) || event.version == Version(10)) throw Refusal("bad " + std::string("\xC3\xA9"));
  };
  ProjectionOptions options = options_of();
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  ProjectionRunner runner(store, projection, options);
  ASSERT_TRUE(runner.wait_for(log.back().position, patience()));
  runner.stop();
  std::map<std::int64_t, std::int64_t> wanted = once(log);
  wanted.erase(log[2].position.value());
  wanted.erase(log[9].position.value());
  EXPECT_EQ(effects(harness), wanted);
  EXPECT_EQ(checkpoint(store), log.back().position);
  const std::vector<driver::DeadLetter> letters = store.driver().list_dead_letters({"tally", ""}, 10);
  ASSERT_EQ(letters.size(), 2u);
  EXPECT_EQ(letters[0].position, log[2].position);
  EXPECT_EQ(letters[0].event_id, log[2].event_id);
  EXPECT_EQ(letters[0].attempts, 2);
  EXPECT_NE(letters[0].error.find("bad \xC3\xA9"), std::string::npos) << letters[0].error;
  EXPECT_EQ(letters[1].position, log[9].position);
}

// --- Take-over

// The holder is cut off with events in hand, and comes back when another has gone on in its place.
void a_zombie_commits_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  const auto doomed = std::make_shared<Doomed>(harness.open());
  EventStore cut_off_store(share(doomed));
  const auto started_at = steady_clock::now();
  ProjectionRunner zombie(cut_off_store, tally(harness), options_of(short_lease));
  const AtEnd let_go([&] { doomed->open_gates(); });
  ASSERT_TRUE(zombie.wait_for(append(store, "a", 5), patience()));
  const auto undisturbed = steady_clock::now() - started_at;  // Where connections are slow to make, seconds.

  doomed->held_up = true;
  const Position last = append(store, "a", 5);
  ASSERT_TRUE(doomed->at_transaction.wait_for_arrival());
  doomed->cut_off = true;
  ASSERT_TRUE(doomed->at_renewal.wait_for_arrival());
  const auto dead_at = steady_clock::now();
  ProjectionRunner heir(store, tally(harness), options_of(short_lease));
  ASSERT_TRUE(heir.wait_for(last, patience()));
  EXPECT_LT(steady_clock::now() - dead_at, 3 * short_lease + scheduling + undisturbed)
      << "its lease had run out long before";
  expect_all_once(harness, store);

  doomed->held_up = false;
  doomed->cut_off = false;
  doomed->at_transaction.open();
  ASSERT_TRUE(comes_true([&] { return zombie.parts().empty(); })) << "it finds out that it lost its lease";
  expect_all_once(harness, store);
  doomed->at_renewal.open();
  ASSERT_TRUE(heir.wait_for(append(store, "b", 5), patience()));
  expect_all_once(harness, store);
  EXPECT_EQ(zombie.state(), State::waiting_for_lease);
  heir.stop();
  ASSERT_TRUE(zombie.wait_for(append(store, "c", 5), patience())) << "now it may go on";
  expect_all_once(harness, store);
}

void one_runs_and_the_others_wait(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  auto first = std::make_unique<ProjectionRunner>(store, tally(harness), options_of(short_lease));
  ASSERT_TRUE(first->wait_for(append(store, "a", 5), patience()));
  ProjectionRunner second(other, tally(harness), options_of(short_lease));
  ASSERT_TRUE(second.wait_for(append(store, "a", 5), patience())) << "it waits for what others do, too";
  EXPECT_EQ(second.state(), State::waiting_for_lease);
  EXPECT_TRUE(second.parts().empty());
  expect_error(ErrorCode::busy, "running", [&] {
    TallyProjection third(harness);
    run_projection(other, third, options_of());
  });
  first.reset();
  ASSERT_TRUE(second.wait_for(append(store, "a", 5), patience()));
  EXPECT_EQ(second.parts(), std::vector<std::int32_t>{0});
  expect_all_once(harness, store);
}

// --- Checkpoints

void a_checkpoint_moves_past_what_is_filtered(Harness& harness) {
  EventStore store = open_store(harness);
  const auto projection = tally(harness);
  projection->only.event_types = {"wanted"};
  ProjectionRunner runner(store, projection, options_of());
  const Position last = append(store, "a", 200);
  ASSERT_TRUE(runner.wait_for(last, patience()));
  ASSERT_TRUE(comes_true([&] { return checkpoint(store) >= last; }));
  EXPECT_TRUE(effects(harness).empty());
  append(store, "a", 3, "wanted");
  const Position end = append(store, "a", 3);
  ASSERT_TRUE(comes_true([&] { return checkpoint(store) >= end; }));
  expect_all_once(harness, store, 1, projection->only);
}

void a_checkpoint_moves_past_what_is_upcast_to_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  const auto upcasters = std::make_shared<Upcasters>();
  upcasters->drop({"gone", 1});
  upcasters->add(EventForm{"pair", 1}, {{"one", 1}, {"two", 1}}, [](const RecordedEvent& event) {
    std::vector<RecordedEvent> two(2, event);
    two[0].type = "one";
    two[1].type = "two";
    return two;
  });
  store.use_upcasters(upcasters);
  const auto projection = tally(harness);
  std::mutex mutex;
  std::vector<std::string> types;
  projection->before = [&](const RecordedEvent& event, ProjectionContext&) {
    const std::lock_guard lock(mutex);
    types.push_back(event.type);
  };
  ProjectionOptions options = options_of();
  options.batch = 1;
  ProjectionRunner runner(store, projection, options);
  const Position last = append(store, "a", 5, "gone");
  ASSERT_TRUE(comes_true([&] { return checkpoint(store) >= last; }));
  EXPECT_TRUE(effects(harness).empty());
  const Position pair = append(store, "a", 1, "pair");
  const Position end = append(store, "a", 1, "gone");
  ASSERT_TRUE(comes_true([&] { return checkpoint(store) >= end; }));
  EXPECT_EQ(effects(harness), (std::map<std::int64_t, std::int64_t>{{pair.value(), 2}}));
  EXPECT_EQ(types, (std::vector<std::string>{"one", "two"}));
}

void a_tenant_has_a_checkpoint_of_its_own(Harness& harness) {
  EventStore store = open_store(harness);
  StreamKey of_acme("thing", "a");
  of_acme.tenant = "acme";
  store.append(of_acme, ExpectedVersion::any(), events(3));
  append(store, "a", 3);
  ProjectionOptions options = options_of();
  options.tenant = "acme";
  TallyProjection projection(harness);
  std::set<std::string> tenants;
  projection.before = [&](const RecordedEvent& event, ProjectionContext& context) {
    tenants.insert(event.stream.tenant);
    EXPECT_EQ(context.tenant(), "acme");
  };
  EXPECT_GE(run_projection(store, projection, options), store.log_end());
  EXPECT_EQ(tenants, std::set<std::string>{"acme"});
  LogFilter filter;
  filter.tenant = "acme";
  expect_all_once(harness, store, 1, filter);
  EXPECT_FALSE(store.driver().find_projection({"tally", ""}));
  projection.only.tenant = "other";
  expect_error(ErrorCode::invalid_argument, "tenant", [&] { run_projection(store, projection, options); });
}

void lag_is_what_is_to_be_done(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  TallyProjection projection(harness);
  run_projection(store, projection, options_of());
  ASSERT_EQ(projection_statuses(store).size(), 1u);
  EXPECT_EQ(projection_statuses(store)[0].lag, 0);
  const Position before = store.log_end();
  append(store, "a", 10);
  const ProjectionStatus status = projection_statuses(store).at(0);
  EXPECT_EQ(status.state.key.name, "tally");
  EXPECT_EQ(status.log_end, store.log_end());
  EXPECT_EQ(status.lag, store.log_end().value() - before.value());
}

// --- Rebuilding

void a_rebuild_stands_beside_the_active_one(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  append(store, "a", 50);
  ProjectionRunner runner(store, tally(harness), options_of(short_lease));
  ProjectionRunner elsewhere(other, tally(harness), options_of(short_lease));
  ASSERT_TRUE(runner.wait_for(append(store, "a", 10), patience()));

  // Everything that a reader sees in the active generation stays there, while appends go on.
  std::atomic<bool> over = false;
  auto read_on = std::async(std::launch::async, [&] {
    std::size_t seen = 0;
    while (!over) {
      const Numbers numbers = harness.counters().read();
      std::set<std::string> active;
      for (const auto& [key, number] : numbers) {
        if (key.starts_with("active/")) active.insert("g" + key.substr(7) + "/@");
      }
      if (active.size() != 1) return std::string("not one active generation");
      std::size_t count = 0;
      for (const auto& [key, number] : numbers) count += key.starts_with(*active.begin()) ? 1 : 0;
      if (count < seen) return "there were " + std::to_string(seen) + " and now " + std::to_string(count);
      seen = count;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return std::string();
  });
  const AtEnd end_reading([&] { over = true; });
  Gateway gate;
  std::atomic<bool> held = false;
  const auto slow = tally(harness);
  slow->before = [&](const RecordedEvent& event, ProjectionContext& context) {
    // Where there is one writer, nobody else could write while a handler waits.
    if (context.generation() == 2 && event.version == Version(30) && !held.exchange(true)) throw Refusal("wait");
  };
  ProjectionOptions options = options_of(short_lease);
  options.on_error.retries = 2;
  options.trouble = [&](const Error&) { gate.pass(); };
  options.batch = 1;
  auto rebuild = std::async(std::launch::async, [&] { return rebuild_projection(other, *slow, options); });
  const AtEnd end_waiting([&] { gate.open(); });
  ASSERT_TRUE(gate.wait_for_arrival());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(runner.wait_for(append(store, "b"), patience())) << "it goes on meanwhile";
  EXPECT_EQ(state_of(store).active_generation, 1);
  expect_all_once(harness, store, 1);
  TallyProjection second(harness);
  expect_error(ErrorCode::busy, "rebuilt", [&] { rebuild_projection(store, second, options_of()); });
  gate.open();
  EXPECT_EQ(rebuild.get(), 2);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(runner.wait_for(append(store, "c"), patience()));
  over = true;
  EXPECT_EQ(read_on.get(), "");
  expect_all_once(harness, store, 2);
  EXPECT_EQ(generations(harness), std::set<std::string>{"g2"}) << "the old one was dropped";
  EXPECT_EQ(harness.counters().read().at("active/2"), 1);
  const ProjectionState state = state_of(store);
  EXPECT_EQ(state.active_generation, 2);
  EXPECT_EQ(state.checkpoints.size(), 1u);
}

/// Calls something before each transaction of a read model.
class BeforeTransactions final : public ForwardingDriver {
 public:
  BeforeTransactions(std::shared_ptr<Driver> inner, std::function<void()> call)
      : ForwardingDriver(std::move(inner)), call_(std::move(call)) {}
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    call_();
    return ForwardingDriver::begin_read_model(idle_limit);
  }

 private:
  const std::function<void()> call_;
};

/// Whether the database answers while a transaction is open. One with a single session for everything does not.
bool answers_inside_a_transaction(Driver& driver) {
  const auto transaction = driver.begin_read_model();
  try {
    driver.find_projection({"tally", ""});
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Between its last look at the log and the switch, the active generation gets ahead.
void a_switch_takes_along_what_came_last(Harness& harness) {
  EventStore store = open_store(harness);
  if (!answers_inside_a_transaction(store.driver())) return;
  ProjectionRunner runner(store, tally(harness), options_of(short_lease));
  ASSERT_TRUE(runner.wait_for(append(store, "a"), patience()));
  int transactions = 0;
  int late = 0;
  EventStore rebuilding(std::make_unique<BeforeTransactions>(harness.open(), [&] {
    // The first makes the tables, the second applies the one event there is, the third switches.
    if (++transactions == 3) late += runner.wait_for(append(store, "late", 3), patience()) ? 1 : 0;
    // The fourth drops the old generation: this is what readers had since the switch.
    if (transactions == 4) {
      runner.pause();
      late += effects(harness, 2).size() >= 4 ? 1 : 0;
    }
  }));
  TallyProjection projection(harness);
  EXPECT_EQ(rebuild_projection(rebuilding, projection, options_of(short_lease)), 2);
  EXPECT_EQ(late, 2) << "what the active generation had shown was gone for a while";
  EXPECT_EQ(transactions, 4);
  runner.resume();
  ASSERT_TRUE(runner.wait_for(append(store, "a"), patience()));
  expect_all_once(harness, store, 2);
}

// The old generation's tables are gone before its runner knows.
void whose_generation_was_replaced_does_not_fail(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 5);
  const auto projection = tally(harness);
  std::atomic<bool> dropped = false;
  projection->before = [&](const RecordedEvent&, ProjectionContext& context) {
    if (context.generation() == 1 && dropped) throw Refusal("no such table");
  };
  ProjectionOptions options = options_of(std::chrono::hours(1));
  options.on_error.retries = 0;
  ProjectionRunner runner(store, projection, options);
  ASSERT_TRUE(runner.wait_for(store.log_end(), patience()));
  ASSERT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  TallyProjection rebuilt(harness);
  EXPECT_EQ(rebuild_projection(store, rebuilt, options), 2);
  dropped = true;
  ASSERT_TRUE(runner.wait_for(append(store, "a", 5), patience()));
  runner.stop();
  EXPECT_FALSE(runner.error());
  expect_all_once(harness, store, 2);
}

void a_rebuild_that_fails_leaves_the_active_one(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  TallyProjection good(harness);
  run_projection(store, good, options_of());
  TallyProjection bad(harness);
  bad.after = [](const RecordedEvent& event, ProjectionContext&) {
    if (event.version == Version(7)) throw Refusal("not this one");
  };
  ProjectionOptions options = options_of();
  options.batch = 2;
  expect_error(ErrorCode::handler_failed, "not this one", [&] { rebuild_projection(store, bad, options); });
  EXPECT_EQ(state_of(store).active_generation, 1);
  EXPECT_EQ(state_of(store).checkpoints.size(), 1u);
  EXPECT_EQ(generations(harness), std::set<std::string>{"g1"});
  expect_all_once(harness, store, 1);
  append(store, "a", 10);
  EXPECT_EQ(rebuild_projection(store, good, options_of()), 2);
  expect_all_once(harness, store, 2);
}

void the_next_rebuild_removes_what_a_dead_one_left(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  TallyProjection good(harness);
  run_projection(store, good, options_of());
  {
    const auto doomed = std::make_shared<Doomed>(harness.open());
    EventStore dying(share(doomed));
    TallyProjection bad(harness);
    bad.before = [&](const RecordedEvent& event, ProjectionContext&) {
      if (event.version == Version(5)) doomed->dead = true;
    };
    ProjectionOptions options = options_of(short_lease);
    options.batch = 2;
    EXPECT_THROW(rebuild_projection(dying, bad, options), Error);
  }
  EXPECT_EQ(state_of(store).active_generation, 1);
  EXPECT_EQ(state_of(store).checkpoints.size(), 2u) << "it left something";
  EXPECT_EQ(generations(harness), (std::set<std::string>{"g1", "g2"}));
  expect_all_once(harness, store, 1);
  append(store, "a", 10);
  // Until its lease has run out, it may be alive.
  int refused = 0;
  std::int32_t generation = 0;
  ASSERT_TRUE(comes_true([&] {
    try {
      generation = rebuild_projection(store, good, options_of());
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
      ++refused;
      return false;
    }
  }));
  EXPECT_EQ(generation, 2);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(harness.counters().read().at("g2/created"), 1) << "the dead one's tables were dropped";
  expect_all_once(harness, store, 2);
  EXPECT_EQ(generations(harness), std::set<std::string>{"g2"});
}

/// Has looked at the projections a while ago.
class LongAgo final : public ForwardingDriver {
 public:
  LongAgo(std::shared_ptr<Driver> inner, ProjectionState seen)
      : ForwardingDriver(std::move(inner)), seen_(std::move(seen)) {}
  ProjectionState open_projection(const driver::ProjectionKey&, std::int32_t, Position,
                                  driver::ProjectionKind) override {
    return seen_;
  }

 private:
  const ProjectionState seen_;
};

// What was being built when it looked is what everybody reads when it goes on.
void what_was_switched_to_is_no_leftover(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  TallyProjection projection(harness);
  run_projection(store, projection, options_of());
  store.driver().add_generation({"tally", ""});
  const ProjectionState seen = state_of(store);
  store.driver().remove_generation({"tally", ""}, 2);
  EXPECT_EQ(rebuild_projection(store, projection, options_of()), 2);
  {
    EventStore late(std::make_unique<LongAgo>(harness.open(), seen));
    expect_error(ErrorCode::busy, "rebuilt", [&] { rebuild_projection(late, projection, options_of()); });
  }
  EXPECT_EQ(state_of(store).active_generation, 2);
  expect_all_once(harness, store, 2);
  EXPECT_EQ(rebuild_projection(store, projection, options_of()), 3);
  expect_all_once(harness, store, 3);
}

// Somebody else took the next number, and has given up since.
void generations_have_no_gaps(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  TallyProjection projection(harness);
  run_projection(store, projection, options_of());
  const ProjectionState seen = state_of(store);
  store.driver().add_generation({"tally", ""});
  {
    EventStore late(std::make_unique<LongAgo>(harness.open(), seen));
    expect_error(ErrorCode::busy, "rebuilt", [&] { rebuild_projection(late, projection, options_of()); });
  }
  EXPECT_EQ(state_of(store).checkpoints.size(), 2u) << "it removed its own";
  EXPECT_EQ(rebuild_projection(store, projection, options_of()), 2);
  expect_all_once(harness, store, 2);
}

void rebuilds_race(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 20);
  harness.counters();
  std::int32_t last = 1;
  for (int round = 0; round < rounds(10, 3); ++round) {
    std::atomic<int> won = 0;
    std::atomic<int> lost = 0;
    in_threads(3, [&](int) {
      TallyProjection projection(harness);
      try {
        rebuild_projection(store, projection, options_of());
        ++won;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::busy) << error.what();
        ++lost;
      }
    });
    EXPECT_EQ(won + lost, 3);
    const ProjectionState state = state_of(store);
    EXPECT_EQ(state.active_generation, last + won);
    EXPECT_EQ(state.checkpoints.size(), 1u);
    last = state.active_generation;
    if (last > 1) {
      expect_all_once(harness, store, last);
      EXPECT_EQ(generations(harness), std::set<std::string>{"g" + std::to_string(last)});
    }
  }
}

void a_reset_begins_anew(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  TallyProjection projection(harness);
  {
    ProjectionRunner runner(store, tally(harness), options_of());
    ASSERT_TRUE(runner.wait_for(store.log_end(), patience()));
    expect_error(ErrorCode::busy, "running", [&] { reset_projection(store, projection, options_of()); });
  }
  expect_all_once(harness, store);
  reset_projection(store, projection, options_of());
  EXPECT_FALSE(store.driver().find_projection({"tally", ""}));
  EXPECT_TRUE(generations(harness).empty());
  reset_projection(store, projection, options_of());
  append(store, "a", 5);
  run_projection(store, projection, options_of());
  expect_all_once(harness, store);
}

// --- Groups

void a_group_has_everything_once_while_members_come_and_go(Harness& harness) {
  constexpr int streams = 40;
  constexpr std::int32_t parts = 8;
  EventStore store = open_store(harness);
  ProjectionOptions options = options_of(short_lease);
  options.parts = parts;
  options.batch = 10;

  std::mutex mutex;
  std::map<std::string, std::int64_t> versions;  // The highest that was applied.
  std::vector<std::string> out_of_order;
  const auto member = [&] {
    const auto projection = tally(harness);
    projection->before = [&](const RecordedEvent& event, ProjectionContext&) {
      const std::lock_guard lock(mutex);
      std::int64_t& version = versions[event.stream.id];
      if (event.version.value() > version + 1) {
        out_of_order.push_back(event.stream.id + ": " + std::to_string(event.version.value()) + " after " +
                               std::to_string(version));
      }
      version = std::max(version, event.version.value());
    };
    return projection;
  };
  Position last;
  const auto append_to_all = [&] {
    for (int i = 0; i < streams; ++i) last = append(store, "s" + std::to_string(i), 2);
  };
  std::vector<EventStore> stores;
  for (int i = 0; i < 3; ++i) stores.push_back(open_store(harness));
  const auto doomed = std::make_shared<Doomed>(harness.open());
  EventStore doomed_store(share(doomed));

  append_to_all();
  ProjectionRunner a(stores[0], member(), options);
  ASSERT_TRUE(a.wait_for(last, patience()));
  EXPECT_EQ(a.parts().size(), static_cast<std::size_t>(parts)) << "alone, it has all";
  expect_all_once(harness, store);

  auto b = std::make_unique<ProjectionRunner>(stores[1], member(), options);
  ProjectionRunner c(stores[2], member(), options);
  auto d = std::make_unique<ProjectionRunner>(doomed_store, member(), options);
  const AtEnd let_go([&] { doomed->open_gates(); });
  append_to_all();
  const auto all_have = [](std::initializer_list<const ProjectionRunner*> runners, std::size_t least,
                           std::size_t most) {
    std::size_t sum = 0;
    for (const ProjectionRunner* runner : runners) {
      const std::size_t count = runner->parts().size();
      if (count < least || count > most) return false;
      sum += count;
    }
    return sum == static_cast<std::size_t>(parts);
  };
  ASSERT_TRUE(comes_true([&] { return all_have({&a, b.get(), &c, d.get()}, 2, 2); })) << "a fair share";
  append_to_all();
  ASSERT_TRUE(a.wait_for(last, patience()));
  expect_all_once(harness, store);

  // One leaves, one dies.
  append_to_all();
  b.reset();
  doomed->held_up = true;
  append_to_all();
  ASSERT_TRUE(doomed->at_transaction.wait_for_arrival());
  doomed->dead = true;
  append_to_all();
  ASSERT_TRUE(comes_true([&] { return all_have({&a, &c}, 4, 4); })) << "the others take over";
  ASSERT_TRUE(a.wait_for(last, patience()));
  expect_all_once(harness, store);
  doomed->held_up = false;
  doomed->open_gates();
  d.reset();
  append_to_all();
  ASSERT_TRUE(c.wait_for(last, patience()));
  expect_all_once(harness, store);
  EXPECT_EQ(out_of_order, std::vector<std::string>());
}

// Three members run the active generation while another builds the next one, and appends go on.
void a_rebuild_stands_beside_a_group(Harness& harness) {
  constexpr int streams = 12;
  EventStore store = open_store(harness);
  ProjectionOptions options = options_of(short_lease);
  options.parts = 4;
  options.batch = 10;
  const auto append_to_all = [&] {
    Position last;
    for (int i = 0; i < streams; ++i) last = append(store, "s" + std::to_string(i), 2);
    return last;
  };
  append_to_all();
  std::vector<EventStore> stores;
  for (int i = 0; i < 3; ++i) stores.push_back(open_store(harness));
  std::vector<std::unique_ptr<ProjectionRunner>> members;
  for (EventStore& of_member : stores) {
    members.push_back(std::make_unique<ProjectionRunner>(of_member, tally(harness), options));
  }
  ASSERT_TRUE(comes_true([&] {
    return std::all_of(members.begin(), members.end(), [](const auto& member) { return !member->parts().empty(); });
  })) << "each has a share";
  ASSERT_TRUE(members[0]->wait_for(append_to_all(), patience()));
  for (std::int32_t generation = 2; generation <= 3; ++generation) {
    std::atomic<bool> over = false;
    auto writing = std::async(std::launch::async, [&] {
      // Not without end: on a slow machine one thread would not catch up with all the others.
      for (int n = 0; n < rounds(30, 10) && !over; ++n) append_to_all();
    });
    const AtEnd end_writing([&] { over = true; });
    TallyProjection projection(harness);
    EXPECT_EQ(rebuild_projection(store, projection, options), generation);
    over = true;
    writing.get();
    const Position last = append_to_all();
    for (const auto& member : members) ASSERT_TRUE(member->wait_for(last, patience()));
    expect_all_once(harness, store, generation);
    EXPECT_EQ(generations(harness), std::set<std::string>{"g" + std::to_string(generation)});
    EXPECT_EQ(state_of(store).checkpoints.size(), 4u);
  }
  for (const auto& member : members) EXPECT_FALSE(member->error());
}

void a_part_applies_its_streams_alone(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 20; ++i) append(store, "s" + std::to_string(i), 2);
  ProjectionOptions options = options_of();
  options.parts = 3;
  TallyProjection projection(harness);
  EXPECT_GE(run_projection(store, projection, options), store.log_end());
  expect_all_once(harness, store);
  for (const PartState& part : state_of(store).checkpoints) EXPECT_GE(part.position, store.log_end());
  options.parts = 2;
  expect_error(ErrorCode::invalid_argument, "3 parts", [&] { run_projection(store, projection, options); });
  expect_error(ErrorCode::invalid_argument, "3 parts", [&] { ProjectionRunner(store, tally(harness), options); });
  options.parts = 3;
  EXPECT_EQ(rebuild_projection(store, projection, options), 2);
  expect_all_once(harness, store, 2);
  EXPECT_EQ(state_of(store).checkpoints.size(), 3u);
}

/// Says if two make its tables at once.
class Careful final : public Projection {
 public:
  std::atomic<int> inside = 0;
  std::atomic<bool> together = false;
  std::atomic<int> applied = 0;

  std::string name() const override { return "tally"; }
  void create(ProjectionContext&) override {
    if (++inside > 1) together = true;
    std::this_thread::sleep_for(milliseconds(5));
    --inside;
  }
  void apply(const RecordedEvent&, ProjectionContext&) override { ++applied; }
};

void tables_are_made_by_one_at_a_time(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 30; ++i) append(store, "s" + std::to_string(i));
  ProjectionOptions options = options_of();
  options.parts = 8;
  const auto projection = std::make_shared<Careful>();
  ProjectionRunner runner(store, projection, options);
  ASSERT_TRUE(runner.wait_for(store.log_end(), patience()));
  EXPECT_FALSE(projection->together);
  EXPECT_EQ(projection->applied, 30);
}

// --- Pausing and stopping

void a_paused_runner_begins_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  ProjectionRunner runner(store, tally(harness), options_of());
  ASSERT_TRUE(runner.wait_for(append(store, "a", 3), patience()));
  runner.pause();
  EXPECT_EQ(runner.state(), State::paused);
  const auto before = effects(harness);
  const Position last = append(store, "a", 3);
  EXPECT_FALSE(runner.wait_for(last, milliseconds(50)));
  EXPECT_EQ(effects(harness), before);
  EXPECT_TRUE(state_of(store).checkpoints.at(0).leased) << "it keeps its lease";
  runner.resume();
  ASSERT_TRUE(runner.wait_for(last, patience()));
  EXPECT_TRUE(comes_true([&] { return runner.state() == State::live; }));
  runner.pause();
  runner.stop();
  EXPECT_EQ(runner.state(), State::stopped);
  runner.stop();
  runner.join();
  EXPECT_FALSE(state_of(store).checkpoints.at(0).leased);
}

void stopping_waits_for_the_transaction(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a");
  Gateway gate;
  const auto projection = tally(harness);
  projection->before = [&](const RecordedEvent&, ProjectionContext&) { gate.pass(); };
  ProjectionRunner runner(store, projection, options_of());
  ASSERT_TRUE(gate.wait_for_arrival());
  auto stopping = std::async(std::launch::async, [&] { runner.stop(); });
  const AtEnd end_waiting([&] { gate.open(); });
  EXPECT_EQ(stopping.wait_for(milliseconds(20)), std::future_status::timeout);
  gate.open();
  ASSERT_EQ(stopping.wait_for(patience()), std::future_status::ready);
  expect_all_once(harness, store);
  EXPECT_FALSE(state_of(store).checkpoints.at(0).leased);
}

void it_may_be_stopped_from_inside(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a");
  const auto projection = tally(harness);
  std::promise<ProjectionRunner*> made;
  auto runner_of = made.get_future().share();
  projection->before = [&](const RecordedEvent&, ProjectionContext&) {
    ProjectionRunner& runner = *runner_of.get();
    expect_error(ErrorCode::invalid_argument, "itself", [&] { runner.join(); });
    EXPECT_FALSE(runner.wait_for(Position(1'000'000), patience()));
    runner.pause();
    runner.resume();
    runner.stop();
  };
  ProjectionRunner runner(store, projection, options_of());
  made.set_value(&runner);
  runner.join();
  EXPECT_EQ(runner.state(), State::stopped);
  expect_all_once(harness, store);
}

// --- Inline

void an_inline_projection_is_there_when_append_returns(Harness& harness) {
  EventStore store = open_store(harness);
  const auto projection = tally(harness);
  projection->only.event_types = {"wanted"};
  store.use_inline_projection(projection);
  EXPECT_EQ(harness.counters().read().at("active/1"), 1);
  expect_error(ErrorCode::invalid_argument, "tally", [&] { store.use_inline_projection(tally(harness)); });
  append(store, "a", 2);
  EXPECT_TRUE(effects(harness).empty()) << "its filter holds";
  for (int i = 0; i < 5; ++i) {
    append(store, "a", 2, "wanted");
    expect_all_once(harness, store, 1, projection->only);
  }
  std::vector<AppendRequest> several;
  for (int i = 0; i < 3; ++i) {
    several.push_back(request(thing("m" + std::to_string(i)), ExpectedVersion::any(), {event("wanted"), event()}));
  }
  store.append_all(several);
  expect_all_once(harness, store, 1, projection->only);
  in_threads(4, [&](int i) {
    for (int n = 0; n < rounds(20, 5); ++n) append(store, "t" + std::to_string(i), 1, "wanted");
  });
  expect_all_once(harness, store, 1, projection->only);
  EXPECT_TRUE(store.verify().ok());
}

void what_an_inline_projection_throws_rolls_the_append_back(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 1);
  const auto projection = tally(harness);
  std::atomic<bool> refuse = true;
  projection->after = [&](const RecordedEvent&, ProjectionContext&) {
    if (refuse) throw Refusal("no");
  };
  store.use_inline_projection(projection);
  AppendRequest refused = request(command("r-1"), thing("a"), ExpectedVersion::exactly(1), events(2));
  expect_nothing_written(store, [&] {
    try {
      store.append(refused);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Refusal& refusal) {
      EXPECT_STREQ(refusal.what(), "no");
    }
  });
  EXPECT_TRUE(effects(harness).empty());
  refuse = false;
  EXPECT_EQ(store.append(refused).status, AppendStatus::appended);
  EXPECT_EQ(effects(harness), once(log_events(store, {.after = Position(1)})));
  const auto before = effects(harness);
  EXPECT_EQ(store.append(refused).status, AppendStatus::replayed);
  EXPECT_EQ(store.append(request(thing("a"), ExpectedVersion::no_stream(), events(1))).status, AppendStatus::conflict);
  EXPECT_EQ(effects(harness), before) << "nothing new, and nothing twice";
}

void an_inline_projection_gets_todays_events(Harness& harness) {
  EventStore store = open_store(harness);
  const auto upcasters = std::make_shared<Upcasters>();
  upcasters->drop({"gone", 1});
  upcasters->add(EventForm{"old", 1}, {{"new", 1}}, [](const RecordedEvent& event) {
    std::vector<RecordedEvent> one(1, event);
    one[0].type = "new";
    return one;
  });
  const auto projection = tally(harness);
  projection->only.event_types = {"new"};
  std::vector<std::string> types;
  projection->before = [&](const RecordedEvent& event, ProjectionContext&) { types.push_back(event.type); };
  store.use_inline_projection(projection);
  store.use_upcasters(upcasters);
  for (const char* type : {"gone", "old", "new", "other"}) append(store, "a", 1, type);
  EXPECT_EQ(types, (std::vector<std::string>{"new", "new"}));
}

void an_inline_projection_is_filled_first(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 10);
  const auto projection = tally(harness);
  run_projection(store, *projection, options_of());
  append(store, "a", 2);
  expect_error(ErrorCode::invalid_argument, "'tally' is at position", [&] { store.use_inline_projection(projection); });
  {
    ProjectionRunner runner(store, projection, options_of());
    ASSERT_TRUE(runner.wait_for(store.log_end(), patience()));
    expect_error(ErrorCode::busy, "running", [&] { store.use_inline_projection(projection); });
  }
  run_projection(store, *projection, options_of());
  store.use_inline_projection(projection);
  append(store, "a", 10);
  expect_all_once(harness, store);
  EventStore other = open_store(harness);
  other.use_inline_projection(tally(harness));
  append(other, "a", 10);
  expect_all_once(harness, store);
  EXPECT_EQ(projection_statuses(store).at(0).lag, 0);
}

class Nowhere final : public Publisher {
 public:
  void publish(std::span<const RecordedEvent>) override {}
};

// Two that shared a checkpoint would each miss what the other was given.
void one_name_is_not_used_in_two_ways(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, "a", 3);
  TallyProjection projection(harness);
  const auto project = [&] { run_projection(store, projection, options_of()); };
  const auto keep_projecting = [&] { ProjectionRunner(store, tally(harness), options_of()); };
  const auto rebuild = [&] { rebuild_projection(store, projection, options_of()); };
  const auto subscribe = [&] {
    SubscriptionOptions options;
    options.name = "tally";
    Subscription(store, options, [](const RecordedEvent&) {});
  };
  const auto relay = [&] {
    RelayOptions options;
    options.name = "tally";
    Relay(store, std::make_shared<Nowhere>(), options);
  };
  const auto apply_inline = [&] { store.use_inline_projection(tally(harness)); };
  const auto refused = [&](const std::string& is, const std::vector<std::function<void()>>& uses) {
    for (const std::function<void()>& use : uses) expect_error(ErrorCode::invalid_argument, "'tally' is " + is, use);
  };
  subscribe();
  refused("a subscription", {project, keep_projecting, rebuild, relay, apply_inline});
  refused("a subscription", {[&] { reset_projection(store, projection, options_of()); }});
  subscribe();
  EXPECT_EQ(state_of(store).kind, driver::ProjectionKind::subscription);
  forget_progress(store, {"tally", ""});
  EXPECT_FALSE(store.driver().find_projection({"tally", ""}));
  relay();
  refused("a relay", {project, keep_projecting, rebuild, subscribe, apply_inline});
  forget_progress(store, {"tally", ""});
  project();
  refused("a projection", {subscribe, relay});
  keep_projecting();
  EXPECT_EQ(state_of(store).kind, driver::ProjectionKind::projection);
  expect_all_once(harness, store);
}

void what_is_applied_inline_is_not_run_as_well(Harness& harness) {
  EventStore store = open_store(harness);
  store.use_inline_projection(tally(harness));
  append(store, "a", 3);
  EventStore other = open_store(harness);
  TallyProjection projection(harness);
  const std::string is = "'tally' is an inline projection";
  expect_error(ErrorCode::invalid_argument, is, [&] { run_projection(other, projection, options_of()); });
  expect_error(ErrorCode::invalid_argument, is, [&] { ProjectionRunner(other, tally(harness), options_of()); });
  expect_error(ErrorCode::invalid_argument, is, [&] { rebuild_projection(other, projection, options_of()); });
  append(store, "a", 3);
  expect_all_once(harness, store);
  EXPECT_EQ(generations(harness), std::set<std::string>{"g1"});
}

// Its appends fail rather than to write tables that nobody knows any more, or that somebody else fills.
void who_writes_inline_notices_a_reset(Harness& harness) {
  EventStore store = open_store(harness);
  const auto projection = tally(harness);
  store.use_inline_projection(projection);
  append(store, "a", 3);
  EventStore other = open_store(harness);
  reset_projection(other, *projection, options_of());
  EXPECT_TRUE(generations(harness).empty());
  const auto refused = [&] {
    expect_nothing_written(store, [&] {
      expect_error(ErrorCode::invalid_argument, "'tally' is not inline any more", [&] { append(store, "a"); });
    });
  };
  refused();
  run_projection(other, *projection, options_of());
  refused();
  expect_all_once(harness, store);
  other.use_inline_projection(tally(harness));
  append(other, "a", 2);
  append(store, "a", 2);
  expect_all_once(harness, store);
}

constexpr Case all_projection_cases[] = {
    {"G13", "every_event_takes_effect_once", needs_read_models, every_event_takes_effect_once},
    {"G13", "what_fails_is_rolled_back_and_ends_it", needs_read_models, what_fails_is_rolled_back_and_ends_it},
    {"G13", "what_fails_for_a_while_takes_effect_once", needs_read_models, what_fails_for_a_while_takes_effect_once},
    {"G13", "what_cannot_be_applied_goes_to_the_dead_letters", needs_read_models,
     what_cannot_be_applied_goes_to_the_dead_letters},
    {"G13", "a_zombie_commits_nothing", needs_read_models, a_zombie_commits_nothing},
    {"G13", "one_runs_and_the_others_wait", needs_read_models, one_runs_and_the_others_wait},
    {"G13", "a_checkpoint_moves_past_what_is_filtered", needs_read_models, a_checkpoint_moves_past_what_is_filtered},
    {"G13", "a_checkpoint_moves_past_what_is_upcast_to_nothing", needs_read_models,
     a_checkpoint_moves_past_what_is_upcast_to_nothing},
    {"G14", "a_tenant_has_a_checkpoint_of_its_own", needs_read_models, a_tenant_has_a_checkpoint_of_its_own},
    {"API", "lag_is_what_is_to_be_done", needs_read_models, lag_is_what_is_to_be_done},
    {"G13", "a_rebuild_stands_beside_the_active_one", needs_read_models, a_rebuild_stands_beside_the_active_one},
    {"G13", "a_switch_takes_along_what_came_last", needs_read_models, a_switch_takes_along_what_came_last},
    {"G13", "whose_generation_was_replaced_does_not_fail", needs_read_models,
     whose_generation_was_replaced_does_not_fail},
    {"G13", "a_rebuild_that_fails_leaves_the_active_one", needs_read_models,
     a_rebuild_that_fails_leaves_the_active_one},
    {"G13", "the_next_rebuild_removes_what_a_dead_one_left", needs_read_models,
     the_next_rebuild_removes_what_a_dead_one_left},
    {"G13", "rebuilds_race", needs_read_models, rebuilds_race},
    {"G13", "what_was_switched_to_is_no_leftover", needs_read_models, what_was_switched_to_is_no_leftover},
    {"G13", "generations_have_no_gaps", needs_read_models, generations_have_no_gaps},
    {"G13", "a_reset_begins_anew", needs_read_models, a_reset_begins_anew},
    {"G13", "a_group_has_everything_once_while_members_come_and_go", needs_read_models,
     a_group_has_everything_once_while_members_come_and_go},
    {"G13", "a_rebuild_stands_beside_a_group", needs_read_models, a_rebuild_stands_beside_a_group},
    {"G13", "a_part_applies_its_streams_alone", needs_read_models, a_part_applies_its_streams_alone},
    {"G13", "tables_are_made_by_one_at_a_time", needs_read_models, tables_are_made_by_one_at_a_time},
    {"API", "a_paused_runner_begins_nothing", needs_read_models, a_paused_runner_begins_nothing},
    {"API", "stopping_waits_for_the_transaction", needs_read_models, stopping_waits_for_the_transaction},
    {"API", "it_may_be_stopped_from_inside", needs_read_models, it_may_be_stopped_from_inside},
    {"G13", "an_inline_projection_is_there_when_append_returns", needs_read_models,
     an_inline_projection_is_there_when_append_returns},
    {"G4", "what_an_inline_projection_throws_rolls_the_append_back", needs_read_models,
     what_an_inline_projection_throws_rolls_the_append_back},
    {"API", "an_inline_projection_gets_todays_events", needs_read_models, an_inline_projection_gets_todays_events},
    {"API", "an_inline_projection_is_filled_first", needs_read_models, an_inline_projection_is_filled_first},
    {"G13", "one_name_is_not_used_in_two_ways", needs_read_models, one_name_is_not_used_in_two_ways},
    {"G13", "what_is_applied_inline_is_not_run_as_well", needs_read_models, what_is_applied_inline_is_not_run_as_well},
    {"G13", "who_writes_inline_notices_a_reset", needs_read_models, who_writes_inline_notices_a_reset},
};

}  // namespace

std::span<const Case> projection_cases() {
  return all_projection_cases;
}

}  // namespace stele::testing
