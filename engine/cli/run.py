"""`forge run`: start a run from a config file, and wait for it if asked to."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from engine.cli.exits import OK, exit_code_of_state
from engine.cli.output import number, print_json, say, share_of, span
from engine.contract.api import RunDetail, RunSummary
from engine.contract.states import RunState

LOOK_S = 0.25


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("run", parents=[common], help="start a run from a config file")
    command.add_argument("file", type=Path)
    command.add_argument("--name", help="instead of the name in the file")
    command.add_argument("--wait", action="store_true", help="wait for the end; the exit code tells how it ended")
    command.add_argument("--draft", action="store_true", help="save it without starting")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Send the config; follow the run if asked to."""
    from engine.cli.session import controller
    from engine.contract.preflight import read_checked

    config = read_checked(options.file)
    if options.name:
        from engine.contract.config_file import check_document
        from engine.contract.errors import Refused

        checked, problems = check_document({**config.document(), "name": options.name})
        if checked is None or problems:
            raise Refused("config.refused", count=len(problems), problems=problems)
        config = checked
    with controller() as client:
        run = client.create(config.to_spec(), start=not options.draft)
        if not options.wait or options.draft:
            _show_made(run, options)
            return OK
        detail = wait(client, run.uid, quiet=options.json)
    if options.json:
        print_json(result_of(detail))
    else:
        _show_result(detail)
    return exit_code_of_state(detail.run.state)


def wait(client: Any, uid: str, quiet: bool) -> RunDetail:
    """The run once it has ended. A controller that dies meanwhile is started again: the run does not mind."""
    from engine.client.launch import connect
    from engine.contract.errors import Unreachable

    shown = ""
    while True:
        try:
            detail: RunDetail = client.run(uid)
        except Unreachable:
            connect(client.home).close()
            continue
        line = _progress(detail.run)
        if line != shown and not quiet:
            say(line)
            shown = line
        if detail.run.state.ended or detail.run.state is RunState.PAUSED:
            return detail
        time.sleep(LOOK_S)


def result_of(detail: RunDetail) -> dict[str, Any]:
    """The end of a run as programs read it."""
    run = detail.run
    metrics: dict[str, float | None] = {series.metric: series.last for series in detail.series if series.axis == "step"}
    for score in detail.scores:
        metrics[f"{score.metric}_{score.when}"] = score.value
    return {
        "id": run.uid,
        "name": run.name,
        "state": run.state,
        "reason": run.reason,
        "submit_to_first_step_s": detail.submit_to_first_step_s,
        "seconds": run.finished - run.started if run.finished and run.started else None,
        "steps": run.step,
        "metrics": metrics,
        "error": run.error.model_dump(mode="json") if run.error else None,
    }


def _show_made(run: RunSummary, options: argparse.Namespace) -> None:
    if options.json:
        print_json(run)
    else:
        print(f"{run.uid}  {run.name}: {run.state}")


def _progress(run: RunSummary) -> str:
    parts = [f"{run.uid} {run.state}"]
    if run.state.live and run.phase:
        parts.append(run.phase.replace("_", " "))
    if run.step is not None:
        parts.append(f"step {run.step} of {run.total_steps or '?'}, loss {number(run.loss)}")
    return ", ".join(parts)


def _show_result(detail: RunDetail) -> None:
    run = detail.run
    took = run.finished - run.started if run.finished and run.started else None
    print(f"{run.name}: {run.state}" + (f" ({run.reason})" if run.reason else "") + f" after {span(took)}")
    if run.error:
        print(" ".join(filter(None, (run.error.what, run.error.why, run.error.fix))))
    for score in detail.scores:
        name = score.metric.replace("_", " ").capitalize()
        said = f"{score.value:.1%} ({share_of(score)})" if score.is_share else f"{score.value:.4g}"
        print(f"{name} {score.when}: {said}")
