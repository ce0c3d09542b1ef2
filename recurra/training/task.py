"""The interface between a task and the training loop.

The loop is independent of data and networks: a `Trainable` provides the batches of one optimizer update, the loss of
each, and the scores on held-out data. Everything else (windows, masks, vocabularies) is internal to the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of one batch, and the state to carry into the next.

    Attributes:
        total: Scalar, nats: the sum of the losses, label smoothing included.
        count: Number of tokens that `total` sums over; must equal the `count` of the batch.
        state: The initial state of the next batch: tensors nested in tuples, named tuples, lists and dicts, or None.
        extra: Scalar, nats per token: regularisation terms, which are optimised but not reported; None for none.
    """

    total: Tensor
    count: int
    state: Any = None
    extra: Tensor | None = None


class Batch(Protocol):
    """One batch of an update: a window of the streams, or padded sequences. An update has one or more."""

    @property
    def count(self) -> int:
        """Number of losses in the batch, which weighs its gradient; known before the loss is computed."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether the carried state is dropped before the batch."""
        ...


class Updates(Protocol):
    """An endless iterator over the training data, one optimizer update at a time, with a position that can be restored.

    With several processes each has its own share of the data, with the same number of batches in each update.
    """

    @property
    def epoch(self) -> int:
        """Number of completed passes over the data."""
        ...

    def update(self) -> list[Any]:
        """Returns the `Batch`es of the next update; the gradients of several are summed before the optimizer steps."""
        ...

    def updates_per_epoch(self) -> int:
        """Number of updates in one pass over the data."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the data and its random generators, in containers, numbers, strings and tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a position returned by `state_dict`."""
        ...


class Trainable(Protocol):
    """The network, data and loss that a task provides to the loop."""

    @property
    def network(self) -> nn.Module:
        """The network to train, initialised and on its device."""
        ...

    @property
    def updates(self) -> Updates:
        """The training data."""
        ...

    @property
    def token_name(self) -> str:
        """The name of a token of the loss: "character", "byte", "word", "token"."""
        ...

    def loss(self, network: nn.Module, batch: Any, state: Any) -> Loss:
        """Returns the loss of a batch that starts from the carried state; `network` may be a wrapper of `.network`."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Returns scores on held-out data, including "loss" in nats per token; an empty dict if there is no such data.

        If the scores include an "error", such as 1 - F1, it replaces the loss for choosing the best model, for early
        stopping and for the plateau schedule.

        The loop calls it in evaluation mode, without gradients, and restores every random generator afterwards.
        """
        ...

    def describe(self, loss: float) -> dict[str, float]:
        """Converts a loss in nats per token to the usual units: `{"perplexity": …, "bits_per_char": …}`."""
        ...

    def rebuild_state(self, state: Any) -> Any:
        """Converts a carried state read from a checkpoint to the types that `loss` expects.

        Args:
            state: The structure that `loss` returned, with every tensor on the network's device. Each named tuple is
                replaced by one of a new class with the same name, fields and values, because a checkpoint contains no
                classes. A task that reads its states by field or position returns it unchanged.
        """
        ...
