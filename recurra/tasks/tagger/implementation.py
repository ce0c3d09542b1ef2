"""What the task of taggers runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.implementation import Implementation
from recurra.tasks.tagger.data import TaggedData, prepare, reopen
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.options import BatchOptions, EvaluationOptions, FileOptions, NetworkOptions
from recurra.tasks.tagger.report import report
from recurra.tasks.tagger.training import TaggerObjective


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    *,
    start: Tagger | None,
    models: Mapping[str, Any],
    note: Callable[[str], None],
) -> TaggedData:
    codec, language_model = None if start is None else start.codec, models.get("language_model")
    return prepare(files, options["data"], folder, start=codec, language_model=language_model)


IMPLEMENTATION = Implementation(
    model=Tagger,
    options={"data": FileOptions, "network": NetworkOptions, "batches": BatchOptions},
    training={"epochs": 15.0, "least_steps": 1000, "learning_rate": 3e-3, "beta2": 0.99, "patience": 10},
    prepare=_prepare,
    reopen=reopen,
    objective=TaggerObjective,
    report=report,
    fixed=frozenset({"vectors", "max_vectors", "language_model"}),
    models=("language_model",),
    evaluation=EvaluationOptions,
)
