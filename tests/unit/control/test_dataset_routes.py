"""The routes of the library: what is refused and how, files that are made while they are sent, uploads in pieces."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from engine.contract.errors import ErrorBody
from engine.control.jobs import upload_desk
from engine.control.jobs.upload_desk import clean_name
from tests.helpers.controller import Bench
from tests.helpers.dataset_folders import problem, register, write_version
from tests.unit.control.test_api import api

Work = Callable[[httpx.AsyncClient], Awaitable[Any]]


def with_library(bench: Bench, work: Work) -> Any:
    """Do something with a controller whose library has one dataset of two versions."""

    async def main() -> Any:
        async with api(bench) as client:
            first = write_version(bench.home, ['{"text": "a"}'], problems=[problem("malformed", 2, excerpt="=1")])
            register(bench.database, "数据 one", first)
            register(bench.database, "数据 one", write_version(bench.home, ['{"text": "b"}']))
            return await work(client)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/datasets?sort=colour", 400, "dataset.sort"),
        ("GET", "/datasets?limit=1001", 422, "request.refused"),
        ("GET", "/datasets/nothing", 404, "dataset.unknown"),
        ("GET", "/datasets/数据 on", 404, "dataset.unknown_near"),
        ("GET", "/datasets/数据 one?version=3", 404, "dataset.no_version"),
        ("GET", "/datasets/数据 one/versions/3/rows", 404, "dataset.no_version"),
        ("GET", "/datasets/数据 one/versions/1/rows?offset=-1", 422, "request.refused"),
        ("GET", "/datasets/数据 one/versions/1/rows?limit=501", 422, "request.refused"),
        ("GET", "/datasets/数据 one/versions/1/rows?problem=odd", 400, "dataset.problem_kind"),
        ("GET", "/datasets/数据 one/versions/1/problems?kind=odd", 400, "dataset.problem_kind"),
        ("GET", "/datasets/数据 one/diff?before=1", 422, "request.refused"),
        ("GET", "/datasets/数据 one/diff?before=1&after=9", 404, "dataset.no_version"),
        ("DELETE", "/datasets/数据 one/versions/7", 404, "dataset.no_version"),
        ("GET", "/uploads/nothing", 404, "upload.unknown"),
        ("PUT", "/uploads/nothing?offset=0", 404, "upload.unknown"),
        ("PUT", "/uploads/nothing", 422, "request.refused"),
        ("DELETE", "/uploads/nothing", 404, "upload.unknown"),
    ],
)
def test_that_what_cannot_be_is_refused_in_words(bench: Bench, method: str, path: str, status: int, code: str) -> None:
    answer = with_library(bench, lambda client: client.request(method, path))
    assert (answer.status_code, ErrorBody.model_validate_json(answer.content).code) == (status, code)


def test_that_files_are_named_and_counted(bench: Bench) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.get("/datasets/数据 one/versions/1/export"),
            await client.get("/datasets/数据 one/versions/1/problems/export?severity=refused"),
            await client.get("/datasets/数据 one/diff?before=1&after=2"),
        ]

    rows, problems, diff = with_library(bench, work)
    assert rows.text == '{"text": "a"}\n'
    assert rows.headers["X-Rows"] == "1"
    assert "%E6%95%B0%E6%8D%AE%20one-1.jsonl" in rows.headers["Content-Disposition"]
    assert problems.text.count("\r\n") == 2
    assert ",'=1\r\n" in problems.text
    assert (diff.json()["changed"], diff.json()["same"]) == (1, 0)


async def broken(data: bytes) -> AsyncIterator[bytes]:
    """A line that breaks behind some bytes."""
    yield data
    raise ClientDisconnect


def test_that_what_came_before_a_break_counts(bench: Bench) -> None:
    data = bytes(range(256)) * 100

    async def work(client: httpx.AsyncClient) -> Any:
        sha256 = hashlib.sha256(data).hexdigest()
        made = (await client.post("/uploads", json={"name": "x.csv", "bytes": len(data), "sha256": sha256})).json()
        path = f"/uploads/{made['uid']}"
        await client.put(f"{path}?offset=0", content=broken(data[:1000]))
        assert (await client.get(path)).json()["received"] == 1000
        assert (await client.put(f"{path}?offset=0", content=data)).json()["params"]["received"] == 1000
        done = (await client.put(f"{path}?offset=1000", content=data[1000:])).json()
        assert (done["received"], done["complete"]) == (len(data), True)
        again = await client.put(f"{path}?offset={len(data)}", content=b"")
        assert again.json()["code"] == "upload.finished"
        known = (await client.post("/uploads", json={"name": "x.csv", "bytes": len(data), "sha256": sha256})).json()
        assert known == done
        assert (await client.delete(path)).status_code == 204
        return bench.home.upload(made["uid"]).exists()

    assert not with_library(bench, work)


def test_that_an_upload_that_was_whole_when_its_controller_died_is_finished(bench: Bench) -> None:
    async def work(client: httpx.AsyncClient) -> Any:
        made = (await client.post("/uploads", json={"name": "x.csv", "bytes": 3})).json()
        folder = bench.home.upload(made["uid"])
        (folder / upload_desk.PART).unlink()
        (folder / "x.csv").write_bytes(b"abc")  # renamed, and the row not written
        await bench.database.write(lambda t: t.execute("UPDATE upload SET received = 3"))
        done = (await client.put(f"/uploads/{made['uid']}?offset=3", content=b"")).json()
        return done["complete"], (folder / "x.csv").read_bytes()

    assert with_library(bench, work) == (True, b"abc")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.jsonl", "a.jsonl"), ("../../a.jsonl", "a.jsonl"), ("C:\\dir\\a.csv", "a.csv"), ("/etc/passwd", "passwd"),
        (".hidden", "hidden"), ("数据.jsonl", "数据.jsonl"), ("a/b/", "b"),
        ("长" * 100 + ".jsonl", "长" * 64 + ".jsonl"),
    ],
)  # fmt: skip
def test_that_a_name_never_leads_out_of_its_folder(name: str, clean: str) -> None:
    assert clean_name(name) == clean
