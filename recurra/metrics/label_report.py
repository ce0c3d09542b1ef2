"""The scores of one label as lines for a terminal: accuracy, spans, a table by label, confusions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Rows of the tables.
_LABELS, _CONFUSIONS = 60, 15


def label_report(name: str, result: dict[str, Any]) -> Iterator[str]:
    """Iterates over lines that show `LabelScores.result`.

    Args:
        name: the name of the label.
        result: the scores, and under `unseen` the number of words whose label is not in the training data.
    """
    yield name
    if result["missing"]:
        yield f"  {'not scored':<17} {result['missing']:,} words without a label"
    if not result["words"]:
        yield "  nothing to score"
        return
    if result["unseen"]:
        yield f"  {'counted as wrong':<17} {result['unseen']:,} words with a label that is not in the training data"
    unknown = result["unknown_words"]
    rows = [
        ("accuracy", result["accuracy"], result["words"], "words"),
        ("of known words", result["accuracy_known"], result["words"] - unknown, "words"),
        ("of unknown words", result["accuracy_unknown"], unknown, "words"),
        ("whole sentences", result["accuracy_sentences"], result["sentences"], "sentences"),
    ]
    for title, value, count, of in rows:
        yield f"  {title:<17} {_percent(value)}  of {count:,} {of}"
    if "f1" in result:
        parts = f"precision {_percent(result['precision'])}  recall {_percent(result['recall'])}"
        yield f"  {'spans':<17} F1 {_percent(result['f1'])}  {parts}  of {result['spans']:,}"
        yield from _table("span", result["by_span"])
    yield from _table("label", result["by_label"])
    yield from _confusions(result["confusions"])


def _table(title: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    shown = rows[:_LABELS]
    width = max([len(title), *(len(row[title]) for row in shown)])
    yield ""
    yield f"  {title:<{width}}    count  precision   recall       F1"
    for row in shown:
        numbers = f"{_percent(row['precision']):>9}  {_percent(row['recall']):>7}  {_percent(row['f1']):>7}"
        yield f"  {row[title]:<{width}}  {row['count']:>7,}  {numbers}"
    if len(rows) > len(shown):
        yield f"  … and {len(rows) - len(shown):,} more in the output of --json"


def _confusions(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield "  most frequent confusions: label → prediction, count, an example"
    for row in rows[:_CONFUSIONS]:
        example = " ".join([*row["before"], f"[{row['word']}]", *row["after"]])
        yield f"  {row['label']} → {row['predicted']}  {row['count']:,}  {row['place']}: {example}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"
