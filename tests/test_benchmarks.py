"""The benchmarks run, at a size at which their times mean nothing."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from long_runs import DOES_MANY

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not DOES_MANY,
    reason="the benchmarks choose their cores and read /proc; one version is enough",
)

TINY = 0.001

MAY_BE_ZERO = {
    ("idle", "switches"),
    ("mailboxes", "resident bytes"),
    ("reset", "reset ms"),
    ("couriers", "memory: threads"),
    ("couriers", "memory: resident KiB"),
}


@pytest.fixture
def figures(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The list of benchmarks; they stand beside the package and are not installed."""
    monkeypatch.syspath_prepend(str(project))
    return importlib.import_module("benchmarks.figures")


@pytest.fixture
def numbers(figures: Any) -> dict[str, dict[str, float]]:
    """What each benchmark measures."""
    try:
        return {name: measure(TINY) for name, measure in figures.BENCHMARKS.items()}
    finally:
        gc.unfreeze()  # the benchmarks hide their packets from the collector
        gc.collect()
        gc.freeze()  # as at the beginning of the tests


def test_every_benchmark_measures_what_its_figures_are_about(
    figures: Any, numbers: dict[str, dict[str, float]]
) -> None:
    """Every number is finite and no less than zero; each figure's number is there.

    Where cryptography is not installed, the figures that need it are left out.
    """
    for name, measured in numbers.items():
        for number, value in measured.items():
            assert math.isfinite(value), (name, number)
            assert value > 0 or (name, number) in MAY_BE_ZERO, (name, number)

    missing = [
        figure.benchmark
        for figure in figures.FIGURES
        if figure.number not in numbers[figure.benchmark]
    ]
    has_ciphers = importlib.util.find_spec("cryptography") is not None

    assert ([] if has_ciphers else ["expiry", "failures", "failures"]) == missing
    assert 1 == numbers["mailboxes"]["threads"]
    assert 1.0 == numbers["one_to_one"]["queue.Queue: ratio"]
    assert (0, 2) == tuple(numbers["couriers"][f"{kind}: threads"] for kind in ("memory", "lnd"))


def test_what_was_measured_is_printed_and_drawn(figures: Any) -> None:
    """The table says what is not reached, and the chart has a bar for every figure and peer."""
    command = importlib.import_module("benchmarks.__main__")
    chart = importlib.import_module("benchmarks.chart")
    numbers: dict[str, dict[str, list[float]]] = {}
    for figure in figures.FIGURES:
        missed = figure.limit / 2 if figure.at_least else figure.limit * 2 + 1
        value = missed if figure.benchmark == "imports" else figure.limit
        numbers.setdefault(figure.benchmark, {})[figure.number] = [value] * 3

    lines = command.report(numbers)

    assert ["import, time to import attrs"] == [
        line.split("  ")[0] for line in lines if line.endswith("NOT REACHED")
    ]
    texts = {element.text for element in ET.fromstring(chart.draw(numbers)).iter()}
    assert {figure.title for figure in figures.FIGURES} <= texts


def test_a_figure_holds_up_to_its_limit(figures: Any) -> None:
    """A lowest value is reached from above, a highest from below."""
    lowest = figures.Figure("", "", "", 2.0, True)
    highest = figures.Figure("", "", "", 2.0)

    assert [False, True, True] == [lowest.holds(value) for value in (1.9, 2.0, 2.1)]
    assert [True, True, False] == [highest.holds(value) for value in (1.9, 2.0, 2.1)]
    assert [0.5, 2.0] == [lowest.times_better(1.0), highest.times_better(1.0)]
