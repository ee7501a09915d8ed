"""`forge scratch`: sizes of models that begin with fresh weights, and what each has of parameters."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json, table
from engine.contract.scratch import SIZES, ScratchConfig, preset
from engine.contract.scratch_shape import ARCHITECTURES, parameters_of


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("scratch", parents=[common], help="sizes of models that begin with fresh weights")
    command.add_argument("--family", choices=tuple(ARCHITECTURES), help="only this one")
    command.set_defaults(work=show)


def show(options: argparse.Namespace) -> int:
    """Each size of each family; with --json also the settings it stands for."""
    families = [options.family] if options.family else list(ARCHITECTURES)
    found = [(family, size, preset(family, size)) for family in families for size in SIZES]
    counted = [(*one, parameters_of(ScratchConfig(**one[2]), one[2]["vocabulary"])) for one in found]
    if options.json:
        print_json([
            {"family": family, "size": size, "total": made.total, "active": made.active, "scratch": form}
            for family, size, form, made in counted
        ])  # fmt: skip
        return OK
    rows = [(family, size, f"{made.total:,}", f"{made.active:,}") for family, size, _form, made in counted]
    print(table(("FAMILY", "SIZE", "PARAMETERS", "OF THEM ACTIVE"), rows))
    return OK
