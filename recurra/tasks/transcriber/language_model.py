"""A language model of `recurra train lm` as the scorer of a transcriber's hypotheses."""

from __future__ import annotations

from typing import Any

from recurra.decoding.ctc import LanguageModelScorer
from recurra.errors import InputError
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.step import GenerationStep
from recurra.tasks.transcriber.alphabet import Alphabet


def prefix_scorer(language_model: Any, alphabet: Alphabet) -> LanguageModelScorer:
    """Returns the scorer of texts in an alphabet.

    Raises:
        InputError: it is no language model, or knows none of the letters.
    """
    if not isinstance(language_model, LanguageModel):
        kind = getattr(language_model, "name", type(language_model).__name__)
        raise InputError(f"the language model is a {kind!r}: expected a model of `recurra train lm`")
    network = language_model.network.eval()
    scorer = LanguageModelScorer(
        GenerationStep(network),
        network.initial_state(1),
        tokenizer=language_model.tokenizer,
        pieces=alphabet.pieces,
    )
    letters = [piece for piece in alphabet.pieces if piece.strip()]
    if letters and set(letters) <= set(scorer.unknown):
        shown = ", ".join(map(repr, letters[:5]))
        raise InputError(f"the language model knows none of the letters ({shown}, …): train it on texts in this case")
    return scorer
