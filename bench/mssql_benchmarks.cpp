// The workloads on SQL Server, each in a schema of its own.
#include <benchmark/benchmark.h>

#include <memory>

#include "benchmarks.h"
#include "floor_mssql.h"
#include "mssql_log.h"
#include "workloads.h"

namespace stele::bench {
namespace {

constexpr std::size_t batch_size = 100;

constexpr std::size_t log_streams = mssql_log_streams;
constexpr std::size_t events_per_stream = mssql_events_per_stream;

void append_floor(benchmark::State& state, std::size_t events_per_append) {
  const MssqlScratch schema;
  FloorMssqlWriter::prepare_schema(schema.name());
  FloorMssqlWriter writer(schema.name());
  append_loop(state, events_per_append, [&](const std::string& id, std::span<const SampleEvent> events) {
    events.size() == 1 ? writer.append_one(id, events[0]) : writer.append(id, events);
  });
}

void append_store(benchmark::State& state, std::size_t events_per_append) {
  const MssqlScratch schema;
  EventStore store = schema.open_store();
  append_loop(state, events_per_append,
              [&](const std::string& id, std::span<const SampleEvent> events) { append_to_store(store, id, events); });
}

void threads_floor(benchmark::State& state, std::size_t threads, std::size_t appends_per_thread) {
  const MssqlScratch schema;
  FloorMssqlWriter::prepare_schema(schema.name());
  struct Client {
    explicit Client(const std::string& name) : writer(name) {}
    FloorMssqlWriter writer;
    SampleEvents samples;
  };
  std::vector<std::unique_ptr<Client>> clients;
  while (clients.size() < threads) clients.push_back(std::make_unique<Client>(schema.name()));
  append_in_clients(state, threads, appends_per_thread, [&](std::size_t t) {
    clients[t]->writer.append_one(sample_stream_id(t), clients[t]->samples.next());
  });
}

void threads_store(benchmark::State& state, std::size_t threads, std::size_t appends_per_thread) {
  const MssqlScratch schema;
  EventStore store = schema.open_store();
  std::vector<SampleEvents> samples(threads);
  append_in_clients(state, threads, appends_per_thread, [&](std::size_t t) {
    const SampleEvent event = samples[t].next();
    append_to_store(store, sample_stream_id(t), std::span(&event, 1));
  });
}

void use(std::string_view data, std::int64_t position) {
  benchmark::DoNotOptimize(data.data());
  benchmark::DoNotOptimize(position);
}

void expect(benchmark::State& state, std::size_t count, std::size_t expected) {
  if (count != expected) state.SkipWithError("the wrong number of events was read");
}

/// The log that reads share. It is dropped at the end of the benchmarks, while the server is still sure to be there.
std::unique_ptr<MssqlScratch>& shared_log() {
  static std::unique_ptr<MssqlScratch> schema;
  return schema;
}

}  // namespace

const MssqlScratch& mssql_log() {
  std::unique_ptr<MssqlScratch>& schema = shared_log();
  if (!schema) {
    schema = std::make_unique<MssqlScratch>();
    EventStore store = schema->open_store();
    SampleEvents samples;
    constexpr std::size_t at_once = 50;  // In turn, so that each lies scattered over the log.
    for (std::size_t round = 0; round < events_per_stream / at_once; ++round) {
      for (std::size_t i = 0; i < log_streams; ++i) append_to_store(store, sample_stream_id(i), take(samples, at_once));
    }
  }
  return *schema;
}

namespace {

void read_stream_floor(benchmark::State& state) {
  FloorMssqlReader reader(mssql_log().name());
  std::size_t turn = 0;
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, reader.read_stream(sample_stream_id(turn++ % log_streams), use), events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events_per_stream));
}

void read_stream_store(benchmark::State& state) {
  EventStore store = mssql_log().open_store();
  std::size_t turn = 0;
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, read_from_store(store, sample_stream_id(turn++ % log_streams)), events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events_per_stream));
}

void read_log_floor(benchmark::State& state) {
  FloorMssqlReader reader(mssql_log().name());
  reader.read_log(use);  // A connection's first statements are compiled, which is not what is measured.
  for ([[maybe_unused]] auto iteration : state) expect(state, reader.read_log(use), log_streams * events_per_stream);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(log_streams * events_per_stream));
}

void read_log_store(benchmark::State& state) {
  EventStore store = mssql_log().open_store();
  for (const RecordedEvent& event : store.read_log()) use(event.data.text(), event.position.value());
  for ([[maybe_unused]] auto iteration : state) {
    std::size_t count = 0;
    for (const RecordedEvent& event : store.read_log()) {
      use(event.data.text(), event.position.value());
      ++count;
    }
    expect(state, count, log_streams * events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(log_streams * events_per_stream));
}

}  // namespace

void register_mssql_benchmarks(const Scale& scale) {
  if (mssql_url().empty()) return;
  const std::vector<std::string> babelfish =
      FloorOdbc().column("SELECT CAST(SERVERPROPERTY('BabelfishVersion') AS NVARCHAR(40))");
  benchmark::AddCustomContext("mssql_babelfish", babelfish.at(0));

  const auto single = static_cast<benchmark::IterationCount>(scale.pick(300, 2'000));
  const auto batches = static_cast<benchmark::IterationCount>(scale.pick(30, 200));
  const std::size_t per_thread = scale.pick(100, 500);
  const auto stream_reads = static_cast<benchmark::IterationCount>(scale.pick(20, 100));
  const auto log_reads = static_cast<benchmark::IterationCount>(1);
  const auto real = [](const char* name, auto function, benchmark::IterationCount iterations, auto... arguments) {
    benchmark::RegisterBenchmark(name, function, arguments...)
        ->UseRealTime()
        ->Iterations(iterations)
        ->Unit(benchmark::kMicrosecond);
  };
  const auto manual = [](const char* name, auto function, benchmark::IterationCount iterations, auto... arguments) {
    benchmark::RegisterBenchmark(name, function, arguments...)
        ->UseManualTime()
        ->Iterations(iterations)
        ->Unit(benchmark::kMicrosecond);
  };
  real("mssql_append_1/floor", append_floor, single, std::size_t{1});
  real("mssql_append_1/store", append_store, single, std::size_t{1});
  real("mssql_append_100/floor", append_floor, batches, batch_size);
  real("mssql_append_100/store", append_store, batches, batch_size);
  manual("mssql_append_8_threads/floor", threads_floor, 1, std::size_t{8}, per_thread);
  manual("mssql_append_8_threads/store", threads_store, 1, std::size_t{8}, per_thread);
  real("mssql_read_stream_1000/floor", read_stream_floor, stream_reads);
  real("mssql_read_stream_1000/store", read_stream_store, stream_reads);
  real("mssql_read_log/floor", read_log_floor, log_reads);
  real("mssql_read_log/store", read_log_store, log_reads);
}

void finish_mssql_benchmarks() {
  shared_log().reset();
}

}  // namespace stele::bench
