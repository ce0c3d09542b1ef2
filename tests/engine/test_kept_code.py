"""Compiled code in the user's cache folder: found again, rebuilt where damaged, and never in the way."""

import os
import subprocess
import sys

import pytest
import torch
from test_conformance import make

from recurra.engine import run
from recurra.engine.cpu import code_cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(code_cache, "cache_folder", lambda: tmp_path / "recurra" / "kernels")
    return tmp_path / "recurra" / "kernels"


@pytest.fixture
def fresh():
    """Forgets the kernels of this process, as a new one would."""
    from recurra.engine.cpu import kernel

    kernel.forget_kernels()
    yield kernel.forget_kernels
    kernel.forget_kernels()


def compiled_anew(monkeypatch):
    """Counts the compilations."""
    from recurra.engine.cpu import compile as compiling

    calls, real = [], compiling._compile
    monkeypatch.setattr(compiling, "_compile", lambda module: calls.append(1) or real(module))
    return calls


def test_code_is_compiled_once_and_found_again(folder, fresh, monkeypatch):
    calls = compiled_anew(monkeypatch)
    request = make("gru", B=4, H=10, dtype=torch.float32)
    first = run(request, "cpu").y
    assert len(calls) == 1
    fresh()
    assert torch.equal(run(request, "cpu").y, first)
    assert len(calls) == 1
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "one bit"])
def test_a_damaged_entry_is_rebuilt(folder, fresh, monkeypatch, damage):
    calls = compiled_anew(monkeypatch)
    request = make("gru", B=4, H=10, dtype=torch.float32)
    first = run(request, "cpu").y
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:] if damage is None else damage)
    fresh()
    assert torch.equal(run(request, "cpu").y, first)
    assert len(calls) == 2
    assert path.read_bytes()[:32] == whole[:32]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no owners of files")
def test_a_folder_that_others_may_write_to_is_not_trusted(folder, fresh, monkeypatch):
    calls = compiled_anew(monkeypatch)
    request = make("gru", B=4, H=10, dtype=torch.float32)
    run(request, "cpu")
    folder.chmod(0o777)
    fresh()
    run(request, "cpu")
    assert len(calls) == 2


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path, fresh, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(code_cache, "cache_folder", lambda: tmp_path / "file" / "kernels")
    request = make("gru", B=4, H=10, dtype=torch.float32)
    torch.testing.assert_close(run(request, "cpu").y, run(request, "unroll").y)


SCRIPT = """
import sys
from pathlib import Path
from recurra.engine.cpu import code_cache
code_cache.cache_folder = lambda: Path(sys.argv[1])
import torch
from recurra.layers import GRU
torch.manual_seed(0)
print(GRU(3, 10, engine="cpu")(torch.ones(4, 5, 3))[0].sum().item())
"""


@pytest.mark.slow
def test_two_processes_compile_at_once(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "kernels")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate()[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(answers) == 1
    assert [path.suffix for path in (tmp_path / "kernels").iterdir()] == [".o"]
