"""Runs the command line for the tests, each on a database of its own."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["STELE_CLI"]

# Exit codes, as they are documented.
OK, FAILED, USAGE, CONFLICT, NOT_FOUND, SCHEMA, CONNECT, BUSY, INTEGRITY = range(9)

STORE_FIELDS = ("global_position", "stream_version", "recorded_at")


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def objects(self):
        return [json.loads(line) for line in self.lines]

    @property
    def object(self):
        (only,) = self.objects
        return only

    @property
    def error_objects(self):
        return [json.loads(line) for line in self.err.splitlines()]


class CliTest(unittest.TestCase):
    """A directory and an SQLite file for each test; the file does not exist until migrate()."""

    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="stele-cli-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.database = self.path("store.db")
        self.url = "sqlite:" + self.database

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        path = self.path(name)
        with open(path, "wb" if isinstance(text, bytes) else "w") as file:
            file.write(text)
        return path

    def read_file(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def environment(self, **changes):
        """The caller's, without what would reach the program, and with a home that has no configuration."""
        env = {k: v for k, v in os.environ.items() if k not in ("STELE_URL", "XDG_CONFIG_HOME", "NO_COLOR")}
        env.update(HOME=self.directory, TERM="xterm", LC_ALL="C.UTF-8")
        env.update(changes)
        return {k: v for k, v in env.items() if v is not None}

    def command(self, *arguments, url=True):
        chosen = ["--url", self.url] if url is True else ["--url", url] if url else []
        return [PROGRAM, *chosen, *[str(argument) for argument in arguments]]

    def run_stele(self, *arguments, url=True, stdin=None, env=None, expect=OK, timeout=120):
        text = stdin if stdin is None or isinstance(stdin, bytes) else stdin.encode()
        done = subprocess.run(
            self.command(*arguments, url=url),
            input=text if text is not None else b"",
            capture_output=True,
            env=env or self.environment(),
            timeout=timeout,
            cwd=self.directory,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        if expect is not None:
            self.assertEqual(result.code, expect, f"{arguments}\nstdout: {result.out}\nstderr: {result.err}")
        return result

    def migrate(self):
        self.run_stele("migrate", "up")

    def append(self, stream, *arguments, type="Happened", data="{}", **options):
        return self.run_stele("append", stream, "--type", type, "--data", data, *arguments, **options)

    def export(self, **options):
        return self.run_stele("export", **options).objects

    def stats(self):
        return self.run_stele("--json", "stats").object


def given(event):
    """An event without what the store adds to every one."""
    return {name: value for name, value in event.items() if name not in STORE_FIELDS}


def ndjson(events):
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def permit_events(cases, seed=1):
    """Events of permit cases, deterministic: one request an event, except that some requests have several events, and some
    of those go to a second stream."""
    rng = random.Random(seed)
    tasks = ["Confirmation of receipt", "T02 Check confirmation", "T06 Determine necessity", "Prüfung – Ende", "許可"]
    events = []
    for case in range(cases):
        number = 0
        for request in range(rng.randint(1, 6)):
            size = rng.choice([1, 1, 1, 2, 3])
            for part in range(size):
                number += 1
                to_desk = size == 3 and part == 2
                events.append(
                    {
                        "stream_type": "desk" if to_desk else "permit",
                        "stream_id": f"desk-{case % 7}" if to_desk else f"case-{case}",
                        "event_type": rng.choice(tasks),
                        "event_version": 1,
                        "occurred_at": f"2010-10-{1 + case % 28:02d}T07:{number:02d}:39.{rng.randint(1, 999):03d}Z",
                        "actor_type": "user",
                        "actor_id": f"Resource{rng.randint(1, 30):02d}",
                        "source": "permit-desk",
                        "request_id": f"case-{case}/{request}",
                        "data": {
                            "task": f"task-{rng.randint(1, 10**6)}",
                            "group": rng.choice(["Group 1", "EMPTY", "Straße", "tab\there", 'quo"te']),
                            "fee": rng.randint(0, 10**15),
                            "nested": {"list": [1, 2.5, None, True, {"deep": "ü"}]},
                        },
                        "metadata": {"lifecycle": "complete"},
                    }
                )
    return events


if __name__ == "__main__":
    raise SystemExit("a module of the tests")
