"""`recurra info DIR`: what a model is and how it scored."""

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
    """Show what a model is, how large it is and how it scored; no code of anybody's is run.

    ```sh
    recurra info plays
    ```

    Parameters
    ----------
    model
        The folder of a trained model, or one with a model a seed.
    as_json
        Print one JSON object.
    """
    check_folder(model)
    told = read_object(model / bundle.SEEDS) if (model / bundle.SEEDS).exists() else _told(model)
    if as_json:
        print(json.dumps(told))
    else:
        _show(told)


def _told(model: Path) -> dict[str, Any]:
    check_single(model)
    config, metrics = bundle.read_config(model), bundle.read_metrics(model)
    return {"task": config["task"], "parameters": bundle.count_parameters(model), **config["model"], "metrics": metrics}


def _show(told: dict[str, Any], indent: str = "") -> None:
    for name, value in told.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _show(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            for number, item in enumerate(value):
                _show({f"{name} {number}": item}, indent)
        elif value is not None:
            print(f"{indent}{name.replace('_', ' '):<{max(0, 24 - len(indent))}} {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return figure(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
