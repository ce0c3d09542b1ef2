"""Records the recurrent layers of a network during a forward pass: inputs, states and outputs of each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from operator import is_
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.diagnosis.patching import patched_forward
from recurra.diagnosis.trajectory import Trajectory, record
from recurra.diagnosis.unrolled_copy import STEP_MODULES, call_copy, unrolled_copy
from recurra.engine import Request, Result
from recurra.layers.sequences import to_padded
from recurra.training.carried_state import tensors


@dataclass
class RecordedSequence:
    """One recurrent module on one sequence, in one call or in several calls that pass the state on."""

    name: str
    module: nn.Module
    trajectories: list[Trajectory] = field(default_factory=list)
    """One per layer and direction."""
    outputs: list[Tensor] = field(default_factory=list)
    """The outputs of each call, (T, B, features); empty for single-step modules, whose output is the state itself."""
    ends: list[Tensor] = field(default_factory=list)
    """The states that the last call returned."""

    @property
    def length(self) -> int:
        """T."""
        return len(self.trajectories[0].steps)

    @property
    def batch_first(self) -> bool:
        """Whether the module's layout is (B, T, features)."""
        return bool(getattr(self.module, "batch_first", False))


@contextmanager
def record_sequences(network: nn.Module) -> Iterator[list[RecordedSequence]]:
    """Context that records the sequences of the network's recurrent modules, and yields the list of them.

    Inside, their layers run step by step on the reference engine, with gradients.
    """
    sequences: list[RecordedSequence] = []

    def substitute(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sequence = _continued(sequences, module, args, kwargs)
        if sequence is None:
            calls = sum(one.module is module for one in sequences)
            sequence = RecordedSequence(name if not calls else f"{name}, call {calls + 1}", module)
            sequences.append(sequence)
        return _recorded(sequence, args, kwargs)

    with patched_forward(network, substitute):
        yield sequences


def _recorded(sequence: RecordedSequence, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs the module step by step, adds its steps to the sequence, and returns the module's output."""
    module, places = sequence.module, count()

    def run_layer(request: Request) -> Result:
        result, steps = record(request)
        place = next(places)
        if place == len(sequence.trajectories):
            sequence.trajectories.append(Trajectory("", request.cell, request.reverse))
        sequence.trajectories[place].steps += steps
        return result

    output = call_copy(unrolled_copy(module, run_layer), args, kwargs)
    _name(sequence)
    if isinstance(module, STEP_MODULES):
        sequence.ends = list(tensors(output))
        return output
    y, last, *more = output
    sequence.ends = list(tensors(last))
    return (_record_output(sequence, y), last, *more)


def _record_output(sequence: RecordedSequence, y: Tensor | PackedSequence) -> Any:
    """Returns y, computed from a recorded tensor (T, B, features), so that the loss depends on that tensor."""
    features = (y.data if isinstance(y, PackedSequence) else y).shape[-1]
    padded = to_padded(sequence.name, y, None, input_size=features, batch_first=sequence.batch_first)
    sequence.outputs.append(padded.x)
    return padded.restore_packed(padded.x)


def _continued(
    sequences: list[RecordedSequence], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> RecordedSequence | None:
    """The sequence whose final state is the initial state of this call."""
    state = kwargs.get("hx", kwargs.get("state", args[1] if len(args) > 1 else None))
    start = list(tensors(state))
    for sequence in sequences:
        same = len(start) == len(sequence.ends) and all(map(is_, start, sequence.ends))
        if start and sequence.module is module and same:
            return sequence
    return None


def _name(sequence: RecordedSequence) -> None:
    """Adds layer and direction to the names, if there are several."""
    directions = 1 + any(one.reverse for one in sequence.trajectories)
    for place, trajectory in enumerate(sequence.trajectories):
        layer = f" layer {place // directions + 1}" if len(sequence.trajectories) > directions else ""
        trajectory.name = sequence.name + layer + (" reverse" if trajectory.reverse else "")
