"""The time loop of a program as LLVM IR: all steps of some rows, or of some units of all rows.

A function runs one chunk of time. Rows are numbered by descending length, so that the rows with a step t are the first
`active[t]` ones; `order` maps row numbers to rows of the batch. Threads share the work by rows (each takes every n-th
row, without waiting for the others) or by units (each computes some units of every row, with a barrier before a product
or the next step reads all units).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.barrier import barrier_function
from recurra.engine.cpu.code import I32, I64, Code, number_type
from recurra.engine.cpu.memory import INPUT_PART, PER_STEP, ZERO, Memory, Place, weights_of
from recurra.engine.cpu.tile import UnitBlock, row_blocks, tile_function
from recurra.engine.cpu.tile_shape import TileShape
from recurra.engine.cpu.vectors import LoopStep, RowValues
from recurra.engine.trace import Kind, Operand, Pass, Product, Program
from recurra.engine.trace.operand import D_NEW_H

POINTERS = ("order", "numbers", "active", "offsets", "levels", "counter")
"""Arguments after the arrays, int64: the row of the batch of each row number (B,), 0 to B - 1, rows with a step (T,),
where each step begins in packed arrays (T,), where the states before the first step and after each step begin in state
arrays (T + 1,), and the counter of the barrier between threads that share units."""
INTEGERS = ("T", "B", "first", "row_step", "share", "shares", "direction")
"""Steps, rows, this thread's first row and the distance to its next row, the number of its share of the units and the
number of shares, and +1 or -1 for forward or backward in time."""

# Units whose products are computed before their formula: enough that the address of a row is computed once for several
# vectors, few enough that the pre-activations stay in the first level of cache.
_PANEL = 128


class Loop:
    """Writes one function of a module."""

    def __init__(self, module: ir.Module, name: str, program: Program, memory: Memory, shape: TileShape) -> None:
        self.name, self.program, self.memory, self.shape = name, program, memory, shape
        number = number_type(shape)
        arrays = list(memory.arrays)
        kinds = [number.as_pointer()] * len(arrays) + [I64.as_pointer()] * len(POINTERS) + [I64] * len(INTEGERS)
        self.function = function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), f"{name}_loop")
        function.linkage = "internal"
        # Arrays are separate buffers (`Memory`), so that LLVM may keep loaded vectors in registers across stores.
        for argument in function.args[: len(arrays)]:
            argument.add_attribute("noalias")
        operands = iter(function.args)
        self.array = {array: next(operands) for array in arrays}
        self.p = {name: next(operands) for name in (*POINTERS, *INTEGERS)}
        self.code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
        self.barrier = barrier_function(module)

    def write(self) -> None:
        """Writes the body of the function."""
        code, b, p = self.code, self.code.b, self.p
        forward_in_time = b.icmp_signed(">", p["direction"], code.index(0))
        back = self.name == "backward"
        # The derivative runs against the direction of the forward pass, which may itself run back from the last step.
        ahead = b.not_(forward_in_time) if back else forward_in_time
        last = b.sub(p["T"], code.index(1))

        def step(k: Any) -> None:
            t = b.select(ahead, k, b.sub(last, k))
            self._locate_step(t, forward_in_time)
            for level, passes in enumerate(self.program.levels):
                for pass_ in passes:
                    self._write_pass(pass_, level)
                # A level reads units that other threads computed in the level before. The last backward level needs no
                # barrier: the first level of the next step is elementwise and reads only units of this thread.
                if not back or level + 1 < len(self.program.levels):
                    b.call(self.barrier, [p["counter"], p["shares"]])

        code.loop(code.index(0), p["T"], 1, step)
        b.ret_void()
        self._write_entry_points()

    def _write_entry_points(self) -> None:
        """`forward(arguments, part, parts)`, and `forward_team(arguments)` for a thread of an OpenMP team.

        The arguments are int64 in memory: the arrays, `POINTERS`, T, B, direction, whether threads share units rather
        than rows, and the addresses of `omp_get_thread_num` and `omp_get_num_threads`.
        """
        module, kinds = self.function.module, self.function.function_type.args
        entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64]), self.name)
        b = ir.IRBuilder(entry.append_basic_block("entry"))
        data, part, parts = entry.args
        pointers = len(self.array) + len(POINTERS)

        def argument_at(builder: Any, index: int) -> Any:
            return builder.load(builder.gep(data if builder is b else team.args[0], [ir.Constant(I64, index)]))

        operands = [b.inttoptr(argument_at(b, index), kinds[index]) for index in range(pointers)]
        T, B, direction, by_units = (argument_at(b, pointers + k) for k in range(4))
        units = b.icmp_signed("!=", by_units, ir.Constant(I64, 0))
        none, one = ir.Constant(I64, 0), ir.Constant(I64, 1)
        # By rows, thread k runs rows k, k + n, … and all units; by units, all rows and the k-th share of the units.
        rows = [b.select(units, none, part), b.select(units, one, parts)]
        shares = [b.select(units, part, none), b.select(units, parts, one)]
        b.call(self.function, [*operands, T, B, *rows, *shares, direction])
        b.ret_void()
        team = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer()]), f"{self.name}_team")
        b2 = ir.IRBuilder(team.append_basic_block("entry"))
        query = ir.FunctionType(I32, []).as_pointer()
        team_numbers = [b2.call(b2.inttoptr(argument_at(b2, pointers + 4 + k), query), []) for k in range(2)]
        b2.call(entry, [team.args[0], *(b2.sext(answer, I64) for answer in team_numbers)])
        b2.ret_void()

    def _locate_step(self, t: Any, forward_in_time: Any) -> None:
        """Computes the address of step t in every array, and the number of this thread's rows that have it."""
        code, b, p = self.code, self.code.b, self.p
        active, offset = (b.load(b.gep(p[name], [t])) for name in ("active", "offsets"))
        reach = b.sub(b.add(active, b.sub(p["row_step"], code.index(1))), p["first"])
        # The rows first, first + row_step, … below `active`.
        self.rows = b.sdiv(reach, p["row_step"])
        # A state array has T + 1 levels: forward, step t reads level t and writes t + 1; in reverse the opposite.
        before = b.add(t, b.select(forward_in_time, code.index(0), code.index(1)))
        after = b.add(t, b.select(forward_in_time, code.index(1), code.index(0)))
        levels = {new: b.load(b.gep(p["levels"], [level])) for new, level in ((False, before), (True, after))}
        self.base: dict[tuple[str, bool], Any] = {}
        for array, (layout, size, _) in self.memory.arrays.items():
            start = self.array[array]
            if layout == "packed":
                self.base[array, False] = code.at(start, b.mul(offset, code.index(size)))
            elif layout == "state":
                for new, level in levels.items():
                    self.base[array, new] = code.at(start, b.mul(level, code.index(size)))
            else:
                self.base[array, False] = start
        self.step = LoopStep(code, self.program, self.memory, self.base, p["order"], p["first"], p["row_step"])

    def _write_pass(self, pass_: Pass, level: int) -> None:
        # Without sums the formula of a panel follows its products at once, while they are in the cache. A sum needs all
        # units of a row, so that the products are completed first.
        if pass_.products and not pass_.sums:
            self._over_tiles(
                pass_.width, lambda j, end, block: self._write_products_and_formula(pass_, level, j, end, block)
            )
            return
        if pass_.products:
            self._over_tiles(pass_.width, lambda j, end, block: self._write_products(pass_, j, end, block))
        if pass_.stores or pass_.sums:
            self.code.loop(self.code.index(0), self.rows, 1, lambda i: self._write_row(pass_, level, i))

    # -- products

    def _share(self, width: int) -> tuple[Any, Any, int, int]:
        """This thread's first tile and the one after its last; the whole tiles of this width; the units beyond them."""
        code, b, units = self.code, self.code.b, self.shape.units
        whole, rest = divmod(width, units)
        tiles = code.index(whole + (rest > 0))
        low = b.sdiv(b.mul(tiles, self.p["share"]), self.p["shares"])
        high = b.sdiv(b.mul(tiles, b.add(self.p["share"], code.index(1))), self.p["shares"])
        return low, high, whole, rest

    def _over_tiles(self, width: int, body: Callable[[Any, Any, UnitBlock], None]) -> None:
        """Calls body(first unit, unit after the last, units of a tile) for panels of this thread's tiles."""
        code, b, shape = self.code, self.code.b, self.shape
        low, high, whole, rest = self._share(width)
        full = UnitBlock(shape.vectors, shape.width)
        if whole:
            top = b.select(b.icmp_signed("<", high, code.index(whole)), high, code.index(whole))
            start, end = (b.mul(value, code.index(shape.units)) for value in (low, top))
            panel = shape.units * max(1, _PANEL // shape.units)

            def of_panel(j: Any) -> None:
                beyond = b.add(j, code.index(panel))
                body(j, b.select(b.icmp_signed("<", beyond, end), beyond, end), full)

            code.loop(start, end, panel, of_panel)
        # The units beyond the last whole tile: one narrower tile, computed by the thread with the last share.
        if rest:
            vectors = -(-rest // shape.width)
            tail = UnitBlock(vectors, rest - (vectors - 1) * shape.width)
            has_tail = b.and_(b.icmp_signed("==", high, code.index(whole + 1)), b.icmp_signed("<", low, high))
            with b.if_then(has_tail):
                body(code.index(whole * shape.units), code.index(width), tail)

    def _write_products_and_formula(self, pass_: Pass, level: int, j: Any, end: Any, block: UnitBlock) -> None:
        self._write_products(pass_, j, end, block)
        if not pass_.stores:
            return
        width = self.shape.width

        def row(i: Any) -> None:
            values = RowValues(self.step, level, i, pass_)
            if block.lanes == width:
                self.code.loop(j, end, width, lambda unit: values.store(pass_, unit, None))
                return
            whole = self.code.b.add(j, self.code.index((block.vectors - 1) * width))
            if block.vectors > 1:
                self.code.loop(j, whole, width, lambda unit: values.store(pass_, unit, None))
            values.store(pass_, whole, block.lanes)

        self.code.loop(self.code.index(0), self.rows, 1, row)

    def _write_products(self, pass_: Pass, j: Any, end: Any, block: UnitBlock) -> None:
        for product in pass_.products:
            offset = 0
            for output in product.outputs:
                for number, (place, k) in enumerate(self._input_runs(product)):
                    tile = functools.partial(self._write_product, product, output, block, place, k, offset, number == 0)
                    self.code.loop(j, end, self.shape.units, tile)
                    offset += k * self.shape.units

    def _input_runs(self, product: Product) -> list[tuple[Place, int]]:
        """The inputs of a product, adjacent ones merged into one run of memory."""
        runs: list[tuple[Place, int]] = []
        for name in product.inputs:
            place, k = self.memory.places[name], self.memory.widths[name]
            if runs and runs[-1][0].array == place.array and runs[-1][0].offset + runs[-1][1] == place.offset:
                runs[-1] = (runs[-1][0], runs[-1][1] + k)
            else:
                runs.append((place, k))
        return runs

    def _write_product(
        self,
        product: Product,
        output: Operand,
        block: UnitBlock,
        place: Place,
        k: int,
        offset: int,
        first: bool,
        j: Any,
    ) -> None:
        """Writes the product of one run of inputs, for the tile of one output that begins at unit j."""
        code, b = self.code, self.code.b
        inputs = sum(self.memory.widths[operand] for operand in product.inputs)
        # Packed weights are (tiles, outputs, inputs, units), see `packing`.
        tile = b.mul(j, code.index(inputs * len(product.outputs)))
        weights = code.at(self.array[weights_of(product.cut)], tile, offset)
        target = self.memory.places[output]
        into = self._operand(target, j)
        # Later runs add to the sums of the first one; a derivative by h and a pre-activation add to the stored numbers.
        if not first or output == D_NEW_H or target.array == INPUT_PART:
            start = into
        else:
            bias = Operand(Kind.PRODUCT_START, output)
            source = self.memory.places[bias if bias in self.memory.places else ZERO]
            # Stride 0: every row starts from the same bias, or from zeros.
            start = (code.at(self.base[source.array, False], source.offset, j), self.p["numbers"], code.index(0))
        operands = self._operand(place, code.index(0))

        def tiles(row: Any, count: int) -> None:
            function = tile_function(b.module, self.shape, block, count)
            number = b.add(self.p["first"], b.mul(row, self.p["row_step"]))
            b.call(function, [*operands, weights, code.index(k), *start, *into, number, self.p["row_step"]])

        row_blocks(code, self.rows, tiles)

    def _operand(self, place: Place, j: Any) -> tuple[Any, Any, Any]:
        """Pointer, row index and row size of one step of an array, beginning at unit j of an operand."""
        layout, size, _ = self.memory.arrays[place.array]
        index = self.p["numbers"] if layout in PER_STEP else self.p["order"]
        pointer = self.code.at(self.base[place.array, place.after], place.offset, j)
        return pointer, index, self.code.index(size)

    # -- elementwise work, row by row

    def _write_row(self, pass_: Pass, level: int, i: Any) -> None:
        code, b, shape = self.code, self.code.b, self.shape
        values = RowValues(self.step, level, i, pass_)
        low, high, whole, rest = self._share(pass_.width)
        full = pass_.width - pass_.width % shape.width
        start, end = (b.mul(value, code.index(shape.units)) for value in (low, high))
        end = b.select(b.icmp_signed("<", end, code.index(full)), end, code.index(full))
        sums = [code.const(0.0)] * len(pass_.sums)
        sums = code.loop(start, end, shape.width, lambda j, *sums: values.run(pass_, j, None, sums), sums)
        if full < pass_.width:
            lanes = pass_.width - full
            if pass_.sums:  # threads share rows then, and each computes all units of its rows
                sums = values.run(pass_, code.index(full), lanes, tuple(sums))
            else:
                is_last = b.icmp_signed("==", high, code.index(whole + (rest > 0)))
                with b.if_then(is_last):
                    values.run(pass_, code.index(full), lanes, ())
        for total, vector in zip(pass_.sums, sums, strict=True):
            b.store(code.total(vector), values.rows.address(self.memory.places[Operand(Kind.ROW_SUM, total)]))
