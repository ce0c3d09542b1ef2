"""The network of a tagger: words and their characters to scores of labels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recurra.cells import Cell, States
from recurra.data.label_numbers import possible_labels
from recurra.data.partial_spans import CODED
from recurra.data.spans import rules
from recurra.errors import options_named
from recurra.layers import ConditionalRandomField, Readout
from recurra.tasks.cell_names import make_cell
from recurra.tasks.language_model.network import Network as LanguageNetwork
from recurra.tasks.tagger.batch import SentenceBatch
from recurra.tasks.tagger.options import NetworkOptions

# Words of up to so many characters share a batch: a word of 40 among a thousand of 6 would pad them all to 40.
_CHARACTERS_OF_BATCHES = (5, 9, 15)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a network that its vocabulary determines.

    Args:
        words: number of words with an embedding.
        characters: number of characters.
        affixes: number of affixes.
        features: number of values of each feature column.
        labels: the values of each label.
        scheme: how the labels of files mark spans, whose values are BIOES; None if they mark none.
        vectors: shape of the embedding of pretrained vectors; None if there are none.
    """

    words: int
    characters: int
    affixes: int
    features: Sequence[int]
    labels: Sequence[Sequence[str]]
    scheme: str | None
    vectors: tuple[int, int] | None = None


class Output(NamedTuple):
    """The output of the network for a batch."""

    scores: list[Tensor]
    """(T, B, K) of each label."""
    state: States
    """After the last word of each row; meaningful if the network reads in one direction."""


class TaggerNetwork(nn.Module):
    """Scores of labels from a recurrent stack over x_t = [word; spelling; affixes; features; vector; state].

    The spelling of a word is the last state of a recurrent layer over its characters, in both directions (Ling et al.
    2015; Lample et al. 2016).

    Args:
        sizes: of the vocabulary.
        options: of the network.
        cell: the recurrent cell; None for that of `options`.
        language_model: the trained network whose states are in the batches; its weights are stored with those of the
            tagger, and not trained.

    Raises:
        InputError: an option does not fit.
    """

    def __init__(
        self,
        sizes: Sizes,
        options: NetworkOptions,
        *,
        cell: Cell | None = None,
        language_model: LanguageNetwork | None = None,
    ) -> None:
        super().__init__()
        recurrent = options.recurrent
        cell = cell or make_cell(recurrent)
        self.language_model = None if language_model is None else language_model.requires_grad_(False).eval()
        width = 0 if language_model is None else language_model.recurrent.output_size
        width += self._create_inputs(sizes, options, cell)
        self.recurrent = recurrent.stack(width, cell=cell)
        self.drop_input, self.drop = recurrent.dropout_layer(), recurrent.dropout_layer()
        output_size = self.recurrent.output_size
        self.readouts = nn.ModuleList(Readout(output_size, len(values)) for values in sizes.labels)
        self.decoders = _decoders(sizes, options.decoder)
        self._possible = [possible_labels(values, spans=sizes.scheme is not None) for values in sizes.labels]

    def _create_inputs(self, sizes: Sizes, options: NetworkOptions, cell: Cell) -> int:
        """Creates the embeddings and the layer over characters; returns the sum of their output sizes."""
        width = 0
        self.words = self.characters = self.spelling = self.affixes = self.vectors = None
        if options.word_size:
            self.words = _embedding(sizes.words + 1, options.word_size)
            width += options.word_size
        if options.character_size:
            self.characters = _embedding(sizes.characters + 1, options.character_size)
            with options_named(hidden_size="spelling_size"):
                single = {"num_layers": 1, "bidirectional": True, "dropout": 0.0, "residual": False}
                self.spelling = options.recurrent.stack(
                    options.character_size, cell=cell, hidden_size=options.spelling_size, **single
                )
            width += 2 * options.spelling_size
        if options.affix_size:
            self.affixes = _embedding(sizes.affixes + 1, options.affix_size)
            width += options.affix_size
        if sizes.vectors:
            self.vectors = nn.Embedding(*sizes.vectors).requires_grad_(False)
            width += sizes.vectors[1]
        self.features = nn.ModuleList(_embedding(size + 1, options.feature_size) for size in sizes.features)
        return width + options.feature_size * len(self.features)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.readouts.parameters()).device

    def initial_state(self, rows: int) -> States:
        """Returns the state before the first word of `rows` sentences."""
        return self.recurrent.initial_state(rows)

    def forward(self, batch: SentenceBatch, state: States | None = None) -> Output:
        """Computes the scores of all labels.

        Args:
            batch: sentences.
            state: the state after the words before; None at the beginning of sentences.
        """
        h, state = self.recurrent(self.embed(batch), state, lengths=batch.lengths)  # (T, B, D·H)
        return Output(self.scores(h), state)

    def scores(self, h: Tensor) -> list[Tensor]:
        """Returns the scores (T, B, K) of each label from the output of the recurrent stack, (T, B, D·H)."""
        h = self.drop(h)
        return [readout(h) for readout in self.readouts]

    def embed(self, batch: SentenceBatch) -> Tensor:
        """Returns the input of the recurrent stack, (T, B, I)."""
        parts = []
        if self.words is not None:
            parts.append(self.words(batch.words))  # (T, B, E)
        if self.characters is not None and self.spelling is not None:
            spelling = batch.spelling
            if spelling is None:
                spelling = self.spell(batch.characters, batch.word_lengths)  # (U, 2·S)
            parts.append(spelling[batch.forms])  # (T, B, 2·S)
        if self.affixes is not None:
            affixes = self.affixes(batch.affixes).sum(0)  # (A, U, E) to (U, E)
            parts.append(affixes[batch.forms])  # (T, B, E)
        if self.vectors is not None and batch.vectors is not None:
            parts.append(self.vectors(batch.vectors))
        parts += [embedding(values) for embedding, values in zip(self.features, batch.features, strict=True)]
        if batch.states is not None:
            parts.append(batch.states)
        x: Tensor = self.drop_input(torch.cat(parts, -1))
        return x

    def spell(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Computes the spelling of U words: the last states of the layer over their characters, (U, 2·S).

        Args:
            characters: int64 (C, U), shortest word first.
            lengths: int64 (U,), characters of each word.
        """
        assert self.characters is not None
        assert self.spelling is not None
        ends = [int((lengths <= longest).sum()) for longest in _CHARACTERS_OF_BATCHES] + [len(lengths)]
        parts = []
        for start, end in itertools.pairwise([0, *ends]):
            if start < end:
                of_batch = lengths[start:end]
                x = self.drop_input(self.characters(characters[: int(of_batch[-1]), start:end]))  # (C, U, E)
                _, (forward, backward) = self.spelling(x, lengths=of_batch)
                parts.append(torch.cat([forward.h, backward.h], -1))  # (U, 2·S)
        return torch.cat(parts)

    def set_vectors(self, matrix: npt.NDArray[np.float32]) -> None:
        """Copies pretrained vectors (V, D) into the weights, after a row of zeros for words without a vector."""
        assert self.vectors is not None
        with torch.no_grad():
            self.vectors.weight[0] = 0.0
            self.vectors.weight[1:] = torch.from_numpy(matrix)

    def field(self, label: int) -> ConditionalRandomField | None:
        """Returns the random field of a label; None if a softmax predicts each word on its own."""
        if self.decoders is None:
            return None
        decoder = self.decoders[label]
        assert isinstance(decoder, ConditionalRandomField)
        return decoder

    def possible(self, label: int) -> Tensor:
        """Returns the possibilities of ambiguous labels, bool (N, K): row n is that of number OPEN - n."""
        return self._possible[label].to(self.device)


def _decoders(sizes: Sizes, decoder: str | None) -> nn.ModuleList | None:
    """A random field per label; None for a softmax. By default spans, whose labels depend on each other, have one."""
    uses_fields = sizes.scheme is not None if decoder is None else decoder == "crf"
    return nn.ModuleList(_field(labels, sizes.scheme) for labels in sizes.labels) if uses_fields else None


def _field(labels: Sequence[str], scheme: str | None) -> ConditionalRandomField:
    if scheme is None:
        return ConditionalRandomField(len(labels))
    # IO cannot represent adjacent spans of one type: they would be written as a single span.
    start, between, end = rules(labels, CODED, adjacent=scheme != "io")
    return ConditionalRandomField(len(labels), allowed_start=start, allowed=between, allowed_end=end)


def _embedding(rows: int, size: int) -> nn.Embedding:
    embedding = nn.Embedding(rows, size)
    nn.init.uniform_(embedding.weight, -((3 / size) ** 0.5), (3 / size) ** 0.5)  # variance 1 / size, as Ma & Hovy 2016
    return embedding
