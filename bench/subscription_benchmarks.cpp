// How soon a subscription sees what was appended, and what it costs while nothing happens.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks.h"
#include "scratch_database.h"
#include "stele/backends.h"
#include "stele/subscription.h"
#ifdef STELE_WITH_POSTGRES
#include "scratch_schema.h"
#endif
#ifdef STELE_WITH_MSSQL
#include "floor_mssql.h"
#endif

namespace stele::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t warm_up = 64;

// The machine's, so that two processes may compare what they see.
std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

NewEvent small_event() {
  NewEvent event;
  event.type = "Happened";
  event.data = Json(R"({"amount":1})");
  return event;
}

/// When the handler got each event, by position.
class Arrivals {
 public:
  explicit Arrivals(EventStore& store)
      : subscription_(store, options(), [this](const RecordedEvent& event) {
          arrived_.push_back({event.position, now_ns()});
        }) {
    while (subscription_.state() != Subscription::State::live) std::this_thread::sleep_for(milliseconds(1));
  }

  /// The times after these appends' returns, in milliseconds and ascending. What came before its append had returned
  /// took no time.
  std::vector<double> latencies(const std::vector<std::pair<Position, std::int64_t>>& appended) {
    if (!subscription_.wait_for(appended.back().first, std::chrono::seconds(60))) {
      throw std::runtime_error("events did not arrive");
    }
    subscription_.stop();
    if (arrived_.size() != appended.size()) throw std::runtime_error("the wrong number of events arrived");
    std::vector<double> times;
    for (std::size_t i = 0; i < appended.size(); ++i) {
      if (arrived_[i].first != appended[i].first) throw std::runtime_error("an event arrived out of order");
      times.push_back(static_cast<double>(std::max<std::int64_t>(0, arrived_[i].second - appended[i].second)) / 1e6);
    }
    std::sort(times.begin(), times.end());
    return times;
  }

 private:
  static SubscriptionOptions options() {
    SubscriptionOptions made;
    made.start = Start::now();
    return made;
  }

  std::vector<std::pair<Position, std::int64_t>> arrived_;
  Subscription subscription_;
};

/// One event at a time, with a pause behind each that is not the same each time; and when each append returned.
std::vector<std::pair<Position, std::int64_t>> append_with_pauses(EventStore& store, std::size_t count) {
  std::vector<std::pair<Position, std::int64_t>> appended;
  for (std::size_t i = 0; i < count; ++i) {
    const AppendResult outcome = store.append({"latency", "one"}, ExpectedVersion::any(), {small_event()});
    appended.emplace_back(outcome.last_position(), now_ns());
    std::this_thread::sleep_for(std::chrono::microseconds(1'000 + 613 * (i % 17)));
  }
  return appended;
}

void report(benchmark::State& state, const std::vector<double>& times) {
  const auto quantile = [&](double part) {
    return times[std::min(times.size() - 1, static_cast<std::size_t>(part * static_cast<double>(times.size())))];
  };
  state.counters["median_ms"] = quantile(0.50);
  state.counters["p99_ms"] = quantile(0.99);
  state.SetItemsProcessed(static_cast<std::int64_t>(times.size()));
}

void latency(benchmark::State& state, EventStore& subscribed, EventStore& appending, std::size_t count) {
  std::vector<double> times;
  // A connection's first statements are compiled, which is not what is measured.
  Arrivals(subscribed).latencies(append_with_pauses(appending, warm_up));
  for ([[maybe_unused]] auto iteration : state) {
    Arrivals arrivals(subscribed);
    times = arrivals.latencies(append_with_pauses(appending, count));
  }
  report(state, times);
}

void sqlite_one_store(benchmark::State& state, std::size_t count) {
  const ScratchDatabase database;
  EventStore store = database.open_store();
  latency(state, store, store, count);
}

template <class Scratch>
void latency_of_two_stores(benchmark::State& state, std::size_t count) {
  const Scratch scratch;
  EventStore subscribed = scratch.open_store();
  EventStore appending = scratch.open_store();
  latency(state, subscribed, appending, count);
}

/// What --append_slowly printed: a position and a time a line.
std::vector<std::pair<Position, std::int64_t>> appended_elsewhere(const std::string& path, std::size_t count) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command =
      "'" + program + "' --append_slowly=" + std::to_string(count) + " --database='" + path + "'";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  if (!output) throw std::runtime_error("cannot start another process");
  std::vector<std::pair<Position, std::int64_t>> appended;
  long long position = 0;
  long long time = 0;
  while (std::fscanf(output.get(), "%lld %lld", &position, &time) == 2) appended.emplace_back(Position(position), time);
  if (appended.size() != count) throw std::runtime_error("the other process failed");
  return appended;
}

void sqlite_two_processes(benchmark::State& state, std::size_t count) {
  const ScratchDatabase database;
  EventStore store = database.open_store();
  std::vector<double> times;
  for ([[maybe_unused]] auto iteration : state) {
    Arrivals arrivals(store);
    times = arrivals.latencies(appended_elsewhere(database.path().string(), count));
  }
  report(state, times);
}

/// The processor's time of this process while nothing happens, in percent of a core.
void idle(benchmark::State& state, EventStore& store, milliseconds time) {
  constexpr int count = 10;
  const auto processor_time = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& value) {
      return static_cast<double>(value.tv_sec) + static_cast<double>(value.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  };
  store.append({"idle", "one"}, ExpectedVersion::any(), {small_event()});
  double percent = 0;
  for ([[maybe_unused]] auto iteration : state) {
    std::vector<Subscription> subscriptions;
    for (int i = 0; i < count; ++i) {
      SubscriptionOptions options;
      options.name = "idle_" + std::to_string(i);
      subscriptions.emplace_back(store, options, [](const RecordedEvent&) {});
    }
    for (const Subscription& each : subscriptions) {
      while (each.state() != Subscription::State::live) std::this_thread::sleep_for(milliseconds(1));
    }
    std::this_thread::sleep_for(milliseconds(600));  // Their first checkpoints are saved then.
    const double before = processor_time();
    const steady_clock::time_point begin = steady_clock::now();
    std::this_thread::sleep_for(time);
    const double spent = processor_time() - before;
    percent = 100 * spent / std::chrono::duration<double>(steady_clock::now() - begin).count();
  }
  state.counters["cpu_percent"] = percent;
  state.SetItemsProcessed(count);
}

template <class Scratch>
void idle_store(benchmark::State& state, milliseconds time) {
  const Scratch scratch;
  EventStore store = scratch.open_store();
  idle(state, store, time);
}

}  // namespace

void register_subscription_benchmarks(const Scale& scale) {
  const std::size_t count = scale.pick(200, 1'000);
  const milliseconds idle_time(scale.quick ? 2'000 : 10'000);
  const auto add = [&](const char* name, auto function) {
    benchmark::RegisterBenchmark(name, function)->UseRealTime()->Iterations(1)->Unit(benchmark::kMillisecond);
  };
  add("subscription_latency/one_process", [count](benchmark::State& state) { sqlite_one_store(state, count); });
  add("subscription_latency/two_processes", [count](benchmark::State& state) { sqlite_two_processes(state, count); });
  const auto add_store = [&]<class Scratch>(const std::string& prefix, const Scratch*) {
    add((prefix + "subscription_latency/two_stores").c_str(),
        [count](benchmark::State& state) { latency_of_two_stores<Scratch>(state, count); });
    add((prefix + "subscription_idle/store").c_str(),
        [idle_time](benchmark::State& state) { idle_store<Scratch>(state, idle_time); });
  };
  add("subscription_idle/store",
      [idle_time](benchmark::State& state) { idle_store<ScratchDatabase>(state, idle_time); });
#ifdef STELE_WITH_POSTGRES
  if (!postgres_url().empty()) add_store("postgres_", static_cast<const ScratchSchema*>(nullptr));
#endif
#ifdef STELE_WITH_MSSQL
  if (!mssql_url().empty()) add_store("mssql_", static_cast<const MssqlScratch*>(nullptr));
#endif
}

void append_slowly(const std::string& url, std::size_t count) {
  EventStore store = stele::open(url);
  for (const auto& [position, time] : append_with_pauses(store, count)) {
    std::printf("%lld %lld\n", static_cast<long long>(position.value()), static_cast<long long>(time));
  }
}

}  // namespace stele::bench
