"""stele append and stele command."""

import os
import subprocess
import unittest

from stele_cli import CONFLICT, FAILED, NOT_FOUND, OK, SCHEMA, USAGE, CliTest

ID_A = "018f3a6e-0000-7000-8000-000000000001"
ID_B = "018f3a6e-0000-7000-8000-000000000002"
ID_C = "018f3a6e-0000-7000-8000-000000000003"


class Append(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()

    def test_says_version_and_position(self):
        self.assertEqual(self.append("order/1").out, "appended order/1 version 1 position 1\n")
        self.assertEqual(self.append("order/1").out, "appended order/1 version 2 position 2\n")

    def test_json(self):
        self.assertEqual(
            self.append("order/1", "--json").object,
            {
                "status": "appended",
                "streams": [
                    {
                        "stream_type": "order",
                        "stream_id": "1",
                        "first_version": 1,
                        "last_version": 1,
                        "first_position": 1,
                        "last_position": 1,
                    }
                ],
            },
        )

    def test_every_field_comes_back(self):
        self.append(
            "order/a/b=c",
            *("--actor", "agent:robot:7", "--source", "shop", "--channel", "api", "--event-id", ID_A),
            *("--event-version", "3", "--idempotency-key", "k-1", "--occurred-at", "2026-03-01T09:15:00.25+01:00"),
            *("--valid-from", "2026-01-01T00:00:00Z", "--valid-to", "2027-01-01T00:00:00Z"),
            *("--correlation", ID_B, "--causation", ID_C, "--attribute", "room=12", "--attribute", "expr=a=b"),
            *("--metadata", '{"m":1}', "--policy-context", '{"p":2}', "--model-context", '{"c":3}'),
            *("--display", '{"d":"ü"}', "--redaction", "partial", "--contains-secrets", "--tenant", "acme"),
            type="Order Placed",
            data='{"total":12345678901234567890.123456789}',
        )
        lines = self.run_stele("--json", "log").lines
        self.assertIn('"data":{"total":12345678901234567890.123456789}', lines[0])
        event = self.run_stele("--json", "log").object
        self.assertRegex(event.pop("recorded_at"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,6})?Z$")
        event.pop("data")
        self.assertEqual(
            event,
            {
                "global_position": 1,
                "stream_version": 1,
                "event_id": ID_A,
                "tenant_id": "acme",
                "stream_type": "order",
                "stream_id": "a/b=c",
                "event_type": "Order Placed",
                "event_version": 3,
                "occurred_at": "2026-03-01T08:15:00.250Z",
                "valid_from": "2026-01-01T00:00:00Z",
                "valid_to": "2027-01-01T00:00:00Z",
                "actor_type": "agent",
                "actor_id": "robot:7",
                "source": "shop",
                "channel": "api",
                "idempotency_key": "k-1",
                "causation_id": ID_C,
                "correlation_id": ID_B,
                "redaction_level": "partial",
                "contains_secrets": True,
                "metadata": {"m": 1},
                "policy_context": {"p": 2},
                "model_context": {"c": 3},
                "display": {"d": "ü"},
                "attributes": {"expr": "a=b", "room": "12"},
            },
        )

    def test_data_from_a_file_and_from_standard_input(self):
        path = self.write("payload.json", '{"from": "file"}')
        self.append("order/1", data="@" + path)
        self.append("order/1", data="-", stdin='{"from": "stdin"}')
        events = self.run_stele("--json", "read", "order/1").objects
        self.assertEqual([event["data"]["from"] for event in events], ["file", "stdin"])

    def test_two_documents_cannot_both_be_standard_input(self):
        self.append("order/1", "--metadata", "-", data="-", stdin="{}", expect=USAGE)

    def test_expected_versions(self):
        self.append("order/1", "--expect", "exists", expect=CONFLICT)
        self.append("order/1", "--expect", "none")
        self.append("order/1", "--expect", "none", expect=CONFLICT)
        self.append("order/1", "--expect", "1")
        self.append("order/1", "--expect", "exists")
        self.append("order/1", "--expect", "any")
        result = self.append("order/1", "--expect", "2", expect=CONFLICT)
        self.assertEqual(result.out, "")
        self.assertEqual(result.err, "stele: order/1: expected version 2, the stream is at 4\n")
        self.assertEqual(len(self.run_stele("--json", "read", "order/1").objects), 4)

    def test_conflict_in_json(self):
        self.append("order/1")
        result = self.append("order/1", "--expect", "7", "--json", expect=CONFLICT)
        self.assertEqual(result.object["status"], "conflict")
        self.assertEqual(result.object["conflict"]["actual"], 1)
        (error,) = result.error_objects
        self.assertEqual((error["error"], error["exit_code"]), ("conflict", CONFLICT))

    def test_checks_of_other_streams(self):
        self.append("customer/a=b")
        self.append("order/1", "--check", "customer/a=b=1", "--check", "customer/zoe=none")
        result = self.append("order/1", "--check", "customer/a=b=2", expect=CONFLICT)
        self.assertIn("customer/a=b", result.err)
        self.append("order/1", "--check", "customer", expect=USAGE)
        self.append("order/1", "--check", "customer/1=soon", expect=USAGE)
        self.assertEqual(self.stats()["events"], 2)

    def test_request_is_replayed(self):
        first = self.append("order/1", "--request", "shop:r:1", "--expect", "none", data='{"a": 1, "b": 2}')
        again = self.append("order/1", "--request", "shop:r:1", "--expect", "none", data='{"b": 2.0, "a": 1}')
        self.assertEqual(first.out, "appended order/1 version 1 position 1\n")
        self.assertEqual(again.out, "replayed order/1 version 1 position 1\n")
        other = self.append("order/1", "--request", "shop:r:1", data='{"a": 2}', expect=CONFLICT)
        self.assertTrue(other.err.startswith("stele: "), other.err)
        self.assertEqual(self.stats()["events"], 1)

    def test_event_id_and_idempotency_key_are_taken_once(self):
        self.append("order/1", "--event-id", ID_A)
        self.assertIn("replayed", self.append("order/1", "--event-id", ID_A).out)
        self.append("order/1", "--event-id", ID_A, data='{"other":1}', expect=CONFLICT)
        self.append("order/2", "--event-id", ID_A, expect=CONFLICT)
        self.append("order/1", "--idempotency-key", "k", data='{"n":1}')
        self.append("order/1", "--idempotency-key", "k", data='{"n":2}', expect=CONFLICT)
        self.assertEqual(self.stats()["events"], 2)

    def test_usage_errors(self):
        good = ["append", "order/1", "--type", "T", "--data", "{}"]
        for bad in (
            ["append"],
            ["append", "order/1"],
            ["append", "order/1", "--type", "T"],
            ["append", "order", "--type", "T", "--data", "{}"],
            ["append", "/1", "--type", "T", "--data", "{}"],
            ["append", "order/", "--type", "T", "--data", "{}"],
            ["append", "order/1", "--type", "", "--data", "{}"],
            ["append", "order/1", "--type", "T", "--data", "{"],
            ["append", "order/1", "--type", "T", "--data", ""],
            ["append", "order/1", "--type", "T", "--data", "17"],
            ["append", "order/1", "--type", "T", "--data", "@/no/such/file"],
            ["append", "order/" + "x" * 256, "--type", "T", "--data", "{}"],
            [*good, "--data", "{}"],
            [*good, "--expect", "soon"],
            [*good, "--expect", "-1"],
            [*good, "--expect", ""],
            [*good, "--actor", "anna"],
            [*good, "--actor", "dog:rex"],
            [*good, "--channel", "pigeon"],
            [*good, "--redaction", "some"],
            [*good, "--event-id", "1"],
            [*good, "--correlation", ""],
            [*good, "--event-version", "0"],
            [*good, "--event-version", "2147483648"],
            [*good, "--event-version", "1x"],
            [*good, "--occurred-at", "yesterday"],
            [*good, "--occurred-at", "2026-02-30T00:00:00Z"],
            [*good, "--valid-from", "2026-01-02T00:00:00Z", "--valid-to", "2026-01-02T00:00:00Z"],
            [*good, "--metadata", "[]"],
            [*good, "--request", "shop"],
            [*good, "--command-type", "PlaceOrder"],
            [*good, "--attribute", "room"],
            [*good, "--attribute", "room=1", "--attribute", "room=2"],
            [*good, "--no-such-option"],
            [*good, "surplus"],
        ):
            with self.subTest(bad):
                result = self.run_stele(*bad, expect=USAGE)
                self.assertEqual(result.out, "")
                self.assertTrue(result.err.startswith("stele: "), result.err)
                self.assertEqual(result.err.count("\n"), 1, result.err)
        self.assertEqual(self.stats()["events"], 0)

    def test_messages_hold_no_payload(self):
        for data in ('{"card": "4111-1111", }', '{"card": "4111-1111"', '["4111-1111"'):
            for flags in ([], ["--json"]):
                result = self.append("order/1", *flags, data=data, expect=USAGE)
                self.assertNotIn("4111", result.err)

    def test_usage_error_in_json(self):
        (error,) = self.run_stele("append", "--json", expect=USAGE).error_objects
        self.assertEqual((error["error"], error["exit_code"]), ("usage", USAGE))

    def test_full_disk_behind_standard_output(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                self.command("append", "order/1", "--type", "T", "--data", "{}"),
                stdout=full,
                stderr=subprocess.PIPE,
                env=self.environment(),
            )
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"No space left on device", done.stderr)


class NotMigrated(CliTest):
    def test_schema_that_is_not_there(self):
        open(self.database, "w").close()
        result = self.append("order/1", expect=SCHEMA)
        self.assertIn("migrate up", result.err)
        self.assertEqual(os.path.getsize(self.database), 0)


class Command(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.append(
            "order/1",
            *("--request", "shop:r-1", "--command-type", "PlaceOrder", "--command-id", ID_A),
            *("--command-data", '{"want":2}', "--actor", "user:anna", "--channel", "ui"),
        )

    def test_human(self):
        lines = dict(line.split(None, 1) for line in self.run_stele("command", "shop", "r-1").lines if line[0] != "r")
        self.assertEqual(lines["source"], "shop")
        self.assertEqual(lines["command"].split()[-1], ID_A)
        self.assertEqual(lines["type"], "PlaceOrder")
        self.assertEqual(lines["stream"], "order/1")
        self.assertEqual(lines["actor"], "user:anna")
        self.assertEqual(lines["channel"], "ui")
        self.assertEqual(lines["data"], '{"want":2}')
        self.assertEqual(lines["outcome"], "order/1 version 1")

    def test_json(self):
        record = self.run_stele("command", "shop", "r-1", "--json").object
        self.assertEqual(record["command_id"], ID_A)
        self.assertEqual(record["command_type"], "PlaceOrder")
        self.assertEqual(record["data"], {"want": 2})
        self.assertEqual(record["streams"][0]["last_version"], 1)

    def test_absent(self):
        result = self.run_stele("command", "shop", "r-2", expect=NOT_FOUND)
        self.assertEqual(result.err, "stele: there is no command r-2 of shop\n")
        self.run_stele("command", "shop", "r-1", "--tenant", "acme", expect=NOT_FOUND)
        self.run_stele("command", "shop", expect=USAGE)

    def test_present(self):
        self.run_stele("command", "shop", "r-1", expect=OK)


if __name__ == "__main__":
    unittest.main()
