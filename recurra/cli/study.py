"""`recurra study`: the classic experiments on gradients through time, on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from recurra.cli.options import whole

if TYPE_CHECKING:
    from recurra.tasks.capabilities import ReadsText

# For the language model that the truncation study trains: two minutes of the fifteen that all studies take.
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
    """Run the classic experiments: why gradients explode or vanish, and what gates change.

    The studies are explode, vanish, bounded and gates (seconds to a minute each), memory and truncation (minutes, they
    train networks). Each writes a figure (PNG and SVG, for light and dark backgrounds), its numbers (JSON) and a
    summary in sentences; report.html contains all of them.

    ```sh
    recurra study --out study
    recurra study explode vanish --out study
    recurra study truncation --model plays --text more-plays.txt --out study
    ```

    Parameters
    ----------
    names
        The studies to run. Default: all.
    out
        The folder for the results.
    seed
        The random seed.
    quick
        Fewer random draws and less training, for a trial run; the numbers are not representative.
    model
        The language model for the study of truncation. Default: one is trained in two minutes.
    text
        Text files for the study of the model, or to train one on. Default: the text held out when the model was
        trained, or the Python sources of this interpreter.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    from recurra.diagnosis.studies import Setting, check_names, run_studies

    check_names(names or [])

    def trained() -> tuple[ReadsText, str]:
        return _open(model, text, cell) if model is not None else _trained(out / "model", text or [], seed, quick)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    findings = run_studies(names or [], out, Setting(seed=seed, quick=quick, progress=report, trained=trained))
    for name, finding in findings.items():
        print(f"{name}\n" + "\n".join(f"  {sentence}" for sentence in finding.sentences))
    print(out / "report.html")


def _open(folder: Path, text: list[Path] | None, cell: str | None) -> tuple[ReadsText, str]:
    """Loads a model; returns it with the user's text or, by default, the text held out when it was trained."""
    from recurra.cli.opening import open_model
    from recurra.tasks.capabilities import ReadsText

    model = open_model(folder, cell, needs=ReadsText, does="support the truncation study")
    if text is None:
        return model, held_out(folder, model)
    from recurra.data import open_text

    return model, "".join(open_text(text, raw=model.tokenizer.raw).blocks())


def held_out(folder: Path, model: ReadsText) -> str:
    """The text that was held out when a model was trained.

    Raises:
        InputError: the folder training/ of the model was deleted.
    """
    from recurra import bundle
    from recurra.errors import InputError

    text = model.held_out_text(folder / bundle.TRAINING)
    if text is None:
        raise InputError(
            f"{folder}: the text held out from training no longer exists ({folder / bundle.TRAINING}). Give text with "
            "--text FILE"
        )
    return text


def _trained(folder: Path, text: list[Path], seed: int, quick: bool) -> tuple[ReadsText, str]:
    """Trains a model; returns it with the text held out from training."""
    from recurra.api import train
    from recurra.data import python_sources
    from recurra.tasks import tasks_with
    from recurra.tasks.capabilities import ReadsText
    from recurra.training import choose_progress

    length: dict[str, Any] = (
        {"steps": _QUICK_STEPS, "valid_every": _QUICK_STEPS} if quick else {"max_minutes": _MINUTES}
    )
    if not text:
        # Only a tenth of the held-out files: reading all of them would take longer than the study.
        text, valid = python_sources()
        length["valid"] = valid[: max(1, len(valid) // 10)]
    task = tasks_with(ReadsText)[0]
    model = train(
        task.name, text, out=folder, overwrite=True, seed=seed, progress=choose_progress(), **length, **_NETWORK
    )
    return model, held_out(folder, model)
