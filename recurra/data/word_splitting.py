"""Splits running text into words: punctuation is separated, English clitics are split as in treebanks."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
    https?://\S+ | www\.\S+                             # addresses
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | (?:[^\W\d_]\.){2,}                                # U.S.
    | (?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs)\.               # abbreviations that do not end a sentence
    | \d+(?:[.,:/]\d+)*                                 # numbers, times, dates
    | \w+?(?=n['’]t\b) | n['’]t\b                       # do n't
    | ['’](?:s|re|ve|ll|d|m)\b                          # it 's
    | \w+
    | ([^\w\s])\1*                                      # a mark, or the same several times: ... !!! --
    """,
    re.VERBOSE | re.IGNORECASE,
)


def tokenize(text: str) -> tuple[list[str], list[bool]]:
    """Returns the words of a text, and for each whether a space follows.

    Text in writing systems without spaces between words is not divided: separate its words first.

    Args:
        text: a sentence.
    """
    matches = list(_TOKEN.finditer(text))
    words = [match.group() for match in matches]
    return words, [match.end() >= len(text) or text[match.end()].isspace() for match in matches]
