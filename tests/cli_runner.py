"""The command line, run as a person runs it: in this process, or in one of its own, which may be killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import torch

from recurra.cli.app import main


def run_command(capture, *arguments):
    """Exit code, stdout and stderr of `recurra` with these arguments; `capture` is capsys or capsysbinary."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = (
        text if isinstance(text, str) else text.decode("utf-8", "surrogateescape") for text in capture.readouterr()
    )
    return code, out, err


def start(*arguments):
    """The command in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "recurra", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def wait_for_log(out, lines):
    """Until the run's log has so many lines."""
    for _ in range(3600):
        path = out / "log.jsonl"
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        time.sleep(0.05)
    raise AssertionError("the run did not get going")


def finish(process):
    """Waits for a command that must succeed."""
    try:
        _, stderr = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, stderr


def check_killed_runs_end_in_the_same_bits(task, file, options, folder, *, most):
    """Trains once in one go, once killed twice and resumed: weights, model and log must be the same.

    The options must have it log each step and write checkpoints often; it is killed after at most `most` of them.
    """
    finish(start("train", task, file, "--out", folder / "whole", *options))
    cut = folder / "cut"
    for _ in range(2):
        resume = ["--resume"] if cut.exists() else [file, *options]
        before = (cut / "log.jsonl").read_text().count("\n") if cut.exists() else 0
        run = start("train", task, "--out", cut, *resume)
        try:
            wait_for_log(cut, before + random.randint(5, most))
        finally:
            run.send_signal(signal.SIGKILL)
            run.communicate()
        assert run.returncode == -signal.SIGKILL
    finish(start("train", task, "--out", cut, "--resume"))
    checkpoints = [torch.load(folder / name / "training" / "checkpoint.pt") for name in ("whole", "cut")]
    for name, tensor in checkpoints[0]["network"].items():
        assert torch.equal(tensor, checkpoints[1]["network"][name]), name
    assert (folder / "whole" / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    steps = [json.loads(line).get("step") for line in (cut / "log.jsonl").read_text().splitlines()]
    logged = [step for step in steps if step]
    assert logged == sorted(logged)
