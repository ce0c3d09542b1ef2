"""`recurra units DIR TEXT`: what the units of a language model do."""

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
    """Show what the units of a language model do: a text coloured by any unit, and which track what.

    Units are ranked by how well they track what a person can name and the current character does not tell: inside
    quotes, inside brackets, inside a comment or docstring, depth of indentation, position in the line. They are chosen
    on the first half of the text and scored on the second, comparing only places where the same character was read.

    ```sh
    recurra units plays more-plays.txt --out units.html
    ```

    Parameters
    ----------
    model
        The folder of a trained language model.
    text
        Text files, best such as the model was not trained on.
    out
        The page to write: one HTML file that needs nothing else.
    characters
        Read so many characters from the beginning of the text.
    state
        The state of the cell to show: c where it has one, else h.
    cell
        module:Class, for a model that was trained with a cell of your own.
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
    language_model = open_model(model, cell, needs=ReadsText, does="have units to show here")
    opened = open_text(text, raw=language_model.tokenizer.raw)
    read = "".join(opened.part(0, characters).blocks())
    found = analyse_units(
        language_model, read, state=state, progress=lambda line: print(line, file=sys.stderr, flush=True)
    )
    names = ", ".join(path.name for path in text[:3]) + (", …" if len(text) > 3 else "")
    seen = f"{len(found.pieces):,} tokens, state {found.state} of {language_model.options.recurrent.cell}"
    lead = f"{model.name} on {names}: {seen}."
    write_output(out, found.page("What the units do", lead))
    for one in found.trackers:
        print(f"{one.feature:30} layer {one.layer + 1} unit {one.unit:<5} {one.measure:22} {one.score:.3f}")
    print(out)
