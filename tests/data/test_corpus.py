import errno
import json
import tracemalloc
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import (
    TOKENIZERS,
    CharTokenizer,
    Corpus,
    WordTokenizer,
    build_tokenizer,
    encode,
    load_tokenizer,
    open_text,
)
from recurra.errors import InputError, RecurraError

DATA = Path(__file__).parents[3] / "shared" / "data"


def write(folder, *texts):
    paths = [folder / f"{place}.txt" for place in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text.encode())
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("corpus")


texts = st.lists(st.text(alphabet="ab's, \n\r\t\u2003é虎", min_size=1, max_size=40), min_size=1, max_size=3)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(texts=texts, block_size=st.integers(1, 50))
def test_blocks_of_any_size_give_the_tokens_of_the_whole(folder, name, texts, block_size):
    known, *paths = write(folder, "ab'a, é ba, ab é\n" * 3, *texts)
    tokenizer = build_tokenizer(name, open_text(known, raw=name == "byte"))
    wholes = [text + "\n" * (not text.endswith("\n")) for text in texts[:-1]] + texts[-1:]
    expected = [tokenizer.encode(whole).tolist() for whole in wholes]
    tokens = list(chain.from_iterable(expected))
    if not tokens:
        with pytest.raises(InputError, match="only whitespace, expected words"):
            encode(open_text(paths, raw=tokenizer.raw), tokenizer, folder / "tokens")
        return
    corpus = encode(open_text(paths, raw=tokenizer.raw), tokenizer, folder / "tokens", block_size=block_size)
    assert corpus.tokens.tolist() == tokens
    assert corpus.characters == sum(map(len, wholes))
    spans = corpus.header.sources
    assert [span.path for span in spans] == [str(path) for path in paths]
    assert [corpus.tokens[span.start : span.end].tolist() for span in spans] == expected
    missing = [symbol for whole in wholes for symbol in tokenizer.missing(whole)]
    assert corpus.header.unknown == len(missing)
    assert dict(corpus.header.unknown_symbols) == {symbol: missing.count(symbol) for symbol in missing}
    symbols = iter(missing)
    named = {place: next(symbols) for place in corpus.unknown_places.tolist()}
    assert all(tokens[place] == tokenizer.unknown_id for place in named)
    cost = sum(tokenizer.spelling_nats(symbol) for place, symbol in named.items() if place)
    assert corpus.header.spelling == pytest.approx(cost)


@pytest.mark.parametrize(("size", "dtype"), [(256, "<u1"), (257, "<u2"), (65_536, "<u2"), (65_537, "<u4")])
def test_ids_take_the_least_bytes(tmp_path, size, dtype):
    tokenizer = WordTokenizer(["<unk>", "<eos>", *(f"w{number}" for number in range(size - 2))])
    corpus = encode(open_text(write(tmp_path, f"w0 w{size - 3}\n")), tokenizer, tmp_path / "tokens")
    assert corpus.header.dtype == dtype
    assert corpus.tokens.tolist() == [2, size - 1, 1]


def test_unknown_characters_are_counted_most_frequent_first(tmp_path):
    text = "a" + "".join(chr(0x100 + number) * (30 - number) for number in range(25))
    corpus = encode(open_text(write(tmp_path, text)), CharTokenizer(["a"]), tmp_path / "tokens", block_size=7)
    assert corpus.header.unknown == len(text) - 1
    assert corpus.header.unknown_symbols == tuple((chr(0x100 + number), 30 - number) for number in range(20))


def test_an_opened_corpus_is_the_encoded_one(tmp_path):
    tokenizer = CharTokenizer(["a", "b"])
    written = encode(open_text(write(tmp_path, "abba\ud7ff")), tokenizer, tmp_path / "tokens")
    opened = Corpus.open(tmp_path / "tokens", tokenizer)
    assert opened.header == written.header
    assert opened.tokens.tolist() == [1, 2, 2, 1, 0]
    assert not opened.tokens.flags.writeable
    assert {path.name for path in tmp_path.iterdir()} == {"0.txt", "tokens", "tokens.json", "tokens.unknown"}
    opened.verify()


def test_a_corpus_is_not_read_with_another_unit(tmp_path):
    encode(open_text(write(tmp_path, "abba")), CharTokenizer(["a", "b"]), tmp_path / "tokens")
    with pytest.raises(InputError, match="a different vocabulary"):
        Corpus.open(tmp_path / "tokens", CharTokenizer(["a", "c"]))


def test_a_damaged_corpus_is_refused(tmp_path):
    tokenizer = CharTokenizer(["a", "b"])
    path, header = tmp_path / "tokens", tmp_path / "tokens.json"
    corpus = encode(open_text(write(tmp_path, "abba")), tokenizer, path)
    path.write_bytes(b"\x01\x02\x02\x02")
    with pytest.raises(InputError, match="sha256"):
        corpus.verify()
    path.write_bytes(b"\x01\x02")
    with pytest.raises(InputError, match="has 2 bytes, its header says 4"):
        Corpus.open(path, tokenizer)
    path.unlink()
    with pytest.raises(InputError, match="tokens: no such file"):
        Corpus.open(path, tokenizer)
    header.write_text("{")
    with pytest.raises(InputError, match=r"tokens\.json: cannot be read as JSON"):
        Corpus.open(path, tokenizer)
    header.unlink()
    with pytest.raises(InputError, match=r"tokens\.json: no such file"):
        Corpus.open(path, tokenizer)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dtype", "<f4"),
        ("dtype", []),
        ("tokens", -1),
        ("tokens", True),
        ("characters", 1.5),
        ("sha256", None),
        ("unknown_symbols", [["a"]]),
        ("sources", [["a", 0, "9"]]),
        ("spelling", -1.0),
        ("spelling", "much"),
        ("more", 1),
        ("format", "recurra corpus 2"),
    ],
)
def test_an_edited_header_is_refused(tmp_path, field, value):
    tokenizer = CharTokenizer(["a", "b"])
    encode(open_text(write(tmp_path, "abba")), tokenizer, tmp_path / "tokens")
    header = tmp_path / "tokens.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), field: value}))
    with pytest.raises(InputError, match=r"tokens\.json: .*(damaged|not the header of a corpus)"):
        Corpus.open(tmp_path / "tokens", tokenizer)


def test_a_spelled_unknown_symbol_is_a_known_word(tmp_path):
    tokenizer = WordTokenizer(["<unk>", "<eos>", "a"])
    corpus = encode(open_text(write(tmp_path, "b a <unk> a\n<unk> c\n")), tokenizer, tmp_path / "tokens")
    assert corpus.tokens.tolist() == [0, 2, 0, 2, 1, 0, 0, 1]
    assert Corpus.open(tmp_path / "tokens", tokenizer).unknown_places.tolist() == [0, 6]
    assert corpus.header.spelling == pytest.approx(tokenizer.spelling_nats("c"))


def test_a_corpus_of_an_earlier_version_opens_without_places(tmp_path):
    tokenizer = CharTokenizer(["a", "b"])
    encode(open_text(write(tmp_path, "abca")), tokenizer, tmp_path / "tokens")
    header = tmp_path / "tokens.json"
    fields = json.loads(header.read_text())
    del fields["spelling"]
    header.write_text(json.dumps(fields))
    (tmp_path / "tokens.unknown").unlink()
    opened = Corpus.open(tmp_path / "tokens", tokenizer)
    assert opened.unknown_places is None
    assert opened.header.spelling is None


def test_lost_places_of_unknown_tokens_are_missed(tmp_path):
    tokenizer = CharTokenizer(["a", "b"])
    encode(open_text(write(tmp_path, "abca")), tokenizer, tmp_path / "tokens")
    (tmp_path / "tokens.unknown").unlink()
    with pytest.raises(InputError, match=r"tokens\.unknown: has 0 bytes, its header says 8"):
        Corpus.open(tmp_path / "tokens", tokenizer)
    encode(open_text(write(tmp_path, "abba")), tokenizer, tmp_path / "tokens")
    assert not (tmp_path / "tokens.unknown").exists()


def test_a_full_disk_leaves_the_corpus_that_was_there(tmp_path, monkeypatch):
    tokenizer = CharTokenizer(["a", "b"])
    encode(open_text(write(tmp_path, "abba")), tokenizer, tmp_path / "tokens")
    text = open_text(write(tmp_path, "bbbbbbb"))

    def full(self, piece):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CharTokenizer, "encode", full)
    with pytest.raises(RecurraError, match="tokens: the encoded text could not be written: No space left"):
        encode(text, tokenizer, tmp_path / "tokens")
    monkeypatch.undo()
    assert Corpus.open(tmp_path / "tokens", tokenizer).tokens.tolist() == [1, 2, 2, 1]
    assert not list(tmp_path.glob("*.part"))


def test_memory_does_not_grow_with_a_huge_line(tmp_path):
    path = tmp_path / "line.txt"
    path.write_text("word after word " * 400_000)  # 6.4 MB on one line
    tokenizer = WordTokenizer(["<unk>", "<eos>", "word", "after"])
    tracemalloc.start()
    corpus = encode(open_text(path), tokenizer, tmp_path / "tokens", block_size=1 << 14)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(corpus.tokens, np.tile([2, 3, 2], 400_000))
    assert peak < 4 << 20


@pytest.mark.skipif(not (DATA / "ptb").is_dir(), reason="../shared/data/ptb is not here")
def test_the_penn_treebank_has_its_published_counts(tmp_path):
    train, valid, test = (open_text(DATA / "ptb" / f"ptb.{part}.txt") for part in ("train", "valid", "test"))
    tokenizer = build_tokenizer("word", train)
    assert tokenizer.size == 10_000
    tokenizer.save(tmp_path)
    named = {"train": train, "valid": valid, "test": test}
    corpora = [encode(text, load_tokenizer(tmp_path), tmp_path / name) for name, text in named.items()]
    assert [len(corpus) for corpus in corpora] == [929_589, 73_760, 82_430]
    assert [corpus.header.unknown for corpus in corpora] == [0, 0, 0]
