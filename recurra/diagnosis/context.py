"""How much context a network makes use of: the loss by how many steps its state has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from recurra.diagnosis import thresholds
from recurra.diagnosis.patching import call, evaluating, substituted
from recurra.diagnosis.reading import losses_by_step
from recurra.diagnosis.shadow import SINGLE_STEPS, forward, shadow
from recurra.diagnosis.watch import Sequence
from recurra.engine import Request, Result, run


@dataclass(frozen=True)
class Context:
    """The mean loss of the same positions, read with more and more context."""

    steps: tuple[int, ...]
    """1, 2, 4, …, and last the mean number of steps before those positions."""
    losses: tuple[float, ...]

    @property
    def useful(self) -> int:
        """The least number of steps that is as good as any more, but for `thresholds.USEFUL` of the whole gain."""
        best = min(self.losses)
        enough = best + thresholds.USEFUL * (self.losses[0] - best)
        return next(steps for steps, loss in zip(self.steps, self.losses, strict=True) if loss <= enough)


def useful_context(
    network: nn.Module, batch: Any, loss: Callable[[Any], Tensor], sequences: list[Sequence]
) -> Context | None:
    """The loss against the context of the state, by runs in which every layer's state starts anew now and then.

    Positions are compared with themselves: each is read with 1, 2, 4, … steps since the last fresh state, and last with
    all that the batch has before it.

    Args:
        network: examined.
        batch: what it is called with.
        loss: of its output; one a step and row.
        sequences: of the network on this batch.

    Returns:
        None where contexts cannot be told apart: the loss is not one a step and row, a layer runs from the end, or a
        module is called step by step.
    """
    longest = 1 << (sequences[0].length.bit_length() - 1)
    present = sequences[0].trajectories[0].present
    if longest < 16 or not _can(network, batch, loss, sequences):
        return None
    stride, most = longest // 8, longest // 2
    places = torch.arange(most - 1, sequences[0].length, stride)
    contexts = [1 << power for power in range(most.bit_length())]
    found = []
    for context in contexts:
        total = torch.zeros((), dtype=torch.float64)
        for shift in {int(place + 1) % context for place in places}:
            losses = _losses(network, batch, loss, sequences[0], every=context, shift=shift)
            total += _sum(losses, places[(places + 1) % context == shift], present)
        found.append(total)
    found.append(_sum(_losses(network, batch, loss, sequences[0], every=None, shift=0), places, present))
    counted = int(present.cpu()[places].sum())
    if not counted:
        return None
    return Context((*contexts, round(float(places.double().mean()) + 1)), tuple(float(one) / counted for one in found))


def _can(network: nn.Module, batch: Any, loss: Callable[[Any], Tensor], sequences: list[Sequence]) -> bool:
    alike = all(one.length == sequences[0].length for one in sequences)
    forward = not any(trajectory.reverse for one in sequences for trajectory in one.trajectories)
    at_once = all(len(one.emitted) == 1 for one in sequences)
    if not (alike and forward and at_once):
        return False
    with evaluating(network), torch.no_grad():
        return losses_by_step(loss(call(network, batch)), sequences[0]) is not None


def _losses(
    network: nn.Module, batch: Any, loss: Callable[[Any], Tensor], like: Sequence, *, every: int | None, shift: int
) -> Tensor:
    """The losses (T, B) of a run whose states start anew at the steps ≡ shift (mod every)."""

    def substitute(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert not isinstance(module, SINGLE_STEPS)
        index = count()

        def run_layer(request: Request) -> Result:
            place = next(index)
            if every is None:
                return run(request, made.engine)
            fresh = made.initial_state(request.x.shape[1])[place]
            return _in_pieces(request, fresh, [*range(shift, len(request.x), every)], made.engine)

        made = shadow(module, run_layer)
        return forward(made, args, kwargs)

    with evaluating(network), torch.no_grad(), substituted(network, substitute):
        by_step = losses_by_step(loss(call(network, batch)), like)
    assert by_step is not None
    return by_step


def _in_pieces(request: Request, fresh: Any, starts: list[int], engine: str) -> Result:
    """The request with a fresh state at each of the starts."""
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
