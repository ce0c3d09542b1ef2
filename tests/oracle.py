"""Every cell once more as a loop in float64 NumPy, written apart from the package: one row, one step, one gate."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    from math import erf

    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def blocks(matrix, count):
    return np.split(matrix, count, axis=0) if matrix is not None else [0.0] * count


def elman(f):
    def step(x, s, w):
        (h,) = s
        return (f(w["W"][0] @ x + w["b"][0] + w["U"][0] @ h + w["c"][0]),)

    return step


def lstm(x, s, w):
    h, c = s
    i = sigmoid(w["W"][0] @ x + w["b"][0] + w["U"][0] @ h + w["c"][0])
    f = sigmoid(w["W"][1] @ x + w["b"][1] + w["U"][1] @ h + w["c"][1])
    g = np.tanh(w["W"][2] @ x + w["b"][2] + w["U"][2] @ h + w["c"][2])
    o = sigmoid(w["W"][3] @ x + w["b"][3] + w["U"][3] @ h + w["c"][3])
    c = f * c + i * g
    return o * np.tanh(c), c


def gru(x, s, w):
    (h,) = s
    r = sigmoid(w["W"][0] @ x + w["b"][0] + w["U"][0] @ h + w["c"][0])
    z = sigmoid(w["W"][1] @ x + w["b"][1] + w["U"][1] @ h + w["c"][1])
    n = np.tanh(w["W"][2] @ x + w["b"][2] + r * (w["U"][2] @ h + w["c"][2]))
    return ((1 - z) * n + z * h,)


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
    "elman-relu": elman(lambda x: np.maximum(x, 0)),
    "elman-gelu": elman(gelu),
    "lstm": lstm,
    "gru": gru,
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
