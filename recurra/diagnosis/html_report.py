"""A diagnosis as a page: verdicts first, then the figures and numbers that they rest on."""

from __future__ import annotations

from pathlib import Path

from recurra.diagnosis import thresholds
from recurra.diagnosis.context import Context
from recurra.diagnosis.figures import context_figure, gates_figure, gradient_figure, spectrum_figure
from recurra.diagnosis.findings import Layer, Measures, context_in_words
from recurra.diagnosis.report import Block, Section, Table, write_page
from recurra.diagnosis.verdict import share

_LAGS = (1, 2, 5, 10, 20, 50, 100, 200)


def write_account(layers: tuple[Layer, ...], context: Context | None, path: Path, title: str) -> None:
    """Writes the page into a file.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    sections = [Section("Verdict", _verdicts(layers)), Section("Gradients through time", _gradients(layers))]
    if context is not None:
        told = context_in_words(context)
        blocks: list[Block] = [
            f"{told[0].upper()}{told[1:]} The same positions are read again and again, each time with states that "
            "started anew so many steps before.",
            context_figure(context),
        ]
        sections.append(Section("Useful context", blocks))
    sections += [Section(f"Inside {layer.measures.name}", _inside(layer.measures)) for layer in layers]
    write_page(path, title, [*sections, Section("How to read this", _reading())])


def _verdicts(layers: tuple[Layer, ...]) -> list[Block]:
    return [block for layer in layers for block in _verdict(layer)]


def _verdict(layer: Layer) -> list[Block]:
    measures = layer.measures
    told = f"{measures.name} ({measures.cell}, {measures.units} units): {layer.verdict.text}"
    return [told, *(f"→ {one}" for one in layer.verdict.advice)]


def _gradients(layers: tuple[Layer, ...]) -> list[Block]:
    told = [layer.measures for layer in layers if layer.measures.left]
    if not told:
        return ["No gradient reaches any of the layers."]
    longest = max(len(layer.left) for layer in told)
    lags = [lag for lag in _LAGS if lag < longest]
    rows = [
        [
            layer.name,
            *(share(layer.left[lag]) if lag < len(layer.left) else "–" for lag in lags),
            "–" if layer.memory is None else str(layer.memory),
        ]
        for layer in told
    ]
    head = ["layer", *(f"lag {lag}" for lag in lags), "1 % left at"]
    return [
        "The norm of the gradient of the loss at step t with respect to the state at step t − k, as a share of that "
        "at k = 0; the mean over steps t and rows.",
        gradient_figure(told),
        Table(head, rows),
    ]


def _inside(layer: Measures) -> list[Block]:
    blocks: list[Block] = []
    if layer.singular_values:
        exponents = ", ".join(f"{value:+.3f}" for value in layer.exponents)
        blocks += [
            "What the product of the Jacobians of k steps does to a small change of the state: its singular values. "
            f"The leading Lyapunov exponents are {exponents} nats a step.",
            spectrum_figure(layer),
        ]
    if any(use.histogram for use in layer.gates):
        blocks.append("The values of its gates over the batch; the shaded ends count as saturated.")
        blocks.append(gates_figure(layer))
    rows = [
        [use.gate, f"{use.mean:.3f}", f"{use.low:.1%}", f"{use.high:.1%}", f"{use.stuck:.1%}"] for use in layer.gates
    ]
    blocks.append(Table(["gate", "mean", "saturated low", "saturated high", "units stuck"], rows))
    blocks.append(f"{layer.dead:.1%} of its {layer.units} units are dead.")
    return blocks


def _reading() -> list[Block]:
    return [
        f"Gradients vanish where less than {thresholds.VANISHED:.0%} is left at lag {thresholds.HORIZON} (or at the "
        f"longest that the batch has), fade where it is less than {thresholds.KEPT:.0%}, explode where they grow more "
        f"than {1 / thresholds.KEPT:.0f} times, and are kept between. A gate is saturated within the outer tenth of "
        f"its range, a unit stuck where that is so to one side at {thresholds.STUCK:.0%} of all steps, and dead where "
        f"its h is always 0. A Lyapunov exponent above {thresholds.CHAOTIC} is chaos.",
    ]
