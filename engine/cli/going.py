"""`forge resume` and `pause`: go on with a run, or let it wait."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.actions import change, change_all
from engine.cli.many import add_runs_argument
from engine.cli.session import add_run_argument

RUNGS = ("parts", "checkpointing", "8bit", "length", "4bit")
"""As in `engine.contract.ladder`, which a command line that only starts need not import."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    resume = commands.add_parser(
        "resume", parents=[common], help="go on with a run that is paused, was stopped, failed, or is to be extended"
    )
    add_run_argument(resume)
    begin = resume.add_mutually_exclusive_group()
    begin.add_argument("--checkpoint", type=int, metavar="ID", help="from this one (`forge show` lists them)")
    begin.add_argument("--from-start", action="store_true", help="start over")
    resume.add_argument("--epochs", type=float, help="train so many epochs in all")
    resume.add_argument("--max-steps", type=int, help="train so many steps in all")
    resume.add_argument(
        "--rung", choices=RUNGS, help="where memory ran out: what to lower first (`forge show` tells what it saves)"
    )
    resume.set_defaults(work=go_on)
    pause = commands.add_parser("pause", parents=[common], help="save, free the devices, and wait")
    add_runs_argument(pause)
    pause.set_defaults(work=wait)


def go_on(options: argparse.Namespace) -> int:
    """Queue it as a new attempt."""
    return change(
        options, "resume", checkpoint=options.checkpoint, from_start=options.from_start, epochs=options.epochs,
        max_steps=options.max_steps, rung=options.rung,
    )  # fmt: skip


def wait(options: argparse.Namespace) -> int:
    """Ask it to pause."""
    return change_all(options, "pause", "pause", "paused, or asked to", asked="asked to pause")
