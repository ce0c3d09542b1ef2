"""Plots the attention of a translator: a weight for each pair of target and source symbol."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.diagnosis.fonts import families_for
from recurra.diagnosis.plots import Theme, drawing, heat_map
from recurra.files import write_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: size of a cell, of the margins, and maximal size of the figure, above which the font shrinks.
_CELL, _MARGINS, _MOST = 0.36, 2.4, 60.0
_FONT_SIZE = 13.0
# The usual symbols for a space and for the end of a sentence.
SPACE, END = "▁", "</s>"


def draw_attention(path: Path, source: Sequence[str], target: Sequence[str], weights: Any) -> list[str]:
    """Plots attention weights to a file: a row per target symbol, a column per source symbol, both in reading order.

    Any script is supported: Arabic letters are joined and run from right to left within their symbol, and each
    character is drawn with the first installed font that has it.

    Args:
        path: the file; its extension selects the format: png, svg or pdf.
        source: the S symbols of the source; "" is the end symbol.
        target: the T symbols of the target.
        weights: (T, S), each row sums to 1.

    Returns:
        Characters that no installed font has; they are drawn as boxes.

    Raises:
        RecurraError: matplotlib is not installed, or the file cannot be written.
    """
    columns, rows = [_shown(symbol) for symbol in source], [_shown(symbol) for symbol in target]
    longest = max(map(len, [*columns, *rows]))
    size = [min(_CELL * len(labels) + _MARGINS + 0.1 * longest, _MOST) for labels in (columns, rows)]
    font_size = _FONT_SIZE * min(
        1.0, *((size[0] - _MARGINS) / _CELL / len(columns), (size[1] - _MARGINS) / _CELL / len(rows))
    )
    families, missing = families_for("".join([*columns, *rows]))

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.add_subplot()
        x, y = range(len(columns)), range(len(rows))
        heat_map(
            figure, axes, weights, x, y, colours=theme.amounts, limits=(0.0, 1.0), scale_label="attention weight",
            extend="neither",
        )  # fmt: skip
        axes.set_xticks(x, columns, rotation=0 if max(map(len, columns)) < 3 else 90, fontsize=font_size)
        axes.set_yticks(y, rows, fontsize=font_size)
        axes.invert_yaxis()
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("source")
        axes.set_ylabel("target")

    with _silent():
        image = drawing(draw, (size[0], size[1]), path.suffix[1:].lower(), families=families)
    write_output(path, image)
    return missing


def _shown(symbol: str) -> str:
    return symbol.replace(" ", SPACE) or END


@contextmanager
def _silent() -> Iterator[None]:
    """Suppresses matplotlib's messages about fonts: missing characters are returned to the caller instead."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph ")
            yield
    finally:
        log.setLevel(level)
