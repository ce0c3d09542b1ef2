"""`recurra bench` as a person meets it, at sizes that take no time."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from recurra.bench import fresh, generating, implementations, leaky, streaming
from recurra.bench.first_use import _timed_imports
from recurra.cli.app import main
from recurra.errors import RecurraError

SMALL = ["--shape", "4x3x5x6", "--rounds", "1", "--threads", "1"]
PAGE = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()


@pytest.fixture
def bench(capsys):
    def run(*arguments):
        code = 0
        try:
            main(["bench", *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)


def test_json_is_the_rows_and_nothing_else(bench):
    pytest.importorskip("jax")
    code, out, err = bench("--json", "--cell", "gru", "--cell", "peephole_lstm", *SMALL)
    assert code == 0
    rows = json.loads(out)
    assert [(row["cell"], row["pass"]) for row in rows] == [
        (cell, kind) for cell in ("gru", "peephole_lstm") for kind in ("forward", "training")
    ]
    for row in rows:
        assert set(row) == {"cell", "shape", "pass", "gflops", "share_of_sgemm", "peers"}
        assert row["shape"] == {"T": 4, "B": 3, "I": 5, "H": 6}
        assert row["gflops"] > 0
        assert 0 < row["share_of_sgemm"] < 1
    assert set(rows[0]["peers"]) == {"torch.nn", "eager", "jax"}
    assert set(rows[2]["peers"]) == {"eager", "jax"}
    assert "GFLOP/s" in err


def test_the_table_names_the_engine_and_ends_in_means(bench, without_jax):
    code, out, err = bench("--cell", "gru", "--engine", "unroll", "--pass", "forward", *SMALL)
    assert code == 0
    lines = out.splitlines()
    assert "1 threads" in lines[0]
    row = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert row[:7] == ["gru", "4", "3", "5", "6", "forward", "unroll"]
    assert "Geometric means" in out
    assert len({len(line) for line in lines[2:5]}) == 1
    assert "pip install 'recurra[bench]'" in err


def test_a_cell_of_ones_own(bench, without_jax, tmp_path, monkeypatch):
    block = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "class Leaky" in block)
    (tmp_path / "bench_page_cells.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    _, out, _ = bench("--json", "--cell", "bench_page_cells:Leaky", "--pass", "forward", *SMALL)
    (row,) = json.loads(out)
    assert row["cell"] == "bench_page_cells:Leaky"
    assert set(row["peers"]) == {"eager"}
    shape = implementations.Shape(4, 3, 5, 6)
    batch = implementations.make_batch(shape)
    made = (sys.modules.pop("bench_page_cells").Leaky(), leaky.Leaky())
    ys = [
        implementations.timed_pass(implementations.make_layer(cell, shape, "unroll"), batch, "forward")()
        for cell in made
    ]
    torch.testing.assert_close(*ys, rtol=0, atol=0)


def test_lengths_tell_how_full_the_batch_is(bench):
    _, out, _ = bench("--lengths", "--json", "--cell", "gru", "--pass", "training", *SMALL)
    (row,) = json.loads(out)
    lengths = torch.randint(1, 5, (3,), generator=torch.Generator().manual_seed(2))
    assert row["filled"] == pytest.approx(lengths.sum().item() / 12)
    assert row["full_over_padded"] > 0


def test_stream_measures_a_step_and_a_run_of_each_cell(bench):
    code, out, err = bench("--stream", "--json", "--cell", "gru", "--cell", "peephole_lstm", *SMALL)
    assert code == 0
    rows = json.loads(out)
    assert [(row["cell"], row["call"], row["shape"]["T"]) for row in rows] == [
        (cell, call, T) for cell in ("gru", "peephole_lstm") for call, T in (("step", 1), ("run", 4))
    ]
    for row in rows:
        assert row["engine"] == "compiled"
        times = row["microseconds_per_step"]
        assert set(times) == {"recurra", "read", *row["peers"]}
        assert row["recurra_over_read"] == pytest.approx(times["recurra"] / times["read"])
        assert 0 < row["deviations"]["float16"] < row["deviations"]["int8"] < 0.1
    step, run, other, _ = (set(row["peers"]) - {"float16", "int8", "onnxruntime"} for row in rows)
    assert (step, run, other) == ({"torch.nn", "cell"}, {"torch.nn", "cell", "sequence"}, {"eager"})
    assert "over read" in err


def test_stream_names_the_peer_that_is_missing(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, err = bench("--stream", "--cell", "lstm", *SMALL)
    assert code == 0
    assert err.splitlines() == [
        "onnxruntime or onnx is not installed and is left out of the comparison: pip install 'recurra[bench]'"
    ]
    lines = out.splitlines()
    assert len({len(line) for line in lines[2:]}) == 1
    assert [cell.strip() for cell in lines[4].strip("|").split("|")][:7] == [
        "lstm",
        "1",
        "3",
        "5",
        "6",
        "step",
        "compiled",
    ]
    assert bench("--stream", "--cell", "leaky", *SMALL)[2] == ""  # ONNX has no such operator


def test_stream_generates_text_if_no_cell_and_no_shape_is_selected(bench, monkeypatch):
    monkeypatch.setattr(streaming, "SHAPES", (implementations.Shape(2, 1, 3, 4),))
    sizes = generating.GenerationSizes(units=5, embedding=4, characters=7, length=20)
    monkeypatch.setattr(generating, "SIZES", sizes)
    _, out, err = bench("--stream", "--json", "--rounds", "1", "--threads", "1")
    *steps, text = json.loads(out)
    assert [row["cell"] for row in steps] == ["lstm", "lstm", "gru", "gru"]
    assert text["generation"] == {"units": 5, "embedding": 4, "characters": 7, "length": 20}
    speeds = text["characters_per_second"]
    assert text["peers"]["torch"] == pytest.approx(speeds["recurra"] / speeds["torch"])
    assert "Characters per second" in err


def test_resets_are_compared_with_two_ways_of_torch_nn(bench):
    _, out, _ = bench("--resets", "--json", "--cell", "gru", "--pass", "training", *SMALL)
    (row,) = json.loads(out)
    assert set(row["peers"]) == {"plain", "split", "loop"}
    assert 3 <= row["pieces"] <= 12
    assert 1 <= row["longest"] <= 4
    code, _, err = bench("--resets", "--cell", "leaky", *SMALL)
    assert code == 2
    assert "torch.nn has no leaky to compare with" in err.splitlines()[-1]


@pytest.mark.slow
def test_memory_is_of_each_ones_own_process(bench):
    held = bytearray(1 << 30)
    held[::4096] = b"x" * len(held[::4096])
    _, out, _ = bench("--memory", "--json", "--cell", "lstm", "--shape", "40x64x64x128", "--threads", "1")
    (row,) = json.loads(out)
    assert set(row["bytes_at_peak"]) == {"recurra", "torch.nn"}
    for who, peak in row["bytes_at_peak"].items():
        assert row["bytes_before"][who] < peak < len(held), who


@pytest.mark.slow
def test_first_use_is_measured_twice(bench):
    _, out, _ = bench("--first-use", "--json", "--cell", "rnn", "--engine", "cpu", *SMALL)
    first, second = json.loads(out)
    assert (first["process"], second["process"]) == ("first", "second")
    for row in (first, second):
        assert row["engine"] == "cpu"
        assert row["seconds"] > row["steady"] > 0
        assert row["imports"] > 0


def test_imports_are_counted_once_and_the_door_is_given_back(tmp_path, monkeypatch):
    import builtins

    plain = builtins.__import__
    (tmp_path / "outer_of_two.py").write_text("import time\ntime.sleep(0.1)\nimport inner_of_two\n")
    (tmp_path / "inner_of_two.py").write_text("import time\ntime.sleep(0.5)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with _timed_imports() as imported:
        import outer_of_two  # noqa: F401
    assert 0.6 <= imported.seconds < 1.1
    assert builtins.__import__ is plain


def test_a_process_that_fails_tells_its_last_line():
    with pytest.raises(RecurraError, match=r"ended with exit code 1: .*there is no cell 'gruu'"):
        fresh.in_fresh_process(
            "recurra.bench.memory", who="recurra", cell="gruu", shape="1x1x1x1", engine="auto", threads=1
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", "gruu"], "there is no cell 'gruu'. Did you mean 'gru'?"),
        (["--shape", "64x32"], "shape '64x32': expected steps x rows x features x units, such as 64x32x128x128"),
        (["--rounds", "0"], "--rounds 0: expected 1 or more"),
        (["--threads", "0"], "--threads 0: expected 1 or more"),
        (["--lengths", "--memory"], "give one of them"),
        (["--stream", "--first-use"], "give one of them"),
        (["--stream", "--pass", "training"], "--stream measures steps without gradients"),
        (["--stream", "--engine", "cpu"], "leave out --pass and --engine"),
        (["--engine", "gpuu", "--cell", "gru", *SMALL], "there is no engine 'gpuu'"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_line(bench, without_jax, arguments, message):
    threads = torch.get_num_threads()
    code, _, err = bench(*arguments)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert torch.get_num_threads() == threads
