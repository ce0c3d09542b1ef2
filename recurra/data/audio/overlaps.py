"""Utterances and speakers that are both in the training set and in the data that scores it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from recurra.data.audio.problems import DUPLICATE, SHARED_SPEAKER, Problem, problem
from recurra.data.audio.utterance import Utterance


def find_duplicates(
    train: Sequence[Utterance],
    valid: Sequence[Utterance],
    *,
    train_digests: Sequence[bytes] = (),
    valid_digests: Sequence[bytes] = (),
) -> list[Problem]:
    """Returns a problem for each utterance of `valid` that is also in `train`.

    Utterances are equal if they are the same segment of the same file, or if their samples or features are equal.

    Args:
        train: the training set.
        valid: the utterances that are checked.
        train_digests: the digest of each training utterance (`Computed.digests`); empty to compare files only.
        valid_digests: the digest of each utterance that is checked.
    """
    by_segment = {_segment(utterance): utterance for utterance in reversed(train)}
    by_digest = dict(reversed(list(zip(train_digests, train, strict=True)))) if train_digests else {}
    problems = []
    for number, utterance in enumerate(valid):
        same = by_segment.get(_segment(utterance))
        if same is None and valid_digests:
            same = by_digest.get(valid_digests[number])
        if same is not None:
            problems.append(problem(utterance, DUPLICATE, f"the same as {same.place}: {same.name} of the training set"))
    return problems


def shared_speakers(train: Sequence[Utterance], valid: Sequence[Utterance]) -> list[Problem]:
    """Returns a problem for each speaker of `valid` who is also in `train`, at the speaker's first utterance."""
    known = {utterance.speaker: utterance.place for utterance in reversed(train) if utterance.speaker is not None}
    problems: dict[str, Problem] = {}
    for utterance in valid:
        speaker = utterance.speaker
        if speaker is not None and speaker in known and speaker not in problems:
            description = f"the speaker {speaker} is also in the training set, at {known[speaker]}"
            problems[speaker] = problem(utterance, SHARED_SPEAKER, description)
    return list(problems.values())


def _segment(utterance: Utterance) -> tuple[str, float, float | None]:
    return os.path.abspath(utterance.path), utterance.start or 0.0, utterance.end
