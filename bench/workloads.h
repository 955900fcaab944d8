// The loops that workloads share, whatever they write to.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "sample_events.h"
#include "stele/event_store.h"

namespace stele::bench {

using std::chrono::steady_clock;

constexpr std::size_t stream_count = 256;
constexpr std::size_t warm_up = 64;
constexpr std::size_t warm_up_of_threads = 16;
constexpr std::size_t round_trip_size = 1'000;

inline std::vector<std::string> stream_ids(std::size_t count) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(sample_stream_id(i));
  return ids;
}

inline std::vector<SampleEvent> take(SampleEvents& samples, std::size_t count) {
  std::vector<SampleEvent> taken;
  taken.reserve(count);
  for (std::size_t i = 0; i < count; ++i) taken.push_back(samples.next());
  return taken;
}

inline void append_to_store(EventStore& store, const std::string& stream_id, std::span<const SampleEvent> samples) {
  std::vector<NewEvent> events;
  events.reserve(samples.size());
  for (const SampleEvent& sample : samples) events.push_back(to_new_event(sample));
  store.append(StreamKey(std::string(sample_stream_type), stream_id), ExpectedVersion::any(), std::move(events))
      .or_throw();
}

/// Appends events with nothing but a type and a payload of some fifty bytes.
inline void append_plain(EventStore& store, const std::string& stream_id, std::span<const SampleEvent> samples) {
  std::vector<NewEvent> events(samples.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    events[i].type = samples[i].type;
    events[i].data = Json(R"({"account":"cash","amount":)" + std::to_string(i) + R"(.50,"currency":"EUR"})");
  }
  store.append(StreamKey(std::string(sample_stream_type), stream_id), ExpectedVersion::any(), std::move(events))
      .or_throw();
}

/// One thread, `events_per_append` events an append, round and round over a few streams.
template <class Append>
void append_loop(benchmark::State& state, std::size_t events_per_append, Append append) {
  const std::vector<std::string> ids = stream_ids(stream_count);
  SampleEvents samples;
  std::size_t count = 0;
  const auto step = [&] {
    const std::vector<SampleEvent> events = take(samples, events_per_append);
    append(ids[count++ % ids.size()], std::span<const SampleEvent>(events));
  };
  while (count < warm_up) step();
  for ([[maybe_unused]] auto iteration : state) step();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events_per_append));
}

/// Several threads, one event an append: `append` gets the thread's number. Each warms up, unmeasured.
template <class Append>
void append_in_clients(benchmark::State& state, std::size_t threads, std::size_t appends_per_thread, Append append) {
  for ([[maybe_unused]] auto iteration : state) {
    steady_clock::time_point start;
    std::barrier ready(static_cast<std::ptrdiff_t>(threads), [&]() noexcept { start = steady_clock::now(); });
    std::vector<std::thread> running;
    for (std::size_t t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        for (std::size_t i = 0; i < warm_up_of_threads; ++i) append(t);
        ready.arrive_and_wait();
        for (std::size_t i = 0; i < appends_per_thread; ++i) append(t);
      });
    }
    for (std::thread& thread : running) thread.join();
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - start).count());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(threads * appends_per_thread));
}

/// Reports the median of the iterations as well: the target is an absolute time, and one slow fsync must not decide it.
template <class RoundTrip>
void round_trips(benchmark::State& state, RoundTrip round_trip) {
  SampleEvents samples;
  std::size_t count = 0;
  const auto step = [&] {
    const std::vector<SampleEvent> events = take(samples, round_trip_size);
    const std::string id = sample_stream_id(count++);
    const auto start = steady_clock::now();
    if (round_trip(id, std::span<const SampleEvent>(events)) != round_trip_size)
      state.SkipWithError("events are missing");
    return std::chrono::duration<double>(steady_clock::now() - start).count();
  };
  step();
  std::vector<double> seconds;
  for ([[maybe_unused]] auto iteration : state) {
    seconds.push_back(step());
    state.SetIterationTime(seconds.back());
  }
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2), seconds.end());
  state.counters["median_ms"] = seconds[seconds.size() / 2] * 1e3;
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(round_trip_size));
}

inline std::size_t read_from_store(EventStore& store, const std::string& id) {
  std::size_t count = 0;
  for (const RecordedEvent& event : store.read_stream(StreamKey(std::string(sample_stream_type), id))) {
    benchmark::DoNotOptimize(event.data.text().data());
    ++count;
  }
  return count;
}

}  // namespace stele::bench
