"""Detects the scheme of the span labels of a file, and labels that look like spans of an unknown scheme."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from recurra.data.spans import MARKS_ENDS, OUTSIDE, SCHEMES, divide_label, first_fault

# Letters of which the labels must have at least one to be of the scheme.
_TELLING = {"io": "I", "bio": "B", "bioes": "ES", "bilou": "LU", "bmes": "M", "bmewo": "W"}
_LETTERS, _INNER = "BIESLUMW", "IELM"
_TYPED = re.compile(r"(?P<letter>[BIESLUMW])[-_:./|](?P<kind>.+)", re.IGNORECASE)
_TYPED_BEFORE = re.compile(r"(?P<kind>.+)[-_:./|](?P<letter>[BIESLUMW])", re.IGNORECASE)


def scheme_of(labels: Iterable[str]) -> str | None:
    """Returns the scheme of a set of labels by its letters; None if it is none.

    IOB1 has the same letters as BIO: they differ only in whole sequences, see `SchemeFinder`.
    """
    letters = set()
    for label in set(labels) - {OUTSIDE}:
        letter, kind = divide_label(label)
        if not kind:
            return None
        letters.add(letter)
    for scheme, telling in _TELLING.items():
        begins = scheme not in MARKS_ENDS or letters & {"B", "S", "U", "W"}
        if letters <= set(SCHEMES[scheme]) and letters & set(telling) and begins:
            return scheme
    return None


class SchemeFinder:
    """Detects the scheme of the labels of sentences."""

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self._fits = {"bio": True, "iob1": True}

    def add(self, labels: Sequence[str | None]) -> None:
        """Adds the labels of a sentence; None for a word without a label."""
        self.labels.update(label for label in labels if label is not None)
        for scheme, fits in self._fits.items():
            self._fits[scheme] = fits and first_fault(labels, scheme) is None

    def scheme(self) -> str | None:
        """Returns the scheme; IOB1 if all sequences are well formed in it but not in BIO; None for no span labels."""
        scheme = scheme_of(self.labels)
        return "iob1" if scheme == "bio" and self._fits["iob1"] and not self._fits["bio"] else scheme


def looks_like_spans(labels: Collection[str]) -> list[str]:
    """Returns some labels that look like span labels although `scheme_of` knows no such scheme; [] if there are none.

    That is the case for a type with B and a letter that continues B, before or after the type (B_PER and I_PER, PER-B
    and PER-I, b-per and i-per), for such letters without a type, and if all labels are O or letters with a type.
    """
    outside = {OUTSIDE, OUTSIDE.lower()} & set(labels)
    labels = sorted(set(labels) - outside)
    alone = {label.upper() for label in labels}
    if "B" in alone <= set(_LETTERS) and alone & set(_INNER):
        return labels[:4]
    if outside and labels and all(_TYPED.fullmatch(label) for label in labels):
        return labels[:4]
    for pattern in (_TYPED, _TYPED_BEFORE):
        letters: dict[str, dict[str, str]] = {}
        for label in labels:
            if match := pattern.fullmatch(label):
                letters.setdefault(match["kind"], {})[match["letter"].upper()] = label
        for of_kind in letters.values():
            inner = [label for letter, label in of_kind.items() if letter in _INNER]
            if "B" in of_kind and inner:
                return [of_kind["B"], inner[0]]
    return []
