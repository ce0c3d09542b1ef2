"""Small series with a week and a trend, and options of networks that learn them in seconds."""

import numpy as np
import polars as pl

TINY = {
    "horizon": 7,
    "hidden_size": 8,
    "head_size": 16,
    "steps": 60,
    "valid_every": 30,
    "batch_windows": 8,
    "origins": 6,
    "learning_rate": 0.01,
}


def weeks(count=4, steps=140, start=0, seed=0):
    """Daily series with a weekly pattern, a trend and noise; `start` steps are left out at the beginning."""
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        t = np.arange(start + steps)
        pattern = rng.normal(0, 5, 7)
        values = 50 * (number + 1) + 0.05 * number * t + pattern[t % 7] + rng.normal(0, 1, 400)[t]
        days = np.datetime64("2024-01-01") + t
        frames.append(pl.DataFrame({"unique_id": f"s{number}", "ds": days[start:], "y": values[start:].round(3)}))
    return pl.concat(frames)


def split(frame, last):
    """The frame without the last steps of each series, and these."""
    place = pl.int_range(pl.len()).over("unique_id")
    size = pl.len().over("unique_id")
    return frame.filter(place < size - last), frame.filter(place >= size - last)
