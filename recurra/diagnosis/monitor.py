"""A training monitor: gradients by lag and saturation on a probe batch, and an explanation of NaN and infinity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.diagnosis.diagnose import diagnose, norms_by_lag
from recurra.diagnosis.gates import gate_use
from recurra.diagnosis.patching import evaluation_mode
from recurra.diagnosis.recording import record_sequences
from recurra.errors import InputError
from recurra.training import Trainable

LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200)
"""The lags that are logged, up to the length of the probe batch."""
_TIMES = 2  # times t of the loss; each needs a backward pass


class TrainingMonitor:
    """A `recurra.training.Monitor` of the recurrent layers of any task.

    Args:
        trainable: the task; its next batch of training data is the probe batch, without advancing the data.
    """

    def __init__(self, trainable: Trainable) -> None:
        self._trainable, self._network = trainable, _NetworkWithLoss(trainable)
        self._probe: Any = None

    def measure(self) -> dict[str, float]:
        """Returns, for each recurrent layer, the gradient norm by lag and the share of saturated values by gate."""
        network, batch = self._network, self._batch()
        with evaluation_mode(network), torch.enable_grad():
            with record_sequences(network) as sequences:
                loss = network(batch, None)
            lags = norms_by_lag(loss, sequences, times=_TIMES)
            measures: dict[str, float] = {}
            for trajectory in (one for sequence in sequences for one in sequence.trajectories):
                name, means = _plain(trajectory.name), lags[id(trajectory)].mean.tolist()
                measures |= {f"{name}/gradient_at_lag_{lag}": means[lag] for lag in LAGS if lag < len(means)}
                measures |= {f"{name}/saturated_{use.gate}": use.saturated for use in gate_use(trajectory)}
        return measures

    def explain(self, batch: Any = None, state: Any = None) -> str:
        """Returns the verdicts on layers whose gradient explodes or whose state is not finite.

        Args:
            batch: the batch; the probe batch if None.
            state: the initial state of the batch; None for the default.
        """
        arguments = (self._batch() if batch is None else batch, state)
        try:
            layers = diagnose(self._network, arguments, lambda loss: loss).layers
        except (InputError, RuntimeError):
            # No recurrent layer, or not enough memory: this must not hide the error that is being explained.
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


class _NetworkWithLoss(nn.Module):
    """The task's network with its loss as the output, so that `diagnose` can call it like any other network."""

    def __init__(self, trainable: Trainable) -> None:
        super().__init__()
        self.network, self._trainable = trainable.network, trainable

    def forward(self, batch: Any, state: Any) -> Tensor:
        """Returns the mean loss of a batch with an initial state, a scalar."""
        loss = self._trainable.loss(self.network, batch, state)
        return loss.total / loss.count


def _plain(name: str) -> str:
    """The layer's name in the task's network."""
    return name.removeprefix("network.")
