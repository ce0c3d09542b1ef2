"""What is wrong with utterances: its kinds, and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recurra.data.audio.utterance import Utterance

# How many utterances a summary names per kind.
_NAMED = 3


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem.

    Args:
        title: what it is, for summaries.
        fatal: whether a network cannot be trained on such utterances: they are left out, or training stops. Others
            are reported only.
    """

    title: str
    fatal: bool


UNREADABLE = ProblemKind("cannot be read", fatal=True)
TOO_SHORT = ProblemKind("shorter than a frame", fatal=True)
SILENT = ProblemKind("silent", fatal=True)
EMPTY_TEXT = ProblemKind("empty text", fatal=True)
TEXT_TOO_LONG = ProblemKind("text too long for the audio", fatal=True)
OTHER_WIDTH = ProblemKind("features of another width", fatal=True)
NOT_FINITE = ProblemKind("features that are not finite", fatal=True)
CONSTANT = ProblemKind("features constant over time", fatal=True)
CLIPPED = ProblemKind("clipped", fatal=False)
DC_OFFSET = ProblemKind("DC offset", fatal=False)
DUPLICATE = ProblemKind("also in the training set", fatal=False)
SHARED_SPEAKER = ProblemKind("speaker also in the training set", fatal=False)

# In the order of summaries.
PROBLEM_KINDS = (
    *(UNREADABLE, TOO_SHORT, SILENT, EMPTY_TEXT, TEXT_TOO_LONG, OTHER_WIDTH, NOT_FINITE, CONSTANT),
    *(CLIPPED, DC_OFFSET, DUPLICATE, SHARED_SPEAKER),
)


@dataclass(frozen=True)
class Problem:
    """A problem of an utterance.

    Args:
        utterance: the utterance.
        kind: the kind of the problem.
        message: one line, which begins with the place and the name of the utterance.
    """

    utterance: Utterance
    kind: ProblemKind
    message: str


def problem(utterance: Utterance, kind: ProblemKind, description: str) -> Problem:
    """Returns a problem whose message is the place and the name of the utterance and a description."""
    message = f"{utterance.place}: {utterance.name}: {description}"
    return Problem(utterance, kind, " ".join(message.split()))


def summary(problems: Sequence[Problem]) -> list[str]:
    """Returns one line per kind: number of utterances, and the names of the first ones; fatal kinds first.

    Kinds of other modules follow in the order of their first problems.
    """
    by_kind: dict[ProblemKind, dict[tuple[str, str], None]] = {kind: {} for kind in PROBLEM_KINDS}
    for each in problems:
        by_kind.setdefault(each.kind, {})[each.utterance.place, each.utterance.name] = None
    lines = []
    for kind in sorted(by_kind, key=lambda kind: not kind.fatal):
        names = [name for _, name in by_kind[kind]]
        if names:
            shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
            lines.append(f"{kind.title}: {len(names):,} utterance{'s' if len(names) > 1 else ''} ({shown})")
    return lines
