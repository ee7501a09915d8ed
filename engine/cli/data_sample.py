"""`forge data sample`: a model answers the questions of a dataset; its answers become a version of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from engine.cli.data_check import model_of
from engine.cli.data_import import DATASET, named_version, tell
from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.contract.errors import NotFound, Refused
from engine.contract.paths import expanded
from engine.contract.sampling import Choice, SampleJob

if TYPE_CHECKING:
    from engine.client.client import ControllerClient

NUMBERS = {
    "answers": int, "max_tokens": int, "max_length": int, "temperature": float, "top_p": float, "top_k": int,
    "seed": int, "batch_size": int, "keep": int, "threshold": float, "margin": float,
}  # fmt: skip
"""Settings that are given as they are."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser(
        "sample", parents=[common], help="have a model answer questions; its answers become a dataset of the library"
    )
    command.add_argument("source", metavar="QUESTIONS", help="a file of prompts or conversations, or dataset:NAME[@V]")
    command.add_argument("--name", required=True, help="the dataset that gets the answers")
    command.add_argument("--model", metavar="M", help="a model's folder, hf:ID, ms:ID, or 'demo'")
    command.add_argument("--adapter", metavar="FOLDER", help="an adapter or checkpoint the model answers with")
    command.add_argument("--run", metavar="RUN[@STEP]", help="in place of both: the result or a checkpoint of a run")
    command.add_argument("--system", help="system prompt before every question that has none")
    for name, kind in NUMBERS.items():
        field = SampleJob.model_fields[name]
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=field.description)
    command.add_argument(
        "--choose", choices=get_args(Choice), default="all", help=SampleJob.model_fields["choose"].description
    )
    command.add_argument(
        "--reward", action="append", default=[], metavar="KIND[=WEIGHT]", help="such as accuracy=1; may be repeated"
    )
    command.add_argument(
        "--rewards", type=Path, metavar="FILE", help="a YAML list of rewards with their options, or a run's config"
    )
    command.add_argument("--keep-cut", action="store_true", help=SampleJob.model_fields["keep_cut"].description)
    command.add_argument("--gpus", type=int, help="0: on the processor")
    command.add_argument("--follow", action="store_true", help="wait for the end and say what came of it")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Begin; follow it if asked to."""
    from engine.cli.run import wait
    from engine.cli.session import controller

    with controller() as client:
        run = client.sample_dataset(job_of(options, client), gpus=options.gpus)
        if not options.follow:
            if options.json:
                print_json(run)
            else:
                print(f"{run.uid}  {run.name}: {run.state}")
            return OK
        detail = wait(client, run.uid, quiet=options.json)
    return tell(detail, options)


def job_of(options: argparse.Namespace, client: ControllerClient) -> SampleJob:
    """What was asked for; Refused with all that is wrong with it."""
    from pydantic import ValidationError

    from engine.contract.config_file import problem_of

    given = {name: getattr(options, name) for name in NUMBERS if getattr(options, name) is not None}
    model, adapter = _model(options, client)
    plain = {
        "dataset": options.name, "model": {**model, **({"system": options.system} if options.system else {})},
        "adapter": adapter, "source": _questions(options.source, client), "choose": options.choose,
        "rewards": _rewards(options), "keep_cut": options.keep_cut, **given,
    }  # fmt: skip
    try:
        return SampleJob.model_validate(plain)
    except ValidationError as error:
        problems = [problem_of(dict(detail), SampleJob) for detail in error.errors()]
        raise Refused("config.refused", count=len(problems), problems=problems) from None


def _model(options: argparse.Namespace, client: ControllerClient) -> tuple[dict[str, Any], str]:
    """The model as it was named, and what it answers with."""
    if bool(options.model) == bool(options.run) or (options.run and options.adapter):
        raise Refused("sample.one_model")
    if options.model:
        adapter = str(expanded(options.adapter).absolute()) if options.adapter else ""
        return model_of(options.model).model_dump(), adapter
    from engine.cli.session import find_run
    from engine.client.sampling import taught_by
    from engine.contract.paths import Home

    name, mark, step = options.run.rpartition("@")
    named, at = (name, int(step)) if mark and step.isdigit() else (options.run, None)
    model, adapter = taught_by(client.run(find_run(client, named).uid), Home.find(), at)
    return model.model_dump(), adapter


def _questions(text: str, client: ControllerClient) -> dict[str, Any]:
    """A dataset of the library, or a file of this computer."""
    if not text.startswith(DATASET):
        return {"path": str(expanded(text).absolute())}
    name, n = named_version(text.removeprefix(DATASET))
    detail = client.dataset(name, n)
    if detail.manifest is None:
        raise NotFound("dataset.empty", dataset=name)
    return {"path": detail.dataset.name, "hub": "library", "version": detail.manifest.hash}


def _rewards(options: argparse.Namespace) -> list[Any]:
    """Those of a file and those that were named; what is wrong with them is found with everything else."""
    found: list[Any] = []
    if options.rewards is not None:
        from engine.contract.config_text import load, read_text

        plain = load(read_text(options.rewards), options.rewards.name).document
        if isinstance(plain, dict):
            rollouts = plain.get("rollouts")
            plain = rollouts.get("rewards") if isinstance(rollouts, dict) else plain.get("rewards")
        if not isinstance(plain, list):
            raise Refused("sample.no_list", path=str(options.rewards))
        folder = options.rewards.absolute().parent
        for one in plain:
            place = isinstance(one, dict) and isinstance(one.get("path"), str) and one["path"]
            found.append({**one, "path": str(folder / expanded(one["path"]))} if place else one)
    for text in options.reward:
        kind, mark, weight = text.partition("=")
        try:
            found.append({"kind": kind, **({"weight": float(weight)} if mark else {})})
        except ValueError:
            found.append({"kind": kind, "weight": weight})
    return found
