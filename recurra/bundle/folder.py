"""The folder of a model while it is made: whether it is free, what in it is ours, how an older model is replaced."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from recurra.bundle.bundle import CARD, CONFIG, METRICS, WEIGHTS, read_config
from recurra.errors import InputError, RecurraError
from recurra.tasks import TASKS

# What only training needs, and may be deleted once it has ended; what the run was; what several seeds came to.
TRAINING, RECIPE, SEEDS, LOG = "training", "recipe.toml", "seeds.json", "log.jsonl"
CHECKPOINT = "checkpoint.pt"
# Where an older model waits until a newer one has begun in its place.
_REPLACED = ".replaced"
_ENCODED = (*(name for task in TASKS.values() for name in task.scratch), CHECKPOINT)
_OF_TASKS = tuple(dict.fromkeys(name for task in TASKS.values() for name in task.files))
_OURS = (CONFIG, WEIGHTS, METRICS, CARD, RECIPE, SEEDS, LOG, TRAINING, *_OF_TASKS)


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuses a folder with a model that is not to be overwritten, and one with anything of somebody else's.

    Raises:
        InputError: the folder is not free.
    """
    _recover(out)
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder for the model")
    try:
        held = any(out.iterdir())
    except OSError as error:
        raise InputError(f"{out}: cannot be read ({error.strerror}). Give another folder") from None
    if not held or _came_to_nothing(out):
        return
    if not _is_ours(out):
        raise InputError(f"{out}: is not empty and holds no model. Give an empty or a new folder")
    if not overwrite:
        raise InputError(
            f"{out}: holds a model or a run. Give another folder, go on with an interrupted run by --resume, or "
            "replace it by --overwrite"
        )


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[None]:
    """Makes room for a new model; should it come to nothing before it has begun, all is as it was before.

    An older model waits aside. It is dropped when the new one is there, or when the new one's training has begun and
    is then interrupted or fails; it comes back when what was asked for turns out not to be possible.

    Raises:
        RecurraError: the disk is full or refuses otherwise.
    """
    existed = out.exists()
    try:
        _set_aside(out)
        yield
    except BaseException as error:
        if isinstance(error, InputError) or not _has_begun(out):
            _put_back(out)
            if not existed:
                with contextlib.suppress(OSError):
                    out.rmdir()
        else:
            shutil.rmtree(out / _REPLACED, ignore_errors=True)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise RecurraError(f"{error.filename or out}: cannot be written ({reason})") from error
        raise
    shutil.rmtree(out / _REPLACED, ignore_errors=True)


def _is_ours(out: Path) -> bool:
    """Whether a folder holds a model or a run of recurra's, by what the files say and not by their names."""
    with contextlib.suppress(InputError):
        read_config(out)
        return True
    recipe = out / RECIPE
    return recipe.is_file() and recipe.read_text(encoding="utf-8", errors="replace").startswith("task = ")


def _has_begun(out: Path) -> bool:
    return any(out.glob(f"{TRAINING}/{CHECKPOINT}")) or any(out.glob(f"seed-*/{TRAINING}/{CHECKPOINT}"))


def _own(out: Path) -> list[Path]:
    """The entries of a folder that recurra made."""
    seeds = [path for path in out.glob("seed-*") if path.name[5:].isdigit() and (path / RECIPE).exists()]
    return [out / name for name in _OURS if (out / name).exists()] + seeds


def _set_aside(out: Path) -> None:
    older = _own(out)
    out.mkdir(parents=True, exist_ok=True)
    if older:
        (out / _REPLACED).mkdir()
        for path in older:
            path.rename(out / _REPLACED / path.name)


def _put_back(out: Path) -> None:
    for path in _own(out):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if (out / _REPLACED).is_dir():
        for path in (out / _REPLACED).iterdir():
            path.rename(out / path.name)
        (out / _REPLACED).rmdir()


def _recover(out: Path) -> None:
    """Puts right what a kill -9 left behind: the older model comes back unless the newer one had begun."""
    if (out / _REPLACED).is_dir():
        if _has_begun(out):
            shutil.rmtree(out / _REPLACED, ignore_errors=True)
        else:
            _put_back(out)


def _came_to_nothing(out: Path) -> bool:
    """Whether all that a folder holds is a run that was killed before its first checkpoint."""
    names = {path.name for path in out.iterdir()}
    if not names <= {TRAINING, RECIPE, LOG} or _has_begun(out) or (RECIPE in names and not _is_ours(out)):
        return False
    return all(path.name.startswith(_ENCODED) for path in (out / TRAINING).glob("*"))
