"""The HTML report of a diagnosis: verdicts first, then figures and numbers."""

from __future__ import annotations

from pathlib import Path

from recurra.diagnosis import thresholds
from recurra.diagnosis.context import Context
from recurra.diagnosis.figures import context_figure, gates_figure, gradient_figure, spectrum_figure
from recurra.diagnosis.report import Block, Section, Table, write_page
from recurra.diagnosis.results import LayerDiagnosis, Measures, describe_context
from recurra.diagnosis.verdict import share

_LAGS = (1, 2, 5, 10, 20, 50, 100, 200)


def write_html_report(layers: tuple[LayerDiagnosis, ...], context: Context | None, path: Path, title: str) -> None:
    """Writes the report to a file.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    sections = [Section("Verdict", _verdicts(layers)), Section("Gradients through time", _gradients(layers))]
    if context is not None:
        text = describe_context(context)
        blocks: list[Block] = [
            f"{text[0].upper()}{text[1:]} The same positions are evaluated several times, each time with states that "
            "were reset the given number of steps before.",
            context_figure(context),
        ]
        sections.append(Section("Useful context", blocks))
    sections += [Section(f"Inside {layer.measures.name}", _inside(layer.measures)) for layer in layers]
    write_page(path, title, [*sections, Section("How to read this", _explanation())])


def _verdicts(layers: tuple[LayerDiagnosis, ...]) -> list[Block]:
    return [block for layer in layers for block in _verdict(layer)]


def _verdict(layer: LayerDiagnosis) -> list[Block]:
    measures = layer.measures
    text = f"{measures.name} ({measures.cell}, {measures.units} units): {layer.verdict.text}"
    return [text, *(f"→ {advice}" for advice in layer.verdict.advice)]


def _gradients(layers: tuple[LayerDiagnosis, ...]) -> list[Block]:
    measured = [layer.measures for layer in layers if layer.measures.left]
    if not measured:
        return ["No gradient reaches any of the layers."]
    longest = max(len(layer.left) for layer in measured)
    lags = [lag for lag in _LAGS if lag < longest]
    rows = [
        [
            layer.name,
            *(share(layer.left[lag]) if lag < len(layer.left) else "–" for lag in lags),
            "–" if layer.memory is None else str(layer.memory),
        ]
        for layer in measured
    ]
    head = ["layer", *(f"lag {lag}" for lag in lags), "1 % left at"]
    return [
        "The norm of the gradient of the loss at step t with respect to the state at step t − k, as a share of the "
        "norm at k = 0; mean over steps t and rows.",
        gradient_figure(measured),
        Table(head, rows),
    ]


def _inside(layer: Measures) -> list[Block]:
    blocks: list[Block] = []
    if layer.singular_values:
        exponents = ", ".join(f"{value:+.3f}" for value in layer.exponents)
        blocks += [
            "The singular values of the product of the Jacobians of k steps: the factors by which small changes of the "
            f"state grow or shrink. The leading Lyapunov exponents are {exponents} nats per step.",
            spectrum_figure(layer),
        ]
    if any(use.histogram for use in layer.gates):
        blocks.append("The values of its gates over the batch; values in the shaded ends are saturated.")
        blocks.append(gates_figure(layer))
    rows = [
        [use.gate, f"{use.mean:.3f}", f"{use.low:.1%}", f"{use.high:.1%}", f"{use.stuck:.1%}"] for use in layer.gates
    ]
    blocks.append(Table(["gate", "mean", "saturated low", "saturated high", "units stuck"], rows))
    blocks.append(f"{layer.dead:.1%} of its {layer.units} units are dead.")
    return blocks


def _explanation() -> list[Block]:
    return [
        f"Gradients vanish if less than {thresholds.VANISHED:.0%} is left at lag {thresholds.HORIZON} (or at the "
        f"longest lag of the batch), fade if less than {thresholds.KEPT:.0%} is left, explode if they grow by a factor "
        f"of more than {1 / thresholds.KEPT:.0f}, and are kept otherwise. A gate is saturated in the outer tenth of "
        f"its range; a unit is stuck if its gate is saturated at the same end at {thresholds.STUCK:.0%} of all steps, "
        f"and dead if its h is always 0. A Lyapunov exponent above {thresholds.CHAOTIC} means chaos.",
    ]
