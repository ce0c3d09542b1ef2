"""Streams: one step at a time equals the whole sequence, and every change of a parameter has effect."""

import copy
import threading

import pytest
import table
import torch
from table import MADE
from torch import nn

import recurra
from recurra.errors import InputError
from recurra.layers import Recurrent

WRAPPERS = {
    "plain": {},
    "layer_norm": {"layer_norm": True},
    "projection": {"proj_size": 5},
    "residual": {"residual": True},
    "highway": {"highway": True},
    "no_bias": {"bias": False},
    "zoneout": {"zoneout": 0.2, "learn_initial_state": True},
    "all": {"layer_norm": True, "bias": False, "proj_size": 3, "zoneout": 0.1},
}
# Their recurrent matrix is a function of the parameter that needs it square.
SQUARE = {"antisymmetric_rnn", "gated_antisymmetric_rnn", "orthogonal_rnn"}
CASES = [
    (cell, wrapper)
    for cell in MADE
    for wrapper, options in WRAPPERS.items()
    if not (cell in SQUARE and "proj_size" in options)
]


def stack(cell, dtype=torch.float64, **options):
    torch.manual_seed(0)
    cell = MADE[cell]() if isinstance(cell, str) else cell
    layer = Recurrent(cell, 7, 11, 2, dtype=dtype, **options).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def whole(layer, x):
    with torch.no_grad():
        return Recurrent.forward(layer, x)


def steps(stream, x):
    return torch.stack([stream.step(x_t).clone() for x_t in x])


@pytest.mark.parametrize(("cell", "wrapper"), CASES)
@pytest.mark.parametrize("rows", [1, 3])
def test_step_after_step_equals_the_whole_sequence(cell, wrapper, rows):
    layer = stack(cell, **WRAPPERS[wrapper])
    x = torch.randn(9, rows, 7, dtype=torch.float64)
    y, last = whole(layer, x)
    stream = layer.stream(rows)
    assert stream.explain().engine == "compiled", stream.explain()
    torch.testing.assert_close(steps(stream, x), y, atol=1e-12, rtol=0)
    for state, expected in zip(stream.state, last, strict=True):
        assert state._fields == expected._fields
        for one, other in zip(state, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.parametrize("cell", MADE)
def test_in_float32_too(cell):
    layer = stack(cell, torch.float32)
    x = torch.randn(9, 4, 7)
    torch.testing.assert_close(steps(layer.stream(4), x), whole(layer, x)[0], atol=1e-6, rtol=0)


def test_several_steps_in_one_call_are_the_same_steps():
    layer, x = stack("gru", torch.float32), torch.randn(6, 2, 7)
    one, many = layer.stream(2), layer.stream(2)
    assert torch.equal(steps(one, x), torch.cat([many.run(x[:4]), many.run(x[4:]), many.run(x[:0])]))
    assert all(torch.equal(a.h, b.h) for a, b in zip(one.state, many.state, strict=True))


@pytest.mark.parametrize("sizes", [(1, 1), (5, 16), (33, 40), (64, 24)])
def test_all_sizes(sizes):
    inputs, hidden = sizes
    layer = recurra.LSTM(inputs, hidden, dtype=torch.float64).eval()
    x = torch.randn(5, 1, inputs, dtype=torch.float64)
    with torch.no_grad():
        y, _ = layer(x)
    torch.testing.assert_close(steps(layer.stream(), x), y, atol=1e-12, rtol=0)


@pytest.mark.parametrize("rows", [2, 5, 7])
def test_a_row_does_not_depend_on_the_others(rows):
    layer, x = stack("lstm", torch.float32), torch.randn(6, rows, 7)
    together = steps(layer.stream(rows), x)
    for row in range(rows):
        assert torch.equal(steps(layer.stream(1), x[:, row : row + 1])[:, 0], together[:, row])


def own_cell():
    from recurra.cells import Cell, Gates, State

    class Sorted(Cell):
        """A step that no compiled engine runs."""

        gates, states = ("g",), ("h",)

        def step(self, x, u, s, p):
            return State(h=torch.tanh(x.g + u.g).sort(-1).values), Gates()

    return Sorted()


def test_what_has_no_compiled_step_runs_on_the_reference():
    layer = stack(own_cell())
    stream, x = layer.stream(2), torch.randn(4, 2, 7, dtype=torch.float64)
    assert stream.explain().engine == "unroll"
    assert "layer 1 has no compiled step" in stream.explain().why
    y, last = whole(layer, x)
    torch.testing.assert_close(stream.run(x), y)
    torch.testing.assert_close(stream.state[1].h, last[1].h)
    stream.reset()
    torch.testing.assert_close(steps(stream, x), y)


@pytest.mark.parametrize("cell", ["lstm", own_cell()])
def test_forks_rows_snapshots_and_resets(cell):
    layer, x = stack(cell, learn_initial_state=True), torch.randn(8, 3, 7, dtype=torch.float64)
    y, _ = whole(layer, x)
    stream = layer.stream(3)
    stream.run(x[:4])
    saved, fork = stream.snapshot(), stream.fork()
    torch.testing.assert_close(fork.run(x[4:]), y[4:])
    torch.testing.assert_close(stream.run(x[4:]), y[4:])  # the fork did not move it
    stream.restore(saved)
    torch.testing.assert_close(stream.run(x[4:]), y[4:])
    stream.restore(saved)
    stream.select([2, 0, 0])
    torch.testing.assert_close(stream.run(x[4:, [2, 0, 0]]), y[4:, [2, 0, 0]])
    stream.restore(saved)
    stream.select([1])
    assert stream.rows == 1
    torch.testing.assert_close(stream.run(x[4:, [1]]), y[4:, [1]])
    stream = layer.stream(3)
    stream.run(x[:4])
    stream.reset([1])
    again = stream.run(x[:4])
    torch.testing.assert_close(again[:, 1], y[:4, 1])
    assert not torch.allclose(again[:, 0], y[:4, 0])
    stream.reset()
    torch.testing.assert_close(stream.run(x), y)
    stream.reset(torch.tensor([], dtype=torch.int64))


def other(layer):
    torch.manual_seed(1)
    return [0.3 * torch.randn_like(parameter) for parameter in layer.parameters()]


def in_place(layer):
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), other(layer), strict=True):
            parameter.copy_(value)


def through_data(layer):
    for parameter, value in zip(layer.parameters(), other(layer), strict=True):
        parameter.data.copy_(value)


def new_data(layer):
    for parameter, value in zip(layer.parameters(), other(layer), strict=True):
        parameter.data = value


def new_parameters(layer):
    for name, value in zip(dict(layer.named_parameters()), other(layer), strict=True):
        setattr(layer, name, nn.Parameter(value))


def transposed(layer):
    layer.weight_hh_l0 = nn.Parameter(torch.randn(11, 44, dtype=torch.float64).t())


def state_dict(layer):
    layer.load_state_dict(dict(zip(layer.state_dict(), other(layer), strict=True)))


@pytest.mark.parametrize("change", [in_place, through_data, new_data, new_parameters, transposed, state_dict])
def test_a_changed_parameter_has_effect_at_the_next_step(change):
    layer, x = stack("lstm"), torch.randn(5, 2, 7, dtype=torch.float64)
    stream = layer.stream(2)
    before = stream.run(x).clone()
    change(layer)
    stream.reset()
    y, _ = whole(layer, x)
    assert not torch.allclose(before, y)
    torch.testing.assert_close(steps(stream, x), y)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(0.5)  # once more: also where the parameter is not contiguous
    stream.reset()
    torch.testing.assert_close(stream.run(x), whole(layer, x)[0])


@pytest.mark.parametrize("cell", sorted(SQUARE))
def test_a_parameter_of_which_the_matrix_is_a_function_too(cell):
    layer, x = stack(cell), torch.randn(5, 2, 7, dtype=torch.float64)
    stream = layer.stream(2)
    stream.run(x)
    in_place(layer)
    stream.reset()
    torch.testing.assert_close(stream.run(x), whole(layer, x)[0])


def test_a_parametrized_weight_is_computed_at_each_step():
    layer, x = stack("gru"), torch.randn(5, 2, 7, dtype=torch.float64)
    nn.utils.parametrize.register_parametrization(layer, "weight_hh_l0", nn.Tanh(), unsafe=True)
    stream = layer.stream(2)
    torch.testing.assert_close(stream.run(x), whole(layer, x)[0])
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original.add_(0.3)
    stream.reset()
    torch.testing.assert_close(stream.run(x), whole(layer, x)[0])


def test_a_parameter_of_another_type_is_refused():
    layer = stack("lstm")
    stream = layer.stream(1)
    layer.float()
    with pytest.raises(InputError, match="another size, dtype or device than before: create a new stream"):
        stream.step(torch.zeros(1, 7, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.step(torch.zeros(2, 7, dtype=torch.float64)), r"x is \(2, 7\), expected \(3, 7\)"),
        (lambda s: s.step(torch.zeros(3, 7)), "x is torch.float32 on cpu, but the layer torch.float64"),
        (lambda s: s.run(torch.zeros(3, 7, dtype=torch.float64)), r"x is \(3, 7\), expected \(T, 3, 7\)"),
        (lambda s: s.select([0, 3]), "expected numbers from 0 to 2"),
        (lambda s: s.reset([-1]), "expected numbers from 0 to 2"),
        (lambda s: s.restore(s.state[:1]), "1 states, expected one for each of 2 layers"),
        (lambda s: s.restore(stack("gru").stream(3).state), "has .*'h'.*, expected"),
        (lambda s: s.restore(stack("lstm").stream(2).state), r"state h is \(2, 11\), expected \(3, 11\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(call, message):
    stream = stack("lstm").stream(3)
    before = stream.state
    with pytest.raises(InputError, match=message) as error:
        call(stream)
    assert "\n" not in str(error.value)
    assert all(torch.equal(a.c, b.c) for a, b in zip(before, stream.state, strict=True))


def test_no_stream_of_two_directions_or_without_rows():
    with pytest.raises(InputError, match="the second direction starts at the end"):
        recurra.LSTM(3, 4, bidirectional=True).stream()
    with pytest.raises(InputError, match="rows=0: expected 1 or more"):
        recurra.LSTM(3, 4).stream(0)


def test_an_input_of_any_strides_and_with_a_gradient():
    layer, x = stack("lstm"), torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    y = layer.stream(2).run(x.permute(2, 0, 1))
    assert not y.requires_grad
    torch.testing.assert_close(y, whole(layer, x.permute(2, 0, 1).contiguous())[0])


def test_it_is_in_evaluation_while_the_layer_trains():
    layer, x = stack("lstm", dropout=0.5, recurrent_dropout=0.5, zoneout=0.3), torch.randn(4, 2, 7, dtype=torch.float64)
    y, _ = whole(layer, x)
    torch.testing.assert_close(layer.train().stream(2).run(x), y)


def test_threads_have_streams_of_one_layer():
    layer, x = stack("gru", torch.float32), torch.randn(4, 200, 1, 7)
    expected = [layer.stream().run(x[k]) for k in range(4)]
    results = [None] * 4

    def work(k):
        results[k] = steps(layer.stream(), x[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


def test_memory_stays_flat():
    import resource

    stream, x = recurra.LSTM(4, 8).stream(), torch.randn(1, 4)
    for _ in range(1000):
        stream.step(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100_000):
        stream.step(x)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048  # KiB


def test_a_copied_layer_has_its_own_parameters():
    layer, x = stack("lstm"), torch.randn(3, 1, 7, dtype=torch.float64)
    twin = copy.deepcopy(layer)
    stream = twin.stream()
    in_place(layer)
    torch.testing.assert_close(stream.run(x), whole(twin, x)[0])


@pytest.mark.parametrize(("weights", "least", "most"), [("float16", 1e-6, 1e-3), ("int8", 1e-4, 2e-2)])
@pytest.mark.parametrize("wrapper", ["plain", "layer_norm", "projection", "highway", "all"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "Odd"])
def test_smaller_weights_lose_a_little_accuracy_and_report_it(cell, wrapper, weights, least, most):
    layer = stack(table.Odd() if cell == "Odd" else cell, torch.float32, **WRAPPERS[wrapper])
    x = torch.randn(20, 3, 7)
    exact, y = layer.stream(3).run(x), layer.stream(3, weights=weights).run(x)
    error = float((y - exact).abs().max() / exact.abs().max())
    assert 0 < error < (100 if "layer_norm" in WRAPPERS[wrapper] else 1) * most  # normalising enlarges errors
    stream = layer.stream(3, weights=weights)
    assert f"matrices stored as {weights}" in stream.explain().why
    assert least < stream.compiled.weight_error < most
    torch.testing.assert_close(stream.fork().run(x), y, atol=0, rtol=0)


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_smaller_weights_follow_the_parameters(weights):
    layer, x = stack("lstm", torch.float32), torch.randn(5, 2, 7)
    stream = layer.stream(2, weights=weights)
    stream.run(x)
    for change in (in_place, new_data, new_parameters, state_dict):
        change(layer)
        with torch.no_grad():
            layer.weight_ih_l1.mul_(1.5)
        stream.reset()
        assert torch.equal(stream.run(x), layer.stream(2, weights=weights).run(x))
    through_data(layer)
    stream.refresh()
    stream.reset()
    assert torch.equal(stream.run(x), layer.stream(2, weights=weights).run(x))


def test_numbers_that_are_not_finite_reach_the_output_with_every_storage():
    layer = recurra.GRU(4, 6).eval()
    for weights in ("float32", "float16", "int8"):
        for value in (float("nan"), float("inf")):
            stream = layer.stream(2, weights=weights)
            x = torch.ones(2, 4)
            x[1, 2] = value
            y = stream.step(x)
            assert y[0].isfinite().all()
            assert weights != "int8" or not y[1].isfinite().all()


def test_what_has_no_smaller_weights():
    for layer, message in (
        (stack("lstm"), "needs a compiled step in float32: the layer is in torch.float64"),
        (stack(own_cell(), torch.float32), "layer 1 has no compiled step"),
    ):
        with pytest.raises(InputError, match=message):
            layer.stream(weights="int8")
    with pytest.raises(InputError, match="weights='int4': expected float32, float16, int8"):
        recurra.LSTM(3, 4).stream(weights="int4")


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}, {"highway": True}, {"proj_size": 5}])
@pytest.mark.parametrize("cell", ["lstm", "cho_gru"])
def test_threads_change_no_bit(cell, options, weights, monkeypatch):
    layer, x = Recurrent(cell, 20, 37, 2, **options).eval(), torch.randn(8, 2, 20)
    alone = layer.stream(2, weights=weights).run(x)
    monkeypatch.setattr("recurra.engine.stream.compiled._WORTH_THREADS", 0)
    before = torch.get_num_threads()
    try:
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(layer.stream(2, weights=weights).run(x), alone)
            assert torch.equal(steps(layer.stream(2, weights=weights), x), alone)
    finally:
        torch.set_num_threads(before)


def test_the_reference_can_be_requested():
    layer, x = stack("lstm", engine="unroll"), torch.randn(4, 2, 7, dtype=torch.float64)
    stream = layer.stream(2)
    assert stream.explain() == ("unroll", "requested")
    stream.select([1, 0, 1])
    assert stream.fork().explain().engine == "unroll"
    torch.testing.assert_close(layer.stream(2).run(x), whole(layer, x)[0], atol=1e-14, rtol=0)
