"""Which recordings are held out for validation: whole speakers where they are known."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.data.audio.utterances import Utterance
from recurra.data.holdout import held_out, split_last

Parts = tuple[list[Utterance], list[Utterance]]


def hold_out(utterances: Sequence[Utterance], share: float, *, where: str) -> Parts:
    """Divides recordings into a training and a validation part.

    The last speakers, in the order of their first recordings, are held out until they have the share, so that the
    scores are those on new voices. If speakers are not known, or there are fewer than three, the last recordings are
    held out; where most texts recur, as those of single words do, a share of the recordings of each text: manifests of
    words are often sorted by them, and the last word would be in one part only.

    Args:
        utterances: the recordings.
        share: of them to hold out.
        where: begins the message of an error, such as a file name.

    Raises:
        InputError: a share out of range, or fewer than two recordings.
    """
    kept = split_last(len(utterances), share, where=where, items="recordings")
    speakers = list(dict.fromkeys(utterance.speaker for utterance in utterances))
    if None in speakers or len(speakers) < 3:
        if len({utterance.text for utterance in utterances}) <= len(utterances) / 2:
            return _of_each_text(utterances, len(utterances) - kept)
        return list(utterances[:kept]), list(utterances[kept:])
    wanted, last, count = held_out(len(utterances), share), set[str | None](), 0
    # One speaker at least remains on either side.
    for speaker in reversed(speakers[1:]):
        if count >= wanted:
            break
        last.add(speaker)
        count += sum(utterance.speaker == speaker for utterance in utterances)
    train = [utterance for utterance in utterances if utterance.speaker not in last]
    return train, [utterance for utterance in utterances if utterance.speaker in last]


def _of_each_text(utterances: Sequence[Utterance], count: int) -> Parts:
    """Holds out `count` recordings at equal distances in the order of their texts."""
    order = sorted(range(len(utterances)), key=lambda number: (utterances[number].text or "", number))
    last = {order[int((place + 0.5) * len(order) / count)] for place in range(count)}
    train = [utterance for number, utterance in enumerate(utterances) if number not in last]
    return train, [utterances[number] for number in sorted(last)]
