"""`recurra evaluate DIR FILE…`: a model's scores on files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.opening import open_model


def evaluate(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path], Parameter(name="FILE", negative=())],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
) -> None:
    """Measure how well a language model predicts files, read as one text with the state carried through.

    ```sh
    recurra evaluate plays more-plays.txt
    ```

    Parameters
    ----------
    model
        The folder of a trained model.
    files
        Text files.
    as_json
        Print one JSON object, with the loss by how much of a fresh context has been read.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    with tempfile.TemporaryDirectory() as folder:
        scores = open_model(model, cell).evaluate(files, Path(folder))
    if as_json:
        print(json.dumps(scores))
    else:
        _show(scores)


def _show(scores: dict[str, Any]) -> None:
    by_position = scores.pop("loss_by_position")
    for name, value in scores.items():
        print(f"{name.replace('_', ' '):<15} {value:,.4f}" if isinstance(value, float) else f"{name:<15} {value:,}")
    print("\nloss by tokens read since a fresh state")
    for row in by_position:
        places = str(row["from"]) if row["from"] == row["to"] else f"{row['from']} to {row['to']}"
        print(f"{places:<15} {row['loss']:.4f}")
