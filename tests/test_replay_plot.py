"""The picture of a replay."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lnmailbox.replay.playing.ledger import Counts
from lnmailbox.replay.playing.outages import Absence
from lnmailbox.replay.playing.outcome import Ending, Outcome
from lnmailbox.replay.telling.plot import COLORS, draw
from lnmailbox.replay.telling.sketch import Sketch
from outcomes import NS, A, B, ended, outcome

SVG = "{http://www.w3.org/2000/svg}"


def sketch() -> Sketch:
    """Two outages, and mail that waits in one of them."""
    sketch = Sketch()
    sketch.outage(A, Absence.DOWN, 60 * NS, 600 * NS)
    sketch.outage(A, Absence.STALL, 3000 * NS, 3600 * NS)
    for at, depth in ((3100, 1), (3200, 2), (3600, 0)):
        sketch.depth(A, at * NS, depth)
    return sketch


def with_failures() -> Outcome:
    return outcome(
        failed=[ended(100, Ending.UNROUTABLE), ended(3300, result=None), ended(3301)],
        channels={
            A: Counts(adds=9, adds_unroutable=1, adds_expired=2, fees_lost_msat=4_000),
            B: Counts(adds=1),
        },
    )


def test_the_picture_has_a_line_for_each_channel_with_an_outage(tmp_path: Path) -> None:
    """The text is text, so that it can be found and read aloud."""
    path = tmp_path / "replay.svg"

    draw(str(path), with_failures(), sketch(), top=10)

    tree = ET.parse(path)
    texts = ["".join(text.itertext()) for text in tree.iter(f"{SVG}text")]
    assert "2025-10-09 08:53:20 to 2025-10-09 10:55:22 UTC, 2 h 2 min" in texts
    assert "10 Adds: 1 unroutable, 2 expired; 4 sat of fees lost; not shown: 1 more" in texts
    assert {"880000x1x1", "at most 2 wait"} <= set(texts)
    assert "9x9x9" not in texts
    assert "2025-10-09 08:53:20 to" in next(tree.iter(f"{SVG}title")).text


def test_every_color_has_one_for_dark_pages(tmp_path: Path) -> None:
    """No other color is in the picture."""
    path = tmp_path / "replay.svg"

    draw(str(path), with_failures(), sketch(), top=10)

    svg = path.read_text(encoding="utf-8")
    drawing, rules = svg.split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawing))
    assert used <= {light for light, _ in COLORS.values()}
    assert {COLORS["down"][0], COLORS["stall"][0], COLORS["depth"][0]} <= used
    for color in used:
        assert f'[style*="fill: {color}"]' in rules
        assert f'[style*="stroke: {color}"]' in rules


def test_the_texts_have_contrast_on_both_pages() -> None:
    """At least 4.5 to 1, as WCAG wants it; for marks 3 to 1."""

    def luminance(color: str) -> float:
        parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    for scheme in (0, 1):
        color = {name: pair[scheme] for name, pair in COLORS.items()}
        for text in ("ink", "faint"):
            assert contrast(color[text], color["paper"]) >= 4.5
        for mark in ("lost", "free", "depth"):
            for ground in ("paper", "down", "stall"):
                assert contrast(color[mark], color[ground]) >= 3, (scheme, mark, ground)


@pytest.mark.parametrize("end_ns", [0, 1, 7_322 * NS, 10**19 - 1_760_000_000 * NS])
def test_any_length_of_log_can_be_drawn(tmp_path: Path, end_ns: int) -> None:
    """No channel at all is a picture too, and the same replay is the same picture."""
    path = tmp_path / "replay.svg"

    draw(str(path), outcome(end_ns=end_ns, channels={}), Sketch(), top=1)

    first = path.read_bytes()
    draw(str(path), outcome(end_ns=end_ns, channels={}), Sketch(), top=1)
    assert first == path.read_bytes()


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no file that is always full"
)
def test_a_full_disk_is_named() -> None:
    """So that the message of the command has a file."""
    with pytest.raises(OSError, match="No space left") as raised:
        draw("/dev/full", outcome(), Sketch(), top=1)

    assert "/dev/full" == raised.value.filename


def test_a_million_failures_are_a_small_picture(tmp_path: Path) -> None:
    """The file's size is bounded by the number of lines (here some 10,000 failures do)."""
    path = tmp_path / "replay.svg"
    failed = [ended(n / 2, Ending.UNROUTABLE) for n in range(14_000)]

    draw(str(path), outcome(failed=failed), Sketch(), top=1)

    assert path.stat().st_size < 200_000
