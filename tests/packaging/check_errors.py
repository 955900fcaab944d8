"""Checks that docs/errors.md has every error code of error.h, with the exit code that the command line gives it.

    check_errors.py PROJECT_DIR
"""
import pathlib
import re
import sys

project = pathlib.Path(sys.argv[1])
header = (project / "core/include/stele/error.h").read_text(encoding="utf-8")
enumeration = re.search(r"enum class ErrorCode[^{]*\{(.*?)\n\};", header, re.DOTALL).group(1)
codes = re.findall(r"^\s*(\w+) = \d+,", enumeration, re.MULTILINE)

exit_header = (project / "cli/exit_codes.h").read_text(encoding="utf-8")
numbers = dict(re.findall(r"(exit_\w+) = (\d+)", exit_header))
exits, waiting = {}, []
for case, returned in re.findall(r"case ErrorCode::(\w+):|return (exit_\w+);", (project / "cli/exit_codes.cpp").read_text(encoding="utf-8")):
    if case:
        waiting.append(case)
    else:
        exits.update({code: numbers[returned] for code in waiting})
        waiting = []

document = (project / "docs/errors.md").read_text(encoding="utf-8")
rows = {row[0]: row[-1] for row in (re.findall(r"[^|]+", line) for line in document.splitlines() if line.startswith("| `"))}
rows = {name.strip(" `"): exit_code.strip() for name, exit_code in rows.items()}

faults = [] if len(codes) > 10 and len(exits) > 10 else ["found hardly any codes in the sources"]
for code in codes:
    if code not in rows:
        faults.append(f"{code}: is not in the document")
    elif rows[code] != exits.get(code):
        faults.append(f"{code}: exit code {rows[code]} in the document, {exits.get(code)} in the program")
faults += [f"{name}: is no error code" for name in rows if name not in codes]
listed = set(re.findall(r"(?m)^\| (\d+) \|", document))
if listed != set(numbers.values()):
    faults.append(f"the exit codes are {sorted(numbers.values())}, the document lists {sorted(listed)}")
print("\n".join(faults))
print(f"{len(codes)} codes, {len(faults)} faults")
sys.exit(1 if faults else 0)
