"""Studies: what they measure, what they write, what they leave alone."""

import json
import re

import pytest
import torch
import torch.nn.functional as F

import recurra
from recurra.diagnosis.studies import STUDIES, Setting, run_studies, truncation
from recurra.diagnosis.studies.problems import PROBLEMS
from recurra.errors import InputError


def test_a_run_writes_figures_numbers_and_one_report(tmp_path):
    told = []
    before = torch.get_rng_state()
    findings = run_studies(["vanish"], tmp_path / "study", Setting(quick=True, progress=told.append))
    assert torch.equal(torch.get_rng_state(), before)
    written = {path.name for path in (tmp_path / "study").iterdir()}
    endings = {f"vanish{paper}.{kind}" for paper in ("", "-dark") for kind in ("png", "svg")}
    assert written == {"report.html", "vanish.json", *endings}
    numbers = json.loads((tmp_path / "study" / "vanish.json").read_text())
    assert numbers["numbers"]["growth"]["1.5"]["measured"] == pytest.approx(0.75, rel=0.1)
    report = (tmp_path / "study" / "report.html").read_text()
    assert findings["vanish"].sentences[0].split(" (")[0] in report
    assert not re.search(r'(src|href|srcset)="(?!data:)', report), "the report needs another file"
    assert all(line.startswith("vanish: ") for line in told)


def test_two_runs_with_one_seed_agree_and_two_seeds_do_not():
    one, again, other = (STUDIES["vanish"].run(Setting(seed=seed, quick=True)).numbers for seed in (3, 3, 4))
    assert one == again
    assert one != other


def test_a_study_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no study 'explod'. Did you mean 'explode'"):
        run_studies(["explod"], tmp_path, Setting())


def test_truncation_wants_a_model(tmp_path):
    with pytest.raises(InputError, match="needs a trained language model"):
        run_studies(["truncation"], tmp_path, Setting())


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_are_what_they_say(name):
    problem, generator = PROBLEMS[name], torch.Generator().manual_seed(0)
    x, target = problem.draw(20, 4000, generator)
    assert x.shape[2] == problem.inputs
    if name == "adding":
        assert torch.equal(x[..., 1].sum(0), torch.full((4000,), 2.0))
        torch.testing.assert_close((x[..., 0] * x[..., 1]).sum(0), target)
        best, exact = torch.ones(20, 4000, 1), target.expand(20, -1)[..., None]
    else:
        assert torch.equal(x[:5].argmax(-1), target)
        assert torch.equal(x[5:25].argmax(-1), torch.full((20, 4000), 8))
        best, exact = torch.randn(30, 4000, 8), torch.cat([torch.zeros(25, 4000, 8), F.one_hot(target, 8)])
    assert float(problem.right(best, target)) == pytest.approx(problem.chance, abs=0.02)
    assert float(problem.right(exact.float(), target)) == 1


def test_the_gradient_of_one_window_is_the_whole_and_the_readout_needs_none(trained, text):
    model = recurra.load(trained)
    tokens = torch.from_numpy(model.tokenizer.encode(text.read_text()[:65])).reshape(-1, 1)
    state = model.network.initial_state(1)
    whole = truncation._gradient(model.network, tokens, state, 64)
    loss = F.cross_entropy(model.network(tokens[:-1], state).scores.flatten(0, 1), tokens[1:, 0])
    wanted = torch.autograd.grad(loss, list(model.network.parameters()))
    for (name, found), one in zip(whole.items(), wanted, strict=True):
        torch.testing.assert_close(found, one, rtol=1e-4, atol=1e-7, msg=name)
    cut = truncation._gradient(model.network, tokens, state, 4)
    torch.testing.assert_close(cut["readout.bias"], whole["readout.bias"], rtol=1e-4, atol=1e-7)
    assert not torch.allclose(cut["recurrent.weight_hh_l0"], whole["recurrent.weight_hh_l0"], rtol=1e-2)


def test_truncation_on_a_trained_model(trained, text, tmp_path):
    setting = Setting(quick=True, trained=lambda: (recurra.load(trained), text.read_text()))
    numbers = run_studies(["truncation"], tmp_path, setting)["truncation"].numbers
    cosines = numbers["W_hh"]["cosine"]
    assert cosines[-1] == pytest.approx(1)
    assert numbers["W_hh"]["ratio_of_norms"][-1] == pytest.approx(1)
    assert cosines[0] < cosines[4] <= cosines[-1] + 1e-9


def test_a_text_too_short_for_truncation(trained):
    setting = Setting(quick=True, trained=lambda: (recurra.load(trained), "the cat"))
    with pytest.raises(InputError, match="has 7 tokens, expected"):
        STUDIES["truncation"].run(setting)
