import math
from itertools import islice

import pytest
import torch

from recurra.decoding import SamplingOptions, choose, row_generators, row_seed, sample
from recurra.errors import InputError, RecurraError

V = 7
TABLE = torch.randn(V, V, generator=torch.Generator().manual_seed(3)).log_softmax(-1)


class Chain:
    """The next distribution depends on the last token and on how many came before; the step keeps its tokens."""

    def __init__(self):
        self.calls = []

    def __call__(self, tokens, state):
        self.calls.append(tokens.tolist())
        return (TABLE[tokens] + 0.1 * state.unsqueeze(-1) * torch.arange(V)).log_softmax(-1), state + 1

    def select(self, state, rows):
        return state[rows]


def drawn(seed, rows=1, length=20, generators=None, **options):
    first = TABLE[:1].expand(rows, V)
    tokens = sample(
        first,
        torch.zeros(rows),
        step=Chain(),
        length=length,
        generators=generators or row_generators(seed, rows),
        **options,
    )
    return torch.stack(list(tokens), dim=1).tolist()


def test_a_seed_gives_one_text():
    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)


def test_a_row_of_a_batch_is_the_sample_of_its_own_seed():
    batch = drawn(5, rows=4)
    assert [batch[row] for row in range(4)] == [drawn(row_seed(5, row))[0] for row in range(4)]
    assert batch[0] == drawn(5)[0]
    assert batch[:2] == drawn(5, rows=2)
    assert len({tuple(row) for row in batch}) == 4


def test_choose_is_the_inverse_of_the_cumulative_distribution():
    log_probs = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]], dtype=torch.float64).log()
    [source], [copy] = row_generators(1, 1), row_generators(1, 1)
    for _ in range(200):
        uniform = float(torch.rand(1, generator=copy, dtype=torch.float64))
        expected = 1 if uniform < 0.25 else 3 if uniform < 0.75 else 4
        assert choose(log_probs, [source]).tolist() == [expected]


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.5, 2), (1 - 2**-53, 2)])
def test_choose_never_takes_what_has_no_probability(monkeypatch, uniform, token):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([uniform], dtype=torch.float64))
    log_probs = torch.tensor([[0.0, 0.5, 0.5, 0.0]]).log()
    assert choose(log_probs, row_generators(0, 1)).tolist() == [token]


def test_choose_does_not_need_a_normalised_row():
    log_probs = torch.tensor([[0.3, 0.5, 0.2]]).log()
    for number in range(50):
        one, other = choose(log_probs, row_generators(number, 1)), choose(log_probs - 4, row_generators(number, 1))
        assert torch.equal(one, other)


@pytest.mark.parametrize("row", [[math.nan, 0.0], [-math.inf, -math.inf], [math.inf, 0.0]])
def test_no_distribution_is_a_failure(row):
    with pytest.raises(RecurraError, match="no distribution for the next token"):
        choose(torch.tensor([[0.0, 0.0], row]), row_generators(0, 2))


def test_greedy_follows_the_most_probable_and_needs_no_luck():
    step, state, last, expected = Chain(), torch.zeros(1), TABLE[:1], []
    for _ in range(20):
        expected.append(int(last.argmax()))
        last, state = step(torch.tensor(expected[-1:]), state)
    for seed in range(3):
        [tokens] = drawn(seed, options=SamplingOptions(greedy=True))
        assert tokens == expected


def test_forbidden_ids_never_come():
    assert {token for row in drawn(0, rows=5, length=50) for token in row} == set(range(V))
    assert {token for row in drawn(0, rows=5, length=50, forbidden=(0, 3)) for token in row} == {1, 2, 4, 5, 6}
    with pytest.raises(InputError, match="forbidden id 7, expected 0 or more and less than 7"):
        drawn(0, forbidden=[V])
    with pytest.raises(InputError, match="all 7 ids are forbidden"):
        drawn(0, forbidden=range(V))


def test_a_heavy_penalty_makes_every_token_come_once():
    options = SamplingOptions(greedy=True, repetition_penalty=1e6)
    seen = torch.zeros(2, V, dtype=torch.bool)
    seen[1, 4] = True
    one, other = drawn(0, rows=2, length=V - 1, options=options, seen=seen)
    assert len(set(one)) == V - 1
    assert sorted(other) == [0, 1, 2, 3, 5, 6]
    assert seen.sum() == 1


def test_a_row_that_came_to_its_end_says_nothing_else():
    free = drawn(5, rows=4, length=30)
    ended = drawn(5, rows=4, length=30, end=3)
    firsts = [row.index(3) for row in free]
    assert len(set(firsts)) > 1
    for one, other, first in zip(free, ended, firsts, strict=True):
        assert other == one[: first + 1] + [3] * (max(firsts) - first)
    assert [len(row) for row in drawn(5, rows=4, length=3, end=3)] == [3] * 4
    with pytest.raises(InputError, match="end=7, expected 0 or more and less than 7"):
        drawn(5, end=V)


def test_step_is_called_once_between_two_tokens():
    step = Chain()
    arguments = {"step": step, "generators": row_generators(0, 1)}
    tokens = [token.tolist() for token in sample(TABLE[:1], torch.zeros(1), length=4, **arguments)]
    assert step.calls == tokens[:-1]
    assert list(sample(TABLE[:1], torch.zeros(1), length=0, **arguments)) == []
    assert len(list(islice(sample(TABLE[:1], torch.zeros(1), length=None, **arguments), 30))) == 30


def test_arguments_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="length=-1"):
        drawn(0, length=-1)
    with pytest.raises(InputError, match="1 generators for 2 rows"):
        drawn(0, rows=2, generators=row_generators(0, 1))
