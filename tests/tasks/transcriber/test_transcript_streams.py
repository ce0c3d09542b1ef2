"""Sound in chunks: the words of the whole, whatever the chunks, the network and the search."""

import numpy as np
import pytest
import torch
from tasks.transcriber.transcribing import ALPHABET, RATE, features, sound, transcriber

from recurra.decoding.ctc import ctc_greedy
from recurra.errors import InputError
from recurra.tasks.transcriber.network_stream import log_probs_of

SAMPLES = sound(6)


def in_chunks(model, samples, seed, **options):
    generator, stream, words, start = np.random.default_rng(seed), model.stream(RATE, **options), [], 0
    while start < len(samples):
        size = int(generator.integers(1, 3000))
        words += stream.accept(samples[start : start + size]).words
        start += size
    return words + stream.finish()


def texts(words):
    return [word.text for word in words]


def log_probs(model, samples):
    frames = model.features.extractor.of_samples(samples, RATE)
    return log_probs_of(model.network, [model.features.finish(frames, model.statistics)])[0]


@pytest.mark.parametrize("lookahead", [0, 3])
@pytest.mark.parametrize("reduction", [1, 2, 4, 6])
def test_a_stream_equals_the_whole_recording(reduction, lookahead):
    model = transcriber(reduction=reduction, lookahead=lookahead)
    path = ctc_greedy(log_probs(model, SAMPLES))
    whole = model.transcribe(SAMPLES, RATE)
    assert len(whole.text) > 5
    assert whole.text == ALPHABET.decode(path.ids)
    for seed in range(3):
        words = in_chunks(model, SAMPLES, seed)
        assert texts(words) == texts(whole.words)
        np.testing.assert_allclose([word.start for word in words], [word.start for word in whole.words])
    assert whole.seconds == pytest.approx(6)


@pytest.mark.parametrize("options", [{"beam": 4}, {"hot_words": ["abc"]}])
def test_a_search_in_chunks_equals_that_of_the_whole(options):
    model = transcriber()
    assert texts(in_chunks(model, SAMPLES, 1, **options)) == texts(model.transcribe(SAMPLES, RATE, **options).words)


@pytest.mark.parametrize("changed", [{"normalise": "utterance"}, {"deltas": True}, {}])
def test_networks_that_need_later_frames_read_pieces(changed):
    model = transcriber(settings=features(**changed), bidirectional=True, lookahead=0)
    samples = sound(45)
    whole = texts(model.transcribe(samples, RATE).words)
    assert len(whole) > 20
    assert texts(in_chunks(model, samples, 1)) == whole


def test_a_row_alone_equals_the_row_in_a_batch():
    model = transcriber()
    rows = [
        model.features.finish(model.features.extractor.of_samples(sound(s, s), RATE), model.statistics)
        for s in (2, 5, 3)
    ]
    for alone, row in zip(rows, log_probs_of(model.network, rows), strict=True):
        np.testing.assert_allclose(log_probs_of(model.network, [alone])[0], row, atol=1e-5)


def test_whole_numbers_and_channels_are_converted():
    model = transcriber()
    text = model.transcribe(SAMPLES, RATE).text
    quantised = (SAMPLES * 32768).round().clip(-32768, 32767).astype(np.int16)
    assert model.transcribe((quantised / 32768).astype(np.float32), RATE).text == model.transcribe(quantised, RATE).text
    assert model.transcribe(np.stack([SAMPLES, SAMPLES], 1), RATE).text == text


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(10, np.float32), np.zeros(400, np.float32)])
def test_short_sounds_have_few_words(samples):
    assert len(transcriber().transcribe(samples, RATE).words) <= 1


def test_what_cannot_be_transcribed_is_refused():
    model = transcriber()
    stream = model.stream(RATE)
    for samples, message in (
        (np.array([0.0, np.nan]), "sample 1 is nan"),
        (np.zeros(3, np.int64), "samples are int64"),
        (np.zeros((2, 2, 2)), r"samples are \(2, 2, 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            stream.accept(samples)
    stream.finish()
    with pytest.raises(InputError, match="has ended"):
        stream.accept(SAMPLES)
    with pytest.raises(InputError, match="need their rate"):
        model.transcribe(SAMPLES)
    with pytest.raises(InputError, match="no option 'beams'"):
        model.transcribe(SAMPLES, RATE, beams=3)


def test_nothing_is_drawn_or_learned():
    model = transcriber()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    state = torch.get_rng_state()
    model.transcribe(SAMPLES, RATE)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())
