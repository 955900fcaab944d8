// Loading an aggregate: one of 10,000 events with a snapshot every 100 against one of 100 events without any.
#include <benchmark/benchmark.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "benchmarks.h"
#include "sample_events.h"
#include "scratch_database.h"
#include "stele/aggregate.h"
#include "workloads.h"
#ifdef STELE_WITH_POSTGRES
#include "floor_postgres.h"
#include "scratch_schema.h"
#endif
#ifdef STELE_WITH_MSSQL
#include "floor_mssql.h"
#endif

namespace stele::bench {
namespace {

constexpr std::int64_t long_history = 10'000;
constexpr std::int64_t short_history = 100;
constexpr std::int64_t events_per_snapshot = 100;
constexpr std::size_t long_stream = 0;
constexpr std::size_t short_stream = 1;
constexpr std::size_t other_streams = 200;

/// Its events cost next to nothing to apply, so that the store's work shows.
struct Order {
  static constexpr std::string_view stream_type = sample_stream_type;
  static constexpr std::int32_t snapshot_schema_version = 1;

  std::int64_t count = 0;
  std::uint64_t bytes = 0;

  void apply(const RecordedEvent& event) {
    ++count;
    bytes += event.data.text().size();
  }
  Json to_snapshot() const {
    return Json(nlohmann::json{{"count", count}, {"bytes", bytes}, {"note", std::string(300, 'x')}});
  }
  static Order from_snapshot(const Json& json) {
    const nlohmann::json value = json.value();
    return {value.at("count").get<std::int64_t>(), value.at("bytes").get<std::uint64_t>()};
  }
};

/// The last hundred events have no snapshot yet: no load has more to replay.
void write_aggregates(EventStore& store) {
  SampleEvents samples;
  RepositoryOptions options;
  options.snapshots.keep = 0;
  const Repository<Order> orders(store, options);
  for (std::size_t stream = 0; stream < other_streams; ++stream) {
    append_to_store(store, sample_stream_id(stream), take(samples, short_history));
  }
  for (std::int64_t version = short_history; version < long_history; version += events_per_snapshot) {
    if (!orders.snapshot(orders.load(sample_stream_id(long_stream)))) throw std::runtime_error("a snapshot is missing");
    append_to_store(store, sample_stream_id(long_stream), take(samples, events_per_snapshot));
  }
}

/// A store that all repetitions share, written when the first one asks for it.
template <class Scratch>
class Aggregates {
 public:
  Aggregates() : store_(scratch_.open_store()) { write_aggregates(store_); }

  EventStore& store() noexcept { return store_; }
  const Scratch& scratch() const noexcept { return scratch_; }

 private:
  Scratch scratch_;
  EventStore store_;
};

EventStore& sqlite_aggregates() {
  static Aggregates<ScratchDatabase> shared;
  return shared.store();
}

#ifdef STELE_WITH_POSTGRES
std::unique_ptr<Aggregates<ScratchSchema>>& shared_postgres_aggregates() {
  static std::unique_ptr<Aggregates<ScratchSchema>> shared;
  return shared;
}

EventStore& postgres_aggregates() {
  std::unique_ptr<Aggregates<ScratchSchema>>& shared = shared_postgres_aggregates();
  if (!shared) {
    shared = std::make_unique<Aggregates<ScratchSchema>>();
    // As autovacuum does sooner or later: not between two repetitions.
    FloorPostgres(shared->scratch().name()).run("VACUUM ANALYZE streams, snapshots, events");
  }
  return shared->store();
}
#endif

#ifdef STELE_WITH_MSSQL
std::unique_ptr<Aggregates<MssqlScratch>>& shared_mssql_aggregates() {
  static std::unique_ptr<Aggregates<MssqlScratch>> shared;
  return shared;
}

EventStore& mssql_aggregates() {
  if (!shared_mssql_aggregates()) shared_mssql_aggregates() = std::make_unique<Aggregates<MssqlScratch>>();
  return shared_mssql_aggregates()->store();
}
#endif

void load(benchmark::State& state, EventStore& (*aggregates)(), std::size_t stream, std::int64_t events,
          std::int64_t snapshot) {
  const Repository<Order> orders(aggregates());
  const std::string id = sample_stream_id(stream);
  for ([[maybe_unused]] auto iteration : state) {
    const Loaded<Order> loaded = orders.load(id);
    if (loaded.state.count != events || loaded.snapshot_version != Version(snapshot)) {
      state.SkipWithError("something else was loaded");
    }
  }
  state.SetItemsProcessed(state.iterations());
}

void add(const std::string& prefix, EventStore& (*aggregates)(), const Scale& scale) {
  const auto loads = static_cast<benchmark::IterationCount>(scale.pick(200, 1'000));
  const auto run = [&](const char* side, std::size_t stream, std::int64_t events, std::int64_t snapshot) {
    benchmark::RegisterBenchmark((prefix + side).c_str(), load, aggregates, stream, events, snapshot)
        ->UseRealTime()
        ->Iterations(loads)
        ->Unit(benchmark::kMicrosecond);
  };
  run("load_aggregate/short", short_stream, short_history, 0);
  run("load_aggregate/long", long_stream, long_history, long_history - events_per_snapshot);
}

}  // namespace

void register_aggregate_benchmarks(const Scale& scale) {
  add("", sqlite_aggregates, scale);
#ifdef STELE_WITH_POSTGRES
  if (!postgres_url().empty()) add("postgres_", postgres_aggregates, scale);
#endif
#ifdef STELE_WITH_MSSQL
  if (!mssql_url().empty()) add("mssql_", mssql_aggregates, scale);
#endif
}

void finish_aggregate_benchmarks() {
#ifdef STELE_WITH_POSTGRES
  shared_postgres_aggregates().reset();
#endif
#ifdef STELE_WITH_MSSQL
  shared_mssql_aggregates().reset();
#endif
}

}  // namespace stele::bench
