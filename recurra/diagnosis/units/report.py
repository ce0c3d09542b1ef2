"""What do the units of a language model do? Its activations on a text, a ranking, and the page that shows both."""

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
    """The units of a model on a text."""

    state: str
    """Which of the cell's states they are."""
    pieces: Sequence[str]
    """The text, a piece a token."""
    layers: Sequence[Activations]
    """Of each layer, (N, H) float16."""
    trackers: Sequence[Tracker]
    """For each feature the units that track it best."""

    def page(self, title: str, lead: str = "") -> str:
        """The page that shows them, as HTML."""
        return units_page(title, lead, self.pieces, self.layers, self.trackers)


def examine_units(
    model: ReadsText, text: str, *, state: str | None = None, tell: Callable[[str], None] = lambda line: None
) -> Units:
    """Reads a text with a model and ranks its units by what they track.

    Args:
        model: of any unit of text.
        text: best one that the model was not trained on.
        state: of the cell; c where it has one, else h.
        tell: called with lines of progress.

    Raises:
        InputError: a model that is no language model, a text of fewer than 1000 tokens, or a state that the cell has
            not.
    """
    if not has_capability(type(model), ReadsText):
        raise InputError(f"units: expected a language model, got a {type(model).__name__}")
    shown = shown_state(model.network, state)
    tokens = model.tokenizer.encode(text)
    if len(tokens) < SHORTEST:
        raise InputError(f"units: the text has {len(tokens):,} tokens, expected {SHORTEST:,} or more to rank units on")
    pieces = _pieces(model.tokenizer, tokens)
    layers = activations(model.network, tokens, state=shown, tell=tell)
    tell("ranking units")
    return Units(shown, pieces, layers, rank(layers, _by_token(pieces), tokens))


def _pieces(unit: Tokenizer, tokens: np.ndarray) -> list[str]:
    """The text that each token completes."""
    if unit.per_character:
        return list(unit.decode(tokens))
    decoder = unit.decoder()
    # Bytes that are no text have no place in a page.
    return [decoder.push(int(token)).encode("utf-8", "replace").decode() for token in tokens]


def _by_token(pieces: Sequence[str]) -> list[Feature]:
    """The features of the text as they are at the end of each piece."""
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    # A piece without text, half a character, stands where the text before it ended.
    places = np.maximum(ends, 0)
    return [Feature(one.name, one.values[places], one.binary) for one in features_of("".join(pieces))]
