"""A trained tagger: it tags, evaluates and tags word by word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from recurra.cells import Cell
from recurra.data.sentences import Sentence
from recurra.data.spans import SCHEMES
from recurra.errors import InputError
from recurra.tasks.capabilities import Evaluates, Probe, Probes
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.tagger.batch import Forms
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.corpus import TaggedCorpus
from recurra.tasks.tagger.evaluation import evaluate
from recurra.tasks.tagger.examples import Examples
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.options import NetworkOptions
from recurra.tasks.tagger.prepared import VALID, Prepared
from recurra.tasks.tagger.pretrained import load_pretrained
from recurra.tasks.tagger.probing import probe_corpus, probe_files
from recurra.tasks.tagger.sizes import Sizes
from recurra.tasks.tagger.streaming import TaggerStream
from recurra.tasks.tagger.tagged import Tagged, Word, as_sentence
from recurra.tasks.tagger.tagging import annotate
from recurra.tasks.tagger.vocabulary import load_vocabulary
from recurra.tasks.tagger.windows import WINDOW_WORDS

_FIELDS = {"layout", "network", "scheme", "vectors", "language_model"}


class Tagger(Evaluates, Probes):
    """A network and what its numbers mean: `recurra.load(DIR)` of a folder that `recurra train tagger` made.

    Args:
        network: the network.
        codec: words, features and labels by number, and the columns of the files that it learned from.
        options: the network's sizes, kept for `config`.
    """

    name: ClassVar[str] = "tagger"

    def __init__(self, network: TaggerNetwork, codec: Codec, options: NetworkOptions) -> None:
        self.network, self.codec, self.options = network, codec, options
        self.vocabulary, self.layout, self.scheme, self.pretrained = (
            codec.vocabulary, codec.layout, codec.scheme, codec.pretrained
        )  # fmt: skip

    @classmethod
    def new(cls, codec: Codec, options: NetworkOptions, cell: Cell | None = None) -> Tagger:
        """A tagger with weights not yet trained, from torch's global generator."""
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
        own = pretrained.language_model
        network = TaggerNetwork(sizes, options, cell=cell, language_model=None if own is None else own.network)
        if pretrained.matrix is not None:
            network.set_vectors(pretrained.matrix)
        return cls(network, codec, options)

    @classmethod
    def create(cls, data: Prepared, options: NetworkOptions) -> Tagger:
        """A tagger for the vocabulary of encoded sentences, with weights not yet trained."""
        return cls.new(data.codec, options)

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
        codec = Codec(load_vocabulary(folder, layout), layout, config["scheme"], load_pretrained(config, folder))
        return cls.new(codec, options, stored_cell(options.recurrent, folder, cell))

    def config(self) -> dict[str, Any]:
        """What rebuilds the tagger beside its vocabulary, as JSON can hold it."""
        return {
            "layout": self.layout.config(),
            "network": to_plain(self.options),
            "scheme": self.scheme,
            **self.pretrained.config(),
        }

    def settings(self) -> dict[str, Any]:
        """The options of training that this tagger settles, for a run that starts from it."""
        return {**to_plain(self.options), "vectors": None, "max_vectors": None, "language_model": None}

    def files(self) -> dict[str, str]:
        """The task's own files: the vocabulary, the words that have vectors, the language model's unit."""
        return {**self.vocabulary.files(), **self.pretrained.files()}

    def forms(self, words: Sequence[str]) -> Forms:
        """Distinct words as numbers."""
        return self.codec.forms(words)

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
        return as_sentence(words, self.layout, place=place)

    def stream(self) -> TaggerStream:
        """A sentence to be tagged word by word, as they arrive.

        Raises:
            InputError: the tagger reads from both ends, chooses the labels of a sentence together, or reads a language
                model.
        """
        return TaggerStream(self.network, self.codec)

    def annotate(
        self, sentences: Iterable[Sentence], *, probabilities: bool = False, window: int = WINDOW_WORDS
    ) -> Iterator[Tagged]:
        """Sentences with all their labels, in order, read as they are needed.

        Args:
            sentences: with the layout's feature columns in their rows; labels are not read.
            probabilities: also the probability of each label.
            window: about how many words are held at once.
        """
        return annotate(self.network, self.codec, sentences, probabilities=probabilities, window=window)

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
        paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
        if not paths:
            raise InputError("no files to evaluate on: name at least one")
        return evaluate(self.network, self.codec, Examples(paths, self.layout, self.scheme, repair))

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """The longest sentences and their losses, for who examines the network.

        Args:
            files: with labels; none for the sentences that were held out when the tagger was trained.
            prepared: the folder in which training left those.
            rows: sentences at most.
            steps: words of each at most.

        Raises:
            InputError: a file that cannot be read, none while training left nothing, no sentence of so few words.
        """
        if files:
            examples = Examples(files, self.layout, self.scheme)
            return probe_files(self.network, self.codec, examples, rows=rows, steps=steps)
        if not (prepared / f"{VALID}.json").exists():
            raise InputError(f"{prepared}: the sentences that were held out are not there: name a file with labels")
        corpus = TaggedCorpus.open(prepared, VALID)
        return probe_corpus(self.network, self.codec, corpus, rows=rows, steps=steps)
