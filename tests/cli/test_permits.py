"""The real log of permit cases, when STELE_TEST_PERMITS names the file (NDJSON, gzip). Without it the test is skipped."""

import gzip
import json
import os
import sys
import unittest

from stele_cli import CliTest

PATH = os.environ.get("STELE_TEST_PERMITS")


class Permits(CliTest):
    def test_load_again_and_export(self):
        self.migrate()
        with gzip.open(PATH) as file:
            text = file.read()
        events = [json.loads(line) for line in text.splitlines()]
        first = self.run_stele("--json", "import", "-", stdin=text).object
        self.assertEqual((first["imported"], first["already_there"]), (len(events), 0))
        stats = self.stats()
        self.assertEqual(stats["events"], len(events))
        self.assertEqual(stats["streams"], len({(e["stream_type"], e["stream_id"]) for e in events}))
        again = self.run_stele("--json", "import", "-", stdin=text).object
        self.assertEqual((again["imported"], again["already_there"]), (0, len(events)))
        exported = self.export()
        self.assertEqual(len(exported), len(events))
        for given, stored in zip(events, exported):
            self.assertEqual({name: stored[name] for name in given}, given)
        self.run_stele("verify")


if __name__ == "__main__":
    if not PATH:
        print("skipped: STELE_TEST_PERMITS does not name the file")
        sys.exit(77)
    unittest.main()
