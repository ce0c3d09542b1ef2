"""The command line as a person meets it: results on stdout, the rest on stderr, one line for what is wrong."""

import functools
import json
import shutil
import signal
import subprocess
import sys

import pytest
import toys
from cli_runner import check_killed_runs_end_in_the_same_bits, run_command, start, wait_for_log

from recurra.cli.app import main

TINY = [item for name, value in toys.TINY.items() for item in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def recurra_command(capsys):
    """Runs the command line in this process: exit code, stdout, stderr."""
    return functools.partial(run_command, capsys)


def test_help_reads_on_its_own(recurra_command):
    verbs = ("generate", "evaluate", "score", "tag", "info", "cells", "bench", "diagnose", "study", "units")
    for verb in ([], ["train"], ["train", "lm"], ["train", "tagger"], *([verb] for verb in verbs)):
        code, out, _ = recurra_command(*verb, "--help")
        assert code == 0
        assert "Usage: recurra" in out
    _, out, _ = recurra_command("train", "lm", "--help")
    for option in (
        "--max-minutes",
        "--hidden-size",
        "--reach-back",
        "--valid",
        "--recipe",
        "recurra train lm plays.txt",
    ):
        assert option in out


def test_help_and_a_misspelling_do_not_wait_for_torch():
    code = "import sys; from recurra.cli.app import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_train_generate_evaluate_score_info(recurra_command, text, tmp_path):
    out = tmp_path / "m"
    code, stdout, stderr = recurra_command("train", "lm", text, "--out", out, "--steps", 20, *TINY)
    assert code == 0
    assert stdout == ""
    assert "validation" in stderr
    code, stdout, _ = recurra_command("generate", out, "--prompt", "the cat", "--length", 20, "--seed", 1)
    assert code == 0
    assert stdout.startswith("the cat")
    assert len(stdout) == len("the cat") + 20 + 1
    code, stdout, _ = recurra_command("evaluate", out, text, "--json")
    scores = json.loads(stdout)
    assert {"loss", "perplexity", "bits_per_char", "loss_by_position"} <= scores.keys()
    code, stdout, _ = recurra_command("info", out, "--json")
    metrics = json.loads(stdout)["metrics"]
    assert {"valid_loss", "valid_perplexity", "valid_bits_per_char"} <= metrics.keys()
    code, stdout, _ = recurra_command("score", out, text)
    lines = stdout.splitlines()
    assert len(lines) == 400
    assert lines[0].split("\t")[2] == text.read_text().splitlines()[0]


def test_evaluate_agrees_with_the_scores_of_training(recurra_command, trained, text, tmp_path):
    content = text.read_text()
    held_out = tmp_path / "held-out.txt"
    held_out.write_text(content[len(content) - -(-len(content) // 10) :])
    _, stdout, _ = recurra_command("evaluate", trained, held_out, "--json")
    _, told, _ = recurra_command("info", trained, "--json")
    assert json.loads(stdout)["loss"] == pytest.approx(json.loads(told)["metrics"]["valid_loss"], abs=1e-9)


def test_a_recipe_is_read_and_the_full_one_written(recurra_command, text, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'files = ["{text}"]\n[network]\nhidden_size = 10\n'
        "[window]\nbatch_size = 4\nupdate_every = 8\n[training]\nsteps = 3\n"
    )
    code, _, _ = recurra_command("train", "lm", "--recipe", recipe, "--out", tmp_path / "a", "--hidden-size", 12)
    assert code == 0
    used = (tmp_path / "a" / "recipe.toml").read_text()
    assert "hidden_size = 12" in used
    assert "steps = 3" in used
    assert 'epochs = "none"' in used
    code, _, _ = recurra_command("train", "lm", "--recipe", tmp_path / "a" / "recipe.toml", "--out", tmp_path / "b")
    assert code == 0
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "[network]\nhiden_size = 3\n",
            "r.toml: [network]: there is no option 'hiden_size'. Did you mean 'hidden_size'",
        ),
        ("[netwrk]\nhidden_size = 3\n", "r.toml: there is no table [netwrk]. Did you mean 'network'"),
        (
            "[network]\nhidden_size = 'big'\n",
            "r.toml: train lm: [network] hidden_size = 'big', expected a whole number",
        ),
        ("task = 'tagger'\n", "is a recipe for another task"),
        ("[network\n", "cannot be read as TOML"),
    ],
)
def test_a_faulty_recipe_is_told_in_a_line(recurra_command, text, tmp_path, content, message):
    recipe = tmp_path / "r.toml"
    recipe.write_text(content)
    code, _, stderr = recurra_command("train", "lm", text, "--recipe", recipe, "--out", tmp_path / "a")
    assert code == 2
    assert message in stderr
    assert len(stderr.splitlines()) == 1


def bad(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.txt", "none.txt: no such file"),
        (bad("empty.txt", b""), "empty.txt: the file is empty"),
        (bad("short.txt", b"abc" * 10), "are needed for one window"),
        (bad("latin.txt", b"abc\xe9"), "latin.txt: not UTF-8: byte 3 is 0xe9"),
        (lambda folder: folder, "is a folder"),
    ],
)
def test_a_bad_file_gets_one_line_and_nothing_is_made(recurra_command, tmp_path, make, message):
    code, stdout, stderr = recurra_command("train", "lm", make(tmp_path), "--out", tmp_path / "m", "--steps", 1)
    assert code == 2
    assert stdout == ""
    assert message in stderr
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cell", "lstn"], "Did you mean 'lstm'"),
        (["--hiden-size", "9"], "Did you mean --hidden-size"),
        (["--hidden-size", "4.5"], "expected a whole number"),
        (["--hidden-size", "0"], "--hidden-size 0"),
        (["--optimizer", "adamww"], "Did you mean 'adamw'"),
        (["--schedule", "cosinus"], "Did you mean 'cosine'"),
        (["--unit", "chars"], "Did you mean 'char'"),
        (["--dropout", "1.5"], "1.5"),
        (["--learning-rate", "nan"], "--learning-rate nan"),
        (["--tied"], "an embedding can be tied only if its size equals that of the last hidden layer"),
        (["--cell-options", "size=3"], "has no option 'size'"),
        (["--recurrent-init", "normal"], "variance"),
        (["--steps", "3", "--epochs", "2"], "a run has one length"),
        (["--resume"], "keeps its files and options"),
        (["--seeds", "0"], "--seeds 0"),
    ],
)
def test_an_option_that_cannot_be_is_told_in_a_line(recurra_command, text, tmp_path, options, message):
    code, _, stderr = recurra_command("train", "lm", text, "--out", tmp_path / "m", *options)
    assert code == 2
    assert message in stderr
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "m").exists()


def test_unknown_characters_of_the_validation_text_are_counted(recurra_command, text, tmp_path):
    valid = tmp_path / "valid.txt"
    valid.write_text("the cat sees a dÖg.\n" * 20)
    arguments = ["train", "lm", text, "--valid", valid, "--out", tmp_path / "m", "--steps", 2, *TINY]
    code, _, stderr = recurra_command(*arguments)
    assert code == 0
    assert "20 of 400 tokens (5 %) never occur in the training text ('Ö'): each is scored as <unk>" in stderr


def test_a_folder_with_another_model_is_kept_unless_told_otherwise(recurra_command, text, tmp_path):
    arguments = ["train", "lm", text, "--out", tmp_path / "m", *TINY]
    assert recurra_command(*arguments, "--steps", 2)[0] == 0
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    code, _, stderr = recurra_command(*arguments, "--steps", 3)
    assert code == 2
    assert "--overwrite" in stderr
    code, _, stderr = recurra_command("train", "lm", tmp_path / "none", "--out", tmp_path / "m", "--overwrite")
    assert code == 2
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert recurra_command(*arguments, "--steps", 3, "--overwrite")[0] == 0
    assert (tmp_path / "m" / "model.safetensors").read_bytes() != before


def test_a_folder_of_somebody_elses_is_never_touched(recurra_command, text, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    arguments = ["train", "lm", text, "--out", tmp_path / "mine", "--overwrite", "--steps", 1, *TINY]
    code, _, stderr = recurra_command(*arguments)
    assert code == 2
    assert "is not empty and holds no model" in stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_several_seeds_report_mean_and_spread(recurra_command, text, tmp_path):
    arguments = ["train", "lm", text, "--out", tmp_path / "m", "--steps", 3, "--seeds", 2, "--seed", 5, *TINY]
    code, _, stderr = recurra_command(*arguments)
    assert code == 0
    told = json.loads((tmp_path / "m" / "seeds.json").read_text())
    losses = [json.loads((tmp_path / "m" / f"seed-{n}" / "metrics.json").read_text())["valid_loss"] for n in (5, 6)]
    assert losses[0] != losses[1]
    assert told["mean"]["valid_loss"] == pytest.approx(sum(losses) / 2)
    assert f"valid loss {sum(losses) / 2:.4f} ±" in stderr


def test_training_goes_on_from_a_trained_model(recurra_command, trained, text, tmp_path):
    sizes = ["--batch-size", 4, "--update-every", 16]
    arguments = ["train", "lm", text, "--out", tmp_path / "m", "--init-from", trained, "--steps", 1, *sizes]
    assert recurra_command(*arguments, "--learning-rate", 1e-9)[0] == 0
    one, other = (json.loads((folder / "metrics.json").read_text()) for folder in (trained, tmp_path / "m"))
    assert one["valid_loss"] == pytest.approx(other["valid_loss"], abs=1e-4)
    code, _, stderr = recurra_command(*arguments, "--overwrite", "--hidden-size", 9)
    assert code == 2
    assert "--hidden-size 9: this comes with the model" in stderr


def test_several_samples_are_told_apart(recurra_command, trained):
    code, stdout, _ = recurra_command("generate", trained, "--samples", 2, "--length", 5, "--seed", 0)
    assert code == 0
    assert "── 1" in stdout
    assert "── 2" in stdout


def test_a_search_writes_one_text_and_says_nothing_else(recurra_command, trained):
    arguments = ("generate", trained, "--prompt", "the", "--length", 8)
    code, stdout, stderr = recurra_command(*arguments, "--beam", 4)
    assert (code, stderr) == (0, "")
    assert stdout.startswith("the")
    assert len(stdout) == len("the") + 8 + 1
    code, _, stderr = recurra_command(*arguments, "--beam", 4, "--seed", 0, "--top-k", 3, "--samples", 2)
    assert code == 2
    assert "leave out --top-k, --samples, --seed" in stderr
    code, _, stderr = recurra_command(*arguments, "--beam", 0)
    assert code == 2
    assert "--beam 0: expected 1 or more" in stderr


def test_a_cell_of_ones_own_trains_from_the_command_line(recurra_command, text, tmp_path, monkeypatch):
    (tmp_path / "my_leaky.py").write_text(
        "import torch\nfrom recurra import Cell, Gates, State\n\n\nclass Leaky(Cell):\n    gates = ('n', 'a')\n\n"
        "    def step(self, x, u, s, p):\n        a = torch.sigmoid(x.a + u.a)\n"
        "        return State(h=a * s.h + (1 - a) * torch.tanh(x.n + u.n)), Gates(a=a)\n"
    )
    monkeypatch.chdir(tmp_path)
    code, _, stderr = recurra_command(
        "train", "lm", text, "--out", "m", "--cell", "my_leaky:Leaky", "--steps", 3, *TINY
    )
    assert code == 0, stderr
    code, _, stderr = recurra_command("generate", "m", "--seed", 0)
    assert code == 2
    assert "--cell my_leaky:Leaky" in stderr
    assert recurra_command("generate", "m", "--seed", 0, "--cell", "my_leaky:Leaky")[0] == 0


def test_the_table_of_cells_names_them_all(recurra_command):
    from recurra.cells import CELLS

    _, stdout, _ = recurra_command("cells")
    for name in CELLS:
        assert name in stdout
    stdout = " ".join(stdout.split())
    assert "rnn = elman" in stdout
    assert "rnn_relu = elman with activation=relu" in stdout
    assert "h_t = f(x_h + u_h)" in recurra_command("cells", "rnn")[1]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_killed_at_a_random_step_and_resumed_ends_in_the_same_bits(cell, text, tmp_path):
    options = ["--cell", cell, "--steps", 400, "--seed", 3, "--log-every", 1, "--checkpoint-every", 0.05, *TINY]
    options += ["--num-layers", 2, "--embedding-dropout", 0.1]
    check_killed_runs_end_in_the_same_bits("lm", text, options, tmp_path, most=100)


@pytest.mark.slow
def test_ctrl_c_writes_a_checkpoint_and_says_how_to_resume(text, tmp_path):
    run = start("train", "lm", text, "--out", tmp_path / "m", "--steps", 100000, "--log-every", 1, *TINY)
    wait_for_log(tmp_path / "m", 5)
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "--resume" in stderr.splitlines()[-1]
    assert (tmp_path / "m" / "training" / "checkpoint.pt").exists()
    assert "Traceback" not in stderr


def test_a_reader_that_leaves_early_is_no_error(trained):
    command = f"{sys.executable} -m recurra generate {trained} --length 100000 --seed 0 | head -c 100"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert len(done.stdout) == 100
    assert done.stderr == ""


def test_an_error_of_recurra_itself_is_one_line_unless_debugged(monkeypatch, recurra_command, trained):
    monkeypatch.setattr("recurra.cli.info.bundle.read_config", lambda folder: 1 / 0)
    code, _, stderr = recurra_command("info", trained)
    assert code == 1
    assert "ZeroDivisionError" in stderr
    assert len(stderr.splitlines()) == 1
    with pytest.raises(ZeroDivisionError):
        main(["info", str(trained), "--debug"])


def test_a_run_with_default_options_is_resumed_and_its_recipe_read(recurra_command, text, tmp_path):
    arguments = ["train", "lm", text, "--out", tmp_path / "m", "--steps", 3, "--hidden-size", 8, "--batch-size", 2]
    assert recurra_command(*arguments)[0] == 0
    code, _, stderr = recurra_command("train", "lm", "--out", tmp_path / "m", "--resume")
    assert code == 0, stderr
    assert "nothing is left to train" in stderr
    code, _, stderr = recurra_command(
        "train", "lm", "--recipe", tmp_path / "m" / "recipe.toml", "--out", tmp_path / "n"
    )
    assert code == 0, stderr


def test_full_backpropagation_is_an_option(recurra_command, text, tmp_path):
    arguments = ["train", "lm", text, "--out", tmp_path / "m", "--steps", 1, "--hidden-size", 4, "--batch-size", 64]
    code, _, stderr = recurra_command(*arguments, "--update-every", "none")
    assert code == 0, stderr
    assert 'update_every = "none"' in (tmp_path / "m" / "recipe.toml").read_text()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "options",
    [
        ["--max-minutes", "0.00001"],
        ["--epochs", "1", "--warmup-steps", "100000"],
        ["--steps", "2", "--batch-size", "0"],
        ["--steps", "2", "--update-every", "0"],
        ["--steps", "2", "--reach-back", "0"],
        ["--steps", "2", "--engine", "native", "--layer-norm"],
        ["--steps", "2", "--cell", "nosuch", "--seeds", "2"],
        ["--steps", "2", "--valid", "nope.txt", "--seeds", "2"],
    ],
)
def test_overwriting_with_what_cannot_be_leaves_the_model_as_it_was(recurra_command, trained, text, tmp_path, options):
    out = shutil.copytree(trained, tmp_path / "m")
    before = contents(out)
    code, _, stderr = recurra_command("train", "lm", text, "--out", out, "--overwrite", "--hidden-size", 8, *options)
    assert code == 2, stderr
    assert contents(out) == before


def test_training_goes_on_in_place(recurra_command, trained, text, tmp_path):
    out = shutil.copytree(trained, tmp_path / "m")
    arguments = ["train", "lm", text, "--out", out, "--overwrite", "--init-from", out, "--steps", 1]
    code, _, stderr = recurra_command(*arguments, "--learning-rate", 1e-9, "--batch-size", 4, "--update-every", 16)
    assert code == 0, stderr
    one, other = (json.loads((folder / "metrics.json").read_text()) for folder in (trained, out))
    assert one["valid_loss"] == pytest.approx(other["valid_loss"], abs=1e-4)


@pytest.mark.parametrize("theirs", ["training/precious.csv", "config.json", "recipe.toml", "seed-data/x.txt"])
def test_what_only_has_the_names_of_ours_is_never_touched(recurra_command, text, tmp_path, theirs):
    path = tmp_path / "mine" / theirs
    path.parent.mkdir(parents=True)
    path.write_text('{"model_type": "another"}')
    code, _, stderr = recurra_command(
        "train", "lm", text, "--out", tmp_path / "mine", "--overwrite", "--steps", 1, *TINY
    )
    assert code == 2
    assert "holds no model" in stderr
    assert path.read_text() == '{"model_type": "another"}'


def test_a_run_killed_before_its_first_checkpoint_is_in_nobodys_way(recurra_command, text, tmp_path):
    (tmp_path / "m" / "training").mkdir(parents=True)
    (tmp_path / "m" / "training" / "train.bin.part").write_bytes(b"abc")
    assert recurra_command("train", "lm", text, "--out", tmp_path / "m", "--steps", 1, *TINY)[0] == 0


def test_an_older_model_comes_back_after_a_kill_in_the_middle_of_its_replacement(
    recurra_command, trained, text, tmp_path
):
    out = tmp_path / "m"
    shutil.copytree(trained, out / ".replaced")
    (out / "training").mkdir()
    before = contents(out)
    code, _, stderr = recurra_command("train", "lm", text, "--out", out, "--steps", 1, *TINY)
    assert code == 2
    assert "--overwrite" in stderr
    assert contents(out) == before
    assert recurra_command("info", out)[0] == 0
    assert contents(out) == contents(trained)


def test_seeds_that_start_from_a_model_start_from_it_after_an_interruption_too(
    recurra_command, trained, text, tmp_path
):
    arguments = ["train", "lm", text, "--out", tmp_path / "m", "--init-from", trained, "--steps", 1, "--seeds", 2]
    sizes = ["--batch-size", 4, "--update-every", 16, "--learning-rate", 1e-9]
    assert recurra_command(*arguments, *sizes)[0] == 0
    shutil.rmtree(tmp_path / "m" / "seed-1")
    assert recurra_command("train", "lm", "--out", tmp_path / "m", "--resume")[0] == 0
    source, later = (
        json.loads((folder / "metrics.json").read_text()) for folder in (trained, tmp_path / "m" / "seed-1")
    )
    assert later["valid_loss"] == pytest.approx(source["valid_loss"], abs=1e-4)


def test_a_model_with_a_cell_of_ones_own_is_trained_further(recurra_command, text, tmp_path, monkeypatch):
    (tmp_path / "my_sum.py").write_text(
        "from recurra import Cell, Gates, State\n\n\nclass Sum(Cell):\n    gates = ('n',)\n\n"
        "    def step(self, x, u, s, p):\n        return State(h=(x.n + u.n).tanh()), Gates()\n"
    )
    monkeypatch.chdir(tmp_path)
    own = ["--cell", "my_sum:Sum"]
    assert recurra_command("train", "lm", text, "--out", "m", "--steps", 2, *own, *TINY)[0] == 0
    again = ["train", "lm", text, "--out", "n", "--steps", 2, "--init-from", "m", "--batch-size", 4]
    code, _, stderr = recurra_command(*again, *own)
    assert code == 0, stderr


def test_a_model_without_its_training_folder_cannot_be_resumed_and_says_so(recurra_command, trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "m")
    shutil.rmtree(out / "training")
    code, _, stderr = recurra_command("train", "lm", "--out", out, "--resume")
    assert code == 2
    assert "nothing to resume" in stderr


def test_a_number_of_seeds_is_whole(recurra_command, text, tmp_path):
    code, _, stderr = recurra_command("train", "lm", text, "--out", tmp_path / "m", "--seeds", "1.5")
    assert code == 2
    assert "expected a whole number" in stderr
