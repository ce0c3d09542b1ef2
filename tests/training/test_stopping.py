import os
import signal
import threading
import time

import pytest
import torch
from training_toy import Stopping, Toy, same, weights

from recurra.errors import InputError
from recurra.training import Interrupted, TrainingOptions, read_checkpoint, train
from recurra.training.checkpoint import write_checkpoint
from recurra.training.progress import summary


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
    assert watcher.notes == ["learning rate lowered to 0.001"]


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
        Interrupted, match=r"after update 6 of 20; everything is in .*checkpoint\.pt\. Continue with --resume"
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

    with pytest.raises(
        KeyboardInterrupt, match=r"at once, after update 7 of 20; the checkpoint of update 0 is complete"
    ):
        train(Impatient(), TrainingOptions(steps=20, valid_every=7), tmp_path, save_best=ignore)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_in_the_last_update_ends_the_run_as_planned(tmp_path):
    watcher = Stopping(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    result = train(Toy(), TrainingOptions(steps=5), tmp_path, save_best=ignore, progress=watcher)
    assert result.stopped_because == "finished"


def long_validation(toy, seconds=20.0):
    def validate(network):
        os.kill(os.getpid(), signal.SIGINT)
        torch.rand(5)
        for _ in range(int(seconds * 100)):
            time.sleep(0.01)
        raise AssertionError("not reached")

    toy.validate = validate
    return toy


@pytest.mark.parametrize("averaging", ["off", "all"])
@pytest.mark.parametrize("every", [4, 12])
def test_a_validation_is_given_up_and_done_when_the_run_goes_on(tmp_path, every, averaging):
    options = TrainingOptions(steps=12, valid_every=every, averaging=averaging)
    began = time.monotonic()
    with pytest.raises(Interrupted, match=rf"after update {every} of 12; everything is in"):
        train(long_validation(Toy()), options, tmp_path, save_best=ignore)
    assert time.monotonic() - began < 10
    assert read_checkpoint(tmp_path / "checkpoint.pt")["owes_validation"]
    resumed, whole = Toy(seed=5), Toy()
    result = train(resumed, options, tmp_path, save_best=ignore, resume=True)
    uninterrupted = train(whole, options, tmp_path / "whole", save_best=ignore)
    assert result.history == uninterrupted.history
    assert result.step == 12
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize("slow_before", [False, True])
def test_a_long_update_is_given_up_and_the_run_ends_in_the_same_bits(tmp_path, monkeypatch, slow_before):
    monkeypatch.setattr("recurra.training.loop._SLOW", 0.0 if slow_before else 1e9)
    toy, real = Toy(), Toy.loss

    def loss(network, batch, state):
        counted = real(toy, network, batch, state)
        calls.append(1)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(2000):
                time.sleep(0.01)
        return counted

    calls, options = [], TrainingOptions(steps=12, valid_every=6)
    toy.loss = loss
    kept = "everything is in" if slow_before else "the checkpoint of update 0 is complete in"
    with pytest.raises(Interrupted, match=f"after update 5 of 12; {kept}"):
        train(toy, options, tmp_path, save_best=ignore)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == (5 if slow_before else 0)
    resumed, whole = Toy(seed=5), Toy()
    train(resumed, options, tmp_path, save_best=ignore, resume=True)
    train(whole, options, tmp_path / "whole", save_best=ignore)
    assert same(weights(resumed), weights(whole))


def test_a_checkpoint_of_an_earlier_version_is_resumed(tmp_path):
    options = TrainingOptions(steps=12)
    with pytest.raises(Interrupted):
        train(Toy(), options, tmp_path, save_best=ignore, progress=Stopping(5, interrupt))
    content = read_checkpoint(tmp_path / "checkpoint.pt")
    del content["owes_validation"], content["format"]
    write_checkpoint(tmp_path / "checkpoint.pt", content)
    assert train(Toy(), options, tmp_path, save_best=ignore, resume=True).step == 12


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_is_acknowledged_by_a_note(tmp_path):
    watcher = Stopping(0, None)
    toy = long_validation(Toy())
    with pytest.raises(Interrupted):
        train(toy, TrainingOptions(steps=9, valid_every=3), tmp_path, save_best=ignore, progress=watcher)
    assert any(line.startswith("stopping: ") for line in watcher.notes)


@pytest.mark.parametrize(("steps", "epoch"), [(11, 1), (12, 2), (22, 2), (23, 3)])
@pytest.mark.parametrize("counts_at_once", [False, True])
def test_the_epoch_that_is_shown_is_that_of_the_last_update(tmp_path, steps, epoch, counts_at_once):
    toy, watcher = Toy(), Stopping(0, None)
    update = toy.updates.update
    if counts_at_once:  # as the tasks' data does: a pass is complete with its last update

        def advance():
            batches = update()
            if toy.updates.place == toy.updates.updates_per_epoch():
                toy.updates.epoch, toy.updates.place = toy.updates.epoch + 1, 0
            return batches

        toy.updates.update = advance
    train(toy, TrainingOptions(steps=steps, log_every=steps), tmp_path, save_best=ignore, progress=watcher)
    assert toy.updates.updates_per_epoch() == 11
    assert [interval.current_epoch for interval in watcher.intervals] == [epoch]
    assert summary(watcher.intervals[-1], "number").startswith(f"epoch {epoch} ")


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
