"""Analyses the hidden units of a language model on a text: activations, a ranking by feature, and an HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recurra.data import Tokenizer
from recurra.diagnosis.units.activations import Activations, activations, shown_state
from recurra.diagnosis.units.features import Feature, features_of
from recurra.diagnosis.units.page import units_page
from recurra.diagnosis.units.tracking import Tracker, rank
from recurra.errors import InputError
from recurra.tasks.capabilities import ReadsText, has_capability

SHORTEST = 1000


@dataclass(frozen=True)
class Units:
    """The hidden units of a model on a text."""

    state: str
    """The state of the cell whose units these are."""
    pieces: Sequence[str]
    """The text, one string per token."""
    layers: Sequence[Activations]
    """Activations of each layer, (N, H) float16."""
    trackers: Sequence[Tracker]
    """For each feature the units that track it best."""

    def page(self, title: str, lead: str = "") -> str:
        """Returns an HTML page that shows the units."""
        return units_page(title, lead, self.pieces, self.layers, self.trackers)


def analyse_units(
    model: ReadsText, text: str, *, state: str | None = None, progress: Callable[[str], None] = lambda line: None
) -> Units:
    """Runs a model on a text and ranks its hidden units by the features that they track.

    Args:
        model: a language model with any tokenizer.
        text: the text, preferably one on which the model was not trained.
        state: state of the cell; None for c if the cell has it, else h.
        progress: called with progress messages.

    Raises:
        InputError: the model is not a language model, the text has fewer than 1000 tokens, or the cell does not have
            the state.
    """
    if not has_capability(type(model), ReadsText):
        raise InputError(f"units: expected a language model, got a {type(model).__name__}")
    shown = shown_state(model.network, state)
    tokens = model.tokenizer.encode(text)
    if len(tokens) < SHORTEST:
        raise InputError(f"units: the text has {len(tokens):,} tokens, expected {SHORTEST:,} or more to rank units")
    pieces = _pieces(model.tokenizer, tokens)
    layers = activations(model.network, tokens, state=shown, progress=progress)
    progress("ranking units")
    return Units(shown, pieces, layers, rank(layers, _by_token(pieces), tokens))


def _pieces(tokenizer: Tokenizer, tokens: np.ndarray) -> list[str]:
    """The text that each token completes."""
    if tokenizer.per_character:
        return list(tokenizer.decode(tokens))
    decoder = tokenizer.decoder()
    # "replace" because a page cannot contain bytes that are not text.
    return [decoder.push(int(token)).encode("utf-8", "replace").decode() for token in tokens]


def _by_token(pieces: Sequence[str]) -> list[Feature]:
    """The features of the text at the end of each piece."""
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    # A piece without text, such as an incomplete character, has the position of the text before it.
    places = np.maximum(ends, 0)
    return [Feature(one.name, one.values[places], one.binary) for one in features_of("".join(pieces))]
