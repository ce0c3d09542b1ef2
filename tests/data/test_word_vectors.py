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
        (b"", ": no vectors"),
        (b"3 2\n", ": no vectors"),
        (b"a 1 2\nb nan 2\n", ":2: the vector of 'b' has nan, expected finite float32 numbers"),
        (b"2 2\na 1 2\nb 2 -inf\n", ":3: the vector of 'b' has -inf"),
        (b"a 1e39 -1e39\n", ":1: the vector of 'a' has inf"),
        (b"\na 1 2\n\n\nb 1 1e40\n", ":5: the vector of 'b' has inf"),
        (b"2 3\na 1 2 3\nb 1 2\n", ":3: expected a word and 3 numbers"),
        (b"2 3\na 1 2\n", ":2: expected a word and 3 numbers"),
        (b"3 2\na 1 2\na 1 2\n", ": 2 vectors, but line 1 says 3. Is it incomplete?"),
        (b"2 3\nthe \x00\x00\x80?\x00\x00\x00@", ": is binary, such as .bin of word2vec, expected text"),
        (b"PK\x03\x04abc", ": is a zip archive"),
        (b"\xba\x16\x4f\x2f\x0c\x00", ": is a fastText model: name its .vec file"),
        (gzip.compress(b"\x93NUMPY\x01\x00"), ": is a NumPy array"),
        (gzip.compress(PLAIN.encode() * 99)[:-9], ": cannot be unpacked"),
    ],
)
def test_a_faulty_file_is_told(tmp_path, text, message):
    path = tmp_path / "some.txt"
    path.write_bytes(text)
    with pytest.raises(InputError) as error:
        read_vectors(path)
    assert f"{path}{message}" in str(error.value)


def test_a_vector_of_one_number_is_no_header_and_empty_lines_are_nothing(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("a 0.5\n\n1 2\n\n")
    words, matrix = read_vectors(path)
    assert words == ["a", "1"]
    assert matrix.tolist() == [[0.5], [2.0]]


def test_fewer_vectors_than_the_header_says_are_no_fault_where_so_many_were_asked_for(tmp_path):
    path = tmp_path / "some.vec"
    path.write_text("9 1\na 0.5\nb 1.5\n")
    assert read_vectors(path, most=2).words == ["a", "b"]
