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

namespace {

constexpr std::string_view usage =
    "Usage: stele_bench [--quick] [--data_dir=DIR] [--largest=EVENTS] [--benchmark_…]\n"
    "       stele_bench --generate=EVENTS --database=FILE\n";

struct Options {
  stele::bench::Scale scale;
  std::size_t largest = 1'000'000;
  std::size_t generate = 0;
  std::string database;
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
    } else if (argument.starts_with("--database=")) {
      options.database = value_of(argument, "--database=");
    } else {
      fail_usage(argument);
    }
  }
  if ((options.generate != 0) != !options.database.empty()) fail_usage("--generate and --database go together");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  try {
    const Options options = parse({argv + 1, argv + argc});
    if (options.generate != 0) {
      stele::bench::generate_store(options.database, options.generate);
      return 0;
    }
    stele::bench::register_append_benchmarks(options.scale);
    stele::bench::register_read_benchmarks(options.scale);
    stele::bench::register_soci_benchmarks(options.scale);
    stele::bench::register_growth_benchmarks(options.scale, options.largest);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stele_bench: %s\n", error.what());
    return 1;
  }
  benchmark::Shutdown();
  return 0;
}
