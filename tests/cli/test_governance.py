"""Schemas, rules, clearances, keys, forgetting and seals, on the command line."""

import json
import os
import sqlite3
import subprocess
import unittest

from stele_cli import CONFLICT, FAILED, INTEGRITY, NOT_FOUND, OK, USAGE, CliTest

ORDER = '{"type":"object","required":["total"],"properties":{"total":{"type":"number","minimum":0}}}'
ERIKA = '{"name":"Erika","n":1}'


class Governance(CliTest):
    def setUp(self):
        super().setUp()
        self.migrate()

    def event(self, stream, event_type, data, *arguments, **options):
        return self.run_stele("append", stream, "--type", event_type, "--data", data, *arguments, **options)


class Schema(Governance):
    def test_a_schema_is_added_once_and_holds(self):
        file = self.write("order.json", ORDER)
        self.assertEqual(self.run_stele("schema", "add", "order", file).out, "added the schema of order version 1\n")
        self.assertEqual(
            self.run_stele("--json", "schema", "add", "order", file).object,
            {"event_type": "order", "event_version": 1, "added": False},
        )
        self.assertEqual(self.run_stele("schema", "show", "order").out, ORDER + "\n")
        (listed,) = self.run_stele("--json", "schema", "list").objects
        self.assertEqual((listed["event_type"], listed["mode"], listed["bytes"]), ("order", "enforce", len(ORDER)))
        refused = self.event("order/1", "order", '{"total":-1}', expect=USAGE)
        self.assertIn("/total", refused.err)
        self.event("order/1", "order", '{"total":1}')
        self.run_stele("rules", "set", "order", "--schema", "warn")
        self.assertIn("warning: order/1", self.event("order/1", "order", "{}").err)
        self.run_stele("schema", "add", "order", self.write("other.json", "{}"), expect=USAGE)
        self.run_stele("schema", "remove", "order", expect=USAGE)
        self.run_stele("schema", "show", "order", "--version", "2", expect=NOT_FOUND)

    def test_the_next_version_is_compared(self):
        self.run_stele("schema", "add", "order", self.write("1.json", ORDER))
        stricter = self.write("2.json", ORDER.replace('"total"]', '"total","currency"]'))
        refused = self.run_stele("schema", "add", "order", stricter, "--version", "2", "--compatible", expect=CONFLICT)
        self.assertIn("against version 1", refused.err)
        self.assertIn("currency", self.run_stele("schema", "add", "order", stricter, "--version", "2").err)
        self.run_stele("schema", "remove", "order", "--version", "2")
        self.assertEqual(len(self.run_stele("--json", "schema", "list").objects), 1)

    def test_what_is_there_is_checked(self):
        self.event("order/1", "order", '{"total":1}')
        self.event("order/1", "order", '{"total":-1}')
        self.event("order/1", "other", "{}")
        file = self.write("order.json", ORDER)
        found = self.run_stele("--json", "schema", "check", file, "--type", "order", expect=INTEGRITY)
        self.assertEqual([each["pointer"] for each in found.objects], ["/total"])
        self.assertIn("2 events checked against 1 schema, 1 not as they should be", found.err)
        self.run_stele("schema", "check", file, expect=USAGE)
        self.run_stele("schema", "check", "--type", "order", expect=NOT_FOUND)
        self.run_stele("schema", "add", "order", file)
        self.run_stele("schema", "check", expect=INTEGRITY)
        self.assertEqual(self.run_stele("schema", "list").code, OK)

    def test_bad_schemas_are_refused(self):
        for text, mentions in (
            ("{", ""),
            ('{"type":"money"}', "type"),
            ('{"$ref":"https://example.org/a.json"}', "$ref"),
            ('{"$schema":"https://json-schema.org/draft/2020-12/schema"}', "draft"),
        ):
            result = self.run_stele("schema", "add", "order", self.write("bad.json", text), expect=None)
            self.assertIn(result.code, (USAGE, FAILED), text)
            self.assertIn(mentions, result.err)
        self.assertEqual(self.run_stele("--json", "schema", "list").objects, [])
        misspelt = self.write("misspelt.json", '{"requried":["total"]}')
        self.assertIn('did you mean "required"?', self.run_stele("schema", "add", "order", misspelt).err)


class Clearance(Governance):
    def test_each_sees_what_it_may(self):
        self.run_stele("rules", "set", "patient", "--mask", "/name")
        self.event("patient/1", "patient", ERIKA, "--redaction", "partial", "--metadata", '{"ward":"7"}')
        self.event("patient/1", "patient", ERIKA, "--contains-secrets")

        def seen(*arguments, **options):
            return [each["data"] for each in self.run_stele("--json", *arguments, **options).objects]

        masked, withheld, clear = {"name": {"$withheld": True}, "n": 1}, {"$withheld": True}, json.loads(ERIKA)
        for command in (("read", "patient/1"), ("log",), ("export",)):
            self.assertEqual(seen(*command), [clear, clear])
            self.assertEqual(seen(*command, "--clearance", "none"), [masked, withheld])
            self.assertEqual(seen(*command, "--clearance", "partial"), [clear, withheld])
            self.assertEqual(seen(*command, url=self.url + "?clearance=none"), [masked, withheld])
            # A URL may lower it, not raise it.
            self.assertEqual(
                seen(*command, "--clearance", "secrets", url=self.url + "?clearance=none"), [masked, withheld]
            )
        self.run_stele("log", "--clearance", "all", expect=USAGE)
        self.run_stele("log", url=self.url + "?clearance=all", expect=USAGE)
        (rules,) = self.run_stele("--json", "rules", "list").objects
        self.assertEqual(rules["masked"], ["/name"])
        self.run_stele("rules", "set", "patient", "--mask-nothing", "--keep-days", "2557")
        (rules,) = self.run_stele("--json", "rules", "list").objects
        self.assertEqual((rules["masked"], rules["keep_days"]), ([], 2557))
        self.assertEqual(seen("read", "patient/1", "--clearance", "none"), [withheld, withheld])
        self.run_stele("rules", "set", "patient", "--mask", "name", expect=USAGE)
        self.run_stele("rules", "set", "patient", "--schema", "strict", expect=USAGE)


class Keys(Governance):
    def setUp(self):
        super().setUp()
        self.keys = self.path("master.keys")
        self.new_key("first")

    def new_key(self, name, mode="w"):
        line = self.run_stele("keys", "new", name).out
        with open(self.keys, mode) as file:
            os.chmod(self.keys, 0o600)
            file.write(line)
        return line

    def with_keys(self, *arguments, **options):
        return self.run_stele("--keys", "file:" + self.keys, *arguments, **options)

    def test_only_who_has_the_keys_can_read(self):
        self.event("customer/1", "registered", ERIKA, "--subject", "erika", expect=USAGE)
        self.with_keys("append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika", "--encrypt", "/name")
        (seen,) = self.with_keys("--json", "read", "customer/1").objects
        self.assertEqual(seen["data"], json.loads(ERIKA))
        (stored,) = self.run_stele("--json", "read", "customer/1").objects
        self.assertEqual(stored["data"]["n"], 1)
        self.assertIn("$encrypted", stored["data"]["name"])
        with open(self.database, "rb") as file:
            self.assertNotIn(b"Erika", file.read())
        (key,) = self.run_stele("--json", "keys", "list").objects
        self.assertEqual((key["subject"], key["master_key_id"]), ("erika", "first"))
        self.assertEqual(stored["attributes"], {"stele.key": key["key_id"]})
        os.chmod(self.keys, 0o644)
        self.with_keys("read", "customer/1", expect=FAILED)

    def test_forget(self):
        self.with_keys("append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika")
        self.run_stele("forget", "max", expect=NOT_FOUND)
        done = self.run_stele("--json", "forget", "erika").object
        self.assertEqual((done["events"], done["streams"], done["snapshots"]), (1, 1, 0))
        (seen,) = self.with_keys("--json", "read", "customer/1").objects
        self.assertEqual(seen["data"], {"$unreadable": "key_destroyed"})
        self.run_stele("forget", "erika", expect=NOT_FOUND)
        (key,) = self.run_stele("--json", "keys", "list").objects
        self.assertNotIn("subject", key)
        self.assertIn("destroyed_at", key)
        told = self.run_stele("--json", "read", "stele.subject/" + done["key_id"]).objects
        self.assertEqual([each["event_type"] for each in told], ["stele.subject_closed", "stele.subject_forgotten"])
        self.run_stele("verify")

    def test_the_master_key_is_changed(self):
        self.with_keys("append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika")
        with open(self.keys) as file:
            first = file.read()
        second = self.new_key("second")
        self.with_keys("read", "customer/1", expect=FAILED)  # The old one is missing.
        with open(self.keys, "a") as file:
            file.write(first)
        self.assertEqual(self.with_keys("keys", "rewrap").out, "1 key wrapped under the current master key\n")
        with open(self.keys, "w") as file:
            file.write(second)
        (seen,) = self.with_keys("--json", "read", "customer/1").objects
        self.assertEqual(seen["data"], json.loads(ERIKA))
        self.run_stele("keys", "rewrap", expect=FAILED)

    def test_the_master_key_of_all_tenants_is_changed(self):
        for tenant in ("default", "acme"):
            self.with_keys("append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika", "--tenant", tenant)
        with open(self.keys) as file:
            first = file.read()
        second = self.new_key("second")
        with open(self.keys, "a") as file:
            file.write(first)
        self.assertEqual(self.with_keys("keys", "rewrap").out, "2 keys wrapped under the current master key\n")
        with open(self.keys, "w") as file:
            file.write(second)
        for tenant in ("default", "acme"):
            (seen,) = self.with_keys("--json", "read", "customer/1", "--tenant", tenant).objects
            self.assertEqual(seen["data"], json.loads(ERIKA))

    def test_nothing_personal_stays_readable_by_mistake(self):
        def append(*more, **options):
            return self.with_keys(
                "append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika", *more, **options
            )

        for places in (["/nmae"], ["/name", "/nmae"]):
            options = [each for place in places for each in ("--encrypt", place)]
            self.assertIn("/nmae", append(*options, expect=USAGE).err)
        self.run_stele("read", "customer/1", expect=NOT_FOUND)
        append("--request", "web:1", "--command-data", ERIKA)
        with open(self.database, "rb") as file:
            self.assertNotIn(b"Erika", file.read())
        self.assertEqual(self.with_keys("--json", "command", "web", "1").object["data"], json.loads(ERIKA))
        self.run_stele("forget", "erika")
        self.assertEqual(self.with_keys("--json", "command", "web", "1").object["data"], {"$unreadable": "key_destroyed"})

    def test_what_cannot_be_read_breaks_no_schema(self):
        schema = self.write("schema.json", '{"properties": {"name": {"type": "string"}}}')
        self.run_stele("schema", "add", "registered", schema)
        self.with_keys("append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika", "--encrypt", "/name")
        self.assertIn("1 event checked", self.with_keys("schema", "check").err)
        self.assertIn("1 event not checked", self.run_stele("schema", "check").err)
        self.run_stele("forget", "erika")
        self.assertIn("1 event not checked", self.with_keys("schema", "check").err)
        self.run_stele("--clearance", "none", "schema", "check", expect=FAILED)

    def test_an_import_names_the_line_that_breaks_a_schema(self):
        self.run_stele("schema", "add", "registered", self.write("schema.json", '{"required": ["name"]}'))
        lines = [
            {"stream_type": "customer", "stream_id": str(n), "event_type": "registered", "source": "web", "request_id": str(n)}
            for n in range(4)
        ]
        for n, line in enumerate(lines):
            line["data"] = {"n": n} if n == 2 else {"name": "Erika"}
        file = self.write("lines.ndjson", "".join(json.dumps(line) + "\n" for line in lines))
        stopped = self.run_stele("import", file, expect=FAILED)
        self.assertIn("line 3: schema_violation", stopped.err)
        rejects = self.path("rejects.ndjson")
        again = self.run_stele("import", file, "--rejects", rejects, expect=FAILED)
        self.assertIn("3 already there, 1 line rejected", again.out)
        with open(rejects) as file:
            self.assertEqual([json.loads(line) for line in file], [lines[2]])

    def test_an_export_as_it_is_stored_goes_into_another_store(self):
        self.with_keys("append", "customer/1", "--type", "registered", "--data", ERIKA, "--subject", "erika")
        file = self.path("export.ndjson")
        self.run_stele("-q", "export", file)
        with open(file) as exported:
            self.assertNotIn("Erika", exported.read())
        other = "sqlite:" + self.path("other.db")
        self.run_stele("migrate", "up", url=other)
        refused = self.run_stele("import", file, expect=FAILED, url=other)
        self.assertIn("stele.key", refused.err)
        self.run_stele("import", "--as-stored", file, url=other)
        again = self.run_stele("import", "--as-stored", file, url=other)
        self.assertIn("0 events imported, 1 already there", again.out)
        self.run_stele("export", self.path("again.ndjson"), url=other)

        def given(path):
            with open(path) as lines:
                return [
                    {k: v for k, v in json.loads(line).items() if k not in ("recorded_at", "global_position")}
                    for line in lines
                ]

        self.assertEqual(given(self.path("again.ndjson")), given(file))


class Seal(Governance):
    def setUp(self):
        super().setUp()
        for number in range(6):
            self.event("account/1", "booked", json.dumps({"n": number}))

    def forge(self, sql, trigger="events_no_update"):
        with sqlite3.connect(self.database) as database:
            (made,) = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (trigger,)).fetchone()
            database.execute(f"DROP TRIGGER {trigger}")
            database.execute(sql)
            database.execute(made)
        database.close()

    def test_a_change_is_named(self):
        self.assertEqual(self.run_stele("seal").out, "6 events sealed, up to position 6\n")
        self.assertEqual(self.run_stele("verify", "--chain").out, "6 events in 1 seal: as they were sealed\n")
        self.event("account/1", "booked", "{}")
        self.assertIn("1 event behind the last seal not checked", self.run_stele("verify", "--chain").out)
        self.forge("""UPDATE events SET data = '{"n":7}' WHERE global_position = 3""")
        self.run_stele("verify")  # It is as valid as before.
        report = self.run_stele("--json", "verify", "--chain", expect=INTEGRITY).object
        first = report["faults"][0]
        self.assertEqual(
            (first["kind"], first["stream_id"], first["stream_version"], first["global_position"]), ("changed", "1", 3, 3)
        )

    def test_a_removed_one_is_named(self):
        self.run_stele("seal")
        self.forge("DELETE FROM events WHERE global_position = 4", "events_no_delete")
        first = self.run_stele("--json", "verify", "--chain", expect=INTEGRITY).object["faults"][0]
        self.assertEqual((first["kind"], first["stream_version"], first["global_position"]), ("removed", 4, 4))

    def test_checkpoints(self):
        checkpoint, private, public = self.path("checkpoint.json"), self.path("key.pem"), self.path("pub.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        self.run_stele("seal", "--sign", private, expect=USAGE)
        self.run_stele("seal", "--checkpoint", checkpoint, "--name", "books", "--sign", private)
        check = ("verify", "--chain", "--checkpoint", checkpoint, "--public-key", public)
        self.run_stele(*check)
        # Another history, sealed anew.
        other = "sqlite:" + self.path("other.db")
        self.run_stele("migrate", "up", url=other)
        self.run_stele("append", "account/1", "--type", "booked", "--data", "{}", url=other)
        self.run_stele("seal", url=other)
        self.run_stele("verify", "--chain", url=other)
        mistaken = self.run_stele(*check, expect=INTEGRITY, url=other)
        self.assertIn('"books"', mistaken.out)
        # A checkpoint that somebody has written himself.
        with open(checkpoint) as file:
            text = file.read()
        self.write("checkpoint.json", text.replace("books", "boots"))
        self.run_stele(*check, expect=INTEGRITY)
        # The next one is not signed: what was signed before it goes.
        self.run_stele("seal", "--checkpoint", checkpoint)
        self.assertFalse(os.path.exists(checkpoint + ".sig"))
        self.run_stele("verify", "--chain", "--checkpoint", checkpoint)
        self.run_stele(*check, expect=USAGE)
        self.assertIn("checkpoint.json: ", self.run_stele("verify", "--chain", "--checkpoint", self.write("checkpoint.json", "x"), expect=USAGE).err)


if __name__ == "__main__":
    unittest.main()
