// Appends: one event, a batch, eight threads at once, and a thousand written and read back.
#include <benchmark/benchmark.h>

#include <barrier>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "benchmarks.h"
#include "floor_sqlite.h"
#include "sample_events.h"
#include "scratch_database.h"
#include "workloads.h"

namespace stele::bench {
namespace {

constexpr std::size_t thread_count = 8;
constexpr std::size_t batch_size = 100;

void append_floor(benchmark::State& state, std::size_t events_per_append) {
  const ScratchDatabase database;
  FloorWriter writer(database.path());
  append_loop(state, events_per_append,
              [&](const std::string& id, std::span<const SampleEvent> events) { writer.append(id, events); });
}

void append_store(benchmark::State& state, std::size_t events_per_append) {
  const ScratchDatabase database;
  EventStore store = database.open_store();
  append_loop(state, events_per_append,
              [&](const std::string& id, std::span<const SampleEvent> events) { append_to_store(store, id, events); });
}

/// Eight threads, one event an append, each thread on streams of its own.
template <class Append>
void append_in_threads(benchmark::State& state, std::size_t appends_per_thread, Append append) {
  const std::vector<std::string> ids = stream_ids(stream_count);
  append(ids[0], SampleEvents().next());
  for ([[maybe_unused]] auto iteration : state) {
    steady_clock::time_point start;
    std::barrier ready(thread_count, [&]() noexcept { start = steady_clock::now(); });
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < thread_count; ++t) {
      threads.emplace_back([&, t] {
        SampleEvents samples;
        ready.arrive_and_wait();
        for (std::size_t i = 0; i < appends_per_thread; ++i) {
          append(ids[(i * thread_count + t) % ids.size()], samples.next());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - start).count());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(thread_count * appends_per_thread));
}

// One connection behind a mutex: faster than eight connections that wait for each other's lock.
void threads_floor(benchmark::State& state, std::size_t appends_per_thread) {
  const ScratchDatabase database;
  FloorWriter writer(database.path());
  std::mutex mutex;
  append_in_threads(state, appends_per_thread, [&](const std::string& id, const SampleEvent& event) {
    const std::lock_guard lock(mutex);
    writer.append(id, std::span(&event, 1));
  });
}

void threads_store(benchmark::State& state, std::size_t appends_per_thread) {
  const ScratchDatabase database;
  EventStore store = database.open_store();
  append_in_threads(state, appends_per_thread, [&](const std::string& id, const SampleEvent& event) {
    append_to_store(store, id, std::span(&event, 1));
  });
}

void round_trip_floor(benchmark::State& state) {
  const ScratchDatabase database;
  FloorWriter writer(database.path());
  FloorEvent last;
  std::unique_ptr<FloorReader> reader;
  round_trips(state, [&](const std::string& id, std::span<const SampleEvent> events) {
    writer.append(id, events);
    if (!reader) reader = std::make_unique<FloorReader>(database.path());  // It loads the names that are there by now.
    return reader->read_stream(id, [](const FloorEvent& event) { benchmark::DoNotOptimize(event.data.data()); });
  });
}

void round_trip_store(benchmark::State& state) {
  const ScratchDatabase database;
  EventStore store = database.open_store();
  round_trips(state, [&](const std::string& id, std::span<const SampleEvent> events) {
    append_to_store(store, id, events);
    return read_from_store(store, id);
  });
}

/// Events with nothing but a type and a payload of some fifty bytes.
void round_trip_plain(benchmark::State& state) {
  const ScratchDatabase database;
  EventStore store = database.open_store();
  round_trips(state, [&](const std::string& id, std::span<const SampleEvent> samples) {
    append_plain(store, id, samples);
    return read_from_store(store, id);
  });
}

}  // namespace

// Iterations are fixed, so that floor and store write the same number of rows into files of the same size.
void register_append_benchmarks(const Scale& scale) {
  const auto single = static_cast<benchmark::IterationCount>(scale.pick(400, 2'000));
  const auto batches = static_cast<benchmark::IterationCount>(scale.pick(60, 300));
  const std::size_t per_thread = scale.pick(60, 300);
  const auto trips = static_cast<benchmark::IterationCount>(scale.pick(10, 40));
  const auto real = [](benchmark::internal::Benchmark* b, benchmark::IterationCount iterations) {
    b->UseRealTime()->Iterations(iterations)->Unit(benchmark::kMicrosecond);
  };
  const auto manual = [](benchmark::internal::Benchmark* b, benchmark::IterationCount iterations) {
    b->UseManualTime()->Iterations(iterations)->Unit(benchmark::kMicrosecond);
  };
  real(benchmark::RegisterBenchmark("append_1/floor", append_floor, std::size_t{1}), single);
  real(benchmark::RegisterBenchmark("append_1/store", append_store, std::size_t{1}), single);
  real(benchmark::RegisterBenchmark("append_100/floor", append_floor, batch_size), batches);
  real(benchmark::RegisterBenchmark("append_100/store", append_store, batch_size), batches);
  manual(benchmark::RegisterBenchmark("append_8_threads/floor", threads_floor, per_thread), 1);
  manual(benchmark::RegisterBenchmark("append_8_threads/store", threads_store, per_thread), 1);
  manual(benchmark::RegisterBenchmark("append_1000_and_read/floor", round_trip_floor), trips);
  manual(benchmark::RegisterBenchmark("append_1000_and_read/store", round_trip_store), trips);
  manual(benchmark::RegisterBenchmark("append_1000_and_read/plain", round_trip_plain), trips);
}

}  // namespace stele::bench
