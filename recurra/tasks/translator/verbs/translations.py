"""Translations and scores of lines as lines of stdout."""

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

Translate = Callable[[Iterator[str]], Iterable[list["Translation"]]]


def translate_lines(translate: Translate, lines: Iterable[Line]) -> Iterator[tuple[Line, list[Translation]]]:
    """Yields lines with their translations.

    Args:
        translate: converts sources to the translations of each, in order; it may read ahead.
        lines: the sources.
    """
    waiting = deque[Line]()

    def sources() -> Iterator[str]:
        for line in lines:
            waiting.append(line)
            yield line.text

    for translations in translate(sources()):
        yield waiting.popleft(), translations


def as_text(line: Line, translations: list[Translation], *, scores: bool, numbered: bool) -> str:
    """Returns the translations of a line, one per line: on request the number of the line and the score, then the text.

    After a score, a translation that was cut is followed by a field "cut".
    """
    written = []
    for translation in translations:
        fields = [str(line.number)] if numbered else []
        fields += [f"{translation.score:.4f}"] if scores or numbered else []
        fields += [translation.text, "cut"] if fields and not translation.finished else [translation.text]
        written.append("\t".join(fields) + "\n")
    return "".join(written)


def as_object(line: Line, translations: list[Translation]) -> str:
    """Returns the translations of a line as one JSON object."""
    outputs = [translation._asdict() for translation in translations]
    return _json({"line": line.number, "source": line.text, "outputs": outputs})


class CutCounter:
    """Counts the lines whose best translation was cut at the length limit."""

    def __init__(self) -> None:
        self._lines, self._first = 0, 0

    def add(self, line: Line, translations: list[Translation]) -> None:
        """Counts a line, in order."""
        if not translations[0].finished:
            self._first = self._first or line.number
            self._lines += 1

    def report(self) -> None:
        """Reports the count on stderr, if it is not 0."""
        if self._lines:
            what = "translation was" if self._lines == 1 else "translations were"
            print(
                f"recurra: {self._lines:,} {what} cut at the length limit, before the end of the sentence; the first "
                f"is that of line {self._first}",
                file=sys.stderr,
            )


def score_lines(
    translator: Translator, lines: Iterable[Line], name: str, targets: Path, *, window: dict[str, int]
) -> Iterator[tuple[Line, str, float]]:
    """Yields lines with their given targets and log p(target | source) in nats.

    Args:
        translator: the model.
        lines: the sources.
        name: of their file, for messages.
        targets: the file of the targets, line by line.
        window: arguments of `Translator.score`.

    Raises:
        InputError: the files differ in the number of lines, or cannot be read.
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


def score_as_text(line: Line, target: str, log_probability: float) -> str:
    """Returns the log-probability of a given target as a line."""
    return f"{log_probability:.4f}\n"


def score_as_object(line: Line, target: str, log_probability: float) -> str:
    """Returns a given pair and its log-probability as one JSON object."""
    return _json({"line": line.number, "source": line.text, "target": target, "log_probability": log_probability})


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"
