"""Run the benchmarks, print what is required and what was measured, and draw it.

Each benchmark runs several times, each time in a process of its own on the same two cores. A
ratio is made within one run; of the runs, the median and the extremes are shown. Exit status 0,
or 1 with `--check` if something is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from .chart import draw
from .figures import BENCHMARKS, FIGURES
from .harness import pin
from .peers import MAILBOX, PEERS

PROJECT = Path(__file__).resolve().parent.parent

METADATA = (
    "boot_time cpu_affinity cpu_config cpu_count cpu_freq cpu_model_name load_avg_1min platform "
    "python_compiler python_implementation python_version runnable_threads"
).split()

Numbers = dict[str, dict[str, list[float]]]


def measure(names: list[str], runs: int, scale: float) -> Numbers:
    """Run the benchmarks in turns, each in a new process; return every run's numbers."""
    numbers: Numbers = {name: {} for name in names}
    for run in range(1, runs + 1):
        for name in names:
            print(f"run {run} of {runs}: {name}", file=sys.stderr)
            command = [sys.executable, "-m", "benchmarks", "--worker", name, "--scale", str(scale)]
            output = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, cwd=PROJECT, env=os.environ
            ).stdout
            for number, value in json.loads(output).items():
                numbers[name].setdefault(number, []).append(value)
    return numbers


def metadata() -> dict[str, Any]:
    """Return what pyperf knows about this machine and this Python."""
    import pyperf

    known = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    about = {name: known[name] for name in METADATA if name in known}
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return about | {"gil": gil, "switch_interval_s": sys.getswitchinterval()}


def report(numbers: Numbers) -> list[str]:
    """Return the lines of the two tables."""
    lines = [f"{'':42}{'required':>10}{'measured':>10}{'lowest':>9}{'highest':>9}"]
    for figure in FIGURES:
        values = numbers.get(figure.benchmark, {}).get(figure.number)
        if not values:
            continue
        middle = statistics.median(values)
        shown = "".join(f"{value:9,.4g}" for value in (min(values), max(values)))
        verdict = "" if figure.holds(middle) else "   NOT REACHED"
        lines.append(f"{figure.title:42}{figure.required:>10}{middle:10,.4g}{shown}{verdict}")
    for name, title in ("one_to_one", "1 to 1 thread"), ("contended", "4 to 4 threads"):
        of = numbers.get(name)
        if not of:
            continue
        lines += ["", f"{title + ', the same packets':50}{'ns each':>10}{'speed':>8}"]
        for peer in [*MAILBOX, *PEERS]:
            if f"{peer.name}: ns" in of:
                each, speed = (statistics.median(of[f"{peer.name}: {k}"]) for k in ("ns", "ratio"))
                lines.append(f"{peer.name:50}{each:10,.0f}{speed:8.3f}")
    on_disk = numbers.get("durable_peers", {})
    if on_disk:
        lines += ["", f"{'on disk, 1 thread, add, get and ack':50}{'ns each':>10}{'speed':>8}"]
        for name in [name.removesuffix(": ns") for name in on_disk if name.endswith(": ns")]:
            each, speed = (statistics.median(on_disk[f"{name}: {k}"]) for k in ("ns", "ratio"))
            lines.append(f"{name:50}{each:10,.0f}{speed:8.3f}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=5, help="processes each (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full size")
    parser.add_argument("--table", type=Path, help="where to write the tables")
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--chart", type=Path, help="where to draw what is reached, as SVG")
    parser.add_argument("--check", action="store_true", help="exit 1 if a figure is not reached")
    parser.add_argument("--worker", choices=BENCHMARKS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    cores = pin()
    if options.worker:
        print(json.dumps(BENCHMARKS[options.worker](options.scale)))
        return 0

    about = metadata()
    numbers = measure(options.names or list(BENCHMARKS), options.runs, options.scale)
    kind = "GIL" if about["gil"] else "free-threaded"
    head = f"Python {about['python_version']}, {kind}, cores {cores}, {options.runs} runs"
    table = "\n".join([head, *report(numbers)])
    print(table)
    if options.table:
        options.table.write_text(table + "\n")
    if options.json:
        results = {"metadata": about, "scale": options.scale, "numbers": numbers}
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if options.chart:
        options.chart.write_text(draw(numbers))
    reached = all(
        figure.holds(statistics.median(numbers[figure.benchmark][figure.number]))
        for figure in FIGURES
        if numbers.get(figure.benchmark, {}).get(figure.number)
    )
    return 1 if options.check and not reached else 0


if __name__ == "__main__":
    sys.exit(main())
