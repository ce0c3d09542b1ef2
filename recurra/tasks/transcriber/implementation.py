"""What the transcriber task runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.implementation import Implementation
from recurra.tasks.transcriber.data import SpeechData, prepare, reopen
from recurra.tasks.transcriber.model import Transcriber
from recurra.tasks.transcriber.options import (
    AugmentOptions,
    BatchOptions,
    EvaluationOptions,
    FeatureOptions,
    NetworkOptions,
    RecordingOptions,
)
from recurra.tasks.transcriber.report import report
from recurra.tasks.transcriber.training import TranscriberObjective


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    *,
    start: Transcriber | None,
    models: Mapping[str, Any],
    note: Callable[[str], None],
) -> SpeechData:
    groups = options["data"], options["features"]
    return prepare(files, *groups, folder, reduction=options["network"].reduction, start=start, note=note)


IMPLEMENTATION = Implementation(
    model=Transcriber,
    options={
        "data": RecordingOptions,
        "features": FeatureOptions,
        "network": NetworkOptions,
        "augment": AugmentOptions,
        "batches": BatchOptions,
    },
    # Without warm-up the first updates lead to a state in which CTC writes blanks only, and learning is late by many
    # epochs: on an4 the word error after 2,450 updates was 99 % without, 30 % with it.
    training={"epochs": 60.0, "least_steps": 6000, "learning_rate": 3e-3, "beta2": 0.99, "warmup_ratio": 0.05},
    prepare=_prepare,
    reopen=reopen,
    objective=TranscriberObjective,
    report=report,
    fixed=frozenset(
        {
            *("unit", "vocabulary_size", "min_count", "lowercase"),
            *("rate", "mels", "frame_ms", "shift_ms", "padding_ms", "deltas", "normalise", "cepstra"),
        }
    ),
    evaluation=EvaluationOptions,
    evaluation_models=("language_model",),
)
