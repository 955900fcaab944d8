#!/bin/sh
# bench/run.sh [--quick] [--largest EVENTS] BUILD_DIR: measures the store against its floors; see bench/README.md.
exec python3 "$(dirname "$0")/ratios.py" "$@"
