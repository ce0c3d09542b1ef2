"""What a task and the training loop know of each other.

The loop knows neither text nor networks: it asks a `Trainable` for the batches of one optimizer update, for the loss of
each, and for a score on held-out data. Everything else (windows, masks, vocabularies) stays on the task's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of one batch, and the state to carry into the next.

    Attributes:
        total: Scalar, nats: the sum of the counted losses, label smoothing included.
        count: How many tokens `total` sums over; must equal the `count` of the batch.
        state: What the next batch starts from: a nest of tuples, named tuples, lists and dicts of tensors, or None.
        extra: Scalar, nats per token: regularisers, which are learned from but not reported; None for none.
    """

    total: Tensor
    count: int
    state: Any = None
    extra: Tensor | None = None


class Batch(Protocol):
    """A piece of one update: a window of the streams, or a padded batch."""

    @property
    def count(self) -> int:
        """How many losses it holds: what the loop weighs its gradient with, before the loss is computed."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether the carried state is dropped before it."""
        ...


class Updates(Protocol):
    """Training data, one optimizer update at a time, for ever; it knows its place and can return to it.

    Under several processes each holds its own share of the data, with equally many batches in each update.
    """

    @property
    def epoch(self) -> int:
        """How many passes over the data are complete."""
        ...

    def update(self) -> list[Any]:
        """The `Batch`es of the next update; several are summed before the optimizer steps."""
        ...

    def updates_per_epoch(self) -> int:
        """How many updates make one pass over the data."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The place in the data and its random generators, in plain containers, numbers, strings and tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a place that `state_dict` gave."""
        ...


class Trainable(Protocol):
    """What a task hands to the loop."""

    @property
    def network(self) -> nn.Module:
        """The network to train, on the device it is to train on, its initial weights already drawn."""
        ...

    @property
    def updates(self) -> Updates:
        """The training data."""
        ...

    @property
    def token_name(self) -> str:
        """What a loss counts: "character", "byte", "word", "token"."""
        ...

    def loss(self, network: nn.Module, batch: Any, state: Any) -> Loss:
        """The loss of a batch that starts from the carried state; `network` may be a wrapped version of `.network`."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Scores on held-out data, among them "loss" in nats per token; an empty dict where there is no such data.

        An "error" among them, such as 1 - F1, decides in place of the loss which model is the best, when to stop and
        when the plateau schedule falls.

        The loop calls it in evaluation mode, without gradients, and puts every random generator back afterwards.
        """
        ...

    def describe(self, loss: float) -> dict[str, float]:
        """A loss in nats per token as the field reports it: `{"perplexity": …, "bits_per_char": …}`."""
        ...

    def rebuild_state(self, state: Any) -> Any:
        """A carried state read from a checkpoint, as `loss` wants it.

        Args:
            state: The nest as `loss` returned it, with each named tuple replaced by a stand-in with the same name,
                fields and values, because a checkpoint holds no classes, and every tensor on the network's device. A
                task that reads its states by field or position returns it as it is.
        """
        ...
