"""Which sources a translator was trained on, as digests: so that it can be told where test data holds some of them."""

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
# Bytes a source: among 100,000 sources one that is not there is taken for one of them once in 3 thousand million times.
_BYTES = 6

Digests = npt.NDArray[np.uint64]


def normalised(text: str) -> str:
    """A sentence as it is compared: in Unicode's composed form, with single spaces, case as it is."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def digest(source: str) -> int:
    """48 bits of a source, the same for sources that are equal when normalised."""
    # A lone surrogate, which a shell may hand over, was in no file: any digest will do.
    data = normalised(source).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_BYTES).digest(), "big")


@dataclass(frozen=True, eq=False)
class TrainSources:
    """Sources by their digests.

    Args:
        digests: (N,) uint64, sorted, none twice.
    """

    digests: Digests

    @classmethod
    def of(cls, digests: Sequence[int] | Digests) -> TrainSources:
        """The sources of these digests, in any order."""
        return cls(np.unique(np.array(digests, dtype=np.uint64)))

    def __len__(self) -> int:
        return len(self.digests)

    def __contains__(self, source: str) -> bool:
        wanted = np.uint64(digest(source))
        place = int(np.searchsorted(self.digests, wanted))
        return place < len(self.digests) and bool(self.digests[place] == wanted)

    def __or__(self, other: TrainSources) -> TrainSources:
        return TrainSources.of(np.concatenate([self.digests, other.digests]))

    def to_text(self) -> str:
        """The digests as text, eight characters each."""
        data = self.digests.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - _BYTES :].tobytes()
        return f"{_FORMAT} {len(self)}\n{base64.b64encode(data).decode()}\n"


def load_train_sources(path: Path) -> TrainSources:
    """The sources that `TrainSources.to_text` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        data = base64.b64decode(rest.strip(), validate=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file beside the vocabulary. Restore it, or train again") from None
    except (OSError, ValueError, binascii.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}). Restore the file, or train again") from None
    if first != f"{_FORMAT} {len(data) // _BYTES}" or len(data) % _BYTES:
        raise InputError(f"{path}: {len(data)} bytes after {first[:40]!r}. Restore the file, or train again")
    wide = np.zeros((len(data) // _BYTES, 8), dtype=np.uint8)
    wide[:, 8 - _BYTES :] = np.frombuffer(data, dtype=np.uint8).reshape(-1, _BYTES)
    return TrainSources.of(wide.view(">u8").ravel())


class Repeated(NamedTuple):
    """How many sources of the held-out part are in the training part too."""

    sources: int = 0
    pairs: int = 0
    """Those of them that have a target there that they have here."""


NOTHING = Repeated()


def is_filled(pair: Pair) -> bool:
    """Whether a source and at least one of its targets are not empty."""
    return not is_empty(pair.source) and not all(map(is_empty, pair.targets))


class Comparison:
    """Digests of the pairs to learn from, and which of the held-out pairs are among them.

    Args:
        valid: the held-out pairs.
    """

    def __init__(self, valid: Pairs) -> None:
        self.digests = array("Q")
        # Held-out source to the targets of each of its occurrences; and of sources of the training part, which
        # occurrences have one of their targets there.
        self._targets: dict[str, list[set[str]]] = {}
        self._repeated: dict[str, list[bool]] = {}
        for pair in filter(is_filled, valid):
            self._targets.setdefault(normalised(pair.source), []).append(set(map(normalised, pair.targets)))

    def through(self, pairs: Pairs) -> Iterator[Pair]:
        """Yields the same pairs, and compares each with the held-out pairs."""
        for pair in pairs:
            if is_filled(pair):
                self.digests.append(digest(pair.source))
                source = normalised(pair.source)
                if source in self._targets:
                    targets, occurrences = set(map(normalised, pair.targets)), self._targets[source]
                    before = self._repeated.get(source, [False] * len(occurrences))
                    self._repeated[source] = [
                        same or bool(one & targets) for same, one in zip(before, occurrences, strict=True)
                    ]
            yield pair

    def repeated(self) -> Repeated:
        """How many held-out sources are among the pairs so far."""
        return Repeated(sum(map(len, self._repeated.values())), sum(map(sum, self._repeated.values())))
