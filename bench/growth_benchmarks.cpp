// Cost of an append while the log grows: each step first fills the same store up to its size, unmeasured, and then
// measures appends to streams anywhere in it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "benchmarks.h"
#include "floor_sqlite.h"
#include "sample_events.h"
#include "scratch_database.h"
#include "stele/backends.h"

namespace stele::bench {
namespace {

constexpr std::size_t events_per_stream = 10;
constexpr std::size_t streams_per_transaction = 100;
constexpr std::size_t batch_size = 100;

/// Appends whole streams, many in a transaction, starting with stream number `first`.
void add_streams(EventStore& store, SampleEvents& samples, std::size_t first, std::size_t count) {
  for (std::size_t done = 0; done < count;) {
    const std::size_t now = std::min(streams_per_transaction, count - done);
    std::vector<AppendRequest> requests(now);
    for (AppendRequest& request : requests) {
      StreamAppend& append = request.streams.emplace_back();
      append.stream = sample_stream(first + done++);
      for (std::size_t i = 0; i < events_per_stream; ++i) append.events.push_back(to_new_event(samples.next()));
    }
    for (const AppendResult& result : store.append_all(requests)) result.or_throw();
  }
}

/// The store that grows from step to step.
class GrowingLog {
 public:
  GrowingLog() : store_(database_.open_store()) {}

  void grow_to(std::size_t events) {
    const std::size_t streams = events / events_per_stream;
    if (streams <= streams_) return;
    add_streams(store_, samples_, streams_, streams - streams_);
    streams_ = streams;
  }

  const ScratchDatabase& database() const noexcept { return database_; }
  EventStore& store() noexcept { return store_; }
  SampleEvents& samples() noexcept { return samples_; }
  std::string any_stream_id() {
    return sample_stream_id(std::uniform_int_distribution<std::size_t>(0, streams_ - 1)(random_));
  }

 private:
  ScratchDatabase database_;
  EventStore store_;
  SampleEvents samples_;
  std::size_t streams_ = 0;
  std::mt19937_64 random_{1};
};

GrowingLog& growing_log() {
  static GrowingLog log;
  return log;
}

template <class Append>
void append_loop(benchmark::State& state, GrowingLog& log, std::size_t events_per_append, Append append) {
  for ([[maybe_unused]] auto iteration : state) {
    std::vector<SampleEvent> events;
    for (std::size_t i = 0; i < events_per_append; ++i) events.push_back(log.samples().next());
    append(log.any_stream_id(), std::span<const SampleEvent>(events));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events_per_append));
}

void growth_floor(benchmark::State& state, std::size_t size, std::size_t events_per_append) {
  GrowingLog& log = growing_log();
  log.grow_to(size);
  FloorWriter writer(log.database().path());
  append_loop(state, log, events_per_append,
              [&](const std::string& id, std::span<const SampleEvent> events) { writer.append(id, events); });
}

void growth_store(benchmark::State& state, std::size_t size, std::size_t events_per_append) {
  GrowingLog& log = growing_log();
  log.grow_to(size);
  append_loop(state, log, events_per_append, [&](const std::string& id, std::span<const SampleEvent> samples) {
    std::vector<NewEvent> events;
    events.reserve(samples.size());
    for (const SampleEvent& sample : samples) events.push_back(to_new_event(sample));
    log.store()
        .append(StreamKey(std::string(sample_stream_type), id), ExpectedVersion::any(), std::move(events))
        .or_throw();
  });
}

}  // namespace

void register_growth_benchmarks(const Scale& scale, std::size_t largest) {
  const auto single = static_cast<benchmark::IterationCount>(scale.pick(150, 1'000));
  const auto batches = static_cast<benchmark::IterationCount>(scale.pick(20, 100));
  const auto add = [](const std::string& name, auto function, std::size_t size, std::size_t events,
                      benchmark::IterationCount iterations) {
    benchmark::RegisterBenchmark(name.c_str(), function, size, events)
        ->UseRealTime()
        ->Iterations(iterations)
        ->Unit(benchmark::kMicrosecond);
  };
  for (std::size_t size = 10'000; size <= largest; size *= 10) {
    const std::string step = "/" + std::to_string(size);
    add("growth_append_1" + step + "/floor", growth_floor, size, 1, single);
    add("growth_append_1" + step + "/store", growth_store, size, 1, single);
    add("growth_append_100" + step + "/floor", growth_floor, size, batch_size, batches);
    add("growth_append_100" + step + "/store", growth_store, size, batch_size, batches);
  }
}

void generate_store(const std::string& url, std::size_t events) {
  EventStore store = stele::open(url, {.migrate = true});
  SampleEvents samples;
  add_streams(store, samples, 0, events / events_per_stream);
}

}  // namespace stele::bench
