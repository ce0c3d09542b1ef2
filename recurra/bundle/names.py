"""The names of what recurra writes into a folder, and which of a folder's entries are recurra's."""

from __future__ import annotations

from pathlib import Path

from recurra.bundle.lock import LOCK
from recurra.tasks import TASKS

CONFIG, WEIGHTS, METRICS, CARD = "config.json", "model.safetensors", "metrics.json", "README.md"
# What only training needs, and may be deleted once it has ended; what the run was; what several seeds came to.
TRAINING, RECIPE, SEEDS, LOG = "training", "recipe.toml", "seeds.json", "log.jsonl"
CHECKPOINT = "checkpoint.pt"
_ENCODED = (*(name for task in TASKS.values() for name in task.scratch), CHECKPOINT)
_OF_TASKS = tuple(dict.fromkeys(name for task in TASKS.values() for name in task.files))
_OURS = (CONFIG, WEIGHTS, METRICS, CARD, RECIPE, SEEDS, LOG, TRAINING, *_OF_TASKS)
# Where entries that are to be removed are put first, so that none is left half removed under its own name.
TRASH = ".removing"
# What a write that was cut off leaves: `files.replace_file`.
_PARTS = tuple(f"{name}.part" for name in (CONFIG, WEIGHTS, METRICS, CARD, RECIPE, SEEDS, *_OF_TASKS))


def own(folder: Path) -> list[Path]:
    """The entries of a folder that are a model's or a run's, `training` the last of them."""
    seeds = [path for path in folder.glob("seed-*") if path.name[5:].isdigit() and (path / RECIPE).exists()]
    names = [name for name in (*_OURS, *_PARTS) if name != TRAINING]
    return [path for path in (*(folder / name for name in names), *seeds, folder / TRAINING) if path.exists()]


def has_begun(folder: Path) -> bool:
    """Whether a folder holds a run with a checkpoint, or several seeds of which one has."""
    return any(folder.glob(f"{TRAINING}/{CHECKPOINT}")) or any(folder.glob(f"seed-*/{TRAINING}/{CHECKPOINT}"))


def is_run(folder: Path) -> bool:
    """Whether a folder holds the recipe of a run, by what the file says and not by its name."""
    try:
        content = (folder / RECIPE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return content.startswith("task = ")


def came_to_nothing(folder: Path) -> bool:
    """Whether all that a folder holds is a run that ended before its first checkpoint."""
    names = {path.name for path in folder.iterdir()} - {LOCK, TRASH}
    if not names <= {TRAINING, RECIPE, LOG, f"{RECIPE}.part"} or has_begun(folder):
        return False
    if RECIPE in names and not is_run(folder):
        return False
    return all(path.name.startswith(_ENCODED) for path in (folder / TRAINING).glob("*"))
