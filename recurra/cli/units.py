"""`recurra units DIR TEXT`: the activations of a language model's hidden units."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.options import whole

_CHARACTERS = 100_000


def units(
    model: Annotated[Path, Parameter(name="DIR")],
    text: Annotated[list[Path], Parameter(name="TEXT", negative=())],
    /,
    *,
    out: Path,
    characters: Annotated[int, Parameter(converter=whole())] = _CHARACTERS,
    state: str | None = None,
    cell: str | None = None,
) -> None:
    """Show the hidden units of a language model: a text coloured by any unit, and the units that track a feature.

    Units are ranked by how well they track features that the current character does not determine: inside quotes,
    inside brackets, inside a comment or docstring, depth of indentation, position in the line. Units are selected on
    the first half of the text and scored on the second; only places with the same current character are compared.

    ```sh
    recurra units plays more-plays.txt --out units.html
    ```

    Parameters
    ----------
    model
        The folder of a trained language model.
    text
        Text files, preferably text that the model was not trained on.
    out
        The file to write: one self-contained HTML page.
    characters
        Number of characters to read from the beginning of the text.
    state
        The state of the cell to show. Default: c if the cell has it, otherwise h.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    from recurra.cli.opening import open_model
    from recurra.data import open_text
    from recurra.diagnosis.units import analyse_units
    from recurra.errors import InputError
    from recurra.files import check_place, write_output
    from recurra.tasks.capabilities import ReadsText

    if characters < 1:
        raise InputError(f"--characters {characters}: expected a whole number above 0")
    check_place(out)
    language_model = open_model(model, cell, needs=ReadsText, does="have hidden units to show")
    opened = open_text(text, raw=language_model.tokenizer.raw)
    read = "".join(opened.part(0, characters).blocks())
    analysis = analyse_units(
        language_model, read, state=state, progress=lambda line: print(line, file=sys.stderr, flush=True)
    )
    names = ", ".join(path.name for path in text[:3]) + (", …" if len(text) > 3 else "")
    seen = f"{len(analysis.pieces):,} tokens, state {analysis.state} of {language_model.options.recurrent.cell}"
    lead = f"{model.name} on {names}: {seen}."
    write_output(out, analysis.page("Hidden units", lead))
    for unit in analysis.trackers:
        print(f"{unit.feature:30} layer {unit.layer + 1} unit {unit.unit:<5} {unit.measure:22} {unit.score:.3f}")
    print(out)
