#!/usr/bin/env bash
# Installs Debian packages by name, those that are missing. As root or as a user with sudo.
#
#   scripts/install_packages.sh build    what building Stele needs
#   scripts/install_packages.sh test     that, and what its tests and benchmarks need
set -euo pipefail

build=(g++ cmake ninja-build libsoci-dev libpq-dev libboost-dev nlohmann-json3-dev rapidjson-dev libcli11-dev libsqlite3-dev libssl-dev libre2-dev zlib1g-dev unixodbc-dev libhiredis-dev)
test=(git libgtest-dev libgmock-dev libbenchmark-dev sqlite3 postgresql-15 postgresql-client-15 pgbouncer redis-server python3 clang-format tdsodbc freetds-bin json-schema-test-suite)

case "${1:-}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${test[@]}") ;;
  *) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
    missing+=("$package")
  fi
done
[ "${#missing[@]}" -gt 0 ] || exit 0

echo "Installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "$0: needs root or sudo to install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
