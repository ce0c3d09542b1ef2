"""Losses in the field's units: perplexity, bits per token and per character."""

from __future__ import annotations

import math

# exp of more overflows a float64, and JSON has no infinity: so large a perplexity is stored as exp(700), shown as inf.
_LARGEST_LOSS = 700.0


def perplexity(loss: float) -> float:
    """Exp of a loss in nats per token; exp(700), about 1e304, for a loss of 700 or more; NaN for NaN."""
    return math.nan if math.isnan(loss) else math.exp(min(loss, _LARGEST_LOSS))


def perplexity_of_known(nats: float, unknown_nats: float, *, tokens: int, unknown: int) -> float:
    """The perplexity of the tokens that the vocabulary has.

    Args:
        nats: the loss of all tokens, summed.
        unknown_nats: the part of it on unknown tokens.
        tokens: how many there are.
        unknown: how many of them are unknown; fewer than all.
    """
    return perplexity((nats - unknown_nats) / (tokens - unknown))


def bits(nats: float) -> float:
    """Nats in bits; of a loss per token, bits per token."""
    return nats / math.log(2)


def bits_per_character(nats: float, characters: int, *, spelling: float = 0.0) -> float:
    """The bits in which a text is predicted, per character.

    Args:
        nats: the loss of all tokens, summed.
        characters: of the predicted text.
        spelling: nats of spelling the unknown tokens (`Tokenizer.spelling_nats`), so that a vocabulary gains nothing
            by lacking words.
    """
    return bits(nats + spelling) / characters
