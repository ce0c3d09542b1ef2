"""Words out of running text."""

import pytest

from recurra.data.word_splitting import tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't go, it's late!", "Do n't go , it 's late !"),
        ("Mr. Fox (of the U.S.) paid $3,500.50 at 10:30.", "Mr. Fox ( of the U.S. ) paid $ 3,500.50 at 10:30 ."),
        ("See https://a.b/c?d=1 or ask me@x.org...", "See https://a.b/c?d=1 or ask me@x.org ..."),
        ("naïve Größe -- «ça va?!»", "naïve Größe -- « ça va ? ! »"),
        ("  ", ""),
    ],
)
def test_words(text, words):
    assert tokenize(text)[0] == words.split()


def test_spaces_give_the_text_back():
    text = "Don't go, it's (quite) late!"
    words, spaces = tokenize(text)
    assert "".join(word + " " * space for word, space in zip(words, spaces, strict=True)).rstrip() == text
