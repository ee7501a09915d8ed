"""`forge checkpoint`, `sample` and `log-every`: ask something of a run that is training, without disturbing it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from engine.cli.actions import change
from engine.cli.exits import OK
from engine.cli.output import print_json, say
from engine.cli.session import add_run_argument
from engine.contract.api import SampleInfo

LOOK_S = 0.25
PATIENCE_S = 120.0


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    save = commands.add_parser("checkpoint", parents=[common], help="save a checkpoint at the next step")
    add_run_argument(save)
    save.set_defaults(work=checkpoint)
    ask = commands.add_parser("sample", parents=[common], help="ask the model that is being trained")
    add_run_argument(ask)
    ask.add_argument("prompts", nargs="+", metavar="PROMPT")
    ask.add_argument("--max-new-tokens", type=int, default=64)
    ask.add_argument("--no-wait", action="store_true", help="do not wait for the answers")
    ask.set_defaults(work=sample)
    often = commands.add_parser("log-every", parents=[common], help="another interval between points of the curve")
    add_run_argument(often)
    often.add_argument("steps", type=int, metavar="STEPS")
    often.set_defaults(work=log_every)


def checkpoint(options: argparse.Namespace) -> int:
    """Ask for it."""
    return change(options, "checkpoint", asked="a checkpoint comes at the next step")


def log_every(options: argparse.Namespace) -> int:
    """Ask for it."""
    asked = f"a point of the curve every {options.steps} steps from the next one on"
    return change(options, "log_every", asked=asked, steps=options.steps)


def sample(options: argparse.Namespace) -> int:
    """Ask, and print the answers as they come."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        uid = find_run(client, options.run).uid
        known = len(_answers(client, uid))
        run = client.sample(uid, options.prompts, options.max_new_tokens)
        if options.no_wait:
            print_json(run) if options.json else print(f"{run.uid}  {run.name}: asked")
            return OK
        deadline = time.monotonic() + PATIENCE_S
        while len(answers := _answers(client, uid)[known:]) < len(options.prompts) and time.monotonic() < deadline:
            if not client.run(uid).run.state.live:
                break
            time.sleep(LOOK_S)
    if options.json:
        print_json([answer.model_dump(mode="json") for answer in answers])
        return OK
    for answer in answers:
        print(f"{answer.prompt!r} → {answer.answer!r}  (step {answer.step})")
    if len(answers) < len(options.prompts):
        say(f"{len(options.prompts) - len(answers)} answers have not come.")
    return OK


def _answers(client: Any, uid: str) -> list[SampleInfo]:
    return [answer for answer in client.run(uid).samples if answer.when == "now"]
