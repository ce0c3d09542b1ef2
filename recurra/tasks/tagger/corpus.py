"""Tagged sentences as numbers on disk: read while training through a memory map, so that memory does not grow."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.tagger.label_numbers import MISSING, UNSEEN, LabelNumbers, counts
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.lm_features import States
from recurra.tasks.tagger.vocabulary import UNKNOWN, Vocabulary
from recurra.tasks.tagger.windows import windows

Ids = npt.NDArray[np.int32]
# From the words of sentences to their states, (T, H) each.
StateReader = Callable[[Sequence[Sequence[str]]], list[States]]


class Coded(NamedTuple):
    """A sentence as numbers."""

    rows: Ids
    """(T, 1 + F) or, with labels, (T, 1 + F + L): place among some forms, features, labels."""
    states: States | None = None
    """(T, H) of a language model; None where there is none."""


@dataclass(frozen=True)
class TaggedCorpus:
    """Sentences encoded on disk.

    Args:
        rows: (N, 1 + F + L) int32, a memory map: each word's place in `forms`, its features, its labels.
        starts: (S + 1,) int64, a memory map: where each sentence begins, and where the last ends.
        forms: the distinct words as they are spelt.
        features: how many feature columns there are, F.
        unseen: of each label, the first values that the vocabulary lacks, with how often they occur.
        missing: of each label, how many words have none.
        left_out: how many sentences were left out because no word of theirs has a label.
        states: (N, H) float16 of a language model, a memory map; None where there is none.
    """

    rows: Ids
    starts: npt.NDArray[np.int64]
    forms: list[str]
    features: int
    unseen: list[dict[str, int]]
    missing: list[int]
    left_out: int = 0
    states: States | None = None

    def __len__(self) -> int:
        """How many sentences there are."""
        return len(self.starts) - 1

    @property
    def words(self) -> int:
        """How many words there are."""
        return len(self.rows)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Words of each sentence, (S,)."""
        return np.diff(self.starts)

    def sentence(self, number: int) -> Coded:
        """A sentence with its labels."""
        place = slice(self.starts[number], self.starts[number + 1])
        return Coded(self.rows[place], None if self.states is None else self.states[place])

    def form_counts(self) -> npt.NDArray[np.int64]:
        """How often each form occurs, (len(forms),)."""
        return np.bincount(self.rows[:, 0], minlength=len(self.forms))

    @classmethod
    def open(cls, folder: Path, name: str) -> TaggedCorpus:
        """The corpus that `encode` wrote.

        Raises:
            InputError: a file is missing or cut short.
        """
        told = _read_header(folder / f"{name}.json")
        width = 1 + told["features"] + len(told["unseen"])
        rows = _map(folder / f"{name}.rows.bin", np.int32, told["words"] * width).reshape(-1, width)
        starts = _map(folder / f"{name}.starts.bin", np.int64, told["sentences"] + 1)
        states = None
        if told["states"]:
            path = folder / f"{name}.states.bin"
            states = _map(path, np.float16, told["words"] * told["states"]).reshape(-1, told["states"])
        # Headers of runs that began before labels could be missing do not count them.
        missing = told.get("missing", [0] * len(told["unseen"]))
        counts = told["unseen"], missing, told.get("left_out", 0)
        return cls(rows, starts, told["forms"], told["features"], *counts, states)


def encode(
    sentences: Iterable[Sentence],
    layout: Layout,
    vocabulary: Vocabulary,
    folder: Path,
    name: str,
    *,
    spans: bool,
    wanted: Callable[[int], bool] = counts,
    read: StateReader | None = None,
) -> TaggedCorpus:
    """Writes sentences as numbers, one at a time; those without a label that is wanted are left out.

    Args:
        sentences: their labels coded as the vocabulary's.
        layout: where they have their labels.
        vocabulary: numbers of features and labels; words are kept as they are spelt.
        folder: where the files go.
        name: what they begin with.
        spans: whether labels mark spans, coded as BIOES.
        wanted: whether a label's number is worth a sentence: `counts` to learn from it, `is_labelled` to score it.
        read: gives the states of a language model, where the tagger has one.
    """
    labels = _LabelColumns([LabelNumbers(values, spans=spans) for values in vocabulary.labels], layout)
    sentences = labels.worthwhile(sentences, wanted)
    sizes = [0]
    if read is not None:
        sentences = _with_states(sentences, read, folder / f"{name}.states.bin", sizes)
    forms: dict[str, int] = {}
    starts, count = array("q", [0]), 0
    with (folder / f"{name}.rows.bin").open("wb") as file:
        for sentence in sentences:
            columns = [[forms.setdefault(word, len(forms)) for word in sentence.words]]
            columns += encoded_features(layout.features_in(sentence), vocabulary)
            columns += labels.encode(sentence)
            file.write(np.array(columns, dtype=np.int32).T.tobytes())
            count += len(sentence.words)
            starts.append(count)
    with (folder / f"{name}.starts.bin").open("wb") as file:
        starts.tofile(file)
    header: dict[str, Any] = {"words": count, "sentences": len(starts) - 1, "features": len(layout.features)}
    header |= {"states": sizes[0]}
    header |= {"unseen": labels.unseen, "missing": labels.missing, "left_out": labels.left_out}
    (folder / f"{name}.json").write_text(json.dumps({**header, "forms": list(forms)}), encoding="utf-8")
    return TaggedCorpus.open(folder, name)


class _LabelColumns:
    """Labels of sentences as numbers; on the way, those that are missing or unknown are counted."""

    def __init__(self, numbers: list[LabelNumbers], layout: Layout) -> None:
        self._numbers, self._layout = numbers, layout
        self.unseen: list[dict[str, int]] = [{} for _ in numbers]
        self.missing = [0] * len(numbers)
        self.left_out = 0

    def worthwhile(self, sentences: Iterable[Sentence], wanted: Callable[[int], bool]) -> Iterator[Sentence]:
        """The sentences in which some label is wanted; the labels of all are counted."""
        for sentence in sentences:
            columns = self.encode(sentence)
            for place, values in enumerate(self._layout.labels_in(sentence)):
                unseen = self.unseen[place]
                for value, number in zip(values, columns[place], strict=True):
                    if value is not None and number == UNSEEN:
                        unseen[value] = unseen.get(value, 0) + 1
                self.missing[place] += columns[place].count(MISSING)
            if any(wanted(number) for column in columns for number in column):
                yield sentence
            else:
                self.left_out += 1

    def encode(self, sentence: Sentence) -> list[list[int]]:
        """The numbers of each label."""
        pairs = zip(self._numbers, self._layout.labels_in(sentence), strict=True)
        return [[numbers.number(value) for value in values] for numbers, values in pairs]


def _with_states(sentences: Iterable[Sentence], read: StateReader, path: Path, sizes: list[int]) -> Iterator[Sentence]:
    """The same sentences; on the way their states are written to a file, and their size told in `sizes`."""
    with path.open("wb") as file:
        for held in windows(sentences):
            for states in read([sentence.words for sentence in held]):
                sizes[0] = states.shape[1]
                file.write(states.tobytes())
            yield from held


def encoded_features(columns: Sequence[Sequence[str]], vocabulary: Vocabulary) -> list[list[int]]:
    """Values of features by number, column by column."""
    tables = vocabulary.feature_ids
    return [[table.get(value, UNKNOWN) for value in values] for table, values in zip(tables, columns, strict=True)]


def _read_header(path: Path) -> dict[str, Any]:
    return read_object(path, missing="train again without --resume", mend="Train again without --resume")


def _map(path: Path, kind: Any, count: int) -> Any:
    if not count:
        return np.zeros(0, dtype=kind)
    wanted = count * np.dtype(kind).itemsize
    if not path.exists() or path.stat().st_size != wanted:
        raise InputError(f"{path}: missing or cut short, expected {wanted} bytes. Train again without --resume")
    return np.memmap(path, dtype=kind, mode="r")
