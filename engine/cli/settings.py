"""`forge settings`: look at the controller's settings and change them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.contract.api import Settings
from engine.contract.errors import Problem, Refused
from engine.contract.hubs import HUBS, USUAL

T = TypeVar("T")
LANES = ("gpu", "cpu", "light")
PLAIN = (
    "idle_minutes", "stop_grace_seconds", "retry_seconds", "log_level", "log_json", "spare_workers",
    "spare_memory_gb", "currency", "proxy", "no_proxy", "offline", "worker_image", "budget_days",
    "artifact_place", "artifact_endpoint", "artifact_region", "artifact_minutes",
)  # fmt: skip


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("settings", parents=[common], help="look at the controller's settings, change them")
    command.add_argument(
        "--slots", nargs="+", metavar="LANE=N", help="how many runs go at once in a lane: gpu, cpu, light"
    )
    command.add_argument("--worker-python", metavar="PATH", help="interpreter of local workers; 'auto' finds one")
    command.add_argument("--idle-minutes", type=float, help="how long a controller with nothing to do stays")
    command.add_argument("--stop-grace-seconds", type=float, help="how long a worker may take to save and stop")
    command.add_argument("--retry-seconds", type=float, help="wait before the first automatic retry of a run")
    command.add_argument("--keep-days", help="how long working files of ended runs stay; 'forever' keeps them")
    command.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="how much is logged")
    command.add_argument("--log-json", action=argparse.BooleanOptionalAction, help="log one JSON object a line")
    command.add_argument("--spare-workers", type=int, help="workers kept ready so that runs begin at once; 0: none")
    command.add_argument("--spare-memory-gb", type=float, help="spares are given up while less memory is available")
    command.add_argument("--prices", nargs="+", metavar="LANE=PRICE", help="price of an hour of a slot; gpu=none: none")
    command.add_argument("--currency", help="of the prices, as ISO 4217 writes it: EUR")
    command.add_argument("--worker-image", metavar="IMAGE", help="image of workers in containers; '' for the usual one")
    command.add_argument("--owner-limit", metavar="N", help="most runs of one person at once; 'none': no limit")
    command.add_argument("--budget", metavar="AMOUNT", help="what may be spent in --budget-days; 'none': not watched")
    command.add_argument("--budget-days", type=int, help="the days the budget is for")
    command.add_argument(
        "--artifact-place", metavar="PLACE",
        help="where checkpoints and results lie a second time: a folder, s3://bucket/prefix, or '' for nowhere; "
        "keys: `forge secret set artifacts`",
    )  # fmt: skip
    command.add_argument("--artifact-endpoint", metavar="URL", help="address of the S3 service; '' for Amazon's")
    command.add_argument("--artifact-region", metavar="REGION", help="of the bucket")
    command.add_argument(
        "--artifact-minutes", type=float, help="checkpoints of a run at work go there so many minutes apart at least"
    )
    command.add_argument("--proxy", metavar="URL", help="http://host:port that hubs are reached through; '' for none")
    command.add_argument("--no-proxy", metavar="HOSTS", help="hosts reached directly, with commas between")
    command.add_argument(
        "--endpoint", nargs="+", metavar="HUB=URL", help="where a hub is asked; 'HUB=' for its own address"
    )
    command.add_argument("--offline", action=argparse.BooleanOptionalAction, help="never ask a hub")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Change what was named, then show all."""
    from engine.cli.session import controller

    with controller() as client:
        wanted: dict[str, Any] = {}
        if options.slots:
            wanted["slots"] = (client.settings().slots or {}) | read_slots(options.slots)
        if options.worker_python:
            wanted["worker_python"] = None if options.worker_python == "auto" else options.worker_python
        if options.prices:
            wanted["prices"] = read_prices(options.prices, client.settings().prices)
        for name in PLAIN:
            if getattr(options, name) is not None:
                wanted[name] = getattr(options, name)
        for name in ("owner_limit", "budget"):
            given = getattr(options, name)
            if given is not None:
                wanted[name] = None if given == "none" else given
        if options.endpoint:
            wanted["endpoints"] = read_endpoints(options.endpoint, client.settings().endpoints)
        if options.keep_days is not None:
            wanted["keep_days"] = read_days(options.keep_days)
        settings = client.change_settings(checked(wanted)) if wanted else client.settings()
        slots = client.resources().slots
    if options.json:
        print_json(settings)
        return OK
    print("Slots: " + ", ".join(f"{lane} {count}" for lane, count in slots.items()))
    print(f"Workers run with: {settings.worker_python or 'an interpreter found by itself'}")
    kept = "for ever" if settings.keep_days is None else f"{settings.keep_days:g} days"
    print(f"Working files of ended runs stay {kept}; first retry after {settings.retry_seconds:g} s")
    prices = ", ".join(f"{lane} {price:g}" for lane, price in settings.prices.items())
    print(f"Prices of an hour: {f'{prices} {settings.currency}' if prices else 'none'}")
    limit = "no limit" if settings.owner_limit is None else f"{settings.owner_limit} at once"
    spend = (
        "none" if settings.budget is None else f"{settings.budget:g} {settings.currency} in {settings.budget_days} days"
    )
    print(f"Runs of one person: {limit}; budget: {spend}")
    print(f"Log level: {settings.log_level}{' as JSON' if settings.log_json else ''}")
    print(f"Spare workers: {settings.spare_workers}, while {settings.spare_memory_gb:g} GB are available")
    print(f"Idle time: {settings.idle_minutes:g} min; grace when stopping: {settings.stop_grace_seconds:g} s")
    print(f"Checkpoints and results also lie at: {settings.artifact_place or 'no second place'}")
    print(f"Hubs: {describe_hubs(settings)}")
    return OK


def checked(wanted: dict[str, Any]) -> Settings:
    """The settings that are wanted; Refused with every one that is not possible."""
    from pydantic import ValidationError

    try:
        return Settings(**wanted)
    except ValidationError as error:
        problems = [
            Problem(code="request.field", field=".".join(map(str, one["loc"])), params={"detail": one["msg"]})
            for one in error.errors()
        ]
        raise Refused("request.refused", problems=problems) from None


def describe_hubs(settings: Settings) -> str:
    """How hubs are reached, in one line."""
    if settings.offline:
        return "never asked; only what is here is used"
    parts = [f"{hub} at {settings.endpoints.get(hub, USUAL[hub])}" for hub in HUBS]
    if settings.proxy:
        around = f", but not {settings.no_proxy}" if settings.no_proxy else ""
        parts.append(f"through {settings.proxy}{around}")
    return "; ".join(parts)


def read_endpoints(words: list[str], known: dict[str, str]) -> dict[str, str]:
    """`huggingface=https://mirror` as addresses by hub; an empty address gives the hub its own again."""
    return _changed(words, known, HUBS, lambda url: url or None, ("settings.endpoint_form", "hubs"))


def read_prices(words: list[str], known: dict[str, float]) -> dict[str, float]:
    """`gpu=2.50 cpu=none` as prices by lane, beside those that are known."""
    return _changed(
        words, known, LANES, lambda price: None if price == "none" else float(price), ("settings.price_form", "lanes")
    )


def _changed(
    words: list[str],
    known: dict[str, T],
    names: Collection[str],
    read: Callable[[str], T | None],
    refusal: tuple[str, str],
) -> dict[str, T]:
    """`name=value` put over what is known; None takes a name away. The refusal: its code, its word for names."""
    found = dict(known)
    for word in words:
        name, equals, text = word.partition("=")
        try:
            if name not in names or not equals:
                raise ValueError(word)
            value = read(text)
        except ValueError:
            code, called = refusal
            params: dict[str, Any] = {"word": word, called: ", ".join(names)}
            raise Refused(code, **params) from None
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found


def read_days(word: str) -> float | None:
    """A number of days, or None for `forever`."""
    if word == "forever":
        return None
    try:
        days = float(word)
        if not 0 <= days <= 1_000_000:
            raise ValueError(word)
        return days
    except ValueError:
        raise Refused("settings.days_form", word=word) from None


def read_slots(words: list[str]) -> dict[str, int]:
    """`gpu=2 cpu=4` as numbers by lane."""
    slots = {}
    for word in words:
        lane, _, count = word.partition("=")
        if lane not in LANES or not count.isdecimal():
            raise Refused("settings.slot_form", word=word, lanes=", ".join(LANES))
        slots[lane] = int(count)
    return slots
