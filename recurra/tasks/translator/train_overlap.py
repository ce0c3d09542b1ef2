"""Which sources a translator was trained on, as digests, so that evaluation data that contain them are reported."""

from __future__ import annotations

import base64
import binascii
import hashlib
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data import Pair, Pairs, is_empty
from recurra.errors import InputError

FILE = "seen.txt"
_FORMAT = "recurra sources 1"
# Bytes of a digest: the probability that a new source equals one of 100,000 digests by chance is 1 in 3 · 10⁹.
_BYTES = 6

Digests = npt.NDArray[np.uint64]


def normalised(text: str) -> str:
    """Returns a sentence as it is compared: in Unicode's composed form, with single spaces, in its own case."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def digest(source: str) -> int:
    """Returns 48 bits of a source, equal for sources that are equal when normalised."""
    # A lone surrogate, which a shell may pass as an argument, was in no file: any digest will do.
    data = normalised(source).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_BYTES).digest(), "big")


@dataclass(frozen=True, eq=False)
class TrainSources:
    """A set of sources by their digests.

    Args:
        digests: (N,) uint64, sorted, without repetitions.
    """

    digests: Digests

    @classmethod
    def of(cls, digests: Sequence[int] | Digests) -> TrainSources:
        """Returns the set of digests in any order, with repetitions or without."""
        return cls(np.unique(np.array(digests, dtype=np.uint64)))

    def __len__(self) -> int:
        return len(self.digests)

    def __contains__(self, source: str) -> bool:
        number = np.uint64(digest(source))
        place = int(np.searchsorted(self.digests, number))
        return place < len(self.digests) and bool(self.digests[place] == number)

    def __or__(self, other: TrainSources) -> TrainSources:
        return TrainSources.of(np.concatenate([self.digests, other.digests]))

    def to_text(self) -> str:
        """Returns the digests as text, eight characters each."""
        # The last 6 of the 8 bytes of a big-endian number, which base64 writes as 8 characters.
        data = self.digests.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - _BYTES :].tobytes()
        return f"{_FORMAT} {len(self)}\n{base64.b64encode(data).decode()}\n"


def load_train_sources(path: Path) -> TrainSources:
    """Loads the sources that `TrainSources.to_text` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        data = base64.b64decode(rest.strip(), validate=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Restore the file, or train again") from None
    except (OSError, ValueError, binascii.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}). Restore the file, or train again") from None
    if first != f"{_FORMAT} {len(data) // _BYTES}" or len(data) % _BYTES:
        raise InputError(f"{path}: {len(data)} bytes after {first[:40]!r}. Restore the file, or train again")
    numbers = np.zeros((len(data) // _BYTES, 8), dtype=np.uint8)
    numbers[:, 8 - _BYTES :] = np.frombuffer(data, dtype=np.uint8).reshape(-1, _BYTES)
    return TrainSources.of(numbers.view(">u8").ravel())


class Overlap(NamedTuple):
    """How many held-out sources are in the training part too."""

    sources: int = 0
    pairs: int = 0
    """Those of them that have a target in common with the training part."""


NO_OVERLAP = Overlap()


def is_filled(pair: Pair) -> bool:
    """Whether a source and at least one of its targets are not empty."""
    return not is_empty(pair.source) and not all(map(is_empty, pair.targets))


class OverlapCounter:
    """Compares the training part with the held-out part while it is encoded, and keeps digests of its sources.

    Args:
        valid: the held-out pairs.
    """

    def __init__(self, valid: Pairs) -> None:
        self.digests = array("Q")
        """Of the training sources so far, in their order."""
        # For each held-out source the targets of each of its occurrences; and for those of them that are in the
        # training part, which occurrences have a target in common with it.
        self._targets: dict[str, list[set[str]]] = {}
        self._in_training: dict[str, list[bool]] = {}
        for pair in filter(is_filled, valid):
            self._targets.setdefault(normalised(pair.source), []).append(set(map(normalised, pair.targets)))

    def through(self, train: Pairs) -> Iterator[Pair]:
        """Yields the training pairs unchanged, each after it has been compared."""
        for pair in train:
            if is_filled(pair):
                self.digests.append(digest(pair.source))
                self._compare(normalised(pair.source), pair.targets)
            yield pair

    def _compare(self, source: str, targets: Sequence[str]) -> None:
        if source not in self._targets:
            return
        trained, occurrences = set(map(normalised, targets)), self._targets[source]
        before = self._in_training.get(source, [False] * len(occurrences))
        self._in_training[source] = [
            common or bool(held_out & trained) for common, held_out in zip(before, occurrences, strict=True)
        ]

    def overlap(self) -> Overlap:
        """Returns the counts over the pairs so far."""
        return Overlap(sum(map(len, self._in_training.values())), sum(map(sum, self._in_training.values())))
