#!/usr/bin/env bash
# From a clean clone to events in an SQLite store: installs what is missing, builds, and does the main job on the bundled
# sample. Asks nothing. The store stays in build/quickstart/library.db to play with.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build

mkdir -p build
echo "== Building"
cmake -S . -B build/quickstart -G Ninja -DCMAKE_BUILD_TYPE=Release -DSTELE_CONFORMANCE=OFF -DSTELE_TESTS=OFF \
  -DSTELE_BENCH=OFF -DSTELE_EXAMPLES=OFF >build/quickstart.log 2>&1 || { cat build/quickstart.log >&2; exit 1; }
cmake --build build/quickstart --target stele_cli

stele=build/quickstart/cli/stele
database=build/quickstart/library.db
rm -f "$database" "$database-wal" "$database-shm"
export STELE_URL="sqlite:$database"

run() {
  printf '\n$ stele %s\n' "$*"
  "$stele" "$@"
}

printf '\n== A new store: STELE_URL=%s\n' "$STELE_URL"
run migrate up
run import examples/sample/library.ndjson
printf '\n== The same file again adds nothing\n'
run import examples/sample/library.ndjson
run streams --limit 5
stream=$("$stele" --json streams --type loan --limit 1 | sed -n 's/.*"stream_id":"\([^"]*\)".*/loan\/\1/p')
printf '\n== One stream, read back\n'
run read "$stream"
run stats
printf '\n== Every invariant, checked\n'
run verify
printf '\nDone. Try: STELE_URL=%s %s log --limit 10\n' "$STELE_URL" "$stele"
