"""Whether a trained model is worse than a uniform guess."""

from __future__ import annotations

import math

from recurra.runs.run import Run
from recurra.training import figure

# A model that has learned little may be a little worse than a uniform guess; one that diverged is confident and wrong.
_DIVERGED, _LEAST_UNIFORM = 2.0, math.log(2)


def divergence(run: Run, loss: float, uniform: float) -> list[str]:
    """Compares the loss of a trained model with that of a uniform guess, and shows a notice if it is a little worse.

    Args:
        run: the run, already saved.
        loss: on the validation data, nats per token.
        uniform: that of a guess among equally likely values.

    Returns:
        A message if the loss is much worse, else nothing.
    """
    uniform = max(uniform, _LEAST_UNIFORM)
    if loss <= uniform:
        return []
    comparison = f"its loss of {figure(loss)} nats is worse than the {uniform:.4f} of a uniform guess"
    advice = "Try a lower --learning-rate, --clip 1 or more --warmup-steps"
    if loss > _DIVERGED * uniform:
        return [f"{run.out}: training diverged; the best model is saved, but {comparison}. {advice}"]
    run.progress.note(f"the model learned nothing useful: {comparison}. {advice}")
    return []
