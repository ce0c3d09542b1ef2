"""Measure everything that `recurra bench` can, and keep it in benchmarks/results/: a table (.md) and its rows (.json).

Run: python benchmarks/run.py [NAME…]   NAME: speed, lengths, first-use, memory, stream; all where none is given.
A quarter of an hour on two cores, most of it for `speed`; nothing else may run.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
OPTIONS = {
    "speed": [],
    "lengths": ["--lengths"],
    "first-use": ["--first-use"],
    "memory": ["--memory"],
    "stream": ["--stream"],
}


def measure(name: str) -> None:
    command = ["recurra", "bench", *OPTIONS[name], "--json"]
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        # An empty cache folder, so that the first process of --first-use has to compile.
        environment = {**os.environ, "XDG_CACHE_HOME": folder} if name == "first-use" else None
        with rows.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=out, stderr=subprocess.PIPE, text=True, env=environment
            )
        table = []
        for line in process.stderr:
            print(line, end="", flush=True)
            table.append(line)
        if process.wait():
            sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}")
        (RESULTS / f"{name}.json").write_text(rows.read_text())
    (RESULTS / f"{name}.md").write_text(f"`{' '.join(command)}`\n\n{''.join(table)}")


def main() -> None:
    names = sys.argv[1:] or list(OPTIONS)
    for name in names:
        if name not in OPTIONS:
            sys.exit(f"there is no measurement {name!r}: {', '.join(OPTIONS)}")
    for name in names:
        measure(name)


if __name__ == "__main__":
    main()
