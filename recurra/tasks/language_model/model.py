"""A trained language model: it writes, evaluates and scores."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from recurra.cells import Cell
from recurra.data import Corpus, Tokenizer, encode, load_tokenizer, open_text
from recurra.errors import InputError
from recurra.tasks.capabilities import Evaluates, Generates, Probe, Probes, ReadsText, ScoresLines
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.language_model.evaluation import loss_by_position, nats_in_order
from recurra.tasks.language_model.generation import make_generation_options, write
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import NetworkOptions
from recurra.tasks.language_model.probing import probe
from recurra.tasks.language_model.scores import evaluated
from recurra.tasks.language_model.scoring import Score, score_lines
from recurra.tasks.language_model.text import VALID, Prepared, reopen


class LanguageModel(Evaluates, Generates, ScoresLines, Probes, ReadsText):
    """A network and the unit of text it reads: `recurra.load(DIR)` of a folder that `recurra train lm` made.

    Args:
        network: the network.
        tokenizer: what text is cut into.
        options: the network's sizes, kept for `config`.
    """

    name: ClassVar[str] = "lm"

    def __init__(self, network: Network, tokenizer: Tokenizer, options: NetworkOptions) -> None:
        self.network, self.tokenizer, self.options = network, tokenizer, options

    @classmethod
    def new(cls, tokenizer: Tokenizer, options: NetworkOptions) -> LanguageModel:
        """A model with weights not yet trained, from torch's global generator."""
        return cls(Network(tokenizer.size, options), tokenizer, options)

    @classmethod
    def create(cls, data: Prepared, options: NetworkOptions) -> LanguageModel:
        """A model for the vocabulary of a text, with weights not yet trained."""
        return cls.new(data.tokenizer, options)

    def config(self) -> dict[str, Any]:
        """The network's options, as JSON can hold them."""
        return {"vocabulary": self.tokenizer.size, "network": to_plain(self.options)}

    def settings(self) -> dict[str, Any]:
        """The options of training that this model settles, for a run that starts from it."""
        return {**to_plain(self.options), "unit": self.tokenizer.name}

    def files(self) -> dict[str, str]:
        """The task's own files: the unit's."""
        return self.tokenizer.files()

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> LanguageModel:
        """The model that `config` and the files in `folder` describe, its weights still to be loaded.

        Raises:
            InputError: a field is missing, unknown or of another kind; the vocabulary is of another size.
        """
        tokenizer, path = load_tokenizer(folder), folder / "config.json"
        if config.keys() != {"vocabulary", "network"} or not isinstance(config["network"], dict):
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected network and vocabulary")
        if config["vocabulary"] != tokenizer.size:
            raise InputError(
                f"{path}: vocabulary is {config['vocabulary']}, but unit.json has {tokenizer.size} symbols"
            )
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        return cls(
            Network(tokenizer.size, options, cell=stored_cell(options.recurrent, folder, cell)), tokenizer, options
        )

    def stream(self, prompt: str = "", **options: Any) -> Iterator[list[str]]:
        """Writes on from a prompt, piece by piece.

        Args:
            prompt: primes the state; a line's beginning where it holds no token.
            **options: the fields of `GenerationOptions`, and those of `SamplingOptions` in place of `sampling`.

        Returns:
            An iterator over the next piece of each text, often "" for those that have stopped.

        Raises:
            InputError: an option that is unknown or cannot be used; before anything is written.
        """
        return write(self.network, self.tokenizer, prompt, make_generation_options(options))

    def generate(self, prompt: str = "", **options: Any) -> str:
        """One text that continues a prompt, without the prompt; the arguments are those of `stream`.

        Raises:
            InputError: as `stream`, and several samples.
        """
        if options.get("samples", 1) != 1:
            raise InputError(f"generate writes one text: for samples={options['samples']} use generate_many")
        return self.generate_many(prompt, **{**options, "samples": 1})[0]

    def generate_many(self, prompt: str = "", *, samples: int, **options: Any) -> list[str]:
        """Several texts that continue a prompt, without the prompt; the arguments are those of `stream`."""
        pieces = list(self.stream(prompt, samples=samples, **options))
        return ["".join(parts) for parts in zip(*pieces, strict=True)]

    def evaluate(self, files: str | Path | Sequence[str | Path], folder: str | Path | None = None) -> dict[str, Any]:
        """How well the model predicts the files, read as one text with the state carried through.

        Args:
            files: a text file or several.
            folder: where the encoded text goes meanwhile; a temporary one where None.

        Returns:
            `loss` (nats per token) and `perplexity`, which count `<unk>` as one word; `perplexity_known`, of the tokens
            that are not unknown; `bits_per_char` (`bits_per_byte` for bytes), in which unknown tokens pay for their
            spelling, and `spelling_bits_per_char`, what of it that is; `tokens`, `characters`, `unknown` (tokens
            outside the vocabulary; a `<unk>` of the text itself is none) and `unknown_share` of the predicted ones;
            `loss_by_position`, the loss by how much of a fresh context has been read. Without `perplexity_known` where
            all are unknown.

        Raises:
            InputError: no files, one that cannot be read, or a text of one token.
        """
        if folder is None:
            with tempfile.TemporaryDirectory() as aside:
                return self.evaluate(files, aside)
        corpus = encode(open_text(files, raw=self.tokenizer.raw), self.tokenizer, Path(folder) / "evaluated.bin")
        self.network.eval()
        with torch.inference_mode():
            unknown = corpus.unknown_places
            nats = nats_in_order(self.network, corpus.tokens, vocabulary=self.tokenizer.size, unknown=unknown)
            by_position = loss_by_position(self.network, corpus.tokens, vocabulary=self.tokenizer.size)
        return {**evaluated(nats, corpus, self.tokenizer), "loss_by_position": by_position}

    def score(self, lines: Iterable[str], *, batch_size: int = 64) -> Iterator[Score]:
        """The surprisal of each line, read from a fresh state after a line's end, in order.

        Args:
            lines: without their ends; read as they are needed.
            batch_size: how many are scored together, at most: fewer where lines are long, which are read in pieces.

        Raises:
            InputError: a batch of no lines.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a whole number of 1 or more")
        return score_lines(self.network, self.tokenizer, lines, batch_size)

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """Windows of a text and their losses, for who examines the network.

        Args:
            files: the text; none for the part that was held out when the model was trained.
            prepared: the folder in which training left that part.
            rows: windows at most.
            steps: of each at most.

        Raises:
            InputError: a file that cannot be read, or none while training left nothing.
        """
        if not files:
            if not (prepared / VALID).exists():
                raise InputError(f"{prepared}: the text that was held out is not there: name a text file")
            return probe(self.network, reopen(prepared).valid.tokens, rows=rows, steps=steps)
        with tempfile.TemporaryDirectory() as aside:
            corpus = encode(open_text(files, raw=self.tokenizer.raw), self.tokenizer, Path(aside) / "probed.bin")
            return probe(self.network, corpus.tokens, rows=rows, steps=steps)

    def held_out_text(self, prepared: Path) -> str | None:
        """The text that was held out in training; None where `prepared`, the folder of training, has it no more."""
        path = prepared / VALID
        return self.tokenizer.decode(Corpus.open(path, self.tokenizer).tokens) if path.exists() else None

    def unknown_in(self, text: str) -> list[str]:
        """The symbols of a text outside the vocabulary, each once."""
        return sorted(set(self.tokenizer.missing(text)))
