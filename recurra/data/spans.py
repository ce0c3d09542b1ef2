"""Labels that mark spans: their schemes, the rules of each, what they mean, and from one scheme to another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import InputError, nearest

OUTSIDE = "O"
_CANONICAL = "BIES"
# How each scheme writes the first, an inner, the last word of a span, and the only word of one. In IOB1, a span that
# directly follows another of its type begins with B (Ramshaw & Marcus 1995), which no table of letters can say.
_WRITTEN = {
    "bio": "BIIB",
    "iob1": "IIII",
    "io": "IIII",
    "bioes": "BIES",
    "bilou": "BILU",
    "bmes": "BMES",
    "bmewo": "BMEW",
}
SCHEMES = {**{name: "".join(sorted(set(letters))) for name, letters in _WRITTEN.items()}, "iob1": "BI"}
"""The scheme's name to the letters that stand before a type, as in B-PER; O is outside in all."""
ALIASES = {"iob2": "bio", "iobes": "bioes", "bioul": "bilou"}
"""Other names of schemes."""
MARKS_ENDS = frozenset(name for name, letters in _WRITTEN.items() if len(set(letters)) == len(_CANONICAL))
"""Schemes whose labels say where a span ends: BIOES, in these letters or others."""
READ = {
    name: dict(zip(_WRITTEN[name] if name in MARKS_ENDS else _CANONICAL, _CANONICAL, strict=True)) for name in SCHEMES
}
"""From a scheme's letters to those of BIOES."""


class Span(NamedTuple):
    """Words `start` to before `end` and what they are."""

    kind: str
    start: int
    end: int


def check_scheme(scheme: str) -> None:
    """Refuses a scheme that is not known.

    Raises:
        InputError: with the nearest name.
    """
    if scheme not in SCHEMES and scheme not in ALIASES:
        raise InputError(
            f"there is no scheme {scheme!r} of span labels. {nearest(scheme, [*SCHEMES, *ALIASES, 'off'])}"
        )


def divide_label(label: str) -> tuple[str, str]:
    """The letter and the type of a label: ("B", "PER") of B-PER, ("O", "") of O."""
    letter, _, kind = label.partition("-")
    return letter, kind


def _canonical(label: str | None, scheme: str) -> tuple[str, str]:
    """The letter, as BIOES has it, and the type of a label; O for what is before and after a sentence."""
    letter, kind = divide_label(OUTSIDE if label is None else label)
    return READ[scheme].get(letter, letter), kind


def may_follow(before: str | None, label: str | None, scheme: str) -> bool:
    """Whether a label may stand after another; None is what is before a sentence's first and after its last word."""
    letter, kind = _canonical(label, scheme)
    last, last_kind = _canonical(before, scheme)
    inside = last in ("B", "I") and kind == last_kind
    if scheme == "io":
        return True
    if scheme == "iob1":
        return letter != "B" or inside
    if scheme == "bio":
        return letter != "I" or inside
    if last in ("B", "I"):
        return letter in ("I", "E") and inside
    return letter not in ("I", "E")


class Rules(NamedTuple):
    """What a scheme allows, as masks over labels, True where allowed."""

    start: Tensor
    """bool (K,)."""
    between: Tensor
    """bool (K, K), from row to column."""
    end: Tensor
    """bool (K,)."""


def rules(labels: Sequence[str], scheme: str, *, adjacent: bool = True) -> Rules:
    """Which labels may begin a sentence, follow one another and end it.

    Args:
        labels: the K labels.
        scheme: of `SCHEMES`.
        adjacent: whether a span may directly follow another of its type, in a scheme that marks ends.
    """

    def allowed(before: str, label: str) -> bool:
        (last, last_kind), (letter, kind) = _canonical(before, scheme), _canonical(label, scheme)
        touching = last in ("E", "S") and letter in ("B", "S") and kind == last_kind
        return may_follow(before, label, scheme) and (adjacent or not touching)

    return Rules(
        torch.tensor([may_follow(None, label, scheme) for label in labels]),
        torch.tensor([[allowed(before, label) for label in labels] for before in labels]),
        torch.tensor([may_follow(label, None, scheme) for label in labels]),
    )


def first_fault(labels: Sequence[str | None], scheme: str) -> tuple[int, str] | None:
    """Where a sequence is not well formed, and why; None where it is.

    Args:
        labels: None for a word without a label, which is whatever makes the sequence well formed.
        scheme: of `SCHEMES`.
    """
    known = SCHEMES[scheme] + OUTSIDE
    candidates = _candidates(labels, scheme) if None in labels else []
    before: list[str | None] = [None]  # what the word before may be
    for place, label in enumerate(labels):
        if label is None:
            before = [one for one in candidates if any(may_follow(last, one, scheme) for last in before)]
            continue
        letter, kind = divide_label(label)
        if letter not in known or bool(kind) != (letter != OUTSIDE):
            return place, f"label {label!r} is no {scheme.upper()} label"
        if not any(may_follow(last, label, scheme) for last in before):
            return place, f"{label} {_after(labels, place)}"
        before = [label]
    if labels and not any(may_follow(last, None, scheme) for last in before):
        return len(labels) - 1, f"{labels[-1]} ends the sentence"
    return None


def _candidates(labels: Sequence[str | None], scheme: str) -> list[str | None]:
    """What a word without a label may be: outside, or of a type that the sentence has."""
    kinds = sorted({divide_label(label)[1] for label in labels if label is not None} - {""})
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in SCHEMES[scheme])]


def _after(labels: Sequence[str | None], place: int) -> str:
    if not place:
        return "begins the sentence"
    return f"follows {labels[place - 1] or 'a word without a label that cannot come before it'}"


def spans_of(labels: Sequence[str], scheme: str = "bioes") -> list[Span]:
    """The spans that labels mark, in order, as conlleval reads them.

    A sequence that is not well formed is read as it is by everyone's scorer: I- or E- without a beginning begins a
    span, and a span without an end ends before what cannot belong to it. So BIO, IOB1 and IO are read by the rules of
    BIOES; BILOU and BMES have its letters replaced.

    Args:
        labels: of each word.
        scheme: of `SCHEMES`, whose letters the labels have.
    """
    spans: list[Span] = []
    start, open_kind = 0, ""
    for place, label in enumerate([*labels, OUTSIDE]):
        letter, kind = _canonical(label, scheme)
        if open_kind and (letter in ("O", "B", "S") or kind != open_kind):
            spans.append(Span(open_kind, start, place))
            open_kind = ""
        if letter != OUTSIDE and not open_kind:
            start, open_kind = place, kind
        if open_kind and letter in ("E", "S"):
            spans.append(Span(open_kind, start, place + 1))
            open_kind = ""
    return spans


def labels_of(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The labels of a sentence of `length` words that mark the spans; in IO, adjacent ones of a type become one."""
    labels = [OUTSIDE] * length
    before = Span("", 0, 0)
    for span in spans:
        kind, start, end = span
        first, inner, last, only = list(_WRITTEN[scheme])
        if scheme == "iob1" and before.kind == kind and before.end == start:
            first = only = "B"
        labels[start:end] = [f"{inner}-{kind}"] * (end - start)
        labels[end - 1] = f"{last}-{kind}"
        labels[start] = f"{first if end - start > 1 else only}-{kind}"
        before = span
    return labels


def convert(labels: Sequence[str], scheme: str, came_as: str = "bioes") -> list[str]:
    """The same spans in a scheme; what was not well formed is so afterwards.

    Args:
        labels: in the letters of `came_as`.
        scheme: of the result.
        came_as: of the labels; "bioes" also reads bio, iob1 and io.
    """
    return labels_of(spans_of(labels, came_as), len(labels), scheme)


def letter_of(letter: str, scheme: str) -> str:
    """A letter of BIES as a scheme writes it where its neighbours are not known: E is I in BIO."""
    return _WRITTEN[scheme][_CANONICAL.index(letter)]
