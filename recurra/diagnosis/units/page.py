"""The page that shows a text coloured by any unit: one HTML file that needs nothing else."""

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
    """The page as HTML.

    Args:
        title: its headline.
        lead: what model and text these are.
        pieces: the text as the model read it, a piece a token, N of them.
        layers: activations, (N, H) each.
        trackers: the ranking, features in order, best units first.
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
    # "</script" and "<!--" in the text would end or swallow the element that holds it.
    held = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    body = (
        f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>\n<aside>{_CONTROLS}{_ranking(trackers)}</aside>\n"
        '<div id="text" tabindex="0"></div>\n<canvas id="map" title="the whole text; click to go there"></canvas>\n'
        f'<script type="application/json" id="data">{held}</script>\n<script>{script}</script>'
    )
    return document(title, body, style=style)


_CONTROLS = """
<p><select id="layer" aria-label="layer"></select></p>
<p>unit <input id="unit" type="number" min="0" aria-label="unit">
<button id="previous" title="left arrow">←</button> <button id="next" title="right arrow">→</button></p>
<div id="scale"></div><div id="ends"><span id="low"></span><span id="high"></span></div>
<p id="told">Point at a character for its activation.</p>
"""

_HOW = "Chosen and ordered on the first half of the text; scored on the second, among places of the same character."


def _ranking(trackers: Sequence[Tracker]) -> str:
    if not trackers:
        return "<h2>Units that track something</h2><p>No feature is there often enough in this text to be judged.</p>"
    parts = [f"<p>{_HOW}</p>"]
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
    """Where each piece begins, in the UTF-16 units that JavaScript counts; None where each is one of them."""
    lengths = [len(piece.encode("utf-16-le")) // 2 for piece in pieces]
    if all(length == 1 for length in lengths):
        return None
    return list(accumulate(lengths[:-1], initial=0))


def _pack(layer: Activations) -> list[tuple[str, tuple[float, float]]]:
    """Each unit as base64 of a zlib stream of 4-bit levels, and the values of the lowest and the highest level."""
    return [_packed(np.ascontiguousarray(column)) for column in layer.astype(np.float32).T]


def _packed(values: npt.NDArray[np.float32]) -> tuple[str, tuple[float, float]]:
    # Between the rarest hundredths: a cell that counts far from 0 shows its ups and downs too.
    low, high = (float(bound) for bound in np.quantile(values, (0.01, 0.99)))
    middle, reach = (low + high) / 2, (high - low) / 2 or 1.0
    levels = np.clip(((values - middle) / reach + 1) / 2 * (_LEVELS - 1) + 0.5, 0, _LEVELS - 1).astype(np.uint8)
    if len(levels) % 2:
        levels = np.append(levels, np.uint8(0))
    pairs = (levels[0::2] << 4) | levels[1::2]
    packed = base64.b64encode(zlib.compress(pairs.tobytes(), 6)).decode()
    return packed, (round(middle - reach, 4), round(middle + reach, 4))
