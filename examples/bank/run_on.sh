#!/usr/bin/env bash
# run_on.sh PROGRAM sqlite|postgres|mssql: runs the program twice on one fresh store, and looks at what it says.
set -euo pipefail
program=$1
work=$(mktemp -d)
schema=
clean_up() {
  rm -rf "$work"
  [ -z "$schema" ] || drop_schema
}
trap clean_up EXIT

case $2 in
  sqlite) url=sqlite:$work/bank.db ;;
  postgres)
    if [ -z "${STELE_TEST_POSTGRES_URL:-}" ]; then
      echo "skipped: STELE_TEST_POSTGRES_URL names no server"
      exit 77
    fi
    schema=stele_bank_$$
    drop_schema() {
      psql -q "$STELE_TEST_POSTGRES_URL" -c "SET client_min_messages = error; DROP SCHEMA IF EXISTS $schema CASCADE"
    }
    url="$STELE_TEST_POSTGRES_URL?schema=$schema"
    ;;
  mssql)
    if [ -z "${STELE_TEST_MSSQL_URL:-}" ]; then
      echo "skipped: STELE_TEST_MSSQL_URL names no server"
      exit 77
    fi
    schema=stele_bank_$$
    drop_schema() { python3 "$(dirname "$0")/../../tests/cli/mssql_server.py" drop "$schema"; }
    url="$STELE_TEST_MSSQL_URL?schema=$schema"
    ;;
  *) exit 2 ;;
esac

for run in first second; do
  "$program" "$url" | tee "$work/said"
  sum=$(sed -n 's/^sum of balances: //p' "$work/said")
  expected=$(sed -n 's/^expected: //p' "$work/said")
  if [ -z "$sum" ] || [ "$sum" != "$expected" ]; then
    echo "the $run run: the sum of the balances is '$sum', not '$expected'"
    exit 1
  fi
done
