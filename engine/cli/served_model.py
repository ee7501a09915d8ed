"""What `forge serve` and `forge chat` share: model and adapters, a job of them, an instance that is ready."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from engine.cli.output import say
from engine.contract.errors import Conflict, Refused, UserError
from engine.contract.paths import expanded

if TYPE_CHECKING:
    from engine.client.client import ControllerClient
    from engine.contract.api import RunDetail
    from engine.contract.serving import Instance, ServeJob

LOOK_S = 0.2


def add_model_arguments(command: argparse.ArgumentParser) -> None:
    """Which model, and what is on it."""
    command.add_argument("--model", metavar="M", help="a model's folder, hf:ID, ms:ID, or 'demo'")
    command.add_argument("--run", metavar="RUN[@STEP]", help="a run's base model with its result or a checkpoint")
    command.add_argument(
        "--adapter", action="append", default=[], metavar="[NAME=]PATH",
        help="a .lora.arrow file or a folder of peft's under this model name; may be repeated",
    )  # fmt: skip
    command.add_argument("--gpus", type=int, help="0: on the processor, beside training")


def job_of(options: argparse.Namespace, client: ControllerClient, settings: dict[str, Any]) -> tuple[ServeJob, str]:
    """The job, and the model name to ask for: the run's adapter, or the base. Refused with all that is wrong."""
    from pydantic import ValidationError

    from engine.contract.config_file import problem_of
    from engine.contract.serving import ServeJob

    model, adapters, named = _of_run(options.run, client) if options.run else _of_model(options.model)
    adapters += [_adapter(text) for text in options.adapter]
    try:
        job = ServeJob.model_validate({"model": model, "adapters": adapters, **settings})
    except ValidationError as error:
        problems = [problem_of(dict(detail), ServeJob) for detail in error.errors()]
        raise Refused("config.refused", count=len(problems), problems=problems) from None
    first = adapters[0]["name"] if len(adapters) == 1 else job.base_name
    return job, named or first


def _of_model(text: str | None) -> tuple[dict[str, Any], list[dict[str, str]], str]:
    from engine.cli.data_check import model_of

    if not text:
        raise Refused("serve.no_model")
    return model_of(text).model_dump(), [], ""


def _of_run(text: str, client: ControllerClient) -> tuple[dict[str, Any], list[dict[str, str]], str]:
    from engine.cli.session import find_run
    from engine.client.sampling import served_by
    from engine.contract.paths import Home
    from engine.contract.serving import name_of

    name, mark, step = text.rpartition("@")
    named, at = (name, int(step)) if mark and step.isdigit() else (text, None)
    run = find_run(client, named)
    model, adapter = served_by(client.run(run.uid), Home.find(), at)
    if not adapter:
        return model.model_dump(), [], ""
    served = name_of(run.name if at is None else f"{run.name}@{at}")
    return model.model_dump(), [{"name": served, "path": adapter}], served


def _adapter(text: str) -> dict[str, str]:
    from engine.contract.lora_card import SUFFIX
    from engine.contract.serving import name_of

    name, mark, path = text.partition("=")
    path = path if mark else text
    place = expanded(path).absolute()
    return {"name": name if mark else name_of(place.name.removesuffix(SUFFIX)), "path": str(place)}


def until_ready(client: ControllerClient, uid: str, quiet: bool) -> Instance:
    """Wait until it answers; raises what ended it before."""
    shown = ""
    while True:
        instance = client.instance(uid)
        if instance.ready:
            return instance
        detail = client.run(uid)
        _raise_if_over(detail)
        line = f"{detail.run.state}{f', {detail.run.phase}' if detail.run.phase else ''}"
        if line != shown and not quiet:
            say(f"{detail.run.name}: {line}")
            shown = line
        time.sleep(LOOK_S)


def _raise_if_over(detail: RunDetail) -> None:
    run = detail.run
    if not (run.state.ended or run.state in ("paused", "draft")):
        return
    if run.error is not None:
        raise UserError.from_body(run.error)
    raise Conflict("serve.not_ready", run=run.name, state=run.state)
