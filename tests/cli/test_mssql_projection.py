"""stele projection on SQL Server: the cases of test_projection.py. Needs a server at STELE_TEST_MSSQL_URL, and an ODBC driver."""

import json
import re
import sys
import unittest

from mssql_server import URL
from stele_cli import USAGE
from test_mssql import MssqlTest
from test_projection import Cases


class OnMssql(Cases, MssqlTest):
    """The same files, in T-SQL; their tables lie in the store's schema."""

    backend = "mssql"
    foreign_parameter = "SELECT ?"  # $1 is a sum of money.

    def file(self, content, name="projection.json"):
        return super().file(self.t_sql(content if isinstance(content, str) else json.dumps(content)), name)

    def t_sql(self, sql):
        own = f"{self.schema}."

        def upsert(found):
            table, number, total = found[1], found[2], found[3].replace("t.total", "total")
            there = "WHERE stream = :stream_id"
            return (
                f"IF EXISTS (SELECT 1 FROM {own}{table} {there}) UPDATE {own}{table} SET total = "
                f"{total.replace('excluded.total', number)}, seen = seen + 1 {there} "
                f"ELSE INSERT INTO {own}{table} (stream, total, seen) VALUES (:stream_id, {number}, 1)"
            )

        for pattern, replacement in (
            # What is compared with a number has to be one.
            (r"CAST\(nullif\((:data\.n), 'many'\) AS BIGINT\)", r"TRY_CAST(\1 AS BIGINT)"),
            (r"INSERT INTO (\S+) AS t \(stream, total, seen\) VALUES \(:stream_id, (.+?), 1\) "
             r"ON CONFLICT \(stream\) DO UPDATE SET total = (.+?), seen = t\.seen \+ 1", upsert),
            (r"INSERT INTO (?!\w+\.)", f"INSERT INTO {own}"),
            # Babelfish keeps a table that a view still shows; SQL Server does not.
            (r'"DROP TABLE IF EXISTS ((\w+?)_\{generation\})"',
             rf'''"IF OBJECT_DEFINITION(OBJECT_ID(N'{own}\2')) LIKE N'%\1%' DROP VIEW {own}\2", "DROP TABLE IF EXISTS {own}\1"'''),
            (r"CREATE TABLE IF NOT EXISTS (\S+)", rf"IF OBJECT_ID(N'{own}\1') IS NULL CREATE TABLE {own}\1"),
            (r"((?:CREATE TABLE|DROP TABLE IF EXISTS|CREATE VIEW|DROP VIEW IF EXISTS) )(?=\w+(?!\.)\b[^.])", rf"\1{own}"),
            (r"AS SELECT \* FROM ", f"AS SELECT * FROM {own}"),
            (r"\bTEXT\b", "NVARCHAR(MAX)"),
            (r"\bVARCHAR\(256\)", "NVARCHAR(256)"),
            (r" \|\| ", " + "),
        ):
            sql = re.sub(pattern, replacement, sql)
        return sql

    def query(self, sql):
        rows = super().query(re.sub(r"FROM (?=\w)", "FROM $(schema).", sql))
        if "value" in sql.split(" FROM ")[0]:
            return rows
        return [tuple(int(v) if v is not None and re.fullmatch(r"-?\d+", v) else v for v in row) for row in rows]

    def query_if_there(self, sql):
        try:
            return self.query(sql)
        except RuntimeError as error:
            self.assertRegex(str(error), "does not exist|Invalid object name")
            return None

    def test_what_only_sql_server_has(self):
        self.assertEqual(
            self.capture(
                "N'sécond 😀 :n' + CAST(:data.n AS NVARCHAR(10))",
                "(SELECT [a b] FROM (SELECT N'q' AS [a b]) AS s)",
                "(SELECT TOP (1) name FROM sys.schemas WHERE name = N'dbo')",
            ),
            ["sécond 😀 :n5", "q", "dbo"],
        )
        for refused in ("SAVE TRANSACTION x", "SELECT [a:b] FROM (SELECT 1 AS [a:b]) AS s"):
            self.project({"name": "x", "on": {"Added": [refused]}}, expect=USAGE)


if __name__ == "__main__":
    if not URL:
        print("SKIPPED: STELE_TEST_MSSQL_URL names no server, so SQL projections were not tested on SQL Server")
        sys.exit(77)
    unittest.main()
