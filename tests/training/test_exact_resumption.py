"""Interrupted anywhere and resumed equals uninterrupted, to the bit."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from training_toy import Stopping, Toy, same, weights

from recurra.training import OPTIMIZERS, SCHEDULES, Interrupted, TrainingOptions, read_checkpoint, train

STEPS = 24


def ignore(metrics):
    pass


def options_of(**changes):
    return TrainingOptions(**{"steps": STEPS, "valid_every": 5, "log_every": 4, "warmup_steps": 3, **changes})


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def run_interrupted(folder, options, stops, **toy):
    """Train with a Ctrl-C after each update of `stops`, a new process's worth of objects each time."""
    for stop in stops:
        started = (folder / "checkpoint.pt").exists()
        with pytest.raises(Interrupted, match=f"after update {stop} of {STEPS}.*--resume"):
            train(Toy(**toy), options, folder, save_best=ignore, resume=started, progress=Stopping(stop, interrupt))
    last = Toy(**{**toy, "seed": 77})  # other weights, generators moved on: all must come from the checkpoint
    result = train(last, options, folder, save_best=ignore, resume=True)
    return last, result


def assert_same_checkpoints(a, b):
    def compare(left, right, place):
        if isinstance(left, dict):
            assert left.keys() == right.keys(), place
            for key in left.keys() - {"seconds", "log_bytes", "meter"}:
                compare(left[key], right[key], f"{place}.{key}")
        elif isinstance(left, list | tuple):
            assert len(left) == len(right), place
            for index, pair in enumerate(zip(left, right, strict=True)):
                compare(*pair, f"{place}.{index}")
        elif isinstance(left, torch.Tensor):
            assert torch.equal(left, right), place
        else:
            assert left == right, place

    compare(read_checkpoint(a / "checkpoint.pt"), read_checkpoint(b / "checkpoint.pt"), "")


def trained_lines(folder):
    """The log without what time changes."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["event"] in ("train", "validation", "end")]
    return [
        {key: value for key, value in line.items() if key not in ("seconds", "tokens_per_second")} for line in lines
    ]


CASES = [(optimizer, "cosine", "norm") for optimizer in OPTIMIZERS] + [
    ("sgd", schedule, "value") for schedule in SCHEDULES
]


@pytest.mark.parametrize(("optimizer", "schedule", "clip_by"), CASES)
def test_interrupted_twice_equals_uninterrupted(tmp_path, optimizer, schedule, clip_by):
    options = options_of(optimizer=optimizer, schedule=schedule, clip_by=clip_by, momentum=0.8, plateau_patience=1)
    losses = [3.0, 3.5, 3.6, 2.0, 2.5] if schedule == "plateau" else None
    whole = Toy(pieces=2)
    whole.validation = losses and list(losses)
    result = train(whole, options, tmp_path / "whole", save_best=ignore)

    class Replayed(Toy):
        def validate(self, network):
            super().validate(network)
            done = len(read_history(tmp_path / "parts"))
            return {"loss": losses[done]}

    def read_history(folder):
        lines = (folder / "log.jsonl").read_text().splitlines()
        return [line for line in lines if json.loads(line)["event"] == "validation"]

    if losses is None:
        parts, resumed = run_interrupted(tmp_path / "parts", options, (7, 13), pieces=2)
    else:
        for stop in (7, 13):
            with pytest.raises(Interrupted):
                train(
                    Replayed(pieces=2),
                    options,
                    tmp_path / "parts",
                    save_best=ignore,
                    resume=stop == 13,
                    progress=Stopping(stop, interrupt),
                )
        parts = Replayed(pieces=2, seed=5)
        resumed = train(parts, options, tmp_path / "parts", save_best=ignore, resume=True)
    assert same(weights(whole), weights(parts))
    assert resumed.history == result.history
    assert resumed.metrics == result.metrics
    assert trained_lines(tmp_path / "parts") == trained_lines(tmp_path / "whole")
    assert_same_checkpoints(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("stop", [1, 4, 5, 12, STEPS - 1])
def test_interrupted_after_any_update(tmp_path, stop):
    whole = Toy()
    train(whole, options_of(), tmp_path / "whole", save_best=ignore)
    parts, _ = run_interrupted(tmp_path / "parts", options_of(), (stop,))
    assert same(weights(whole), weights(parts))
    assert trained_lines(tmp_path / "parts") == trained_lines(tmp_path / "whole")


def test_bfloat16_resumes_exactly_and_leaves_the_network_unwrapped(tmp_path):
    options = options_of(precision="bfloat16")
    whole, single = Toy(), Toy()
    train(whole, options, tmp_path / "whole", save_best=ignore)
    train(single, options_of(), tmp_path / "single", save_best=ignore)
    parts, _ = run_interrupted(tmp_path / "parts", options, (9,))
    assert same(weights(whole), weights(parts))
    assert not same(weights(whole), weights(single))  # it did compute in bfloat16
    assert "forward" not in vars(whole.network)
    assert whole.network(torch.zeros(1, 1, dtype=torch.int64), None)[0].dtype == torch.float32


def test_the_carried_state_is_part_of_it(tmp_path):
    run_interrupted(tmp_path, options_of(), (7,))
    path = tmp_path / "other"
    with pytest.raises(Interrupted):
        train(Toy(), options_of(), path, save_best=ignore, progress=Stopping(7, interrupt))
    forgetful = Toy()
    forgetful.rebuild_state = lambda state: None
    train(forgetful, options_of(), path, save_best=ignore, resume=True)
    exact = read_checkpoint(tmp_path / "checkpoint.pt")["network"]
    assert not same(weights(forgetful), exact)


def test_rebuild_state_sees_names_and_values(tmp_path):
    with pytest.raises(Interrupted):
        train(Toy(), options_of(), tmp_path, save_best=ignore, progress=Stopping(7, interrupt))
    toy = Toy()
    train(toy, options_of(), tmp_path, save_best=ignore, resume=True)
    (state, rest), *_ = toy.rebuilt
    assert state._fields == ("h", "extra")
    assert state.h.shape == (1, 3, 8)
    assert state.extra is None
    assert list(rest) == ["steps"]


def test_a_finished_run_resumes_to_its_result(tmp_path):
    first = train(Toy(), options_of(), tmp_path, save_best=ignore)
    before = (tmp_path / "log.jsonl").read_text()
    toy, watcher = Toy(seed=3), Stopping(0, None)
    again = train(toy, options_of(), tmp_path, save_best=ignore, resume=True, progress=watcher)
    assert dataclasses.replace(again, seconds=first.seconds) == first
    assert again.seconds == pytest.approx(first.seconds, abs=0.5)
    assert same(weights(toy), read_checkpoint(tmp_path / "checkpoint.pt")["network"])
    assert (tmp_path / "log.jsonl").read_text() == before
    assert "has ended after update 24" in watcher.notes[0]


def test_another_number_of_threads_is_said(tmp_path):
    with pytest.raises(Interrupted):
        train(Toy(), options_of(), tmp_path, save_best=ignore, progress=Stopping(3, interrupt))
    torch.set_num_threads(2)
    watcher = Stopping(0, None)
    train(Toy(), options_of(), tmp_path, save_best=ignore, resume=True, progress=watcher)
    assert "may not end with the same bits: threads 1 then, 2 now" in watcher.notes[0]


def test_seeds(tmp_path):
    ends = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        toy = Toy()
        train(toy, options_of(seed=seed), tmp_path / name, save_best=ignore)
        ends.append(weights(toy))
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


@pytest.mark.slow
def test_killed_at_a_random_moment(tmp_path):
    # A process that cannot clean up: SIGKILL while it trains and writes checkpoints as fast as it can.
    script = textwrap.dedent("""
        import sys, torch
        torch.set_num_threads(1)
        from training_toy import Toy
        from recurra.training import TrainingOptions, machine, train
        machine.sgemm_rate = lambda: 1.0
        options = TrainingOptions(steps=1200, valid_every=50, log_every=4, checkpoint_every=0.01)
        train(Toy(), options, sys.argv[1], save_best=lambda metrics: None)
    """)
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}
    folder = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", script, str(folder)], env=environment, stderr=subprocess.PIPE)
    log, deadline = folder / "log.jsonl", time.monotonic() + 90
    wait = time.time_ns() % 1000 / 1500
    while not (log.exists() and log.read_bytes().count(b'"train"') > 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(wait)
    assert child.poll() is None, child.stderr.read().decode()
    child.kill()
    child.communicate()

    at = read_checkpoint(folder / "checkpoint.pt")["step"]
    assert 0 < at < 1200
    options = TrainingOptions(steps=1200, valid_every=50, log_every=4, checkpoint_every=60)
    resumed, whole = Toy(seed=9), Toy()
    train(resumed, options, folder, save_best=ignore, resume=True)
    train(whole, options, tmp_path / "whole", save_best=ignore)
    assert same(weights(whole), weights(resumed)), f"killed after {wait} s, resumed from update {at}"
    assert trained_lines(folder) == trained_lines(tmp_path / "whole")
