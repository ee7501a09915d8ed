"""`forge data list`, `show`, `rows`, `problems`, `diff`: what is in the library."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.exits import OK
from engine.cli.models import size
from engine.cli.output import moment, print_json, table
from engine.contract.errors import NotFound, UserError

if TYPE_CHECKING:
    from engine.client.client import ControllerClient
    from engine.contract.datasets import RowProblem

SORTS = ("name", "changed", "created", "rows", "bytes", "tokens", "versions", "used_by", "health")
SHOWN = 300


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    listing = commands.add_parser("list", parents=[common], help="datasets of the library")
    listing.add_argument("search", nargs="?", default="", help="words of name, tags or notes")
    listing.add_argument("--sort", choices=SORTS, default="changed")
    listing.add_argument("--limit", type=int, default=100)
    listing.set_defaults(work=show_list)
    one = commands.add_parser("show", parents=[common], help="a dataset: its versions, and who learned from it")
    add_dataset_argument(one)
    one.add_argument("--version", type=int, help="whose details; without it, the newest's")
    one.set_defaults(work=show)
    rows = commands.add_parser("rows", parents=[common], help="rows as they were kept")
    _add_page(rows)
    rows.add_argument("--search", default="", help="only rows that hold this text")
    rows.add_argument("--problem", default="", metavar="KIND", help="only rows with such a problem")
    rows.set_defaults(work=show_rows)
    problems = commands.add_parser("problems", parents=[common], help="what is wrong with rows, and what to do")
    _add_page(problems)
    problems.add_argument("--kind", default="", help="only problems of this kind")
    problems.add_argument("--severity", choices=("refused", "warning", "note"), default="")
    problems.add_argument("--csv", type=Path, metavar="FILE", help="write all of them to a file")
    problems.set_defaults(work=show_problems)
    diff = commands.add_parser("diff", parents=[common], help="what differs between two versions")
    add_dataset_argument(diff)
    diff.add_argument("before", type=int, nargs="?", help="without it, the one before the newest")
    diff.add_argument("after", type=int, nargs="?", help="without it, the newest")
    diff.add_argument("--kind", choices=("added", "removed", "changed"), default="")
    diff.add_argument("--limit", type=int, default=20)
    diff.add_argument("--offset", type=int, default=0)
    diff.set_defaults(work=show_diff)


def add_dataset_argument(command: argparse.ArgumentParser) -> None:
    """The argument DATASET."""
    command.add_argument("dataset", metavar="DATASET", help="its name or id")


def _add_page(command: argparse.ArgumentParser) -> None:
    add_dataset_argument(command)
    command.add_argument("--version", type=int, help="without it, the newest")
    command.add_argument("--offset", type=int, default=0)
    command.add_argument("--limit", type=int, default=20, help="at most 500")


def newest(client: ControllerClient, named: str, version: int | None) -> int:
    """The number of the version that is meant."""
    if version is not None:
        return version
    found = client.dataset(named).dataset
    if found.newest is None:
        raise NotFound("dataset.empty", dataset=found.name)
    return found.newest.n


def show_list(options: argparse.Namespace) -> int:
    """What is there."""
    from engine.cli.session import controller

    with controller() as client:
        page = client.datasets(options.search, options.sort, options.sort != "name", 0, options.limit)
    if options.json:
        print_json(page)
        return OK
    rows = []
    for one in page.datasets:
        new = one.newest
        facts = (f"{new.rows:,}", f"{new.refused:,}", size(new.bytes), new.format) if new else ("–", "–", "–", "–")
        state = "importing" if one.importing else "files missing" if new and not new.present else ""
        rows.append((one.name, str(one.versions), *facts, str(one.used_by), moment(one.changed), state))
    if rows:
        print(table(("DATASET", "VERSIONS", "ROWS", "REFUSED", "SIZE", "FORMAT", "USED BY", "CHANGED", ""), rows))
    print(f"{len(rows)} of {page.total} datasets")
    return OK


def show(options: argparse.Namespace) -> int:
    """Everything about one."""
    from engine.cli.session import controller

    with controller() as client:
        detail = client.dataset(options.dataset, options.version)
    if options.json:
        print_json(detail)
        return OK
    one = detail.dataset
    print(f"{one.name}  ({one.uid})" + (f"  importing: {one.importing}" if one.importing else ""))
    if one.tags or one.notes:
        print(" ".join(filter(None, (", ".join(one.tags), one.notes))))
    rows = [
        (
            str(version.n), version.hash[:12], (version.parent or "")[:12], f"{version.rows:,}", f"{version.refused:,}",
            size(version.bytes), version.format, str(version.used_by), moment(version.created),
            "" if version.present else "files missing",
        )
        for version in detail.versions
    ]  # fmt: skip
    if rows:
        head = ("VERSION", "FINGERPRINT", "FROM", "ROWS", "REFUSED", "SIZE", "FORMAT", "USED BY", "MADE", "")
        print(table(head, rows))
    if detail.manifest is not None:
        found = detail.manifest
        for kind, count in sorted(found.problems.items(), key=lambda pair: -pair[1]):
            print(f"  {kind.replace('_', ' ')}: {count:,}")
        print("columns: " + ", ".join(f"{column.name} ({column.kind})" for column in found.columns[:40]))
    for used in detail.runs[:20]:
        print(f"  version {used.version}: {used.name} ({used.run}), {used.state}")
    return OK


def show_rows(options: argparse.Namespace) -> int:
    """A page of rows."""
    from engine.cli.session import controller

    with controller() as client:
        n = newest(client, options.dataset, options.version)
        page = client.dataset_rows(
            options.dataset, n, options.offset, options.limit, options.search, options.problem
        )  # fmt: skip
    if options.json:
        print_json(page)
        return OK
    for row in page.rows:
        marks = f"  [{', '.join(row.problems)}]" if row.problems else ""
        print(f"{row.row:>8}  {row.content if len(row.content) <= SHOWN else row.content[:SHOWN] + ' …'}{marks}")
    print(f"{len(page.rows)} of {page.total:,} rows" + ("" if page.complete else " found so far"))
    return OK


def show_problems(options: argparse.Namespace) -> int:
    """A page of problems, or all of them into a file."""
    from engine.cli.session import controller

    with controller() as client:
        n = newest(client, options.dataset, options.version)
        if options.csv is not None:
            return _write_csv(client, n, options)
        page = client.dataset_problems(
            options.dataset, n, options.kind, options.severity, options.offset, options.limit
        )  # fmt: skip
    if options.json:
        print_json(page)
        return OK
    for problem in page.problems:
        print(problem_text(problem))
    for kind, count in sorted(page.counts.items(), key=lambda pair: -pair[1]):
        print(f"{kind.replace('_', ' ')}: {count:,}")
    print(f"{len(page.problems)} of {page.total:,} problems")
    return OK


def problem_text(problem: RowProblem) -> str:
    """One problem for people: where, what, and what to do."""
    said = UserError(problem.code, **problem.params)
    text = " ".join(part for part in (said.what, said.why, said.fix) if part)
    place = f"{problem.file}:{problem.line}" if problem.file else f"line {problem.line}"
    column = f" {problem.column}" if problem.column else ""
    excerpt = f"\n      {problem.excerpt[:SHOWN]}" if problem.excerpt else ""
    return f"  {place}{column} [{problem.kind}] {text}{excerpt}"


def show_diff(options: argparse.Namespace) -> int:
    """What differs."""
    from engine.cli.session import controller

    with controller() as client:
        before, after = options.before, options.after
        if before is None or after is None:
            versions = [one.n for one in client.dataset(options.dataset).versions]
            after = after if after is not None else versions[0] if versions else 0
            older = [n for n in versions if n < after]
            before = before if before is not None else older[0] if older else after
        found = client.dataset_diff(options.dataset, before, after, options.kind, options.offset, options.limit)
    if options.json:
        print_json(found)
        return OK
    print(
        f"version {found.before} → {found.after}: {found.added:,} added, {found.removed:,} removed, "
        f"{found.changed:,} changed, {found.same:,} the same" + (", read otherwise" if found.format_changed else "")
    )
    for change in found.rows:
        if change.before is not None:
            print(f"- {change.before.content[:SHOWN]}")
        if change.after is not None:
            print(f"+ {change.after.content[:SHOWN]}")
    return OK


def _write_csv(client: ControllerClient, n: int, options: argparse.Namespace) -> int:
    from engine.cli.data_change import written

    with written(options.csv) as write:
        client.export_problems(options.dataset, n, write, options.kind, options.severity)
    if options.json:
        print_json({"file": str(options.csv.absolute())})
    else:
        print(f"Wrote {options.csv}.")
    return OK
