"""Losses in other units: perplexity, bits per token and per character."""

import math

import pytest

from recurra.metrics import bits, bits_per_character, perplexity, perplexity_of_known


def test_a_perplexity_is_finite_for_any_loss_but_nan():
    assert perplexity(math.log(7)) == pytest.approx(7)
    assert math.isfinite(perplexity(math.inf))
    assert math.isnan(perplexity(math.nan))


def test_bits_count_a_choice_between_two_as_one():
    assert bits(math.log(8)) == pytest.approx(3)
    assert bits_per_character(math.log(8), 2) == pytest.approx(1.5)
    assert bits_per_character(math.log(8), 2, spelling=math.log(2)) == pytest.approx(2)


def test_unknown_tokens_are_left_out_with_their_loss():
    nats = [math.log(2), math.log(8), math.log(100)]
    assert perplexity_of_known(sum(nats), nats[2], tokens=3, unknown=1) == pytest.approx(4)
    assert perplexity_of_known(sum(nats), 0.0, tokens=3, unknown=0) == perplexity(sum(nats) / 3)
