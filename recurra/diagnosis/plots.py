"""Figures for a lecture slide and for a report: drawn twice, for light and for dark paper, as PNG and SVG.

A figure is a function of an empty matplotlib figure and a `Theme`; it takes its colours from the theme, never by name,
so that one drawing serves both papers. Colours can be told apart without red and green (Okabe & Ito 2008), and lines
differ in stroke and marker besides.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recurra.errors import RecurraError
from recurra.files import write_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Content = TypeVar("Content", str, bytes)


@dataclass(frozen=True)
class Theme:
    """The colours of one paper."""

    name: str
    paper: str
    """Background."""
    ink: str
    """Text and axes."""
    faint: str
    """Grid lines and what is only there for comparison."""
    series: tuple[str, ...]
    """Lines, in the order they are taken."""
    amounts: tuple[str, ...]
    """Colours of amounts from 0 to 1, evenly spaced: little is near the paper."""
    ratios: tuple[str, ...]
    """Colours of logarithms, evenly spaced: 0, nothing lost and nothing gained, is near the paper."""


LIGHT = Theme(
    "light", "#ffffff", "#1f2328", "#c8ccd2", ("#0072b2", "#d55e00", "#009e73", "#b5509c", "#8a6d00", "#4d4d4d"),
    ("#ffffff", "#7fb5d9", "#0072b2", "#06304f"), ("#0b3c6f", "#4f94c9", "#ffffff", "#ef8a55", "#8f2410"),
)  # fmt: skip
DARK = Theme(
    "dark", "#16191d", "#e6e8eb", "#454b54", ("#56b4e9", "#ff8a3d", "#2fd1a4", "#ee9cd2", "#f0e442", "#c9ced6"),
    ("#16191d", "#1f5c87", "#56b4e9", "#dff1fc"), ("#62b4f0", "#265b86", "#16191d", "#94421c", "#ff9a5c"),
)  # fmt: skip
THEMES = (LIGHT, DARK)

STROKES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
"""Line styles in step with a theme's series."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Markers in step with a theme's series."""

_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}

Draw = Callable[["Figure", Theme], None]
"""Draws on an empty figure in the colours of a theme."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure as the contents of files."""

    alt: str
    """What is to be seen, in words."""
    png: dict[str, bytes]
    """By the name of the theme."""
    svg: dict[str, str]
    """By the name of the theme; letters are paths, so that they look the same everywhere."""

    def save(self, folder: Path, name: str) -> list[Path]:
        """Writes `name.png` and `name.svg` for light paper, `name-dark.png` and `name-dark.svg` for dark.

        Args:
            folder: an existing folder.
            name: of the files, without ending.

        Returns:
            The files.

        Raises:
            RecurraError: one cannot be written.
        """
        files = []
        for theme in THEMES:
            ending = "" if theme is LIGHT else f"-{theme.name}"
            for suffix, data in (("png", self.png[theme.name]), ("svg", self.svg[theme.name].encode())):
                files.append(folder / f"{name}{ending}.{suffix}")
                write_output(files[-1], data)
        return files


def picture(draw: Draw, alt: str, *, size: tuple[float, float] = (9.0, 5.0)) -> Picture:
    """Draws a figure for both papers.

    Args:
        draw: draws it; axes want labels with units.
        alt: what is to be seen, for people who do not see it.
        size: width and height in inches at 160 dots an inch; letters are 15 points.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    png, svg = {}, {}
    for theme in THEMES:
        png[theme.name] = drawing(draw, size, "png", theme=theme)
        svg[theme.name] = drawing(draw, size, "svg", theme=theme).decode()
    return Picture(alt, png, svg)


def check_plots() -> None:
    """Whether figures can be drawn, before work is done for one.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RecurraError("figures need matplotlib, which is not installed: pip install 'recurra[plots]'") from None


def drawing(
    draw: Draw, size: tuple[float, float], kind: str, *, theme: Theme = LIGHT, families: Sequence[str] = ()
) -> bytes:
    """Draws a figure for one paper, as the content of a file.

    Args:
        draw: draws it.
        size: width and height in inches at 160 dots an inch.
        kind: png, svg or pdf.
        theme: the colours.
        families: fonts in which a character is looked for, in order; matplotlib's own where there are none.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    check_plots()
    import matplotlib
    from matplotlib.figure import Figure

    file = io.BytesIO()
    # Figure rather than pyplot: no window system is asked for and nothing global is left behind.
    with matplotlib.rc_context({**_style(theme), **({"font.family": list(families)} if families else {})}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, theme)
        # A date would make two equal runs write two files.
        figure.savefig(file, format=kind, dpi=160, metadata=_NO_DATE.get(kind))
    return file.getvalue()


def _style(theme: Theme) -> Any:
    from cycler import cycler

    colours = [theme.ink, *theme.series]
    return {
        "figure.facecolor": theme.paper, "savefig.facecolor": theme.paper, "axes.facecolor": theme.paper,
        "text.color": colours[0], "axes.labelcolor": theme.ink, "axes.edgecolor": theme.ink, "axes.titlesize": 15,
        "xtick.color": theme.ink, "ytick.color": theme.ink, "grid.color": theme.faint, "grid.linewidth": 0.8,
        "font.size": 15, "axes.labelsize": 15, "xtick.labelsize": 13, "ytick.labelsize": 13, "legend.fontsize": 13,
        "legend.frameon": False, "lines.linewidth": 2.6, "lines.markersize": 7, "axes.linewidth": 1.1,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=list(theme.series)) + cycler(linestyle=list(STROKES)),
        "axes.titlelocation": "left", "svg.hashsalt": "recurra", "svg.fonttype": "path",
    }  # fmt: skip


def label(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Names the axes, with their units, and the panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title)


def powers_of_ten(axes: Axes, lowest: float, highest: float) -> None:
    """A logarithmic y axis that shows `lowest` to `highest`, with few labels; what lies outside is cut off."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(lowest, highest)
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_locator(NullLocator())


def heat_map(
    figure: Figure,
    axes: Axes,
    values: Any,
    x: Sequence[float],
    y: Sequence[float],
    *,
    colours: Sequence[str],
    limits: tuple[float, float],
    told: str | None,
    extend: str = "both",
) -> Any:
    """A map of values (len(y), len(x)) over the centres x and y, with its scale beside it where `told` names it.

    `extend` says on which ends of the scale values may lie beyond the limits: both or neither.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shades", list(colours))
    # An image of some hundred small polygons would make an SVG of megabytes.
    mesh = axes.pcolormesh(
        list(x), list(y), values, cmap=shades, vmin=limits[0], vmax=limits[1], shading="nearest", rasterized=True
    )
    axes.grid(False)
    if told is not None:
        figure.colorbar(mesh, ax=axes, label=told, extend=extend, pad=0.02)
    return mesh
