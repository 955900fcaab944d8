// Reads: a stream of a thousand events, and the whole log. Floor and store read the same file.
#include <benchmark/benchmark.h>

#include <string>

#include "benchmarks.h"
#include "floor_sqlite.h"
#include "sample_events.h"
#include "written_log.h"

namespace stele::bench {
namespace {

void use(std::string_view text, std::int64_t position) {
  benchmark::DoNotOptimize(text.data());
  benchmark::DoNotOptimize(position);
}

void expect(benchmark::State& state, std::size_t count, std::size_t expected) {
  if (count != expected) state.SkipWithError("the wrong number of events was read");
}

void read_stream_floor(benchmark::State& state) {
  const WrittenLog& log = written_log();
  FloorReader reader(log.database().path());
  std::size_t turn = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const std::string id = sample_stream_id(turn++ % WrittenLog::streams);
    expect(state, reader.read_stream(id, [](const FloorEvent& event) { use(event.data, event.global_position); }),
           WrittenLog::events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events_per_stream));
}

std::size_t consume(EventReader reader) {
  std::size_t count = 0;
  for (const RecordedEvent& event : reader) {
    use(event.data.text(), event.position.value());
    ++count;
  }
  return count;
}

void read_stream_store(benchmark::State& state) {
  const WrittenLog& log = written_log();
  EventStore store = log.database().open_store();
  std::size_t turn = 0;
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, consume(store.read_stream(sample_stream(turn++ % WrittenLog::streams))),
           WrittenLog::events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events_per_stream));
}

void read_log_floor(benchmark::State& state) {
  const WrittenLog& log = written_log();
  FloorReader reader(log.database().path());
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, reader.read_log([](const FloorEvent& event) { use(event.data, event.global_position); }),
           WrittenLog::events);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

void read_log_store(benchmark::State& state) {
  const WrittenLog& log = written_log();
  EventStore store = log.database().open_store();
  for ([[maybe_unused]] auto iteration : state) expect(state, consume(store.read_log()), WrittenLog::events);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

}  // namespace

void register_read_benchmarks(const Scale& scale) {
  const auto stream_reads = static_cast<benchmark::IterationCount>(scale.pick(50, 200));
  const auto log_reads = static_cast<benchmark::IterationCount>(scale.pick(1, 3));
  const auto real = [](benchmark::internal::Benchmark* b, benchmark::IterationCount iterations) {
    b->UseRealTime()->Iterations(iterations)->Unit(benchmark::kMicrosecond);
  };
  real(benchmark::RegisterBenchmark("read_stream_1000/floor", read_stream_floor), stream_reads);
  real(benchmark::RegisterBenchmark("read_stream_1000/store", read_stream_store), stream_reads);
  real(benchmark::RegisterBenchmark("read_log/floor", read_log_floor), log_reads);
  real(benchmark::RegisterBenchmark("read_log/store", read_log_store), log_reads);
}

}  // namespace stele::bench
