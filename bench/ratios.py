#!/usr/bin/env python3
"""Runs stele_bench, compares the store with its floors in pairs, prints a table, fails below the targets."""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

MIB = 1024 * 1024
FSYNC_DELAY_US = 2000
AGGREGATE_TARGET = 0.80
EXPORT_LIMIT = 64 * MIB
EXPORT_GROWTH_LIMIT = 8 * MIB
PROJECTION_TARGET = 0.50
IDLE_LIMIT = 1
SERVER_URL = "STELE_TEST_POSTGRES_URL"
MSSQL_URLS = ("STELE_BENCH_MSSQL_URL", "STELE_TEST_MSSQL_URL")
WITH_POSTGRES = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "with_postgres.sh"


class Bench:
    """The built programs, and how much work to do with them."""

    def __init__(self, build_dir, quick, largest):
        self.build_dir = build_dir.resolve()
        self.quick = quick
        self.largest = largest
        self.data_dir = self.build_dir / "bench-data"
        self.program = self.build_dir / "bench" / "stele_bench"
        self.shim = self.build_dir / "bench" / "stele_fsync_delay.so"
        self.cli = self.build_dir / "cli" / "stele"
        for needed in (self.program, self.shim, self.cli):
            if not needed.exists():
                raise SystemExit(f"bench: {needed} is missing; build the targets stele_bench, stele_fsync_delay and stele_cli")
        cache = (self.build_dir / "CMakeCache.txt").read_text(encoding="utf-8")
        build_type = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.MULTILINE)
        if build_type is None or build_type.group(1) not in ("Release", "RelWithDebInfo"):
            raise SystemExit("bench: only an optimised build has anything to say; use the preset 'release'")
        self.has_postgres = re.search(r"^STELE_POSTGRES:BOOL=(ON|TRUE|1)$", cache, re.MULTILINE) is not None
        self.has_mssql = re.search(r"^STELE_MSSQL:BOOL=(ON|TRUE|1)$", cache, re.MULTILINE) is not None
        self.context = {}

    def run(self, pattern, repetitions, fsync_delay_us=0, interleave=True, slow_server=False):
        """Throughput of each repetition, by benchmark name; floor and store take turns in random order.

        With slow_server the benchmarks run against a PostgreSQL server of their own, whose every fsync is delayed.
        """
        output = self.data_dir / "result.json"
        environment = dict(os.environ)
        if fsync_delay_us:
            environment["LD_PRELOAD"] = str(self.shim)
            environment["STELE_FSYNC_DELAY_US"] = str(fsync_delay_us)
        command = [str(self.program), f"--data_dir={self.data_dir}", f"--largest={self.largest}",
                   f"--benchmark_filter=^({pattern})/", f"--benchmark_repetitions={repetitions}",
                   f"--benchmark_enable_random_interleaving={'true' if interleave else 'false'}",
                   f"--benchmark_out={output}", "--benchmark_out_format=json"]
        if self.quick:
            command.append("--quick")
        if slow_server:
            environment["STELE_POSTGRES_PRELOAD"] = str(self.shim)
            environment["STELE_FSYNC_DELAY_US"] = str(FSYNC_DELAY_US)
            command = [str(WITH_POSTGRES), "--durable", *command]
        print(f"  {pattern.replace('|', ', ')}{' with a slow fsync' if fsync_delay_us or slow_server else ''} …", file=sys.stderr, flush=True)
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(command)} failed\n{done.stderr}")
        result = json.loads(output.read_text(encoding="utf-8"))
        self.context = result["context"]
        runs = {}
        for run in result["benchmarks"]:
            if run["run_type"] != "iteration":
                continue
            if run.get("error_occurred"):
                raise SystemExit(f"bench: {run['name']}: {run['error_message']}")
            name = run["name"].split("/iterations:")[0]
            runs.setdefault(name, []).append((run["repetition_index"], run))
        if not runs:
            raise SystemExit(f"bench: no benchmark is named {pattern}")
        return {name: [run for _, run in sorted(found, key=lambda entry: entry[0])] for name, found in runs.items()}

    def export_memory(self, events):
        """Peak resident memory in bytes of `stele export` of a store with so many events."""
        database = self.data_dir / f"export-{events}.db"
        subprocess.run([str(self.program), f"--generate={events}", f"--database={database}"], check=True)
        peak = self.peak_of_export(f"sqlite:{database}", events)
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{database}{suffix}").unlink(missing_ok=True)
        return peak

    def postgres_export_memory(self, events):
        """The same of a store on PostgreSQL."""
        schema = f"stele_bench_export_{os.getpid()}_{events}"
        server = os.environ[SERVER_URL]
        try:
            subprocess.run([str(self.program), f"--generate={events}", f"--schema={schema}"], check=True)
            return self.peak_of_export(f"{server}{'&' if '?' in server else '?'}schema={schema}", events)
        finally:
            subprocess.run([str(self.program), f"--drop_schema={schema}"], check=True)

    def catch_up_memory(self, events):
        """Peak resident memory in bytes of a projection that catches up over so many events."""
        database = self.data_dir / f"catch-up-{events}.db"
        subprocess.run([str(self.program), f"--generate={events}", f"--database={database}"], check=True)
        peak = peak_of([str(self.program), "--project", f"--database={database}"])
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{database}{suffix}").unlink(missing_ok=True)
        return peak

    def postgres_catch_up_memory(self, events):
        """The same of a store on PostgreSQL."""
        schema = f"stele_bench_catch_up_{os.getpid()}_{events}"
        try:
            subprocess.run([str(self.program), f"--generate={events}", f"--schema={schema}"], check=True)
            return peak_of([str(self.program), "--project", f"--schema={schema}"])
        finally:
            subprocess.run([str(self.program), f"--drop_schema={schema}"], check=True)

    def peak_of_export(self, url, events):
        # The URL may hold a password, which has no place on a command line.
        process = subprocess.Popen([str(self.cli), "export"], stdout=subprocess.PIPE, env=os.environ | {"STELE_URL": url})
        lines = 0
        while chunk := process.stdout.read(MIB):
            lines += chunk.count(b"\n")
        # This child's own figures. It cannot be less than what this script had in memory when it started the child.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0 or lines != events:
            raise SystemExit(f"bench: export gave {lines} of {events} events, exit code {process.returncode}")
        return usage.ru_maxrss * 1024


def peak_of(command):
    """Peak resident memory in bytes of a command."""
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)} failed")
    return usage.ru_maxrss * 1024


def throughput(runs):
    return [run["items_per_second"] for run in runs]


def paired_ratio(numerators, denominators):
    return statistics.median(n / d for n, d in zip(throughput(numerators), throughput(denominators), strict=True))


def paired_cpu_ratio(floor, store):
    """As paired_ratio(), of the processor's time: what the disk does not hide."""
    return statistics.median(f["cpu_time"] / s["cpu_time"] for f, s in zip(floor, store, strict=True))


def per_second(runs):
    value = statistics.median(throughput(runs))
    return f"{value / 1000:,.1f} k/s" if value >= 1000 else f"{value:,.0f} /s"


class Table:
    COLUMNS = ("workload", "floor", "store", "ratio", "target", "verdict")

    def __init__(self, margin, quick):
        self.margin = margin
        self.quick = quick
        self.rows = []
        self.failed = False
        self.judged = True

    def verdict(self, value, target, decides=True):
        if target is None or not self.judged:
            return "-"
        if value >= target:
            return "ok"
        if value >= target * (1 - self.margin):
            return "ok, within the margin"
        if not decides:
            return "below; decides nothing in a quick run"
        self.failed = True
        return "BELOW"

    def ratio(self, workload, base, store, target=None, decides=True):
        value = paired_ratio(store, base)
        text = "" if target is None else f"≥ {target:.2f}"
        self.rows.append((workload, per_second(base), per_second(store), f"{value:.2f}", text,
                          self.verdict(value, target, decides)))

    def cpu_ratio(self, workload, floor, store):
        times = [f"{statistics.median(run['cpu_time'] for run in runs):,.0f} µs" for runs in (floor, store)]
        self.rows.append((workload, *times, f"{paired_cpu_ratio(floor, store):.2f}", "", "-"))

    def at_most(self, workload, floor, store, value, limit, unit):
        verdict = "ok" if self.judged or unit == "MiB" else "-"  # Memory is the same on any server.
        if value >= limit and verdict == "ok":
            verdict = "ok, within the margin" if unit == "ms" and value < limit * (1 + self.margin) else "ABOVE"
        # Times, unlike ratios and memory, are also those of the machine and its disk.
        if verdict == "ABOVE" and self.quick and unit != "MiB":
            verdict = "above; decides nothing in a quick run"
        self.failed = self.failed or verdict == "ABOVE"
        self.rows.append((workload, floor, store, "", f"< {limit:g} {unit}", verdict))

    def show(self):
        widths = [max(len(row[i]) for row in [self.COLUMNS, *self.rows]) for i in range(len(self.COLUMNS))]
        for row in [self.COLUMNS, tuple("-" * width for width in widths), *self.rows]:
            cells = [cell.rjust(width) if 0 < i < 4 else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths))]
            print("  ".join(cells).rstrip())


def aggregate(bench, table, workload, repetitions):
    # The floor's column is the aggregate of 100 events, which has no snapshot.
    runs = bench.run(workload, repetitions)
    table.ratio("load 10,000 events with a snapshot every 100, against 100", runs[f"{workload}/short"], runs[f"{workload}/long"],
                AGGREGATE_TARGET)


def projection(bench, table, workload, catch_up_memory, repetitions):
    runs = bench.run(workload, repetitions)
    floor = runs[f"{workload}/floor"]
    table.ratio("a projection that counts in memory, over the whole log", floor, runs[f"{workload}/counting"], PROJECTION_TARGET)
    table.ratio("  one with an UPSERT for each event", floor, runs[f"{workload}/upserting"])
    print("  memory of a projection …", file=sys.stderr, flush=True)
    events = 100_000 if bench.quick else 1_000_000
    peak = catch_up_memory(events)
    table.at_most(f"peak memory of a projection over {events:,}", "", f"{peak / MIB:.1f} MiB", peak / MIB, EXPORT_LIMIT / MIB, "MiB")


def subscription(bench, table, latencies, idle):
    """Latency is from an append's return to the handler; an idle process has ten subscriptions with names."""
    repetitions = 3 if bench.quick else 5
    for workload, title, limit in latencies:
        runs = bench.run(workload, repetitions)[workload]
        value = statistics.median(run["p99_ms"] for run in runs)
        median = statistics.median(run["median_ms"] for run in runs)
        table.at_most(title, f"median {median:.2f} ms", f"{value:.2f} ms", value, limit, "ms")
    runs = bench.run(idle, repetitions)[idle]
    value = statistics.median(run["cpu_percent"] for run in runs)
    table.at_most("10 idle subscriptions, of one core", "", f"{value:.2f} %", value, IDLE_LIMIT, "%")


def governance(bench, table, prefix, repetitions):
    """Against the same append without: it may take so much longer, as a part of it."""
    workload = f"{prefix}governed_append"
    runs = bench.run(workload, repetitions)
    for name, title, longer in (("schema", "append 1 event that has a schema, against none", 0.10),
                                ("encrypted", "  one with an encrypted part", 0.25),
                                ("sealed", "  one, and a seal every 100", 0.15)):
        table.ratio(title, runs[f"{workload}/plain"], runs[f"{workload}/{name}"], 1 / (1 + longer), decides=not bench.quick)
    runs = bench.run(f"{prefix}forget", 3 if bench.quick else 7)[f"{prefix}forget/store"]
    value = statistics.median(run["real_time"] for run in runs)
    table.at_most("forget somebody with 10,000 events", "", f"{value:.0f} ms", value, 1_000, "ms")


def measure(bench, table):
    repetitions = 9 if bench.quick else 25

    for workload, title, target in (("append_1", "append 1 event", 0.85), ("append_100", "append 100 in a batch", 0.80),
                                    ("read_stream_1000", "read a stream of 1,000", 0.80),
                                    ("read_log", "read the whole log, 100 k events", 0.80)):
        runs = bench.run(workload, repetitions)
        table.ratio(title, runs[f"{workload}/floor"], runs[f"{workload}/store"], target)
        if workload.startswith("append"):
            table.cpu_ratio("  processor time alone", runs[f"{workload}/floor"], runs[f"{workload}/store"])

    aggregate(bench, table, "load_aggregate", repetitions)
    projection(bench, table, "project_log", bench.catch_up_memory, repetitions)
    governance(bench, table, "", repetitions)
    subscription(bench, table,
                 (("subscription_latency/one_process", "append to handler, 99 % of them, one process", 5),
                  ("subscription_latency/two_processes", "append to handler, 99 % of them, two processes", 50)),
                 "subscription_idle/store")

    runs = bench.run("append_1000_and_read", max(5, repetitions // 3))
    medians = {side: statistics.median(run["median_ms"] for run in runs[f"append_1000_and_read/{side}"])
               for side in ("floor", "store", "plain")}
    table.at_most("append 1,000 plain events and read them back", "", f"{medians['plain']:.1f} ms", medians["plain"], 10, "ms")
    table.ratio("  the same with full events", runs["append_1000_and_read/floor"], runs["append_1000_and_read/store"])

    runs = bench.run("append_1|append_8_threads", max(5, repetitions // 3))
    table.ratio("8 threads, 1 event each, this disk", runs["append_8_threads/floor"], runs["append_8_threads/store"])

    slow = bench.run("append_1|append_8_threads", 3 if bench.quick else 9, fsync_delay_us=FSYNC_DELAY_US)
    table.ratio("8 threads, 1 event each, fsync + 2 ms", slow["append_8_threads/floor"], slow["append_8_threads/store"])
    table.ratio("  the same against one thread's store", slow["append_1/store"], slow["append_8_threads/store"], 5.0)

    runs = bench.run("growth_append_1|growth_append_100", 3, interleave=False)
    for workload, title in (("growth_append_1", "append 1"), ("growth_append_100", "append 100")):
        smallest, target = 10_000, 0.75
        size = smallest * 10
        while size <= bench.largest:
            # The floor's column is the store itself while its log is small.
            table.ratio(f"{title} at {size:,} events, against 10,000", runs[f"{workload}/{smallest}/store"],
                        runs[f"{workload}/{size}/store"], target)
            table.ratio(f"  against the floor at {size:,}", runs[f"{workload}/{size}/floor"], runs[f"{workload}/{size}/store"])
            size *= 10

    for workload, title in (("soci_append_rows", "SOCI for the floor's INSERTs"), ("soci_read_rows", "SOCI for the floor's log")):
        runs = bench.run(workload, 5)
        table.ratio(title, runs[f"{workload}/floor"], runs[f"{workload}/soci"])

    print("  memory of an export …", file=sys.stderr, flush=True)
    small, large = 20_000, 200_000 if bench.quick else 1_000_000
    small_peak, large_peak = bench.export_memory(small), bench.export_memory(large)
    table.at_most(f"peak memory of an export of {large:,}", "", f"{large_peak / MIB:.1f} MiB", large_peak / MIB,
                  EXPORT_LIMIT / MIB, "MiB")
    table.at_most(f"  more than one of {small:,} takes", f"{small_peak / MIB:.1f} MiB", f"{large_peak / MIB:.1f} MiB",
                  (large_peak - small_peak) / MIB, EXPORT_GROWTH_LIMIT / MIB, "MiB")


def measure_postgres(bench, table):
    repetitions = 7 if bench.quick else 21
    has_pgbench = shutil.which("pgbench") is not None

    runs = bench.run("postgres_append_1", repetitions)
    if bench.context.get("postgres_durable") != "yes":
        table.judged = False
        print("\nbench: THE SERVER IS NOT DURABLE (fsync, synchronous_commit or full_page_writes is off): "
              "what follows says nothing about the targets\n", file=sys.stderr, flush=True)
    table.ratio("append 1 event", runs["postgres_append_1/floor"], runs["postgres_append_1/store"], 0.85)
    table.cpu_ratio("  processor time of the client alone", runs["postgres_append_1/floor"], runs["postgres_append_1/store"])
    if has_pgbench:
        table.ratio("  against pgbench", runs["postgres_append_1/pgbench"], runs["postgres_append_1/store"])

    runs = bench.run("postgres_append_100", repetitions)
    table.ratio("append 100 in a batch", runs["postgres_append_100/floor"], runs["postgres_append_100/store"], 0.80)
    table.ratio("  against the same INSERT into events", runs["postgres_append_100/guarded"], runs["postgres_append_100/store"])

    runs = bench.run("postgres_append_1/store|postgres_append_8_threads", repetitions)
    table.ratio("8 threads, 1 event each", runs["postgres_append_8_threads/floor"], runs["postgres_append_8_threads/store"], 0.90)
    table.ratio("  against one thread of the store", runs["postgres_append_1/store"], runs["postgres_append_8_threads/store"], 2.5,
                decides=not bench.quick)
    if has_pgbench:
        table.ratio("  against pgbench", runs["postgres_append_8_threads/pgbench"], runs["postgres_append_8_threads/store"])

    if can_start_postgres():
        slow = bench.run("postgres_append_1/store|postgres_append_32_threads", 3 if bench.quick else 7, slow_server=True)
        table.ratio("32 threads, fsync + 2 ms, against one thread", slow["postgres_append_1/store"],
                    slow["postgres_append_32_threads/store"], 10.0, decides=not bench.quick)
        table.ratio("  against the floor's 32 connections", slow["postgres_append_32_threads/floor"],
                    slow["postgres_append_32_threads/store"])
    else:
        print("\nbench: NOT MEASURED with a slow fsync: no PostgreSQL server is installed here\n", file=sys.stderr, flush=True)

    for workload, title in (("postgres_read_stream_1000", "read a stream of 1,000"),
                            ("postgres_read_log", "read the whole log, 100 k events")):
        runs = bench.run(workload, repetitions)
        table.ratio(title, runs[f"{workload}/floor"], runs[f"{workload}/store"], 0.80)
        table.cpu_ratio("  processor time of the client alone", runs[f"{workload}/floor"], runs[f"{workload}/store"])

    aggregate(bench, table, "postgres_load_aggregate", repetitions)
    projection(bench, table, "postgres_project_log", bench.postgres_catch_up_memory, repetitions)
    governance(bench, table, "postgres_", repetitions)
    subscription(bench, table, (("postgres_subscription_latency/two_stores", "append to handler, 99 % of them, two stores", 5),),
                 "postgres_subscription_idle/store")

    workload = "postgres_append_1000_and_read"
    runs = bench.run(workload, max(5, repetitions // 3))
    plain = statistics.median(run["median_ms"] for run in runs[f"{workload}/plain"])
    table.at_most("append 1,000 plain events and read them back", "", f"{plain:.1f} ms", plain, 25, "ms")
    table.ratio("  the same with full events", runs[f"{workload}/floor"], runs[f"{workload}/store"])

    print("  memory of an export …", file=sys.stderr, flush=True)
    small, large = 20_000, 100_000 if bench.quick else 1_000_000
    small_peak, large_peak = bench.postgres_export_memory(small), bench.postgres_export_memory(large)
    table.at_most(f"peak memory of an export of {large:,}", "", f"{large_peak / MIB:.1f} MiB", large_peak / MIB,
                  EXPORT_LIMIT / MIB, "MiB")
    table.at_most(f"  more than one of {small:,} takes", f"{small_peak / MIB:.1f} MiB", f"{large_peak / MIB:.1f} MiB",
                  (large_peak - small_peak) / MIB, EXPORT_GROWTH_LIMIT / MIB, "MiB")


def measure_mssql(bench, table):
    repetitions = 5 if bench.quick else 15
    workloads = (("append_1", "append 1 event"), ("append_100", "append 100 in a batch"),
                 ("append_8_threads", "8 threads, 1 event each"), ("read_stream_1000", "read a stream of 1,000"),
                 ("read_log", "read the whole log, 20 k events"))
    for workload, title in workloads:
        runs = bench.run(f"mssql_{workload}", repetitions)
        if table.judged and bench.context.get("mssql_babelfish"):
            table.judged = False
            print(f"\nbench: THE SERVER IS BABELFISH {bench.context['mssql_babelfish']}: what follows says nothing about "
                  "SQL Server, and decides nothing\n", file=sys.stderr, flush=True)
        table.ratio(title, runs[f"mssql_{workload}/floor"], runs[f"mssql_{workload}/store"], 0.80)
        if workload != "append_8_threads":
            table.cpu_ratio("  processor time of the client alone", runs[f"mssql_{workload}/floor"],
                            runs[f"mssql_{workload}/store"])
    aggregate(bench, table, "mssql_load_aggregate", repetitions)
    runs = bench.run("mssql_project_log", repetitions)
    table.ratio("a projection that counts in memory, over the whole log", runs["mssql_project_log/floor"],
                runs["mssql_project_log/counting"], PROJECTION_TARGET)
    subscription(bench, table, (("mssql_subscription_latency/two_stores", "append to handler, 99 % of them, two stores", 25),),
                 "mssql_subscription_idle/store")


def can_start_postgres():
    """Whether scripts/with_postgres.sh finds a server's programs."""
    return any(pathlib.Path("/usr/lib/postgresql").glob("1[5-8]/bin/initdb"))


def run_table(bench, title, measure_rows, margin):
    """Measures and prints one backend's table. False when a row missed its target."""
    table = Table(margin, bench.quick)
    started = time.monotonic()
    shutil.rmtree(bench.data_dir, ignore_errors=True)
    bench.data_dir.mkdir()
    try:
        measure_rows(bench, table)
    finally:  # What was measured before a failure is shown too.
        shutil.rmtree(bench.data_dir, ignore_errors=True)
        print(f"\n{title}\n")
        table.show()
    print(f"\nMedians of paired runs; margin for noise {table.margin:.0%}; {time.monotonic() - started:.0f} s.", flush=True)
    return not table.failed


def run_postgres(bench, arguments, margin):
    """As run_table(); a durable server is started if none was given."""
    if not bench.has_postgres:
        return True
    if os.environ.get(SERVER_URL):
        return run_table(bench, "PostgreSQL", measure_postgres, margin)
    if not can_start_postgres():
        print(f"\nbench: POSTGRESQL WAS NOT MEASURED: {SERVER_URL} names no server, and none is installed here\n",
              file=sys.stderr, flush=True)
        return True
    again = [str(WITH_POSTGRES), "--durable", sys.executable, __file__, "--backend=postgres", f"--margin={margin}",
             *(["--quick"] if arguments.quick else []), str(arguments.build_dir)]
    return subprocess.run(again, check=False).returncode == 0


def run_mssql(bench, margin):
    """As run_table(), where there is a server."""
    if not bench.has_mssql:
        return True
    if not any(os.environ.get(name) for name in MSSQL_URLS):
        print(f"\nbench: SQL SERVER WAS NOT MEASURED: neither {' nor '.join(MSSQL_URLS)} names a server\n", file=sys.stderr,
              flush=True)
        return True
    return run_table(bench, "SQL Server", measure_mssql, margin)


def main():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__)
    parser.add_argument("build_dir", type=pathlib.Path, help="where an optimised build lies")
    parser.add_argument("--quick", action="store_true", help="less work, a wider margin; under five minutes")
    parser.add_argument("--margin", type=float, help="how far below its target a ratio may lie (0.05, and 0.10 with --quick)")
    parser.add_argument("--largest", type=int, default=1_000_000, help="events in the log where the growth ends (%(default)s)")
    parser.add_argument("--backend", choices=("sqlite", "postgres", "mssql"), help="only this one")
    arguments = parser.parse_args()

    bench = Bench(arguments.build_dir, arguments.quick, arguments.largest)
    margin = arguments.margin if arguments.margin is not None else 0.10 if arguments.quick else 0.05
    good = True
    if arguments.backend in (None, "sqlite"):
        good = run_table(bench, "SQLite", measure, margin)
    if arguments.backend in (None, "postgres"):
        good = run_postgres(bench, arguments, margin) and good
    if arguments.backend in (None, "mssql"):
        good = run_mssql(bench, margin) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
