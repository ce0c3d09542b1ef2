"""The scores of a forecaster as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = ("mase", "smape", "owa", "mae", "rmse")
_TITLES = {"mase": "MASE", "smape": "sMAPE", "owa": "OWA", "mae": "MAE", "rmse": "RMSE"}
_BASELINES = ("seasonal_naive", "naive", "drift", "naive2", "ets", "seasonal_smoothing")
# Steps of the horizon in the table.
_SHOWN = 8


def report(scores: Mapping[str, Any]) -> str:
    """Returns the scores as a table with the simple forecasts, those of the intervals, and a table by step."""
    rows = [("network", scores), *((name, scores[name]) for name in _BASELINES if name in scores)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{scores['series']:,} series, {scores['forecasts']:,} forecasts", ""]
    lines.append(" " * width + "".join(f"{_TITLES[name]:>12}" for name in _COLUMNS))
    for name, row in rows:
        lines.append(
            f"{name.replace('_', ' '):<{width}}" + "".join(f"{_figure(row[column]):>12}" for column in _COLUMNS)
        )
    lines += ["", *_losses(scores), *_intervals(scores), *_by_step(scores["by_step"])]
    if scores["unknown_series"]:
        names = ", ".join(scores["unknown_series"][:5])
        lines.append(f"{len(scores['unknown_series'])} series were not in the training data: {names}")
    if "by_series" in scores:
        lines += ["", *_by_series(scores["by_series"])]
    return "\n".join(lines)


def _losses(scores: Mapping[str, Any]) -> list[str]:
    """Sentences about the simple forecasts that are better than the network, or one that none is."""
    better: list[str] = []
    for name in _BASELINES:
        # Without a season several of them are the same forecast.
        seen = {scores[other]["mase"] for other in better}
        if name in scores and scores[name]["mase"] < scores["mase"] and scores[name]["mase"] not in seen:
            better.append(name)
    if not better:
        return ["The network has a lower MASE than every simple forecast."]
    names = " and ".join(name.replace("_", " ") for name in better)
    verb = "has" if len(better) == 1 else "have"
    return [f"The network LOSES: {names} {verb} a lower MASE. Use {better[0].replace('_', ' ')}, or train longer."]


def _intervals(scores: Mapping[str, Any]) -> list[str]:
    shares = ", ".join(
        f"{scores[f'coverage_{share}']:.1%} of the values in the {share} % interval" for share in (50, 80, 95)
    )
    standard = f"standardised MSE {_figure(scores['standardised_mse'])}, MAE {_figure(scores['standardised_mae'])}"
    return [
        f"Intervals: {shares}",
        f"CRPS {_figure(scores['crps'])}, weighted quantile loss {_figure(scores['wql'])}; {standard}",
    ]


def _by_step(by_step: Mapping[str, Sequence[float]]) -> list[str]:
    horizon = len(by_step["mase"])
    if horizon == 1:
        return []
    count = min(horizon, _SHOWN)
    steps = sorted({round(place * (horizon - 1) / (count - 1)) for place in range(count)})
    lines = ["", "step    " + "".join(f"{step + 1:>9}" for step in steps)]
    for name, title in (("mase", "MASE"), ("coverage_80", "80 %")):
        lines.append(f"{title:<8}" + "".join(f"{_figure(by_step[name][step]):>9}" for step in steps))
    return lines


def _by_series(table: Mapping[str, Sequence[Any]]) -> list[str]:
    names = [str(name) for name in table["unique_id"]]
    width = max(map(len, names))
    lines = [" " * width + "".join(f"{_TITLES[name]:>12}" for name in ("mase", "smape", "mae", "rmse"))]
    for place, name in enumerate(names):
        figures = "".join(f"{_figure(table[column][place]):>12}" for column in ("mase", "smape", "mae", "rmse"))
        lines.append(f"{name:<{width}}{figures}")
    return lines


def _figure(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.4g}"
