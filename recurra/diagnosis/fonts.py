"""Fonts that have the characters of any language, among those that are installed."""

from __future__ import annotations

from collections.abc import Container, Iterator

_FIRST = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Hebrew, Arabic."""
# matplotlib's fonts for formulas, whose letters are not where Unicode has them, and its box for what no font has.
_NO_LETTERS = ("Last Resort", "STIX", "cm")


def families_for(text: str) -> tuple[list[str], list[str]]:
    """Installed families that between them have the characters of a text, and the characters that none has.

    Args:
        text: any.

    Returns:
        The families, matplotlib's own first, then those that have something that is lacking so far, sans serif before
        others; and the characters without a glyph, in the order of the text.
    """
    lacking = {character for character in text if not character.isspace()}
    families = []
    for family, characters in _families():
        if not lacking:
            break
        found = {character for character in lacking if ord(character) in characters}
        if found:
            families.append(family)
            lacking -= found
    order = dict.fromkeys(character for character in text if character in lacking)
    return list(dict.fromkeys([_FIRST, *families])), list(order)


def _families() -> Iterator[tuple[str, Container[int]]]:
    """Families and the characters of their upright face, `_FIRST` first; files are opened as they are asked for."""
    from matplotlib.font_manager import FontEntry, FontPath, fontManager, get_font

    faces: dict[str, FontEntry] = {}
    for face in fontManager.ttflist:
        if face.style == "normal" and not face.name.startswith(_NO_LETTERS):
            best = faces.setdefault(face.name, face)
            if abs(_weight(face.weight) - 400) < abs(_weight(best.weight) - 400):
                faces[face.name] = face
    for name in sorted(faces, key=lambda name: (name != _FIRST, "Sans" not in name, name)):
        yield name, get_font(FontPath(faces[name].fname, faces[name].index)).get_charmap()


def _weight(weight: int | str) -> int:
    from matplotlib.font_manager import weight_dict

    return weight if isinstance(weight, int) else weight_dict.get(weight, 400)
