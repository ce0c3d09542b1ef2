"""Weights from Keras and back: against Keras itself where it is installed, and its equations in NumPy everywhere."""

import numpy as np
import pytest
import torch

from recurra.cells import Cell, Gates, State
from recurra.errors import InputError
from recurra.layers import GRU, LSTM, RNN, GRUCell, Recurrent, from_keras, to_keras

I, H, T, B = 3, 4, 5, 2


class Cho(Cell):
    """The GRU of Cho et al. (2014): reset before the product."""

    gates = ("r", "z", "n")

    def step(self, x, u, s, p):
        r, z = torch.sigmoid(x.r + u.r), torch.sigmoid(x.z + u.z)
        n = torch.tanh(x.n + u("n", r * s.h))
        return State(h=(1 - z) * n + z * s.h), Gates(r=r, z=z, n=n)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def keras_lstm(x, weights):
    """Keras's equations: gates i f c o side by side."""
    kernel, recurrent, bias = weights
    h = c = np.zeros((x.shape[0], H))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return h


def keras_gru(x, weights):
    """Gates z r h; two rows of biases where the reset gate acts after the product."""
    kernel, recurrent, bias = weights
    after = bias.ndim == 2
    b, c = bias if after else (bias, 0)
    h = np.zeros((x.shape[0], H))
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + b, 3, axis=1)
        uz, ur, uh = np.split(h @ recurrent + c, 3, axis=1)
        z, r = sigmoid(xz + uz), sigmoid(xr + ur)
        new = np.tanh(xh + (r * uh if after else (r * h) @ recurrent[:, 2 * H :]))
        h = z * h + (1 - z) * new
    return h


def keras_rnn(x, weights):
    kernel, recurrent, bias = weights
    h = np.zeros((x.shape[0], H))
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
    return h


EQUATIONS = {"LSTM": keras_lstm, "GRU": keras_gru, "SimpleRNN": keras_rnn}
OURS = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": RNN}
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def arrays(kind, reset_after=True, seed=0):
    rng, G = np.random.default_rng(seed), GATES[kind]
    bias = (2, G * H) if kind == "GRU" and reset_after else (G * H,)
    return [rng.normal(size=shape) for shape in ((I, G * H), (H, G * H), bias)]


def ours(kind, weights):
    layer = OURS[kind](I, H, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(from_keras(kind, weights))
    return layer


@pytest.mark.parametrize("kind", list(EQUATIONS))
def test_weights_of_keras_give_kerass_numbers(kind):
    weights, x = arrays(kind), np.random.default_rng(1).normal(size=(B, T, I))
    y, _ = ours(kind, weights)(torch.from_numpy(x))
    np.testing.assert_allclose(y[:, -1].detach().numpy(), EQUATIONS[kind](x, weights), rtol=0, atol=1e-13)


def test_a_gru_with_reset_after_false_is_the_gru_of_cho():
    weights, x = arrays("GRU", reset_after=False), np.random.default_rng(1).normal(size=(B, T, I))
    layer = Recurrent(Cho, I, H, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(from_keras("GRU", weights))
    y, _ = layer(torch.from_numpy(x))
    np.testing.assert_allclose(y[:, -1].detach().numpy(), keras_gru(x, weights), rtol=0, atol=1e-13)
    for a, b in zip(to_keras("GRU", layer.state_dict(), reset_after=False), weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", list(EQUATIONS))
def test_weights_of_ours_give_our_numbers_in_keras_and_come_back(kind, bias):
    layer, x = OURS[kind](I, H, bias=bias, batch_first=True, dtype=torch.float64), np.ones((B, T, I))
    weights = to_keras(kind, layer.state_dict())
    assert len(weights) == 2 + bias
    padded = weights if bias else [*weights, np.zeros_like(arrays(kind)[2])]
    y, _ = layer(torch.from_numpy(x))
    np.testing.assert_allclose(EQUATIONS[kind](x, padded), y[:, -1].detach().numpy(), rtol=0, atol=1e-13)
    for a, b in zip(to_keras(kind, from_keras(kind, weights)), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_names_end_as_asked_so_that_stacks_and_directions_fill_up():
    layer = GRU(I, H, 2, bidirectional=True, dtype=torch.float64)
    state = layer.state_dict()
    for seed, suffix in enumerate(("_l0", "_l0_reverse")):
        state |= from_keras("GRU", arrays("GRU", seed=seed), suffix)
    layer.load_state_dict(state)
    for seed, suffix in enumerate(("_l0", "_l0_reverse")):
        for a, b in zip(to_keras("GRU", layer.state_dict(), suffix), arrays("GRU", seed=seed), strict=True):
            np.testing.assert_array_equal(a, b)
    step = GRUCell(I, H, dtype=torch.float64)
    step.load_state_dict(from_keras("GRU", arrays("GRU"), ""))
    np.testing.assert_array_equal(to_keras("GRU", step.state_dict(), "")[0], arrays("GRU")[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_keras("LSTMs", arrays("LSTM")), "Did you mean 'LSTM'"),
        (lambda: from_keras("GRU", arrays("LSTM")), r"weights of a Keras GRU have the shapes .*expected \(I, 3·H\)"),
        (lambda: from_keras("LSTM", arrays("LSTM") * 2), "of one layer in one direction"),
        (lambda: from_keras("LSTM", []), "have the shapes"),
        (
            lambda: to_keras("LSTM", LSTM(I, H).state_dict(), "_l1"),
            "has no 'weight_ih_l1'. Did you mean 'weight_ih_l0'",
        ),
        (lambda: to_keras("LSTM", GRU(I, H).state_dict()), "weights of a Keras LSTM have the shapes"),
        (
            lambda: to_keras("LSTM", LSTM(I, H, layer_norm=True).state_dict()),
            "no equivalent of gain_c, gain_hh, gain_ih",
        ),
        (lambda: to_keras("LSTM", LSTM(I, H, proj_size=2).state_dict()), "no equivalent of weight_hr"),
    ],
)
def test_what_cannot_be_converted_is_said(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# Keras 3.15 on torch rounds products of a plain loop to float32 whatever the dtype (5e-8 after one step); the exact
# comparison is with its equations above.
@pytest.fixture
def keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    before = keras.config.floatx()
    keras.config.set_floatx("float64")  # a layer's own dtype leaves its initial state in float32
    yield keras
    keras.config.set_floatx(before)


@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.parametrize("kind", list(EQUATIONS))
def test_keras_itself_agrees_both_ways(keras, kind):
    layer = getattr(keras.layers, kind)(H, return_sequences=True, bias_initializer="random_normal")
    x = np.random.default_rng(1).normal(size=(B, T, I))
    theirs = keras.ops.convert_to_numpy(layer(x))
    mine = ours(kind, layer.get_weights())
    np.testing.assert_allclose(mine(torch.from_numpy(x))[0].detach().numpy(), theirs, rtol=0, atol=1e-6)
    fresh = OURS[kind](I, H, batch_first=True, dtype=torch.float64)
    layer.set_weights(to_keras(kind, fresh.state_dict()))
    again = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(fresh(torch.from_numpy(x))[0].detach().numpy(), again, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_keras_itself_agrees_on_both_directions_and_on_reset_before(keras):
    x = np.random.default_rng(1).normal(size=(B, T, I))
    both = keras.layers.Bidirectional(keras.layers.LSTM(H, return_sequences=True))
    theirs, weights = keras.ops.convert_to_numpy(both(x)), both.get_weights()
    layer = LSTM(I, H, bidirectional=True, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(from_keras("LSTM", weights[:3]) | from_keras("LSTM", weights[3:], "_l0_reverse"))
    np.testing.assert_allclose(layer(torch.from_numpy(x))[0].detach().numpy(), theirs, rtol=0, atol=1e-6)
    before = keras.layers.GRU(H, reset_after=False, return_sequences=True)
    theirs = keras.ops.convert_to_numpy(before(x))
    layer = Recurrent(Cho, I, H, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(from_keras("GRU", before.get_weights()))
    np.testing.assert_allclose(layer(torch.from_numpy(x))[0].detach().numpy(), theirs, rtol=0, atol=1e-6)
