"""From files of pairs to encoded corpora on disk: what is kept, what is left out and told, and reopening."""

import json

import pytest

from recurra.errors import InputError
from recurra.tasks.translator.data import SCRATCH, prepare, reopen
from recurra.tasks.translator.options import PairOptions

WORDS = {"source_unit": "word", "target_unit": "word"}


@pytest.fixture
def table(tmp_path):
    def make(name, lines):
        path = tmp_path / name
        path.write_text("".join(f"{source}\t{target}\n" for source, target in lines), encoding="utf-8")
        return path

    return make


def decoded(prepared, corpus):
    vocabulary = prepared.vocabulary
    pairs = []
    for number in range(len(corpus)):
        source, target = corpus.pair(number)
        assert (len(source), len(target)) == (corpus.source_lengths[number], corpus.target_lengths[number])
        assert source.dtype == target.dtype == "int64"
        pairs.append((vocabulary.source.decode(source), vocabulary.target.decode(target)))
    return pairs


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_pairs_come_back_from_disk_one_for_each_target(table, tmp_path, tokenizer):
    lines = [("a b", "x"), ("我喜歡學習", "y z"), ("a b", "z"), ("أحب التعلم", "x x x"), ("c", "y"), ("a b c", "x y")]
    options = PairOptions(source_unit=tokenizer, target_unit=tokenizer, valid_share=0.3)
    prepared = prepare([table("a.tsv", lines)], options, tmp_path / "out")
    assert decoded(prepared, prepared.train) == [("a b", "x"), ("a b", "z"), *lines[1:2], lines[3]]
    assert prepared.train.facts.sources == 3
    assert [pair.source for pair in prepared.valid_pairs] == ["c", "a b c"]
    assert prepared.summary() == "4 pairs of a.tsv"


def test_the_vocabulary_is_of_the_training_part_alone(table, tmp_path):
    train, valid = (
        table("a.tsv", [("a", "x"), ("b", "y")]),
        table("b.tsv", [("a q", "x"), ("q r b q", "z w"), ("q r b q", "x")]),
    )
    prepared = prepare([train], PairOptions(valid=[valid], **WORDS), tmp_path / "out")
    assert prepared.vocabulary.source.missing("a q b") == ["q"]
    assert prepared.valid.facts.unknown == [7, 2]
    notes = prepared.notes()
    assert "validation data: 7 of 10 symbols of the sources (70 %) are unknown ('q', 'r')" in notes
    assert "validation data: 2 of 4 symbols of the targets (50 %) are unknown ('z', 'w')" in notes


def test_validation_files_may_be_parallel_where_training_is_a_table(table, tmp_path):
    (tmp_path / "v.a").write_text("a\n\nb\n")
    (tmp_path / "v.b").write_text("x\n\ny\n")
    options = PairOptions(valid_source=[tmp_path / "v.a"], valid_target=[tmp_path / "v.b"], **WORDS)
    prepared = prepare([table("a.tsv", [("a", "x"), ("b", "y")])], options, tmp_path / "out")
    assert decoded(prepared, prepared.valid) == [("a", "x"), ("b", "y")]
    # The texts keep empty sources: they are answered by an empty line.
    assert [pair.source for pair in prepared.valid_pairs] == ["a", "", "b"]


def test_pairs_with_an_empty_side_are_left_out_and_told(table, tmp_path):
    lines = [("a", "x"), ("b", " "), ("", "y"), ("a", ""), ("c", "z")]
    path = table("a.tsv", lines)
    prepared = prepare([path], PairOptions(valid=[table("b.tsv", [("a", "y")])], **WORDS), tmp_path / "out")
    assert decoded(prepared, prepared.train) == [("a", "x"), ("c", "z")]
    places = ", ".join(f"{path}:{line}" for line in (1, 2, 3))
    assert f"training data: 3 pairs with an empty side left out ({places})" in prepared.notes()
    assert prepared.vocabulary.target.missing("y") == ["y"]


def test_long_pairs_are_left_out_of_training_alone_and_told(table, tmp_path):
    long = " ".join(["a"] * 5000)
    train = table("a.tsv", [("a", "x"), (long, "x"), ("a", long), ("a a", "x")])
    valid = table("b.tsv", [(long, long)])
    prepared = prepare([train], PairOptions(valid=[valid], **WORDS), tmp_path / "out")
    assert decoded(prepared, prepared.train) == [("a", "x"), ("a a", "x")]
    note = f"training data: 2 pairs left out with more than 500 symbols on a side ({train}:1, {train}:2); --longest"
    assert any(line.startswith(note) for line in prepared.notes())
    assert prepared.valid.source_lengths.tolist() == prepared.valid.target_lengths.tolist() == [5000]
    whole = prepare([train], PairOptions(valid=[valid], longest=None, **WORDS), tmp_path / "whole")
    assert decoded(whole, whole.train)[1] == ("a", long)
    assert len(whole.train) == 4
    with pytest.raises(InputError, match="all pairs have more than 2 symbols"):
        prepare([table("c.tsv", [("a b c", "x")])], PairOptions(valid=[valid], longest=2, **WORDS), tmp_path / "none")


def test_what_is_in_both_parts_is_told(table, tmp_path):
    train = table("a.tsv", [("a b", "x"), ("c", "y"), ("d", "z"), ("c", "w")])
    valid = table("b.tsv", [("a  b", "y"), ("c", "w"), ("e", "x"), ("D", "z")])
    prepared = prepare([train], PairOptions(valid=[valid], **WORDS), tmp_path / "out")
    assert prepared.overlap == (2, 1)
    assert any("2 of 4 sources are in the training data too, 1 of them with the same" in x for x in prepared.notes())
    assert [prepared.vocabulary.seen(text) for text in ("a b ", "c", "e", "")] == [True, True, False, False]


def test_a_source_held_out_twice_counts_twice_and_its_targets_apart(table, tmp_path):
    train = table("a.tsv", [("c", "y"), ("d", "z"), ("c", "w")])
    (tmp_path / "v.a").write_text("c\nc\nc\n")
    (tmp_path / "v.b").write_text("w\nx\ny\n")
    options = PairOptions(valid_source=[tmp_path / "v.a"], valid_target=[tmp_path / "v.b"], **WORDS)
    assert prepare([train], options, tmp_path / "out").overlap == (3, 2)


def test_training_that_goes_on_keeps_the_symbols_and_what_was_seen(table, tmp_path):
    first = prepare([table("a.tsv", [("a", "x"), ("b", "y")])], PairOptions(**WORDS), tmp_path / "a")
    path = table("b.tsv", [("q", "x"), ("a b", "w"), ("r", "x")])
    second = prepare([path], PairOptions(**WORDS), tmp_path / "b", start=first.vocabulary)
    assert second.vocabulary.source is first.vocabulary.source
    assert second.vocabulary.source.missing("a b q") == ["b", "q"]
    assert [second.vocabulary.seen(text) for text in ("a", "q", "b")] == [True, True, False]
    assert not first.vocabulary.seen("q")
    assert any(
        line.startswith("training data: 2 of 3 symbols of the sources (66.7 %) are unknown") for line in second.notes()
    )


@pytest.mark.parametrize("options", [{"joint": True, **WORDS}, {"source_unit": "char", "target_unit": "bpe"}])
def test_what_was_prepared_is_reopened_without_its_files(table, tmp_path, options):
    lines = [("a b", "x"), ("", "y"), ("a b", "z y"), ("我\u2028喜", "שלום"), ("d", "x q"), ("e", "\x85")]
    path = table("a.tsv", lines)
    prepared = prepare([path], PairOptions(valid_share=0.5, longest=3, **options), tmp_path / "out")
    path.unlink()
    again = reopen(tmp_path / "out")
    assert again.notes() == prepared.notes()
    assert again.summary() == prepared.summary()
    assert again.valid_pairs == prepared.valid_pairs
    assert again.vocabulary.files() == prepared.vocabulary.files()
    assert decoded(again, again.train) == decoded(prepared, prepared.train)
    assert decoded(again, again.valid) == decoded(prepared, prepared.valid)
    assert all(file.name.startswith(SCRATCH) for file in (tmp_path / "out").iterdir())


def test_a_lost_or_damaged_file_is_told_in_one_line(table, tmp_path):
    folder = tmp_path / "out"
    prepare([table("a.tsv", [("a", "x"), ("b", "y"), ("c", "z")])], PairOptions(**WORDS), folder)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 20
    for name in names:
        whole = (folder / name).read_bytes()
        for content in (None, whole[: len(whole) // 2]):
            (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
            with pytest.raises(InputError) as caught:
                reopen(folder)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)
            (folder / name).write_bytes(whole)
    facts = json.loads((folder / "train.json").read_text())
    (folder / "train.json").write_text(json.dumps({**facts, "symbols": facts["symbols"][::-1], "pairs": "2"}))
    with pytest.raises(InputError, match=r"train"):
        reopen(folder)


def test_ends_that_do_not_fit_the_ids_are_refused(table, tmp_path):
    folder = tmp_path / "out"
    prepare([table("a.tsv", [("a", "x"), ("b", "y"), ("c", "z")])], PairOptions(**WORDS), folder)
    whole = (folder / "train.source.ends.bin").read_bytes()
    for place in (0, len(whole) - 8):
        (folder / "train.source.ends.bin").write_bytes(whole[:place] + b"\x09" + whole[place + 1 :])
        with pytest.raises(InputError, match=r"train\.source\.ends\.bin: does not fit train\.source\.ragged\.json"):
            reopen(folder)


def test_held_out_texts_that_are_fewer_are_refused(table, tmp_path):
    folder = tmp_path / "out"
    prepare([table("a.tsv", [("a", "x"), ("b", "y"), ("c", "z")])], PairOptions(valid_share=0.5, **WORDS), folder)
    texts = (folder / "valid.pairs.jsonl").read_text().splitlines(keepends=True)
    (folder / "valid.pairs.jsonl").write_text(texts[0])
    with pytest.raises(InputError, match=r"valid\.pairs\.jsonl: 1 pairs, expected 2"):
        reopen(folder)


@pytest.mark.parametrize(
    ("lines", "valid", "message"),
    [
        ([("a", "x")], None, "1 pairs, nothing to hold out"),
        ([("a", ""), ("", "x")], [("a", "x")], "no pair to learn from"),
        ([("a", "x")], [("a", "")], "no pair to validate with"),
        ([("a", "x"), ("", "y")], None, "no pair to validate with"),
    ],
)
def test_too_few_pairs_are_refused(table, tmp_path, lines, valid, message):
    held_out = None if valid is None else [table("b.tsv", valid)]
    with pytest.raises(InputError, match=message):
        prepare([table("a.tsv", lines)], PairOptions(valid=held_out, **WORDS), tmp_path / "out")


@pytest.mark.parametrize(("share", "kept"), [(0.1, 9), (0.11, 8), (0.99, 1), (0.001, 9), (0.07, 93)])
def test_the_last_share_of_the_sources_is_held_out(table, tmp_path, share, kept):
    lines = [(f"s{number}", "x") for number in range(100 if share == 0.07 else 10)]
    prepared = prepare([table("a.tsv", lines)], PairOptions(valid_share=share, **WORDS), tmp_path / "out")
    assert decoded(prepared, prepared.train) == lines[:kept]
    assert [pair.source for pair in prepared.valid_pairs] == [source for source, _ in lines[kept:]]
