"""stele export."""

import fcntl
import json
import os
import signal
import subprocess
import time
import unittest

from stele_cli import FAILED, CliTest, ndjson, permit_events


class Export(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.events = permit_events(60)
        self.run_stele("import", "-", stdin=ndjson(self.events))

    def test_standard_output_is_the_log(self):
        text = self.run_stele("export").out
        self.assertEqual(text, self.run_stele("--json", "log").out)
        self.assertEqual(self.run_stele("export", "-").out, text)
        self.assertEqual(len(text.splitlines()), len(self.events))

    def test_file(self):
        result = self.run_stele("export", "events.ndjson")
        self.assertEqual(result.out, "")
        self.assertIn("exported", result.err)
        self.assertEqual(self.read_file("events.ndjson").decode(), self.run_stele("export").out)
        self.assertFalse(os.path.exists(self.path("events.ndjson.part")))
        self.assertEqual(self.run_stele("export", "events.ndjson", "--quiet").err, "")

    def test_empty_store(self):
        self.url = "sqlite:" + self.path("empty.db")
        self.migrate()
        self.assertEqual(self.run_stele("export").out, "")
        self.run_stele("export", "nothing.ndjson")
        self.assertEqual(self.read_file("nothing.ndjson"), b"")

    def test_file_keeps_its_old_content_when_the_export_fails(self):
        self.write("events.ndjson", "old\n")
        os.mkdir(self.path("events.ndjson.part"))
        self.run_stele("export", "events.ndjson", expect=FAILED)
        self.assertEqual(self.read_file("events.ndjson"), b"old\n")

    def test_failure_while_writing_leaves_nothing(self):
        # 64 KiB: enough for SQLite's shared memory, not for the export.
        limited = ["bash", "-c", 'ulimit -f 64; trap "" XFSZ; exec "$@"', "-", *self.command("export", "events.ndjson")]
        done = subprocess.run(limited, capture_output=True, env=self.environment(), cwd=self.directory)
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertIn(b"File too large", done.stderr)
        self.assertFalse(os.path.exists(self.path("events.ndjson")))
        self.assertFalse(os.path.exists(self.path("events.ndjson.part")))

    def test_part_file_of_a_killed_export_is_taken_over(self):
        self.write("events.ndjson.part", "x" * 10_000_000)
        self.run_stele("export", "events.ndjson")
        self.assertEqual(self.read_file("events.ndjson").decode(), self.run_stele("export").out)

    def test_two_exports_do_not_share_a_part_file(self):
        with open(self.path("events.ndjson.part"), "w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            result = self.run_stele("export", "events.ndjson", expect=FAILED)
            self.assertIn("written by another process", result.err)
        self.assertFalse(os.path.exists(self.path("events.ndjson")))
        self.run_stele("export", "events.ndjson")

    def test_symbolic_link_stays_one(self):
        self.write("real.ndjson", "old\n")
        os.symlink("real.ndjson", self.path("link.ndjson"))
        self.run_stele("export", "link.ndjson")
        self.assertTrue(os.path.islink(self.path("link.ndjson")))
        self.assertEqual(len(self.read_file("real.ndjson").splitlines()), len(self.events))

    def test_pipe_is_not_replaced_by_a_file(self):
        os.mkfifo(self.path("pipe"))
        with open(self.path("received"), "wb") as received:
            reader = subprocess.Popen(["cat", self.path("pipe")], stdout=received)
        self.run_stele("export", "pipe")
        self.assertEqual(reader.wait(30), 0)
        self.assertEqual(len(self.read_file("received").splitlines()), len(self.events))

    def test_full_device(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(self.command("export"), stdout=full, stderr=subprocess.PIPE, env=self.environment())
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"No space left", done.stderr)
        self.assertIn("No space left", self.run_stele("export", "/dev/full", expect=FAILED).err)

    def test_killed_export_leaves_the_old_file_or_the_new_one(self):
        whole = self.run_stele("export").out.encode()
        for delay in (0.0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.012, 0.015, 0.02, 0.03):
            self.write("events.ndjson", "old\n")
            process = subprocess.Popen(
                self.command("export", "events.ndjson"),
                env=self.environment(),
                cwd=self.directory,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.assertIn(self.read_file("events.ndjson"), (b"old\n", whole))
        self.run_stele("export", "events.ndjson")
        self.assertEqual(self.read_file("events.ndjson"), whole)

    def test_numbers_keep_their_digits_and_lines_stay_lines(self):
        self.append("n/1", data='{"a":\n 0.1000000000000000055511151231257827,\r\n "big": 123456789012345678901234567890}')
        last = self.run_stele("export").lines[-1]
        self.assertIn("0.1000000000000000055511151231257827", last)
        self.assertIn("123456789012345678901234567890", last)
        json.loads(last)

    def test_usage(self):
        self.run_stele("export", "a", "b", expect=2)
        self.run_stele("export", self.directory, expect=FAILED)


if __name__ == "__main__":
    unittest.main()
