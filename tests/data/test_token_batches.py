"""Batches by number of tokens: every sequence once an epoch, of similar lengths, and back to any place."""

import numpy as np
import pytest

from recurra.data.batching import TokenBatches
from recurra.errors import InputError

LENGTHS = np.random.default_rng(0).integers(1, 40, 500)


def batches(**options):
    return TokenBatches(LENGTHS, lambda numbers: numbers, **{"tokens": 100, "seed": 3, **options})


def epoch(updates):
    return [updates.update()[0] for _ in range(updates.updates_per_epoch())]


def test_every_sequence_comes_once_an_epoch_in_another_order():
    updates = batches()
    first = epoch(updates)
    assert updates.epoch == 1
    second = epoch(updates)
    for one in (first, second):
        assert sorted(np.concatenate(one).tolist()) == list(range(500))
    assert [one.tolist() for one in first] != [one.tolist() for one in second]
    # Not the same batches in another order: other sequences come together.
    together = [{frozenset(numbers.tolist()) for numbers in one} for one in (first, second)]
    assert len(together[0] & together[1]) < 0.1 * len(first)


def test_batches_hold_as_many_tokens_as_fit_of_similar_lengths():
    made = epoch(batches())
    tokens = [LENGTHS[numbers].sum() for numbers in made]
    assert max(tokens) <= 100
    assert np.mean(tokens) > 80
    padded = sum(len(numbers) * LENGTHS[numbers].max() for numbers in made)
    assert padded < 1.1 * LENGTHS.sum()
    assert all((np.diff(LENGTHS[numbers]) <= 0).all() for numbers in made)


def test_a_sequence_that_is_too_long_is_a_batch_by_itself():
    made = epoch(TokenBatches(np.array([5, 10_000, 5]), list, tokens=20, seed=0))
    assert sorted(map(sorted, made)) == [[0, 2], [1]]


def test_it_goes_on_where_it_was():
    updates = batches()
    for _ in range(updates.updates_per_epoch() + 7):
        updates.update()
    place, other = updates.state_dict(), batches()
    other.load_state_dict(place)
    for _ in range(200):
        assert updates.update()[0].tolist() == other.update()[0].tolist()
    with pytest.raises(InputError, match="cannot continue: the data had tokens=100, now tokens=90"):
        batches(tokens=90).load_state_dict(place)


def test_processes_share_the_batches():
    whole = epoch(batches())
    shares = [batches(rank=rank, world_size=2) for rank in range(2)]
    assert shares[0].updates_per_epoch() == shares[1].updates_per_epoch() == len(whole) // 2
    mixed = [one for pair in zip(epoch(shares[0]), epoch(shares[1]), strict=True) for one in pair]
    assert [one.tolist() for one in mixed] == [one.tolist() for one in whole[: len(mixed)]]


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="batch_tokens=0"):
        batches(tokens=0)
    with pytest.raises(InputError, match="1 batches for 2 processes"):
        TokenBatches(np.array([3]), list, tokens=9, seed=0, world_size=2)
