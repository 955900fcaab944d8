"""stele projection: what it tells, and projections in SQL, on SQLite and, where there is a server, on PostgreSQL.
test_mssql_projection.py has the same for SQL Server."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

from stele_cli import BUSY, FAILED, NOT_FOUND, OK, USAGE, CliTest
from test_postgres import SERVER, PostgresTest

TOTALS = {
    "name": "totals",
    "create": ["CREATE TABLE IF NOT EXISTS totals_{generation} (stream VARCHAR(256) PRIMARY KEY, total BIGINT, seen BIGINT)"],
    "activate": ["DROP VIEW IF EXISTS totals", "CREATE VIEW totals AS SELECT * FROM totals_{generation}"],
    "drop": ["DROP TABLE IF EXISTS totals_{generation}"],
    "on": {
        "Added": [
            "INSERT INTO totals_{generation} AS t (stream, total, seen) VALUES (:stream_id, :data.n, 1)"
            " ON CONFLICT (stream) DO UPDATE SET total = t.total + excluded.total, seen = t.seen + 1"
        ]
    },
    "sql": {"postgres": {"drop": ["DROP TABLE IF EXISTS totals_{generation} CASCADE"]}},
}


def totals(**changes):
    return {**json.loads(json.dumps(TOTALS)), **changes}


class Cases:
    """For a database that query() asks."""

    foreign_parameter = "SELECT $1"

    def setUp(self):
        super().setUp()
        self.migrate()

    def file(self, content, name="projection.json"):
        return self.write(name, content if isinstance(content, str) else json.dumps(content))

    def project(self, content, *arguments, **options):
        return self.run_stele("projection", "run", "--once", self.file(content), *arguments, **options)

    def add(self, *ns, stream="sum/a", type="Added"):
        lines = [
            {"stream_type": s[0], "stream_id": s[1], "event_type": type, "source": "t", "request_id": f"{self.next()}",
             "data": {"n": n}}
            for n in ns
            for s in [stream.split("/")]
        ]
        self.run_stele("import", "-", "-q", stdin="".join(json.dumps(line) + "\n" for line in lines))

    def next(self):
        self.counter = getattr(self, "counter", 0) + 1
        return self.counter

    def status(self, name="totals"):
        return self.run_stele("--json", "projection", "status", name).objects

    def row(self):
        (row,) = self.run_stele("--json", "projection", "list").objects
        return row

    # --- Running

    def test_run_once_and_what_list_and_status_tell(self):
        self.add(1, 2)
        self.add(5, stream="sum/b")
        self.add(7, type="Ignored")
        result = self.project(TOTALS)
        self.assertEqual(result.out, "totals is at position 4\n")
        self.assertEqual(self.query("SELECT stream, total, seen FROM totals ORDER BY stream"), [("a", 3, 2), ("b", 5, 1)])
        self.project(TOTALS)
        self.assertEqual(self.query("SELECT total FROM totals ORDER BY stream"), [(3,), (5,)])
        self.add(10)
        self.assertEqual(
            self.row(),
            {"name": "totals", "kind": "projection", "generation": 1, "parts": 1, "position": 4, "lag": 1, "dead_letters": 0,
             "holders": []},
        )
        (checkpoint,) = self.status()
        self.assertEqual((checkpoint["active"], checkpoint["part"], checkpoint["holder"]), (True, 0, None))
        self.assertEqual(self.run_stele("--json", "projection", "run", "--once", self.path("projection.json")).object,
                         {"name": "totals", "position": 5})
        self.assertEqual(self.query("SELECT total FROM totals ORDER BY stream"), [(13,), (5,)])
        header, line = self.run_stele("projection", "list").lines
        self.assertEqual(header.split(), "NAME TENANT KIND GENERATION PARTS POSITION LAG DEAD LETTERS HOLDER".split())
        self.assertEqual(line.split(), ["totals", "-", "projection", "1", "1", "5", "0", "0", "-"])
        _, line = self.run_stele("projection", "status").lines
        self.assertEqual(line.split()[:8], ["totals", "-", "projection", "1", "0", "5", "0", "active"])
        self.run_stele("projection", "status", "nobody", expect=NOT_FOUND)

    def test_a_name_has_one_use(self):
        self.run_stele("relay", "totals", "--to", "-", "--once")
        self.assertEqual((self.row()["kind"], self.status()[0]["kind"]), ("relay", "relay"))
        path = self.file(TOTALS)
        for command in (["run", "--once"], ["rebuild"], ["reset"]):
            error = self.run_stele("projection", *command, path, expect=USAGE).err
            self.assertIn("'totals' is a relay in this store, and cannot be a projection, too", error)
        self.run_stele("projection", "reset", "totals")
        self.project(TOTALS)
        self.assertEqual(self.row()["kind"], "projection")
        self.assertIn("is a projection", self.run_stele("relay", "totals", "--to", "-", "--once", expect=USAGE).err)

    def test_it_follows_until_interrupted_and_another_takes_over(self):
        path = self.file(TOTALS)
        first = self.start(path)
        self.add(1)
        self.wait_for("SELECT total FROM totals", [(1,)])
        self.assertEqual(len(self.row()["holders"]), 1)
        self.assertIn("running", self.run_stele("projection", "run", "--once", path, expect=BUSY).err)
        self.run_stele("projection", "reset", path, expect=BUSY)
        self.run_stele("projection", "reset", "totals", expect=BUSY)
        second = self.start(path)
        self.assertIn("waiting to take over", second.stderr.readline())
        first.kill()
        first.wait()
        self.add(2)
        self.wait_for("SELECT total FROM totals", [(3,)])
        second.send_signal(signal.SIGTERM)
        self.assertEqual(second.wait(60), OK)
        self.assertEqual((second.stdout.read(), second.stderr.read()), ("", ""))
        self.assertEqual(self.row()["holders"], [])

    def test_who_is_alone_waits_for_nobody(self):
        self.add(1)
        process = self.start(self.file(TOTALS))
        self.wait_for("SELECT total FROM totals", [(1,)])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), OK)
        self.assertEqual((process.stdout.read(), process.stderr.read()), ("", ""))

    def test_nobody_reads_what_is_never_printed(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = self.start(self.file(TOTALS), stdout=writer)
        os.close(writer)
        time.sleep(1)  # It asks twice a second.
        self.add(1)
        self.wait_for("SELECT total FROM totals", [(1,)])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), OK)

    def start(self, path, stdout=subprocess.PIPE):
        process = subprocess.Popen(
            self.command("projection", "run", "--lease", "1", "--batch", "10", path),
            stdout=stdout, stderr=subprocess.PIPE, text=True, env=self.environment(),
        )
        if process.stdout:
            self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and (process.kill(), process.wait()))
        return process

    def wait_for(self, sql, rows):
        self.wait_until(lambda: self.query_if_there(sql) == rows, sql)

    def wait_until(self, condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.01)

    def test_each_effect_once_through_kills(self):
        path = self.file(TOTALS)
        total = 0
        seen = 0
        for kill in range(8):
            numbers = range(kill * 100, kill * 100 + 60)
            process = self.start(path)
            self.add(*numbers)
            self.add(*numbers, stream="sum/b")
            half = seen + 30  # The process is in the middle of what was added.
            self.wait_until(lambda: sum(n for (n,) in self.query_if_there("SELECT seen FROM totals") or []) >= half, "half")
            process.kill()
            process.wait()
            total += sum(numbers)
            seen += 120
        self.wait_until(lambda: self.row()["holders"] == [], "the lease of the last one")
        self.project(TOTALS)
        self.assertEqual(self.query("SELECT stream, total, seen FROM totals ORDER BY stream"),
                         [("a", total, seen // 2), ("b", total, seen // 2)])

    def test_parts_and_a_tenant(self):
        self.add(*range(20))
        for n in range(5):
            self.add(n, stream=f"sum/{n}")
        self.append("sum/x", "--tenant", "acme", type="Added", data='{"n": 9}')
        self.project(totals(parts=4))
        self.assertEqual([c["part"] for c in self.status()], [0, 1, 2, 3])
        self.assertEqual(self.query("SELECT sum(seen) AS seen, sum(total) AS total FROM totals"), [(26, 209)])
        other = json.dumps(totals(name="acme", tenant="acme")).replace("totals_{", "acme_{").replace("VIEW IF EXISTS totals",
            "VIEW IF EXISTS acme").replace("VIEW totals", "VIEW acme")
        self.project(other)
        self.assertEqual(self.query("SELECT stream, total FROM acme"), [("x", 9)])
        (checkpoint,) = self.status("acme")
        self.assertEqual(checkpoint["tenant_id"], "acme")

    # --- What fails

    def test_an_event_that_fails_stops_it(self):
        self.add(1, 2)
        self.append("sum/a", type="Added", data='{"n": "many"}')
        self.add(4)
        content = json.dumps(TOTALS).replace(":data.n", "CAST(nullif(:data.n, 'many') AS BIGINT)").replace(
            "total BIGINT", "total BIGINT NOT NULL")
        result = self.project(content, expect=FAILED)
        error = result.err.splitlines()[-1]
        self.assertIn("projection.json: on.Added, statement 1, for the event at position 3: ", error)
        self.assertNotIn("INSERT", result.err)
        self.assertEqual(self.query("SELECT total FROM totals"), [(3,)])
        self.assertEqual(self.row()["position"], 2)

    def test_dead_letters(self):
        self.add(1)
        self.append("sum/a", type="Added", data='{"n": null}')
        self.add(3)
        content = json.dumps(TOTALS).replace("total BIGINT", "total BIGINT NOT NULL")
        self.project(content, "--on-error", "dead-letter")
        self.assertEqual(self.query("SELECT total FROM totals"), [(4,)])
        self.assertEqual((self.row()["position"], self.row()["dead_letters"]), (3, 1))
        letter = self.run_stele("--json", "projection", "dead-letters", "totals").object
        event = self.export()[1]
        self.assertEqual((letter["global_position"], letter["event_id"], letter["attempts"]), (2, event["event_id"], 4))
        self.assertIn("on.Added, statement 1", letter["error"])
        self.assertEqual(len(self.run_stele("projection", "dead-letters", "totals").lines), 2)
        self.run_stele("projection", "dead-letters", "nobody", expect=NOT_FOUND)

    # --- Rebuild and reset

    def test_rebuild(self):
        self.add(1, 2)
        self.project(TOTALS)
        better = json.dumps(TOTALS).replace("t.total + excluded.total", "t.total + 10 * excluded.total")
        result = self.run_stele("projection", "rebuild", self.file(better))
        self.assertEqual(result.out, "totals was rebuilt: its generation is now 2\n")
        self.assertEqual(self.query("SELECT total FROM totals"), [(21,)])
        self.assertIsNone(self.query_if_there("SELECT * FROM totals_1"))
        self.assertEqual([c["generation"] for c in self.status()], [2])
        self.add(3)
        self.project(better)
        self.assertEqual(self.query("SELECT total FROM totals_2"), [(51,)])

    def test_rebuild_needs_tables_of_each_generation(self):
        path = self.file(json.dumps(TOTALS).replace("_{generation}", ""))
        self.assertIn("{generation}", self.run_stele("projection", "rebuild", path, expect=USAGE).err)

    def test_reset_by_file_and_by_name(self):
        self.add(1, 2)
        self.project(TOTALS)
        self.run_stele("projection", "reset", self.path("projection.json"))
        self.assertIsNone(self.query_if_there("SELECT * FROM totals_1"))
        self.assertEqual(self.run_stele("--json", "projection", "list").out, "")
        self.project(TOTALS)
        self.assertEqual(self.query("SELECT total FROM totals"), [(3,)])
        self.run_stele("projection", "reset", "totals")
        self.assertEqual(self.query("SELECT total FROM totals"), [(3,)])  # Its tables are nobody's business.
        self.assertEqual(self.run_stele("--json", "projection", "list").out, "")
        self.run_stele("projection", "reset", "totals", expect=NOT_FOUND)
        self.run_stele("projection", "reset", "./totals", expect=USAGE)

    # --- Parameters

    def test_values(self):
        evil = "'); DROP TABLE captured; -- :tenant \\ \" {generation} $1 ?"
        data = (
            '{"text": %s, "int": 9007199254740993, "neg": -7, "decimal": 12.50, "yes": true, "no": false, "null": null,'
            ' "deep": {"list": [{"a": 1}, {"a": "sécond"}]}, "odd name": {"x.y": 5}, "esc\\u0061pe": "\\ud83d\\ude00",'
            ' "quo\\"te": 6, "object": {"k": [1, 2.0]}, "long": 123456789012345678901234567890, "empty": ""}'
        ) % json.dumps(evil)
        self.append("thing/t-1", "--metadata", '{"file": "f.csv"}', "--actor", "user:bea", "--event-version", "3",
                    type="Seen", data=data)
        expected = {
            ":data.text": evil,
            ":data.int": 9007199254740993,
            ":data.neg": -7,
            ":data.yes": 1,
            ":data.no": 0,
            ":data.null": None,
            ":data.missing": None,
            ":data.text.deeper": None,
            ":data.deep.list.1.a": "sécond",
            ":data.deep.list.7.a": None,
            ':data."odd name"."x.y"': 5,
            ":data.escape": "😀",
            ':data."quo""te"': 6,
            ":data.empty": "",
            ":data.long": "123456789012345678901234567890",
            ":metadata.file": "f.csv",
            ":stream_id": "t-1",
            ":stream_type": "thing",
            ":tenant": "default",
            ":position": 1,
            ":version": 1,
            ":event_type": "Seen",
            ":event_version": 3,
            ":actor_id": "bea",
            ":source": None,
        }
        insert = "INSERT INTO captured (name, value) VALUES ('%s', CAST(%s AS TEXT))"
        self.project(
            {
                "name": "values",
                "create": ["CREATE TABLE IF NOT EXISTS captured (name TEXT, value TEXT)"],
                "on": {
                    "Seen": [insert % (name.replace(":", ""), name) for name in expected]
                    + [insert % (name.replace(":", ""), name)
                       for name in (":event_id", ":occurred_at", ":recorded_at", ":data", ":data.object", ":data.decimal")]
                },
            }
        )
        found = dict(self.query("SELECT name, value FROM captured"))
        (event,) = self.export()
        for name, value in expected.items():
            with self.subTest(name):
                self.assertEqual(found[name.replace(":", "")], None if value is None else str(value))
        self.assertEqual(found["event_id"], event["event_id"])
        self.assertEqual(found["occurred_at"], event["occurred_at"])
        self.assertEqual(found["recorded_at"], event["recorded_at"])
        self.assertEqual(json.loads(found["data"]), json.loads(data))
        self.assertEqual(json.loads(found["data.object"]), {"k": [1, 2.0]})
        self.assertEqual(float(found["data.decimal"]), 12.5)

    def capture(self, *expressions, extra=()):
        """What comes of each, for an event with {"n": 5}."""
        self.add(5)
        self.project(
            {
                "name": f"capture-{self.next()}",
                "create": ["DROP TABLE IF EXISTS captured", "CREATE TABLE captured (number BIGINT, value TEXT)"],
                "on": {"Added": [f"INSERT INTO captured (number, value) VALUES ({number}, {expression})"
                                 for number, expression in enumerate(expressions)] + list(extra)},
            }
        )
        return [value for (value,) in self.query("SELECT value FROM captured ORDER BY number")]

    def test_literals_names_and_comments_are_left_alone(self):
        self.assertEqual(
            self.capture(
                "'it''s :position; -- not /* a comment'",
                "CAST(:data.n AS TEXT) /* :nothing; */ -- nor :this, it's\n",
                "CAST(:data.n AS TEXT) || 'x' || CAST(:data.n AS TEXT)",
                "'' || (SELECT \"a;b\" FROM (SELECT 'q' AS \"a;b\") AS s)",
            ),
            ["it's :position; -- not /* a comment", "5", "5x5", "q"],
        )

    def test_a_file_that_makes_no_sense(self):
        on = {"Added": ["INSERT INTO t VALUES (1)"]}
        for content, *words in (
            ("{", "projection.json"),
            ('{"name": "a", "name": "b"}', "name"),
            ({"on": on}, "name", "missing"),
            ({"name": "", "on": on}, "name"),
            ({"name": "x" * 200, "on": on}, "128"),
            ({"name": "x"}, "on"),
            ({"name": "x", "on": {}}, "on"),
            ({"name": "x", "on": []}, "on"),
            ({"name": "x", "on": on, "onn": on}, '"onn"'),
            ({"name": "x", "on": on, "parts": 65}, "parts"),
            ({"name": "x", "on": on, "parts": "2"}, "parts"),
            ({"name": "x", "on": on, "event_types": ["Other"]}, "on.Added", "event_types"),
            ({"name": "x", "on": on, "create": "CREATE TABLE t (a INT)"}, "create", "list"),
            ({"name": "x", "on": on, "create": ["SELECT :position"]}, "create, statement 1"),
            ({"name": "x", "on": on, "sql": {"oracle": {}}}, '"oracle"'),
            ({"name": "x", "on": on, "sql": {self.backend: {"of": {}}}}, f"sql.{self.backend}", '"of"'),
        ):
            with self.subTest(content):
                error = self.project(content, expect=USAGE).err
                for word in words:
                    self.assertIn(word, error)
        for sql, why in (
            ("", "empty"),
            (" -- nothing", "empty"),
            ("SELECT 1; SELECT 2", "more than one"),
            ("SELECT :positon", ":positon"),
            ("SELECT : position", "no parameter"),
            ("SELECT :data.", "no name"),
            ("SELECT 'a", "apostrophes"),
            ('SELECT "a', "quoted name"),
            ("SELECT 1 /* a", "comment"),
            ("commit", "transaction"),
            ("/* well */ ROLLBACK", "transaction"),
            ("SAVEPOINT s", "transaction"),
            ("PREPARE TRANSACTION 'x'", "transaction"),
            ("SET search_path = public", "connection"),
            ("reset all", "connection"),
            ("DISCARD ALL", "connection"),
            ("PRAGMA query_only = 1", "connection"),
            ("ATTACH ':memory:' AS other", "connection"),
            ("DETACH other", "connection"),
            ("VACUUM", "connection"),
            ("\ufeffCOMMIT", "U+FEFF"),
            ("SELECT 1 \ufeffFROM t", "U+FEFF"),
            (self.foreign_parameter, "parameters"),
        ):
            with self.subTest(sql):
                error = self.project({"name": "x", "on": {"Other": ["SELECT 1"], "Added": ["SELECT 1;", sql]}}, expect=USAGE).err
                self.assertIn("projection.json: on.Added, statement 2: ", error)
                self.assertIn(why, error)
        self.run_stele("projection", "run", self.path("nowhere.json"), expect=USAGE)
        self.assertEqual(self.run_stele("--json", "projection", "list").out, "")

    def test_what_is_written_for_this_database_goes_before(self):
        self.add(1)
        self.append("sum/a", type="Removed", data='{"n": 2}')
        other = "postgres" if self.backend == "sqlite" else "sqlite"
        nonsense = "what ? is $1 : this"
        self.project(
            {
                "name": "own",
                "create": ["nonsense :it"],
                "on": {"Added": ["INSERT INTO own VALUES ('common')"], "Removed": [nonsense]},
                "sql": {
                    self.backend: {
                        "create": ["CREATE TABLE IF NOT EXISTS own (value TEXT)"],
                        "on": {"Removed": ["INSERT INTO own VALUES ('own')"]},
                    },
                    other: {"create": [nonsense], "on": {"Added": [nonsense], "Elsewhere": [nonsense]}},
                },
            }
        )
        self.assertEqual(self.query("SELECT value FROM own ORDER BY value"), [("common",), ("own",)])


class OnSqlite(Cases, CliTest):
    backend = "sqlite"

    def query(self, sql):
        database = sqlite3.connect(self.database, timeout=60)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def query_if_there(self, sql):
        try:
            return self.query(sql)
        except sqlite3.OperationalError as error:
            self.assertIn("no such table", str(error))
            return None

    def test_what_only_sqlite_has(self):
        trigger = (
            "CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON captured WHEN new.number = 0 "
            "BEGIN INSERT INTO captured VALUES (7, 'by trigger'); END"
        )
        self.assertEqual(
            self.capture("(SELECT \"a:b\" FROM (SELECT 'q' AS \"a:b\"))", "(SELECT [it's] FROM (SELECT 'r' AS [it's]))",
                         extra=[trigger, "INSERT INTO captured VALUES (0, 'z')"]),
            ["q", "z", "r", "by trigger"],
        )
        trigger = trigger.replace("more AFTER", "other AFTER").replace("'by trigger'", "CASE 1 WHEN 1 THEN 'x' END")
        found = self.capture("'y'", extra=[trigger + " /* over */ ; -- now", "INSERT INTO captured VALUES (0, 'z')"])
        self.assertEqual(sorted(found), ["x", "x", "x", "y", "y", "z", "z"])  # There are two events by now.
        for rest in ("; CREATE TABLE t (x)", "; this is no SQL", ";;"):
            with self.subTest(rest):
                error = self.project({"name": "x", "on": {"Added": [trigger + rest]}}, expect=USAGE).err
                self.assertIn("holds more than one statement", error)
        for sql in ("SELECT ?", "SELECT @a", "SELECT $a"):
            with self.subTest(sql):
                self.assertIn("written :name", self.project({"name": "x", "on": {"Added": [sql]}}, expect=USAGE).err)

    def test_numbers_keep_their_type(self):
        self.append("a/1", type="Seen", data='{"i": 5, "d": 2.5, "e": 1e3, "l": 123456789012345678901234567890, "b": true}')
        names = ("i", "d", "e", "l", "b")
        self.project(
            {
                "name": "types",
                "create": ["CREATE TABLE IF NOT EXISTS types (n, t, v)"],
                "on": {"Seen": [f"INSERT INTO types VALUES ('{n}', typeof(:data.{n}), :data.{n})" for n in names]},
            }
        )
        self.assertEqual(
            self.query("SELECT t, v FROM types"),
            [("integer", 5), ("real", 2.5), ("real", 1000.0), ("text", "123456789012345678901234567890"), ("integer", 1)],
        )

    def test_a_store_without_sql(self):
        self.assertIn("unsupported", self.run_stele("--json", "projection", "run", "--once", self.file(TOTALS),
                                                    url="memory:", expect=FAILED).err)


@unittest.skipUnless(SERVER, "NOT TESTED: STELE_TEST_POSTGRES_URL names no server")
class OnPostgres(Cases, PostgresTest):
    backend = "postgres"

    def query(self, sql):
        text = super().query(f"SELECT coalesce(json_agg(row_to_json(rows)), '[]') FROM ({sql}) AS rows")
        return [tuple(row.values()) for row in json.loads(text)]

    def query_if_there(self, sql):
        try:
            return self.query(sql)
        except subprocess.CalledProcessError as error:
            self.assertIn("does not exist", error.stderr)
            return None

    def test_what_only_postgresql_has(self):
        self.assertEqual(
            self.capture(
                "(:data.n::bigint + 1)::text",
                "E'it\\'s :n \\\\'",
                "$$it's :n; $1$$",
                "$a$ $$ $a$",
                "(ARRAY['x','y'])[2]",
                "CASE WHEN '{\"a\": 1}'::jsonb ? 'a' THEN 'has' END",
                "/* nested /* it's */ :n */ 'c'",
            ),
            ["6", "it's :n \\", "it's :n; $1", " $$ ", "y", "has", "c"],
        )
        self.assertEqual(self.capture("current_setting('work_mem')", extra=["SET LOCAL work_mem = '1MB'"])[0][-1], "B")
        for sql in ('SELECT "a:b" FROM t', "SELECT \"it's\" FROM t", "SELECT a[1:2] FROM t"):
            with self.subTest(sql):
                self.project({"name": "x", "on": {"Added": [sql]}}, expect=USAGE)

    def test_decimals_keep_their_digits(self):
        self.append("a/1", type="Seen", data='{"d": 0.1234567890123456789, "b": true}')
        self.project(
            {
                "name": "digits",
                "create": ["CREATE TABLE IF NOT EXISTS digits (d numeric, b boolean)"],
                "on": {"Seen": ["INSERT INTO digits VALUES (:data.d, :data.b)"]},
            }
        )
        self.assertEqual(self.query("SELECT d::text, b FROM digits"), [("0.1234567890123456789", True)])


if __name__ == "__main__":
    done = unittest.main(exit=False).result
    if not SERVER:
        print("!! SQL projections were NOT tested on PostgreSQL: STELE_TEST_POSTGRES_URL names no server", file=sys.stderr)
    sys.exit(not done.wasSuccessful())
