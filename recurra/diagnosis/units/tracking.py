"""Ranks hidden units by how well they track a feature, controlled for the current character, on separate text.

Only positions with the same current character are compared. For a binary feature the score is the share of such pairs
of positions that a unit orders correctly (the area under the ROC curve within characters); for a numeric feature it is
the correlation after the mean of each character is subtracted. A unit that only encodes the character scores 0.5 and 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from recurra.diagnosis.units.activations import Activations
from recurra.diagnosis.units.features import Feature, Values

CANDIDATES = 16
"""Number of units with the largest correlation that are ranked by area under the curve."""
SHOWN = 5
FEWEST = 50
"""Minimal number of positions with and without the feature, in each half."""


@dataclass(frozen=True)
class Tracker:
    """A hidden unit that tracks a feature."""

    feature: str
    layer: int
    """From 0."""
    unit: int
    """Within the layer, from 0."""
    score: float
    """Area under the curve, or absolute correlation, on the half of the text not used for selection."""
    chosen_at: float
    """The same score on the half used for selection."""
    measure: str
    rises: bool
    """Whether the unit increases with the feature, rather than decreases."""


def rank(
    layers: Sequence[Activations], features: Sequence[Feature], symbols: npt.NDArray[np.int64], *, shown: int = SHOWN
) -> list[Tracker]:
    """Returns the best units for each feature, selected on the first half of the text and scored on the second.

    Args:
        layers: (N, H) each.
        features: values (N,) each; a feature that is too rare in one half is left out.
        symbols: the current symbol, (N,): only positions with the same symbol are compared.
        shown: number of units per feature.
    """
    half = len(symbols) // 2
    trackers = []
    for feature in features:
        known = ~np.isnan(feature.values)
        halves = [np.flatnonzero(known[:half]), half + np.flatnonzero(known[half:])]
        if all(_enough(feature, rows) for rows in halves):
            trackers += _best(layers, feature, symbols, halves, shown)
    return trackers


def _enough(feature: Feature, rows: npt.NDArray[np.int64]) -> bool:
    values = feature.values[rows]
    if not feature.binary:
        return len(rows) >= FEWEST and float(values.std()) > 0
    return bool(FEWEST <= values.sum() <= len(rows) - FEWEST)


def _best(
    layers: Sequence[Activations],
    feature: Feature,
    symbols: npt.NDArray[np.int64],
    halves: list[npt.NDArray[np.int64]],
    shown: int,
) -> list[Tracker]:
    groups = [_groups(symbols[rows]) for rows in halves]
    target = feature.values[halves[0]]
    correlations = [_correlations(layer[halves[0]], target, groups[0]) for layer in layers]
    flatten = np.concatenate(correlations)
    borders = np.cumsum([0, *(len(one) for one in correlations)])
    candidates = []
    for index in np.argsort(-np.abs(flatten))[: CANDIDATES if feature.binary else shown]:
        layer = int(np.searchsorted(borders, index, "right")) - 1
        unit = int(index - borders[layer])
        scores = [
            _score(layers[layer][rows, unit].astype(np.float32), feature, feature.values[rows], group)
            for rows, group in zip(halves, groups, strict=True)
        ]
        rises = bool(flatten[index] > 0)
        turned = [_turned(score, feature, rises) for score in scores]
        measure = "area under the curve" if feature.binary else "correlation"
        candidates.append(Tracker(feature.name, layer, unit, turned[1], turned[0], measure, rises))
    return sorted(candidates, key=lambda one: -one.chosen_at)[:shown]


def _turned(score: float, feature: Feature, rises: bool) -> float:
    """Inverts the score of a unit that decreases with the feature; the sign is determined on the first half."""
    if rises:
        return score
    return 1 - score if feature.binary else -score


def _score(unit: Values, feature: Feature, values: Values, groups: list[npt.NDArray[np.int64]]) -> float:
    if feature.binary:
        return area_under_curve(unit, values > 0, groups)
    return float(_correlations(unit[:, None], values, groups)[0])


def _groups(symbols: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The positions of each symbol."""
    order = np.argsort(symbols, kind="stable")
    borders = np.flatnonzero(np.diff(symbols[order])) + 1
    return [order[a:b] for a, b in pairwise([0, *borders.tolist(), len(order)])]


def _correlations(units: npt.NDArray[np.floating], values: Values, groups: list[npt.NDArray[np.int64]]) -> Values:
    """The correlation of each unit (N, U) with the values (N,), within the groups; (U,)."""
    products, squares, total = np.zeros(units.shape[1]), np.zeros(units.shape[1]), 0.0
    for group in groups:
        inner = units[group].astype(np.float32)
        inner -= inner.mean(0)
        centred = values[group] - values[group].mean()
        products += centred @ inner
        squares += np.square(inner).sum(0)
        total += float(centred @ centred)
    correlations: Values = (products / np.sqrt(np.maximum(squares * total, 1e-30))).astype(np.float32)
    return correlations


def area_under_curve(unit: Values, there: npt.NDArray[np.bool_], groups: list[npt.NDArray[np.int64]]) -> float:
    """Returns the share of pairs within a group, of a position with and one without the feature, ordered correctly.

    Args:
        unit: activations of the unit, (N,).
        there: whether the feature is present, (N,).
        groups: positions that are compared with each other.
    """
    right, pairs = 0.0, 0
    for group in groups:
        yes = there[group]
        n_yes = int(yes.sum())
        n_no = len(group) - n_yes
        if n_yes and n_no:
            ranks = _ranks(unit[group])
            right += float(ranks[yes].sum()) - n_yes * (n_yes + 1) / 2
            pairs += n_yes * n_no
    return right / pairs if pairs else 0.5


def _ranks(values: Values) -> npt.NDArray[np.float64]:
    """Ranks from 1, the mean of them for equal values."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
