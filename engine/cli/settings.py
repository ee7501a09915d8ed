"""`forge settings`: look at the controller's settings and change them."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.contract.errors import Refused

LANES = ("gpu", "cpu", "light")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("settings", parents=[common], help="look at the controller's settings, change them")
    command.add_argument(
        "--slots", nargs="+", metavar="LANE=N", help="how many runs go at once in a lane: gpu, cpu, light"
    )
    command.add_argument("--worker-python", metavar="PATH", help="interpreter of local workers; 'auto' finds one")
    command.add_argument("--idle-minutes", type=float, help="how long a controller with nothing to do stays")
    command.add_argument("--keep-days", metavar="DAYS", help="how long files of ended runs stay; 'ever' keeps them")
    command.add_argument("--retry-seconds", type=float, help="wait before the first automatic retry")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Change what was named, then show all."""
    from engine.cli.session import controller
    from engine.contract.api import Settings

    with controller() as client:
        wanted: dict[str, Any] = {}
        if options.slots:
            wanted["slots"] = (client.settings().slots or {}) | read_slots(options.slots)
        if options.worker_python:
            wanted["worker_python"] = None if options.worker_python == "auto" else options.worker_python
        if options.idle_minutes is not None:
            wanted["idle_minutes"] = options.idle_minutes
        if options.keep_days is not None:
            wanted["keep_days"] = None if options.keep_days == "ever" else read_days(options.keep_days)
        if options.retry_seconds is not None:
            wanted["retry_seconds"] = options.retry_seconds
        settings = client.change_settings(Settings(**wanted)) if wanted else client.settings()
        slots = client.resources().slots
    if options.json:
        print_json(settings)
        return OK
    print("Slots: " + ", ".join(f"{lane} {count}" for lane, count in slots.items()))
    print(f"Workers run with: {settings.worker_python or 'an interpreter found by itself'}")
    print(f"Idle time: {settings.idle_minutes:g} min; grace when stopping: {settings.stop_grace_seconds:g} s")
    keep = "for ever" if settings.keep_days is None else f"{settings.keep_days:g} days"
    print(f"Files of ended runs stay {keep}; first retry after {settings.retry_seconds:g} s")
    return OK


def read_days(word: str) -> float:
    """A number of days."""
    try:
        days = float(word)
        if not 0 <= days <= 1_000_000:
            raise ValueError(word)
    except ValueError:
        raise Refused("request.invalid", detail=f"'{word}' is no number of days.") from None
    return days


def read_slots(words: list[str]) -> dict[str, int]:
    """`gpu=2 cpu=4` as numbers by lane."""
    slots = {}
    for word in words:
        lane, _, count = word.partition("=")
        if lane not in LANES or not count.isdecimal():
            raise Refused("settings.slot_form", word=word, lanes=", ".join(LANES))
        slots[lane] = int(count)
    return slots
