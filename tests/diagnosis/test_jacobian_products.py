import pytest
import torch
from table import MADE

import recurra
from recurra.cells import State
from recurra.diagnosis import jacobians
from recurra.diagnosis.jacobians import Linearised, lyapunov_exponents, singular_values
from recurra.diagnosis.patching import evaluation_mode
from recurra.diagnosis.recording import record_sequences


def trajectory_of(layer, x, **given):
    with evaluation_mode(layer), record_sequences(layer) as sequences:
        layer(x, **given)
    return sequences[0].trajectories[0]


def linear(matrix):
    layer = recurra.RNN(1, len(matrix), nonlinearity="identity", dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(matrix)
    return layer


def test_a_linear_recurrence_has_the_logs_of_its_eigenvalues():
    eigenvalues = torch.tensor([1.03, 0.8, 0.6, 0.4, 0.2], dtype=torch.float64)
    vectors = torch.randn(5, 5, dtype=torch.float64)
    layer = linear(vectors @ eigenvalues.diag() @ vectors.inverse())
    found = lyapunov_exponents(trajectory_of(layer, torch.randn(200, 2, 1, dtype=torch.float64)))
    torch.testing.assert_close(found, eigenvalues.log(), rtol=0, atol=1e-3)


def test_a_rotation_that_shrinks_has_one_exponent_twice():
    turn = torch.tensor([[0.6, -0.7], [0.7, 0.6]], dtype=torch.float64)
    found = lyapunov_exponents(trajectory_of(linear(turn), torch.randn(200, 1, 1, dtype=torch.float64)))
    expected = torch.full((2,), 0.5 * torch.tensor(0.85).log().item(), dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", MADE)
def test_pushes_and_pulls_are_products_with_the_jacobian(name):
    layer = recurra.Recurrent(MADE[name](), 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    trajectory = trajectory_of(layer, x)
    linear = Linearised(trajectory.steps[-1], torch.tensor([1]), torch.float64)
    before = layer(x[:4, 1:])[1][0]

    def after(vector):
        parts = vector.split([tensor.shape[-1] for tensor in before], -1)
        state = State(**dict(zip(before._fields, parts, strict=True)))
        return torch.cat(list(layer(x[4:, 1:], (state,))[1][0]), -1)[0]

    J = torch.autograd.functional.jacobian(after, torch.cat(list(before), -1))[:, 0]  # (S, S)
    eye = torch.eye(len(J), dtype=torch.float64)[None]
    torch.testing.assert_close(linear.push(eye)[0], J)
    torch.testing.assert_close(linear.pull(eye)[0], J.T)


def test_singular_values_of_a_small_layer_are_those_of_the_product():
    W = torch.randn(6, 6, dtype=torch.float64) * 0.3
    found = singular_values(trajectory_of(linear(W), torch.randn(20, 2, 1, dtype=torch.float64)))
    assert list(found) == [1, 2, 4, 8, 16]
    for k, values in found.items():
        torch.testing.assert_close(values, torch.linalg.svdvals(torch.linalg.matrix_power(W, k)), rtol=1e-6, atol=0)


def test_those_of_a_large_layer_come_from_random_vectors(monkeypatch):
    layer = recurra.LSTM(3, 40)
    trajectory = trajectory_of(layer, torch.randn(40, 2, 3))
    approximate = singular_values(trajectory)
    monkeypatch.setattr(jacobians, "EXACT", 80)
    exact = singular_values(trajectory)
    for k in exact:
        torch.testing.assert_close(approximate[k][:2], exact[k][:2], rtol=0.05, atol=0)
        torch.testing.assert_close(approximate[k], exact[k], rtol=0.2, atol=0)
        assert (approximate[k] <= exact[k] * (1 + 1e-4)).all()


def test_steps_that_a_row_has_not_are_left_out():
    layer, x = recurra.GRU(3, 4), torch.randn(30, 3, 3)
    padded = trajectory_of(layer, x, lengths=torch.tensor([12, 12, 3]))
    alone = trajectory_of(layer, x[:12, :2])
    torch.testing.assert_close(lyapunov_exponents(padded, rows=2), lyapunov_exponents(alone))
