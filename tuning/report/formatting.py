"""How numbers are written, the same in every table, sentence and picture."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tuning.statistics.intervals import Rate

__all__ = [
    "MISSING",
    "count",
    "decades",
    "interval",
    "number",
    "percent",
    "plain",
    "rate",
    "rate_cell",
    "seconds",
    "short_percent",
    "tolerances",
]

MISSING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits; a dash for None and for what is not finite.

    Plain from 0.0001 to below 10,000 (0.000123, 1,230), else with an exponent (1.23e-7).
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if -4 <= exponent < 4:
        text = f"{float(f'{mantissa}e{power}'):,.{max(0, digits - 1 - exponent)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{exponent}"


def count(value: int) -> str:
    """A count, with separators: 12,345."""
    return f"{value:,}"


def percent(fraction: float | None) -> str:
    """A fraction as percent: 12.5 %. Not rounded to 0 or 100 unless it is."""
    return MISSING if fraction is None or not math.isfinite(fraction) else f"{_percent(fraction)} %"


def short_percent(fraction: float | None) -> str:
    """As `percent`, under a heading that says %."""
    return _percent(fraction)


def rate(value: Rate, descending: int = 0) -> str:
    """Estimate, interval and count: `12.5 % [6.5, 22.8] (8/64)`; or `not judged (52 of 64)`, and
    if as many as that were `descending`, `not judged (52 of 64 still descending)`; a dash where
    there was nothing to judge."""
    if _nothing(value):
        return MISSING
    if _not_judged(value):
        why = " still descending" if descending == value.undecided else ""
        return f"not judged ({count(value.undecided)} of {count(value.total)}{why})"
    sign = "" if value.estimate is None else " %"
    undecided = f", {value.undecided} not judged" if value.undecided else ""
    bounds = f"[{_percent(value.low)}, {_percent(value.high)}]"
    return f"{_percent(value.estimate)}{sign} {bounds} ({value.count}/{value.total}{undecided})"


def rate_cell(value: Rate, *, short: bool = False) -> str:
    """As `rate`, under a heading that says %: `12.5 [6.5, 22.8] (8/64, 3?)`; `short` has whole
    percents."""
    if _nothing(value):
        return MISSING
    if _not_judged(value):
        return f"not judged ({value.undecided}/{value.total})"
    digits = 0 if short else 1
    undecided = f", {value.undecided}?" if value.undecided else ""
    bounds = f"[{_percent(value.low, digits)}, {_percent(value.high, digits)}]"
    return f"{_percent(value.estimate, digits)} {bounds} ({value.count}/{value.total}{undecided})"


def tolerances(trapped_at: Mapping[str, Rate]) -> str:
    """How the trapped share depends on the tolerance, in words; empty where it does not."""
    shares = {
        part: "not judged" if of.estimate is None else percent(of.estimate)
        for part, of in trapped_at.items()
    }
    if len(set(shares.values())) < 2:
        return ""
    each = ", ".join(f"{share} at {part}" for part, share in shares.items())
    return f"by tolerance, in parts of the descent: {each}"


def _nothing(value: Rate) -> bool:
    return value.total == value.absent


def _not_judged(value: Rate) -> bool:
    return value.estimate is None and value.undecided > 0


def interval(low: float | None, high: float | None) -> str:
    """Ends that are not known are dashes: `[0.9, –]`."""
    return f"[{number(low)}, {number(high)}]"


def decades(value: float) -> str:
    """A ratio given by its log10, both ways: `0.52 decades (× 3.31)`."""
    return f"{number(value)} decades (× {number(10.0**value)})"


def seconds(value: float) -> str:
    """A duration: 0.42 s, 12.3 s, 5 min 3 s, 2 h 5 min; a dash where it is not known."""
    if not math.isfinite(value):
        return MISSING
    if value < 60:
        return f"{number(value)} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plain(text: object) -> str:
    """One line of printable text: a name must not move a terminal's cursor or colour what
    follows."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _percent(fraction: float | None, digits: int = 1) -> str:
    if fraction is None or not math.isfinite(fraction):
        return MISSING
    value, step = 100.0 * fraction, 10.0**-digits
    if 0.0 < value < step / 2:
        return f"<{step:g}"
    if 100.0 - step / 2 < value < 100.0:
        return f">{100.0 - step:g}"
    return f"{value:.{digits}f}"
