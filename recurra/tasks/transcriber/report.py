"""The errors of `recurra evaluate`: computed on recordings, and their text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from recurra.data.audio.problems import summary
from recurra.data.batching import by_length
from recurra.decoding.ctc import CTCBeamOptions, PrefixScorer, ctc_beam_search, ctc_greedy
from recurra.errors import InputError
from recurra.metrics.word_alignment import aligned_lines
from recurra.metrics.word_errors import ErrorCounts, error_counts, errors_by_group, utterance_errors, worst_utterances
from recurra.tasks.transcriber.network_stream import LogProbs, log_probs_of
from recurra.tasks.transcriber.options import EvaluationOptions

# Utterances that are shown, and speakers in the table on the terminal.
_WORST, _SPEAKERS = 10, 20
# Characters of a line that shows an alignment.
_WIDTH = 100
# Seconds of a batch, padding included.
_BATCH_SECONDS = 120.0
# What `tune` tries.
_WEIGHTS, _BONUSES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3), (-0.5, 0.0, 0.5, 1.0, 1.5)


def evaluate(model: Any, part: Any, options: EvaluationOptions, scorer: PrefixScorer[Any] | None) -> dict[str, Any]:
    """Returns the errors of a transcriber on recordings.

    Args:
        model: the transcriber.
        part: the recordings.
        options: of the search.
        scorer: a language model, if there is one.

    Returns:
        - `wer` and `cer`, the word and the character error, fractions;
        - `words`, the number of words that were said, and `substitutions`, `insertions`, `deletions` of words;
        - `sentence_error`, the share of recordings with an error;
        - `recordings`, and `left_out`, the number of those that could not be read;
        - `speakers`, the word error of each known speaker;
        - `worst`, the recordings with the most errors, with what was said and heard, aligned;
        - `problems`, what is wrong with the recordings, one line per kind;
        - with `tune`, `tuning`: weights, bonuses and word errors, best first.

    Raises:
        InputError: no recording can be used.
    """
    corpus = part.corpus
    if not len(corpus):
        raise InputError(f"no recording can be evaluated: {'; '.join(summary(part.problems))}")
    rows = _log_probs(model, part)
    said = [model.alphabet.clean(one.text) for one in corpus.said]
    tuning: list[dict[str, float]] = []
    search = options.decoding.search(has_language_model=scorer is not None)
    if options.tune and scorer is not None and search is not None:
        tuning = _tune(model, rows, said, search, scorer)
        best = tuning[0]
        search = _with(search, best["lm_weight"], best["length_bonus"])
    heard = [_text(model, row, search, scorer) for row in rows]
    results = _scores(said, heard, [one.speaker for one in corpus.said], [one.name for one in corpus.said])
    fatal = {(one.utterance.place, one.utterance.name) for one in part.problems if one.kind.fatal}
    results |= {"left_out": len(fatal), "problems": summary(part.problems)}
    return {**results, "tuning": tuning} if tuning else results


def _log_probs(model: Any, part: Any) -> list[LogProbs]:
    """Returns the log-probabilities of all recordings, in their order."""
    corpus, features = part.corpus, model.features
    results: list[LogProbs] = [None] * len(corpus)  # type: ignore[list-item]
    for numbers in by_length(corpus.lengths, tokens=round(_BATCH_SECONDS / features.frame_seconds)):
        finished = [
            features.finish(corpus.features(number), model.statistics, corpus.statistics(number)) for number in numbers
        ]
        for number, log_probs in zip(numbers, log_probs_of(model.network, finished), strict=True):
            results[number] = log_probs
    return results


def _text(model: Any, log_probs: LogProbs, search: CTCBeamOptions | None, scorer: PrefixScorer[Any] | None) -> str:
    if search is None:
        return str(model.alphabet.decode(ctc_greedy(log_probs).ids))
    ids = ctc_beam_search(log_probs, search, scorer, pieces=model.alphabet.pieces)[0].ids
    return str(model.alphabet.decode(ids))


def _tune(
    model: Any,
    rows: Sequence[LogProbs],
    said: Sequence[str],
    search: CTCBeamOptions,
    scorer: PrefixScorer[Any],
) -> list[dict[str, float]]:
    """Returns the word error with each weight and bonus, the best first; of equal ones the smaller character error."""
    tried = []
    for weight in _WEIGHTS:
        for bonus in _BONUSES:
            changed = _with(search, weight, bonus)
            heard = [_text(model, row, changed, scorer) for row in rows]
            errors = {unit: error_counts(said, heard, unit=unit).rate for unit in ("word", "char")}
            tried.append({"lm_weight": weight, "length_bonus": bonus, "wer": errors["word"], "cer": errors["char"]})
    return sorted(tried, key=lambda one: (one["wer"], one["cer"]))


def _with(search: CTCBeamOptions, weight: float, bonus: float) -> CTCBeamOptions:
    return replace(search, lm_weight=weight, length_bonus=bonus)


def _scores(
    said: Sequence[str], heard: Sequence[str], speakers: Sequence[str | None], names: Sequence[str]
) -> dict[str, Any]:
    words, characters = error_counts(said, heard), error_counts(said, heard, unit="char")
    each = utterance_errors(said, heard)
    by_speaker: dict[str, ErrorCounts] = {}
    if any(speaker is not None for speaker in speakers):
        by_speaker = errors_by_group(said, heard, [speaker or "unknown" for speaker in speakers])
    worst = [number for number in worst_utterances(each, _WORST) if each[number].errors]
    return {
        "wer": words.rate,
        "cer": characters.rate,
        "sentence_error": sum(one.errors > 0 for one in each) / len(each),
        "recordings": len(said),
        "words": words.length,
        "substitutions": words.substitutions,
        "insertions": words.insertions,
        "deletions": words.deletions,
        "speakers": {name: counts.rate for name, counts in by_speaker.items()},
        "worst": [
            {
                "name": names[number],
                "said": said[number],
                "heard": heard[number],
                "errors": each[number].errors,
                "aligned": [list(lines) for lines in aligned_lines(said[number], heard[number], width=_WIDTH)],
            }
            for number in worst
        ],
    }


def report(scores: dict[str, Any]) -> str:
    """Returns the scores of `evaluate` as text."""
    return "\n".join([*_score_lines(scores), *_tuning_lines(scores.get("tuning", [])), *_worst_lines(scores["worst"])])


def _score_lines(scores: dict[str, Any]) -> Iterator[str]:
    yield f"{scores['recordings']:,} recordings, {scores['words']:,} words"
    yield (
        f"  word error       {_percent(scores['wer'])}  {scores['substitutions']:,} substitutions, "
        f"{scores['insertions']:,} insertions, {scores['deletions']:,} deletions"
    )
    yield f"  character error  {_percent(scores['cer'])}"
    yield f"  sentence error   {_percent(scores['sentence_error'])}  of the recordings have an error"
    speakers = sorted(scores["speakers"].items(), key=lambda item: -item[1])
    if speakers:
        yield "  word error by speaker"
        for name, rate in speakers[:_SPEAKERS]:
            yield f"    {name:<14} {_percent(rate)}"
        if len(speakers) > _SPEAKERS:
            yield f"    … and {len(speakers) - _SPEAKERS:,} more speakers"
    for problem in scores["problems"]:
        yield f"  {problem}"


def _tuning_lines(tuning: list[dict[str, float]]) -> Iterator[str]:
    if not tuning:
        return
    yield "  best with the language model, of the weights and bonuses that were tried"
    for one in tuning[:5]:
        yield (
            f"    --lm-weight {one['lm_weight']:<4} --length-bonus {one['length_bonus']:<5} "
            f"{_percent(one['wer'])} of words, {_percent(one['cer'])} of characters"
        )


def _worst_lines(worst: list[dict[str, Any]]) -> Iterator[str]:
    if worst:
        yield ""
        yield "  the recordings with the most errors"
    for one in worst:
        yield f"  {one['name']}"
        for lines in one["aligned"]:
            for title, line in zip(("said", "heard", ""), lines, strict=True):
                yield f"    {title:<6} {line}".rstrip()


def _percent(value: float) -> str:
    return f"{100 * value:6.2f} %"
