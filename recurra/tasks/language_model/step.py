"""One step of a language model, for sampling and beam search."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from recurra.cells import States, select
from recurra.engine.stream.by_rows import StreamsByRows
from recurra.engine.stream.tokens import TokenStream, can_draw
from recurra.tasks.language_model.network import Network


class GenerationStep:
    """A language model as a `recurra.decoding.Step`.

    Few texts at a time run on a stream, in one compiled call per step. The state is nevertheless a value: a step sets
    the stream to the state that it is called with, and returns a copy of the next one. Such a copy takes some 10 µs
    per layer, a step in PyTorch's operators several hundred.

    Args:
        network: in evaluation mode.
        forbidden: tokens that a stream which draws its tokens itself never draws.
    """

    def __init__(self, network: Network, *, forbidden: Sequence[int] = ()) -> None:
        self._network, self._forbidden = network, forbidden
        self._streams = StreamsByRows(self._create)

    def __call__(self, tokens: Tensor, state: States) -> tuple[Tensor, States]:
        """Returns the log-probabilities (N, V) of the token after `tokens` (N,), and the next state."""
        stream = self.stream(state)
        if stream is None:
            scores, state, *_ = self._network(tokens[None], state)  # (1, N, V)
            # In float32 also if the network computes in less.
            return scores[0].float().log_softmax(-1), state
        return stream.score(tokens).log_softmax(-1), stream.stream.state

    def select(self, state: States, rows: Tensor) -> States:
        """Returns the state of some texts, `rows` (M,) int64."""
        return select(state, rows)

    def stream(self, state: States) -> TokenStream | None:
        """Returns the stream of as many texts as the state has, set to it; None where it is not used."""
        stream = self._streams.get(len(state[0].h))
        if stream is not None:
            stream.stream.restore(state)
        return stream

    def _create(self, rows: int) -> TokenStream | None:
        stream = self._network.recurrent.stream(rows)
        if not can_draw(stream):
            return None
        embedding, readout = self._network.embedding, self._network.readout
        return TokenStream(stream, lambda: embedding.weight, lambda: (readout.weight, readout.bias), self._forbidden)
