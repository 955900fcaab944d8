"""Runs the README's C++ program, and its tour of the command line line by line, in an empty directory.

    check_readme.py PROJECT_DIR SCRATCH_DIR PROGRAM CLI_DIR
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

project, scratch = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
program, cli_dir = sys.argv[3:]
shutil.rmtree(scratch, ignore_errors=True)
scratch.mkdir(parents=True)
(scratch / "examples").symlink_to(project / "examples")

output = subprocess.run([program], cwd=scratch, check=True, capture_output=True, text=True).stdout
expected = '1 Opened {"cents": 10000}\n2 Withdrawn {"cents": 2500}\n'
if output != expected:
    sys.exit(f"the program printed {output!r}, not {expected!r}")

readme = (project / "README.md").read_text(encoding="utf-8")
tour = re.search(r"## From the command line\n\n```sh\n(.*?)```", readme, re.DOTALL)
if not tour or len(tour.group(1).splitlines()) < 5:
    sys.exit("the README has no tour of the command line")
environment = {**os.environ, "PATH": f"{cli_dir}:{os.environ['PATH']}", "HOME": str(scratch), "XDG_CONFIG_HOME": ""}
result = subprocess.run(["bash", "-euxo", "pipefail", "-c", tour.group(1)], cwd=scratch, env=environment, text=True,
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(result.stdout)
if result.returncode != 0:
    sys.exit(f"the tour ended with exit code {result.returncode}")
for wanted in ("LoanStarted", "FineCharged", "all invariants hold"):
    if wanted not in result.stdout:
        sys.exit(f"the tour did not show {wanted}")

# What the tour exported is the sample in every field that the sample gives, and the one event that the tour appended.
sample = [json.loads(line) for line in (project / "examples/sample/library.ndjson").read_text(encoding="utf-8").splitlines()]
exported = [json.loads(line) for line in (scratch / "all.ndjson").read_text(encoding="utf-8").splitlines()]
if len(exported) != len(sample) + 1:
    sys.exit(f"{len(exported)} events were exported, {len(sample)} imported and one appended")
for given, got in zip(sample, exported):
    for name, value in given.items():
        if got.get(name) != value:
            sys.exit(f"position {got['global_position']}: {name} is {got.get(name)!r}, the sample says {value!r}")
