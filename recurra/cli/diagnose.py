"""`recurra diagnose DIR`: gradients, gates and context of a trained model."""

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
    """Diagnose a model: gradients by lag, gates, the context that it uses, and a verdict for each layer.

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
        The data for the diagnosis. Default: the data held out from training.
    out
        Write the report with its figures to this file, as one self-contained HTML page.
    rows
        Maximum number of sequences in the batch: windows of a text, or the longest sentences.
    steps
        Maximum number of steps of each sequence.
    as_json
        Print the results as one JSON object.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    from recurra.diagnosis import diagnose as run_diagnosis

    if out is not None:
        check_place(out)
    alternative = ". In Python, recurra.diagnose(model.network, batch) examines any network"
    opened = open_model(model, cell, needs=Probes, otherwise=alternative)
    probe = opened.probe(files or [], model / bundle.TRAINING, rows=rows, steps=steps)
    print(f"diagnosing {model} on up to {rows} × {steps} steps", file=sys.stderr)
    diagnosis = run_diagnosis(opened.network, probe.batch, probe.loss)
    if out is not None:
        diagnosis.write(out, title=f"Diagnosis of {model.resolve().name}")
        print(f"{out}: the report", file=sys.stderr)
    print(json.dumps(diagnosis.to_dict()) if as_json else diagnosis)
