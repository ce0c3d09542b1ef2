import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import build_tokenizer, fingerprint, open_text
from recurra.data.text import chunks

WORDS = "the cat sat on the mat, and the cat's hat sat on the cat; 3 hats, 33 cats – là-bas 虎.\n"
# Runs of whitespace that become tokens of their own: where a cut inside a run would show.
SPACES = "if a:  \n\n\n    b \n \n\tc\n" * 20

FINGERPRINT = """
import sys
from recurra.data import build_tokenizer, fingerprint, open_text
print(fingerprint(build_tokenizer("bpe", open_text(sys.argv[1]), vocabulary_size=296)))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("bpe") / "text.txt"
    path.write_text(WORDS * 20 + SPACES, encoding="utf-8", newline="\n")
    return path


@pytest.fixture(scope="module")
def tokenizer(path):
    return build_tokenizer("bpe", open_text(path), vocabulary_size=296)


def test_frequent_words_become_one_id(tokenizer):
    assert tokenizer.size == 296
    assert [tokenizer.symbol(token) for token in tokenizer.encode("the cat")] == ["the", " cat"]
    assert len(tokenizer.encode("xyz")) == 3


def test_any_text_comes_back(tokenizer):
    text = "nev\u00e9r s\u0113en\x00 \u200b\x85 \x1c\r\n\U0001f405 "
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.characters(tokenizer.encode(text)) == len(text)


# Letters, digits, punctuation, apostrophes and every kind of space: what the tokenizer's pattern tells apart.
pieces = st.lists(st.text(alphabet="ab's3.   \n\n\r\t\x0b\x1c\x85\u00a0\u2003虎é", max_size=6), max_size=12)


@given(pieces)
def test_chunks_encode_as_the_whole(tokenizer, path, blocks):
    whole = "".join(blocks)
    cut = list(chunks(blocks, tokenizer.cut, where=path))
    assert "".join(cut) == whole
    assert [token for chunk in cut for token in tokenizer.encode(chunk)] == tokenizer.encode(whole).tolist()


def test_chunks_do_not_wait_for_the_end(tokenizer, path):
    cut = list(chunks(["the cat sat", " on the", " mat"], tokenizer.cut, where=path))
    assert cut == ["the cat", " sat on", " the", " mat"]


def test_training_is_the_same_in_every_process(tokenizer, path):
    for _ in range(2):
        environment = {**os.environ, "PYTHONHASHSEED": "random"}
        command = [sys.executable, "-c", FINGERPRINT, str(path)]
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        assert printed.strip() == fingerprint(tokenizer)


def test_the_files_that_a_vocabulary_is_learnt_from_may_be_cut_anywhere(tmp_path, path, tokenizer, monkeypatch):
    monkeypatch.setattr("recurra.data.tokenizers.bpe._TRAINING_BLOCK", 7)
    assert fingerprint(build_tokenizer("bpe", open_text(path), vocabulary_size=296)) == fingerprint(tokenizer)
