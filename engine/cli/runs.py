"""`forge runs` and `forge show`: the list of runs, and one of them."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import moment, number, print_json, share_of, span, table
from engine.cli.session import add_run_argument
from engine.contract.api import RunDetail
from engine.contract.ladder import Rung
from engine.contract.states import RunState


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    many = commands.add_parser("runs", parents=[common], help="list runs, newest first")
    many.add_argument("--state", action="append", choices=[str(state) for state in RunState], default=[])
    many.add_argument(
        "--search", default="", help="words, or operators: 'state:failed tag:zh loss<1 created<7d \"exact words\"'"
    )
    many.add_argument("--sort", default="created", help="created, name, loss, seconds, cost, score …")
    many.add_argument("--ascending", action="store_true", help="least or oldest first")
    many.add_argument("--limit", type=int, default=20)
    many.set_defaults(work=list_runs)
    one = commands.add_parser("show", parents=[common], help="all about one run")
    add_run_argument(one)
    one.set_defaults(work=show)


def list_runs(options: argparse.Namespace) -> int:
    """A table of runs."""
    from engine.cli.session import controller

    with controller() as client:
        page = client.runs(
            states=options.state, search=options.search, limit=options.limit, sort=options.sort,
            descending=not options.ascending,
        )  # fmt: skip
    if options.json:
        print_json(page)
        return OK
    rows = [
        [
            *(run.uid, run.name[:40], str(run.state), f"{run.step or 0}/{run.total_steps or '–'}"),
            *(number(run.loss), run.model[:30], moment(run.created)),
        ]
        for run in page.runs
    ]
    print(table(("id", "name", "state", "step", "loss", "model", "created"), rows))
    if page.total > len(rows):
        print(f"{len(rows)} of {page.total}")
    return OK


def show(options: argparse.Namespace) -> int:
    """Everything about a run besides curves and log."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        detail = client.run(find_run(client, options.run).uid)
    if options.json:
        print_json(detail)
    else:
        _print(detail)
    return OK


def _changes(rung: Rung) -> str:
    return ", ".join(f"{path} = {value}" for path, value in rung.changes.items())


def _print(detail: RunDetail) -> None:
    run = detail.run
    print(f"{run.name}  ({run.uid})")
    print(f"State    {run.state}" + (f", {run.reason}" if run.reason else "") + (f", {run.phase}" if run.phase else ""))
    if run.error:
        print("Error    " + " ".join(filter(None, (run.error.what, run.error.why, run.error.fix))))
    print(f"Model    {run.model}   dataset {run.dataset}   method {run.method}")
    print(f"Created  {moment(run.created)}   started {moment(run.started)}   ended {moment(run.finished)}")
    print(
        f"Step     {run.step or 0} of {run.total_steps or '–'}   loss {number(run.loss)}   ETA {span(run.eta_seconds)}"
    )
    if run.seconds:
        cost = "" if run.cost is None else f"   cost {run.cost:.2f}"
        print(f"Worked   {span(run.seconds)}{cost}")
    print(f"First step {span(detail.submit_to_first_step_s)} after the start was asked for")
    for attempt in detail.attempts:
        times = f"{moment(attempt.started)} – {moment(attempt.ended)}"
        print(f"Attempt {attempt.n} ({attempt.cause})  {times}  {attempt.reason or ''}")
    for score in detail.scores:
        said = f"{score.value:.1%} ({share_of(score)})" if score.is_share else f"{score.value:.4g}"
        print(f"Score    {score.metric} {score.when}: {said}")
    for sample in detail.samples:
        print(f"Answer {sample.when}: {sample.prompt!r} → {sample.answer!r}")
    for rung in detail.lowered:
        print(f"Lowered  {rung.name}: {_changes(rung)}")
    for rung in detail.rungs:
        saved = "" if rung.saved is None else f" saves about {rung.saved / 1e9:.2f} GB;"
        same = "the mathematics stays the same" if rung.same else "something else is learned"
        print(f"Rung     {rung.name}: {_changes(rung)};{saved} a step takes × {rung.slower:g}; {same}")
    for one in detail.checkpoints:
        best = ", best" if one.best else ""
        print(f"Checkpoint {one.id}: attempt {one.attempt}, step {one.step}{best}, {one.cause}, {one.bytes:,} bytes")
    for artifact in detail.artifacts:
        print(f"Result {artifact.id}: {artifact.kind} {artifact.name}, {artifact.bytes:,} bytes")
