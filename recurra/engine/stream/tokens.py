"""A network of tokens that runs and draws in compiled code: embedding, layers, readout, softmax, draw."""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Sequence

import torch
from llvmlite import ir
from torch import Tensor

from recurra.engine.cpu.compile import Compiled, machine_shape
from recurra.engine.stream.compiled import CompiledStack
from recurra.engine.stream.stream import Stream
from recurra.engine.stream.token_code import ARGUMENTS, TokenShape, write_tokens
from recurra.errors import InputError


class TokenStream:
    """The next tokens of B texts: p(token) = softmax(W_yh h + b_y), with h of a stream that reads embeddings.

    Args:
        stream: the layers; it must be compiled, and in float32.
        embedding: returns the present W (V, E).
        readout: returns the present W_yh (V, P) and b_y (V,) or None.
        excluded: tokens that are never drawn.
    """

    def __init__(
        self,
        stream: Stream,
        embedding: Callable[[], Tensor],
        readout: Callable[[], tuple[Tensor, Tensor | None]],
        excluded: Sequence[int] = (),
    ) -> None:
        self.stream = stream
        self._embedding, self._readout = embedding, readout
        weight, bias = readout()
        V, E = embedding().shape
        self._vocabulary = V
        self._kernel = _kernel(TokenShape(V, E, weight.shape[1], bias is not None))
        self._generate: Callable[[int], None] = self._kernel.function("generate", 1, 0)
        self._score: Callable[[int], None] = self._kernel.function("score", 1, 0)
        self._x, self._scores = torch.zeros(stream.rows, E), torch.zeros(stream.rows, V)
        self._e, self._settings = torch.zeros(V), torch.tensor([1.0, 1.0, 0.0])
        self._excluded = torch.zeros(V)
        self._excluded[list(excluded)] = float("-inf")
        self._arguments = array.array("q", [0] * len(ARGUMENTS))
        self._places = {name: place for place, name in enumerate(ARGUMENTS)}

    @property
    def rows(self) -> int:
        """B."""
        return self.stream.rows

    def score(self, tokens: Tensor) -> Tensor:
        """Reads a token of each text.

        Args:
            tokens: (B,) int64.

        Returns:
            The scores (B, V) of the next token, in a buffer that the next call overwrites.

        Raises:
            InputError: there are more or fewer tokens than texts, or one is outside the vocabulary.
        """
        self._take(self._checked(tokens))
        self._score(self._arguments.buffer_info()[0])
        return self._scores

    def generate(
        self,
        tokens: Tensor,
        uniforms: Tensor,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        greedy: bool = False,
    ) -> Tensor:
        """Reads a token of each text and draws the next ones.

        Args:
            tokens: (B,) int64, the last ones, not read yet.
            uniforms: (T, B) float64 in [0, 1), a number for each token to draw.
            temperature: as in `recurra.decoding.SamplingOptions`, like the following.
            top_k: None for all tokens.
            top_p: None for all tokens.
            min_p: None for all tokens.
            greedy: take the most probable token.

        Returns:
            (T, B) int64; -1 from the step at which the network gives no distribution.

        Raises:
            InputError: there are more or fewer tokens than texts, or one is outside the vocabulary.
        """
        drawn = torch.empty(uniforms.shape, dtype=torch.int64)
        uniforms = uniforms.contiguous()
        self._settings[0], self._settings[1], self._settings[2] = temperature, top_p or 1.0, min_p or 0.0
        current = self._checked(tokens).clone()
        self._take(current)
        for name, value in (
            ("steps", len(uniforms)), ("uniforms", uniforms.data_ptr()), ("drawn", drawn.data_ptr()),
            ("top_k", top_k or 0), ("greedy", int(greedy)),
        ):  # fmt: skip
            self._arguments[self._places[name]] = value
        self._generate(self._arguments.buffer_info()[0])
        return drawn

    def _checked(self, tokens: Tensor) -> Tensor:
        """Returns the tokens as the compiled code reads them, which does not check them itself."""
        if tokens.shape != (self.rows,) or tokens.dtype != torch.int64:
            raise InputError(f"tokens are {tokens.dtype} {tuple(tokens.shape)}, expected int64 ({self.rows},)")
        numbers = tokens.tolist()
        if min(numbers) < 0 or max(numbers) >= self._vocabulary:
            raise InputError(f"tokens {numbers}, expected 0 or more and less than {self._vocabulary}")
        return tokens.contiguous()

    def _take(self, tokens: Tensor) -> None:
        """Writes the present addresses into the arguments."""
        stack = self.stream.compiled
        layers = stack.prepare(self._x)
        embedding = self._embedding().detach().contiguous()
        weight, bias = self._readout()
        weight = weight.detach().contiguous()
        # Held until the next call: the compiled code reads them by their addresses.
        self._alive = embedding, weight, bias, tokens
        values = {
            "layers": layers, "count": len(stack.layers), "rows": self.rows, "x": self._x.data_ptr(),
            "output": stack.layers[-1].output.data_ptr(), "embedding": embedding.data_ptr(),
            "weight": weight.data_ptr(), "bias": 0 if bias is None else bias.data_ptr(),
            "scores": self._scores.data_ptr(), "excluded": self._excluded.data_ptr(), "e": self._e.data_ptr(),
            "settings": self._settings.data_ptr(), "tokens": tokens.data_ptr(),
        }  # fmt: skip
        for name, value in values.items():
            self._arguments[self._places[name]] = value


@functools.lru_cache(maxsize=64)
def _kernel(network: TokenShape) -> Compiled:
    shape = machine_shape(32)

    def write() -> ir.Module:
        module = ir.Module("tokens")
        write_tokens(module, shape, network)
        return module

    return Compiled(write, repr(("tokens", network, shape)))


def can_draw(stream: Stream) -> bool:
    """Whether a stream can be part of a `TokenStream`."""
    return isinstance(stream.compiled, CompiledStack) and stream.dtype == torch.float32
