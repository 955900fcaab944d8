// Subscriptions and relays: everything once and in order, whoever appends meanwhile, whoever fails, whoever takes over.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "stele/testing/forwarding_driver.h"
#include "support.h"

namespace stele::testing {
namespace {

using namespace std::chrono_literals;
using State = Subscription::State;

/// Appends, and returns where the last event went. Throws at once if it is not there: nobody has to wait for it then.
Position append(EventStore& store, const StreamKey& stream, std::vector<NewEvent> made) {
  const AppendResult result = store.append(stream, ExpectedVersion::any(), std::move(made));
  if (!result.ok()) throw std::runtime_error("the append is answered with " + describe(result));
  const std::optional<StreamInfo> info = store.stream_info(stream);
  if (!info || info->version < result.streams.at(0).last_version) throw std::runtime_error("the append left nothing");
  return result.last_position();
}

std::vector<NewEvent> typed(const std::string& type, int count = 1) {
  std::vector<NewEvent> made;
  for (int i = 0; i < count; ++i) made.push_back(event(type));
  return made;
}

/// What a handler was given. Thread-safe.
class Recorder {
 public:
  void operator()(const RecordedEvent& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }
  std::vector<RecordedEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<std::int64_t> positions() const { return testing::positions(events()); }
  std::vector<std::string> types() const {
    std::vector<std::string> types;
    for (const RecordedEvent& event : events()) types.push_back(event.type);
    return types;
  }
  std::function<void(const RecordedEvent&)> handler() {
    return [this](const RecordedEvent& event) { (*this)(event); };
  }

 private:
  mutable std::mutex mutex_;
  std::vector<RecordedEvent> events_;
};

/// Lets handlers go on one by one.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait_for(lock, patience(), [this] { return open_ > 0; });
    --open_;
  }
  void open(int times) {
    const std::lock_guard lock(mutex_);
    open_ += times;
    changed_.notify_all();
  }
  bool wait_for(int arrived) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience(), [&] { return arrived_ >= arrived; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  int open_ = 0;
};

SubscriptionOptions from(Start start) {
  SubscriptionOptions options;
  options.start = start;
  options.poll_interval = 100ms;
  options.on_error = {.retries = 2, .first_pause = 1ms, .longest_pause = 2ms};
  return options;
}

SubscriptionOptions named(const std::string& name, Start start = Start::beginning()) {
  SubscriptionOptions options = from(start);
  options.name = name;
  options.lease = 1500ms;  // Longer than a slow server needs for a new connection.
  return options;
}

Position saved(EventStore& store, const std::string& name) {
  return store.driver().find_projection({name, ""}).value().checkpoints.at(0).position;
}

// --- Where it begins, and what it is given

void everything_in_order_and_live(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 5; ++i) append(store, thing(std::to_string(i % 2)), {full_event(i), full_event(10 + i)});
  Recorder recorder;
  Subscription subscription(store, from(Start::beginning()), recorder.handler());
  for (int i = 0; i < 5; ++i) {
    const Position last = append(store, thing(std::to_string(i)), {full_event(20 + i)});
    ASSERT_TRUE(subscription.wait_for(last, patience())) << i;
  }
  EXPECT_EQ(describe(recorder.events()), describe(log_events(store)));
  EXPECT_EQ(recorder.events().size(), 15u);
  EXPECT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
}

void after_a_position(Harness& harness) {
  EventStore store = open_store(harness);
  const Position first = append(store, thing("a"), events(3));
  const Position last = append(store, thing("a"), events(3, 4));
  Recorder recorder;
  Subscription subscription(store, from(Start::after(first)), recorder.handler());
  ASSERT_TRUE(subscription.wait_for(last, patience()));
  EXPECT_EQ(versions(recorder.events()), numbers(4, 6));
  Recorder nothing;
  Subscription at_the_end(store, from(Start::after(last)), nothing.handler());
  ASSERT_TRUE(at_the_end.wait_for(append(store, thing("a"), events(1, 7)), patience()));
  EXPECT_EQ(versions(nothing.events()), numbers(7, 7));
}

void from_now_on(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  append(store, thing("a"), events(3));
  Recorder recorder;
  Subscription subscription(store, from(Start::now()), recorder.handler());
  append(store, thing("a"), events(2, 4));
  ASSERT_TRUE(subscription.wait_for(append(other, thing("a"), events(2, 6)), patience()));
  EXPECT_EQ(versions(recorder.events()), numbers(4, 7));
}

void many_pages(Harness& harness) {
  EventStore store = open_store(harness);
  const int count = rounds(3000, 1100);
  const Position last = append(store, thing("a"), events(count));
  Recorder recorder;
  Subscription subscription(store, from(Start::beginning()), recorder.handler());
  ASSERT_TRUE(subscription.wait_for(last, patience()));
  EXPECT_EQ(versions(recorder.events()), numbers(1, count));
}

/// Appends from several threads, all the time, until it is told to stop.
class Writers {
 public:
  Writers(EventStore& first, EventStore& second) : stores_{&first, &second} {
    for (int i = 0; i < writers; ++i) {
      threads_.emplace_back([this, i] {
        bool first_time = true;
        try {
          while (first_time || !stop_) {
            const std::int64_t begun = ++clock_;
            const AppendResult result = stores_[i % 2]->append(thing(std::to_string(i)), ExpectedVersion::any(),
                                                               {event("happened"), event("happened")});
            if (!result.ok()) throw std::runtime_error(describe(result));
            std::this_thread::sleep_for(200us);  // The log has to stay short enough to be compared.
            const std::lock_guard lock(mutex_);
            appended_.push_back({begun, result.streams.at(0).first_position.value()});
            ++rounds_[i];
            if (std::exchange(first_time, false)) started_.count_down();
          }
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
          if (first_time) started_.count_down();
        }
      });
    }
    started_.wait();
  }
  ~Writers() { stop(); }

  /// Waits until every writer has begun and finished one more append.
  void one_more_each() {
    const std::map<int, int> before = counts();
    EXPECT_TRUE(comes_true([&] {
      const std::map<int, int> now = counts();
      return std::all_of(before.begin(), before.end(),
                         [&](const auto& entry) { return now.at(entry.first) >= entry.second + 2; });
    }));
  }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::int64_t now() { return ++clock_; }

  struct Append {
    std::int64_t begun;
    std::int64_t first_position;
  };
  const std::vector<Append>& appended() const { return appended_; }

 private:
  static constexpr int writers = 4;

  std::map<int, int> counts() {
    const std::lock_guard lock(mutex_);
    return rounds_;
  }

  EventStore* stores_[2];
  std::latch started_{writers};
  std::atomic<std::int64_t> clock_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::map<int, int> rounds_;
  std::vector<Append> appended_;
  std::vector<std::thread> threads_;
};

void racing_appends_and_a_start_from_now(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  for (int round = 0; round < rounds(10, 3); ++round) {
    Writers writers(store, other);
    writers.one_more_each();
    Recorder recorder;
    const Position log_before = round % 2 == 0 ? Position(0) : store.log_end();
    Subscription subscription(store, from(Start::now()), recorder.handler());
    const std::int64_t after = writers.now();
    writers.one_more_each();
    writers.stop();
    const std::vector<RecordedEvent> log = log_events(store);
    ASSERT_FALSE(log.empty());
    ASSERT_TRUE(subscription.wait_for(log.back().position, patience()));
    const std::vector<std::int64_t> seen = recorder.positions();
    ASSERT_FALSE(seen.empty());
    EXPECT_GT(seen.front(), log_before.value());
    // From its first event on it is the log, to the end: none missed, none twice.
    std::vector<std::int64_t> rest = positions(log);
    rest.erase(rest.begin(), std::ranges::find(rest, seen.front()));
    ASSERT_EQ(seen, rest);
    int must = 0;
    for (const Writers::Append& append : writers.appended()) {
      const bool there = std::ranges::binary_search(seen, append.first_position);
      if (append.begun > after) {
        EXPECT_TRUE(there) << "an append that began afterwards is missed, at " << append.first_position;
        ++must;
      }
    }
    EXPECT_GE(must, 4);
  }
}

void racing_appends_and_every_other_start(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  const Position middle = append(store, thing("first"), events(1));
  for (int round = 0; round < rounds(6, 2); ++round) {
    Writers writers(store, other);
    Recorder all;
    Recorder later;
    Recorder once_more;
    Subscription from_the_beginning(store, from(Start::beginning()), all.handler());
    Subscription from_the_middle(other, from(Start::after(middle)), later.handler());
    writers.one_more_each();
    // One that ends and comes back again and again.
    Position position;
    for (int i = 0; i < 5; ++i) {
      Subscription short_lived(other, from(Start::after(position)), once_more.handler());
      short_lived.wait_for(Position(position.value() + 5), patience());
      short_lived.stop();
      position = short_lived.position();
    }
    writers.stop();
    const std::vector<std::int64_t> log = positions(log_events(store));
    for (Subscription* subscription : {&from_the_beginning, &from_the_middle}) {
      ASSERT_TRUE(subscription->wait_for(Position(log.back()), patience()));
    }
    Subscription rest(other, from(Start::after(position)), once_more.handler());
    ASSERT_TRUE(rest.wait_for(Position(log.back()), patience()));
    EXPECT_EQ(all.positions(), log);
    EXPECT_EQ(later.positions(), std::vector<std::int64_t>(log.begin() + 1, log.end()));
    EXPECT_EQ(once_more.positions(), log);
  }
}

void many_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  constexpr int count = 20;
  append(store, thing("a"), events(10));
  std::vector<Recorder> recorders(count);
  std::vector<Subscription> subscriptions;
  for (int i = 0; i < count; ++i) {
    SubscriptionOptions options = i % 2 == 0 ? from(Start::beginning()) : named("number " + std::to_string(i));
    subscriptions.emplace_back(store, options, recorders[static_cast<std::size_t>(i)].handler());
  }
  in_threads(4, [&](int i) {
    for (int done = 0; done < 10; ++done) append(store, thing(std::to_string(i)), events(2));
  });
  const std::vector<std::int64_t> log = positions(log_events(store));
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(subscriptions[static_cast<std::size_t>(i)].wait_for(Position(log.back()), patience())) << i;
    EXPECT_EQ(recorders[static_cast<std::size_t>(i)].positions(), log) << i;
  }
}

void appends_of_other_processes_are_found(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  Recorder recorder;
  Subscription subscription(store, from(Start::now()), recorder.handler());
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::live; }));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(subscription.wait_for(append(other, thing("a"), events(1, i + 1)), patience())) << i;
  }
  EXPECT_EQ(versions(recorder.events()), numbers(1, 5));
}

// --- Filters

void filtered_as_reads_are(Harness& harness) {
  EventStore store = open_store(harness);
  for (int i = 0; i < 12; ++i) {
    NewEvent made = full_event(i);
    made.type = "type-" + std::to_string(i % 3);
    append(store, StreamKey(i % 2 == 0 ? "default" : "acme", i % 4 < 2 ? "thing" : "other", std::to_string(i)), {made});
  }
  std::vector<LogFilter> filters(5);
  filters[0].tenant = "acme";
  filters[1].stream_types = {"other"};
  filters[2].event_types = {"type-0", "type-2"};
  filters[3].tenant = "default";
  filters[3].event_types = {"type-1"};
  filters[4].correlation_id = full_event(3).correlation_id;
  const Position end = store.log_end();
  for (const LogFilter& filter : filters) {
    SubscriptionOptions options = from(Start::beginning());
    options.filter = filter;
    Recorder recorder;
    Subscription subscription(store, options, recorder.handler());
    ASSERT_TRUE(subscription.wait_for(end, patience()));
    LogReadOptions read;
    read.filter = filter;
    EXPECT_EQ(describe(recorder.events()), describe(log_events(store, read)));
    EXPECT_FALSE(recorder.events().empty());
    EXPECT_LT(recorder.events().size(), 12u);
  }
}

void a_filter_that_nothing_matches_moves_on(Harness& harness) {
  EventStore store = open_store(harness);
  SubscriptionOptions options = named("idle");
  options.filter.event_types = {"wanted"};
  Recorder recorder;
  {
    Subscription subscription(store, options, recorder.handler());
    const Position many = append(store, thing("a"), typed("other", rounds(1500, 600)));
    ASSERT_TRUE(subscription.wait_for(many, patience()));
    EXPECT_TRUE(comes_true([&] { return saved(store, "idle") >= many; }));
    const Position one = append(store, thing("b"), typed("other"));
    ASSERT_TRUE(subscription.wait_for(one, patience()));
    EXPECT_TRUE(comes_true([&] { return saved(store, "idle") >= one; })) << "the saved checkpoint stays behind";
  }
  // A type that nobody has appended yet, then.
  EXPECT_TRUE(recorder.events().empty());
  const Position wanted = append(store, thing("a"), typed("wanted"));
  const Position end = append(store, thing("a"), typed("other", 3));
  Subscription subscription(store, options, recorder.handler());
  ASSERT_TRUE(subscription.wait_for(end, patience()));
  EXPECT_EQ(recorder.positions(), std::vector<std::int64_t>{wanted.value()});
}

// --- Handlers that fail

void a_failed_handler_is_tried_again_in_order(Harness& harness) {
  EventStore store = open_store(harness);
  const Position last = append(store, thing("a"), events(6));
  Recorder recorder;
  int failures = 2;
  Subscription subscription(store, from(Start::beginning()), [&](const RecordedEvent& event) {
    if (event.version == Version(3) && failures-- > 0) throw std::runtime_error("not yet");
    recorder(event);
  });
  ASSERT_TRUE(subscription.wait_for(last, patience()));
  EXPECT_EQ(versions(recorder.events()), numbers(1, 6));
}

void a_handler_that_goes_on_failing_stops_it(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, thing("a"), events(5));
  Recorder recorder;
  std::atomic<bool> fails{true};
  const auto handler = [&](const RecordedEvent& event) {
    if (event.version == Version(3) && fails) throw std::runtime_error("never");
    recorder(event);
  };
  {
    Subscription subscription(store, named("strict"), handler);
    expect_error(ErrorCode::handler_failed, "never", [&] { subscription.join(); });
    EXPECT_EQ(subscription.state(), State::failed);
    ASSERT_TRUE(subscription.error());
  }
  EXPECT_EQ(versions(recorder.events()), numbers(1, 2));
  // What was handled before it is remembered.
  EXPECT_EQ(saved(store, "strict").value(), recorder.positions().back());
  fails = false;
  Subscription subscription(store, named("strict"), handler);
  ASSERT_TRUE(subscription.wait_for(store.log_end(), patience()));
  EXPECT_EQ(versions(recorder.events()), numbers(1, 5));
}

void dead_letters(Harness& harness) {
  EventStore store = open_store(harness);
  const Position last = append(store, thing("a"), events(6));
  SubscriptionOptions options = named("lenient");
  options.on_error.then = ErrorPolicy::Then::dead_letter;
  Recorder recorder;
  Subscription subscription(store, options, [&](const RecordedEvent& event) {
    if (event.version.value() % 3 == 0) throw std::runtime_error("divisible by three: \xC3\xA9\xE2\x82\xAC");
    recorder(event);
  });
  ASSERT_TRUE(subscription.wait_for(last, patience()));
  subscription.stop();
  EXPECT_EQ(versions(recorder.events()), (std::vector<std::int64_t>{1, 2, 4, 5}));
  EXPECT_EQ(saved(store, "lenient"), last);
  const std::vector<RecordedEvent> log = log_events(store);
  const std::vector<driver::DeadLetter> letters = store.driver().list_dead_letters({"lenient", ""}, 10);
  ASSERT_EQ(letters.size(), 2u);
  for (const std::size_t i : {0u, 1u}) {
    const RecordedEvent& event = log.at(3 * i + 2);
    EXPECT_EQ(letters[i].position, event.position);
    EXPECT_EQ(letters[i].event_id, event.event_id);
    EXPECT_EQ(letters[i].attempts, 3);
    EXPECT_EQ(letters[i].error, "handler_failed: divisible by three: \xC3\xA9\xE2\x82\xAC");
  }
}

// --- Pause, resume, stop

void pause_and_resume(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, thing("a"), events(4));
  Recorder recorder;
  Gate gate;
  Subscription subscription(store, named("paused"), [&](const RecordedEvent& event) {
    gate.pass();
    recorder(event);
  });
  ASSERT_TRUE(gate.wait_for(1));
  std::future<void> pausing = std::async(std::launch::async, [&] { subscription.pause(); });
  ASSERT_TRUE(comes_true([&] { return subscription.state() == State::paused; }));
  gate.open(100);
  pausing.get();
  EXPECT_EQ(versions(recorder.events()), numbers(1, 1));
  const Position last = append(store, thing("a"), events(4, 5));
  EXPECT_FALSE(subscription.wait_for(last, 300ms));
  EXPECT_EQ(versions(recorder.events()), numbers(1, 1));
  subscription.resume();
  ASSERT_TRUE(subscription.wait_for(last, patience()));
  EXPECT_EQ(versions(recorder.events()), numbers(1, 8));
}

void stop_waits_and_saves(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, thing("a"), events(10));
  Recorder recorder;
  Gate gate;
  gate.open(4);
  Subscription subscription(store, named("stopped"), [&](const RecordedEvent& event) {
    gate.pass();
    recorder(event);
  });
  ASSERT_TRUE(gate.wait_for(5));
  std::future<void> stopping = std::async(std::launch::async, [&] { subscription.stop(); });
  EXPECT_EQ(stopping.wait_for(50ms), std::future_status::timeout);
  gate.open(100);
  stopping.get();
  EXPECT_EQ(subscription.state(), State::stopped);
  EXPECT_EQ(versions(recorder.events()), numbers(1, 5));
  EXPECT_EQ(saved(store, "stopped").value(), recorder.positions().back());
  EXPECT_FALSE(store.driver().find_projection({"stopped", ""}).value().checkpoints.at(0).leased);
}

void stop_from_inside_a_handler(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, thing("a"), events(5));
  Recorder recorder;
  Subscription* self = nullptr;
  std::promise<void> made;
  Subscription subscription(store, named("self"), [&, ready = made.get_future().share()](const RecordedEvent& event) {
    ready.wait();
    recorder(event);
    if (event.version == Version(2)) self->stop();
  });
  self = &subscription;
  made.set_value();
  subscription.join();
  EXPECT_EQ(versions(recorder.events()), numbers(1, 2));
  EXPECT_EQ(saved(store, "self").value(), recorder.positions().back());
}

// --- With a name

void a_name_goes_on_where_it_was(Harness& harness) {
  EventStore store = open_store(harness);
  const Position second = append(store, thing("a"), events(2));
  append(store, thing("a"), events(3, 3));
  Recorder recorder;
  for (int round = 0; round < 3; ++round) {
    EventStore again = open_store(harness);
    // Where it was to start counts the first time only.
    Subscription subscription(again, named("kept", round == 0 ? Start::after(second) : Start::beginning()),
                              recorder.handler());
    const Position last = append(store, thing("a"), events(2, 6 + 2 * round));
    ASSERT_TRUE(subscription.wait_for(last, patience()));
  }
  EXPECT_EQ(versions(recorder.events()), numbers(3, 11));
}

void a_name_from_now_on_misses_nothing_while_nobody_runs_it(Harness& harness) {
  EventStore store = open_store(harness);
  for (const bool empty : {true, false}) {
    const std::string name = empty ? "first" : "second";
    Recorder recorder;
    { const Subscription subscription(store, named(name, Start::now()), recorder.handler()); }
    const Position last = append(store, thing(name), events(3));
    Subscription subscription(store, named(name, Start::now()), recorder.handler());
    ASSERT_TRUE(subscription.wait_for(last, patience()));
    EXPECT_EQ(versions(recorder.events()), numbers(1, 3));
  }
}

void one_runs_it_and_another_takes_over_when_it_stops(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  Recorder of_first;
  Recorder of_second;
  auto first = std::make_unique<Subscription>(store, named("shared"), of_first.handler());
  ASSERT_TRUE(first->wait_for(append(store, thing("a"), events(3)), patience()));
  Subscription second(other, named("shared"), of_second.handler());
  ASSERT_TRUE(comes_true([&] { return second.state() == State::waiting_for_lease; }));
  first.reset();
  ASSERT_TRUE(second.wait_for(append(store, thing("a"), events(3, 4)), patience()));
  EXPECT_EQ(versions(of_first.events()), numbers(1, 3));
  EXPECT_EQ(versions(of_second.events()), numbers(4, 6));
}

/// A process that stands still: whatever it asks of the database does not get there.
class Frozen final : public ForwardingDriver {
 public:
  Frozen(std::unique_ptr<driver::Driver> inner, const std::atomic<bool>& frozen)
      : ForwardingDriver(std::move(inner)), frozen_(frozen) {}

  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    check();
    ForwardingDriver::read_log(request, page);
  }
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time) override {
    check();
    return ForwardingDriver::acquire_lease(key, holder, time);
  }
  bool renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) override {
    check();
    return ForwardingDriver::renew_lease(lease, time);
  }
  void release_lease(const driver::Lease& lease) override {
    check();
    ForwardingDriver::release_lease(lease);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    check();
    return ForwardingDriver::begin_read_model(idle_limit);
  }

 private:
  void check() const {
    if (!frozen_) return;
    Error::Details details;
    details.retryable = true;
    throw Error(ErrorCode::cannot_connect, "this process stands still", details);
  }

  const std::atomic<bool>& frozen_;
};

void another_takes_over_when_the_lease_runs_out(Harness& harness) {
  std::atomic<bool> frozen{false};
  EventStore store(std::make_unique<Frozen>(harness.open(), frozen));
  EventStore other = open_store(harness);
  SubscriptionOptions options = named("shared");
  options.checkpoint_every = 1;
  Recorder of_first;
  Recorder of_second;
  Gate gate;
  gate.open(3);
  Subscription first(store, options, [&](const RecordedEvent& event) {
    of_first(event);
    gate.pass();
  });
  append(other, thing("a"), events(6));
  ASSERT_TRUE(gate.wait_for(4));
  Subscription second(other, options, of_second.handler());
  EXPECT_FALSE(second.wait_for(Position(1), options.lease * 3)) << "it has no lease, and the first one is only slow";
  frozen = true;  // In the middle of the fourth event.
  const Position last = append(other, thing("a"), events(2, 7));
  ASSERT_TRUE(second.wait_for(last, patience()));
  EXPECT_EQ(versions(of_second.events()), numbers(4, 8));
  second.stop();
  EXPECT_EQ(saved(other, "shared"), last);
  // The first one comes back to life. What it has done cannot move the checkpoint any more, and it goes on behind it.
  frozen = false;
  gate.open(100);
  ASSERT_TRUE(first.wait_for(append(other, thing("a"), events(1, 9)), patience()));
  first.stop();
  EXPECT_EQ(versions(of_first.events()), (std::vector<std::int64_t>{1, 2, 3, 4, 9}));
  EXPECT_GT(saved(other, "shared"), last);
}

void exactly_one_of_many_runs_it(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  constexpr int count = 6;
  Recorder recorder;
  std::atomic<int> inside{0};
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  for (int i = 0; i < count; ++i) {
    SubscriptionOptions options = named("contested");
    options.lease = 200ms;
    subscriptions.push_back(
        std::make_unique<Subscription>(i % 2 == 0 ? store : other, options, [&](const RecordedEvent& event) {
          EXPECT_EQ(++inside, 1);
          recorder(event);
          --inside;
        }));
  }
  std::vector<std::int64_t> log;
  for (int i = 0; i < count; ++i) {
    const Position last = append(store, thing("a"), events(3, 3 * i + 1));
    ASSERT_TRUE(comes_true([&] {
      const std::vector<std::int64_t> seen = recorder.positions();
      return !seen.empty() && seen.back() == last.value();
    })) << i;
    // Whoever runs it stops, and the next one goes on.
    const auto runs = std::ranges::find_if(
        subscriptions, [](const auto& s) { return s->state() == State::live || s->state() == State::catching_up; });
    ASSERT_NE(runs, subscriptions.end());
    subscriptions.erase(runs);
  }
  EXPECT_EQ(versions(recorder.events()), numbers(1, std::int64_t{3} * count));
}

// --- Relays

class Outbox final : public Publisher {
 public:
  void publish(std::span<const RecordedEvent> events) override {
    const std::lock_guard lock(mutex_);
    if (failures_ > 0) {
      --failures_;
      throw std::runtime_error("the other side is away");
    }
    for (const RecordedEvent& event : events) events_.push_back(event);
    ++batches_;
  }
  void fail(int times) {
    const std::lock_guard lock(mutex_);
    failures_ = times;
  }
  std::vector<RecordedEvent> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  int batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  std::mutex mutex_;
  std::vector<RecordedEvent> events_;
  int batches_ = 0;
  int failures_ = 0;
};

RelayOptions outbox(std::size_t batch) {
  RelayOptions options;
  options.name = "outbox";
  options.batch = batch;
  options.lease = 500ms;
  options.poll_interval = 100ms;
  options.first_pause = 1ms;
  options.longest_pause = 2ms;
  return options;
}

void a_relay_publishes_everything_in_order(Harness& harness) {
  EventStore store = open_store(harness);
  append(store, thing("a"), {full_event(1), full_event(2), full_event(3)});
  const auto publisher = std::make_shared<Outbox>();
  publisher->fail(5);
  {
    Relay relay(store, publisher, outbox(2));
    ASSERT_TRUE(relay.wait_for(append(store, thing("b"), {full_event(4)}), patience()));
    ASSERT_TRUE(relay.wait_for(append(store, thing("b"), {full_event(5)}), patience()));
  }
  EXPECT_EQ(saved(store, "outbox"), store.log_end());
  const Position last = append(store, thing("c"), {full_event(6)});
  Relay relay(store, publisher, outbox(2));
  ASSERT_TRUE(relay.wait_for(last, patience()));
  EXPECT_EQ(describe(publisher->events()), describe(log_events(store)));
  EXPECT_GE(publisher->batches(), 4);
}

void a_relay_while_appends_race(Harness& harness) {
  EventStore store = open_store(harness);
  EventStore other = open_store(harness);
  const auto publisher = std::make_shared<Outbox>();
  Writers writers(store, other);
  for (int round = 0; round < 3; ++round) {
    Relay relay(round % 2 == 0 ? store : other, publisher, outbox(16));
    writers.one_more_each();
    publisher->fail(3);
    writers.one_more_each();
  }
  writers.stop();
  Relay relay(store, publisher, outbox(16));
  ASSERT_TRUE(relay.wait_for(store.log_end(), patience()));
  EXPECT_EQ(positions(publisher->events()), positions(log_events(store)));
}

constexpr Case all_subscription_cases[] = {
    {"G13", "everything_in_order_and_live", needs_read_models, everything_in_order_and_live},
    {"G13", "after_a_position", needs_read_models, after_a_position},
    {"G13", "from_now_on", needs_read_models, from_now_on},
    {"G13", "many_pages", needs_read_models, many_pages},
    {"G13", "racing_appends_and_a_start_from_now", needs_read_models, racing_appends_and_a_start_from_now},
    {"G13", "racing_appends_and_every_other_start", needs_read_models, racing_appends_and_every_other_start},
    {"G13", "many_at_once", needs_read_models, many_at_once},
    {"API", "appends_of_other_processes_are_found", needs_read_models, appends_of_other_processes_are_found},
    {"API", "filtered_as_reads_are", needs_read_models, filtered_as_reads_are},
    {"G13", "a_filter_that_nothing_matches_moves_on", needs_read_models, a_filter_that_nothing_matches_moves_on},
    {"G13", "a_failed_handler_is_tried_again_in_order", needs_read_models, a_failed_handler_is_tried_again_in_order},
    {"G13", "a_handler_that_goes_on_failing_stops_it", needs_read_models, a_handler_that_goes_on_failing_stops_it},
    {"API", "dead_letters", needs_read_models, dead_letters},
    {"API", "pause_and_resume", needs_read_models, pause_and_resume},
    {"API", "stop_waits_and_saves", needs_read_models, stop_waits_and_saves},
    {"API", "stop_from_inside_a_handler", needs_read_models, stop_from_inside_a_handler},
    {"G13", "a_name_goes_on_where_it_was", needs_read_models, a_name_goes_on_where_it_was},
    {"G13", "a_name_from_now_on_misses_nothing_while_nobody_runs_it", needs_read_models,
     a_name_from_now_on_misses_nothing_while_nobody_runs_it},
    {"G13", "one_runs_it_and_another_takes_over_when_it_stops", needs_read_models,
     one_runs_it_and_another_takes_over_when_it_stops},
    {"G13", "another_takes_over_when_the_lease_runs_out", needs_read_models,
     another_takes_over_when_the_lease_runs_out},
    {"G13", "exactly_one_of_many_runs_it", needs_read_models, exactly_one_of_many_runs_it},
    {"G13", "a_relay_publishes_everything_in_order", needs_read_models, a_relay_publishes_everything_in_order},
    {"G13", "a_relay_while_appends_race", needs_read_models, a_relay_while_appends_race},
};

}  // namespace

std::span<const Case> subscription_cases() {
  return all_subscription_cases;
}

}  // namespace stele::testing
