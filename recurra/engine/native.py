"""torch.nn's kernels, for requests that they compute exactly: oneDNN or cuDNN for LSTM, ATen's loops for the others.

They serve as an oracle for the other engines, and are faster than the unrolled steps. On a CPU only LSTM without
lengths and without projection has a fused kernel; everything else is a loop of small operators within ATen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import GRU, LSTM, Cell, Elman, State, where
from recurra.cells.builtin_code import is_untouched
from recurra.engine.pieces import Pieces
from recurra.engine.request import Request, Result


def why_not(request: Request) -> str | None:
    """The reason why torch.nn cannot run the request; None if it can."""
    if _kernel(request.cell) is None:
        return f"torch.nn has no kernel for {request.cell}"
    obstacle = _unsupported_option(request) or _unsupported_context(request)
    if obstacle is not None:
        return obstacle
    if request.weights.hr is not None and type(request.cell) is not LSTM:
        return "torch.nn supports a projection only for LSTM"
    if len(request.x) == 0:
        return "torch.nn does not accept sequences of 0 steps"
    if len({tensor.dtype for tensor in (request.x, *request.state, request.weights.hh)}) > 1:
        return "torch.nn needs one dtype for input, state and weights"
    return None


def _unsupported_option(request: Request) -> str | None:
    """A wrapper of the cell that torch's kernels lack."""
    if request.weights.norms is not None:
        return "torch.nn has no layer normalisation inside the cell"
    if request.masks.h is not None:
        return "torch.nn has no recurrent dropout"
    if any(mask is not None for mask in request.masks.zoneout):
        return "torch.nn has no zoneout"
    if request.keep:
        return "torch.nn does not return its gates"
    return None


def _unsupported_context(request: Request) -> str | None:
    """A mode of PyTorch, or a kind of batch, in which torch's kernels do not run."""
    if torch._C._are_functorch_transforms_active():
        return "torch.nn's kernels have no rule for torch.func"
    if request.lengths is not None and torch.compiler.is_compiling():
        return "torch.nn packs rows by the values of lengths, which are unknown in a compiled graph"
    if request.restarts is not None and (torch.compiler.is_compiling() or torch.jit.is_tracing()):  # type: ignore[attr-defined]
        return "torch.nn packs pieces by the values of resets, which are unknown in a compiled graph"
    if request.lengths is not None and len(request.lengths) == 0:
        return "torch.nn cannot pack a batch of 0 rows"
    on_cpu = request.x.device.type == "cpu"
    if type(request.cell) is LSTM and on_cpu and torch.is_autocast_enabled("cpu"):
        return "oneDNN's LSTM does not run under autocast"
    compiling = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if type(request.cell) is LSTM and on_cpu and compiling and torch.is_grad_enabled():
        # If x needs no gradient, AOTAutograd drops the workspace that the kernel's backward pass reads.
        return "oneDNN's LSTM has no backward pass in a compiled graph"
    return None


def native(request: Request) -> Result:
    """Runs the request in torch.nn's kernel; `why_not` must have returned None."""
    kernel, weights = _kernel(request.cell), request.weights
    assert kernel is not None
    parameters = [weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr]
    flat = [tensor for tensor in parameters if tensor is not None]
    start = tuple(tensor[None] for tensor in request.state)  # (1, B, H) each
    hx = start if len(start) > 1 else start[0]
    # cuDNN keeps what the backward pass needs only with training=True; dropout is 0. A trace is checked again without
    # gradients and must not differ then.
    training = torch.is_grad_enabled() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    settings = (weights.b_ih is not None, 1, 0.0, training, False)
    if request.restarts is not None and bool(request.restarts.at.any()):
        return _pieces(request, kernel, flat, settings)
    if request.lengths is None:
        x = request.x.flip(0) if request.reverse else request.x
        y, *last = kernel(x, hx, flat, *settings, False)
        return Result(y.flip(0) if request.reverse else y, _state(request.cell, last))
    return _ragged(request, kernel, flat, settings)


def _ragged(request: Request, kernel: Callable[..., Any], flat: list[Tensor], settings: tuple[Any, ...]) -> Result:
    assert request.lengths is not None
    T, lengths, present = len(request.x), request.lengths.cpu(), request.present
    x = request.x.masked_fill(~present, 0)
    if request.reverse:
        x = _flip(x, request.lengths)
    # Packing needs at least one step per row: an empty row is run on zeros, and its result is discarded below.
    packed = pack_padded_sequence(x, lengths.clamp(min=1), enforce_sorted=False)
    rows, back = packed.sorted_indices, packed.unsorted_indices
    assert rows is not None
    assert back is not None
    start = tuple(tensor[None] for tensor in request.state.select(rows))  # (1, B, H) each
    data, *last = kernel(packed.data, packed.batch_sizes, start if len(start) > 1 else start[0], flat, *settings)
    y, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes, rows, back), total_length=T)  # (T, B, P)
    if request.reverse:
        y = _flip(y, request.lengths)
    state = where(present[0], _state(request.cell, last).select(back), request.state)
    return Result(y.masked_fill(~present, 0), state)


def _pieces(request: Request, kernel: Callable[..., Any], flat: list[Tensor], settings: tuple[Any, ...]) -> Result:
    """Runs the pieces between restarts as rows of a packed batch."""
    pieces, (T, B) = Pieces.of(request), request.x.shape[:2]
    places = pieces.places(backward=request.reverse).to(request.x.device)
    data = request.x.reshape(T * B, -1).index_select(0, places)  # (steps, I)
    start = tuple(tensor[None] for tensor in pieces.states(request))  # (1, N, H) each
    data, *last = kernel(data, pieces.active, start if len(start) > 1 else start[0], flat, *settings)
    y = data.new_zeros(T * B, data.shape[-1]).index_copy(0, places, data)
    return Result(y.view(T, B, -1), pieces.last_states(request, _state(request.cell, last)))


def _flip(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverses each row of x (T, B, …) within its length; the padding stays at the end."""
    steps = torch.arange(len(x), device=x.device)[:, None]  # (T, 1)
    lengths = lengths.to(x.device)  # (B,)
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (T, B)
    return x.gather(0, source[:, :, None].expand_as(x))


def _state(cell: Cell, last: list[Tensor]) -> State:
    return State(**{name: tensor[0] for name, tensor in zip(cell.states, last, strict=True)})  # (B, H) each


def _kernel(cell: Cell) -> Callable[..., Any] | None:
    """The kernel of exactly this cell: a subclass, or a cell whose code was replaced, may have another formula."""
    if not is_untouched(type(cell)) or "step" in cell.__dict__:
        return None
    if type(cell) is LSTM and cell.activation in ("tanh", torch.tanh):
        return torch.lstm
    if type(cell) is GRU and cell.activation in ("tanh", torch.tanh):
        return torch.gru
    if type(cell) is Elman and cell.activation in ("tanh", torch.tanh):
        return torch.rnn_tanh
    if type(cell) is Elman and cell.activation in ("relu", torch.relu):
        return torch.rnn_relu
    return None
