"""Derivatives that the compiled loops lack: second derivatives, and batches of gradients.

They are computed by the unrolled steps in PyTorch, from the inputs of the forward pass. This code runs only with
`create_graph=True` and a second backward pass, or with batched gradients (`is_grads_batched=True`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell, Norms, State, Weights
from recurra.cells.builtin_code import is_untouched
from recurra.engine.pieces import Pieces
from recurra.engine.request import Masks, Request
from recurra.engine.trace import Signature, Variant
from recurra.engine.trace.signature_cache import is_unchanged
from recurra.engine.unroll import unroll_steps
from recurra.engine.wrappers import input_part
from recurra.errors import RecurraError

Inputs = Mapping[str, Tensor | None]


@dataclass(frozen=True)
class Reference:
    """The function that the loops compute, in operators of PyTorch.

    The tensors have the names of `recurra.engine.cpu.autograd`: "x" or "z", "ih", "hh", "s.h", "p.k", "gain.i", "k.c".
    """

    cell: Cell
    signature: Signature
    """The signature of the cell's step in the forward pass."""
    variant: Variant
    lengths: Tensor | None
    """int64 (B,), of the pieces if there are any."""
    reverse: bool
    pieces: Pieces | None = None

    def outputs(self, operands: Inputs) -> tuple[Tensor, ...]:
        """Y (T, B, size of h) before a projection of the output, the last states, and the returned gates.

        Raises:
            RecurraError: the step has changed since the forward pass.
        """
        request = self._request(operands if self.pieces is None else self._of_pieces(operands, self.pieces))
        self._check(request.weights.hh.dtype)
        z = operands.get("z")
        if z is None:
            x = request.x if self.lengths is None else request.x.masked_fill(~request.present, 0)
            z = input_part(self.cell, request.weights, x)  # (T, B, G·H)
        result = unroll_steps(request, self.signature.outline.formula, z)
        if self.pieces is None:
            return (result.y, *result.state, *(result.kept or ()))
        y, *gates = (_of_batch(tensor, self.pieces) for tensor in (result.y, *(result.kept or ())))
        return (y, *result.state, *gates)

    def _check(self, dtype: torch.dtype) -> None:
        kind = type(self.cell)
        if not is_untouched(kind) and not is_unchanged(self.cell, self.variant.hidden, dtype, self.signature):
            raise RecurraError(
                f"{kind.__name__}: its step has changed since the forward pass, whose second derivative is computed "
                "now. Change it after the last backward()"
            )

    def _request(self, operands: Inputs) -> Request:
        def tensor(name: str) -> Tensor:
            present = operands[name]
            assert present is not None
            return present

        cell, variant = self.cell, self.variant
        norms, b_hh = None, operands["b_hh"]
        if variant.normalised:
            pairs = [
                (tensor(f"gain.state.{name}"), tensor(f"shift.state.{name}"))
                for name in self.signature.outline.formula.normalised
            ]
            # The gains are one operand per gate in the loops, and stacked, (R·H,), in `Norms`.
            gains = torch.cat([tensor("hh").new_empty(0), *(tensor(f"gain.{gate}") for gate in cell.recurrent)])
            norms = Norms(gains, gains, tuple(pairs))  # z is normalised already, so that the first gains are not read
            shifts = [tensor(f"shift.{gate}") for gate in cell.recurrent if f"shift.{gate}" in operands]
            b_hh = torch.cat(shifts) if shifts else None
        x = tensor("z" if variant.normalised else "x")
        vectors = tuple(tensor(f"p.{name}") for name in cell.vectors)
        # With z the matrix of the input is not read, but its number of rows is: it has a row per unit and gate.
        ih = x[0, 0, :, None] if variant.normalised else tensor("ih")
        weights = Weights(ih, tensor("hh"), operands.get("b_ih"), b_hh, operands["hr"], vectors, norms)
        state = State(**{name: tensor(f"s.{name}") for name in cell.states})
        masks = Masks(operands.get("m.h"), self._zoneout(operands))
        return Request(cell, x, state, weights, self.lengths, self.reverse, masks, variant.shown)

    def _of_pieces(self, operands: Inputs, pieces: Pieces) -> Inputs:
        """The operands with the pieces as a padded batch: tensors with steps, (T, B, size), as (steps, N, size)."""
        (T, B), steps = pieces.shape, torch.arange(len(pieces.active), device="cpu")[:, None]
        places = (pieces.start + steps.minimum(pieces.length - 1)) * B + pieces.row  # (steps, N)

        def padded(tensor: Tensor | None) -> Tensor | None:
            if tensor is None or tensor.dim() != 3:
                return tensor
            return tensor.reshape(T * B, -1).index_select(0, places.flatten()).view(*places.shape, -1)

        return {name: padded(tensor) for name, tensor in operands.items()}

    def _zoneout(self, operands: Inputs) -> tuple[Tensor | None, ...]:
        masks = (operands.get(f"k.{name}") for name in self.cell.states)
        shaped = tuple(k if k is None or k.dim() == 3 else k[None, None] for k in masks)  # (T, B, size) or (1, 1, size)
        return shaped if self.variant.zoned else ()


def _of_batch(tensor: Tensor, pieces: Pieces) -> Tensor:
    """A tensor (T, B, size) of one of padded pieces (steps, N, size)."""
    has_step = torch.arange(len(pieces.active), device="cpu")[:, None] < pieces.length  # (steps, N)
    batch = tensor.new_zeros(pieces.shape[0] * pieces.shape[1], tensor.shape[-1])
    return batch.index_copy(0, pieces.places(), tensor[has_step]).view(*pieces.shape, -1)


def reference_gradients(
    reference: Reference,
    operands: Inputs,
    incoming: Sequence[Tensor | None],
    requires_grad: Mapping[str, bool],
    *,
    create_graph: bool = False,
) -> dict[str, Tensor | None]:
    """The gradients of the inputs of the loops, computed by the unrolled steps.

    Args:
        reference: the function.
        operands: the inputs.
        incoming: the derivative of the loss by each output; None if it is 0.
        requires_grad: whether each input needs a gradient.
        create_graph: whether autograd can differentiate the gradients by `operands` and `incoming`.
    """
    with torch.enable_grad():
        # Aliases: one tensor may be two inputs, each with its own gradient.
        inputs = {name: _alias(tensor, create_graph, requires_grad[name]) for name, tensor in operands.items()}
        outputs = zip(reference.outputs(inputs), incoming, strict=True)
        # torch.autograd.grad refuses outputs without a graph.
        reached = [(output, gradient) for output, gradient in outputs if gradient is not None and output.requires_grad]
        names = [name for name in operands if requires_grad[name]]
        if not reached or not names:
            return dict.fromkeys(names)
        gradients = torch.autograd.grad(
            [output for output, _ in reached],
            [_needed(inputs[name]) for name in names],
            [gradient for _, gradient in reached],
            create_graph=create_graph,
            allow_unused=True,
        )
    return dict(zip(names, gradients, strict=True))


def differentiable(
    reference: Reference,
    operands: Inputs,
    incoming: Sequence[Tensor | None],
    requires_grad: Mapping[str, bool],
    gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients that the loops computed, differentiable by `operands` and `incoming`."""
    call = _Call(reference, tuple(operands), dict(requires_grad), tuple(gradients))
    return list(_Gradients.apply(call, *operands.values(), *incoming))


@dataclass(frozen=True)
class _Call:
    """The arguments of `_Gradients` that are not differentiated."""

    reference: Reference
    names: tuple[str, ...]
    requires_grad: dict[str, bool]
    gradients: tuple[Tensor | None, ...]
    """In the order of `names`, as the loops computed them."""


class _Gradients(torch.autograd.Function):
    """Returns gradients unchanged; their derivatives are computed in its backward pass."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradients; the tensors are the inputs of the loops and the derivatives by their outputs."""
        ctx.reference, ctx.names, ctx.needs_gradient = call.reference, call.names, call.requires_grad
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return call.gradients

    @staticmethod
    def backward(ctx: Any, *directions: Tensor | None) -> tuple[Any, ...]:
        """The derivatives of the gradients by the inputs and derivatives, times a direction for each gradient."""
        names, create_graph, needed = ctx.names, torch.is_grad_enabled(), ctx.needs_input_grad[1:]
        with torch.enable_grad():
            tensors = [_alias(t, create_graph, need) for t, need in zip(ctx.saved_tensors, needed, strict=True)]
            operands = dict(zip(names, tensors, strict=False))
            first = reference_gradients(
                ctx.reference, operands, tensors[len(names) :], ctx.needs_gradient, create_graph=True
            )
            pairs = zip((first.get(name) for name in names), directions, strict=True)
            reached = [(g, v) for g, v in pairs if g is not None and v is not None and g.requires_grad]
            positions = [position for position, need in enumerate(needed) if need]
            second: Sequence[Tensor | None] = [None] * len(positions)
            if reached:
                second = torch.autograd.grad(
                    [gradient for gradient, _ in reached],
                    [_needed(tensors[position]) for position in positions],
                    [direction for _, direction in reached],
                    create_graph=create_graph,
                    allow_unused=True,
                )
        results: list[Tensor | None] = [None] * len(tensors)
        for position, gradient in zip(positions, second, strict=True):
            results[position] = gradient
        return (None, *results)


def _alias(tensor: Tensor | None, in_graph: bool, needed: bool) -> Tensor | None:
    """A new tensor of the same numbers: with their graph, or as a leaf of another graph."""
    if tensor is None:
        return None
    return tensor.view_as(tensor) if in_graph else tensor.detach().requires_grad_(needed)


def _needed(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor
