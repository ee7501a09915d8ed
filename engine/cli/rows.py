"""`forge rows`: the rows of a step with their losses, a row's course, and rankings; and a run without some of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.exits import OK, USAGE
from engine.cli.output import number, print_json, say, table
from engine.cli.session import add_run_argument

if TYPE_CHECKING:  # imported by who needs it: a command's first word comes quickly
    from engine.contract.forensics_api import RankedRow, RowKey

WHY = {"high": "stays high", "early": "known early", "two_answers": "two answers", "rises": "rises"}
SHOWN = 60


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("rows", parents=[common], help="rows of a run with their own losses")
    add_run_argument(command)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--step", type=int, help="what a step learned from")
    which.add_argument("--row", metavar="DATASET:LINE", help="the course of a row, e.g. 1:37")
    which.add_argument("--never-learned", action="store_const", dest="kind", const="never_learned",
                       help="rows whose loss stays high")  # fmt: skip
    which.add_argument("--memorised", action="store_const", dest="kind", const="memorised",
                       help="rows known long before the others")  # fmt: skip
    which.add_argument("--contradictory", action="store_const", dest="kind", const="contradictory",
                       help="same question, other answer; or a loss that rises")  # fmt: skip
    command.add_argument("--most", type=int, default=20, help="rows listed (20)")
    command.add_argument("--exclude", type=Path, metavar="CONFIG",
                         help="make versions without the listed rows, and write the run's config on them")  # fmt: skip
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Ask, and print."""
    from engine.cli.session import controller, find_run

    if options.exclude is not None and options.kind is None:
        say("--exclude goes with a ranking.")
        return USAGE
    with controller() as client:
        uid = find_run(client, options.run).uid
        if options.step is not None:
            return _step(client, uid, options)
        if options.row is not None:
            return _course(client, uid, options)
        return _ranking(client, uid, options)


def _step(client: Any, uid: str, options: argparse.Namespace) -> int:
    found = client.step_rows(uid, options.step)
    if options.json:
        print_json(found)
        return OK
    if found.step != options.step:
        say(f"No rows are kept of step {options.step}; this is the nearest.")
    values = ", ".join(f"{name} {number(value)}" for name, value in found.values.items())
    print(f"Step {found.step}, attempt {found.attempt}: {values}")
    if found.device:
        print("Device: " + ", ".join(f"{name} {number(value)}" for name, value in sorted(found.device.items())))
    texts = _texts(client, uid, [row.key for row in found.rows[: options.most]])
    rows = [
        [_place(row.key), number(row.loss), str(row.tokens), texts.get(_place(row.key), "")]
        for row in found.rows[: options.most]
    ]
    print(table(["ROW", "LOSS", "TOKENS", "TEXT"], rows))
    return OK


def _course(client: Any, uid: str, options: argparse.Namespace) -> int:
    from engine.contract.forensics_api import RowKey

    source, _, line = options.row.rpartition(":")
    if not line.isdecimal() or not (source or "1").isdecimal() or int(source or 1) < 1:
        say("A row is written DATASET:LINE, both counted from 1.")
        return USAGE
    found = client.row_history(uid, RowKey(source=int(source or 1) - 1, line=int(line), hash=""))
    if options.json:
        print_json(found)
        return OK
    pairs = zip(found.meetings, found.median, strict=False)
    rows = [[str(met.step), number(met.loss), number(median)] for met, median in pairs]
    print(table(["STEP", "LOSS", "MEDIAN ROW"], rows))
    return OK


def _ranking(client: Any, uid: str, options: argparse.Namespace) -> int:
    found = client.ranking(uid, options.kind, options.most)
    if options.exclude is not None:
        return _exclude(client, uid, found.rows, options)
    if options.json:
        print_json(found)
        return OK
    say(found.definition)
    if found.meetings < 2:
        say("The rows were met only once: nothing can be said about their courses.")
    if not found.rows:
        print("None.")
        return OK
    texts = _texts(client, uid, [row.key for row in found.rows])
    print(table(["ROW", "FIRST", "LAST", "MET", "WHY", "TEXT"], [_ranked(row, texts) for row in found.rows]))
    if found.total > len(found.rows):
        say(f"{len(found.rows)} of {found.total}; --most shows more.")
    return OK


def _ranked(row: RankedRow, texts: dict[str, str]) -> list[str]:
    why = WHY[row.why] + (f" ({row.group})" if row.group else f" (meeting {row.at})" if row.at else "")
    place = _place(row.key)
    return [place, number(row.first), number(row.last), str(row.meetings), why, texts.get(place, "")]


def _exclude(client: Any, uid: str, rows: list[RankedRow], options: argparse.Namespace) -> int:
    from engine.client.exclusion import exclude
    from engine.contract.config_file import to_yaml
    from engine.contract.durable import write_durably
    from engine.contract.errors import Conflict

    if not rows:
        say("There are no such rows.")
        return USAGE
    if options.exclude.exists():
        raise Conflict("config.file_exists", file=str(options.exclude))
    config = exclude(client, uid, [row.key for row in rows])
    write_durably(options.exclude.absolute(), to_yaml(config).encode())
    versions = [source.version for source in config.data.train if source.hub == "library"]
    if options.json:
        print_json({"file": str(options.exclude.absolute()), "rows": len(rows), "versions": versions})
    else:
        print(f"Excluded {len(rows)} rows. `forge run {options.exclude}` starts the run without them.")
    return OK


def _place(key: RowKey) -> str:
    return f"{key.source + 1}:{key.line}"


def _texts(client: Any, uid: str, keys: list[RowKey]) -> dict[str, str]:
    """What the rows say, where their dataset can be read; the table stands without it, too."""
    from engine.contract.errors import UserError
    from engine.contract.exclusion import by_source
    from engine.contract.forensics_api import RowTexts

    sources = client.run(uid).spec.job.data.train
    found = dict[str, str]()
    for place, lines in by_source(keys, len(sources)).items():
        try:
            answer = client.row_texts(RowTexts(source=sources[place], lines=lines, most=200))
        except UserError as error:
            say(error.what)
            continue
        for row in answer.rows:
            found[f"{place + 1}:{row.line}"] = " ".join(f"{row.prompt} → {row.answer}".split())[:SHOWN]
    return found
