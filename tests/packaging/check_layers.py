"""Checks who may include whom: core knows no database, a backend knows core's public headers, its own and the shared SOCI ones, a
relay core's and its own.

    check_layers.py PROJECT_DIR
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
DATABASE_HEADERS = re.compile(r"^(soci[/_.]|sqlite3|libpq|postgres|pqxx|sql\.h|sqlext\.h|sqltypes\.h|stele/sqlite|stele/postgres|stele/mssql|stele/soci|stele_soci)")
BACKEND_NAMES = re.compile(r"(?i)\b(soci|sqlite3?|postgres(ql)?|libpq|mssql|odbc)(?=\b|_)")
# A message or a URL rule of core may not name a database either. What remains is the URL grammar, where `sqlite:` is one of two
# schemes whose rest is a path, the documentation of a rule that a database is the reason for, and the pointer that stele/soci.h
# takes a session from, with who hands it on.
ALLOWED_NAMES_IN_CODE = {"core/src/url.cpp", "core/include/stele/driver/read_side.h", "core/include/stele/driver/forwarding_driver.h",
                         "core/src/tenant_driver.cpp"}

project = pathlib.Path(sys.argv[1])
faults = []
files_seen = 0


def sources(directory):
    global files_seen
    found = sorted(p for p in (project / directory).rglob("*") if p.suffix in (".h", ".cpp", ".in"))
    if not found:
        faults.append(f"{directory}: no sources found, so nothing was checked")
    files_seen += len(found)
    return found


def relative(path):
    return path.relative_to(project).as_posix()


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"(?m)(^|[^:\"])//.*$", r"\1", text)  # keeps "sqlite://" in strings


def public_headers(directory):
    return {p.relative_to(project / directory / "include").as_posix() for p in sources(f"{directory}/include")}


# Core: no header of a database library, and no database's name in its code.
core_headers = public_headers("core")
core_private = {p.relative_to(project / "core/src").as_posix() for p in sources("core/src")} | {"version.h"}
for path in sources("core"):
    text = path.read_text(encoding="utf-8")
    for _, header in INCLUDE.findall(text):
        if DATABASE_HEADERS.search(header):
            faults.append(f"{relative(path)}: includes {header}")
        if header.startswith("stele/") and header not in core_headers:
            faults.append(f"{relative(path)}: includes {header}, which is not core's")
    if relative(path) not in ALLOWED_NAMES_IN_CODE:
        for match in BACKEND_NAMES.finditer(without_comments(text)):
            faults.append(f"{relative(path)}: names {match.group(0)}")
    if "include" in path.parts:
        for kind, header in INCLUDE.findall(text):
            if kind == '"' and header not in core_headers:
                faults.append(f"{relative(path)}: a public header includes {header}, which is not installed")

# Backends: core's public headers, their own, and backends/soci.
shared = public_headers("backends/soci")
for directory in sorted(p for p in (project / "backends").iterdir() if (p / "CMakeLists.txt").exists()):
    name = directory.name
    if name == "soci":
        own = shared
    else:
        own = public_headers(f"backends/{name}") | shared
        own |= {p.relative_to(directory / "src").as_posix() for p in sources(f"backends/{name}/src")}
    for path in sources(f"backends/{name}"):
        for kind, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if header.startswith("stele/") and header not in core_headers and header not in own:
                faults.append(f"{relative(path)}: includes {header} of another backend")
            if kind == '"' and header not in core_headers and header not in own:
                faults.append(f"{relative(path)}: includes {header}, which is neither its own nor core's public header")
            if header in core_private - core_headers - own:
                faults.append(f"{relative(path)}: includes core's private {header}")

# Relays to what lies outside: core's public headers and their own.
for directory in sorted(p for p in (project / "relay").iterdir() if (p / "CMakeLists.txt").exists()):
    name = f"relay/{directory.name}"
    own = public_headers(name) | {p.relative_to(directory / "src").as_posix() for p in sources(f"{name}/src")}
    for path in sources(name):
        for kind, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if (kind == '"' or header.startswith("stele/")) and header not in core_headers and header not in own:
                faults.append(f"{relative(path)}: includes {header}, which is neither its own nor core's public header")
            if DATABASE_HEADERS.search(header):
                faults.append(f"{relative(path)}: includes {header}")

# The suite knows no backend: it names capabilities.
for path in sources("tests/conformance/src") + sources("tests/conformance/include"):
    for _, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
        if DATABASE_HEADERS.search(header) or header == "stele/backends.h":
            faults.append(f"{relative(path)}: includes {header}")

for fault in faults:
    print(fault)
print(f"{files_seen} files, {len(faults)} faults")
sys.exit(1 if faults else 0)
