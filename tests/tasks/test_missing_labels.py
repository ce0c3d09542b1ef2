"""Words without a label, or with one that training never had, in a tagger's loss, scores and vocabulary."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import tagging
import torch

import recurra
from recurra.data.label_numbers import MISSING, LabelNumbers, possible_labels
from recurra.data.sentences import Sentence
from recurra.data.spans import convert, first_fault, rules
from recurra.errors import InputError
from recurra.layers import ConditionalRandomField
from recurra.metrics import LabelScores
from recurra.tasks.tagger.decoder import Losses, losses, nats_of_words, without_unseen
from recurra.tasks.tagger.formats import Layout
from recurra.tasks.tagger.report import report
from recurra.tasks.tagger.vocabulary import Counts

VALUES = ["O", "B-X", "I-X", "E-X", "S-X"]
NUMBERS = LabelNumbers(VALUES, "bioes")


class FakeNetwork:
    """A network of one label whose scores are given."""

    def __init__(self, field=None, *, spans=True):
        self._field, self._possible = field, possible_labels(VALUES, spans=spans)
        self.decoders = None if field is None else [field]

    def field(self, label):
        return self._field

    def possible(self, label):
        return self._possible


def batch_of(*sentences):
    numbers = [torch.tensor([NUMBERS.number(label) for label in labels]) for labels in sentences]
    labels = torch.nn.utils.rnn.pad_sequence(numbers, padding_value=MISSING)[None]  # (1, T, B)
    return SimpleNamespace(labels=labels, lengths=torch.tensor([len(one) for one in sentences]))


@pytest.fixture
def field():
    start, between, end = rules(VALUES, "bioes")
    field = ConditionalRandomField(5, allowed_start=start, allowed=between, allowed_end=end).double()
    for parameter in field.parameters():
        torch.nn.init.normal_(parameter)
    return field


def brute_nats(field, scores, sets):
    """-log of the share of the paths whose labels are in the sets, every path written out."""
    within, everything = [], []
    for path in itertools.product(range(5), repeat=len(scores)):
        score = field.score(scores[:, None], torch.tensor(path)[:, None])[0]
        everything.append(score)
        if all(VALUES[label] in choice for label, choice in zip(path, sets, strict=True)):
            within.append(score)
    return (torch.stack(everything).logsumexp(0) - torch.stack(within).logsumexp(0)).item()


def test_a_random_field_sums_over_the_words_without_a_label(field):
    batch = batch_of(["O", None, "S-X"], ["BS-X", None, None, None], ["O", "B-X", "E-X"], [None, None], ["O", "NEW"])
    scores = torch.randn(4, 5, 5, dtype=torch.float64)
    (loss,) = losses(FakeNetwork(field), [scores], batch)
    anything = set(VALUES)
    expected = brute_nats(field, scores[:3, 0], [{"O"}, anything, {"S-X"}])
    expected += brute_nats(field, scores[:4, 1], [{"B-X", "S-X"}, anything, anything, anything])
    expected += brute_nats(field, scores[:3, 2], [{"O"}, {"B-X"}, {"E-X"}])
    assert abs(loss.total.item() - expected) < 1e-10
    assert loss.words.item() == 2 + 1 + 3  # neither the sentence without labels nor that with an unknown one


def test_what_training_counts_is_what_the_loss_sums_over(field):
    batch = batch_of(["O", None, "S-X"], ["O", "NEW"], [None, "O"])
    batch.with_labels = lambda labels: SimpleNamespace(labels=labels, lengths=batch.lengths)
    cleaned = without_unseen(FakeNetwork(field), batch)
    assert cleaned.labels[0, :, 1].tolist() == [MISSING] * 3
    assert torch.equal(cleaned.labels[0, :, 0], batch.labels[0, :, 0])
    assert without_unseen(FakeNetwork(None), batch) is batch


def test_a_sentence_that_no_path_can_complete_has_no_loss_and_no_gradient():
    start, between, end = rules(VALUES[:2], "bioes")  # without E-X, B-X cannot end
    field = ConditionalRandomField(2, allowed_start=start, allowed=between, allowed_end=end)
    network = FakeNetwork(field)
    network._possible = possible_labels(VALUES[:2], spans=True)
    scores = torch.randn(2, 2, 2, requires_grad=True)
    (loss,) = losses(network, [scores], batch_of(["B-X", None], ["O", None]))
    assert loss.words.item() == 1
    loss.total.backward()
    assert bool(scores.grad.isfinite().all())
    assert torch.equal(scores.grad[:, 0], torch.zeros(2, 2))


def test_a_softmax_has_the_loss_of_the_words_that_count():
    batch = batch_of(["O", None, "IE-X"], ["NEW", "S-X"])
    scores = torch.randn(3, 2, 5, dtype=torch.float64)
    (loss,) = losses(FakeNetwork(), [scores], batch)
    share = scores.softmax(-1)
    expected = -math.log(share[0, 0, 0]) - math.log(share[2, 0, 2] + share[2, 0, 3]) - math.log(share[1, 1, 4])
    assert abs(loss.total.item() - expected) < 1e-10
    assert loss.words.item() == 3
    nats = nats_of_words(scores, batch.labels[0], possible_labels(VALUES, spans=True))
    assert abs(nats.sum().item() - expected) < 1e-10
    assert (nats != 0).sum().item() == 3


def test_losses_of_several_labels_are_each_divided_by_their_own_words():
    assert Losses([6.0, 5.0], [3, 2]).per_word() == 2.0 + 2.5
    assert Losses([6.0, 0.0], [3, 0]).per_word() == 2.0
    assert Losses([6.0, 3.0], [3, 3]).per_word() == 3.0


def layout(form):
    labels, names = {"conllu": ([3, 4, 5], ["upos", "xpos", "feats"]), "columns": ([1], ["label"])}[form]
    return Layout(format=form, word=0, names=names, labels=labels, features=[], columns=10, separator="tab")


def test_what_is_no_label():
    rows = [["1", "a", "a", "_", "", "_"], ["2", "_", "_", "X", "_", "F=1"], ["3", "c", "c", " ", "Y", ""]]
    assert layout("conllu").labels_of(Sentence(["a", "_", "c"], rows)) == [
        [None, "X", None],
        [None, None, "Y"],
        ["_", "F=1", None],
    ]
    rows = [["a", ""], ["b", "_"], ["c", " O "], ["d", "two words"]]
    assert layout("columns").labels_of(Sentence(list("abcd"), rows)) == [[None, "_", "O", "two words"]]


def test_missing_labels_are_not_in_the_vocabulary_but_what_spans_they_may_be_is():
    counts = Counts(layout("columns"), "bio")
    counts.add(Sentence(["a", "b", "c"], [["a", "B-X"], ["b", ""], ["c", "O"]]))
    counts.add(Sentence(["d"], [["d", ""]]))
    assert sorted(counts.labels[0]) == ["B-X", "E-X", "I-X", "O", "S-X"]
    assert "d" not in counts.words
    assert (counts.sentences, counts.unlabelled) == (1, 1)


def test_words_without_a_label_have_no_part_in_scores():
    tally = LabelScores("bio")
    gold = ["B-X", None, "O", "B-Y"]
    tally.add(gold, ["B-X", "I-X", "O", "B-Z"], [True] * 4, list("abcd"), "", unsure={0, 1})
    tally.add([None], ["B-X"], [True], ["e"], "", unsure={0})
    result = tally.result()
    assert (result["words"], result["missing"], result["sentences"]) == (3, 2, 1)
    assert result["accuracy"] == 2 / 3
    assert result["spans"] == 1  # whether B-X ends, nobody knows
    assert {row["span"] for row in result["by_span"]} == {"Y", "Z"}


OPTIONS = {**tagging.TINY, "epochs": 6, "min_count": 1}


def without_labels(text, every=3):
    """CoNLL-U in which a third of the words have no UPOS, and two thirds no XPOS."""
    lines, number = [], 0
    for line in text.split("\n"):
        fields = line.split("\t")
        if len(fields) == 10:
            number += 1
            fields[3] = "_" if number % every == 0 else fields[3]
            fields[4] = "_" if number % every else fields[4]
        lines.append("\t".join(fields))
    return "\n".join(lines)


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    """A tagger of partly labelled files, and its test file."""
    folder = tmp_path_factory.mktemp("partly")
    (folder / "train.conllu").write_text(without_labels(tagging.conllu(120)))
    (folder / "test.conllu").write_text(tagging.conllu(40, seed=1))
    (folder / "part.conllu").write_text(without_labels(tagging.conllu(40, seed=1)))
    options = {**OPTIONS, "labels": ["upos", "xpos"]}
    return recurra.train("tagger", folder / "train.conllu", out=folder / "m", **options), folder


def test_a_tagger_learns_from_partly_labelled_sentences(partly):
    model, folder = partly
    assert "_" not in [value for values in model.vocabulary.labels for value in values]
    scores = model.evaluate(folder / "test.conllu")
    assert scores["accuracy"] > 0.95
    part = model.evaluate(folder / "part.conllu")
    words = part["words"]
    upos, xpos = part["labels"]["upos"], part["labels"]["xpos"]
    assert (upos["missing"], xpos["missing"]) == (words // 3, words - words // 3)
    assert upos["words"] == words - upos["missing"]
    assert part["accuracy"] > 0.95
    assert part["loss"] == pytest.approx(upos["loss"] + xpos["loss"])


def test_the_loss_per_word_is_of_the_words_that_count(partly, tmp_path):
    model, folder = partly
    text = (folder / "test.conllu").read_text()
    whole = model.evaluate(folder / "test.conllu")["labels"]["upos"]
    (tmp_path / "new.conllu").write_text(text.replace("\tDET\t", "\tNEW\t"))
    new = model.evaluate(tmp_path / "new.conllu")["labels"]["upos"]
    (tmp_path / "none.conllu").write_text(text.replace("\tDET\t", "\t_\t"))
    none = model.evaluate(tmp_path / "none.conllu")["labels"]["upos"]
    assert new["loss"] == none["loss"] != whole["loss"]
    assert (new["unseen"], new["missing"]) == (none["missing"], none["unseen"]) == (text.count("\tDET\t"), 0)
    assert new["accuracy"] < none["accuracy"]


def test_where_nothing_has_a_label_there_is_nothing_to_score(partly, tmp_path):
    model, folder = partly
    blind = tmp_path / "blind.conllu"
    blind.write_text(tagging.conllu(3).replace("DET", "_"))
    one = [line.split("\t") for line in (folder / "test.conllu").read_text().split("\n")]
    rows = [[*fields[:3], "_", "_", *fields[5:]] if len(fields) == 10 else fields for fields in one]
    blind.write_text("\n".join("\t".join(fields) for fields in rows))
    with pytest.raises(InputError, match=r"blind.conllu: none of its \d+ words has a label of upos or xpos"):
        model.evaluate(blind)
    with pytest.raises(InputError, match=r"no word of the training data has a label of upos. Leave upos out"):
        recurra.train("tagger", blind, out=tmp_path / "m", **OPTIONS)
    with pytest.raises(InputError, match=r"no word of the training data has a label of upos"):
        recurra.train("tagger", blind, out=tmp_path / "m", init_from=folder / "m", steps=1)
    with pytest.raises(InputError, match=r"no word of the validation data has a label of upos, which determines"):
        recurra.train("tagger", folder / "train.conllu", valid=[blind], out=tmp_path / "m", **OPTIONS)
    assert not (tmp_path / "m").exists()


def test_training_goes_on_from_a_tagger_where_some_labels_are_new(partly, tmp_path):
    _, folder = partly
    path = tmp_path / "more.conllu"
    path.write_text(tagging.conllu(20).replace("\tDET\t", "\tNEW\t"))
    model = recurra.train("tagger", path, out=tmp_path / "m", init_from=folder / "m", steps=2)
    assert model.evaluate(path)["labels"]["upos"]["unseen"] > 0


@pytest.mark.parametrize("decoder", ["crf", "softmax"])
def test_spans_are_learned_from_partly_labelled_sentences(tmp_path, decoder):
    train, test = tmp_path / "train.tsv", tmp_path / "test.tsv"
    lines = tagging.columns(120).split("\n")
    # Every fourth word has no label, and a whole sentence has none.
    part = [f"{line.split(chr(9))[0]}\t" if line and number % 4 == 0 else line for number, line in enumerate(lines)]
    train.write_text("\n".join(part) + "x\t\ny\t\n\n")
    test.write_text(tagging.columns(40, seed=1))
    model = recurra.train("tagger", train, out=tmp_path / "m", decoder=decoder, **{**OPTIONS, "epochs": 12})
    assert model.scheme == "bio"
    assert not model.vocabulary.knows("x")
    assert model.evaluate(test)["f1"] > 0.9
    assert model.evaluate(train)["labels"]["label"]["missing"] > 100


@pytest.mark.parametrize("scheme", ["iob1", "bilou", "bmes", "bmewo", "io"])
def test_each_scheme_is_recognised_scored_and_written(tmp_path, scheme):
    def rewritten(text):
        blocks = [[line.split("\t") for line in block.split("\n")] for block in text.strip().split("\n\n")]
        for rows in blocks:
            for row, label in zip(rows, convert([row[1] for row in rows], scheme), strict=True):
                row[1] = label
        return "".join("".join("\t".join(row) + "\n" for row in rows) + "\n" for rows in blocks)

    train, test = tmp_path / "train.tsv", tmp_path / "test.tsv"
    # In a second sentence two places touch, which IOB1 marks.
    twin = "the\tO\nNew\tB-LOC\nYork\tI-LOC\nRome\tB-LOC\n.\tO\n\n" if scheme != "io" else ""
    train.write_text(rewritten(tagging.columns(120) + twin * 5))
    test.write_text(rewritten(tagging.columns(40, seed=1)))
    # Without a span of three words, the letters of BMES are those of BIOES.
    chosen = {"scheme": scheme} if scheme == "bmes" else {}
    model = recurra.train("tagger", train, out=tmp_path / "m", **OPTIONS, **chosen)
    assert model.scheme == scheme
    again = recurra.load(Path(tmp_path / "m"))
    assert again.scheme == scheme
    scores = again.evaluate(test)
    assert scores["f1"] > 0.9
    assert scores["accuracy"] > 0.9
    (labels,) = again.tag([["the", "cat", "sees", "New", "York", "."]])
    assert first_fault(labels, scheme) is None
    assert labels == convert(["O", "O", "O", "B-LOC", "E-LOC", "O"], scheme)
    (tagged,) = again.annotate([again.sentence(["Rome", "."])], probabilities=True)
    assert tagged.probabilities["label"][0] > 0.3


def test_words_alone_are_named_as_iob1_has_them():
    converter = LabelNumbers(["O", "B-X", "I-X", "E-X", "S-X", "S-Y"], "iob1")
    numbers = [0, 4, 4, 1, 3, 5, 0, 1]  # O S-X S-X B-X E-X S-Y O B-X
    labels = [converter.single_label(number, before) for before, number in zip([None, *numbers], numbers, strict=False)]
    assert labels == ["O", "I-X", "B-X", "B-X", "I-X", "I-Y", "O", "I-X"] == converter.labels([*numbers[:-1], 4])


def test_where_the_first_label_is_missing_throughout_the_others_are_scored(partly, tmp_path):
    model, folder = partly
    lines = [line.split("\t") for line in (folder / "test.conllu").read_text().split("\n")]
    rows = [[*fields[:3], "_", *fields[4:]] if len(fields) == 10 else fields for fields in lines]
    path = tmp_path / "xpos.conllu"
    path.write_text("\n".join("\t".join(fields) for fields in rows))
    scores = model.evaluate(path)
    assert scores["accuracy"] is None
    assert scores["labels"]["upos"]["loss"] is None
    assert scores["loss"] == scores["labels"]["xpos"]["loss"]
    assert "upos\n  not scored" in report(scores)
    assert "  nothing to score\n" in report(scores)
