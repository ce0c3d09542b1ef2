"""What stands around a formula once more in float64 NumPy, on the steps of `oracle`: one row, one step, one product."""

import numpy as np
import oracle
from oracle import blocks, sigmoid


def layer_norm(z, gain):
    return gain * (z - z.mean()) / np.sqrt(((z - z.mean()) ** 2).mean() + 1e-5)


class Product:
    """A matrix whose `@` projects, drops and normalises as the layer's options say."""

    __array_ufunc__ = None  # NumPy must leave `matrix @ vector` to us

    def __init__(self, matrix, gain=None, projection=None, drop=None):
        self.matrix, self.gain, self.projection, self.drop = matrix, gain, projection, drop

    def __matmul__(self, v):
        if self.projection is not None and len(v) != self.matrix.shape[1]:
            v = self.projection @ v
        if self.drop is not None:
            v = v * self.drop
        z = self.matrix @ v
        return z if self.gain is None else layer_norm(z, self.gain)


def part(x, h, w, k):
    return w["W"][k] @ x + w["b"][k] + w["U"][k] @ h + w["c"][k]


def normalised_lstm(squash):
    def step(x, s, w):
        h, c = s
        i, f, g, o = (part(x, h, w, k) for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * squash(g)
        return sigmoid(o) * squash(w["norm"](c)), c

    return step


def normalised_peephole_lstm(x, s, w):
    h, c = s
    i, f, g, o = (part(x, h, w, k) for k in range(4))
    look_i, look_f, look_o = w["vectors"]
    new = sigmoid(f + look_f * c) * c + sigmoid(i + look_i * c) * np.tanh(g)
    return sigmoid(o + look_o * new) * np.tanh(w["norm"](new)), new


def normalised_coupled_lstm(x, s, w):
    h, c = s
    f, g, o = (part(x, h, w, k) for k in range(3))
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
    return sigmoid(o) * np.tanh(w["norm"](c)), c


# The steps of cells that normalise a state where they read it out.
NORMALISED = {
    "lstm": normalised_lstm(np.tanh),
    "lstm-softsign": normalised_lstm(lambda x: x / (1 + np.abs(x))),
    "peephole_lstm": normalised_peephole_lstm,
    "coupled_lstm": normalised_coupled_lstm,
}


def numbers(tensor):
    return None if tensor is None else tensor.numpy()


def run(name, request, lengths, reads_h):
    """y and the last state of a request with any options; `reads_h` says whether a projected cell keeps h whole."""
    weights, norms = request.weights, request.weights.norms
    hr, G, R = numbers(weights.hr), len(request.cell.gates), len(request.cell.recurrent)
    gains = (None, None) if norms is None else (norms.ih.numpy(), norms.hh.numpy())
    step = NORMALISED[name] if norms is not None and norms.states else oracle.STEPS[name]
    last = [tensor.numpy().copy() for tensor in request.state]
    y = np.zeros((len(request.x), len(lengths), last[0].shape[1] if hr is None else len(hr)))
    for row, length in enumerate(lengths):
        drop = None if request.masks.h is None else request.masks.h[row].numpy()
        w = {
            "W": [Product(M, g) for M, g in zip(blocks(weights.ih.numpy(), G), per_gate(gains[0], G), strict=True)],
            "U": [
                Product(M, g, hr, drop)
                for M, g in zip(blocks(weights.hh.numpy(), R), per_gate(gains[1], R), strict=True)
            ],
            "b": blocks(numbers(weights.b_ih), G),
            "c": blocks(numbers(weights.b_hh), R),
            "vectors": [vector.numpy() for vector in weights.vectors],
        }
        if norms is not None and norms.states:
            gain, shift = (tensor.numpy() for tensor in norms.states[0])
            w["norm"] = lambda c, gain=gain, shift=shift: layer_norm(c, gain) + shift
        s = tuple(tensor[row].numpy() for tensor in request.state)
        for t in reversed(range(length)) if request.reverse else range(length):
            new = list(step(request.x[t, row].numpy(), s, w))
            if hr is not None and not reads_h:
                new[0] = hr @ new[0]
            for k, mask in enumerate(request.masks.zoneout):
                if mask is not None:
                    stays = mask[t, row].numpy()
                    new[k] = np.where(stays == 1, s[k], new[k])
            s = tuple(new)
            y[t, row] = hr @ s[0] if hr is not None and reads_h else s[0]
        for array, value in zip(last, s, strict=True):
            array[row] = value
    return y, last


def per_gate(gain, count):
    return [None] * count if gain is None else np.split(gain, count) if count else []
