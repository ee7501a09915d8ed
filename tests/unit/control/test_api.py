"""The HTTP interface: who is let in, how errors look, what data is handed out."""

import asyncio
import io
import zipfile
from contextlib import asynccontextmanager

import httpx
import pytest

from engine.client.arrow import read_curves, read_views
from engine.contract.errors import ErrorBody
from engine.contract.events import ArtifactSaved
from engine.contract.paths import Home
from engine.control.api import auth, files
from engine.control.api.app import make_app
from engine.control.api.context import Context
from engine.control.store import artifacts, attempts, metrics
from tests.helpers.controller import make_spec

TOKEN = "ab" * 32
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def api(bench, headers=HEADERS):
    async with bench.running():
        app = make_app(Context(bench.controller, bench.home, "1", 1.0), TOKEN)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1", headers=headers) as client:
            yield client


def ask(bench, method, path, headers=HEADERS, **more):
    async def main():
        async with api(bench, headers) as client:
            return await client.request(method, path, **more)

    return asyncio.run(main())


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer " + "ac" * 32}, {"Authorization": TOKEN}])
def test_that_nobody_is_let_in_without_the_token(bench, headers):
    answer = ask(bench, "GET", "/runs", headers)
    assert answer.status_code == 401
    assert ErrorBody.model_validate_json(answer.content).code == "controller.unauthorised"


def test_that_a_page_of_another_name_is_not_let_in_even_with_the_token(bench):
    answer = ask(bench, "GET", "/runs", {**HEADERS, "Host": "evil.example:80"})
    assert answer.status_code == 403
    assert ErrorBody.model_validate_json(answer.content).code == "request.host"


def test_that_the_token_is_long_private_and_kept(tmp_path):
    path = tmp_path / "controller.token"
    token = auth.make_token(path)
    assert len(bytes.fromhex(token)) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    assert auth.make_token(path) == token
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("short")
    assert auth.make_token(path) != "short"


def test_that_a_bad_body_is_refused_with_every_problem(bench):
    body = {"spec": {"name": "", "job": {"kind": "train", "model": {"path": "/m"}, "data": {"train": []}}, "x": 1}}
    answer = ask(bench, "POST", "/runs", json=body)
    assert answer.status_code == 422
    problems = ErrorBody.model_validate_json(answer.content).problems
    assert {problem.field for problem in problems} >= {"name", "x", "data.train"}


def test_that_a_run_that_cannot_run_is_refused_with_every_problem(bench):
    spec = make_spec(bench.folder).model_dump(mode="json")
    spec["job"]["model"]["path"] = "/nowhere"
    spec["job"]["tuner"]["init"] = "loftq"  # of weights that are held whole
    answer = ask(bench, "POST", "/runs", json={"spec": spec})
    assert answer.status_code == 422
    fields = {problem.field for problem in ErrorBody.model_validate_json(answer.content).problems}
    assert fields == {"model.path", "tuner.init"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/runs/nobody", 404, "run.unknown"),
        ("POST", "/runs/nobody/start", 404, "run.unknown"),
        ("GET", "/runs/nobody/series", 404, "run.unknown"),
        ("GET", "/nothing/here", 404, "request.no_such_path"),
        ("GET", "/runs?limit=many", 422, "request.refused"),
        ("GET", "/runs?sort=colour", 400, "request.sort"),
        ("DELETE", "/health", 405, "request.invalid"),
    ],
)
def test_errors(bench, method, path, status, code):
    answer = ask(bench, method, path)
    assert (answer.status_code, ErrorBody.model_validate_json(answer.content).code) == (status, code)


def test_that_a_bug_is_logged_and_told_as_one(bench, monkeypatch, caplog):
    async def broken(*_):
        raise ZeroDivisionError("oh")

    async def main():
        async with api(bench) as client:
            monkeypatch.setattr(bench.controller, "resources", broken)
            return await client.get("/resources")

    answer = asyncio.run(main())
    assert (answer.status_code, ErrorBody.model_validate_json(answer.content).code) == (500, "controller.bug")
    assert "Traceback" in caplog.text


def test_that_settings_that_were_not_sent_stay(bench):
    async def main():
        async with api(bench) as client:
            await client.patch("/settings", json={"slots": {"gpu": 3}})
            await client.patch("/settings", json={"worker_python": "/x"})
            wrong = await client.patch("/settings", json={"slots": {"gpu": -1}})
            return (await client.get("/settings")).json(), wrong.status_code

    found, wrong = asyncio.run(main())
    assert (found["slots"], found["worker_python"], wrong) == ({"gpu": 3}, "/x", 422)
    assert (Home(bench.home.root).settings_file).exists()


def test_that_a_repeated_change_of_settings_changes_nothing_any_more(bench):
    async def main():
        async with api(bench) as client:
            answers = [
                await client.patch("/settings", json={"idle_minutes": minutes}, headers={"Idempotency-Key": key})
                for minutes, key in ((5, "a"), (7, "b"), (5, "a"), (9, "a"))
            ]
            return [(answer.status_code, answer.json().get("idle_minutes")) for answer in answers]

    assert asyncio.run(main()) == [(200, 5), (200, 7), (200, 7), (409, None)]


@pytest.mark.parametrize(
    ("query", "data", "offset"),
    [
        ("", b"0123456789", 0),
        ("?offset=4", b"456789", 4),
        ("?offset=4&limit=2", b"45", 4),
        ("?offset=-3", b"789", 7),
        ("?offset=-99", b"0123456789", 0),
        ("?offset=99", b"", 10),
    ],
)
def test_ranges_of_the_log(bench, query, data, offset):
    async def main():
        async with api(bench) as client:
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.folder.log.write_bytes(b"0123456789")
            return await client.get(f"/runs/{uid}/log{query}")

    answer = asyncio.run(main())
    assert (answer.content, answer.headers["X-Log-Offset"], answer.headers["X-Log-Size"]) == (data, str(offset), "10")


async def with_artifact(bench, client, relative, make):
    uid = await bench.create()
    worker = await bench.worker(uid)
    make(worker.folder.root)
    line = ArtifactSaved(seq=1, t=1, artifact="adapter", path=relative, sha256="s")
    attempt_id = bench.fetch("SELECT id FROM attempt")[0][0]
    bench.database.write_now(lambda t: artifacts.add_result(t, 1, attempt_id, line))
    return f"/runs/{uid}/artifacts/1"


def test_that_a_folder_comes_as_a_zip_without_links(bench):
    def make(root):
        folder = root / "outputs" / "adapter"
        (folder / "inner").mkdir(parents=True)
        (folder / "a.json").write_text("{}")
        (folder / "inner" / "b.bin").write_bytes(b"x" * 3_000_000)
        (folder / "link.json").symlink_to(bench.home.token_file)
        (folder / "way-out").symlink_to("/etc")

    async def main():
        async with api(bench) as client:
            return await client.get(await with_artifact(bench, client, "outputs/adapter", make))

    answer = asyncio.run(main())
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["a.json", "inner/b.bin"]
        assert archive.testzip() is None
    assert answer.headers["X-Sha256"] == "s"


def test_that_a_file_comes_in_ranges(bench):
    def make(root):
        (root / "outputs" / "answers.jsonl").write_bytes(b"0123456789")

    async def main():
        async with api(bench) as client:
            path = await with_artifact(bench, client, "outputs/answers.jsonl", make)
            return await client.get(path, headers={"Range": "bytes=2-4"})

    answer = asyncio.run(main())
    assert (answer.status_code, answer.content) == (206, b"234")


@pytest.mark.parametrize("relative", ["../../../../controller.token", "/etc/passwd", "outputs/out", ".", ""])
def test_that_no_path_leads_out_of_the_attempt(bench, relative):
    def make(root):
        (root / "outputs" / "out").symlink_to("/etc/passwd")
        bench.home.token_file.write_text("secret")

    async def main():
        async with api(bench) as client:
            return await client.get(await with_artifact(bench, client, relative, make))

    assert asyncio.run(main()).status_code == 404


def test_that_a_path_inside_is_found(tmp_path):
    (tmp_path / "a").mkdir()
    assert files.inside(tmp_path, "a") == (tmp_path / "a").resolve()


def test_that_a_curve_comes_at_few_buckets(bench):
    async def main():
        async with api(bench) as client:
            uid = await bench.create(start=False)
            await bench.database.write(_store_curve)
            path = f"/runs/{uid}/series"
            view = await client.get(path, params={"metric": "loss", "buckets": 20, "from_x": 101, "to_x": 2000})
            whole = await client.get(path, params={"metric": "loss"})
            none = await client.get(path, params={"buckets": 0})
            return view.content, whole.content, none.status_code

    view, whole, refused = asyncio.run(main())
    found = read_views(view)["loss"]
    assert len(found.n) <= 20
    assert (found.n.sum(), found.max.max(), found.flags.max()) == (1900, 1e6, 1)
    assert (found.x_first[0], found.x_last[-1], set(found.attempt.tolist())) == (101, 2000, {1})
    assert read_curves(whole)["loss"].x.tolist() == list(range(1, 3001))
    assert refused == 422


def test_that_lost_points_are_named_to_the_client(bench):
    async def main():
        async with api(bench) as client:
            uid = await bench.create(start=False)
            await bench.database.write(_store_curve)
            await bench.database.write(lambda t: t.execute("UPDATE chunk SET data = x'00', pyramid = x'00'"))
            answers = [await client.get(f"/runs/{uid}/series", params=more) for more in ({}, {"buckets": 9})]
            return [answer.content for answer in answers]

    whole, view = asyncio.run(main())
    for found in (read_curves(whole)["loss"], read_views(view)["loss"]):
        assert [(one.attempt, one.first_x, one.last_x, one.n) for one in found.damaged] == [(1, 1, 3000, 3000)]
        assert len(found.attempt) == 0


def _store_curve(transaction):
    attempt, _ = attempts.insert(transaction, 1, cause="first", lease="l", spec="{}", at=1)
    odd = {1500: 1e6, 1600: float("nan")}
    rows = [metrics.Row(n, n, 1.0, {"loss": odd.get(n, 0.5)}) for n in range(1, 3001)]
    metrics.append(transaction, 1, attempt, 1, [metrics.Block("step", ("loss",), rows)])
