"""What runs for a language model: the parts of this folder, as the contract of all tasks names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.implementation import Implementation
from recurra.tasks.language_model.data import TextData, prepare, reopen
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.tasks.language_model.report import report
from recurra.tasks.language_model.training import LanguageModelObjective
from recurra.tasks.recurrent_options import FREE


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    *,
    start: LanguageModel | None,
    models: Mapping[str, Any],
    note: Callable[[str], None],
) -> TextData:
    window: WindowOptions = options["window"]
    # One window of each stream, and the token that its last step predicts.
    least = window.batch_size * (window.update_every or 1) + 1
    return prepare(files, options["text"], folder, tokenizer=None if start is None else start.tokenizer, least=least)


IMPLEMENTATION = Implementation(
    model=LanguageModel,
    options={"text": TextOptions, "network": NetworkOptions, "window": WindowOptions},
    # Loss on tinyshakespeare after training on 2.7 million characters, in nats per character. With
    # beta2 = 0.99: 1.457 at learning rate 4e-3 and batch size 16, 1.478 at batch size 32, 1.507 at 8e-3. With the usual
    # 0.999, at batch size 32: 1.574 at 3e-3, 1.485 at 6e-3.
    training={"epochs": 10.0, "least_steps": 1000, "learning_rate": 4e-3, "beta2": 0.99},
    prepare=_prepare,
    reopen=reopen,
    objective=LanguageModelObjective.of,
    report=report,
    free=FREE | {"embedding_dropout"},
    fixed=frozenset({"unit", "vocabulary_size", "min_count"}),
)
