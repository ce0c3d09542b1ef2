"""A trained language model: generates and evaluates text, and scores lines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.data import Corpus, Tokenizer, encode, load_tokenizer, open_text
from recurra.errors import InputError
from recurra.tasks.capabilities import Evaluates, Generates, Probe, Probes, ReadsText, ScoresLines
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.language_model.data import VALID, TextData, reopen
from recurra.tasks.language_model.evaluation import (
    LineScore,
    Tokens,
    loss_by_position,
    nats_in_order,
    nats_of,
    score_lines,
)
from recurra.tasks.language_model.generation import stream_text
from recurra.tasks.language_model.network import Network, Output
from recurra.tasks.language_model.options import NetworkOptions, make_generation_options
from recurra.tasks.language_model.report import evaluation_scores


class LanguageModel(Evaluates, Generates, ScoresLines, Probes, ReadsText):
    """A network and its tokenizer: the result of `recurra.load(DIR)` for the folder of `recurra train lm`.

    Args:
        network: the network.
        tokenizer: cuts text into the tokens that the network reads.
        options: the options of the network, which are stored in the config.
    """

    name: ClassVar[str] = "lm"

    def __init__(self, network: Network, tokenizer: Tokenizer, options: NetworkOptions) -> None:
        self.network, self.tokenizer, self.options = network, tokenizer, options

    @classmethod
    def new(cls, tokenizer: Tokenizer, options: NetworkOptions) -> LanguageModel:
        """Returns a model with random weights from torch's global generator."""
        return cls(Network(tokenizer.size, options), tokenizer, options)

    @classmethod
    def create(cls, data: TextData, options: NetworkOptions) -> LanguageModel:
        """Returns a model for the vocabulary of the data, with random weights from torch's global generator."""
        return cls.new(data.tokenizer, options)

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the network, as JSON can represent it."""
        return {"vocabulary": self.tokenizer.size, "network": to_plain(self.options)}

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this model determines, for a run that starts from it."""
        return {**to_plain(self.options), "unit": self.tokenizer.name}

    def files(self) -> dict[str, str]:
        """Returns the files of the tokenizer, name to text."""
        return self.tokenizer.files()

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> LanguageModel:
        """Returns the model that `config()` and the files in a folder describe, its weights not yet loaded.

        Raises:
            InputError: a field is missing, unknown or of another type, or the vocabulary has another size.
        """
        tokenizer, path = load_tokenizer(folder), folder / "config.json"
        if config.keys() != {"vocabulary", "network"} or not isinstance(config["network"], dict):
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected network and vocabulary")
        if config["vocabulary"] != tokenizer.size:
            raise InputError(
                f"{path}: vocabulary is {config['vocabulary']}, but unit.json has {tokenizer.size} symbols"
            )
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        cell = stored_cell(options.recurrent, folder, cell)
        return cls(Network(tokenizer.size, options, cell=cell), tokenizer, options)

    def stream(self, prompt: str = "", **options: Any) -> Iterator[list[str]]:
        """Continues a prompt and returns the text piece by piece, while it is generated.

        Args:
            prompt: read before the first token is generated; if empty, the text begins at the start of a line.
            **options: the fields of `GenerationOptions`, and those of `SamplingOptions` in place of `sampling`.

        Returns:
            An iterator over the next piece of each text; a piece may be empty.

        Raises:
            InputError: an option is unknown or invalid; raised before anything is generated.
        """
        return stream_text(self.network, self.tokenizer, prompt, make_generation_options(options))

    def generate(self, prompt: str = "", **options: Any) -> str:
        """Returns one text that continues a prompt, without the prompt; the arguments are those of `stream`.

        Raises:
            InputError: as `stream`, and if `samples` is not 1.
        """
        if options.get("samples", 1) != 1:
            raise InputError(f"generate writes one text: for samples={options['samples']} use generate_many")
        return self.generate_many(prompt, **{**options, "samples": 1})[0]

    def generate_many(self, prompt: str = "", *, samples: int, **options: Any) -> list[str]:
        """Returns several texts that continue a prompt, without the prompt; the arguments are those of `stream`."""
        pieces = list(self.stream(prompt, samples=samples, **options))
        return ["".join(text) for text in zip(*pieces, strict=True)]

    def evaluate(self, files: str | Path | Sequence[str | Path], folder: str | Path | None = None) -> dict[str, Any]:
        """Returns the scores on files, which are read as one text with the state carried from start to end.

        Args:
            files: a text file or several.
            folder: where the encoded text is written; None for a temporary folder.

        Returns:
            - `loss`, in nats per token, and `perplexity`; both count `<unk>` as one word.
            - `perplexity_known`: the perplexity of the tokens that are not unknown; missing if all are unknown.
            - `bits_per_char`: bits per character, including the spelling of unknown tokens; `bits_per_byte` for bytes.
            - `spelling_bits_per_char`: the part of it for the spelling.
            - `tokens`, `characters`: the length of the text.
            - `unknown`, `unknown_share`: the number of tokens outside the vocabulary, without a literal `<unk>` of the
              text, and their share of the predicted tokens.
            - `loss_by_position`: the loss by the number of tokens read since the initial state.

        Raises:
            InputError: there are no files, one cannot be read, or the text has only one token.
        """
        if folder is None:
            with tempfile.TemporaryDirectory() as temporary:
                return self.evaluate(files, temporary)
        corpus = encode(open_text(files, raw=self.tokenizer.raw), self.tokenizer, Path(folder) / "evaluated.bin")
        self.network.eval()
        with torch.inference_mode():
            unknown = corpus.unknown_places
            nats = nats_in_order(self.network, corpus.tokens, vocabulary=self.tokenizer.size, unknown=unknown)
            by_position = loss_by_position(self.network, corpus.tokens, vocabulary=self.tokenizer.size)
        return {**evaluation_scores(nats, corpus, self.tokenizer), "loss_by_position": by_position}

    def score(self, lines: Iterable[str], *, batch_size: int = 64) -> Iterator[LineScore]:
        """Returns an iterator over the surprisal of each line, in order; each is read as the first line of a text.

        Args:
            lines: lines of text, read as they are needed.
            batch_size: largest number of lines that are scored in one batch; long lines are scored in smaller batches.

        Raises:
            InputError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a whole number of 1 or more")
        return score_lines(self.network, self.tokenizer, lines, batch_size=batch_size)

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """Returns windows of a text and their losses, for the examination of the network.

        Args:
            files: the text; none for the validation text of training.
            prepared: the folder in which training keeps its data.
            rows: largest number of windows.
            steps: largest number of steps of a window.

        Raises:
            InputError: a file cannot be read, or there are no files and no validation text.
        """
        if not files:
            if not (prepared / VALID).exists():
                raise InputError(f"{prepared}: does not contain the validation text: name a text file")
            return probe_windows(self.network, reopen(prepared).valid.tokens, rows=rows, steps=steps)
        with tempfile.TemporaryDirectory() as folder:
            corpus = encode(open_text(files, raw=self.tokenizer.raw), self.tokenizer, Path(folder) / "probed.bin")
            return probe_windows(self.network, corpus.tokens, rows=rows, steps=steps)

    def held_out_text(self, prepared: Path) -> str | None:
        """Returns the validation text from the folder in which training keeps its data; None if it is not there."""
        path = prepared / VALID
        return self.tokenizer.decode(Corpus.open(path, self.tokenizer).tokens) if path.exists() else None

    def unknown_in(self, text: str) -> list[str]:
        """Returns the different symbols of a text that are outside the vocabulary."""
        return sorted(set(self.tokenizer.missing(text)))


def probe_windows(network: Network, tokens: Tokens, *, rows: int, steps: int) -> Probe:
    """Returns windows at equal distances in a text, each read from the initial state, and their losses (T, B).

    Args:
        network: the network.
        tokens: (N,) ids.
        rows: largest number of windows, B; fewer if they would overlap.
        steps: largest number of steps of a window, T.

    Raises:
        InputError: the text has only one token, or `rows` or `steps` is below 1.
    """
    for name, value in (("rows", rows), ("steps", steps)):
        if value < 1:
            raise InputError(f"{name}={value}: expected a whole number of 1 or more")
    if len(tokens) < 2:
        raise InputError(f"the text has {len(tokens)} tokens: 2 are needed, one to read and one to predict")
    steps = min(steps, len(tokens) - 1)
    rows = min(rows, (len(tokens) - 1) // steps)
    starts = np.linspace(0, len(tokens) - 1 - steps, rows).astype(np.int64)
    positions = starts[None] + np.arange(steps + 1)[:, None]  # (T + 1, B)
    device = next(network.parameters()).device
    window = torch.from_numpy(tokens[positions].astype(np.int64)).to(device)

    def losses(output: Output) -> Tensor:
        return nats_of(output.scores, window[1:])

    return Probe((window[:-1], network.initial_state(rows)), losses)
