"""How well a translator does on pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.data import Pair, Pairs, is_empty
from recurra.decoding import BeamOptions
from recurra.errors import InputError
from recurra.metrics import BLEU_TOKENIZERS, bits_per_character, check_bleu, perplexity, perplexity_of_known
from recurra.tasks.translator.inference import forced, search
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.report import SHOWN
from recurra.tasks.translator.scores import edits_of, scores
from recurra.tasks.translator.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The files that a translator is evaluated on, and how its outputs are searched for.

    Raises:
        InputError: a value out of range.
    """

    source: list[Path] | None = None
    """Files of sources, a sentence a line, in place of files of pairs."""
    target: list[Path] | None = None
    """The files of their targets, line by line."""
    bleu_tokenize: str = BLEU_TOKENIZERS[0]
    """How sacrebleu cuts text for BLEU: 13a, intl, zh, char, none, ja-mecab or ko-mecab."""
    beam: int = BeamOptions.beam
    """How many hypotheses are followed side by side; 1 is greedy, as the scores while training."""
    length_penalty: float = BeamOptions.length_penalty
    """Above 0 longer outputs gain, below 0 shorter ones."""
    coverage_penalty: float = BeamOptions.coverage_penalty
    """Weight of what an output loses for parts of the source that it hardly attended to."""
    block_repeats: int = BeamOptions.block_repeats
    """No run of so many symbols comes twice in an output; 0 lets all come."""

    def __post_init__(self) -> None:
        self.search()

    def search(self) -> BeamOptions:
        """The options of the search."""
        return BeamOptions(
            beam=self.beam,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
            block_repeats=self.block_repeats,
        )


def evaluate(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    pairs: Pairs,
    options: EvaluationOptions,
    *,
    max_length_ratio: float,
) -> dict[str, Any]:
    """Every score of a translator on pairs.

    Args:
        network: put in evaluation mode.
        vocabulary: of both sides.
        pairs: read once; their texts and the outputs are kept in memory.
        options: how outputs are searched for and scored.
        max_length_ratio: target symbols a source symbol, at most.

    Returns:
        What `recurra.tasks.translator.scores.scores` returns; `loss` in nats a target symbol, the end counted, and
        `perplexity`, which count `<unk>` as one symbol; `unknown` target symbols and `unknown_share`, their share of
        the symbols and ends; `perplexity_known`, of the others; `bits_per_char` of the targets and their ends, in which
        unknown symbols pay for their spelling; `sentences`, `seen` (how many sources were trained on), `cut` (how many
        outputs were cut at the length limit) and `examples`, the outputs with the most edits.

    Raises:
        InputError: no pair with two sides, or a `bleu_tokenize` that is not known.
        RecurraError: sacrebleu is not installed.
    """
    check_bleu(options.bleu_tokenize)
    loaded = list(pairs)
    losses = _losses(network, vocabulary, loaded)
    if losses is None:
        raise InputError(f"{pairs.files.paths[0]}: no pair to evaluate on, expected a source and a target")
    translations = search(
        network, vocabulary, [pair.source for pair in loaded], options.search(), max_length_ratio=max_length_ratio
    )
    outputs, references = [best[0].text for best in translations], [pair.targets for pair in loaded]
    side = vocabulary.target
    seen = sum(vocabulary.seen(pair.source) for pair in loaded if not is_empty(pair.source))
    return {
        **scores(outputs, references, tokenizer=side, tokenize=options.bleu_tokenize),
        **losses,
        "sentences": len(loaded),
        "seen": seen,
        "cut": sum(not best[0].finished for best in translations),
        "examples": _examples(loaded, outputs, edits_of(outputs, references, side)),
    }


def _losses(network: TranslatorNetwork, vocabulary: Vocabulary, pairs: list[Pair]) -> dict[str, Any] | None:
    """The scores of all targets of pairs with two sides, as while training; None where there is none."""
    known = [
        (pair.source, target)
        for pair in pairs
        for target in pair.targets
        if not is_empty(pair.source) and not is_empty(target)
    ]
    if not known:
        return None
    side, forced_targets = vocabulary.target, forced(network, vocabulary, known)
    symbols = sum(len(side.encode(target)) + 1 for _, target in known)
    unknown = sum(len(side.missing(target)) for _, target in known)
    total, on_unknown = -sum(one.total for one in forced_targets), -sum(one.unknown for one in forced_targets)
    characters = sum(len(target) + 1 for _, target in known)
    spelling = math.fsum(side.spelling_nats(target) for _, target in known)
    return {
        "loss": total / symbols,
        "perplexity": perplexity(total / symbols),
        "unknown": unknown,
        "unknown_share": unknown / symbols,
        # The ends are known symbols, so there is one.
        "perplexity_known": perplexity_of_known(total, on_unknown, tokens=symbols, unknown=unknown),
        "bits_per_char": bits_per_character(total, characters, spelling=spelling),
    }


def _examples(pairs: list[Pair], outputs: list[str], edits: list[int]) -> list[dict[str, Any]]:
    """The outputs that are furthest from their nearest references, in edits."""
    order = sorted(range(len(pairs)), key=lambda number: (-edits[number], number))[:SHOWN]
    return [
        {
            "place": pairs[number].place,
            "source": pairs[number].source,
            "output": outputs[number],
            "references": pairs[number].targets,
            "edits": edits[number],
        }
        for number in order
        if edits[number]
    ]
