"""`forge reward preview`: what the rewards of a config give answers, before anything is trained. No controller."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json, table
from engine.contract.paths import Home

FAILED = 1


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    group = commands.add_parser("reward", parents=[common], help="try the rewards of a config")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    seen = inner.add_parser("preview", parents=[common], help="what they give answers to the first rows")
    seen.add_argument("config", type=Path)
    seen.add_argument("--rows", type=int, default=3, metavar="N", help="how many rows, up to 50")
    seen.add_argument("--answer", action="append", default=[], metavar="TEXT", help="try this one; may be repeated")
    seen.set_defaults(work=preview)


def preview(options: argparse.Namespace) -> int:
    """Ask the helper, and show a line an answer."""
    from engine.client.helper import ask
    from engine.contract.preflight import read_checked
    from engine.contract.reward_preview import PreviewRewards, RewardsPreview

    config = read_checked(options.config)
    asked = PreviewRewards(
        model=config.model, source=config.data.train[0], rollouts=config.rollouts, rows=options.rows,
        answers=options.answer,
    )  # fmt: skip
    found = RewardsPreview.model_validate(ask(Home.find(), "preview_rewards", asked.model_dump(mode="json")))
    failed = any(row.error is not None for row in found.rows)
    if options.json:
        print_json(found)
        return FAILED if failed else OK
    for row in found.rows:
        print(f"line {row.line}: {row.prompt[:200]!r}")
        if row.error is not None:
            print(f"  {row.error.what} {row.error.why} {row.error.fix} [{row.error.code}]")
            continue
        names = list(row.answers[0].rewards) if row.answers else []
        lines = [
            (repr(one.answer[:60]), *(_number(one.rewards[n]) for n in names), _number(one.total))
            for one in row.answers
        ]
        print(table(("ANSWER", *(name.upper() for name in names), "SUM"), lines))
    if found.left_out:
        print("left out, for they need a model: " + ", ".join(found.left_out))
    return FAILED if failed else OK


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
