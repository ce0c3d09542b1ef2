"""The ids of a translator's symbols: a tokenizer for each side, with one id more that ends a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
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

# The end symbol closes sources and targets. No sentence contains it, so the same id can begin what the decoder reads.
EOS = BOS = 0
FILE, FORMAT = "vocabulary.json", 1
_PREFIXES = ("source.", "target.", "joint.")
FILES = (FILE, SEEN, *(prefix + name for prefix in _PREFIXES for name in ("unit.json", "tokenizer.json")))
# Separates sentences in the text from which a vocabulary is built: nothing that would be counted itself, and for
# subwords a newline, because a space would become a part of the next sentence's first word.
_SEPARATORS = {"char": "", "word": " ", "bpe": "\n"}


class Side:
    """The symbols of sources or of targets: the ids of a tokenizer, each increased by 1, and `EOS`.

    Args:
        tokenizer: cuts sentences into symbols.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @property
    def size(self) -> int:
        """Number of ids, `EOS` included."""
        return self.tokenizer.size + 1

    @property
    def unknown_id(self) -> int | None:
        """The id of symbols outside the vocabulary; None if the tokenizer knows every symbol."""
        return None if self.tokenizer.unknown_id is None else self.tokenizer.unknown_id + 1

    @cached_property
    def line_break_ids(self) -> tuple[int, ...]:
        """Ids whose text contains a newline: no sentence has them, and no output may have them."""
        return tuple(number + 1 for number in range(self.tokenizer.size) if "\n" in self.tokenizer.decode([number]))

    def encode(self, text: str) -> Ids:
        """Returns the ids of a sentence, (N,) int64, without `EOS`; a newline in it is read as a space."""
        ids = self.tokenizer.encode(text.replace("\n", " "))
        if isinstance(self.tokenizer, WordTokenizer):
            # Only if a text spells out the word that stands for the end of a line.
            ids[ids == self.tokenizer.end_id] = self.tokenizer.unknown_id
        return ids + 1

    def encode_by_spelling(self, text: str, spellings: dict[str, int]) -> Ids:
        """Returns the ids of a sentence, with negative ids for unknown symbols: only equal spellings get equal ids.

        Args:
            text: the sentence.
            spellings: the numbers of the spellings so far, extended by those of this sentence.
        """
        ids = self.encode(text)
        unknown = [] if self.unknown_id is None else np.flatnonzero(ids == self.unknown_id).tolist()
        if unknown:
            pieces = self._pieces(text)
            ids[unknown] = [~spellings.setdefault(pieces[place], len(spellings)) for place in unknown]
        return ids

    def decode(self, ids: npt.ArrayLike) -> str:
        """Returns the sentence of ids, (N,) integers, up to the first `EOS`."""
        array = np.asarray(ids, dtype=np.int64).reshape(-1)
        ends = np.flatnonzero(array == EOS)
        return self.tokenizer.decode((array[: ends[0]] if len(ends) else array) - 1)

    def symbol(self, number: int) -> str:
        """Returns the text of an id for display; "" for `EOS`."""
        return self.tokenizer.symbol(number - 1) if number else ""

    def missing(self, text: str) -> list[str]:
        """Returns the unknown symbols of a sentence, in order, with repetitions."""
        places = self.missing_places(text)
        pieces = self._pieces(text) if places else ""
        return [pieces[place] for place in places]

    def missing_places(self, text: str) -> list[int]:
        """Returns the places of these symbols among the ids; a word that is spelled `<unk>` is not unknown."""
        ids, unknown = self.encode(text), self.unknown_id
        # As a list: comparing so short an array takes twenty times as long.
        if unknown is None or unknown not in ids.tolist():
            return []
        places, pieces = np.flatnonzero(ids == unknown).tolist(), self._pieces(text)
        is_word = isinstance(self.tokenizer, WordTokenizer)
        return [place for place in places if not (is_word and pieces[place] == UNKNOWN)]

    def spelling_nats(self, text: str) -> float:
        """Returns the cost of spelling the unknown symbols of a sentence, in nats (`Tokenizer.spelling_nats`)."""
        return math.fsum(self.tokenizer.spelling_nats(symbol) for symbol in self.missing(text))

    def _pieces(self, text: str) -> Sequence[str]:
        """The symbols of a sentence of words or characters; subwords have no unknown symbols."""
        return text.split() if isinstance(self.tokenizer, WordTokenizer) else text.replace("\n", " ")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The symbols of both sides; with a joint vocabulary both sides are one object.

    Args:
        source: symbols of sources.
        target: symbols of targets.
        trained_on: the sources of the training data.
    """

    source: Side
    target: Side
    trained_on: TrainSources = field(default_factory=lambda: TrainSources.of([]))

    @property
    def joint(self) -> bool:
        """Whether both sides have one vocabulary."""
        return self.source.tokenizer is self.target.tokenizer

    def seen(self, source: str) -> bool:
        """Whether a source is in the training data, apart from spaces."""
        return source in self.trained_on

    def files(self) -> dict[str, str]:
        """Returns `vocabulary.json`, `seen.txt` and the files of the tokenizers, name to text."""
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
    """Builds the vocabulary of training pairs.

    Args:
        pairs: at least one without empty sides.
        options: the tokenizers of both sides.
    """

    def build_side(tokenizer: str, *, sources: bool = False, targets: bool = False) -> Side:
        text = PairText(pairs, sources, targets, _SEPARATORS[tokenizer])
        size, min_count = options.size_of(tokenizer), options.min_count_of(tokenizer)
        return Side(build_tokenizer(tokenizer, text, vocabulary_size=size, min_count=min_count))

    if options.joint:
        joint = build_side(options.source_unit, sources=True, targets=True)
        return Vocabulary(joint, joint)
    return Vocabulary(build_side(options.source_unit, sources=True), build_side(options.target_unit, targets=True))


def load_vocabulary(folder: Path) -> Vocabulary:
    """Loads the vocabulary from the files that `Vocabulary.files` returned.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = Path(folder) / FILE
    content = read_object(path, missing=f"{folder} contains no translator, or only a part of one")
    if content not in [{"format": FORMAT, "joint": joint} for joint in (False, True)]:
        raise InputError(f"{path}: expected an object of format {FORMAT} with the field joint, true or false")
    trained_on = load_train_sources(path.with_name(SEEN))
    if content["joint"]:
        joint = Side(load_tokenizer(folder, prefix="joint."))
        return Vocabulary(joint, joint, trained_on)
    source, target = (Side(load_tokenizer(folder, prefix=prefix)) for prefix in ("source.", "target."))
    return Vocabulary(source, target, trained_on)
