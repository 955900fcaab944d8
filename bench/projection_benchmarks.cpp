// A projection over the whole log, against a bare read of the same log. Each iteration is a projection of its own,
// which starts at 0 and ends at the log's end.
#include <benchmark/benchmark.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include "benchmarks.h"
#include "floor_sqlite.h"
#include "stele/backends.h"
#include "stele/projection.h"
#include "stele/soci.h"
#include "written_log.h"
#ifdef STELE_WITH_POSTGRES
#include "floor_postgres.h"
#include "scratch_schema.h"
#endif
#ifdef STELE_WITH_MSSQL
#include "mssql_log.h"
#endif

namespace stele::bench {
namespace {

void use(std::string_view text, std::int64_t position) {
  benchmark::DoNotOptimize(text.data());
  benchmark::DoNotOptimize(position);
}

void expect(benchmark::State& state, std::size_t count, std::size_t expected) {
  if (count != expected) state.SkipWithError("the wrong number of events was handled");
}

/// Counts in memory. Its transactions do nothing but move the checkpoint: what the runner itself costs.
class Counting final : public Projection {
 public:
  explicit Counting(int number) : name_("counting_" + std::to_string(number)) {}
  std::string name() const override { return name_; }
  void apply(const RecordedEvent& event, ProjectionContext&) override {
    use(event.data.text(), event.position.value());
    ++count;
  }
  std::size_t count = 0;

 private:
  const std::string name_;
};

/// Counts events by stream in a table: one UPSERT an event, as a plain application does.
class Upserting final : public Projection {
 public:
  explicit Upserting(int number) : name_("upserting_" + std::to_string(number)) {}
  std::string name() const override { return name_; }
  void create(ProjectionContext& context) override {
    sql(context) << "CREATE TABLE " + name_ + " (stream text PRIMARY KEY, events bigint NOT NULL)";
  }
  void apply(const RecordedEvent& event, ProjectionContext& context) override {
    sql(context) << "INSERT INTO " + name_ +
                        " (stream, events) VALUES (:stream, 1) ON CONFLICT (stream) DO UPDATE SET " +
                        "events = " + name_ + ".events + 1",
        soci::use(event.stream.id, "stream");
    ++count;
  }
  std::size_t count = 0;

 private:
  const std::string name_;
};

template <class Made>
void project_log(benchmark::State& state, EventStore& store, std::size_t events = WrittenLog::events) {
  static int number = 0;
  for ([[maybe_unused]] auto iteration : state) {
    Made projection(++number);
    run_projection(store, projection);
    expect(state, projection.count, events);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events));
}

void sqlite_floor(benchmark::State& state) {
  FloorReader reader(written_log().database().path());
  for ([[maybe_unused]] auto iteration : state) {
    expect(state, reader.read_log([](const FloorEvent& event) { use(event.data, event.global_position); }),
           WrittenLog::events);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

template <class Made>
void sqlite_store(benchmark::State& state) {
  EventStore store = written_log().database().open_store();
  project_log<Made>(state, store);
}

#ifdef STELE_WITH_POSTGRES
std::optional<ScratchSchema>& shared_schema() {
  static std::optional<ScratchSchema> schema;
  return schema;
}

const ScratchSchema& postgres_log() {
  if (!shared_schema()) {
    EventStore store = shared_schema().emplace().open_store();
    write_log(store);
  }
  return *shared_schema();
}

void postgres_floor(benchmark::State& state) {
  FloorPages reader(postgres_log().name());
  const auto use_event = [](const FloorEvent& event) { use(event.data, event.global_position); };
  for ([[maybe_unused]] auto iteration : state) expect(state, reader.read_log(use_event), WrittenLog::events);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(WrittenLog::events));
}

template <class Made>
void postgres_store(benchmark::State& state) {
  EventStore store = postgres_log().open_store();
  project_log<Made>(state, store);
}
#endif

#ifdef STELE_WITH_MSSQL
void mssql_floor(benchmark::State& state) {
  FloorMssqlReader reader(mssql_log().name());
  reader.read_log(use);  // A connection's first statements are compiled, which is not what is measured.
  for ([[maybe_unused]] auto iteration : state) expect(state, reader.read_log(use), mssql_log_events);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(mssql_log_events));
}

void mssql_store(benchmark::State& state) {
  EventStore store = mssql_log().open_store();
  // As above, on each of the connections: on Babelfish, that of the one who looks for appends takes a second of its
  // server.
  static int warming = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::seconds(2)) {
    Counting projection(--warming);
    run_projection(store, projection);
  }
  project_log<Counting>(state, store, mssql_log_events);
}
#endif

}  // namespace

void register_projection_benchmarks(const Scale& scale) {
  const auto add = [&](const char* name, auto function) {
    benchmark::RegisterBenchmark(name, function)
        ->UseRealTime()
        ->Iterations(static_cast<benchmark::IterationCount>(scale.pick(1, 2)))
        ->Unit(benchmark::kMicrosecond);
  };
  add("project_log/floor", sqlite_floor);
  add("project_log/counting", sqlite_store<Counting>);
  add("project_log/upserting", sqlite_store<Upserting>);
#ifdef STELE_WITH_POSTGRES
  if (!postgres_url().empty()) {
    add("postgres_project_log/floor", postgres_floor);
    add("postgres_project_log/counting", postgres_store<Counting>);
    add("postgres_project_log/upserting", postgres_store<Upserting>);
  }
#endif
#ifdef STELE_WITH_MSSQL
  if (!mssql_url().empty()) {
    add("mssql_project_log/floor", mssql_floor);
    add("mssql_project_log/counting", mssql_store);
  }
#endif
}

void finish_projection_benchmarks() {
#ifdef STELE_WITH_POSTGRES
  shared_schema().reset();
#endif
}

void project_store(const std::string& url) {
  EventStore store = stele::open(url);
  Counting projection(0);
  run_projection(store, projection);
  if (projection.count == 0) throw std::runtime_error("there are no events in the store");
}

}  // namespace stele::bench
