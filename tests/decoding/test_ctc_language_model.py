"""Prefix beam search with a language model: outputs have the log-probabilities that `recurra score` computes."""

import itertools
import math

import numpy as np
import pytest
import torch

from recurra.data import BpeTokenizer, ByteTokenizer, CharTokenizer, WordTokenizer
from recurra.data.tokenizers.bpe import build_bpe
from recurra.decoding.ctc import CTCBeam, CTCBeamOptions, LanguageModelScorer, ctc_beam_search
from recurra.errors import InputError, RecurraError
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions
from recurra.tasks.language_model.step import GenerationStep
from recurra.tasks.recurrent_options import RecurrentOptions

LETTERS = ["", *"abc é"]
SUBWORDS = ["", " ab", "a", "b", " c", " ", "c a", "é"]
EXACT = {"beam": 10**4, "token_threshold": math.inf, "beam_threshold": math.inf, "max_pending": None}


class Lines:
    raw = False

    def files(self, block_size=0):
        yield "lines", ["ab ab abc\ncab ab abc ab\n" * 20]


def bpe():
    tokenizer = build_bpe(Lines(), vocabulary_size=262)
    assert isinstance(tokenizer, BpeTokenizer)
    return tokenizer


TOKENIZERS = {
    "char": lambda: CharTokenizer(["\n", " ", "a", "b", "c"]),
    "byte": ByteTokenizer,
    "word": lambda: WordTokenizer(["<unk>", "<eos>", "a", "ab", "abc", "ca"]),
    "bpe": bpe,
}


def model(unit, cell="lstm"):
    torch.manual_seed(5)
    recurrent = RecurrentOptions(cell=cell, hidden_size=8, num_layers=2)
    new = LanguageModel.new(TOKENIZERS[unit](), NetworkOptions(recurrent=recurrent, embedding_size=5))
    for parameter in new.network.parameters():
        parameter.data.mul_(4)
    new.network.eval()
    return new


def scorer(lm, pieces):
    step = GenerationStep(lm.network)
    return LanguageModelScorer(step, lm.network.initial_state(1), tokenizer=lm.tokenizer, pieces=pieces)


def text_of(ids, pieces, unit):
    text = "".join(pieces[symbol] for symbol in ids)
    if unit in ("word", "bpe"):
        return " ".join(text.split())
    # Without the space that separates the first subword from nothing.
    return text[1:] if ids and len(pieces[ids[0]]) > 1 and text[0] == " " else text


def line_log_probability(lm, text):
    [line] = lm.score([text])
    return -line.nats


def log_probs(seed, frames, size, sharp=1.5):
    draw = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(frames, size, generator=draw, dtype=torch.float64)).log_softmax(-1).numpy()


@pytest.mark.parametrize("pieces", [LETTERS, SUBWORDS], ids=["letters", "subwords"])
@pytest.mark.parametrize("unit", TOKENIZERS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_output_has_the_log_probability_of_its_line(unit, pieces, cell):
    lm, draw = model(unit, cell), np.random.default_rng(0)
    several = [draw.integers(1, len(pieces), size).tolist() for size in (0, 1, 3, 5, 8, 8, 9, 12)]
    scores = scorer(lm, pieces)
    states, totals = [scores.start()] * len(several), np.zeros(len(several))
    for place in range(12):
        rows = [row for row, ids in enumerate(several) if len(ids) > place]
        if rows:
            bounds = scores.next_log_probs([states[row] for row in rows])
            symbols = [several[row][place] for row in rows]
            after, added = scores.advance([states[row] for row in rows], symbols)
            assert bounds.shape == (len(rows), len(pieces))
            assert (added <= bounds[range(len(rows)), symbols] + 1e-5).all()
            totals[rows] += added
            for row, state in zip(rows, after, strict=True):
                states[row] = state
    expected = [line_log_probability(lm, text_of(ids, pieces, unit)) for ids in several]
    assert totals + scores.finish(states) == pytest.approx(np.array(expected), abs=1e-4)


def test_what_ranks_an_extension_is_exact_for_single_characters_and_words():
    for unit, exact in (("char", range(1, 5)), ("word", [4])):
        lm = model(unit)
        scores = scorer(lm, LETTERS)
        [state], _ = scores.advance([scores.start()], [1])
        [bounds] = scores.next_log_probs([state])
        for symbol in exact:
            _, [added] = scores.advance([state], [symbol])
            assert bounds[symbol] == pytest.approx(added, abs=1e-5)


def test_a_state_may_be_continued_several_times():
    scores = scorer(model("char"), LETTERS)
    [a], _ = scores.advance([scores.start()], [1])
    _, twice = scores.advance([a, a], [2, 3])
    [ab], first = scores.advance([a], [2])
    scores.advance([ab, a], [1, 1])
    _, second = scores.advance([a], [3])
    assert twice == pytest.approx([first[0], second[0]], abs=1e-6)


def every_output(values):
    sums = {}
    for path in itertools.product(range(values.shape[1]), repeat=len(values)):
        output = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        score = sum(values[frame, symbol] for frame, symbol in enumerate(path))
        sums[output] = np.logaddexp(sums.get(output, -np.inf), score)
    return sums


@pytest.mark.parametrize("unit", TOKENIZERS)
def test_the_score_of_every_output_is_the_sum_of_both_models_and_the_bonus(unit):
    lm, pieces, values = model(unit), ["", "a", "b", " "], log_probs(1, 5, 4)
    hypotheses = ctc_beam_search(
        values, CTCBeamOptions(**EXACT, lm_weight=0.6, length_bonus=0.9), scorer(lm, pieces), pieces=pieces
    )
    acoustic = every_output(values)
    assert {tuple(one.ids) for one in hypotheses} == set(acoustic)
    for one in hypotheses:
        language_model = line_log_probability(lm, text_of(one.ids, pieces, unit))
        assert one.log_probability == pytest.approx(acoustic[tuple(one.ids)])
        assert one.lm_log_probability == pytest.approx(language_model, abs=1e-4)
        score = one.log_probability + 0.6 * one.lm_log_probability + 0.9 * len(one.ids)
        assert one.score == pytest.approx(score)
    assert hypotheses[0].score == max(one.score for one in hypotheses)


@pytest.mark.parametrize("unit", ["char", "word"])
def test_any_chunks_equal_the_whole(unit):
    lm, values = model(unit), log_probs(2, 120, len(LETTERS), sharp=3.0)
    options = CTCBeamOptions(beam=6, lm_weight=0.5, length_bonus=0.5, max_pending=8)
    whole = ctc_beam_search(values, options, scorer(lm, LETTERS))
    beam, taken = CTCBeam(options, scorer(lm, LETTERS)), []
    for chunk in np.split(values, [1, 2, 30, 64, 65, 100]):
        beam.accept(chunk)
        taken += beam.take_settled()
    assert len(taken) > 10
    assert [(taken + one.ids, *one[1:]) for one in beam.finish()] == [tuple(one) for one in whole]


class Counted:
    """A `Step` that counts the rows that it reads."""

    def __init__(self, step):
        self.step, self.rows = step, []

    def __call__(self, tokens, state):
        self.rows.append(len(tokens))
        return self.step(tokens, state)

    def select(self, state, rows):
        return self.step.select(state, rows)


def test_the_language_model_runs_once_for_each_prefix_that_enters_the_beam():
    lm = model("char")
    step = Counted(GenerationStep(lm.network))
    scores = LanguageModelScorer(step, lm.network.initial_state(1), tokenizer=lm.tokenizer, pieces=LETTERS)
    beam = CTCBeam(CTCBeamOptions(lm_weight=0.5, beam_threshold=5.0), scores)
    blank, clear = np.full((1, 6), math.log(1e-5)), np.full((1, 6), math.log(1e-5))
    blank[0, 0], clear[0, 2] = math.log(1 - 5e-5), math.log(1 - 5e-5)
    beam.accept(blank)
    assert step.rows == [1]
    beam.accept(clear)
    assert step.rows == [1, 1]
    beam.accept(np.concatenate([clear, clear, blank, blank]))
    assert step.rows == [1, 1]
    beam.accept(log_probs(0, 1, 6))
    assert len(step.rows) == 3


def test_a_language_model_changes_the_best_output():
    values = np.log([[0.02, 0.47, 0.51, 1e-9, 1e-9, 1e-9]])
    lm = model("char")
    by_line = {text: line_log_probability(lm, text) for text in "ab"}
    assert by_line["a"] > by_line["b"] + 0.5
    assert ctc_beam_search(values)[0].ids == [2]
    assert ctc_beam_search(values, CTCBeamOptions(lm_weight=1.0), scorer(lm, LETTERS))[0].ids == [1]
    # A weight of 0 does not run it.
    assert ctc_beam_search(values, CTCBeamOptions(), scorer(lm, LETTERS)) == ctc_beam_search(values)


def test_symbols_that_the_language_model_does_not_know_are_listed_and_cost_their_spelling():
    lm = model("char")
    assert scorer(lm, LETTERS).unknown == ["é"]
    assert scorer(lm, ["", "A", "B", " "]).unknown == ["A", "B"]
    assert scorer(model("word"), LETTERS).unknown == []


def test_messages():
    lm, values = model("char"), log_probs(0, 3, 4)
    with pytest.raises(InputError, match="the language model scores 6 symbols, but the network has 4"):
        ctc_beam_search(values, CTCBeamOptions(lm_weight=1.0), scorer(lm, LETTERS))
    with pytest.raises(InputError, match="the initial state of the language model has 2 rows: expected 1"):
        LanguageModelScorer(GenerationStep(lm.network), lm.network.initial_state(2), tokenizer=lm.tokenizer, pieces=[])
    lm.network.readout.bias.data.fill_(math.nan)
    with pytest.raises(RecurraError, match="the language model returns NaN"):
        ctc_beam_search(log_probs(0, 3, 6), CTCBeamOptions(lm_weight=1.0), scorer(lm, LETTERS))
