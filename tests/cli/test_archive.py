"""stele archive, stele retention, and archives as stores."""

import gzip
import json
import os
import unittest

from stele_cli import CONNECT, FAILED, INTEGRITY, USAGE, CliTest, ndjson, permit_events

FUTURE = "2200-01-01T00:00:00Z"


class Archive(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.file = self.path("closed.gz")

    def fill(self, cases=40):
        self.run_stele("import", "-", stdin=ndjson(permit_events(cases)))
        self.append("account/1", "--tenant", "acme", "--attribute", "room=7")

    def archive(self, *arguments, before=FUTURE, **options):
        return self.run_stele("--json", "archive", "write", self.file, "--replace", "--before", before, *arguments, **options).object

    def archived_lines(self):
        with gzip.open(self.file, "rt", encoding="utf-8") as file:
            return file.read().splitlines()

    def test_a_file_of_whole_streams(self):
        self.fill()
        summary = self.archive()
        self.assertEqual(summary["events"], self.stats()["events"])
        self.assertEqual(summary["streams"], self.stats()["streams"])
        self.assertEqual(summary["tenants"], ["acme", "default"])
        lines = self.archived_lines()
        self.assertEqual(json.loads(lines[0])["format"], "stele archive 1")
        self.assertEqual(json.loads(lines[-1])["sha256"], summary["sha256"])
        exported = self.run_stele("export").lines
        self.assertEqual(sorted(lines[1:-1]), sorted(exported))
        self.assertEqual(self.run_stele("--json", "archive", "verify", self.file, url=False).object, summary)
        compared = self.run_stele("--json", "archive", "compare", self.file).object
        self.assertEqual(compared, {**summary, "ok": True, "different": 0, "differences": []})
        self.assertFalse(os.path.exists(self.file + ".part"))
        # Another does not take its place unasked.
        refused = self.run_stele("archive", "write", self.file, "--before", "2020-01-01T00:00:00Z", expect=FAILED)
        self.assertIn("--replace", refused.err)
        self.assertEqual(self.archived_lines(), lines)
        # Nothing is gone.
        self.assertEqual(self.run_stele("export").lines, exported)

    def test_only_what_is_closed(self):
        for stream, types in {"a": ["Opened", "Closed"], "b": ["Opened"], "c": ["Cancelled"]}.items():
            for each in types:
                self.append("case/" + stream, type=each)
        self.append("case/d", "--tenant", "acme", type="Closed")
        self.assertEqual(self.archive("--closing", "Closed", "--closing", "Cancelled")["streams"], 3)
        self.assertEqual(self.archive("--closing", "Closed", "--tenant", "default")["events"], 2)
        self.assertEqual(self.archive(before="2020-01-01T00:00:00Z")["events"], 0)
        second = self.run_stele("--json", "streams", "--prefix", "b").object["last_recorded_at"]
        self.assertEqual(self.archive("--tenant", "default", before=second)["streams"], 1)

    def test_reads_like_the_store(self):
        self.fill()
        self.archive()
        archive = "archive:" + self.file
        stream = self.run_stele("--json", "streams", "--type", "permit", "--limit", "3").objects[2]["stream_id"]
        middle = self.run_stele("--json", "log", "--limit", "1", "--backwards").object["recorded_at"]
        for arguments in (
            ("export",),
            ("--json", "log"),
            ("log",),
            ("--json", "log", "--backwards", "--limit", "7"),
            ("--json", "log", "--after", "10", "--before", "30"),
            ("--json", "log", "--stream-type", "desk"),
            ("--json", "log", "--type", "許可", "--type", "T02 Check confirmation"),
            ("--json", "log", "--actor", "user:Resource07"),
            ("--json", "log", "--source", "permit-desk", "--limit", "12"),
            ("--json", "log", "--tenant", "acme", "--attribute", "room=7"),
            ("--json", "log", "--since", middle),
            ("--json", "log", "--until", middle),
            ("--json", "log", "--as-of", middle),
            ("--json", "log", "--occurred-since", "2010-10-20T00:00:00Z"),
            ("--json", "read", "permit/" + stream),
            ("read", "permit/" + stream, "--backwards", "--limit", "2"),
            ("--json", "read", "permit/" + stream, "--from", "2"),
            ("--json", "streams"),
            ("--json", "streams", "--type", "permit", "--prefix", "case-1"),
        ):
            with self.subTest(arguments):
                expected = self.run_stele(*arguments).out
                self.assertNotEqual(expected, "")
                self.assertEqual(self.run_stele(*arguments, url=archive).out, expected)
        stored, read = self.stats(), self.run_stele("--json", "stats", url=archive).object
        for name in ("events", "streams", "last_position", "first_recorded_at", "events_by_type"):
            self.assertEqual(read[name], stored[name])
        self.run_stele("verify", url=archive)
        self.run_stele("append", "a/b", "--type", "E", "--data", "{}", url=archive, expect=FAILED)
        missing = self.run_stele("export", url="archive:" + self.path("none"), expect=CONNECT)
        self.assertIn("none: No such file", missing.err)

    def test_damage(self):
        self.fill(5)
        self.archive()
        text = "\n".join(self.archived_lines()) + "\n"
        whole = self.read_file("closed.gz")
        for damaged, fault in (
            (whole[: len(whole) // 2], "cut off"),
            (text.encode(), "line 1: the file is no archive"),
            (gzip.compress(text.replace("fee", "fie", 1).encode()), "the checksum is not that of the lines before"),
        ):
            self.write("damaged.gz", damaged)
            for arguments in (("archive", "verify"), ("archive", "compare")):
                result = self.run_stele(*arguments, self.path("damaged.gz"), expect=INTEGRITY)
                self.assertIn(fault, result.err)
            self.run_stele("export", url="archive:" + self.path("damaged.gz"), expect=INTEGRITY)

    def test_a_store_that_lacks_something(self):
        self.fill(5)
        self.archive()
        url = "sqlite:" + self.path("other.db")
        self.run_stele("migrate", "up", url=url)
        result = self.run_stele("archive", "compare", self.file, url=url, expect=INTEGRITY)
        self.assertIn("line 2: acme:account/1 version 1 is not in the store\n", result.out)
        result = self.run_stele("--json", "archive", "compare", self.file, url=url, expect=INTEGRITY).object
        self.assertEqual(result["different"], result["events"])
        # An import has the events, with other times.
        events = self.run_stele("export", url="archive:" + self.file).out
        self.run_stele("import", "-", url=url, stdin=events)
        result = self.run_stele("--json", "archive", "compare", self.file, url=url, expect=INTEGRITY).object
        self.assertIn("recorded_at", result["differences"][0]["what"])

    def test_what_is_encrypted_stays_so(self):
        keys = self.run_stele("keys", "new", "key-1").out
        os.chmod(self.write("master.keys", keys), 0o600)
        # The command line encrypts nothing: the event stands for one that a program wrote.
        event = {
            "event_id": "0198c2a4-5f3e-7c1d-8e2f-001122334455",
            "stream_type": "person",
            "stream_id": "1",
            "event_type": "Moved",
            "data": {
                "name": {
                    "$encrypted": {
                        "ct": "AA==",
                        "iv": "AAAAAAAAAAAAAAAA",
                        "kc": "AAAAAAAAAAA=",
                        "key": "0198c2a4-5f3e-7c1d-8e2f-aaaaaaaaaaaa",
                        "tag": "AAAAAAAAAAAAAAAAAAAAAA==",
                        "v": 1,
                    }
                }
            },
            "attributes": {"stele.key": "0198c2a4-5f3e-7c1d-8e2f-aaaaaaaaaaaa"},
        }
        self.run_stele("import", "-", "--as-stored", stdin=ndjson([event]))
        self.archive()
        archive = "archive:" + self.file
        (read,) = self.export(url=archive)
        self.assertEqual(read["data"], event["data"])
        refused = self.run_stele("--keys", "file:" + self.path("master.keys"), "export", url=archive, expect=FAILED)
        self.assertIn("an archive has no keys", refused.err)

    def test_wrong_arguments(self):
        for arguments in (
            (),
            ("write", self.file),
            ("write", "--before", FUTURE),
            ("write", self.file, "--before", "soon"),
            ("write", self.file, "--before", FUTURE, "--closing", ""),
            ("write", self.directory, "--before", FUTURE),
            ("verify",),
            ("compare",),
        ):
            with self.subTest(arguments):
                self.run_stele("archive", *arguments, expect=USAGE)
        self.run_stele("--clearance", "partial", "archive", "write", self.file, "--before", FUTURE, expect=FAILED)
        self.assertFalse(os.path.exists(self.file))


class Retention(CliTest):
    def test_report(self):
        self.migrate()
        self.run_stele("rules", "set", "Visited", "--keep-days", "30")
        self.run_stele("rules", "set", "Paid", "--keep-days", "3650")
        for stream, types in {"a": ["Visited", "Visited"], "b": ["Visited", "Paid"], "c": ["Named"]}.items():
            for each in types:
                self.append("case/" + stream, type=each)
        self.append("case/d", "--tenant", "acme", type="Visited")
        exported = self.run_stele("export").out
        *types, summary = self.run_stele("--json", "retention").objects
        self.assertEqual(
            [(each["event_type"], each.get("keep_days"), each["events"], each["past"], each["must_be_kept"]) for each in types],
            [("Named", None, 1, 0, 0), ("Paid", 3650, 1, 0, 1), ("Visited", 30, 3, 0, 3)],
        )
        self.assertEqual(summary, {"streams": 3, "streams_past": 0})
        *types, summary = self.run_stele("--json", "retention", "--at", FUTURE).objects
        self.assertEqual([each["past"] for each in types], [0, 1, 3])
        self.assertEqual(summary, {"streams": 3, "streams_past": 2})
        listed = self.run_stele("--json", "retention", "--streams", "--at", FUTURE).objects
        self.assertEqual([each["stream_id"] for each in listed], ["a", "b"])
        table = self.run_stele("retention", "--at", FUTURE).lines
        self.assertEqual(table[0].split(), ["TYPE", "KEEP", "DAYS", "EVENTS", "PAST", "TO", "KEEP", "OLDEST"])
        self.assertEqual(table[1].split()[:5], ["Named", "-", "1", "-", "-"])
        self.assertEqual(table[-1], "2 streams of 3 with nothing but events past their time")
        self.assertEqual(self.run_stele("--json", "retention", "--tenant", "acme").objects[-1]["streams"], 1)
        self.run_stele("retention", "--at", "later", expect=USAGE)
        self.assertEqual(self.run_stele("export").out, exported)


if __name__ == "__main__":
    unittest.main()
