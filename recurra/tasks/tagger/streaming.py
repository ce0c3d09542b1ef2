"""Words tagged as they arrive, by a network that reads in one direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.cells import States
from recurra.errors import InputError
from recurra.tasks.tagger.batch import make_batch
from recurra.tasks.tagger.decode import decode
from recurra.tasks.tagger.predict import evaluating

if TYPE_CHECKING:
    from recurra.tasks.tagger.model import Tagger, Word


class TaggerStream:
    """A sentence in progress: each word is told its labels before the next is known.

    Args:
        tagger: one that reads in one direction, without a language model, and chooses each label by itself.

    Raises:
        InputError: a tagger that has to see the whole sentence.
    """

    def __init__(self, tagger: Tagger) -> None:
        if tagger.options.bidirectional:
            raise InputError("this tagger reads sentences from both ends: train one with --no-bidirectional")
        if tagger.network.decoders is not None:
            raise InputError("this tagger chooses the labels of a sentence together: train one with --decoder softmax")
        if tagger.network.language_model is not None:
            # It reads a space after each word but the last, which has a line's end: nobody knows yet which it will be.
            raise InputError(
                "this tagger reads a language model, which has to know where the sentence ends: "
                "train one without --language-model"
            )
        self._tagger = tagger
        self._state: States | None = None

    def push(self, word: Word) -> dict[str, str]:
        """The labels of the next word, by name.

        Args:
            word: the word, or a tuple of it and its features.
        """
        tagger = self._tagger
        sentence = tagger.given([word], place=0)
        forms, rows = tagger.encode([sentence])
        batch = make_batch(rows, tagger.forms(forms), features=len(tagger.layout.features)).to(tagger.network.device)
        with evaluating(tagger.network):
            scores, self._state = tagger.network(batch, self._state)
            decoded = decode(tagger.network, scores, batch)
        values = tagger.vocabulary.labels
        numbers = [int(one.labels[0, 0]) for one in decoded]
        # A span label is coded more finely than files have it, and converted alone it would lose its neighbours.
        return {name: tagger.as_spelt(values[place][numbers[place]]) for place, name in enumerate(tagger.layout.names)}

    def end(self) -> None:
        """End the sentence: the next word begins another."""
        self._state = None
