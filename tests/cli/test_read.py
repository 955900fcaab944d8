"""stele read, log, streams and stats."""

import select
import signal
import subprocess
import time
import unittest

from stele_cli import FAILED, NOT_FOUND, OK, USAGE, CliTest

ID_A = "018f3a6e-0000-7000-8000-00000000000a"
ID_B = "018f3a6e-0000-7000-8000-00000000000b"


def numbers(result):
    return [event["data"]["n"] for event in result.objects]


class Read(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        for n in range(1, 6):
            self.append("order/1", data=f'{{"n":{n}}}', type=f"Step{n}")

    def read(self, *arguments, **options):
        return self.run_stele("--json", "read", "order/1", *arguments, **options)

    def test_bounds_and_direction(self):
        self.assertEqual(numbers(self.read()), [1, 2, 3, 4, 5])
        self.assertEqual(numbers(self.read("--backwards")), [5, 4, 3, 2, 1])
        self.assertEqual(numbers(self.read("--from", 2, "--to", 4)), [2, 3, 4])
        self.assertEqual(numbers(self.read("--from", 2, "--to", 4, "--backwards", "--limit", 2)), [4, 3])
        self.assertEqual(numbers(self.read("--limit", 1)), [1])
        self.assertEqual(numbers(self.read("--from", 6)), [])

    def test_human_table(self):
        lines = self.run_stele("read", "order/1", "--to", 2).lines
        self.assertEqual(lines[0].split(), ["POSITION", "VERSION", "TYPE", "OCCURRED", "ACTOR", "DATA"])
        self.assertEqual(len(lines), 3)
        cells = lines[1].split()
        self.assertEqual((cells[0], cells[1], cells[2], cells[4], cells[5]), ("1", "1", "Step1", "-", '{"n":1}'))

    def test_as_of(self):
        recorded = [event["recorded_at"] for event in self.read().objects]
        self.assertEqual(numbers(self.read("--as-of", recorded[-1])), [1, 2, 3, 4, 5])
        self.assertEqual(numbers(self.read("--as-of", "2001-01-01T00:00:00Z")), [])

    def test_valid_at(self):
        self.append("price/1", "--valid-to", "2026-02-01T00:00:00Z", data='{"n":1}')
        self.append("price/1", "--valid-from", "2026-02-01T00:00:00Z", data='{"n":2}')
        january = self.run_stele("--json", "read", "price/1", "--valid-at", "2026-01-31T23:59:59.999999Z")
        february = self.run_stele("--json", "read", "price/1", "--valid-at", "2026-02-01T00:00:00Z")
        self.assertEqual((numbers(january), numbers(february)), ([1], [2]))

    def test_missing_stream(self):
        result = self.run_stele("read", "order/2", expect=NOT_FOUND)
        self.assertEqual((result.out, result.err), ("", "stele: there is no stream order/2\n"))
        result = self.run_stele("--json", "read", "Order/1", expect=NOT_FOUND)
        self.assertEqual(result.error_objects[0]["error"], "not_found")
        self.run_stele("read", "order/1", "--tenant", "acme", expect=NOT_FOUND)

    def test_usage_errors(self):
        for bad in (
            ["read"],
            ["read", "order"],
            ["read", "order/1", "--from", "0"],
            ["read", "order/1", "--to", "x"],
            ["read", "order/1", "--limit", "0"],
            ["read", "order/1", "--limit", "-1"],
            ["read", "order/1", "--as-of", "now"],
            ["read", "order/1", "--from", "1", "--from", "2"],
            ["no-such-command"],
            [],
        ):
            with self.subTest(bad):
                self.run_stele(*bad, expect=USAGE)

    def test_terminal_codes_in_names_are_spelled_out(self):
        self.append("evil/\x1b[31m\nid", type="a\x1b]0;title\x07b", data='{"n":1}')
        for command in (["log"], ["streams"], ["stats"]):
            out = self.run_stele(*command).out
            self.assertNotIn("\x1b", out)
            self.assertNotIn("\x07", out)
        self.assertIn("evil/\\x1b[31m\\x0aid", self.run_stele("streams").out)

    def test_reader_that_goes_away(self):
        big = "x" * 4000
        for _ in range(40):
            self.append("big/1", data=f'{{"n":"{big}"}}')
        process = subprocess.Popen(
            self.command("--json", "read", "big/1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
        )
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.wait(60), FAILED)
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                self.command("read", "order/1"), stdout=full, stderr=subprocess.PIPE, env=self.environment()
            )
        self.assertEqual(done.returncode, FAILED)
        self.assertEqual(done.stderr, b"stele: cannot write to standard output: No space left on device\n")


class Log(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        place = dict(type="Placed")
        self.append("order/1", "--source", "shop", "--actor", "user:anna", data='{"n":1}', **place)
        self.append("order/2", "--correlation", ID_A, "--occurred-at", "2020-01-01T00:00:00Z", data='{"n":2}', **place)
        self.append("loan/1", "--causation", ID_B, "--attribute", "room=12", "--actor", "user:bob", data='{"n":3}')
        self.append("loan/1", "--tenant", "acme", "--attribute", "room=13", "--actor", "agent:x", data='{"n":4}')

    def log(self, *arguments, **options):
        return self.run_stele("--json", "log", *arguments, **options)

    def test_positions_and_direction(self):
        self.assertEqual(numbers(self.log()), [1, 2, 3, 4])
        self.assertEqual(numbers(self.log("--after", 1, "--before", 4)), [2, 3])
        self.assertEqual(numbers(self.log("--backwards", "--limit", 2)), [4, 3])
        self.assertEqual(numbers(self.log("--after", 9)), [])

    def test_filters(self):
        recorded = [event["recorded_at"] for event in self.log().objects]
        for arguments, expected in (
            (["--stream-type", "order"], [1, 2]),
            (["--stream-type", "order", "--stream-type", "loan"], [1, 2, 3, 4]),
            (["--type", "Placed"], [1, 2]),
            (["--type", "Placed", "--type", "Happened", "--stream-type", "loan"], [3, 4]),
            (["--source", "shop"], [1]),
            (["--actor", "user:anna"], [1]),
            (["--actor", "user"], [1, 3]),
            (["--correlation", ID_A], [2]),
            (["--causation", ID_B], [3]),
            (["--tenant", "acme"], [4]),
            (["--tenant", "default"], [1, 2, 3]),
            (["--attribute", "room=12"], [3]),
            (["--attribute", "room=12", "--attribute", "floor=1"], []),
            (["--occurred-until", "2021-01-01T00:00:00Z"], [2]),
            (["--occurred-since", "2020-01-01T00:00:00.000001Z"], [1, 3, 4]),
            (["--since", recorded[0]], [1, 2, 3, 4]),
            (["--until", recorded[0]], []),
            (["--since", "2999-01-01T00:00:00Z"], []),
            (["--as-of", recorded[3]], [1, 2, 3, 4]),
        ):
            with self.subTest(arguments):
                self.assertEqual(numbers(self.log(*arguments)), expected)

    def test_human_table(self):
        lines = self.run_stele("log").lines
        self.assertEqual(lines[0].split(), ["POSITION", "STREAM", "VERSION", "TYPE", "OCCURRED", "ACTOR", "DATA"])
        self.assertEqual(lines[4].split()[:3], ["4", "acme:loan/1", "1"])
        self.assertEqual(self.run_stele("log", "--after", 4).out, "")

    def test_usage_errors(self):
        for bad in (
            ["--correlation", "x"],
            ["--attribute", "x"],
            ["--actor", "dog:rex"],
            ["--since", "today"],
            ["--after", "-1"],
            ["--follow", "--backwards"],
            ["--follow", "--before", "4"],
            ["--interval", "100"],
            ["--follow", "--interval", "0"],
        ):
            with self.subTest(bad):
                self.run_stele("log", *bad, expect=USAGE)

    def follow(self, *arguments, interval="20"):
        process = subprocess.Popen(
            self.command("--json", "log", "--follow", "--interval", interval, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def test_follow_prints_what_comes_until_interrupted(self):
        process = self.follow("--after", "3")
        self.assertIn('"n":4', process.stdout.readline())
        for n in (5, 6):
            self.append("order/1", data=f'{{"n":{n}}}')
            self.assertIn(f'"n":{n}', process.stdout.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), OK)
        self.assertEqual((process.stdout.read(), process.stderr.read()), ("", ""))

    def test_follow_is_woken_by_an_append_of_another_process(self):
        process = self.follow("--after", "4", interval="3600000")
        n = 4
        while n == 4 or not select.select([process.stdout], [], [], 1)[0]:  # Until it listens.
            n += 1
            self.assertLess(n, 60, "it is never woken")
            self.append("order/1", data=f'{{"n":{n}}}')
        self.append("order/1", data='{"n":"woken"}')
        while '"woken"' not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), OK)

    def test_follow_with_a_filter_and_a_limit(self):
        process = self.follow("--stream-type", "order", "--limit", "4")
        for n in (1, 2):
            self.assertIn(f'"n":{n}', process.stdout.readline())
        for n in (5, 6, 7):
            self.append("loan/1" if n == 6 else "order/1", data=f'{{"n":{n}}}')
        self.assertIn('"n":5', process.stdout.readline())
        self.assertIn('"n":7', process.stdout.readline())
        self.assertEqual(process.wait(30), OK)

    def test_follow_ends_when_standard_output_takes_no_more(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                self.command("log", "--follow"), stdout=full, stderr=subprocess.PIPE, env=self.environment(), timeout=60
            )
        self.assertEqual(done.returncode, FAILED)
        self.assertEqual(done.stderr, b"stele: cannot write to standard output: No space left on device\n")

    def test_follow_ends_when_its_reader_goes_away(self):
        process = self.follow()
        process.stdout.readline()
        process.stdout.close()
        started = time.monotonic()
        self.assertEqual(process.wait(30), FAILED)  # No further event is needed for it to notice.
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(process.stderr.read(), "")


class Streams(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        for stream in ("order/b", "order/a", "order/a%1", "loan/1", "loan/1"):
            self.append(stream)
        self.append("order/z", "--tenant", "acme")

    def ids(self, *arguments):
        return [f'{s["stream_type"]}/{s["stream_id"]}' for s in self.run_stele("--json", "streams", *arguments).objects]

    def test_order_filters_and_pages(self):
        self.assertEqual(self.ids(), ["loan/1", "order/a", "order/a%1", "order/b"])
        self.assertEqual(self.ids("--type", "order"), ["order/a", "order/a%1", "order/b"])
        self.assertEqual(self.ids("--prefix", "a"), ["order/a", "order/a%1"])
        self.assertEqual(self.ids("--prefix", "a%"), ["order/a%1"])
        self.assertEqual(self.ids("--limit", "2"), ["loan/1", "order/a"])
        self.assertEqual(self.ids("--limit", "2", "--after", "order/a"), ["order/a%1", "order/b"])
        self.assertEqual(self.ids("--tenant", "acme"), ["order/z"])
        self.assertEqual(self.ids("--tenant", "nobody"), [])

    def test_human_table(self):
        lines = self.run_stele("streams", "--type", "loan").lines
        self.assertEqual(lines[0].split(), ["STREAM", "VERSION", "CREATED", "LAST", "RECORDED"])
        self.assertEqual(lines[1].split()[:2], ["loan/1", "2"])
        self.assertEqual(len(lines), 2)

    def test_usage_errors(self):
        for bad in (["--limit", "0"], ["--after", "order"], ["--type"]):
            self.run_stele("streams", *bad, expect=USAGE)


class Stats(CliTest):
    def test_counts(self):
        self.migrate()
        self.append("order/1", "--request", "shop:1", type="Placed")
        self.append("order/1", type="Paid")
        self.append("order/2", type="Placed")
        stats = self.stats()
        self.assertEqual((stats["events"], stats["streams"], stats["commands"], stats["last_position"]), (3, 2, 1, 3))
        self.assertEqual(
            stats["events_by_type"], [{"event_type": "Placed", "events": 2}, {"event_type": "Paid", "events": 1}]
        )
        lines = [line.split() for line in self.run_stele("stats").lines]
        self.assertIn(["events", "3"], lines)
        self.assertIn(["2", "Placed"], lines)


if __name__ == "__main__":
    unittest.main()
