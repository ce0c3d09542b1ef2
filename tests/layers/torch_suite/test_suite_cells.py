"""RNNCell, LSTMCell and GRUCell equal torch.nn's: outputs, gradients, shapes, what a cell without biases holds."""

import pytest
import torch
from twins import CELLS, B, H, I, assert_equal, results, tensors_of, twins

import recurra.layers

each_cell = pytest.mark.parametrize("kind", CELLS)


def inputs_of(kind, rows, hidden=H, features=I, dtype=torch.float64, seed=3):
    """X and a state, (rows, …), or without rows where None."""
    generator = torch.Generator().manual_seed(seed)
    middle = () if rows is None else (rows,)
    x = torch.randn(*middle, features, generator=generator, dtype=dtype).requires_grad_()
    parts = [
        torch.randn(*middle, hidden, generator=generator, dtype=dtype).requires_grad_()
        for _ in range(2 if kind == "LSTM" else 1)
    ]
    return x, tuple(parts) if kind == "LSTM" else parts[0], parts


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
@pytest.mark.parametrize("with_state", [False, True], ids=["fresh", "state"])
@pytest.mark.parametrize("rows", [None, 0, 1, B])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@each_cell
def test_outputs_and_gradients(kind, bias, rows, with_state, dtype):
    both = []
    for cell in twins(kind, CELLS, bias=bias, dtype=dtype):
        x, hx, parts = inputs_of(kind, rows, dtype=dtype)
        both.append(results(cell, x, hx, inputs=[x, *parts]) if with_state else results(cell, x, inputs=[x]))
    (theirs, their_gradients), (ours, our_gradients) = both
    assert_equal(ours, theirs, dtype)
    # A state of a cell that does not use it, as in torch: no gradient.
    assert_equal([g for g in our_gradients if g is not None], [g for g in their_gradients if g is not None], dtype)


@pytest.mark.parametrize(("features", "hidden"), [(I, 0), (0, H), (0, 0), (1, 1)])
@each_cell
def test_sizes_down_to_nothing(kind, features, hidden):
    both = []
    for cell in twins(kind, CELLS, sizes=(features, hidden), dtype=torch.float64):
        x, hx, parts = inputs_of(kind, B, hidden, features)
        both.append(results(cell, x, hx, inputs=[x, *parts]))
    assert_equal(both[1][0], both[0][0])
    assert tensors_of(both[1][0])[0].shape == (B, hidden)


@each_cell
def test_a_sequence_step_by_step(kind):
    theirs, ours = twins(kind, CELLS, dtype=torch.float64)
    states = [None, None]
    x = torch.randn(4, B, I, dtype=torch.float64)
    for t in range(4):
        states = [cell(x[t], state) for cell, state in zip((theirs, ours), states, strict=True)]
    assert_equal(states[1], states[0])


@each_cell
def test_arguments_by_name_and_by_position(kind):
    theirs, ours = twins(kind, CELLS, dtype=torch.float64)
    x, hx, _ = inputs_of(kind, B)
    assert_equal(ours(input=x, hx=hx), theirs(input=x, hx=hx))
    if kind == "LSTM":
        assert_equal(ours(x, list(hx)), theirs(x, list(hx)))
    class_name, _ = CELLS[kind]
    nonlinearity = ("tanh",) if class_name == "RNNCell" else ()
    position = (I, H, False, *nonlinearity, "cpu", torch.float64)
    cells = [getattr(module, class_name)(*position) for module in (torch.nn, recurra.layers)]
    for cell in cells:
        assert cell.weight_ih.dtype == torch.float64
        assert cell.bias is False


@each_cell
def test_without_biases_there_are_none_to_read(kind):
    for cell in twins(kind, CELLS, bias=False):
        assert cell.bias_ih is None
        assert cell.bias_hh is None
        assert set(cell.state_dict()) == {"weight_ih", "weight_hh"}
        assert cell.bias is False


@each_cell
def test_an_instance_of_torchs_class(kind):
    class_name, _ = CELLS[kind]
    _, ours = twins(kind, CELLS)
    assert isinstance(ours, getattr(torch.nn, class_name))
    assert isinstance(ours, torch.nn.RNNCellBase)


@each_cell
def test_the_repr(kind):
    for bias in (True, False):
        theirs, ours = twins(kind, CELLS, bias=bias)
        assert repr(ours) == repr(theirs)


@each_cell
def test_tensors_that_are_not_contiguous(kind):
    theirs, ours = twins(kind, CELLS, dtype=torch.float64)
    x = torch.randn(I, B, dtype=torch.float64).t()
    parts = [torch.randn(H, B, dtype=torch.float64).t() for _ in range(2)]
    hx = tuple(parts) if kind == "LSTM" else parts[0]
    assert_equal(ours(x, hx), theirs(x, hx))


@each_cell
def test_derivatives_by_differences(kind):
    _, ours = twins(kind, CELLS, sizes=(2, 3), dtype=torch.float64)
    x, _, parts = inputs_of(kind, 2, 3, 2)

    def run(x, *parts):
        return tuple(tensors_of(ours(x, parts if kind == "LSTM" else parts[0])))

    assert torch.autograd.gradcheck(run, (x, *parts), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, *parts), fast_mode=True)


@each_cell
def test_a_loss_through_time_trains_alike(kind):
    losses = []
    for cell in twins(kind, CELLS, dtype=torch.float64):
        optimizer = torch.optim.SGD(cell.parameters(), 0.1)
        x = torch.randn(4, B, I, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        for _ in range(3):
            state = None
            for step in x:
                state = cell(step, state)
            loss = tensors_of(state)[0].square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=1e-12)
