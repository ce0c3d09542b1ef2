"""A trained translator: translates, scores given pairs, returns attention weights, and evaluates."""

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
from recurra.tasks.translator.data import PairData
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import EvaluationOptions, NetworkOptions
from recurra.tasks.translator.predict import Translation, draw, score_targets, search
from recurra.tasks.translator.report import evaluate
from recurra.tasks.translator.vocabulary import Vocabulary, load_vocabulary

T = TypeVar("T")

_FIELDS = {"network", "growth", "sizes"}
# Sources read ahead: enough to form batches of similar lengths.
_WINDOW = 1024


class AttentionWeights(NamedTuple):
    """The attention of each target symbol to the symbols of the source."""

    source: list[str]
    """The symbols of the source, and "" for its end symbol."""
    target: list[str]
    """The symbols of the target, and "" for its end symbol unless it was cut."""
    weights: npt.NDArray[np.float32]
    """(T, S); each row sums to 1."""


class Translator(Evaluates):
    """A network with its vocabulary, as `recurra.load(DIR)` returns it for a folder of `recurra train translator`.

    Args:
        network: the network.
        vocabulary: the symbols of both sides.
        options: of the network, stored by `config`.
        max_length_ratio: largest number of target symbols per source symbol, from the training data.
    """

    name: ClassVar[str] = "translator"

    def __init__(
        self, network: TranslatorNetwork, vocabulary: Vocabulary, options: NetworkOptions, max_length_ratio: float
    ) -> None:
        self.network, self.vocabulary, self.options = network, vocabulary, options
        self.max_length_ratio = max_length_ratio

    @classmethod
    def new(
        cls, vocabulary: Vocabulary, options: NetworkOptions, max_length_ratio: float, cell: Cell | None = None
    ) -> Translator:
        """Returns a translator with random weights from torch's global generator."""
        network = TranslatorNetwork(vocabulary.source.size, vocabulary.target.size, options, cell=cell)
        return cls(network, vocabulary, options, max_length_ratio)

    @classmethod
    def create(cls, data: PairData, options: NetworkOptions) -> Translator:
        """Returns a translator for the vocabulary of encoded pairs, with random weights."""
        return cls.new(data.vocabulary, options, _max_length_ratio(data.train))

    @property
    def best_by(self) -> str:
        """What selects the best model by default: bleu for subwords, otherwise token_error."""
        return "bleu" if self.vocabulary.target.tokenizer.name == "bpe" else "token_error"

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the translator together with its vocabulary, as JSON can represent it."""
        sizes = [self.vocabulary.source.size, self.vocabulary.target.size]
        return {"network": to_plain(self.options), "growth": self.max_length_ratio, "sizes": sizes}

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this translator determines, for a run that starts from it."""
        tokenizers = {
            "source_unit": self.vocabulary.source.tokenizer.name,
            "target_unit": self.vocabulary.target.tokenizer.name,
        }
        return {**to_plain(self.options), **tokenizers}

    def files(self) -> dict[str, str]:
        """Returns the files of the vocabulary, name to text."""
        return self.vocabulary.files()

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Translator:
        """Returns the translator that `config()` and the files in `folder` describe, its weights not yet loaded.

        Raises:
            InputError: a field is missing, unknown or of another type, or does not fit the vocabulary.
        """
        path, vocabulary = folder / "config.json", load_vocabulary(folder)
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            expected = ", ".join(sorted(_FIELDS))
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {expected}")
        if not isinstance(config["growth"], int | float) or not 0 < config["growth"] < math.inf:
            raise InputError(f"{path}: growth is {config['growth']!r}, expected a number above 0")
        sizes = [vocabulary.source.size, vocabulary.target.size]
        if config["sizes"] != sizes:
            raise InputError(f"{path}: sizes are {config['sizes']}, but the vocabularies have {sizes} symbols")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        return cls.new(vocabulary, options, float(config["growth"]), stored_cell(options.recurrent, folder, cell))

    def translate(self, sources: Iterable[str], **options: Any) -> list[str]:
        """Returns the best target of each source.

        Args:
            sources: texts; the target of an empty one is empty.
            **options: the fields of `recurra.decoding.BeamOptions`.

        Raises:
            InputError: a string in place of a list; an option that is unknown or out of range.
        """
        if isinstance(sources, str):
            raise InputError(
                f"sources is the string {sources[:40]!r}, expected a list of texts: write [{sources[:20]!r}]"
            )
        check_names(options, field_names(BeamOptions), where="translate")
        chosen = read_fields(BeamOptions, options, where="translate")
        return [n_best[0].text for n_best in self.outputs(sources, chosen)]

    def outputs(
        self, sources: Iterable[str], options: BeamOptions | None = None, *, window: int = _WINDOW
    ) -> Iterator[list[Translation]]:
        """Yields the n best targets of each source, best first, in the order of the sources.

        Args:
            sources: texts, read as they are needed.
            options: of the search; the defaults if None.
            window: how many sources are read ahead, to form batches of similar lengths.
        """
        for texts in _windows(sources, window):
            yield from search(
                self.network, self.vocabulary, texts, options or BeamOptions(), max_length_ratio=self.max_length_ratio
            )

    def sample(
        self, sources: Iterable[str], options: SamplingOptions | None = None, *, seed: int, window: int = _WINDOW
    ) -> Iterator[list[Translation]]:
        """Yields a target of each source sampled from the model's distribution, each as a list of one, in order.

        Args:
            sources: texts, read as they are needed.
            options: of the sampling; the defaults if None.
            seed: determines the samples: source i uses `recurra.decoding.row_seed(seed, i)`.
            window: how many sources are read ahead.
        """
        row = 0
        for texts in _windows(sources, window):
            seeds = [row_seed(seed, number) for number in range(row, row + len(texts))]
            for translation in draw(
                self.network,
                self.vocabulary,
                texts,
                options or SamplingOptions(),
                generators=[torch.Generator().manual_seed(number) for number in seeds],
                max_length_ratio=self.max_length_ratio,
            ):
                yield [translation]
            row += len(texts)

    def score(self, pairs: Iterable[tuple[str, str]], *, window: int = _WINDOW) -> Iterator[float]:
        """Yields log p(target | source) of given pairs in nats, end symbols included, in order.

        An unknown symbol of a target counts as `<unk>` and the cost of its spelling (`Tokenizer.spelling_nats`).
        """
        for texts in _windows(pairs, window):
            scores = score_targets(self.network, self.vocabulary, texts)
            for (_, target), score in zip(texts, scores, strict=True):
                yield score.total - self.vocabulary.target.spelling_nats(target)

    def evaluate(
        self,
        files: str | Path | Sequence[str | Path] = (),
        folder: str | Path | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Returns the scores of the translator on files of pairs; each output is compared with its nearest target.

        Args:
            files: tables of pairs; none if the options name parallel files.
            folder: not used.
            **options: the fields of `recurra.tasks.translator.options.EvaluationOptions`.

        Returns:
            The scores of `recurra.tasks.translator.report.evaluate`.

        Raises:
            InputError: files that cannot be read as pairs, with file and line; an option that cannot be used.
            RecurraError: sacrebleu is not installed.
        """
        chosen = read_fields(EvaluationOptions, options, where="evaluate")
        paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
        pairs = open_pairs(paths, source=chosen.source, target=chosen.target)
        return evaluate(self.network, self.vocabulary, pairs, chosen, max_length_ratio=self.max_length_ratio)

    def check_attention(self) -> None:
        """Checks that the translator has attention.

        Raises:
            InputError: it has none.
        """
        if self.network.decoder.attention is None:
            raise InputError("this translator has no attention: train one with --attention general")

    def attention(self, source: str, target: str, *, finished: bool = True) -> AttentionWeights:
        """Returns the attention weights for a given target.

        Args:
            source: a text.
            target: a text, such as the translation.
            finished: whether the end symbol of the target has a row too; False for an output that was cut.

        Raises:
            InputError: the translator has no attention.
        """
        self.check_attention()
        source_ids, target_ids = self.vocabulary.source.encode(source), self.vocabulary.target.encode(target)
        batch = make_batch([(source_ids, target_ids)]).to(self.network.device)
        self.network.eval()
        with torch.inference_mode():
            weights = self.network.decoder(batch.inputs, self.network.encode(batch.sources)).weights  # (T, 1, S)
        assert weights is not None
        source_symbols, target_symbols = (
            [*(side.symbol(int(token)) for token in ids), ""]
            for side, ids in ((self.vocabulary.source, source_ids), (self.vocabulary.target, target_ids))
        )
        rows = len(target_symbols) - (not finished)
        return AttentionWeights(source_symbols, target_symbols[:rows], weights[:rows, 0].cpu().numpy())


def _windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yields lists of `size` items, the last one shorter, read as they are needed."""
    iterator = iter(items)
    while window := list(islice(iterator, size)):
        yield window


def _max_length_ratio(train: PairCorpus) -> float:
    """Returns 1.5 times the target symbols per source symbol, ends included, that 99.9 % of the pairs stay below."""
    ratios = (train.target_lengths + 1) / (train.source_lengths + 1)
    return float(1.5 * np.quantile(ratios, 0.999))
