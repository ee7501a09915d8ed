"""`forge diagnostics`: a file for a report, with names, tokens, addresses and paths replaced."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.contract.paths import Home


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("diagnostics", parents=[common], help="write a file for a report, made anonymous")
    command.add_argument("file", metavar="FILE", type=Path, help="the zip to write")
    command.add_argument("--hide-names", action="store_true", help="also hide names of models, datasets and runs")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Gather, say what is in it, write it."""
    from engine.client import diagnostics

    bundle = diagnostics.gather(Home.find(), options.hide_names)
    diagnostics.save(bundle, options.file)
    if options.json:
        files = {part.name: len(part.text.encode()) for part in bundle.files}
        print_json({"file": str(options.file), "files": files, "replaced": bundle.replaced})
        return OK
    print(f"{options.file} holds:")
    for part in bundle.files:
        print(f"  {part.name} ({len(part.text.encode()):,} bytes)")
    print("Replaced: " + (", ".join(f"{n} {kind}" for kind, n in bundle.replaced.items()) or "nothing"))
    return OK
