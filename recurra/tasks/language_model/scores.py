"""A language model's losses as the field reports them, and so that unknown tokens earn nothing.

A vocabulary of words lacks some of a text's. Each of those is one symbol to the network, `<unk>`, which is easier to
predict the more words it replaces. So there are three figures:

- `loss` and `perplexity` count `<unk>` as one word, as papers report them for the Penn Treebank. They compare models
  of the same vocabulary only.
- `perplexity_known` leaves the unknown tokens out, `unknown_share` says how many that are.
- `bits_per_char` adds to the loss of each unknown token what spelling it costs (`Tokenizer.spelling_nats`), so that it
  compares models of any vocabulary and unit.

A `<unk>` that a text itself spells out, as the Penn Treebank's files do, is a word of every vocabulary of words: it is
known, and has no spelling.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from recurra.data import Corpus, Tokenizer
from recurra.metrics import bits, bits_per_character, perplexity, perplexity_of_known
from recurra.training import figure

# What is left out where nothing is unknown, in logs and cards.
OF_UNKNOWN = ("unknown_share", "perplexity_known")


class Nats(NamedTuple):
    """The losses of the predicted tokens of a text, summed."""

    total: float
    unknown: float
    """The part of `total` on tokens that stand for text outside the vocabulary."""
    steps: int
    """How many tokens were predicted."""

    @property
    def loss(self) -> float:
        """The mean, nats per token."""
        return self.total / self.steps


class Predicted(NamedTuple):
    """The part of a text that is predicted: all of it but the first token."""

    characters: int
    """At least 1."""
    unknown: int
    """Tokens that stand for text outside the vocabulary."""
    spelling: float | None
    """Nats of spelling them; None where that was not counted, by an earlier version."""

    @classmethod
    def of(cls, corpus: Corpus, tokenizer: Tokenizer) -> Predicted:
        """The numbers of an encoded text."""
        places, unknown = corpus.unknown_places, corpus.header.unknown
        first = places is not None and len(places) > 0 and places[0] == 0
        spelling = corpus.header.spelling if unknown else 0.0
        return cls(predicted_characters(corpus, tokenizer), unknown - first, spelling)


def predicted_characters(corpus: Corpus, tokenizer: Tokenizer) -> int:
    """The characters of a text, but for those of its first token, which nothing predicts; at least 1.

    Of the text itself: an unknown word counts as long as it is there, not as `<unk>`, and every space counts. The first
    token alone is as long as it decodes to.
    """
    return max(1, corpus.characters - tokenizer.characters(corpus.tokens[:1]))


def scores_of(nats: Nats, text: Predicted, tokenizer: Tokenizer) -> dict[str, float]:
    """Losses as the field reports them.

    Args:
        nats: the losses of a text.
        text: what the predicted tokens stand for.
        tokenizer: what the text is cut into.

    Returns:
        `loss` and `perplexity`, `<unk>` counted as a word; where tokens are unknown `unknown_share`, the share of them
        among the predicted, and `perplexity_known`, that of the others, if there are any; `bits_per_char` with what the
        spelling of unknown tokens costs (`bits_per_byte` for bytes). Without these two in a text that an earlier
        version encoded, which did not count what they need.
    """
    scores = {"loss": nats.loss, "perplexity": perplexity(nats.loss)}
    if tokenizer.name == "byte":
        return scores | {"bits_per_byte": bits(nats.loss)}
    if text.unknown:
        scores["unknown_share"] = text.unknown / nats.steps
    if text.spelling is None:
        return scores
    if 0 < text.unknown < nats.steps:
        scores["perplexity_known"] = perplexity_of_known(
            nats.total, nats.unknown, tokens=nats.steps, unknown=text.unknown
        )
    return scores | {"bits_per_char": bits_per_character(nats.total, text.characters, spelling=text.spelling)}


def evaluated(nats: Nats, corpus: Corpus, tokenizer: Tokenizer) -> dict[str, Any]:
    """`scores_of` and counts, as `LanguageModel.evaluate` returns them: those of unknown tokens are always there."""
    text = Predicted.of(corpus, tokenizer)
    scores = {**scores_of(nats, text, tokenizer), "tokens": len(corpus), "characters": corpus.characters}
    scores |= {"unknown": corpus.header.unknown, "unknown_share": text.unknown / nats.steps}
    if not text.unknown:
        scores["perplexity_known"] = scores["perplexity"]
    if tokenizer.name != "byte":
        scores["spelling_bits_per_char"] = bits_per_character(text.spelling or 0.0, text.characters)
    return scores


def report(scores: dict[str, Any]) -> str:
    """The scores of `LanguageModel.evaluate` as text."""
    return "\n".join(_lines(scores))


def _lines(scores: dict[str, Any]) -> Iterator[str]:
    unknown = scores["unknown"]
    for name, value in scores.items():
        if name == "loss_by_position" or (not unknown and name in (*OF_UNKNOWN, "spelling_bits_per_char")):
            continue
        shown = figure(value, grouped=True) if isinstance(value, float) else f"{value:,}"
        yield f"{name.replace('_', ' '):<22} {shown}"
    if unknown:
        yield ""
        yield "Unknown tokens are outside the vocabulary. loss and perplexity count <unk> as one word, perplexity known"
        yield "leaves it out, bits per char adds what spelling each one costs: only that compares vocabularies."
    yield ""
    yield "loss by tokens read since a fresh state"
    for row in scores["loss_by_position"]:
        places = str(row["from"]) if row["from"] == row["to"] else f"{row['from']} to {row['to']}"
        yield f"{places:<22} {row['loss']:.4f}"
