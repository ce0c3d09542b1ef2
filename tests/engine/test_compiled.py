"""The compiled loops beyond the laws of every engine: sizes, threads, processes, graphs, elementwise functions."""

import os
import threading

import pytest
import table
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_conformance import change, make

from recurra.cells import Cell, Elman, Gates, State
from recurra.engine import choose, run
from recurra.errors import InputError
from recurra.layers import GRU, Recurrent


def outputs_and_gradients(request, engine):
    """y, the last state and the gradient of a fixed function of both by all that went in."""
    weights = [tensor for tensor in request.weights[:4] if tensor is not None]
    leaves = [request.x, *request.state, *weights, *request.weights.vectors]
    for leaf in leaves:
        leaf.requires_grad_()
    result = run(request, engine)
    g = torch.Generator().manual_seed(7)
    mix = torch.randn(result.y.shape, generator=g, dtype=torch.float64).to(result.y.dtype)
    # The derivative of the sine of a large number would depend on the number's last bits.
    scaled = [state / state.detach().abs().max().clamp(min=1) for state in result.state]
    loss = (result.y * mix).sum() + sum(state.sin().sum() for state in scaled)
    return [result.y, *result.state], torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)


# H that fill a tile, that do not, and of one unit; the compiler is run once for each.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["lstm", "gru", "elman", "peephole_lstm", "indrnn", "user's leaky"]),
    T=st.integers(1, 9),
    B=st.integers(1, 15),
    H=st.sampled_from([1, 16, 21]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    reverse=st.booleans(),
    data=st.data(),
)
def test_values_and_gradients_equal_the_reference(name, T, B, H, dtype, reverse, data):
    ragged = data.draw(st.booleans())
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, T), min_size=B, max_size=B))) if ragged else None
    request = make(name, T=T, B=B, H=H, dtype=dtype, lengths=lengths, reverse=reverse)
    exact = make(name, T=T, B=B, H=H, lengths=lengths, reverse=reverse)
    got, got_gradients = outputs_and_gradients(request, "cpu")
    want, want_gradients = outputs_and_gradients(exact, "unroll")
    bound = 1e-5 if dtype == torch.float32 else 1e-12
    pairs = zip([*got, *got_gradients], [*want, *want_gradients], strict=True)
    # A cell without W_hh has an empty one.
    for one, other in ((one.detach().double(), other.detach()) for one, other in pairs if one.numel()):
        assert (one - other).abs().max() <= bound * max(1.0, other.abs().max().item())


def test_two_gradients_through_a_retained_graph_agree():
    request = make("gru", B=4, H=16, dtype=torch.float32)
    x = request.x.clone().requires_grad_()
    y = run(change(request, x=x), "cpu").y.square().sum()
    (first,) = torch.autograd.grad(y, x, retain_graph=True)
    (second,) = torch.autograd.grad(y, x)
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["lstm", "user's leaky"])
def test_a_row_does_not_depend_on_the_batch_or_on_the_threads(name):
    request = make(name, T=6, B=13, H=16, dtype=torch.float32)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(run(request, "cpu").y)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(results[0], other) for other in results[1:])
    # The product with W_ih is torch's, whose rounding may hang on the batch: without it rows are equal to the bit.
    still = change(request, x=torch.zeros_like(request.x))
    whole = run(still, "cpu").y
    for row in (0, 5, 12):
        one = torch.tensor([row])
        alone = run(change(still, x=still.x[:, one], state=still.state.select(one)), "cpu")
        assert torch.equal(alone.y[:, 0], whole[:, row])


def test_several_python_threads_at_once():
    request, found = make("lstm", T=20, B=8, H=16, dtype=torch.float32), []
    want = run(request, "cpu").y
    callers = [threading.Thread(target=lambda: found.append(run(request, "cpu").y)) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 6
    assert all(torch.equal(y, want) for y in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # JAX says so where a test has loaded it
def test_a_forked_process_computes_the_same():
    request = make("gru", T=6, B=8, H=16, dtype=torch.float32)
    want = run(request, "cpu").y
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(run(request, "cpu").y, want) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_nan_and_infinity_go_through_as_in_the_reference():
    for bad in (float("nan"), float("inf")):
        request = make("lstm", B=2, H=16, dtype=torch.float32)
        x = request.x.clone()
        x[1, 0, 0] = bad
        got, want = run(change(request, x=x), "cpu").y, run(change(request, x=x), "unroll").y
        torch.testing.assert_close(got, want, equal_nan=True)
        assert got[:, 1].isfinite().all()


def _in_float32(request):
    weights = request.weights
    tensors = [None if tensor is None else tensor.float() for tensor in weights[:5]]
    return {
        "weights": weights._replace(**dict(zip(weights._fields, tensors, strict=False))),
        "state": request.state.map(lambda tensor: tensor.float()),
    }


def test_a_formula_that_cannot_be_compiled_says_what_stands_in_the_way():
    class Wild(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            return State(h=torch.cumsum(x.a + u.a, -1)), Gates()

    request = change(make("elman", B=4, H=16), cell=Wild())
    with pytest.raises(InputError, match="the operator aten.cumsum has no rule"):
        run(request, "cpu")
    # Where nobody asked for it by name, the reference runs it, and says why.
    choice = choose(change(request, x=torch.zeros(90_000, 4, 4, dtype=torch.float32), **_in_float32(request)))
    assert choice.engine == "unroll"
    assert "aten.cumsum has no rule" in choice.why
    assert "sums and means over the units" in choice.why


def test_the_fixed_table_compiles_where_it_pays():
    x = torch.zeros(64, 32, 64)
    assert GRU(64, 128).explain(x).engine == "cpu"
    assert GRU(64, 128).explain(x[:, :1]).engine == "native"
    assert Recurrent(table.Leaky, 64, 128).explain(x).engine == "cpu"
    assert Recurrent(Elman("gelu"), 64, 128).explain(x).engine == "cpu"
    assert choose(make("lstm", T=64, B=32, H=128, dtype=torch.float32)).engine == "cpu"
    ragged = make("lstm", T=64, B=32, H=128, dtype=torch.float32, lengths=torch.arange(1, 33))
    assert choose(ragged).engine == "cpu"


def test_cells_of_one_formula_share_their_code():
    from recurra.engine.cpu.kernel import kernel
    from recurra.engine.trace import Variant

    def of(cell):
        return kernel(cell, Variant(16), torch.float32)

    assert of(Elman("tanh")) is of(Elman("tanh"))
    assert of(Elman("tanh")) is not of(Elman("relu"))
    assert of(table.Leaky()) is of(table.Leaky())


class Softmax(Cell):
    """Units that compete: a sum over the units of a row inside the formula."""

    gates = ("a", "n")

    def step(self, x, u, s, p):
        e = torch.exp(torch.tanh(x.a + u.a))
        share = e / e.sum(-1, keepdim=True)
        return State(h=(1 - share) * s.h + share * torch.tanh(x.n + u.n) - s.h.mean(-1, keepdim=True)), Gates(a=share)


@pytest.mark.parametrize("H", [1, 5, 16, 40])
def test_a_formula_may_sum_over_the_units(H):
    from recurra.cells import Weights
    from recurra.engine import Request

    g, B = torch.Generator().manual_seed(0), 9
    shapes = ((2 * H, 3), (2 * H, H), (2 * H,), (2 * H,))

    def request():
        weights = Weights(
            *(torch.randn(shape, generator=g.manual_seed(len(shape)), dtype=torch.float64) for shape in shapes)
        )
        x = torch.randn(4, B, 3, generator=g.manual_seed(9), dtype=torch.float64)
        return Request(Softmax(), x, State(h=torch.ones(B, H, dtype=torch.float64)), weights, keep=True)

    (got, got_gradients), (want, want_gradients) = (
        outputs_and_gradients(request(), engine) for engine in ("cpu", "unroll")
    )
    for one, other in zip([*got, *got_gradients], [*want, *want_gradients], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    torch.testing.assert_close(run(request(), "cpu").kept.a, run(request(), "unroll").kept.a, rtol=0, atol=1e-13)


@pytest.mark.parametrize("B", [1, 2, 3])
@pytest.mark.parametrize("name", ["lstm", "cho_gru"])
def test_threads_that_share_the_units_of_few_rows(name, B):
    threads = torch.get_num_threads()
    requests = [make(name, T=6, B=B, H=70, dtype=torch.float32) for _ in range(2)]
    try:
        torch.set_num_threads(1)
        want, want_gradients = outputs_and_gradients(requests[0], "cpu")
        torch.set_num_threads(3)
        got, got_gradients = outputs_and_gradients(requests[1], "cpu")
    finally:
        torch.set_num_threads(threads)
    for one, other in zip([*got, *got_gradients], [*want, *want_gradients], strict=True):
        assert torch.equal(one, other)


def test_weights_written_behind_autograds_back_are_seen():
    request = make("gru", B=4, H=16, dtype=torch.float32)
    request.weights.hh.requires_grad_()
    with torch.no_grad():
        first = run(request, "cpu").y
        again = run(request, "cpu").y
        request.weights.hh.data.mul_(0.5)
        other = run(request, "cpu").y
        torch.testing.assert_close(other, run(request, "unroll").y)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_buffers_are_used_again_and_never_by_two():
    from recurra.engine.cpu.workspace import buffer

    like = torch.zeros(1)
    first = buffer(like, 300, 500).fill_(1.0)
    second = buffer(like, 300, 500).fill_(2.0)
    view = first[3:5]
    place = first.data_ptr()
    del first
    third = buffer(like, 300, 500).fill_(3.0)
    assert (view == 1).all()
    assert (second == 2).all()
    assert third.data_ptr() not in (place, second.data_ptr())
    del view
    assert buffer(like, 299, 500).data_ptr() == place


class Cases:
    """Formulas that are easily written down wrongly: each must be right, or be refused."""

    @staticmethod
    def cast(x, u, s, p):
        return torch.tanh((x.a * 3).int().to(x.a.dtype) + u.a)

    @staticmethod
    def rounded_division(x, u, s, p):
        return torch.tanh(torch.div(x.a * 3, 1.7, rounding_mode="floor") + u.a)

    @staticmethod
    def number_of_rows(x, u, s, p):
        return torch.tanh(x.a / x.a.shape[0] + u.a)

    @staticmethod
    def length_of_a_vector(x, u, s, p):
        return torch.tanh(x.a / len(p.k) + u.a + p.k)

    @staticmethod
    def several_results(x, u, s, p):
        return torch.tanh((x.a + u.a).sort(-1).values)

    @staticmethod
    def decision(x, u, s, p):
        return torch.tanh(x.a + u.a) if x.a.sum() > 0 else torch.sigmoid(x.a + u.a)

    @staticmethod
    def two_products_of_a_gate(x, u, s, p):
        return torch.tanh(x.a + u("a", s.h * s.h)) * torch.sigmoid(u("a", torch.tanh(s.h)))

    @staticmethod
    def product_with_a_constant(x, u, s, p):
        return torch.tanh(x.a + u("a", torch.ones_like(s.h)))

    @staticmethod
    def constant_condition(x, u, s, p):
        return torch.where(torch.ones_like(x.a, dtype=torch.bool), torch.tanh(x.a + u.a), s.h)

    @staticmethod
    def number_as_condition(x, u, s, p):
        return torch.where(torch.relu(x.a).bool(), torch.tanh(x.a + u.a), s.h * 0.5)

    @staticmethod
    def logic_of_numbers(x, u, s, p):
        return torch.where(torch.logical_not(torch.relu(x.a)), torch.tanh(x.a + u.a), s.h * 0.5)

    @staticmethod
    def equal_conditions(x, u, s, p):
        return torch.where((x.a > 0) == (u.a > 0), torch.tanh(x.a + u.a), s.h * 0.5)

    @staticmethod
    def smooth(x, u, s, p):
        F = torch.nn.functional
        return F.softplus(x.a + u.a) * 0.2 + F.gelu(u.a) * 0.3 + F.elu(x.a) * 0.1

    @staticmethod
    def softmax(x, u, s, p):
        return torch.softmax(x.a + u.a, -1)


REFUSED = {"cast", "number_of_rows", "length_of_a_vector", "several_results", "decision"}
REFUSED |= {"two_products_of_a_gate", "product_with_a_constant", "softmax"}


@pytest.mark.parametrize("name", [name for name in vars(Cases) if name[0] != "_"])
def test_a_formula_is_compiled_rightly_or_refused(name):
    formula = getattr(Cases, name)

    class Case(Cell):
        gates = ("a",)
        vectors = ("k",)

        def step(self, x, u, s, p):
            return State(h=formula(x, u, s, p)), Gates()

    requests = [change(make("indrnn", T=4, B=5, H=7), cell=Case()) for _ in range(2)]
    weights = make("elman", T=4, B=5, H=7).weights
    requests = [change(r, weights=weights._replace(vectors=r.weights.vectors)) for r in requests]
    if name in REFUSED:
        with pytest.raises(InputError, match="engine 'cpu' cannot run this"):
            run(requests[0], "cpu")
        return
    (got, got_gradients), (want, want_gradients) = (
        outputs_and_gradients(request, engine) for request, engine in zip(requests, ("cpu", "unroll"), strict=True)
    )
    for one, other in zip([*got, *got_gradients], [*want, *want_gradients], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


FACTOR = 0.5


class Scaled(Cell):
    gates = ("a",)

    def __init__(self, private, shared):
        self._private, self.shared = private, shared

    def step(self, x, u, s, p):
        return State(h=FACTOR * self._private * self.shared[0] * torch.tanh(x.a + u.a)), Gates()


def test_what_a_formula_reads_may_change(monkeypatch):
    cell = Scaled(0.3, [2.0])
    request = change(make("elman", B=4, H=16), cell=cell)

    def agree():
        torch.testing.assert_close(run(request, "cpu").y, run(request, "unroll").y, rtol=0, atol=1e-13)

    agree()
    cell._private = 0.7
    agree()
    cell.shared[0] = 0.1
    agree()
    monkeypatch.setitem(globals(), "FACTOR", 0.9)
    agree()


def test_one_may_write_into_y_until_it_is_needed():
    torch.manual_seed(0)
    layer, x = GRU(8, 64, engine="cpu"), torch.randn(20, 32, 8, requires_grad=True)
    with torch.no_grad():
        layer(x)[0].relu_()
    y, _ = layer(x)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_forward_mode_runs_on_the_reference():
    import torch.autograd.forward_ad as forward_ad

    layer, x = GRU(8, 128), torch.randn(64, 32, 8)
    with forward_ad.dual_level():
        assert layer.explain(x).why.endswith("no derivatives in forward mode") or layer.explain(x).engine != "cpu"
