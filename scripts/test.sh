#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests: optimised, under AddressSanitizer with UndefinedBehaviorSanitizer, and
# under ThreadSanitizer; then the benchmarks against their floors.
#
#   scripts/test.sh             everything
#   scripts/test.sh release     one of: format release asan tsan bench
set -euo pipefail
cd "$(dirname "$0")/.."

steps=("$@")
[ "${#steps[@]}" -gt 0 ] || steps=(format release asan tsan bench)
jobs=$(nproc)
test_jobs=$((2 * jobs))  # Most tests wait for something, most of the time.

scripts/install_packages.sh test
export CTEST_OUTPUT_ON_FAILURE=1

# The second argument goes before the compiler: "nice -n 19".
build() {
  local preset=$1 options=()
  if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  # ThreadSanitizer: without a server there is nothing of SQL Server that has threads.
  if [ "$preset" = tsan ]; then options+=("-DSTELE_MSSQL=$([ -n "${STELE_TEST_MSSQL_URL:-}" ] && echo ON || echo OFF)"); fi
  cmake --preset "$preset" "${options[@]}" >/dev/null
  local log=build/$preset.log
  if ! $2 cmake --build --preset "$preset" -j "$jobs" >"$log" 2>&1; then
    grep -E -A 20 'FAILED|error' "$log" | head -n 200 >&2
    exit 1
  fi
  tail -n 1 "$log"
}

# Tests leave a processor idle half of the time: the next step's build takes what they leave.
ahead=
ahead_process=
build_ahead() {
  local from=$1 step
  for step in "${steps[@]:$from}"; do
    if [ "$step" = asan ] || [ "$step" = tsan ]; then
      set -m  # In a process group, so that all of it can be ended.
      build "$step" "nice -n 19" &
      set +m
      ahead=$step ahead_process=$!
      return
    fi
  done
}
trap 'if [ -n "$ahead_process" ]; then kill -- "-$ahead_process" 2>/dev/null || true; fi' EXIT

build_now() {
  echo "== Building $1"
  if [ "$ahead" = "$1" ]; then
    wait "$ahead_process"
    ahead= ahead_process=
  else
    build "$1" ""
  fi
}

# With the PostgreSQL server at STELE_TEST_POSTGRES_URL, or with one of its own that is gone afterwards.
with_servers() {
  if [ -n "${STELE_TEST_POSTGRES_URL:-}" ]; then "$@"; else scripts/with_postgres.sh "$@"; fi
}

say_what_is_not_tested() {
  if [ -z "${STELE_TEST_MSSQL_URL:-}" ]; then
    echo "!! SQL Server was NOT tested: STELE_TEST_MSSQL_URL names no server"
  fi
}

for number in "${!steps[@]}"; do
  step=${steps[$number]}
  case "$step" in
    format)
      echo "== Checking the format"
      git ls-files '*.h' '*.cpp' | xargs clang-format --dry-run --Werror
      ;;
    release | dev)
      build_now "$step"
      build_ahead $((number + 1))
      echo "== Testing $step"
      with_servers ctest --preset "$step" -j "$test_jobs"
      ;;
    asan)
      build_now asan
      build_ahead $((number + 1))
      echo "== Testing under AddressSanitizer and UndefinedBehaviorSanitizer"
      # What packaging tests is the same for every build.
      ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 STELE_CONFORMANCE_QUICK=1 \
        with_servers ctest --preset asan -j "$test_jobs" -LE slow -E '^packaging/'
      ;;
    tsan)
      build_now tsan
      echo "== Testing under ThreadSanitizer"
      # What has one thread is for the other builds: most commands, and these of the suite's groups and of the unit tests.
      groups=(append commands event_ids expected_version fidelity filters immutability keys limits read_log read_stream streams)
      units='unit/(Archive|CanonicalJson|Encryption|Json|SchemaCo|SchemaNumbers|SchemaPatterns|SchemaReferences|Validate)'
      TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 STELE_CONFORMANCE_QUICK=1 \
        GTEST_FILTER="-$(printf '*/%s.*:' "${groups[@]}")" \
        with_servers ctest --preset tsan -j "$test_jobs" -LE 'slow|one_thread' -E "^packaging/|^selftest|^$units"
      ;;
    bench)
      build_now release
      echo "== Benchmarks"
      # The margin is wide, because CI's machines are shared: this catches a broken fast path, and the targets themselves
      # are read off bench/run.sh on a quiet machine.
      bench/run.sh --quick --margin 0.3 build/release
      ;;
    *)
      echo "usage: $0 [format|release|asan|tsan|bench]…" >&2
      exit 2
      ;;
  esac
done
say_what_is_not_tested
