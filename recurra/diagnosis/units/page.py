"""A self-contained HTML page that shows a text coloured by the activation of a hidden unit."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from html import escape
from importlib import resources
from itertools import accumulate, groupby

import numpy as np
import numpy.typing as npt

from recurra.diagnosis.report import document
from recurra.diagnosis.units.activations import Activations
from recurra.diagnosis.units.tracking import Tracker

_LEVELS = 16


def units_page(
    title: str, lead: str, pieces: Sequence[str], layers: Sequence[Activations], trackers: Sequence[Tracker]
) -> str:
    """Returns the page as HTML.

    Args:
        title: the title.
        lead: a description of model and text.
        pieces: the text, one string per token, N of them.
        layers: activations, (N, H) each.
        trackers: the ranking by feature, best units first.
    """
    packed = [_pack(layer) for layer in layers]
    data = {
        "text": "".join(pieces),
        "starts": _starts(pieces),
        "units": [[unit for unit, _ in layer] for layer in packed],
        "ranges": [[limits for _, limits in layer] for layer in packed],
    }
    folder = resources.files("recurra.diagnosis.units")
    script, style = ((folder / name).read_text("utf-8") for name in ("page.js", "page.css"))
    # "</script" and "<!--" in the text would end or comment out the script element.
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    body = (
        f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>\n<aside>{_CONTROLS}{_ranking(trackers)}</aside>\n"
        '<div id="text" tabindex="0"></div>\n<canvas id="map" title="the whole text; click to go there"></canvas>\n'
        f'<script type="application/json" id="data">{content}</script>\n<script>{script}</script>'
    )
    return document(title, body, style=style)


_CONTROLS = """
<p><select id="layer" aria-label="layer"></select></p>
<p>unit <input id="unit" type="number" min="0" aria-label="unit">
<button id="previous" title="left arrow">←</button> <button id="next" title="right arrow">→</button></p>
<div id="scale"></div><div id="ends"><span id="low"></span><span id="high"></span></div>
<p id="activation">Point at a character for its activation.</p>
"""

_METHOD = (
    "Units are selected and ordered on the first half of the text and scored on the second, comparing only positions "
    "with the same character."
)


def _ranking(trackers: Sequence[Tracker]) -> str:
    if not trackers:
        return "<h2>Units that track features</h2><p>No feature is frequent enough in this text to rank units.</p>"
    parts = [f"<p>{_METHOD}</p>"]
    for feature, group in groupby(trackers, key=lambda one: one.feature):
        ranked = list(group)
        parts.append(f"<h2>{escape(feature)}</h2><p>{escape(ranked[0].measure)}</p>")
        parts += [
            f'<button class="unit" data-layer="{one.layer}" data-unit="{one.unit}" aria-pressed="false">'
            f"<span>layer {one.layer + 1}, unit {one.unit} {'↑' if one.rises else '↓'}</span>"
            f'<span class="score">{one.score:.3f}</span></button>'
            for one in ranked
        ]
    return "\n".join(parts)


def _starts(pieces: Sequence[str]) -> list[int] | None:
    """The start of each piece in UTF-16 code units, which JavaScript counts; None if each piece is one code unit."""
    lengths = [len(piece.encode("utf-16-le")) // 2 for piece in pieces]
    if all(length == 1 for length in lengths):
        return None
    return list(accumulate(lengths[:-1], initial=0))


def _pack(layer: Activations) -> list[tuple[str, tuple[float, float]]]:
    """Encodes each unit as base64 of a zlib stream of 4-bit levels, with the values of the lowest and highest level."""
    return [_packed(np.ascontiguousarray(column)) for column in layer.astype(np.float32).T]


def _packed(values: npt.NDArray[np.float32]) -> tuple[str, tuple[float, float]]:
    # The range between the 1st and 99th percentile, so that variations of a unit far from 0 remain visible.
    low, high = (float(bound) for bound in np.quantile(values, (0.01, 0.99)))
    middle, reach = (low + high) / 2, (high - low) / 2 or 1.0
    levels = np.clip(((values - middle) / reach + 1) / 2 * (_LEVELS - 1) + 0.5, 0, _LEVELS - 1).astype(np.uint8)
    if len(levels) % 2:
        levels = np.append(levels, np.uint8(0))
    pairs = (levels[0::2] << 4) | levels[1::2]
    packed = base64.b64encode(zlib.compress(pairs.tobytes(), 6)).decode()
    return packed, (round(middle - reach, 4), round(middle + reach, 4))
