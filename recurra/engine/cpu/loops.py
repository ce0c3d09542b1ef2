"""The time loop of a program as LLVM IR: all steps of some rows, or of some units of all rows.

A function runs one chunk of time. Rows are numbered by descending length, so that the rows with a step t are the first
`active[t]` of them; `order` says which row of the batch each is. Threads share the work by rows (each takes every n-th,
and none waits for another) or by units (each computes some units of every row, and all wait for each other where a
product or the next step reads all units).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.barrier import barrier_function
from recurra.engine.cpu.code import I32, I64, Code, Shape
from recurra.engine.cpu.memory import INPUT_PART, ZERO, Memory, Place, weights_of
from recurra.engine.cpu.tile import Block, row_blocks, tile_function
from recurra.engine.cpu.vectors import LoopStep, RowValues
from recurra.engine.trace import Kind, Operand, Pass, Product, Program
from recurra.engine.trace.operand import D_NEW_H

POINTERS = ("order", "numbers", "active", "offsets", "counter")
"""Arguments after the arrays, int64: the row of the batch of each row number (B,), 0 to B - 1, rows with a step (T,),
where each step begins in packed arrays (T,), and what threads that share units count in."""
INTEGERS = ("T", "B", "first", "apart", "share", "shares", "direction")
"""Steps, rows, this thread's first row and the distance to its next, its share of the units and of how many, and +1 or
-1 for forward or backward in time."""


# Units whose products are computed before their formula: enough to find each row once for several vectors, few enough
# for the first level of cache.
_PANEL = 128


class Loop:
    """Writes one function of a module."""

    def __init__(self, module: ir.Module, name: str, program: Program, memory: Memory, shape: Shape) -> None:
        self.name, self.program, self.memory, self.shape = name, program, memory, shape
        number = ir.FloatType() if shape.bits == 32 else ir.DoubleType()
        arrays = list(memory.arrays)
        kinds = [number.as_pointer()] * len(arrays) + [I64.as_pointer()] * len(POINTERS) + [I64] * len(INTEGERS)
        self.function = function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), f"{name}_loop")
        function.linkage = "internal"
        for argument in function.args[: len(arrays)]:
            argument.add_attribute("noalias")
        operands = iter(function.args)
        self.array = {array: next(operands) for array in arrays}
        self.p = {name: next(operands) for name in (*POINTERS, *INTEGERS)}
        self.code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
        self.barrier = barrier_function(module)

    def write(self) -> None:
        """The function's body."""
        code, b, p = self.code, self.code.b, self.p
        with_time = b.icmp_signed(">", p["direction"], code.index(0))
        back = self.name == "backward"
        ahead = b.not_(with_time) if back else with_time
        last = b.sub(p["T"], code.index(1))

        def step(k: Any) -> None:
            t = b.select(ahead, k, b.sub(last, k))
            self._enter(t, with_time)
            for level, passes in enumerate(self.program.levels):
                for one in passes:
                    self._pass(one, level)
                if not back or level + 1 < len(self.program.levels):
                    b.call(self.barrier, [p["counter"], p["shares"]])

        code.loop(code.index(0), p["T"], 1, step)
        b.ret_void()
        self._write_entry_points()

    def _write_entry_points(self) -> None:
        """`forward(arguments, part, parts)`, and `forward_team(arguments)` for a thread of a team of OpenMP's.

        The arguments lie in memory as int64: the arrays, `POINTERS`, T, B, way, whether units are shared rather than
        rows, and the addresses of `omp_get_thread_num` and `omp_get_num_threads`.
        """
        module, kinds = self.function.module, self.function.function_type.args
        entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64]), self.name)
        b = ir.IRBuilder(entry.append_basic_block("entry"))
        data, part, parts = entry.args
        pointers = len(self.array) + len(POINTERS)

        def argument(builder: Any, place: int) -> Any:
            return builder.load(builder.gep(data if builder is b else team.args[0], [ir.Constant(I64, place)]))

        operands = [b.inttoptr(argument(b, place), kinds[place]) for place in range(pointers)]
        T, B, direction, by_units = (argument(b, pointers + k) for k in range(4))
        units = b.icmp_signed("!=", by_units, ir.Constant(I64, 0))
        none, one = ir.Constant(I64, 0), ir.Constant(I64, 1)
        rows = [b.select(units, none, part), b.select(units, one, parts)]
        shares = [b.select(units, part, none), b.select(units, parts, one)]
        b.call(self.function, [*operands, T, B, *rows, *shares, direction])
        b.ret_void()
        team = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer()]), f"{self.name}_team")
        b2 = ir.IRBuilder(team.append_basic_block("entry"))
        ask = ir.FunctionType(I32, []).as_pointer()
        answers = [b2.call(b2.inttoptr(argument(b2, pointers + 4 + k), ask), []) for k in range(2)]
        b2.call(entry, [team.args[0], *(b2.sext(answer, I64) for answer in answers)])
        b2.ret_void()

    def _enter(self, t: Any, with_time: Any) -> None:
        """Where step t lies in every array, and how many rows have it."""
        code, b, p = self.code, self.code.b, self.p
        active, offset = (b.load(b.gep(p[name], [t])) for name in ("active", "offsets"))
        reach = b.sub(b.add(active, b.sub(p["apart"], code.index(1))), p["first"])
        self.rows = b.sdiv(reach, p["apart"])
        before = b.add(t, b.select(with_time, code.index(0), code.index(1)))
        after = b.add(t, b.select(with_time, code.index(1), code.index(0)))
        self.base: dict[tuple[str, bool], Any] = {}
        for array, (layout, size, _) in self.memory.arrays.items():
            start = self.array[array]
            if layout == "packed":
                self.base[array, False] = code.at(start, b.mul(offset, code.index(size)))
            elif layout in ("state", "padded"):
                steps = {False: before, True: after} if layout == "state" else {False: t}
                for new, place in steps.items():
                    self.base[array, new] = code.at(start, b.mul(place, b.mul(p["B"], code.index(size))))
            else:
                self.base[array, False] = start
        self.step = LoopStep(code, self.program, self.memory, self.base, p["order"], p["first"], p["apart"])

    def _pass(self, one: Pass, level: int) -> None:
        if one.products and not one.sums:
            self._tiles(one.width, lambda j, end, block: self._products_and_formula(one, level, j, end, block))
            return
        if one.products:
            self._tiles(one.width, lambda j, end, block: self._products(one, j, end, block))
        if one.stores or one.sums:
            self.code.loop(self.code.index(0), self.rows, 1, lambda i: self._row(one, level, i))

    # -- products

    def _share(self, width: int) -> tuple[Any, Any, int, int]:
        """This thread's tiles, from and to; whole tiles of this width; and units beyond them."""
        code, b, units = self.code, self.code.b, self.shape.units
        whole, rest = divmod(width, units)
        tiles = code.index(whole + (rest > 0))
        low = b.sdiv(b.mul(tiles, self.p["share"]), self.p["shares"])
        high = b.sdiv(b.mul(tiles, b.add(self.p["share"], code.index(1))), self.p["shares"])
        return low, high, whole, rest

    def _tiles(self, width: int, body: Callable[[Any, Any, Block], None]) -> None:
        """Calls body(first unit, unit after the last, size of a tile) for panels of this thread's tiles."""
        code, b, shape = self.code, self.code.b, self.shape
        low, high, whole, rest = self._share(width)
        full = Block(shape.vectors, shape.width)
        if whole:
            top = b.select(b.icmp_signed("<", high, code.index(whole)), high, code.index(whole))
            start, end = (b.mul(value, code.index(shape.units)) for value in (low, top))
            panel = shape.units * max(1, _PANEL // shape.units)

            def of_panel(j: Any) -> None:
                beyond = b.add(j, code.index(panel))
                body(j, b.select(b.icmp_signed("<", beyond, end), beyond, end), full)

            code.loop(start, end, panel, of_panel)
        if rest:
            vectors = -(-rest // shape.width)
            tail = Block(vectors, rest - (vectors - 1) * shape.width)
            has_tail = b.and_(b.icmp_signed("==", high, code.index(whole + 1)), b.icmp_signed("<", low, high))
            with b.if_then(has_tail):
                body(code.index(whole * shape.units), code.index(width), tail)

    def _products_and_formula(self, one: Pass, level: int, j: Any, end: Any, block: Block) -> None:
        self._products(one, j, end, block)
        if not one.stores:
            return
        width = self.shape.width

        def row(i: Any) -> None:
            values = RowValues(self.step, level, i, one)
            if block.lanes == width:
                self.code.loop(j, end, width, lambda unit: values.store(one, unit, None))
                return
            whole = self.code.b.add(j, self.code.index((block.vectors - 1) * width))
            if block.vectors > 1:
                self.code.loop(j, whole, width, lambda unit: values.store(one, unit, None))
            values.store(one, whole, block.lanes)

        self.code.loop(self.code.index(0), self.rows, 1, row)

    def _products(self, one: Pass, j: Any, end: Any, block: Block) -> None:
        for product in one.products:
            offset = 0
            for output in product.outputs:
                for number, (place, k) in enumerate(self._runs(product)):
                    tile = functools.partial(self._product, product, output, block, place, k, offset, number == 0)
                    self.code.loop(j, end, self.shape.units, tile)
                    offset += k * self.shape.units

    def _runs(self, product: Product) -> list[tuple[Place, int]]:
        """The inputs of a product as stretches of memory, as long as they can be."""
        runs: list[tuple[Place, int]] = []
        for name in product.inputs:
            place, k = self.memory.places[name], self.memory.widths[name]
            if runs and runs[-1][0].array == place.array and runs[-1][0].offset + runs[-1][1] == place.offset:
                runs[-1] = (runs[-1][0], runs[-1][1] + k)
            else:
                runs.append((place, k))
        return runs

    def _product(
        self, product: Product, output: Operand, block: Block, place: Place, k: int, offset: int, first: bool, j: Any
    ) -> None:
        """The product of one stretch of inputs, for the tile of one output that begins at unit j."""
        code, b = self.code, self.code.b
        inputs = sum(self.memory.widths[one] for one in product.inputs)
        # Weights lie as (tiles, outputs, inputs, units).
        tile = b.mul(j, code.index(inputs * len(product.outputs)))
        weights = code.at(self.array[weights_of(product.cut)], tile, offset)
        target = self.memory.places[output]
        into = self._operand(target, j)
        if not first or output == D_NEW_H or target.array == INPUT_PART:
            start = into
        else:
            bias = Operand(Kind.PRODUCT_START, output)
            source = self.memory.places[bias if bias in self.memory.places else ZERO]
            start = (code.at(self.base[source.array, False], source.offset, j), self.p["numbers"], code.index(0))
        operands = self._operand(place, code.index(0))

        def tiles(row: Any, count: int) -> None:
            function = tile_function(b.module, self.shape, block, count)
            number = b.add(self.p["first"], b.mul(row, self.p["apart"]))
            b.call(function, [*operands, weights, code.index(k), *start, *into, number, self.p["apart"]])

        row_blocks(code, self.rows, tiles)

    def _operand(self, place: Place, j: Any) -> tuple[Any, Any, Any]:
        """Pointer, row index and row size of one step of an array, from unit j of a place on."""
        layout, size, _ = self.memory.arrays[place.array]
        index = self.p["numbers"] if layout == "packed" else self.p["order"]
        pointer = self.code.at(self.base[place.array, place.after], place.offset, j)
        return pointer, index, self.code.index(size)

    # -- elementwise work, a row after the other

    def _row(self, one: Pass, level: int, i: Any) -> None:
        code, b, shape = self.code, self.code.b, self.shape
        values = RowValues(self.step, level, i, one)
        low, high, whole, rest = self._share(one.width)
        full = one.width - one.width % shape.width
        start, end = (b.mul(value, code.index(shape.units)) for value in (low, high))
        end = b.select(b.icmp_signed("<", end, code.index(full)), end, code.index(full))
        sums = [code.const(0.0)] * len(one.sums)
        sums = code.loop(start, end, shape.width, lambda j, *sums: values.run(one, j, None, sums), sums)
        if full < one.width:
            lanes = one.width - full
            if one.sums:  # then no thread has units of its own
                sums = values.run(one, code.index(full), lanes, tuple(sums))
            else:
                is_last = b.icmp_signed("==", high, code.index(whole + (rest > 0)))
                with b.if_then(is_last):
                    values.run(one, code.index(full), lanes, ())
        for total, vector in zip(one.sums, sums, strict=True):
            b.store(code.total(vector), values.rows.address(self.memory.places[Operand(Kind.ROW_SUM, total)]))
