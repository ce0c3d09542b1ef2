import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.decoding import StopFilter
from recurra.errors import InputError

words = st.text(alphabet="ab\n", min_size=1, max_size=4)


def naive(text, stops):
    """What is shown of a text and whether it stops, found by looking at each beginning of it in turn."""
    for end in range(1, len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)], True
    return text, False


@given(st.lists(st.text(alphabet="ab\n", max_size=5), max_size=8), st.lists(words, max_size=3))
@example(["ab", "cd"], ["abcd", "bc"])
@example(["aa", "ab"], ["aab"])
def test_pieces_cut_anywhere_show_what_a_search_of_the_whole_shows(pieces, stops):
    stop_filter = StopFilter(stops)
    text, shown, stopped = "", "", False
    for piece in pieces:
        text += piece
        safe, stopped = stop_filter.push(piece)
        shown += safe
        expected, expected_stop = naive(text, stops)
        assert stopped == expected_stop
        # Held back is no more than the longest end that may still become a stop string.
        held = max((n for n in range(5) for stop in stops if n < len(stop) and text.endswith(stop[:n])), default=0)
        assert shown == (expected if stopped else text[: len(text) - held])
    shown += stop_filter.flush()
    assert shown == naive(text, stops)[0]


def test_nothing_is_shown_after_a_stop():
    stop_filter = StopFilter(["END"])
    assert stop_filter.push("to the E") == ("to the ", False)
    assert stop_filter.push("ND of it") == ("", True)
    assert stop_filter.push("more") == ("", True)
    assert stop_filter.flush() == ""


def test_a_tail_that_was_no_stop_is_shown_in_the_end():
    stop_filter = StopFilter(["\n\n"])
    assert stop_filter.push("line\n") == ("line", False)
    assert stop_filter.push("next\n") == ("\nnext", False)
    assert stop_filter.flush() == "\n"


def test_an_empty_stop_string_is_refused():
    with pytest.raises(InputError, match="empty stop string"):
        StopFilter(["a", ""])
