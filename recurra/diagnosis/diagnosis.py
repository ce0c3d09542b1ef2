"""The result of `recurra.diagnose`: to print, to inspect, or to write as an HTML report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.diagnosis.context import Context
from recurra.diagnosis.results import LayerDiagnosis, describe_context, plain


@dataclass(frozen=True)
class Diagnosis:
    """The result of `recurra.diagnose`: print it, read its fields, or write it as a report."""

    layers: tuple[LayerDiagnosis, ...]
    """Each recurrent layer and direction in the order of the network."""
    context: Context | None
    """The loss by context; None if it cannot be measured."""

    def __str__(self) -> str:
        context = [] if self.context is None else [f"context: {describe_context(self.context)}"]
        return "\n".join([*map(str, self.layers), *context])

    def to_dict(self) -> dict[str, Any]:
        """Returns all results in types that JSON supports; NaN and infinity become None."""
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
        results: dict[str, Any] = plain({"layers": layers, "context": context})
        return results

    def write(self, path: str | Path, *, title: str = "Diagnosis") -> None:
        """Writes a self-contained HTML report with figures.

        Raises:
            RecurraError: matplotlib is not installed, or the file cannot be written.
        """
        from recurra.diagnosis.html_report import write_html_report  # brings matplotlib

        write_html_report(self.layers, self.context, Path(path), title)
