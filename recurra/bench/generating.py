"""The speed at which a language model of characters generates text, compared with a loop of plain PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from recurra.bench.rounds import medians
from recurra.data import CharTokenizer
from recurra.decoding import SamplingOptions
from recurra.engine.stream.tokens import TokenStream
from recurra.errors import RecurraError
from recurra.tasks.language_model.generation import stream_text
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import GenerationOptions, NetworkOptions
from recurra.tasks.recurrent_options import RecurrentOptions

_TEMPERATURE = 0.8
_PROMPT = "A"
# Steps of the check, and the deviation of the log-probabilities that is allowed.
_CHECKED, _TOLERANCE = 30, 1e-5


@dataclass(frozen=True)
class GenerationSizes:
    """The sizes of a language model and of its text."""

    units: int = 384
    """Units of its LSTM layer."""
    embedding: int = 64
    """Size of the embedding of a character."""
    characters: int = 100
    """Different characters; the vocabulary has an unknown one in addition."""
    length: int = 1000
    """Characters of the text that is generated."""


SIZES = GenerationSizes()
"""The sizes of the default table."""


@dataclass(frozen=True)
class GenerationRow:
    """Characters per second of one model."""

    sizes: GenerationSizes
    per_second: dict[str, float]
    """Characters per second, of `recurra` and of `torch`."""

    @property
    def ratio(self) -> float:
        """The time of the loop of PyTorch divided by that of recurra; above 1, recurra is faster."""
        return self.per_second["recurra"] / self.per_second["torch"]

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --stream --json` prints it."""
        sizes = {"generation": asdict(self.sizes), "temperature": _TEMPERATURE}
        return {**sizes, "characters_per_second": self.per_second, "peers": {"torch": self.ratio}}


class TorchLoop:
    """Generation as a script in plain PyTorch has it, one step at a time.

    Args:
        network: the language model, with one LSTM layer, whose weights are copied.
    """

    def __init__(self, network: Network) -> None:
        V, E = network.embedding.weight.shape
        self.embedding, self.lstm = nn.Embedding(V, E), nn.LSTM(E, network.readout.weight.shape[1])
        self.linear = nn.Linear(self.lstm.hidden_size, V)
        modules = ((self.embedding, network.embedding), (self.lstm, network.recurrent), (self.linear, network.readout))
        for module, other in modules:
            module.load_state_dict(other.state_dict())

    def scores(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The scores (1, V) after one more token (1, 1), and the state."""
        y, state = self.lstm(self.embedding(token), state)  # (1, 1, H)
        return self.linear(y[0]), state

    @torch.inference_mode()
    def generate(self, token: int, length: int, generator: Generator) -> list[int]:
        """Samples the tokens after one."""
        current, state, tokens = torch.tensor([[token]]), None, []
        for _ in range(length):
            scores, state = self.scores(current, state)
            probabilities = torch.softmax(scores / _TEMPERATURE, -1)  # (1, V)
            current = torch.multinomial(probabilities, 1, generator=generator)  # (1, 1)
            tokens.append(current)
        return torch.cat(tokens).flatten().tolist()


def compare_generation(sizes: GenerationSizes, *, rounds: int) -> GenerationRow:
    """Measures generation with a model of random weights.

    Args:
        sizes: the sizes of the model and of the text.
        rounds: the number of times per median.

    Raises:
        RecurraError: the two compute different probabilities.
    """
    tokenizer = CharTokenizer([chr(ord("A") + k) for k in range(sizes.characters)])
    network = _network(sizes, tokenizer.size)
    loop = TorchLoop(network)
    _check(network, loop)
    options = GenerationOptions(length=sizes.length, seed=1, sampling=SamplingOptions(temperature=_TEMPERATURE))
    start, generator = int(tokenizer.encode(_PROMPT)[0]), Generator().manual_seed(1)

    def recurra() -> str:
        return "".join(piece for (piece,) in stream_text(network, tokenizer, _PROMPT, options))

    def plain() -> str:
        return tokenizer.decode(loop.generate(start, sizes.length, generator))

    seconds = medians({"recurra": recurra, "torch": plain}, rounds)
    return GenerationRow(sizes, {name: sizes.length / value for name, value in seconds.items()})


def _network(sizes: GenerationSizes, vocabulary: int) -> Network:
    recurrent = RecurrentOptions(cell="lstm", hidden_size=sizes.units)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network(vocabulary, NetworkOptions(recurrent=recurrent, embedding_size=sizes.embedding)).eval()


@torch.inference_mode()
def _check(network: Network, loop: TorchLoop) -> None:
    """Compares the log-probabilities of the stream that generation uses, of the network and of the loop.

    Raises:
        RecurraError: they differ.
    """
    V = len(network.embedding.weight)
    tokens = torch.randint(V, (_CHECKED, 1), generator=Generator().manual_seed(2))
    stream = TokenStream(
        network.recurrent.stream(),
        lambda: network.embedding.weight,
        lambda: (network.readout.weight, network.readout.bias),
    )
    expected = network(tokens, network.initial_state(1)).scores.log_softmax(-1)  # (T, 1, V)
    state: Any = None
    for token, reference in zip(tokens, expected, strict=True):
        scores, state = loop.scores(token[None], state)
        for name, result in (("recurra", stream.score(token)), ("torch", scores)):
            deviation = float((result.log_softmax(-1) - reference).abs().max())
            if not deviation <= _TOLERANCE:
                raise RecurraError(f"bench: log-probabilities of {name} deviate by {deviation:.1e} from the network's")
