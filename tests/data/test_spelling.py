"""What spelling a word costs: a distribution over strings, from the words of a vocabulary."""

import math
from itertools import product

import pytest

from recurra.data import ByteTokenizer, CharTokenizer, WordTokenizer
from recurra.data.tokenizers.spelling import Spelling, byte_nats

WORDS = ["the", "cat", "then", "cats", "hat"]


def test_a_trigram_equals_witten_and_bell_by_hand():
    spelling = Spelling(["ab", "ac"])
    # Unigrams: a 2, b 1, c 1, end 2 of 6, four kinds.
    one = {"a": 2, "b": 1, "c": 1, "": 2}
    base = 1 / 256
    unigram = {name: (count + 4 * base) / 10 for name, count in one.items()}
    # "a" after the start twice, one kind; then b or c after a, two kinds; the end after b, once.
    first = (2 + 1 * ((2 + 1 * unigram["a"]) / 3)) / 3
    second = (1 + 2 * ((1 + 2 * unigram["b"]) / 4)) / 4
    end = (1 + 1 * ((1 + 1 * unigram[""]) / 2)) / 2
    assert spelling.nats("ab") == pytest.approx(-math.log(first * second * end))


def test_the_probabilities_of_strings_sum_to_less_than_one_and_hold_most_of_it():
    spelling = Spelling(["a", "ab", "ba"])
    strings = ["".join(letters) for length in range(7) for letters in product("abc", repeat=length)]
    total = sum(math.exp(-spelling.nats(string)) for string in strings)
    assert 0.7 < total < 1


def test_what_looks_like_the_vocabulary_is_cheaper():
    spelling = Spelling(WORDS)
    assert spelling.nats("that") < spelling.nats("ttah") < spelling.nats("qqqq") < spelling.nats("日本語語")


def test_any_string_has_a_finite_cost():
    spelling = Spelling(WORDS)
    for word in ("", "\ud800", "\U0010ffff", "x" * 10_000, "<unk>"):
        assert 0 < spelling.nats(word) < math.inf


def test_without_words_a_string_costs_its_bytes_and_one_for_the_end():
    assert Spelling([]).nats("é") == pytest.approx(byte_nats("éx"))


def test_a_large_vocabulary_is_thinned_out():
    words = [f"w{number}" for number in range(200_000)]
    assert math.isfinite(Spelling(words).nats("w7"))


def test_units_say_what_a_missing_symbol_costs():
    assert CharTokenizer(["a"]).spelling_nats("b") == pytest.approx(math.log(256))
    assert CharTokenizer(["a"]).spelling_nats("語") == pytest.approx(3 * math.log(256))
    words = WordTokenizer(["<unk>", "<eos>", *WORDS])
    assert words.spelling_nats("that") == Spelling(WORDS).nats("that")
    assert words.missing_places("the dog <unk>\ndog").tolist() == [1, 4]
    assert ByteTokenizer().missing_places("x").tolist() == []
