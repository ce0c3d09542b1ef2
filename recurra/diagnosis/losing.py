"""A task in training as a network that returns its loss, so that it can be examined like any other."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from recurra.training import Trainable


class Losing(nn.Module):
    """The task's network with its loss on top: a batch in, the mean loss out.

    Args:
        trainable: the task.
        network: its network, or a wrapped version of it.
    """

    def __init__(self, trainable: Trainable) -> None:
        super().__init__()
        self.network, self._trainable = trainable.network, trainable

    def forward(self, batch: Any) -> Tensor:
        """The loss of a batch that starts from a fresh state, nats per token, a scalar."""
        loss = self._trainable.loss(self.network, batch, None)
        return loss.total / loss.count


def first_batch(trainable: Trainable) -> Any:
    """The next batch of the training data, which stays where it is in them."""
    place = trainable.updates.state_dict()
    try:
        return trainable.updates.update()[0]
    finally:
        trainable.updates.load_state_dict(place)
