"""stele migrate."""

import os
import pty
import subprocess
import unittest

from stele_cli import FAILED, OK, SCHEMA, USAGE, CliTest


class Migrate(CliTest):
    def states(self, expect=OK):
        return [m["state"] for m in self.run_stele("--json", "migrate", "status", expect=expect).objects]

    def test_up_down_and_status(self):
        result = self.run_stele("migrate", "up")
        latest = len(result.lines)
        self.assertGreaterEqual(latest, 1)
        self.assertEqual(result.lines[0].split()[:2], ["applied", "1"])
        self.assertEqual(result.err, f"at migration {latest} of {latest}\n")
        self.assertEqual(self.states(), ["applied"] * latest)

        again = self.run_stele("migrate", "up")
        self.assertEqual((again.out, again.err), ("", f"nothing to do: at migration {latest} of {latest}\n"))

        down = self.run_stele("migrate", "down", "--yes")
        self.assertEqual(len(down.lines), 1)
        self.assertEqual(down.lines[0].split()[:2], ["undid", str(latest)])
        self.assertEqual(self.states(expect=SCHEMA), ["applied"] * (latest - 1) + ["pending"])
        self.run_stele("stats", expect=SCHEMA)

        self.run_stele("migrate", "down", "--to", "0", "--yes")
        self.assertEqual(self.states(expect=SCHEMA), ["pending"] * latest)
        self.run_stele("migrate", "up", "--steps", "1")
        self.assertEqual(self.states(expect=SCHEMA if latest > 1 else OK)[0], "applied")
        self.run_stele("migrate", "up", "--to", str(latest))
        self.assertEqual(self.stats()["events"], 0)

    def test_status_for_people(self):
        self.migrate()
        lines = self.run_stele("migrate", "status").lines
        self.assertEqual(lines[0].split(), ["NUMBER", "TITLE", "STATE", "APPLIED"])
        self.assertEqual(lines[1].split()[2], "applied")

    def test_json_steps(self):
        steps = self.run_stele("--json", "migrate", "up").objects
        self.assertEqual([step["number"] for step in steps], list(range(1, len(steps) + 1)))
        self.assertEqual({step["direction"] for step in steps}, {"up"})
        self.assertIn("milliseconds", steps[0])

    def test_dry_run_changes_nothing(self):
        self.migrate()
        before = self.read_file("store.db")
        down = self.run_stele("migrate", "down", "--to", "0", "--dry-run")
        self.assertTrue(all(line.startswith("would undo ") for line in down.lines), down.out)
        self.assertIn("drops data", down.out)
        self.assertEqual(self.read_file("store.db"), before)
        self.assertNotIn("pending", self.states())
        self.run_stele("migrate", "down", "--to", "0", "--yes")
        up = self.run_stele("--json", "migrate", "up", "--dry-run").objects
        self.assertEqual([step["dry_run"] for step in up], [True] * len(down.lines))
        self.assertNotIn("applied", self.states(expect=SCHEMA))

    def test_down_does_not_lose_data_without_agreement(self):
        self.migrate()
        self.append("order/1")
        result = self.run_stele("migrate", "down", "--to", "0", expect=USAGE)
        self.assertIn("--yes", result.err)
        self.assertEqual(self.stats()["events"], 1)

    def down_on_a_terminal(self, answer):
        terminal, theirs = pty.openpty()
        process = subprocess.Popen(
            self.command("migrate", "down", "--to", "0"),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=self.environment(),
        )
        os.close(theirs)
        self.addCleanup(os.close, terminal)
        self.addCleanup(process.stdout.close)
        shown = b""
        while b"Type yes" not in shown:
            shown += os.read(terminal, 1000)
        self.assertIn(b"drops data", shown)
        os.write(terminal, answer)
        process.stdout.read()
        return process.wait(30)

    def test_down_asks_on_a_terminal(self):
        self.migrate()
        self.append("order/1")
        for answer in (b"no\n", b"\n", b"y\n", b"\x04"):
            self.assertEqual(self.down_on_a_terminal(answer), FAILED, answer)
            self.assertEqual(self.stats()["events"], 1)
        self.assertEqual(self.down_on_a_terminal(b"yes\n"), OK)
        self.run_stele("stats", expect=SCHEMA)

    def test_usage_errors(self):
        self.migrate()
        for bad in (
            [],
            ["sideways"],
            ["up", "--to", "99"],
            ["up", "--to", "x"],
            ["up", "--steps", "0"],
            ["up", "--steps", "1", "--to", "1"],
            ["down", "--to", "99", "--yes"],
            ["up", "--yes"],
        ):
            with self.subTest(bad):
                self.run_stele("migrate", *bad, expect=USAGE)
        self.assertNotIn("pending", self.states())

    def test_several_at_once(self):
        processes = [
            subprocess.Popen(
                self.command("migrate", "up"),
                env=self.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(4)
        ]
        for process in processes:
            _, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, OK, err)
        self.assertNotIn("pending", self.states())
        self.run_stele("verify")


if __name__ == "__main__":
    unittest.main()
