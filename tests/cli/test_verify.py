"""stele verify, and what an SQLite shell can do to the file."""

import sqlite3
import unittest

from stele_cli import INTEGRITY, USAGE, CliTest, ndjson, permit_events


class Verify(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.events = permit_events(40)
        self.run_stele("import", "-", stdin=ndjson(self.events))

    def shell(self):
        database = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(database.close)
        return database

    def test_sound_store(self):
        result = self.run_stele("verify")
        self.assertIn("all invariants hold", result.lines[-1])
        self.assertIn(f"{len(self.events)} events", result.lines[-1])
        self.assertGreater(len([line for line in result.lines if line.startswith("checked  ")]), 5)
        self.assertEqual(result.err, "")
        report = self.run_stele("--json", "verify").object
        self.assertEqual((report["ok"], report["events"], report["violations"]), (True, len(self.events), []))
        self.assertEqual(report["commands"], len({e["request_id"] for e in self.events}))
        self.run_stele("verify", "--max-violations", "0", expect=USAGE)

    def test_attacks_are_refused(self):
        database = self.shell()
        rows = {
            table: database.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("events", "commands", "event_attributes", "streams")
        }
        attacks = [
            "UPDATE events SET data = '{}'",
            "UPDATE events SET recorded_at = 0 WHERE global_position = 1",
            "UPDATE OR REPLACE events SET global_position = 2 WHERE global_position = 1",
            "DELETE FROM events",
            "DELETE FROM events WHERE global_position = 1",
            "INSERT OR REPLACE INTO events SELECT * FROM events",
            "REPLACE INTO events SELECT * FROM events WHERE global_position = 1",
            "UPDATE commands SET outcome = '[]'",
            "DELETE FROM commands",
            "INSERT OR REPLACE INTO commands SELECT * FROM commands",
        ]
        for recursive in ("OFF", "ON"):
            database.execute(f"PRAGMA recursive_triggers = {recursive}")
            for attack in attacks:
                with self.subTest(attack, recursive=recursive):
                    with self.assertRaises(sqlite3.DatabaseError):
                        database.execute(attack)
        # Under another key, but with the unique values of a row that is there.
        columns = [row[1] for row in database.execute("PRAGMA table_info(events)")]
        moved = ", ".join("global_position + 100000" if name == "global_position" else name for name in columns)
        with self.assertRaises(sqlite3.DatabaseError):
            database.execute(f"INSERT OR REPLACE INTO events SELECT {moved} FROM events WHERE global_position = 1")
        for table, before in rows.items():
            self.assertEqual(database.execute(f"SELECT * FROM {table}").fetchall(), before, table)
        database.close()
        self.run_stele("verify")

    def corrupt(self, *statements):
        """Breaks the store as somebody could who drops the triggers first, and puts them back."""
        database = self.shell()
        triggers = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            self.assertGreater(database.execute(statement).rowcount, 0, statement)
        for _, sql in triggers:
            database.execute(sql)
        database.close()

    def test_violations_are_found(self):
        for name, statement in (
            ("a hole in the versions", "UPDATE events SET stream_version = stream_version + 1000 WHERE global_position = 3"),
            ("a stream that claims more", "UPDATE streams SET version = version + 1 WHERE stream_no = 1"),
            ("an event that is gone", "DELETE FROM events WHERE global_position = 5"),
            ("an outcome that lies", "UPDATE commands SET outcome = '[]' WHERE command_no = 1"),
        ):
            with self.subTest(name):
                self.url = "sqlite:" + self.path(name.replace(" ", "-") + ".db")
                self.database = self.url.removeprefix("sqlite:")
                self.migrate()
                self.run_stele("import", "-", stdin=ndjson(self.events))
                self.corrupt(statement)
                result = self.run_stele("verify", expect=INTEGRITY)
                self.assertTrue(any(line.startswith("BROKEN") for line in result.lines), result.out)
                self.assertIn("violation", result.lines[-1])
                report = self.run_stele("--json", "verify", expect=INTEGRITY).object
                self.assertFalse(report["ok"])
                self.assertEqual(set(report["violations"][0]), {"guarantee", "where", "what"})

    def test_missing_trigger_is_found(self):
        database = self.shell()
        name = database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'events' LIMIT 1"
        ).fetchone()[0]
        database.execute(f"DROP TRIGGER {name}")
        database.close()
        self.run_stele("verify", expect=INTEGRITY)


if __name__ == "__main__":
    unittest.main()
