"""The part of a replay about datasets: a library in memory, whose rows can be paged, searched, compared."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.client.download import Tell
from engine.contract.datasets import (
    DatasetDetail,
    DatasetPage,
    DatasetView,
    EditDataset,
    Manifest,
    ProblemPage,
    RowChange,
    RowPage,
    RowProblem,
    RowView,
    UploadView,
    UsedBy,
    VersionDiff,
    VersionView,
)
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.ids import new_id
from engine.contract.stream import DatasetChanged, DatasetRemoved, StreamMessage
from forge_desktop.bridge.backend_datasets import Progress
from forge_desktop.bridge.dataset_files import write_lines


@dataclass
class Kept:
    """A version in memory."""

    view: VersionView
    manifest: Manifest
    rows: list[RowView]
    problems: list[RowProblem] = field(default_factory=list)


@dataclass
class Shelf:
    """A dataset in memory."""

    view: DatasetView
    versions: list[Kept] = field(default_factory=list)
    runs: list[UsedBy] = field(default_factory=list)

    def version(self, n: int | None) -> Kept:
        """One of its versions, the newest without a number."""
        found = next((kept for kept in reversed(self.versions) if n is None or kept.view.n == n), None)
        if found is None:
            raise NotFound("request.invalid", detail=f"version {n}")
        return found


def rows_of(contents: list[dict[str, Any]], file: str = "rows.jsonl") -> list[RowView]:
    """Rows with fingerprints, as an import makes them."""
    found = []
    for place, content in enumerate(contents):
        text = json.dumps(content, ensure_ascii=False)
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        found.append(RowView(row=place, file=file, line=place + 1, hash=digest, content=text))
    return found


class ReplayDatasets:
    """Keeps datasets in memory; `add_dataset` and `add_version` let imports have happened."""

    def __init__(self) -> None:
        super().__init__()
        self.shelves: dict[str, Shelf] = {}
        """By uid."""
        self.needed_by: dict[str, str] = {}
        """Uid of a dataset to the name of the run that needs it; deleting is refused."""
        self.datasets_error: UserError | None = None
        self.data_answers: dict[str, Any] = {}
        """What helper queries about data answer, by kind: a dict, or a function of the parameters."""
        self.uploaded: list[Path] = []
        self.export_breaks: int | None = None
        """So many rows come, and no more."""

    def _answer(self) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def _tell(self, message: StreamMessage) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def add_dataset(self, name: str, created: float = 0.0, **values: Any) -> str:
        """A dataset without a version yet; its uid."""
        view = DatasetView(uid=new_id(), name=name, created=created, changed=created, **values)
        self.shelves[view.uid] = Shelf(view)
        self._tell(DatasetChanged(dataset=view))
        return view.uid

    def add_version(self, uid: str, manifest: Manifest, rows: list[RowView], problems: list[RowProblem] | None = None,
                    **values: Any) -> int:  # fmt: skip
        """Another version; its number."""
        shelf = self.shelves[uid]
        n = len(shelf.versions) + 1
        view = VersionView(
            n=n, hash=manifest.hash, parent=manifest.parent, created=manifest.created, rows=manifest.rows,
            refused=manifest.refused, problems=manifest.problems, bytes=manifest.bytes, format=manifest.format,
            **values,
        )  # fmt: skip
        shelf.versions.append(Kept(view, manifest, rows, problems or []))
        self._change(uid, versions=n, newest=view, changed=max(shelf.view.changed, manifest.created), importing="")
        return n

    def use_dataset(self, uid: str, run: UsedBy) -> None:
        """Let a run have learned from it."""
        shelf = self.shelves[uid]
        shelf.runs.append(run)
        self._change(uid, used_by=len(shelf.runs))

    def change_dataset(self, uid: str, **values: Any) -> None:
        """Let something happen to one: an import that began."""
        self._change(uid, **values)

    def _change(self, uid: str, **values: Any) -> DatasetView:
        shelf = self.shelves[uid]
        shelf.view = shelf.view.model_copy(update=values)
        self._tell(DatasetChanged(dataset=shelf.view))
        return shelf.view

    def _shelf(self, uid: str) -> Shelf:
        self._answer()
        if uid not in self.shelves:
            raise NotFound("request.invalid", detail=uid)
        return self.shelves[uid]

    def datasets(self, search: str, sort: str, descending: bool, offset: int, limit: int) -> DatasetPage:
        """As the controller does."""
        self._answer()
        if self.datasets_error is not None:
            raise self.datasets_error
        words = search.casefold().split()
        found = [
            shelf.view
            for shelf in self.shelves.values()
            if all(word in " ".join((shelf.view.name, *shelf.view.tags)).casefold() for word in words)
        ]
        found.sort(key=lambda view: _rank(view, sort), reverse=descending)
        return DatasetPage(datasets=found[offset : offset + limit], total=len(found))

    def dataset(self, uid: str, version: int | None = None) -> DatasetDetail:
        """As the controller does."""
        shelf = self._shelf(uid)
        versions = [kept.view for kept in reversed(shelf.versions)]
        manifest = shelf.version(version).manifest if shelf.versions else None
        return DatasetDetail(dataset=shelf.view, versions=versions, manifest=manifest, runs=shelf.runs)

    def edit_dataset(self, uid: str, change: EditDataset) -> DatasetView:
        """As the controller does."""
        self._shelf(uid)
        return self._change(uid, **change.model_dump(exclude_none=True))

    def delete_dataset(self, uid: str, version: int | None = None) -> None:
        """As the controller does."""
        shelf = self._shelf(uid)
        if uid in self.needed_by:
            raise Conflict("hub.in_use", path=shelf.view.name, run=self.needed_by[uid])
        if version is not None:
            shelf.versions = [kept for kept in shelf.versions if kept.view.n != version]
            newest = shelf.versions[-1].view if shelf.versions else None
            self._change(uid, versions=len(shelf.versions), newest=newest)
            return
        del self.shelves[uid]
        self._tell(DatasetRemoved(uid=uid))

    def dataset_rows(
        self, uid: str, version: int, offset: int, limit: int, search: str = "", problem: str = ""
    ) -> RowPage:
        """As the controller does."""
        kept = self._shelf(uid).version(version)
        marked: dict[int, list[str]] = {}
        for one in kept.problems:
            if one.row is not None:
                marked.setdefault(one.row, []).append(one.kind)
        rows = [row.model_copy(update={"problems": marked.get(row.row, [])}) for row in kept.rows]
        rows = [row for row in rows if search.casefold() in row.content.casefold()]
        rows = [row for row in rows if not problem or problem in row.problems]
        return RowPage(rows=rows[offset : offset + limit], offset=offset, total=len(rows))

    def dataset_problems(
        self, uid: str, version: int, kind: str, severity: str, offset: int, limit: int
    ) -> ProblemPage:
        """As the controller does."""
        kept = self._shelf(uid).version(version)
        found = [one for one in kept.problems if kind in ("", one.kind) and severity in ("", one.severity)]
        return ProblemPage(
            problems=found[offset : offset + limit], offset=offset, total=len(found), counts=kept.manifest.problems
        )

    def dataset_diff(self, uid: str, before: int, after: int, kind: str, offset: int, limit: int) -> VersionDiff:
        """As the controller does."""
        shelf = self._shelf(uid)
        old, new = shelf.version(before), shelf.version(after)
        there, here = {row.hash for row in old.rows}, {row.hash for row in new.rows}
        gone = {(row.file, row.line): row for row in old.rows if row.hash not in here}
        changes = list[RowChange]()
        for row in new.rows:
            if row.hash not in there:
                was = gone.pop((row.file, row.line), None)
                changes.append(RowChange(kind="changed" if was else "added", before=was, after=row))
        changes += [RowChange(kind="removed", before=row) for row in gone.values()]
        counts = {name: sum(change.kind == name for change in changes) for name in ("added", "removed", "changed")}
        shown = [change for change in changes if kind in ("", change.kind)]
        return VersionDiff(
            before=before, after=after, same=sum(row.hash in there for row in new.rows), **counts,
            rows=shown[offset : offset + limit], format_changed=old.manifest.format != new.manifest.format,
        )  # fmt: skip

    def export_dataset(self, uid: str, version: int, rows: int, file: Path, tell: Tell) -> int:
        """As the controller does; `export_breaks` ends it early."""
        kept = self._shelf(uid).version(version).rows[: self.export_breaks]
        lines = [f"{row.content}\n".encode() for row in kept]
        return write_lines(file, lambda take: [take(line) for line in lines], rows, tell)

    def export_problems(self, uid: str, version: int, kind: str, problems: int, file: Path, tell: Tell) -> int:
        """As the controller does."""
        kept = self._shelf(uid).version(version)
        found = [one for one in kept.problems if kind in ("", one.kind)]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("file", "line", "kind", "severity", "excerpt"))
        table.writerows((one.file, one.line, one.kind, one.severity, one.excerpt) for one in found)
        data = text.getvalue().encode()
        return write_lines(file, lambda take: take(data), problems, tell, exact=False)

    def upload(self, path: Path, progress: Progress) -> UploadView:
        """As the controller does, at once."""
        self._answer()
        size = path.stat().st_size
        progress(size, size)
        self.uploaded.append(path)
        return UploadView(uid=new_id(), name=path.name, bytes=size, received=size, complete=True)

    def about_data(self, kind: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """What a helper query about data answers; None where nothing was put there."""
        found = self.data_answers.get(kind)
        answer: dict[str, Any] | None = found(params) if callable(found) else found
        return answer


def _rank(view: DatasetView, sort: str) -> tuple[bool, Any]:
    newest = view.newest
    values: dict[str, Any] = {
        "name": view.name.casefold(), "changed": view.changed, "rows": newest and newest.rows,
        "tokens": newest and newest.tokens, "bytes": newest and newest.bytes, "format": newest and newest.format,
        "health": newest and (newest.refused, sum(newest.problems.values())), "versions": view.versions,
        "used_by": view.used_by,
    }  # fmt: skip
    value = values.get(sort, view.changed)
    return value is not None, value if value is not None else 0
