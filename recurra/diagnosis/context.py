"""Useful context: the loss as a function of the number of steps that the state has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from recurra.diagnosis import thresholds
from recurra.diagnosis.loss_by_time import losses_by_step
from recurra.diagnosis.patching import call_network, evaluation_mode, patched_forward
from recurra.diagnosis.recording import RecordedSequence
from recurra.diagnosis.unrolled_copy import STEP_MODULES, call_copy, unrolled_copy
from recurra.engine import Request, Result, run


@dataclass(frozen=True)
class Context:
    """The mean loss of the same positions with increasing context."""

    steps: tuple[int, ...]
    """1, 2, 4, …, and last the mean number of steps before those positions."""
    losses: tuple[float, ...]

    @property
    def useful(self) -> int:
        """The smallest number of steps whose loss is within `thresholds.USEFUL` of the whole gain of the best one."""
        best = min(self.losses)
        enough = best + thresholds.USEFUL * (self.losses[0] - best)
        return next(steps for steps, loss in zip(self.steps, self.losses, strict=True) if loss <= enough)


def useful_context(
    network: nn.Module, batch: Any, loss: Callable[[Any], Tensor], sequences: list[RecordedSequence]
) -> Context | None:
    """Measures the loss against the context of the state, by runs that reset the state of every layer periodically.

    The same positions are compared: each is read with 1, 2, 4, … steps since the last reset, and finally with all steps
    of the batch before it.

    Args:
        network: the network.
        batch: the arguments of its call.
        loss: maps its output to losses, one per step and row.
        sequences: the recorded sequences of the network on this batch.

    Returns:
        None if contexts cannot be compared: there is not one loss per step and row, a layer runs backward in time, or a
        module is called step by step.
    """
    longest = 1 << (sequences[0].length.bit_length() - 1)
    present = sequences[0].trajectories[0].present
    if longest < 16 or not _is_measurable(network, batch, loss, sequences):
        return None
    stride, most = longest // 8, longest // 2
    places = torch.arange(most - 1, sequences[0].length, stride)
    contexts = [1 << power for power in range(most.bit_length())]
    totals = []
    for context in contexts:
        total = torch.zeros((), dtype=torch.float64)
        # With resets at the steps ≡ shift (mod context), a place ≡ shift - 1 has seen exactly `context` steps.
        for shift in {int(place + 1) % context for place in places}:
            losses = _losses(network, batch, loss, sequences[0], every=context, shift=shift)
            total += _sum(losses, places[(places + 1) % context == shift], present)
        totals.append(total)
    totals.append(_sum(_losses(network, batch, loss, sequences[0], every=None, shift=0), places, present))
    number = int(present.cpu()[places].sum())
    if not number:
        return None
    return Context(
        (*contexts, round(float(places.double().mean()) + 1)), tuple(float(total) / number for total in totals)
    )


def _is_measurable(
    network: nn.Module, batch: Any, loss: Callable[[Any], Tensor], sequences: list[RecordedSequence]
) -> bool:
    same_length = all(one.length == sequences[0].length for one in sequences)
    forward_only = not any(trajectory.reverse for one in sequences for trajectory in one.trajectories)
    at_once = all(len(one.outputs) == 1 for one in sequences)
    if not (same_length and forward_only and at_once):
        return False
    with evaluation_mode(network), torch.no_grad():
        return losses_by_step(loss(call_network(network, batch)), sequences[0]) is not None


def _losses(
    network: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor],
    like: RecordedSequence,
    *,
    every: int | None,
    shift: int,
) -> Tensor:
    """The losses (T, B) of a run whose states are reset at the steps ≡ shift (mod every)."""

    def substitute(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert not isinstance(module, STEP_MODULES)
        index = count()

        def run_layer(request: Request) -> Result:
            place = next(index)
            if every is None:
                return run(request, copied.engine)
            fresh = copied.initial_state(request.x.shape[1])[place]
            return _in_pieces(request, fresh, [*range(shift, len(request.x), every)], copied.engine)

        copied = unrolled_copy(module, run_layer)
        return call_copy(copied, args, kwargs)

    with evaluation_mode(network), torch.no_grad(), patched_forward(network, substitute):
        by_step = losses_by_step(loss(call_network(network, batch)), like)
    assert by_step is not None
    return by_step


def _in_pieces(request: Request, fresh: Any, starts: list[int], engine: str) -> Result:
    """Runs the request with the state reset at each of the starts."""
    borders = sorted({0, *starts, len(request.x)})
    results = list[Result]()
    for begin, end in pairwise(borders):
        lengths = None if request.lengths is None else (request.lengths - begin).clamp(0, end - begin)
        state = fresh if begin in starts else request.state
        results.append(run(replace(request, x=request.x[begin:end], state=state, lengths=lengths), engine))
    return Result(torch.cat([result.y for result in results]), results[-1].state, results[-1].kept)


def _sum(losses: Tensor, places: Tensor, present: Tensor) -> Tensor:
    chosen = places.to(losses.device)
    return (losses[chosen].double() * present.to(losses.device)[chosen]).sum().cpu()
