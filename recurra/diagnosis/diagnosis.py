"""The answer of `recurra.diagnose`: to print, to read, or to write as a page."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.diagnosis.context import Context
from recurra.diagnosis.findings import Layer, context_in_words, plain


@dataclass(frozen=True)
class Diagnosis:
    """What `recurra.diagnose` found: print it, read its fields, or write it as a page."""

    layers: tuple[Layer, ...]
    """Each recurrent layer and direction in the order of the network."""
    context: Context | None
    """The loss against context; None where it cannot be told."""

    def __str__(self) -> str:
        told = [] if self.context is None else [f"context: {context_in_words(self.context)}"]
        return "\n".join([*map(str, self.layers), *told])

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it; numbers that are not finite are None."""
        layers = [
            {
                **dataclasses.asdict(layer.measures),
                "rate": layer.measures.rate,
                "memory": layer.measures.memory,
                "verdict": dataclasses.asdict(layer.verdict),
            }
            for layer in self.layers
        ]
        context = None
        if self.context is not None:
            context = {**dataclasses.asdict(self.context), "useful": self.context.useful}
        told: dict[str, Any] = plain({"layers": layers, "context": context})
        return told

    def write(self, path: str | Path, *, title: str = "Diagnosis") -> None:
        """Writes everything with figures into one HTML file that needs nothing else.

        Raises:
            RecurraError: matplotlib is not installed, or the file cannot be written.
        """
        from recurra.diagnosis.html_report import write_account  # brings matplotlib

        write_account(self.layers, self.context, Path(path), title)
