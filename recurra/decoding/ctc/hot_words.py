"""Hot words: words and phrases whose score is raised while and after they are recognised."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError

_ROOT = 0
_OTHER = 0  # the column of characters that are in no hot word


class HotWords:
    """An automaton (Aho and Corasick 1975) over the hot words, and what each symbol adds to the score.

    Every character of a hot word that has been matched from the beginning of a word on adds `weight`; these additions
    are taken back when the next character does not match, and stay when the word is complete, that is when a space or
    the end of the output follows. A hot word within another one, as "york" within "new york", adds its own weight too.
    If no symbol contains a space, as in a recogniser of Chinese characters, hot words are matched anywhere.

    Args:
        words: the hot words; several spaces count as one.
        weight: nats per character, the spaces within phrases included.
        pieces: the text of each symbol by its id, (V,).

    Raises:
        InputError: a hot word contains a character that no symbol contains.
    """

    def __init__(self, words: Sequence[str], weight: float, pieces: Sequence[str]) -> None:
        boundary = " " if any(" " in piece for piece in pieces) else ""
        _check(words, pieces)
        patterns = sorted({f"{boundary}{' '.join(word.split())}{boundary}" for word in words})
        letters = sorted(set("".join([*patterns, boundary])))
        columns = {letter: column for column, letter in enumerate(letters, start=1)}
        steps, matched, potentials = _automaton(patterns, columns, len(boundary))
        self.following, counts = _read(steps, matched, [[columns.get(c, _OTHER) for c in piece] for piece in pieces])
        """(N, V) the node after each symbol."""
        self.gains: npt.NDArray[Any] = weight * (counts + potentials[self.following] - potentials[:, None])
        """(N, V) what a symbol adds to the score."""
        _, counts = _read(steps, matched, [[columns[c] for c in boundary]])
        self.gains_at_end: npt.NDArray[Any] = weight * (counts[:, 0] - potentials)
        """(N,) what the end of the output adds."""
        self.start = int(steps[_ROOT, columns[boundary]]) if boundary else _ROOT
        """The node of an empty output, which is at the beginning of a word."""


def _check(words: Sequence[str], pieces: Sequence[str]) -> None:
    known = set("".join(pieces))
    for word in words:
        missing = sorted({*word} - known - {" "})
        if missing:
            raise InputError(f"hot word {word!r} contains {missing[0]!r}, which no symbol of the network contains")
        if " " in word.strip() and " " not in known:
            raise InputError(f"hot word {word!r} contains a space, which no symbol of the network contains")


Table = npt.NDArray[np.int64]


def _automaton(patterns: Sequence[str], columns: dict[str, int], boundary: int) -> tuple[Table, Table, Table]:
    """Returns the automaton of patterns that begin and end with `boundary` spaces, 0 or 1.

    Returns:
        The next node (N, letters + 1) by node and column; the characters (N,) of the patterns that end at a node; the
        characters (N,) of the longest unfinished pattern at a node, which are taken back if it is not continued.
    """
    children: list[dict[int, int]] = [{}]
    depths, matched = [0], [0]
    for pattern in patterns:
        node = _ROOT
        for letter in pattern:
            if columns[letter] not in children[node]:
                children[node][columns[letter]] = len(children)
                depths.append(depths[node] + 1)
                children.append({})
                matched.append(0)
            node = children[node][columns[letter]]
        matched[node] = len(pattern) - 2 * boundary
    steps = np.zeros((len(children), len(columns) + 1), dtype=np.int64)
    potentials = np.zeros(len(children), dtype=np.int64)
    # Breadth first, so that the node of the longest shorter match, `fallback`, is complete.
    pending = deque([(_ROOT, _ROOT)])
    while pending:
        node, fallback = pending.popleft()
        if node != _ROOT:
            matched[node] += matched[fallback]
            potentials[node] = depths[node] - boundary if children[node] else potentials[fallback]
            steps[node] = steps[fallback]
        pending += [
            (child, int(steps[node, column]) if node != _ROOT else _ROOT) for column, child in children[node].items()
        ]
        for column, child in children[node].items():
            steps[node, column] = child
    return steps, np.array(matched), potentials


def _read(steps: Table, matched: Table, texts: Sequence[Sequence[int]]) -> tuple[Table, Table]:
    """Reads each of V texts, as columns, from each of N nodes.

    Returns:
        The nodes after the texts (N, V), and the characters (N, V) of the patterns that ended on the way.
    """
    nodes = np.tile(np.arange(len(steps))[:, None], (1, len(texts)))  # (N, V)
    counts = np.zeros_like(nodes)
    for place in range(max(map(len, texts), default=0)):
        longer = np.array([number for number, text in enumerate(texts) if len(text) > place], dtype=np.int64)
        letters = np.array([texts[number][place] for number in longer], dtype=np.int64)
        nodes[:, longer] = steps[nodes[:, longer], letters]
        counts[:, longer] += matched[nodes[:, longer]]
    return nodes, counts
