"""The names of what recurra writes into a folder, and which of a folder's entries are recurra's."""

from __future__ import annotations

from pathlib import Path

from recurra.bundle.lock import LOCK
from recurra.bundle.manifest import MANIFEST, read_manifest

CONFIG, WEIGHTS, METRICS, CARD = "config.json", "model.safetensors", "metrics.json", "README.md"
# What only training needs, and may be deleted once it has ended; what the run was; what several seeds came to.
TRAINING, RECIPE, SEEDS, LOG = "training", "recipe.toml", "seeds.json", "log.jsonl"
CHECKPOINT = "checkpoint.pt"
# Where entries that are to be removed are put first, so that none is left half removed under its own name.
TRASH = ".removing"
# In the folder `training` of a run: all that is in it is recurra's, whatever files the task has.
_MARK, _MARK_TEXT = ".recurra", b"Written by recurra. This folder may be deleted once training has ended.\n"

# What versions without a manifest and a mark wrote. Later tasks have no names here.
_OLDER_FILES = (
    *("unit.json", "tokenizer.json", "vocabulary.json", "vectors.json", "seen.txt"),
    *(f"{side}.{file}.json" for side in ("source", "target", "joint") for file in ("unit", "tokenizer")),
)
_OLDER_TRAINING = (
    *("train.", "valid.", "tagger.json", "translator.json", "vectors.npy", CHECKPOINT),
    *_OLDER_FILES,
)


def own(folder: Path) -> list[Path]:
    """The entries of a folder that are a model's or a run's; the manifest after all that it lists, `training` last."""
    listed = read_manifest(folder)
    files = _OLDER_FILES if listed is None else listed
    names = dict.fromkeys((CONFIG, WEIGHTS, METRICS, CARD, RECIPE, SEEDS, *files))
    # What a write that was cut off leaves: `files.replace_file`.
    parts = [f"{name}.part" for name in (*names, MANIFEST)]
    seeds = [path for path in folder.glob("seed-*") if path.name[5:].isdigit() and (path / RECIPE).exists()]
    last = (LOG, MANIFEST, TRAINING)
    first = [folder / name for name in (*names, *parts) if name not in last]
    ordered = [*first, *seeds, *(folder / name for name in last)]
    return [path for path in ordered if path.exists()]


def mark_training(folder: Path) -> None:
    """Makes the folder `training` of a run that begins, and marks what will be in it as recurra's.

    Raises:
        OSError: the disk is full or refuses otherwise.
    """
    (folder / TRAINING).mkdir(parents=True, exist_ok=True)
    (folder / TRAINING / _MARK).write_bytes(_MARK_TEXT)


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
    training = folder / TRAINING
    return (training / _MARK).exists() or all(path.name.startswith(_OLDER_TRAINING) for path in training.glob("*"))
