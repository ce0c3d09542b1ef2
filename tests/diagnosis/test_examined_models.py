"""Trained language models: their verdicts against gradients measured by other means, and the verb."""

import json
import math
import shutil

import pytest
import torch
from torch import nn
from toys import sentences

import recurra
from recurra.cli.app import main
from recurra.diagnosis import diagnose


def share_left(model, probe):
    """What is left of the gradient by lag at the last step, by torch's own cell and `retain_grad`."""
    network = model.network
    tokens, targets = probe.batch[0], probe.targets
    step = nn.LSTMCell(network.embedding.embedding_dim, network.recurrent.hidden_size)
    weights = network.recurrent.state_dict()
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in weights.items()})
    state, states = None, []
    for x in network.embedding(tokens):
        h, c = step(x, state)
        # h is made of c: the gradient of c alone is that which does not pass through the same h.
        state = h.detach().requires_grad_(), c.detach().requires_grad_()
        states.append(((h, c), state))
    loss = nn.functional.cross_entropy(network.readout(states[-1][1][0]), targets[-1], reduction="sum")
    h_grad, c_grad = torch.autograd.grad(loss, states[-1][1], allow_unused=True)
    c_grad = torch.zeros_like(h_grad)
    norms = [h_grad.norm(dim=-1)]
    for (h, c), _ in reversed(states[1:]):
        before = states[len(states) - len(norms) - 1][1]
        h_grad, c_grad = torch.autograd.grad((h, c), before, (h_grad, c_grad))
        norms.append(torch.cat([h_grad, c_grad], -1).norm(dim=-1))
    means = torch.stack(norms).mean(-1)
    return (means / means[0]).tolist()


def agrees(model, probe):
    (layer,) = diagnose(model.network, probe.batch, probe.loss).layers
    left = share_left(model, probe)
    measured = layer.measures.left
    for lag in (1, 5, 10, 20):
        # The verdict is of several times of the loss, this of the last: within a factor of three, on the same side.
        assert abs(math.log(measured[lag] / left[lag])) < math.log(3)
    end = left[layer.measures.horizon]
    assert layer.verdict.kind == ("vanishes" if end < 0.01 else "fades" if end < 0.1 else "keeps")


class WithTargets:
    def __init__(self, model, text, *, rows, steps):
        import numpy as np

        from recurra.tasks.language_model.model import probe_windows

        ids = np.asarray(model.tokenizer.encode(text))
        self.batch, self.loss = probe_windows(model.network, ids, rows=rows, steps=steps)
        starts = np.linspace(0, len(ids) - 1 - len(self.batch[0]), self.batch[0].shape[1]).astype(int)
        self.targets = torch.stack([torch.tensor(ids[s + 1 : s + 1 + len(self.batch[0])]) for s in starts], 1).long()


def test_a_trained_models_verdict_agrees_with_its_gradient(trained):
    model = recurra.load(trained)
    agrees(model, WithTargets(model, sentences(100, seed=5), rows=16, steps=120))


@pytest.mark.slow
def test_tinyshakespeares_verdict_agrees_with_its_gradient(data, tmp_path):
    text = data / "tinyshakespeare" / "input.txt"
    model = recurra.train("lm", text, out=tmp_path / "out", steps=300, hidden_size=128)
    agrees(model, WithTargets(model, text.read_text()[-20_000:], rows=32, steps=150))


def test_the_verb_examines_what_was_held_out(trained, tmp_path, capsys):
    out = tmp_path / "report.html"
    main(["diagnose", str(trained), "--out", str(out), "--rows", "4", "--steps", "64"])
    told = capsys.readouterr()
    assert told.out.startswith("recurrent: gradients ")
    assert "context: the loss falls from" in told.out
    page = out.read_text()
    assert page.count("data:image/svg+xml") == 8  # four figures, for light and for dark
    assert "http" not in page.replace("http://www.w3.org", "")
    assert told.out.splitlines()[0].split(":")[1].split("(")[0].strip() in page


def test_the_verb_reads_a_file_and_prints_json(trained, tmp_path, capsys):
    text = tmp_path / "more.txt"
    text.write_text(sentences(30, seed=3))
    main(["diagnose", str(trained), str(text), "--json", "--rows", "2", "--steps", "40"])
    found = json.loads(capsys.readouterr().out)
    (layer,) = found["layers"]
    assert (layer["cell"], layer["units"], layer["steps"]) == ("lstm", 24, 40)
    assert found["context"]["steps"][0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such folder"),
        (["MODEL", "missing.txt"], "missing.txt"),
        (["MODEL", "--out", "nowhere/report.html"], "there is no folder"),
        (["MODEL", "--rows", "0"], "--rows 0"),
    ],
)
def test_what_cannot_be_done_gets_a_line(trained, arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exited:
        main(["diagnose", *(str(trained) if word == "MODEL" else word for word in arguments)])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_without_held_out_text_it_asks_for_a_file(trained, tmp_path, capsys):
    alone = tmp_path / "alone"
    shutil.copytree(trained, alone, ignore=shutil.ignore_patterns("training"))
    with pytest.raises(SystemExit):
        main(["diagnose", str(alone)])
    assert "name a text file" in capsys.readouterr().err
