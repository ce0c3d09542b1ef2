"""ReLU layers with W_hh ~ N(0, 1.5/n): the effect of an input decays; at 2/n it neither decays nor explodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.diagnosis import plots
from recurra.diagnosis.report import Table
from recurra.diagnosis.studies.relu_layer import growth, norms
from recurra.diagnosis.studies.study import Setting, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANCES = (3.0, 2.0, 1.5)
UNITS = 1024
STEPS = 60
LEFT = 0.01


def vanish(setting: Setting) -> StudyResult:
    """Measures ‖h_t‖ after an input at the first step only, below, at and above the critical variance 2/n.

    Without input and bias the state would stay 0, so that h_t is the effect of the input.
    """
    seeds = 8 if setting.quick else 32
    paths = {s: _paths(setting, s, seeds) for s in VARIANCES}  # (seeds, T) each
    rates = {s: float(growth(path).mean()) for s, path in paths.items()}
    low = rates[VARIANCES[-1]]
    gone = 1 + math.ceil(2 * math.log(LEFT) / math.log(low))
    critical = paths[2.0][:, -1]
    sentences = [
        f"With W_hh ~ N(0, 1.5/n) mean(h²) shrinks by a factor of {low:.3f} per step (theory: s/2 = 0.75, "
        f"{low / 0.75 - 1:+.1%}; n = {UNITS}, mean over {seeds} draws): {LEFT:.0%} of the input's norm is left at step "
        f"{gone}, and a share of {float(paths[1.5][:, -1].median()):.2g} at step {STEPS}.",
        f"At the critical variance 2/n the factor is {rates[2.0]:.3f} per step; after {STEPS - 1} steps the norm is "
        f"between {float(critical.quantile(0.25)):.2f} and {float(critical.quantile(0.75)):.2f} of its initial value "
        "for the middle half of the draws.",
        f"At 3/n, 1.5 times the critical variance, the factor is {rates[3.0]:.3f} and the norm explodes.",
    ]
    numbers = {
        "units": UNITS,
        "seeds": seeds,
        "growth": {str(s): {"measured": rate, "theory": s / 2} for s, rate in rates.items()},
        "steps_to_one_percent": gone,
        "median_norm": {str(s): path.quantile(0.5, 0).tolist() for s, path in paths.items()},
    }
    rows = [(f"{s:g}", rate, s / 2) for s, rate in rates.items()]
    table = Table(["s, W_hh ~ N(0, s/n)", "growth of mean(h²) per step", "theory"], rows)

    def draw(figure: Figure, theme: plots.Theme) -> None:
        _draw(figure, theme, paths, gone)

    alt = "Three fans of lines on a logarithmic axis: s = 3 rises, s = 2 stays level, s = 1.5 falls."
    return StudyResult(sentences, numbers, plots.picture(draw, alt), [table])


def _paths(setting: Setting, variance: float, seeds: int) -> Tensor:
    setting.progress(f"s = {variance:g}, {seeds} draws of W_hh")
    draws = (setting.generator(int(10 * variance), draw) for draw in range(seeds))
    return torch.stack([norms(UNITS, variance, steps=STEPS, generator=generator) for generator in draws])


def _draw(figure: Figure, theme: plots.Theme, paths: dict[float, Tensor], gone: int) -> None:
    axes = figure.subplots()
    steps = torch.arange(1, STEPS + 1)
    names = {3.0: "s = 3: explodes", 2.0: "s = 2: critical", 1.5: "s = 1.5: vanishes"}
    for place, (s, path) in enumerate(paths.items()):
        colour, middle = theme.series[place], path.quantile(0.5, 0)
        axes.fill_between(steps, path.amin(0), path.amax(0), color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, middle, color=colour, linestyle=plots.STROKES[place])
        axes.plot(steps, (s / 2) ** ((steps - 1) / 2), color=theme.ink, linewidth=1, linestyle="-", alpha=0.8)
        axes.annotate(
            names[s], (STEPS, float(middle[-1])), (8, 0), textcoords="offset points", color=colour, va="center"
        )
    axes.plot([gone], [LEFT], plots.MARKERS[0], color=theme.ink)
    axes.annotate(f"1 % left at step {gone}", (gone, LEFT), (10, 6), textcoords="offset points")
    axes.set_xlim(0, STEPS * 1.32)
    axes.set_xticks(range(0, STEPS + 1, 10))
    plots.powers_of_ten(axes, 1e-4, 1e6)
    plots.label(
        axes,
        "time t (steps), input at t = 1 only",
        "norm  ‖h$_t$‖ / ‖h$_1$‖",
        "ReLU layer, W$_{hh}$ ~ N(0, s/n), n = 1024",
    )
