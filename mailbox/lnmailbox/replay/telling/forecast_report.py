"""A forecast for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from lnmailbox.wire import ShortChannelID

from ..playing.outages import Absence
from .as_json import VERSION, warning_json
from .forecast import Forecast
from .tables import age, date, moment, paragraph, sat, table
from .windows import Loss, Risk

__all__ = ["forecast_json", "forecast_text"]

_EXPIRIES = 4  # in one table, so that it has no more than 80 columns

_WORDS = """\
Words: volume and fees are those of forwards that would have failed and that the log shows as \
settled. A row counts what leaves through its channel; without the peer, what came in through it \
would have been missed, too. The mean is over all windows tried, most of which may have cost \
nothing. The last line is the whole node: all its peers away at once.\
"""


def forecast_text(forecasts: Sequence[Forecast], *, top: int) -> str:
    """Return the report, of at most 80 columns.

    Args:
        forecasts: of the same log and length; if there are several, they differ in `expiry`.
        top: how many channels are listed, the worst ones; one line has the sum of the others.
    """
    first = forecasts[0]
    tables = _one(first, top) if len(forecasts) == 1 else _several(forecasts, top)
    sections = (paragraph(_headline(first)), tables, _notes(forecasts), paragraph(_WORDS))
    return "\n\n".join("\n".join(section) for section in sections)


def _headline(first: Forecast) -> str:
    what = "'s peer had been gone" if first.kind is Absence.DOWN else " had hung"
    return (
        f"What if a channel{what} for {age(first.length_ns)}? Between {moment(first.start_ns)} and"
        f" {moment(first.start_ns + first.end_ns)} UTC, {first.windows:,} windows were tried in"
        f" replays; one began every {age(first.length_ns // first.steps)}."
    )


def _notes(forecasts: Sequence[Forecast]) -> Iterator[str]:
    first = forecasts[0]
    if first.adds_left_out:
        yield f"Left out: {first.adds_left_out:,} Adds of the log; the warnings say why."
    if all(forecast.holds for forecast in forecasts):
        yield "The accounts of all replays hold."
    else:
        yield "THE ACCOUNTING DOES NOT HOLD."
        yield "This is an error of lnmailbox, not of the node: please report it."


# One expiry


def _one(forecast: Forecast, top: int) -> Iterator[str]:
    rows = [["channel", "mean fees", "worst fees", "with volume", "began at (UTC)"]]
    ranked = _ranked(forecast)
    for channel, risk in ranked[:top]:
        rows.append([str(channel), *_row(forecast, risk)])
    if rest := [risk for _, risk in ranked[top:]]:
        *cells, _ = _row(forecast, rest[0])
        rows.append([f"{len(rest):,} others", _mean(forecast, *rest), *cells[1:], "at the worst"])
    rows.append(["whole node", *_row(forecast, forecast.node)])
    return table(rows, left=1)


def _ranked(forecast: Forecast) -> list[tuple[ShortChannelID, Risk]]:
    """The channels, those with the worst windows first."""

    def loss(item: tuple[ShortChannelID, Risk]) -> tuple[Loss, Loss]:
        return item[1].worst, item[1].total

    return sorted(forecast.channels.items(), key=loss, reverse=True)


def _row(forecast: Forecast, risk: Risk) -> list[str]:
    start_ns = risk.worst_start_ns
    return [
        _mean(forecast, risk),
        _worst(forecast, risk),
        sat(risk.worst.volume_msat),
        "" if start_ns is None else moment(forecast.start_ns + start_ns),
    ]


def _mean(forecast: Forecast, *risks: Risk) -> str:
    return sat(round(sum(risk.total.fees_msat for risk in risks) / forecast.windows))


def _worst(_: Forecast, *risks: Risk) -> str:
    return sat(max(risk.worst.fees_msat for risk in risks))


# Several


def _several(forecasts: Sequence[Forecast], top: int) -> Iterator[str]:
    yield "Fees lost in the worst window, by expiry:"
    yield from _by_expiry(forecasts, top, _worst)
    yield ""
    yield "and in the mean of all windows:"
    yield from _by_expiry(forecasts, top, _mean)


def _by_expiry(forecasts: Sequence[Forecast], top: int, cell: Callable[..., str]) -> Iterator[str]:
    names = [channel for channel, _ in _ranked(forecasts[0])]
    for number in range(0, len(forecasts), _EXPIRIES):
        some = forecasts[number : number + _EXPIRIES]
        rows = [["channel", *(f"{forecast.expiry:g} s" for forecast in some)]]
        rows += [[str(name), *(cell(f, f.channels[name]) for f in some)] for name in names[:top]]
        if rest := names[top:]:
            sums = [cell(f, *(f.channels[name] for name in rest)) for f in some]
            rows.append([f"{len(rest):,} others", *sums])
        rows.append(["whole node", *(cell(f, f.node) for f in some)])
        yield from table(rows, left=1)


# For programs


def forecast_json(forecasts: Sequence[Forecast]) -> str:
    """Return all of it as one JSON object; amounts are msat, times Unix time in ns."""
    first = forecasts[0]
    start_ns, end_ns = first.start_ns, first.start_ns + first.end_ns
    report = {
        "version": VERSION,
        "holds": all(forecast.holds for forecast in forecasts),
        "adds_left_out": first.adds_left_out,
        "log": {
            "start_ns": start_ns,
            "start": date(start_ns).isoformat(),
            "end_ns": end_ns,
            "end": date(end_ns).isoformat(),
        },
        "kind": first.kind.value,
        "length_ns": first.length_ns,
        "shift_ns": first.length_ns // first.steps,
        "windows": first.windows,
        "forecasts": [
            {
                "expiry_s": forecast.expiry,
                "node": _risk(forecast, forecast.node),
                "channels": {
                    str(channel): _risk(forecast, risk)
                    for channel, risk in forecast.channels.items()
                },
            }
            for forecast in forecasts
        ],
        "warnings": [warning_json(warning) for warning in first.warnings],
    }
    return json.dumps(report, indent=2)


def _risk(forecast: Forecast, risk: Risk) -> dict[str, Any]:
    mean = {
        "fees_msat": risk.total.fees_msat / forecast.windows,
        "volume_msat": risk.total.volume_msat / forecast.windows,
        "forwards": risk.total.forwards / forecast.windows,
    }
    worst: dict[str, Any] | None = None
    if risk.worst_start_ns is not None:
        start_ns = forecast.start_ns + risk.worst_start_ns
        worst = {
            "start_ns": start_ns,
            "start": date(start_ns).isoformat(),
            **attrs.asdict(risk.worst),
        }
    return {"mean": mean, "worst": worst}
