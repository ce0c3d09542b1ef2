"""A trained model as a folder: weights, configuration, files of the task, scores, a card and a manifest.

Loading runs no code from the folder, and checks every field, name and shape.
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
    """Writes a model into a folder. Each file is replaced atomically.

    Args:
        folder: the folder; created if it does not exist.
        model: a task's model.
        metrics: its scores and properties of its training, numbers and strings.
        summary: what the model was trained on, for the card.

    Raises:
        RecurraError: the disk is full or cannot be written; each file is then either the old or the new one.
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
        # The manifest first: after a kill it lists every file of the model. The weights before their scores: a reader
        # never sees the scores of weights that were not saved.
        write_manifest(folder, (CONFIG, WEIGHTS, METRICS, CARD, *files))
        for file, content in files.items():
            replace_file(folder / file, content.encode())
        replace_file(folder / CONFIG, to_json(config))
        save_weights(model.network, folder / WEIGHTS)
        replace_file(folder / METRICS, to_json(metrics))
        replace_file(folder / CARD, text.encode())
    except OSError as error:
        raise RecurraError(
            f"{folder}: the model cannot be saved ({error.strerror or error}). The files saved before are complete. "
            "Free disk space, then continue with --resume"
        ) from error


def load(folder: str | Path, *, cell: Cell | None = None, device: str = "cpu") -> Any:
    """Loads a model that `save` wrote.

    Args:
        folder: the bundle.
        cell: the recurrent cell, for a model with a user-defined cell.
        device: the device of the weights.

    Raises:
        InputError: a file is missing, damaged, edited, or does not fit the others.
    """
    folder = Path(folder)
    model = from_config(folder, cell=cell)
    load_weights(model.network, folder / WEIGHTS)
    model.network.to(device).eval()
    return model


def load_weights_into(model: Any, folder: Path) -> None:
    """Loads the weights of a bundle into a model.

    Raises:
        InputError: the weights are missing, damaged, or belong to another network.
    """
    load_weights(model.network, folder / WEIGHTS)


def from_config(folder: Path, *, cell: Cell | None = None) -> Any:
    """Builds the model of a bundle, without loading its weights.

    Raises:
        InputError: a file is missing, damaged or edited, or config.json describes a larger network than the weights.
    """
    content = read_config(folder)
    implementation = TASKS[content["task"]].implementation
    with no_larger_than(folder / WEIGHTS, content["model"].get(implementation.network)):
        return implementation.model.from_files(content["model"], folder, cell=cell)


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the config.json of a bundle and checks its fields.

    Raises:
        InputError: the folder is not a bundle, or the file was edited or written by another version.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: expected the folder of a model that `recurra train` saved")
    settle_for_reading(folder)
    path = folder / CONFIG
    content = read_object(path, missing=f"{folder} is not a model, or is incomplete")
    if content.keys() != {"format", "task", "model"} or not isinstance(content["model"], dict):
        raise InputError(f"{path}: its fields are {sorted(content)}, expected format, model and task")
    if content["format"] != FORMAT:
        raise InputError(f"{path}: format is {content['format']!r}, this version of recurra reads {FORMAT}")
    if not isinstance(content["task"], str) or content["task"] not in TASKS:
        raise InputError(f"{path}: there is no task {content['task']!r}. {nearest(str(content['task']), TASKS)}")
    return content


def count_parameters(folder: Path) -> int:
    """The number of parameters and buffer elements in a bundle.

    Raises:
        InputError: the weights are missing or damaged.
    """
    return count_numbers(folder / WEIGHTS)


def read_metrics(folder: Path) -> dict[str, Any]:
    """Reads the scores of a bundle.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_object(folder / METRICS)
