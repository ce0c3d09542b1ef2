"""ReLU layers with W_hh ~ N(0, 3/n): activations explode, at the theoretical rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.diagnosis import plots
from recurra.diagnosis.report import Table
from recurra.diagnosis.studies.relu_layer import growth, norms
from recurra.diagnosis.studies.study import Setting, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANCE = 3.0
THEORY = VARIANCE / 2
UNITS = (16, 64, 256, 1024)
STEPS = 40


def explode(setting: Setting) -> StudyResult:
    """Measures ‖h_t‖ of h_t = relu(W_hh h_{t-1}) for several widths n and many draws of W_hh.

    A pre-activation with N(0, s/n) weights has variance s mean(h²), and ReLU keeps half of it, so that mean(h²) grows
    by s/2 per step (He et al. 2015, eq. 10, for a stack of layers; that W_hh is the same at every step makes no
    difference as n → ∞).
    """
    seeds = 16 if setting.quick else 64
    paths = {n: _paths(setting, n, seeds) for n in UNITS}  # (seeds, T) each
    rates = {n: growth(path) for n, path in paths.items()}
    widest, mean = UNITS[-1], float(rates[UNITS[-1]].mean())
    final = float(paths[widest][:, -1].median())
    sentences = [
        f"With {widest} units mean(h²) grows by a factor of {mean:.3f} per step (mean over {seeds} draws of W_hh, "
        f"standard deviation {float(rates[widest].std()):.3f}); in theory it is s/2 = {THEORY:g}, a difference of "
        f"{mean / THEORY - 1:+.1%}.",
        f"After {STEPS - 1} steps without input the norm is {final:,.0f} times the norm at the first step.",
        f"Narrow layers vary more: with {UNITS[0]} units the factor is between "
        f"{_quartile(rates[UNITS[0]], 0.25):.2f} and {_quartile(rates[UNITS[0]], 0.75):.2f} per step for the middle "
        "half of the draws.",
    ]
    numbers = {
        "variance": VARIANCE,
        "theory": THEORY,
        "seeds": seeds,
        "growth": {str(n): {"mean": float(rate.mean()), "std": float(rate.std())} for n, rate in rates.items()},
        "median_norm": {str(n): path.quantile(0.5, 0).tolist() for n, path in paths.items()},
    }
    rows: list[list[str | float]] = [
        [f"{n}", float(rate.mean()), float(rate.std()), THEORY] for n, rate in rates.items()
    ]
    table = Table(["units", "growth of mean(h²) per step", "standard deviation over draws", "theory"], rows)

    def draw(figure: Figure, theme: plots.Theme) -> None:
        _draw(figure, theme, paths, rates)

    alt = (
        "Left: the norm of h grows as a straight line on a logarithmic axis. Right: growth per step, in theory "
        f"{THEORY}."
    )
    return StudyResult(sentences, numbers, plots.picture(draw, alt, size=(12, 5)), [table])


def _paths(setting: Setting, units: int, seeds: int) -> Tensor:
    setting.progress(f"{units} units, {seeds} draws of W_hh")
    draws = (setting.generator(units % 997, draw) for draw in range(seeds))
    return torch.stack([norms(units, VARIANCE, steps=STEPS, generator=generator) for generator in draws])


def _quartile(values: Tensor, share: float) -> float:
    return float(values.quantile(share))


def _draw(figure: Figure, theme: plots.Theme, paths: dict[int, Tensor], rates: dict[int, Tensor]) -> None:
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    steps = torch.arange(1, STEPS + 1)
    for colour, stroke, (n, path) in zip(theme.series, plots.STROKES, paths.items(), strict=False):
        low, middle, high = path.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=path.dtype), 0)
        left.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
        left.plot(steps, middle, color=colour, linestyle=stroke, label=f"n = {n}")
    left.plot(
        steps, THEORY ** ((steps - 1) / 2), color=theme.ink, linewidth=1.2, linestyle="-", label="theory, √1.5 per step"
    )
    plots.powers_of_ten(left, 0.3, 3e4)
    left.legend(loc="upper left")
    plots.label(left, "time t (steps)", "norm  ‖h$_t$‖ / ‖h$_1$‖", "Median and middle half of the draws")
    places = range(len(rates))
    means, spreads = [float(rate.mean()) for rate in rates.values()], [float(rate.std()) for rate in rates.values()]
    right.axhline(THEORY, color=theme.ink, linewidth=1.2, linestyle="-", label="theory, s/2")
    right.errorbar(places, means, spreads, fmt="o", color=theme.series[0], capsize=5, label="mean ± 1 s.d.")
    right.set_xticks(list(places), [str(n) for n in rates])
    right.margins(x=0.15)
    right.legend(loc="upper right")
    plots.label(right, "units n", "growth of mean(h²) per step", "Growth, W$_{hh}$ ~ N(0, 3/n)")
