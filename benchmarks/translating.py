"""Sentences a second of `recurra translate DIR FILE > OUT`: the whole file, less a run on its beginning.

Run: python benchmarks/translating.py DIR FILE   Half a minute for 1,000 sentences; nothing else may run.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recurra.training.machine import sgemm_rate

# What loads the translator and compiles its kernels, to be taken away as start-up.
_BEGINNING = 50
_ROUNDS = 3


def seconds(folder: Path, path: Path, beam: int) -> float:
    started = time.perf_counter()
    with path.with_suffix(".out").open("wb") as out:
        command = [sys.executable, "-m", "recurra", "translate", folder, path, "--beam", str(beam)]
        subprocess.run(command, stdout=out, check=True)
    return time.perf_counter() - started


def main(folder: Path, file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    sgemm = [sgemm_rate()]
    with tempfile.TemporaryDirectory() as aside:
        whole, start = Path(aside) / "all.txt", Path(aside) / "start.txt"
        whole.write_text("".join(lines), encoding="utf-8")
        start.write_text("".join(lines[:_BEGINNING]), encoding="utf-8")
        for beam in (1, 5):
            rates, starts = [], []
            for _ in range(_ROUNDS):
                starts.append(seconds(folder, start, beam))
                rates.append((len(lines) - _BEGINNING) / (seconds(folder, whole, beam) - starts[-1]))
                sgemm.append(sgemm_rate())
            told = ", ".join(f"{rate:.0f}" for rate in rates)
            print(f"beam {beam}: {told} sentences/s, beside start-up ({statistics.mean(starts):.1f} s)")
    print(f"sgemm before and after each: {', '.join(f'{rate:.0f}' for rate in sgemm)} GFLOP/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
