"""Checks whether a checkpoint fits the options, processes and network of the call that resumes it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from recurra.errors import InputError
from recurra.training.checkpoint import NAME, check_network, read_checkpoint
from recurra.training.machine import describe_environment
from recurra.training.options import TrainingOptions
from recurra.training.session import Session

# Options that a resumed run may change, because the weights do not depend on them.
_FREE = frozenset({"log_every", "log_every_seconds", "checkpoint_every", "tensorboard"})


def read_own_checkpoint(folder: Path, session: Session) -> dict[str, Any]:
    """Reads the checkpoint of a folder and checks it against the options, processes and network of this call.

    Raises:
        InputError: there is none, it is damaged, or it is of a different run; the message names the first difference.
    """
    path = folder / NAME
    captured = read_checkpoint(path)
    _check_options(path, captured["options"], session.options)
    count = len(captured["processes"])
    if count != session.processes.count:
        raise InputError(
            f"{path}: the run has {count} processes, this call {session.processes.count}. Resume with {count}: each "
            "has a part of the carried state"
        )
    check_network(path, captured["network"], session.trainable.network)
    return captured


def differences(captured: dict[str, Any], session: Session) -> list[str]:
    """Describes differences between this machine and the checkpoint's: with any, results may not be bit-equal."""
    now = describe_environment(session.device)
    before = captured["environment"]
    return [f"{name} {before.get(name)} then, {value} now" for name, value in now.items() if before.get(name) != value]


def _check_options(path: Path, before: dict[str, Any], options: TrainingOptions) -> None:
    for name, value in dataclasses.asdict(options).items():
        if name not in _FREE and before.get(name) != value:
            raise InputError(
                f"{path}: the run began with {name}={before.get(name)}, this call has {name}={value}. Resume with the "
                "options of the run, or start a new run in another folder"
            )
