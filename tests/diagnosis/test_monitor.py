import json

import pytest
import torch
from toys import TINY, sentences

import recurra
from recurra.errors import InputError, RecurraError
from recurra.training import TrainingOptions
from recurra.training import train as run_training
from recurra.training.monitor import copy_parameters, update_ratios


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.txt"
    path.write_text(sentences(60))
    return path


def events(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_watched_run_logs_and_ends_in_the_same_bits(small, tmp_path):
    options = {**TINY, "steps": 9, "valid_every": 6, "dropout": 0.3}
    watched = recurra.train("lm", small, out=tmp_path / "watched", monitor=True, **options)
    plain = recurra.train("lm", small, out=tmp_path / "plain", **options)
    for one, two in zip(watched.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.equal(one, two)
    seen = [event for event in events(tmp_path / "watched") if event["event"] == "monitor"]
    assert [event["step"] for event in seen] == [1, 2, 4, 6, 8, 9]
    assert not any(event["event"] == "monitor" for event in events(tmp_path / "plain"))
    for event in seen:
        assert 0 < event["recurrent/gradient_at_lag_5"] < event["recurrent/gradient_at_lag_0"]
        assert 0 <= event["recurrent/saturated_f"] <= 1
        assert 0 < event["recurrent.weight_hh_l0/update_to_weight"] < 1


def test_tensorboard_has_its_curves(small, tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recurra.train("lm", small, out=tmp_path / "out", monitor=True, tensorboard=True, steps=2, **TINY)
    board = reading.EventAccumulator(str(tmp_path / "out" / "training" / "tensorboard"))
    board.Reload()
    assert "monitor/recurrent/gradient_at_lag_10" in board.Tags()["scalars"]


def test_what_went_wrong_is_named(small, tmp_path):
    with pytest.raises(
        RecurraError, match=r"Diagnosis: recurrent: (gradients explode|the state is not finite)"
    ) as caught:
        recurra.train(
            "lm", small, out=tmp_path / "out", steps=50, cell="elman", activation="relu", recurrent_init="normal",
            init_variance=200.0, clip=None, **TINY | {"learning_rate": 10.0},
        )  # fmt: skip
    assert "\n" not in str(caught.value)


def test_how_far_an_update_moves_each_weight():
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    before = copy_parameters(layer.named_parameters())
    with torch.no_grad():
        layer.weight[0, 0] += 0.2
    # A bias of zeros has no size to compare with.
    assert update_ratios(before, layer.named_parameters()) == pytest.approx({"weight": 0.1})


def test_watching_needs_a_monitor(tmp_path):
    with pytest.raises(InputError, match="pass monitor= to train"):
        run_training(None, TrainingOptions(steps=1, monitor=True), tmp_path, save_best=lambda metrics: None)
