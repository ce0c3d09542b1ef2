"""Where a network looked at its source for each symbol that it wrote, as a picture."""

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

# Inches of a cell, of what stands around the cells, and at most; with more cells than that letters become smaller.
_CELL, _AROUND, _MOST = 0.36, 2.4, 60.0
_LETTERS = 13.0
# What stands for a space and for the end, as in the field's own pictures.
SPACE, END = "▁", "</s>"


def draw_attention(path: Path, source: Sequence[str], target: Sequence[str], weights: Any) -> list[str]:
    """Draws attention into a file: a row for each symbol written, a column for each symbol read, both in reading order.

    Letters of any script are drawn as they are read: Arabic joined and from right to left within its symbol, each
    character in the first installed font that has it.

    Args:
        path: the file; its ending says which kind: png, svg or pdf.
        source: the S symbols of the source; "" is the end.
        target: the T symbols of the target.
        weights: (T, S), each row sums to 1.

    Returns:
        Characters that no installed font has, drawn as boxes.

    Raises:
        RecurraError: matplotlib is not installed, or the file cannot be written.
    """
    columns, rows = [_shown(symbol) for symbol in source], [_shown(symbol) for symbol in target]
    longest = max(map(len, [*columns, *rows]))
    size = [min(_CELL * len(labels) + _AROUND + 0.1 * longest, _MOST) for labels in (columns, rows)]
    letters = _LETTERS * min(
        1.0, *((size[0] - _AROUND) / _CELL / len(columns), (size[1] - _AROUND) / _CELL / len(rows))
    )
    families, missing = families_for("".join([*columns, *rows]))

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.add_subplot()
        told = "share of the attention"
        places = range(len(columns)), range(len(rows))
        heat_map(figure, axes, weights, *places, colours=theme.amounts, limits=(0.0, 1.0), told=told, extend="neither")
        axes.set_xticks(places[0], columns, rotation=0 if max(map(len, columns)) < 3 else 90, fontsize=letters)
        axes.set_yticks(places[1], rows, fontsize=letters)
        axes.invert_yaxis()
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("read")
        axes.set_ylabel("written")

    with _silent():
        image = drawing(draw, (size[0], size[1]), path.suffix[1:].lower(), families=families)
    write_output(path, image)
    return missing


def _shown(symbol: str) -> str:
    return symbol.replace(" ", SPACE) or END


@contextmanager
def _silent() -> Iterator[None]:
    """Without matplotlib's own words on fonts: characters that none has are returned, of weights nobody asks."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph ")
            yield
    finally:
        log.setLevel(level)
