"""What stands around a formula, compiled: normalisation, masks, projection, gates that come out, recomputation.

Values and gradients against the reference in float64; the pairs of options are those of `test_around`.
"""

import pytest
import torch
from test_wrappers import EVERYTHING, ROWS, build, change, label, leaves

from recurra.engine import run


def outputs_and_gradients(request, engine):
    tensors = leaves(request)
    for tensor in tensors.values():
        tensor.requires_grad_()
    result = run(request, engine)
    outputs, g = [result.y, *result.state, *(result.kept or ())], torch.Generator().manual_seed(7)
    loss = sum((y * torch.randn(y.shape, generator=g, dtype=y.dtype)).sum() for y in outputs)
    gradients = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True, materialize_grads=True)
    return {**{f"output {k}": y for k, y in enumerate(outputs)}, **dict(zip(tensors, gradients, strict=True))}


def assert_equal(got, want):
    for name, tensor in want.items():
        scale = max(1.0, tensor.abs().max().item())
        assert (got[name] - tensor).abs().max() <= 1e-11 * scale, name


CASES = [("lstm", row) for row in (*ROWS, EVERYTHING)]
CASES += [(name, EVERYTHING) for name in ("gru", "cho_gru", "slstm", "min_lstm", "peephole_lstm", "user's odd")]


@pytest.mark.parametrize(("name", "row"), CASES, ids=[f"{name} {label(row)}" for name, row in CASES])
def test_every_option_equals_the_reference(name, row):
    keep = row["drop"]
    want = outputs_and_gradients(change(build(name, row), keep=keep), "unroll")
    for recompute in (0, 2):
        assert_equal(outputs_and_gradients(change(build(name, row), keep=keep, recompute=recompute), "cpu"), want)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recomputation_on_the_reference_too(name, reverse):
    row = {**EVERYTHING, "reverse": reverse}
    want = outputs_and_gradients(change(build(name, row), keep=True), "unroll")
    assert_equal(outputs_and_gradients(change(build(name, row), keep=True, recompute=2), "unroll"), want)


def test_many_chunks_of_time_equal_one(monkeypatch):
    from recurra.engine.cpu import sequences

    row = {**EVERYTHING, "norm": False}
    want = outputs_and_gradients(build("lstm", row, T=9), "unroll")
    monkeypatch.setattr(sequences, "_ROWS_PER_CHUNK", 6)  # two steps of three rows
    assert_equal(outputs_and_gradients(build("lstm", row, T=9), "cpu"), want)


def test_the_mask_of_evaluation_is_a_rate():
    from recurra.engine import Masks

    request = build("lstm", dict.fromkeys(EVERYTHING, False))
    rates = tuple(torch.full((1, 1, 1), rate, dtype=torch.float64) for rate in (0.3, 0.1))
    request = change(request, masks=Masks(None, rates))
    torch.testing.assert_close(run(request, "cpu").y, run(request, "unroll").y, rtol=0, atol=1e-13)
