"""`--attention-plot`: a picture of where a translator looked while it wrote the first line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data import is_empty
from recurra.errors import InputError
from recurra.files import check_place

if TYPE_CHECKING:
    from recurra.tasks.translator.model import Translator

_KINDS = (".png", ".svg", ".pdf")


class AttentionPlot:
    """Draws the first source that is not empty, with its target; nothing where no file is named.

    Args:
        path: the file; None for none.
        translator: whose attention is drawn.

    Raises:
        InputError: a name that is no picture's, a folder that is not there, a translator without attention.
        RecurraError: matplotlib is not installed.
    """

    def __init__(self, path: Path | None, translator: Translator) -> None:
        self._path, self._translator, self._drawn = path, translator, False
        if path is None:
            return
        if path.suffix.lower() not in _KINDS:
            raise InputError(f"--attention-plot {path}: expected a name that ends in {', '.join(_KINDS)}")
        check_place(path)
        translator.check_attention()
        from recurra.diagnosis.plots import check_plots

        check_plots()

    def see(self, source: str, target: str, *, finished: bool = True) -> None:
        """A source and its target as they go by; one that is not finished has no row for its end."""
        if self._path is None or self._drawn or is_empty(source):
            return
        from recurra.diagnosis.attention import draw_attention

        self._drawn = True
        missing = draw_attention(self._path, *self._translator.attention(source, target, finished=finished))
        if missing:
            print(
                f"recurra: {self._path}: no font here has {' '.join(missing[:10])}: install one that has, such as the "
                "package fonts-noto-cjk or fonts-noto-core (google-noto-… on Fedora)",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Says so where no line was drawn."""
        if self._path is not None and not self._drawn:
            print(f"recurra: {self._path}: not drawn, for every line is empty", file=sys.stderr)
