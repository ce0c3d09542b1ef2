"""A trained model as a folder: weights, what rebuilds the network, the task's own files, scores, a card, a manifest.

Loading runs no code from the folder and checks every field, every name and every shape on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.bundle.card import card
from recurra.bundle.manifest import write_manifest
from recurra.bundle.names import CARD, CONFIG, METRICS, WEIGHTS
from recurra.bundle.replacement import model_name, settle_for_reading
from recurra.bundle.sizes import no_larger_than
from recurra.bundle.weights import count_numbers, load_weights, save_weights
from recurra.cells import Cell
from recurra.errors import InputError, RecurraError, nearest
from recurra.files import read_object, replace_file, to_json
from recurra.tasks import TASKS

FORMAT = 1


def save(folder: Path, model: Any, *, metrics: dict[str, Any], summary: str) -> None:
    """Writes a model into a folder; every file is replaced in one stroke, the weights before their scores.

    Args:
        folder: made if need be.
        model: a task's model.
        metrics: its scores and how it was trained, numbers and words.
        summary: what it was trained on, for the card.

    Raises:
        RecurraError: the disk is full or refuses otherwise; each file is the old or the new one.
    """
    config = {"format": FORMAT, "task": model.name, "model": model.config()}
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    task, name = TASKS[model.name], model_name(folder)
    text = card(
        title=task.title,
        name=name,
        summary=summary,
        metrics=metrics,
        parameters=parameters,
        usage=task.usage.replace("DIR", name),
        loss_per=task.loss_per,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = model.files()
        write_manifest(folder, (CONFIG, WEIGHTS, METRICS, CARD, *files))
        for file, content in files.items():
            replace_file(folder / file, content.encode())
        replace_file(folder / CONFIG, to_json(config))
        save_weights(model.network, folder / WEIGHTS)
        replace_file(folder / METRICS, to_json(metrics))
        replace_file(folder / CARD, text.encode())
    except OSError as error:
        raise RecurraError(
            f"{folder}: the model cannot be saved ({error.strerror or error}). What was saved there before is whole: "
            "make room, then go on with --resume"
        ) from error


def load(folder: str | Path, *, cell: Cell | None = None, device: str = "cpu") -> Any:
    """The model that `save` wrote.

    Args:
        folder: the bundle.
        cell: the recurrent cell of a model with a cell of somebody's own.
        device: where the weights go.

    Raises:
        InputError: a file is missing, cut short, edited, or does not fit the others.
    """
    folder = Path(folder)
    model = from_config(folder, cell=cell)
    load_weights(model.network, folder / WEIGHTS)
    model.network.to(device).eval()
    return model


def load_weights_into(model: Any, folder: Path) -> None:
    """Gives a model the weights that a folder holds.

    Raises:
        InputError: the weights are missing, damaged, or of another network.
    """
    load_weights(model.network, folder / WEIGHTS)


def from_config(folder: Path, *, cell: Cell | None = None) -> Any:
    """The model of a bundle with weights still to be loaded.

    Raises:
        InputError: a file is missing, cut short or edited, or config.json describes more than the weights hold.
    """
    content = read_config(folder)
    implementation = TASKS[content["task"]].implementation
    with no_larger_than(folder / WEIGHTS, content["model"].get(implementation.network)):
        return implementation.model.from_files(content["model"], folder, cell=cell)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a bundle, checked for its own fields.

    Raises:
        InputError: the folder is no bundle, or the file was edited or comes from another version.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: expected a model that `recurra train` made")
    settle_for_reading(folder)
    path = folder / CONFIG
    content = read_object(path, missing=f"{folder} is not a model, or a part of it was lost")
    if content.keys() != {"format", "task", "model"} or not isinstance(content["model"], dict):
        raise InputError(f"{path}: its fields are {sorted(content)}, expected format, model and task")
    if content["format"] != FORMAT:
        raise InputError(f"{path}: format is {content['format']!r}, this version of recurra reads {FORMAT}")
    if not isinstance(content["task"], str) or content["task"] not in TASKS:
        raise InputError(f"{path}: there is no task {content['task']!r}. {nearest(str(content['task']), TASKS)}")
    return content


def count_parameters(folder: Path) -> int:
    """How many numbers the weights of a bundle are.

    Raises:
        InputError: the weights are missing or damaged.
    """
    return count_numbers(folder / WEIGHTS)


def read_metrics(folder: Path) -> dict[str, Any]:
    """The scores of a bundle.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_object(folder / METRICS)
