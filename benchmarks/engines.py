"""Forward, and forward + backward, of one layer: the compiled loops beside torch.nn and an eager loop, in one process.

Run: python benchmarks/engines.py > benchmarks/engines.txt   (about four minutes on two cores; nothing else may run)

What is compared runs interleaved, so that a machine whose speed drifts drifts for all; the medians of five rounds are
shown, as GFLOP/s of the matrix products and as ratios of times: above 1, recurra is faster. `sgemm` is a large product
of matrices timed in the same rounds.
"""

import math
import platform
import statistics
import time
from functools import partial
from pathlib import Path

import torch

from recurra.cells import GRU, LSTM, Cell, Elman, Gates, PeepholeLSTM, State, Weights
from recurra.engine import Request, choose, run

SHAPES = [(64, 32, 128), (64, 32, 256), (64, 32, 512), (64, 32, 1024), (35, 20, 200), (100, 8, 128)]
ROUNDS = 5


class Leaky(Cell):
    """A cell as a user writes it."""

    gates = ("n", "a")

    def step(self, x, u, s, p):
        a = torch.sigmoid(x.a + u.a)
        return State(h=a * s.h + (1 - a) * torch.tanh(x.n + u.n)), Gates(a=a)


CELLS = {"lstm": LSTM(), "gru": GRU(), "rnn tanh": Elman(), "rnn relu": Elman("relu")}
CELLS |= {"peephole lstm": PeepholeLSTM(), "user's own": Leaky()}


def request_for(cell, T, B, H):
    G, R = len(cell.gates), len(cell.recurrent)
    shapes = (G * H, H), (R * H, H), (G * H,), (R * H,)
    parameters = [(torch.randn(shape) * H**-0.5).requires_grad_() for shape in shapes]
    vectors = tuple((torch.randn(H) * H**-0.5).requires_grad_() for _ in cell.vectors)
    state = State(**{name: torch.zeros(B, H) for name in cell.states})
    return Request(cell, torch.randn(T, B, H).requires_grad_(), state, Weights(*parameters, vectors=vectors))


def training(request, engine):
    run(request, engine).y.sum().backward()


def forward(request, engine):
    with torch.no_grad():
        run(request, engine)


def medians(calls):
    """Seconds of each call, the median of the rounds, after one round that is not counted."""
    times = [[] for _ in calls]
    for _ in range(ROUNDS + 1):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return [statistics.median(found[1:]) for found in times]


def compare(name, cell, shape):
    """A line for each pass; the ratios to the other engine in training."""
    T, B, H = shape
    request, a = request_for(cell, T, B, H), torch.randn(1024, 1024)
    # The other way: torch.nn's kernel where it has the cell, the same formula in eager PyTorch where not.
    other = (
        "native" if choose(request, "auto").engine == "native" or name in ("gru", "rnn tanh", "rnn relu") else "unroll"
    )
    flops = 2 * T * B * H * (len(cell.gates) + len(cell.recurrent)) * H
    ratio = math.nan
    for kind, factor in ((forward, 1), (training, 3)):
        ours, theirs, sgemm = medians([partial(kind, request, "cpu"), partial(kind, request, other), lambda: a @ a])
        rate, large, ratio = factor * flops / ours / 1e9, 2 * 1024**3 / sgemm / 1e9, theirs / ours
        print(
            f"{name:14} T{T:<4} B{B:<3} H{H:<5} {kind.__name__:9} {rate:6.0f} GFLOP/s {rate / large:5.0%} of sgemm"
            f"   {ratio:5.2f} × {'torch.nn' if other == 'native' else 'eager'}",
            flush=True,
        )
    return ratio


def processor():
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    torch.manual_seed(0)
    machine = f"{processor()}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    print(f"{machine}, torch {torch.__version__}", flush=True)
    means = {}
    for name, cell in CELLS.items():
        ratios = [compare(name, cell, shape) for shape in SHAPES]
        means[name] = math.exp(statistics.fmean(map(math.log, ratios)))
    for name, mean in means.items():
        print(f"{name:14} forward + backward, geometric mean of the ratios: {mean:.2f}")


if __name__ == "__main__":
    main()
