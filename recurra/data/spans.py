"""Schemes of span labels (BIO, BIOES, …): their rules, spans to labels and back, conversion between schemes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import InputError, nearest

OUTSIDE = "O"
_CANONICAL = "BIES"
# The letters of each scheme for the first, inner and last word of a span, and for a single-word span. In IOB1, a span
# that directly follows another of its type begins with B (Ramshaw & Marcus 1995), which this table cannot express.
_LETTERS_OF = {
    "bio": "BIIB",
    "iob1": "IIII",
    "io": "IIII",
    "bioes": "BIES",
    "bilou": "BILU",
    "bmes": "BMES",
    "bmewo": "BMEW",
}
SCHEMES = {**{name: "".join(sorted(set(letters))) for name, letters in _LETTERS_OF.items()}, "iob1": "BI"}
"""Maps a scheme's name to its letters before a type, as in B-PER; O is outside in all schemes."""
ALIASES = {"iob2": "bio", "iobes": "bioes", "bioul": "bilou"}
"""Alternative names of schemes."""
MARKS_ENDS = frozenset(name for name, letters in _LETTERS_OF.items() if len(set(letters)) == len(_CANONICAL))
"""Schemes whose labels mark the end of a span: BIOES, with these letters or others."""
READ = {
    name: dict(zip(_LETTERS_OF[name] if name in MARKS_ENDS else _CANONICAL, _CANONICAL, strict=True))
    for name in SCHEMES
}
"""Maps a scheme's letters to those of BIOES."""


class Span(NamedTuple):
    """A span of words, `start` to before `end`, and its type."""

    kind: str
    start: int
    end: int


def check_scheme(scheme: str) -> None:
    """Checks that a scheme is known.

    Raises:
        InputError: it is not; the message suggests the nearest name.
    """
    if scheme not in SCHEMES and scheme not in ALIASES:
        raise InputError(
            f"there is no scheme {scheme!r} of span labels. {nearest(scheme, [*SCHEMES, *ALIASES, 'off'])}"
        )


def divide_label(label: str) -> tuple[str, str]:
    """Returns the letter and the type of a label: ("B", "PER") for B-PER, ("O", "") for O."""
    letter, _, kind = label.partition("-")
    return letter, kind


def _canonical(label: str | None, scheme: str) -> tuple[str, str]:
    """The letter in BIOES and the type of a label; O for None, the position before and after a sentence."""
    letter, kind = divide_label(OUTSIDE if label is None else label)
    return READ[scheme].get(letter, letter), kind


def may_follow(before: str | None, label: str | None, scheme: str) -> bool:
    """Whether a label may follow another; None represents the position before and after the sentence."""
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
    """The allowed labels of a scheme, as masks that are True where allowed."""

    start: Tensor
    """bool (K,)."""
    between: Tensor
    """bool (K, K), row followed by column."""
    end: Tensor
    """bool (K,)."""


def rules(labels: Sequence[str], scheme: str, *, adjacent: bool = True) -> Rules:
    """Returns which labels may begin a sentence, follow each other, and end a sentence.

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
    """Returns the position and description of the first error of a sequence; None if it is well formed.

    Args:
        labels: None for a word without a label, which may have any label that makes the sequence well formed.
        scheme: of `SCHEMES`.
    """
    known = SCHEMES[scheme] + OUTSIDE
    candidates = _candidates(labels, scheme) if None in labels else []
    before: list[str | None] = [None]  # the possible labels of the word before
    for place, label in enumerate(labels):
        if label is None:
            before = [one for one in candidates if any(may_follow(last, one, scheme) for last in before)]
            continue
        letter, kind = divide_label(label)
        if letter not in known or bool(kind) != (letter != OUTSIDE):
            return place, f"label {label!r} is not a {scheme.upper()} label"
        if not any(may_follow(last, label, scheme) for last in before):
            return place, f"{label} {_after(labels, place)}"
        before = [label]
    if labels and not any(may_follow(last, None, scheme) for last in before):
        return len(labels) - 1, f"{labels[-1]} ends the sentence"
    return None


def _candidates(labels: Sequence[str | None], scheme: str) -> list[str | None]:
    """The possible labels of a word without a label: outside, or of a type in the sentence."""
    kinds = sorted({divide_label(label)[1] for label in labels if label is not None} - {""})
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in SCHEMES[scheme])]


def _after(labels: Sequence[str | None], place: int) -> str:
    if not place:
        return "begins the sentence"
    return f"follows {labels[place - 1] or 'a word without a label that cannot come before it'}"


def spans_of(labels: Sequence[str], scheme: str = "bioes") -> list[Span]:
    """Returns the spans of a label sequence, in order, as conlleval reads them.

    A sequence that is not well formed is read as usual scorers do: I- or E- without a beginning begins a span, and a
    span without an end ends before a label that cannot continue it. BIO, IOB1 and IO are therefore read by the rules of
    BIOES; the letters of BILOU and BMES are mapped to BIOES first.

    Args:
        labels: the label of each word.
        scheme: the scheme of the labels, of `SCHEMES`.
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
    """Returns the labels of a sentence of `length` words with these spans; IO merges adjacent spans of one type."""
    labels = [OUTSIDE] * length
    before = Span("", 0, 0)
    for span in spans:
        kind, start, end = span
        first, inner, last, only = list(_LETTERS_OF[scheme])
        if scheme == "iob1" and before.kind == kind and before.end == start:
            first = only = "B"
        labels[start:end] = [f"{inner}-{kind}"] * (end - start)
        labels[end - 1] = f"{last}-{kind}"
        labels[start] = f"{first if end - start > 1 else only}-{kind}"
        before = span
    return labels


def convert(labels: Sequence[str], scheme: str, came_as: str = "bioes") -> list[str]:
    """Converts labels to another scheme; the result is always well formed.

    Args:
        labels: labels in the scheme `came_as`.
        scheme: scheme of the result.
        came_as: scheme of `labels`; "bioes" also reads bio, iob1 and io.
    """
    return labels_of(spans_of(labels, came_as), len(labels), scheme)


def letter_of(letter: str, scheme: str) -> str:
    """Converts a letter of BIES to a scheme, regardless of neighbours: E is I in BIO."""
    return _LETTERS_OF[scheme][_CANONICAL.index(letter)]
