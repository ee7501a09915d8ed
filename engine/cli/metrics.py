"""`forge metrics`: a run's curves as CSV, JSON or Arrow."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from pathlib import Path
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.cli.session import add_run_argument
from engine.contract.errors import NotFound, UserError


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("metrics", parents=[common], help="curves of a run as CSV, JSON or Arrow")
    add_run_argument(command)
    command.add_argument("--metric", action="append", default=[], help="may repeat; all without it")
    command.add_argument("--format", choices=("csv", "json", "arrow"), help="csv without it")
    command.add_argument("--out", type=Path, help="a file; standard output without it")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Fetch and write."""
    from engine.cli.session import controller, find_run

    chosen = options.format or ("json" if options.json else "csv")
    with controller() as client:
        uid = find_run(client, options.run).uid
        data = client.series_bytes(uid, options.metric)
        known = [series.metric for series in client.run(uid).series]
    missing = [name for name in options.metric if name not in known]
    if missing:
        raise NotFound(
            "run.no_metric", run=options.run, metric=", ".join(missing), known=", ".join(known) or "none yet"
        )
    if chosen == "arrow":
        _write_bytes(data, options.out)
    elif options.out is not None:
        try:
            with options.out.open("w", newline="", encoding="utf-8") as file:
                _write_rows(data, chosen, file)
        except OSError as error:
            raise UserError("file.unwritable", file=str(options.out), detail=str(error)) from error
    else:
        _write_rows(data, chosen, sys.stdout)
    return OK


def _write_bytes(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        out.write_bytes(data)


def _write_rows(data: bytes, chosen: str, file: Any) -> None:
    from engine.client.arrow import read_curves

    curves = read_curves(data)
    rows = [
        (name, int(attempt), float(x), float(t), float(value))
        for name, curve in curves.items()
        for attempt, x, t, value in zip(curve.attempt, curve.x, curve.t, curve.value, strict=True)
    ]
    head = ("metric", "attempt", "x", "t", "value")
    if chosen == "csv":
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
    elif file is sys.stdout:
        print_json([_plain(head, row) for row in rows])
    else:
        import json

        json.dump([_plain(head, row) for row in rows], file)


def _plain(head: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    """A row as JSON can say it: NaN and infinities as text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in zip(head, row, strict=True)
    }
