"""What the units do: features, scores that the character cannot give, activations, the page."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch

import recurra
from recurra.diagnosis.units import analyse_units, tracking
from recurra.diagnosis.units.activations import activations
from recurra.diagnosis.units.features import Feature, features_of, looks_like_code
from recurra.diagnosis.units.page import units_page
from recurra.errors import InputError

CODE = '''import os
def f(a):
    """Say (it)."""
    return g("x\\"y", 'z')  # it's "so"
'''
PROSE = 'She said "no (not I)".\n\n"Why'


def marked(text, name):
    values = next(one.values for one in features_of(text) if one.name == name)
    return "".join("x" if value else character for value, character in zip(values, text, strict=True))


def test_features_of_code():
    assert looks_like_code(CODE)
    quotes, comments, brackets = (
        marked(CODE, name).splitlines()
        for name in ("inside quotes", "inside a comment or docstring", "inside brackets")
    )
    assert quotes[3] == """    return g(xxxxx", xx')  # it's "so\""""
    assert quotes[2] == CODE.splitlines()[2]
    assert comments[2] == "    " + "x" * len('"""Say (it).') + '"""'
    assert comments[3] == CODE.splitlines()[3].replace('# it\'s "so"', "x" * 11)
    assert brackets[1] == "def fxx):"
    assert brackets[3] == """    return gxxxxxxxxxxxx)  # it's "so\""""


def test_a_docstring_lasts_from_its_first_quote_to_the_first_that_ends_it():
    text = 'def f():\n    """a"b"""\n    x = 1\n' * 3
    assert marked(text, "inside a comment or docstring").splitlines()[1].count("x") == 3 + 3
    assert marked(text, "inside a comment or docstring").splitlines()[2] == "    x = 1"


def test_features_of_prose_end_with_the_paragraph():
    assert not looks_like_code(PROSE)
    assert marked(PROSE, "inside quotes") == 'She said xxxxxxxxxxx".\n\nxxxx'
    assert marked('He (never closes.\n\nNew "one', "inside brackets").splitlines()[2] == 'New "one'


def test_layout():
    found = {one.name: one.values for one in features_of("ab\n  cd\n\nx")}
    assert found["position in the line"].tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 0, 0]
    np.testing.assert_equal(found["depth of indentation"], [0, 0, 0, np.nan, np.nan, 2, 2, 2, np.nan, 0])


def test_area_under_the_curve_counts_pairs_of_one_group():
    rng = np.random.default_rng(0)
    unit = rng.integers(0, 5, 60).astype(np.float32)  # with ties
    there, symbols = rng.random(60) < 0.4, rng.integers(0, 3, 60)
    right = pairs = 0
    for a in np.flatnonzero(there):
        for b in np.flatnonzero(~there & (symbols == symbols[a])):
            right += (unit[a] > unit[b]) + 0.5 * (unit[a] == unit[b])
            pairs += 1
    found = tracking.area_under_curve(unit, there, tracking._groups(symbols))
    assert found == pytest.approx(right / pairs)


def test_a_unit_that_spells_the_character_scores_chance_and_one_that_tracks_is_found():
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 8, 4000)
    there = ((np.arange(4000) // 10) % 2).astype(np.float32)
    # The symbols 6 and 7 come with the feature only, so the first unit alone would score highly by spelling them.
    symbols[there == 1] = rng.integers(4, 8, int(there.sum()))
    layer = rng.normal(size=(4000, 20)).astype(np.float16)
    layer[:, 3] = symbols
    layer[:, 11] = -2 * there + 0.5 * rng.normal(size=4000)
    features = [Feature("there", there, True), Feature("how much", there * 3, False)]
    found = tracking.rank([rng.normal(size=(4000, 5)).astype(np.float16), layer], features, symbols)
    best = {one.feature: one for one in reversed(found)}
    for one in best.values():
        assert (one.layer, one.unit, one.rises) == (1, 11, False)
    assert best["there"].score > 0.95
    assert 0.8 < best["how much"].score < 1
    groups = tracking._groups(symbols)
    assert tracking.area_under_curve(layer[:, 3].astype(np.float32), there > 0, groups) == 0.5


def test_scores_come_from_the_half_that_did_not_choose():
    rng = np.random.default_rng(0)
    there = (rng.random(4000) < 0.5).astype(np.float32)
    layer = rng.normal(size=(4000, 6)).astype(np.float16)
    layer[:2000, 2] = there[:2000]
    best = tracking.rank([layer], [Feature("there", there, True)], np.zeros(4000, np.int64))[0]
    assert best.unit == 2
    assert best.chosen_at == 1
    assert best.score == pytest.approx(0.5, abs=0.05)


def test_a_feature_that_is_hardly_there_is_left_out():
    there = np.zeros(4000, np.float32)
    there[:20] = 1
    assert tracking.rank([np.zeros((4000, 3), np.float16)], [Feature("rare", there, True)], np.zeros(4000, int)) == []


def test_activations_are_what_the_network_emits(trained, text):
    model = recurra.load(trained)
    tokens = model.tokenizer.encode(text.read_text())
    assert len(tokens) > 4 * 512, "the text must be read in more than one part"
    (found,) = activations(model.network, tokens, state="h")
    with torch.inference_mode():
        x = model.network.embedding(torch.from_numpy(tokens)[:, None])
        y, _ = model.network.recurrent(x, model.network.initial_state(1))
    # Parts are primed with 512 tokens, which leaves less than float16 shows of such a small model's memory.
    np.testing.assert_allclose(found, y[:, 0].numpy(), atol=2e-3)


def page_data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_holds_every_unit_and_survives_any_text(trained, text):
    awkward = "</script><!--<script>&amp;\n" + text.read_text()[:1999]
    layer = np.linspace(-1, 3, len(awkward), dtype=np.float16)[:, None] * np.array([[1, -1]], np.float16)
    page = units_page("T < U", "lead", list(awkward), [layer], [])
    data = page_data(page)
    assert data["text"] == awkward
    assert data["starts"] is None
    assert "T &lt; U" in page
    assert not re.search(r'(src|href)="', page)
    pairs = np.frombuffer(zlib.decompress(base64.b64decode(data["units"][0][0])), np.uint8)
    levels = np.stack([pairs >> 4, pairs & 15], 1).reshape(-1)[: len(awkward)]
    low, high = data["ranges"][0][0]
    step = (high - low) / 15
    inside = (layer[:, 0] > low) & (layer[:, 0] < high)
    np.testing.assert_allclose((low + levels * step)[inside], layer[inside, 0], atol=step / 2 + 2e-3)
    assert not levels[: len(levels) // 200].any()


def test_pieces_of_several_characters_say_where_they_begin():
    page = units_page("t", "", ["ab", "", "😀", "c"], [np.zeros((4, 1), np.float16)], [])
    assert page_data(page)["starts"] == [0, 2, 2, 4]


def test_examining_a_model(trained, text):
    model = recurra.load(trained)
    found = analyse_units(model, text.read_text())
    assert found.state == "c"
    assert "".join(found.pieces) == text.read_text()
    # The grammar has lines and no quotes or brackets; where a line is, a unit of such a model knows.
    assert {one.feature for one in found.trackers} == {"position in the line"}
    assert found.trackers[0].score > 0.5
    with pytest.raises(InputError, match="expected 1,000 or more"):
        analyse_units(model, "the cat")
    with pytest.raises(InputError, match="the cell has the states h, c"):
        analyse_units(model, text.read_text(), state="m")
