"""What appears only on a terminal: the progress bar and colours. Each runs on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

from stele_cli import FAILED, OK, CliTest, ndjson, permit_events


class Terminal(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.events = permit_events(1500, seed=5)
        self.path_of_events = self.write("events.ndjson", ndjson(self.events))

    def run_on_terminal(self, *arguments, stdout_too=False, columns=100, env=None, expect=OK):
        """Returns what standard output and the terminal got."""
        terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with open(self.path("stdout"), "wb") as out:
            process = subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=theirs if stdout_too else out,
                stderr=theirs,
                env=env or self.environment(),
                cwd=self.directory,
            )
        os.close(theirs)
        shown = b""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    piece = os.read(terminal, 65536)
                except OSError:  # The other end is closed.
                    break
                if not piece:
                    break
                shown += piece
        os.close(terminal)
        self.assertEqual(process.wait(30), expect, shown)
        return ("" if stdout_too else self.read_file("stdout").decode()), shown.decode()

    def test_progress_of_an_import(self):
        out, shown = self.run_on_terminal("import", self.path_of_events, "--batch", "20")
        self.assertIn("events imported", out)
        bars = re.findall(r"import \S*\[(#*)(\.*)\]\S* (\d+)% ([\d,]+) events, ([\d,]+)/s, \d+:\d\d( left)?", shown)
        self.assertGreater(len(bars), 0, shown)
        self.assertTrue(all(len(bar[0]) + len(bar[1]) == 24 for bar in bars))
        self.assertIn(" left", shown)
        self.assertIn("\x1b[32m", shown)
        # At the end the bar is wiped off: blanks between two carriage returns.
        self.assertRegex(shown, r"\r +\r$")
        self.assertEqual(self.stats()["events"], len(self.events))

    def test_no_colour(self):
        _, shown = self.run_on_terminal("import", self.path_of_events, "--batch", "20", env=self.environment(NO_COLOR="1"))
        self.assertIn("% ", shown)
        self.assertNotIn("\x1b", shown)
        _, shown = self.run_on_terminal("stats", stdout_too=True, env=self.environment(NO_COLOR="1"))
        self.assertNotIn("\x1b", shown)

    def test_empty_no_color_means_nothing(self):
        _, shown = self.run_on_terminal("log", "--limit", "1", stdout_too=True, env=self.environment(NO_COLOR=""))
        self.assertEqual(shown, "")
        self.append("order/1")
        _, shown = self.run_on_terminal("log", "--limit", "1", stdout_too=True, env=self.environment(NO_COLOR=""))
        self.assertIn("\x1b[1m", shown)

    def test_quiet_and_dumb(self):
        _, shown = self.run_on_terminal("import", self.path_of_events, "--quiet")
        self.assertEqual(shown, "")
        for command in (["verify"], ["export"]):
            _, shown = self.run_on_terminal(*command, env=self.environment(TERM="dumb"))
            self.assertEqual(shown, "")

    def test_narrow_terminal_is_not_overrun(self):
        for columns in (60, 40, 20):
            self.url = "sqlite:" + self.path(f"{columns}.db")
            self.migrate()
            _, shown = self.run_on_terminal(
                "import", self.path_of_events, "--batch", "20", columns=columns, env=self.environment(NO_COLOR="1")
            )
            for line in re.split(r"[\r\n]", shown):
                self.assertLess(len(line), columns)

    def test_messages_stand_on_lines_of_their_own(self):
        lines = ndjson(self.events).splitlines()
        lines.insert(2000, "{broken")
        path = self.write("bad.ndjson", "\n".join(lines))
        _, shown = self.run_on_terminal("import", path, "--batch", "20", expect=FAILED)
        self.assertRegex(shown, r"(^|[\r\n])stele: import: [^\r\n]*: line 2001: ")

    def test_wide_data_is_cut_on_a_terminal_only(self):
        self.append("order/1", data='{"text":"' + "ä" * 500 + '"}')
        _, shown = self.run_on_terminal("log", stdout_too=True, columns=80, env=self.environment(NO_COLOR="1"))
        lines = shown.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(len(lines[1]), 80)
        self.assertTrue(lines[1].endswith("…"))
        self.assertIn("ä" * 500, self.run_stele("log").out)
        _, shown = self.run_on_terminal("--json", "log", stdout_too=True, columns=80)
        self.assertIn("ä" * 500, shown)


if __name__ == "__main__":
    unittest.main()
