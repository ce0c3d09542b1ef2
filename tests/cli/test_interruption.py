"""Ctrl-C anywhere: one line, exit code 130, soon, and nothing that was safe is lost."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import toys
from cli_runner import finish, start

import recurra
from recurra.cli.app import main
from recurra.stopping import Interruption

SOON = 10.0  # seconds; two are promised, on a machine with nothing else to do
TINY = [item for name, value in toys.TINY.items() for item in (f"--{name.replace('_', '-')}", str(value))]


def stop(process, number=signal.SIGINT):
    """Sends a signal; the exit code and stderr, checked for what every interruption must be."""
    began = time.monotonic()
    process.send_signal(number)
    try:
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - began < SOON
    assert "Traceback" not in stderr
    assert "internal error of recurra" not in stderr
    return process.returncode, stderr


def wait_for(condition):
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not get that far")


@pytest.mark.parametrize("verb", [["train", "lm", "TEXT", "--out", "OUT"], ["info", "TEXT"], ["cells"]])
def test_in_the_first_second(verb, text, tmp_path):
    code = (
        "import os, signal, sys, threading, time\n"
        "delay = float(sys.argv.pop(1))\n"
        "threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "import recurra.__main__\n"
        "recurra.__main__.main()\n"
        "time.sleep(30)\n"
    )
    out = tmp_path / "m"
    verb = [str({"TEXT": text, "OUT": out}.get(word, word)) for word in verb]
    # The timer starts after the interpreter itself; recurra's first statement takes a part of a millisecond.
    for delay in (0.05, random.uniform(0.1, 2.0)):
        command = [sys.executable, "-c", code, str(delay), *verb]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode == 130:
            assert done.stderr.splitlines()[-1].startswith("recurra: interrupted")
        else:  # it had ended before, with whatever it has to say
            assert verb[0] != "train"
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_stops_soon_says_what_is_safe_and_goes_on_to_the_same_bits(number, text, tmp_path):
    # Long enough that no machine ends it in the third of a second that may pass before the signal.
    options = ["--steps", 1500, "--log-every", 1, "--valid-every", 300, "--seed", 3, *TINY]
    run = start("train", "lm", text, "--out", tmp_path / "m", *options)
    log = tmp_path / "m" / "log.jsonl"
    wait_for(lambda: log.exists() and log.read_text().count("\n") > 3)
    time.sleep(random.uniform(0, 0.3))
    code, stderr = stop(run, number)
    assert code == 130
    last = stderr.splitlines()[-1]
    assert last.startswith("recurra: interrupted ")
    assert f"recurra train lm --out {tmp_path / 'm'} --resume" in last
    finish(start("train", "lm", "--out", tmp_path / "m", "--resume"))
    whole = {**toys.TINY, "steps": 1500, "valid_every": 300, "seed": 3}
    recurra.train("lm", text, out=tmp_path / "whole", **whole)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("m", "whole"))
    assert first == second


SLOW = """
import sys, time
from recurra.cli.app import main
from recurra.tasks.job import Job, Training
where = sys.argv.pop(1)
def slow(function):
    def call(*arguments, **named):
        print("in " + where, file=sys.stderr, flush=True)
        for _ in range(6000):
            time.sleep(0.01)
        return function(*arguments, **named)
    return call
if where == "update":
    Training.loss = slow(Training.loss)
elif where == "validation":
    Training.validate = slow(Training.validate)
elif where == "scoring":
    Job.final_scores = slow(Job.final_scores)
elif where == "reading":
    import recurra.tasks.language_model.data as data
    data.build_tokenizer = slow(data.build_tokenizer)
elif where == "trial":
    Training.loss = slow(Training.loss)
main()
"""


@pytest.mark.parametrize(
    ("where", "extra", "expected"),
    [
        ("reading", [], "interrupted before the first update of this call; nothing was changed"),
        ("trial", ["--max-minutes", "5"], "nothing was trained yet"),
        ("update", [], "interrupted after update 0 of 4"),
        ("validation", [], "interrupted after update 1 of 4"),
        ("scoring", [], "holds it with its best weights and the scores of their validation"),
    ],
)
def test_wherever_training_is(where, extra, expected, text, tmp_path):
    out = tmp_path / "m"
    length = extra or ["--steps", "4"]
    arguments = ["train", "lm", str(text), "--out", str(out), *length, *TINY]
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW, where, *arguments], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    for line in run.stderr:
        if line.startswith("in "):
            break
    code, stderr = stop(run)
    assert code == 130
    assert expected in stderr.splitlines()[-1]
    if where in ("reading", "trial"):
        assert not out.exists()
        return
    assert "stopping: " in stderr  # acknowledged
    assert sorted(path.name for path in out.glob(".*")) == []
    if where == "scoring":
        assert recurra.load(out).generate("the", length=3, seed=0)
    recurra.train("lm", out=out, resume=True)
    recurra.train("lm", text, out=tmp_path / "whole", steps=4, **toys.TINY)
    for name in ("model.safetensors", "unit.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    scores = [(folder / "metrics.json").read_text().split('"train_seconds"')[0] for folder in (out, tmp_path / "whole")]
    assert scores[0] == scores[1]


def test_a_second_signal_stops_at_once_and_says_what_was_kept(text, tmp_path):
    arguments = ["train", "lm", str(text), "--out", str(tmp_path / "m"), "--steps", "4", *TINY]
    run = subprocess.Popen([sys.executable, "-c", SLOW, "validation", *arguments], stderr=subprocess.PIPE, text=True)
    for line in run.stderr:
        if line.startswith("in "):
            break
    run.send_signal(signal.SIGINT)
    assert run.stderr.readline().startswith("stopping: ")
    code, stderr = stop(run)
    assert code == 130
    last = stderr.splitlines()[-1]
    assert "the checkpoint of update 0 is complete" in last or "everything is in" in last
    assert last.endswith("There is no model yet")
    recurra.train("lm", out=tmp_path / "m", resume=True)


def test_verbs_that_work_with_a_model_end_in_one_line(trained, text):
    for arguments in (["generate", trained, "--length", 10**7, "--seed", 0], ["score", trained, text]):
        run = start(*arguments)
        time.sleep(random.uniform(1, 3))
        code, stderr = stop(run)
        assert code in (0, 130)  # a short one may have ended
        assert code == 0 or stderr == "recurra: interrupted\n"


def test_in_one_process_handlers_are_put_back(capsys):
    before = signal.getsignal(signal.SIGINT)
    main(["cells"])
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_an_error_that_follows_a_signal_is_an_interruption(monkeypatch, capsys):
    def broken(*arguments, **named):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise SystemError("an internal error of a library") from None

    monkeypatch.setattr("recurra.cli.info.bundle.settle_for_reading", broken)
    with pytest.raises(SystemExit) as stopped:
        main(["info", "."])
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "recurra: interrupted\n"


def test_a_signal_that_an_extension_swallows_comes_again():
    def work():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        for _ in range(1000):
            time.sleep(0.01)
        raise AssertionError("not reached")

    with Interruption() as interruption, interruption.giving_up(after=0), pytest.raises(KeyboardInterrupt):
        work()


def test_outside_of_what_can_be_given_up_a_signal_only_asks():
    lines = []
    with Interruption(lines.append) as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(200):
            time.sleep(0.01)  # longer than the first reminder
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt), interruption.giving_up():
            raise AssertionError("not reached")
    assert len(lines) == 1
    assert lines[0].startswith("stopping: ")


def test_a_process_that_does_not_return_from_c_is_ended(tmp_path):
    code = (
        "import sys, time\n"
        "from recurra.stopping import Interruption\n"
        "import hashlib\n"
        "with Interruption(ends_process=True) as interruption, interruption.giving_up():\n"
        "    interruption.safe = lambda: 'the checkpoint is whole'\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'x', b'y', 10**9)\n"  # lets other threads run, never looks for a signal
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "ready\n"
    time.sleep(0.3)
    exit_code, stderr = stop(run)
    assert exit_code == 130
    assert stderr == "recurra: the checkpoint is whole\n"


def test_an_older_model_stays_where_its_replacement_is_killed(trained, text, tmp_path):
    out = shutil.copytree(trained, tmp_path / "ov")
    before = (out / "model.safetensors").read_bytes()
    run = start("train", "lm", text, "--out", out, "--overwrite", "--steps", 100000, *TINY)
    wait_for((out / ".new-1" / "training" / "checkpoint.pt").exists)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    refused = start("train", "lm", text, "--out", out, *TINY)
    _, stderr = refused.communicate(timeout=120)
    assert refused.returncode == 2
    assert "--resume" in stderr
    assert (out / "model.safetensors").read_bytes() == before
    assert recurra.load(out).generate("the", length=3, seed=0)
