"""Several tokens of a network as LLVM IR: embedding, layers, readout and the draw, without returning to Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I64, Code
from recurra.engine.cpu.tile_shape import TileShape
from recurra.engine.stream.draw_code import write_draw
from recurra.engine.stream.layer_code import STEP_TYPE
from recurra.engine.stream.product import ProductShape, product_function

ARGUMENTS = (
    "layers", "count", "rows", "x", "output", "embedding", "weight", "bias", "scores", "excluded", "e", "settings",
    "top_k", "greedy", "steps", "tokens", "uniforms", "drawn",
)  # fmt: skip
"""Arguments, int64 in memory: the layers as in `stack_code`, B, the buffer of their input (B, E) and of their output
(B, P); W (V, E), W_yh (V, P) and b_y (V,); buffers for the scores (B, V) and the draw; its settings; and the number of
steps, the tokens (B,) before the first, uniform numbers (T, B) and the drawn tokens (T, B)."""


@dataclass(frozen=True)
class TokenShape:
    """The sizes of a network of tokens."""

    vocabulary: int
    """V."""
    embedding: int
    """E."""
    features: int
    """P, features of the last layer."""
    biased: bool
    """Whether the readout has a bias."""


def write_tokens(module: ir.Module, shape: TileShape, network: TokenShape) -> None:
    """Writes the functions `generate(arguments)`, and `score(arguments)` for one step without a draw."""
    draw = write_draw(module, shape, network.vocabulary)
    _Tokens(module, shape, network, "score", None).write()
    _Tokens(module, shape, network, "generate", draw).write()


class _Tokens:
    def __init__(
        self, module: ir.Module, shape: TileShape, network: TokenShape, name: str, draw: ir.Function | None
    ) -> None:
        self.module, self.shape, self.network, self.draw = module, shape, network, draw
        words = I64.as_pointer()
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [words]), name)
        self.code = code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
        b = code.b
        values = (b.load(b.gep(function.args[0], [code.index(place)])) for place in range(len(ARGUMENTS)))
        self.a = dict(zip(ARGUMENTS, values, strict=True))
        number, double = ir.FloatType().as_pointer(), ir.DoubleType().as_pointer()
        for name in ("x", "output", "embedding", "weight", "bias", "scores", "excluded", "e", "settings"):
            self.a[name] = b.inttoptr(self.a[name], number)
        for name in ("layers", "tokens", "drawn"):
            self.a[name] = b.inttoptr(self.a[name], words)
        self.a["uniforms"] = b.inttoptr(self.a["uniforms"], double)

    def write(self) -> None:
        code = self.code
        code.loop(code.index(0), self.a["steps"] if self.draw else code.index(1), 1, self._step)
        code.b.ret_void()

    def _rows(self, body: Callable[[Any], None]) -> None:
        self.code.loop(self.code.index(0), self.a["rows"], 1, body)

    def _step(self, t: Any) -> None:
        code, b, a, n = self.code, self.code.b, self.a, self.network
        self._rows(self._embed)

        def layer(k: Any) -> None:
            address, arguments = (b.load(b.gep(a["layers"], [b.add(b.add(k, k), code.index(i))])) for i in range(2))
            words, zero, one = I64.as_pointer(), code.index(0), code.index(1)
            step = b.inttoptr(address, STEP_TYPE.as_pointer())
            # One thread: the barrier does nothing.
            b.call(step, [b.inttoptr(arguments, words), zero, one, ir.Constant(words, None)])

        code.loop(code.index(0), a["count"], 1, layer)
        product = product_function(
            self.module, self.shape, ProductShape(n.vocabulary, n.features, n.biased, adds=False)
        )
        stride, size = code.index(n.features), code.index(n.vocabulary)
        b.call(
            product,
            [a["output"], stride, a["weight"], a["bias"], a["scores"], size, a["rows"], code.index(0), code.index(1)],
        )
        if self.draw is not None:
            self._rows(lambda row: self._draw(t, row))

    def _embed(self, row: Any) -> None:
        """Copies the embedding of a row's token into the input of the layers."""
        code, b, a, E = self.code, self.code.b, self.a, self.network.embedding
        token = b.load(b.gep(a["tokens"], [row]))
        source = code.at(a["embedding"], b.mul(token, code.index(E)))
        target, whole = code.at(a["x"], b.mul(row, code.index(E))), E - E % self.shape.width
        code.loop(
            code.index(0), code.index(whole), self.shape.width,
            lambda j: code.store(code.load(code.at(source, j)), code.at(target, j)),
        )  # fmt: skip
        if whole < E:
            code.store(code.load(code.at(source, whole), E - whole), code.at(target, whole), E - whole)

    def _draw(self, t: Any, row: Any) -> None:
        code, b, a = self.code, self.code.b, self.a
        place = b.add(b.mul(t, a["rows"]), row)
        scores = code.at(a["scores"], b.mul(row, code.index(self.network.vocabulary)))
        uniform = b.load(b.gep(a["uniforms"], [place]))
        arguments = [scores, a["excluded"], a["e"], a["settings"], a["top_k"], a["greedy"], uniform]
        token = b.call(self.draw, arguments)
        b.store(token, b.gep(a["drawn"], [place]))
        # Scores without a distribution give token -1, which the caller refuses; token 0 is read meanwhile.
        valid = b.select(b.icmp_signed("<", token, code.index(0)), code.index(0), token)
        b.store(valid, b.gep(a["tokens"], [row]))
