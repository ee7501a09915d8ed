"""Where an axis has its ticks and what they say: plain numbers, decades, durations, moments."""

from __future__ import annotations

import math
import time

import numpy as np

Tick = tuple[float, str]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
TIME_STEPS = (
    *(0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30),
    *(part * MINUTE for part in (1, 2, 5, 10, 15, 30)),
    *(part * HOUR for part in (1, 2, 3, 6, 12)),
    *(part * DAY for part in (1, 2, 5, 10, 20, 50, 100)),
)
SMALL, LARGE = 1e-3, 1e6
MOST_TICKS = 50


def plain_ticks(low: float, high: float, count: int) -> list[Tick]:
    """About `count` round numbers."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    step = _round_step(span / max(1, count))
    values = _multiples(low, high, step)
    return [(value, _number(value, step)) for value in values]


def log_ticks(low: float, high: float, count: int) -> list[Tick]:
    """Powers of ten between two exponents, with 2 and 5 where there are few; plain numbers within one decade."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    if span < 1:
        return [(math.log10(v), text) for v, text in plain_ticks(10**low, 10**high, count) if v > 0]
    parts = (1, 2, 5) if span * 3 <= 2 * count else (1,)
    every = max(1, math.ceil(span / max(1, count)))
    made = []
    for power in range(math.floor(low), math.ceil(high) + 1):
        for part in parts:
            place = power + math.log10(part)
            if low <= place <= high and power % every == 0:
                made.append((place, _power(part, power)))
    return made


def span_ticks(low: float, high: float, count: int) -> list[Tick]:
    """Durations in seconds: `40 s`, `5:00`, `1:30 h`."""
    step = _time_step((high - low) / max(1, count))
    return [(value, span_text(value, step)) for value in _multiples(low, high, step)]


def moment_ticks(low: float, high: float, count: int) -> list[Tick]:
    """Moments of local time; the day where the step is a day."""
    step = _time_step((high - low) / max(1, count))
    shift = float(time.localtime(low).tm_gmtoff or 0)
    form = "%m-%d" if step >= DAY else "%H:%M" if step >= MINUTE else "%H:%M:%S"
    return [
        (value - shift, time.strftime(form, time.localtime(value - shift)))
        for value in _multiples(low + shift, high + shift, step)
    ]


def span_text(seconds: float, step: float = 1.0) -> str:
    """A duration as figures: `0.5 s`, `42 s`, `5:07`, `2:05:00`, `3 d 4 h`."""
    sign, size = ("−" if seconds < 0 else ""), abs(seconds)
    if step < 1:
        return f"{sign}{size:.3f}".rstrip("0").rstrip(".") + " s"
    whole = round(size)
    if whole < MINUTE:
        return f"{sign}{whole} s"
    if step >= DAY or whole >= 4 * DAY:
        days, hours = divmod(round(whole / HOUR), 24)
        return f"{sign}{days} d" + (f" {hours} h" if hours else "")
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02d}:{rest:02d}" if hours else f"{sign}{minutes}:{rest:02d}"


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= rough * (1 - 1e-9))


def _time_step(rough: float) -> float:
    return next((float(step) for step in TIME_STEPS if step >= rough), float(TIME_STEPS[-1]))


def _multiples(low: float, high: float, step: float) -> list[float]:
    if not (math.isfinite(high - low) and high > low) or (high - low) / step > MOST_TICKS:
        return []
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(value) for value in np.arange(first, last + 1) * step]


def _number(value: float, step: float) -> str:
    if abs(value) < step / 1e6:
        return "0"
    if abs(value) >= LARGE:
        for unit, factor in (("B", 1e9), ("M", 1e6)):
            if abs(value) >= factor:
                digits = max(0, -math.floor(math.log10(step / factor) + 1e-9))
                return f"{value / factor:.{min(digits, 4)}f} {unit}"
    if step < SMALL / 10:
        digits = max(0, math.floor(math.log10(abs(value))) - math.floor(math.log10(step) + 1e-9))
        figures, _, power = f"{value:.{min(digits, 6)}e}".partition("e")
        return f"{figures.rstrip('0').rstrip('.')}e{int(power)}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if f"{step:e}".startswith("2.5") and step < 10 else 0)
    return f"{value:,.{digits}f}"


def _power(part: int, power: int) -> str:
    if -4 < power < 6:
        return f"{part * 10.0**power:,.{max(0, -power)}f}"
    return f"{part}e{power}"
