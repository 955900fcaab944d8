"""stele copy: one store into another."""

import json
import unittest

from stele_cli import CONFLICT, CONNECT, OK, SCHEMA, USAGE, CliTest, ndjson, permit_events


def as_copied(events):
    """What a copy keeps: all but the times and positions that a store gives."""
    return [{name: value for name, value in event.items() if name not in ("global_position", "recorded_at")} for event in events]


class Copy(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.target = "sqlite:" + self.path("target.db")
        self.run_stele("migrate", "up", url=self.target)

    def copy(self, *arguments, source=None, target=None, expect=OK):
        result = self.run_stele("--json", "copy", source or self.url, target or self.target, *arguments, url=False, expect=expect)
        return result.object if expect == OK else result

    def fill(self, cases=60):
        self.run_stele("import", "-", stdin=ndjson(permit_events(cases)))
        self.append("account/1", "--tenant", "acme", "--attribute", "room=7")
        self.append("account/1", "--request", "till:r-1", "--command-type", "Pay", "--command-data", '{"cents": 12.50}')

    def test_everything_once(self):
        self.fill()
        self.run_stele("rules", "set", "Paid", "--keep-days", "10")
        self.run_stele("schema", "add", "Later", "-", "--version", "1", stdin='{"type": "object"}')
        events = self.export()
        commands = self.stats()["commands"]
        result = self.copy()
        self.assertEqual((result["events"], result["events_there"]), (len(events), 0))
        self.assertEqual((result["commands"], result["rules"], result["notes"]), (commands, 1, []))
        self.assertEqual(result["schemas"], 1)
        copied = self.export(url=self.target)
        self.assertEqual(as_copied(copied), as_copied(events))
        command = ("--json", "command", "till", "r-1")
        one, other = (self.run_stele(*command, url=url).object for url in (self.url, self.target))
        for name in ("command_id", "command_type", "data", "stream_type", "stream_id"):
            self.assertEqual(one[name], other[name])
        self.assertEqual(self.run_stele("--json", "rules", "list", url=self.target).out, self.run_stele("--json", "rules", "list").out)
        self.run_stele("verify", url=self.target)

        again = self.copy()
        self.assertEqual((again["events"], again["events_there"]), (0, len(events)))
        self.assertEqual((again["commands"], again["commands_there"], again["rules"]), (0, commands, 0))
        self.append("account/1", type="More")
        self.assertEqual(self.copy()["events"], 1)
        self.assertEqual(as_copied(self.export(url=self.target)), as_copied(self.export()))
        table = self.run_stele("copy", self.url, self.target, url=False)
        self.assertEqual(table.lines[0], f"0 events and 0 commands copied, {len(events) + 1} and {commands} already there")

    def test_an_interrupted_copy_goes_on(self):
        self.fill()
        full = self.copy()["events"]
        lines = self.run_stele("export", url=self.target).lines
        half = "sqlite:" + self.path("half.db")
        self.run_stele("migrate", "up", url=half)
        # Whole requests of the beginning of the log; an import gives their commands another fingerprint.
        cut = next(i for i in range(50, 99) if json.loads(lines[i])["request_id"] != json.loads(lines[i - 1])["request_id"])
        self.run_stele("import", "-", url=half, stdin="\n".join(lines[:cut]) + "\n")
        result = self.copy(target=half)
        self.assertEqual((result["events"], result["events_there"]), (full - cut, cut))
        self.assertEqual(as_copied(self.export(url=half)), as_copied(self.export()))

    def test_from_an_archive(self):
        self.fill(20)
        file = self.path("all.gz")
        self.run_stele("archive", "write", file, "--before", "2200-01-01T00:00:00Z")
        result = self.copy(source="archive:" + file)
        events = self.export()
        self.assertEqual(result["events"], len(events))
        self.assertEqual(len(result["notes"]), 2)
        self.assertEqual(as_copied(self.export(url=self.target)), as_copied(events))
        self.run_stele("verify", url=self.target)
        self.assertEqual(self.copy(source="archive:" + file)["events_there"], len(events))

    def test_what_is_in_the_way(self):
        self.append("account/1", type="Opened")
        self.append("account/1", type="Other", url=self.target)
        result = self.copy(expect=CONFLICT)
        self.assertIn("account/1", result.err)
        self.assertEqual(len(self.export(url=self.target)), 1)

    def test_urls(self):
        self.append("account/1")
        self.copy(target="sqlite:" + self.path("none.db"), expect=CONNECT)
        self.copy(source="archive:" + self.path("none.gz"), expect=CONNECT)
        self.write("empty.db", b"")
        self.copy(target="sqlite:" + self.path("empty.db"), expect=SCHEMA)
        self.run_stele("copy", self.url, url=False, expect=USAGE)
        self.copy(source=self.url + "?clearance=partial", expect=1)
        self.run_stele("--clearance", "none", "copy", self.url, self.target, url=False, expect=1)
        self.run_stele("--clearance", "nonsense", "copy", self.url, self.target, url=False, expect=USAGE)
        self.assertEqual(self.export(url=self.target), [])
        # One tenant's part.
        self.append("account/2", "--tenant", "acme")
        self.assertEqual(self.copy(source=self.url + "?tenant=acme")["events"], 1)
        self.assertEqual(as_copied(self.export(url=self.target)), as_copied(self.export()[1:]))


if __name__ == "__main__":
    unittest.main()
