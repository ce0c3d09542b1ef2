"""`recurra diagnose DIR`: why a model learns over time, or does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra import bundle
from recurra.cli.opening import open_model
from recurra.cli.options import whole
from recurra.files import check_place
from recurra.tasks.capabilities import Probes


def diagnose(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path] | None, Parameter(name="DATA", negative=())] = None,
    /,
    *,
    out: Path | None = None,
    rows: Annotated[int, Parameter(converter=whole())] = 32,
    steps: Annotated[int, Parameter(converter=whole())] = 256,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
) -> None:
    """Examine a model: gradients by lag, gates, the context it uses, and a verdict in words for each layer.

    ```sh
    recurra diagnose plays --out report.html
    recurra diagnose plays more-plays.txt --steps 512 --json
    recurra diagnose tagger test.conllu
    ```

    Parameters
    ----------
    model
        The folder of a trained model.
    files
        What to examine it on. Default: what was held out when it was trained.
    out
        An HTML file for the report with its figures, complete in itself.
    rows
        Sequences that are read in parallel, at most: windows of a text; of sentences the longest.
    steps
        Length of each, at most.
    as_json
        Print one JSON object with all numbers.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    from recurra.diagnosis import diagnose as run_diagnosis

    if out is not None:
        check_place(out)
    other = ". In Python, recurra.diagnose(model.network, batch) examines any network"
    opened = open_model(model, cell, needs=Probes, otherwise=other)
    probe = opened.probe(files or [], model / bundle.TRAINING, rows=rows, steps=steps)
    print(f"examining {model} on up to {rows} × {steps} steps", file=sys.stderr)
    found = run_diagnosis(opened.network, probe.batch, probe.loss)
    if out is not None:
        found.write(out, title=f"Diagnosis of {model.resolve().name}")
        print(f"{out}: the report", file=sys.stderr)
    print(json.dumps(found.to_dict()) if as_json else found)
