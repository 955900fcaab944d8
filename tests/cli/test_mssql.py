"""The command line on SQL Server: what only a server has. Needs one at STELE_TEST_MSSQL_URL, and an ODBC driver."""

import gzip
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest
from urllib.parse import quote, urlsplit

from mssql_server import PASSWORD, URL, Server, with_settings
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

SAMPLE = os.environ["STELE_SAMPLE"]
PERMITS = os.environ.get("STELE_TEST_PERMITS")
APPEND = ("append", "a/1", "--type", "T", "--data", "{}")

schema_numbers = itertools.count(1)


class MssqlTest(CliTest):
    """A schema for each test. No password may ever be printed, whatever a test does."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.is_babelfish = cls.server.value("SELECT CAST(SERVERPROPERTY('BabelfishVersion') AS NVARCHAR(20))") is not None

    def setUp(self):
        super().setUp()
        self.schema = f"stele_cli_{os.getpid()}_{next(schema_numbers)}"
        self.url = self.url_with("")
        self.addCleanup(lambda: Server().drop_schema(self.schema))

    def url_with(self, settings, url=URL):
        return with_settings(f"schema={self.schema}{settings}", url)

    def sqlite_url(self, name="copy.db"):
        return "sqlite:" + self.path(name)

    def run_stele(self, *arguments, secrets=(PASSWORD,), timeout=600, **options):
        result = super().run_stele(*arguments, timeout=timeout, **options)
        for secret in secrets:
            if secret:
                self.assertNotIn(secret, result.out + result.err, f"{arguments} printed a password")
        return result

    def query(self, sql):
        return self.server(sql.replace("$(schema)", f"[{self.schema}]"))

    def export_from(self, url=None):
        # Whoever wrote the numbers, they are compared as JSON and not as text; nothing is rounded on the way.
        text = self.run_stele("export", url=url or self.url).out
        return [json.loads(line, parse_float=str) for line in text.split("\n") if line]


class ExitCodes(MssqlTest):
    def error(self, *arguments, code, name, **options):
        (error,) = self.run_stele("--json", *arguments, expect=code, **options).error_objects
        self.assertEqual((error["error"], error["exit_code"]), (name, code), error)
        if code != SCHEMA:  # Which core finds.
            self.assertEqual(error["backend"], "mssql")
        return error

    def test_cannot_connect(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # Bound and not listening: whoever connects is refused.
            url = f"mssql://anna:open-sesame@127.0.0.1:{nobody.getsockname()[1]}/books"
            for arguments in (["stats"], ["migrate", "status"], ["migrate", "up"], APPEND):
                self.error(*arguments, url=url, code=CONNECT, name="cannot_connect", secrets=["open-sesame"])
                self.run_stele(*arguments, url=url, expect=CONNECT, secrets=["open-sesame"])

    def test_unknown_user_or_database(self):
        parts = urlsplit(URL)
        place = f"{parts.hostname}:{parts.port}"
        for url in (
            f"mssql://nobody_of_this_name:wrong-pass-42@{place}{parts.path}?{parts.query}",
            f"mssql://{quote(parts.username)}:{parts.password}@{place}/no_database_of_this_name?{parts.query}",
        ):
            self.error("stats", url=url.rstrip("?"), code=CONNECT, name="cannot_connect", secrets=["wrong-pass-42", PASSWORD])

    def test_a_driver_that_is_not_there(self):
        parts = urlsplit(URL)
        for driver in ("No%20Such%20Driver", "/no/such/libtdsodbc.so"):
            url = f"mssql://u:wrong-pass-46@{parts.hostname}:{parts.port}/x?driver={driver}"
            error = self.error("stats", url=url, code=CONNECT, name="cannot_connect", secrets=["wrong-pass-46"])
            self.assertIn("Install", error["message"])

    def test_settings_that_are_refused(self):
        for setting in ("schema=", "schema=it%27s", "busy_timeout=soon", "connections=0", "no_such=1", "encrypt=maybe", "PWD=x"):
            self.run_stele("stats", url=with_settings(setting), expect=USAGE)
        self.run_stele("stats", url="mssql://u:wrong-pass-44@db1,db2/x", secrets=["pass-44"], expect=USAGE)

    def test_schema_not_up_to_date(self):
        commands = (["stats"], ["verify"], APPEND, ["roles"])
        for arguments in commands:
            self.error(*arguments, code=SCHEMA, name="schema_outdated")
        self.run_stele("migrate", "status", expect=SCHEMA)
        self.run_stele("migrate", "up", "--steps", "1")
        for arguments in commands:
            self.error(*arguments, code=SCHEMA, name="schema_outdated")
        self.migrate()
        self.run_stele("migrate", "status")
        self.query("INSERT INTO $(schema).stele_migrations (number, title, checksum, direction) VALUES (999, 'later', 'x', 'up')")
        self.error("stats", code=SCHEMA, name="schema_too_new")

    def test_busy(self):
        self.migrate()
        self.append("order/1")
        self.query("BEGIN TRANSACTION; UPDATE $(schema).streams SET version = version;")
        try:
            url = self.url_with("&busy_timeout=300ms")
            started = time.monotonic()
            append = ["append", "order/1", "--type", "T", "--data", "{}"]
            self.assertTrue(self.error(*append, url=url, code=BUSY, name="busy")["retryable"])
            self.assertGreater(time.monotonic() - started, 0.3)
            self.assertEqual(len(self.run_stele("--json", "log", url=url).objects), 1)  # Readers do not mind.
        finally:
            self.query("ROLLBACK TRANSACTION")
        self.append("order/1")
        self.assertEqual(self.stats()["events"], 2)

    def test_conflict_and_not_found(self):
        self.migrate()
        self.append("order/1", "--expect", "none")
        self.append("order/1", "--expect", "none", expect=CONFLICT)
        self.run_stele("read", "order/2", expect=NOT_FOUND)

    def test_damage(self):
        self.migrate()
        self.append("order/1")
        self.run_stele("verify")
        self.query("DROP TRIGGER $(schema).events_append_only")
        self.run_stele("verify", expect=INTEGRITY)

    def test_help_names_the_url(self):
        self.assertIn("mssql://", self.run_stele("--help", url=None).out)


class Data(MssqlTest):
    def test_the_sample_is_the_same_as_on_sqlite(self):
        with open(SAMPLE, encoding="utf-8") as file:
            sample = [json.loads(line) for line in file]
        exports = []
        for url in (self.url, self.sqlite_url()):
            self.run_stele("migrate", "up", url=url)
            self.run_stele("import", SAMPLE, url=url)
            first = self.export_from(url)
            self.run_stele("import", SAMPLE, url=url)
            self.assertEqual(self.export_from(url), first)  # The second time added nothing.
            self.assertEqual(len(first), len(sample))
            # Without times and ids that the store made: ids are compared where the sample gives them.
            made = [{"recorded_at", "global_position"} | ({"event_id", "causation_id"} - line.keys()) for line in sample]
            exports.append([{k: v for k, v in e.items() if k not in leave_out} for e, leave_out in zip(first, made)])
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
        there = self.export_from()
        back = self.export_from(self.sqlite_url())
        self.assertEqual([given(event) for event in there], [given(event) for event in back])
        self.assertEqual([e["stream_version"] for e in there], [e["stream_version"] for e in back])
        self.assertEqual(there[0]["data"]["digits"], "12345678901234567890.12345678901234567890")
        self.run_stele("verify")

    def test_names_that_the_server_takes_for_each_other(self):
        # Its comparisons ignore trailing blanks whatever the collation, and by default case, accents and more.
        names = ["a", "A", "a ", "a  ", " a", "\u00e1", "a\u0301", "\u00df", "ss", "SS", "\U0001f600", "\U0001f601", "\uff41", "a\u200b"]
        events = [
            {
                "stream_type": "name",
                "stream_id": name,
                "event_type": "Named",
                "source": "names",
                "request_id": name,
                "idempotency_key": name,
                "occurred_at": "2026-01-01T00:00:00Z",
                "data": {"name": name},
                "attributes": {name: name} if name == name.strip() else {"k": name},
            }
            for name in names
        ]
        self.migrate()
        text = ndjson(events)
        first = self.run_stele("--json", "import", "-", stdin=text).object
        self.assertEqual((first["imported"], first["already_there"]), (len(names), 0))
        again = self.run_stele("--json", "import", "-", stdin=text).object
        self.assertEqual((again["imported"], again["already_there"]), (0, len(names)))
        self.assertEqual(self.stats()["streams"], len(names))
        listed = [stream["stream_id"] for stream in self.run_stele("--json", "streams").objects]
        self.assertEqual(listed, sorted(names, key=str.encode))  # Byte for byte.
        for name in names:
            (event,) = self.run_stele("--json", "read", f"name/{name}").objects
            self.assertEqual((event["stream_id"], event["data"]["name"], event["request_id"]), (name, name, name))
        (event,) = self.run_stele("--json", "log", "--attribute", "a=a").objects
        self.assertEqual(event["stream_id"], "a")
        (event,) = self.run_stele("--json", "log", "--attribute", "k=a ").objects
        self.assertEqual(event["stream_id"], "a ")
        self.run_stele("verify")

    def test_numbers_keep_every_digit(self):
        texts = [
            "9007199254740993",
            "-9007199254740993",
            "9223372036854775807",
            "18446744073709551616",
            "123456789012345678901234567890",
            "0.123456789012345678901234567890",
            "1e300",
            "-0.0",
            "1.10",
        ]
        self.migrate()
        self.append("number/1", data='{"n":[' + ",".join(texts) + "]}")
        line = self.run_stele("--json", "read", "number/1").out
        numbers = json.loads(line, parse_float=str, parse_int=str)["data"]["n"]
        self.assertEqual(numbers, texts)  # Here even as they were written.
        self.run_stele("verify")

    def test_a_payload_of_5_mb(self):
        # Of characters of one to four bytes: the server counts in UTF-16.
        text = "a\u00e9\u65e5\U0001f600" * 500_000
        payload = json.dumps({"text": text}, ensure_ascii=False).encode()
        self.assertGreater(len(payload), 5_000_000)
        self.migrate()
        self.append("large/1", data="@" + self.write("large.json", payload))
        (event,) = self.export()
        self.assertEqual(event["data"], {"text": text})
        self.run_stele("verify")

    def test_ten_thousand_events_in_one_batch(self):
        events = permit_events(2000, seed=7)[:10_000]
        self.assertEqual(len(events), 10_000)
        text = ndjson(events)
        self.migrate()
        first = self.run_stele("--json", "import", "-", "--batch", "10000", stdin=text).object
        self.assertEqual((first["imported"], first["already_there"]), (10_000, 0))
        self.assertEqual([given(e) for e in self.without_made_ids(self.export(), events)], events)
        again = self.run_stele("--json", "import", "-", "--batch", "10000", stdin=text).object
        self.assertEqual((again["imported"], again["already_there"]), (0, 10_000))
        self.run_stele("verify")

    @staticmethod
    def without_made_ids(stored, events):
        return [{name: value for name, value in s.items() if name in e} for s, e in zip(stored, events)]

    @unittest.skipUnless(PERMITS, "STELE_TEST_PERMITS does not name the file")
    def test_the_permits(self):
        self.migrate()
        with gzip.open(PERMITS) as file:
            text = file.read()
        events = [json.loads(line) for line in text.splitlines()]
        first = self.run_stele("--json", "import", "-", stdin=text).object
        self.assertEqual((first["imported"], first["already_there"]), (len(events), 0))
        stats = self.stats()
        self.assertEqual(stats["events"], len(events))
        self.assertEqual(stats["streams"], len({(e["stream_type"], e["stream_id"]) for e in events}))
        exported = self.export()
        again = self.run_stele("--json", "import", "-", stdin=text).object
        self.assertEqual((again["imported"], again["already_there"]), (0, len(events)))
        self.assertEqual(self.export(), exported)
        self.assertEqual(len(exported), len(events))
        self.assertEqual(self.without_made_ids(exported, events), events)
        self.run_stele("verify")

    def test_two_imports_of_one_file_at_once(self):
        events = permit_events(60, seed=11)
        path = self.write("events.ndjson", ndjson(events))
        self.migrate()
        running = [
            subprocess.Popen(self.command("--json", "import", path, "--batch", "50"), stdout=subprocess.PIPE, env=self.environment())
            for _ in range(3)
        ]
        outputs = [json.loads(process.communicate(timeout=600)[0]) for process in running]
        self.assertEqual([process.returncode for process in running], [OK] * 3)
        self.assertEqual(sum(output["imported"] for output in outputs), len(events))
        self.assertEqual(self.stats()["events"], len(events))
        self.run_stele("verify")

    def test_migrate_down_and_up(self):
        self.migrate()
        self.append("order/1")
        self.run_stele("migrate", "down", "--to", "0", expect=USAGE)  # It would lose data, and nobody can be asked.
        self.run_stele("migrate", "down", "--to", "0", "--dry-run")
        self.assertEqual(self.stats()["events"], 1)
        self.run_stele("migrate", "down", "--to", "0", "--yes")
        self.run_stele("stats", expect=SCHEMA)
        self.migrate()
        self.assertEqual(self.stats()["events"], 0)
        self.run_stele("verify")

    def test_stats(self):
        self.migrate()
        self.append("order/1")
        stats = self.stats()
        self.assertEqual((stats["events"], stats["streams"], stats["last_position"]), (1, 1, 1))


class Follow(MssqlTest):
    def test_events_of_another_process_are_seen(self):
        self.migrate()
        self.append("order/1", data='{"n":0}')
        process = subprocess.Popen(
            self.command("--json", "log", "--follow", "--interval", "50"), stdout=subprocess.PIPE, text=True, env=self.environment()
        )
        self.addCleanup(process.stdout.close)
        timer = threading.Timer(300, process.kill)  # Rather than to wait for ever.
        self.addCleanup(timer.cancel)
        timer.start()
        self.assertEqual(json.loads(process.stdout.readline())["data"]["n"], 0)
        for n in (1, 2):
            self.append("order/1", data=f'{{"n":{n}}}')
            self.assertEqual(json.loads(process.stdout.readline())["data"]["n"], n)
        process.terminate()
        self.assertEqual(process.wait(60), OK)


class Roles(MssqlTest):
    """Roles are the whole database's, so the test makes its own and drops them."""

    def test_they_are_granted_and_listed(self):
        roles = {kind: f"{self.schema}_{kind}" for kind in ("reader", "writer", "admin")}
        options = [part for kind, role in roles.items() for part in (f"--{kind}", role)]
        self.migrate()
        self.append("order/1")
        self.addCleanup(self.drop, roles.values())
        self.assertEqual(self.run_stele("--json", "roles", *options).object, roles)
        self.assertIn(roles["writer"], self.run_stele("roles", *options).out)  # Again, and nothing changes.
        for role in roles.values():
            self.assertIsNotNone(self.server.value(f"SELECT DATABASE_PRINCIPAL_ID(N'{role}')"))
        self.run_stele("verify")

    def drop(self, roles):
        server = Server()
        server.drop_schema(self.schema)
        for role in roles:
            server(f"DROP ROLE [{role}]")


if __name__ == "__main__":
    if not URL:
        print("SKIPPED: STELE_TEST_MSSQL_URL names no server, so nothing of SQL Server was tested")
        sys.exit(77)
    if not PASSWORD:
        sys.exit("STELE_TEST_MSSQL_URL has no password, so nobody would see one being printed")
    unittest.main()
