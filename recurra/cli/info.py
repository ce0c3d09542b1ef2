"""`recurra info DIR`: the configuration, size and scores of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra import bundle
from recurra.cli.opening import check_folder, check_single
from recurra.files import read_object
from recurra.training import figure


def info(
    model: Annotated[Path, Parameter(name="DIR")],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show the configuration, size and scores of a model; user-defined code is not run.

    ```sh
    recurra info plays
    ```

    Parameters
    ----------
    model
        The folder of a trained model, or of a run with several seeds.
    as_json
        Print one JSON object.
    """
    check_folder(model)
    seeds = model / bundle.SEEDS
    description = read_object(seeds) if seeds.exists() else _describe(model)
    if as_json:
        print(json.dumps(description))
    else:
        _print(description)


def _describe(model: Path) -> dict[str, Any]:
    check_single(model)
    config, metrics = bundle.read_config(model), bundle.read_metrics(model)
    return {"task": config["task"], "parameters": bundle.count_parameters(model), **config["model"], "metrics": metrics}


def _print(description: dict[str, Any], indent: str = "") -> None:
    for name, value in description.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            for number, item in enumerate(value):
                _print({f"{name} {number}": item}, indent)
        elif value is not None:
            print(f"{indent}{name.replace('_', ' '):<{max(0, 24 - len(indent))}} {_format(value)}")


def _format(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_format, value)) or "none"
    if isinstance(value, float):
        return figure(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
