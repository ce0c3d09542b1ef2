"""Losses as people quote them: perplexity, and numbers of any size written so that they can be read."""

from __future__ import annotations

import math

# exp of more overflows a float64, and JSON has no infinity: so large a perplexity is stored as exp(700), shown as inf.
_LARGEST_LOSS = 700.0
_OVERFLOW = 1e300


def perplexity(loss: float) -> float:
    """Exp of a loss in nats per token; exp(700), about 1e304, for a loss of 700 or more; NaN for NaN."""
    return math.nan if math.isnan(loss) else math.exp(min(loss, _LARGEST_LOSS))


def figure(value: float, places: int = 4, *, grouped: bool = False) -> str:
    """A number with so many decimals up to a million, above it in scientific notation.

    Args:
        value: the number; "nan" and "inf" where it is not finite.
        places: decimals, or digits after the point in scientific notation.
        grouped: whether commas part the thousands.
    """
    comma = "," if grouped else ""
    return _overflow(value) or (f"{value:{comma}.{places}f}" if abs(value) < 1e6 else f"{value:.{places}e}")


def short_figure(value: float, *, grouped: bool = False) -> str:
    """A number with four significant digits; with `grouped` commas part the thousands."""
    return _overflow(value) or (f"{value:,.4g}" if grouped else f"{value:.4g}")


def percent(share: float) -> str:
    """A share with three significant digits, in percent."""
    return f"{100 * share:.3g} %"


def _overflow(value: float) -> str:
    """What a number so large that `perplexity` cut it off is shown as; nothing for others."""
    return "inf" if value >= _OVERFLOW else ""
