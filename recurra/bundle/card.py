"""The README.md of a trained model: its kind, its training data, its scores and how to use it."""

from __future__ import annotations

from typing import Any

from recurra.training import short_figure


def card(
    *, title: str, name: str, summary: str, metrics: dict[str, Any], parameters: int, usage: str, loss_per: str
) -> str:
    """The card as Markdown."""
    rows = "\n".join(f"| {name.replace('_', ' ')} | {_format(value)} |" for name, value in metrics.items())
    return (
        f"# {name}\n\n"
        f"A {title} with {parameters:,} parameters, trained with recurra on {summary}.\n\n"
        f"| | |\n|---|---:|\n{rows}\n\n"
        f"Losses are in nats per {loss_per}, on data held out from training.\n\n"
        f"```sh\n{usage}\n```\n"
    )


def _format(value: Any) -> str:
    return (
        short_figure(value, grouped=True)
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
