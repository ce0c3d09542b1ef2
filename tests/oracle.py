"""Every cell once more as a loop in float64 NumPy, written apart from the package: one row, one step, one gate."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    from math import erf

    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def blocks(matrix, count):
    return np.split(matrix, count, axis=0) if matrix is not None and count else [0.0] * count


def elman(f):
    def step(x, s, w):
        (h,) = s
        return (f(w["W"][0] @ x + w["b"][0] + w["U"][0] @ h + w["c"][0]),)

    return step


def part(x, h, w, gate, recurrent=None):
    """One gate's pre-activation, W x + b + U h + c; `recurrent` is its place in U where that differs."""
    k = gate if recurrent is None else recurrent
    return w["W"][gate] @ x + w["b"][gate] + w["U"][k] @ h + w["c"][k]


def inner(x, w, gate):
    return w["W"][gate] @ x + w["b"][gate]


def lstm(squash):
    def step(x, s, w):
        h, c = s
        i, f, g, o = (part(x, h, w, k) for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * squash(g)
        return sigmoid(o) * squash(c), c

    return step


def peephole_lstm(x, s, w):
    h, c = s
    i, f, g, o = (part(x, h, w, k) for k in range(4))
    look_i, look_f, look_o = w["vectors"]
    new = sigmoid(f + look_f * c) * c + sigmoid(i + look_i * c) * np.tanh(g)
    return sigmoid(o + look_o * new) * np.tanh(new), new


def coupled_lstm(x, s, w):
    h, c = s
    forget = sigmoid(part(x, h, w, 0))
    c = c + (1 - forget) * (np.tanh(part(x, h, w, 1)) - c)
    return sigmoid(part(x, h, w, 2)) * np.tanh(c), c


def slstm(log_forget):
    """Without the stabiliser inside: the sums of eq. 8-10 as they are, and m only where they are handed on."""

    def step(x, s, w):
        h, c, n, m = s
        i, f, z, o = (part(x, h, w, k) for k in range(4))
        kept = np.where(n == 0, 0, np.exp(log_forget(f) + m))
        total_c = kept * c + np.exp(i) * np.tanh(z)
        total_n = kept * n + np.exp(i)
        m = np.where(n == 0, i, np.maximum(log_forget(f) + m, i))
        c, n = total_c / np.exp(m), total_n / np.exp(m)
        # A sequence from zeros has n >= 1; the laws start from any state.
        return sigmoid(o) * c / np.maximum(n, 1), c, n, m

    return step


def min_lstm(x, s, w):
    (h,) = s
    f, i = sigmoid(inner(x, w, 0)), sigmoid(inner(x, w, 1))
    return ((f * h + i * inner(x, w, 2)) / (f + i),)


def gru(squash):
    def step(x, s, w):
        (h,) = s
        r, z = sigmoid(part(x, h, w, 0)), sigmoid(part(x, h, w, 1))
        n = squash(inner(x, w, 2) + r * (w["U"][2] @ h + w["c"][2]))
        return ((1 - z) * n + z * h,)

    return step


def cho_gru(x, s, w):
    (h,) = s
    r, z = sigmoid(part(x, h, w, 0)), sigmoid(part(x, h, w, 1))
    return (z * h + (1 - z) * np.tanh(part(x, r * h, w, 2)),)


def minimal_gated_unit(x, s, w):
    (h,) = s
    f = sigmoid(part(x, h, w, 0))
    return ((1 - f) * h + f * np.tanh(part(x, f * h, w, 1)),)


def min_gru(x, s, w):
    (h,) = s
    z = sigmoid(inner(x, w, 0))
    return ((1 - z) * h + z * inner(x, w, 1),)


def indrnn(x, s, w):
    (h,) = s
    return (np.maximum(inner(x, w, 0) + w["vectors"][0] * h, 0),)


def orthogonal_rnn(f):
    def step(x, s, w):
        (h,) = s
        # The Cayley transform by eigenvalues: V - V^T = -i E diag(k) E*, so each becomes (1 + i k) / (1 - i k).
        k, E = np.linalg.eigh(1j * (w["U"][0] - w["U"][0].T))
        Q = (E * ((1 + 1j * k) / (1 - 1j * k))) @ E.conj().T
        return (f(inner(x, w, 0) + Q.real @ h + w["c"][0]),)

    return step


def antisymmetric(w, h):
    """W h - W^T h - 0.1 h + c, the diffusion at its default."""
    W = w["U"][0]
    return W @ h - h @ W - 0.1 * h + w["c"][0]


def antisymmetric_rnn(x, s, w):
    (h,) = s
    return (h + 0.1 * np.tanh(inner(x, w, 0) + antisymmetric(w, h)),)


def gated_antisymmetric_rnn(x, s, w):
    (h,) = s
    u = antisymmetric(w, h)
    return (h + 0.1 * sigmoid(inner(x, w, 1) + u) * np.tanh(inner(x, w, 0) + u),)


def leaky(x, s, w):
    (h,) = s
    a = sigmoid(w["W"][1] @ x + w["b"][1] + w["U"][1] @ h + w["c"][1])
    n = np.tanh(w["W"][0] @ x + w["b"][0] + w["U"][0] @ h + w["c"][0])
    return (a * h + (1 - a) * n,)


def odd(x, s, w):
    h, m = s
    a = sigmoid(w["W"][0] @ x + w["b"][0] + w["U"][0] @ h + w["c"][0] + w["vectors"][0] * m)
    n = np.tanh(w["W"][1] @ x + w["b"][1] + w["U"][1] @ (a * h) + w["c"][1])
    m = (1 - a) * m + a * (w["W"][2] @ x + w["b"][2])
    return n + np.sin(m), m


STEPS = {
    "elman": elman(np.tanh),
    "lstm": lstm(np.tanh),
    "peephole_lstm": peephole_lstm,
    "coupled_lstm": coupled_lstm,
    "slstm": slstm(lambda f: -np.log1p(np.exp(-f))),
    "min_lstm": min_lstm,
    "gru": gru(np.tanh),
    "cho_gru": cho_gru,
    "minimal_gated_unit": minimal_gated_unit,
    "min_gru": min_gru,
    "indrnn": indrnn,
    "orthogonal_rnn": orthogonal_rnn(lambda x: np.maximum(x, 0)),
    "antisymmetric_rnn": antisymmetric_rnn,
    "gated_antisymmetric_rnn": gated_antisymmetric_rnn,
    "elman-relu": elman(lambda x: np.maximum(x, 0)),
    "elman-gelu": elman(gelu),
    "lstm-softsign": lstm(lambda x: x / (1 + np.abs(x))),
    "gru-relu": gru(lambda x: np.maximum(x, 0)),
    "slstm-exp": slstm(lambda f: f),
    "user's leaky": leaky,
    "user's odd": odd,
}


def run(name, cell, x, state, weights, lengths, reverse=False):
    """x (T, B, I), state: arrays (B, H), weights: the package's named tuple as arrays. Returns y and the last state."""
    w = {
        "W": blocks(weights.ih, len(cell.gates)),
        "U": blocks(weights.hh, len(cell.recurrent)),
        "b": blocks(weights.b_ih, len(cell.gates)),
        "c": blocks(weights.b_hh, len(cell.recurrent)),
        "vectors": weights.vectors,
    }
    y = np.zeros((x.shape[0], x.shape[1], state[0].shape[1]))
    last = [array.copy() for array in state]
    for row, length in enumerate(lengths):
        s = tuple(array[row] for array in state)
        steps = range(length)
        for t in reversed(steps) if reverse else steps:
            s = STEPS[name](x[t, row], s, w)
            y[t, row] = s[0]
        for array, value in zip(last, s, strict=True):
            array[row] = value
    return y, last
