"""Routes about datasets of the library: lists, changes, deletions, and the rows of their versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from engine.contract.datasets import (
    CheckKind,
    DatasetDetail,
    DatasetPage,
    DatasetView,
    EditDataset,
    ProblemPage,
    RowPage,
    VersionDiff,
)
from engine.contract.errors import UserError
from engine.control.api import files
from engine.control.api.context import Ctx, Key
from engine.control.jobs.requests import Request
from engine.control.store import datasets

if TYPE_CHECKING:
    from engine.control.jobs.dataset_desk import Shelf
    from engine.control.store.dataset_folder import Folder

router = APIRouter()
MAX_ROWS = 500
Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=0, le=MAX_ROWS)]
Text = Annotated[str, Query(max_length=1000)]


@router.get("/datasets")
async def list_datasets(
    context: Ctx,
    search: Text = "",
    sort: str = "changed",
    descending: bool = True,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=0, le=datasets.MAX_PAGE)] = 100,
) -> DatasetPage:
    """One page of datasets."""
    if sort not in datasets.SORTS:
        raise UserError("dataset.sort", sort=sort, choices=", ".join(datasets.SORTS))
    desk = context.controller.datasets
    return await desk.page(search=search, sort=sort, descending=descending, offset=offset, limit=limit)


@router.get("/datasets/{uid}")
async def detail(context: Ctx, uid: str, version: int | None = None) -> DatasetDetail:
    """Everything about one, by its id or its name."""
    return await context.controller.datasets.detail(uid, version)


@router.patch("/datasets/{uid}")
async def edit(context: Ctx, uid: str, body: EditDataset, key: Key = None) -> DatasetView:
    """Another name, notes, tags."""
    request = Request("dataset_edit", key=key, target=uid, body=body.model_dump_json(exclude_none=True))
    return await context.controller.datasets.edit(uid, body, request)


@router.delete("/datasets/{uid}", status_code=204)
async def delete(context: Ctx, uid: str, key: Key = None) -> None:
    """Forget a dataset with all its versions."""
    await context.controller.datasets.delete(uid, None, Request("dataset_delete", key=key, target=uid))


@router.delete("/datasets/{uid}/versions/{n}", status_code=204)
async def delete_version(context: Ctx, uid: str, n: int, key: Key = None) -> None:
    """Forget one version."""
    request = Request("dataset_delete", key=key, target=uid, body=str(n))
    await context.controller.datasets.delete(uid, n, request)


@router.get("/datasets/{uid}/versions/{n}/rows")
async def rows(
    context: Ctx, uid: str, n: int, offset: Offset = 0, limit: Limit = 100, search: Text = "", problem: str = ""
) -> RowPage:
    """Rows as they were kept: all, those that hold a text, those with a problem of a kind."""
    if problem:
        _refuse_kind(problem)

    def read(shelf: Shelf, folder: Folder) -> RowPage:
        from engine.control.store import dataset_rows

        return dataset_rows.page(folder, shelf.searches, offset=offset, limit=limit, search=search, problem=problem)

    return await context.controller.datasets.look(uid, n, read)


@router.get("/datasets/{uid}/versions/{n}/problems")
async def problems(
    context: Ctx, uid: str, n: int, kind: str = "", severity: str = "", offset: Offset = 0, limit: Limit = 100
) -> ProblemPage:
    """What is wrong with rows, those that were not kept among them."""
    if kind:
        _refuse_kind(kind)

    def read(_shelf: Shelf, folder: Folder) -> ProblemPage:
        from engine.control.store import dataset_rows

        return dataset_rows.problem_page(folder, kind=kind, severity=severity, offset=offset, limit=limit)

    return await context.controller.datasets.look(uid, n, read)


@router.get("/datasets/{uid}/versions/{n}/problems/export")
async def export_problems(context: Ctx, uid: str, n: int, kind: str = "", severity: str = "") -> StreamingResponse:
    """All of them as a CSV file."""

    def read(_shelf: Shelf, folder: Folder) -> Iterator[bytes]:
        from engine.control.store import dataset_rows

        return dataset_rows.problems_csv(folder, kind, severity)

    return await _stream(context, uid, n, read, "problems.csv", "text/csv; charset=utf-8")


@router.get("/datasets/{uid}/versions/{n}/export")
async def export_rows(context: Ctx, uid: str, n: int) -> StreamingResponse:
    """All rows as JSONL."""

    def read(_shelf: Shelf, folder: Folder) -> Iterator[bytes]:
        from engine.control.store import dataset_rows

        return dataset_rows.jsonl(folder)

    return await _stream(context, uid, n, read, "jsonl", "application/x-ndjson")


@router.get("/datasets/{uid}/diff")
async def diff(
    context: Ctx,
    uid: str,
    before: int,
    after: int,
    kind: Literal["", "added", "removed", "changed"] = "",
    offset: Offset = 0,
    limit: Limit = 100,
) -> VersionDiff:
    """What differs between two versions."""

    def read(shelf: Shelf, old: Folder, new: Folder) -> VersionDiff:
        from engine.control.store import dataset_diff

        return dataset_diff.page(shelf.differences, old, new, (before, after), kind=kind, offset=offset, limit=limit)

    return await context.controller.datasets.compare(uid, before, after, read)


async def _stream(
    context: Ctx, uid: str, n: int, read: Callable[[Shelf, Folder], Iterator[bytes]], end: str, media: str
) -> StreamingResponse:
    """A file that is made while it is sent. All of a version is open before the first byte: who deletes it meanwhile
    takes nothing away from whoever reads."""
    name = (await context.controller.datasets.detail(uid, n)).dataset.name

    def begin(shelf: Shelf, folder: Folder) -> tuple[Iterator[bytes], int]:
        return read(shelf, folder), folder.rows

    pieces, count = await context.controller.datasets.look(uid, n, begin)
    headers = {"Content-Disposition": files.disposition(f"{name}-{n}.{end}"), "X-Rows": str(count)}
    return StreamingResponse(pieces, media_type=media, headers=headers)


def _refuse_kind(kind: str) -> None:
    if kind not in get_args(CheckKind):
        raise UserError("dataset.problem_kind", kind=kind, choices=", ".join(get_args(CheckKind)))
