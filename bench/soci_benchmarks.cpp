// SOCI's prepared statements against the bare handle, on the same rows; the reason is in docs/decisions/0001.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "benchmarks.h"
#include "floor_soci.h"
#include "floor_sqlite.h"
#include "scratch_database.h"
#include "written_log.h"

namespace stele::bench {
namespace {

constexpr std::size_t batch_size = 100;
constexpr std::size_t stream_count = 64;

/// Batches with one INSERT for each event on both sides.
template <class Writer>
void append_rows(benchmark::State& state, Writer& writer) {
  SampleEvents samples;
  std::size_t count = 0;
  for ([[maybe_unused]] auto iteration : state) {
    std::vector<SampleEvent> events;
    for (std::size_t i = 0; i < batch_size; ++i) events.push_back(samples.next());
    writer.append(sample_stream_id(count++ % stream_count), events);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch_size));
}

void append_rows_floor(benchmark::State& state) {
  const ScratchDatabase database;
  FloorWriter writer(database.path(), 1);
  append_rows(state, writer);
}

void append_rows_soci(benchmark::State& state) {
  const ScratchDatabase database;
  SociWriter writer(database.path());
  append_rows(state, writer);
}

template <class Reader>
void read_rows(benchmark::State& state) {
  const WrittenLog& log = written_log();
  Reader reader(log.database().path());
  for ([[maybe_unused]] auto iteration : state) {
    const std::size_t count =
        reader.read_log([](const FloorEvent& event) { benchmark::DoNotOptimize(event.data.data()); });
    if (count != WrittenLog::events) state.SkipWithError("the wrong number of events was read");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

}  // namespace

void register_soci_benchmarks(const Scale& scale) {
  const auto real = [](benchmark::internal::Benchmark* b, std::size_t iterations) {
    b->UseRealTime()->Iterations(static_cast<benchmark::IterationCount>(iterations))->Unit(benchmark::kMicrosecond);
  };
  real(benchmark::RegisterBenchmark("soci_append_rows/floor", append_rows_floor), scale.pick(40, 200));
  real(benchmark::RegisterBenchmark("soci_append_rows/soci", append_rows_soci), scale.pick(40, 200));
  real(benchmark::RegisterBenchmark("soci_read_rows/floor", read_rows<FloorReader>), scale.pick(1, 3));
  real(benchmark::RegisterBenchmark("soci_read_rows/soci", read_rows<SociReader>), scale.pick(1, 3));
}

}  // namespace stele::bench
