"""Readable formatting of numbers of any magnitude."""

from __future__ import annotations

# Larger than any perplexity but one that `recurra.metrics.perplexity` cut off.
_OVERFLOW = 1e300


def figure(value: float, places: int = 4, *, grouped: bool = False) -> str:
    """Formats a number: fixed point below a million, scientific notation above.

    Args:
        value: the number; "nan" and "inf" if it is not finite.
        places: digits after the decimal point.
        grouped: whether thousands are separated by commas.
    """
    comma = "," if grouped else ""
    return _overflow(value) or (f"{value:{comma}.{places}f}" if abs(value) < 1e6 else f"{value:.{places}e}")


def short_figure(value: float, *, grouped: bool = False) -> str:
    """Formats a number with four significant digits; with `grouped`, thousands are separated by commas."""
    return _overflow(value) or (f"{value:,.4g}" if grouped else f"{value:.4g}")


def percent(share: float) -> str:
    """Formats a share in percent with three significant digits."""
    return f"{100 * share:.3g} %"


def _overflow(value: float) -> str:
    """Returns "inf" for a number that `perplexity` has limited; empty for others."""
    return "inf" if value >= _OVERFLOW else ""
