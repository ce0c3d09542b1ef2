"""The laws every cell keeps on every engine. The cells come from one table; a new one is tested by being in it."""

import oracle
import pytest
import table
import torch

from recurra.cells import CELLS, State, Weights
from recurra.engine import ENGINES, Request, choose, run
from recurra.errors import InputError

CELL_NAMES = list(table.MADE)


def make(name, *, T=5, B=3, I=4, H=6, bias=True, dtype=torch.float64, seed=0, **request):
    cell, g = table.MADE[name](), torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    G, R = len(cell.gates), len(cell.recurrent)
    weights = Weights(
        normal(G * H, I) / 2,
        normal(R * H, H) / 2,
        normal(G * H) if bias else None,
        normal(R * H) if bias else None,
        None,
        tuple(normal(H) for _ in cell.vectors),
    )
    state = State(**{name: normal(B, H) for name in cell.states})
    return Request(cell, normal(T, B, I), state, weights, **request)


def change(request, **fields):
    return Request(**{**vars(request), **fields})


def runs(engine, name):
    try:
        choose(make(name), engine)
    except InputError:
        return False
    return True


PAIRS = [(name, engine) for name in CELL_NAMES for engine in ENGINES if engine != "auto" and runs(engine, name)]
on_every_engine = pytest.mark.parametrize(("name", "engine"), PAIRS, ids=[" on ".join(pair) for pair in PAIRS])


def as_numpy(weights):
    arrays = [None if tensor is None else tensor.numpy() for tensor in weights[:5]]
    return Weights(*arrays, tuple(vector.numpy() for vector in weights.vectors))


def assert_same(a, b, **tolerance):
    torch.testing.assert_close(a.y, b.y, **tolerance)
    assert a.state._fields == b.state._fields
    for one, other in zip(a.state, b.state, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_the_reference_runs_every_cell_and_torch_its_own():
    assert {name for name, engine in PAIRS if engine == "unroll"} == set(CELL_NAMES)
    assert {name for name, engine in PAIRS if engine == "native"} == {"elman", "elman-relu", "lstm", "gru"}


def test_every_formula_is_compiled():
    assert {name for name, engine in PAIRS if engine == "cpu"} == set(CELL_NAMES)


def test_every_cell_of_the_table_has_an_oracle():
    assert set(CELLS) <= set(oracle.STEPS)
    assert set(oracle.STEPS) == set(CELL_NAMES)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("lengths", [None, [5, 2, 0]], ids=["whole", "ragged"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@on_every_engine
def test_equals_a_numpy_loop_written_apart(name, bias, lengths, reverse, engine):
    request = make(name, bias=bias, lengths=lengths and torch.tensor(lengths), reverse=reverse)
    result = run(request, engine)
    numbers = [tensor.numpy() for tensor in request.state]
    weights = as_numpy(request.weights)
    y, last = oracle.run(name, request.cell, request.x.numpy(), numbers, weights, lengths or [5, 5, 5], reverse)
    torch.testing.assert_close(result.y, torch.from_numpy(y), rtol=0, atol=1e-13)
    for got, want in zip(result.state, last, strict=True):
        torch.testing.assert_close(got, torch.from_numpy(want), rtol=0, atol=1e-13)


@on_every_engine
def test_gradients_pass_gradcheck(name, engine):
    request = make(name, T=3, B=2, I=2, H=3, lengths=torch.tensor([3, 1]))
    tensors = [request.x, *request.state, *(t for t in request.weights[:4] if t is not None), *request.weights.vectors]

    def outputs(*tensors):
        n = len(request.state)
        x, state, matrices, vectors = tensors[0], tensors[1 : 1 + n], tensors[1 + n : 5 + n], tensors[5 + n :]
        weights = Weights(*matrices, None, tuple(vectors))
        again = change(request, x=x, state=State(**dict(zip(request.cell.states, state, strict=True))), weights=weights)
        result = run(again, engine)
        return (result.y, *result.state)

    assert torch.autograd.gradcheck(outputs, [tensor.clone().requires_grad_() for tensor in tensors])


@pytest.mark.parametrize("name", CELL_NAMES)
def test_second_order_gradients_through_the_reference(name):
    request = make(name, T=2, B=1, I=2, H=2)

    def outputs(x, W):
        return run(change(request, x=x, weights=request.weights._replace(hh=W)), "unroll").y

    inputs = [request.x.clone().requires_grad_(), request.weights.hh.clone().requires_grad_()]
    assert torch.autograd.gradgradcheck(outputs, inputs)


@on_every_engine
def test_chunks_with_the_state_carried_equal_the_whole(name, engine):
    request = make(name, T=7)
    whole, state, pieces = run(request, engine), request.state, []
    for chunk in request.x.split([3, 1, 3]):
        result = run(change(request, x=chunk, state=state), engine)
        pieces.append(result.y)
        state = result.state
    torch.testing.assert_close(torch.cat(pieces), whole.y, rtol=0, atol=1e-13)
    for one, other in zip(state, whole.state, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@on_every_engine
def test_a_padded_row_equals_the_row_alone_and_padding_is_never_read(name, reverse, engine):
    lengths = torch.tensor([5, 2, 4])
    request = make(name, lengths=lengths, reverse=reverse)
    x = request.x.clone()
    for row, length in enumerate(lengths):
        x[length:, row] = float("nan")
    x.requires_grad_()
    result = run(change(request, x=x), engine)
    result.y.sum().backward()
    assert torch.isfinite(x.grad).all()
    for row, length in enumerate(lengths):
        state = request.state.select(torch.tensor([row]))
        alone = run(change(request, x=request.x[:length, row : row + 1], lengths=None, state=state), engine)
        torch.testing.assert_close(result.y[:length, row : row + 1], alone.y, rtol=0, atol=1e-13)
        assert (result.y[length:, row] == 0).all()
        assert (x.grad[length:, row] == 0).all()
        for got, want in zip(result.state, alone.state, strict=True):
            torch.testing.assert_close(got[row], want[0], rtol=0, atol=1e-13)


@on_every_engine
def test_permuting_the_batch_permutes_the_output(name, engine):
    request, order = make(name, lengths=torch.tensor([5, 2, 4])), torch.tensor([2, 0, 1])
    result = run(request, engine)
    turned = change(request, x=request.x[:, order], state=request.state.select(order), lengths=request.lengths[order])
    again = run(turned, engine)
    torch.testing.assert_close(again.y, result.y[:, order], rtol=0, atol=1e-13)


@on_every_engine
def test_a_change_at_t_leaves_the_past_untouched_and_reaches_the_future(name, engine):
    request = make(name, T=6)
    x = request.x.clone()
    x[3] += 1
    before, after = run(request, engine).y, run(change(request, x=x), engine).y
    assert torch.equal(before[:3], after[:3])
    assert (before[3:] != after[3:]).flatten(1).any(1).all()


@on_every_engine
def test_reverse_equals_flip_run_flip_by_each_length(name, engine):
    lengths = torch.tensor([5, 2, 4])
    request = make(name, lengths=lengths, reverse=True)
    result = run(request, engine)
    for row, length in enumerate(lengths):
        flipped = request.x[:length, row : row + 1].flip(0)
        state = request.state.select(torch.tensor([row]))
        alone = run(change(request, x=flipped, state=state, lengths=None, reverse=False), engine)
        torch.testing.assert_close(result.y[:length, row : row + 1], alone.y.flip(0), rtol=0, atol=1e-13)
        for got, want in zip(result.state, alone.state, strict=True):
            torch.testing.assert_close(got[row], want[0], rtol=0, atol=1e-13)


@on_every_engine
def test_a_detached_state_blocks_the_gradient(name, engine):
    request = make(name, T=4)
    x = request.x.clone().requires_grad_()
    first = run(change(request, x=x[:2]), engine)
    run(change(request, x=x[2:], state=first.state.detach()), engine).y.sum().backward()
    assert (x.grad[:2] == 0).all()
    assert (x.grad[2:] != 0).any()
    attached = torch.autograd.grad(run(change(request, x=x[2:], state=first.state), engine).y.sum(), x)[0]
    assert (attached[:2] != 0).any()


@pytest.mark.parametrize(("T", "B"), [(1, 1), (1, 3), (4, 1)])
@on_every_engine
def test_one_step_and_one_row(name, T, B, engine):
    request = make(name, T=T, B=B)
    result = run(request, engine)
    weights, state = as_numpy(request.weights), [tensor.numpy() for tensor in request.state]
    y, _ = oracle.run(name, request.cell, request.x.numpy(), state, weights, [T] * B)
    torch.testing.assert_close(result.y, torch.from_numpy(y), rtol=0, atol=1e-13)


# float32 rounds at 6e-8: a few dozen additions a step and five steps stay below 1e-5. bfloat16 rounds at 4e-3.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 8e-2)])
@on_every_engine
def test_lower_precision_stays_near_float64(name, dtype, tolerance, engine):
    request, exact = make(name, dtype=dtype), run(make(name), "unroll")
    if engine == "cpu" and dtype == torch.bfloat16:
        with pytest.raises(InputError, match="all tensors must be float32, or all float64"):
            run(request, engine)
        return
    result = run(request, engine)
    assert result.y.dtype == dtype
    torch.testing.assert_close(result.y.double(), exact.y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_nan_and_infinity_go_through(name):
    request = make(name, B=2)
    x = request.x.clone()
    x[1, 0] = float("nan")
    y = run(change(request, x=x), "unroll").y
    assert y[1:, 0].isnan().any(-1).all()
    assert y[:, 1].isfinite().all()
