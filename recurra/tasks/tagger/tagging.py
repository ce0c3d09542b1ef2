"""A stream of sentences to the same sentences with labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recurra.data.sentences import Sentence
from recurra.tasks.tagger.char_cache import Speller
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.predict import Predicted, evaluating, predict
from recurra.tasks.tagger.tagged import Tagged
from recurra.tasks.tagger.windows import WINDOW_WORDS, windows


def annotate(
    network: TaggerNetwork,
    codec: Codec,
    sentences: Iterable[Sentence],
    *,
    probabilities: bool = False,
    window: int = WINDOW_WORDS,
) -> Iterator[Tagged]:
    """Sentences with all their labels, in order, read as they are needed.

    Args:
        network: the network.
        codec: what its numbers mean.
        sentences: with the layout's feature columns in their rows; labels are not read.
        probabilities: also the probability of each label.
        window: about how many words are held at once.
    """
    speller, features = Speller(network), len(codec.layout.features)
    for held in windows(sentences, window):
        words, coded = codec.encode(held)
        forms = codec.forms(words)
        with evaluating(network):
            found = predict(
                network, coded, forms, features=features, probabilities=probabilities, spelling=speller(words, forms)
            )
        for sentence, predicted in zip(held, found, strict=True):
            yield _tagged(codec, sentence, predicted)


def _tagged(codec: Codec, sentence: Sentence, predicted: Predicted) -> Tagged:
    names = codec.layout.names
    if not sentence.words:
        return Tagged(sentence, {name: [] for name in names}, None)
    labels = {name: codec.named(place, predicted.labels[place]) for place, name in enumerate(names)}
    if predicted.probabilities is None:
        return Tagged(sentence, labels, None)
    shares = {}
    for place, (name, told) in enumerate(zip(names, predicted.probabilities, strict=True)):
        shares[name] = [
            float(row[codec.numbers_of(place, value)].sum()) for row, value in zip(told, labels[name], strict=True)
        ]
    return Tagged(sentence, labels, shares)
