"""A text divided by position: the first part to train on, the rest to validate with."""

import math
import re
from fractions import Fraction

from recurra.data.text import Text
from recurra.errors import InputError

# Where the line goes on for longer than this, the text is cut between two words.
_LONGEST_LINE = 10_000
_WORD_END = re.compile(r"\S(?=[ \n\r\t])")


def split(text: Text, share: float, *, unit: str) -> tuple[Text, Text]:
    """The text without its last `share` of characters, and that share.

    Characters and bytes are cut at the character. For words and subwords the cut moves on to the end of the line it
    falls in; where no line ends within 10,000 characters, to the end of the word. A vocabulary built from the first
    part knows nothing of the second.

    Args:
        text: what to divide.
        share: the part held out, more than 0 and less than 1; 0.1 is exactly one tenth, rounded up to a character.
        unit: the name of the unit that will encode it.

    Raises:
        InputError: a share out of range, or a text too short for two parts.
    """
    if not 0 < share < 1:
        raise InputError(f"a held-out share of {share}: expected more than 0 and less than 1, for example 0.1.")
    # 0.1 the decimal number, not the binary one a little above it.
    place = len(text) - math.ceil(len(text) * Fraction(str(share)))
    if unit in ("word", "bpe") and place:
        place = _line_or_word_end(text, place)
    if not 0 < place < len(text):
        raise InputError(
            f"{text.sources[-1].path}: {len(text)} characters cannot be divided with a share of {share} held out. "
            "Give more text, or name validation files."
        )
    return text.part(0, place), text.part(place, len(text))


def _line_or_word_end(text: Text, place: int) -> int:
    # From one character earlier: a cut at the start of a line stays there.
    window = "".join(text.part(place - 1, place + _LONGEST_LINE).blocks())
    newline = window.find("\n")
    if newline >= 0:
        return place + newline
    word = _WORD_END.search(window)
    return place + word.start() if word else len(text)
