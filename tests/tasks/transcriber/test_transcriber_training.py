"""A transcriber from files: it learns tones as words, is saved and loaded, and says what is wrong with recordings."""

import itertools
import json
import math

import numpy as np
import pytest
import soundfile
import torch

from recurra.errors import InputError
from recurra.tasks.job import Job
from recurra.tasks.recurrent_options import RecurrentOptions
from recurra.tasks.transcriber.corpus import make_batch
from recurra.tasks.transcriber.data import prepare, reopen
from recurra.tasks.transcriber.implementation import IMPLEMENTATION
from recurra.tasks.transcriber.options import (
    AugmentOptions,
    BatchOptions,
    FeatureOptions,
    NetworkOptions,
    RecordingOptions,
)
from recurra.tasks.transcriber.training import ctc_loss
from recurra.training.options import TrainingOptions

RATE = 8000
TONES = {"low": 300, "mid": 900, "high": 2500}


def tone(word, generator):
    count = int(generator.uniform(0.25, 0.4) * RATE)
    samples = 0.3 * np.sin(2 * np.pi * TONES[word] * np.arange(count) / RATE)
    # As recordings have, some of the room before and after.
    samples = np.pad(samples, RATE // 20)
    return samples + 0.003 * generator.standard_normal(len(samples))


@pytest.fixture
def recordings(tmp_path):
    """A manifest of 24 recordings of one tone each."""
    generator, rows = np.random.default_rng(0), ["audio,text,speaker"]
    for number in range(24):
        word = list(TONES)[number % 3]
        soundfile.write(tmp_path / f"{number}.wav", tone(word, generator), RATE)
        rows.append(f"{number}.wav,{word},speaker {number % 4}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def job(folder, recordings, **options):
    groups = {
        "data": RecordingOptions(**options),
        "features": FeatureOptions(mels=20),
        "network": NetworkOptions(recurrent=RecurrentOptions(hidden_size=24, num_layers=1), conv_channels=24),
        "augment": AugmentOptions(
            speed=0.05, pitch=0, noise=0.2, room=0, microphone=0.5, gain=3, join=0.6, join_seconds=2.0
        ),
        "batches": BatchOptions(batch_seconds=4.0),
        "training": TrainingOptions(learning_rate=5e-3),
    }
    arguments = groups["data"], groups["features"], folder
    data = prepare([recordings / "train.csv"], *arguments, reduction=None)
    return Job(IMPLEMENTATION, data, groups)


def learn(job, updates):
    trainable = job.trainable
    optimizer = torch.optim.Adam(trainable.network.parameters(), lr=5e-3)
    for _ in range(updates):
        trainable.network.train()
        [batch] = trainable.updates.update()
        loss = trainable.loss(trainable.network, batch, None)
        optimizer.zero_grad()
        (loss.total / loss.count).backward()
        torch.nn.utils.clip_grad_norm_(trainable.network.parameters(), 1.0)
        optimizer.step()


def test_it_learns_words_and_joined_words(recordings, tmp_path):
    one = job(tmp_path / "data", recordings)
    # Whole speakers are held out.
    assert {said.speaker for said in one.data.valid.said} == {"speaker 3"}
    assert one.data.reduction == 4
    before = one.trainable.validate(one.model.network)
    learn(one, 700)
    after = one.trainable.validate(one.model.network)
    assert after["wer"] == 0 < before["wer"]
    assert after["loss"] < 0.2 < before["loss"] < one.data.uniform_loss() * 2
    generator, pause = np.random.default_rng(9), np.zeros(RATE // 5)
    words = ["mid", "low", "high", "mid"]
    samples = np.concatenate([np.concatenate([tone(word, generator), pause]) for word in words]).astype(np.float32)
    samples += 0.001 * generator.standard_normal(len(samples)).astype(np.float32)
    assert one.model.transcribe(samples, RATE).text == " ".join(words)
    scores = one.model.evaluate(recordings / "train.csv")
    assert scores["wer"] == 0
    assert set(scores["speakers"]) == {f"speaker {number}" for number in range(4)}
    assert "word error" in IMPLEMENTATION.report(scores)


def test_batches_follow_from_the_seed_and_the_position(recordings, tmp_path):
    first, second = (job(tmp_path / f"data{number}", recordings).trainable.updates for number in range(2))
    for _ in range(3):
        first.update()
    second.load_state_dict(first.state_dict())
    for _ in range(20):
        [one], [other] = first.update(), second.update()
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.targets, other.targets)


def test_data_are_the_same_when_reopened(recordings, tmp_path):
    one, again = job(tmp_path / "data", recordings).data, reopen(tmp_path / "data")
    assert again.notes() == one.notes()
    assert again.settings == one.settings
    assert [again.train.ids(number).tolist() for number in range(len(again.train))] == [
        one.train.ids(number).tolist() for number in range(len(one.train))
    ]


def test_a_recording_that_cannot_be_used_is_named_and_skipped_on_request(recordings, tmp_path):
    (recordings / "4.wav").write_bytes(b"")
    with (recordings / "train.csv").open("a") as file:
        file.write("0.wav,a text that is much longer than a third of a second of sound allows,speaker 0\n")
    with pytest.raises(InputError, match="2 recordings cannot be used.*--skip-bad") as caught:
        job(tmp_path / "data", recordings)
    notes = "\n".join(caught.value.__notes__)
    assert "train.csv:6: 4.wav: " in notes
    assert "train.csv:26: 0.wav: the text needs" in notes
    one = job(tmp_path / "data", recordings, skip_bad=True)
    assert len(one.data.train) + len(one.data.valid) == 23
    assert any("cannot be read: 1 utterance (4.wav)" in line for line in one.data.notes())


def test_doubled_letters_need_more_steps(recordings, tmp_path):
    text = (recordings / "train.csv").read_text().replace("low", "aabbccddeeffgg")
    (recordings / "train.csv").write_text(text)
    assert job(tmp_path / "data", recordings).data.reduction < 3


def test_a_model_is_stored_and_loaded(recordings, tmp_path):
    from recurra.tasks.transcriber.model import Transcriber

    model = job(tmp_path / "data", recordings).model
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in model.files().items():
        (folder / name).write_text(text)
    config = json.loads(json.dumps(model.config()))
    again = Transcriber.from_files(config, folder)
    again.network.load_state_dict(model.network.state_dict())
    samples = tone("low", np.random.default_rng(1)).astype(np.float32)
    assert again.transcribe(samples, RATE) == model.transcribe(samples, RATE)
    with pytest.raises(InputError, match="symbols is 99"):
        Transcriber.from_files({**config, "symbols": 99}, folder)
    with pytest.raises(InputError, match="expected the fields"):
        Transcriber.from_files({**config, "features": {}}, folder)


def test_a_lead_leaves_out_the_alignments_with_a_symbol_in_it():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 2, 3, generator=generator, requires_grad=True)
    batch = make_batch([np.zeros((4, 1), np.float32)] * 2, [np.array([1, 2]), np.array([2])], [2, 0])
    loss = ctc_loss(scores, torch.tensor([4, 4]), batch, leads=batch.leads)
    probabilities = scores.detach().double().softmax(-1)
    expected = 0.0
    for row, (symbols, lead) in enumerate((([1, 2], 2), ([2], 0))):
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            written = [symbol for symbol, _ in itertools.groupby(path) if symbol]
            if written == symbols and not any(path[:lead]):
                total += math.prod(float(probabilities[t, row, symbol]) for t, symbol in enumerate(path))
        expected -= math.log(total)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert torch.isfinite(scores.grad).all()
    # Blanks in the lead become more probable.
    assert (scores.grad[:2, 0, 0] < 0).all()
