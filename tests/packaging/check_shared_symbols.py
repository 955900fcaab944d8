"""Checks a shared build: core needs no database library, and no library exports what is not Stele's.

    check_shared_symbols.py NM BUILD_DIR PART…
"""
import pathlib
import re
import subprocess
import sys

nm, build, parts = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
faults = []


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if not parts:
    sys.exit("was told of no backend")
for name in ("core", *parts, "stele"):
    found = sorted(build.rglob(f"libstele_{name}.so"))
    if len(found) != 1:
        sys.exit(f"libstele_{name}.so: found {len(found)} in {build}")
    library = found[0]
    exported = [line.split(maxsplit=2)[-1] for line in output(nm, "--dynamic", "--defined-only", "-C", str(library)).splitlines()]
    own = [symbol for symbol in exported if "stele::" in symbol]
    if not own:
        faults.append(f"{library.name}: exports nothing of Stele")
    for symbol in exported:
        # Weak instantiations of the standard library's templates are everybody's.
        if "stele::" not in symbol and not re.match(r"(std::|void std::|bool std::|typeinfo|vtable|__gnu_cxx|.*\bstd::|_init|_fini|nlohmann|.*nlohmann)", symbol):
            faults.append(f"{library.name}: exports {symbol}")
        if re.search(r"stele::(\w+::)*\(anonymous namespace\)|stele::detail::scan_json", symbol):
            faults.append(f"{library.name}: exports the private {symbol}")
    if name == "core":
        needed = re.findall(r"\(NEEDED\).*\[(.+?)\]", output("readelf", "-d", str(library)))
        if not needed:
            faults.append("readelf told no needed libraries of core")
        faults += [f"core needs {lib}" for lib in needed if re.search(r"soci|sqlite|libpq|odbc", lib)]
    print(f"{library.name}: {len(own)} symbols of Stele exported")

print("\n".join(faults))
sys.exit(1 if faults else 0)
