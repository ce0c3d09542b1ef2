"""Features of each position of a text that do not depend on the current character alone, such as "inside quotes"."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

# Matches a line of Python. A text with such a line in twenty is treated as code.
_CODE_LINE = re.compile(r"^\s*(def |class |import |from \S+ import|return\b|if .*:$|for .*:$|else:$|@\w)", re.MULTILINE)
_TRIPLE = ('"""', "'''")


@dataclass(frozen=True)
class Feature:
    """A property of every position of a text, after its character has been read."""

    name: str
    values: Values
    """(N,): 0 or 1 if `binary`, else a number; NaN where it does not apply."""
    binary: bool


def looks_like_code(text: str) -> bool:
    """Whether a text is Python code, in which # begins a comment and ' a string, rather than prose."""
    return len(_CODE_LINE.findall(text)) > 0.05 * (text.count("\n") + 1)


def features_of(text: str) -> list[Feature]:
    """Returns the features of a text of N characters."""
    scanner = _Code() if looks_like_code(text) else _Prose()
    marks = np.array([scanner.read(text, place) for place in range(len(text))], np.float32).reshape(-1, 3)
    names = ("inside quotes", "inside brackets", "inside a comment or docstring")
    binary = [Feature(name, marks[:, column], True) for column, name in enumerate(names)]
    return binary + [Feature(name, values, False) for name, values in _layout(text).items()]


def _layout(text: str) -> dict[str, Values]:
    """Position in the line and depth of its indentation, in characters."""
    position, indentation, place = np.zeros(len(text), np.float32), np.full(len(text), np.nan, np.float32), 0
    for line in text.splitlines(keepends=True):
        end = place + len(line)
        position[place:end] = np.arange(len(line))
        depth = len(line) - len(line.lstrip(" \t"))
        # Inside the indentation, and on an empty line, the depth is not known yet.
        if line.strip():
            indentation[place + depth : end] = depth
        place = end
    return {"position in the line": position, "depth of indentation": indentation}


class _Code:
    """Tracks Python's strings, comments and brackets."""

    def __init__(self) -> None:
        self._until, self._opened, self._depth, self._skip = "", 0, 0, 0

    def read(self, text: str, place: int) -> tuple[bool, bool, bool]:
        """Inside quotes, brackets, comment or docstring, once the character at `place` is read."""
        character = text[place]
        if place < self._skip:
            pass
        elif not self._until:
            self._outside(text, place, character)
        elif character == "\\" and self._until != "\n":
            self._skip = place + 2
        elif text.startswith(self._until, place):
            # An unterminated single-line string ends at the end of the line (below).
            self._skip = place + len(self._until)
            self._until = ""
        elif character == "\n" and len(self._until) == 1:
            self._until = ""
        long = self._until == "\n" or len(self._until) == 3
        return bool(self._until) and not long, self._depth > 0, long

    def _outside(self, text: str, place: int, character: str) -> None:
        if text.startswith(_TRIPLE, place):
            self._until, self._skip = text[place : place + 3], place + 3
        elif character in "\"'":
            self._until = character
        elif character == "#":
            self._until = "\n"
        elif character in "([{":
            self._depth += 1
        elif character in ")]}":
            self._depth = max(0, self._depth - 1)


class _Prose:
    """Tracks double quotation marks and brackets, which end at the end of their paragraph at the latest."""

    def __init__(self) -> None:
        self._quoted, self._depth = False, 0

    def read(self, text: str, place: int) -> tuple[bool, bool, bool]:
        """Inside quotes, brackets, and never inside a comment, once the character at `place` is read."""
        character = text[place]
        if text.startswith("\n\n", place):
            self._quoted, self._depth = False, 0
        elif character == '"':
            self._quoted = not self._quoted
        elif character in "“”":
            self._quoted = character == "“"
        elif character in "([{":
            self._depth += 1
        elif character in ")]}":
            self._depth = max(0, self._depth - 1)
        return self._quoted, self._depth > 0, False
