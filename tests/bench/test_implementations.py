"""What is compared computes the same: a peer that computed less would look fast."""

import gc
import time
from types import SimpleNamespace

import pytest
import torch

from recurra.bench import resets, rounds
from recurra.bench.compare import Row, means
from recurra.bench.implementations import PASSES, gather, make_batch, make_layer, timed_pass, torch_equivalent
from recurra.bench.subjects import CELLS, Shape, find_subject, forward_flops, parse_shape
from recurra.cells import Elman
from recurra.errors import InputError

SHAPE = Shape(7, 3, 5, 6)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn-tanh", "rnn-relu"])
def test_torch_nn_has_the_weights_of_recurra(name):
    batch, layer = make_batch(SHAPE), make_layer(find_subject(name), SHAPE, "unroll")
    namesake = torch_equivalent(layer)
    assert type(namesake).__module__.startswith("torch.nn")
    for kind in PASSES:
        ours, theirs = timed_pass(layer, batch, kind)(), timed_pass(namesake, batch, kind)()
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_jax_computes_the_same(name):
    pytest.importorskip("jax")
    from recurra.bench.jax_scan import jax_pass

    batch, layer = make_batch(SHAPE), make_layer(find_subject(name), SHAPE, "unroll")
    weights = layer.weights("_l0")
    y = jax_pass(layer.cell, weights, batch.x, batch.dy, "forward")()
    torch.testing.assert_close(torch.tensor(y.tolist()), timed_pass(layer, batch, "forward")(), atol=1e-5, rtol=1e-4)
    dx, d = jax_pass(layer.cell, weights, batch.x, batch.dy, "training")()
    theirs = [dx, d.ih.T, d.hh.T, d.b_ih, d.b_hh, *d.vectors]
    names = [
        "weight_ih_l0",
        "weight_hh_l0",
        "bias_ih_l0",
        "bias_hh_l0",
        *(f"vector_{v}_l0" for v in layer.cell.vectors),
    ]
    by_name = dict(zip(dict(layer.named_parameters()), timed_pass(layer, batch, "training")()[1:], strict=True))
    ours = [timed_pass(layer, batch, "training")()[0], *(by_name[name] for name in names)]
    assert len(ours) == 1 + len(list(layer.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, torch.tensor(other.tolist()), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn-tanh"])
def test_all_ways_to_start_rows_anew_compute_the_same(name):
    batch, layer = make_batch(SHAPE), make_layer(find_subject(name), SHAPE, "unroll")
    reset = torch.rand(SHAPE.T, SHAPE.B, generator=torch.Generator().manual_seed(0)) < 0.4
    theirs = torch_equivalent(layer)
    for kind in PASSES:
        ours = timed_pass(layer, batch, kind, resets=reset)()
        for peer in (resets.Split(theirs), resets.MaskedLoop(theirs)):
            torch.testing.assert_close(ours, timed_pass(peer, batch, kind, resets=reset)(), atol=1e-5, rtol=1e-4)


def test_a_cell_that_a_peer_has_not_is_not_compared_with_it():
    calls = gather(find_subject("slstm"), SHAPE, "forward", "auto").calls
    assert set(calls) == {"recurra", "eager"}
    assert "torch.nn" not in gather(find_subject("rnn-gelu"), SHAPE, "forward", "auto").calls


def test_the_compiled_loops_run_beside_where_auto_leaves_a_cell_to_torch():
    found = gather(find_subject("lstm"), SHAPE, "forward", "auto")
    assert found.engine == "native"
    assert "cpu" in found.calls
    assert "cpu" not in gather(find_subject("lstm"), SHAPE, "forward", "cpu").calls


@pytest.fixture
def clock(monkeypatch):
    """Time as the rounds see it, which only calls move on."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(rounds, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return now


def test_calls_take_turns_and_the_first_round_does_not_count(clock):
    called, durations = [], {"a": iter([9, 3, 1, 2]), "b": iter([9, 7, 6, 5])}

    def call(name):
        called.append(name)
        clock.seconds += next(durations[name])

    found = rounds.medians({"a": lambda: call("a"), "b": lambda: call("b")}, rounds=3)
    assert called == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert found == {"a": 2, "b": 6}


def test_short_calls_are_repeated_within_a_round(clock):
    def call():
        clock.seconds += 0.003

    assert rounds.medians({"short": call}, rounds=2)["short"] == pytest.approx(0.003)
    assert clock.seconds == pytest.approx(0.003 * (1 + 2 * 7))


def test_no_garbage_is_collected_while_a_call_is_timed():
    seen = []
    rounds.medians({"call": lambda: (seen.append(gc.isenabled()), time.sleep(0.03))}, rounds=1)
    assert seen == [True, False]
    assert gc.isenabled()


def test_rates_shares_and_ratios_are_of_the_times():
    seconds = {"recurra": 0.5, "sgemm": 2 * 1024**3 / 10e9, "eager": 2.0, "cpu": 0.25}
    row = Row("x", SHAPE, "training", "native", 2_000_000_000, seconds)
    assert row.gflops == pytest.approx(4)
    assert row.share_of_sgemm == pytest.approx(0.4)
    assert row.ratios == {"eager": 4.0, "cpu": 0.5}
    assert row.as_json()["peers"] == {"eager": 4.0}
    twice = Row("x", SHAPE, "training", "native", 2_000_000_000, {**seconds, "eager": 0.5})
    (mean,) = means([row, twice])
    assert mean.ratios["eager"] == pytest.approx(2)
    assert mean.least == {"eager": 1.0, "cpu": 0.5}
    assert mean.sizes == 2


def test_flops_are_those_of_the_products():
    assert forward_flops(find_subject("lstm"), Shape(10, 4, 3, 5)) == 2 * 10 * 4 * (20 * 3 + 20 * 5)
    assert forward_flops(find_subject("min_gru"), Shape(10, 4, 3, 5)) == 2 * 10 * 4 * (10 * 3)


def test_names_of_cells_and_shapes():
    assert find_subject("rnn") == find_subject("rnn-tanh") == Elman("tanh")
    assert find_subject("elman-relu") == Elman("relu")
    assert parse_shape("64x32x128x256") == Shape(T=64, B=32, I=128, H=256)
    for text in ("64x32x128", "64x0x1x1", "axbxcxd", "64x32x128x-1", ""):
        with pytest.raises(InputError, match="expected steps x rows x features x units"):
            parse_shape(text)
    for name in ("gruu", "gru-", "leaky-tanh", "gru-tnah"):
        with pytest.raises(InputError):
            find_subject(name)
