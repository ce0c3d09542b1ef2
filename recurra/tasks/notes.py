"""Text for the lines that tasks show before training."""

from __future__ import annotations

from collections.abc import Sequence


def first_names(names: Sequence[str], shown: int = 5) -> str:
    """Returns the first names of files, separated by commas, and the number of the others."""
    rest = f" and {len(names) - shown:,} files more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest
