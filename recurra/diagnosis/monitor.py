"""A run of training watched: gradients by lag and saturation on a probe batch, and what went wrong in the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.diagnosis.diagnose import diagnose, lags_of
from recurra.diagnosis.gates import gate_use
from recurra.diagnosis.patching import evaluating
from recurra.diagnosis.watch import watched
from recurra.errors import InputError
from recurra.training import Trainable

LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200)
"""The lags that are logged, as far as the probe batch has them."""
_TIMES = 2  # at which the loss is looked at: a backward pass each


class TrainingMonitor:
    """A `recurra.training.Monitor` of the recurrent layers of any task.

    Args:
        trainable: the task; its next batch of training data is the probe, and stays where it is in them.
    """

    def __init__(self, trainable: Trainable) -> None:
        self._trainable, self._network = trainable, _Losing(trainable)
        self._probe: Any = None

    def measure(self) -> dict[str, float]:
        """For each recurrent layer the gradient norm by lag and the share of saturated values by gate."""
        network, batch = self._network, self._batch()
        with evaluating(network), torch.enable_grad():
            with watched(network) as sequences:
                loss = network(batch, None)
            lags = lags_of(loss, sequences, times=_TIMES)
            found: dict[str, float] = {}
            for trajectory in (one for sequence in sequences for one in sequence.trajectories):
                name, means = _plain(trajectory.name), lags[id(trajectory)].mean.tolist()
                found |= {f"{name}/gradient_at_lag_{lag}": means[lag] for lag in LAGS if lag < len(means)}
                found |= {f"{name}/saturated_{use.gate}": use.saturated for use in gate_use(trajectory)}
        return found

    def explain(self, batch: Any = None, state: Any = None) -> str:
        """The verdicts on layers whose gradient explodes or whose state is not finite.

        Args:
            batch: to look at; the probe where None.
            state: that it starts from; a fresh one where None.
        """
        given = (self._batch() if batch is None else batch, state)
        try:
            layers = diagnose(self._network, given, lambda loss: loss).layers
        except (InputError, RuntimeError):
            # Nothing recurrent inside, or memory is short: the error that is being explained must not be lost for it.
            return ""
        bad = [layer for layer in layers if layer.verdict.kind in ("explodes", "not finite")]
        return " ".join(f"{_plain(layer.measures.name)}: {layer.verdict.text}" for layer in bad)

    def _batch(self) -> Any:
        if self._probe is None:
            updates = self._trainable.updates
            place = updates.state_dict()
            self._probe = updates.update()[0]
            updates.load_state_dict(place)
        return self._probe


class _Losing(nn.Module):
    """The task's network with its loss on top, so that it can be examined like any other."""

    def __init__(self, trainable: Trainable) -> None:
        super().__init__()
        self.network, self._trainable = trainable.network, trainable

    def forward(self, batch: Any, state: Any) -> Tensor:
        """The mean loss of a batch that starts from a state, a scalar."""
        loss = self._trainable.loss(self.network, batch, state)
        return loss.total / loss.count


def _plain(name: str) -> str:
    """The layer's name in the task's own network."""
    return name.removeprefix("network.")
