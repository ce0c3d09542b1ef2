"""Weights of Keras layers as a state dict of torch's names, and back; plain NumPy arrays, no Keras needed.

Keras keeps a kernel (I, G·H), a recurrent kernel (H, G·H) and a bias, gates in adjacent columns:

    LSTM       i f c o; one bias (4H,)               recurra and torch: i f g o; b_ih and b_hh, which add up
    GRU        z r h;   bias (2, 3H), b_ih first     recurra and torch: r z n;   b_ih and b_hh
    SimpleRNN  h;       one bias (H,)                recurra and torch: h;       b_ih and b_hh, which add up

GRU is Keras's with `reset_after=True`, its default and torch's formula. With `reset_after=False`, where the reset gate
acts before the product (Cho et al. 2014), Keras has one bias (3H,) and the cell is recurra's `cho_gru`: torch.nn has
none. In all of them z weighs the old state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.errors import InputError, nearest

Array = NDArray[np.floating]

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# For each kind, the position of each of torch's gates among Keras's.
_ORDER = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}


def from_keras(kind: str, weights: Sequence[Array], suffix: str = "_l0") -> dict[str, Tensor]:
    """The weights of one Keras layer as a state dict of one layer and direction.

    Args:
        kind: "LSTM", "GRU" or "SimpleRNN".
        weights: what the Keras layer's `get_weights()` returns: kernel (I, G·H), recurrent kernel (H, G·H), and the
            bias unless the layer has none. A Keras `Bidirectional` returns the forward layer's, then the backward's.
        suffix: of the names: "_l0", "_l1_reverse", or "" for a single step.

    Returns:
        weight_ih, weight_hh and, with a bias, bias_ih and bias_hh, each name with the suffix, in the arrays' dtype.
        Where Keras has one bias it is bias_ih, and bias_hh is 0.

    Raises:
        InputError: another kind, or shapes that are not that kind's.
    """
    order = _order(kind)
    _check_shapes(kind, weights, len(order))
    kernel, recurrent = (np.asarray(array).T for array in weights[:2])  # (G·H, I), (G·H, H)
    arrays_by_name = {"weight_ih": _reordered(kernel, order), "weight_hh": _reordered(recurrent, order)}
    if len(weights) == 3:
        bias = np.asarray(weights[2])
        first, second = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))  # (G·H,) each
        arrays_by_name |= {"bias_ih": _reordered(first, order), "bias_hh": _reordered(second, order)}
    return {name + suffix: torch.from_numpy(array) for name, array in arrays_by_name.items()}


def to_keras(
    kind: str, state_dict: Mapping[str, Tensor], suffix: str = "_l0", *, reset_after: bool = True
) -> list[Array]:
    """The weights of one layer and direction for a Keras layer's `set_weights`.

    Args:
        kind: "LSTM", "GRU" or "SimpleRNN".
        state_dict: of a recurra or torch.nn layer.
        suffix: of the names: "_l0", "_l1_reverse", or "" for a single step.
        reset_after: of the Keras GRU; False for weights of the cell `cho_gru`.

    Returns:
        Kernel (I, G·H), recurrent kernel (H, G·H) and, where the layer has biases, the bias. Where Keras has one bias
        it is b_ih + b_hh: a round trip keeps what the layer computes, not how its two biases share it.

    Raises:
        InputError: another kind, a state dict without such a layer, or parameters that Keras has not.
    """
    order = _order(kind)
    _check_names(kind, state_dict, suffix)
    # argsort of a permutation is its inverse.
    back = tuple(int(place) for place in np.argsort(order))
    names = [name for name in _NAMES if name + suffix in state_dict]
    arrays_by_name = {name: _reordered(state_dict[name + suffix].detach().cpu().numpy(), back) for name in names}
    arrays = [np.ascontiguousarray(arrays_by_name[name].T) for name in ("weight_ih", "weight_hh")]
    if "bias_ih" in arrays_by_name:
        first, second = arrays_by_name["bias_ih"], arrays_by_name["bias_hh"]
        arrays.append(np.stack([first, second]) if kind == "GRU" and reset_after else first + second)
    _check_shapes(kind, arrays, len(order))
    return arrays


def _order(kind: str) -> tuple[int, ...]:
    if kind not in _ORDER:
        raise InputError(f"there is no conversion for a Keras layer {kind!r}. {nearest(kind, _ORDER)}")
    return _ORDER[kind]


def _reordered(stacked: Array, order: tuple[int, ...]) -> Array:
    """Blocks of rows in another order: block k of the result is block order[k]."""
    blocks = np.split(stacked, len(order))
    return np.concatenate([blocks[place] for place in order])


def _check_shapes(kind: str, weights: Sequence[Array], gates: int) -> None:
    shapes = [tuple(np.shape(array)) for array in weights]
    if len(shapes) in (2, 3) and len(shapes[0]) == len(shapes[1]) == 2:
        (I, _), (H, _) = shapes[:2]
        biases = [(gates * H,)] + [(2, gates * H)] * (kind == "GRU")
        if shapes[:2] == [(I, gates * H), (H, gates * H)] and all(bias in biases for bias in shapes[2:]):
            return
    bias = f"({gates}·H,)" + f" or (2, {gates}·H)" * (kind == "GRU")
    raise InputError(
        f"weights of a Keras {kind} have the shapes {shapes}, expected (I, {gates}·H), (H, {gates}·H) and, with a "
        f"bias, {bias}: pass the result of get_weights() of one layer in one direction"
    )


def _check_names(kind: str, state_dict: Mapping[str, Tensor], suffix: str) -> None:
    for name in ("weight_ih", "weight_hh"):
        if name + suffix not in state_dict:
            raise InputError(f"the state dict has no {name + suffix!r}. {nearest(name + suffix, state_dict)}")
    names = [name.removesuffix(suffix) for name in state_dict if name.endswith(suffix)] if suffix else state_dict
    beyond = sorted(set(names) - set(_NAMES))
    if beyond:
        raise InputError(f"a Keras {kind} has no equivalent of {', '.join(beyond)}: only plain layers can be converted")
