"""Self-contained HTML reports of text, tables and figures, light or dark as the reader's system."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from recurra.diagnosis.plots import Picture
from recurra.files import write_output


@dataclass(frozen=True)
class Table:
    """A table with a header row; numbers are aligned right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]


Block = str | Picture | Table
"""A part of a section: a paragraph, a figure or a table."""


@dataclass(frozen=True)
class Section:
    """A section of a report with a heading."""

    title: str
    blocks: Sequence[Block]


def page(title: str, sections: Iterable[Section], *, lead: str = "") -> str:
    """Returns a report as HTML.

    Args:
        title: the title.
        sections: the sections in order.
        lead: a paragraph below the title.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [f'<p class="lead">{escape(lead)}</p>'] if lead else []
    for section in sections:
        inner = "\n".join(map(_block, section.blocks))
        parts.append(f"<section>\n<h2>{escape(section.title)}</h2>\n{inner}\n</section>")
    return document(title, "<main>\n" + "\n".join(parts) + "\n</main>")


def document(title: str, body: str, *, style: str = "") -> str:
    """Returns an HTML document with a body in HTML, the common style sheet, and `style` after it."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def write_page(path: Path, title: str, sections: Iterable[Section], *, lead: str = "") -> None:
    """Writes `page` to a file.

    Raises:
        RecurraError: the file cannot be written.
    """
    write_output(path, page(title, sections, lead=lead))


def _block(block: Block) -> str:
    if isinstance(block, Picture):
        return _figure(block)
    return _table(block) if isinstance(block, Table) else f"<p>{escape(block)}</p>"


def _figure(picture: Picture) -> str:
    light, dark = (_data_uri(picture.svg[name]) for name in ("light", "dark"))
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(picture.alt)}"></picture></figure>'
    )


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _table(table: Table) -> str:
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.head)
    numeric = [bool(column) and not any(isinstance(value, str) for value in column) for column in columns]
    kinds = [' class="number"' if right else "" for right in numeric]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(table.head, kinds, strict=True))
    rows = "".join(f"<tr>{''.join(map(_entry, row))}</tr>" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _entry(value: str | int | float) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f'<td class="number">{text}</td>'


_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1f2328; --faint: #c8ccd2; --soft: #f3f4f6; --mark: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #16191d; --ink: #e6e8eb; --faint: #454b54; --soft: #21262c; --mark: #56b4e9; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.4rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--faint); }
p { max-width: 44rem; } .lead { font-size: 1.15rem; }
figure { margin: 1rem 0; } img { width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .95rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid var(--faint); }
.number { text-align: right; }
"""
