// What governance costs an append: a schema, encryption, and the hashes of a seal, each against the plain append.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks.h"
#include "sample_events.h"
#include "scratch_database.h"
#include "stele/backends.h"
#include "stele/key_provider.h"
#include "stele/seal.h"
#include "workloads.h"
#ifdef STELE_WITH_POSTGRES
#include "scratch_schema.h"
#endif

namespace stele::bench {
namespace {

enum class With { nothing, schema, encryption, seals };

constexpr std::size_t appends_between_seals = 100;

// As somebody would write it for such orders: every member has a type, and most a range.
constexpr const char* order_schema = R"({
  "type": "object",
  "required": ["order_no", "customer", "lines", "total", "currency"],
  "properties": {
    "order_no": {"type": "string", "pattern": "^SO-[0-9]{7}$"},
    "customer": {"type": "object", "required": ["id", "name"],
                 "properties": {"id": {"type": "integer", "minimum": 0}, "name": {"type": "string", "minLength": 1},
                                "city": {"type": "string"}}},
    "lines": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["sku", "quantity", "unit_price"],
              "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1},
                             "unit_price": {"type": "number", "multipleOf": 0.01}}}},
    "total": {"type": "number", "minimum": 0, "multipleOf": 0.01},
    "currency": {"enum": ["EUR", "USD"]},
    "express": {"type": "boolean"}
  }
})";

std::shared_ptr<KeyProvider> keys() {
  constexpr const char* variable = "STELE_BENCH_MASTER_KEYS";
  ::setenv(variable, new_master_key_line("bench").c_str(), 1);
  return environment_key_provider(variable);
}

std::string url_of(const ScratchDatabase& database) {
  return store_url(database.path());
}
#ifdef STELE_WITH_POSTGRES
std::string url_of(const ScratchSchema& schema) {
  return postgres_store_url(schema.name());
}
#endif

template <class Scratch>
void append(benchmark::State& state, With with) {
  const Scratch scratch;
  OpenOptions options;
  if (with == With::encryption) options.keys = keys();
  EventStore store = stele::open(url_of(scratch), options);
  if (with == With::schema) {
    SampleEvents samples;
    for (int i = 0; i < 20; ++i) {
      EventSchema schema;
      schema.form = {std::string(samples.next().type), 1};
      schema.text = order_schema;
      store.add_schema(schema);
    }
  }
  if (with == With::encryption) {  // The keys of subjects that are new are made once, and not measured.
    for (const std::string& id : stream_ids(stream_count)) {
      NewEvent event = to_new_event(SampleEvents().next());
      event.personal = PersonalData{id, {"/customer"}};
      store.append(StreamKey("warm-up", id), ExpectedVersion::any(), {std::move(event)}).or_throw();
    }
  }
  std::size_t count = 0;
  append_loop(state, 1, [&](const std::string& id, std::span<const SampleEvent> samples) {
    NewEvent event = to_new_event(samples.front());
    if (with == With::encryption) event.personal = PersonalData{id, {"/customer"}};
    store.append(StreamKey(std::string(sample_stream_type), id), ExpectedVersion::any(), {std::move(event)}).or_throw();
    if (with == With::seals && ++count % appends_between_seals == 0) seal_log(store);
  });
}

/// Somebody with 10,000 events in a hundred streams is forgotten.
template <class Scratch>
void forget(benchmark::State& state) {
  constexpr int events = 10'000;
  constexpr int streams = 100;
  const Scratch scratch;
  OpenOptions options;
  options.keys = keys();
  EventStore store = stele::open(url_of(scratch), options);
  int subject = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const std::string name = std::to_string(++subject);
    SampleEvents samples;
    std::vector<AppendRequest> requests(streams);
    for (int i = 0; i < streams; ++i) {
      StreamAppend& append = requests[static_cast<std::size_t>(i)].streams.emplace_back();
      append.stream = StreamKey(std::string(sample_stream_type), name + "-" + std::to_string(i));
      for (int k = 0; k < events / streams; ++k) {
        append.events.push_back(to_new_event(samples.next()));
        append.events.back().personal = PersonalData{name, {"/customer"}};
      }
    }
    store.append_all(requests);
    const auto start = steady_clock::now();
    if (store.forget(std::string(default_tenant), name).events != events) state.SkipWithError("events are missing");
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - start).count());
  }
}

template <class Scratch>
void register_all(const std::string& prefix, benchmark::IterationCount iterations) {
  for (const auto& [name, with] : {std::pair("plain", With::nothing),
                                   {"schema", With::schema},
                                   {"encrypted", With::encryption},
                                   {"sealed", With::seals}}) {
    benchmark::RegisterBenchmark((prefix + "governed_append/" + name).c_str(), append<Scratch>, with)
        ->UseRealTime()
        ->Iterations(iterations)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RegisterBenchmark((prefix + "forget/store").c_str(), forget<Scratch>)
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_governance_benchmarks(const Scale& scale) {
  const auto iterations = static_cast<benchmark::IterationCount>(scale.pick(400, 2'000));
  register_all<ScratchDatabase>("", iterations);
#ifdef STELE_WITH_POSTGRES
  if (!postgres_url().empty()) register_all<ScratchSchema>("postgres_", iterations);
#endif
}

}  // namespace stele::bench
