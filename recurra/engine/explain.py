"""Reports which engine runs a request, why, and what it keeps for the backward pass."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from recurra.engine.cpu.support import traced_for
from recurra.engine.request import Request
from recurra.engine.run import choose
from recurra.engine.trace import Kind, Op, Operand, Programs, Value


class Explained(NamedTuple):
    """The report for one direction of one layer."""

    engine: str
    why: str
    kept: str

    def __str__(self) -> str:
        return f"{self.engine}: {self.why}. Kept for the backward pass: {self.kept}"


def explain(request: Request, engine: str = "auto") -> Explained:
    """Reports what `run` would do with the request, without running it."""
    request = replace(request, call_cache={})
    chosen, why = choose(request, engine)
    return Explained(chosen, why, _describe_kept(request, chosen))


def _describe_kept(request: Request, engine: str) -> str:
    if not torch.is_grad_enabled():
        return "nothing, because gradients are disabled"
    states = f"the {'states' if len(request.cell.states) > 1 else 'state'} {', '.join(request.cell.states)}"
    if 0 < request.recompute < len(request.x):
        return f"{states} of every {request.recompute}th step; the steps between are recomputed"
    if engine == "native":
        return "the values that torch.nn's kernel keeps"
    if engine == "unroll":
        return "every intermediate result, by PyTorch's autograd"
    programs = traced_for(request)[0].programs
    values = [_format(programs, name) for name in programs.kept]
    T, B = request.x.shape[:2]
    numbers = sum(programs.recorded.widths[name] for name in programs.kept) + len(programs.kept_sums)
    numbers += sum(tensor.shape[-1] for tensor in request.state)
    size = numbers * T * B * request.x.element_size() / 2**20
    sums = [f"{len(programs.kept_sums)} sums per row"] if programs.kept_sums else []
    return f"of every step {', '.join([states, *values, *sums])}; {size:.1f} MiB"


def _format(programs: Programs, name: Operand, depth: int = 3) -> str:
    """A value in the notation of the cells, such as σ(x.i + u.i)."""
    if name.kind is Kind.PREACTIVATION:
        return f"{Operand(Kind.INPUT, name.name)} + {Operand(Kind.RECURRENT, name.name)}"
    op = programs.forward.operations.get(name)
    if op is None:
        return name
    if depth == 0:
        return "…"
    return _format_op(op, [_format_argument(programs, argument, depth - 1) for argument in op.arguments])


def _format_argument(programs: Programs, value: Value, depth: int) -> str:
    return _format(programs, value, depth) if isinstance(value, Operand) else f"{value:g}"


def _format_op(op: Op, arguments: list[str]) -> str:
    signs = {"add": "+", "sub": "-", "mul": "·", "div": "/"}
    if op.kind in signs:
        return "(" + f" {signs[op.kind]} ".join(arguments) + ")"
    return f"{'σ' if op.kind == 'sigmoid' else op.kind}({', '.join(arguments)})"
