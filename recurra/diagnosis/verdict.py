"""Converts the measurements of a layer to a verdict and advice."""

from __future__ import annotations

import math

from recurra.cells import Cell, Elman
from recurra.diagnosis import thresholds
from recurra.diagnosis.context import Context
from recurra.diagnosis.results import Measures, Verdict


def judge(measures: Measures, cell: Cell, *, has_bias: bool = True, context: Context | None = None) -> Verdict:
    """Returns the verdict on a layer, by `thresholds`.

    Args:
        measures: the layer's measurements.
        cell: the layer's cell, on which the advice depends.
        has_bias: whether the layer has biases, as a forget bias needs.
        context: the useful context of the network, if known.
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
        return (
            f"the batch has lags up to {measures.horizon} only, too short for a verdict: use more than "
            f"{thresholds.SHORTEST} steps."
        )
    lag = measures.horizon
    if kind == "vanishes":
        # A short lag near the memory says more than the horizon, where a share of 1e-12 is left.
        lag = min(lag, next((short for short in (5, 10, 20, 50) if short >= (measures.memory or 0)), lag))
    left, rate = measures.left[lag], f"{measures.rate:.3g} per step"
    if kind == "explodes":
        return f"gradients explode: over {lag} steps they grow by a factor of {left:.3g} ({rate})."
    verb = {"vanishes": "gradients vanish:", "fades": "gradients fade:", "keeps": "gradients are kept:"}[kind]
    return f"{verb} after {lag} steps {share(left)} is left ({rate}{_keeping(measures, cell)})."


def _keeping(measures: Measures, cell: Cell) -> str:
    """The mean of the gates that keep the state, if the cell returns such gates."""
    keeping = (use for use in measures.gates if cell.memory.get(use.gate, 0) > 0)
    return "".join(f"; {use.gate} is {use.mean:.2f} on average" for use in keeping)


def _broken(measures: Measures) -> str:
    if measures.broken_from is not None:
        before = f"; before that |h| grows by {measures.growth:.3g} per step" if measures.growth > 1.01 else ""
        return f"the state is not finite from step {measures.broken_from + 1} on{before}."
    lag = next(lag for lag, norm in enumerate(measures.gradient) if not math.isfinite(norm))
    return f"the state is finite, but the gradient is not finite from lag {lag} on."


def _remarks(measures: Measures) -> list[str]:
    """Further remarks on the measurements."""
    remarks = []
    if measures.exponents and measures.exponents[0] > thresholds.CHAOTIC:
        kind = "chaotic" if measures.growth < 1.01 else "unstable"
        remarks.append(
            f"The dynamics are {kind}: nearby states diverge by {measures.exponents[0]:+.3f} nats per step (Lyapunov "
            "exponent)."
        )
    saturated = [f"{use.gate} {use.saturated:.0%}" for use in measures.gates if use.saturated > thresholds.MOSTLY]
    stuck = [f"{use.gate} {use.stuck:.0%}" for use in measures.gates if use.stuck > thresholds.REMARKABLE]
    if saturated:
        remarks.append(f"Saturated most of the time: {', '.join(saturated)}.")
    if stuck:
        remarks.append(f"Units stuck at one end: {', '.join(stuck)}.")
    if measures.dead > thresholds.REMARKABLE:
        remarks.append(f"{measures.dead:.0%} of the units are dead: their h is always 0.")
    return remarks


def _needed(kind: str, measures: Measures, context: Context | None) -> list[str]:
    """Whether a fading gradient costs anything, by the useful context."""
    if context is None or kind not in ("vanishes", "fades"):
        return []
    if measures.memory is None or context.useful <= measures.memory:
        reach = measures.horizon if measures.memory is None else measures.memory
        return [
            f"This has no measurable cost here: the loss improves with up to {context.useful} steps of context, and "
            f"the gradient reaches back {reach} steps."
        ]
    return [f"The loss improves with up to {context.useful} steps of context, more than the gradient reaches back."]


def _remedies(measures: Measures) -> list[str]:
    """Advice on saturated and dead units."""
    remedies = []
    if any(use.saturated > thresholds.MOSTLY and use.gate == "h" for use in measures.gates):
        remedies.append("Saturated units pass no gradient: use smaller weights or layer_norm=True.")
    if measures.dead > thresholds.REMARKABLE:
        remedies.append("For dead units: use a lower learning rate, or an activation without a flat side (elu, gelu).")
    return remedies


def share(value: float) -> str:
    """Formats a share in per cent with two digits, such as 0.37 %."""
    percent = 100 * value
    return f"{percent:.2g} %" if 1e-3 <= percent < 99.5 else f"{percent:.3g} %"


def _none(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    return []


def _longer(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    """Advice for gradients that vanish or fade."""
    reach = measures.memory
    limit = f"Without such a change a window (update_every, reach_back) of more than {reach} steps has no benefit."
    window = [] if reach is None else [limit]
    if cell.memory and has_bias:
        # The forget gate f with f^HORIZON = KEPT, and its bias: σ(b) = f.
        keep = thresholds.KEPT ** (1 / thresholds.HORIZON)
        bias = math.log(keep / (1 - keep))
        steps = 2 * thresholds.HORIZON
        return [
            f"For a longer memory initialise with chrono={steps}, for dependencies of {steps} steps, or "
            f"forget_bias={bias:.1f} (a tenth is then left after {thresholds.HORIZON} steps).",
            *window,
        ]
    if cell.memory:
        return ["For a longer memory give the layer biases (bias=True) and a forget bias.", *window]
    gated = "or use a gated cell (lstm, gru)"
    if isinstance(cell, Elman) and cell.activation == "relu":
        return [
            f"Initialise W_hh ~ N(0, 2/n) (recurrent='normal', variance=2), as identity or orthogonal, {gated}.",
            *window,
        ]
    return [f"Initialise orthogonal recurrent weights (recurrent='orthogonal'), {gated}.", *window]


def _smaller(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    """Advice for gradients that explode."""
    critical = "2" if isinstance(cell, Elman) and cell.activation == "relu" else "1"
    return [
        "Clip the gradient norm (clip=1); training then continues, but does not learn over these lags.",
        f"Initialise smaller: W_hh ~ N(0, {critical}/n) (recurrent='normal', variance={critical}) or orthogonal.",
        f"A window (reach_back) of {_tenfold(measures)} steps keeps the growth below a factor of ten.",
    ]


def _tenfold(measures: Measures) -> int:
    return next((lag for lag, left in enumerate(measures.left) if left > 1 / thresholds.KEPT), measures.horizon)


def _tame(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    return [
        "Use a lower learning rate, warm-up, and gradient clipping (clip=1).",
        "If this happens before training: use smaller or orthogonal recurrent weights, or a bounded activation.",
    ]


def _attach(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    return ["Look for a detach(), an unused output, zeros or saturated units between the layer and the loss."]


def _lengthen(measures: Measures, cell: Cell, has_bias: bool) -> list[str]:
    if measures.horizon < thresholds.HORIZON:
        return ["This was measured over the length of the batch only: a longer batch may show more."]
    return []


_ADVICE = {
    "vanishes": _longer,
    "fades": _longer,
    "keeps": _lengthen,
    "explodes": _smaller,
    "not finite": _tame,
    "silent": _attach,
}
