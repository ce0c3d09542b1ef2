"""What a tagger's data decides about its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from recurra.data.partial_spans import CODED
from recurra.data.spans import rules
from recurra.layers import ConditionalRandomField


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything there is, and what labels may follow each other.

    Args:
        words: words with a vector of their own.
        characters: how many characters there are.
        affixes: how many beginnings and ends of words.
        features: for each feature column, how many values.
        labels: for each label its values.
        scheme: how the files' labels mark spans, which are coded as BIOES; None where they mark none.
        vectors: rows and numbers a row of the pretrained vectors; None where there are none.
    """

    words: int
    characters: int
    affixes: int
    features: Sequence[int]
    labels: Sequence[Sequence[str]]
    scheme: str | None
    vectors: tuple[int, int] | None = None

    def decoders(self, decoder: str | None) -> nn.ModuleList | None:
        """A random field over each label; None where each word's label is chosen by itself.

        Args:
            decoder: softmax or crf; where None, crf for spans.
        """
        uses_fields = self.scheme is not None if decoder is None else decoder == "crf"
        return nn.ModuleList(map(self._field, self.labels)) if uses_fields else None

    def _field(self, labels: Sequence[str]) -> ConditionalRandomField:
        if self.scheme is None:
            return ConditionalRandomField(len(labels))
        # IO cannot write adjacent spans of a type: they would come out as one.
        start, between, end = rules(labels, CODED, adjacent=self.scheme != "io")
        return ConditionalRandomField(len(labels), allowed_start=start, allowed=between, allowed_end=end)
