"""A trained language model: it writes, evaluates and scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.cells import Cell, States, select
from recurra.data import Unit, encode, load_unit, open_text
from recurra.decoding import SamplingOptions, StopFilter, row_generators, sample
from recurra.errors import InputError
from recurra.tasks.fields import read_fields
from recurra.tasks.language_model.evaluation import loss_by_position, loss_of, nats_of, scores_of
from recurra.tasks.language_model.network import Network, Step, make_cell
from recurra.tasks.language_model.options import NetworkOptions


class Score(NamedTuple):
    """How surprising a line is to a language model."""

    text: str
    nats: float
    """The line's surprisal, -log p(line), end of line included."""
    tokens: int
    """Over how many tokens it sums."""

    @property
    def perplexity(self) -> float:
        """exp(nats per token)."""
        return math.exp(min(self.nats / self.tokens, 700.0))


class LanguageModel:
    """A network and the unit of text it reads: `recurra.load(DIR)` of a folder that `recurra train lm` made.

    Args:
        network: the network.
        unit: what text is cut into.
        options: the network's sizes, kept for `config`.
    """

    name: ClassVar[str] = "lm"

    def __init__(self, network: Network, unit: Unit, options: NetworkOptions) -> None:
        self.network, self.unit, self.options = network, unit, options

    @classmethod
    def new(cls, unit: Unit, options: NetworkOptions) -> LanguageModel:
        """A model with weights not yet trained, from torch's global generator."""
        return cls(Network(unit.size, options), unit, options)

    def config(self) -> dict[str, Any]:
        """The network's options, as JSON can hold them."""
        return {"vocabulary": self.unit.size, "network": dataclasses.asdict(self.options)}

    def settings(self) -> dict[str, Any]:
        """The options of training that this model settles, for a run that starts from it."""
        return {**dataclasses.asdict(self.options), "unit": self.unit.name}

    def files(self) -> dict[str, str]:
        """The task's own files: the unit's."""
        return self.unit.files()

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> LanguageModel:
        """The model that `config` and the files in `folder` describe, its weights still to be loaded.

        Raises:
            InputError: a field is missing, unknown or of another kind; the vocabulary is of another size.
        """
        unit, path = load_unit(folder), folder / "config.json"
        if config.keys() != {"vocabulary", "network"} or not isinstance(config["network"], dict):
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected network and vocabulary")
        if config["vocabulary"] != unit.size:
            raise InputError(f"{path}: vocabulary is {config['vocabulary']}, but unit.json has {unit.size} symbols")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        if cell is None and ":" in options.cell:
            raise InputError(
                f"{folder}: was trained with a cell of somebody's own, {options.cell}. Loading runs no code by itself: "
                f"pass --cell {options.cell} (cell=… in Python)"
            )
        return cls(Network(unit.size, options, cell=cell or make_cell(options)), unit, options)

    def stream(
        self,
        prompt: str = "",
        *,
        length: int | None = 500,
        sampling: SamplingOptions | None = None,
        stop: Sequence[str] = (),
        seed: int,
        samples: int = 1,
    ) -> Iterator[list[str]]:
        """Writes on from a prompt, piece by piece.

        Args:
            prompt: primes the state; a line's beginning where empty.
            length: how many tokens to write; None for without end.
            sampling: how each is drawn.
            stop: strings that end a text; they are not shown.
            seed: the same seed gives the same texts, text i the same whatever `samples` is.
            samples: how many texts to write side by side.

        Yields:
            The next piece of each text, often "" for those that have stopped.
        """
        ids = self._prompt(prompt)
        generators, forbidden = row_generators(seed, samples), [i for i in [self.unit.unknown_id] if i is not None]
        decoders = [self.unit.decoder() for _ in range(samples)]
        for decoder in decoders:
            for token in self.unit.encode(prompt):
                decoder.push(int(token))
        filters, running = [StopFilter(stop) for _ in range(samples)], [True] * samples
        with torch.inference_mode():
            log_probs, state = self._prime(ids)
            rows = torch.zeros(samples, dtype=torch.int64, device=log_probs.device)
            seen = torch.zeros_like(log_probs, dtype=torch.bool).index_fill(1, ids.to(log_probs.device), True)
            drawn = sample(
                log_probs[rows],
                select(state, rows),
                step=Step(self.network),
                length=length,
                generators=generators,
                options=sampling,
                forbidden=forbidden,
                seen=seen[rows],
            )
            for tokens in drawn:
                pieces = [""] * samples
                for row in (row for row in range(samples) if running[row]):
                    text = decoders[row].push(int(tokens[row]))
                    pieces[row], stopped = filters[row].push(text)
                    running[row] = not stopped
                yield pieces
                if not any(running):
                    return
        yield [_rest(*parts) for parts in zip(decoders, filters, running, strict=True)]

    def generate(self, prompt: str = "", **options: Any) -> str:
        """One text that continues a prompt, without the prompt; the arguments are those of `stream`."""
        return self.generate_many(prompt, samples=1, **options)[0]

    def generate_many(self, prompt: str = "", *, samples: int, **options: Any) -> list[str]:
        """Several texts that continue a prompt, without the prompt; the arguments are those of `stream`."""
        texts = [""] * samples
        for pieces in self.stream(prompt, samples=samples, **options):
            texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
        return texts

    def evaluate(self, files: Sequence[Path], folder: Path) -> dict[str, Any]:
        """How well the model predicts the files, read as one text with the state carried through.

        Args:
            files: text files.
            folder: where the encoded text goes meanwhile.

        Returns:
            `loss` (nats per token), `perplexity`, `bits_per_char`, `tokens`, `unknown` (tokens outside the vocabulary)
            and `loss_by_position`, the loss by how much of a fresh context has been read.
        """
        corpus = encode(open_text(list(files), raw=self.unit.raw), self.unit, folder / "evaluated.bin")
        self.network.eval()
        with torch.inference_mode():
            loss = loss_of(self.network, corpus.tokens, vocabulary=self.unit.size)
            by_position = loss_by_position(self.network, corpus.tokens, vocabulary=self.unit.size)
        scores = scores_of(loss, self.unit, corpus.tokens)
        counts = {"tokens": len(corpus), "characters": corpus.characters, "unknown": corpus.header.unknown}
        return {**scores, **counts, "loss_by_position": by_position}

    def score(self, lines: Iterable[str], *, batch_size: int = 64) -> Iterator[Score]:
        """The surprisal of each line, read from a fresh state after a line's end, in order.

        Args:
            lines: without their ends; read as they are needed.
            batch_size: how many are scored together.
        """
        batch: list[str] = []
        for line in lines:
            batch.append(line.rstrip("\r\n"))
            if len(batch) == batch_size:
                yield from self._score(batch)
                batch = []
        if batch:
            yield from self._score(batch)

    def _score(self, lines: list[str]) -> list[Score]:
        start = torch.from_numpy(self.unit.encode("\n"))
        texts = [torch.cat([start, torch.from_numpy(self.unit.encode(line + "\n"))]) for line in lines]
        lengths = torch.tensor([len(text) - 1 for text in texts])
        tokens = pad_sequence(texts)  # (T + 1, B)
        self.network.eval()
        with torch.inference_mode():
            scores, *_ = self.network(tokens[:-1].to(self._device), self.network.initial_state(len(lines)))
            nats = nats_of(scores, tokens[1:].to(self._device)).double().cpu()  # (T, B)
        inside = torch.arange(len(nats))[:, None] < lengths
        totals = (nats * inside).sum(0).tolist()
        return [Score(*parts) for parts in zip(lines, totals, lengths.tolist(), strict=True)]

    def unknown_in(self, text: str) -> list[str]:
        """The symbols of a text that training never had, each once."""
        return sorted(set(self.unit.missing(text)))

    @property
    def _device(self) -> torch.device:
        return self.network.embedding.weight.device

    def _prompt(self, prompt: str) -> Tensor:
        """The prompt's ids (N,), at least one: a text begins after a line's end."""
        ids = self.unit.encode(prompt or "\n")
        return torch.from_numpy(ids)

    def _prime(self, ids: Tensor) -> tuple[Tensor, States]:
        """Log-probabilities (1, V) of what follows the ids, and the state after them."""
        self.network.eval()
        scores, state, *_ = self.network(ids[:, None].to(self._device), self.network.initial_state(1), counted=1)
        return scores[-1].float().log_softmax(-1), state


def _rest(decoder: Any, stops: StopFilter, running: bool) -> str:
    """What the end of a text sets free."""
    if not running:
        return ""
    shown, stopped = stops.push(decoder.flush())
    return shown if stopped else shown + stops.flush()
