"""The objective of a language model: the loss of a window of text, and scores on the validation text."""

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
from recurra.tasks.language_model.data import TextData
from recurra.tasks.language_model.evaluation import Nats, Positions, Tokens, nats_in_order, nats_in_parts
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.network import Network, Output
from recurra.tasks.language_model.options import WindowOptions
from recurra.tasks.language_model.report import PredictedText, scores_of
from recurra.training import Loss

# Number of tokens that are scored to estimate the time for all.
_TRIAL = 2048
# What the loss counts, by tokenizer.
_TOKEN_NAMES = {"char": "character", "byte": "byte", "word": "word", "bpe": "token"}


class LanguageModelObjective(Objective):
    """Cross-entropy of the next token, by truncated backpropagation through time along parallel streams of the text.

    Args:
        network: the network, on its device.
        tokenizer: the tokenizer of both texts.
        train: (N,) ids of the training text, memory-mapped.
        valid: (M,) ids of the validation text.
        options: windows, penalties and label smoothing.
        predicted: characters and unknown tokens of the M - 1 predicted tokens; None for the characters that the ids
            decode to, and no unknown tokens.
        unknown: (U,) positions of the unknown tokens of `valid`, ascending; None for none.
        spelling: nats to spell the unknown tokens of `train`, per token of it.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        train: Tokens,
        valid: Tokens,
        options: WindowOptions,
        *,
        predicted: PredictedText | None = None,
        unknown: Positions | None = None,
        spelling: float = 0.0,
    ) -> None:
        self.network: Network = network
        self.token_name = _TOKEN_NAMES[tokenizer.name]
        self._tokenizer, self._train, self._valid, self._options = tokenizer, train, valid, options
        self._predicted, self._unknown, self._spelling = predicted, unknown, spelling

    @classmethod
    def of(cls, model: LanguageModel, data: TextData, options: Mapping[str, Any]) -> LanguageModelObjective:
        """Returns the objective of a model on the data of a run."""
        return cls(
            model.network,
            data.tokenizer,
            data.train.tokens,
            data.valid.tokens,
            options["window"],
            predicted=PredictedText.of(data.valid, data.tokenizer),
            unknown=data.valid.unknown_places,
            spelling=(data.train.header.spelling or 0.0) / len(data.train),
        )

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> Streams:
        """Returns windows of parallel streams of the training text; the seed moves their borders in each epoch."""
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
        """Returns the sum of the counted losses of a window, in nats, and the state to carry.

        Args:
            network: the network, or its wrapper for several processes.
            batch: a window of B streams.
            state: the carried state; None for the initial state.
        """
        device = self.network.embedding.weight.device
        if state is None:
            state = self.network.initial_state(batch.inputs.shape[1])
        output: Output = network(batch.inputs.to(device), state, carry=batch.carry, counted=batch.counted)
        total = F.cross_entropy(
            output.scores.flatten(0, 1),  # (counted · B, V)
            batch.targets[len(batch.targets) - batch.counted :].flatten().to(device),  # (counted · B,)
            reduction="sum",
            label_smoothing=self._options.label_smoothing,
        )
        return Loss(total, batch.count, output.state, extra=self._penalty(output))

    def _penalty(self, output: Output) -> Tensor | None:
        """Returns AR + TAR (Merity, McCann & Socher 2017, eq. 3 and 4), in nats per token; None if both are off."""
        alpha, beta = self._options.activation_regularisation, self._options.temporal_regularisation
        if not alpha and not beta:
            return None
        penalty = alpha * output.dropped.square().mean()
        # A window of one step has no difference: the mean over none would be NaN.
        if beta and len(output.h) > 1:
            penalty = penalty + beta * output.h.diff(dim=0).square().mean()
        return penalty

    def score(self, *, final: bool) -> dict[str, float]:
        """Returns loss, perplexity and bits per character of the validation text; see `report.scores_of`.

        Args:
            final: read the text in order, with the state carried from start to end; otherwise in parallel parts, which
                is many times as fast.
        """
        nats = self._nats_in_order(self._valid) if final else self._nats_in_parts()
        text = self._predicted or PredictedText(self._tokenizer.characters(self._valid[1:]), 0, 0.0)
        return scores_of(nats, text, self._tokenizer)

    def score_part(self) -> float:
        """Scores the first tokens of the validation text as `score(final=True)` does; returns their share of it."""
        self._nats_in_order(self._valid[: _TRIAL + 1])
        return min(1.0, _TRIAL / len(self._valid))

    def _nats_in_order(self, tokens: Tokens) -> Nats:
        self.network.eval()
        with torch.inference_mode():
            return nats_in_order(self.network, tokens, vocabulary=self._tokenizer.size, unknown=self._unknown)

    def _nats_in_parts(self) -> Nats:
        # `recurra.training.validate`, the caller, sets evaluation mode and restores the mode of each module.
        return nats_in_parts(self.network, self._valid, vocabulary=self._tokenizer.size, unknown=self._unknown)

    def describe(self, loss: float) -> dict[str, float]:
        """Converts a training loss to the usual unit: bits per character or byte, else perplexity."""
        if self._tokenizer.per_character or self._tokenizer.name == "byte":
            name = "bits_per_char" if self._tokenizer.per_character else "bits_per_byte"
            return {name: bits(loss + self._spelling)}
        return {"perplexity": perplexity(loss)}

    def rebuild_state(self, state: Any) -> Any:
        """Converts the carried state of a checkpoint to named tuples, one per layer."""
        return None if state is None else tuple(State(**layer._asdict()) for layer in state)
