"""Draw the diagrams of the documentation: `python docs/diagrams/draw.py`.

They are SVG files in the repository, so that building and reading the documentation needs no
network, no browser script and no drawing program.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

LIGHT = {
    "ink": "#1f2933",
    "faint": "#52606d",
    "paper": "#fcfcf9",
    "fill": "#e8eef4",
    "band": "#fff4e6",
    "edge": "#f3d9b8",
}
DARK = {
    "ink": "#e4e7eb",
    "faint": "#9fb3c8",
    "paper": "#15191e",
    "fill": "#243240",
    "band": "#3a2d18",
    "edge": "#6b5429",
}

COLOURS = """\
  text, .tip, .dot {{ fill: {ink} }}
  .faint {{ fill: {faint} }}
  .label {{ stroke: {paper} }}
  .line {{ stroke: {ink} }}
  .lane, .frame {{ stroke: {faint} }}
  .paper {{ fill: {paper} }}
  .box {{ fill: {fill}; stroke: {ink} }}
  .band {{ fill: {band}; stroke: {edge} }}"""

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<title>{title}</title>
<style>
  text {{ font: 17px ui-sans-serif, system-ui, Helvetica, Arial, sans-serif }}
  .label {{ paint-order: stroke; stroke-width: 7px; stroke-linejoin: round }}
  .code {{ font: 15px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }}
  .head {{ font-weight: 600 }}
  .faint {{ font-size: 15px }}
  .line {{ stroke-width: 1.4; fill: none }}
  .lane {{ stroke-width: 1; stroke-dasharray: 2 4 }}
  .answer {{ stroke-dasharray: 5 4 }}
  .box, .band, .frame {{ stroke-width: 1.2 }}
  .frame {{ fill: none }}
{light}
  @media (prefers-color-scheme: dark) {{
{dark}
  }}
</style>
<defs>
  <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" \
orient="auto"><path d="M0 0 10 5 0 10z" class="tip"/></marker>
</defs>
<rect width="{width}" height="{height}" rx="10" class="paper"/>"""


class Picture:
    """A growing SVG document."""

    def __init__(self, width: int, height: int, title: str) -> None:
        light, dark = (COLOURS.format(**colours) for colours in (LIGHT, DARK))
        dark = dark.replace("  ", "    ", 1).replace("\n  ", "\n    ")
        self.parts = [HEAD.format(width=width, height=height, title=title, light=light, dark=dark)]

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "middle") -> None:
        self.parts.append(
            f'<text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def path(self, d: str, style: str = "line", tip: bool = True, moves: str = "") -> None:
        end = ' marker-end="url(#tip)"' if tip else ""
        data = f' data-moves="{moves}"' if moves else ""
        self.parts.append(f'<path d="{d}" class="{style}"{end}{data}/>')

    def box(self, x: float, y: float, w: float, h: float, style: str = "box", r: int = 8) -> None:
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{r}" class="{style}"/>'
        )

    def save(self, path: Path) -> None:
        path.write_text("\n".join([*self.parts, "</svg>"]) + "\n", encoding="utf-8")


def sequence(path: Path) -> None:
    """Who calls whom, from top to bottom.

    The fourth word of a step is the call that it stands for. The tests make the calls, and compare
    the order.
    """
    lanes = {"link": 75, "mailbox": 208, "alarm": 341, "courier": 474, "switch": 605}
    threads = ["your thread", "no thread", "one per clock", "on demand", "any thread"]
    steps: list[tuple[str, ...]] = [
        ("part", "Delivery: the receiver itself takes the packet, under the lock"),
        ("link", "mailbox", "get() blocks", "get"),
        ("switch", "mailbox", "add_packet(Add 7)", "add_packet"),
        ("mailbox", "link", "Add 7"),
        ("part", "The link restarts before the Add is in a commitment"),
        ("link", "mailbox", "reset_packets()", "reset_packets"),
        ("link", "mailbox", "get()", "get"),
        ("mailbox", "link", "Add 7 again"),
        ("link", "mailbox", "ack_packet(7)", "ack_packet"),
        ("mailbox", "link", "True"),
        ("part", "Nobody collects the next Add before its deadline"),
        ("switch", "mailbox", "add_packet(Add 8)", "add_packet"),
        ("alarm", "mailbox", "8 is overdue"),
        ("alarm", "courier", "starts it"),
        ("courier", "mailbox", "claims Add 8, under the lock", "claim_overdue"),
        ("courier", "switch", "fetch_update", "fetch_update"),
        ("switch", "courier", "the update"),
        ("courier", "mailbox", "takes Add 8 out, under the lock", "take_out"),
        ("courier", "switch", "forward_packets", "forward_packets"),
        ("courier", "mailbox", "nothing is overdue: it ends"),
    ]
    top, row = 88, 40
    height = top + row * len(steps) + 34
    picture = Picture(680, height, "Sequence: delivery, replay and expiry of an Add")
    for (name, x), thread in zip(lanes.items(), threads, strict=True):
        picture.path(f"M{x} {top - 14}V{height - 20}", "lane", tip=False)
        picture.box(x - 60, 18, 120, 56)
        picture.text(x, 41, name, "head")
        picture.text(x, 62, thread, "faint")
    y = top + 6.0
    for step in steps:
        y += row
        if step[0] == "part":
            picture.box(15, y - 21, 650, 30, "band", 6)
            picture.text(27, y - 1, step[1], "head", "start")
            continue
        source, target, label, *calls = step
        start, end = lanes[source], lanes[target]
        answer = (source, target) in {("mailbox", "link"), ("switch", "courier")}
        way = 4 if end > start else -4
        picture.path(
            f"M{start + way} {y}H{end - way}",
            "line answer" if answer else "line",
            moves="".join(calls),
        )
        width = 9 * len(label) + 8
        picture.box((start + end - width) / 2, y - 22, width, 19, "paper", 0)
        picture.text((start + end) / 2, y - 8, label, "code")
    picture.save(path)


def states(path: Path) -> None:
    """The places of a packet and its ways between them.

    An arrow's `data-moves` names the methods of `Shelf` and the places that it stands for. The
    tests compare these with the shelf.
    """
    picture = Picture(680, 590, "Places of a packet in its mailbox")

    def place(x: int, y: int, name: str, note: str) -> None:
        picture.box(x, y, 230, 66)
        picture.text(x + 115, y + 29, name, "head")
        picture.text(x + 115, y + 51, note, "faint")

    def arrow(d: str, x: float, y: float, label: str, moves: str) -> None:
        picture.path(d, moves=moves)
        picture.text(x, y, label, "label code")

    picture.box(22, 92, 636, 314, "frame", 12)
    place(48, 120, "undelivered", "waits for a receiver")
    place(402, 120, "delivered", "a receiver has it")
    place(48, 302, "overdue", "an Add past its deadline")
    place(402, 302, "stuck", "could not be failed")
    place(48, 494, "being failed", "claimed by one thread")
    place(402, 494, "gone", "acked or failed")
    picture.text(640, 50, "Replies do not expire and are not failed:", "faint", "end")
    picture.text(640, 71, "they stay in the upper row.", "faint", "end")

    everywhere = "WAITING LINK OVERDUE STUCK".split()
    picture.parts.append('<circle cx="163" cy="36" r="8" class="dot"/>')
    arrow("M163 44V114", 163, 74, "add_packet", "add NOWHERE WAITING")
    arrow("M278 138H396", 340, 130, "get", "take WAITING LINK")
    arrow("M402 166H284", 340, 184, "reset, nack", "reset LINK WAITING, nack LINK WAITING")
    arrow("M98 186V296", 98, 246, "deadline", "expire WAITING OVERDUE")
    arrow("M200 302V192", 200, 246, "reset", "reset OVERDUE WAITING")
    arrow("M420 302 262 191", 345, 250, "reset", "reset STUCK WAITING")
    arrow("M402 335H284", 340, 327, "retry", "expire STUCK OVERDUE")
    arrow("M85 368V488", 85, 444, "courier", "claim_overdue OVERDUE CLAIMED")
    arrow(
        "M165 406V488",
        165,
        444,
        "fail_add",
        ", ".join(f"claim {where} CLAIMED" for where in everywhere),
    )
    arrow(
        "M245 494V412",
        245,
        444,
        "give up",
        "give_up CLAIMED WAITING, give_up CLAIMED LINK, give_up CLAIMED STUCK",
    )
    picture.text(290, 434, "to its old place,", "label faint", "start")
    picture.text(290, 454, "from overdue to stuck", "label faint", "start")
    arrow("M278 514H396", 340, 506, "hand over", "take_out CLAIMED NOWHERE")
    arrow("M278 542H396", 340, 560, "ack", "ack CLAIMED NOWHERE")
    arrow(
        "M560 406V488",
        560,
        450,
        "ack_packet",
        ", ".join(f"ack {where} NOWHERE" for where in everywhere),
    )
    picture.save(path)


def main(folder: Path = Path(__file__).parent) -> None:
    """Write all diagrams into the folder."""
    sequence(folder / "sequence.svg")
    states(folder / "states.svg")


if __name__ == "__main__":
    main()
