"""Bounded activations do not help: if the gradient does not vanish, units saturate or the dynamics are chaotic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.cells.elman import Elman
from recurra.diagnosis import plots
from recurra.diagnosis.report import Table
from recurra.diagnosis.studies.study import Setting, StudyResult
from recurra.diagnosis.studies.sweep import (
    NOISE,
    Networks,
    gradient_by_lag,
    is_kept,
    logarithm,
    lyapunov_exponent,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = 128
LAGS = 100
ACTIVATIONS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
"""Activation functions and their bounds."""
EDGE = 0.025
"""A unit is saturated within this share of its range from a bound: the slope is at most a tenth of the largest one."""
SCALES = [2 ** (power / 4) for power in range(-16, 49)]
"""s of W_hh ~ N(0, s/n), from 1/16 to 4096."""


def bounded(setting: Setting) -> StudyResult:
    """Sweeps the scale of W_hh for tanh and sigmoid: gradient by lag, share of saturated units, Lyapunov exponent.

    The gradient over k steps is a product of k factors diag(f') W_hhᵀ. Small weights make it vanish; large weights move
    the units to their bounds, where f' is small, and the remaining slopes are multiplied by the large weights.
    """
    measured = {name: _measure(setting, place, name) for place, name in enumerate(ACTIVATIONS)}
    descriptions = {name: _describe(name, *values) for name, values in measured.items()}
    sentences = [sentence for one in descriptions.values() for sentence in one[0]]
    rows = [row for one in descriptions.values() for row in one[1]]
    head = ["activation", "s", "gradient after 100 steps", "saturated", "Lyapunov exponent (nats per step)"]
    numbers = {
        "units": UNITS,
        "noise": NOISE,
        "scales": SCALES,
        **{
            name: {
                "log10_gradient_by_lag": logarithm(gradients).round(decimals=4).tolist(),
                "saturated": saturated.tolist(),
                "lyapunov_exponent": exponents.tolist(),
            }
            for name, (gradients, saturated, exponents) in measured.items()
        },
    }

    def draw(figure: Figure, theme: plots.Theme) -> None:
        _draw(figure, theme, measured)

    alt = (
        "Above: heat maps of the gradient over lag and weight scale; it vanishes at small scales and explodes at large "
        "ones, with a narrow band between. Below: saturation and Lyapunov exponent rise from 0 where the band ends."
    )
    return StudyResult(sentences, numbers, plots.picture(draw, alt, size=(13, 9)), [Table(head, rows)])


def _measure(setting: Setting, place: int, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient by lag (P, LAGS + 1), share of saturated units (P,), Lyapunov exponent (P,); medians over draws."""
    low, high = ACTIVATIONS[name]
    gradients, saturated, exponents = [], [], []
    for draw in range(1 if setting.quick else 3):
        setting.progress(f"{name}: {len(SCALES)} weight scales, draw {draw + 1}")
        generator = setting.generator(place, draw)
        networks = Networks.drawn(Elman(name), SCALES, UNITS, generator)
        state = networks.settled(200, generator)
        inside = (state.h - low) / (high - low)
        saturated.append(((inside < EDGE) | (inside > 1 - EDGE)).double().mean((1, 2)))
        gradients.append(gradient_by_lag(networks, state, lags=LAGS, generator=generator))
        exponents.append(lyapunov_exponent(networks, state, steps=160, generator=generator))
    median = [torch.stack(values).median(0).values for values in (gradients, saturated, exponents)]
    return median[0], median[1], median[2]


def _describe(
    name: str, gradients: Tensor, saturated: Tensor, exponents: Tensor
) -> tuple[list[str], list[list[str | float]]]:
    """Returns the sentences and the rows of the table."""
    rows: list[list[str | float]] = [
        [
            name,
            f"{s:g}",
            f"{float(gradients[at, -1]):.1e}",
            f"{float(saturated[at]):.0%}",
            f"{float(exponents[at]):+.2f}",
        ]
        for at, s in enumerate(SCALES)
        if s in (0.0625, 0.25, 1, 4, 16, 64, 256, 1024, 4096)
    ]
    last, remaining = len(SCALES) - 1, gradients[:, -1] >= 0.1
    troubled = remaining & ((saturated > 0.05) | (exponents > 0))
    return [
        f"{name}: {_where_kept(gradients, saturated, exponents)}",
        f"{name}: of the {int(remaining.sum())} scales at which a tenth or more of the gradient is left after {LAGS} "
        f"steps, {int(troubled.sum())} have chaos (a Lyapunov exponent above 0) or more than 5 % of the units "
        f"saturated. At s = {SCALES[last]:g}, {float(saturated[last]):.0%} of the units are saturated, nearby states "
        f"diverge by {float(exponents[last]):.2f} nats per step, and the norm of the gradient grows by a factor of "
        f"{float(gradients[last, -1]):.0e}.",
    ], rows


def _where_kept(gradients: Tensor, saturated: Tensor, exponents: Tensor) -> str:
    kept = is_kept(gradients).nonzero()[:, 0]
    if not len(kept):
        return f"at no scale does the gradient stay within a factor of ten over {LAGS} steps."
    first, last = int(kept[0]), int(kept[-1])
    return (
        f"the gradient stays within a factor of ten over {LAGS} steps only for s from {SCALES[first]:.3g} to "
        f"{SCALES[last]:.3g}, at the edge of chaos (Lyapunov exponent {float(exponents[first]):+.3f} to "
        f"{float(exponents[last]):+.3f} nats per step), with {float(saturated[first]):.0%} to "
        f"{float(saturated[last]):.0%} of the units saturated."
    )


def _draw(figure: Figure, theme: plots.Theme, measured: dict[str, tuple[Tensor, Tensor, Tensor]]) -> None:
    panels = figure.subplots(2, len(measured), sharex="col", squeeze=False, height_ratios=[3, 2])
    for column, (name, (gradients, saturated, exponents)) in enumerate(measured.items()):
        above, below = panels[:, column]
        bar = "log$_{10}$ of the gradient (lines: ±1)" if column == len(measured) - 1 else None
        values, lags = logarithm(gradients).T, range(LAGS + 1)
        plots.heat_map(figure, above, values, SCALES, lags, colours=theme.ratios, limits=(-6, 6), scale_label=bar)
        above.contour(SCALES, range(LAGS + 1), values, levels=[-1, 1], colors=theme.ink, linewidths=1.2, linestyles="-")
        above.text(0.04, 0.93, "vanishes", transform=above.transAxes, color=theme.paper, va="top")
        above.text(0.96, 0.93, "explodes", transform=above.transAxes, color=theme.paper, va="top", ha="right")
        plots.label(above, "", "lag k (steps back)" if column == 0 else "", f"{name}: gradient over k steps")
        below.axhline(0, color=theme.ink, linewidth=1)
        below.plot(SCALES, saturated, label="share of units saturated")
        below.plot(SCALES, exponents, label="Lyapunov exponent (nats per step)")
        below.set_xscale("log", base=2)
        below.set_ylim(-1.1, 1.3)
        plots.label(below, "weight scale s,  W$_{hh}$ ~ N(0, s/n)", "share; nats per step" if column == 0 else "")
        # An exponent above 0 means chaos: nearby states diverge.
        below.axhspan(0, 1.3, color=theme.faint, alpha=0.25, linewidth=0)
        below.text(SCALES[1], 1.2, "exponent above 0: chaos", va="top", color=theme.ink)
        if column == 0:
            below.legend(loc="lower right")
