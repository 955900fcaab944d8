#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own, and removes the server afterwards.
#
#   scripts/with_postgres.sh COMMAND…             for tests: fsync off, so that the disk is not what is tested
#   scripts/with_postgres.sh --durable COMMAND…   for benchmarks: PostgreSQL's defaults
#
# The server listens on loopback alone, on a free port, as an unprivileged user, with a password made here. The command
# finds it in STELE_TEST_POSTGRES_URL.
#
# STELE_POSTGRES_PRELOAD names a library that the server loads first: for benchmarks, one that makes each fsync take
# STELE_FSYNC_DELAY_US microseconds more. The server's user has to be able to read it.
set -euo pipefail

durability=(-c fsync=off -c full_page_writes=off)
if [ "${1:-}" = --durable ]; then
  durability=()
  shift
fi
[ $# -gt 0 ] || { echo "usage: $0 [--durable] COMMAND…" >&2; exit 2; }

programs=
for version in 18 17 16 15; do
  if [ -x "/usr/lib/postgresql/$version/bin/initdb" ]; then
    programs=/usr/lib/postgresql/$version/bin
    break
  fi
done
[ -n "$programs" ] || { echo "$0: no PostgreSQL server is installed (package postgresql-15)" >&2; exit 1; }

folder=$(mktemp -d /tmp/stele-postgres-XXXXXX)
as_server=()
if [ "$(id -u)" = 0 ]; then  # PostgreSQL refuses to run as root.
  as_server=(runuser -u postgres --)
  chown postgres "$folder"
fi
# Not inside a folder that the server's user may not enter.
server() { (cd "$folder" && "${as_server[@]}" "$@"); }

remove() {
  server "$programs/pg_ctl" stop -D "$folder/data" -m immediate -s >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap remove EXIT
trap 'exit 130' INT TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
# In a file, so that no other user reads it off the command line.
(umask 077 && echo "$password" >"$folder/password")
if [ "$(id -u)" = 0 ]; then chown postgres "$folder/password"; fi
server "$programs/initdb" -D data -U stele -E UTF8 --locale=C.UTF-8 -A scram-sha-256 --pwfile=password --no-sync >/dev/null

preload=()
if [ -n "${STELE_POSTGRES_PRELOAD:-}" ]; then
  preload=(env "LD_PRELOAD=$STELE_POSTGRES_PRELOAD" "STELE_FSYNC_DELAY_US=${STELE_FSYNC_DELAY_US:-0}")
fi
for _ in 1 2 3 4 5; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  if server "${preload[@]}" "$programs/pg_ctl" start -D data -w -s -l log -o "-c listen_addresses=127.0.0.1 -c port=$port \
      -c unix_socket_directories= -c max_connections=200 ${durability[*]}"; then
    started=1
    break
  fi
done
if [ -z "${started:-}" ]; then
  cat "$folder/log" >&2
  exit 1
fi

export STELE_TEST_POSTGRES_URL="postgresql://stele:$password@127.0.0.1:$port/postgres"
status=0
"$@" || status=$?
exit "$status"
