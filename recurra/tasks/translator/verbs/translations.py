"""Translations as lines of stdout."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.data.lines import Line, open_bytes, read_lines
from recurra.errors import InputError

if TYPE_CHECKING:
    from recurra.tasks.translator.model import Translator
    from recurra.tasks.translator.predict import Translation

Find = Callable[[Iterator[str]], Iterable[list["Translation"]]]


def translated(find: Find, lines: Iterable[Line]) -> Iterator[tuple[Line, list[Translation]]]:
    """Lines with their translations.

    Args:
        find: from sources to the translations of each, in order; it may read ahead.
        lines: the sources.
    """
    waiting = deque[Line]()

    def sources() -> Iterator[str]:
        for line in lines:
            waiting.append(line)
            yield line.text

    for found in find(sources()):
        yield waiting.popleft(), found


def as_text(line: Line, found: list[Translation], *, scores: bool, numbered: bool) -> str:
    """The translations of a line, a line each: its number and the score where they are wanted, the text.

    After a score, a text that was cut is followed by a field "cut".
    """
    written = []
    for one in found:
        fields = [str(line.number)] if numbered else []
        fields += [f"{one.score:.4f}"] if scores or numbered else []
        fields += [one.text, "cut"] if fields and not one.finished else [one.text]
        written.append("\t".join(fields) + "\n")
    return "".join(written)


class Cut:
    """Counts the lines whose best translation was cut before its end."""

    def __init__(self) -> None:
        self._lines, self._first = 0, 0

    def see(self, line: Line, found: list[Translation]) -> None:
        """A line and its translations as they go by."""
        if not found[0].finished:
            self._first = self._first or line.number
            self._lines += 1

    def report(self) -> None:
        """One notice on stderr, where there were any."""
        if self._lines:
            what = "translation was" if self._lines == 1 else "translations were"
            print(
                f"recurra: {self._lines:,} {what} cut at the length limit, before the end of the sentence; the first "
                f"is that of line {self._first}",
                file=sys.stderr,
            )


def as_object(line: Line, found: list[Translation]) -> str:
    """The translations of a line as one JSON object."""
    return _json({"line": line.number, "source": line.text, "outputs": [one._asdict() for one in found]})


def forced(
    translator: Translator, lines: Iterable[Line], name: str, targets: Path, *, window: dict[str, int]
) -> Iterator[tuple[Line, str, float]]:
    """Lines with their given targets and log p(target | source) in nats.

    Raises:
        InputError: the files have not as many lines, or cannot be read.
    """
    waiting = deque[tuple[Line, str]]()

    def pairs() -> Iterator[tuple[str, str]]:
        for number, (source, target) in enumerate(zip_longest(lines, read_lines(file, str(targets))), start=1):
            if source is None or target is None:
                longer, shorter = (targets, name) if source is None else (name, targets)
                raise InputError(
                    f"{longer}:{number}: this line has no partner: {shorter} ends with line {number - 1}. "
                    "Expected a target for each source"
                )
            waiting.append((source, target.text))
            yield source.text, target.text

    with open_bytes(targets) as file:
        for log_probability in translator.score(pairs(), **window):
            yield *waiting.popleft(), log_probability


def forced_as_text(line: Line, target: str, log_probability: float) -> str:
    """The log-probability of a given target."""
    return f"{log_probability:.4f}\n"


def forced_as_object(line: Line, target: str, log_probability: float) -> str:
    """A given pair as one JSON object."""
    return _json({"line": line.number, "source": line.text, "target": target, "log_probability": log_probability})


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"
