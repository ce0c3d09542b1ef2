"""Pictures of attention: letters of any script, and a word for those that no font has."""

import numpy as np
import pytest

from recurra.diagnosis.attention import draw_attention
from recurra.diagnosis.fonts import families_for

NOWHERE = "\U0010fffd"


def test_fonts_are_found_for_scripts_and_what_none_has_is_told():
    families, missing = families_for("Straße Ελλάδα мир שלום مرحبا")
    assert families[0] == "DejaVu Sans"
    assert missing == []
    assert families_for(f"a{NOWHERE}b{NOWHERE}")[1] == [NOWHERE]


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_drawn_in_each_kind_of_file(tmp_path, kind, begins):
    path = tmp_path / f"a.{kind}"
    source, target = ["Ein", " Haus", ""], ["مر", "حبا", NOWHERE, ""]
    assert draw_attention(path, source, target, np.full((4, 3), 1 / 3)) == [NOWHERE]
    assert path.read_bytes().startswith(begins)


def test_arabic_letters_are_joined(tmp_path):
    """Apart, the letters of a word have other shapes: the words below differ in what stands between the letters."""
    pictures = []
    for word in ("مرحبا", "\u200c".join("مرحبا")):
        draw_attention(tmp_path / "a.png", ["a"], [word], np.ones((1, 1)))
        pictures.append((tmp_path / "a.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_many_symbols_still_fit_on_a_page(tmp_path):
    symbols = ["a"] * 300
    assert draw_attention(tmp_path / "a.png", symbols, ["b"], np.full((1, 300), 1 / 300)) == []
    assert (tmp_path / "a.png").stat().st_size < 1_000_000
