"""`forge data delete`, `rename`, `export`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.cli.data_look import add_dataset_argument, newest
from engine.cli.exits import OK, USAGE
from engine.cli.output import print_json, say
from engine.contract import durable
from engine.contract.errors import Conflict, UserError


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    gone = commands.add_parser("delete", parents=[common], help="delete a dataset, or one version of it")
    add_dataset_argument(gone)
    gone.add_argument("--version", type=int, help="only this one")
    gone.add_argument("--yes", action="store_true", help="do not ask")
    gone.set_defaults(work=delete)
    name = commands.add_parser("rename", parents=[common], help="give a dataset another name")
    add_dataset_argument(name)
    name.add_argument("name", metavar="NAME")
    name.set_defaults(work=rename)
    rows = commands.add_parser("export", parents=[common], help="write all rows of a version to a JSONL file")
    add_dataset_argument(rows)
    rows.add_argument("file", type=Path, metavar="FILE", help="where to; - is standard output")
    rows.add_argument("--version", type=int, help="without it, the newest")
    rows.add_argument("--force", action="store_true", help="replace a file that is there")
    rows.set_defaults(work=export)


def delete(options: argparse.Namespace) -> int:
    """Delete it, after asking."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.dataset(options.dataset).dataset
        what = f"version {options.version} of '{found.name}'" if options.version else f"dataset '{found.name}'"
        if not options.yes:
            if not sys.stdin.isatty():
                say("Add --yes to delete without being asked.")
                return USAGE
            if input(f"Delete {what}? [y/N] ").strip().lower() not in ("y", "yes"):
                return OK
        client.delete_dataset(found.uid, options.version)
    if options.json:
        print_json({"deleted": found.uid, "version": options.version})
    else:
        print(f"Deleted {what}.")
    return OK


def rename(options: argparse.Namespace) -> int:
    """Another name; runs that used it know it by its fingerprint."""
    from pydantic import ValidationError

    from engine.cli.session import controller
    from engine.contract.config_file import problem_of
    from engine.contract.datasets import EditDataset
    from engine.contract.errors import Refused

    try:
        change = EditDataset(name=options.name)
    except ValidationError as error:
        problems = [problem_of(dict(detail), EditDataset) for detail in error.errors()]
        raise Refused("request.refused", problems=problems) from None
    with controller() as client:
        found = client.edit_dataset(options.dataset, change)
    if options.json:
        print_json(found)
    else:
        print(f"{found.uid}  {found.name}")
    return OK


def export(options: argparse.Namespace) -> int:
    """Every row as it was kept, one a line."""
    from engine.cli.session import controller

    with controller() as client:
        n = newest(client, options.dataset, options.version)
        if str(options.file) == "-":
            client.export_dataset(options.dataset, n, sys.stdout.buffer.write)
            return OK
        if options.file.exists() and not options.force:
            raise Conflict("config.file_exists", file=str(options.file))
        with written(options.file) as write:
            rows = client.export_dataset(options.dataset, n, write)
    if options.json:
        print_json({"file": str(options.file.absolute()), "rows": rows})
    else:
        print(f"Wrote {rows:,} rows to {options.file}.")
    return OK


@contextmanager
def written(file: Path) -> Iterator[Callable[[bytes], object]]:
    """A file that is in its place when all of it is there, and not before."""
    try:
        with durable.aside(file) as made, made.open("wb") as target:
            yield target.write
    except OSError as error:
        raise UserError("file.unwritable", file=str(file), detail=error.strerror or str(error)) from error
