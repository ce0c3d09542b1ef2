"""Aligned lines for people: columns, markers, wide characters, and lines no wider than a terminal."""

import pytest

from recurra.metrics import aligned_lines, text_width


def test_columns_and_markers_line_up():
    [lines] = aligned_lines("the cat sat down now", "the mat sat all down")
    assert lines.reference == "the cat sat *** down now"
    assert lines.hypothesis == "the mat sat all down ***"
    assert lines.markers == "    S       I        D  "


def test_wide_characters_count_two_columns_and_combining_ones_none():
    assert text_width("日本") == 4
    assert text_width("e\u0301") == 1
    [lines] = aligned_lines("東京 は cafe\u0301", "東 x は")
    assert lines.reference == "** 東京 は cafe\u0301"
    assert lines.hypothesis == "東 x    は ****"
    assert lines.markers == "I  S       D   "


def test_characters_stand_without_spaces_between_them():
    [lines] = aligned_lines("ab c", "abxc", "char")
    assert (lines.reference, lines.hypothesis, lines.markers) == ("ab c", "abxc", "  S ")
    [lines] = aligned_lines("日本語", "日語", "char")
    assert (lines.reference, lines.hypothesis, lines.markers) == ("日本語", "日**語", "  D   ")


def test_long_lines_are_continued():
    blocks = list(aligned_lines("one two three four", "one two tree fourteen", width=10))
    assert [block.reference for block in blocks] == ["one two", "three", "four    "]
    assert [block.hypothesis for block in blocks] == ["one two", "tree ", "fourteen"]
    assert [block.markers for block in blocks] == ["       ", "S    ", "S       "]
    assert all(text_width(line) <= 10 for block in blocks for line in block)
    # A word wider than the terminal has its own lines.
    assert [block.reference for block in aligned_lines("a extraordinary b", "a b", width=5)] == [
        "a",
        "extraordinary",
        "b",
    ]


@pytest.mark.parametrize("unit", ["word", "char"])
def test_empty_texts(unit):
    assert list(aligned_lines("", "", unit)) == [("", "", "")]
    assert list(aligned_lines("", "a", unit)) == [("*", "a", "I")]
    assert list(aligned_lines("a", "", unit)) == [("a", "*", "D")]
