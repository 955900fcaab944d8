"""The SQL Server that tests use, at STELE_TEST_MSSQL_URL, without Stele: ODBC by hand, which is all that has to be there.

python3 mssql_server.py drop SCHEMA     drops a store's schema, if it is there
python3 mssql_server.py query SQL       prints the rows, columns joined by |
"""

import ctypes
import os
import sys
from urllib.parse import parse_qs, unquote, urlsplit

URL = os.environ.get("STELE_TEST_MSSQL_URL", "")
PASSWORD = unquote(urlsplit(URL).password or "")

DBC, STMT = 2, 3
NO_DATA = 100


def with_settings(settings, url=URL):
    """The URL with these, too."""
    return url + ("&" if "?" in url else "?") + settings


def connection_string(url):
    parts = urlsplit(url)
    settings = {name: values[0] for name, values in parse_qs(parts.query).items()}
    driver, host, port = settings.get("driver", "FreeTDS"), parts.hostname, parts.port or 1433
    login = f"Database={parts.path[1:]};UID={unquote(parts.username or '')};PWD={unquote(parts.password or '')};"
    if "SQL Server" in driver:
        security = f"Encrypt={settings.get('encrypt', 'yes')};TrustServerCertificate={settings.get('trust_server_certificate', 'no')}"
        return f"Driver={{{driver}}};Server=tcp:{host},{port};{login}{security}"
    return f"Driver={driver};Server={host};Port={port};TDS_Version=7.4;ClientCharset=UTF-8;{login}"


class Server:
    """One connection. Every value is read as text; None is NULL."""

    def __init__(self, url=URL):
        self.odbc = ctypes.CDLL("libodbc.so.2")
        environment, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        self.odbc.SQLAllocHandle(1, None, ctypes.byref(environment))
        self.odbc.SQLSetEnvAttr(environment, 200, ctypes.c_void_p(3), 0)
        self.odbc.SQLAllocHandle(DBC, environment, ctypes.byref(self.connection))
        text = connection_string(url).encode()
        self.check(self.odbc.SQLDriverConnect(self.connection, None, text, len(text), None, 0, None, 0), DBC, self.connection)

    def check(self, code, kind, handle):
        if code in (0, 1, NO_DATA):
            return code
        state, text, native = ctypes.create_string_buffer(6), ctypes.create_string_buffer(1024), ctypes.c_int()
        self.odbc.SQLGetDiagRec(kind, handle, 1, state, ctypes.byref(native), text, 1024, None)
        raise RuntimeError(f"{native.value} {text.value.decode(errors='replace')}")

    def __call__(self, sql):
        """The rows of the batch's last result, as tuples."""
        rows = []
        statement = ctypes.c_void_p()
        self.odbc.SQLAllocHandle(STMT, self.connection, ctypes.byref(statement))
        try:
            text = sql.encode()
            more = self.check(self.odbc.SQLExecDirect(statement, text, len(text)), STMT, statement)
            while True:
                columns = ctypes.c_short()
                self.odbc.SQLNumResultCols(statement, ctypes.byref(columns))
                if columns.value:
                    rows = []
                    while self.check(self.odbc.SQLFetch(statement), STMT, statement) != NO_DATA:
                        rows.append(tuple(self.cell(statement, i + 1) for i in range(columns.value)))
                more = self.check(self.odbc.SQLMoreResults(statement), STMT, statement)
                if more == NO_DATA:
                    return rows
        finally:
            self.odbc.SQLFreeHandle(STMT, statement)

    def cell(self, statement, column):
        buffer, length = ctypes.create_string_buffer(65536), ctypes.c_ssize_t()
        code = self.odbc.SQLGetData(statement, column, 1, buffer, len(buffer), ctypes.byref(length))
        self.check(code, STMT, statement)
        return None if length.value == -1 else buffer.value.decode()

    def value(self, sql):
        ((only,),) = self(sql)
        return only

    def drop_schema(self, schema):
        """There is no CASCADE: references first, then what stands on the tables, then these."""
        own = f"schema_id = SCHEMA_ID(N'{schema}')"
        for table, key in self(
            f"SELECT t.name, f.name FROM sys.foreign_keys AS f JOIN sys.tables AS t ON t.object_id = f.parent_object_id WHERE t.{own}"
        ):
            self(f"ALTER TABLE [{schema}].[{table}] DROP CONSTRAINT [{key}]")
        for kind, drop in (("V", "VIEW"), ("P", "PROCEDURE"), ("U", "TABLE")):
            for (name,) in self(f"SELECT name FROM sys.objects WHERE type = '{kind}' AND {own}"):
                self(f"DROP {drop} [{schema}].[{name}]")
        if self(f"SELECT 1 FROM sys.schemas WHERE name = N'{schema}'"):
            self(f"DROP SCHEMA [{schema}]")


if __name__ == "__main__":
    command, argument = sys.argv[1:]
    assert command in ("drop", "query"), __doc__
    if command == "drop":
        Server().drop_schema(argument)
    else:
        for row in Server()(argument):
            print("|".join("" if value is None else value for value in row))
