"""One step of an LSTM or a GRU as an ONNX graph, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from recurra.cells import GRU, LSTM, Cell, Weights

Array = npt.NDArray[np.float32]
# Newer versions of these are not read by onnxruntime of some years ago.
_OPSET, _IR_VERSION = 14, 8


class Operator(NamedTuple):
    """The operator of ONNX for a cell."""

    name: str
    order: tuple[int, ...]
    """The gates in the operator's order, as indices of the cell's gates."""
    states: tuple[str, ...]
    attributes: dict[str, Any]


# Of ONNX: LSTM has the gates i o f c, and c is torch's g; GRU has z r h, and h is torch's n.
_OPERATORS: list[tuple[Cell, Operator]] = [
    (LSTM(), Operator("LSTM", (0, 3, 1, 2), ("h", "c"), {})),
    (GRU(), Operator("GRU", (1, 0, 2), ("h",), {"linear_before_reset": 1})),
]


def find_operator(cell: Cell) -> Operator | None:
    """The operator of a cell; None if ONNX has none."""
    return next((operator for known, operator in _OPERATORS if known == cell), None)


def onnxruntime_is_installed() -> bool:
    """Whether onnxruntime can be compared with, and graphs for it can be built."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        return False
    return True


def operator_weights(operator: Operator, weights: Weights) -> dict[str, Array]:
    """The inputs W (1, G·H, I), R (1, G·H, H) and B (1, 2·G·H) of the operator."""
    assert weights.b_ih is not None
    assert weights.b_hh is not None
    biases = [_reordered(operator, bias) for bias in (weights.b_ih, weights.b_hh)]
    return {
        "W": _reordered(operator, weights.ih)[None],
        "R": _reordered(operator, weights.hh)[None],
        "B": np.concatenate(biases)[None],
    }


def _reordered(operator: Operator, weight: Tensor) -> Array:
    blocks = weight.detach().numpy().reshape(len(operator.order), -1, *weight.shape[1:])  # (G, H, …)
    return np.ascontiguousarray(blocks[list(operator.order)]).reshape(weight.shape)


def onnx_step(operator: Operator, weights: Weights, threads: int) -> Callable[[Array, Any], tuple[Array, Any]]:
    """The step x (1, B, I), state → h (1, B, H), state on onnxruntime.

    Args:
        operator: the operator of the cell.
        weights: the weights of the layer.
        threads: the threads of onnxruntime within an operator.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    graph = _graph(operator, operator_weights(operator, weights))
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    hidden = weights.hh.shape[1]
    outputs = [f"next_{name}" for name in operator.states]

    def step(x: Array, state: list[Array] | None) -> tuple[Array, list[Array]]:
        if state is None:
            state = [np.zeros((1, x.shape[1], hidden), np.float32)] * len(operator.states)
        new = session.run(outputs, {"x": x, **dict(zip(operator.states, state, strict=True))})
        return new[0], new

    return step


def _graph(operator: Operator, weights: dict[str, Array]) -> bytes:
    """The serialised model: x and the states to the next states."""
    from onnx import TensorProto, helper, numpy_helper

    gates, inputs = weights["W"].shape[1:]
    hidden = gates // len(operator.order)

    def value(name: str, features: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "B", features])

    # Inputs: X, W, R, B, the lengths, which are left out, and the initial states. Outputs: y of all steps, which is
    # left out, and the last states.
    node = helper.make_node(
        operator.name,
        ["x", "W", "R", "B", "", *operator.states],
        ["", *(f"next_{name}" for name in operator.states)],
        hidden_size=hidden,
        **operator.attributes,
    )
    graph = helper.make_graph(
        [node],
        "step",
        [value("x", inputs), *(value(name, hidden) for name in operator.states)],
        [value(f"next_{name}", hidden) for name in operator.states],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    return bytes(model.SerializeToString())
