"""Labels that mark spans: BIO and BIOES, their rules, what they mean, and from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import InputError, nearest

OUTSIDE = "O"
SCHEMES = {"bio": "BI", "bioes": "BIES"}
"""The scheme's name to the letters that stand before a type, as in B-PER; O is outside in both."""


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
    if scheme not in SCHEMES:
        raise InputError(f"there is no scheme {scheme!r} of span labels. {nearest(scheme, SCHEMES)}")


def scheme_of(labels: Iterable[str]) -> str | None:
    """The scheme that a set of labels follows: bioes where E- or S- occurs, bio with B- alone; None where none does."""
    letters = set()
    for label in labels:
        letter, dash, kind = label.partition("-")
        if label != OUTSIDE and not (dash and kind and letter in SCHEMES["bioes"]):
            return None
        letters.add(letter)
    if "B" not in letters and "S" not in letters:
        return None
    return "bioes" if letters & {"E", "S"} else "bio"


def divide_label(label: str) -> tuple[str, str]:
    """The letter and the type of a label: ("B", "PER") of B-PER, ("O", "") of O."""
    letter, _, kind = label.partition("-")
    return letter, kind


def may_follow(before: str | None, label: str | None, scheme: str) -> bool:
    """Whether a label may stand after another; None is what is before a sentence's first and after its last word."""
    letter, kind = divide_label(OUTSIDE if label is None else label)
    last, last_kind = divide_label(OUTSIDE if before is None else before)
    open_span = last in ("B", "I") and scheme == "bioes"
    if open_span:
        return letter in ("I", "E") and kind == last_kind
    if letter == "I" and scheme == "bio":
        return last in ("B", "I") and kind == last_kind
    return letter not in ("I", "E")


class Rules(NamedTuple):
    """What a scheme allows, as masks over labels, True where allowed."""

    start: Tensor
    """bool (K,)."""
    between: Tensor
    """bool (K, K), from row to column."""
    end: Tensor
    """bool (K,)."""


def rules(labels: Sequence[str], scheme: str) -> Rules:
    """Which labels may begin a sentence, follow one another and end it.

    Args:
        labels: the K labels.
        scheme: of `SCHEMES`.
    """
    return Rules(
        torch.tensor([may_follow(None, label, scheme) for label in labels]),
        torch.tensor([[may_follow(before, label, scheme) for label in labels] for before in labels]),
        torch.tensor([may_follow(label, None, scheme) for label in labels]),
    )


def first_fault(labels: Sequence[str], scheme: str) -> tuple[int, str] | None:
    """Where a sequence is not well formed, and why; None where it is."""
    known = SCHEMES[scheme] + OUTSIDE
    before: str | None = None
    for place, label in enumerate(labels):
        letter, kind = divide_label(label)
        if letter not in known or bool(kind) != (letter != OUTSIDE):
            return place, f"label {label!r} is no {scheme.upper()} label"
        if not may_follow(before, label, scheme):
            return place, f"{label} {'begins the sentence' if before is None else f'follows {before}'}"
        before = label
    if labels and not may_follow(before, None, scheme):
        return len(labels) - 1, f"{before} ends the sentence"
    return None


def spans_of(labels: Sequence[str]) -> list[Span]:
    """The spans that labels mark, in order, as conlleval reads them.

    A sequence that is not well formed is read as it is by everyone's scorer: I- or E- without a beginning begins a
    span, and a span without an end ends before what cannot belong to it.
    """
    spans: list[Span] = []
    start, open_kind = 0, ""
    for place, label in enumerate([*labels, OUTSIDE]):
        letter, kind = divide_label(label)
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
    """The labels of a sentence of `length` words that mark the spans."""
    labels = [OUTSIDE] * length
    for kind, start, end in spans:
        labels[start:end] = [f"I-{kind}"] * (end - start)
        labels[start] = f"B-{kind}"
        if scheme == "bioes":
            labels[end - 1] = f"E-{kind}" if end - start > 1 else f"S-{kind}"
    return labels


def convert(labels: Sequence[str], scheme: str) -> list[str]:
    """The same spans in a scheme; what was not well formed is so afterwards."""
    return labels_of(spans_of(labels), len(labels), scheme)
