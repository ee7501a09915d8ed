"""`forge logs`: what a run's worker printed."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.cli.session import add_run_argument

LOOK_S = 0.3
PIECE = 1 << 20


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("logs", parents=[common], help="what a run's worker printed")
    add_run_argument(command)
    command.add_argument("--follow", action="store_true", help="go on until the run has ended")
    command.add_argument("--attempt", type=int, help="without it, the latest")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Print the log, and what is added to it."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        uid = find_run(client, options.run).uid
        pieces, offset = [], 0
        while True:
            ended = client.run(uid).run.state.ended if options.follow else True
            while (piece := client.log(uid, options.attempt, offset, PIECE)).data:
                offset += len(piece.data)
                pieces.append(piece.data) if options.json else _print(piece.data)
            if ended:
                break
            time.sleep(LOOK_S)
    if options.json:
        print_json({"run": uid, "size": offset, "text": b"".join(pieces).decode(errors="replace")})
    return OK


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
