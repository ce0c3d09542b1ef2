"""What a language model learns: windows of a text, their loss, and scores on the validation text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.cells import State, States
from recurra.data import Streams, Tokenizer, Window
from recurra.metrics import bits, perplexity
from recurra.tasks.implementation import Objective
from recurra.tasks.language_model.evaluation import Ids, Tokens, nats_in_order, nats_in_parts
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.network import Network, Output
from recurra.tasks.language_model.options import WindowOptions
from recurra.tasks.language_model.scores import Nats, Predicted, scores_of
from recurra.tasks.language_model.text import Prepared
from recurra.training import Loss

# Tokens whose scoring measures the time of all.
_TRIAL = 2048
# What a loss counts, in words.
COUNTED = {"char": "character", "byte": "byte", "word": "word", "bpe": "token"}


class LanguageModelObjective(Objective):
    """Windows of the training text, their loss, and scores on the validation text.

    Args:
        network: on the device it trains on.
        tokenizer: what the text is cut into.
        train: (N,) ids to learn from, a memory map.
        valid: (M,) ids held out.
        options: windows and label smoothing.
        predicted: what the M - 1 predicted ids stand for; what they decode to where None.
        unknown: (U,) int64, ascending: which of the M ids stand for text outside the vocabulary; none where None.
        spelling: nats that spelling the unknown ids of `train` costs, per id of it.
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
    ) -> None:
        self.network: Network = network
        self.token_name = COUNTED[tokenizer.name]
        self._tokenizer, self._train, self._valid, self._options = tokenizer, train, valid, options
        self._predicted, self._unknown, self._spelling = predicted, unknown, spelling

    @classmethod
    def of(cls, model: LanguageModel, data: Prepared, options: Mapping[str, Any]) -> LanguageModelObjective:
        """The objective of a model on an encoded text."""
        return cls(
            model.network,
            data.tokenizer,
            data.train.tokens,
            data.valid.tokens,
            options["window"],
            predicted=Predicted.of(data.valid, data.tokenizer),
            unknown=data.valid.unknown_places,
            spelling=(data.train.header.spelling or 0.0) / len(data.train),
        )

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> Streams:
        """Windows of parallel streams through the training text; the seed moves their borders from epoch to epoch."""
        return Streams(
            self._train,
            batch_size=self._options.batch_size,
            update_every=self._options.update_every,
            reach_back=self._options.reach_back,
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

    def score(self, *, final: bool) -> dict[str, float]:
        """Loss, perplexity and bits per character of the validation text; see `scores`.

        Args:
            final: read the text in order, with the state carried from its start to its end. Otherwise it is read in
                parts at once, many times as fast.
        """
        nats = self._nats(self._valid) if final else self._nats_in_parts()
        text = self._predicted or Predicted(self._tokenizer.characters(self._valid[1:]), 0, 0.0)
        return scores_of(nats, text, self._tokenizer)

    def score_part(self) -> float:
        """Scores the first tokens of the validation text as `score(final=True)` does; returns their share."""
        self._nats(self._valid[: _TRIAL + 1])
        return min(1.0, _TRIAL / len(self._valid))

    def _nats(self, tokens: Tokens) -> Nats:
        self.network.eval()
        with torch.inference_mode():
            return nats_in_order(self.network, tokens, vocabulary=self._tokenizer.size, unknown=self._unknown)

    def _nats_in_parts(self) -> Nats:
        return nats_in_parts(self.network, self._valid, vocabulary=self._tokenizer.size, unknown=self._unknown)

    def describe(self, loss: float) -> dict[str, float]:
        """A loss in the usual unit of the tokenizer: bits per character or byte, else perplexity."""
        if self._tokenizer.per_character or self._tokenizer.name == "byte":
            name = "bits_per_char" if self._tokenizer.per_character else "bits_per_byte"
            return {name: bits(loss + self._spelling)}
        return {"perplexity": perplexity(loss)}

    def rebuild_state(self, state: Any) -> Any:
        """The carried state from a checkpoint: a named tuple a layer."""
        return None if state is None else tuple(State(**one._asdict()) for one in state)
