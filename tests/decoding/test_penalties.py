import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import coverage_penalty, length_penalty
from recurra.decoding.penalties import block_repeats


def test_the_length_penalty_is_the_formula():
    assert length_penalty(1, 0.7) == 1.0
    assert length_penalty(7, 1.0) == 2.0
    assert length_penalty(7, -2.0) == 0.25
    assert length_penalty(100, 0.0) == 1.0


def test_the_coverage_penalty_is_the_formula():
    coverage = torch.tensor([[0.5, 2.0, 0.25], [1.0, 1.0, 1.0]])
    assert coverage_penalty(coverage, 0.2).tolist() == pytest.approx([0.2 * math.log(0.125), 0.0])
    mask = torch.tensor([True, True, False])
    assert coverage_penalty(coverage, 1.0, mask).tolist() == pytest.approx([math.log(0.5), 0.0])


def test_the_coverage_penalty_of_what_got_nothing_is_finite():
    for dtype in (torch.float32, torch.float64):
        [penalty] = coverage_penalty(torch.zeros(1, 4, dtype=dtype), 1.0)
        assert -math.inf < penalty < -300
    assert coverage_penalty(torch.zeros(1, 4), 0.0).tolist() == [0.0]
    assert coverage_penalty(torch.zeros(1, 2), 1.0, torch.tensor([[False, False]])).tolist() == [0.0]


@given(st.lists(st.integers(0, 2), max_size=9), st.integers(1, 4))
def test_what_is_blocked_would_come_twice(tokens, size):
    before = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    after = block_repeats(before, torch.tensor([tokens], dtype=torch.int64), size)
    runs = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
    for token in range(3):
        twice = [*tokens, token][-size:] in runs
        assert float(after[0, token]) == (-math.inf if twice else float(before[0, token]))


def test_each_hypothesis_is_blocked_by_its_own_tokens():
    log_probs = torch.zeros(2, 4)
    after = block_repeats(log_probs, torch.tensor([[0, 1, 0], [2, 3, 2]]), 2)
    assert after.isinf().nonzero().tolist() == [[0, 1], [1, 3]]
    assert not log_probs.any()
