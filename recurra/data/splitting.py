"""Divides a text by position: the first part for training, the rest for validation."""

import re
import unicodedata

from recurra.data.holdout import check_share, held_out
from recurra.data.text import Text
from recurra.errors import InputError

# Where the line goes on for longer than this, the text is cut between two sentences or words.
_LONGEST_LINE = 10_000
_WORD_END = re.compile(r"\S(?=[ \n\r\t])")
# What ends a sentence where no space follows it: Chinese and Japanese, Devanagari, Burmese, Khmer.
_SENTENCE_END = re.compile("[。．！？｡।॥။៕]+[」』”’）)]*")
_JOINERS = "\u200c\u200d"
_MODIFIERS = range(0x1F3FB, 0x1F400)  # skin tones of emoji


def split(text: Text, share: float, *, tokenizer: str) -> tuple[Text, Text]:
    """The text without its last `share` of characters, and that share.

    Characters and bytes are cut at the character. For words and subwords the cut moves on to the end of the line it
    falls in; where no line ends within 10,000 characters or only at the end of the text, to the end of the word; for
    subwords, which need no spaces, to the end of a sentence of Chinese or Japanese, or to the next character. A
    vocabulary built from the first part knows nothing of the second.

    Args:
        text: what to divide.
        share: the part held out, more than 0 and less than 1; 0.1 is exactly one tenth, rounded up to a character.
        tokenizer: the name of the tokenizer that will encode it.

    Raises:
        InputError: a share out of range, a text too short for two parts, or one without an end of a word to cut at.
    """
    check_share(share)
    place = len(text) - held_out(len(text), share)
    if tokenizer in ("word", "bpe") and 0 < place < len(text):
        place = _boundary(text, place, tokenizer)
    if not 0 < place < len(text):
        raise InputError(
            f"{text.sources[-1].path}: {len(text)} characters cannot be divided with a share of {share} held out. "
            "Give more text, or name validation files."
        )
    return text.part(0, place), text.part(place, len(text))


def _boundary(text: Text, place: int, tokenizer: str) -> int:
    """The first position from `place` on at which words or subwords can be cut."""
    # From one character earlier: a cut at the start of a line stays there.
    window = "".join(text.part(place - 1, place + _LONGEST_LINE).blocks())
    last = len(text) - place  # in the window, the place of the text's last character
    newline = window.find("\n")
    if 0 <= newline < last:
        return place + newline
    word = _WORD_END.search(window)
    if word and word.start() < last and window[word.end() :].strip():
        return place + word.start()
    if tokenizer == "word":
        raise InputError(
            f"{text.sources[-1].path}: {len(text)} characters cannot be divided for the tokenizer 'word': no word ends "
            f"within {min(_LONGEST_LINE, last):,} characters of where the held-out part would begin. Give more text "
            "with words separated by spaces, use --unit bpe, char or byte, or name validation files."
        )
    sentence = _SENTENCE_END.search(window)
    if sentence and sentence.end() <= last:
        return place + sentence.end() - 1
    return place + next((at - 1 for at in range(1, last + 1) if not _continues(window, at)), 0)


def _continues(window: str, at: int) -> bool:
    """Whether a character belongs to the one before it: an accent, a vowel sign, a part of an emoji."""
    if at >= len(window):
        return False
    character = window[at]
    if unicodedata.category(character) in ("Mn", "Me", "Mc") or ord(character) in _MODIFIERS:
        return True
    return character in _JOINERS or window[at - 1] == "\u200d"
