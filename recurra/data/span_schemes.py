"""Which scheme the span labels of a file follow, and labels that look like spans in none of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from recurra.data.spans import MARKS_ENDS, OUTSIDE, SCHEMES, divide_label, first_fault

# Letters of which a set of labels must have one, to be of the scheme.
_TELLING = {"io": "I", "bio": "B", "bioes": "ES", "bilou": "LU", "bmes": "M", "bmewo": "W"}
_LETTERS, _INNER = "BIESLUMW", "IELM"
_TYPED = re.compile(r"(?P<letter>[BIESLUMW])[-_:./|](?P<kind>.+)", re.IGNORECASE)
_TYPED_BEFORE = re.compile(r"(?P<kind>.+)[-_:./|](?P<letter>[BIESLUMW])", re.IGNORECASE)


def scheme_of(labels: Iterable[str]) -> str | None:
    """The scheme that a set of labels follows by its letters; None where it follows none.

    IOB1 has the letters of BIO: only whole sequences tell them apart, see `SchemeFinder`.
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
    """Finds the scheme of the sentences that it has seen."""

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self._fits = {"bio": True, "iob1": True}

    def add(self, labels: Sequence[str | None]) -> None:
        """One sentence; None for a word without a label."""
        self.labels.update(label for label in labels if label is not None)
        for scheme, fits in self._fits.items():
            self._fits[scheme] = fits and first_fault(labels, scheme) is None

    def scheme(self) -> str | None:
        """The scheme: IOB1 where all sequences are well formed in it and not in BIO; None for labels without spans."""
        scheme = scheme_of(self.labels)
        return "iob1" if scheme == "bio" and self._fits["iob1"] and not self._fits["bio"] else scheme


def looks_like_spans(labels: Collection[str]) -> list[str]:
    """Some of a set's labels that look like those of spans although `scheme_of` knows no such scheme; [] if none do.

    That is: a type with B and with a letter that goes on from B, before or after it (B_PER and I_PER, PER-B and PER-I,
    b-per and i-per); such letters alone; or nothing but O and letters with a type.
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
