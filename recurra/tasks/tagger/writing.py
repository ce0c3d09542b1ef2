"""Tagged sentences as CoNLL-U, columns, JSON lines or coloured text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from recurra.data.columns import SEPARATORS
from recurra.data.conllu import COLUMNS, EMPTY, FORM, MISC
from recurra.data.sentences import Sentence
from recurra.data.spans import spans_of
from recurra.errors import InputError, nearest
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.tagged import Tagged

Writer = Callable[[Tagged], str]


def writer(to: str, came_as: str, layout: Layout, *, scheme: str | None) -> Writer:
    """What turns a tagged sentence into text.

    Args:
        to: a name of `WRITERS`.
        came_as: the format the sentences were read from; the same format keeps all of its lines but the labels.
        layout: the tagger's columns.
        scheme: how labels mark spans; None where they mark none.

    Raises:
        InputError: a format that is not known.
    """
    if to not in WRITERS:
        raise InputError(f"there is no format {to!r} to write. {nearest(to, WRITERS)}")
    write = WRITERS[to](came_as, layout, scheme)

    def write_sentence(tagged: Tagged) -> str:
        if tagged.sentence.words or came_as == "text":
            return write(tagged)
        # Lines that belong to no sentence, such as comments at a file's end, have a place in their own format alone.
        return "".join(tagged.sentence.lines) if to == came_as else ""

    return write_sentence


def _conllu(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    own = dict(zip(layout.names, layout.labels, strict=True)) if layout.format == "conllu" else {}

    def write(tagged: Tagged) -> str:
        sentence = tagged.sentence
        if not sentence.words:
            return ""
        given = sentence.rows if came_as == "conllu" else list(_blank(sentence))
        rows = [row.copy() for row in given]
        for name, values in tagged.labels.items():
            for row, value in zip(rows, values, strict=True):
                if name in own:
                    row[own[name]] = value
                else:
                    _add(row, f"{name.capitalize()}={value}")
        for name, shares in (tagged.probabilities or {}).items():
            for row, share in zip(rows, shares, strict=True):
                _add(row, f"P{name}={share:.4f}")
        if came_as == "conllu":
            return "".join(sentence.with_rows(rows, "\t"))
        return "".join([f"# text = {_text(sentence)}\n", *("\t".join(row) + "\n" for row in rows), "\n"])

    return write


def _blank(sentence: Sentence) -> Iterator[list[str]]:
    """Rows of CoNLL-U that know only the words."""
    spaces = sentence.spaces or [True] * len(sentence.words)
    for number, (word, space) in enumerate(zip(sentence.words, spaces, strict=True), start=1):
        row = [EMPTY] * COLUMNS
        row[0], row[FORM] = str(number), word
        row[MISC] = EMPTY if space else "SpaceAfter=No"
        yield row


def _text(sentence: Sentence) -> str:
    spaces = sentence.spaces or [True] * len(sentence.words)
    return "".join(word + " " * space for word, space in zip(sentence.words, spaces, strict=True)).rstrip(" ")


def _add(row: list[str], item: str) -> None:
    row[MISC] = item if row[MISC] == EMPTY else f"{row[MISC]}|{item}"


def _columns(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    def write(tagged: Tagged) -> str:
        sentence = tagged.sentence
        if came_as != "columns":
            rows = [[word] for word in sentence.words]
            separator = "\t"
        else:
            rows = [row.copy() for row in sentence.rows]
            separator = SEPARATORS[sentence.separator or layout.separator]
        replaced = came_as == "columns" == layout.format and bool(rows) and len(rows[0]) == layout.columns
        for name, column in zip(layout.names, layout.labels, strict=True):
            for row, value in zip(rows, tagged.labels[name], strict=True):
                if replaced:
                    # Spaces around a label that is the same stay, as the rest of its line.
                    row[column] = row[column] if row[column].strip(" ") == value else value
                else:
                    row.append(value)
        for shares in (tagged.probabilities or {}).values():
            for row, share in zip(rows, shares, strict=True):
                row.append(f"{share:.4f}")
        if came_as == "columns":
            return "".join(sentence.with_rows(rows, separator))
        return "".join([*(separator.join(row) + "\n" for row in rows), "\n"])

    return write


def _json(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    def write(tagged: Tagged) -> str:
        words = tagged.sentence.words
        content: dict[str, object] = {"words": words, **tagged.labels}
        if scheme is not None:
            content["spans"] = [
                {"type": kind, "start": start, "end": end, "text": " ".join(words[start:end])}
                for kind, start, end in spans_of(tagged.labels[layout.names[0]], scheme)
            ]
        if tagged.probabilities is not None:
            rounded = {name: [round(share, 6) for share in shares] for name, shares in tagged.probabilities.items()}
            content["probabilities"] = rounded
        return json.dumps(content, ensure_ascii=False) + "\n"

    return write


# Colours of a terminal, by the order in which labels are first met.
_COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)


def _terminal(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    colours: dict[str, int] = {}

    def coloured(text: str, label: str) -> str:
        colour = colours.setdefault(label, _COLOURS[len(colours) % len(_COLOURS)])
        return f"\x1b[{colour}m{text}\x1b[0m"

    def write(tagged: Tagged) -> str:
        words = tagged.sentence.words
        if scheme is not None:
            pieces, last = [], 0
            for kind, start, end in spans_of(tagged.labels[layout.names[0]], scheme):
                pieces += words[last:start]
                pieces.append(coloured(f"[{' '.join(words[start:end])}]{kind}", kind))
                last = end
            return " ".join([*pieces, *words[last:]]) + "\n"
        columns = [tagged.labels[name] for name in layout.names]
        first = tagged.probabilities[layout.names[0]] if tagged.probabilities else None
        pieces = []
        for place, (word, *labels) in enumerate(zip(words, *columns, strict=True)):
            share = "" if first is None else f"/{first[place]:.2f}"
            pieces.append(word + coloured("/" + "/".join(labels) + share, labels[0]))
        return " ".join(pieces) + "\n"

    return write


WRITERS: dict[str, Callable[[str, Layout, str | None], Writer]] = {
    "conllu": _conllu,
    "columns": _columns,
    "json": _json,
    "terminal": _terminal,
}
