"""A full disk, a damaged file, another run's file: the last good checkpoint survives, and one line says why."""

import builtins
import errno
import io
from pathlib import Path

import pytest
import torch
from training_toy import Stopping, Toy, same, weights

from recurra.errors import InputError, RecurraError
from recurra.training import TrainingOptions, checkpoint, log, read_checkpoint, train


def ignore(metrics):
    pass


def often(**changes):
    return TrainingOptions(**{"steps": 20, "valid_every": 5, "checkpoint_every": 1e-9, **changes})


class FullDisk(io.FileIO):
    """Takes some bytes, then has no room."""

    def write(self, data):
        super().write(memoryview(data)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    opened = builtins.open

    def fill():
        monkeypatch.setattr(
            builtins,
            "open",
            lambda path, mode="r", *rest: (
                FullDisk(path, mode) if str(path).endswith(".partial") else opened(path, mode, *rest)
            ),
        )

    toy = Toy()
    with pytest.raises(RecurraError, match="No space left on device") as caught:
        train(toy, often(), tmp_path, save_best=ignore, progress=Stopping(12, fill))
    monkeypatch.undo()
    assert "The checkpoint of update 11 is complete" in str(caught.value)
    assert "--resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 11
    assert not (tmp_path / "checkpoint.pt.partial").exists()

    resumed, whole = Toy(seed=4), Toy()
    train(resumed, often(), tmp_path, save_best=ignore, resume=True)
    train(whole, often(), tmp_path / "whole", save_best=ignore)
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_any_refusal_of_the_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch, call):
    path = tmp_path / "checkpoint.pt"
    checkpoint.write_checkpoint(path, {"step": 1})
    before = path.read_bytes()

    def refuse(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoint.os, call, refuse)
    with pytest.raises(OSError, match="Input/output"):
        checkpoint.write_checkpoint(path, {"step": 2})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_full_disk_while_the_best_model_is_saved(tmp_path):
    def save_best(metrics):
        raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")

    with pytest.raises(RecurraError, match=r"model\.safetensors: cannot write .*checkpoint of update 4 is complete"):
        train(Toy(), often(), tmp_path, save_best=save_best)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_while_the_log_is_written(tmp_path, monkeypatch):
    write, opened = log.RunLog.write, []

    def fill(self, event, **values):
        if event == "validation":
            self._file.close()
            self._file = io.BufferedWriter(io.FileIO("/dev/full", "wb"))
            opened.append(self._file)
        write(self, event, **values)

    monkeypatch.setattr(log.RunLog, "write", fill)
    with pytest.raises(RecurraError, match=r"No space left on device.*checkpoint of update 4 is complete"):
        train(Toy(), often(), tmp_path, save_best=ignore)
    assert opened[0].closed
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 4


def test_an_error_of_the_task_is_not_taken_for_a_full_disk(tmp_path):
    toy = Toy()
    toy.validate = lambda network: (_ for _ in ()).throw(FileNotFoundError("valid.txt"))
    with pytest.raises(FileNotFoundError):
        train(toy, often(), tmp_path, save_best=ignore)


def trained(folder):
    train(Toy(), often(), folder, save_best=ignore)
    return folder / "checkpoint.pt"


def resume(folder, toy=None, **changes):
    train(toy or Toy(), often(**changes), folder, save_best=ignore, resume=True)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_checkpoint_gets_one_line(tmp_path, damage):
    path = trained(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        # one bit of the stored weights
        weight = Toy().network.embedding.weight.detach()
        saved = read_checkpoint(path)["network"]["embedding.weight"]
        at = bytes(content).index(saved.numpy().tobytes())
        assert weight.shape == saved.shape
        content[at + 2] ^= 1
    path.write_bytes({"empty": b"", "text": b"not a checkpoint"}.get(damage, bytes(content)))
    with pytest.raises(InputError, match=r"checkpoint\.pt: damaged or not a checkpoint") as caught:
        resume(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_with_code_is_refused(tmp_path):
    ran = []

    class Code:
        def __reduce__(self):
            return ran.append, (1,)

    path = tmp_path / "checkpoint.pt"
    torch.save({"format": 1, "network": Code()}, path)
    with pytest.raises(InputError, match="damaged or not a checkpoint"):
        read_checkpoint(path)
    assert ran == []


def test_what_could_not_be_read_again_is_refused_when_written(tmp_path):
    class Tricky(Toy):
        pass

    toy = Tricky()
    place = toy.updates.state_dict
    toy.updates.state_dict = lambda: {**place(), "path": tmp_path}
    with pytest.raises(RecurraError, match=r"processes\.0\.updates\.path is a PosixPath"):
        train(toy, often(), tmp_path / "run", save_best=ignore)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"format": 99}, path)
    with pytest.raises(InputError, match="checkpoint format 99, expected 1"):
        read_checkpoint(path)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint\.pt here, so nothing to resume"):
        resume(tmp_path)


def test_a_fresh_run_does_not_overwrite_another(tmp_path):
    path = trained(tmp_path)
    before, log = path.read_bytes(), (tmp_path / "log.jsonl").read_bytes()
    with pytest.raises(InputError, match="has the checkpoint of a run"):
        train(Toy(), often(), tmp_path, save_best=ignore)
    assert path.read_bytes() == before
    assert (tmp_path / "log.jsonl").read_bytes() == log


def test_other_options_are_refused_with_the_difference(tmp_path):
    trained(tmp_path)
    with pytest.raises(InputError, match=r"began with learning_rate=0\.003, this call has learning_rate=0\.1"):
        resume(tmp_path, learning_rate=0.1)
    resume(tmp_path, log_every=3, checkpoint_every=100.0)


def test_another_network_is_refused_with_the_difference(tmp_path):
    trained(tmp_path)
    with pytest.raises(
        InputError, match=r"embedding\.weight is float32 \(7, 8\) in the checkpoint but float32 \(7, 9\)"
    ):
        resume(tmp_path, Toy(hidden=9))
    wide = Toy()
    wide.network.double()
    with pytest.raises(InputError, match=r"is float32 .* but float64 "):
        resume(tmp_path, wide)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match=r"out: cannot be created"):
        train(Toy(), often(), tmp_path / "out", save_best=ignore)
