"""Words tagged as they arrive, by a network that reads in one direction."""

from __future__ import annotations

from recurra.cells import States
from recurra.errors import InputError
from recurra.tasks.tagger.batch import make_batch
from recurra.tasks.tagger.coder import Coder
from recurra.tasks.tagger.decode import decode
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.predict import evaluating
from recurra.tasks.tagger.tagged import Word, as_sentence


class TaggerStream:
    """A sentence in progress: each word is told its labels before the next is known.

    Args:
        network: one that reads in one direction, without a language model, and chooses each label by itself.
        coder: what its numbers mean.

    Raises:
        InputError: a tagger that has to see the whole sentence.
    """

    def __init__(self, network: TaggerNetwork, coder: Coder) -> None:
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
        self._network, self._coder = network, coder
        self._state: States | None = None

    def push(self, word: Word) -> dict[str, str]:
        """The labels of the next word, by name.

        Args:
            word: the word, or a tuple of it and its features.
        """
        network, coder = self._network, self._coder
        forms, coded = coder.encode([as_sentence([word], coder.layout, place=0)])
        batch = make_batch(coded, coder.forms(forms), features=len(coder.layout.features)).to(network.device)
        with evaluating(network):
            scores, self._state = network(batch, self._state)
            decoded = decode(network, scores, batch)
        # A span label is coded more finely than files have it, and converted alone it would lose its neighbours.
        return {
            name: coder.named_alone(place, int(one.labels[0, 0]))
            for place, (name, one) in enumerate(zip(coder.layout.names, decoded, strict=True))
        }

    def end(self) -> None:
        """End the sentence: the next word begins another."""
        self._state = None
