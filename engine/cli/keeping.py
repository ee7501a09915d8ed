"""`forge pin`, `unpin` and `clean`: how long the working files of a run stay."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.actions import change, change_all
from engine.cli.many import add_runs_argument
from engine.cli.session import add_run_argument


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    for name, work, sentence in (
        ("pin", pin, "keep a run's checkpoints, log and journal until somebody deletes them"),
        ("unpin", unpin, "let them go when their time has come"),
        ("clean", clean, "let them go now; results stay in the library"),
    ):
        command = commands.add_parser(name, parents=[common], help=sentence)
        (add_run_argument if name == "clean" else add_runs_argument)(command)
        command.set_defaults(work=work)


def pin(options: argparse.Namespace) -> int:
    """Keep them."""
    return change_all(options, "pin", "pin", "pinned", said="pinned")


def unpin(options: argparse.Namespace) -> int:
    """Keep them no longer than usual."""
    return change_all(options, "pin", "unpin", "no longer pinned", said="no longer pinned", pinned=False)


def clean(options: argparse.Namespace) -> int:
    """Let them go."""
    return change(options, "clean", said="working files deleted")
