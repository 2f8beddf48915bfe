"""A picture of a replay, for light and dark pages: needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import datetime
import io
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...console import naming
from ..playing.outcome import Ending, Outcome
from .sketch import Sketch
from .tables import age, moment, sat
from .timeline import Line, lines

__all__ = ["COLORS", "draw"]

_WIDTH, _HEAD, _ROW, _FOOT = 9.0, 0.75, 0.62, 0.75  # inches
_DAY = 86_400_000_000_000
_HAIR = 0.7  # so that what is short can still be seen

COLORS = {
    "ink": ("#1f2328", "#e6edf3"),
    "faint": ("#57606a", "#9da7b3"),
    "rule": ("#d0d7de", "#3d444d"),
    "paper": ("#ffffff", "#0d1117"),
    "down": ("#ffcecb", "#67231f"),
    "stall": ("#f5e0a0", "#57440f"),
    "depth": ("#0a69d9", "#58a6ff"),
    "lost": ("#cf222d", "#ff7b72"),
    "free": ("#6e7780", "#8c959f"),
}
"""Every color of the picture, on a light page and on a dark one."""

_LIGHT = {name: light for name, (light, _) in COLORS.items()}

_MARKERS = {Ending.UNROUTABLE: "|", Ending.EXPIRED: "x"}

_MARKS: dict[str, Any] = {"linestyle": "none", "markersize": 6, "markeredgewidth": 1.4}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "lnmailbox",
    "text.color": _LIGHT["ink"],
    "axes.edgecolor": _LIGHT["rule"],
    "axes.facecolor": "none",
    "figure.facecolor": _LIGHT["paper"],
    "xtick.color": _LIGHT["rule"],
    "xtick.labelcolor": _LIGHT["faint"],
    "date.epoch": "1970-01-01T00:00:00",
}


def draw(path: str, outcome: Outcome, sketch: Sketch, *, top: int) -> None:
    """Write an SVG with a time line for each of the `top` channels that lost most.

    A time line has the outages, the undelivered packets, and the Adds that failed. The file has
    both color schemes: a browser takes the one that its reader prefers, other programs the
    light one.

    Raises:
        OSError: the file cannot be written.
    """
    shown = lines(outcome, sketch, top)
    with mpl.rc_context(_STYLE):
        figure = _figure(outcome, shown)
        svg = io.StringIO()
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": "lnmailbox"})
    text = svg.getvalue().replace("<svg ", '<svg role="img" ', 1)
    title = f"<title>{escape(_title(outcome))}</title>\n"
    text = text.replace(" <metadata>", f" {title} <metadata>", 1)
    text = text.replace("</svg>", f"<style>{_dark()}</style>\n</svg>")
    with naming(path):
        Path(path).write_text(text, encoding="utf-8")


def _dark() -> str:
    """The rules that a browser follows if its reader wants dark pages."""
    rules = "".join(
        f'[style*="{part}: {light}"]{{{part}:{dark} !important}}'
        for light, dark in COLORS.values()
        for part in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme: dark){{{rules}}}"


def _title(outcome: Outcome) -> str:
    end_ns = outcome.start_ns + outcome.end_ns
    return f"{moment(outcome.start_ns)} to {moment(end_ns)} UTC, {age(outcome.end_ns)}"


def _figure(outcome: Outcome, shown: list[Line]) -> Figure:
    rows = max(1, len(shown))
    height = _HEAD + _ROW * rows + _FOOT
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.subplots(
        rows,
        sharex=True,
        squeeze=False,
        gridspec_kw={
            "left": 0.15,
            "right": 0.84,
            "top": 1 - _HEAD / height,
            "bottom": _FOOT / height,
            "hspace": 0.25,
        },
    )[:, 0]
    for axis, line in zip(axes, shown, strict=False):
        _draw_line(axis, line, outcome)
    last = axes[-1]
    last.set_xlim(_x(outcome, 0), _x(outcome, max(outcome.end_ns, 1_000_000_000)))
    locator = AutoDateLocator(tz=datetime.timezone.utc)
    last.xaxis.set_major_locator(locator)
    last.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=datetime.timezone.utc))
    last.tick_params(bottom=True, labelbottom=True)
    figure.text(0.02, 1 - 0.22 / height, _title(outcome), size=11, weight="bold")
    figure.text(0.02, 1 - 0.45 / height, _subtitle(outcome, len(shown)), color=_LIGHT["faint"])
    _legend(figure)
    return figure


def _subtitle(outcome: Outcome, shown: int) -> str:
    total = outcome.total
    left = len(outcome.channels) - shown
    others = f"; not shown: {left:,} more" if left else ""
    return (
        f"{total.adds:,} Adds: {total.adds_unroutable:,} unroutable,"
        f" {total.adds_expired:,} expired; {sat(total.fees_lost_msat)} of fees lost{others}"
    )


def _draw_line(axis: Axes, line: Line, outcome: Outcome) -> None:
    for away in line.outages:
        axis.axvspan(
            _x(outcome, away.start_ns),
            _x(outcome, away.end_ns),
            color=_LIGHT[away.kind.value],
            linewidth=_HAIR,
        )
    if line.depths:
        times = [_x(outcome, at_ns) for at_ns, _ in line.depths]
        depths = [depth for _, depth in line.depths]
        axis.fill_between(times, depths, step="post", color=_LIGHT["depth"], linewidth=0)
    ceiling = max(1, line.deepest)
    for ending, marker in _MARKERS.items():
        for is_lost, height in ((True, 1.45), (False, 1.2)):
            times = [
                _x(outcome, mark.at_ns)
                for mark in line.marks
                if mark.ending is ending and mark.is_lost == is_lost
            ]
            axis.plot(
                times,
                [ceiling * height] * len(times),
                marker=marker,
                color=_LIGHT["lost" if is_lost else "free"],
                clip_on=False,
                **_MARKS,
            )
    axis.set_ylim(0, ceiling * 1.7)
    axis.set_yticks([])
    axis.tick_params(bottom=False)
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    axis.text(-0.01, 0.62, str(line.channel), transform=axis.transAxes, ha="right", va="center")
    deepest = f"at most {line.deepest:,} wait" if line.deepest else ""
    small: dict[str, Any] = {"color": _LIGHT["faint"], "size": 8, "va": "center"}
    axis.text(-0.01, 0.2, deepest, transform=axis.transAxes, ha="right", **small)
    axis.text(1.01, 0.42, line.text, transform=axis.transAxes, ha="left", **small)


def _legend(figure: Figure) -> None:
    handles = [
        Patch(facecolor=_LIGHT["down"], label="peer gone (down)"),
        Patch(facecolor=_LIGHT["stall"], label="link stalled"),
        Patch(facecolor=_LIGHT["depth"], label="packets that wait"),
        Line2D([], [], marker="|", color=_LIGHT["lost"], label="unroutable", **_MARKS),
        Line2D([], [], marker="x", color=_LIGHT["lost"], label="expired", **_MARKS),
        Line2D([], [], marker="|", color=_LIGHT["free"], label="gray: cost nothing", **_MARKS),
    ]
    figure.legend(handles=handles, loc="lower left", ncols=6, frameon=False, fontsize=8,
                  bbox_to_anchor=(0.01, 0.0), handlelength=1.2, columnspacing=1.4)  # fmt: skip


def _x(outcome: Outcome, at_ns: int) -> float:
    """The date that is so long after the first event, in days, as matplotlib has it."""
    return (outcome.start_ns + at_ns) / _DAY
