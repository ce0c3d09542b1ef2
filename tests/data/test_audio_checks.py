"""Checks of recordings before training: each problem in one line that begins with the manifest's line and the name."""

import os
from pathlib import Path

import numpy as np
import pytest

from recurra.data.audio.checks import SampleCheck, check_features, check_length, check_text
from recurra.data.audio.overlaps import find_duplicates, shared_speakers
from recurra.data.audio.problems import PROBLEM_KINDS, ProblemKind, problem, summary
from recurra.data.audio.utterance import Utterance

RATE = 8000
TONE = (0.5 * np.sin(0.05 * np.arange(RATE))).astype(np.float32)


def utterance(name="a.wav", *, text="one two", line=2, **fields):
    return Utterance(name=name, path=Path(name), text=text, place=f"train.csv:{line}", **fields)


def problems_of(samples, *, blocks=1):
    check = SampleCheck(utterance(), RATE)
    for block in np.array_split(np.asarray(samples, np.float32), blocks):
        check.accept(block)
    return [one.message for one in check.problems()]


@pytest.mark.parametrize("blocks", [1, 7])
def test_sound_has_no_problem_and_each_fault_has_its_line(blocks):
    assert problems_of(TONE, blocks=blocks) == []
    # A full-scale tone passes its maximum without two equal samples.
    assert problems_of(TONE * 2 * 127 / 128, blocks=blocks) == []
    assert problems_of(TONE * 1e-4, blocks=blocks) == [
        "train.csv:2: a.wav: silent: no sample is further than 0.001 from the mean"
    ]
    # A constant is silence too.
    assert "silent" in problems_of(TONE * 0 + 0.3, blocks=blocks)[0]
    [clipped] = problems_of(np.clip(TONE * 4, -1, 1), blocks=blocks)
    assert clipped.startswith("train.csv:2: a.wav: clipped: ")
    share = np.mean(np.abs(TONE * 4) > 1)
    assert float(clipped.split("clipped: ")[1].split("%")[0]) / 100 == pytest.approx(share, abs=0.02)
    [offset] = problems_of(TONE + 0.1, blocks=blocks)
    assert "a DC offset of 0.1" in offset


def test_a_digest_depends_on_samples_and_rate_alone():
    def digest(samples, rate, blocks):
        check = SampleCheck(utterance(), rate)
        for block in np.array_split(samples, blocks):
            check.accept(block)
        return check.digest()

    assert digest(TONE, RATE, 1) == digest(TONE, RATE, 5)
    assert len({digest(TONE, RATE, 1), digest(TONE, RATE + 1, 1), digest(TONE[1:], RATE, 1)}) == 3


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((0, 4)), "shorter than a frame"),
        (np.ones((5, 3)), "3 coefficients, expected 4"),
        (np.where(np.arange(20).reshape(5, 4) == 9, np.nan, 1.0), "frame 2 is not finite in float64"),
        (np.where(np.arange(20).reshape(5, 4) == 9, np.inf, 1.0).astype(np.float32), "frame 2 is not finite"),
        (np.ones((5, 4)), "all 5 frames are equal"),
    ],
)
def test_features_that_cannot_be_used(features, message):
    [found] = check_features(utterance(), features, 4)
    assert found.message.startswith("train.csv:2: a.wav: ")
    assert message in found.message
    assert found.kind.fatal


def test_features_of_one_frame_and_changing_ones_can_be_used():
    assert check_features(utterance(), np.ones((1, 4)), 4) == []
    assert check_features(utterance(), np.arange(8.0).reshape(2, 4), 4) == []


def test_a_text_may_be_absent_but_not_empty():
    assert check_text(utterance(text=None)) == check_text(utterance()) == []
    for text in ("", "  \t"):
        [found] = check_text(utterance(text=text))
        assert found.message == "train.csv:2: a.wav: the text is empty"


def test_equal_symbols_in_a_row_need_a_step_more():
    # b, o, o, k and a blank between the o's: 5 steps.
    book = utterance(text="book")
    assert check_length(book, 10, str, frames_per_step=2) == []
    [found] = check_length(book, 9, str, frames_per_step=2)
    assert found.message.endswith(
        "the text needs 5 output steps for CTC (4 symbols, 1 of them repeated), but 9 frames have only 4"
    )
    # Subwords need fewer.
    assert check_length(book, 2, lambda text: [text]) == []


def test_duplicates_by_segment_and_by_content():
    train = [utterance("a.wav"), utterance("b.wav", line=3, start=1.0, end=2.0)]
    same_file = utterance(os.path.join("folder", "..", "a.wav"), line=2)
    other_segment = utterance("b.wav", line=3, start=2.0, end=3.0)
    [found] = find_duplicates(train, [same_file, other_segment])
    assert "the same as train.csv:2: a.wav of the training set" in found.message
    digests = {"train_digests": [b"x", b"y"], "valid_digests": [b"z", b"y"]}
    found = find_duplicates(train, [utterance("c.wav"), utterance("d.wav")], **digests)
    assert [one.utterance.name for one in found] == ["d.wav"]


def test_a_shared_speaker_is_reported_once():
    train = [utterance(speaker="ann"), utterance(line=3, speaker="bob")]
    valid = [utterance("x.wav", speaker="bob"), utterance("y.wav", speaker="bob"), utterance("z.wav", speaker=None)]
    [found] = shared_speakers(train, valid)
    assert found.utterance.name == "x.wav"
    assert "the speaker bob is also in the training set, at train.csv:3" in found.message


def test_a_summary_has_fatal_kinds_first_and_names_the_first_utterances():
    some = [problem(utterance(f"{number}.wav", line=number), PROBLEM_KINDS[8], "x") for number in range(5)]
    other = ProblemKind("of another module", fatal=True)
    lines = summary([*some, some[0], problem(utterance(), other, "two\nlines")])
    assert lines == [
        "of another module: 1 utterance (a.wav)",
        "clipped: 5 utterances (0.wav, 1.wav, 2.wav, …)",
    ]
    assert "\n" not in problem(utterance(), other, "two\nlines").message
