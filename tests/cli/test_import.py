"""stele import."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import unittest

from stele_cli import BUSY, FAILED, OK, SCHEMA, USAGE, CliTest, given, ndjson, permit_events


def event(n, **fields):
    base = {
        "stream_type": "order",
        "stream_id": "1",
        "event_type": "Happened",
        "source": "shop",
        "request_id": f"r-{n}",
        "data": {"n": n},
    }
    base.update(fields)
    return {name: value for name, value in base.items() if value is not None}


class ImportTest(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()

    def load(self, events, *arguments, **options):
        text = events if isinstance(events, (str, bytes)) else ndjson(events)
        return self.run_stele("--json", "import", "-", *arguments, stdin=text, **options)

    def assert_counts(self, result, imported, already_there=0, rejected=0):
        counts = result.object
        self.assertEqual(
            (counts["imported"], counts["already_there"], counts["rejected"]), (imported, already_there, rejected)
        )

    def stored(self):
        return [e["data"]["n"] for e in self.export()]


class Happy(ImportTest):
    def test_twice_adds_nothing_and_export_gives_it_back(self):
        events = permit_events(120)
        self.assert_counts(self.load(events), len(events))
        stats = self.stats()
        self.assertEqual(stats["events"], len(events))
        self.assertEqual(stats["commands"], len({e["request_id"] for e in events}))
        self.assertEqual(stats["streams"], len({(e["stream_type"], e["stream_id"]) for e in events}))
        exported = self.run_stele("export").out

        self.assert_counts(self.load(events), 0, len(events))
        self.assertEqual(self.run_stele("export").out, exported)

        by_place = {}
        for e in self.export():
            by_place.setdefault((e["stream_type"], e["stream_id"]), []).append(e)
        for e in events:
            stored = by_place[e["stream_type"], e["stream_id"]].pop(0)
            self.assertEqual({name: stored[name] for name in e}, e)
        self.assertEqual(set(map(len, by_place.values())), {0})
        self.run_stele("verify")

    def test_human_summary(self):
        events = permit_events(400, seed=2)
        path = self.write("events.ndjson", ndjson(events))
        count = f"{len(events):,}"
        first = self.run_stele("import", path)
        self.assertEqual((first.out, first.err), (f"{count} events imported, 0 already there, 0 lines rejected\n", ""))
        second = self.run_stele("import", path)
        self.assertEqual(second.out, f"0 events imported, {count} already there, 0 lines rejected\n")

    def test_batches_of_any_size_give_the_same(self):
        events = permit_events(20)
        texts = []
        for size in (1, 2, 7, 100000):
            self.url = "sqlite:" + self.path(f"{size}.db")
            self.migrate()
            self.assert_counts(self.load(events, "--batch", size), len(events))
            mine = ("recorded_at", "event_id", "causation_id")
            texts.append([{k: v for k, v in e.items() if k not in mine} for e in self.export()])
        for text in texts[1:]:
            self.assertEqual(text, texts[0])

    def test_longer_file_adds_what_is_new(self):
        events = permit_events(30)
        self.load(events[:50])
        cut = events[:50][-1]["request_id"]
        self.assertNotEqual(events[50]["request_id"], cut, "the generator has to end a request there")
        self.assert_counts(self.load(events), len(events) - 50, 50)

    def test_sample(self):
        path = os.environ["STELE_SAMPLE"]
        with open(path) as file:
            events = [json.loads(line) for line in file]
        self.assertGreater(len(events), 100)
        self.assert_counts(self.run_stele("--json", "import", path), len(events))
        self.assert_counts(self.run_stele("--json", "import", path), 0, len(events))
        self.assertEqual(self.stats()["streams"], len({(e["stream_type"], e["stream_id"]) for e in events}))
        self.run_stele("verify")

    def test_export_moves_to_another_store_and_stays_there(self):
        self.load(permit_events(30))
        self.append("order/1", "--request", "shop:1", "--command-type", "PlaceOrder", "--tenant", "acme")
        self.append("order/1", data='{"exact":1.00000000000000000000000000001}')
        self.append("order/1", "--source", "desk", "--request", "shop:2", "--attribute", "room=12")
        exported = self.run_stele("export").out
        count = len(exported.splitlines())

        self.assert_counts(self.load(exported), 0, count)  # Into itself.
        self.assertEqual(self.run_stele("export").out, exported)

        self.url = "sqlite:" + self.path("other.db")
        self.migrate()
        self.assert_counts(self.load(exported), count)
        self.assert_counts(self.load(exported), 0, count)
        copied = self.run_stele("export").out
        self.assertEqual(
            [given(json.loads(line)) for line in copied.splitlines()],
            [given(json.loads(line)) for line in exported.splitlines()],
        )
        self.assertIn("1.00000000000000000000000000001", copied)
        self.run_stele("verify")

    def test_lines_of_one_request_are_one_command(self):
        self.load([event(1, request_id="r"), event(2, request_id="r", stream_id="2"), event(3, request_id="r")])
        command = self.run_stele("--json", "command", "shop", "r").object
        self.assertEqual(
            [(s["stream_id"], s["first_version"], s["last_version"]) for s in command["streams"]],
            [("1", 1, 2), ("2", 1, 1)],
        )
        self.assertEqual(self.stats()["commands"], 1)

    def test_requests_of_two_tenants_or_sources_are_two(self):
        self.load([event(1, request_id="r"), event(2, request_id="r", tenant_id="acme"), event(3, request_id="r", source="b")])
        self.assertEqual(self.stats()["commands"], 3)

    def test_event_id_without_request(self):
        events = [
            event(n, request_id=None, source=None, event_id=f"018f3a6e-0000-7000-8000-00000000000{n}") for n in range(5)
        ]
        self.assert_counts(self.load(events), 5)
        self.assert_counts(self.load(events), 0, 5)
        self.assertEqual(self.stats()["commands"], 0)

    def test_request_source_makes_requests_of_line_numbers(self):
        events = [event(n, request_id=None, source=None) for n in (1, 1, 2)]
        self.load(events, expect=FAILED)
        self.assert_counts(self.load(events, "--request-source", "till-7"), 3)
        self.assert_counts(self.load([*events, event(3, request_id=None)], "--request-source", "till-7"), 1, 3)
        self.assertEqual(self.stored(), [1, 1, 2, 3])
        self.assertEqual(self.export()[1]["request_id"], "2")
        self.run_stele("command", "till-7", "4")
        # Another line under a number that is taken is no repetition, and says so.
        result = self.load([event(9, request_id=None)], "--request-source", "till-7", expect=FAILED)
        self.assertIn("request_id_reused", result.err)

    def test_blank_lines_line_ends_and_byte_order_mark(self):
        lines = [json.dumps(event(n)) for n in (1, 2, 3)]
        text = "\ufeff" + lines[0] + "\r\n\r\n   \n" + lines[1] + "\n\n" + lines[2]
        self.assert_counts(self.load(text), 3)
        self.assert_counts(self.load(""), 0)

    def test_store_fields_and_nulls_are_ignored(self):
        self.load([event(1, global_position=77, stream_version=9, recorded_at="2001-01-01T00:00:00Z")])
        stored = self.export()[0]
        self.assertEqual((stored["global_position"], stored["stream_version"]), (1, 1))
        self.assertGreater(stored["recorded_at"], "2020")

    def test_dry_run(self):
        result = self.load([event(1), event(2)], "--dry-run", url=None)
        self.assertEqual(result.object, {"imported": 2, "already_there": 0, "rejected": 0, "dry_run": True})
        self.load([event(1), event(2, data=None)], "--dry-run", url=None, expect=FAILED)
        self.assertEqual(self.stats()["events"], 0)

    @unittest.skipIf(os.environ.get("STELE_MEMORY_IS_EXACT") == "0", "ThreadSanitizer's shadow memory grows by itself")
    def test_memory_does_not_grow_with_the_file(self):
        def peak(count):
            self.url = "sqlite:" + self.path(f"peak-{count}.db")
            self.migrate()
            path = self.path(f"{count}.ndjson")
            with open(path, "w") as file:
                for n in range(count):
                    file.write(json.dumps(event(n, stream_id=str(n % 100), data={"n": n, "text": "x" * 400})) + "\n")
            code = (
                "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
            )
            # AddressSanitizer would keep what is freed.
            env = self.environment(ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1")
            used = []
            for command in (["import", path], ["export", os.devnull]):
                done = subprocess.run(
                    [sys.executable, "-c", code, *self.command(*command)], capture_output=True, env=env
                )
                self.assertEqual(done.returncode, 0, done.stderr)
                used.append(int(done.stdout))
            return used

        small, large = peak(4_000), peak(40_000)
        for a, b in zip(small, large):
            self.assertLess(b, a * 1.5 + 8 * 1024, f"KiB of import and export: {small} for 4,000 and {large} for 40,000")


class Bad(ImportTest):
    """Each bad line is named with its number, its field and the reason; nothing of its request is imported."""

    def bad_lines(self):
        return [
            ("{", None),
            ("not json", None),
            ("[]", None),
            ('"text"', None),
            ("\x00", None),
            (json.dumps(event(2)) + "x", None),
            (json.dumps(event(2))[:-1], None),
            (json.dumps(event(2, stream_type=None)), "stream_type"),
            (json.dumps(event(2, stream_id=None)), "stream_id"),
            (json.dumps(event(2, event_type=None)), "event_type"),
            (json.dumps(event(2, data=None)), "data"),
            (json.dumps(event(2, data=5)), "data"),
            (json.dumps(event(2, data="text")), "data"),
            (json.dumps(event(2, stream_id="")), "stream_id"),
            (json.dumps(event(2, stream_id=7)), "stream_id"),
            (json.dumps(event(2, stream_id="x" * 256)), "stream_id"),
            (json.dumps(event(2, stream_type="x" * 65)), "stream_type"),
            (json.dumps(event(2, event_version=0)), "event_version"),
            (json.dumps(event(2, event_version="1")), "event_version"),
            (json.dumps(event(2, event_id="1")), "event_id"),
            (json.dumps(event(2, occurred_at="yesterday")), "occurred_at"),
            (json.dumps(event(2, occurred_at="2026-02-30T00:00:00Z")), "occurred_at"),
            (json.dumps(event(2, occurred_at="2026-01-01T00:00:00.1234567Z")), "occurred_at"),
            (json.dumps(event(2, valid_from="2026-01-02T00:00:00Z", valid_to="2026-01-01T00:00:00Z")), "valid_to"),
            (json.dumps(event(2, actor_type="dog", actor_id="rex")), "actor_type"),
            (json.dumps(event(2, actor_type="user")), "actor_id"),
            (json.dumps(event(2, channel="pigeon")), "channel"),
            (json.dumps(event(2, redaction_level="some")), "redaction_level"),
            (json.dumps(event(2, contains_secrets="no")), "contains_secrets"),
            (json.dumps(event(2, metadata=[])), "metadata"),
            (json.dumps(event(2, attributes={"a": 1})), "attributes"),
            (json.dumps(event(2, source=None)), "source"),
            (json.dumps(event(2, request_id=None)), "request_id"),
            (json.dumps(event(2, surprise=1)), "surprise"),
            (json.dumps(event(2, data={"nul": "\x00"})), None),
            (json.dumps(event(2, data={"half": "\ud800"})), None),
            ('{"stream_id":"a",' + json.dumps(event(2))[1:], "stream_id"),
            (b'{"stream_type":"\xff"}', None),
        ]

    def text_with(self, bad):
        bad = bad if isinstance(bad, bytes) else bad.encode()
        return json.dumps(event(1)).encode() + b"\n" + bad + b"\n" + json.dumps(event(3)).encode() + b"\n"

    def test_stops_at_the_line(self):
        for index, (bad, field) in enumerate(self.bad_lines()):
            with self.subTest(bad=bad):
                self.url = "sqlite:" + self.path(f"{index}.db")
                self.migrate()
                path = self.write("bad.ndjson", self.text_with(bad))
                result = self.run_stele("import", path, expect=FAILED)
                self.assertEqual(result.out, "1 event imported, 0 already there, 1 line rejected\n")
                first = result.err.splitlines()[0]
                self.assertTrue(first.startswith(f"stele: import: {path}: line 2: "), result.err)
                if field:
                    self.assertIn(f'field "{field}"', first)
                self.assertIn("stopped at line 2", result.err)
                self.assertEqual(self.stored(), [1])

    def test_collects_rejects(self):
        for index, (bad, field) in enumerate(self.bad_lines()):
            with self.subTest(bad=bad):
                self.url = "sqlite:" + self.path(f"{index}.db")
                self.migrate()
                path = self.write("bad.ndjson", self.text_with(bad))
                result = self.run_stele("--json", "import", path, "--rejects", "rejects", expect=FAILED)
                self.assert_counts(result, 2, 0, 1)
                (error,) = result.error_objects
                self.assertEqual((error["file"], error["line"]), (path, 2))
                if field:
                    self.assertIn(f'field "{field}"', error["message"])
                bad = bad if isinstance(bad, bytes) else bad.encode()
                self.assertEqual(self.read_file("rejects"), bad + b"\n")
                self.assertEqual(self.stored(), [1, 3])

    def test_many_rejects_in_the_order_of_the_file(self):
        lines = [json.dumps(event(n, occurred_at="x" if n % 10 == 7 else None)) for n in range(300)]
        result = self.load("\n".join(lines), "--rejects", "rejects", "--batch", "16", expect=FAILED)
        self.assert_counts(result, 270, 0, 30)
        self.assertEqual([e["line"] for e in result.error_objects], [n + 1 for n in range(300) if n % 10 == 7])
        rejects = self.read_file("rejects").decode().splitlines()
        self.assertEqual(rejects, [line for n, line in enumerate(lines) if n % 10 == 7])
        # Corrected, they go in, and the rest stays as it is.
        self.assert_counts(self.load("\n".join(rejects).replace('"x"', '"2026-01-01T00:00:00Z"')), 30)
        self.assertEqual(sorted(self.stored()), list(range(300)))

    def test_no_rejects(self):
        self.load([event(1)], "--rejects", "rejects", expect=OK)
        self.assertEqual(self.read_file("rejects"), b"")

    def test_one_bad_line_rejects_its_whole_request(self):
        events = [event(0), event(1, request_id="r"), event(2, request_id="r", data=5), event(3, request_id="r"), event(4)]
        result = self.load(events, "--rejects", "rejects", expect=FAILED)
        self.assert_counts(result, 2, 0, 3)
        self.assertEqual([e["line"] for e in result.error_objects], [2, 3, 4])
        self.assertEqual(self.read_file("rejects").decode(), ndjson(events[1:4]))
        self.assertEqual(self.stored(), [0, 4])
        result = self.load(events, expect=FAILED)
        self.assertEqual([e["line"] for e in result.error_objects[:1]], [3])
        self.assertEqual(self.stored(), [0, 4])

    def test_unreadable_line_within_a_request(self):
        text = (ndjson([event(1, request_id="r")]) + "{broken\n") + ndjson([event(3, request_id="r"), event(4)])
        result = self.load(text, expect=FAILED)
        self.assertEqual(result.error_objects[0]["line"], 2)
        self.assertEqual(self.stored(), [])
        self.assert_counts(self.load(text, "--rejects", "rejects", expect=FAILED), 1, 0, 3)
        self.assertEqual(self.read_file("rejects").decode().splitlines(), text.splitlines()[:3])
        self.assertEqual(self.stored(), [4])

    def test_event_id_twice_in_one_request(self):
        one = "018f3a6e-0000-7000-8000-000000000001"
        events = [event(n, request_id="r", event_id=one) for n in (1, 2)]
        result = self.load(events, expect=FAILED)
        self.assertIn("lines 1 to 2", result.error_objects[0]["message"])
        self.assertEqual(self.stored(), [])

    def test_what_only_the_store_finds(self):
        self.load([event(1), event(2)])
        changed = [event(0), event(2, data={"n": 22}), event(3)]
        result = self.load(changed, "--rejects", "rejects", expect=FAILED)
        self.assert_counts(result, 2, 0, 1)
        self.assertEqual(result.error_objects[0]["line"], 2)
        self.assertIn("request_id_reused", result.error_objects[0]["message"])
        self.assertEqual(self.read_file("rejects").decode(), ndjson(changed[1:2]))
        self.assertEqual(self.stored(), [1, 2, 0, 3])

        one = "018f3a6e-0000-7000-8000-000000000001"
        taken = [event(n, request_id=None, source=None, event_id=one) for n in (5, 6)]
        result = self.load(taken, "--batch", "1", expect=FAILED)
        self.assertIn("duplicate_event_id", result.error_objects[0]["message"])
        self.assertEqual(self.stored(), [1, 2, 0, 3, 5])

    def test_request_that_is_too_large(self):
        events = [event(n, request_id="r") for n in range(20_001)]
        text = ndjson([event(-1), *events, event(-2)])
        result = self.load(text, "--rejects", "rejects", expect=FAILED)
        self.assert_counts(result, 2, 0, 20_001)
        self.assertEqual(self.stored(), [-1, -2])
        self.assertEqual(self.read_file("rejects").decode(), ndjson(events))

    def test_very_long_line(self):
        long = '{"stream_type":"' + "x" * (65 << 20) + '"}'
        text = ndjson([event(1)]) + long + "\n" + ndjson([event(3)])
        result = self.load(text, expect=FAILED)
        self.assertEqual(result.error_objects[0]["line"], 2)
        self.assertIn("longer than", result.error_objects[0]["message"])
        self.assertEqual(self.stored(), [1])
        self.assert_counts(self.load(text, "--rejects", "rejects", expect=FAILED), 1, 1, 1)
        self.assertEqual(self.read_file("rejects").decode(), long + "\n")
        self.assertEqual(self.stored(), [1, 3])

    def test_payload_over_the_limit(self):
        result = self.load([event(1), event(2, data={"n": "x" * (16 << 20)})], expect=FAILED)
        self.assertIn('field "data"', result.error_objects[0]["message"])
        self.assertLess(len(result.err), 1000)
        self.assertEqual(self.stored(), [1])

    def test_compressed_file(self):
        path = self.write("events.ndjson.gz", gzip.compress(ndjson([event(1)]).encode()))
        self.assertIn("zcat", self.run_stele("import", path, expect=FAILED).err)

    def test_files_that_cannot_be_used(self):
        self.assertIn("No such file", self.run_stele("import", "missing.ndjson", expect=FAILED).err)
        self.assertIn("directory", self.run_stele("import", self.directory, expect=FAILED).err)
        path = self.write("events.ndjson", ndjson([event(1)]))
        self.run_stele("import", path, "--rejects", path, expect=USAGE)
        self.assertEqual(self.read_file("events.ndjson").decode(), ndjson([event(1)]))
        self.run_stele("import", path, "--rejects", "/no/such/directory/rejects", expect=FAILED)
        self.run_stele("import", path, "--batch", "0", expect=USAGE)
        self.run_stele("import", expect=USAGE)

    def test_store_that_is_not_ready(self):
        self.run_stele("migrate", "down", "--yes")
        self.load([event(1)], expect=SCHEMA)

    def test_busy_store(self):
        holder = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        result = self.run_stele(
            "import", "-", stdin=ndjson([event(1)]), url=self.url + "?busy_timeout=100ms", expect=BUSY
        )
        self.assertIn("a repetition goes on from there", result.err)
        holder.execute("ROLLBACK")
        self.assert_counts(self.load([event(1)]), 1)


if __name__ == "__main__":
    unittest.main()
