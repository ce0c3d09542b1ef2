"""Where the loss reads a sequence, so that the loss at one time can be told from the loss at others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.diagnosis.watch import Sequence
from recurra.errors import InputError

Pull = tuple[list[Tensor], list[Tensor]]
"""Tensors of the graph, and the gradient that each is to be pulled by."""


@dataclass(frozen=True)
class StepLosses:
    """Losses that came one a step: the loss at t is what it says."""

    losses: Tensor
    """(T, B)."""

    def pull(self, times: Tensor) -> Pull:
        """The loss of each row at its own time, `times` (B,)."""
        return [self.losses], [_one_hot(times, self.losses)]


@dataclass(frozen=True)
class Parts:
    """One number for all: the loss at t is what reaches it through that which a recurrent module hands on at t.

    To first order that is the loss at t itself wherever the network above reads step by step.
    """

    emitted: list[Tensor]
    """(T, B, features) of each call, one after the other."""
    gradients: list[Tensor]
    """Of the loss with respect to them."""
    ends: list[Tensor]
    """The last states that the module handed out, and the loss may have read."""
    end_gradients: list[Tensor]
    at_end: Tensor
    """The time at which each row's state was handed out, (B,)."""

    def pull(self, times: Tensor) -> Pull:
        """What the loss reads of each row at its own time, `times` (B,)."""
        chosen, start = list[Tensor](), 0
        for gradient in self.gradients:
            chosen.append(gradient * _one_hot(times - start, gradient[..., 0])[..., None])
            start += len(gradient)
        last = (times == self.at_end)[:, None]  # (B, 1)
        return [*self.emitted, *self.ends], [*chosen, *(gradient * last for gradient in self.end_gradients)]


Reading = StepLosses | Parts


def read(loss: Tensor, sequence: Sequence, *, reverse: bool) -> Reading:
    """How a loss reads one sequence.

    Args:
        loss: (T, B), or (B, T), or any other shape, whose sum counts.
        sequence: of a recurrent module.
        reverse: whether the layers that run from the end are asked about: their state ends at time 0.
    """
    by_step = losses_by_step(loss, sequence)
    if by_step is not None:
        return StepLosses(by_step)
    inputs = [*sequence.emitted, *sequence.ends]
    found = torch.autograd.grad(loss.sum(), inputs, retain_graph=True, allow_unused=True)
    gradients = [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found, strict=True)]
    count = len(sequence.emitted)
    present = sequence.trajectories[0].present
    at_end = torch.zeros_like(present[0], dtype=torch.long) if reverse else present.sum(0) - 1
    return Parts(sequence.emitted, gradients[:count], sequence.ends, gradients[count:], at_end)


def losses_by_step(loss: Tensor, sequence: Sequence) -> Tensor | None:
    """The losses as (T, B) where there is one a step and row of the sequence; None where not."""
    shape = sequence.length, sequence.trajectories[0].rows
    if sequence.batch_first and tuple(loss.shape) == shape[::-1]:
        return loss.transpose(0, 1)
    if tuple(loss.shape) == shape:
        return loss
    return loss.transpose(0, 1) if tuple(loss.shape) == shape[::-1] else None


def check_loss(loss: object, output_of: str) -> Tensor:
    """The loss must be a tensor that depends on the network.

    Raises:
        InputError: it is something else, or was computed without gradients.
    """
    if not isinstance(loss, Tensor) or not loss.is_floating_point():
        got = loss.dtype if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(f"diagnose: the loss of {output_of} is {got}, expected a floating-point tensor")
    if not loss.requires_grad:
        raise InputError(
            f"diagnose: the loss of {output_of} has no gradient. Is there a no_grad() or a detach() between the "
            "recurrent layers and the loss?"
        )
    return loss


def _one_hot(times: Tensor, like: Tensor) -> Tensor:
    """1 where a row's time is, (T, B), in the dtype of `like` (T, B)."""
    steps = torch.arange(len(like), device=like.device)
    return (steps[:, None] == times[None]).to(like.dtype)
