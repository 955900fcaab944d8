"""stele relay: to standard output, and to a Redis server of the test's own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from stele_cli import BUSY, CONNECT, FAILED, NOT_FOUND, OK, USAGE, CliTest

REDIS_SERVER = shutil.which("redis-server")
PASSWORD = "hush-hush-4711"


def numbers(text):
    return [json.loads(line)["data"]["n"] for line in text.splitlines()]


class RelayTest(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()

    def append_numbers(self, *ns, stream="order/1", **options):
        for n in ns:
            self.append(stream, data=f'{{"n":{n}}}', **options)

    def relay(self, *arguments, name="outbox", **options):
        return self.run_stele("relay", name, "--to", "-", *arguments, **options)

    def start(self, *arguments, stdout=subprocess.PIPE, env=None):
        process = subprocess.Popen(
            self.command(*arguments), stdout=stdout, stderr=subprocess.PIPE, text=True, env=env or self.environment()
        )
        self.addCleanup(process.stderr.close)
        if process.stdout:
            self.addCleanup(process.stdout.close)
        self.addCleanup(lambda: process.poll() is None and (process.kill(), process.wait()))
        return process

    def position(self, name="outbox"):
        (row,) = self.run_stele("--json", "projection", "status", name).objects
        return row["position"]


class Output(RelayTest):
    def test_once_goes_on_where_it_ended(self):
        self.append_numbers(1, 2, 3)
        first = self.relay("--once")
        self.assertEqual(first.objects, self.export())  # In the form of an export.
        self.assertEqual(first.err, "")
        self.assertEqual(self.relay("--once").out, "")
        self.append_numbers(4)
        self.assertEqual(numbers(self.relay("--once").out), [4])
        self.assertEqual(numbers(self.relay("--once", name="another").out), [1, 2, 3, 4])
        self.assertEqual(self.position(), 4)

    def test_where_it_begins_counts_the_first_time_only(self):
        self.append_numbers(1, 2, 3)
        self.assertEqual(numbers(self.relay("--once", "--after", "1").out), [2, 3])
        self.assertEqual(self.relay("--once", "--from-beginning").out, "")
        self.assertEqual(self.relay("--once", "--from-now", name="new").out, "")
        self.append_numbers(4)
        self.assertEqual(numbers(self.relay("--once", name="new").out), [4])
        self.assertEqual(numbers(self.relay("--once", "--from-beginning", name="all").out), [1, 2, 3, 4])

    def test_filters_and_a_checkpoint_that_moves_past_what_they_leave_out(self):
        self.append_numbers(1, 2)
        self.append_numbers(3, 4, stream="loan/1", type="Lent")
        self.assertEqual(numbers(self.relay("--once", "--stream-type", "order").out), [1, 2])
        self.assertEqual(self.position(), 4)
        self.assertEqual(numbers(self.relay("--once", "--type", "Lent", "--after", "3", name="lent").out), [4])

    def test_small_batches(self):
        self.append_numbers(*range(1, 8))
        self.assertEqual(numbers(self.relay("--once", "--batch", "2").out), list(range(1, 8)))

    def test_it_goes_on_until_interrupted(self):
        process = self.start("relay", "outbox", "--to", "-")
        for n in (1, 2, 3):
            self.append_numbers(n)
            self.assertEqual(numbers(process.stdout.readline()), [n])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), OK)
        self.assertEqual((process.stdout.read(), process.stderr.read()), ("", ""))
        self.assertEqual(self.relay("--once").out, "")  # Its lease was given back, its checkpoint saved.

    def test_what_standard_output_does_not_take_comes_again(self):
        self.append_numbers(1)
        with open("/dev/full", "w") as full:
            process = self.start("relay", "outbox", "--to", "-", stdout=full)
            self.assertEqual(process.wait(60), FAILED)
        self.assertEqual(process.stderr.read(), "stele: cannot write to standard output: No space left on device\n")
        self.assertEqual(numbers(self.relay("--once").out), [1])

    def relay_to_file(self, path, *arguments, **options):
        with open(path, "ab") as output:
            return subprocess.run(self.command("relay", "outbox", "--to", "-", "--once", *arguments), stdout=output,
                                  stderr=subprocess.PIPE, text=True, env=self.environment(), timeout=120, **options)

    def test_a_torn_line_in_a_file_swallows_no_event(self):
        self.append_numbers(1, 2, 3)
        path = self.path("events.ndjson")
        self.assertEqual(self.relay_to_file(path).returncode, OK)
        with open(path, "r+b") as file:  # As if the disk had been full in the middle of the last line.
            file.truncate(os.path.getsize(path) - 20)
        self.run_stele("projection", "reset", "outbox")
        self.append_numbers(4)
        self.assertEqual(self.relay_to_file(path).returncode, OK)
        lines = self.read_file(path).decode().splitlines()
        self.assertRaises(ValueError, json.loads, lines.pop(2))
        self.assertEqual(numbers("\n".join(lines)), [1, 2, 1, 2, 3, 4])
        self.append_numbers(5)
        self.relay_to_file(path)
        self.assertEqual(numbers(self.read_file(path).decode().splitlines()[-1]), [5])
        self.assertNotIn(b"\n\n", self.read_file(path))

    @unittest.skipUnless(shutil.which("strace"), "NOT TESTED: strace is not installed")
    def test_a_file_is_safe_before_the_checkpoint(self):
        self.append_numbers(1)
        trace = self.path("trace")
        with open(self.path("events.ndjson"), "ab") as output:
            traced = subprocess.run(
                ["strace", "-f", "-e", "trace=write,fdatasync,fsync", "-o", trace]
                + self.command("relay", "outbox", "--to", "-", "--once"),
                stdout=output, stderr=subprocess.PIPE, env=self.environment(), timeout=120)
        if b"ptrace" in traced.stderr:
            self.skipTest("NOT TESTED: strace is not permitted here")
        self.assertEqual(traced.returncode, OK)
        self.assertRegex(self.read_file(trace).decode(), r"write\(1, .*\n(\d+ +)?fdatasync\(1\)")

    def test_it_ends_when_its_reader_goes_away(self):
        self.append_numbers(1)
        process = self.start("relay", "outbox", "--to", "-")
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(60), FAILED)  # No further event is needed for it to notice.
        self.assertEqual(process.stderr.read(), "")

    def test_one_at_a_time_and_another_takes_over(self):
        first = self.start("relay", "outbox", "--to", "-", "--lease", "1")
        self.append_numbers(1)
        self.assertEqual(numbers(first.stdout.readline()), [1])
        self.assertIn("running elsewhere", self.relay("--once", expect=BUSY).err)
        second = self.start("relay", "outbox", "--to", "-", "--lease", "1")
        self.assertIn("waiting to take over", second.stderr.readline())
        self.append_numbers(2)
        self.assertEqual(numbers(first.stdout.readline()), [2])
        while self.position() < 2:  # The line is out before the checkpoint is saved.
            time.sleep(0.01)
        first.kill()
        first.wait()
        self.append_numbers(3)
        self.assertEqual(numbers(second.stdout.readline()), [3])
        second.send_signal(signal.SIGINT)
        self.assertEqual(second.wait(60), OK)

    def test_reset_begins_anew(self):
        self.append_numbers(1, 2)
        self.relay("--once")
        self.run_stele("projection", "reset", "outbox")
        self.assertEqual(numbers(self.relay("--once").out), [1, 2])
        self.run_stele("projection", "reset", "nobody", expect=NOT_FOUND)

    def test_usage_errors(self):
        for bad in (
            ["relay", "--to", "-"],
            ["relay", "outbox"],
            ["relay", "outbox", "--to", "kafka://host"],
            ["relay", "outbox", "--to", "x"],
            ["relay", "outbox", "--to", f"redis://:{PASSWORD}@host/?straem=x"],
            ["relay", "outbox", "--to", f"redis://:{PASSWORD}@host/?stream=s&maxlen=none"],
            ["relay", "outbox", "--to", "-", "--from-now", "--from-beginning"],
            ["relay", "outbox", "--to", "-", "--from-now", "--after", "3"],
            ["relay", "outbox", "--to", "-", "--after", "x"],
            ["relay", "outbox", "--to", "-", "--batch", "0"],
            ["relay", "outbox", "--to", "-", "--lease", "0"],
            ["relay", "n" * 129, "--to", "-", "--once"],
        ):
            with self.subTest(bad):
                result = self.run_stele(*bad, expect=USAGE)
                self.assertNotIn(PASSWORD, result.out + result.err)


class RedisServer:
    """Acknowledges what is on its disk; may be killed and started again."""

    def __init__(self, directory):
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [REDIS_SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", ""]
            + ["--appendonly", "yes", "--appendfsync", "always", "--requirepass", PASSWORD],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.command("PING")
            except (OSError, RuntimeError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def url(self, more=""):
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/?stream=events&timeout=5s{more}"

    def command(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            replies = connection.makefile("rb")
            for command in (("AUTH", PASSWORD), words):
                parts = [f"*{len(command)}\r\n".encode()]
                for word in command:
                    data = str(word).encode()
                    parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
                connection.sendall(b"".join(parts))
                reply = self.read(replies)
            return reply

    def read(self, replies):
        line = replies.readline()
        if not line:
            raise RuntimeError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest.decode()
        if kind == b"$":
            return replies.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
        return [self.read(replies) for _ in range(int(rest))]

    def entries(self):
        found = []
        for entry_id, fields in self.command("XRANGE", "events", "-", "+"):
            found.append((entry_id, dict(zip(fields[::2], fields[1::2]))))
        return found


@unittest.skipUnless(REDIS_SERVER, "NOT TESTED: redis-server is not installed")
class Redis(RelayTest):
    def setUp(self):
        super().setUp()
        self.server = RedisServer(self.directory)
        self.addCleanup(self.server.kill)
        self.server.start()

    def run_stele(self, *arguments, **options):
        result = super().run_stele(*arguments, **options)
        self.assertNotIn(PASSWORD, result.out + result.err)
        return result

    def to_redis(self, *arguments, **options):
        return self.run_stele("relay", "outbox", "--to", self.server.url(), *arguments, **options)

    def start_relay(self, *arguments):
        # By the environment, as one does with a password.
        env = self.environment(STELE_RELAY_TO=self.server.url())
        return self.start("relay", "outbox", "--lease", "1", *arguments, env=env)

    def wait_for_entries(self, count):
        deadline = time.monotonic() + 120
        while True:
            try:
                if self.server.command("XLEN", "events") >= count:
                    return
            except (OSError, RuntimeError):
                pass
            self.assertLess(time.monotonic(), deadline, "the events do not come")
            time.sleep(0.005)

    def assert_exactly_once(self):
        events = self.export()
        entries = self.server.entries()
        self.assertEqual([entry_id for entry_id, _ in entries], [f'{e["global_position"]}-0' for e in events])
        self.assertEqual([json.loads(fields["event"]) for _, fields in entries], events)

    def test_entries(self):
        self.append_numbers(1, 2)
        self.assertEqual(self.to_redis("--once").out, "")
        self.assert_exactly_once()
        (_, fields), _ = self.server.entries()
        self.assertEqual((fields["type"], fields["stream"], fields["relay"]), ("Happened", "order/1", "outbox"))
        self.assertEqual(fields["id"], self.export()[0]["event_id"])

    def test_published_but_not_remembered(self):
        self.append_numbers(1, 2, 3)
        self.to_redis("--once")
        self.run_stele("projection", "reset", "outbox")
        self.append_numbers(4)
        self.to_redis("--once")
        self.assert_exactly_once()

    def test_the_relay_and_the_server_are_killed_in_the_middle(self):
        total = 3_000
        lines = "".join(
            json.dumps(
                {
                    "stream_type": "order",
                    "stream_id": f"o-{n % 50}",
                    "event_type": "Happened",
                    "source": "test",
                    "request_id": f"r-{n}",
                    "data": {"n": n, "text": "x" * 200},
                }
            )
            + "\n"
            for n in range(total)
        )
        self.run_stele("import", "-", "--quiet", stdin=lines)
        for step in range(1, 7):
            process = self.start_relay("--batch", "20")
            self.wait_for_entries(step * total // 12)
            process.kill()
            process.wait()
            self.assertNotIn(PASSWORD, process.stderr.read())
        process = self.start_relay("--batch", "20")
        for step in range(7, 11):
            self.wait_for_entries(step * total // 12)
            self.server.kill()
            self.server.start()
        self.wait_for_entries(total)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), OK)
        said = process.stderr.read()
        self.assertRegex(said, "Redis at .*; trying again")
        self.assertNotIn(PASSWORD, said)
        self.assert_exactly_once()

    def test_somebody_elses_stream(self):
        self.server.command("XADD", "events", "*", "somebody", "else")
        self.append_numbers(1)
        for arguments in ((), ("--once",)):
            process = self.start_relay(*arguments)
            self.assertEqual(process.wait(60), USAGE)
            (line,) = process.stderr.read().splitlines()
            self.assertIn("somebody else", line)
            self.assertEqual(self.position(), 0)

    def test_two_relays_with_one_stream(self):
        for type in ("A", "B", "A", "B", "A", "B"):
            self.append("order/1", type=type, data="{}")
        self.to_redis("--once", "--type", "A")
        self.append("order/1", type="B", data="{}")
        result = self.run_stele("relay", "rb", "--type", "B", "--to", self.server.url(), "--once", expect=USAGE)
        self.assertIn("somebody else", result.err)
        self.assertEqual([fields["type"] for _, fields in self.server.entries()], ["A", "A", "A"])
        self.assertEqual(self.position("rb"), 0)

    def test_one_name_of_two_tenants(self):
        self.append("order/1", "--tenant", "south", data="{}")
        self.append("order/1", "--tenant", "north", data="{}")
        self.to_redis("--once", "--tenant", "north")
        self.assertIn("somebody else", self.to_redis("--once", "--tenant", "south", expect=USAGE).err)
        ((_, fields),) = self.server.entries()
        self.assertEqual((fields["tenant"], fields["relay_tenant"]), ("north", "north"))

    def test_once_is_once(self):
        self.append_numbers(1)
        self.server.kill()
        result = self.to_redis("--once", expect=CONNECT)
        self.assertEqual(len(result.err.splitlines()), 1)
        self.assertEqual(self.position(), 0)
        self.server.start()
        self.to_redis("--once")
        self.assert_exactly_once()

    def test_nobody_reads_what_is_never_printed(self):
        reader, writer = os.pipe()
        os.close(reader)
        env = self.environment(STELE_RELAY_TO=self.server.url())
        process = self.start("relay", "outbox", stdout=writer, env=env)
        os.close(writer)
        time.sleep(1)  # It asks twice a second.
        self.append_numbers(1)
        self.wait_for_entries(1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), OK)


def main():
    program = unittest.main(exit=False)
    if program.result.wasSuccessful() and not REDIS_SERVER:
        print("!! The relay to Redis was NOT tested: redis-server is not installed", file=sys.stderr)
    sys.exit(not program.result.wasSuccessful())


if __name__ == "__main__":
    main()
