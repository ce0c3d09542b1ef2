"""Runs studies and writes their results: figures, numbers and a report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from recurra.diagnosis.report import Section, write_page
from recurra.diagnosis.studies.study import Setting, StudyResult
from recurra.diagnosis.studies.table import STUDIES
from recurra.errors import InputError, RecurraError, nearest
from recurra.files import check_place, write_output

REPORT = "report.html"
_LEAD = (
    "Why are recurrent networks hard to train? Classic experiments, run on this machine: how activations and gradients "
    "change through time, the effect of bounded activations and of gates, and the consequences for learning."
)


def check_names(names: Sequence[str]) -> list[str]:
    """Returns the named studies in the order of the table; all if `names` is empty.

    Raises:
        InputError: there is no such study.
    """
    for name in names:
        if name not in STUDIES:
            raise InputError(f"there is no study {name!r}. {nearest(name, STUDIES)}")
    return [name for name in STUDIES if not names or name in names]


def run_studies(names: Sequence[str], out: Path, setting: Setting) -> dict[str, StudyResult]:
    """Runs studies in the order of the table and writes `NAME.png`, `NAME.svg`, `NAME.json` and one `report.html`.

    Args:
        names: names of studies; empty for all.
        out: the output folder; created if it does not exist. The report has the studies of this run.
        setting: seed, progress, and the trained model that truncation needs.

    Returns:
        The result of each study by name.

    Raises:
        InputError: there is no such study, or the folder is a file or cannot be written.
        RecurraError: matplotlib is not installed, or a file cannot be written.
    """
    chosen = check_names(names)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{out}: is a file, expected a folder to write into") from None
    except OSError as error:
        raise RecurraError(f"{out}: cannot be created: {error.strerror}") from error
    check_place(out / REPORT)
    results: dict[str, StudyResult] = {}
    for name in chosen:
        began = time.monotonic()
        # Layers draw their initial weights from torch's global generator, whose state is restored afterwards.
        with torch.random.fork_rng():
            torch.manual_seed(setting.seed)
            results[name] = STUDIES[name].run(replace(setting, progress=_with_name(setting.progress, name)))
        seconds = time.monotonic() - began
        _write(out, name, results[name], seconds, setting)
        setting.progress(f"{name}: done in {seconds:.0f} s. {results[name].sentences[0]}")
    write_page(out / REPORT, "Gradients through time", _sections(results), lead=_LEAD)
    return results


def _with_name(progress: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda line: progress(f"{name}: {line}")


def _write(out: Path, name: str, result: StudyResult, seconds: float, setting: Setting) -> None:
    content = {
        "study": name,
        "seed": setting.seed,
        "quick": setting.quick,
        "seconds": round(seconds, 1),
        "sentences": list(result.sentences),
        "numbers": result.numbers,
    }
    result.picture.save(out, name)
    write_output(out / f"{name}.json", json.dumps(content, allow_nan=False, indent=1, ensure_ascii=False) + "\n")


def _sections(results: dict[str, StudyResult]) -> list[Section]:
    return [
        Section(STUDIES[name].title, [*result.sentences, result.picture, *result.tables])
        for name, result in results.items()
    ]
