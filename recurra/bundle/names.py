"""The names of the files that recurra writes to a folder, and which entries of a folder belong to recurra."""

from __future__ import annotations

from pathlib import Path

from recurra.bundle.lock import LOCK
from recurra.bundle.manifest import MANIFEST, read_manifest

CONFIG, WEIGHTS, METRICS, CARD = "config.json", "model.safetensors", "metrics.json", "README.md"
# `training` can be deleted when training has ended; seeds.json contains the scores of several seeds.
TRAINING, RECIPE, SEEDS, LOG = "training", "recipe.toml", "seeds.json", "log.jsonl"
CHECKPOINT = "checkpoint.pt"
# Entries are moved here before they are removed, so that a kill leaves none partly removed under its own name.
TRASH = ".removing"
# A file in the folder `training` of a run, which marks all files there as written by recurra, whatever the task.
_MARK, _MARK_TEXT = ".recurra", b"Written by recurra. This folder may be deleted once training has ended.\n"

# Files of versions that wrote no manifest and no mark. Later tasks need no names here.
_OLDER_FILES = (
    *("unit.json", "tokenizer.json", "vocabulary.json", "vectors.json", "seen.txt"),
    *(f"{side}.{file}.json" for side in ("source", "target", "joint") for file in ("unit", "tokenizer")),
)
_OLDER_TRAINING = (
    *("train.", "valid.", "tagger.json", "translator.json", "vectors.npy", CHECKPOINT),
    *_OLDER_FILES,
)


def own_entries(folder: Path) -> list[Path]:
    """The entries of a folder that belong to a model or a run, in the order in which they can be removed.

    The manifest comes after all files that it lists, so that after a kill in between those are still recognised;
    `training` with its mark comes last.
    """
    listed = read_manifest(folder)
    files = _OLDER_FILES if listed is None else listed
    names = dict.fromkeys((CONFIG, WEIGHTS, METRICS, CARD, RECIPE, SEEDS, *files))
    # The temporary files that `files.replace_file` leaves when it is killed.
    parts = [f"{name}.part" for name in (*names, MANIFEST)]
    seeds = [path for path in folder.glob("seed-*") if path.name[5:].isdigit() and (path / RECIPE).exists()]
    last = (LOG, MANIFEST, TRAINING)
    first = [folder / name for name in (*names, *parts) if name not in last]
    ordered = [*first, *seeds, *(folder / name for name in last)]
    return [path for path in ordered if path.exists()]


def mark_training(folder: Path) -> None:
    """Creates the folder `training` of a new run, and marks its content as written by recurra.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    (folder / TRAINING).mkdir(parents=True, exist_ok=True)
    (folder / TRAINING / _MARK).write_bytes(_MARK_TEXT)


def has_begun(folder: Path) -> bool:
    """Whether a folder holds a run with a checkpoint, or several seeds of which at least one has a checkpoint."""
    return any(folder.glob(f"{TRAINING}/{CHECKPOINT}")) or any(folder.glob(f"seed-*/{TRAINING}/{CHECKPOINT}"))


def is_run(folder: Path) -> bool:
    """Whether a folder holds the recipe of a run, by the content of the file rather than by its name."""
    try:
        content = (folder / RECIPE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return content.startswith("task = ")


def is_abandoned(folder: Path) -> bool:
    """Whether a folder holds only a run that ended before its first checkpoint."""
    names = {path.name for path in folder.iterdir()} - {LOCK, TRASH}
    if not names <= {TRAINING, RECIPE, LOG, f"{RECIPE}.part"} or has_begun(folder):
        return False
    if RECIPE in names and not is_run(folder):
        return False
    training = folder / TRAINING
    return (training / _MARK).exists() or all(path.name.startswith(_OLDER_TRAINING) for path in training.glob("*"))
