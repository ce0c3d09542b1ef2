"""Rows of unequal length: what is written is what is read, whatever the type, the width and the lengths."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.ragged import Ragged, RaggedWriter
from recurra.errors import InputError


def written(folder, rows, dtype="int32", width=()):
    with RaggedWriter(folder, "rows", dtype, width) as writer:
        writer.extend(rows)
    return Ragged.open(folder, "rows")


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 7), max_size=8),
    dtype=st.sampled_from(["uint8", "int32", "int64", "float16", "float32"]),
    width=st.sampled_from([(), (1,), (3,), (2, 2)]),
)
def test_rows_come_back_as_they_were(tmp_path_factory, lengths, dtype, width):
    start, rows = 0, []
    for length in lengths:
        size = length * int(np.prod(width, dtype=int))
        rows.append((np.arange(start, start + size) % 200).astype(dtype).reshape(length, *width))
        start += size
    ragged = written(tmp_path_factory.mktemp("ragged"), rows, dtype, width)
    assert len(ragged) == len(rows)
    assert ragged.lengths.tolist() == lengths
    assert ragged.width == width
    for number, row in enumerate(rows):
        assert ragged[number].dtype == row.dtype
        np.testing.assert_array_equal(ragged[number], row)


def test_rows_are_read_from_the_end_too(tmp_path):
    ragged = written(tmp_path, [[1, 2], [], [3]])
    assert ragged[-1].tolist() == [3]
    assert ragged[-3].tolist() == [1, 2]
    with pytest.raises(IndexError, match="row 3 of 3"):
        ragged[3]


def test_a_row_of_another_width_is_refused(tmp_path):
    with RaggedWriter(tmp_path, "rows", "float32", (3,)) as writer, pytest.raises(ValueError, match="a row is"):
        writer.append(np.zeros((4, 2)))


def test_no_header_stands_for_rows_that_were_not_all_written(tmp_path):
    def interrupted():
        with RaggedWriter(tmp_path, "rows", "int32") as writer:
            writer.append([1, 2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(InputError, match="no such file"):
        Ragged.open(tmp_path, "rows")


@pytest.mark.parametrize("name", ["rows.values.bin", "rows.ends.bin"])
def test_a_file_cut_short_is_named(tmp_path, name):
    written(tmp_path, [[1, 2], [3]])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{name}: missing or cut short, expected \d+ bytes"):
        Ragged.open(tmp_path, "rows")


@pytest.mark.parametrize("ends", [[3, 2], [2, 4], [-1, 3]])
def test_ends_that_do_not_fit_are_refused(tmp_path, ends):
    written(tmp_path, [[1, 2], [3]])
    np.array(ends, dtype=np.int64).tofile(tmp_path / "rows.ends.bin")
    with pytest.raises(InputError, match="does not fit"):
        Ragged.open(tmp_path, "rows")


@pytest.mark.parametrize("change", [{"dtype": "text"}, {"steps": "many"}, {"width": None}])
def test_a_damaged_header_is_one_line(tmp_path, change):
    written(tmp_path, [[1, 2], [3]])
    path = tmp_path / "rows.ragged.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="not the header of encoded rows"):
        Ragged.open(tmp_path, "rows")
