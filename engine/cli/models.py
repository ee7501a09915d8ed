"""`forge models`: models from hubs that lie in the cache, what they take on the disk, and removing them."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import moment, print_json, table

SOURCES = ("huggingface", "modelscope", "url")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser("models", parents=[common], help="models from hubs that are on this computer")
    command.set_defaults(work=show)
    verbs = command.add_subparsers(metavar="WHAT")
    listing = verbs.add_parser("list", parents=[common], help="what is there")
    listing.set_defaults(work=show)
    removal = verbs.add_parser("remove", parents=[common], help="remove a model from the cache")
    removal.add_argument("path", metavar="MODEL", help="its id on the hub, or its address")
    removal.add_argument("--hub", choices=SOURCES, default="huggingface")
    removal.add_argument("--commit", help="only this commit, or the beginning of one")
    removal.set_defaults(work=remove)


def show(options: argparse.Namespace) -> int:
    """What is there."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.cached_models()
    if options.json:
        print_json(found)
        return OK
    rows = [
        (
            one.path, one.hub, one.commit[:12], ", ".join(one.revisions), size(one.bytes),
            moment(one.fetched) if one.whole else "not finished",
        )
        for one in found.models
    ]  # fmt: skip
    if rows:
        print(table(("MODEL", "HUB", "COMMIT", "REVISION", "SIZE", "FETCHED"), rows))
    print(f"{len(rows)} in the cache, {size(found.bytes)}; {size(found.free)} free")
    return OK


def remove(options: argparse.Namespace) -> int:
    """Remove one."""
    from engine.cli.session import controller

    with controller() as client:
        gone = client.remove_model(options.hub, options.path, options.commit)
    if options.json:
        print_json(gone)
        return OK
    for one in gone.models:
        print(f"{one.path} {one.commit[:12]}: removed, {size(one.bytes)} free again")
    return OK


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.4g} TB"
