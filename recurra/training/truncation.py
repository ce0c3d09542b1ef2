"""Truncated backpropagation through time for user-defined training scripts."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.errors import InputError
from recurra.training.carried_state import detach


class TruncationWindow(NamedTuple):
    """The output of a module for one window of a sequence."""

    steps: slice
    """The steps of the sequence in the window."""
    y: Any
    """The module's output for these steps, attached to the graph of this window only."""
    state: Any
    """The module's state at the end of the window, attached likewise; the next window starts from a detached copy."""


def truncated(
    module: nn.Module,
    x: Tensor,
    state: Any = None,
    *,
    window: int,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    **keywords: Any,
) -> Iterator[TruncationWindow]:
    """Runs a recurrent module over a sequence in windows; the state is carried from window to window, detached.

    With one optimizer step per window, gradients go back to the start of the window (Williams & Peng 1990):

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
        module: called as `module(x, state)`, returns (y, state): a recurra layer, `torch.nn.LSTM` or a user-defined
            module.
        x: (T, B, …), (B, T, …) if `module.batch_first`, (T, I) for a single sequence.
        state: the initial state, tensors nested in tuples, lists and dicts; None for the module's default.
        window: steps per window; the last window may be shorter.
        lengths: int64 (B,), the steps of each row, for a module that takes `lengths=`. A row that has ended keeps its
            state. Windows after the end of the longest row are left out.
        resets: bool, the steps at which a row starts anew, in the form of x without its features, for a module that
            takes `resets=`; each window gets those of its steps.
        **keywords: passed to every call, such as `masks=layer.draw_masks(B)` for one dropout mask per sequence.

    Yields:
        A `TruncationWindow` (steps, y, state) for each.

    Raises:
        InputError: the window is not a whole number above 0, x is a packed sequence, return_gates is set, or lengths is
            not a tensor or is passed to a module of torch.nn, which takes none; likewise resets.
    """
    _check(x, window, lengths, resets, keywords)
    if window < 1:
        raise InputError(f"truncated: window={window} must be 1 step or more")
    # recurra's classes of the same names are subclasses of these, but take both.
    is_torch = isinstance(module, nn.RNNBase | nn.RNNCellBase)
    for name, argument in (("lengths", lengths), ("resets", resets)):
        if argument is not None and is_torch and name not in signature(module.forward).parameters:
            kind = type(module).__name__
            raise InputError(
                f"truncated: torch.nn.{kind} takes no {name}. Change it to recurra.{kind}, or leave them out"
            )
    return _windows(module, x, state, window, lengths, resets, keywords)


def _check(x: object, window: object, lengths: object, resets: object, keywords: dict[str, Any]) -> None:
    """Checks at run time what the annotations say, for callers without a type checker."""
    if not isinstance(window, int) or isinstance(window, bool):
        raise InputError(f"truncated: window={window!r} must be a whole number of steps")
    if isinstance(x, PackedSequence):
        raise InputError(
            "truncated: x is a packed sequence, expected a padded tensor and lengths= (pad_packed_sequence)"
        )
    if lengths is not None and not isinstance(lengths, Tensor):
        raise InputError(f"truncated: lengths is a {type(lengths).__name__}, expected an int64 tensor: torch.tensor(…)")
    if resets is not None and not isinstance(resets, Tensor):
        raise InputError(f"truncated: resets is a {type(resets).__name__}, expected a bool tensor: torch.tensor(…)")
    if keywords.get("return_gates"):
        raise InputError("truncated: return_gates=True: the module must return (y, state). Call it window by window")


def _windows(
    module: nn.Module,
    x: Tensor,
    state: Any,
    window: int,
    lengths: Tensor | None,
    resets: Tensor | None,
    keywords: dict[str, Any],
) -> Iterator[TruncationWindow]:
    axis = 1 if getattr(module, "batch_first", False) and x.dim() > 2 else 0
    total = x.shape[axis] if lengths is None else int(lengths.max())
    for start in range(0, total, window):
        stop = min(start + window, total)
        if lengths is not None:
            keywords = keywords | {"lengths": (lengths - start).clamp(0, stop - start)}
        if resets is not None:
            keywords = keywords | {"resets": resets.narrow(axis, start, stop - start)}
        y, state = module(x.narrow(axis, start, stop - start), detach(state), **keywords)
        yield TruncationWindow(slice(start, stop), y, state)
