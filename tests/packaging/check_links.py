"""Checks that every link and every path in the documents leads somewhere, and that they show no machine's own paths.

    check_links.py PROJECT_DIR
"""
import pathlib
import re
import sys

project = pathlib.Path(sys.argv[1])
documents = sorted(project.glob("*.md")) + sorted((project / "docs").rglob("*.md"))
faults = []


def anchors(text):
    """Headings as GitHub names them."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.+)$", text):
        heading = re.sub(r"[`*]", "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-"))
    return found


for document in documents:
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(project).as_posix()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path) if path else document
        if not file.exists():
            faults.append(f"{name}: {target} does not exist")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
            faults.append(f"{name}: {target} has no such heading")
    for path in re.findall(r"`((?:core|backends|migrations|tests|bench|cli|examples|docs|cmake|scripts)/[\w./-]+)`", text):
        if "NNNN" not in path and not (project / path).exists():
            faults.append(f"{name}: `{path}` does not exist")
    for line in text.splitlines():
        if re.search(r"(^|[\s`(])/(work|tmp|home|root)/", line):
            faults.append(f"{name}: a machine's own path: {line.strip()}")

if len(documents) < 5:
    faults.append("found hardly any documents")
print("\n".join(faults))
print(f"{len(documents)} documents, {len(faults)} faults")
sys.exit(1 if faults else 0)
