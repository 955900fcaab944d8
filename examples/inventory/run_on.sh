#!/usr/bin/env bash
# run_on.sh INVENTORY STELE sqlite|postgres|mssql: runs the program twice on one fresh store, then the same read model as a SQL
# projection, and compares the two.
set -euo pipefail
inventory=$1
stele=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
projection=$here/inventory_stock.json
schema=
clean_up() {
  rm -rf "$work"
  [ -z "$schema" ] || drop_schema
}
trap clean_up EXIT

case $3 in
  sqlite)
    export STELE_URL="sqlite:$work/inventory.db"
    query() { sqlite3 "$work/inventory.db" "$1"; }
    ;;
  postgres)
    if [ -z "${STELE_TEST_POSTGRES_URL:-}" ]; then
      echo "skipped: STELE_TEST_POSTGRES_URL names no server"
      exit 77
    fi
    schema=stele_inventory_$$
    drop_schema() {
      psql -q "$STELE_TEST_POSTGRES_URL" -c "SET client_min_messages = error; DROP SCHEMA IF EXISTS $schema CASCADE"
    }
    export STELE_URL="$STELE_TEST_POSTGRES_URL?schema=$schema"
    query() { PGOPTIONS="-c search_path=$schema" psql -X -q -A -t -v ON_ERROR_STOP=1 "$STELE_TEST_POSTGRES_URL" -c "$1"; }
    ;;
  mssql)
    if [ -z "${STELE_TEST_MSSQL_URL:-}" ]; then
      echo "skipped: STELE_TEST_MSSQL_URL names no server"
      exit 77
    fi
    schema=stele_inventory_$$
    server() { python3 "$here/../../tests/cli/mssql_server.py" "$@"; }
    drop_schema() { server drop "$schema"; }
    export STELE_URL="$STELE_TEST_MSSQL_URL?schema=$schema"
    # The projection's file says "books" for the store's schema.
    sed "s/books\\./$schema./g" "$here/inventory_stock.json" >"$work/inventory_stock.json"
    projection="$work/inventory_stock.json"
    query() { server query "${1/FROM /FROM $schema.}"; }
    ;;
  *) exit 2 ;;
esac

same() {
  columns='workspace, item, quantity, last_event, last_position'
  query "SELECT $columns FROM inventory_stock ORDER BY $columns" >"$work/by_program"
  query "SELECT $columns FROM inventory_stock_sql ORDER BY $columns" >"$work/by_sql"
  [ -s "$work/by_program" ] || { echo "$1: there is nothing in stock"; exit 1; }
  diff "$work/by_program" "$work/by_sql" || { echo "$1: the program and the SQL projection differ"; exit 1; }
  echo "$1: the program and the SQL projection agree"
}

"$inventory" "$STELE_URL" "$here/events.ndjson" | tee "$work/said"
grep -qx 'appended: 120' "$work/said"
"$stele" projection run --once "$projection"
same "the first time"
rights() {
  query "SELECT relname, has_table_privilege('pg_monitor', oid, 'SELECT') FROM pg_class
         WHERE relname LIKE 'inventory_stock%' AND relkind = 'v' AND relnamespace = '$schema'::regnamespace ORDER BY 1"
}
if [ "$3" = postgres ]; then
  query 'GRANT SELECT ON inventory_stock, inventory_stock_sql TO pg_monitor'  # A role that every server has.
  rights >"$work/rights"
fi

"$stele" append item/hinge --tenant south --type ItemReceived --data '{"quantity": 9007199254740993}' >"$work/said"
"$inventory" "$STELE_URL" "$here/events.ndjson" | tee "$work/said"
grep -qx 'appended: 0' "$work/said"
grep -q 'rebuilt as generation 3' "$work/said"
"$stele" projection run --once "$projection"
same "after one more"
"$stele" projection rebuild "$projection"
same "rebuilt"
[ "$3" != postgres ] || rights | diff "$work/rights" - || { echo "a rebuild took the rights to read it away"; exit 1; }
"$stele" projection list
