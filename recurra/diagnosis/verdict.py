"""From a layer's numbers to a sentence and what to change."""

from __future__ import annotations

import math

from recurra.cells import Cell, Elman
from recurra.diagnosis import thresholds
from recurra.diagnosis.context import Context
from recurra.diagnosis.findings import Measures, Verdict


def judge(measures: Measures, cell: Cell, *, has_bias: bool = True, context: Context | None = None) -> Verdict:
    """The verdict on a layer, by `thresholds`.

    Args:
        measures: the layer's numbers.
        cell: its cell, which decides what can be changed.
        has_bias: whether the layer has biases, among them that of a forget gate.
        context: how much context the network makes use of, where that is known.
    """
    kind = _kind(measures)
    sentences = [_gradient_sentence(kind, measures, cell), *_remarks(measures)]
    advice = [
        *_needed(kind, measures, context),
        *_ADVICE.get(kind, _none)(measures, cell, has_bias),
        *_remedies(measures),
    ]
    return Verdict(kind, " ".join(sentences), tuple(advice))


def _kind(measures: Measures) -> str:
    if measures.broken_from is not None or not all(map(math.isfinite, measures.gradient)):
        return "not finite"
    if not measures.left:
        return "silent"
    if measures.horizon < thresholds.SHORTEST:
        return "too short"
    left = measures.left[measures.horizon]
    if left > 1 / thresholds.KEPT:
        return "explodes"
    if left >= thresholds.KEPT:
        return "keeps"
    return "fades" if left >= thresholds.VANISHED else "vanishes"


def _gradient_sentence(kind: str, measures: Measures, cell: Cell) -> str:
    if kind == "not finite":
        return _broken(measures)
    if kind == "silent":
        return "no gradient of the loss reaches this layer: it cannot learn."
    if kind == "too short":
        return f"the batch has lags up to {measures.horizon} only, too short to tell: give {thresholds.SHORTEST} steps."
    lag = measures.horizon
    if kind == "vanishes":
        # The lag that a person can picture, not the far end where a share of 1e-12 is left.
        lag = min(lag, next((told for told in (5, 10, 20, 50) if told >= (measures.memory or 0)), lag))
    left, rate = measures.left[lag], f"{measures.rate:.3g} a step"
    if kind == "explodes":
        return f"gradients explode: over {lag} steps they grow {left:.3g} times ({rate})."
    verb = {"vanishes": "gradients vanish:", "fades": "gradients fade:", "keeps": "gradients are kept:"}[kind]
    return f"{verb} after {lag} steps {share(left)} is left ({rate}{_keeping(measures, cell)})."


def _keeping(measures: Measures, cell: Cell) -> str:
    """How open the gates are that keep the state, where the cell shows such."""
    keeping = (use for use in measures.gates if cell.memory.get(use.gate, 0) > 0)
    return "".join(f"; {use.gate} is {use.mean:.2f} on average" for use in keeping)


def _broken(measures: Measures) -> str:
    if measures.broken_from is not None:
        before = f"; until then |h| grows {measures.growth:.3g} times a step" if measures.growth > 1.01 else ""
        return f"the state is not finite from step {measures.broken_from + 1} on{before}."
    lag = next(lag for lag, norm in enumerate(measures.gradient) if not math.isfinite(norm))
    return f"the state is finite, but the gradient is not from a lag of {lag} steps on."


def _remarks(measures: Measures) -> list[str]:
    """What else is to be seen in the numbers."""
    found = []
    if measures.exponents and measures.exponents[0] > thresholds.CHAOTIC:
        what = "chaotic: nearby states part" if measures.growth < 1.01 else "unstable: nearby states part"
        found.append(f"The dynamics are {what} by {measures.exponents[0]:+.3f} nats a step (Lyapunov exponent).")
    saturated = [f"{use.gate} {use.saturated:.0%}" for use in measures.gates if use.saturated > thresholds.MOSTLY]
    stuck = [f"{use.gate} {use.stuck:.0%}" for use in measures.gates if use.stuck > thresholds.REMARKABLE]
    if saturated:
        found.append(f"Saturated most of the time: {', '.join(saturated)}.")
    if stuck:
        found.append(f"Units stuck at one end: {', '.join(stuck)}.")
    if measures.dead > thresholds.REMARKABLE:
        found.append(f"{measures.dead:.0%} of the units are dead: their h is always 0.")
    return found


def _needed(kind: str, measures: Measures, context: Context | None) -> list[str]:
    """Whether a gradient that fades does any harm."""
    if context is None or kind not in ("vanishes", "fades"):
        return []
    if measures.memory is None or context.useful <= measures.memory:
        reach = measures.horizon if measures.memory is None else measures.memory
        return [
            f"It does no harm that can be measured here: {context.useful} steps of context are all that the loss gains "
            f"from, and the gradient reaches back {reach}."
        ]
    return [f"The loss gains from {context.useful} steps of context, more than the gradient reaches back."]


def _remedies(measures: Measures) -> list[str]:
    """What to do about saturated and dead units."""
    found = []
    if any(use.saturated > thresholds.MOSTLY and use.gate == "h" for use in measures.gates):
        found.append("Units that saturate pass no gradient: smaller weights, or layer_norm=True.")
    if measures.dead > thresholds.REMARKABLE:
        found.append("For dead units: a lower learning rate, or an activation without a flat side (elu, gelu).")
    return found


def share(value: float) -> str:
    """A share in per cent with two digits, such as 0.37 %."""
    percent = 100 * value
    return f"{percent:.2g} %" if 1e-3 <= percent < 99.5 else f"{percent:.3g} %"


def _none(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    return []


def _longer(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    """What makes a gradient last."""
    reach = measures.memory
    told = f"Until then a window (update_every, reach_back) of more than {reach} steps gains nothing."
    window = [] if reach is None else [told]
    if cell.memory and has_bias:
        keep = thresholds.KEPT ** (1 / thresholds.HORIZON)
        bias = math.log(keep / (1 - keep))
        told = f"chrono={2 * thresholds.HORIZON}, for dependencies of so many steps, or forget_bias={bias:.1f}"
        return [
            f"To remember longer start with {told} (a tenth is then left after {thresholds.HORIZON} steps).",
            *window,
        ]
    if cell.memory:
        return ["To remember longer give the layer biases (bias=True) and a forget bias.", *window]
    gated = "or a gated cell (lstm, gru)"
    if isinstance(cell, Elman) and cell.activation == "relu":
        return [
            f"Start from W_hh ~ N(0, 2/n) (recurrent='normal', variance=2), identity or orthogonal, {gated}.",
            *window,
        ]
    return [f"Start from orthogonal recurrent weights (recurrent='orthogonal'), {gated}.", *window]


def _smaller(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    """What tames a gradient."""
    critical = "2" if isinstance(cell, Elman) and cell.activation == "relu" else "1"
    return [
        "Clip the gradient's norm (clip=1), which lets training go on but not learn over these lags.",
        f"Start smaller: W_hh ~ N(0, {critical}/n) (recurrent='normal', variance={critical}) or orthogonal.",
        f"A window (reach_back) of {_tenfold(measures)} steps keeps the growth below ten times.",
    ]


def _tenfold(measures: Measures) -> int:
    return next((lag for lag, left in enumerate(measures.left) if left > 1 / thresholds.KEPT), measures.horizon)


def _tame(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    return [
        "Lower the learning rate, warm up, and clip (clip=1).",
        "If it is so before training: smaller or orthogonal recurrent weights, or a bounded activation.",
    ]


def _attach(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    return ["Look for a detach(), an unused output, zeros or saturated units between it and the loss."]


def _lengthen(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    if measures.horizon < thresholds.HORIZON:
        return ["Measured over the batch's length only: a longer one may tell more."]
    return []


_ADVICE = {
    "vanishes": _longer,
    "fades": _longer,
    "keeps": _lengthen,
    "explodes": _smaller,
    "not finite": _tame,
    "silent": _attach,
}
