"""What the translator task runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.implementation import Implementation
from recurra.tasks.translator.data import PairData, prepare, reopen
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.options import BatchOptions, EvaluationOptions, NetworkOptions, PairOptions
from recurra.tasks.translator.report import report
from recurra.tasks.translator.training import TranslatorObjective


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    *,
    start: Translator | None,
    models: Mapping[str, Any],
    note: Callable[[str], None],
) -> PairData:
    return prepare(files, options["data"], folder, start=None if start is None else start.vocabulary)


IMPLEMENTATION = Implementation(
    model=Translator,
    options={"data": PairOptions, "network": NetworkOptions, "batches": BatchOptions},
    training={"epochs": 15.0, "least_steps": 2000, "learning_rate": 3e-3, "beta2": 0.99, "patience": 10},
    prepare=_prepare,
    reopen=reopen,
    objective=TranslatorObjective.of,
    report=report,
    fixed=frozenset({"source_unit", "target_unit", "joint", "vocabulary_size", "min_count"}),
    evaluation=EvaluationOptions,
)
