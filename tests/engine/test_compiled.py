"""The compiled loops beyond the laws of every engine: sizes, threads, processes, graphs, elementwise functions."""

import ctypes
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
from recurra.engine.cpu.code import Code
from recurra.engine.cpu.compile import Compiled, machine_shape
from recurra.engine.cpu.maths import exp, sigmoid, tanh
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
    loss = (result.y * mix).sum() + sum(state.sin().sum() for state in result.state)
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


def test_a_second_derivative_is_refused_and_not_wrong():
    request = make("gru", B=4, H=16)
    x = request.x.clone().requires_grad_()
    (first,) = torch.autograd.grad(run(change(request, x=x), "cpu").y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


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


def test_a_formula_that_cannot_be_compiled_says_what_stands_in_the_way():
    class Wild(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            return State(h=torch.cumsum(x.a + u.a, -1)), Gates()

    request = change(make("elman", B=4, H=16), cell=Wild())
    with pytest.raises(InputError, match="the operator aten.cumsum has no rule"):
        run(request, "cpu")
    with pytest.raises(InputError, match="the operator aten.erf has no rule|aten.gelu has no rule"):
        run(make("elman-gelu"), "cpu")


def test_the_fixed_table_compiles_where_it_pays():
    x = torch.zeros(64, 32, 64)
    assert GRU(64, 128).explain(x).engine == "cpu"
    assert GRU(64, 128).explain(x[:, :1]).engine == "native"
    assert Recurrent(table.Leaky, 64, 128).explain(x).engine == "cpu"
    assert Recurrent(Elman("gelu"), 64, 128).explain(x).engine == "unroll"
    assert choose(make("lstm", T=64, B=32, H=128, dtype=torch.float32)).engine == "native"
    ragged = make("lstm", T=64, B=32, H=128, dtype=torch.float32, lengths=torch.arange(1, 33))
    assert choose(ragged).engine == "cpu"


def test_cells_of_one_formula_share_their_code():
    from recurra.engine.cpu.kernel import kernel

    assert kernel(Elman("tanh"), 16, torch.float32) is kernel(Elman("tanh"), 16, torch.float32)
    assert kernel(Elman("tanh"), 16, torch.float32) is not kernel(Elman("relu"), 16, torch.float32)
    assert kernel(table.Leaky(), 16, torch.float32) is kernel(table.Leaky(), 16, torch.float32)


def elementwise(rule, bits):
    """The vectorised function as one of tensors."""
    from llvmlite import ir

    shape = machine_shape(bits)
    module = ir.Module("elementwise")
    number = ir.FloatType() if bits == 32 else ir.DoubleType()
    kinds = [number.as_pointer()] * 2 + [ir.IntType(64)]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "f")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    into, given, count = function.args

    def body(i):
        code.store(rule(code, code.load(code.at(given, i))), code.at(into, i))

    code.loop(code.index(0), count, shape.width, body)
    code.b.ret_void()
    compiled = Compiled(module)
    call = compiled.function("f", 2, 1)

    def apply(x):
        out = torch.empty_like(x)
        call(ctypes.c_void_p(out.data_ptr()), ctypes.c_void_p(x.data_ptr()), x.numel())
        return out

    apply.compiled = compiled
    return apply


@pytest.mark.parametrize(
    ("rule", "torchs", "error"), [(exp, torch.exp, 2e-7), (sigmoid, torch.sigmoid, 2e-7), (tanh, torch.tanh, 3e-7)]
)
def test_elementwise_functions_are_within_the_error_they_state(rule, torchs, error):
    x = torch.cat([torch.linspace(-120, 120, 160_000), torch.linspace(-1, 1, 160_000)])
    got, want = elementwise(rule, 32)(x).double(), torchs(x.double())
    finite = want < 3.4e38
    relative = (got - want).abs()[finite] / want[finite].abs().clamp(min=1.2e-38 if rule is exp else 1.0)
    normal = want[finite].abs() > 1.2e-38
    assert relative[normal].max() < error
    assert (got[want > 3.41e38] == float("inf")).all()


@pytest.mark.parametrize("rule", [exp, sigmoid, tanh])
def test_elementwise_functions_at_the_ends(rule):
    torchs = {exp: torch.exp, sigmoid: torch.sigmoid, tanh: torch.tanh}[rule]
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e30, -1e30, 1e-30] * 8)
    torch.testing.assert_close(elementwise(rule, 32)(x), torchs(x), equal_nan=True, rtol=3e-7, atol=1e-37)
    exact = elementwise(rule, 64)(x.double())
    torch.testing.assert_close(exact, torchs(x.double()), equal_nan=True, rtol=1e-15, atol=0)
