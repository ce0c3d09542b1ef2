"""A run that diverged ends in one line and exit code 1, its model saved; one that learned little, in a notice."""

import pytest
from cli_runner import run_command

import recurra
from recurra.errors import RecurraError

SIZES = ("--hidden-size", 8, "--embedding-size", 8, "--batch-size", 2, "--update-every", 8, "--steps", 6)
# Random weights of this size are sure of wrong answers from the start.
WILD = (
    "--recurrent-init",
    "normal",
    "--init-variance",
    1e4,
    "--optimizer",
    "sgd",
    "--learning-rate",
    3e3,
    "--clip",
    1e9,
)


def text_of(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog, and back again\n" * 20)
    return path


def train(capsys, tmp_path, *options):
    return run_command(
        capsys, "train", "lm", text_of(tmp_path), "--out", tmp_path / "out", *SIZES, "--seed", 1, *options
    )


def test_a_run_that_diverged_fails_and_keeps_its_model(capsys, tmp_path):
    code, _, err = train(capsys, tmp_path, *WILD)
    assert code == 1
    line = err.strip().splitlines()[-1]
    assert "training diverged; the best model is saved, but its loss of" in line
    assert "of a uniform guess. Try a lower --learning-rate" in line
    assert run_command(capsys, "info", tmp_path / "out")[0] == 0
    assert run_command(capsys, "generate", tmp_path / "out", "--length", 5, "--seed", 0)[0] == 0
    # Resumed, the run has ended, and says the same.
    code, _, err = run_command(capsys, "train", "lm", "--out", tmp_path / "out", "--resume")
    assert (code, "training diverged" in err) == (1, True)


def test_all_seeds_are_trained_before_the_run_fails(capsys, tmp_path):
    code, _, err = train(capsys, tmp_path, *WILD, "--seeds", 2)
    assert code == 1
    assert err.strip().splitlines()[-1].count("training diverged") == 2
    assert sorted(path.parent.name for path in tmp_path.glob("out/seed-*/metrics.json")) == ["seed-1", "seed-2"]


def test_a_model_that_learned_little_is_no_failure(capsys, tmp_path):
    code, _, err = train(capsys, tmp_path, "--learning-rate", 1e-9)
    assert code == 0
    assert "diverged" not in err


def test_from_python_it_is_an_error_too(tmp_path):
    options = {"hidden_size": 8, "embedding_size": 8, "batch_size": 2, "update_every": 8, "steps": 6}
    wild = {"optimizer": "sgd", "learning_rate": 3e3, "clip": 1e9}
    with pytest.raises(RecurraError, match="training diverged"):
        recurra.train("lm", text_of(tmp_path), out=tmp_path / "out", seed=1, **options, **wild)
    assert recurra.load(tmp_path / "out").generate("the", length=3, seed=0)
