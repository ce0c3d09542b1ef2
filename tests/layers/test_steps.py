"""One step as a module: the namesakes of torch.nn's cells, and any other cell."""

import pytest
import table
import torch

import recurra.layers
from recurra.cells import State
from recurra.errors import InputError
from recurra.layers import Recurrent, Step

KINDS = ("RNNCell", "LSTMCell", "GRUCell")


def pair(kind, bias=True, **more):
    theirs = getattr(torch.nn, kind)(3, 4, bias, dtype=torch.float64, **more)
    ours = getattr(recurra.layers, kind)(3, 4, bias, dtype=torch.float64, **more)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return theirs, ours


def flat(state):
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_equal_torch(kind, bias, batched):
    theirs, ours = pair(kind, bias)
    shape = (2,) if batched else ()
    start = [torch.randn(*shape, 4, dtype=torch.float64) for _ in range(2 if kind == "LSTMCell" else 1)]
    for hx in (None, tuple(start) if len(start) > 1 else start[0]):
        x = torch.randn(*shape, 3, dtype=torch.float64, requires_grad=True)
        gradients = []
        for module in (theirs, ours):
            module.zero_grad()
            state = module(x, hx)
            loss = sum(part.sin().sum() for part in flat(state))
            gradients.append((state, torch.autograd.grad(loss, [x, *module.parameters()])))
        (a, da), (b, db) = gradients
        assert type(a) is type(b)
        for one, other in zip([*flat(a), *da], [*flat(b), *db], strict=True):
            assert one.shape == other.shape
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_names_repr_and_one_seed_are_torchs(kind):
    torch.manual_seed(3)
    theirs = getattr(torch.nn, kind)(3, 4)
    torch.manual_seed(3)
    ours = getattr(recurra.layers, kind)(3, 4)
    assert repr(ours) == repr(theirs)
    for (name, a), (name2, b) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert name == name2
        assert torch.equal(a, b)


def test_relu_by_its_name_and_by_its_place():
    theirs, ours = pair("RNNCell", nonlinearity="relu")
    x = torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    assert recurra.layers.RNNCell(3, 4, True, "relu").cell.activation == "relu"


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("name", list(table.MADE))
def test_a_loop_of_steps_equals_the_layer(name, layer_norm):
    cell = table.MADE[name]()
    layer = Recurrent(cell, 3, 4, layer_norm=layer_norm, dtype=torch.float64)
    step = Step(cell, 3, 4, layer_norm=layer_norm, dtype=torch.float64)
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    y, (last,) = layer(x)
    state = None
    for t in range(5):
        state = step(x[t], state)
        torch.testing.assert_close(state.h, y[t], rtol=0, atol=1e-12)
    assert isinstance(state, State)
    for a, b in zip(state, last, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recurra.layers.GRUCell(3, 4)(torch.zeros(2, 5)), r"GRUCell: x is \(2, 5\), expected \(batch, 3\)"),
        (lambda: recurra.layers.LSTMCell(3, 4)(torch.zeros(2, 3), torch.zeros(2, 4)), "hx holds 1 tensors"),
        (lambda: recurra.layers.GRUCell(3, 4)(torch.zeros(2, 3), torch.zeros(3, 4)), r"state's h is \(3, 4\)"),
        (lambda: recurra.layers.RNNCell(3, 4, activation="relu"), "called nonlinearity"),
        (lambda: Step("gru", 3, 0), "hidden_size=0 must be"),
    ],
)
def test_what_does_not_fit_a_step_is_said(make, message):
    with pytest.raises(InputError, match=message):
        make()
