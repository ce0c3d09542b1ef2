"""What tests of whole runs share: small texts made here, and tiny models trained on them."""

import signal
from pathlib import Path

import pytest
import reversing
import torch
from toys import TINY, sentences

import recurra

# A shell ignores Ctrl-C for what it runs in the background, and so would all processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The data that figures are measured on is not part of the project; tests that want it skip where it is absent.
SHARED = Path(__file__).parents[2] / "shared" / "data"


# Networks of a few units are faster on one thread, and two test runs on one machine do not wait for each other.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "animals.txt"
    path.write_text(sentences(400))
    return path


@pytest.fixture(scope="session")
def trained(text, tmp_path_factory) -> Path:
    """The folder of a small model that has learned the grammar."""
    out = tmp_path_factory.mktemp("trained") / "animals"
    recurra.train("lm", text, out=out, steps=250, learning_rate=0.01, **TINY)
    return out


@pytest.fixture(scope="session")
def reverser(tmp_path_factory) -> Path:
    """The folder of a small translator that has learned to write short words backwards."""
    folder = tmp_path_factory.mktemp("reverser")
    (folder / "train.tsv").write_text(reversing.pairs(1500))
    (folder / "valid.tsv").write_text(reversing.pairs(60, 1))
    options = {**reversing.TINY, "steps": 200, "valid_every": 100}
    recurra.train("translator", folder / "train.tsv", valid=[folder / "valid.tsv"], out=folder / "m", **options)
    return folder / "m"


@pytest.fixture
def data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the measuring data is not beside this checkout")
    return SHARED


@pytest.fixture(autouse=True)
def one_seed():
    """Every test draws the same numbers, run alone or among others."""
    torch.manual_seed(0)
