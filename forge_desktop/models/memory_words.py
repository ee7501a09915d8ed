"""A forecast of memory in words: the sum, its parts, whether it fits, and what it is taken from."""

from __future__ import annotations

from engine.contract.forecast import MemoryForecast
from forge_desktop.theme.language import count, sentences, tr
from forge_desktop.theme.measures import percent, size


def amount(number: float | None) -> str:
    """Bytes, for people."""
    return size(number)


def sum_text(found: MemoryForecast) -> str:
    """`≈ 16.7 GB`."""
    return f"≈ {size(found.total)}"


def of_text(found: MemoryForecast) -> str:
    """`of 24.0 GB · 70%`; empty where the device's memory is not known."""
    if not found.capacity:
        return ""
    return f"{tr('of {size}', size=size(found.capacity))} · {percent(found.total / found.capacity)}"


def fit_chip(found: MemoryForecast) -> tuple[str, str, str]:
    """Text, tone and icon."""
    return {
        "fits": (tr("Fits"), "ok", "check"),
        "tight": (tr("Just fits"), "warn", "triangle-alert"),
        "busy": (tr("Not free now"), "warn", "triangle-alert"),
        "too_large": (tr("Does not fit"), "bad", "x"),
        "unknown": ("", "plain", ""),
    }[found.fit]


def part_name(part: str, device: str) -> str:
    """What a part is called."""
    names = {
        "weights": tr("Base weights"),
        "adapter": tr("Adapter"),
        "gradients": tr("Gradients"),
        "optimiser": tr("Optimiser"),
        "activations": tr("Activations"),
        "logits": tr("Logits and loss"),
        "overhead": tr("CUDA and fragments") if device == "cuda" else tr("Program and allocator"),
    }
    return names.get(part, part)


def basis_text(found: MemoryForecast) -> str:
    """What it is reckoned for and how far such forecasts were off; nothing is claimed where there are no runs."""
    rows = count(found.rows, "1 row at once", "{n} rows at once")
    tokens = f"{found.width:,}"
    width = {
        "limit": tr("For {rows}, of up to {width} tokens: as long as rows may be.", rows=rows, width=tokens),
        "rows": tr("For {rows}, of up to {width} tokens, as the measured ones.", rows=rows, width=tokens),
        "runs": tr("For {rows}, of up to {width} tokens, as in earlier runs.", rows=rows, width=tokens),
    }[found.width_from]
    place = "" if found.device == "cuda" else tr("On a processor it is the whole worker.")
    return sentences(width, place, error_text(found), advice(found))


def error_text(found: MemoryForecast) -> str:
    """`± 6% over your last 20 runs.`"""
    if found.error is None:
        return tr("No run has shown yet how far such forecasts are off.")
    share = percent(found.error)
    if found.runs == 1:
        return tr("± {share} in your last run.", share=share)
    return tr("± {share} over your last {n} runs.", share=share, n=found.runs)


def advice(found: MemoryForecast) -> str:
    """What helps where it does not fit."""
    if found.fit not in ("too_large", "busy"):
        return ""
    if found.fit == "busy":
        return tr("Only {free} are free there now.", free=size(found.free))
    return tr("A smaller micro batch, gradient checkpointing or shorter rows take less.")


def warning(found: MemoryForecast) -> str:
    """For the list of checks; empty where it fits."""
    if found.fit == "too_large":
        return tr("It needs about {need} of memory, and the device has {size}.", need=size(found.total),
                  size=size(found.capacity))  # fmt: skip
    if found.fit == "busy":
        return tr("It needs about {need} of memory, and {free} are free there now.", need=size(found.total),
                  free=size(found.free))  # fmt: skip
    return ""


def line(found: MemoryForecast) -> str:
    """`≈ 1.2 GB of 24.0 GB`."""
    if not found.capacity:
        return sum_text(found)
    return tr("{sum} of {size}", sum=sum_text(found), size=size(found.capacity))


def spoken(found: MemoryForecast) -> str:
    """The bar for who cannot see it."""
    parts = ", ".join(f"{part_name(part, found.device)} {size(number)}" for part, number in found.parts.items())
    return f"{sum_text(found)}: {parts}"
