"""What a person should know of pairs before training starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from recurra.tasks.translator.corpus import SIDES, Facts
from recurra.tasks.translator.vocabulary import Side, Vocabulary
from recurra.training import percent


class Repeated(NamedTuple):
    """How many sources of the held-out part are in the training part too."""

    sources: int = 0
    pairs: int = 0
    """Those of them that have a target there that they have here."""


NOTHING = Repeated()


def notes(vocabulary: Vocabulary, train: Facts, valid: Facts, longest: int | None, repeated: Repeated) -> list[str]:
    """The lines.

    Args:
        vocabulary: symbols of both sides.
        train: numbers of the training part.
        valid: and of the held-out part.
        longest: symbols on a side beyond which pairs were left out.
        repeated: what both parts have.
    """
    lines = [*_sizes("training", train), *_sizes("validation", valid)]
    if vocabulary.joint:
        lines.append(f"source and target: one vocabulary of {_kinds(vocabulary.source)}")
    else:
        sides = zip(SIDES, (vocabulary.source, vocabulary.target), strict=True)
        lines += [f"{name}: a vocabulary of {_kinds(side)}" for name, side in sides]
    for name, facts in (("training", train), ("validation", valid)):
        if facts.empty:
            found = _places(facts.empty, facts.empty_places)
            lines.append(f"{name} data: {_pairs(facts.empty)} with an empty side left out ({found})")
        if facts.too_long:
            found = _places(facts.too_long, facts.too_long_places)
            lines.append(
                f"{name} data: {_pairs(facts.too_long)} left out with more than {longest:,} symbols on a side "
                f"({found}); --longest keeps them"
            )
    lines += _unknown("training", train)
    lines += _unknown("validation", valid)
    if repeated.sources:
        lines.append(
            f"validation data: {repeated.sources:,} of {valid.sources:,} sources are in the training data too, "
            f"{repeated.pairs:,} of them with the same target: scores differ from those on new sources"
        )
    return lines


def _sizes(name: str, facts: Facts) -> Iterator[str]:
    several = f" of {facts.sources:,} sources" if facts.sources != facts.pairs else ""
    source, target = facts.symbols
    yield f"{name} data: {_pairs(facts.pairs)}{several}, {source:,} symbols to {target:,}"


def _pairs(count: int) -> str:
    return f"{count:,} pair{'s' if count != 1 else ''}"


def _kinds(side: Side) -> str:
    names = {"char": "characters", "word": "words", "bpe": "subwords"}
    return f"{side.tokenizer.size:,} {names[side.tokenizer.name]}"


def _places(count: int, places: list[str]) -> str:
    return ", ".join(places) + (", …" if count > len(places) else "")


def _unknown(name: str, facts: Facts) -> Iterator[str]:
    parts = zip(SIDES, facts.unknown, facts.symbols, facts.unknown_symbols, strict=True)
    for side, count, total, symbols in parts:
        if count:
            shown = ", ".join(map(repr, symbols))
            yield (
                f"{name} data: {count:,} of {total:,} symbols of the {side}s ({percent(count / total)}) are unknown "
                f"({shown})"
            )
