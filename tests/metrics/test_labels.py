"""Scores of labels: accuracy, tables and confusions by hand, and spans as sets."""

import pytest

from recurra.data.spans import Span
from recurra.metrics import LabelScores, SpanScores, precision_recall_f1


def test_accuracy_a_table_by_label_and_confusions_with_their_first_example():
    scores = LabelScores(None)
    scores.add(["N", "V", "N"], ["N", "N", "N"], [True, True, False], ["dogs", "bark", "loud"], "f:1")
    scores.add(["V"], ["N"], [True], ["run"], "f:2")
    result = scores.result()
    assert (result["accuracy"], result["accuracy_known"], result["accuracy_unknown"]) == (2 / 4, 1 / 3, 1)
    assert (result["words"], result["unknown_words"], result["sentences"]) == (4, 1, 2)
    assert result["accuracy_sentences"] == 0
    by_label = {row["label"]: row for row in result["by_label"]}
    assert by_label["N"] == {"label": "N", "count": 2, "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)}
    assert by_label["V"] == {"label": "V", "count": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    (confusion,) = result["confusions"]
    assert (confusion["label"], confusion["predicted"], confusion["count"]) == ("V", "N", 2)
    assert (confusion["before"], confusion["word"], confusion["after"]) == (["dogs"], "bark", ["loud"])
    assert confusion["place"] == "f:1"


def test_without_words_there_is_no_score():
    result = LabelScores("bio").result()
    assert result["accuracy"] is result["f1"] is result["accuracy_sentences"] is None


def test_a_span_is_correct_where_type_start_and_end_are():
    spans = SpanScores()
    spans.add([Span("X", 0, 2), Span("Y", 3, 4)], [Span("X", 0, 2), Span("X", 3, 4), Span("Y", 3, 5)])
    assert spans.overall() == precision_recall_f1(1, 3, 2) == {"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5}
    assert [(row["span"], row["count"], row["f1"]) for row in spans.by_type()] == [("X", 1, 2 / 3), ("Y", 1, 0.0)]
