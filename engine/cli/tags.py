"""`forge tag`, `untag` and `priority`: change what runs are found and ordered by."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.many import add_runs_argument, bulk


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    for name, work, sentence in (
        ("tag", tag, "give runs tags"),
        ("untag", untag, "take tags away from runs"),
    ):
        command = commands.add_parser(name, parents=[common], help=sentence)
        command.add_argument("tags", metavar="TAG[,TAG]")
        add_runs_argument(command)
        command.set_defaults(work=work)
    command = commands.add_parser("priority", parents=[common], help="how urgent runs are that wait")
    command.add_argument("priority", type=int, metavar="N", help="-100 to 100; the greatest goes first")
    add_runs_argument(command)
    command.set_defaults(work=priority)


def tag(options: argparse.Namespace) -> int:
    """Add tags."""
    return bulk(options, "tag", "tagged", tags=_tags(options))


def untag(options: argparse.Namespace) -> int:
    """Take them away."""
    return bulk(options, "untag", "tags taken away", tags=_tags(options))


def priority(options: argparse.Namespace) -> int:
    """Set it."""
    return bulk(options, "priority", f"priority {options.priority}", priority=options.priority)


def _tags(options: argparse.Namespace) -> list[str]:
    return [word.strip() for word in options.tags.replace("，", ",").split(",") if word.strip()]
