"""What a translator knows by number: the symbols of sources and of targets; and which sources it has seen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data import Pairs, PairText, Tokenizer, WordTokenizer, build_tokenizer, load_tokenizer
from recurra.data.tokenizers.word import UNKNOWN
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.translator.options import PairOptions
from recurra.tasks.translator.train_overlap import FILE as SEEN
from recurra.tasks.translator.train_overlap import TrainSources, load_train_sources

Ids = npt.NDArray[np.int64]

# Begins what the decoder reads, and ends a sentence.
END = 0
FILE, FORMAT = "vocabulary.json", 1
_PREFIXES = ("source.", "target.", "joint.")
FILES = (FILE, SEEN, *(prefix + name for prefix in _PREFIXES for name in ("unit.json", "tokenizer.json")))
# What stands between two sentences where a vocabulary is taken: nothing that would count, and a newline for subwords,
# because a space would belong to the next sentence's first word.
_BETWEEN = {"char": "", "word": " ", "bpe": "\n"}


class Side:
    """The symbols of sources or of targets: a unit's, one further on, and `END`.

    Args:
        tokenizer: what sentences are cut into.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @property
    def size(self) -> int:
        """How many ids there are."""
        return self.tokenizer.size + 1

    @property
    def unknown_id(self) -> int | None:
        """The id of what is outside the vocabulary; None where nothing is."""
        return None if self.tokenizer.unknown_id is None else self.tokenizer.unknown_id + 1

    @cached_property
    def never(self) -> tuple[int, ...]:
        """Ids that would break a line in two, which no sentence has and no output should."""
        return tuple(number + 1 for number in range(self.tokenizer.size) if "\n" in self.tokenizer.decode([number]))

    def encode(self, text: str) -> Ids:
        """The ids of a sentence, (N,) int64, without `END`; a newline in it counts as a space."""
        ids = self.tokenizer.encode(text.replace("\n", " "))
        if isinstance(self.tokenizer, WordTokenizer):
            # Only where a text spells out the word that stands for a line's end.
            ids[ids == self.tokenizer.end_id] = self.tokenizer.unknown_id
        return ids + 1

    def decode(self, ids: npt.ArrayLike) -> str:
        """The sentence of ids, (N,) integers, up to the first `END`."""
        array = np.asarray(ids, dtype=np.int64).reshape(-1)
        ends = np.flatnonzero(array == END)
        return self.tokenizer.decode((array[: ends[0]] if len(ends) else array) - 1)

    def symbol(self, number: int) -> str:
        """What an id spells, for display; nothing for `END`."""
        return self.tokenizer.symbol(number - 1) if number else ""

    def missing(self, text: str) -> list[str]:
        """The symbols of a sentence that are unknown, in order, with repetitions."""
        return [symbol for _, symbol in self.unknown(text)]

    def unknown(self, text: str) -> list[tuple[int, str]]:
        """Those symbols, each after its place among the ids; a `<unk>` that a sentence of words spells out is known."""
        ids, unknown = self.encode(text), self.unknown_id
        if unknown is None or unknown not in ids.tolist():
            return []
        words = isinstance(self.tokenizer, WordTokenizer)
        pieces = text.split() if words else text.replace("\n", " ")
        places = np.flatnonzero(ids == unknown).tolist()
        return [(place, pieces[place]) for place in places if not (words and pieces[place] == UNKNOWN)]

    def spelling_nats(self, text: str) -> float:
        """What it costs to spell the unknown symbols of a sentence, in nats (`Tokenizer.spelling_nats`)."""
        return math.fsum(self.tokenizer.spelling_nats(symbol) for symbol in self.missing(text))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Both sides; the same one twice where they have one vocabulary.

    Args:
        source: symbols of sources.
        target: symbols of targets.
        trained_on: the sources that were trained on.
    """

    source: Side
    target: Side
    trained_on: TrainSources = field(default_factory=lambda: TrainSources.of([]))

    @property
    def joint(self) -> bool:
        """Whether both sides have one vocabulary."""
        return self.source.tokenizer is self.target.tokenizer

    def seen(self, source: str) -> bool:
        """Whether a source, but for spaces, was trained on."""
        return source in self.trained_on

    def files(self) -> dict[str, str]:
        """`vocabulary.json`, `seen.txt` and the files of the units."""
        tokenizers = {"joint.": self.source} if self.joint else {"source.": self.source, "target.": self.target}
        return {
            FILE: json.dumps({"format": FORMAT, "joint": self.joint}) + "\n",
            SEEN: self.trained_on.to_text(),
            **{
                prefix + name: text
                for prefix, side in tokenizers.items()
                for name, text in side.tokenizer.files().items()
            },
        }


def build_vocabulary(pairs: Pairs, options: PairOptions) -> Vocabulary:
    """The vocabulary of pairs to learn from.

    Args:
        pairs: at least one without empty sides.
        options: what each side is cut into.
    """

    def side(tokenizer: str, sides: Iterable[str]) -> Side:
        text = PairText(pairs, "source" in sides, "target" in sides, _BETWEEN[tokenizer])
        size, least = options.size_of(tokenizer), options.min_count_of(tokenizer)
        return Side(build_tokenizer(tokenizer, text, vocabulary_size=size, min_count=least))

    if options.joint:
        both = side(options.source_unit, ("source", "target"))
        return Vocabulary(both, both)
    return Vocabulary(side(options.source_unit, ("source",)), side(options.target_unit, ("target",)))


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary that `Vocabulary.files` described.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = Path(folder) / FILE
    content = read_object(path, missing=f"{folder} is not a translator, or a part of it was lost")
    wanted = [{"format": FORMAT, "joint": joint} for joint in (False, True)]
    if content not in wanted:
        raise InputError(f"{path}: expected an object of format {FORMAT} that tells whether the vocabulary is joint")
    seen = load_train_sources(path.with_name(SEEN))
    if content["joint"]:
        both = Side(load_tokenizer(folder, prefix="joint."))
        return Vocabulary(both, both, seen)
    source, target = (Side(load_tokenizer(folder, prefix=prefix)) for prefix in ("source.", "target."))
    return Vocabulary(source, target, seen)
