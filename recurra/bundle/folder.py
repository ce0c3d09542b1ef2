"""The folder of a model while it is made: whether it is free, and what in it is ours to replace."""

from __future__ import annotations

import shutil
from pathlib import Path

from recurra.bundle.bundle import CARD, CONFIG, METRICS, WEIGHTS
from recurra.errors import InputError

# What only training needs, and may be deleted once it has ended; what the run was; what several seeds came to.
TRAINING, RECIPE, SEEDS, LOG = "training", "recipe.toml", "seeds.json", "log.jsonl"
_OURS = frozenset({CONFIG, WEIGHTS, METRICS, CARD, RECIPE, SEEDS, LOG, "unit.json", "tokenizer.json"})


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuses a folder with a model that is not to be overwritten, and one with anything of somebody else's.

    Raises:
        InputError: the folder is not free.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder for the model")
    held = {path.name for path in out.iterdir()}
    if held and not (held & {CONFIG, TRAINING, RECIPE}):
        raise InputError(f"{out}: is not empty and holds no model. Give an empty or a new folder")
    if held and not overwrite:
        raise InputError(
            f"{out}: holds a model or a run. Give another folder, go on with an interrupted run by --resume, or "
            "replace it by --overwrite"
        )


def clear(out: Path) -> None:
    """Removes an older model's files, and no others."""
    shutil.rmtree(out / TRAINING, ignore_errors=True)
    for path in out.glob("seed-*"):
        shutil.rmtree(path, ignore_errors=True)
    for name in _OURS:
        (out / name).unlink(missing_ok=True)
