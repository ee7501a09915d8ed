"""`forge data check` and `preview`: look a file through before it is imported. No controller is needed."""

from __future__ import annotations

import argparse
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.data_import import add_encoding_argument, add_map_argument, encoding_of, mapping_of
from engine.cli.exits import OK
from engine.cli.output import print_error, print_json
from engine.contract.data_format import FORMATS
from engine.contract.errors import Refused, UserError
from engine.contract.paths import Home, expanded
from engine.contract.stages import RUNNABLE_STAGES

if TYPE_CHECKING:
    from engine.contract.data import DataSource
    from engine.contract.dataset_queries import XrayAnswer, XrayRow
    from engine.contract.model import ModelConfig

REFUSED_ROWS, UNUSABLE = 1, 2
LISTED = 20
COLOURS = {"t": "\033[32m", "T": "\033[1;32m", "m": "", "s": "\033[2m", "cut": "\033[9;31m"}
NAMES = {"t": "trained", "T": "trained, special", "m": "masked", "s": "special", "cut": "cut off"}
END = "\033[0m"


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser(
        "check", parents=[common],
        help="say what a file is and what is wrong with it; exit code 0 fine, 1 rows are refused, 2 unusable",
    )  # fmt: skip
    command.add_argument("file", type=Path)
    command.add_argument("--format", choices=("auto", *FORMATS), default="auto", help="how a row is read")
    add_map_argument(command)
    add_encoding_argument(command)
    command.set_defaults(work=check)
    seen = commands.add_parser(
        "preview", parents=[common], help="a row as tokens: which are trained, masked, cut off, special"
    )  # fmt: skip
    seen.add_argument("file", metavar="FILE", help="a file or folder, or the name of a dataset of the library")
    seen.add_argument("--model", required=True, metavar="M", help="a model's folder, hf:ID, ms:ID, or 'demo'")
    seen.add_argument("--row", type=int, action="append", metavar="N", help="from 0; may be repeated")
    seen.add_argument("--format", choices=("auto", *FORMATS), default="auto", help="how a row is read")
    seen.add_argument("--stage", default="sft", choices=RUNNABLE_STAGES)
    seen.add_argument("--max-length", type=int, default=1024)
    add_map_argument(seen)
    add_encoding_argument(seen)
    seen.set_defaults(work=preview)


def check(options: argparse.Namespace) -> int:
    """Look all of it through."""
    from engine.client.helper import check_file

    try:
        encoding = encoding_of(options)
        if not options.file.exists():
            raise UserError("data.missing", path=str(options.file))
        found = check_file(Home.find(), options.file, options.format, mapping_of(options), encoding)
    except UserError as error:
        print_error(error, options.json)
        return UNUSABLE
    found["reason"]["text"] = reason_text(found["reason"])
    if options.json:
        print_json(found)
    else:
        _show(found, options.file)
    return UNUSABLE if not found["rows"] else REFUSED_ROWS if found["refused"] else OK


def reason_text(reason: dict[str, Any]) -> str:
    """Why it is taken for this format."""
    said = UserError(reason["code"], **reason["params"])
    return " ".join(part for part in (said.what, said.why) if part)


def _show(found: dict[str, Any], file: Path) -> None:
    from engine.cli.data_look import problem_text
    from engine.contract.datasets import RowProblem

    print(f"{file}: {found['format']}. {found['reason']['text']}")
    print(f"{found['rows']:,} rows, {found['refused']:,} refused")
    print("columns: " + ", ".join(f"{name} ({one['kind']})" for name, one in list(found["columns"].items())[:40]))
    for kind, count in found["problems"].items():
        print(f"{kind.replace('_', ' ')}: {count:,}")
    for problem in found["listed"][:LISTED]:
        print(problem_text(RowProblem.model_validate(problem)))
    more = sum(found["problems"].values()) - LISTED
    if more > 0:
        print(f"  … and {more:,} more")


def preview(options: argparse.Namespace) -> int:
    """Ask the X-ray, and paint what it says."""
    from engine.client.helper import ask
    from engine.contract.dataset_queries import Xray, XrayAnswer

    encoding = encoding_of(options)
    asked = Xray(
        model=model_of(options.model), source=_source(options), rows=options.row or [0], stage=options.stage,
        max_length=options.max_length,
    ).model_copy(update={"encoding": encoding})  # fmt: skip
    found = XrayAnswer.model_validate(ask(Home.find(), "xray", asked.model_dump(mode="json")))
    if options.json:
        print_json(found)
    else:
        print(preview_text(found, colours=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return OK


def preview_text(found: XrayAnswer, colours: bool) -> str:
    """The rows, run by run of tokens of one fate; with colours as one text, without as named lines."""
    lines = []
    for row in found.rows:
        side = f" ({row.side})" if row.side else ""
        cut = f", cut off at {row.cut_at}" if row.cut_at is not None else ""
        lines.append(f"row {row.row}{side}, line {row.line}: {row.tokens} tokens, {row.trained} trained{cut}")
        runs = _runs(row)
        if colours:
            lines.append("".join(f"{COLOURS[fate]}{text}{END if COLOURS[fate] else ''}" for fate, text, _n in runs))
        else:
            lines += [f"  {NAMES[fate]:<16} {n:>5}  {text!r}" for fate, text, n in runs]
    share = "" if found.trained_share is None else f"; {found.trained_share:.1%} of {found.sampled} rows is trained"
    untrained = f"; in {found.untrained} of them nothing is" if found.untrained else ""
    return "\n".join([*lines, f"template: {found.template}{share}{untrained}"])


def _runs(row: XrayRow) -> list[tuple[str, str, int]]:
    """Fate, text and number of tokens, joined where the fate stays the same."""
    fates = [
        "cut" if row.cut_at is not None and place >= row.cut_at else fate
        for place, fate in enumerate(row.fates)
    ]  # fmt: skip
    runs = []
    for fate, tokens in groupby(zip(fates, row.texts, strict=True), key=lambda pair: pair[0]):
        texts = [text for _fate, text in tokens]
        runs.append((fate, "".join(texts), len(texts)))
    return runs


def model_of(text: str) -> ModelConfig:
    """A folder, a model of a hub, or the one that ships."""
    from engine.cli.data_import import HUBS
    from engine.contract.bundled import MODELS
    from engine.contract.model import ModelConfig

    before, mark, rest = text.partition(":")
    if mark and before in HUBS and rest:
        return ModelConfig.model_validate({"path": rest, "hub": HUBS[before]})
    if text in MODELS and not Path(text).exists():
        return ModelConfig(path=text, hub="bundled")
    return ModelConfig(path=str(expanded(text).absolute()))


def _source(options: argparse.Namespace) -> DataSource:
    """A file of this computer; else a dataset of the library, which a controller knows."""
    from engine.cli.data_import import named_version
    from engine.contract.data import DataSource

    path = expanded(options.file).absolute()
    common = {"format": options.format, "mapping": mapping_of(options)}
    if path.exists():
        return DataSource.model_validate({"path": str(path), **common})
    if "/" in options.file or path.suffix:
        raise Refused("data.missing", path=str(path))
    from engine.cli.session import controller

    name, n = named_version(options.file)
    with controller() as client:
        manifest = client.dataset(name, n).manifest
    if manifest is None:
        raise Refused("dataset.empty", dataset=name)
    return DataSource.model_validate({"path": name, "hub": "library", "version": manifest.hash, **common})
