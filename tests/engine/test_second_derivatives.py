"""Derivatives of the compiled engine's gradients: of any order, and of many gradients at once."""

import pytest
import table
import torch
from test_conformance import CELL_NAMES, change, make

from recurra.cells import Norms
from recurra.engine import Masks, run

T, B, H = 4, 3, 6


def leaves_of(request):
    """The tensors that a gradient is asked for, each a leaf."""
    weights = request.weights
    norms = () if weights.norms is None else (weights.norms.ih, weights.norms.hh, *sum(weights.norms.states, ()))
    parts = [request.x, *request.state, *(t for t in weights[:5] if t is not None), *weights.vectors, *norms]
    return [tensor.requires_grad_() for tensor in parts if tensor.numel()]


def loss_of(result):
    terms = [result.y, *result.state, *(result.kept or ())]
    return sum((tensor.sin() * (1 + number)).sum() for number, tensor in enumerate(terms))


def penalties(request, engine):
    """A gradient, and the gradient of its square by everything."""
    leaves = leaves_of(request)
    first = torch.autograd.grad(loss_of(run(request, engine)), leaves, create_graph=True, allow_unused=True)
    penalty = sum(tensor.square().sum() for tensor in first if tensor is not None)
    return first, torch.autograd.grad(penalty, leaves, allow_unused=True, materialize_grads=True)


def assert_penalties_equal(**build):
    got_first, got = penalties(build_request(**build), "cpu")
    want_first, want = penalties(build_request(**build), "unroll")
    compared = 0
    for one, other in zip([*got_first, *got], [*want_first, *want], strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
            compared += 1
    assert compared > 4


def build_request(name, *, lengths=None, reverse=False, norm=False, project=0, **fields):
    request = make(name, T=T, B=B, H=H, lengths=lengths, reverse=reverse)
    g, cell = torch.Generator().manual_seed(1), request.cell

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    weights = request.weights
    if norm:
        states = tuple((normal(H), normal(H)) for _ in cell.formula.normalised)
        weights = weights._replace(norms=Norms(normal(len(cell.gates) * H), normal(len(cell.recurrent) * H), states))
    if project:
        weights = weights._replace(hr=normal(project, H), hh=normal(len(cell.recurrent) * H, project))
    return change(request, weights=weights, **fields)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_a_gradient_penalty_equals_the_reference(name):
    assert_penalties_equal(name=name, lengths=torch.tensor([4, 2, 0]), reverse=True)


def test_a_gradient_penalty_of_rows_of_one_length_equals_the_reference():
    assert_penalties_equal(name="lstm")


@pytest.mark.parametrize("name", ["lstm", "gru", "user's odd"])
def test_with_normalisation_masks_and_gates_that_come_out(name):
    g = torch.Generator().manual_seed(2)
    cell = table.MADE[name]()
    drop = torch.rand(B, H, generator=g, dtype=torch.float64)
    zoneout = tuple(torch.rand(T, B, H, generator=g, dtype=torch.float64) for _ in cell.states)
    assert_penalties_equal(name=name, norm=True, masks=Masks(drop, zoneout), keep=True)
    rates = (torch.full((1, 1, 1), 0.2, dtype=torch.float64), *[None] * (len(cell.states) - 1))
    assert_penalties_equal(name=name, norm=True, masks=Masks(None, rates), lengths=torch.tensor([1, 4, 0]))


def test_with_a_projection_of_a_cell_that_reads_h():
    assert_penalties_equal(name="gru", project=2)


def test_where_states_are_computed_again():
    assert_penalties_equal(name="lstm", recompute=2)


def test_third_derivatives_equal_the_reference():
    thirds = []
    for engine in ("cpu", "unroll"):
        request = make("lstm", T=T, B=B, H=H)
        (x, *_) = leaves_of(request)
        (first,) = torch.autograd.grad(loss_of(run(request, engine)), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x, create_graph=True)
        thirds.append(torch.autograd.grad(second.square().sum(), leaves_of(request)))
    for one, other in zip(*thirds, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_two_biases_that_are_one_tensor_have_their_own_gradients():
    seconds = []
    for engine in ("cpu", "unroll"):
        request = make("lstm", T=T, B=B, H=H)
        bias = request.weights.b_ih.requires_grad_()
        request = change(request, weights=request.weights._replace(b_hh=bias))
        (first,) = torch.autograd.grad(loss_of(run(request, engine)), bias, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), bias)[0])
    torch.testing.assert_close(*seconds)


def test_finite_differences_agree_with_gradients_and_their_gradients():
    request = make("gru", T=3, B=2, H=3)
    x, hh = request.x.requires_grad_(), request.weights.hh.requires_grad_()

    def y(x, hh):
        return run(change(request, x=x, weights=request.weights._replace(hh=hh)), "cpu").y

    assert torch.autograd.gradcheck(y, (x, hh), check_batched_grad=True)
    assert torch.autograd.gradgradcheck(y, (x, hh))


def test_the_first_gradient_is_the_compiled_one_to_the_bit():
    request = make("lstm", T=T, B=B, H=16, dtype=torch.float32)
    leaves = leaves_of(request)
    plain = torch.autograd.grad(loss_of(run(request, "cpu")), leaves)
    kept = torch.autograd.grad(loss_of(run(request, "cpu")), leaves, create_graph=True)
    assert all(torch.equal(one, other) for one, other in zip(plain, kept, strict=True))


def test_many_gradients_at_once_equal_one_after_the_other():
    request = make("gru", T=T, B=B, H=H)
    leaves = leaves_of(request)
    y = run(request, "cpu").y
    directions = torch.randn(3, *y.shape, dtype=torch.float64)
    batched = torch.autograd.grad(y, leaves, directions, is_grads_batched=True, retain_graph=True, allow_unused=True)
    for number, direction in enumerate(directions):
        alone = torch.autograd.grad(y, leaves, direction, retain_graph=True, allow_unused=True)
        for one, other in zip(batched, alone, strict=True):
            torch.testing.assert_close(one[number], other)


def test_lengths_that_change_after_the_forward_pass_are_not_read_again():
    lengths = torch.tensor([4, 2, 1])
    request = make("lstm", T=T, B=B, H=H, lengths=lengths.clone(), reverse=True, recompute=2)
    other = make("lstm", T=T, B=B, H=H, lengths=lengths.clone(), reverse=True, recompute=2)
    (x, *_), (x2, *_) = leaves_of(request), leaves_of(other)
    result = run(request, "cpu")
    request.lengths.fill_(4)
    want = torch.autograd.grad(loss_of(run(other, "cpu")), x2)
    assert torch.equal(torch.autograd.grad(loss_of(result), x)[0], want[0])


def test_negative_views_are_read_as_the_numbers_they_are():
    request = make("peephole_lstm", T=T, B=B, H=H)

    def negated(tensor):
        return None if tensor is None else torch._neg_view(-tensor)

    weights = request.weights
    turned = change(
        request,
        x=negated(request.x),
        state=request.state.map(negated),
        weights=weights._replace(
            **{name: negated(getattr(weights, name)) for name in ("ih", "hh", "b_ih", "b_hh")},
            vectors=tuple(map(negated, weights.vectors)),
        ),
    )
    torch.testing.assert_close(run(turned, "cpu").y, run(request, "cpu").y)
    x = request.x.requires_grad_()
    y = run(request, "cpu").y
    direction = torch.randn_like(y)
    (want,) = torch.autograd.grad(y, x, direction, retain_graph=True)
    assert torch.equal(torch.autograd.grad(y, x, negated(direction))[0], want)
