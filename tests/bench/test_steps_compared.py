"""Steps that are compared compute the same, and the read of the weights reads all of them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from recurra.bench import generating, stepping
from recurra.bench.generating import GenerationSizes, TorchLoop, compare_generation
from recurra.bench.implementations import make_batch, make_layer
from recurra.bench.onnx_step import find_operator, onnx_step, operator_weights
from recurra.bench.reading import WeightRead
from recurra.bench.stepping import gather_steps
from recurra.bench.streaming import StreamRow
from recurra.bench.subjects import Shape, find_subject
from recurra.bench.table import stream_table
from recurra.cells import Cell, Gates, State
from recurra.errors import RecurraError

SHAPE = Shape(6, 3, 5, 7)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn-tanh", "rnn-relu", "peephole_lstm"])
def test_all_implementations_of_a_step_are_checked(name):
    steps = gather_steps(find_subject(name), SHAPE)
    peers = {"eager"} if name == "peephole_lstm" else {"torch.nn", "cell"}
    names = {one for one in steps.step if not one.startswith("read")} - {"onnxruntime"}
    assert names == {"recurra", "float16", "int8", *peers}
    assert steps.engine == "compiled"
    assert 0 < steps.deviations["float16"] < steps.deviations["int8"] < 0.1
    with torch.inference_mode():
        for call in (*steps.step.values(), *steps.run.values()):
            call()


def test_an_implementation_that_computes_something_else_is_refused(monkeypatch):
    def without_bias(layer):
        cell = torch.nn.GRUCell(layer.input_size, layer.hidden_size, bias=False)
        cell.load_state_dict({name: getattr(layer, f"{name}_l0").detach() for name in ("weight_ih", "weight_hh")})
        return lambda x, state: (cell(x, state),) * 2

    monkeypatch.setattr(stepping, "_cell_step", without_bias)
    with pytest.raises(RecurraError, match=r"y of cell deviates by \d"):
        gather_steps(find_subject("gru"), SHAPE)


def test_an_output_that_is_not_a_number_is_refused():
    y = torch.ones(2)
    with pytest.raises(RecurraError, match="y of cell deviates by nan"):
        stepping._deviations({"cell": y * float("nan")}, y)


def test_a_cell_without_a_compiled_step_has_no_smaller_weights():
    class Sorted(Cell):
        gates = ("n",)

        def step(self, x, u, s, p):
            return State(h=torch.tanh(x.n + u.n).sort(-1).values), Gates()

    steps = gather_steps(Sorted(), SHAPE)
    assert steps.engine == "unroll"
    assert {name for name in steps.step if not name.startswith("read")} == {"recurra", "eager"}
    assert steps.deviations == {}


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("sizes", [(1,), (3, 700), (128, 64)])
def test_the_read_sums_all_weights(threads, times, sizes):
    # Whole numbers, whose sum is exact in float32.
    tensors = [torch.arange(size, dtype=torch.float32) for size in sizes]
    totals = WeightRead(tensors).call(times, threads)()
    assert totals.shape == (threads,)
    assert totals.sum() == times * sum(tensor.sum() for tensor in tensors)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_of_onnx(x, W, R, B, h, c):
    """The equations of ONNX's documentation of LSTM, with its names."""
    Wb, Rb = np.split(B[0], 2)
    i, o, f, g = np.split(x @ W[0].T + h @ R[0].T + Wb + Rb, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_of_onnx(x, W, R, B, h):
    """The equations of ONNX's documentation of GRU with linear_before_reset, with its names."""
    (Wz, Wr, Wh), (Rz, Rr, Rh) = np.split(W[0], 3), np.split(R[0], 3)
    Wbz, Wbr, Wbh, Rbz, Rbr, Rbh = np.split(B[0], 6)
    z = sigmoid(x @ Wz.T + h @ Rz.T + Wbz + Rbz)
    r = sigmoid(x @ Wr.T + h @ Rr.T + Wbr + Rbr)
    new = np.tanh(x @ Wh.T + r * (h @ Rh.T + Rbh) + Wbh)
    return ((1 - z) * new + z * h,)


@pytest.mark.parametrize(("name", "equations"), [("lstm", lstm_of_onnx), ("gru", gru_of_onnx)])
def test_the_gates_are_in_the_order_of_onnx(name, equations):
    x, layer = make_batch(SHAPE).x, make_layer(find_subject(name), SHAPE, "unroll")
    operator = find_operator(layer.cell)
    weights = operator_weights(operator, layer.weights("_l0"))
    states = [np.zeros((SHAPE.B, SHAPE.H), np.float32)] * len(operator.states)
    expected = layer(x)[0].detach().numpy()
    for x_t, y in zip(x.numpy(), expected, strict=True):
        states = equations(x_t, weights["W"], weights["R"], weights["B"], *states)
        np.testing.assert_allclose(states[0], y, atol=1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_onnxruntime_computes_the_same(name):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    x, layer = make_batch(SHAPE).x, make_layer(find_subject(name), SHAPE, "unroll")
    step, state = onnx_step(find_operator(layer.cell), layer.weights("_l0"), 1), None
    for x_t, y in zip(x.numpy(), layer(x)[0].detach().numpy(), strict=True):
        output, state = step(x_t[None], state)
        np.testing.assert_allclose(output[0], y, atol=1e-5)


def test_onnx_has_no_operator_of_other_cells():
    assert find_operator(find_subject("lstm")).name == "LSTM"
    assert find_operator(find_subject("peephole_lstm")) is None


def test_ratios_are_of_the_times():
    seconds = {"recurra": 2.0, "float16": 1.0, "torch.nn": 8.0, "read": 1.6}
    row = StreamRow("x", SHAPE, "step", "compiled", seconds, {"float16": 1e-4})
    assert row.ratios == {"float16": 0.5, "torch.nn": 4.0}
    assert row.over_read == pytest.approx(1.25)


def test_every_column_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    columns = page.split("## One step at a time")[1].split("\n## ")[0]
    for column in stream_table(["lstm"]).columns[7:]:  # after the cell, the sizes, the call and the engine
        assert re.search(rf"[|`,] ?{column.title.removesuffix(' ×')}\b", columns), column.title


TINY = GenerationSizes(units=6, embedding=4, characters=9, length=30)


def test_text_is_generated_by_both(monkeypatch):
    texts = {}
    monkeypatch.setattr(
        generating,
        "medians",
        lambda calls, rounds: {name: len(texts.setdefault(name, c())) for name, c in calls.items()},
    )
    row = compare_generation(TINY, rounds=1)
    assert {name: len(text) for name, text in texts.items()} == {"recurra": 30, "torch": 30}
    assert set(texts["recurra"]) <= set("ABCDEFGHI")
    assert row.per_second == {"recurra": 1, "torch": 1}


def test_a_loop_with_other_probabilities_is_refused(monkeypatch):
    scores = TorchLoop.scores
    monkeypatch.setattr(TorchLoop, "scores", lambda self, token, state: scores(self, token, None))
    with pytest.raises(RecurraError, match="log-probabilities of torch deviate"):
        compare_generation(TINY, rounds=1)


def test_the_weights_of_the_model_do_not_depend_on_the_global_generator():
    before = torch.random.get_rng_state()
    first, second = (generating._network(TINY, 10).readout.weight for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
