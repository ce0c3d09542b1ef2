"""Hold the results that benchmarks/run.py kept against what was set out to be reached; exit code 1 where one is missed.

Run: python benchmarks/targets.py
"""

import json
import math
import statistics
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
# Geometric means of the training ratios over the sizes of the default table.
MEANS = [
    ("gru", "torch.nn", 3),
    ("rnn-tanh", "torch.nn", 2.5),
    ("rnn-relu", "torch.nn", 2.5),
    ("lstm", "torch.nn", 1.15),
]
MEANS += [(cell, peer, least) for cell in ("peephole_lstm", "leaky") for peer, least in (("eager", 4.5), ("jax", 2))]
# Recurrent gates of three or more: 60 % of sgemm, else 50 %; where B >= 16 and H >= 128.
SHARES = {"lstm": 0.6, "gru": 0.6, "peephole_lstm": 0.6, "rnn-tanh": 0.5, "rnn-relu": 0.5, "leaky": 0.5}


def speed(rows):
    training = [row for row in rows if row["pass"] == "training"]
    for cell, peer, least in MEANS:
        ratios = [row["peers"][peer] for row in training if row["cell"] == cell and peer in row["peers"]]
        mean = math.exp(statistics.fmean(map(math.log, ratios))) if ratios else math.nan
        yield f"{cell}: training over {peer}, geometric mean of {len(ratios)}", mean, least, mean >= least
    ratios = [row["peers"]["torch.nn"] for row in training if row["cell"] == "lstm"]
    if ratios:
        yield "lstm: training over torch.nn, least", min(ratios), 0.9, min(ratios) >= 0.9
    for cell, least in SHARES.items():
        large = [
            row for row in training if row["cell"] == cell and row["shape"]["B"] >= 16 and row["shape"]["H"] >= 128
        ]
        share = min((row["share_of_sgemm"] for row in large), default=math.nan)
        yield f"{cell}: training, least share of sgemm of {len(large)}", share, least, share >= least


def lengths(rows):
    for row in rows:
        ratio = row["full_over_padded"]
        yield f"{row['cell']}: {row['pass']}, full over padded batch", ratio, 1.5, ratio >= 1.5


def first_use(rows):
    for row in rows:
        most = 3.0 if row["process"] == "first" else 0.3
        yield f"{row['cell']}: {row['process']} process, seconds", row["seconds"], most, row["seconds"] <= most


def memory(rows):
    for row in rows:
        peak = {who: count / 2**20 for who, count in row["bytes_at_peak"].items()}
        if "torch.nn" in peak:
            met = peak["recurra"] <= peak["torch.nn"]
            yield f"{row['cell']}: MiB at peak, at most torch.nn's", peak["recurra"], peak["torch.nn"], met


def main() -> None:
    missed = 0
    for name, judge in {"speed": speed, "lengths": lengths, "first-use": first_use, "memory": memory}.items():
        kept = RESULTS / f"{name}.json"
        if not kept.exists():
            print(f"{name}: not measured; python benchmarks/run.py {name}")
            continue
        for what, found, target, met in judge(json.loads(kept.read_text())):
            print(f"{'met   ' if met else 'MISSED'} {found:8.2f} {target:8.2f}  {what}")
            missed += not met
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
