"""A batch of a tagger with its losses, for who examines the network."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.errors import InputError
from recurra.tasks.capabilities import Probe
from recurra.tasks.tagger.batch import Forms, make_batch
from recurra.tasks.tagger.char_cache import spellings
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.corpus import Coded, TaggedCorpus
from recurra.tasks.tagger.decode import losses, nats_of_words
from recurra.tasks.tagger.examples import Examples
from recurra.tasks.tagger.network import Output, TaggerNetwork


def probe_files(network: TaggerNetwork, codec: Codec, examples: Examples, *, rows: int, steps: int) -> Probe:
    """The longest sentences of files, each from a fresh state, and their losses.

    A lag of k words takes a sentence of more than k, so the longest are read; whole, because a sentence that is cut
    has another end, and its spans may have none.

    Args:
        network: of a tagger.
        codec: what its numbers mean.
        examples: the files, read once, not held.
        rows: sentences at most, B.
        steps: words of each at most, T.

    Returns:
        The batch, and losses (T, B), 0 past a sentence's end, summed over the labels; of a random field, which scores
        a sentence as a whole, their sum.

    Raises:
        InputError: what cannot be read, no sentence of so few words, rows or steps below 1.
    """
    _check(rows, steps)
    chosen = heapq.nlargest(rows, (one for one in examples if len(one.words) <= steps), key=lambda one: len(one.words))
    words, coded = codec.encode(chosen)
    labelled = [codec.labelled(sentence, one) for sentence, one in zip(chosen, coded, strict=True)]
    return _probe(network, labelled, codec.forms(words), str(examples.paths[0]), steps)


def probe_corpus(network: TaggerNetwork, codec: Codec, corpus: TaggedCorpus, *, rows: int, steps: int) -> Probe:
    """The same of encoded sentences."""
    _check(rows, steps)
    order = np.argsort(-corpus.lengths, kind="stable")
    chosen = order[corpus.lengths[order] <= steps][:rows].tolist()
    return _probe(network, [corpus.sentence(one) for one in chosen], codec.forms(corpus.forms), "held-out data", steps)


def _check(rows: int, steps: int) -> None:
    for name, value in (("rows", rows), ("steps", steps)):
        if value < 1:
            raise InputError(f"{name}={value}: expected a whole number of 1 or more")


def _probe(network: TaggerNetwork, sentences: Sequence[Coded], forms: Forms, where: str, steps: int) -> Probe:
    if not sentences:
        raise InputError(f"{where}: no sentence of at most {steps} words: give more --steps")
    network.eval()
    # Words are shorter than the lags that a verdict wants, so what reads their characters is not looked at.
    with torch.no_grad():
        spelling = spellings(network, forms)
    features = sentences[0].rows.shape[1] - 1 - len(network.readouts)
    batch = make_batch(sentences, forms, features=features, spelling=spelling).to(network.device)

    if not batch.count:
        raise InputError(f"{where}: no word has a label that this tagger knows, so there is no loss to examine")

    def losses_of(output: Output) -> Tensor:
        if network.decoders is not None:
            return torch.stack([one.total for one in losses(network, output.scores, batch)]).sum()
        nats = [
            nats_of_words(score, labels, network.possible(place))
            for place, (score, labels) in enumerate(zip(output.scores, batch.labels, strict=True))
        ]
        return torch.stack(nats).sum(0)

    return Probe((batch,), losses_of)
