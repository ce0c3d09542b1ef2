"""Outputs, states and all gradients of RNN, LSTM and GRU equal torch.nn's, in every combination of their arguments."""

import pytest
import torch
from twins import LAYERS, SHAPES, B, T, assert_equal, batch, name_of, packed, results, state_for, twins

# oneDNN has a kernel for single precision and padded batches alone.
FORMS = [
    ("padded", torch.float32),
    *((form, torch.float64) for form in ("padded", "packed", "packed unsorted", "alone")),
]


def arrange(form, batch_first, dtype):
    """An input in one form, the leaf tensor to differentiate by, and the rows of its state."""
    x = batch(dtype).requires_grad_()
    if form == "padded":
        return x.transpose(0, 1) if batch_first else x, x, B
    if form == "packed":
        return packed(x, [5, 4, 1]), x, B
    if form == "packed unsorted":
        return packed(x, [2, 5, 3]), x, B
    return x[:, 0], x, None


@pytest.mark.parametrize("with_state", [False, True], ids=["fresh", "state"])
@pytest.mark.parametrize(("form", "dtype"), FORMS, ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_and_gradients(kind, shape, form, with_state, dtype):
    both = []
    for layer in twins(kind, dtype=dtype, **shape):
        x, leaf, rows = arrange(form, shape["batch_first"], dtype)
        arguments, inputs = [x], [leaf]
        if with_state:
            hx = state_for(layer, rows, dtype)
            parts = [part.requires_grad_() for part in (hx if isinstance(hx, tuple) else (hx,))]
            arguments, inputs = [x, hx], [leaf, *parts]
        both.append(results(layer, *arguments, inputs=inputs))
    (theirs, their_gradients), (ours, our_gradients) = both
    assert_equal(ours, theirs, dtype)
    assert_equal(our_gradients, their_gradients, dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
@pytest.mark.parametrize("kind", LAYERS)
def test_evaluation_without_gradients(kind, shape):
    theirs, ours = (layer.eval() for layer in twins(kind, **shape))
    x = batch().transpose(0, 1) if shape["batch_first"] else batch()
    with torch.no_grad():
        assert_equal(ours(x), theirs(x), torch.float32)
    with torch.inference_mode():
        assert_equal(ours(x), theirs(x), torch.float32)


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("kind", LAYERS)
def test_batches_of_no_row_and_of_one(kind, rows):
    both = []
    for layer in twins(kind, num_layers=2, bidirectional=True, dtype=torch.float64):
        x = batch(torch.float64)[:, :rows].clone().requires_grad_()
        both.append(results(layer, x, state_for(layer, rows, torch.float64), inputs=[x]))
    assert_equal(*both)


@pytest.mark.parametrize("steps", [1, 2, T])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_state_carries_over_pieces(kind, steps):
    theirs, ours = twins(kind, num_layers=2, dtype=torch.float64)
    x, state = batch(torch.float64), None
    for piece in x.split(steps):
        y, state = ours(piece, state)
    want, last = theirs(x)
    assert_equal(y, want[-len(y) :])
    assert_equal(state, last)


@pytest.mark.parametrize("what", ["x", "state", "both"])
@pytest.mark.parametrize("kind", LAYERS)
def test_tensors_that_are_not_contiguous(kind, what):
    theirs, ours = twins(kind, num_layers=2, dtype=torch.float64)

    def strided(tensor):
        apart = torch.stack([tensor, tensor + 1], -1)[..., 0]
        assert not apart.is_contiguous()
        return apart

    x, hx = batch(torch.float64), state_for(theirs, dtype=torch.float64)
    if what != "state":
        x = strided(x)
    if what != "x":
        hx = tuple(map(strided, hx)) if isinstance(hx, tuple) else strided(hx)
    assert_equal(ours(x, hx), theirs(x, hx))
    assert_equal(ours(x.transpose(0, 1), None), theirs(x.transpose(0, 1), None))


@pytest.mark.parametrize("kind", LAYERS)
def test_the_graph_can_be_walked_twice(kind):
    _, ours = twins(kind, num_layers=2, bidirectional=True)
    ours(batch())[0].sin().sum().backward()
    once = [parameter.grad.clone() for parameter in ours.parameters()]
    ours.zero_grad()
    loss = ours(batch())[0].sin().sum()
    loss.backward(retain_graph=True)
    loss.backward()
    for parameter, grad in zip(ours.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * grad)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("kind", LAYERS)
def test_first_and_second_derivatives_by_differences(kind, bidirectional):
    _, ours = twins(kind, sizes=(2, 3), bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def run(x, *parameters):
        named = dict(zip(dict(ours.named_parameters()), parameters, strict=True))
        return tuple(tensors(torch.func.functional_call(ours, named, (x,))))

    def tensors(output):
        y, last = output
        return [y, *(last if isinstance(last, tuple) else (last,))]

    parameters = [parameter.detach().requires_grad_() for parameter in ours.parameters()]
    assert torch.autograd.gradcheck(run, (x, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, *parameters), fast_mode=True)
