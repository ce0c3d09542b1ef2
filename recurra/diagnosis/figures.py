"""The figures of the diagnosis report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recurra.diagnosis import thresholds
from recurra.diagnosis.context import Context
from recurra.diagnosis.plots import MARKERS, STROKES, Picture, Theme, label, picture, powers_of_ten
from recurra.diagnosis.results import Measures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOWEST = 1e-6  # lower end of the axis, as a share of the gradient at lag 0


def gradient_figure(layers: Sequence[Measures]) -> Picture:
    """The remaining share of the gradient by lag, one line per layer."""
    shown = [layer for layer in layers if layer.left]
    highest = max([1.0, *(value for layer in shown for value in layer.left if math.isfinite(value))])

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        for index, layer in enumerate(shown):
            colour, stroke = theme.series[index % len(theme.series)], STROKES[index % len(STROKES)]
            axes.plot(range(len(layer.left)), layer.left, label=layer.name, color=colour, linestyle=stroke)
        axes.axhline(thresholds.VANISHED, color=theme.faint, linewidth=1.5)
        axes.annotate(
            f"{thresholds.VANISHED:.0%} left", (0.99, thresholds.VANISHED), xycoords=("axes fraction", "data"),
            ha="right", va="center", fontsize=13, bbox={"facecolor": theme.paper, "linewidth": 0, "pad": 2},
        )  # fmt: skip
        powers_of_ten(axes, _LOWEST, 10 ** math.ceil(math.log10(min(highest, 1e12)) + 0.3))
        label(axes, "lag k (steps)", "gradient at lag k / at lag 0")
        axes.set_xlim(0, max([10, *(lag for layer in shown for lag, left in enumerate(layer.left) if left > _LOWEST)]))
        if shown:
            axes.legend(loc="best")

    return picture(draw, "The norm of the gradient of the loss at t with respect to the state at t - k, against k")


def spectrum_figure(layer: Measures) -> Picture:
    """The leading singular values of the product of Jacobians over k steps."""
    steps = list(layer.singular_values)
    ranks = [rank for rank in (0, 1, 3, 7) if rank < len(layer.singular_values[steps[0]])]

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        for index, rank in enumerate(ranks):
            values = [layer.singular_values[k][rank] for k in steps]
            axes.plot(
                steps, values, label=_ORDINALS[rank], color=theme.series[index], marker=MARKERS[index],
                linestyle=STROKES[index],
            )  # fmt: skip
        axes.axhline(1, color=theme.faint, linewidth=1.5)
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [str(k) for k in steps])
        finite = [value for k in steps for value in layer.singular_values[k] if 0 < value < math.inf]
        highest, lowest = max([1.0, *finite]), max(1e-12, min([1.0, *finite]))
        powers_of_ten(axes, 10 ** math.floor(math.log10(lowest) - 0.1), 10 ** math.ceil(math.log10(highest) + 0.1))
        label(axes, "steps k", "singular value of J$_k$ … J$_1$")
        axes.legend(title="singular value", loc="best")

    return picture(draw, f"Singular values of the product of the Jacobians of {layer.name} over k steps, against k")


_ORDINALS = {0: "largest", 1: "2nd", 3: "4th", 7: "8th"}


def gates_figure(layer: Measures) -> Picture:
    """Histograms of the values of each gate, one panel per gate; the saturated ends are shaded."""
    uses = [use for use in layer.gates if use.histogram]
    columns = len(uses) if len(uses) <= 3 else 2
    lines = -(-len(uses) // columns)

    def draw(figure: Figure, theme: Theme) -> None:
        panels = figure.subplots(lines, columns, squeeze=False).flatten()
        for axes in panels[len(uses) :]:
            axes.set_visible(False)
        for index, (axes, use) in enumerate(zip(panels, uses, strict=False)):
            width = (use.highest - use.lowest) / len(use.histogram)
            centres = [use.lowest + width * (bar + 0.5) for bar in range(len(use.histogram))]
            axes.bar(centres, [100 * share for share in use.histogram], 0.92 * width, color=theme.series[0])
            if use.saturated:
                edge = 1 - thresholds.SATURATED
                for start in (use.lowest, use.highest - edge):
                    axes.axvspan(start, start + edge, color=theme.series[1], alpha=0.25, linewidth=0)
            title = f"{use.gate}: {use.saturated:.0%} saturated" if _bounded(use.lowest, use.highest) else use.gate
            label(axes, f"value of {use.gate}", "share of values (%)" if index % columns == 0 else "", title)

    return picture(draw, f"Histograms of the gates of {layer.name}", size=(9.0, 4.0 * lines))


def _bounded(lowest: float, highest: float) -> bool:
    return highest == 1 and lowest in (0, -1)


def context_figure(context: Context) -> Picture:
    """The loss against the number of steps that the state has seen."""

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        axes.plot(context.steps, context.losses, color=theme.series[0], marker=MARKERS[0])
        axes.axvline(context.useful, color=theme.series[1], linestyle=STROKES[1])
        # Next to the line, on the side with more space.
        right = context.useful <= math.sqrt(context.steps[-1])
        axes.annotate(
            f"useful: {context.useful} steps", (context.useful, 0.95), xycoords=("data", "axes fraction"),
            xytext=(8 if right else -8, 0), textcoords="offset points", ha="left" if right else "right", va="top",
        )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(context.steps, [str(steps) for steps in context.steps])
        label(axes, "steps that the state has seen", "mean loss")

    return picture(draw, "The mean loss of the same positions against the number of steps of context")
