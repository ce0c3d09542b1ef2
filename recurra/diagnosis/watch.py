"""A network's recurrent layers caught at work: what each was given, came to and handed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from operator import is_
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.diagnosis.patching import substituted
from recurra.diagnosis.shadow import SINGLE_STEPS, forward, shadow
from recurra.diagnosis.trajectory import Trajectory, record
from recurra.engine import Request, Result
from recurra.layers.sequences import to_padded
from recurra.training.carried_state import tensors


@dataclass
class Sequence:
    """One recurrent module taken along one sequence, in one call or in several that hand the state on."""

    name: str
    module: nn.Module
    trajectories: list[Trajectory] = field(default_factory=list)
    """One a layer and direction."""
    emitted: list[Tensor] = field(default_factory=list)
    """What the rest of the network reads, (T, B, features) of each call; empty for modules of single steps, which emit
    the very tensor that they carry on."""
    ends: list[Tensor] = field(default_factory=list)
    """The states that the last call handed out."""

    @property
    def length(self) -> int:
        """T."""
        return len(self.trajectories[0].steps)

    @property
    def batch_first(self) -> bool:
        """Whether the module has (B, T, features)."""
        return bool(getattr(self.module, "batch_first", False))


@contextmanager
def watched(network: nn.Module) -> Iterator[list[Sequence]]:
    """Collects the sequences that the network's recurrent modules are taken along inside.

    Their layers run step by step on the reference meanwhile, with gradients.
    """
    seen: list[Sequence] = []

    def substitute(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sequence = _continued(seen, module, args, kwargs)
        if sequence is None:
            calls = sum(one.module is module for one in seen)
            sequence = Sequence(name if not calls else f"{name}, call {calls + 1}", module)
            seen.append(sequence)
        return _recorded(sequence, args, kwargs)

    with substituted(network, substitute):
        yield seen


def _recorded(sequence: Sequence, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs the module step by step, adds to the sequence, and returns what the module returns."""
    module, places = sequence.module, count()

    def run_layer(request: Request) -> Result:
        result, steps = record(request)
        place = next(places)
        if place == len(sequence.trajectories):
            sequence.trajectories.append(Trajectory("", request.cell, request.reverse))
        sequence.trajectories[place].steps += steps
        return result

    output = forward(shadow(module, run_layer), args, kwargs)
    _name(sequence)
    if isinstance(module, SINGLE_STEPS):
        sequence.ends = list(tensors(output))
        return output
    y, last, *more = output
    sequence.ends = list(tensors(last))
    return (_emitted(sequence, y), last, *more)


def _emitted(sequence: Sequence, y: Tensor | PackedSequence) -> Any:
    """Y itself, by way of a tensor (T, B, features) that is kept."""
    features = (y.data if isinstance(y, PackedSequence) else y).shape[-1]
    padded = to_padded(sequence.name, y, None, input_size=features, batch_first=sequence.batch_first)
    sequence.emitted.append(padded.x)
    return padded.restore_packed(padded.x)


def _continued(
    seen: list[Sequence], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Sequence | None:
    """The sequence whose end is the state that the module is given now."""
    given = kwargs.get("hx", kwargs.get("state", args[1] if len(args) > 1 else None))
    start = list(tensors(given))
    for sequence in seen:
        same = len(start) == len(sequence.ends) and all(map(is_, start, sequence.ends))
        if start and sequence.module is module and same:
            return sequence
    return None


def _name(sequence: Sequence) -> None:
    """Names layers and directions, where there are several."""
    directions = 1 + any(one.reverse for one in sequence.trajectories)
    for place, trajectory in enumerate(sequence.trajectories):
        layer = f" layer {place // directions + 1}" if len(sequence.trajectories) > directions else ""
        trajectory.name = sequence.name + layer + (" reverse" if trajectory.reverse else "")
