"""Checks that make_library.py reproduces the committed sample, and that the sample is what the documents say of it.

    check_sample.py PROJECT_DIR SCRATCH_DIR
"""
import json
import pathlib
import subprocess
import sys

sample = pathlib.Path(sys.argv[1]) / "examples" / "sample"
made = pathlib.Path(sys.argv[2]) / "library.ndjson"
subprocess.run([sys.executable, str(sample / "make_library.py"), str(made)], check=True)
committed = (sample / "library.ndjson").read_bytes()
if made.read_bytes() != committed:
    sys.exit("make_library.py writes something else than the committed library.ndjson")

lines = [json.loads(line) for line in committed.decode("utf-8").splitlines()]
assert lines, "the sample is empty"
finished, last = set(), None
for number, line in enumerate(lines, 1):
    key = (line["source"], line["request_id"])
    if key != last:
        assert key not in finished, f"line {number}: a command's lines do not follow each other: {key}"
        finished.add(key)
        last = key
    for name in ("global_position", "stream_version", "recorded_at"):
        assert name not in line, f"line {number}: {name} is the store's"
for name in ("event_id", "valid_from", "causation_id", "metadata", "attributes", "idempotency_key", "model_context"):
    assert any(name in line for line in lines), f"no line has {name}"
print(f"{len(lines)} events, {len(finished)} commands")
