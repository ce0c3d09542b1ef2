"""The scores of a language model, from the losses on a text, and their text for the terminal.

A vocabulary of words lacks some words of a text. The network sees each of them as the one symbol `<unk>`, which is
easier to predict the more words it replaces. Three kinds of scores take this into account:

- `loss` and `perplexity` count `<unk>` as one word, as papers report them for the Penn Treebank. They compare only
  models with the same vocabulary.
- `perplexity_known` leaves out the unknown tokens; `unknown_share` is their share.
- `bits_per_char` adds the spelling of each unknown token (`Tokenizer.spelling_nats`) to its loss, so that it compares
  models with any vocabulary and tokenizer.

A literal `<unk>` in a text, as in the files of the Penn Treebank, is a word of every word vocabulary: it is known and
has no spelling.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from recurra.data import Corpus, Tokenizer
from recurra.metrics import bits, bits_per_character, perplexity, perplexity_of_known
from recurra.tasks.language_model.evaluation import Nats
from recurra.training import figure

# Scores that are not shown for a text without unknown tokens.
_OF_UNKNOWN = ("unknown_share", "perplexity_known", "spelling_bits_per_char")


class PredictedText(NamedTuple):
    """The part of a text that is predicted: all tokens but the first."""

    characters: int
    """At least 1."""
    unknown: int
    """Number of tokens that stand for text outside the vocabulary."""
    spelling: float | None
    """Nats to spell them; None for a text encoded by an earlier version, which did not store it."""

    @classmethod
    def of(cls, corpus: Corpus, tokenizer: Tokenizer) -> PredictedText:
        """Returns the numbers of an encoded text."""
        positions, unknown = corpus.unknown_places, corpus.header.unknown
        first_is_unknown = positions is not None and len(positions) > 0 and positions[0] == 0
        spelling = corpus.header.spelling if unknown else 0.0
        return cls(predicted_characters(corpus, tokenizer), unknown - first_is_unknown, spelling)


def predicted_characters(corpus: Corpus, tokenizer: Tokenizer) -> int:
    """Returns the number of characters of a text without those of its first token, at least 1.

    These are characters of the text, not of the decoded ids: an unknown word counts with its own length in place of
    that of `<unk>`, and every space of a run counts. Only the length of the first token is that of its decoded id.
    """
    return max(1, corpus.characters - tokenizer.characters(corpus.tokens[:1]))


def scores_of(nats: Nats, text: PredictedText, tokenizer: Tokenizer) -> dict[str, float]:
    """Returns the scores of a validation text.

    Args:
        nats: the losses of the predicted tokens.
        text: their characters and unknown tokens.
        tokenizer: the tokenizer of the text.

    Returns:
        `loss` and `perplexity`. If there are unknown tokens, `unknown_share`, their share of the predicted tokens, and
        unless all are unknown, `perplexity_known`, the perplexity of the others. `bits_per_char`, including spelling;
        `bits_per_byte` for bytes. For a text with unknown tokens that an earlier version encoded, neither
        `perplexity_known` nor `bits_per_char`, because the positions and the spelling of these tokens are not stored.
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


def evaluation_scores(nats: Nats, corpus: Corpus, tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns the scores of `LanguageModel.evaluate`: `scores_of` and counts, those of unknown tokens even if 0."""
    text = PredictedText.of(corpus, tokenizer)
    scores = {**scores_of(nats, text, tokenizer), "tokens": len(corpus), "characters": corpus.characters}
    scores |= {"unknown": corpus.header.unknown, "unknown_share": text.unknown / nats.steps}
    if not text.unknown:
        scores["perplexity_known"] = scores["perplexity"]
    if tokenizer.name != "byte":
        scores["spelling_bits_per_char"] = bits_per_character(text.spelling or 0.0, text.characters)
    return scores


def report(scores: dict[str, Any]) -> str:
    """Returns the scores of `LanguageModel.evaluate` as text for the terminal."""
    return "\n".join(_lines(scores))


def _lines(scores: dict[str, Any]) -> Iterator[str]:
    unknown = scores["unknown"]
    for name, value in scores.items():
        if name == "loss_by_position" or (not unknown and name in _OF_UNKNOWN):
            continue
        shown = figure(value, grouped=True) if isinstance(value, float) else f"{value:,}"
        yield f"{name.replace('_', ' '):<22} {shown}"
    if unknown:
        yield ""
        yield "Unknown tokens are outside the vocabulary. loss and perplexity count <unk> as one word, perplexity known"
        yield "leaves it out, bits per char adds the spelling of each; only that one compares vocabularies."
    yield ""
    yield "loss by number of tokens read since the initial state"
    for row in scores["loss_by_position"]:
        positions = str(row["from"]) if row["from"] == row["to"] else f"{row['from']} to {row['to']}"
        yield f"{positions:<22} {row['loss']:.4f}"
