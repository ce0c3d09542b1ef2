"""The network of a tagger: from words and their characters to scores of labels."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recurra.cells import Cell, States
from recurra.errors import options_named
from recurra.layers import ConditionalRandomField, Readout
from recurra.tasks.cell_names import make_cell
from recurra.tasks.language_model.network import Network as LanguageNetwork
from recurra.tasks.tagger.batch import Batch
from recurra.tasks.tagger.label_numbers import possible_labels
from recurra.tasks.tagger.options import NetworkOptions
from recurra.tasks.tagger.sizes import Sizes

# Words of up to so many characters are read together: one of 40 among a thousand of 6 would pad them all to 40.
_SPELT_TOGETHER = (5, 9, 15)


class Output(NamedTuple):
    """What the network makes of a batch."""

    scores: list[Tensor]
    """For each label (T, B, K)."""
    state: States
    """After each row's last word, from its first; of use where the network reads in one direction."""


class TaggerNetwork(nn.Module):
    """Scores of labels from a recurrent stack over x_t = [word; spelling; affixes; features; vector; state].

    The spelling of a word is what a recurrent layer ends with that reads its characters, in both directions (Ling et
    al. 2015; Lample et al. 2016).

    Args:
        sizes: what the data decides.
        options: what a person chose.
        cell: the recurrent cell; the one that `options` names where None.
        language_model: a trained network whose states batches hold; it is kept with the tagger, and not trained.

    Raises:
        InputError: an option that does not fit.
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
        self.words = self.characters = self.spelling = self.affixes = self.vectors = None
        if options.word_size:
            self.words = _embedding(sizes.words + 1, options.word_size)
            width += options.word_size
        if options.character_size:
            self.characters = _embedding(sizes.characters + 1, options.character_size)
            with options_named(hidden_size="spelling_size"):
                one = {"num_layers": 1, "bidirectional": True, "dropout": 0.0, "residual": False}
                self.spelling = recurrent.stack(
                    options.character_size, cell=cell, hidden_size=options.spelling_size, **one
                )
            width += 2 * options.spelling_size
        if options.affix_size:
            self.affixes = _embedding(sizes.affixes + 1, options.affix_size)
            width += options.affix_size
        if sizes.vectors:
            self.vectors = nn.Embedding(*sizes.vectors).requires_grad_(False)
            width += sizes.vectors[1]
        self.features = nn.ModuleList(_embedding(size + 1, options.feature_size) for size in sizes.features)
        width += options.feature_size * len(self.features)
        self.recurrent = recurrent.stack(width, cell=cell)
        self.drop_input, self.drop = recurrent.dropout_layer(), recurrent.dropout_layer()
        emitted = self.recurrent.output_size
        self.readouts = nn.ModuleList(Readout(emitted, len(values)) for values in sizes.labels)
        self.decoders = sizes.decoders(options.decoder)
        self._possible = [possible_labels(values, spans=sizes.scheme is not None) for values in sizes.labels]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.readouts.parameters()).device

    def initial_state(self, rows: int) -> States:
        """The state before a sentence's first word."""
        return self.recurrent.initial_state(rows)

    def forward(self, batch: Batch, state: States | None = None) -> Output:
        """The scores of all labels of a batch.

        Args:
            batch: sentences.
            state: what the words before came to; a sentence's beginning where None.
        """
        x = self.drop_input(self._read(batch))  # (T, B, I)
        h, state = self.recurrent(x, state, lengths=batch.lengths)  # (T, B, D·H)
        h = self.drop(h)
        return Output([readout(h) for readout in self.readouts], state)

    def _read(self, batch: Batch) -> Tensor:
        parts = []
        if self.words is not None:
            parts.append(self.words(batch.words))  # (T, B, E)
        if self.characters is not None and self.spelling is not None:
            spelling = self.spell(batch.characters, batch.spelt) if batch.spelling is None else batch.spelling
            parts.append(spelling[batch.forms])  # (T, B, 2·S)
        if self.affixes is not None:
            parts.append(self.affixes(batch.affixes).sum(0)[batch.forms])  # (A, U, E), (U, E), (T, B, E)
        if self.vectors is not None and batch.vectors is not None:
            parts.append(self.vectors(batch.vectors))
        parts += [embedding(values) for embedding, values in zip(self.features, batch.features, strict=True)]
        if batch.states is not None:
            parts.append(batch.states)
        return torch.cat(parts, -1)

    def spell(self, characters: Tensor, spelt: Tensor) -> Tensor:
        """What the character layer ends with for each word, (U, 2·S).

        Args:
            characters: int64 (C, U), the words, shortest first.
            spelt: int64 (U,), how many characters each has.
        """
        assert self.characters is not None
        assert self.spelling is not None
        ends = [int((spelt <= length).sum()) for length in _SPELT_TOGETHER] + [len(spelt)]
        parts = []
        for start, end in itertools.pairwise([0, *ends]):
            if start < end:
                lengths = spelt[start:end]
                x = self.drop_input(self.characters(characters[: int(lengths[-1]), start:end]))  # (C, U, E)
                _, (forward, backward) = self.spelling(x, lengths=lengths)
                parts.append(torch.cat([forward.h, backward.h], -1))
        return torch.cat(parts)

    def set_vectors(self, matrix: npt.NDArray[np.float32]) -> None:
        """Fill in the pretrained vectors: `matrix` (V, D), after a row of zeros for words without one."""
        assert self.vectors is not None
        with torch.no_grad():
            self.vectors.weight[0] = 0.0
            self.vectors.weight[1:] = torch.from_numpy(matrix)

    def field(self, label: int) -> ConditionalRandomField | None:
        """The random field over a label; None where each label is chosen by itself."""
        if self.decoders is None:
            return None
        decoder = self.decoders[label]
        assert isinstance(decoder, ConditionalRandomField)
        return decoder

    def possible(self, label: int) -> Tensor:
        """What labels that stand for several may be, bool (N, K): row n for the number OPEN - n of `label_numbers`."""
        return self._possible[label].to(self.device)


def _embedding(rows: int, size: int) -> nn.Embedding:
    embedding = nn.Embedding(rows, size)
    nn.init.uniform_(embedding.weight, -((3 / size) ** 0.5), (3 / size) ** 0.5)  # variance 1 / size, as Ma & Hovy 2016
    return embedding
