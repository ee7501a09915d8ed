"""`forge push`: put a run's result on a hub, or go on with a push that broke off."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK, USAGE
from engine.cli.output import print_json, say
from engine.cli.session import add_run_argument


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("push", parents=[common], help="put a run's result on a hub, private unless said")
    add_run_argument(command)
    command.add_argument("--to", metavar="HUB:OWNER/NAME", help="huggingface or modelscope, and the name there; else "
                         "as the run's config says")  # fmt: skip
    command.add_argument("--public", action="store_true", help="let everybody see it")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Ask, wait, say where it is."""
    from engine.cli.session import controller, find_run
    from engine.contract.push import PushAsked

    hub, colon, repo = (options.to or "").partition(":")
    if options.to and not colon:
        say("Say it as HUB:OWNER/NAME, for example huggingface:me/my-adapter.")
        return USAGE
    asked = PushAsked(hub=hub, repo=repo, private=False if options.public else None)
    with controller() as client:
        found = client.push(find_run(client, options.run).uid, asked)
    if options.json:
        print_json(found)
    else:
        print(f"{found.url}  {found.commit[:12]}".rstrip())
    return OK
