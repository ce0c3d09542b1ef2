"""Tokens drawn in compiled code are those that sampling in PyTorch draws."""

import itertools
import math

import pytest
import torch
from torch import nn

import recurra
from recurra.decoding import SamplingOptions, row_generators, sample
from recurra.decoding.stream_sampling import draws_itself, sample_stream
from recurra.engine.stream.tokens import TokenStream, can_draw
from recurra.errors import RecurraError

OPTIONS = [
    {},
    {"temperature": 0.7},
    {"temperature": 2.5, "min_p": 0.2},
    {"top_k": 1},
    {"top_k": 5, "top_p": 0.8},
    {"top_k": 3, "min_p": 0.3},
    {"top_k": 1000},
    {"top_p": 0.5},
    {"top_p": 1.0},
    {"top_p": 0.9, "min_p": 0.01, "temperature": 0.9},
    {"greedy": True},
]


class Model(nn.Module):
    def __init__(self, V, E, H, scale=20.0):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.layer, self.readout = nn.Embedding(V, E), recurra.LSTM(E, H, 2), nn.Linear(H, V)
        with torch.no_grad():
            self.readout.weight.mul_(scale)
        self.eval()

    def step(self, tokens, state):
        h, state = self.layer(self.embedding(tokens)[None], state)
        return self.readout(h[0]).log_softmax(-1), state

    def stream(self, rows, excluded=()):
        readout = self.readout
        stream = self.layer.stream(rows)
        assert can_draw(stream)
        return TokenStream(stream, lambda: self.embedding.weight, lambda: (readout.weight, readout.bias), excluded)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("sizes", [(65, 16, 24), (7, 3, 5), (300, 20, 33)])
@pytest.mark.parametrize("rows", [1, 3])
@torch.no_grad()
def test_the_same_tokens_as_sampling_in_pytorch(sizes, rows, options):
    model, options = Model(*sizes), SamplingOptions(**options)
    start = torch.arange(rows)
    log_probs, state = model.step(start, None)
    arguments = {"length": 100, "options": options, "forbidden": [2]}
    expected = sample(log_probs, state, step=model.step, generators=row_generators(3, rows), **arguments)
    stream = model.stream(rows, [2])
    stream.score(start)
    drawn = sample_stream(log_probs, stream, generators=row_generators(3, rows), **arguments)
    expected, drawn = torch.stack([*expected]), torch.stack([*drawn])
    assert drawn.shape == (100, rows)
    assert torch.equal(drawn, expected)
    assert not (drawn == 2).any()


@torch.no_grad()
def test_scores_are_those_of_the_network():
    model, tokens = Model(11, 4, 6), torch.tensor([[1, 2], [3, 4], [0, 10]])
    stream, state = model.stream(2), None
    for of_step in tokens:
        expected, state = model.step(of_step, state)
        torch.testing.assert_close(stream.score(of_step).log_softmax(-1), expected)


@torch.no_grad()
def test_equal_probabilities_are_cut_at_the_lower_ids():
    model = Model(9, 3, 5, scale=0.0)
    with torch.no_grad():
        model.readout.bias.copy_(torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 0, 0]))
    for options, allowed in (({"top_k": 3}, {1, 2, 3}), ({"top_p": 0.4}, {1, 2, 3}), ({"greedy": True}, {1})):
        stream, uniforms = model.stream(1), torch.linspace(0, 1 - 1e-12, 200, dtype=torch.float64)[:, None]
        assert (
            set(stream.generate(torch.zeros(1, dtype=torch.int64), uniforms, **options).flatten().tolist()) == allowed
        )


@torch.no_grad()
def test_without_a_limit_and_with_a_length_of_none_or_nothing():
    model = Model(9, 3, 5)
    log_probs, _ = model.step(torch.zeros(1, dtype=torch.int64), None)
    arguments = {"options": SamplingOptions(), "generators": row_generators(0, 1)}
    assert list(sample_stream(log_probs, model.stream(1), length=0, **arguments)) == []
    endless = sample_stream(log_probs, model.stream(1), length=None, **arguments)
    assert len(list(itertools.islice(endless, 500))) == 500


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@torch.no_grad()
def test_scores_without_a_distribution_are_refused(value):
    model = Model(9, 3, 5)
    log_probs, _ = model.step(torch.zeros(1, dtype=torch.int64), None)
    model.readout.bias.fill_(value)
    drawn = sample_stream(
        log_probs, model.stream(1), length=5, options=SamplingOptions(), generators=row_generators(0, 1)
    )
    next(drawn)
    with pytest.raises(RecurraError, match="no distribution"):
        next(drawn)


def test_what_is_not_drawn_there():
    assert draws_itself(SamplingOptions(top_k=3, temperature=0.5))
    assert not draws_itself(SamplingOptions(repetition_penalty=1.2))
    assert not draws_itself(SamplingOptions(temperature=1e-5))
    assert not can_draw(recurra.LSTM(3, 4, dtype=torch.float64).stream())
