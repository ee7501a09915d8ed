"""The library of datasets in a controller: versions an import makes, versions runs mean, what may go and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.contract.api import EditRun
from engine.contract.datasets import MANIFEST, EditDataset
from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.contract.nodes import Transfer
from engine.contract.paths import HOME_VARIABLE
from engine.contract.run_spec import RunSpec
from engine.contract.stream import DatasetChanged, DatasetRemoved
from engine.control.jobs import dataset_files
from engine.control.jobs.requests import Request
from engine.control.store import datasets
from engine.control.store.database import Database
from tests.helpers.controller import Bench, make_files
from tests.helpers.dataset_folders import register, write_version


@pytest.fixture(autouse=True)
def named_home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller of this process is one whose home the environment names, as a real one is."""
    monkeypatch.setenv(HOME_VARIABLE, str(bench.home.root))


def import_spec(dataset: str, source: dict[str, Any], **more: Any) -> RunSpec:
    job = {"kind": "import", "dataset": dataset, "source": source, **more}
    return RunSpec.model_validate({"name": f"import {dataset}", "job": job})


def train_spec(folder: Path, name: str = "a run", **source: Any) -> RunSpec:
    model, _data = make_files(folder)
    data = {"train": [{"hub": "library", **source}]}
    return RunSpec.model_validate({"name": name, "job": {"kind": "train", "model": {"path": str(model)}, "data": data}})


async def start(bench: Bench, spec: RunSpec, now: bool = True) -> str:
    return (await bench.controller.create(spec, now, Request("create"))).uid


async def run_import(bench: Bench, name: str, contents: list[str], **more: Any) -> tuple[str, str]:
    """An import whose worker is pretended; the run and the fingerprint it made."""
    rows = bench.folder / "given.jsonl"
    rows.write_text("{}\n")
    uid = await start(bench, import_spec(name, {"place": str(rows)}, **more))
    worker = await bench.worker(uid)
    manifest = await asyncio.to_thread(write_version, bench.home, contents)
    worker.play({"kind": "started", "pid": 1})
    line = {"hash": manifest.hash, "rows": manifest.rows, "refused": 1, "bytes": manifest.bytes, "format": "text"}
    worker.play({"kind": "dataset", **line, "problems": {"malformed": 1}, "manifest_sha256": "0" * 64})
    worker.play({"kind": "ended", "state": "completed", "reason": "finished"})
    worker.end(0)
    await bench.until(uid, "completed")
    return uid, manifest.hash


async def refused(bench: Bench, spec: RunSpec) -> dict[str, Any]:
    with pytest.raises(Refused) as error:
        await start(bench, spec)
    return {problem.field: (problem.code, problem.params) for problem in error.value.problems}  # the last of each


def test_that_an_import_becomes_a_version_in_the_transaction_that_takes_its_line_in(bench: Bench) -> None:
    asyncio.run(_imports(bench))


async def _imports(bench: Bench) -> None:
    async with bench.running():
        heard: list[Any] = []
        listen, publish = bench.database.on_commit, heard.extend
        bench.database.on_commit = lambda news: (publish(news), listen(news))[1]
        first, one = await run_import(bench, "Alpha", ["a", "b"])
        page = await bench.controller.datasets.page()
        assert page.total == 1
        shown = page.datasets[0]
        assert (shown.name, shown.versions, shown.importing) == ("Alpha", 1, "")
        assert shown.newest is not None
        assert (shown.newest.hash, shown.newest.n, shown.newest.rows, shown.newest.run) == (one, 1, 2, first)
        assert shown.newest.present
        assert [news.dataset.versions for news in heard if isinstance(news, DatasetChanged)] == [1]
        same, _ = await run_import(bench, "ALPHA ", ["a", "b"])
        codes = [row["body"] for row in bench.fetch("SELECT body FROM event WHERE kind = 'note'")]
        assert any(json.loads(body)["code"] == "dataset.unchanged" for body in codes)
        _, two = await run_import(bench, "alpha", ["a", "c"])
        detail = await bench.controller.datasets.detail("Alpha")
        assert [(one.n, one.hash) for one in detail.versions] == [(2, two), (1, one)]
        assert detail.manifest is not None
        assert detail.manifest.hash == two
        told = bench.fetch("SELECT body FROM event WHERE kind = 'dataset' ORDER BY cursor")
        assert [(json.loads(row["body"])["version"], json.loads(row["body"])["new"]) for row in told] == [
            (1, True), (1, False), (2, True),
        ]  # fmt: skip
        edges = bench.fetch("SELECT role, lineage.kind, hash FROM lineage JOIN run ON id = run_id WHERE uid = ?", same)
        assert ("output", "dataset", one) in [tuple(row) for row in edges]
        row = await bench.row(first)
        assert (row["lane"], row["dataset"], row["method"], row["node"]) == ("cpu", "Alpha", "import", "local")


def test_that_an_attempt_that_says_it_again_makes_no_second_version(bench: Bench) -> None:
    asyncio.run(_said_twice(bench))


async def _said_twice(bench: Bench) -> None:
    async with bench.running():
        rows = bench.folder / "given.jsonl"
        rows.write_text("{}\n")
        manifest = write_version(bench.home, ["a"])
        uid = await start(bench, import_spec("alpha", {"place": str(rows)}))
        line = {"hash": manifest.hash, "rows": 1, "bytes": 1, "format": "text", "manifest_sha256": "0"}
        worker = await bench.worker(uid)
        worker.play({"kind": "started", "pid": 1})
        worker.play({"kind": "dataset", **line})
        worker.end(None, signal=9)
        await bench.until(uid, "queued")
        await bench.controller.start(uid, Request("start"))  # at once, not after the wait of a retry
        worker = await bench.worker(uid, 2)
        worker.play({"kind": "started", "pid": 1})
        worker.play({"kind": "dataset", **line})
        worker.play({"kind": "ended", "state": "completed", "reason": "finished"})
        worker.end(0)
        await bench.until(uid, "completed")
        assert len(bench.fetch("SELECT 1 FROM dataset_version")) == 1
        codes = [json.loads(row["body"])["code"] for row in bench.fetch("SELECT body FROM event WHERE kind = 'note'")]
        assert "dataset.unchanged" not in codes


def test_that_a_run_gets_the_newest_version_and_keeps_it(bench: Bench) -> None:
    asyncio.run(_pins(bench))


def versions_of(bench: Bench, uid: str) -> list[str | None]:
    spec = json.loads(bench.fetch("SELECT spec FROM run_spec JOIN run ON id = run_id WHERE uid = ?", uid)[0]["spec"])
    return [source["version"] for source in spec["job"]["data"]["train"]]


async def _pins(bench: Bench) -> None:
    async with bench.running(slots={"gpu": 0}):
        one = write_version(bench.home, ["a"])
        register(bench.database, "Alpha", one)
        uid = await start(bench, train_spec(bench.folder, path="alpha"))
        assert versions_of(bench, uid) == [one.hash]
        edges = bench.fetch("SELECT hash, name FROM lineage WHERE role = 'input' AND kind = 'dataset'")
        assert [tuple(row) for row in edges] == [(one.hash, "Alpha")]
        two = write_version(bench.home, ["a", "b"])
        register(bench.database, "Alpha", two)
        copy = await bench.controller.copy(uid, Request("copy"))
        assert versions_of(bench, copy.uid) == [one.hash]
        for named, meant in (("1", one), ("v2", two), (two.hash[:8], two), (None, two), (one.hash, one)):
            found = await start(bench, train_spec(bench.folder, path="Alpha", version=named), now=False)
            assert versions_of(bench, found) == [meant.hash], named
        draft = await start(bench, train_spec(bench.folder, path="later"), now=False)
        assert versions_of(bench, draft) == [None]
        with pytest.raises(Refused):
            await bench.controller.start(draft, Request("start"))
        register(bench.database, "later", two)
        await bench.controller.start(draft, Request("start"))
        assert versions_of(bench, draft) == [two.hash]
        edited = EditRun(spec=train_spec(bench.folder, path="Alpha"))
        other = await start(bench, train_spec(bench.folder, path="later"), now=False)
        await bench.controller.edit(other, edited, Request("edit"))
        assert versions_of(bench, other) == [two.hash]
        detail = await bench.controller.datasets.detail("Alpha")
        assert detail.dataset.used_by == len(detail.runs) >= 3


def test_that_what_cannot_be_meant_is_refused_with_what_was_meant(bench: Bench) -> None:
    asyncio.run(_refusals(bench))


async def _refusals(bench: Bench) -> None:
    async with bench.running():
        one = write_version(bench.home, ["a"])
        register(bench.database, "Questions", one)
        found = await refused(bench, train_spec(bench.folder, path="Qestions"))
        assert found["data.train.0.path"] == ("config.dataset_near", {"value": "Qestions", "near": "Questions"})
        assert (await refused(bench, train_spec(bench.folder, path="xyz")))["data.train.0.path"][0] == (
            "config.dataset_unknown"
        )
        found = await refused(bench, train_spec(bench.folder, path="questions", version="7"))
        assert found["data.train.0.version"][0] == "config.dataset_version"
        assert one.hash[:12] in found["data.train.0.version"][1]["known"]
        shutil.rmtree(bench.home.dataset(one.hash))
        found = await refused(bench, train_spec(bench.folder, path="questions"))
        assert found["data.train.0.path"][0] == "config.dataset_gone"
        assert not (await bench.controller.datasets.page()).datasets[0].newest.present  # type: ignore[union-attr]
        elsewhere = import_spec("x", {"place": "/etc/hosts"})
        elsewhere = elsewhere.model_copy(update={"compute": elsewhere.compute.model_copy(update={"node": "far"})})
        assert (await refused(bench, elsewhere))["compute.node"][0] == "config.import_elsewhere"
        for source, field, code in (
            ({"kind": "upload", "place": "none"}, "source.place", "config.upload_unknown"),
            ({"kind": "version", "place": "0" * 64}, "source.place", "config.version_unknown"),
            ({"kind": "url", "place": "ftp://x/y.jsonl"}, "source.place", "config.import_address"),
            ({"place": "/no/such/file"}, "source.place", "config.path_missing"),
            ({"place": "relative"}, "source.place", "config.absolute_path"),
        ):
            assert (await refused(bench, import_spec("x", source)))[field][0] == code, source


def test_that_an_import_that_may_go_anywhere_works_here(bench: Bench) -> None:
    asyncio.run(_here(bench))


async def _here(bench: Bench) -> None:
    async with bench.running():
        await bench.add_node("far", gpus=2)
        spec = import_spec("x", {"place": "/etc/hosts"})
        spec = spec.model_copy(update={"compute": spec.compute.model_copy(update={"node": "auto"})})
        uid = await start(bench, spec)
        worker = await bench.worker(uid)
        assert (await bench.row(uid))["node"] == "local"
        with pytest.raises(Conflict, match=r"move\.import_stays"):
            await bench.controller.move_run(uid, "far", Request("move"))
        worker.end(0)
        await bench.until(uid, "completed")


def test_that_a_run_goes_where_its_version_lies_already(bench: Bench) -> None:
    asyncio.run(_data_there(bench))


async def _data_there(bench: Bench) -> None:
    async with bench.running():
        one = write_version(bench.home, ["a"])
        register(bench.database, "alpha", one)
        for name in ("near", "stocked"):
            await bench.add_node(name, gpus=1)
        told = Transfer(node="stocked", what=str(bench.home.dataset(one.hash)), state="done", total=7)
        await asyncio.to_thread(bench.controller._tell_transfer, told)
        spec = train_spec(bench.folder, path="alpha")
        spec = spec.model_copy(update={"compute": spec.compute.model_copy(update={"node": "auto"})})
        uid = await start(bench, spec)
        await bench.worker(uid)
        assert (await bench.row(uid))["node"] == "stocked"


def test_that_nothing_goes_that_a_run_needs(bench: Bench) -> None:
    asyncio.run(_deletes(bench))


async def _deletes(bench: Bench) -> None:
    async with bench.running(slots={"gpu": 0}):
        one, two = write_version(bench.home, ["a"]), write_version(bench.home, ["b"])
        for name, manifest in (("alpha", one), ("alpha", two), ("twin", one)):
            register(bench.database, name, manifest)
        desk = bench.controller.datasets
        uid = await start(bench, train_spec(bench.folder, "the needy", path="alpha", version="1"))
        with pytest.raises(Conflict, match=r"the needy") as error:
            await desk.delete("alpha", 1, Request("dataset_delete"))
        assert error.value.code == "dataset.needed"
        with pytest.raises(Conflict):
            await desk.delete("alpha", None, Request("dataset_delete"))
        await desk.delete("alpha", 2, Request("dataset_delete"))
        assert not bench.home.dataset(two.hash).exists()
        with pytest.raises(NotFound, match=r"dataset\.no_version"):
            await desk.delete("alpha", 2, Request("dataset_delete"))
        await bench.controller.stop(uid, True, Request("stop"))
        heard: list[Any] = []
        bench.database.on_commit = heard.extend
        await desk.delete("alpha", None, Request("dataset_delete"))
        assert [type(news) for news in heard] == [DatasetRemoved]
        assert bench.home.dataset(one.hash).exists()  # another dataset has the same content
        with pytest.raises(NotFound, match=r"dataset\.unknown"):
            await desk.detail("alpha")
        await desk.delete("twin", None, Request("dataset_delete"))
        assert not bench.home.dataset(one.hash).exists()
        register(bench.database, "alpha", write_version(bench.home, ["c"]))
        assert (await desk.detail("alpha")).versions[0].n == 1


def test_that_names_are_told_apart_and_changed(bench: Bench) -> None:
    asyncio.run(_names(bench))


async def _names(bench: Bench) -> None:
    async with bench.running(slots={"cpu": 0}):
        desk = bench.controller.datasets
        for name in ("Alpha", "beta", "Ünï cöde 数据"):
            register(bench.database, name, write_version(bench.home, [name]))
        with pytest.raises(Conflict, match=r"dataset\.name_taken"):
            await desk.edit("beta", EditDataset(name="ALPHA"), Request("dataset_edit"))
        changed = await desk.edit(
            "beta", EditDataset(name="Beta", tags=["math"], notes="日本"), Request("dataset_edit")
        )
        assert (changed.name, changed.tags, changed.notes) == ("Beta", ["math"], "日本")
        for search, names in (
            ("MATH", ["Beta"]),
            ("日本", ["Beta"]),
            ("数据 ün", ["Ünï cöde 数据"]),
            ("zz", []),
            ("", 3),
        ):
            page = await desk.page(search=search, sort="name", descending=False)
            found = [one.name for one in page.datasets]
            assert found == names if isinstance(names, list) else len(found) == names
        assert [one.name for one in (await desk.page(sort="name", limit=2, offset=1)).datasets] == ["Beta", "Alpha"]
        for _again in range(2):
            renamed = await desk.edit(
                "Beta", EditDataset(name="Gamma"), Request("dataset_edit", key="k", target="Beta")
            )
            assert renamed.name == "Gamma"
        rows = bench.folder / "rows.jsonl"
        rows.write_text("{}\n")
        uid = await start(bench, import_spec("alpha", {"place": str(rows)}))
        assert (await desk.detail("Alpha")).dataset.importing == uid
        for deed in (desk.edit("Alpha", EditDataset(name="x"), Request("e")), desk.delete("alpha", None, Request("d"))):
            with pytest.raises(Conflict, match=r"dataset\.being_imported"):
                await deed


def test_that_an_import_keeps_what_it_reads_from_going(bench: Bench) -> None:
    asyncio.run(_import_needs(bench))


async def _import_needs(bench: Bench) -> None:
    async with bench.running(slots={"cpu": 0}):
        one, two = write_version(bench.home, ["a"]), write_version(bench.home, ["b"])
        register(bench.database, "alpha", one)
        register(bench.database, "held out", two)
        source = {"kind": "version", "place": one.hash}
        uid = await start(bench, import_spec("repaired", source, checks={"against": [two.hash]}))
        for name in ("alpha", "held out"):
            with pytest.raises(Conflict, match=r"dataset\.needed"):
                await bench.controller.datasets.delete(name, None, Request("dataset_delete"))
        assert (await bench.controller.datasets.detail("alpha")).dataset.used_by == 0  # nobody learned from it
        await bench.controller.stop(uid, True, Request("stop"))
        await bench.controller.datasets.delete("alpha", None, Request("dataset_delete"))


def test_that_folders_nobody_has_go_after_a_day_and_no_others(bench: Bench) -> None:
    asyncio.run(_sweeps(bench))


async def _sweeps(bench: Bench) -> None:
    async with bench.running(slots={"cpu": 0}):
        rows = bench.folder / "rows.jsonl"
        rows.write_text("{}\n")
        kept, orphan, fresh = (write_version(bench.home, [text]) for text in "abc")
        register(bench.database, "kept", kept)
        waiting = await start(bench, import_spec("x", {"place": str(rows)}))
    for uid in (waiting, "gone"):  # nobody else looks round now
        bench.home.importing(uid).mkdir()
    day_ago = time.time() - 2 * dataset_files.ORPHAN_S
    os.utime(bench.home.dataset(orphan.hash), (day_ago, day_ago))
    os.utime(bench.home.dataset(kept.hash), (day_ago, day_ago))
    with contextlib.closing(Database(bench.home.database)) as database:
        dataset_files.sweep(bench.home, database)
    left = {path.name for path in bench.home.datasets.iterdir()}
    assert left == {kept.hash, fresh.hash, f".making-{waiting}"}
    async with bench.running():
        await bench.controller.delete(waiting, Request("delete"))
        assert not bench.home.importing(waiting).exists()


def test_that_folders_may_go_from_several_hands_at_once(bench: Bench) -> None:
    bench.home.root.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Database(bench.home.database)) as database, ThreadPoolExecutor(4) as hands:
        for turn in range(20):
            made = [write_version(bench.home, [f"{turn} {number}"]).hash for number in range(4)]
            day_ago = time.time() - 2 * dataset_files.ORPHAN_S
            for fingerprint in made:
                os.utime(bench.home.dataset(fingerprint), (day_ago, day_ago))
            looks = [hands.submit(dataset_files.sweep, bench.home, database) for _ in range(2)]
            deeds = [hands.submit(dataset_files.remove, bench.home, fingerprint) for fingerprint in made[:2]]
            for done in (*looks, *deeds):
                done.result()
            assert list(bench.home.datasets.iterdir()) == []


def test_that_the_figures_of_a_version_are_kept_and_listed(bench: Bench) -> None:
    asyncio.run(_measures(bench))


async def _measures(bench: Bench) -> None:
    async with bench.running():
        one = write_version(bench.home, ["a", "b"])
        register(bench.database, "alpha", one)
        desk = bench.controller.datasets
        asked = {"model": {"path": "/m"}, "source": {"hub": "library", "path": "alpha"}}
        params = await desk.pinned_query(asked)
        assert params["source"]["version"] == one.hash
        answer = {"rows": 2, "measured": 1, "exact": False, "lengths": [5], "tokens": 5, "trained_share": 1.0,
                  "untrained_rows": 0}  # fmt: skip
        await desk.keep_measure(params, answer)
        newest = (await desk.detail("alpha")).dataset.newest
        assert newest is not None
        assert newest.tokens == 10
        with pytest.raises(Refused):
            await desk.pinned_query({"source": {"hub": "library", "path": "alfa"}})
        assert await desk.pinned_query({"source": {"hub": "local", "path": "x"}})


def test_that_a_version_whose_files_are_missing_is_said_where_rows_are_asked_for(bench: Bench) -> None:
    asyncio.run(_missing(bench))


async def _missing(bench: Bench) -> None:
    from engine.control.store import dataset_rows

    async with bench.running():
        one = write_version(bench.home, ["a"])
        register(bench.database, "alpha", one)
        desk = bench.controller.datasets

        def read(shelf: Any, folder: Any) -> Any:
            return dataset_rows.page(folder, shelf.searches)

        assert (await desk.look("alpha", 1, read)).total == 1
        (bench.home.dataset(one.hash) / MANIFEST).unlink()
        with pytest.raises(UserError, match=r"dataset\.gone"):
            await desk.look("alpha", 1, read)
        assert (await desk.detail("alpha")).manifest is None
        assert datasets.folded("  Ａlpha ") == "alpha"
