"""Translators of a few hidden units with large random weights, and their scores computed by separate NumPy loops."""

from types import SimpleNamespace

import numpy as np
import oracle
import torch

from recurra.cells import Cell, Gates, State
from recurra.tasks.fields import read_fields
from recurra.tasks.translator.corpus import make_batch
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import NetworkOptions

SOURCES, TARGETS = 11, 9
# (source, target) lengths: a short source with a long target, the other way, and nothing but the end.
LENGTHS = ((6, 2), (1, 5), (4, 4), (3, 0))


class Leaky(Cell):
    """A user-defined cell, known to the oracle as "user's leaky"."""

    gates = ("h", "a")

    def step(self, x, u, s, p):
        a = torch.sigmoid(x.a + u.a)
        return State(h=a * s.h + (1 - a) * torch.tanh(x.h + u.h)), Gates(a=a)


def network(cell="lstm", *, own=None, seed=0, dtype=torch.float64, **options):
    """A network in evaluation mode; every weight is normal, so that an exchange of weights changes the scores."""
    small = {"hidden_size": 8, "embedding_size": 5, "dropout": 0.0, "engine": "unroll"}
    chosen = read_fields(NetworkOptions, {**small, "cell": cell, **options}, where="test")
    net = TranslatorNetwork(SOURCES, TARGETS, chosen, cell=own)
    g = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.6, generator=g)
    return net.to(dtype).eval()


def pairs(lengths=LENGTHS, seed=0):
    g = np.random.default_rng(seed)
    return [(g.integers(1, SOURCES, source), g.integers(1, TARGETS, target)) for source, target in lengths]


def batch(lengths=LENGTHS, seed=0):
    return make_batch(pairs(lengths, seed))


def run(stack, suffix, name, x, state, reverse=False):
    """One layer in one direction over x (S, I) from state [(H,), …]: y (S, H) and the last state."""
    W = stack.weights(suffix)
    plain = SimpleNamespace(
        **{key: getattr(W, key).detach().numpy() for key in ("ih", "hh", "b_ih", "b_hh")},
        vectors=[vector.detach().numpy() for vector in W.vectors],
    )
    y, last = oracle.run(name, stack.cell, x[:, None], [one[None] for one in state], plain, [len(x)], reverse)
    return y[:, 0], [one[0] for one in last]


def encoded(net, name, source):
    """The memory (S, H) of one source, its EOS last, and the decoder's first states."""
    x = net.embedding.weight.detach().numpy()[[*source, 0]]
    half, starts = net.encoder.hidden_size, []
    for layer, bridge in enumerate(net.bridge.h):
        below, zeros = x, [np.zeros(half)] * len(net.encoder.cell.states)
        x, states = run(net.encoder, f"_l{layer}", name, below, zeros)
        if net.encoder.bidirectional:
            backward, start = run(net.encoder, f"_l{layer}_reverse", name, below, zeros, reverse=True)
            x = np.concatenate([x, backward], -1)
            states = [np.concatenate(both) for both in zip(states, start, strict=True)]
        W, b = (parameter.detach().numpy() for parameter in (bridge.weight, bridge.bias))
        starts.append([np.tanh(W @ states[0] + b), *states[1:]])
    return x, starts


def attended(attention, h, m):
    """The context (M,) of one query."""
    W = {name: parameter.detach().numpy() for name, parameter in attention.named_parameters()}
    if attention.score == "additive":
        scores = [
            W["energy.weight"][0] @ np.tanh(W["query.weight"] @ h + W["query.bias"] + W["key.weight"] @ one)
            for one in m
        ]
    else:
        scores = [h @ (one if attention.score == "dot" else W["key.weight"] @ one) / len(h) ** 0.5 for one in m]
    weights = np.exp(scores) / np.exp(scores).sum()
    return weights @ m


def scores(net, name, source, target):
    """The scores (T, V) of one pair by teacher forcing, its EOS last."""
    decoder = net.decoder
    W = {key: parameter.detach().numpy() for key, parameter in decoder.named_parameters(remove_duplicate=False)}
    m, states = encoded(net, name, source)
    feed, rows = np.zeros(len(states[0][0])), []
    for token in [0, *target]:
        x = W["embedding.weight"][token]
        x = x * len(x) ** 0.5 if "project.weight" in W else x  # tied
        x = np.concatenate([x, feed]) if decoder.feeds else x
        context = None
        for layer in range(len(states)):
            stack, number = decoder.recurrent, layer
            if layer >= stack.num_layers:
                stack, number = decoder.above, layer - stack.num_layers
            if layer and stack is decoder.above and not number:
                x = np.concatenate([x, context])
            y, states[layer] = run(stack, f"_l{number}", name, x[None], states[layer])
            x = y[0]
            if decoder.attention is not None and stack is decoder.recurrent and layer == stack.num_layers - 1:
                context = attended(decoder.attention, x, m)
        o = x if context is None else np.tanh(W["combine.weight"] @ np.concatenate([context, x]))
        feed = o
        projected = W["project.weight"] @ o if "project.weight" in W else o
        rows.append(W["readout.weight"] @ projected + W["readout.bias"])
    return np.array(rows)
