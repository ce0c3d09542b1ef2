"""Divides a loss into its parts at each time step of a sequence, so that each can be differentiated separately."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.diagnosis.recording import RecordedSequence
from recurra.errors import InputError

OutputGradients = tuple[list[Tensor], list[Tensor]]
"""Tensors of the graph, and the gradients to start backpropagation from (`grad_outputs` of `torch.autograd.grad`)."""


@dataclass(frozen=True)
class PerStepLosses:
    """Losses that are given per step: the loss at t is entry t."""

    losses: Tensor
    """(T, B)."""

    def at(self, times: Tensor) -> OutputGradients:
        """Selects the loss of each row at its own time, `times` (B,)."""
        return [self.losses], [_one_hot(times, self.losses)]


@dataclass(frozen=True)
class LossGradients:
    """A single loss: the loss at t is its part that depends on the output of a recurrent module at t.

    To first order this is the loss at t itself if the network above the module works step by step.
    """

    outputs: list[Tensor]
    """(T, B, features) of each call, in order."""
    gradients: list[Tensor]
    """Gradients of the loss with respect to the outputs."""
    ends: list[Tensor]
    """The final states that the module returned, on which the loss may depend."""
    end_gradients: list[Tensor]
    """Gradients of the loss with respect to the final states."""
    at_end: Tensor
    """The time of each row's final state, (B,)."""

    def at(self, times: Tensor) -> OutputGradients:
        """Selects the part of the loss of each row at its own time, `times` (B,)."""
        chosen, start = list[Tensor](), 0
        for gradient in self.gradients:
            chosen.append(gradient * _one_hot(times - start, gradient[..., 0])[..., None])
            start += len(gradient)
        last = (times == self.at_end)[:, None]  # (B, 1)
        return [*self.outputs, *self.ends], [*chosen, *(gradient * last for gradient in self.end_gradients)]


LossByTime = PerStepLosses | LossGradients


def loss_by_time(loss: Tensor, sequence: RecordedSequence, *, reverse: bool) -> LossByTime:
    """Divides a loss by the time steps of a sequence.

    Args:
        loss: (T, B) or (B, T), losses per step; or any other shape, whose sum is used.
        sequence: the recorded sequence of a recurrent module.
        reverse: whether it is for layers that run backward in time, whose final state is at time 0.
    """
    by_step = losses_by_step(loss, sequence)
    if by_step is not None:
        return PerStepLosses(by_step)
    inputs = [*sequence.outputs, *sequence.ends]
    by_input = torch.autograd.grad(loss.sum(), inputs, retain_graph=True, allow_unused=True)
    gradients = [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, by_input, strict=True)]
    count = len(sequence.outputs)
    present = sequence.trajectories[0].present
    at_end = torch.zeros_like(present[0], dtype=torch.long) if reverse else present.sum(0) - 1
    return LossGradients(sequence.outputs, gradients[:count], sequence.ends, gradients[count:], at_end)


def losses_by_step(loss: Tensor, sequence: RecordedSequence) -> Tensor | None:
    """Returns the losses as (T, B) if there is one per step and row of the sequence, else None."""
    shape = sequence.length, sequence.trajectories[0].rows
    if sequence.batch_first and tuple(loss.shape) == shape[::-1]:
        return loss.transpose(0, 1)
    if tuple(loss.shape) == shape:
        return loss
    return loss.transpose(0, 1) if tuple(loss.shape) == shape[::-1] else None


def check_loss(loss: object, output_of: str) -> Tensor:
    """Checks that the loss is a tensor that depends on the network, and returns it.

    Raises:
        InputError: it is not a floating-point tensor, or was computed without gradients.
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
    """Returns 1 at each row's time, else 0, (T, B), in the dtype of `like` (T, B)."""
    steps = torch.arange(len(like), device=like.device)
    return (steps[:, None] == times[None]).to(like.dtype)
