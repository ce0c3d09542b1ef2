"""A trained translator: it translates, scores given pairs, shows where it looked, and evaluates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from recurra.cells import Cell
from recurra.data import open_pairs
from recurra.decoding import BeamOptions, SamplingOptions, row_seed
from recurra.errors import InputError
from recurra.tasks.capabilities import Evaluates
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import check_names, field_names, read_fields, to_plain
from recurra.tasks.translator.corpus import PairCorpus, make_batch
from recurra.tasks.translator.data import Prepared
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import EvaluationOptions, NetworkOptions
from recurra.tasks.translator.predict import Translation, draw, forced, search
from recurra.tasks.translator.report import evaluate
from recurra.tasks.translator.vocabulary import Vocabulary, load_vocabulary

T = TypeVar("T")

_FIELDS = {"network", "growth", "sizes"}
# Sources held at once: enough to batch by length.
_WINDOW = 1024


class Attended(NamedTuple):
    """Where a translator looked for each symbol that it wrote."""

    source: list[str]
    """The source's symbols and its end, ""."""
    target: list[str]
    """The target's symbols and, where it is finished, its end, ""."""
    weights: npt.NDArray[np.float32]
    """(T, S); each row sums to 1."""


class Translator(Evaluates):
    """A network and what its numbers mean: `recurra.load(DIR)` of a folder that `recurra train translator` made.

    Args:
        network: the network.
        vocabulary: the symbols of both sides.
        options: the network's sizes, kept for `config`.
        max_length_ratio: how many target symbols a source symbol gives at most, as seen in training.
    """

    name: ClassVar[str] = "translator"

    def __init__(
        self, network: TranslatorNetwork, vocabulary: Vocabulary, options: NetworkOptions, max_length_ratio: float
    ) -> None:
        self.network, self.vocabulary, self.options, self.max_length_ratio = (
            network,
            vocabulary,
            options,
            max_length_ratio,
        )

    @classmethod
    def new(
        cls, vocabulary: Vocabulary, options: NetworkOptions, max_length_ratio: float, cell: Cell | None = None
    ) -> Translator:
        """A translator with weights not yet trained, from torch's global generator."""
        network = TranslatorNetwork(vocabulary.source.size, vocabulary.target.size, options, cell=cell)
        return cls(network, vocabulary, options, max_length_ratio)

    @classmethod
    def create(cls, data: Prepared, options: NetworkOptions) -> Translator:
        """A translator for the vocabulary of encoded pairs, with weights not yet trained."""
        return cls.new(data.vocabulary, options, _max_length_ratio(data.train))

    @property
    def best_by(self) -> str:
        """What the best model is best by where nobody chose: bleu for subwords, else token_error."""
        return "bleu" if self.vocabulary.target.tokenizer.name == "bpe" else "token_error"

    def config(self) -> dict[str, Any]:
        """What rebuilds the translator beside its vocabulary, as JSON can hold it."""
        sizes = [self.vocabulary.source.size, self.vocabulary.target.size]
        return {"network": to_plain(self.options), "growth": self.max_length_ratio, "sizes": sizes}

    def settings(self) -> dict[str, Any]:
        """The options of training that this translator settles, for a run that starts from it."""
        tokenizers = {
            "source_unit": self.vocabulary.source.tokenizer.name,
            "target_unit": self.vocabulary.target.tokenizer.name,
        }
        return {**to_plain(self.options), **tokenizers}

    def files(self) -> dict[str, str]:
        """The task's own files: both vocabularies."""
        return self.vocabulary.files()

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Translator:
        """The translator that `config` and the files in `folder` describe, its weights still to be loaded.

        Raises:
            InputError: a field is missing, unknown or of another kind, or does not fit the vocabulary.
        """
        path, vocabulary = folder / "config.json", load_vocabulary(folder)
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            wanted = ", ".join(sorted(_FIELDS))
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {wanted}")
        if not isinstance(config["growth"], int | float) or not 0 < config["growth"] < math.inf:
            raise InputError(f"{path}: growth is {config['growth']!r}, expected a number above 0")
        sizes = [vocabulary.source.size, vocabulary.target.size]
        if config["sizes"] != sizes:
            raise InputError(f"{path}: sizes are {config['sizes']}, but the vocabularies have {sizes} symbols")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        return cls.new(vocabulary, options, float(config["growth"]), stored_cell(options.recurrent, folder, cell))

    def translate(self, sources: Iterable[str], **options: Any) -> list[str]:
        """The best target of each source.

        Args:
            sources: texts; an empty one is answered by an empty one.
            **options: the fields of `recurra.decoding.BeamOptions`.

        Raises:
            InputError: a string in place of a list, an option that is unknown or cannot be used.
        """
        if isinstance(sources, str):
            raise InputError(
                f"sources is the string {sources[:40]!r}, expected a list of texts: write [{sources[:20]!r}]"
            )
        check_names(options, field_names(BeamOptions), where="translate")
        return [found[0].text for found in self.outputs(sources, read_fields(BeamOptions, options, where="translate"))]

    def outputs(
        self, sources: Iterable[str], options: BeamOptions | None = None, *, window: int = _WINDOW
    ) -> Iterator[list[Translation]]:
        """The n-best targets of each source, best first, in order; sources are read as they are needed.

        Args:
            sources: texts of any number.
            options: how targets are looked for; the defaults of `BeamOptions` where None.
            window: how many sources are read ahead, to batch them by length.
        """
        for held in _windows(sources, window):
            yield from search(
                self.network, self.vocabulary, held, options or BeamOptions(), max_length_ratio=self.max_length_ratio
            )

    def sample(
        self, sources: Iterable[str], options: SamplingOptions | None = None, *, seed: int, window: int = _WINDOW
    ) -> Iterator[list[Translation]]:
        """A target of each source drawn from the model's distribution, in order, each in a list of its own.

        Args:
            sources: texts of any number.
            options: how symbols are drawn; from the whole distribution where None.
            seed: source i is drawn by `recurra.decoding.row_seed(seed, i)`.
            window: how many sources are read ahead.
        """
        row = 0
        for held in _windows(sources, window):
            seeds = [row_seed(seed, number) for number in range(row, row + len(held))]
            generators = [torch.Generator().manual_seed(one) for one in seeds]
            chosen = options or SamplingOptions()
            for one in draw(
                self.network, self.vocabulary, held, chosen, generators, max_length_ratio=self.max_length_ratio
            ):
                yield [one]
            row += len(held)

    def score(self, pairs: Iterable[tuple[str, str]], *, window: int = _WINDOW) -> Iterator[float]:
        """Nats of log p(target | source) of given pairs, in order, the end of the target counted.

        An unknown symbol of a target counts as `<unk>` and what its spelling costs (`Tokenizer.spelling_nats`).
        """
        for held in _windows(pairs, window):
            for (_, target), one in zip(held, forced(self.network, self.vocabulary, held), strict=True):
                yield one.total - self.vocabulary.target.spelling_nats(target)

    def evaluate(
        self,
        files: str | Path | Sequence[str | Path] = (),
        folder: str | Path | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """How well the translator does on pairs; with several targets of a source, the best for its output counts.

        Args:
            files: a table of pairs or several; none where `source` and `target` name parallel files.
            folder: of no use here.
            **options: the fields of `recurra.tasks.translator.options.EvaluationOptions`.

        Returns:
            What `recurra.tasks.translator.report.evaluate` returns.

        Raises:
            InputError: files that cannot be read as pairs, with file and line; an option that cannot be used.
            RecurraError: sacrebleu is not installed.
        """
        chosen = read_fields(EvaluationOptions, options, where="evaluate")
        paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
        pairs = open_pairs(paths, source=chosen.source, target=chosen.target)
        return evaluate(self.network, self.vocabulary, pairs, chosen, max_length_ratio=self.max_length_ratio)

    def check_attention(self) -> None:
        """Refuses to show attention that is not there.

        Raises:
            InputError: a translator without attention.
        """
        if self.network.decoder.attention is None:
            raise InputError("this translator has no attention: train one with --attention general")

    def attention(self, source: str, target: str, *, finished: bool = True) -> Attended:
        """Where the network looks while it writes a target.

        Args:
            source: a text.
            target: what is written.
            finished: whether the target's end is written too; False for an output that was cut.

        Raises:
            InputError: a translator without attention.
        """
        self.check_attention()
        source_ids, target_ids = self.vocabulary.source.encode(source), self.vocabulary.target.encode(target)
        batch = make_batch([(source_ids, target_ids)]).to(self.network.device)
        self.network.eval()
        with torch.inference_mode():
            written = self.network.decoder(batch.inputs, self.network.encode(batch.sources))
        assert written.weights is not None
        source_symbols, target_symbols = (
            [*(side.symbol(int(token)) for token in ids), ""]
            for side, ids in ((self.vocabulary.source, source_ids), (self.vocabulary.target, target_ids))
        )
        rows = len(target_symbols) - (not finished)
        return Attended(source_symbols, target_symbols[:rows], written.weights[:rows, 0].cpu().numpy())


def _windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items in lists of so many, read as they are needed."""
    iterator = iter(items)
    while held := list(islice(iterator, size)):
        yield held


def _max_length_ratio(train: PairCorpus) -> float:
    """Target symbols per source symbol, ends counted: what nearly all training pairs keep below, and half more."""
    shares = (train.target_lengths + 1) / (train.source_lengths + 1)
    return float(1.5 * np.quantile(shares, 0.999))
