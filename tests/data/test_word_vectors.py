"""Word vectors out of the files that people have."""

import gzip

import numpy as np
import pytest

from recurra.data.vectors import read_vectors
from recurra.errors import InputError

PLAIN = "the 1 2.5\nnew york -1 3\nthe 9 9\n"


@pytest.mark.parametrize("begin", ["", "3 2\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_with_and_without_a_header_and_gzip(tmp_path, begin, packed):
    path = tmp_path / "some.vec"
    data = (begin + PLAIN).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    words, matrix = read_vectors(path)
    assert words == ["the", "new york"]
    np.testing.assert_array_equal(matrix, np.array([[1, 2.5], [-1, 3]], dtype=np.float32))
    assert read_vectors(path, most=1).words == ["the"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a 1 2\nb 1 x\n", ":2: expected a word and 2 numbers"),
        (b"a 1 2\n1 2\n", ":2: expected a word and 2 numbers"),
        (b"", ": no vector in it"),
        (gzip.compress(PLAIN.encode() * 99)[:-9], ": cannot be unpacked"),
    ],
)
def test_a_faulty_file_is_told(tmp_path, text, message):
    path = tmp_path / "some.txt"
    path.write_bytes(text)
    with pytest.raises(InputError) as error:
        read_vectors(path)
    assert f"{path}{message}" in str(error.value)
