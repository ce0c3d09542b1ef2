"""`recurra study`: the classic experiments on gradients through time, on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from recurra.cli.options import whole

if TYPE_CHECKING:
    from recurra.tasks.capabilities import ReadsText

# Of the language model that the truncation study trains for itself: two minutes of the fifteen that all studies take.
_MINUTES, _QUICK_STEPS = 2.0, 60
_NETWORK: dict[str, Any] = {"hidden_size": 256}


def study(
    names: Annotated[list[str] | None, Parameter(name="NAME", negative=())] = None,
    /,
    *,
    out: Path,
    seed: Annotated[int, Parameter(converter=whole())] = 0,
    quick: Annotated[bool, Parameter(negative=())] = False,
    model: Path | None = None,
    text: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    cell: str | None = None,
) -> None:
    """Rerun the classic experiments: why gradients explode or vanish, and what gates change.

    The studies are explode, vanish, bounded and gates (seconds to a minute each), memory and truncation (minutes, they
    train networks). Each writes a figure (PNG and SVG, for light and dark paper), its numbers (JSON) and what was
    measured in sentences; report.html holds them all.

    ```sh
    recurra study --out study
    recurra study explode vanish --out study
    recurra study truncation --model plays --text more-plays.txt --out study
    ```

    Parameters
    ----------
    names
        The studies to run; all where none is named.
    out
        The folder to write into.
    seed
        Of everything that is drawn.
    quick
        Fewer draws and less training: to see it work, not to quote it.
    model
        The language model that truncation is studied on; one is trained, in two minutes, where none is given.
    text
        Text files: to study the given model on, or to train one on. The Python sources of this interpreter where none
        is given.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    from recurra.diagnosis.studies import Setting, check_names, run_studies

    check_names(names or [])

    def trained() -> tuple[ReadsText, str]:
        return _given(model, text, cell) if model is not None else _trained(out / "model", text or [], seed, quick)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    findings = run_studies(names or [], out, Setting(seed=seed, quick=quick, progress=tell, trained=trained))
    for name, finding in findings.items():
        print(f"{name}\n" + "\n".join(f"  {sentence}" for sentence in finding.sentences))
    print(out / "report.html")


def _given(folder: Path, text: list[Path] | None, cell: str | None) -> tuple[ReadsText, str]:
    """A model that is there, and text for it: what is given, else what was held out when it was trained."""
    from recurra.cli.opening import open_model
    from recurra.tasks.capabilities import ReadsText

    model = open_model(folder, cell, needs=ReadsText, does="serve the truncation study")
    if text is None:
        return model, held_out(folder, model)
    from recurra.data import open_text

    return model, "".join(open_text(text, raw=model.tokenizer.raw).blocks())


def held_out(folder: Path, model: ReadsText) -> str:
    """The text that was held out when a model was trained.

    Raises:
        InputError: the model's folder has no training/ any more.
    """
    from recurra import bundle
    from recurra.errors import InputError

    text = model.held_out_text(folder / bundle.TRAINING)
    if text is None:
        raise InputError(
            f"{folder}: the text held out in training is not there any more ({folder / bundle.TRAINING}). Give text: "
            "--text FILE"
        )
    return text


def _trained(folder: Path, text: list[Path], seed: int, quick: bool) -> tuple[ReadsText, str]:
    """A model trained here and now, and the text held out from it."""
    from recurra.api import train
    from recurra.data import python_sources
    from recurra.tasks import tasks_with
    from recurra.tasks.capabilities import ReadsText
    from recurra.training import choose_progress

    length: dict[str, Any] = (
        {"steps": _QUICK_STEPS, "valid_every": _QUICK_STEPS} if quick else {"max_minutes": _MINUTES}
    )
    if not text:
        # A tenth of the files held out: reading all of them would take longer than the study.
        text, valid = python_sources()
        length["valid"] = valid[: max(1, len(valid) // 10)]
    task = tasks_with(ReadsText)[0]
    model = train(
        task.name, text, out=folder, overwrite=True, seed=seed, progress=choose_progress(), **length, **_NETWORK
    )
    return model, held_out(folder, model)
