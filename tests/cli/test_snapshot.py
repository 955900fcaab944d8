"""stele snapshot list and prune. The command line makes no snapshots: the tests write them into the file."""

import itertools
import sqlite3
import unittest
import uuid

from stele_cli import USAGE, CliTest


INSERT = (
    "INSERT INTO snapshots"
    " (snapshot_id, stream_no, stream_version, snapshot_version, recorded_at, state, state_bytes)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
START = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


class Snapshot(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        for stream, events in (("account/1", 6), ("account/2", 3), ("order/1", 2)):
            for _ in range(events):
                self.append(stream)
        self.append("account/1", "--tenant", "acme")
        numbers = itertools.count(1)
        self.ids = {}
        for tenant, stream, version in (
            ("default", "account/1", 2),
            ("default", "account/1", 4),
            ("default", "account/1", 6),
            ("default", "account/2", 1),
            ("default", "account/2", 3),
            ("default", "order/1", 2),
            ("acme", "account/1", 1),
        ):
            # A minute apart.
            self.insert(tenant, stream, version, START + next(numbers) * 60_000_000)

    def insert(self, tenant, stream, version, recorded_at):
        stream_type, stream_id = stream.split("/")
        snapshot_id = uuid.uuid4()
        self.ids[tenant, stream, version] = str(snapshot_id)
        with sqlite3.connect(self.database) as database:
            (number,) = database.execute(
                "SELECT stream_no FROM streams JOIN names AS tenants ON tenants.name_no = tenant_no"
                " JOIN names AS types ON types.name_no = stream_type_no"
                " WHERE tenants.name = ? AND types.name = ? AND stream_id = ?",
                (tenant, stream_type, stream_id),
            ).fetchone()
            database.execute(INSERT, (snapshot_id.bytes, number, version, 2, recorded_at, '{"cents":12}', 12))
        database.close()

    def listed(self, *arguments):
        return [
            f"{each['stream_type']}/{each['stream_id']}@{each['stream_version']}"
            for each in self.run_stele("--json", "snapshot", "list", *arguments).objects
        ]

    ALL = ["account/1@6", "account/1@4", "account/1@2", "account/2@3", "account/2@1", "order/1@2"]

    def test_list(self):
        self.assertEqual(self.listed(), self.ALL)
        self.assertEqual(self.listed("--stream", "account/1"), ["account/1@6", "account/1@4", "account/1@2"])
        self.assertEqual(self.listed("--type", "order"), ["order/1@2"])
        self.assertEqual(self.listed("--type", "none"), [])
        self.assertEqual(self.listed("--limit", "2"), self.ALL[:2])
        self.assertEqual(self.listed("--tenant", "acme"), ["account/1@1"])
        self.assertEqual(
            self.run_stele("--json", "snapshot", "list", "--stream", "account/1", "--limit", "1").object,
            {
                "stream_type": "account",
                "stream_id": "1",
                "stream_version": 6,
                "schema_version": 2,
                "snapshot_id": self.ids["default", "account/1", 6],
                "recorded_at": "2026-01-01T00:03:00Z",
                "bytes": len('{"cents":12}'),
            },
        )
        self.assertEqual(self.run_stele("--json", "snapshot", "list", "--tenant", "acme").object["tenant_id"], "acme")
        table = self.run_stele("snapshot", "list").lines
        self.assertEqual(table[0].split(), ["STREAM", "VERSION", "SCHEMA", "BYTES", "RECORDED"])
        self.assertEqual(table[1].split(), ["account/1", "6", "2", "12", "2026-01-01T00:03:00Z"])
        self.assertEqual(len(table), 7)

    def test_list_of_many_pages(self):
        with sqlite3.connect(self.database) as database:
            database.execute("DELETE FROM snapshots")
        database.close()
        events = "".join('{"stream_type":"n","stream_id":"x","event_type":"E","data":{}}\n' for _ in range(2_500))
        self.run_stele("import", "-", "--request-source", "test", stdin=events)
        with sqlite3.connect(self.database) as database:
            (number,) = database.execute("SELECT stream_no FROM streams WHERE stream_id = 'x'").fetchone()
            rows = [(uuid.uuid4().bytes, number, version, 1, START, "{}", 2) for version in range(1, 2_501)]
            database.executemany(INSERT, rows)
        database.close()
        self.assertEqual(self.listed(), [f"n/x@{version}" for version in range(2_500, 0, -1)])
        self.assertEqual(len(self.listed("--limit", "2000")), 2_000)

    def test_prune(self):
        result = self.run_stele("snapshot", "prune", "--keep", "2")
        self.assertEqual(result.out, "1 snapshot deleted\n")
        self.assertEqual(self.listed(), [each for each in self.ALL if each != "account/1@2"])
        self.assertEqual(self.run_stele("--json", "snapshot", "prune", "--keep", "2").object, {"deleted": 0})
        self.run_stele("snapshot", "prune", "--keep", "1", "--stream-type", "order")
        self.assertEqual(len(self.listed()), 5)
        self.assertEqual(self.run_stele("--json", "snapshot", "prune", "--keep", "1").object, {"deleted": 2})
        self.assertEqual(self.listed(), ["account/1@6", "account/2@3", "order/1@2"])
        self.assertEqual(self.listed("--tenant", "acme"), ["account/1@1"])
        self.assertEqual(self.run_stele("--json", "snapshot", "prune", "--keep", "0").object, {"deleted": 3})
        self.assertEqual(self.run_stele("--json", "snapshot", "prune", "--keep", "0", "--tenant", "acme").object, {"deleted": 1})
        self.assertEqual(self.run_stele("snapshot", "list").out, "")
        # What was appended is all there.
        self.assertEqual(self.stats()["events"], 12)
        self.run_stele("verify")

    def test_prune_what_is_old(self):
        # The second of account/1 was recorded at 00:02.
        self.run_stele("snapshot", "prune", "--keep", "0", "--before", "2026-01-01T00:02:00Z")
        self.assertEqual(self.listed(), [each for each in self.ALL if each != "account/1@2"])
        self.run_stele("snapshot", "prune", "--keep", "1", "--before", "2026-01-01T00:04:30Z")
        self.assertEqual(self.listed(), ["account/1@6", "account/2@3", "order/1@2"])
        self.run_stele("snapshot", "prune", "--keep", "0", "--before", "2026-01-01T00:05:30Z", "--stream-type", "account")
        self.assertEqual(self.listed(), ["order/1@2"])

    def test_wrong_arguments(self):
        for arguments in (
            ("list", "--stream", "account"),
            ("list", "--stream", "account/1", "--type", "account"),
            ("list", "--limit", "0"),
            ("list", "--keep", "1"),
            ("prune",),
            ("prune", "--keep", "-1"),
            ("prune", "--keep", "many"),
            ("prune", "--keep", "99999999999"),
            ("prune", "--keep", "1", "--before", "yesterday"),
            (),
        ):
            with self.subTest(arguments):
                self.run_stele("snapshot", *arguments, expect=USAGE)
        self.assertEqual(self.listed(), self.ALL)


if __name__ == "__main__":
    unittest.main()
