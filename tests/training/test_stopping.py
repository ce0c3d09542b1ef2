import os
import signal
import threading

import pytest
import torch
from training_toy import Stopping, Toy, same, weights

from recurra.errors import InputError
from recurra.training import Interrupted, TrainingOptions, read_checkpoint, train


def ignore(metrics):
    pass


def test_early_stopping_and_the_best(tmp_path):
    toy, saved = Toy(validation=[3.0, 2.0, 2.5, 1.5, 1.6, 1.7, 1.4, 1.0]), []

    def save_best(metrics):
        saved.append((metrics, weights(toy)))

    watcher = Stopping(0, None)
    options = TrainingOptions(steps=100, valid_every=4, patience=2)
    result = train(toy, options, tmp_path, save_best=save_best, progress=watcher)
    assert result.stopped_because == "patience"
    assert result.step == 24
    assert result.total_steps == 100
    assert result.metrics == {"step": 16, "loss": 1.5}
    assert [scores["loss"] for scores in result.history] == [3.0, 2.0, 2.5, 1.5, 1.6, 1.7]
    assert [metrics["loss"] for metrics, _ in saved] == [3.0, 2.0, 1.5]
    assert [best for _, _, best in watcher.validations] == [True, True, False, True, False, False]
    assert not same(saved[-1][1], weights(toy))  # the best is not the last
    assert "no improvement in 2 validations" in watcher.notes[-1]


def test_plateau_falls_and_is_used(tmp_path):
    toy = Toy(validation=[3.0, 3.1, 3.2, 2.0, 2.1])
    watcher = Stopping(0, None)
    options = TrainingOptions(
        steps=25, valid_every=5, log_every=5, schedule="plateau", plateau_patience=2, decay=0.1, learning_rate=0.01
    )
    train(toy, options, tmp_path, save_best=ignore, progress=watcher)
    assert [interval.learning_rate for interval in watcher.intervals] == pytest.approx([0.01, 0.01, 0.01, 1e-3, 1e-3])
    assert watcher.notes == ["learning rate down to 0.001"]


@pytest.mark.parametrize("changes", [{"patience": 1}, {"schedule": "plateau"}])
def test_what_needs_validation_says_so(tmp_path, changes):
    with pytest.raises(InputError, match="need held-out data, and there is none"):
        train(Toy(validation=()), TrainingOptions(steps=4, **changes), tmp_path, save_best=ignore)


def test_without_held_out_data_the_last_is_saved(tmp_path):
    toy, saved = Toy(validation=()), []
    options = TrainingOptions(steps=4)
    result = train(toy, options, tmp_path, save_best=lambda m: saved.append((m, weights(toy))))
    assert [metrics for metrics, _ in saved] == [{}]
    assert same(saved[0][1], weights(toy))
    assert result.metrics == {}
    assert result.history == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_update_and_saves(tmp_path, number):
    before = signal.getsignal(number)
    watcher = Stopping(6, lambda: os.kill(os.getpid(), number))
    with pytest.raises(
        Interrupted, match=r"after update 6 of 20; everything is in .*checkpoint\.pt\. Go on with --resume"
    ):
        train(Toy(), TrainingOptions(steps=20), tmp_path, save_best=ignore, progress=watcher)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 6
    assert signal.getsignal(number) is before
    assert watcher.finished


def test_a_second_signal_quits_at_once(tmp_path):
    before = signal.getsignal(signal.SIGINT)

    class Impatient(Toy):
        def validate(self, network):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        train(Impatient(), TrainingOptions(steps=20, valid_every=7), tmp_path, save_best=ignore)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_in_the_last_update_ends_the_run_as_planned(tmp_path):
    watcher = Stopping(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    result = train(Toy(), TrainingOptions(steps=5), tmp_path, save_best=ignore, progress=watcher)
    assert result.stopped_because == "finished"


def test_in_another_thread_handlers_are_left_alone(tmp_path):
    seen = []

    def work():
        watcher = Stopping(3, lambda: seen.append(signal.getsignal(signal.SIGINT)))
        seen.append(train(Toy(), TrainingOptions(steps=5), tmp_path, save_best=ignore, progress=watcher).step)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, 5]


def test_it_learns(tmp_path):
    torch.manual_seed(0)
    toy = Toy(hidden=24, dropout=0.0)
    result = train(toy, TrainingOptions(steps=250, learning_rate=0.02), tmp_path, save_best=ignore)
    # Knowing the noise's odds but not its draws leaves about ln 2 ≈ 0.69 to ln 3 ≈ 1.1 of the ln 7 = 1.95 of chance.
    assert result.metrics["loss"] < 1.3
    assert result.history[0]["loss"] > result.metrics["loss"]
