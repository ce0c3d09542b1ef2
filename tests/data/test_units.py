import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import (
    TOKENIZERS,
    ByteTokenizer,
    CharTokenizer,
    WordTokenizer,
    build_tokenizer,
    check_tokenizer,
    fingerprint,
    load_tokenizer,
    open_text,
)
from recurra.errors import InputError

POEM = "Tiger, tiger,\r\nburning  bright\tin the forêsts\n\nof the night – 虎 🐅\nTiger, tiger\n"


def opened(folder, text, name):
    path = folder / "text.txt"
    path.write_bytes(text.encode())
    return open_text(path, raw=name == "byte")


def built(folder, text, name, **options):
    return build_tokenizer(name, opened(folder, text, name), **options)


@pytest.mark.parametrize("name", ["char", "byte", "bpe"])
def test_decoding_what_was_encoded_gives_the_text_back(tmp_path, name):
    tokenizer = built(tmp_path, POEM, name)
    ids = tokenizer.encode(POEM)
    assert ids.dtype == np.int64
    assert ids.min() >= 0
    assert ids.max() < tokenizer.size
    assert tokenizer.decode(ids) == POEM
    assert tokenizer.characters(ids) == len(POEM)
    assert tokenizer.missing(POEM) == []


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_one_by_one_spell_the_same_as_all_at_once(tmp_path, name):
    tokenizer = built(tmp_path, POEM, name)
    ids = tokenizer.encode(POEM)
    decoder = tokenizer.decoder()
    pieces = [decoder.push(int(token)) for token in ids]
    assert "".join(pieces) + decoder.flush() == tokenizer.decode(ids)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_loaded_unit_cuts_as_the_saved_one(tmp_path, name):
    tokenizer = built(tmp_path, POEM, name)
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is type(tokenizer)
    assert loaded.size == tokenizer.size
    assert loaded.encode(POEM).tolist() == tokenizer.encode(POEM).tolist()
    assert fingerprint(loaded) == fingerprint(tokenizer)


def test_characters_are_sorted_by_code_point_after_the_unknown_one(tmp_path):
    tokenizer = built(tmp_path, "hello é\n", "char")
    assert [tokenizer.symbol(token) for token in range(tokenizer.size)] == ["<unk>", "\n", " ", "e", "h", "l", "o", "é"]
    assert tokenizer.encode("hell zé").tolist() == [4, 3, 5, 5, 2, 0, 7]
    assert tokenizer.decode([4, 0, 7]) == "h\ufffdé"
    assert tokenizer.missing("hexenz") == ["x", "n", "z"]


def test_a_rare_character_is_unknown(tmp_path):
    tokenizer = built(tmp_path, "aabbc", "char", min_count=2)
    assert tokenizer.symbols == ("a", "b")
    with pytest.raises(InputError, match=r"min_count=3.*'a', occurs 2 times"):
        built(tmp_path, "aabbc", "char", min_count=3)


def test_characters_above_and_below_the_known_ones_are_unknown():
    tokenizer = CharTokenizer(["b", "c"])
    assert tokenizer.encode("abcd\U0010ffff\ud800").tolist() == [0, 1, 2, 0, 0, 0]


def test_bytes_keep_what_is_not_utf_8(tmp_path):
    data = bytes(range(256)) + b"\xef\xbb\xbf\r\n"
    (tmp_path / "any.bin").write_bytes(data)
    tokenizer = ByteTokenizer()
    text = "".join(open_text(tmp_path / "any.bin", raw=True).blocks(3))
    assert bytes(tokenizer.encode(text).astype(np.uint8)) == data
    assert tokenizer.decode([0xFF, 0x41]) == "\ufffdA"
    assert (tokenizer.symbol(0x41), tokenizer.symbol(0xE2)) == ("A", "\\xe2")


def test_an_unfinished_character_is_held_back_and_then_replaced():
    decoder = ByteTokenizer().decoder()
    assert [decoder.push(byte) for byte in "é虎".encode()[:-1]] == ["", "é", "", ""]
    assert decoder.flush() == "\ufffd"


def test_words_are_in_order_of_frequency_then_of_the_alphabet(tmp_path):
    tokenizer = built(tmp_path, "b a c\nb  a\td\n\n<unk> b\n", "word")
    assert tokenizer.symbols == ("<unk>", "<eos>", "b", "a", "c", "d")
    assert tokenizer.encode("a\r\n\nz <unk>\n").tolist() == [3, 1, 1, 0, 0, 1]
    assert tokenizer.missing("a z <unk> y") == ["z", "y"]
    assert tokenizer.decode([3, 2, 1, 1, 4, 0]) == "a b\n\nc <unk>"


def test_words_keep_the_most_frequent(tmp_path):
    text = "b a c\nb a d\nb e\n"
    assert built(tmp_path, text, "word", vocabulary_size=4).symbols == ("<unk>", "<eos>", "b", "a")
    assert built(tmp_path, text, "word", min_count=3).symbols == ("<unk>", "<eos>", "b")


@given(st.lists(st.integers(0, 4)))
def test_the_characters_of_words_are_those_of_their_text(ids):
    tokenizer = WordTokenizer(["<unk>", "<eos>", "a", "bcd", "été"])
    assert tokenizer.characters(np.array(ids, dtype=np.int64)) == len(tokenizer.decode(np.array(ids, dtype=np.int64)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("chr", {}, "Did you mean 'char'"),
        ("byte", {"min_count": 2}, "min_count=2 has no effect on the tokenizer 'byte'"),
        ("bpe", {"min_count": 2}, "min_count=2 has no effect"),
        ("char", {"vocabulary_size": 50}, "vocabulary_size=50 has no effect on the tokenizer 'char'"),
        ("word", {"vocabulary_size": 2}, "needs 3 or more"),
        ("bpe", {"vocabulary_size": 256}, "needs 257 or more"),
        ("word", {"min_count": 0}, "min_count=0, expected 1 or more"),
    ],
)
def test_an_option_without_use_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        check_tokenizer(name, **options)


def test_a_text_opened_for_another_unit_is_refused(tmp_path):
    text = opened(tmp_path, "abc", "char")
    with pytest.raises(InputError, match="'byte' needs raw=True"):
        build_tokenizer("byte", text)
