#include <benchmark/benchmark.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks.h"
#include "scratch_database.h"
#ifdef STELE_WITH_POSTGRES
#include "scratch_schema.h"
#endif

namespace {

constexpr std::string_view usage =
    "Usage: stele_bench [--quick] [--data_dir=DIR] [--largest=EVENTS] [--benchmark_…]\n"
    "       stele_bench --generate=EVENTS --database=FILE\n"
    "       stele_bench --generate=EVENTS --schema=NAME\n"
    "       stele_bench --project --database=FILE\n"
    "       stele_bench --project --schema=NAME\n"
    "       stele_bench --append_slowly=EVENTS --database=FILE\n"
    "       stele_bench --drop_schema=NAME\n";

struct Options {
  stele::bench::Scale scale;
  std::size_t largest = 1'000'000;
  std::size_t generate = 0;
  std::size_t append_slowly = 0;
  bool project = false;
  std::string database;
  std::string schema;
  std::string drop_schema;
};

[[noreturn]] void fail_usage(std::string_view argument) {
  std::fprintf(stderr, "stele_bench: bad argument '%.*s'\n%s", static_cast<int>(argument.size()), argument.data(),
               usage.data());
  std::exit(2);
}

std::size_t number(std::string_view argument, std::string_view digits) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value == 0) fail_usage(argument);
  return value;
}

/// Google Benchmark has taken its own flags out of the arguments already.
Options parse(const std::vector<std::string_view>& arguments) {
  Options options;
  const auto value_of = [](std::string_view argument, std::string_view flag) { return argument.substr(flag.size()); };
  for (const std::string_view argument : arguments) {
    if (argument == "--quick") {
      options.scale.quick = true;
    } else if (argument.starts_with("--data_dir=")) {
      stele::bench::set_data_directory(value_of(argument, "--data_dir="));
    } else if (argument.starts_with("--largest=")) {
      options.largest = number(argument, value_of(argument, "--largest="));
    } else if (argument.starts_with("--generate=")) {
      options.generate = number(argument, value_of(argument, "--generate="));
    } else if (argument.starts_with("--append_slowly=")) {
      options.append_slowly = number(argument, value_of(argument, "--append_slowly="));
    } else if (argument == "--project") {
      options.project = true;
    } else if (argument.starts_with("--database=")) {
      options.database = value_of(argument, "--database=");
#ifdef STELE_WITH_POSTGRES
    } else if (argument.starts_with("--schema=")) {
      options.schema = value_of(argument, "--schema=");
    } else if (argument.starts_with("--drop_schema=")) {
      options.drop_schema = value_of(argument, "--drop_schema=");
#endif
    } else {
      fail_usage(argument);
    }
  }
  const int targets = (options.database.empty() ? 0 : 1) + (options.schema.empty() ? 0 : 1);
  const int wanted = (options.generate != 0 ? 1 : 0) + (options.project ? 1 : 0) + (options.append_slowly != 0 ? 1 : 0);
  if (targets != wanted) fail_usage("--generate, --project or --append_slowly goes with --database or --schema");
  return options;
}

void do_one_thing(const Options& options, const std::string& url) {
  if (options.append_slowly != 0) {
    stele::bench::append_slowly(url, options.append_slowly);
  } else if (options.project) {
    stele::bench::project_store(url);
  } else {
    stele::bench::generate_store(url, options.generate);
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  try {
    const Options options = parse({argv + 1, argv + argc});
#ifdef STELE_WITH_POSTGRES
    if (!options.drop_schema.empty()) {
      stele::bench::drop_schema(options.drop_schema);
      return 0;
    }
    if (!options.schema.empty()) {
      do_one_thing(options, stele::bench::postgres_store_url(options.schema));
      return 0;
    }
    stele::bench::register_postgres_benchmarks(options.scale);
#endif
    if (!options.database.empty()) {
      do_one_thing(options, stele::bench::store_url(options.database));
      return 0;
    }
#ifdef STELE_WITH_MSSQL
    stele::bench::register_mssql_benchmarks(options.scale);
#endif
    stele::bench::register_append_benchmarks(options.scale);
    stele::bench::register_read_benchmarks(options.scale);
    stele::bench::register_aggregate_benchmarks(options.scale);
    stele::bench::register_projection_benchmarks(options.scale);
    stele::bench::register_subscription_benchmarks(options.scale);
    stele::bench::register_governance_benchmarks(options.scale);
    stele::bench::register_soci_benchmarks(options.scale);
    stele::bench::register_growth_benchmarks(options.scale, options.largest);
    benchmark::RunSpecifiedBenchmarks();
    stele::bench::finish_aggregate_benchmarks();
    stele::bench::finish_projection_benchmarks();
#ifdef STELE_WITH_POSTGRES
    stele::bench::finish_postgres_benchmarks();
#endif
#ifdef STELE_WITH_MSSQL
    stele::bench::finish_mssql_benchmarks();
#endif
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stele_bench: %s\n", error.what());
    return 1;
  }
  benchmark::Shutdown();
  return 0;
}
