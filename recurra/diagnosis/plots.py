"""Figures for slides and reports: each is drawn in a light and a dark theme, as PNG and SVG.

A figure is a function of an empty matplotlib figure and a `Theme`, from which it takes all colours, so that one
function serves both themes. The colours are distinguishable with red-green colour blindness (Okabe & Ito 2008), and
lines also differ in style and marker.
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
    """A colour theme."""

    name: str
    paper: str
    """Background."""
    ink: str
    """Text and axes."""
    faint: str
    """Grid lines and reference lines."""
    series: tuple[str, ...]
    """Lines, in order."""
    amounts: tuple[str, ...]
    """Colour map of values from 0 to 1, evenly spaced; 0 has the colour of the background."""
    ratios: tuple[str, ...]
    """Colour map of logarithms of ratios, evenly spaced; 0 has the colour of the background."""


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
"""Line styles, one for each colour of a theme's series."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Markers, one for each colour of a theme's series."""

_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}

Draw = Callable[["Figure", Theme], None]
"""Draws on an empty figure with the colours of a theme."""


@dataclass(frozen=True)
class Picture:
    """A figure as file contents."""

    alt: str
    """Description of the figure in words."""
    png: dict[str, bytes]
    """By the name of the theme."""
    svg: dict[str, str]
    """By the name of the theme; text is converted to paths, so that it does not depend on installed fonts."""

    def save(self, folder: Path, name: str) -> list[Path]:
        """Writes `name.png` and `name.svg` in the light theme, `name-dark.png` and `name-dark.svg` in the dark one.

        Args:
            folder: an existing folder.
            name: name of the files, without extension.

        Returns:
            The files.

        Raises:
            RecurraError: a file cannot be written.
        """
        files = []
        for theme in THEMES:
            ending = "" if theme is LIGHT else f"-{theme.name}"
            for suffix, data in (("png", self.png[theme.name]), ("svg", self.svg[theme.name].encode())):
                files.append(folder / f"{name}{ending}.{suffix}")
                write_output(files[-1], data)
        return files


def picture(draw: Draw, alt: str, *, size: tuple[float, float] = (9.0, 5.0)) -> Picture:
    """Draws a figure in both themes.

    Args:
        draw: the drawing function; axes should have labels with units.
        alt: description of the figure, as an alternative text.
        size: width and height in inches at 160 dots per inch; the font size is 15 points.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    png, svg = {}, {}
    for theme in THEMES:
        png[theme.name] = drawing(draw, size, "png", theme=theme)
        svg[theme.name] = drawing(draw, size, "svg", theme=theme).decode()
    return Picture(alt, png, svg)


def check_plots() -> None:
    """Checks that figures can be drawn, to be called before long work.

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
    """Draws a figure in one theme and returns the content of the file.

    Args:
        draw: the drawing function.
        size: width and height in inches at 160 dots per inch.
        kind: png, svg or pdf.
        theme: the colour theme.
        families: font families to search for a character, in order; matplotlib's default if empty.

    Raises:
        RecurraError: matplotlib is not installed.
    """
    check_plots()
    import matplotlib
    from matplotlib.figure import Figure

    file = io.BytesIO()
    # Figure rather than pyplot: it needs no window system and keeps no global state.
    with matplotlib.rc_context({**_style(theme), **({"font.family": list(families)} if families else {})}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, theme)
        # Without a date, equal runs write equal files.
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
    """Sets the labels of the axes, with their units, and the title of the panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title)


def powers_of_ten(axes: Axes, lowest: float, highest: float) -> None:
    """Sets a logarithmic y axis from `lowest` to `highest` with few tick labels; values outside are clipped."""
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
    scale_label: str | None,
    extend: str = "both",
) -> Any:
    """Draws a heat map of values (len(y), len(x)) over the cell centres x and y, with a colour bar if it has a label.

    `extend` says at which ends of the colour bar values may exceed the limits: both or neither.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shades", list(colours))
    # Rasterized: thousands of small polygons would make an SVG of megabytes.
    mesh = axes.pcolormesh(
        list(x), list(y), values, cmap=shades, vmin=limits[0], vmax=limits[1], shading="nearest", rasterized=True
    )
    axes.grid(False)
    if scale_label is not None:
        figure.colorbar(mesh, ax=axes, label=scale_label, extend=extend, pad=0.02)
    return mesh
