"""`forge home`: where the data lies, and moving it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json, say
from engine.contract.paths import Home, home_pointer, usual_home


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("home", parents=[common], help="where all data lies; move it to another folder")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    show = inner.add_parser("show", parents=[common], help="the folder, and what takes the room")
    show.set_defaults(work=look)
    move = inner.add_parser("move", parents=[common], help="move everything to an empty folder")
    move.add_argument("folder", metavar="FOLDER", type=Path)
    move.add_argument("--pause-runs", action="store_true", help="pause runs for the time of the move")
    move.add_argument("--network", action="store_true", help="move to a network drive all the same")
    move.set_defaults(work=go)
    forget = inner.add_parser("delete-old", parents=[common], help="delete the folder the data was moved from")
    forget.set_defaults(work=delete)


def look(options: argparse.Namespace) -> int:
    """The folder and its parts."""
    from engine.cli.session import controller
    from engine.client import move

    home = Home.find()
    with controller() as client:
        found = client.storage(again=True)
    old = move.left_homes(home, usual_home())
    if options.json:
        print_json({**found.model_dump(), "fixed_by": move.why_fixed(), "old": str(old) if old else None})
        return OK
    print(f"{found.home}  ({found.total / 1e9:.2f} GB, {found.free / 1e9:.1f} GB free)")
    for part, number in found.parts.items():
        print(f"  {part:13} {number / 1e6:10.1f} MB")
    if move.why_fixed():
        print("FORGE_HOME names it, so `forge home move` is not possible.")
    else:
        print(f"{home_pointer()} names it." if home_pointer().is_file() else "It is the usual folder.")
    if old:
        print(f"Moved from {old}, which is still there: `forge home delete-old`.")
    return OK


def go(options: argparse.Namespace) -> int:
    """Move, saying how far it is."""
    from engine.client import move

    said = ""

    def tell(progress: move.MoveProgress) -> None:
        nonlocal said
        share = f" {100 * progress.done // progress.total} %" if progress.total else ""
        text = f"{progress.step}{share}"
        if text != said and not options.json:
            said = text
            say(text)

    old = Home.find()
    new = move.move(old, options.folder, tell, options.pause_runs, options.network)
    if options.json:
        print_json({"home": str(new.root), "old": str(old.root)})
    else:
        print(f"The data is in {new.root} now. {old.root} is still there: `forge home delete-old` deletes it.")
    return OK


def delete(options: argparse.Namespace) -> int:
    """Delete what a move left."""
    from engine.client import move
    from engine.contract.errors import NotFound

    home = Home.find()
    old = move.left_homes(home, usual_home())
    if old is None:
        raise NotFound("home.no_old", home=str(home.root))
    move.delete_left(home, old)
    if options.json:
        print_json({"deleted": str(old)})
    else:
        print(f"Deleted {old}.")
    return OK
