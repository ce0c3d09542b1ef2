"""A language model as the training loop sees it."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from recurra.cells import State, States
from recurra.data import Streams, Tokenizer, Window
from recurra.metrics import bits, perplexity
from recurra.tasks.language_model.evaluation import Ids, Tokens, nats_in_parts
from recurra.tasks.language_model.network import Network, Output
from recurra.tasks.language_model.options import WindowOptions
from recurra.tasks.language_model.scores import Predicted, scores_of
from recurra.training import Loss

# What a loss counts, in words.
COUNTED = {"char": "character", "byte": "byte", "word": "word", "bpe": "token"}


class Training:
    """Windows of the training text, their loss, and validation: a `recurra.training.Trainable`.

    Args:
        network: on the device it trains on.
        tokenizer: what the text is cut into.
        train: (N,) ids to learn from, a memory map.
        valid: (M,) ids held out.
        options: windows and label smoothing.
        predicted: what the M - 1 predicted ids stand for; what they decode to where None.
        unknown: (U,) int64, ascending: which of the M ids stand for text outside the vocabulary; none where None.
        spelling: nats that spelling the unknown ids of `train` costs, per id of it.
        seed: moves the borders of the windows from epoch to epoch.
        rank: of this process.
        world_size: how many processes train together.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        train: Tokens,
        valid: Tokens,
        options: WindowOptions,
        *,
        predicted: Predicted | None = None,
        unknown: Ids | None = None,
        spelling: float = 0.0,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.network, self.token_name = network, COUNTED[tokenizer.name]
        self._tokenizer, self._valid, self._options = tokenizer, valid, options
        self._predicted, self._unknown, self._spelling = predicted, unknown, spelling
        self.updates = Streams(
            train,
            batch_size=options.batch_size,
            update_every=options.update_every,
            reach_back=options.reach_back,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def loss(self, network: nn.Module, batch: Window, state: States | None) -> Loss:
        """The cross-entropy of the losses that count in a window, from the state carried into it."""
        device = self.network.embedding.weight.device
        if state is None:
            state = self.network.initial_state(batch.inputs.shape[1])
        output: Output = network(batch.inputs.to(device), state, carry=batch.carry, counted=batch.counted)
        total = F.cross_entropy(
            output.scores.flatten(0, 1),  # (counted · B, V)
            batch.targets[len(batch.targets) - batch.counted :].flatten().to(device),
            reduction="sum",
            label_smoothing=self._options.label_smoothing,
        )
        return Loss(total, batch.count, output.state, extra=self._penalty(output))

    def _penalty(self, output: Output) -> Tensor | None:
        """AR and TAR (Merity, McCann & Socher 2017, eq. 3 and 4), in nats per token; None where both are off."""
        alpha, beta = self._options.activation_regularisation, self._options.temporal_regularisation
        if not alpha and not beta:
            return None
        penalty = alpha * output.dropped.square().mean()
        if beta and len(output.h) > 1:
            penalty = penalty + beta * output.h.diff(dim=0).square().mean()
        return penalty

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Loss, perplexity and bits per character on the held-out text."""
        # The network itself: what wraps it for several processes has no part in evaluation.
        nats = nats_in_parts(self.network, self._valid, vocabulary=self._tokenizer.size, unknown=self._unknown)
        text = self._predicted or Predicted(self._tokenizer.characters(self._valid[1:]), 0, 0.0)
        return scores_of(nats, text, self._tokenizer)

    def describe(self, loss: float) -> dict[str, float]:
        """A loss in the usual unit of the tokenizer: bits per character or byte, else perplexity."""
        if self._tokenizer.per_character or self._tokenizer.name == "byte":
            name = "bits_per_char" if self._tokenizer.per_character else "bits_per_byte"
            return {name: bits(loss + self._spelling)}
        return {"perplexity": perplexity(loss)}

    def rebuild_state(self, state: Any) -> Any:
        """The carried state from a checkpoint: a named tuple a layer."""
        return None if state is None else tuple(State(**one._asdict()) for one in state)
