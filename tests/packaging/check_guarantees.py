"""Checks that docs/guarantees.md names only conformance tests that exist, under their own guarantee, and some for each.

    check_guarantees.py PROJECT_DIR

A test is named in the document as `group/name`, for example `append/first_event_has_version_1`.
"""
import pathlib
import re
import sys

project = pathlib.Path(sys.argv[1])
src = project / "tests/conformance/src"
document = (project / "docs/guarantees.md").read_text(encoding="utf-8")
faults = []

# The groups and the function that gives each one's cases; then the cases in the file that defines the function.
groups = dict(re.findall(r'\{"(\w+)", (\w+_cases)\}', (src / "conformance.cpp").read_text(encoding="utf-8")))
cases = {}
for file in sorted(src.glob("*_cases.cpp")):
    text = file.read_text(encoding="utf-8")
    for group, function in groups.items():
        if re.search(rf"\b{function}\(\)\s*\{{", text):
            for guarantee, name in re.findall(r'\{"(G\d+|API)",\s*"(\w+)",', text):
                cases[f"{group}/{name}"] = guarantee
if not cases:
    sys.exit("no conformance cases found")

sections = re.split(r"(?m)^## (G\d+)\b.*$", document)
named = {}
for guarantee, body in zip(sections[1::2], sections[2::2]):
    named[guarantee] = re.findall(r"`([a-z_]+/[a-z0-9_]+)`", body)
    for test in named[guarantee]:
        if (project / test).exists():
            continue  # a folder
        if test not in cases:
            faults.append(f"{guarantee}: there is no test {test}")
        elif cases[test] != guarantee:
            faults.append(f"{guarantee}: {test} is a test of {cases[test]}")

for number in range(1, 15):
    guarantee = f"G{number}"
    if guarantee not in named:
        faults.append(f"{guarantee}: has no section")
    elif not any(test in cases for test in named[guarantee]):
        faults.append(f"{guarantee}: names no test")

print("\n".join(faults))
print(f"{len(cases)} conformance tests, {sum(len(tests) for tests in named.values())} named, {len(faults)} faults")
sys.exit(1 if faults else 0)
