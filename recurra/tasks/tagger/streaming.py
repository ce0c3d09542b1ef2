"""Words tagged as they arrive, by a network that reads in one direction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from recurra.cells import States
from recurra.data.columns import divide
from recurra.data.lines import read_lines
from recurra.errors import InputError
from recurra.tasks.tagger.batch import make_batch
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.decode import decode
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.predict import evaluating
from recurra.tasks.tagger.tagged import Word, as_sentence


class TaggerStream:
    """A sentence in progress: each word is told its labels before the next is known.

    Args:
        network: one that reads in one direction, without a language model, and chooses each label by itself.
        codec: what its numbers mean.

    Raises:
        InputError: a tagger that has to see the whole sentence.
    """

    def __init__(self, network: TaggerNetwork, codec: Codec) -> None:
        if network.recurrent.bidirectional:
            raise InputError("this tagger reads sentences from both ends: train one with --no-bidirectional")
        if network.decoders is not None:
            raise InputError("this tagger chooses the labels of a sentence together: train one with --decoder softmax")
        if network.language_model is not None:
            # It reads a space after each word but the last, which has a line's end: nobody knows yet which it will be.
            raise InputError(
                "this tagger reads a language model, which has to know where the sentence ends: "
                "train one without --language-model"
            )
        self._network, self._coder = network, codec
        self._state: States | None = None
        self._before: list[int | None] = [None] * len(codec.layout.names)

    def push(self, word: Word) -> dict[str, str]:
        """The labels of the next word, by name.

        Args:
            word: the word, or a tuple of it and its features.
        """
        network, codec = self._network, self._coder
        forms, coded = codec.encode([as_sentence([word], codec.layout, place=0)])
        batch = make_batch(coded, codec.forms(forms), features=len(codec.layout.features)).to(network.device)
        with evaluating(network):
            scores, self._state = network(batch, self._state)
            decoded = decode(network, scores, batch)
        # A span label is coded more finely than files have it, and converted alone it would lose its neighbours.
        numbers = [int(one.labels[0, 0]) for one in decoded]
        named = {
            name: codec.named_alone(place, numbers[place], self._before[place])
            for place, name in enumerate(codec.layout.names)
        }
        self._before = [*numbers]
        return named

    def end(self) -> None:
        """End the sentence: the next word begins another."""
        self._state = None
        self._before = [None] * len(self._before)


def read_words(file: BinaryIO, name: str, layout: Layout) -> Iterator[Word | None]:
    """The words of an open file with one a line, and its features after it; None for an empty line, a sentence's end.

    The first line decides what divides the columns: tabs where it has one, spaces where it has several words; else
    what the training files had, so that a word may hold spaces where those had tabs.

    Args:
        file: open for reading bytes; a pipe will do.
        name: what errors call it.
        layout: the tagger's.

    Raises:
        InputError: a line of another number of columns, an empty one, or not UTF-8; with its number.
    """
    wanted = 1 + len(layout.features)
    expected = "a word" if wanted == 1 else f"a word and {wanted - 1} features"
    separator: str | None = None
    for line in read_lines(file, name):
        text = line.text.strip(" \r")
        if not text.strip("\t"):
            yield None
            continue
        separator = separator or _separator(text, layout)
        fields = divide(text, separator)
        if len(fields) != wanted or not all(field.strip(" ") for field in fields):
            columns = f"{len(fields)} column{'s' if len(fields) != 1 else ''}"
            raise InputError(f"{name}:{line.number}: {columns} apart by {separator}s, expected {expected} a line")
        if separator == "space" and "\t" in text:
            raise InputError(f"{name}:{line.number}: a tab, but the lines before are apart by spaces. Use one of them")
        words = tuple(field.strip(" ") for field in fields)
        yield words if layout.features else words[0]


def _separator(text: str, layout: Layout) -> str:
    if "\t" in text:
        return "tab"
    return "space" if len(divide(text, "space")) > 1 else layout.separator
