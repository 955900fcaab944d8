#!/usr/bin/env bash
# The same session prints the same on every backend, once times, made ids and sizes are masked.
#
#   STELE_CLI=path/to/stele same_on_every_backend.sh            on an SQLite file
#   STELE_CLI=path/to/stele same_on_every_backend.sh URL        on an empty database of one's own
#   STELE_CLI=path/to/stele same_on_every_backend.sh postgres   on a schema of the server at STELE_TEST_POSTGRES_URL
#   STELE_CLI=path/to/stele same_on_every_backend.sh mssql      on a schema of the server at STELE_TEST_MSSQL_URL
#   … --accept                                                  write the transcript instead of comparing
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
expected=$here/same_on_every_backend.txt

accept=no
if [ "${1:-}" = --accept ]; then
  accept=yes
  shift
fi
work=$(mktemp -d)
schema=
drop_schema() { :; }
clean_up() {
  rm -rf "$work"
  [ -z "$schema" ] || drop_schema
}
trap clean_up EXIT
case "${1:-}" in
  postgres)
    if [ -z "${STELE_TEST_POSTGRES_URL:-}" ]; then
      echo "SKIPPED: STELE_TEST_POSTGRES_URL names no server"
      exit 77
    fi
    drop_schema() { psql -q "$STELE_TEST_POSTGRES_URL" -c "SET client_min_messages = error; DROP SCHEMA $schema CASCADE"; }
    schema=stele_cli_$$
    set -- "$STELE_TEST_POSTGRES_URL?schema=$schema"
    ;;
  mssql)
    if [ -z "${STELE_TEST_MSSQL_URL:-}" ]; then
      echo "SKIPPED: STELE_TEST_MSSQL_URL names no server, so nothing of SQL Server was tested"
      exit 77
    fi
    drop_schema() { python3 -B "$here/mssql_server.py" drop "$schema"; }
    schema=stele_cli_$$
    join='?'
    case $STELE_TEST_MSSQL_URL in *\?*) join='&' ;; esac
    set -- "$STELE_TEST_MSSQL_URL${join}schema=$schema"
    ;;
esac
unset XDG_CONFIG_HOME NO_COLOR
export HOME=$work STELE_URL=${1:-sqlite:$work/store.db}

# Runs the program as `stele`, and shows the command line, what it printed, and an exit code that is not 0.
stele() {
  local word line='$ stele'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=@-]* | '') line+=" '$word'" ;;
      *) line+=" $word" ;;
    esac
  done
  echo "$line"
  local code=0
  (cd "$work" && "$STELE_CLI" "$@" 2>&1) || code=$?
  [ "$code" -eq 0 ] || echo "exit $code"
}

session() {
  local correlation=018f3a6e-0000-7000-8000-0000000000c0
  local event_id=018f3a6e-0000-7000-8000-0000000000e1

  stele migrate up
  stele migrate up

  stele append order/1 --type OrderPlaced --data '{"note": "für Zoë", "total": 12.50}' --expect none \
    --occurred-at 2026-03-01T09:15:00.25+01:00 --actor user:anna --source shop --channel ui --correlation "$correlation"
  stele append order/1 --type OrderPaid --data '{"exact": 0.1000000000000000055511151231257827}' --expect 1 \
    --occurred-at 2026-03-01T08:16:00Z --attribute method=card --attribute desk=7
  stele append order/1 --type OrderPaid --data '{}' --expect 1
  stele append order/1 --type OrderPaid --data '{}' --expect none --json
  stele append order/2 --type OrderPlaced --data '{}' --expect exists
  stele append order/2 --type OrderPlaced --data '{}' --check order/1=2 --check Order/1=none --occurred-at 2026-03-02T00:00:00Z
  stele append order/2 --type OrderShipped --data '{}' --check order/1=1
  stele append 'order/with a slash / and ünïcode ' --type T --data '[]' --tenant acme --occurred-at 0001-01-01T00:00:00Z

  stele append price/1 --type Set --data '{"p":1}' --valid-to 2026-02-01T00:00:00Z --occurred-at 2026-01-01T00:00:00.000001Z
  stele append price/1 --type Set --data '{"p":2}' --valid-from 2026-02-01T00:00:00Z --occurred-at 9999-12-31T23:59:59.999999Z

  stele append order/3 --type OrderPlaced --data '{"n":1}' --request shop:r-1 --command-type PlaceOrder --occurred-at 2026-03-03T00:00:00Z
  stele append order/3 --type OrderPlaced --data '{ "n" : 1.0 }' --request shop:r-1 --command-type PlaceOrder --occurred-at 2026-03-03T00:00:00Z
  stele append order/3 --type OrderPlaced --data '{"n":2}' --request shop:r-1 --command-type PlaceOrder --occurred-at 2026-03-03T00:00:00Z
  stele append order/4 --type T --data '{}' --event-id "$event_id" --occurred-at 2026-03-04T00:00:00Z
  stele append order/4 --type T --data '{}' --event-id "$event_id" --occurred-at 2026-03-04T00:00:00Z
  stele append order/5 --type T --data '{}' --event-id "$event_id" --occurred-at 2026-03-04T00:00:00Z
  stele append order/4 --type T --data '{}' --idempotency-key k --occurred-at 2026-03-04T00:00:00Z
  stele append order/4 --type T --data '{"x":1}' --idempotency-key k
  stele append order/4 --type T --data '{' --expect any
  stele command shop r-1
  stele command shop r-1 --json
  stele command shop r-2

  stele read order/1
  stele read order/1 --json --backwards --limit 1
  stele read price/1 --valid-at 2026-02-01T00:00:00Z
  stele read order/9
  stele log
  stele log --backwards --limit 2 --json
  stele log --stream-type order --type OrderPlaced --after 1
  stele log --attribute method=card --json
  stele log --correlation "$correlation"
  stele log --tenant acme
  stele log --occurred-since 2026-03-02T00:00:00Z --occurred-until 2026-03-04T00:00:00Z
  stele append order/1 --type OrderShipped --data '{}' --causation "$event_id" --correlation "$correlation" \
    --occurred-at 2026-03-05T00:00:00Z
  stele trace "$event_id"
  stele trace "$correlation"
  stele trace "$correlation" --list --json
  stele trace 018f3a6e-0000-7000-8000-0000000000ff
  stele streams
  stele streams --type order --prefix 1 --json
  stele streams --limit 2 --after order/1

  printf '%s\n' \
    '{"stream_type":"loan","stream_id":"1","event_type":"Lent","source":"desk","request_id":"a","occurred_at":"2026-01-01T00:00:00Z","data":{"n":1}}' \
    '{"stream_type":"loan","stream_id":"2","event_type":"Lent","source":"desk","request_id":"a","occurred_at":"2026-01-01T00:00:00Z","data":{"n":2}}' \
    '{"stream_type":"loan","stream_id":"1","event_type":"Returned","source":"desk","request_id":"b","occurred_at":"soon","data":{}}' \
    '{"stream_type":"loan","stream_id":"2","event_type":"Returned","source":"desk","request_id":"c","occurred_at":"2026-01-02T00:00:00Z","data":{}}' \
    >"$work/loans.ndjson"
  stele import loans.ndjson
  stele import loans.ndjson --rejects rejects.ndjson
  stele import loans.ndjson --rejects rejects.ndjson --json
  stele export loans-and-orders.ndjson
  stele import loans-and-orders.ndjson
  stele read loan/1

  printf '%s' '{"required":["total"],"properties":{"total":{"minimum":0,"multipleOf":0.01}}}' >"$work/bill.json"
  stele schema add Bill bill.json
  stele schema add Bill bill.json --json
  stele schema show Bill
  stele append bill/1 --type Bill --data '{"total":19.999}'
  stele append bill/1 --type Bill --data '{"total":19.99}' --event-version 2
  stele append bill/1 --type Bill --data '{"total":19.99}' --occurred-at 2026-03-06T00:00:00Z --redaction partial
  stele schema remove Bill
  stele rules set Bill --schema warn --mask /name --keep-days 2557
  stele append bill/1 --type Bill --data '{"name":"Erika","total":-1}' --redaction full --occurred-at 2026-03-06T00:00:00Z
  stele rules list --json
  stele schema check
  stele read bill/1 --clearance partial --json
  export STELE_KEYS=env:STELE_TEST_KEYS STELE_TEST_KEYS="test $(head -c 32 /dev/zero | base64)"
  stele append person/1 --type Registered --data '{"n":1,"name":"Erika"}' --subject erika --encrypt /name --occurred-at 2026-03-07T00:00:00Z
  stele read person/1
  stele seal
  stele verify --chain
  stele forget erika
  stele forget erika
  stele read person/1
  unset STELE_KEYS STELE_TEST_KEYS
  stele verify --chain --json
  stele stats
  stele stats --json
  stele migrate down --to 0
}

# White space between a payload's tokens is the backend's own affair. Positions may have gaps in general; here every command
# runs alone, so there are none.
mask() {
  sed -E \
    -e '/^\$ /!s/": /":/g' -e '/^\$ /!s/, "/,"/g' \
    -e 's/"(recorded_at|created_at|last_recorded_at|first_recorded_at)":"[^"]*"/"\1":"TIME"/g' \
    -e 's/"(event_id|command_id|causation_id)":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"/"\1":"MADE"/g' \
    -e 's/^(command id +)[0-9a-f-]{36}$/\1MADE/' \
    -e 's/^((first|last) recorded +|recorded at +)[0-9].*$/\1TIME/' \
    -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z +[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z$/TIME TIME/' \
    -e 's/^(STREAM +VERSION +CREATED) +(LAST RECORDED)$/\1 \2/' \
    -e 's/^(bytes +)[0-9,]+$/\1SIZE/' -e 's/"bytes":[0-9]+/"bytes":"SIZE"/' \
    -e 's/^applied ([0-9]+) .*/applied \1/' -e 's/undo [0-9]+ [a-z_]+;/undo N/g'
}

if [ "$accept" = yes ]; then
  session | mask >"$expected"
  echo "written: $expected"
elif session | mask | diff -u "$expected" -; then
  echo "the same, $(grep -c '^\$ stele' "$expected") commands"
else
  echo "the session prints something else than $expected says" >&2
  exit 1
fi
