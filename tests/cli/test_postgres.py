"""The command line on PostgreSQL: what only a server has. Needs one at STELE_TEST_POSTGRES_URL, and psql."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest
from urllib.parse import urlsplit

from stele_cli import (
    BUSY,
    CONFLICT,
    CONNECT,
    FAILED,
    INTEGRITY,
    NOT_FOUND,
    OK,
    SCHEMA,
    USAGE,
    CliTest,
    given,
    ndjson,
    permit_events,
)

SERVER = os.environ.get("STELE_TEST_POSTGRES_URL", "")
SAMPLE = os.environ["STELE_SAMPLE"]
PASSWORD = urlsplit(SERVER).password or ""

schema_numbers = itertools.count(1)


def psql(sql, **options):
    return subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", SERVER],
        input="SET client_min_messages = error; " + sql,
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
        **options,
    ).stdout.strip()


class PostgresTest(CliTest):
    """A schema for each test. No password may ever be printed, whatever a test does."""

    def setUp(self):
        super().setUp()
        self.schema = f"stele_cli_{os.getpid()}_{next(schema_numbers)}"
        self.url = self.url_with("")
        self.addCleanup(psql, f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def url_with(self, settings, server=SERVER):
        return f"{server}?schema={self.schema}{settings}"

    def sqlite_url(self, name="copy.db"):
        return "sqlite:" + self.path(name)

    def run_stele(self, *arguments, secrets=(PASSWORD,), **options):
        result = super().run_stele(*arguments, **options)
        for secret in secrets:
            if secret:
                self.assertNotIn(secret, result.out + result.err, f"{arguments} printed a password")
        return result

    def query(self, sql):
        return psql(f"SET search_path = {self.schema}, pg_temp; {sql}")


class ExitCodes(PostgresTest):
    def error(self, *arguments, code, name, **options):
        (error,) = self.run_stele("--json", *arguments, expect=code, **options).error_objects
        self.assertEqual((error["error"], error["exit_code"]), (name, code), error)
        if code != SCHEMA:  # Which core finds.
            self.assertEqual(error["backend"], "postgres")
        return error

    def test_cannot_connect(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # Bound and not listening: whoever connects is refused.
            port = nobody.getsockname()[1]
            url = f"postgresql://anna:open-sesame@127.0.0.1:{port}/books"
            for arguments in (["stats"], ["migrate", "status"], ["migrate", "up"], ["append", "a/1", "--type", "T", "--data", "{}"]):
                error = self.error(*arguments, url=url, code=CONNECT, name="cannot_connect", secrets=["open-sesame"])
                self.assertIn(str(port), error["message"])
                self.run_stele(*arguments, url=url, expect=CONNECT, secrets=["open-sesame"])

    def test_wrong_password_user_or_database(self):
        parts = urlsplit(SERVER)
        place = f"{parts.hostname}:{parts.port}"
        for url in (
            f"postgresql://{parts.username}:wrong-pass-42@{place}{parts.path}",
            f"postgresql://nobody-of-this-name:wrong-pass-42@{place}{parts.path}",
            f"{SERVER}_which_does_not_exist",
        ):
            self.error("stats", url=url, code=CONNECT, name="cannot_connect", secrets=["wrong-pass-42", PASSWORD])

    def test_password_in_the_settings(self):
        parts = urlsplit(SERVER)
        place = f"{parts.hostname}:{parts.port}{parts.path}"
        self.run_stele("stats", url=f"postgresql://{place}?user=x&password=wrong-pass-43", secrets=["pass-43"], expect=CONNECT)
        self.run_stele("stats", url=f"postgresql://u:wrong-pass-44@{place}?no_such=1", secrets=["pass-44"], expect=USAGE)
        self.run_stele("stats", url=f"postgresql://u:wrong-pass-45@{place}?password=x", secrets=["pass-45"], expect=USAGE)

    def test_schema_not_up_to_date(self):
        commands = (["stats"], ["log"], ["streams"], ["verify"], ["append", "a/1", "--type", "T", "--data", "{}"], ["roles"])
        for arguments in commands:
            self.error(*arguments, code=SCHEMA, name="schema_outdated")
        self.run_stele("migrate", "status", expect=SCHEMA)
        self.run_stele("migrate", "up", "--steps", "1")
        for arguments in commands:
            self.error(*arguments, code=SCHEMA, name="schema_outdated")
        self.migrate()
        self.run_stele("migrate", "status")
        self.query("INSERT INTO stele_migrations (number, title, checksum, direction) VALUES (999, 'later', 'x', 'up')")
        self.error("stats", code=SCHEMA, name="schema_too_new")

    def test_busy(self):
        self.migrate()
        self.append("order/1")
        holder = subprocess.Popen(["psql", "-X", "-q", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.stdout.close)
        try:
            holder.stdin.write(f"BEGIN; LOCK TABLE {self.schema}.events IN EXCLUSIVE MODE;\n\\echo held\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline(), "held\n")
            url = self.url_with("&busy_timeout=300ms")
            started = time.monotonic()
            append = ["append", "order/1", "--type", "T", "--data", "{}"]
            self.assertTrue(self.error(*append, url=url, code=BUSY, name="busy")["retryable"])
            self.assertGreater(time.monotonic() - started, 0.3)
            self.assertEqual(len(self.run_stele("--json", "log", url=url).objects), 1)  # Readers do not mind.
        finally:
            holder.communicate("ROLLBACK;\n")
        self.append("order/1")
        self.assertEqual(self.stats()["events"], 2)

    def test_conflict_not_found_and_usage(self):
        self.migrate()
        self.append("order/1", "--expect", "none")
        self.append("order/1", "--expect", "none", expect=CONFLICT)
        self.run_stele("read", "order/2", expect=NOT_FOUND)
        for setting in ("schema=", "schema=pg_x", "busy_timeout=soon", "connections=0", "pooler=maybe", "client_encoding=LATIN1"):
            self.run_stele("stats", url=f"{SERVER}?{setting}", expect=USAGE)

    def test_damage(self):
        self.migrate()
        self.append("order/1")
        self.run_stele("verify")
        self.query("DROP TRIGGER events_append_only ON events")
        self.run_stele("verify", expect=INTEGRITY)

    def test_help_names_postgresql(self):
        self.assertIn("postgresql://", self.run_stele("--help", url=None).out)


class Follow(PostgresTest):
    def follow(self, *arguments, url=None):
        process = subprocess.Popen(
            self.command("--json", "log", "--follow", *arguments, url=url or self.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def test_an_append_of_another_process_wakes_it(self):
        self.migrate()
        self.append("order/1", data='{"n":0}')
        process = self.follow("--interval", "20000")
        self.assertEqual(self.next_number(process), 0)
        # What is sent while nobody listens is lost, and only polling finds it.
        deadline = time.monotonic() + 10
        listening = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN stele_append_{self.channel_number()}%'"
        while psql(listening) != "1":
            self.assertLess(time.monotonic(), deadline, "it does not listen")
            time.sleep(0.05)
        for n in (1, 2, 3):
            self.append("order/1", data=f'{{"n":{n}}}')
            appended = time.monotonic()
            self.assertEqual(self.next_number(process), n)
            self.assertLess(time.monotonic() - appended, 5)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), OK)
        self.assertLess(time.monotonic() - started, 5)  # Nor do signals wait for the interval.
        self.assertEqual((process.stdout.read(), process.stderr.read()), ("", ""))

    def next_number(self, process):
        return json.loads(process.stdout.readline())["data"]["n"]

    def channel_number(self):
        return self.query("SELECT 'events'::regclass::oid")

    def test_a_reader_that_goes_away_is_noticed(self):
        self.migrate()
        self.append("order/1")
        process = self.follow("--interval", "60000")
        process.stdout.readline()
        process.stdout.close()
        started = time.monotonic()
        self.assertEqual(process.wait(30), FAILED)
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(process.stderr.read(), "")

    def test_it_goes_on_after_its_connections_were_closed(self):
        self.migrate()
        self.append("order/1", data='{"n":0}')
        name = f"stele_follow_{os.getpid()}"
        process = self.follow("--interval", "200", url=self.url_with(f"&application_name={name}"))
        self.assertEqual(self.next_number(process), 0)
        psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'")
        for n in (1, 2):
            self.append("order/1", data=f'{{"n":{n}}}')
            self.assertEqual(self.next_number(process), n)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), OK)


class ClosedOutput(PostgresTest):
    def test_what_is_printed_does_not_get_into_the_connection(self):
        self.run_stele("migrate", "up")
        self.append("order/1")
        for arguments in (("--json", "log"), ("--json", "log", "--follow")):
            # Without standard output, the first descriptor that is free is that of the connection.
            process = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *self.command(*arguments, url=self.url)],
                                     stderr=subprocess.PIPE, text=True, env=self.environment(), timeout=60)
            self.assertEqual(process.returncode, FAILED)
            self.assertIn("cannot write to standard output", process.stderr)
        process = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *self.command("streams", "--nonsense", url=self.url)],
                                 stdout=subprocess.PIPE, text=True, env=self.environment(), timeout=60)
        self.assertEqual(process.returncode, USAGE)


class Data(PostgresTest):
    def export_from(self, url):
        # Whoever wrote the numbers, they are compared as JSON and not as text; nothing is rounded on the way.
        return [json.loads(line, parse_float=str) for line in self.run_stele("export", url=url).out.split("\n") if line]

    def comparable(self, events, sample):
        """Without times and ids that the store made: ids are compared where the sample gives them."""
        made = [{"recorded_at"} | ({"event_id", "causation_id"} - line.keys()) for line in sample]
        return [{k: v for k, v in event.items() if k not in leave_out} for event, leave_out in zip(events, made)]

    def test_the_sample_is_the_same_as_on_sqlite(self):
        with open(SAMPLE, encoding="utf-8") as file:
            sample = [json.loads(line) for line in file]
        self.assertTrue(any("event_id" in line for line in sample))
        exports = []
        for url in (self.url, self.sqlite_url()):
            self.run_stele("migrate", "up", url=url)
            self.run_stele("import", SAMPLE, url=url)
            first = self.export_from(url)
            self.run_stele("import", SAMPLE, url=url)
            self.assertEqual(self.export_from(url), first)  # The second time added nothing.
            self.assertEqual(len(first), len(sample))
            exports.append(self.comparable(first, sample))
            self.assertIn("all invariants hold", self.run_stele("verify", url=url).out)
        self.assertEqual(exports[0], exports[1])

    def test_a_round_trip_through_sqlite(self):
        events = permit_events(40)
        events[0]["data"] = {"digits": "see below", "text": "\u00e4\u2028\U0001f600", "deep": [[[{}]]]}
        lines = ndjson(events).replace('"see below"', "12345678901234567890.12345678901234567890", 1)
        self.migrate()
        self.run_stele("import", self.write("events.ndjson", lines.encode()))
        self.run_stele("export", self.path("out.ndjson"))
        self.run_stele("migrate", "up", url=self.sqlite_url())
        self.run_stele("import", self.path("out.ndjson"), url=self.sqlite_url())
        there = self.export_from(self.url)
        back = self.export_from(self.sqlite_url())
        self.assertEqual([given(event) for event in there], [given(event) for event in back])
        self.assertEqual([e["stream_version"] for e in there], [e["stream_version"] for e in back])
        self.assertEqual(there[0]["data"]["digits"], "12345678901234567890.12345678901234567890")
        self.run_stele("verify")
        self.run_stele("verify", url=self.sqlite_url())

    def test_migrate_down_and_up(self):
        self.migrate()
        self.append("order/1")
        self.run_stele("migrate", "down", "--to", "0", expect=USAGE)  # It would lose data, and nobody can be asked.
        self.assertEqual(self.stats()["events"], 1)
        self.run_stele("migrate", "down", "--to", "0", "--dry-run")
        self.assertEqual(self.stats()["events"], 1)
        self.run_stele("migrate", "down", "--to", "0", "--yes")
        self.run_stele("stats", expect=SCHEMA)
        self.migrate()
        self.assertEqual(self.stats()["events"], 0)
        self.run_stele("verify")

    def test_dump_and_restore_into_another_database(self):
        self.migrate()
        self.run_stele("import", SAMPLE)
        before = self.export_from(self.url)
        server, _, _ = SERVER.rpartition("/")
        database = self.schema  # A name that no other test uses.
        psql(f"CREATE DATABASE {database}")
        self.addCleanup(psql, f"DROP DATABASE {database} WITH (FORCE)")
        dump = subprocess.run(["pg_dump", "--schema", self.schema, SERVER], check=True, capture_output=True).stdout
        restored = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", f"{server}/{database}"]
        subprocess.run(restored, input=dump, check=True, capture_output=True)
        url = self.url_with("", server=f"{server}/{database}")
        self.assertEqual(self.export_from(url), before)
        self.run_stele("verify", url=url)
        self.run_stele("import", SAMPLE, url=url)  # Requests are recognised there as well.
        self.append("order/1", url=url)
        after = self.export_from(url)
        self.assertEqual(after[: len(before)], before)
        self.assertEqual(len(after), len(before) + 1)
        self.assertGreater(after[-1]["global_position"], before[-1]["global_position"])

    def test_stats(self):
        self.migrate()
        self.append("order/1")
        stats = self.stats()
        self.assertEqual((stats["events"], stats["streams"], stats["last_position"]), (1, 1, 1))
        self.assertGreater(stats["bytes"], 8192)


class Roles(PostgresTest):
    """The server's roles are everybody's, so each test makes its own and drops them."""

    def setUp(self):
        super().setUp()
        self.roles = {kind: f"{self.schema}_{kind}" for kind in ("reader", "writer", "admin")}
        self.addCleanup(psql, "".join(f"DROP OWNED BY {role}; DROP ROLE {role};" for role in self.roles.values()))

    def grant(self, *arguments):
        options = [part for kind, role in self.roles.items() for part in (f"--{kind}", role)]
        return self.run_stele(*arguments, "roles", *options)

    def as_role(self, kind):
        # libpq's own setting makes each session act as the role.
        return self.url_with(f"&options=-crole%3D{self.roles[kind]}")

    def test_each_may_what_it_is_for(self):
        self.migrate()
        self.append("order/1")
        self.assertEqual(self.grant("--json").object, self.roles)
        self.assertIn(self.roles["writer"], self.grant().out)  # Again, and nothing changes.
        for kind in self.roles:
            url = self.as_role(kind)
            self.assertEqual(len(self.run_stele("--json", "log", url=url).objects), 1)
            self.assertEqual(self.run_stele("--json", "stats", url=url).object["streams"], 1)
        result = self.append("order/2", "--json", url=self.as_role("reader"), expect=FAILED)
        self.assertEqual(result.error_objects[0]["error"], "permission_denied")
        for kind in ("writer", "admin"):
            self.append("order/1", url=self.as_role(kind))
        self.assertEqual(self.stats()["events"], 3)
        for kind in self.roles:
            self.run_stele("migrate", "down", "--yes", url=self.as_role(kind), expect=FAILED)
            self.run_stele("roles", url=self.as_role(kind), expect=FAILED)
            for attack in ("UPDATE events SET event_version = 2", "DELETE FROM events", "UPDATE streams SET version = 9"):
                with self.assertRaises(subprocess.CalledProcessError):
                    self.query(f"SET ROLE {self.roles[kind]}; {attack}")
        self.run_stele("verify")

    def test_a_writer_runs_projections_where_it_may_make_tables(self):
        self.migrate()
        self.append("order/1")
        self.grant()
        file = self.write("p.json", json.dumps({
            "name": "seen",
            "create": ["CREATE TABLE IF NOT EXISTS seen_{generation} (position BIGINT)"],
            "activate": ["CREATE OR REPLACE VIEW seen AS SELECT * FROM seen_{generation}"],
            "drop": ["DROP TABLE IF EXISTS seen_{generation} CASCADE"],
            "on": {"Happened": ["INSERT INTO seen_{generation} VALUES (:position)"]},
        }))
        url = self.as_role("writer")
        self.assertIn("permission denied", self.run_stele("projection", "run", "--once", file, url=url, expect=FAILED).err)
        self.query(f"GRANT CREATE ON SCHEMA {self.schema} TO {self.roles['writer']}")
        self.run_stele("projection", "run", "--once", file, url=url)
        self.query(f"SET ROLE {self.roles['writer']}; GRANT SELECT ON seen TO {self.roles['reader']}")
        self.grant()  # Again: what is not the store's stays as it is.
        self.run_stele("projection", "rebuild", file, url=url)
        self.assertEqual(self.query(f"SET ROLE {self.roles['reader']}; SELECT * FROM seen"), "1")

    def test_sqlite_has_none(self):
        psql("".join(f"CREATE ROLE {role};" for role in self.roles.values()))
        self.run_stele("migrate", "up", url=self.sqlite_url())
        (error,) = self.run_stele("--json", "roles", url=self.sqlite_url(), expect=FAILED).error_objects
        self.assertEqual(error["error"], "unsupported")


if __name__ == "__main__":
    if not SERVER:
        print("SKIPPED: STELE_TEST_POSTGRES_URL names no server, so nothing of PostgreSQL was tested")
        sys.exit(77)
    if not PASSWORD:
        sys.exit("STELE_TEST_POSTGRES_URL has no password, so nobody would see one being printed")
    assert re.search(r"^[a-z]+://[^?]+/[^?]+$", SERVER), "STELE_TEST_POSTGRES_URL has settings, which the tests add"
    unittest.main()
