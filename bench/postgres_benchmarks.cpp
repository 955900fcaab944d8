// The workloads on PostgreSQL, each in a schema of its own.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "benchmarks.h"
#include "floor_postgres.h"
#include "sample_events.h"
#include "scratch_database.h"
#include "scratch_schema.h"
#include "workloads.h"
#include "written_log.h"

namespace stele::bench {
namespace {

constexpr std::size_t batch_size = 100;

void call_floor(benchmark::State& state) {
  const ScratchSchema schema;
  const FloorCalls calls(schema.name());
  const std::vector<std::string> ids = stream_ids(stream_count);
  SampleEvents samples;
  std::vector<FloorParameters> ready;
  for (std::size_t i = 0; i < warm_up + static_cast<std::size_t>(state.max_iterations); ++i) {
    const SampleEvent event = samples.next();
    ready.push_back(FloorCalls::parameters(ids[i % ids.size()], std::span(&event, 1)));
  }
  std::size_t next = 0;
  while (next < warm_up) calls.append(ready[next++]);
  for ([[maybe_unused]] auto iteration : state) calls.append(ready[next++]);
  state.SetItemsProcessed(state.iterations());
}

void insert_floor(benchmark::State& state, FloorInserts::Table table) {
  const ScratchSchema schema;
  FloorInserts inserts(schema.name(), table);
  append_loop(state, batch_size,
              [&](const std::string& id, std::span<const SampleEvent> events) { inserts.append(id, events); });
}

void append_store(benchmark::State& state, std::size_t events_per_append) {
  const ScratchSchema schema;
  EventStore store = schema.open_store();
  append_loop(state, events_per_append,
              [&](const std::string& id, std::span<const SampleEvent> events) { append_to_store(store, id, events); });
}

/// A connection and ready parameters for each thread.
void threads_floor(benchmark::State& state, std::size_t threads, std::size_t appends_per_thread) {
  const ScratchSchema schema;
  struct Client {
    FloorCalls calls;
    std::vector<FloorParameters> ready;
    std::size_t next = 0;
  };
  const std::vector<std::string> ids = stream_ids(stream_count);
  SampleEvents samples;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t t = 0; t < threads; ++t) {
    clients.push_back(std::make_unique<Client>(Client{FloorCalls(schema.name()), {}}));
    for (std::size_t i = 0; i < warm_up_of_threads + appends_per_thread; ++i) {
      const SampleEvent event = samples.next();
      clients.back()->ready.push_back(
          FloorCalls::parameters(ids[(i * threads + t) % ids.size()], std::span(&event, 1)));
    }
  }
  append_in_clients(state, threads, appends_per_thread, [&](std::size_t t) {
    Client& client = *clients[t];
    client.calls.append(client.ready[client.next++]);
  });
}

void threads_store(benchmark::State& state, std::size_t threads, std::size_t appends_per_thread) {
  const ScratchSchema schema;
  EventStore store = schema.open_store();
  const std::vector<std::string> ids = stream_ids(stream_count);
  struct Client {
    SampleEvents samples;
    std::size_t next = 0;
  };
  std::vector<Client> clients(threads);
  append_in_clients(state, threads, appends_per_thread, [&](std::size_t t) {
    const SampleEvent event = clients[t].samples.next();
    append_to_store(store, ids[(clients[t].next++ * threads + t) % ids.size()], std::span(&event, 1));
  });
}

/// Without what pgbench would take for the name of a variable.
std::string without_variables(std::string_view json) {
  std::string spaced;
  for (const char c : json) {
    spaced += c;
    if (c == ':') spaced += ' ';
  }
  return spaced;
}

/// The same call by the program pgbench, whose script makes its parameters with SQL expressions.
void pgbench(benchmark::State& state, std::size_t clients, std::size_t appends_per_client) {
  const ScratchSchema schema;
  static std::atomic<int> count{0};
  const std::filesystem::path script = data_file("pgbench-" + std::to_string(++count) + ".sql");
  std::ofstream(script)
      << "\\set stream random(1, " << stream_count << ")\n"
      << "SELECT status FROM append('default', ARRAY['" << sample_stream_type
      << "'], ARRAY['order-' || :stream], '{0}', '{0}', '{1}', 1, NULL, NULL, NULL, NULL, NULL, NULL, "
         "NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{1}', ARRAY[gen_random_uuid()], "
         "'{OrderPlaced}', '{1}', ARRAY[clock_timestamp()], '{NULL}', '{NULL}', '{user}', "
         "'{employee-001}', '{webshop}', '{api}', '{NULL}', '{NULL}', ARRAY[gen_random_uuid()], "
         "'{none}', '{f}', ARRAY['"
      << without_variables(SampleEvents().next().data)
      << "'], '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{0}', '{}', "
         "'{}', '{}');\n";
  // Not on the command line, where everybody reads the password.
  setenv("PGDATABASE", postgres_url().c_str(), 1);
  setenv("PGOPTIONS", ("-c search_path=" + schema.name()).c_str(), 1);
  const std::string command = "pgbench -n -M prepared -c " + std::to_string(clients) + " -j " +
                              std::to_string(clients) + " -t " + std::to_string(appends_per_client) + " -f '" +
                              script.string() + "' 2>&1";
  for ([[maybe_unused]] auto iteration : state) {
    double rate = 0;
    std::string output;
    FILE* const pipe = popen(command.c_str(), "r");
    for (char line[512]; std::fgets(line, sizeof line, pipe) != nullptr;) {
      output += line;
      std::sscanf(line, "tps = %lf", &rate);
    }
    if (pclose(pipe) != 0 || rate <= 0) {
      state.SkipWithError(output.c_str());
      break;
    }
    state.SetIterationTime(static_cast<double>(clients * appends_per_client) / rate);
  }
  unsetenv("PGDATABASE");
  unsetenv("PGOPTIONS");
  std::filesystem::remove(script);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(clients * appends_per_client));
}

void use(std::string_view text, std::int64_t position) {
  benchmark::DoNotOptimize(text.data());
  benchmark::DoNotOptimize(position);
}

void use_event(const FloorEvent& event) {
  use(event.data, event.global_position);
}

std::size_t consume(EventReader reader) {
  std::size_t count = 0;
  for (const RecordedEvent& event : reader) {
    use(event.data.text(), event.position.value());
    ++count;
  }
  return count;
}

void expect(benchmark::State& state, std::size_t count, std::size_t expected) {
  if (count != expected) state.SkipWithError("the wrong number of events was read");
}

/// The log that reads share. It is dropped at the end of the benchmarks, while the server is still sure to be there.
std::unique_ptr<ScratchSchema>& shared_log() {
  static std::unique_ptr<ScratchSchema> schema;
  return schema;
}

const ScratchSchema& postgres_log() {
  std::unique_ptr<ScratchSchema>& schema = shared_log();
  if (!schema) {
    schema = std::make_unique<ScratchSchema>();
    EventStore store = schema->open_store();
    write_log(store);
    // As autovacuum does sooner or later: not between two repetitions.
    FloorPostgres(schema->name()).run("VACUUM ANALYZE streams, commands, events");
  }
  return *schema;
}

void read_stream_floor(benchmark::State& state) {
  FloorPages reader(postgres_log().name());
  std::size_t turn = 0;
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, reader.read_stream(sample_stream_id(turn++ % WrittenLog::streams), use_event),
           WrittenLog::events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events_per_stream));
}

void read_stream_store(benchmark::State& state) {
  EventStore store = postgres_log().open_store();
  std::size_t turn = 0;
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, consume(store.read_stream(sample_stream(turn++ % WrittenLog::streams))),
           WrittenLog::events_per_stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events_per_stream));
}

void read_log_floor(benchmark::State& state) {
  FloorPages reader(postgres_log().name());
  for ([[maybe_unused]] auto iteration : state) expect(state, reader.read_log(use_event), WrittenLog::events);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

void read_log_store(benchmark::State& state) {
  EventStore store = postgres_log().open_store();
  for ([[maybe_unused]] auto iteration : state) expect(state, consume(store.read_log()), WrittenLog::events);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

void round_trip_floor(benchmark::State& state) {
  const ScratchSchema schema;
  FloorInserts inserts(schema.name(), FloorInserts::Table::bare);
  FloorPages reader(schema.name(), "bare_events");
  round_trips(state, [&](const std::string& id, std::span<const SampleEvent> events) {
    inserts.append(id, events);
    return reader.read_stream(id, use_event);
  });
}

void round_trip_store(benchmark::State& state) {
  const ScratchSchema schema;
  EventStore store = schema.open_store();
  round_trips(state, [&](const std::string& id, std::span<const SampleEvent> events) {
    append_to_store(store, id, events);
    return read_from_store(store, id);
  });
}

void round_trip_plain(benchmark::State& state) {
  const ScratchSchema schema;
  EventStore store = schema.open_store();
  round_trips(state, [&](const std::string& id, std::span<const SampleEvent> events) {
    append_plain(store, id, events);
    return read_from_store(store, id);
  });
}

}  // namespace

void register_postgres_benchmarks(const Scale& scale) {
  if (postgres_url().empty()) return;
  const FloorPostgres server("public");
  const bool durable = server.value("SHOW fsync") == "on" && server.value("SHOW synchronous_commit") == "on" &&
                       server.value("SHOW full_page_writes") == "on";
  benchmark::AddCustomContext("postgres_durable", durable ? "yes" : "no");

  const auto single = static_cast<benchmark::IterationCount>(scale.pick(500, 2'000));
  const auto batches = static_cast<benchmark::IterationCount>(scale.pick(60, 200));
  const std::size_t per_thread = scale.pick(200, 500);
  const std::size_t per_many_threads = scale.pick(60, 500);
  const auto trips = static_cast<benchmark::IterationCount>(scale.pick(10, 40));
  const auto stream_reads = static_cast<benchmark::IterationCount>(scale.pick(50, 200));
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
  real("postgres_append_1/floor", call_floor, single);
  real("postgres_append_1/store", append_store, single, std::size_t{1});
  manual("postgres_append_1/pgbench", pgbench, 1, std::size_t{1}, static_cast<std::size_t>(single));
  real("postgres_append_100/floor", insert_floor, batches, FloorInserts::Table::bare);
  real("postgres_append_100/guarded", insert_floor, batches, FloorInserts::Table::events);
  real("postgres_append_100/store", append_store, batches, batch_size);
  manual("postgres_append_8_threads/floor", threads_floor, 1, std::size_t{8}, per_thread);
  manual("postgres_append_8_threads/store", threads_store, 1, std::size_t{8}, per_thread);
  manual("postgres_append_8_threads/pgbench", pgbench, 1, std::size_t{8}, per_thread);
  manual("postgres_append_32_threads/floor", threads_floor, 1, std::size_t{32}, per_many_threads);
  manual("postgres_append_32_threads/store", threads_store, 1, std::size_t{32}, per_many_threads);
  real("postgres_read_stream_1000/floor", read_stream_floor, stream_reads);
  real("postgres_read_stream_1000/store", read_stream_store, stream_reads);
  real("postgres_read_log/floor", read_log_floor, log_reads);
  real("postgres_read_log/store", read_log_store, log_reads);
  manual("postgres_append_1000_and_read/floor", round_trip_floor, trips);
  manual("postgres_append_1000_and_read/store", round_trip_store, trips);
  manual("postgres_append_1000_and_read/plain", round_trip_plain, trips);
}

void finish_postgres_benchmarks() {
  shared_log().reset();
}

}  // namespace stele::bench
