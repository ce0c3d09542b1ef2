"""Words a second of `recurra tag DIR FILE > OUT`, from file to file: the whole files, less a run on their beginning.

Run: python benchmarks/tagging.py DIR FILE…   Half a minute for 250,000 words; nothing else may run.
"""

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recurra import bundle
from recurra.data.lines import open_bytes
from recurra.tasks.tagger.formats import Layout
from recurra.tasks.tagger.tagging_formats import SentenceReader, input_format
from recurra.training.machine import sgemm_rate

# What loads the tagger and compiles its kernels, to be taken away as start-up.
_BEGINNING = 200
_ROUNDS = 2


def lines_and_words(path: Path, layout: Layout) -> list[tuple[str, int]]:
    """Each sentence of a file as it is, with how many words it has."""
    with open_bytes(path) as file:
        sentences = SentenceReader(layout, input_format(path, layout)).sentences(file, str(path))
        return [("".join(sentence.lines), len(sentence.words)) for sentence in sentences]


def seconds(folder: Path, path: Path) -> float:
    started = time.perf_counter()
    with path.with_suffix(".out").open("wb") as out:
        subprocess.run([sys.executable, "-m", "recurra", "tag", folder, path], stdout=out, check=True)
    return time.perf_counter() - started


def main(folder: Path, files: list[Path]) -> None:
    layout = Layout.from_config(bundle.read_config(folder)["model"]["layout"], where=str(folder))
    sentences = list(itertools.chain.from_iterable(lines_and_words(path, layout) for path in files))
    rates, starts, sgemm = [], [], [sgemm_rate()]
    with tempfile.TemporaryDirectory() as aside:
        parts = {"all": sentences, "start": sentences[:_BEGINNING]}
        paths = {name: Path(aside) / f"{name}{files[0].suffix}" for name in parts}
        for name, part in parts.items():
            paths[name].write_bytes("".join(lines for lines, _ in part).encode())
        words = sum(count for _, count in sentences[_BEGINNING:])
        for _ in range(_ROUNDS):
            starts.append(seconds(folder, paths["start"]))
            rates.append(words / (seconds(folder, paths["all"]) - starts[-1]))
            sgemm.append(sgemm_rate())
    shown = ", ".join(f"{rate:,.0f}" for rate in rates)
    print(f"{words:,} words: {shown} words/s from file to file, beside start-up ({statistics.mean(starts):.1f} s)")
    print(f"sgemm before, between and after: {', '.join(f'{rate:.0f}' for rate in sgemm)} GFLOP/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
