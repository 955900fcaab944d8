"""Installs into an empty prefix and checks that what was installed knows nothing of where it was built.

    install.py CMAKE BUILD_DIR SOURCE_DIR PREFIX PART…
"""
import pathlib
import shutil
import subprocess
import sys

cmake, build, source, prefix, *parts = sys.argv[1:]
shutil.rmtree(prefix, ignore_errors=True)
subprocess.run([cmake, "--install", build, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)

installed = [path for path in pathlib.Path(prefix).rglob("*") if path.is_file()]
names = {path.relative_to(prefix).as_posix() for path in installed}
faults = [f"{name} was not installed" for name in
          ("include/stele/stele.h", "include/stele/backends.h", "include/stele/driver/driver.h",
           "include/stele/soci.h", "include/stele/testing/conformance.h", *[f"include/stele/{part.replace('_', '/')}.h" for part in parts]) if name not in names]
for path in installed:
    if path.suffix in (".cmake", ".h"):
        text = path.read_text(encoding="utf-8")
        faults += [f"{path.name} names {place}" for place in (build, source) if place + "/" in text]
    if "stele_soci" in path.as_posix() and path.suffix == ".h":
        faults.append(f"{path.name} is private and was installed")
if not parts:
    faults.append("was told of no backend")
libraries = " ".join(sorted(names))
faults += [f"the library of {part} was not installed" for part in parts if f"/libstele_{part}." not in libraries]
print("\n".join(faults))
print(f"{len(installed)} files installed")
sys.exit(1 if faults else 0)
