"""`forge move`: take a live run to another node, and watch it go; without a run, the moves there are."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import number, print_json, say, table
from engine.contract.nodes import MoveView

LOOK_S = 0.25
HEAD = ("MOVE", "RUN", "FROM", "TO", "STATE", "STEP", "COPIED", "STOOD STILL")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("move", parents=[common], help="take a live run to another node; it loses nothing")
    command.add_argument("run", metavar="RUN", nargs="?", help="id or name; without one, all moves are listed")
    command.add_argument("node", metavar="NODE", nargs="?", default="", help="without one, the scheduler's choice")
    command.add_argument("--cancel", action="store_true", help="give the move of this run up: it goes on where it was")
    command.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Move, cancel or list."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        if options.run is None:
            return _listed(options, client.moves())
        uid = find_run(client, options.run).uid
        if options.cancel:
            return _cancelled(options, client, uid)
        move = client.move_run(uid, options.node)
        if not options.no_wait:
            move = _follow(client, move, quiet=options.json)
    if options.json:
        print_json(move)
    elif options.no_wait:
        print(f"{move.name} is being moved from {move.source} to {move.target}")
    else:
        print(_end(move))
    return OK if move.state in ("running", "done") else FAILED


def _cancelled(options: argparse.Namespace, client: Any, uid: str) -> int:
    running = [move for move in client.moves() if move.run == uid and move.state == "running"]
    found = [client.cancel_move(move.uid) for move in running]
    if options.json:
        print_json([move.model_dump(mode="json") for move in found])
    else:
        print("cancelled; the run goes on where it was" if found else "it is not being moved")
    return OK if found else FAILED


def _listed(options: argparse.Namespace, moves: list[MoveView]) -> int:
    if options.json:
        print_json([move.model_dump(mode="json") for move in moves])
        return OK
    rows = [
        (
            *(move.uid, move.name, move.source, move.target, move.state, move.step, f"{_part(move)} %"),
            "–" if move.downtime is None else f"{number(move.downtime)} s",
        )
        for move in moves
    ]
    print(table(HEAD, rows))
    return OK


def _follow(client: Any, move: MoveView, quiet: bool) -> MoveView:
    """Say each step once, until it is over."""
    said = ""
    while move.state == "running":
        if not quiet and move.step != said and sys.stderr.isatty():
            said = move.step
            say(f"{move.name}: {move.step}")
        time.sleep(LOOK_S)
        move = next((one for one in client.moves() if one.uid == move.uid), move)
    return move


def _end(move: MoveView) -> str:
    if move.state == "done":
        stood = "" if move.downtime is None else f"; it stood still for {number(move.downtime)} s"
        return f"{move.name} works on {move.target} now{stood}"
    why = " ".join(filter(None, (move.error.what, move.error.why, move.error.fix))) if move.error else ""
    return f"{move.name} was not moved, it goes on at {move.source}. {why}".rstrip()


def _part(move: MoveView) -> int:
    return round(100 * move.bytes / move.bytes_total) if move.bytes_total else 0
