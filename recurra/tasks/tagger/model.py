"""A trained tagger: it tags, evaluates and tags word by word."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from recurra.cells import Cell
from recurra.data.sentences import Sentence
from recurra.data.spans import SCHEMES, convert
from recurra.errors import InputError
from recurra.tasks.fields import read_fields
from recurra.tasks.language_model.network import make_cell
from recurra.tasks.tagger.batch import Forms
from recurra.tasks.tagger.beside import NOTHING, Beside, load_beside
from recurra.tasks.tagger.corpus import Coded, StateReader, encoded_features
from recurra.tasks.tagger.examples import CODED, Examples
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.network import Sizes, TaggerNetwork
from recurra.tasks.tagger.options import NetworkOptions
from recurra.tasks.tagger.predict import Predicted, evaluating, predict
from recurra.tasks.tagger.spelling import Speller
from recurra.tasks.tagger.states import reader_of
from recurra.tasks.tagger.streaming import TaggerStream
from recurra.tasks.tagger.vocabulary import Vocabulary, distinct, load_vocabulary
from recurra.tasks.tagger.windows import WINDOW_WORDS, windows

# A word with the values of its feature columns, or alone.
Word = str | tuple[str, ...]
_FIELDS = {"layout", "network", "scheme", "vectors", "language_model"}


@dataclasses.dataclass(frozen=True)
class Tagged:
    """A sentence with the labels that a tagger gives it.

    Args:
        sentence: the sentence as it was read.
        labels: for each label, by name, the value of each word.
        probabilities: for each label the probability of each word's value; None where nobody asked.
    """

    sentence: Sentence
    labels: dict[str, list[str]]
    probabilities: dict[str, list[float]] | None


class Tagger:
    """A network and what its numbers mean: `recurra.load(DIR)` of a folder that `recurra train tagger` made.

    Args:
        network: the network.
        vocabulary: words, characters, features and labels by number.
        layout: the columns of the files that it learned from.
        options: the network's sizes, kept for `config`.
        scheme: how the files' labels mark spans; None where they mark none.
        beside: pretrained vectors and a language model, where it has them.
    """

    name: ClassVar[str] = "tagger"

    def __init__(
        self,
        network: TaggerNetwork,
        vocabulary: Vocabulary,
        layout: Layout,
        options: NetworkOptions,
        scheme: str | None,
        beside: Beside = NOTHING,
    ) -> None:
        self.network, self.vocabulary, self.layout = network, vocabulary, layout
        self.options, self.scheme, self.beside = options, scheme, beside
        # Each value as files spell it, to the numbers that mean it.
        self._numbers = [dict[str, list[int]]() for _ in vocabulary.labels]
        for numbers, values in zip(self._numbers, vocabulary.labels, strict=True):
            for number, value in enumerate(values):
                numbers.setdefault(_spelt(value, scheme), []).append(number)

    @classmethod
    def new(
        cls,
        vocabulary: Vocabulary,
        layout: Layout,
        options: NetworkOptions,
        scheme: str | None,
        beside: Beside = NOTHING,
        cell: Cell | None = None,
    ) -> Tagger:
        """A tagger with weights not yet trained, from torch's global generator."""
        sizes = Sizes(
            words=len(vocabulary.words),
            characters=len(vocabulary.characters),
            affixes=len(vocabulary.affixes),
            features=[len(values) for values in vocabulary.features],
            labels=vocabulary.labels,
            spans=scheme is not None,
            vectors=beside.size,
        )
        own = beside.language_model
        network = TaggerNetwork(sizes, options, cell=cell, language_model=None if own is None else own.network)
        if beside.matrix is not None:
            network.set_vectors(beside.matrix)
        return cls(network, vocabulary, layout, options, scheme, beside)

    def config(self) -> dict[str, Any]:
        """What rebuilds the tagger beside its vocabulary, as JSON can hold it."""
        return {
            "layout": self.layout.config(),
            "network": dataclasses.asdict(self.options),
            "scheme": self.scheme,
            **self.beside.config(),
        }

    def settings(self) -> dict[str, Any]:
        """The options of training that this tagger settles, for a run that starts from it."""
        return {**dataclasses.asdict(self.options), "vectors": None, "max_vectors": None, "language_model": None}

    def files(self) -> dict[str, str]:
        """The task's own files: the vocabulary, the words that have vectors, the language model's unit."""
        return {**self.vocabulary.files(), **self.beside.files()}

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Tagger:
        """The tagger that `config` and the files in `folder` describe, its weights still to be loaded.

        Raises:
            InputError: a field is missing, unknown or of another kind, or does not fit the vocabulary.
        """
        path = folder / "config.json"
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            wanted = ", ".join(sorted(_FIELDS))
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {wanted}")
        if config["scheme"] not in (None, *SCHEMES):
            raise InputError(f"{path}: scheme is {config['scheme']!r}, expected null or one of {', '.join(SCHEMES)}")
        layout = Layout.from_config(config["layout"], where=f"{path}: layout")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        if cell is None and ":" in options.cell:
            raise InputError(
                f"{folder}: was trained with a cell of somebody's own, {options.cell}. Loading runs no code by itself: "
                f"pass --cell {options.cell} (cell=… in Python)"
            )
        vocabulary, beside = load_vocabulary(folder, layout), load_beside(config, folder)
        return cls.new(vocabulary, layout, options, config["scheme"], beside, cell or make_cell(options))

    def forms(self, words: Sequence[str]) -> Forms:
        """Distinct words as numbers."""
        return Forms(words, self.vocabulary, self.beside.rows)

    def tag(self, sentences: Iterable[Sequence[Word]], *, label: str | None = None) -> list[list[str]]:
        """The labels of sentences.

        Args:
            sentences: each a list of words; of a tagger with feature columns, words are tuples (word, feature, …).
            label: which of the tagger's labels, such as "xpos"; the first where None.

        Returns:
            A list of labels for each sentence, one a word.

        Raises:
            InputError: a word that is empty or lacks its features, a label that the tagger does not have.
        """
        names = self.layout.names
        if label is not None and label not in names:
            raise InputError(f"label={label!r}: this tagger has {', '.join(names)}")
        given = [self.given(words, place=place) for place, words in enumerate(sentences)]
        return [tagged.labels[label or names[0]] for tagged in self.annotate(given)]

    def given(self, words: Sequence[Word], *, place: int) -> Sentence:
        """Words given in Python as a sentence; `place` is its number, for errors."""
        return as_sentence(words, self.layout, place)

    def stream(self) -> TaggerStream:
        """A sentence to be tagged word by word, as they arrive.

        Raises:
            InputError: the tagger reads from both ends, chooses the labels of a sentence together, or reads a language
                model.
        """
        return TaggerStream(self)

    def annotate(
        self, sentences: Iterable[Sentence], *, probabilities: bool = False, window: int = WINDOW_WORDS
    ) -> Iterator[Tagged]:
        """Sentences with all their labels, in order, read as they are needed.

        Args:
            sentences: with the layout's feature columns in their rows; labels are not read.
            probabilities: also the probability of each label.
            window: about how many words are held at once.
        """
        speller = Speller(self.network)
        for held in windows(sentences, window):
            for sentence, predicted in zip(held, self._predict(held, probabilities, speller), strict=True):
                yield self._tagged(sentence, predicted)

    def evaluate(
        self,
        files: str | Path | Sequence[str | Path],
        folder: str | Path | None = None,
        *,
        repair: bool = False,
    ) -> dict[str, Any]:
        """How well the tagger does on files with labels, laid out as those it learned from.

        Args:
            files: a file or several.
            folder: of no use here; files are read as a stream.
            repair: mend span labels that are not well formed, in place of refusing them.

        Returns:
            What `recurra.tasks.tagger.evaluation.evaluate` returns.

        Raises:
            InputError: no files, or one that cannot be read, with file and line.
        """
        from recurra.tasks.tagger.evaluation import evaluate

        paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
        if not paths:
            raise InputError("no files to evaluate on: name at least one")
        return evaluate(self, Examples(paths, self.layout, self.scheme, repair))

    def _predict(self, sentences: list[Sentence], probabilities: bool, speller: Speller) -> list[Predicted]:
        words, coded = self.encode(sentences)
        forms, features = self.forms(words), len(self.layout.features)
        with evaluating(self.network):
            spelling = speller(words, forms)
            return predict(
                self.network, coded, forms, features=features, probabilities=probabilities, spelling=spelling
            )

    def encode(self, sentences: list[Sentence]) -> tuple[list[str], list[Coded]]:
        """The distinct words, and the sentences as the numbers that `predict` wants."""
        words, numbered = distinct(sentence.words for sentence in sentences)
        read = self.state_reader()
        states = read([sentence.words for sentence in sentences]) if read else [None] * len(sentences)
        coded = []
        for sentence, numbers, state in zip(sentences, numbered, states, strict=True):
            columns = [numbers, *encoded_features(self.layout.features_in(sentence), self.vocabulary)]
            coded.append(Coded(np.array(columns, dtype=np.int32).T, state))
        return words, coded

    def state_reader(self) -> StateReader | None:
        """What reads the states of the tagger's language model; None where it has none."""
        own = self.beside.language_model
        return None if own is None else reader_of(own.network, own.unit)

    def named(self, label: int, numbers: Sequence[int]) -> list[str]:
        """The values of a label by name, as the files spell them."""
        values = self.vocabulary.labels[label]
        names = [values[number] for number in numbers]
        return names if self.scheme is None else convert(names, self.scheme)

    def as_spelt(self, value: str) -> str:
        """A single value of a label as the files spell it."""
        return _spelt(value, self.scheme)

    def _tagged(self, sentence: Sentence, predicted: Predicted) -> Tagged:
        names = self.layout.names
        if not sentence.words:
            return Tagged(sentence, {name: [] for name in names}, None)
        labels = {name: self.named(place, predicted.labels[place]) for place, name in enumerate(names)}
        if predicted.probabilities is None:
            return Tagged(sentence, labels, None)
        shares = {}
        for place, name in enumerate(names):
            same = self._numbers[place]
            told = predicted.probabilities[place]
            shares[name] = [
                float(row[same.get(value, [])].sum()) for row, value in zip(told, labels[name], strict=True)
            ]
        return Tagged(sentence, labels, shares)


def _spelt(value: str, scheme: str | None) -> str:
    """A value as files spell it: in BIO, the network's S-PER and E-PER are B-PER and I-PER."""
    if scheme in (None, CODED) or value[:2] not in ("S-", "E-"):
        return value
    return ("B" if value[0] == "S" else "I") + value[1:]


def as_sentence(words: Sequence[Word], layout: Layout, place: int) -> Sentence:
    """A sentence given in Python, as if it came from a file.

    Raises:
        InputError: a string in place of a list, an empty word, a word without its features.
    """
    if isinstance(words, str):
        raise InputError(f"sentence {place} is the string {words[:40]!r}, expected a list of words: divide it first")
    rows, forms = [], []
    for word in words:
        parts = (word,) if isinstance(word, str) else tuple(word)
        if len(parts) != 1 + len(layout.features):
            wanted = f"a tuple of the word and {len(layout.features)} features" if layout.features else "a string"
            raise InputError(f"sentence {place}: {word!r}, expected {wanted}")
        if not all(isinstance(part, str) and part for part in parts):
            raise InputError(f"sentence {place}: {word!r}, expected words that are not empty")
        row = [""] * layout.columns
        for column, part in zip((layout.word, *layout.features), parts, strict=True):
            row[column] = part
        rows.append(row)
        forms.append(parts[0])
    return Sentence(forms, rows)
