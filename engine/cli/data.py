"""`forge data`: bring rows into the library, and look at what is there."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli import data_change, data_check, data_import, data_look, data_sample

GROUPS = (data_import, data_sample, data_check, data_look, data_change)


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser(
        "data", parents=[common], help="datasets: import, sample, check, look at, compare, delete"
    )
    inner = group.add_subparsers(metavar="WHAT", required=True)
    for module in GROUPS:
        module.register(inner, common)
