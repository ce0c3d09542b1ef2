"""An older model stays until a newer one is complete, wherever a run fails, is stopped or is killed."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import toys

import recurra
from recurra import bundle
from recurra.bundle import replacement
from recurra.errors import InputError, RecurraError
from recurra.training import Interrupted


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def older(trained, tmp_path):
    """The folder of a trained model, to be replaced."""
    return shutil.copytree(trained, tmp_path / "ov")


class StopAt:
    """A display that sends a signal after an update, or raises."""

    def __init__(self, step, action):
        self.step, self.action, self.notes = step, action, []

    def start(self, *, step, total_steps, token_name): ...
    def update(self, interval): ...
    def validation(self, step, metrics, *, best): ...
    def finish(self): ...

    def note(self, line):
        self.notes.append(line)

    def advance(self, step):
        if step == self.step:
            self.action()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def train_over(text, out, **changes):
    options = {**toys.TINY, "steps": 12, "valid_every": 4, "hidden_size": 12, "overwrite": True, **changes}
    return recurra.train("lm", text, out=out, **options)


@pytest.mark.parametrize("step", [1, 5, 11])
def test_an_interrupted_replacement_leaves_the_older_model_and_is_resumed_to_the_same_bits(text, older, tmp_path, step):
    before = contents(older)
    with pytest.raises(Interrupted, match=rf"after update {step} of 12.*--resume\. The older model stays in .*ov"):
        train_over(text, older, progress=StopAt(step, interrupt))
    after = contents(older)
    assert {name: after[name] for name in before} == before
    assert recurra.load(older).generate("the", length=5, seed=0)
    train_over(text, tmp_path / "whole")
    recurra.train("lm", out=older, resume=True)
    assert weights(older) == weights(tmp_path / "whole") != before["model.safetensors"]
    assert not list(older.glob(".*"))
    assert (older / "README.md").read_text().startswith("# ov\n")


def test_the_best_of_an_interrupted_replacement_can_be_used(text, older):
    with pytest.raises(Interrupted, match="best of the new run so far is in"):
        train_over(text, older, progress=StopAt(5, interrupt))
    assert recurra.load(older / ".new-1").options.recurrent.hidden_size == 12
    assert (older / ".new-1" / "README.md").read_text().startswith("# ov\n")
    with pytest.raises(InputError, match=r"will replace the model in .*ov\. Name"):
        recurra.train("lm", out=older / ".new-1", resume=True)


def test_a_refused_command_changes_nothing(text, older, tmp_path):
    with pytest.raises(Interrupted):
        train_over(text, older, progress=StopAt(5, interrupt))
    before = contents(older)
    with pytest.raises(InputError, match="holds a model and an interrupted run that would replace it"):
        train_over(text, older, overwrite=False)
    for refused in ({"cell": "lstn"}, {"valid": "nowhere.txt"}, {"epochs": 1, "steps": None, "warmup_steps": 10**6}):
        with pytest.raises(InputError):
            train_over(text, older, **refused)
    with pytest.raises(InputError):
        train_over(tmp_path / "nowhere.txt", older)
    assert contents(older) == before


def test_a_replacement_of_a_replacement_takes_the_place_of_the_first(text, older):
    for step in (5, 6):
        with pytest.raises(Interrupted):
            train_over(text, older, progress=StopAt(step, interrupt))
    assert [path.name for path in older.glob(".*")] == [".new-2"]
    recurra.train("lm", out=older, resume=True)
    assert not list(older.glob(".*"))


def test_a_failure_after_the_first_checkpoint_leaves_the_older_model(text, older):
    def fail():
        raise RuntimeError("broken")

    before = contents(older)
    with pytest.raises(RuntimeError, match="broken"):
        train_over(text, older, progress=StopAt(3, fail))
    after = contents(older)
    assert {name: after[name] for name in before} == before


def test_several_seeds_replace_a_model_together(text, older):
    before = weights(older)
    with pytest.raises(Interrupted):
        train_over(text, older, seeds=2, progress=StopAt(3, interrupt))
    assert weights(older) == before
    recurra.train("lm", out=older, resume=True)
    assert sorted(path.name for path in older.iterdir()) == ["recipe.toml", "seed-0", "seed-1", "seeds.json"]


def killed(folder, count):
    """Replaces or settles in a process of its own that dies at an operation; whether it did."""
    calls = [0]

    def dying(function):
        def call(*arguments, **named):
            calls[0] += 1
            if calls[0] == count:
                os._exit(9)
            return function(*arguments, **named)

        return call

    child = os.fork()
    if child == 0:
        try:
            for name in ("rename", "rmdir", "mkdir", "unlink"):
                setattr(os, name, dying(getattr(os, name)))
            replacement.sync_folder = dying(replacement.sync_folder)
            if (folder / ".new-1").exists():
                replacement.promote(folder, folder / ".new-1")
            else:
                replacement.settle(folder)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


@pytest.fixture
def complete(text, older, tmp_path):
    """An older model with a complete one that has not replaced it, and the folder of the same new model elsewhere."""
    train_over(text, tmp_path / "whole" / "ov")
    shutil.copytree(tmp_path / "whole" / "ov", older / ".new-1")
    (older / "notes.txt").write_text("not recurra's")
    return older, tmp_path / "whole" / "ov"


def settled_like_new(folder, new):
    names = {path.name for path in folder.iterdir()} - {"notes.txt"}
    return names == {path.name for path in new.iterdir()} and all(
        (folder / name).read_bytes() == content for name, content in contents(new).items()
    )


def test_a_kill_at_any_operation_of_the_replacement_leaves_the_older_or_the_newer_model(complete, tmp_path):
    folder, new = complete
    older = weights(folder)
    for count in range(1, 200):
        copy = shutil.copytree(folder, tmp_path / f"copy-{count}")
        died = killed(copy, count)
        if count % 3 == 0 and not (copy / ".new-1").exists():  # once more while it is settled
            killed(copy, 2)
        assert recurra.load(copy).generate("the", length=3, seed=0)
        if weights(copy) == older:
            assert (copy / ".new-1").is_dir()
        else:
            assert settled_like_new(copy, new), count
        assert (copy / "notes.txt").read_text() == "not recurra's"
        shutil.rmtree(copy)
        if not died:
            break
    assert count > 15


@pytest.mark.parametrize("operation", ["rename", "rmdir", "mkdir", "sync"])
def test_a_refusal_of_the_disk_in_any_operation_is_mended_by_the_next_command(
    complete, tmp_path, operation, monkeypatch
):
    folder, new = complete
    older = weights(folder)
    for count in range(1, 40):
        copy, calls = shutil.copytree(folder, tmp_path / f"copy-{count}"), [0]
        kind, name = (replacement, "sync_folder") if operation == "sync" else (os, operation)
        function = getattr(kind, name)

        def refusing(*arguments, function=function, calls=calls, count=count, **named):
            calls[0] += 1
            if calls[0] == count:
                raise OSError(28, "No space left on device")
            return function(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(kind, name, refusing)
            try:
                replacement.promote(copy, copy / ".new-1")
                refused = False
            except OSError:
                refused = True
        assert recurra.load(copy).generate("the", length=3, seed=0)
        assert weights(copy) == older or settled_like_new(copy, new)
        shutil.rmtree(copy)
        if calls[0] < count:
            break
        assert refused or operation == "rmdir"  # shutil.rmtree may be asked to ignore it
    assert count > 1


def test_the_message_of_a_replacement_that_the_disk_refuses(text, older, monkeypatch):
    def refuse(folder):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(replacement, "sync_folder", refuse)
    with pytest.raises(RecurraError, match=r"the new model is complete, .*Input/output error.*next command"):
        train_over(text, older)
    monkeypatch.undo()
    assert recurra.load(older).options.recurrent.hidden_size == 12


@pytest.mark.parametrize("begun", [False, True])
def test_what_an_earlier_version_left_is_put_right(trained, text, tmp_path, begun):
    """It put the older model into `.replaced` and trained in its place."""
    out = tmp_path / "ov"
    if begun:
        with pytest.raises(Interrupted):
            train_over(text, out, progress=StopAt(5, interrupt))
    else:
        (out / "training").mkdir(parents=True)
    shutil.copytree(trained, out / ".replaced")
    before = contents(out)
    with pytest.raises(InputError, match="--overwrite"):
        train_over(text, out, overwrite=False)
    assert contents(out) == before
    if not begun:
        assert recurra.load(out).generate("the", length=3, seed=0)
        assert contents(out) == contents(trained)
        return
    train_over(text, tmp_path / "whole")
    recurra.train("lm", out=out, resume=True)
    assert weights(out) == weights(tmp_path / "whole")
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("count", [1, 2, 4, 7, 9, 12])
def test_an_earlier_versions_folder_survives_kills_while_it_is_put_right(trained, text, tmp_path, count):
    out = tmp_path / "ov"
    with pytest.raises(Interrupted):
        train_over(text, out, progress=StopAt(5, interrupt))
    shutil.copytree(trained, out / ".replaced")
    for _ in range(2):
        if not (out / ".new-1").exists():
            killed(out, count)
    replacement.settle(out)
    assert replacement.begun_place(out) == out / ".new-1"
    assert weights(out) == weights(trained)


def test_folders_above_are_removed_where_a_run_comes_to_nothing(tmp_path):
    (tmp_path / "short.txt").write_text("abc")
    with pytest.raises(InputError):
        train_over(tmp_path / "short.txt", tmp_path / "a" / "b" / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["short.txt"]


def test_a_kill_between_prepare_and_the_first_checkpoint_is_in_nobodys_way(text, older):
    (older / ".new-1" / "training").mkdir(parents=True)
    (older / ".new-1" / "training" / "train.bin.part").write_bytes(b"abc")
    assert bundle.begun_place(older) == older
    train_over(text, older)
    assert not list(older.glob(".*"))
    assert Path(older / "model.safetensors").exists()


@pytest.mark.parametrize("overwrites", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9, 12])
def test_a_full_disk_at_any_write_is_one_line_and_loses_nothing(
    trained, text, tmp_path, monkeypatch, overwrites, count
):
    out, sync, calls = tmp_path / "m", os.fsync, [0]
    if overwrites:
        shutil.copytree(trained, out)

    def full(handle):
        calls[0] += 1
        if calls[0] >= count:
            raise OSError(28, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RecurraError, match=f"{out}.*No space left on device") as caught:
            train_over(text, out)
    assert "\n" not in str(caught.value)
    if overwrites:
        assert weights(out) == weights(trained)
        assert recurra.load(out).generate("the", length=3, seed=0)
    place = bundle.begun_place(out)
    if bundle.has_begun(place) and (place != out or not overwrites):
        assert "--resume" in str(caught.value)
        recurra.train("lm", out=out, resume=True)
        train_over(text, tmp_path / "whole")
        assert weights(out) == weights(tmp_path / "whole")
