"""Checks that core refers to no symbol of a database library.

    check_core_symbols.py NM LIBRARY
"""
import re
import subprocess
import sys

nm, library = sys.argv[1:]
run = [nm, "--undefined-only"] + (["--dynamic"] if ".so" in library else []) + [library]
names = {line.split()[-1] for line in subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines() if line.strip()}
undefined = {name for name in names if not name.endswith(":")}
if not any("Znwm" in name or "__cxa" in name for name in undefined):
    sys.exit(f"nm told nothing about {library}")
foreign = sorted(name for name in undefined if re.search(r"^sqlite3_|4soci|^PQ|^SQL[A-Z]|5stele(6sqlite|8postgres|5mssql)", name))
print("\n".join(foreign) or f"{len(undefined)} undefined symbols, none of a database")
sys.exit(1 if foreign else 0)
