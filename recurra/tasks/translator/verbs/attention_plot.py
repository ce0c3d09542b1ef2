"""`--attention-plot`: a plot of the attention weights of the first line that is not empty."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data import is_empty
from recurra.diagnosis.attention import draw_attention
from recurra.diagnosis.plots import check_plots
from recurra.errors import InputError
from recurra.files import check_place

if TYPE_CHECKING:
    from recurra.tasks.translator.model import Translator

_SUFFIXES = (".png", ".svg", ".pdf")


class AttentionPlot:
    """Plots the first source that is not empty, with its target.

    Args:
        path: the file; None for no plot.
        translator: whose attention is plotted.

    Raises:
        InputError: the file name has an unknown suffix, the folder does not exist, or the translator has no attention.
        RecurraError: matplotlib is not installed.
    """

    def __init__(self, path: Path | None, translator: Translator) -> None:
        self._path, self._translator, self._drawn = path, translator, False
        if path is None:
            return
        if path.suffix.lower() not in _SUFFIXES:
            raise InputError(f"--attention-plot {path}: expected a name that ends in {', '.join(_SUFFIXES)}")
        check_place(path)
        translator.check_attention()
        check_plots()

    def add(self, source: str, target: str, *, finished: bool = True) -> None:
        """Passes a source and its target, in order; a target that is not finished has no row for its end symbol."""
        if self._path is None or self._drawn or is_empty(source):
            return
        self._drawn = True
        missing = draw_attention(self._path, *self._translator.attention(source, target, finished=finished))
        if missing:
            print(
                f"recurra: {self._path}: no installed font has {' '.join(missing[:10])}: install one that has, such as "
                "the package fonts-noto-cjk or fonts-noto-core (google-noto-… on Fedora)",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Reports that there is no plot, if every line was empty."""
        if self._path is not None and not self._drawn:
            print(f"recurra: {self._path}: not drawn, because every line is empty", file=sys.stderr)
