"""Transforms of the values before all else: the logarithm, or the power transform of Box and Cox."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError, nearest

TRANSFORMS = ("none", "log", "box-cox")
Values = npt.NDArray[np.float64]


def check_transform(name: str) -> None:
    """Checks the name of a transform.

    Raises:
        InputError: it is unknown.
    """
    if name not in TRANSFORMS:
        raise InputError(f"there is no transform {name!r}. {nearest(name, TRANSFORMS)}")


def find_power(values: Values, name: str) -> float | None:
    """Returns λ of the transform of a series: None for no transform, 0 for the logarithm.

    That of Box and Cox (1964) maximises the likelihood of a normal distribution of the transformed values, over steps
    of 0.1 from -1 to 2.
    """
    if name == "none":
        return None
    known = values[np.isfinite(values)]
    if name == "log" or len(known) < 10 or known.min() <= 0 or known.min() == known.max():
        return 0.0 if name == "log" else 1.0
    logs = np.log(known).sum()

    def likelihood(power: float) -> float:
        deviation = apply(known / known.mean(), power).std()
        return float(
            -len(known) * np.log(max(deviation, 1e-300)) + (power - 1) * (logs - len(known) * np.log(known.mean()))
        )

    return float(max(np.round(np.arange(-1.0, 2.05, 0.1), 1).tolist(), key=likelihood))


def apply(values: Values, power: float | None) -> Values:
    """Returns (y^λ - 1) / λ, log y for λ = 0."""
    if power is None:
        return values
    return np.log(values) if power == 0 else (np.power(values, power) - 1) / power


def invert(values: Values, power: float | None) -> Values:
    """Returns the values of which `apply` has these results; a result of no value becomes the nearest of one."""
    if power is None:
        return values
    if power == 0:
        return np.exp(np.minimum(values, 700.0))
    # For λ < 0 values above -1/λ have no origin: they would be infinite.
    return np.power(np.maximum(power * values + 1, 1e-9), 1 / power)
