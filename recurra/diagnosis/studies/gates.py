"""Gates keep the gradient over a hundred steps for a wide range of weight scales, if the forget gate is open."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.cells import Cell, find_cell
from recurra.diagnosis import plots
from recurra.diagnosis.report import Table
from recurra.diagnosis.studies.study import Setting, StudyResult
from recurra.diagnosis.studies.sweep import NOISE, Networks, gradient_by_lag, is_kept, logarithm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNITS = 64
LAGS = 100
CELLS = {"lstm": "LSTM", "gru": "GRU", "coupled_lstm": "coupled-gate LSTM"}
SCALES = [2 ** (power / 2) for power in range(-8, 17)]
"""s of W_hh ~ N(0, s/n), from 1/16 to 256."""
BIASES = [0.5 * half for half in range(-2, 13)]
"""The forget bias (GRU: the bias of z, the weight of the old state), from -1 to 6."""
SHOWN = (0.0, 1.0, 3.0, 5.0)
"""Biases whose gradient by lag is plotted."""
USUAL = SCALES[5]
"""s = 0.35, at which the gradient by lag is plotted: torch's U(-1/√n, 1/√n) has s = 1/3."""


def gates(setting: Setting) -> StudyResult:
    """Sweeps the scale of W_hh and the forget bias: where does the gradient over 100 steps stay within a factor of ten?

    With c_t = f_t c_{t-1} + i_t g_t the gradient with respect to c_{t-1} is f_t times that with respect to c_t, plus
    the part through the gates. The direct path has no matrix and no slope, so that for small W_hh σ(b)^k is left after
    k steps.
    """
    gradients = {name: _measure(setting, place, name) for place, name in enumerate(CELLS)}  # (biases, P, LAGS + 1)
    sentences = [_describe(name, gradients[name]) for name in CELLS]
    usual = gradients["lstm"][BIASES.index(1.0), SCALES.index(USUAL)]
    kept = float((usual[20] / usual[5]) ** (1 / 15))
    sentences.append(
        f"With weights of the usual scale (s = {USUAL:.2f}) and forget bias 1 an LSTM keeps {kept:.2f} of its "
        f"gradient per step between lags 5 and 20; its forget gate alone keeps σ(1) = {_sigmoid(1):.2f}. "
        f"{float(usual[50]):.1g} is left after 50 steps. The gradient vanishes, but more slowly than without gates."
    )
    rows = [
        [CELLS[name], f"{bias:g}", _range(gradients[name][BIASES.index(bias)])]
        for name in CELLS
        for bias in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    ]
    numbers = {
        "units": UNITS,
        "noise": NOISE,
        "scales": SCALES,
        "forget_biases": BIASES,
        **{
            name: {
                "log10_gradient_after_100_steps": logarithm(values[..., -1]).round(decimals=4).tolist(),
                "within_a_factor_of_ten": is_kept(values).tolist(),
            }
            for name, values in gradients.items()
        },
    }

    def draw(figure: Figure, theme: plots.Theme) -> None:
        _draw(figure, theme, gradients)

    alt = (
        "Above: heat maps of the gradient after 100 steps; with a forget bias of 3 or more each cell keeps it for a "
        "wide range of weight scales. Below: the gradient by lag follows the powers of the forget gate."
    )
    head = ["cell", "forget bias", "s with the gradient within a factor of ten"]
    return StudyResult(sentences, numbers, plots.picture(draw, alt, size=(14, 9)), [Table(head, rows)])


def _measure(setting: Setting, place: int, name: str) -> Tensor:
    """Gradient by lag, (biases, scales, LAGS + 1); the median over draws."""
    cell = find_cell(name)
    draws = []
    for draw in range(1 if setting.quick else 3):
        setting.progress(f"{CELLS[name]}: {len(SCALES)} weight scales × {len(BIASES)} forget biases, draw {draw + 1}")
        draws.append(torch.stack([_row(cell, bias, setting, (place, draw)) for bias in BIASES]))
    return torch.stack(draws).median(0).values


def _row(cell: Cell, bias: float, setting: Setting, numbers: tuple[int, int]) -> Tensor:
    # The same draws for every bias, so that differences between rows are due to the bias.
    generator = setting.generator(*numbers)
    keeps = {gate: bias for gate, sign in cell.memory.items() if sign > 0}
    networks = Networks.drawn(cell, SCALES, UNITS, generator, bias=keeps)
    return gradient_by_lag(networks, networks.settled(60, generator), lags=LAGS, generator=generator)


def _sigmoid(bias: float) -> float:
    return 1 / (1 + math.exp(-bias))


def _describe(name: str, gradients: Tensor) -> str:
    kept = is_kept(gradients)  # (biases, scales)
    best = int(kept.sum(1).argmax())
    return (
        f"{CELLS[name]}: over {LAGS} steps the gradient stays within a factor of ten for s {_range(gradients[best])} "
        f"with forget bias {BIASES[best]:g}, {_words(gradients, 3.0)} with 3, {_words(gradients, 1.0)} with 1 and "
        f"{_words(gradients, 0.0)} with 0."
    )


def _words(gradients: Tensor, bias: float) -> str:
    return _range(gradients[BIASES.index(bias)])


def _range(gradients: Tensor) -> str:
    """The scales of (scales, LAGS + 1) at which the gradient is kept."""
    kept = is_kept(gradients).nonzero()[:, 0]
    if not len(kept):
        return "nowhere"
    low, high = SCALES[int(kept[0])], SCALES[int(kept[-1])]
    if low == high:
        return f"only at {low:.2g}"
    upper = f"{high:.3g}" + (" (the largest tested)" if high == SCALES[-1] else "")
    return f"up to {upper}" if low == SCALES[0] else f"from {low:.2g} to {upper}"


def _draw(figure: Figure, theme: plots.Theme, gradients: dict[str, Tensor]) -> None:
    panels = figure.subplots(2, len(gradients), sharey="row", squeeze=False)
    for column, (name, values) in enumerate(gradients.items()):
        above, below = panels[:, column]
        bar = f"log$_{{10}}$ of the gradient\nafter {LAGS} steps" if column == len(gradients) - 1 else None
        shown = logarithm(values[..., -1])
        plots.heat_map(figure, above, shown, SCALES, BIASES, colours=theme.ratios, limits=(-6, 6), scale_label=bar)
        kept = is_kept(values).double()
        above.contour(SCALES, BIASES, kept, levels=[0.5], colors=theme.ink, linewidths=2, linestyles="-")
        above.set_xscale("log", base=2)
        plots.label(above, "weight scale s", "forget bias b" if column == 0 else "", CELLS[name])
        _draw_lags(below, theme, values[:, SCALES.index(USUAL)], first=column == 0)
    panels[0, 1].text(SCALES[1], 5.4, "inside: factor of ten", color=theme.ink)


def _draw_lags(axes: Axes, theme: plots.Theme, gradients: Tensor, *, first: bool) -> None:
    """Plots the gradient by lag at one scale, (biases, LAGS + 1), and the powers of the forget gate alone."""
    lags = range(LAGS + 1)
    for place, bias in enumerate(SHOWN):
        colour, stroke = theme.series[place], plots.STROKES[place]
        axes.plot(lags, gradients[BIASES.index(bias)], color=colour, linestyle=stroke, label=f"b = {bias:g}")
        powers = [_sigmoid(bias) ** lag for lag in lags]
        axes.plot(lags, powers, color=theme.ink, linewidth=1, linestyle="-", alpha=0.7)
    plots.powers_of_ten(axes, 1e-6, 1e3)
    plots.label(axes, f"lag k (steps back), s = {USUAL:.2f}", "gradient (k = 0: 1)" if first else "")
    if first:
        axes.plot([], [], color=theme.ink, linewidth=1, linestyle="-", label="σ(b)$^k$ alone")
        axes.legend(loc="upper left", ncols=2)
