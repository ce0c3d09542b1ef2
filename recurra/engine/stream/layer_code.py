"""One step of one layer as LLVM IR: products, formula, and the connection around the layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.barrier import barrier_function
from recurra.engine.cpu.code import I64, Code, number_type
from recurra.engine.cpu.maths import rule
from recurra.engine.cpu.memory import INPUT_PART, Memory, Place
from recurra.engine.cpu.tile_shape import TileShape
from recurra.engine.cpu.vectors import LoopStep, RowValues
from recurra.engine.stream.product import ProductShape, product_function
from recurra.engine.stream.storage import Storage
from recurra.engine.trace import Kind, Operand, Outline, Pass, Product, Program, Variant
from recurra.engine.wrappers import EPSILON

MATRICES = ("ih", "hh", "hr", "weight_highway")
TENSORS = (
    *("x", "y", "b_ih", "b_hh", "gain_ih", "bias_highway"),
    *MATRICES,
    *(f"{name}_scale" for name in MATRICES),
    "space",
)
"""Arguments after the arrays of `Memory`: the input and the output, tensors that enter products, with the scales of
stored matrices, and space for the inputs of products in 16 bits."""
TABLES = ("order", "rows", "space_size")
"""Arguments after the tensors: 0 to B - 1 as int64 (B,), B itself, and the size of the space of one thread, in numbers
of 16 bits."""
STEP_TYPE = ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64, I64.as_pointer()])
"""The type of `step`: its arguments in memory, the number of this thread, the number of threads, and the counter of
their barrier."""


@dataclass(frozen=True)
class LayerShape:
    """Everything that the code of a layer depends on besides its formula."""

    variant: Variant
    inputs: int
    """I, features of x."""
    connection: str = ""
    """"residual", "highway", or "" for none."""
    storage: Storage = Storage.PLAIN
    """How the matrices are stored."""
    reads_h: bool = False
    """Whether the formula reads h itself, so that a projection follows the step."""

    @property
    def emitted(self) -> int:
        """Features of y."""
        return self.variant.projected or self.variant.hidden

    @property
    def projects_output(self) -> bool:
        """Whether y = W_hr h is computed after the step."""
        return bool(self.variant.projected) and self.reads_h

    @property
    def has_output(self) -> bool:
        """Whether y is an array of its own; else y is the new h."""
        return self.projects_output or bool(self.connection)


class LayerStep:
    """Writes the function `step` of a module, of the type `STEP_TYPE`.

    The arguments in memory are int64: the addresses of the arrays of `memory`, of `TENSORS`, and `TABLES`. Threads
    share the outputs of products; the first one alone does the elementwise work, which takes a small part of the time.
    """

    def __init__(
        self, module: ir.Module, cell: Outline, layer: LayerShape, program: Program, memory: Memory, shape: TileShape
    ) -> None:
        self.module, self.cell, self.layer, self.program, self.memory = module, cell, layer, program, memory
        function = ir.Function(module, STEP_TYPE, "step")
        self.code = code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
        b, number = code.b, number_type(shape).as_pointer()
        values = [
            b.load(b.gep(function.args[0], [code.index(place)]))
            for place in range(len(memory.arrays) + len(TENSORS) + len(TABLES))
        ]
        addresses = iter(values)
        self.array = {name: b.inttoptr(next(addresses), number) for name in memory.arrays}
        self.tensor = {name: b.inttoptr(next(addresses), number) for name in TENSORS}
        order, self.rows, space_size = b.inttoptr(next(addresses), I64.as_pointer()), next(addresses), next(addresses)
        _, self.share, self.shares, self.counter = function.args
        self.own_rows = b.select(b.icmp_signed("==", self.share, code.index(0)), self.rows, code.index(0))
        self.space = b.gep(
            b.bitcast(self.tensor["space"], ir.IntType(16).as_pointer()), [b.mul(self.share, space_size)]
        )
        self.barrier = barrier_function(module)
        # Work since the last barrier: its results may be in other threads.
        self.has_products = self.has_rows = False
        base = {(name, False): pointer for name, pointer in self.array.items()}
        self.step = LoopStep(code, program, memory, base, order, code.index(0), code.index(1))

    def write(self) -> None:
        """Writes the body of the function."""
        self._write_input_part()
        for level, passes in enumerate(self.program.levels):
            for pass_ in passes:
                for product in pass_.products:
                    self._write_product(product)
                if pass_.stores or pass_.sums:
                    self._over_rows(partial(self._write_row, pass_, level))
        for name in self.cell.states:
            self._over_rows(partial(self._copy_state, name))
        self._write_output()
        self._wait()
        self.code.b.ret_void()

    def _wait(self) -> None:
        """Waits until all threads have completed their work so far."""
        if self.has_products or self.has_rows:
            self.code.b.call(self.barrier, [self.counter, self.shares])
        self.has_products = self.has_rows = False

    def _over_rows(self, body: Callable[[Any], None]) -> None:
        """Elementwise work, of the first thread."""
        if self.has_products:
            self._wait()
        self.code.loop(self.code.index(0), self.own_rows, 1, body)
        self.has_rows = True

    def _over_units(self, width: int, body: Callable[[Any, int | None], None]) -> None:
        """Calls body(unit, lanes) for each vector of units; lanes is None for a whole vector."""
        code, whole = self.code, width - width % self.code.shape.width
        code.loop(code.index(0), code.index(whole), code.shape.width, lambda j: body(j, None))
        if whole < width:
            body(code.index(whole), width - whole)

    # -- products

    def _call_product(
        self, matrix: str, shape: ProductShape, a: Any, stride: int, bias: Any, c: Any, c_stride: int, first: int = 0
    ) -> None:
        """Calls the product with the rows of a matrix from the row `first` on."""
        code, b = self.code, self.code.b
        # It reads what the first thread wrote, or adds to outputs of another product, which are divided differently.
        if self.has_rows or shape.adds:
            self._wait()
        self.has_products = True
        function = product_function(self.module, code.shape, shape)
        w = b.bitcast(self.tensor[matrix], function.function_type.args[2])
        w = b.gep(w, [code.index(first * shape.stride)])
        arguments = [a, code.index(stride), w, bias, c, code.index(c_stride), self.rows, self.share, self.shares]
        if shape.storage is Storage.INT8:
            arguments += [code.at(self.tensor[f"{matrix}_scale"], first), self.space]
        b.call(function, arguments)

    def _product(self, outputs: int, inputs: int, *, biased: bool, adds: bool = False) -> ProductShape:
        return ProductShape(outputs, inputs, biased, adds, self.layer.storage)

    def _write_input_part(self) -> None:
        """Z = W_ih x + b_ih, normalised by gate with layer normalisation."""
        variant, I, size = self.layer.variant, self.layer.inputs, self.memory.arrays[INPUT_PART].size
        biased = variant.bias and not variant.normalised
        shape, t = self._product(size, I, biased=biased), self.tensor
        self._call_product("ih", shape, t["x"], I, t["b_ih"], self.array[INPUT_PART], size)
        if variant.normalised:
            for gate in range(len(self.cell.gates)):
                self._over_rows(partial(self._normalise, gate * variant.hidden))

    def _normalise(self, offset: int, i: Any) -> None:
        """Normalises the input's pre-activations of one gate in one row."""
        code, b, H = self.code, self.code.b, self.layer.variant.hidden
        row = code.at(self.array[INPUT_PART], b.mul(i, code.index(self.memory.arrays[INPUT_PART].size)), offset)
        count = code.const(float(H))

        def mean(value: Callable[[Any], Any]) -> Any:
            whole = H - H % code.shape.width

            def add(j: Any, total: Any, lanes: int | None) -> list[Any]:
                vector = value(code.load(code.at(row, j), lanes))
                if lanes is not None:
                    vector = b.select(code.mask(lanes), vector, code.const(0.0))
                return [b.fadd(total, vector)]

            (total,) = code.loop(
                code.index(0), code.index(whole), code.shape.width, lambda j, total: add(j, total, None),
                [code.const(0.0)],
            )  # fmt: skip
            if whole < H:
                (total,) = add(code.index(whole), total, H - whole)
            return b.fdiv(code.splat(code.total(total)), count)

        centre = mean(lambda z: z)
        variance = mean(lambda z: b.fmul(b.fsub(z, centre), b.fsub(z, centre)))
        scale = rule("rsqrt")(code, b.fadd(variance, code.const(EPSILON)))

        def store(j: Any, lanes: int | None) -> None:
            z = b.fmul(b.fsub(code.load(code.at(row, j), lanes), centre), scale)
            z = b.fmul(z, code.load(code.at(self.tensor["gain_ih"], j, offset), lanes))
            if self.layer.variant.bias:
                z = b.fadd(z, code.load(code.at(self.tensor["b_ih"], j, offset), lanes))
            code.store(z, code.at(row, j), lanes)

        self._over_units(H, store)

    def _write_product(self, product: Product) -> None:
        """The product of a matrix with one operand, for all its outputs; adjacent blocks are one product."""
        variant, (read,) = self.layer.variant, product.inputs
        is_hh = product.outputs[0].kind is not Kind.PROJECTED
        width = variant.hidden if is_hh else variant.projected
        a, inputs = self.memory.places[read], self.memory.widths[read]
        biased = is_hh and variant.bias and not variant.normalised
        for first, count, place in self._runs(product, width, is_hh=is_hh):
            shape = self._product(count * width, inputs, biased=biased, adds=place.array == INPUT_PART)
            bias = self.code.at(self.tensor["b_hh"], first * width)
            source, target = self.memory.arrays[a.array].size, self.memory.arrays[place.array].size
            matrix = "hh" if is_hh else "hr"
            self._call_product(matrix, shape, self._at(a), source, bias, self._at(place), target, first * width)

    def _runs(self, product: Product, width: int, *, is_hh: bool) -> list[tuple[int, int, Place]]:
        """The first block of the matrix, the number of blocks and the place of each run of adjacent outputs."""
        runs: list[tuple[int, int, Place]] = []
        for output in product.outputs:
            block, place = self.cell.recurrent.index(output.name) if is_hh else 0, self.memory.places[output]
            if runs:
                first, count, start = runs[-1]
                if block == first + count and place == start._replace(offset=start.offset + count * width):
                    runs[-1] = (first, count + 1, start)
                    continue
            runs.append((block, 1, place))
        return runs

    def _at(self, place: Place) -> Any:
        return self.code.at(self.array[place.array], place.offset)

    # -- elementwise work

    def _write_row(self, pass_: Pass, level: int, i: Any) -> None:
        code, b = self.code, self.code.b
        values = RowValues(self.step, level, i, pass_)
        whole = pass_.width - pass_.width % code.shape.width
        sums = [code.const(0.0)] * len(pass_.sums)
        sums = code.loop(
            code.index(0), code.index(whole), code.shape.width,
            lambda j, *sums: values.run(pass_, j, None, sums), sums,
        )  # fmt: skip
        if whole < pass_.width:
            sums = values.run(pass_, code.index(whole), pass_.width - whole, tuple(sums))
        for total, vector in zip(pass_.sums, sums, strict=True):
            b.store(code.total(vector), values.rows.address(self.memory.places[Operand(Kind.ROW_SUM, total)]))

    def _copy_state(self, name: str, i: Any) -> None:
        """The new state becomes the old one of the next step."""
        code, width = self.code, self.memory.widths[Operand(Kind.STATE, name)]
        offset = code.b.mul(i, code.index(width))
        old, new = (code.at(self.array[Operand(kind, name)], offset) for kind in (Kind.STATE, Kind.NEW_STATE))
        self._over_units(width, lambda j, lanes: code.store(code.load(code.at(new, j), lanes), code.at(old, j), lanes))

    def _write_output(self) -> None:
        """Y: the projected h, and the residual or highway connection."""
        layer, t, h = self.layer, self.tensor, self.array[Operand(Kind.STATE, "h")]
        size = layer.emitted
        if layer.projects_output:
            shape = self._product(size, layer.variant.hidden, biased=False)
            self._call_product("hr", shape, h, layer.variant.hidden, t["y"], t["y"], size)
        out = t["y"] if layer.projects_output else h
        if layer.connection == "residual":
            self._over_rows(lambda i: self._combine(i, out, None))
        if layer.connection == "highway":
            # Its gate is in Z, which has room for it: the cell has at least one gate of H ≥ P units.
            gate, shape = self.array[INPUT_PART], self._product(size, size, biased=True)
            self._call_product("weight_highway", shape, t["x"], size, t["bias_highway"], gate, size)
            self._over_rows(lambda i: self._combine(i, out, gate))

    def _combine(self, i: Any, out: Any, gate: Any) -> None:
        code, b, size = self.code, self.code.b, self.layer.emitted
        offset = b.mul(i, code.index(size))

        def combine(j: Any, lanes: int | None) -> None:
            def read(pointer: Any) -> Any:
                return code.load(code.at(pointer, offset, j), lanes)

            y, below = read(out), read(self.tensor["x"])
            if gate is not None:
                t = rule("sigmoid")(code, read(gate))
                y = b.fmul(t, y)
                below = b.fmul(b.fsub(code.const(1.0), t), below)
            code.store(b.fadd(y, below), code.at(self.tensor["y"], offset, j), lanes)

        self._over_units(size, combine)
