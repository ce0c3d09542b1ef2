"""Numbers of any size as readable text."""

from __future__ import annotations

# Larger than any perplexity but one that `recurra.metrics.perplexity` cut off.
_OVERFLOW = 1e300


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
