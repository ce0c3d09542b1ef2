"""Compares the gradient of truncated backpropagation with that of the whole sequence, on a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import States, detach
from recurra.diagnosis import plots
from recurra.diagnosis.report import Table
from recurra.diagnosis.studies.study import Setting, StudyResult
from recurra.errors import InputError
from recurra.tasks.language_model.network import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 1024
ROWS = 8
REPEATS = 4
PRIMED = 256
"""Number of tokens read before the gradient is computed, so that the state does not start from zero."""
GROUPS = {"all parameters": "", "W_hh": "recurrent.weight_hh", "W_ih": "recurrent.weight_ih"}
"""Groups of parameters by the prefix of their names."""


def truncation(setting: Setting) -> StudyResult:
    """Compares the gradient of the mean loss of 1024 steps with the sum of the gradients of its windows.

    The gradient of a window goes back to the start of the window: the state is carried, but detached. The direction is
    compared by the cosine, the length by the ratio of norms; both are 1 without truncation.
    """
    if setting.trained is None:
        raise InputError("truncation: this study needs a trained language model: set Setting.trained")
    model, text = setting.trained()
    steps = 256 if setting.quick else STEPS
    windows = [2**power for power in range(steps.bit_length())]
    network = model.network
    compared = torch.stack(
        [
            _compare(setting, network, tokens, windows)
            for tokens in _pieces(model.tokenizer.encode(text), steps, 2 if setting.quick else REPEATS)
        ]
    )  # (repeats, windows, groups, 2)
    mean = compared.mean(0)
    sentences = _describe(windows, dict(zip(GROUPS, mean.unbind(1), strict=True)))
    head = ["window (steps)", *(f"{what}, {group}" for group in GROUPS for what in ("cosine", "ratio of norms"))]
    rows = [[str(window), *mean[at].flatten().tolist()] for at, window in enumerate(windows)]
    numbers = {
        "steps": steps,
        "sequences": ROWS * len(compared),
        "windows": windows,
        **{
            group: {"cosine": mean[:, place, 0].tolist(), "ratio_of_norms": mean[:, place, 1].tolist()}
            for place, group in enumerate(GROUPS)
        },
    }

    def draw(figure: Figure, theme: plots.Theme) -> None:
        _draw(figure, theme, windows, compared)

    alt = "Two rising curves over the window's length: cosine and ratio of norms, both 1 for the whole sequence."
    return StudyResult(sentences, numbers, plots.picture(draw, alt, size=(12, 5)), [Table(head, rows)])


def _pieces(tokens: np.ndarray, steps: int, repeats: int) -> list[Tensor]:
    """For each repeat, rows of tokens spaced evenly in the text, (PRIMED + steps + 1, ROWS) int64."""
    length, rows = PRIMED + steps + 1, ROWS * repeats
    if len(tokens) < rows + length:
        raise InputError(f"truncation: the text has {len(tokens):,} tokens, expected {rows + length:,} or more")
    starts = np.linspace(0, len(tokens) - length, rows).astype(np.int64)
    places = starts[None] + np.arange(length)[:, None]  # (length, rows)
    return list(torch.from_numpy(tokens[places].astype(np.int64)).split(ROWS, 1))


def _compare(setting: Setting, network: Network, tokens: Tensor, windows: list[int]) -> Tensor:
    """Cosine and ratio of norms for each window and group, (windows, groups, 2)."""
    network.eval()
    with torch.no_grad():
        state = network(tokens[:PRIMED], network.initial_state(tokens.shape[1])).state
    tokens = tokens[PRIMED:]
    setting.progress(f"windows of 1 to {windows[-1]} steps, {tokens.shape[1]} sequences")
    gradients = [_gradient(network, tokens, state, window) for window in windows]
    whole = gradients[-1]
    return torch.stack(
        [torch.stack([_compare_gradients(one, whole, start) for start in GROUPS.values()]) for one in gradients]
    )


def _gradient(network: Network, tokens: Tensor, state: States, window: int) -> dict[str, Tensor]:
    """The gradient of the mean loss by parameter, where each loss reaches back to the start of its window."""
    names, parameters = zip(*network.named_parameters(), strict=True)
    total = [torch.zeros_like(parameter) for parameter in parameters]
    steps = len(tokens) - 1
    for start in range(0, steps, window):
        end = min(start + window, steps)
        output = network(tokens[start:end], detach(state))
        loss = F.cross_entropy(output.scores.flatten(0, 1), tokens[start + 1 : end + 1].flatten(), reduction="sum")
        state = output.state
        for sum_, part in zip(total, torch.autograd.grad(loss / (steps * tokens.shape[1]), parameters), strict=True):
            sum_ += part
    return dict(zip(names, total, strict=True))


def _compare_gradients(one: dict[str, Tensor], whole: dict[str, Tensor], start: str) -> Tensor:
    """Cosine and ratio of norms for the parameters whose names begin with `start`, (2,)."""
    a, b = (
        torch.cat([tensor.flatten() for name, tensor in gradient.items() if name.startswith(start)]).double()
        for gradient in (one, whole)
    )
    return torch.stack([F.cosine_similarity(a, b, 0), a.norm() / b.norm()])


def _describe(windows: list[int], mean: dict[str, Tensor]) -> list[str]:
    """Sentences on cosine and ratio of norms by group, (windows, 2) each."""
    cosine, ratio = mean["W_hh"].unbind(-1)
    by_window = "; ".join(
        f"{window} steps: {float(cosine[at]):.3f} and {float(ratio[at]):.0%}"
        for at, window in enumerate(windows)
        if window in (1, 16, 64)
    )
    enough = [
        next(window for window, value in zip(windows, each[:, 0], strict=True) if value >= 0.95)
        for each in mean.values()
    ]
    shortest = ", ".join(f"{steps} for {group}" for steps, group in zip(enough, mean, strict=True))
    return [
        f"Gradient of W_hh by window, compared with {windows[-1]} steps, as cosine and ratio of norms: {by_window}.",
        f"The shortest window (of powers of two) with a cosine of 0.95 or more: {shortest}. The gradient of the output "
        "layer does not depend on the window, because it needs h only, not its derivatives.",
    ]


def _draw(figure: Figure, theme: plots.Theme, windows: list[int], compared: Tensor) -> None:
    panels = figure.subplots(1, 2, sharex=True)
    names = {"all parameters": "all parameters", "W_hh": "W$_{hh}$", "W_ih": "W$_{ih}$"}
    y_labels = ("cosine with the full gradient", "norm / norm of the full gradient")
    for which, axes in enumerate(panels):
        for place, group in enumerate(GROUPS):
            values = compared[:, :, place, which]  # (repeats, windows)
            colour = theme.series[place]
            axes.fill_between(windows, values.amin(0), values.amax(0), color=colour, alpha=0.18, linewidth=0)
            axes.plot(
                windows, values.mean(0), color=colour, linestyle=plots.STROKES[place], marker=plots.MARKERS[place],
                label=names[group],
            )  # fmt: skip
        axes.axhline(1, color=theme.ink, linewidth=1)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0, None)
        plots.label(axes, "window (steps)", y_labels[which], ("Direction", "Length")[which])
    panels[1].legend(loc="lower right")
