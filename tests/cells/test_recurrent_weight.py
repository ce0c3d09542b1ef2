"""Recurrent matrices that are a function of a free parameter, and the gradients they keep."""

import math

import pytest
import torch

from recurra.cells import (
    AntisymmetricRNN,
    Elman,
    GatedAntisymmetricRNN,
    Initialisation,
    OrthogonalRNN,
    State,
    Weights,
)
from recurra.engine import Request, run
from recurra.errors import InputError
from recurra.layers import Recurrent


def request(cell, *, T=100, B=4, I=16, H=64, how=None):
    g = torch.Generator().manual_seed(1)
    G, R = len(cell.gates), len(cell.recurrent)
    weights = Weights(torch.empty(G * H, I), torch.empty(R * H, H), torch.empty(G * H), torch.empty(R * H))
    cell.initialise(weights, how or Initialisation(), g)
    x = torch.randn(T, B, I, generator=g)
    return Request(cell, x, State(h=torch.zeros(B, H, requires_grad=True)), weights)


def kept(cell, **sizes):
    """How long the gradient of the last output is at the first state, over its length at the last, row by row."""
    asked = request(cell, **sizes)
    y = run(asked, "unroll").y
    v = torch.randn(y[-1].shape, generator=torch.Generator().manual_seed(2))
    return torch.autograd.grad(y[-1], asked.state.h, v)[0].norm(dim=1) / v.norm(dim=1)


def test_an_orthogonal_recurrence_keeps_the_length_of_a_gradient():
    torch.testing.assert_close(kept(OrthogonalRNN("identity")), torch.ones(4), rtol=1e-4, atol=0)


def test_an_orthogonal_recurrence_never_lengthens_a_gradient_and_relu_leaves_some_of_it():
    assert (kept(OrthogonalRNN()) > 0.01).all()
    assert (kept(OrthogonalRNN()) < 1).all()
    assert (kept(OrthogonalRNN("tanh")) < 1).all()


@pytest.mark.parametrize("cell", [AntisymmetricRNN(), GatedAntisymmetricRNN()], ids=["plain", "gated"])
def test_an_antisymmetric_recurrence_keeps_a_gradient_within_a_factor_of_two(cell):
    assert (kept(cell) > 0.5).all()
    assert (kept(cell) < 2).all()


def test_smaller_steps_keep_it_closer_and_diffusion_shortens_it():
    torch.testing.assert_close(kept(AntisymmetricRNN(0.01, 0.0)), torch.ones(4), rtol=0.03, atol=0)
    assert (kept(AntisymmetricRNN(0.1, 1.0)) < 0.1).all()


def test_a_simple_network_loses_it():
    assert (kept(Elman()) < 1e-6).all()


def test_the_matrix_is_orthogonal_whatever_the_parameter():
    V = torch.randn(9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    Q = OrthogonalRNN().recurrent_weight(V)
    torch.testing.assert_close(Q @ Q.T, torch.eye(9, dtype=torch.float64), rtol=0, atol=1e-13)
    assert torch.linalg.det(Q).item() == pytest.approx(1)
    assert torch.equal(OrthogonalRNN().recurrent_weight(torch.zeros(3, 3)), torch.eye(3))


def test_it_starts_with_rotations_of_up_to_a_right_angle():
    for H in (8, 7):
        hh = request(OrthogonalRNN(), H=H).weights.hh
        angles = torch.linalg.eigvals(OrthogonalRNN().recurrent_weight(hh)).angle().abs()
        assert angles.max() <= math.pi / 2 + 1e-5
        assert (angles > 1e-3).sum() == H // 2 * 2
    other = request(OrthogonalRNN(), H=8, how=Initialisation(recurrent="identity")).weights.hh
    assert torch.equal(OrthogonalRNN().recurrent_weight(other), torch.eye(8))


@pytest.mark.parametrize("kind", [AntisymmetricRNN, GatedAntisymmetricRNN])
def test_the_symmetric_part_is_the_diffusion(kind):
    A = kind(diffusion=0.25).recurrent_weight(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close((A + A.T) / 2, -0.25 * torch.eye(6))


@pytest.mark.parametrize("kind", [AntisymmetricRNN, GatedAntisymmetricRNN])
def test_the_papers_start_and_what_the_initialisation_says_otherwise(kind):
    weights = request(kind(), I=50, H=200).weights
    assert weights.ih.std().item() == pytest.approx(1 / math.sqrt(50), rel=0.03)
    assert weights.hh.std().item() == pytest.approx(1 / math.sqrt(200), rel=0.03)
    assert not weights.b_ih.any()
    assert not weights.b_hh.any()
    weights = request(kind(), I=50, H=200, how=Initialisation(recurrent="identity", input="xavier")).weights
    assert torch.equal(weights.hh, torch.eye(200))
    assert weights.ih.abs().max() <= math.sqrt(6 / 250)


def test_the_gates_bias_keeps_its_rule():
    weights = request(GatedAntisymmetricRNN(), H=8, how=Initialisation(forget_bias=2.0)).weights
    assert weights.b_ih.tolist() == [0.0] * 8 + [-2.0] * 8


class Doubled(Elman):
    def recurrent_weight(self, hh):
        return 2 * hh


def test_the_door_applies_it_once_and_the_gradient_reaches_the_parameter():
    plain = request(Elman(), T=5)
    hh = plain.weights.hh.clone().requires_grad_()
    mine = Request(Doubled(), plain.x, plain.state, plain.weights._replace(hh=hh))
    other = hh.detach().mul(2).requires_grad_()
    result, wanted = run(mine), run(Request(plain.cell, plain.x, plain.state, plain.weights._replace(hh=other)))
    torch.testing.assert_close(result.y, wanted.y)
    (got,) = torch.autograd.grad(result.y.sum(), hh)
    (want,) = torch.autograd.grad(wanted.y.sum(), other)
    torch.testing.assert_close(got, 2 * want)


def test_it_stays_orthogonal_while_it_is_trained():
    torch.manual_seed(0)
    layer = Recurrent("orthogonal_rnn", 3, 6)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    before = layer.weight_hh_l0.detach().clone()
    for _ in range(3):
        layer(torch.randn(5, 2, 3))[0].square().sum().backward()
        optimizer.step()
    Q = layer.cell.recurrent_weight(layer.weight_hh_l0)
    assert not torch.equal(before, layer.weight_hh_l0)
    torch.testing.assert_close(Q @ Q.T, torch.eye(6), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [OrthogonalRNN, AntisymmetricRNN, GatedAntisymmetricRNN])
def test_a_matrix_that_is_not_square_is_refused(kind):
    with pytest.raises(InputError, match=r"weight_hh is \(6, 4\), but V - Vᵀ needs a square matrix"):
        kind().recurrent_weight(torch.zeros(6, 4))


@pytest.mark.parametrize(
    ("options", "message"), [((0.0,), "step_size=0.0 must be above 0"), ((0.1, -1.0), "diffusion")]
)
@pytest.mark.parametrize("kind", [AntisymmetricRNN, GatedAntisymmetricRNN])
def test_steps_and_diffusion_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        kind(*options)
