"""From sentences to labels: in batches of similar length, for a stream of sentences, or word by word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.batching import by_length, token_chunks
from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.tasks.tagger.batch import Forms, Ids, SentenceBatch, make_batch
from recurra.tasks.tagger.corpus import CHUNK_WORDS, Codec, EncodedSentence
from recurra.tasks.tagger.decoder import Losses, decode, losses
from recurra.tasks.tagger.formats import Word
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.tagging_formats import TaggedSentence

# Words of a batch, including padding.
_BATCH_WORDS = 2048
# Words whose characters are read together, and words whose spelling is kept.
_SPELLING_BATCH, _KEPT_WORDS = 1024, 50_000


class Prediction(NamedTuple):
    """The predicted labels of one sentence."""

    labels: list[list[int]]
    """The numbers of each label, one per word."""
    probabilities: list[npt.NDArray[np.float32]] | None
    """(T, K) of each label; None if they were not requested."""


def evaluating(network: TaggerNetwork) -> torch.inference_mode:
    """Returns a context without gradients, after switching the network to evaluation mode."""
    network.eval()
    return torch.inference_mode()


def predict(
    network: TaggerNetwork,
    sentences: Sequence[EncodedSentence],
    forms: Forms,
    *,
    features: int,
    probabilities: bool = False,
    spelling: Tensor | None = None,
) -> list[Prediction]:
    """Predicts the labels of sentences, in their order.

    Args:
        network: in evaluation mode.
        sentences: as numbers; their labels are ignored.
        forms: the words that the sentences refer to.
        features: number of feature columns, F.
        probabilities: also return those of all values.
        spelling: (n, 2·S), that of each form, if already computed.
    """
    # Sentences without words are in no batch.
    predictions = [Prediction([], None)] * len(sentences)
    inputs = [sentence._replace(rows=sentence.rows[:, : 1 + features]) for sentence in sentences]
    for numbers, batch in _batches(inputs, forms, features, network.device, spelling):
        decoded = decode(network, network(batch).scores, batch, probabilities=probabilities)
        labels = [of_label.labels.T.tolist() for of_label in decoded]  # L lists of B lists of T
        shares = [of_label.probabilities for of_label in decoded if of_label.probabilities is not None]
        for row, (number, length) in enumerate(zip(numbers, batch.lengths.tolist(), strict=True)):
            of_row = [share[:length, row].cpu().numpy() for share in shares] if probabilities else None
            predictions[number] = Prediction([of_label[row][:length] for of_label in labels], of_row)
    return predictions


def loss_of(
    network: TaggerNetwork,
    sentences: Sequence[EncodedSentence],
    forms: Forms,
    *,
    features: int,
    spelling: Tensor | None = None,
) -> Losses:
    """Computes the loss of labelled sentences; the arguments are those of `predict`."""
    total = Losses.none(len(network.readouts))
    for _, batch in _batches(sentences, forms, features, network.device, spelling):
        of_batch = losses(network, network(batch).scores, batch)
        total = total.add(Losses([float(one.total) for one in of_batch], [int(one.words) for one in of_batch]))
    return total


def _batches(
    sentences: Sequence[EncodedSentence], forms: Forms, features: int, device: torch.device, spelling: Tensor | None
) -> Iterator[tuple[list[int], SentenceBatch]]:
    """Batches of sentences of similar lengths, with the positions of these; sentences without words are left out."""
    for numbers in by_length([len(sentence.rows) for sentence in sentences], tokens=_BATCH_WORDS):
        chosen = [sentences[number] for number in numbers]
        yield numbers, make_batch(chosen, forms, features=features, spelling=spelling).to(device)


def spellings(network: TaggerNetwork, forms: Forms, numbers: Ids | None = None) -> Tensor | None:
    """Computes the spelling of forms, for many batches at once; otherwise it takes a third of the time of tagging.

    Args:
        network: in evaluation mode.
        forms: distinct words.
        numbers: which of them, (n,); all if None.

    Returns:
        (n, 2·S); None if the network reads no characters.
    """
    if network.characters is None:
        return None
    numbers = np.arange(len(forms.lengths)) if numbers is None else numbers
    order = np.argsort(forms.lengths[numbers], kind="stable")
    parts = []
    for start in range(0, len(order), _SPELLING_BATCH):
        characters, lengths = forms.characters(numbers[order[start : start + _SPELLING_BATCH]])
        parts.append(network.spell(characters.to(network.device), lengths.to(network.device)))
    table = torch.cat(parts)  # (n, 2·S), shortest word first
    return torch.empty_like(table).index_copy_(0, torch.from_numpy(order).to(table.device), table)


class _SpellingCache:
    """The spellings of the words of a stream, computed at their first occurrence.

    Args:
        network: its weights must not change.
    """

    def __init__(self, network: TaggerNetwork) -> None:
        self._network = network
        self._rows: dict[str, int] = {}
        self._table: Tensor | None = None

    def __call__(self, words: list[str], forms: Forms) -> Tensor | None:
        """Returns the spellings of distinct words, (n, 2·S); None if the network reads no characters."""
        if self._network.characters is None or not words:
            return None
        if len(self._rows) > _KEPT_WORDS:
            self._rows, self._table = {}, None
        new = [place for place, word in enumerate(words) if word not in self._rows]
        if new:
            table = spellings(self._network, forms, np.array(new))
            assert table is not None
            self._rows.update(zip([words[place] for place in new], count(len(self._rows)), strict=False))
            self._table = table if self._table is None else torch.cat([self._table, table])
        assert self._table is not None
        return self._table[torch.tensor([self._rows[word] for word in words], device=self._table.device)]


def annotate(
    network: TaggerNetwork,
    codec: Codec,
    sentences: Iterable[Sentence],
    *,
    probabilities: bool = False,
    window: int = CHUNK_WORDS,
) -> Iterator[TaggedSentence]:
    """Tags a stream of sentences, in order; they are read as the results are needed.

    Args:
        network: the network.
        codec: its vocabulary.
        sentences: with the layout's feature columns in their rows; their labels are ignored.
        probabilities: also compute the probability of each label.
        window: about how many words are read before their sentences are tagged.
    """
    spelling_of, features = _SpellingCache(network), len(codec.layout.features)
    for chunk in token_chunks(sentences, window, length=lambda sentence: len(sentence.words)):
        words, encoded = codec.encode(chunk)
        forms = Forms(words, codec)
        with evaluating(network):
            spelling = spelling_of(words, forms)
            predictions = predict(
                network, encoded, forms, features=features, probabilities=probabilities, spelling=spelling
            )
        for sentence, prediction in zip(chunk, predictions, strict=True):
            yield _tagged(codec, sentence, prediction)


def _tagged(codec: Codec, sentence: Sentence, prediction: Prediction) -> TaggedSentence:
    names = codec.layout.names
    if not sentence.words:
        return TaggedSentence(sentence, {name: [] for name in names}, None)
    converted = zip(names, codec.labels, prediction.labels, strict=True)
    labels = {name: converter.labels(numbers) for name, converter, numbers in converted}
    if prediction.probabilities is None:
        return TaggedSentence(sentence, labels, None)
    # A label of a file may have several numbers, as B-PER of BIO is B-PER and S-PER: it has their summed probability.
    shares = {
        name: [float(row[converter.numbers_of(label)].sum()) for row, label in zip(of_label, labels[name], strict=True)]
        for name, converter, of_label in zip(names, codec.labels, prediction.probabilities, strict=True)
    }
    return TaggedSentence(sentence, labels, shares)


class TaggerStream:
    """Tags each word of a sentence before the next word is known, with constant memory.

    Args:
        network: it reads in one direction, without a language model, and has no random field.
        codec: its vocabulary.

    Raises:
        InputError: the tagger needs the whole sentence.
    """

    def __init__(self, network: TaggerNetwork, codec: Codec) -> None:
        if network.recurrent.bidirectional:
            raise InputError("this tagger reads sentences in both directions: train one with --no-bidirectional")
        if network.decoders is not None:
            raise InputError("this tagger predicts the labels of a sentence together: train one with --decoder softmax")
        if network.language_model is not None:
            # It reads a space after each word but the last, which a line break follows: which one is still unknown.
            raise InputError(
                "this tagger reads a language model, which needs to know where the sentence ends: "
                "train one without --language-model"
            )
        self._network, self._codec = network, codec
        self._stream, self._at_start = network.recurrent.stream(), True
        self._before: list[int | None] = [None] * len(codec.layout.names)

    def push(self, word: Word) -> dict[str, str]:
        """Returns the labels of the next word, by name.

        Args:
            word: the word, or a tuple of it and its features.
        """
        network, codec = self._network, self._codec
        words, encoded = codec.encode([codec.layout.sentence([word], place=0)])
        features = len(codec.layout.features)
        batch = make_batch(encoded, Forms(words, codec), features=features).to(network.device)
        with evaluating(network):
            if self._at_start:  # not in `end`: a learned initial state may have changed until now
                self._stream.reset()
                self._at_start = False
            h = self._stream.step(network.embed(batch)[0])  # (1, H)
            decoded = decode(network, network.scores(h[None]), batch)
        numbers = [int(of_label.labels[0, 0]) for of_label in decoded]
        # BIOES has more letters than most files: a whole sentence is converted by its spans, a single word cannot be.
        names = [
            converter.single_label(number, before)
            for converter, number, before in zip(codec.labels, numbers, self._before, strict=True)
        ]
        self._before = [*numbers]
        return dict(zip(codec.layout.names, names, strict=True))

    def end(self) -> None:
        """Ends the sentence: the next word begins another."""
        self._at_start = True
        self._before = [None] * len(self._before)
