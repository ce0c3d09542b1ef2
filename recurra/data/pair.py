"""A source and what it may become."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """A source and what it may become."""

    source: str
    targets: list[str]
    """One or more, in the order of the file."""
    place: str
    """Where the source first stands, as file:line."""


def is_empty(text: str) -> bool:
    """Whether there is nothing to read in a source or a target: no character, or only whitespace."""
    return not text.strip()
