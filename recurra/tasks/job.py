"""One training run of a task: its data, its model, and the objective as the training loop uses it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from recurra.tasks.implementation import Data, Implementation, Objective
from recurra.training import Loss


class Training:
    """An objective with the batches of one process: a `recurra.training.Trainable`.

    Args:
        objective: the loss and the scores.
        seed: determines the order of the batches.
        rank: of this process.
        world_size: how many processes train together.

    Raises:
        InputError: the data give no batch.
    """

    def __init__(self, objective: Objective, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.objective = objective
        self.updates = objective.batches(seed=seed, rank=rank, world_size=world_size)

    @property
    def network(self) -> nn.Module:
        """The network to train."""
        return self.objective.network

    @property
    def token_name(self) -> str:
        """What the loss counts."""
        return self.objective.token_name

    def loss(self, network: nn.Module, batch: Any, state: Any) -> Loss:
        """Returns the loss of a batch."""
        return self.objective.loss(network, batch, state)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Returns the scores on the validation data.

        The network itself is scored: the wrapper that several processes train is not needed for it.
        """
        return self.objective.score(final=False)

    def describe(self, loss: float) -> dict[str, float]:
        """Converts a loss in nats per token to the usual units."""
        return self.objective.describe(loss)

    def rebuild_state(self, state: Any) -> Any:
        """Converts a carried state from a checkpoint to the types that `loss` expects."""
        return self.objective.rebuild_state(state)


class Job:
    """Everything that one training run needs of its task, built once.

    Args:
        task: the implementation of the task.
        data: the data, checked and encoded.
        options: the options by group, those of training among them.
        device: where the network goes.
        start: the model whose weights the run starts from; None for random weights, determined by the seed.
        rank: of this process.
        world_size: how many processes train together.

    Raises:
        InputError: the network or the batches cannot be created with these options.
    """

    def __init__(
        self,
        task: Implementation,
        data: Data,
        options: Mapping[str, Any],
        *,
        device: torch.device | str = "cpu",
        start: Any = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        seed = options["training"].seed
        # The seed determines the first weights here, and all random numbers of the loop later.
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = task.model.create(data, options[task.network])
        self.model.network.to(device)
        if start is not None:
            self.model.network.load_state_dict(start.network.state_dict())
        self.data = data
        self._objective = task.objective(self.model, data, options)
        self.trainable = Training(self._objective, seed=seed, rank=rank, world_size=world_size)

    def final_scores(self) -> dict[str, float]:
        """Returns the scores of the trained model on the validation data."""
        scores = self._objective.score(final=True)
        # It chose the best model; the figures behind it are among the scores.
        scores.pop("error", None)
        return scores

    def final_seconds(self) -> float:
        """Returns how long `final_scores` will take, in seconds, measured on a part of the data."""
        self._objective.score_part()  # compiles what scoring needs, once for all lengths
        started = time.perf_counter()
        share = self._objective.score_part()
        return (time.perf_counter() - started) / share
