"""`forge why`: where a run goes and why, or why it waits. `forge costs`: what was spent."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json, table
from engine.cli.session import add_run_argument
from engine.contract.clock import now
from engine.contract.errors import UserError

DAY_S = 86_400.0


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser("why", parents=[common], help="where a run goes and why, or why it waits")
    add_run_argument(command)
    command.set_defaults(work=why)
    command = commands.add_parser("costs", parents=[common], help="what was spent, by day, node or person")
    command.add_argument("--by", choices=("day", "node", "owner"), default="day")
    command.add_argument("--days", type=float, default=30.0, help="so many days back")
    command.set_defaults(work=costs)


def why(options: argparse.Namespace) -> int:
    """Say it in words, node by node."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        answer = client.placement(find_run(client, options.run).uid)
    if options.json:
        print_json(answer)
        return OK
    print(_text(answer.code, answer.params))
    for candidate in answer.candidates:
        text = _text(candidate.code, candidate.params)
        print(f"  {candidate.node}: {text}")
    if answer.network:
        print(_text(answer.network, answer.network_params))
    return OK


def costs(options: argparse.Namespace) -> int:
    """A table of sums."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.costs(since=now() - options.days * DAY_S, by=options.by)
    if options.json:
        print_json(found)
        return OK
    rows = [
        (row.key, f"{row.gpu_hours:.2f}", f"{row.cost:.2f} {row.currency}", str(row.runs), str(row.failed))
        for row in found.rows
    ]
    print(table((options.by.upper(), "GPU HOURS", "COST", "RUNS", "FAILED"), rows) if rows else "Nothing was spent.")
    for currency, total in found.totals.items():
        print(f"Together: {total:.2f} {currency}")
    if found.budget is not None:
        print(f"Budget: {found.budget_used or 0.0:.2f} of {found.budget:.2f}")
    return OK


def _text(code: str, params: dict[str, Any]) -> str:
    error = UserError(code, **params)
    return " ".join(part for part in (error.what, error.why, error.fix) if part)
