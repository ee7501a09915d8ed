"""`forge data import`: rows of a file, a hub or an address become a version of a dataset of the library."""

from __future__ import annotations

import argparse
import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

from engine.cli.exits import OK, exit_code_of_state
from engine.cli.output import print_json, say
from engine.contract.data_format import FORMATS, Mapping
from engine.contract.dataset_names import LONGEST, name_from
from engine.contract.errors import NotFound, UserError
from engine.contract.paths import expanded

if TYPE_CHECKING:
    from engine.client.client import ControllerClient
    from engine.contract.api import RunDetail
    from engine.contract.datasets import ImportJob, ImportSource, Repair

HUBS = {"hf": "huggingface", "ms": "modelscope"}
DATASET = "dataset:"
PARTS_OF_GB18030 = ("gbk", "gb2312")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser(
        "import", parents=[common], help="bring rows into the library as a new version of a dataset"
    )
    command.add_argument(
        "source", metavar="SOURCE",
        help="a file or folder, an https address, hf:ID, ms:ID, or dataset:NAME[@VERSION] to repair or re-map it",
    )  # fmt: skip
    command.add_argument("--name", help="of the dataset; without it, that of the source")
    command.add_argument("--format", choices=("auto", *FORMATS), default="auto", help="how a row is read")
    add_map_argument(command)
    add_encoding_argument(command)
    command.add_argument("--revision", help="branch, tag or commit on the hub")
    command.add_argument("--subset", help="configuration of the hub's dataset")
    command.add_argument("--split", help="split of the hub's dataset; without it, all")
    command.add_argument("--limit", type=int, help="take the first so many rows")
    command.add_argument(
        "--repair", action="append", default=[], metavar="KIND[=PROBLEM,…]",
        help="drop=PROBLEMS, trim, deduplicate or clean; may be repeated",
    )  # fmt: skip
    command.add_argument("--upload", action="store_true", help="send the file to the controller first")
    command.add_argument("--follow", action="store_true", help="wait for the end and say what came of it")
    command.set_defaults(work=work)


def add_map_argument(command: argparse.ArgumentParser) -> None:
    """The option `--map`."""
    command.add_argument(
        "--map", action="append", default=[], metavar="PART=COLUMN",
        help="which column plays a part of a row (instruction, output, messages …); may be repeated",
    )  # fmt: skip


def add_encoding_argument(command: argparse.ArgumentParser) -> None:
    """The option `--encoding`."""
    command.add_argument("--encoding", default="auto", help="of text files (utf-8, utf-16, gb18030 …); auto finds it")


def encoding_of(options: argparse.Namespace) -> str:
    """An encoding as it was named, also by another of its names; an unknown one is refused."""
    from engine.contract.datasets import Encoding

    known: tuple[str, ...] = get_args(Encoding)
    try:
        name = options.encoding.lower() if options.encoding.lower() in known else codecs.lookup(options.encoding).name
    except (LookupError, ValueError):
        name = options.encoding
    name = "gb18030" if name in PARTS_OF_GB18030 else name
    if name not in known:
        raise UserError("data.encoding_unknown", value=options.encoding[:80], choices=", ".join(known))
    return name


def mapping_of(options: argparse.Namespace) -> Mapping:
    """Columns as they were named."""
    columns = {}
    for text in options.map:
        part, mark, column = text.partition("=")
        if not mark or not part.strip() or not column:
            raise UserError("data.check_column", value=text)
        columns[part.strip()] = column
    return Mapping(columns=columns)


def work(options: argparse.Namespace) -> int:
    """Begin the import; follow it if asked to."""
    from engine.cli.run import wait
    from engine.cli.session import controller

    with controller() as client:
        job = job_of(options, client)
        run = client.import_dataset(job)
        if not options.follow:
            if options.json:
                print_json(run)
            else:
                print(f"{run.uid}  {run.name}: {run.state}")
            return OK
        detail = wait(client, run.uid, quiet=options.json)
    return tell(detail, options)


def job_of(options: argparse.Namespace, client: ControllerClient) -> ImportJob:
    """What was asked for."""
    from pydantic import ValidationError

    from engine.contract.config_file import problem_of
    from engine.contract.datasets import ImportJob
    from engine.contract.errors import Refused

    source, name = _source(options, client)
    plain = {
        "dataset": options.name or name, "source": source.model_dump(), "format": options.format,
        "mapping": mapping_of(options).model_dump(), "encoding": encoding_of(options), "limit": options.limit,
        "repairs": [one.model_dump() for one in _repairs(options.repair)],
    }  # fmt: skip
    try:
        return ImportJob.model_validate(plain)
    except ValidationError as error:
        problems = [problem_of(dict(detail), ImportJob) for detail in error.errors()]
        raise Refused("config.refused", count=len(problems), problems=problems) from None


def _source(options: argparse.Namespace, client: ControllerClient) -> tuple[ImportSource, str]:
    """Where the rows come from, and what a dataset made of them is usually called."""
    from engine.contract.datasets import ImportSource

    def named(place: str) -> str:
        return name_from(place) or place[:LONGEST] or "dataset"

    text = options.source
    before, mark, rest = text.partition(":")
    if text.lower().startswith(("https://", "http://")):
        return ImportSource(kind="url", place=text), named(text)
    if mark and before in HUBS and rest:
        parts = {"revision": options.revision, "subset": options.subset, "split": options.split}
        return ImportSource.model_validate({"kind": HUBS[before], "place": rest, **parts}), named(rest)
    if text.startswith(DATASET):
        name, n = named_version(text.removeprefix(DATASET))
        detail = client.dataset(name, n)
        if detail.manifest is None:
            raise NotFound("dataset.empty", dataset=name)
        return ImportSource(kind="version", place=detail.manifest.hash), detail.dataset.name
    path = expanded(text).absolute()
    if options.upload:
        sent = client.upload(path, _silent if options.json else _said)
        return ImportSource(kind="upload", place=sent.uid, name=sent.name), named(path.name)
    return ImportSource(kind="path", place=str(path)), named(path.name)


def named_version(text: str) -> tuple[str, int | None]:
    """A dataset and, behind an @, the number of its version."""
    name, mark, n = text.rpartition("@")
    return (name, int(n.removeprefix("v"))) if mark and n.removeprefix("v").isdigit() else (text, None)


def _repairs(texts: Iterable[str]) -> list[Repair]:
    from pydantic import ValidationError

    from engine.contract.config_file import problem_of
    from engine.contract.datasets import Repair
    from engine.contract.errors import Refused

    found = []
    for text in texts:
        kind, _, problems = text.partition("=")
        try:
            found.append(Repair.model_validate({"kind": kind, "problems": [one for one in problems.split(",") if one]}))
        except ValidationError as error:
            wrong = [problem_of(dict(detail), Repair) for detail in error.errors()]
            raise Refused("config.refused", count=len(wrong), problems=wrong) from None
    return found


def _said(done: int, total: int) -> None:
    say(f"sent {done:,} of {total:,} bytes")


def _silent(_done: int, _total: int) -> None:
    """Programs read one answer."""


def tell(detail: RunDetail, options: argparse.Namespace) -> int:
    """What came of a run that makes a version."""
    made = next((one.body for one in reversed(detail.events) if one.kind == "dataset"), None)
    if options.json:
        run = detail.run
        plain = run.error.model_dump(mode="json") if run.error else None
        print_json({"id": run.uid, "state": run.state, "reason": run.reason, "dataset": made, "error": plain})
    elif made is not None:
        new = "" if made.get("new", True) else " (nothing new)"
        print(f"{made['name']} version {made['version']}{new}: {made['rows']:,} rows, {made['refused']:,} refused")
    elif detail.run.error is not None:
        error = detail.run.error
        print(" ".join(filter(None, (error.what, error.why, error.fix))))
        for problem in error.problems[:20]:
            print(f"  - {problem}")
    return exit_code_of_state(detail.run.state)
