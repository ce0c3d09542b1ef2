"""The class of trained taggers: tagging, evaluation, word-by-word tagging, and batches for the diagnosis."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.data.sentences import Sentence
from recurra.data.spans import SCHEMES
from recurra.errors import InputError
from recurra.tasks.capabilities import Evaluates, Probe, Probes
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.tagger.batch import Forms, make_batch
from recurra.tasks.tagger.corpus import CHUNK_WORDS, Codec, EncodedSentence, TaggedCorpus
from recurra.tasks.tagger.data import VALID, TaggedData
from recurra.tasks.tagger.decoder import losses, nats_of_words
from recurra.tasks.tagger.formats import LabelledFiles, Layout, Word
from recurra.tasks.tagger.network import Output, Sizes, TaggerNetwork
from recurra.tasks.tagger.options import NetworkOptions
from recurra.tasks.tagger.predict import TaggerStream, annotate, spellings
from recurra.tasks.tagger.pretrained import load_pretrained
from recurra.tasks.tagger.report import evaluate
from recurra.tasks.tagger.tagging_formats import TaggedSentence
from recurra.tasks.tagger.vocabulary import load_vocabulary

_FIELDS = {"layout", "network", "scheme", "vectors", "language_model"}


class Tagger(Evaluates, Probes):
    """A network with its vocabulary: `recurra.load(DIR)` of a folder of `recurra train tagger`.

    Args:
        network: the network.
        codec: words, features and labels by number, and the columns of the training files.
        options: the options of the network, for `config`.
    """

    name: ClassVar[str] = "tagger"

    def __init__(self, network: TaggerNetwork, codec: Codec, options: NetworkOptions) -> None:
        self.network, self.codec, self.options = network, codec, options
        self.vocabulary, self.layout, self.scheme, self.pretrained = (
            codec.vocabulary, codec.layout, codec.scheme, codec.pretrained
        )  # fmt: skip

    @classmethod
    def new(cls, codec: Codec, options: NetworkOptions, cell: Cell | None = None) -> Tagger:
        """Returns a tagger with random weights from torch's global generator."""
        vocabulary, pretrained = codec.vocabulary, codec.pretrained
        sizes = Sizes(
            words=len(vocabulary.words),
            characters=len(vocabulary.characters),
            affixes=len(vocabulary.affixes),
            features=[len(values) for values in vocabulary.features],
            labels=vocabulary.labels,
            scheme=codec.scheme,
            vectors=pretrained.size,
        )
        network = TaggerNetwork(sizes, options, cell=cell, language_model=pretrained.network)
        if pretrained.matrix is not None:
            network.set_vectors(pretrained.matrix)
        return cls(network, codec, options)

    @classmethod
    def create(cls, data: TaggedData, options: NetworkOptions) -> Tagger:
        """Returns a tagger for the vocabulary of the data, with random weights."""
        return cls.new(data.codec, options)

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Tagger:
        """Returns the tagger that `config` and the files in a folder describe; its weights are not loaded yet.

        Raises:
            InputError: a field is missing, unknown or of another type, or does not fit the vocabulary.
        """
        path = folder / "config.json"
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            expected = ", ".join(sorted(_FIELDS))
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {expected}")
        if config["scheme"] not in (None, *SCHEMES):
            raise InputError(f"{path}: scheme is {config['scheme']!r}, expected null or one of {', '.join(SCHEMES)}")
        layout = Layout.from_config(config["layout"], where=f"{path}: layout")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        codec = Codec(load_vocabulary(folder, layout), layout, config["scheme"], load_pretrained(config, folder))
        return cls.new(codec, options, stored_cell(options.recurrent, folder, cell))

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the tagger in addition to its files, as JSON can represent it."""
        return {
            "layout": self.layout.config(),
            "network": to_plain(self.options),
            "scheme": self.scheme,
            **self.pretrained.config(),
        }

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this tagger determines, for a run that starts from it."""
        return {**to_plain(self.options), "vectors": None, "max_vectors": None, "language_model": None}

    def files(self) -> dict[str, str]:
        """Returns the vocabulary, the words with vectors and the language model's tokenizer, file name to text."""
        return {**self.vocabulary.files(), **self.pretrained.files()}

    def tag(self, sentences: Iterable[Sequence[Word]], *, label: str | None = None) -> list[list[str]]:
        """Predicts one label of the words of sentences.

        Args:
            sentences: lists of words; for a tagger with feature columns, words are tuples (word, feature, …).
            label: the name of the label, such as "xpos"; the first of the tagger if None.

        Returns:
            A list of labels for each sentence, one per word.

        Raises:
            InputError: a word is empty or lacks its features, or the tagger does not have the label.
        """
        names = self.layout.names
        if label is not None and label not in names:
            raise InputError(f"label={label!r}: this tagger has {', '.join(names)}")
        inputs = [self.sentence(words, place=place) for place, words in enumerate(sentences)]
        return [tagged.labels[label or names[0]] for tagged in self.annotate(inputs)]

    def sentence(self, words: Sequence[Word], *, place: int = 0) -> Sentence:
        """Returns words as a sentence for `annotate`; `place` is its number, for error messages."""
        return self.layout.sentence(words, place=place)

    def stream(self) -> TaggerStream:
        """Returns an object that tags a sentence word by word.

        Raises:
            InputError: the tagger reads in both directions, has a random field, or reads a language model.
        """
        return TaggerStream(self.network, self.codec)

    def annotate(
        self, sentences: Iterable[Sentence], *, probabilities: bool = False, window: int = CHUNK_WORDS
    ) -> Iterator[TaggedSentence]:
        """Predicts all labels of sentences, in order; they are read as the results are needed.

        Args:
            sentences: with the layout's feature columns in their rows; their labels are ignored.
            probabilities: also compute the probability of each label.
            window: about how many words are read before their sentences are tagged.
        """
        return annotate(self.network, self.codec, sentences, probabilities=probabilities, window=window)

    def evaluate(
        self,
        files: str | Path | Sequence[str | Path],
        folder: str | Path | None = None,
        *,
        repair: bool = False,
    ) -> dict[str, Any]:
        """Computes scores on labelled files with the layout of the training files.

        Args:
            files: one or several files.
            folder: not used; files are read as a stream.
            repair: correct span labels that are not well formed, instead of refusing them.

        Returns:
            See `recurra.tasks.tagger.report.evaluate`.

        Raises:
            InputError: no files, or one that cannot be read, with file and line.
        """
        paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
        if not paths:
            raise InputError("no files to evaluate on: name at least one")
        return evaluate(self.network, self.codec, LabelledFiles(paths, self.layout, self.scheme, repair))

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """Returns the longest sentences as a batch, each from the initial state, and their losses.

        A lag of k words needs a sentence of more than k, so the longest are used. Sentences are not cut: the part would
        end differently, and its spans might have no end.

        Args:
            files: labelled files; none for the validation data of the training.
            prepared: the folder where training wrote its data.
            rows: most sentences, B.
            steps: most words of each, T.

        Returns:
            The batch, and losses (T, B), summed over the labels, 0 for padding; with a random field, which scores a
            sentence as a whole, their sum.

        Raises:
            InputError: a file cannot be read, there is no validation data, no sentence is as short as that, or rows or
                steps are below 1.
        """
        for name, value in (("rows", rows), ("steps", steps)):
            if value < 1:
                raise InputError(f"{name}={value}: expected a whole number of 1 or more")
        if files:
            labelled, forms = self._longest_of_files(files, rows, steps)
            where = str(files[0])
        else:
            labelled, forms = self._longest_of_data(prepared, rows, steps)
            where = "validation data"
        if not labelled:
            raise InputError(f"{where}: no sentence of at most {steps} words. Increase --steps")
        return _probe(self.network, labelled, forms, where)

    def _longest_of_files(self, files: Sequence[Path], rows: int, steps: int) -> tuple[list[EncodedSentence], Forms]:
        sentences = LabelledFiles(files, self.layout, self.scheme)
        usable = (sentence for sentence in sentences if len(sentence.words) <= steps)
        chosen = heapq.nlargest(rows, usable, key=lambda sentence: len(sentence.words))
        words, encoded = self.codec.encode(chosen)
        labelled = [self.codec.labelled(sentence, one) for sentence, one in zip(chosen, encoded, strict=True)]
        return labelled, Forms(words, self.codec)

    def _longest_of_data(self, prepared: Path, rows: int, steps: int) -> tuple[list[EncodedSentence], Forms]:
        if not (prepared / f"{VALID}.json").exists():
            raise InputError(f"{prepared}: the validation data is not there: name a file with labels")
        corpus = TaggedCorpus.open(prepared, VALID)
        order = np.argsort(-corpus.lengths, kind="stable")
        numbers = order[corpus.lengths[order] <= steps][:rows].tolist()
        return [corpus.sentence(number) for number in numbers], Forms(corpus.forms, self.codec)


def _probe(network: TaggerNetwork, sentences: Sequence[EncodedSentence], forms: Forms, where: str) -> Probe:
    network.eval()
    # Words are shorter than the lags of interest, so the layer over their characters is not examined.
    with torch.no_grad():
        spelling = spellings(network, forms)
    features = sentences[0].rows.shape[1] - 1 - len(network.readouts)
    batch = make_batch(sentences, forms, features=features, spelling=spelling).to(network.device)
    if not batch.count:
        raise InputError(f"{where}: no word has a label that this tagger knows, so there is no loss to examine")

    def losses_of(output: Output) -> Tensor:
        if network.decoders is not None:
            return torch.stack([of_label.total for of_label in losses(network, output.scores, batch)]).sum()
        nats = [
            nats_of_words(scores, labels, network.possible(place))
            for place, (scores, labels) in enumerate(zip(output.scores, batch.labels, strict=True))
        ]
        return torch.stack(nats).sum(0)

    return Probe((batch,), losses_of)
