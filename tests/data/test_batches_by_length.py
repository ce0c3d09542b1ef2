"""Sequences by length: each once, longest first, no more than asked for in a batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batching import by_length, mask, pad, token_chunks


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 60), st.integers(1, 4))
def test_every_sequence_with_steps_comes_once(lengths, tokens, rows):
    batches = list(by_length(lengths, tokens=tokens, rows=rows))
    numbers = [number for batch in batches for number in batch]
    assert sorted(numbers) == [number for number, length in enumerate(lengths) if length]
    assert [lengths[number] for number in numbers] == sorted((one for one in lengths if one), reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * rows * max(lengths[number] for number in batch) <= tokens


def test_sequences_of_one_length_keep_their_order():
    assert list(by_length([2, 3, 2, 3], tokens=6)) == [[1, 3], [0, 2]]


def test_rows_are_padded_time_first():
    padded = pad([np.array([1, 2, 3]), np.array([4])], -1)
    assert padded.tolist() == [[1, 4], [2, -1], [3, -1]]
    wide = pad([np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)], length=4)
    assert wide.shape == (4, 2, 3)
    assert wide.dtype == torch.float32
    assert wide.sum() == 9


def test_the_mask_is_true_where_there_is_data():
    assert mask(torch.tensor([2, 0, 3])).tolist() == [[True, False, True], [True, False, True], [False, False, True]]


@pytest.mark.parametrize("tokens", [0, 1, 5, 1000])
def test_chunks_of_a_stream_end_as_soon_as_they_have_their_tokens(tokens):
    items = ["a", "", "bb", "ccccccc", "", "", "d"]
    divided = list(token_chunks(iter(items), tokens, length=len))
    assert [item for chunk in divided for item in chunk] == items
    counts = [[max(1, len(item)) for item in chunk] for chunk in divided]
    assert all(sum(chunk) >= tokens for chunk in counts[:-1])
    assert all(sum(chunk[:-1]) < max(1, tokens) for chunk in counts)


def test_chunks_are_read_only_as_far_as_they_are_needed():
    def endless():
        while True:
            yield "word"

    assert next(token_chunks(endless(), 10, length=len)) == ["word"] * 3
