"""Truncated backpropagation through time in a training script of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.errors import InputError
from recurra.training.carried_state import detach


class Window(NamedTuple):
    """What one window of a sequence gave."""

    steps: slice
    """Which steps of the sequence the window holds."""
    y: Any
    """The module's output for them, attached to the graph of this window alone."""
    state: Any
    """The module's state at the window's end, attached likewise; the next window starts from its numbers."""


def truncated(
    module: nn.Module, x: Tensor, state: Any = None, *, window: int, lengths: Tensor | None = None, **keywords: Any
) -> Iterator[Window]:
    """Runs a recurrent module over a sequence in windows, the state carried but cut from the graph between them.

    Take a step of the optimiser for each window, and gradients go back within it (Williams & Peng 1990):

        layer, head = torch.nn.GRU(4, 8), torch.nn.Linear(8, 1)
        optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()])
        x, target = torch.randn(100, 2, 4), torch.randn(100, 2, 1)  # (T, B, features)
        for steps, y, state in truncated(layer, x, window=20):
            loss = torch.nn.functional.mse_loss(head(y), target[steps])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    The last `state` starts the text that follows: `truncated(layer, more, state, window=20)` detaches it itself.

    Args:
        module: called as `module(x, state)`, returns (y, state): a recurra layer, `torch.nn.LSTM` or one's own.
        x: (T, B, …), (B, T, …) where `module.batch_first`, (T, I) for one sequence alone.
        state: what the first window starts from, tensors in any nest of tuples, lists and dicts; None for a fresh one.
        window: steps in each window; the last may be shorter.
        lengths: int64 (B,), the steps of each row, for a module that takes `lengths=`. A row that has ended keeps its
            state. Windows after the longest row's end are left out.
        **keywords: given to every call, such as `masks=layer.draw_masks(B)` for one dropout mask a sequence.

    Yields:
        A `Window` (steps, y, state) for each.

    Raises:
        InputError: a window that is no whole number above 0, a packed sequence, return_gates, lengths that are no
            tensor or for a module of torch.nn, which takes none.
    """
    _check(x, window, lengths, keywords)
    if window < 1:
        raise InputError(f"truncated: window={window} must be 1 step or more")
    # recurra's namesakes of these classes are instances of them too, but take lengths.
    torchs = isinstance(module, nn.RNNBase | nn.RNNCellBase) and "lengths" not in signature(module.forward).parameters
    if lengths is not None and torchs:
        name = type(module).__name__
        raise InputError(f"truncated: torch.nn.{name} takes no lengths. Change it to recurra.{name}, or leave them out")
    return _windows(module, x, state, window, lengths, keywords)


def _check(x: object, window: object, lengths: object, keywords: dict[str, Any]) -> None:
    """What the annotations say already, for those who do not run a type checker."""
    if not isinstance(window, int) or isinstance(window, bool):
        raise InputError(f"truncated: window={window!r} must be a whole number of steps")
    if isinstance(x, PackedSequence):
        raise InputError(
            "truncated: x is a packed sequence, expected a padded tensor and lengths= (pad_packed_sequence)"
        )
    if lengths is not None and not isinstance(lengths, Tensor):
        raise InputError(f"truncated: lengths is a {type(lengths).__name__}, expected an int64 tensor: torch.tensor(…)")
    if keywords.get("return_gates"):
        raise InputError("truncated: return_gates=True: the module must return (y, state). Call it by windows yourself")


def _windows(
    module: nn.Module, x: Tensor, state: Any, window: int, lengths: Tensor | None, keywords: dict[str, Any]
) -> Iterator[Window]:
    axis = 1 if getattr(module, "batch_first", False) and x.dim() > 2 else 0
    total = x.shape[axis] if lengths is None else int(lengths.max())
    for start in range(0, total, window):
        stop = min(start + window, total)
        if lengths is not None:
            keywords = keywords | {"lengths": (lengths - start).clamp(0, stop - start)}
        y, state = module(x.narrow(axis, start, stop - start), detach(state), **keywords)
        yield Window(slice(start, stop), y, state)
