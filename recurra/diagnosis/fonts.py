"""Selects installed fonts that cover the characters of a text in any script."""

from __future__ import annotations

from collections.abc import Container, Iterator

_FIRST = "DejaVu Sans"
"""Included in matplotlib: Latin, Greek, Cyrillic, Hebrew, Arabic."""
# matplotlib's fonts for formulas, whose letters are not at their Unicode positions, and its font of placeholder boxes.
_NO_LETTERS = ("Last Resort", "STIX", "cm")


def families_for(text: str) -> tuple[list[str], list[str]]:
    """Returns installed font families that together cover a text, and the characters that no font has.

    Args:
        text: any text.

    Returns:
        The families: matplotlib's default first, then those that have characters missing in the ones before, sans serif
        first; and the characters without a glyph, in the order of the text.
    """
    missing = {character for character in text if not character.isspace()}
    families = []
    for family, characters in _families():
        if not missing:
            break
        covered = {character for character in missing if ord(character) in characters}
        if covered:
            families.append(family)
            missing -= covered
    order = dict.fromkeys(character for character in text if character in missing)
    return list(dict.fromkeys([_FIRST, *families])), list(order)


def _families() -> Iterator[tuple[str, Container[int]]]:
    """Iterates over families and the characters of their upright face, `_FIRST` first; files are opened lazily."""
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
