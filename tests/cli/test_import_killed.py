"""An import that is killed at any moment and repeated gives everything exactly once."""

import random
import signal
import subprocess
import time
import unittest

from stele_cli import OK, CliTest, ndjson, permit_events


class Killed(CliTest):
    def test_resumes(self):
        events = permit_events(500, seed=3)
        path = self.write("events.ndjson", ndjson(events))
        sizes = {}
        for e in events:
            sizes[e["request_id"]] = sizes.get(e["request_id"], 0) + 1

        # How long it takes undisturbed, to choose moments in between.
        self.url = "sqlite:" + self.path("undisturbed.db")
        self.migrate()
        started = time.monotonic()
        self.run_stele("import", path, "--batch", "20")
        whole = time.monotonic() - started
        expected = [self.without_ids(e) for e in self.export()]

        rng = random.Random(4)
        partial = 0
        for attempt in range(4):
            self.url = "sqlite:" + self.path(f"killed-{attempt}.db")
            self.migrate()
            for _ in range(6):
                process = subprocess.Popen(
                    self.command("import", path, "--batch", "20"),
                    env=self.environment(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                time.sleep(rng.uniform(0, whole / 3))
                process.send_signal(signal.SIGKILL)
                killed = process.wait() == -signal.SIGKILL
                stored = self.export()
                partial += killed and 0 < len(stored) < len(events)
                present = {}
                for e in stored:
                    present[e["request_id"]] = present.get(e["request_id"], 0) + 1
                self.assertEqual(present, {request: sizes[request] for request in present})  # None in part.
            self.run_stele("import", path, expect=OK)
            self.assertEqual([self.without_ids(e) for e in self.export()], expected)
            self.run_stele("verify")
        self.assertGreater(partial, 4, "most kills have to come while events are being imported")

    @staticmethod
    def without_ids(event):
        # Positions too: a killed transaction may leave a gap.
        own = ("recorded_at", "event_id", "causation_id", "global_position")
        return {name: value for name, value in event.items() if name not in own}


if __name__ == "__main__":
    unittest.main()
