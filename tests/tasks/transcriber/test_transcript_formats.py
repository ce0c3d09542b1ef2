"""Transcripts as text, JSON and subtitles; held-out speakers; alphabets; random changes of features."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recurra.data.audio.utterances import Utterance
from recurra.errors import InputError
from recurra.tasks.transcriber.alphabet import build_alphabet, load_alphabet
from recurra.tasks.transcriber.augment import Cepstra, MelBands, augmenter
from recurra.tasks.transcriber.holdout import hold_out
from recurra.tasks.transcriber.options import AugmentOptions, RecordingOptions
from recurra.tasks.transcriber.transcript import Transcript, Word
from recurra.tasks.transcriber.verbs.subtitles import FORMATS, cues

WORDS = [Word("one", 0.0, 0.4, 0.9), Word("<two>", 0.5, 1.0, 0.8), Word("three", 3661.5, 3662.25, 1.0)]
NOTHING = AugmentOptions(
    **dict.fromkeys(
        ("speed", "pitch", "noise", "room", "microphone", "gain", "pauses", "join", "time_masks", "frequency_masks"), 0
    )
)
BANDS = MelBands(20, 20.0, 4000.0)


def written(to):
    return FORMATS[to](Transcript(WORDS, 4000.0), Path("a.wav"))


def test_text_and_json():
    assert written("text") == "one <two> three\n"
    content = json.loads(written("json"))
    assert (content["text"], content["file"], content["seconds"]) == ("one <two> three", "a.wav", 4000.0)
    assert content["words"][1] == {"text": "<two>", "start": 0.5, "end": 1.0, "confidence": 0.8}


def test_subtitles():
    assert written("srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\none <two>\n\n2\n01:01:01,500 --> 01:01:02,250\nthree\n"
    )
    assert written("vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\none &lt;two&gt;\n\n01:01:01.500 --> 01:01:02.250\nthree\n"
    )


@pytest.mark.parametrize(("text", "seconds"), [("word" * 3, 0.3), ("a", 0.9)])
def test_a_subtitle_is_short(text, seconds):
    words = [Word(text, seconds * number, seconds * (number + 0.8), 1.0) for number in range(60)]
    groups = list(cues(words))
    assert [word for group in groups for word in group] == words
    for group in groups:
        assert group[-1].end - group[0].start <= 6
        assert len(" ".join(word.text for word in group)) <= 84


def utterances(speakers):
    return [
        Utterance(path=Path("x"), text=f"text {number}", speaker=speaker, place=f"{number}", name=f"{number}")
        for number, speaker in enumerate(speakers)
    ]


def test_whole_speakers_are_held_out():
    train, valid = hold_out(utterances("aabbccddee"), 0.3, where="m.csv")
    assert {one.speaker for one in valid} == {"d", "e"}
    assert {one.speaker for one in train} == {"a", "b", "c"}
    train, valid = hold_out(utterances([None] * 10), 0.2, where="m.csv")
    assert [one.name for one in valid] == ["8", "9"]
    with pytest.raises(InputError, match="nothing to hold out"):
        hold_out(utterances("a"), 0.2, where="m.csv")


def test_words_in_sorted_manifests_are_in_both_parts():
    words = [
        Utterance(path=Path(f"{n}"), text=word, place=f"m.csv:{n}", name=f"{n}")
        for n, word in enumerate(sorted(["one", "two", "three"] * 20))
    ]
    train, valid = hold_out(words, 0.1, where="m.csv")
    assert sorted(one.text for one in valid) == sorted(["one", "two", "three"] * 2)
    assert {one.name for one in train} | {one.name for one in valid} == {one.name for one in words}
    assert len(train) + len(valid) == len(words)


@pytest.mark.parametrize("unit", ["char", "bpe"])
def test_an_alphabet_spells_its_texts(unit, tmp_path):
    texts = ["the  cat ", "sat\n", "Über uns"]
    alphabet = build_alphabet(texts, RecordingOptions(unit=unit, lowercase=True), name="m.csv")
    for text in texts:
        ids = alphabet.encode(text)
        assert (ids > 0).all()
        assert alphabet.decode(ids) == " ".join(text.lower().split())
    assert len(alphabet.pieces) == alphabet.size
    for name, content in alphabet.files().items():
        (tmp_path / name).write_text(content)
    again = load_alphabet(tmp_path, lowercase=True)
    assert again.encode("cat").tolist() == alphabet.encode("cat").tolist()
    if unit == "char":
        assert alphabet.missing("cat?") == ["?"]
        assert alphabet.decode(alphabet.encode("c?at")) == "cat"
    with pytest.raises(InputError, match="all texts are empty"):
        build_alphabet([" "], RecordingOptions(unit=unit), name="m.csv")


def energies(seed, frames=60):
    return np.random.default_rng(seed).normal(10, 3, (frames, 20)).astype(np.float32)


def change(options, parts, seed=0):
    one = augmenter(options, features=20, cepstra=False, bands=BANDS, frame_seconds=0.01)
    return one.example(parts, np.random.default_rng(seed)).features


def examples(options, parts, count):
    one = augmenter(options, features=20, cepstra=False, bands=BANDS, frame_seconds=0.01)
    return [one.example(parts, np.random.default_rng(seed)) for seed in range(count)]


def test_without_changes_a_recording_stays():
    np.testing.assert_array_equal(change(NOTHING, [energies(0)]), energies(0))


@pytest.mark.parametrize("name", ["speed", "pitch", "noise", "room", "microphone", "gain"])
def test_each_change_is_finite_and_follows_from_its_generator(name):
    options = replace(NOTHING, **{name: {"speed": 0.3, "pitch": 0.3}.get(name, 1.0)})
    changed = change(options, [energies(1)], seed=4)
    assert np.isfinite(changed).all()
    assert changed.shape != (60, 20) or not np.allclose(changed, energies(1))
    np.testing.assert_array_equal(changed, change(options, [energies(1)], seed=4))
    if name in ("noise", "room"):
        # Energy is added, none is lost.
        assert (changed >= energies(1) - 1e-4).all()


def test_a_warp_moves_a_peak_to_the_frequency_divided_by_the_factor():
    peak = np.exp(-(((np.arange(40) - 20) / 2.0) ** 2))[None].astype(np.float32)
    bands = MelBands(40, 20.0, 8000.0)
    for factor in (0.8, 1.0, 1.25):
        place = int(bands.warp(peak, factor)[0].argmax())
        assert bands.hertz[place] == pytest.approx(bands.hertz[20] / factor, rel=0.06)


def test_cepstra_of_a_spectrum_return():
    cepstra = np.random.default_rng(0).normal(size=(7, 13))
    transform = Cepstra(13)
    np.testing.assert_allclose(transform.to_cepstra(transform.to_spectrum(cepstra)), cepstra, atol=1e-10)


def test_pauses_before_and_after_are_quiet_or_digital_silence_and_their_frames_are_counted():
    some = examples(replace(NOTHING, pauses=0.5), [energies(1)], 200)
    for example in some:
        np.testing.assert_array_equal(example.features[example.lead :][:60], energies(1))
        assert len(example.features) <= 60 + 2 * 60
        assert example.features[: example.lead].mean() < 9.7 if example.lead else True
    for share in (
        np.mean([example.lead > 0 for example in some]),
        np.mean([len(example.features) - example.lead > 60 for example in some]),
    ):
        assert 0.35 < share < 0.65
    digital = [np.ptp(example.features[0]) == 0 for example in some if example.lead]
    assert 0.05 < np.mean(digital) < 0.5
    assert {example.lead for example in examples(NOTHING, [energies(1)], 20)} == {0}


def test_a_change_of_volume_is_the_same_everywhere():
    change_of_volume = change(replace(NOTHING, gain=11.0), [energies(1)]) - energies(1)
    assert np.ptp(change_of_volume) < 1e-4
    assert abs(change_of_volume[0, 0]) > 0.1


def test_joined_recordings_are_in_order_with_pauses():
    joined = change(NOTHING, [energies(1), energies(2)])
    assert 120 <= len(joined) <= 120 + 3 * 60
    starts = [
        next(t for t in range(len(joined)) if np.array_equal(joined[t : t + 60], energies(seed))) for seed in (1, 2)
    ]
    assert starts[1] >= starts[0] + 60


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (AugmentOptions, {"speed": 0.9}, "speed=0.9: expected 0 to 0.5"),
        (AugmentOptions, {"time_masks": -1}, "time_masks=-1: expected 0 to 100"),
        (RecordingOptions, {"unit": "word"}, "there is no unit 'word'"),
        (RecordingOptions, {"unit": "bpe", "min_count": 2}, "subwords have no rare characters"),
    ],
)
def test_options_out_of_range_are_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        kind(**options)
