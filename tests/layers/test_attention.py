"""Attention: equal to a loop written apart, blind to padding whatever it holds, alike for rows and queries together."""

import numpy as np
import pytest
import torch

from recurra.errors import InputError
from recurra.layers import SCORES, Attention
from recurra.layers import attention as module

LENGTHS = torch.tensor([5, 1, 3])
S, B, T, SIZE = 5, 3, 4, 6


def made(score):
    """Attention with weights drawn wide, queries (B, T, Q) and a memory m (S, B, M) with padding."""
    g = torch.Generator().manual_seed(1)
    attention = Attention(SIZE, SIZE, score).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, generator=g)
    h, m = (torch.randn(shape, dtype=torch.float64, generator=g) for shape in ((B, T, SIZE), (S, B, SIZE)))
    return attention, h, m


def by_hand(attention, h, m, length):
    """One query (Q,) over one row's memory (S, M): context and weights, a step at a time."""
    W = {name: parameter.detach().numpy() for name, parameter in attention.named_parameters()}
    scores = []
    for s in range(length):
        if attention.score == "dot":
            scores.append(h @ m[s] / SIZE**0.5)
        elif attention.score == "general":
            scores.append(h @ (W["key.weight"] @ m[s]) / SIZE**0.5)
        else:
            looked = W["query.weight"] @ h + W["query.bias"] + W["key.weight"] @ m[s]
            scores.append(W["energy.weight"][0] @ np.tanh(looked))
    weights = np.exp(np.array(scores)) / np.sum(np.exp(scores))
    return sum(weights[s] * m[s] for s in range(length)), weights


@pytest.mark.parametrize("score", SCORES)
def test_it_equals_a_loop_written_apart(score):
    attention, h, m = made(score)
    context, weights = attention(h, attention.prepare(m, LENGTHS))
    for row, length in enumerate(LENGTHS.tolist()):
        for t in range(T):
            wanted, shares = by_hand(attention, h[row, t].numpy(), m[:, row].numpy(), length)
            np.testing.assert_allclose(context[row, t].detach().numpy(), wanted, atol=1e-12)
            np.testing.assert_allclose(weights[row, t, :length].detach().numpy(), shares, atol=1e-12)
            assert not weights[row, t, length:].any()


@pytest.mark.parametrize("score", SCORES)
def test_gradients_equal_finite_differences(score):
    attention, h, m = made(score)
    given = (h.requires_grad_(), m.requires_grad_(), *attention.parameters())
    assert torch.autograd.gradcheck(lambda h, m, *_: attention(h, attention.prepare(m, LENGTHS)), given)


@pytest.mark.parametrize("held", [7.0, torch.inf, torch.nan])
@pytest.mark.parametrize("score", SCORES)
def test_what_the_padding_holds_changes_no_bit_of_outputs_and_gradients(score, held):
    attention, h, m = made(score)
    beyond = torch.arange(S)[:, None] >= LENGTHS  # (S, B)

    def run(value):
        attention.zero_grad()
        query, memory = h.clone().requires_grad_(), m.masked_fill(beyond[..., None], value).requires_grad_()
        context, weights = attention(query, attention.prepare(memory, LENGTHS))
        (context.sin().sum() + weights.square().sum()).backward()
        parameters = [parameter.grad.clone() for parameter in attention.parameters()]
        assert not memory.grad[beyond].any()
        assert not weights.transpose(1, 2)[beyond.T].any()
        return [context, weights, query.grad, memory.grad, *parameters]

    for one, other in zip(run(0.0), run(held), strict=True):
        assert one.isfinite().all()
        assert torch.equal(one, other)


@pytest.mark.parametrize("score", SCORES)
def test_rows_and_queries_know_nothing_of_each_other(score):
    attention, h, m = made(score)
    context, weights = attention(h, attention.prepare(m, LENGTHS))
    order = torch.tensor([2, 0, 1])
    for memory in (attention.prepare(m[:, order], LENGTHS[order]), attention.prepare(m, LENGTHS).select(order)):
        turned, shares = attention(h[order], memory)
        torch.testing.assert_close(turned, context[order], atol=1e-12, rtol=0)
        torch.testing.assert_close(shares, weights[order], atol=1e-12, rtol=0)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = attention.prepare(m[:length, row : row + 1], LENGTHS[row : row + 1])
        for t in range(T):
            one, _ = attention(h[row : row + 1, t : t + 1], alone)
            torch.testing.assert_close(one[0, 0], context[row, t], atol=1e-12, rtol=0)


def test_additive_scores_of_long_sequences_are_taken_in_pieces(monkeypatch):
    attention, h, m = made("additive")
    memory = attention.prepare(m, LENGTHS)
    whole = attention(h, memory)
    largest = 0

    def watched(x):
        nonlocal largest
        largest = max(largest, x.numel())
        return x.tanh()

    monkeypatch.setattr(module, "_MAX_NUMBERS", 2 * B * S * SIZE)
    monkeypatch.setattr(module.torch, "tanh", watched)
    with torch.no_grad():
        pieces = attention(h, memory)
    assert largest == 2 * B * S * SIZE
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other, atol=1e-14, rtol=0)


def test_errors_name_the_score_and_the_sizes():
    with pytest.raises(InputError, match="there is no score 'genral'. Did you mean 'general'"):
        Attention(4, 4, "genral")
    with pytest.raises(InputError, match="query_size=4 and memory_size=6: make them equal, or use score='general'"):
        Attention(4, 6, "dot")
    assert Attention(4, 6)(torch.zeros(1, 2, 4), Attention(4, 6).prepare(torch.ones(3, 1, 6), torch.tensor([2])))[
        1
    ].tolist() == [[[0.5, 0.5, 0.0]] * 2]
