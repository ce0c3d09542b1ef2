"""Scores that several tasks report, of plain values: labels, texts, sequences of ids, losses in nats."""

from recurra.metrics.bleu import BLEU_TOKENIZERS, bleu_and_chrf, check_bleu
from recurra.metrics.edit_distance import edit_distances
from recurra.metrics.error_rates import Nearest, error_rates, nearest_references
from recurra.metrics.label_report import label_report
from recurra.metrics.labels import LabelScores
from recurra.metrics.perplexity import bits, bits_per_character, perplexity, perplexity_of_known
from recurra.metrics.spans import SpanScores, precision_recall_f1
from recurra.metrics.word_alignment import Aligned, AlignedLines, align_units, aligned_lines, text_width
from recurra.metrics.word_errors import (
    ErrorCounts,
    error_counts,
    errors_by_group,
    units_of,
    utterance_errors,
    worst_utterances,
)

__all__ = [
    "BLEU_TOKENIZERS",
    "Aligned",
    "AlignedLines",
    "ErrorCounts",
    "LabelScores",
    "Nearest",
    "SpanScores",
    "align_units",
    "aligned_lines",
    "bits",
    "bits_per_character",
    "bleu_and_chrf",
    "check_bleu",
    "edit_distances",
    "error_counts",
    "error_rates",
    "errors_by_group",
    "label_report",
    "nearest_references",
    "perplexity",
    "perplexity_of_known",
    "precision_recall_f1",
    "text_width",
    "units_of",
    "utterance_errors",
    "worst_utterances",
]
