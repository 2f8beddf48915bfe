"""What is kept for a picture."""

from __future__ import annotations

import itertools

from lnmailbox.replay.playing.outages import Absence
from lnmailbox.replay.telling.sketch import Away, Sketch, thinned
from outcomes import A, B


def test_outages_and_depths_are_kept_by_channel() -> None:
    """As they are told, while they are few."""
    sketch = Sketch()
    sketch.outage(A, Absence.DOWN, 1, 5)
    sketch.depth(A, 2, 1)
    sketch.depth(B, 3, 7)

    assert {A: [Away(1, 5, Absence.DOWN)]} == sketch.outages
    assert {A: [(2, 1)], B: [(3, 7)]} == sketch.depths


def test_many_points_are_thinned_and_the_deepest_and_the_last_stay() -> None:
    """In order of time."""
    sketch = Sketch()
    for at_ns in range(100_000):
        sketch.depth(A, at_ns, 500 if at_ns == 77_777 else at_ns % 3)

    points = sketch.depths[A]
    assert len(points) <= 4_097
    assert sorted(points) == points
    assert 500 == max(depth for _, depth in points)
    assert (99_999, 99_999 % 3) == points[-1]
    assert [(0, 2), (2, 3)] == thinned([(0, 1), (1, 2), (2, 3)])
    assert [(0, 2)] == thinned([(0, 1), (1, 2)])


def test_many_outages_become_fewer_and_longer_ones() -> None:
    """A flapping peer looks like one that is away: at that scale nobody sees the gaps."""
    sketch = Sketch()
    for number in range(10_000):
        sketch.outage(A, Absence.DOWN, 10 * number, 10 * number + 1)

    outages = sketch.outages[A]
    assert len(outages) <= 4_097
    assert (0, 99_991) == (outages[0].start_ns, outages[-1].end_ns)
    assert all(first.end_ns <= second.start_ns for first, second in itertools.pairwise(outages))
