"""Runs studies and writes what they found: figures, numbers and one report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from recurra.diagnosis.report import Section, write_page
from recurra.diagnosis.studies.study import Finding, Setting
from recurra.diagnosis.studies.table import STUDIES
from recurra.errors import InputError, RecurraError, nearest
from recurra.files import check_place, write_output

REPORT = "report.html"
_LEAD = (
    "Why is a recurrent network hard to train? The classic experiments, run on this machine: what happens to "
    "activations and gradients through time, what bounded activations and gates change, and what it means for learning."
)


def check_names(names: Sequence[str]) -> list[str]:
    """The studies named, all of them where none is.

    Raises:
        InputError: there is no such study.
    """
    for name in names:
        if name not in STUDIES:
            raise InputError(f"there is no study {name!r}. {nearest(name, STUDIES)}")
    return [name for name in STUDIES if not names or name in names]


def run_studies(names: Sequence[str], out: Path, setting: Setting) -> dict[str, Finding]:
    """Runs studies in the order of the table and writes `NAME.png`, `NAME.svg`, `NAME.json` and one `report.html`.

    Args:
        names: of the table; all where there is none.
        out: the folder to write into; made where it is missing. The report holds the studies of this run.
        setting: seed, progress, and the trained model that truncation needs.

    Returns:
        What each found.

    Raises:
        InputError: there is no such study, or the folder is a file or cannot be written into.
        RecurraError: matplotlib is missing, or a file cannot be written.
    """
    chosen = check_names(names)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{out}: is a file, expected a folder to write into") from None
    except OSError as error:
        raise RecurraError(f"{out}: cannot be made: {error.strerror}") from error
    check_place(out / REPORT)
    findings: dict[str, Finding] = {}
    for name in chosen:
        began = time.monotonic()
        # Layers draw their first weights from torch's global generator; studies leave it as they found it.
        with torch.random.fork_rng():
            torch.manual_seed(setting.seed)
            findings[name] = STUDIES[name].run(replace(setting, tell=_named(setting.tell, name)))
        seconds = time.monotonic() - began
        _write(out, name, findings[name], seconds, setting)
        setting.tell(f"{name}: done in {seconds:.0f} s. {findings[name].sentences[0]}")
    write_page(out / REPORT, "Gradients through time", _sections(findings), lead=_LEAD)
    return findings


def _named(tell: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda line: tell(f"{name}: {line}")


def _write(out: Path, name: str, finding: Finding, seconds: float, setting: Setting) -> None:
    told = {
        "study": name,
        "seed": setting.seed,
        "quick": setting.quick,
        "seconds": round(seconds, 1),
        "sentences": list(finding.sentences),
        "numbers": finding.numbers,
    }
    finding.picture.save(out, name)
    write_output(out / f"{name}.json", json.dumps(told, allow_nan=False, indent=1, ensure_ascii=False) + "\n")


def _sections(findings: dict[str, Finding]) -> list[Section]:
    return [
        Section(STUDIES[name].title, [*finding.sentences, finding.picture, *finding.tables])
        for name, finding in findings.items()
    ]
