"""Draw the diagrams of the documentation: `python docs/diagrams/draw.py`.

They are SVG files in the repository, so that building and reading the documentation needs no
network, no browser script and no drawing program.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

INK, FAINT, PAPER = "#1f2933", "#7b8794", "#fcfcf9"
FILL, BAND, BAND_EDGE = "#e8eef4", "#fff4e6", "#f3d9b8"

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<title>{title}</title>
<style>
  text {{ font: 14px ui-sans-serif, system-ui, Helvetica, Arial, sans-serif; fill: {ink} }}
  .label {{ paint-order: stroke; stroke: {paper}; stroke-width: 5px; stroke-linejoin: round }}
  .code {{ font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }}
  .head {{ font-weight: 600 }}
  .faint {{ fill: {faint}; font-size: 13px }}
  .line {{ stroke: {ink}; stroke-width: 1.4; fill: none }}
  .lane {{ stroke: {faint}; stroke-width: 1; stroke-dasharray: 2 4 }}
  .answer {{ stroke-dasharray: 5 4 }}
</style>
<defs>
  <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" \
orient="auto"><path d="M0 0 10 5 0 10z" fill="{ink}"/></marker>
</defs>
<rect width="{width}" height="{height}" rx="10" fill="{paper}"/>"""


class Picture:
    """A growing SVG document."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.parts = [
            HEAD.format(width=width, height=height, title=title, ink=INK, paper=PAPER, faint=FAINT)
        ]

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "middle") -> None:
        self.parts.append(
            f'<text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def path(self, d: str, style: str = "line", tip: bool = True) -> None:
        end = ' marker-end="url(#tip)"' if tip else ""
        self.parts.append(f'<path d="{d}" class="{style}"{end}/>')

    def box(
        self, x: float, y: float, w: float, h: float, fill: str = FILL, edge: str = INK, r: int = 8
    ) -> None:
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{r}" fill="{fill}" '
            f'stroke="{edge}" stroke-width="1.2"/>'
        )

    def save(self, path: Path) -> None:
        path.write_text("\n".join([*self.parts, "</svg>"]) + "\n", encoding="utf-8")


def sequence(path: Path) -> None:
    """Who calls whom, from top to bottom."""
    lanes = {"switch": 100, "mailbox": 330, "link": 560, "alarm": 740, "courier": 880}
    threads = ["any thread", "no thread", "your thread", "one a clock", "on demand"]
    steps: list[tuple[str, ...]] = [
        ("part", "Delivery is a rendezvous: the receiver itself takes the packet, under the lock"),
        ("link", "mailbox", "packet_outbox.get() blocks"),
        ("switch", "mailbox", "add_packet(Add 7)"),
        ("mailbox", "link", "Add 7"),
        ("part", "The link restarts before the Add is in a commitment"),
        ("link", "mailbox", "reset_packets()"),
        ("link", "mailbox", "packet_outbox.get()"),
        ("mailbox", "link", "Add 7 again"),
        ("link", "mailbox", "ack_packet(key of 7)"),
        ("mailbox", "link", "True"),
        ("part", "Nobody collects the next Add before its deadline"),
        ("switch", "mailbox", "add_packet(Add 8)"),
        ("alarm", "mailbox", "the deadline has come"),
        ("alarm", "courier", "starts it"),
        ("courier", "mailbox", "claims Add 8, under the lock"),
        ("courier", "switch", "fetch_update(short_chan_id)"),
        ("switch", "courier", "the channel's update"),
        ("courier", "switch", "forward_packets(quit, Fail 8), no lock held"),
        ("courier", "mailbox", "nothing else is overdue: the thread ends"),
    ]
    top, row = 84, 38
    height = top + row * len(steps) + 34
    picture = Picture(970, height, "Sequence: delivery, replay and expiry of an Add")
    for (name, x), thread in zip(lanes.items(), threads, strict=True):
        picture.path(f"M{x} {top - 14}V{height - 20}", "lane", tip=False)
        picture.box(x - 55, 20, 110, 50)
        picture.text(x, 41, name, "head")
        picture.text(x, 59, thread, "faint")
    y = top + 6.0
    for step in steps:
        y += row
        if step[0] == "part":
            picture.box(24, y - 20, 922, 28, BAND, BAND_EDGE, 6)
            picture.text(36, y - 1, step[1], "head", "start")
            continue
        source, target, label = step
        start, end = lanes[source], lanes[target]
        answer = (source, target) in {("mailbox", "link"), ("switch", "courier")}
        way = 4 if end > start else -4
        picture.path(f"M{start + way} {y}H{end - way}", "line answer" if answer else "line")
        picture.text((start + end) / 2, y - 7, label, "label code")
    picture.save(path)


def states(path: Path) -> None:
    """Where an Add can stand; a reply is never overdue."""
    picture = Picture(970, 400, "States of a packet in its mailbox")

    def state(x: int, y: int, name: str, note: str) -> None:
        picture.box(x, y, 190, 64)
        picture.text(x + 95, y + 28, name, "head")
        picture.text(x + 95, y + 48, note, "faint")

    def arrow(d: str, x: float, y: float, *labels: str, anchor: str = "middle") -> None:
        picture.path(d)
        for number, label in enumerate(labels):
            style = "label faint" if number else "label code"
            picture.text(x, y + 17 * number, label, style, anchor)

    picture.parts.append(f'<circle cx="40" cy="82" r="8" fill="{INK}"/>')
    state(170, 50, "undelivered", "waits for a receiver")
    state(540, 50, "delivered", "a receiver has it")
    state(170, 270, "overdue", "an Add past its deadline")
    state(540, 270, "gone", "the mailbox forgot it")
    picture.box(760, 50, 190, 64, BAND, BAND_EDGE)
    picture.text(855, 76, "Replies do the same,", "faint")
    picture.text(855, 96, "but never expire.", "faint")

    arrow("M50 82H164", 107, 72, "add_packet")
    arrow("M360 68H534", 450, 58, "get")
    arrow("M540 96H366", 450, 114, "reset_packets", "or nack_packet")
    arrow("M215 114V264", 205, 184, "deadline", "now >= deadline", anchor="end")
    arrow("M360 302H534", 447, 292, "Fail sent, or acked")
    arrow("M635 114V264", 645, 184, "ack_packet", "or fail_add", anchor="start")
    arrow("M330 114 560 264", 446, 182, "ack_packet", "or fail_add")
    arrow(
        "M235 334C235 374 295 374 295 340",
        308,
        366,
        "encryption failed",
        "tried again later",
        anchor="start",
    )
    picture.save(path)


def main(folder: Path = Path(__file__).parent) -> None:
    """Write all diagrams into the folder."""
    sequence(folder / "sequence.svg")
    states(folder / "states.svg")


if __name__ == "__main__":
    main()
