"""The results as a picture: how many times better than required, on a logarithmic scale."""

from __future__ import annotations

import json
import math
import statistics
from html import escape
from pathlib import Path

from .figures import FIGURES
from .peers import MAILBOX, PEERS

__all__ = ["draw"]

LABELS, BARS, AFTER = 290, 400, 90  # widths
ROW, HEAD = 20, 54  # heights
REACHED, MISSED, MAILBOX_BAR, PEER_BAR = "reached", "missed", "mailbox", "peer"

# Light and dark, each with its own paper: readable whatever the page around it looks like.
COLOURS = """\
  text {{ fill: {0} }} .paper {{ fill: {1} }} .note {{ fill: {2} }}
  .line {{ stroke: {0} }} .grid {{ stroke: {3} }}
  .reached {{ fill: {4} }} .missed {{ fill: {5} }}
  .mailbox {{ fill: {6} }} .peer {{ fill: {7} }}"""
LIGHT = COLOURS.format(
    "#1a202c", "#ffffff", "#4a5568", "#cbd5e0", "#2f855a", "#c05621", "#2b6cb0", "#718096"
)
DARK = COLOURS.format(
    "#e2e8f0", "#15191e", "#a0aec0", "#3d4852", "#48bb78", "#ed8936", "#63b3ed", "#8795a8"
)
STYLE = f"<style>\n{LIGHT}\n  @media (prefers-color-scheme: dark) {{\n{DARK}\n  }}\n</style>"


def draw(numbers: dict[str, dict[str, list[float]]]) -> str:
    """Return an SVG with the figures above and the peers below."""
    bars: list[tuple[str, float, str, str]] = []
    for figure in FIGURES:
        values = numbers.get(figure.benchmark, {}).get(figure.number)
        if values:
            middle = statistics.median(values)
            color = REACHED if figure.holds(middle) else MISSED
            text = f"{_short(middle)} ({figure.required})"
            bars.append((figure.title, figure.times_better(middle), color, text))
    upper, height = _panel("Measured against required: right of the line it is reached",
                           bars, (0.25, 16), 0)  # fmt: skip

    bars = []
    for peer in [*MAILBOX, *PEERS]:
        values = numbers.get("one_to_one", {}).get(f"{peer.name}: ns")
        if values:
            each = statistics.median(values)
            color = MAILBOX_BAR if peer in MAILBOX else PEER_BAR
            rate = 1e9 / each
            bars.append((peer.name, rate, color, f"{_short(rate)}/s"))
    lower, total = _panel("Packets a second from one thread to another", bars, (5e3, 3e7), height)

    width = LABELS + BARS + AFTER
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" '
        f'viewBox="0 0 {width} {total}" font-family="system-ui, sans-serif" font-size="12" '
        f'role="img">\n<title>The results of the benchmarks</title>\n{STYLE}\n'
        f'<rect width="{width}" height="{total}" rx="6" class="paper"/>\n'
        + "\n".join([*upper, *lower])
        + "\n</svg>\n"
    )


def _panel(
    title: str, bars: list[tuple[str, float, str, str]], span: tuple[float, float], top: int
) -> tuple[list[str], int]:
    """Return the elements of one panel, and where it ends."""
    low, high = span
    zero = max(low, 1.0)  # where bars begin

    def x(value: float) -> float:
        value = min(max(value, low), high)
        return LABELS + BARS * math.log(value / low) / math.log(high / low)

    bottom = top + HEAD + ROW * len(bars)
    parts = [
        f'<text x="16" y="{top + 24}" font-size="14" font-weight="600">{escape(title)}</text>'
    ]
    base = 2 if high <= 100 else 10
    first = math.ceil(math.log(low, base) - 1e-9)
    for power in range(first, math.floor(math.log(high, base) + 1e-9) + 1):
        tick = float(base) ** power
        strong = tick == 1
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top + HEAD - 4}" y2="{bottom}" '
            f'class="line {"one" if strong else "grid"}" stroke-width="{1.5 if strong else 0.5}"/>'
            f'<text x="{x(tick):.1f}" y="{top + HEAD - 8}" font-size="10" text-anchor="middle" '
            f'class="note">{_short(tick)}</text>'
        )
    for number, (label, value, color, text) in enumerate(bars):
        y = top + HEAD + ROW * number
        left, right = sorted((x(zero), x(value)))
        parts.append(
            f'<text x="{LABELS - 10}" y="{y + 14}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{left:.1f}" y="{y + 4}" width="{max(right - left, 1):.1f}" '
            f'height="{ROW - 7}" rx="2" class="{color}"/>'
            f'<text x="{right + 6:.1f}" y="{y + 14}" font-size="11" class="note">'
            f"{escape(text)}</text>"
        )
    return parts, bottom + 16


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < 100 else f"{value:.0f}"


if __name__ == "__main__":  # draw published results again
    folder = Path("docs/performance")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    (folder / "chart.svg").write_text(draw(results["numbers"]), encoding="utf-8")
