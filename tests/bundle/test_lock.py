"""One run at a time in a folder: the second is refused with the first one's number, a dead one is in nobody's way."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import toys

import recurra
from recurra import bundle
from recurra.bundle import lock
from recurra.errors import InputError, RecurraError

HOLD = """
import sys, time
from pathlib import Path
from recurra.bundle.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold():
    """Locks a folder in a process of its own."""
    processes = []

    def start(folder):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def train(text, out, **changes):
    return recurra.train("lm", text, out=out, **{**toys.TINY, "steps": 2, **changes})


def test_the_second_run_is_refused_with_the_first_ones_number(trained, text, tmp_path, hold):
    out = shutil.copytree(trained, tmp_path / "m")
    process = hold(out)
    before = contents(out)
    refused = f"process {process.pid} is training in it"
    with pytest.raises(InputError, match=refused):
        train(text, out)
    with pytest.raises(InputError, match=refused):
        train(text, out, overwrite=True)
    with pytest.raises(InputError, match=refused):
        train(text, out, overwrite=True, seeds=2)
    with pytest.raises(InputError, match=refused):
        recurra.train("lm", out=out, resume=True)
    assert contents(out) == before
    assert recurra.load(out).generate("the", length=3, seed=0)  # reading is not refused


def test_an_empty_folder_is_locked_too(text, tmp_path, hold):
    (tmp_path / "m").mkdir()
    process = hold(tmp_path / "m")
    with pytest.raises(InputError, match=f"process {process.pid} "):
        train(text, tmp_path / "m")


def test_a_killed_run_leaves_no_lock(trained, text, tmp_path, hold):
    out = shutil.copytree(trained, tmp_path / "m")
    process = hold(out)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / lock.LOCK).exists()
    train(text, out, overwrite=True)
    assert not (out / lock.LOCK).exists()


def test_a_stale_lock_does_not_make_a_new_folder_anothers(text, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / lock.LOCK).write_text("")
    train(text, tmp_path / "m")
    assert recurra.load(tmp_path / "m")


def test_two_runs_that_start_at_once_do_not_both_begin(text, tmp_path):
    code = (
        "import sys, recurra, toys\n"
        "recurra.train('lm', sys.argv[1], out=sys.argv[2], steps=400, **toys.TINY)"
    )  # fmt: skip
    path = os.pathsep.join([os.path.dirname(toys.__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    runs = [
        subprocess.Popen([sys.executable, "-c", code, text, tmp_path / "m"], stderr=subprocess.PIPE, text=True,
                         env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"})
        for _ in range(2)
    ]  # fmt: skip
    ended = [(run.communicate(timeout=240)[1], run.returncode) for run in runs]
    failed = [error for error, code in ended if code]
    assert len(failed) == 1, ended
    assert "is training in it" in failed[0] or "holds a model or a run" in failed[0]
    assert recurra.load(tmp_path / "m")


def test_the_same_process_is_refused_as_well(tmp_path):
    with lock.locked(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} "), lock.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    with lock.locked(tmp_path):  # free again
        pass


def test_another_computer_is_named(tmp_path):
    with lock.locked(tmp_path):
        (tmp_path / lock.LOCK).write_text(json.dumps({"process": 12, "host": "elsewhere"}))
        with pytest.raises(InputError, match=r"process 12 on elsewhere is training.*delete .*\.recurra\.lock"):
            lock.check_unlocked(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"process": "x", "host": 3}', '{"process": 999999999, "host": "HERE"}']
)
def test_a_holder_that_cannot_be_named_is_another_process(tmp_path, content, monkeypatch):
    monkeypatch.setattr(lock, "_UNSIGNED", 0.05)
    with lock.locked(tmp_path):
        (tmp_path / lock.LOCK).write_text(content.replace("HERE", socket.gethostname()))
        with pytest.raises(InputError, match="another process is training in it"):
            lock.check_unlocked(tmp_path)


@pytest.mark.parametrize(
    ("holder", "free"),
    [
        ({"process": 999999999, "host": socket.gethostname()}, True),
        ({"process": os.getppid(), "host": socket.gethostname()}, False),
        ({"process": 999999999, "host": "elsewhere"}, False),
    ],
)
def test_a_disk_without_locks_goes_by_what_the_file_says(tmp_path, holder, free, monkeypatch):
    def none(handle, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    (tmp_path / lock.LOCK).write_text(json.dumps(holder))
    if free:
        with lock.locked(tmp_path):
            assert json.loads((tmp_path / lock.LOCK).read_text())["process"] == os.getpid()
    else:
        with pytest.raises(InputError, match=f"process {holder['process']}"), lock.locked(tmp_path):
            pass
        assert json.loads((tmp_path / lock.LOCK).read_text()) == holder


def test_a_lock_file_that_its_holder_removes_meanwhile_is_not_taken(tmp_path, monkeypatch):
    take, calls = lock._take, []

    def taking(handle, folder):
        calls.append(handle)
        if len(calls) == 1:
            (tmp_path / lock.LOCK).unlink()
        take(handle, folder)

    monkeypatch.setattr(lock, "_take", taking)
    with lock.locked(tmp_path):
        assert len(calls) == 2
        assert (tmp_path / lock.LOCK).exists()


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_to_is_said_to_be_one(trained, text, tmp_path, reason, monkeypatch):
    out, opened = shutil.copytree(trained, tmp_path / "m"), os.open
    before = contents(out)

    def refuse(path, flags, *rest, **named):
        if flags & os.O_CREAT and str(path).startswith(str(out)):
            raise OSError(reason, os.strerror(reason), str(path))
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    for call in (lambda: recurra.train("lm", out=out, resume=True), lambda: train(text, out, overwrite=True)):
        with pytest.raises(InputError, match=f"m: cannot be written to .{os.strerror(reason)}") as caught:
            call()
        assert "checkpoint" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert contents(out) == before
    assert recurra.load(out).generate("the", length=3, seed=0)


def test_a_training_folder_that_cannot_be_written_to_names_its_checkpoint(trained, tmp_path, monkeypatch):
    out, file_io = shutil.copytree(trained, tmp_path / "m"), "recurra.training.log.io.FileIO"

    def refuse(path, mode):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(file_io, refuse)
    with pytest.raises(
        RecurraError, match=r"log\.jsonl: cannot write .Read-only.*update 250 is complete\. Make it writable"
    ):
        recurra.train("lm", out=out, resume=True)


def test_a_reader_waits_while_a_model_is_put_in_place(trained, tmp_path, hold, monkeypatch):
    out = shutil.copytree(trained, tmp_path / "m")
    shutil.copytree(trained, out / ".replacing")
    process = hold(out)
    monkeypatch.setattr(bundle.replacement, "_PATIENCE", 0.2)
    with pytest.raises(InputError, match=f"process {process.pid} "):
        recurra.load(out)
    process.kill()
    process.wait()
    began = time.monotonic()
    assert recurra.load(out).generate("the", length=3, seed=0)
    assert time.monotonic() - began < 30
    assert contents(out) == contents(trained)
