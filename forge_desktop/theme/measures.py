"""How times, sizes and rates are written for people."""

from __future__ import annotations

import math
import time

from forge_desktop.theme.language import tr


def duration(seconds: float | None) -> str:
    """`2 h 45 min`, `3 min 20 s`, `12 s`; a dash for nothing."""
    if seconds is None or not math.isfinite(seconds):
        return "—"
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours >= 48:
        return tr("{days} d {hours} h", days=hours // 24, hours=hours % 24)
    if hours:
        return tr("{hours} h {minutes} min", hours=hours, minutes=minutes)
    if minutes >= 10:
        return tr("{minutes} min", minutes=minutes)
    if minutes:
        return tr("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
    return tr("{seconds} s", seconds=rest)


def ago(then: float | None, now: float | None = None) -> str:
    """`just now`, `2 min ago`, `3 d ago`."""
    if then is None:
        return "—"
    passed = max(0.0, (time.time() if now is None else now) - then)
    if passed < 45:
        return tr("just now")
    if passed < 3600:
        return tr("{minutes} min ago", minutes=max(1, round(passed / 60)))
    if passed < 86400:
        return tr("{hours} h ago", hours=round(passed / 3600))
    return tr("{days} d ago", days=round(passed / 86400))


def moment(then: float | None) -> str:
    """Exact local time."""
    return "—" if then is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then))


def size(number: float | None) -> str:
    """Bytes in kB, MB, GB (powers of 1000)."""
    if number is None:
        return "—"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} B"


def figure(number: float | None) -> str:
    """A number of any magnitude in about four figures."""
    if number is None:
        return "—"
    if not math.isfinite(number):
        return str(number)
    if number == 0:
        return "0"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    if abs(number) < 0.001:
        return f"{number:.2e}"
    return f"{number:.3f}" if abs(number) < 100 else f"{number:.1f}"


def count_of(number: float | None) -> str:
    """`4.5 M`, `7.6 B`, `3,000`."""
    if number is None:
        return "—"
    for unit, factor in (("B", 1e9), ("M", 1e6)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:,.0f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of one as per cent."""
    return "—" if share is None else f"{100 * share:.{digits}f}%"


def energy(watt_hours: float) -> str:
    """`240 Wh`, `1.2 kWh`."""
    return f"{figure(watt_hours)} Wh" if watt_hours < 1000 else f"{figure(watt_hours / 1000)} kWh"


def money(amount: float | None, currency: str) -> str:
    """`$9.42`, `¥12.00`, `CHF 3.10`; a dash for nothing."""
    if amount is None or not math.isfinite(amount):
        return "—"
    sign = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥"}.get(currency, f"{currency} ")
    if 0 < amount < 0.01:
        return f"< {sign}0.01"
    return f"{sign}{amount:,.0f}" if currency == "JPY" else f"{sign}{amount:,.2f}"
