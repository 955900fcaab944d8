"""Which database: flag, environment, config file; and what happens when it cannot be had."""

import os
import sqlite3
import unittest

from stele_cli import BUSY, CONNECT, FAILED, INTEGRITY, OK, SCHEMA, USAGE, CliTest


class OneTenant(CliTest):
    """A URL that is for one tenant alone."""

    def setUp(self):
        super().setUp()
        self.migrate()
        self.append("order/1", "--tenant", "acme", data='{"n":1}')
        self.append("order/1", "--tenant", "rival", data='{"n":2}')
        self.acme = self.url + "?tenant=acme"

    def test_it_is_the_default(self):
        read = self.run_stele("--json", "read", "order/1", url=self.acme)
        self.assertEqual([event["data"]["n"] for event in read.objects], [1])
        self.assertEqual([event["data"]["n"] for event in self.run_stele("--json", "log", url=self.acme).objects], [1])
        self.run_stele("append", "order/2", "--type", "T", "--data", "{}", url=self.acme)
        self.assertEqual([stream["tenant_id"] for stream in self.run_stele("--json", "streams", url=self.acme).objects], ["acme"] * 2)
        self.assertEqual(len(self.run_stele("--json", "streams", "--tenant", "rival").objects), 1)
        self.assertEqual(self.run_stele("snapshot", "list", "--tenant", "acme", url=self.acme).code, OK)

    def test_another_is_refused(self):
        for command in (("read", "order/1"), ("streams",), ("append", "order/1", "--type", "T", "--data", "{}"), ("snapshot", "list")):
            result = self.run_stele(*command, "--tenant", "rival", url=self.acme, expect=FAILED)
            self.assertEqual(result.err, "stele: tenant_id: this store is open for tenant 'acme' alone\n")
        for command in (("stats",), ("verify",)):
            self.assertIn("of the whole store", self.run_stele(*command, url=self.acme, expect=FAILED).err)
        self.assertIn("leave it out", self.run_stele("migrate", "status", url=self.acme, expect=None).err)
        line = '{"stream_type":"order","stream_id":"3","tenant_id":"rival","event_type":"T","data":{}}\n'
        self.run_stele("import", "-", url=self.acme, stdin=line, expect=FAILED)
        self.assertEqual(self.stats()["events"], 2)


class Precedence(CliTest):
    """Three stores that differ by their number of events: 1 by flag, 2 by environment, 3 by XDG file, 4 by home file."""

    def setUp(self):
        super().setUp()
        self.urls = []
        for count in range(1, 5):
            self.url = "sqlite:" + self.path(f"{count}.db")
            self.urls.append(self.url)
            self.migrate()
            for _ in range(count):
                self.append("order/1")

    def configure(self, where, text):
        directory = os.path.join(self.path(where), "stele")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "config"), "w") as file:
            file.write(text)

    def events(self, *flags, expect=OK, **environment):
        env = self.environment(**environment)
        result = self.run_stele("--json", "stats", *flags, url=None, env=env, expect=expect)
        return result.object["events"] if expect == OK else result

    def test_flag_over_environment_over_file(self):
        self.configure("xdg", f"# the store\n\n  url = {self.urls[2]}  \n")
        self.configure(".config", f"url={self.urls[3]}\n")
        xdg = self.path("xdg")
        self.assertEqual(self.events("--url", self.urls[0], STELE_URL=self.urls[1], XDG_CONFIG_HOME=xdg), 1)
        self.assertEqual(self.events(STELE_URL=self.urls[1], XDG_CONFIG_HOME=xdg), 2)
        self.assertEqual(self.events(XDG_CONFIG_HOME=xdg), 3)
        self.assertEqual(self.events(), 4)
        self.assertEqual(self.events(STELE_URL="", XDG_CONFIG_HOME=""), 4)

    def test_flag_before_and_behind_the_command(self):
        self.assertEqual(self.events("--url", self.urls[1]), 2)
        before = self.run_stele("--url", self.urls[1], "--json", "stats", url=None)
        self.assertEqual(before.object["events"], 2)

    def test_bad_config_files(self):
        for text, says in (
            ("ur1 = sqlite:x\n", 'line 1: unknown key "ur1"'),
            ("# fine\nsqlite:x\n", "line 2: not of the form"),
            ("url =\n", "line 1: url is empty"),
            ("url = sqlite:a\nurl = sqlite:b\n", "line 2: url is given twice"),
        ):
            with self.subTest(text):
                self.configure(".config", text)
                (error,) = self.events(expect=USAGE).error_objects
                self.assertIn(says, error["message"])
                self.assertIn(self.path(".config/stele/config"), error["message"])

    def test_nobody_names_a_database(self):
        self.assertIn("STELE_URL", self.events(expect=USAGE).err)
        self.configure(".config", "# nothing yet\n")
        self.events(expect=USAGE)


class Errors(CliTest):
    def test_bad_urls(self):
        for url in ("", "books.db", "oracle:books", "sqlite:", "sqlite:x.db?no_such_key=1", "sqlite:x.db?busy_timeout=soon"):
            with self.subTest(url):
                result = self.run_stele("stats", "--url", url, url=None, expect=USAGE)
                self.assertTrue(result.err.startswith("stele: "), result.err)
        self.assertEqual([name for name in os.listdir(self.directory) if name.endswith(".db")], [])

    def test_password_is_not_repeated(self):
        result = self.run_stele("stats", url="oracle://scott:tiger@host/db", expect=USAGE)
        self.assertNotIn("tiger", result.err)

    def test_missing_database_is_not_created(self):
        for command in (["stats"], ["log"], ["migrate", "status"], ["migrate", "down"], ["migrate", "up", "--dry-run"]):
            with self.subTest(command):
                self.run_stele(*command, expect=CONNECT)
                self.assertFalse(os.path.exists(self.database))
        self.run_stele("migrate", "up", url="sqlite:" + self.path("no/such/directory/x.db"), expect=CONNECT)

    def test_error_as_json(self):
        (error,) = self.run_stele("--json", "stats", expect=CONNECT).error_objects
        self.assertEqual((error["error"], error["exit_code"], error["backend"]), ("cannot_connect", CONNECT, "sqlite"))
        self.assertEqual(error["outcome"], "not_applied")

    def test_no_database(self):
        self.write("store.db", b"This is a text file, and long enough to be taken for one." * 20)
        self.run_stele("stats", expect=INTEGRITY)

    def test_busy(self):
        self.migrate()
        self.append("order/1")
        holder = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        result = self.append("order/1", "--json", url=self.url + "?busy_timeout=100ms", expect=BUSY)
        self.assertTrue(result.error_objects[0]["retryable"])
        self.run_stele("log", url=self.url + "?busy_timeout=100ms")  # Readers do not mind.
        holder.execute("ROLLBACK")
        self.append("order/1")

    def test_database_of_a_newer_program(self):
        self.migrate()
        database = sqlite3.connect(self.database)
        table = next(
            name
            for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if "migration" in name
        )
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        newest = dict(zip(columns, database.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()))
        number = next(name for name in columns if "number" in name and isinstance(newest[name], int))
        newest[number] = 999
        key = next((row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[5] and row[1] != number), None)
        if key is not None:
            del newest[key]
        database.execute(
            f"INSERT INTO {table} ({', '.join(newest)}) VALUES ({', '.join('?' * len(newest))})", list(newest.values())
        )
        database.commit()
        database.close()
        self.assertIn("newer", self.run_stele("stats", expect=SCHEMA).err)
        self.run_stele("migrate", "up", expect=SCHEMA)

    def test_help_and_version(self):
        for arguments in (["--help"], ["import", "--help"], ["migrate", "up", "--help"]):
            result = self.run_stele(*arguments, url=None)
            self.assertIn("Usage: stele", result.out)
            self.assertEqual(result.err, "")
        self.assertRegex(self.run_stele("--version", url=None).out, r"^stele \d+\.\d+\.\d+\n$")

    def test_store_in_memory(self):
        self.assertEqual(self.run_stele("--json", "stats", url="memory:").object["events"], 0)
        self.run_stele("append", "a/1", "--type", "T", "--data", "{}", url="memory:")
        self.run_stele("migrate", "up", url="memory:", expect=FAILED)


if __name__ == "__main__":
    unittest.main()
