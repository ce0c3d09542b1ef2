import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from recurra.data import Streams, contiguous
from recurra.errors import InputError

# Integer ramps: a token is its own place in the text.
settings = st.fixed_dictionaries(
    {
        "n": st.integers(2, 300),
        "batch_size": st.integers(1, 5),
        "update_every": st.none() | st.integers(1, 40),
        "reach_back": st.none() | st.integers(1, 60),
        "seed": st.integers(0, 5),
    }
)


def streams_of(n, **options):
    assume((n - 1) // options["batch_size"] >= (options["update_every"] or 1))
    return Streams(np.arange(n, dtype=np.uint16), **options)


def first_window(streams):
    """The first window of an epoch, the whole epoch read."""
    window, *_ = [streams.update()[0] for _ in range(streams.updates_per_epoch())]
    return window


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a.inputs, b.inputs)
        and torch.equal(a.targets, b.targets)
        and (a.counted, a.carry, a.fresh) == (b.counted, b.carry, b.fresh)
        for a, b in zip(one, other, strict=True)
    )


@given(settings)
def test_each_target_counts_once_an_epoch(options):
    streams = streams_of(**options)
    n, batch = options["n"], options["batch_size"]
    length = (n - 1) // batch
    for epoch in range(3):
        assert streams.epoch == epoch
        windows = [window for _ in range(streams.updates_per_epoch()) for window in streams.update()]
        counted = torch.cat([window.targets[-window.counted :] for window in windows])
        first = int(counted[0, 0])
        assert counted.T.flatten().tolist() == list(range(first, first + batch * length))
        assert 1 <= first <= n - batch * length
        assert sum(window.count for window in windows) == batch * length
        assert all(torch.equal(window.targets, window.inputs + 1) for window in windows)
        assert all(window.inputs.dtype == window.targets.dtype == torch.int64 for window in windows)
    assert streams.epoch == 3


@given(settings)
def test_the_next_window_starts_where_the_carried_state_is(options):
    streams = streams_of(**options)
    updates = streams.updates_per_epoch()
    windows = [window for _ in range(updates) for window in streams.update()]
    begin = int(windows[0].inputs[0, 0])
    for window, after in pairwise(windows):
        assert 1 <= window.carry <= len(window.inputs)
        assert after.fresh == (after.inputs[0, 0] == begin)
        if not after.fresh:
            assert torch.equal(after.inputs[0], window.inputs[0] + window.carry)
    assert windows[0].fresh
    assert windows[-1].carry == len(windows[-1].inputs)
    assert streams.update()[0].fresh


@given(settings)
def test_windows_reach_as_far_back_as_asked(options):
    streams = streams_of(**options)
    length = (options["n"] - 1) // options["batch_size"]
    k1 = options["update_every"] or length
    k2 = options["reach_back"] or k1
    done = 0
    for place in range(streams.updates_per_epoch()):
        windows = streams.update()
        steps = sum(window.counted for window in windows)
        assert steps <= k1
        assert steps == k1 or place in (0, streams.updates_per_epoch() - 1)
        done += steps
        if k2 <= k1:
            assert [len(window.inputs) for window in windows] == [k2] * (steps // k2) + [steps % k2] * (steps % k2 > 0)
        else:
            assert [len(window.inputs) for window in windows] == [min(k2, done)]
            assert windows[0].fresh == (done <= k2)
    assert done == length


@given(settings, st.integers(0, 40), st.integers(1, 40))
def test_restored_streams_go_on_where_they_were(options, before, after):
    streams, restored = streams_of(**options), streams_of(**options)
    for _ in range(before):
        streams.update()
    restored.load_state_dict(json.loads(json.dumps(streams.state_dict())))
    assert restored.epoch == streams.epoch
    for _ in range(after):
        assert same(streams.update(), restored.update())


@given(settings, st.integers(1, 4))
def test_ranks_divide_the_columns_of_one_large_batch(options, world_size):
    n, batch_size = options.pop("n"), options.pop("batch_size")
    whole = streams_of(n, batch_size=batch_size * world_size, **options)
    ranks = (
        [
            streams_of(n, batch_size=batch_size, rank=rank, world_size=world_size, **options)
            for rank in range(world_size)
        ]
        if (n - 1) // (batch_size * world_size) >= (options["update_every"] or 1)
        else []
    )
    for _ in range(5):
        parts = [rank.update() for rank in ranks]
        for window, *columns in zip(whole.update(), *parts, strict=True):
            assert torch.equal(window.inputs, torch.cat([column.inputs for column in columns], dim=1))
            assert {(c.counted, c.carry, c.fresh) for c in columns} == {(window.counted, window.carry, window.fresh)}
    assert len({json.dumps(rank.state_dict()) for rank in ranks}) == 1


def test_plain_windows_by_value():
    streams = Streams(np.arange(100, 121), batch_size=2, update_every=4, seed=0)
    assert streams.updates_per_epoch() == 3  # 10 steps: 4 full ones and 6 shared by the first and the last
    windows = [streams.update()[0] for _ in range(3)]
    first = windows[0].counted
    assert first in (2, 3, 4)
    assert windows[0].inputs.tolist() == [[100 + step, 110 + step] for step in range(first)]
    assert windows[1].inputs.tolist() == [[100 + first + step, 110 + first + step] for step in range(4)]
    assert [len(window.inputs) for window in windows] == [first, 4, 6 - first]
    assert [window.fresh for window in windows] == [True, False, False]


def test_overlapping_windows_by_value():
    streams = Streams(np.arange(13), batch_size=1, update_every=4, reach_back=6, seed=1)
    windows = [streams.update()[0] for _ in range(streams.updates_per_epoch())]
    ends = np.cumsum([window.counted for window in windows])
    assert ends[-1] == 12
    for window, end in zip(windows, ends, strict=True):
        assert window.inputs.flatten().tolist() == list(range(max(0, end - 6), end))


@pytest.mark.parametrize("update_every", [None, 20])
def test_full_backpropagation_is_one_window(update_every):
    streams = Streams(np.arange(41), batch_size=2, update_every=update_every, seed=0)
    for _ in range(2):
        [window] = streams.update()
        assert window.inputs.T.tolist() == [list(range(20)), list(range(20, 40))]
        assert (window.counted, window.carry, window.fresh) == (20, 20, True)
    assert streams.epoch == 2


def test_borders_and_starts_move_from_epoch_to_epoch_but_not_from_run_to_run():
    def begin(seed):
        streams = Streams(np.arange(1008), batch_size=8, update_every=16, seed=seed)
        epochs = [first_window(streams) for _ in range(12)]
        return [(len(window.inputs), int(window.inputs[0, 0])) for window in epochs]

    assert begin(0) == begin(0)
    assert begin(0) != begin(1)
    assert len({length for length, _ in begin(0)}) > 2
    # 1007 targets in 8 streams leave 7 out: streams start at 0 … 7.
    assert len({start for _, start in begin(0)}) > 2


@pytest.mark.parametrize("n", range(200, 232))
def test_the_first_update_varies_and_neither_end_is_a_crumb(n):
    streams = Streams(np.arange(n), batch_size=1, update_every=32, seed=0)
    firsts = set()
    for _ in range(12):
        sizes = [streams.update()[0].counted for _ in range(streams.updates_per_epoch())]
        firsts.add(sizes[0])
        assert min(sizes) >= 8
    assert len(firsts) > 2


def test_only_the_pages_of_a_window_are_read(tmp_path):
    path = tmp_path / "tokens"
    with path.open("wb") as file:
        file.truncate(1 << 36)  # 64 GiB of zeros that are nowhere: reading them all would take minutes
    streams = Streams(np.memmap(path, dtype=np.uint8, mode="r"), batch_size=4, update_every=8, seed=0)
    assert streams.update()[0].inputs.sum() == 0
    assert streams.updates_per_epoch() > 1 << 30


def test_too_short_a_text_says_what_to_lower():
    with pytest.raises(
        InputError, match=r"has 100 tokens.* 64 steps for each of 32 streams needs 2049\. Lower --batch"
    ):
        Streams(np.arange(100), batch_size=32, update_every=64, seed=0)
    Streams(np.arange(2049), batch_size=32, update_every=64, seed=0)
    with pytest.raises(InputError, match="has 0 tokens"):
        Streams(np.arange(0), batch_size=1, update_every=None, seed=0)


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"update_every": 0}, {"reach_back": -1}, {"rank": 2, "world_size": 2}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Streams(np.arange(100), **{"batch_size": 2, "update_every": 4, "seed": 0, **wrong})


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"streams": 3}, {"tokens": 99}, {"epoch": None}, {"position": 1000}, {"position": -1}]
)
def test_a_place_in_other_streams_is_refused(change):
    streams = Streams(np.arange(100), batch_size=2, update_every=4, seed=0)
    with pytest.raises(InputError, match=f"cannot continue.*{next(iter(change))}="):
        streams.load_state_dict({**streams.state_dict(), **change})


@given(st.integers(2, 60), st.integers(1, 70))
def test_one_text_is_read_in_order_to_its_end(n, window):
    pieces = list(contiguous(np.arange(n, dtype=np.uint8), window=window))
    assert torch.cat([inputs for inputs, _ in pieces]).flatten().tolist() == list(range(n - 1))
    assert torch.cat([targets for _, targets in pieces]).flatten().tolist() == list(range(1, n))
    assert all(inputs.shape == targets.shape and len(inputs) <= window for inputs, targets in pieces)


def test_a_text_of_one_token_has_nothing_to_predict():
    with pytest.raises(InputError, match="has 1 tokens, expected 2"):
        contiguous(np.arange(1))
    with pytest.raises(InputError, match="window=0"):
        contiguous(np.arange(9), window=0)
