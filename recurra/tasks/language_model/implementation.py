"""What the task of language models runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.implementation import Implementation
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.tasks.language_model.scores import report
from recurra.tasks.language_model.text import Prepared, prepare, reopen
from recurra.tasks.language_model.training import LanguageModelObjective
from recurra.tasks.recurrent_options import FREE


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    *,
    start: LanguageModel | None,
    models: Mapping[str, Any],
) -> Prepared:
    window: WindowOptions = options["window"]
    least = window.batch_size * (window.update_every or 1) + 1
    return prepare(files, options["text"], folder, tokenizer=None if start is None else start.tokenizer, least=least)


IMPLEMENTATION = Implementation(
    model=LanguageModel,
    options={"text": TextOptions, "network": NetworkOptions, "window": WindowOptions},
    # Nats per character of tinyshakespeare after 2.7 million characters: β2 = 0.99 at 4e-3 had 1.457 with batches of 16
    # and 1.478 of 32, at 8e-3 1.507; the usual 0.999 had 1.574 at 3e-3 and 1.485 at 6e-3 (batches of 32).
    training={"epochs": 10.0, "least_steps": 1000, "learning_rate": 4e-3, "beta2": 0.99},
    prepare=_prepare,
    reopen=reopen,
    objective=LanguageModelObjective.of,
    report=report,
    free=FREE | {"embedding_dropout"},
    fixed=frozenset({"unit", "vocabulary_size", "min_count"}),
)
