import io
import json
import sys

import pytest
from training_toy import Stopping, Toy

from recurra.errors import InputError
from recurra.training import (
    Interval,
    LiveProgress,
    PlainProgress,
    TrainingOptions,
    choose_progress,
    log,
    machine,
    train,
)


def ignore(metrics):
    pass


def lines_of(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_every_line_is_json_and_says_what_happened(tmp_path):
    options = TrainingOptions(steps=12, log_every=4, valid_every=6)
    result = train(Toy(), options, tmp_path, save_best=ignore, extra_header={"task": "ramps"})
    header, *rest = lines_of(tmp_path)
    assert header["event"] == "header"
    assert header["task"] == "ramps"
    assert header["options"]["learning_rate"] == 0.003
    assert header["total_steps"] == 12
    assert header["threads"] == 1
    assert header["machine"]["sgemm_gflops"] == 1.0
    assert [(line["event"], line["step"]) for line in rest] == [
        ("train", 4),
        ("validation", 6),
        ("train", 8),
        ("train", 12),
        ("validation", 12),
        ("end", 12),
    ]
    train_line = rest[0]
    assert train_line["perplexity"] == pytest.approx(2.718281828 ** train_line["loss"])
    assert train_line["tokens_per_second"] > 0
    assert train_line["gradient_norm"] > 0
    assert train_line["learning_rate"] > 0
    assert rest[1]["loss"] == result.history[0]["loss"]
    assert rest[-1]["stopped_because"] == "finished"


def test_a_line_holds_the_mean_over_its_interval(tmp_path):
    for name, every in (("fine", 1), ("coarse", 4)):
        train(Toy(), TrainingOptions(steps=8, log_every=every), tmp_path / name, save_best=ignore)
    fine, coarse = (
        [line for line in lines_of(tmp_path / name) if line["event"] == "train"] for name in ("fine", "coarse")
    )
    for key in ("loss", "gradient_norm"):
        means = [sum(line[key] for line in fine[at : at + 4]) / 4 for at in (0, 4)]
        assert [line[key] for line in coarse] == pytest.approx(means)


def test_an_interval_is_seconds_by_default(tmp_path):
    class Slow(Toy):
        now = 0.0

        def loss(self, network, batch, state):
            self.now += 2.0
            return super().loss(network, batch, state)

        def validate(self, network):
            self.now += 1000.0
            return super().validate(network)

    toy = Slow()
    train(toy, TrainingOptions(steps=12, valid_every=6), tmp_path, save_best=ignore, clock=lambda: toy.now)
    intervals = [line for line in lines_of(tmp_path) if line["event"] == "train"]
    assert [line["step"] for line in intervals] == [3, 6, 9, 12]
    # A validation's time is not that of training.
    assert [line["tokens_per_second"] for line in intervals] == pytest.approx([7.5] * 4)


def test_numbers_json_does_not_have_become_null(tmp_path):
    run_log = log.RunLog(tmp_path / "log.jsonl", keep=0)
    run_log.write("train", loss=float("inf"), nested={"a": [float("nan"), 1.0]})
    run_log.close()
    assert lines_of(tmp_path) == [{"event": "train", "loss": None, "nested": {"a": [None, 1.0]}}]


def test_the_log_is_cut_back_and_grows_no_zeros(tmp_path):
    path = tmp_path / "log.jsonl"
    first = log.RunLog(path, keep=0)
    first.write("train", step=1)
    kept = first.bytes_on_disk()
    first.write("train", step=2)
    first.close()
    for keep in (kept, 10**6):
        again = log.RunLog(path, keep=keep)
        again.write("train", step=3)
        again.close()
    assert [line["step"] for line in lines_of(tmp_path)] == [1, 3, 3]


def test_plain_lines(tmp_path, capsys):
    train(
        Toy(),
        TrainingOptions(steps=12, log_every=6, valid_every=12),
        tmp_path,
        save_best=ignore,
        progress=PlainProgress(),
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second, third = captured.err.splitlines()
    assert first.startswith("update 6/12  epoch 1  loss 1.9")
    for word in ("perplexity 6.", "numbers/s", "gradient norm 0.", "learning rate 0.00", " s left"):
        assert word in first
    assert second.startswith("update 12/12  epoch 2")
    assert third.startswith("update 12/12  validation  loss 1.")
    assert third.endswith("(best)")


def test_the_live_display_shows_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    options = TrainingOptions(steps=12, log_every=6, valid_every=12)
    train(Toy(), options, tmp_path, save_best=ignore, progress=LiveProgress())
    shown = stream.getvalue()
    for word in ("12/12", "epoch 2", "perplexity", "numbers/s", "gradient norm", "validation  loss 1."):
        assert word in shown


def test_the_live_display_is_for_terminals(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(choose_progress(), PlainProgress)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(choose_progress(), LiveProgress)


def test_a_plain_line_tells_the_time_left(monkeypatch):
    stream = io.StringIO()
    plain = PlainProgress(stream)
    now = iter([100.0, 700.0, 700.0])
    monkeypatch.setattr("recurra.training.progress.time.monotonic", lambda: next(now))
    plain.start(step=10, total_steps=40, token_name="character")
    plain.update(Interval(20, 3, 1.5, 12345.6, 0.25, 1e-3, 600.0, {"bits_per_char": 2.164}))
    assert stream.getvalue() == (
        "update 20/40  epoch 4  loss 1.5000  bits per char 2.164  12,346 characters/s  gradient norm 0.25  "
        "learning rate 0.001  20 min left\n"
    )


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = TrainingOptions(steps=12, log_every=4, valid_every=6, tensorboard=True)
    result = train(Toy(), options, tmp_path, save_best=ignore)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    points = [(event.step, event.value) for event in events.Scalars("validation/loss")]
    assert points == [
        (step, pytest.approx(scores["loss"])) for step, scores in zip((6, 12), result.history, strict=True)
    ]
    losses = [line["loss"] for line in lines_of(tmp_path) if line["event"] == "train"]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses)


def test_tensorboard_missing_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'recurra\[tensorboard\]'"):
        train(Toy(), TrainingOptions(steps=1, tensorboard=True), tmp_path, save_best=ignore)


def test_the_display_is_told_where_it_starts(tmp_path):
    watcher = Stopping(0, None)
    train(Toy(), TrainingOptions(steps=3), tmp_path, save_best=ignore, progress=watcher)
    assert watcher.started == (0, 3, "number")
    assert watcher.finished


def test_the_machine_is_described(monkeypatch):
    monkeypatch.undo()
    assert 0.1 < machine.sgemm_rate(size=128, seconds=0.01) < 1e5
    about = machine.describe_machine()
    assert about["cores"] >= 1
    assert about["processor"]
