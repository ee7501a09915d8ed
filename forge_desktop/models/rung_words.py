"""What can be lowered when memory runs out, in words."""

from __future__ import annotations

from engine.contract.ladder import Rung
from forge_desktop.theme.language import sentences, tr
from forge_desktop.theme.measures import percent, size


def name_of(rung: Rung) -> str:
    """What it does."""
    value = next(iter(rung.changes.values()), "")
    return {
        "parts": tr("A micro batch in {n} parts", n=value),
        "checkpointing": tr("Gradient checkpointing"),
        "8bit": tr("The optimiser's state in 8 bits"),
        "length": tr("Rows of at most {n} tokens", n=value),
        "4bit": tr("Base weights in 4 bits"),
    }[rung.name]


def facts_of(rung: Rung) -> str:
    """What it saves, and what it costs."""
    saved = "" if rung.saved is None else tr("Saves about {size}.", size=size(rung.saved))
    return sentences(saved, _pace(rung))


def chip_of(rung: Rung) -> tuple[str, str, str]:
    """Whether the mathematics stays the same: text, tone, icon."""
    if rung.same:
        return tr("Same mathematics"), "ok", "check"
    return tr("Learns something else"), "warn", "triangle-alert"


def _pace(rung: Rung) -> str:
    if rung.slower > 1:
        return tr("A step takes about {share} longer.", share=percent(rung.slower - 1))
    return tr("A step takes less time.")
