"""Reports and figures: one file, both papers, and a word for a missing package."""

import sys

import pytest

from recurra.diagnosis import plots
from recurra.diagnosis.report import Section, Table, page
from recurra.errors import RecurraError


def draw(figure, theme):
    axes = figure.subplots()
    axes.plot([1, 10], [0.1, 1], label="a")
    plots.label(axes, "x (steps)", "y", theme.name)


def test_a_figure_is_drawn_for_both_papers_the_same_each_time(tmp_path):
    once, again = plots.picture(draw, "a line"), plots.picture(draw, "a line")
    assert once == again
    assert once.svg["light"] != once.svg["dark"]
    files = once.save(tmp_path, "line")
    assert [path.name for path in files] == ["line.png", "line.svg", "line-dark.png", "line-dark.svg"]
    assert all(path.stat().st_size > 1000 for path in files)


def test_a_report_is_one_file_and_spells_what_it_is_given():
    picture = plots.picture(draw, 'a "line" & <more>')
    table = Table(["name", "amount"], [("<b>", 0.123456), ("n", 12345)])
    html = page("A & B", [Section("One <1>", ["h < c & so", picture, table])], lead="lead")
    for spelt in ("A &amp; B", "One &lt;1&gt;", "h &lt; c &amp; so", "&lt;b&gt;", "0.1235", "12,345", "prefers-color"):
        assert spelt in html
    assert 'alt="a &quot;line&quot; &amp; &lt;more&gt;"' in html
    assert html.count("data:image/svg+xml;base64,") == 2
    assert '<th>name</th><th class="number">amount</th>' in html


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RecurraError, match=r"pip install 'recurra\[plots\]'"):
        plots.picture(draw, "a line")
