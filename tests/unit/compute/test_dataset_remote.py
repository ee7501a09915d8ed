"""Rows from hubs and addresses, fetched from a double on loopback: whole, of one commit, gone on with, only those asked
for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from importing import import_job, write_attempt

from engine.compute.data.store import open_version
from engine.compute.hubs.listing import Listing, RemoteFile
from engine.compute.worker.dataset_files import choose
from engine.contract.datasets import ImportSource
from engine.contract.errors import UserError
from engine.contract.paths import HOME_VARIABLE, Home
from tests.helpers.hub import Hub


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    for name in ("HF_HUB_OFFLINE", "FORGE_HUB_OFFLINE"):
        monkeypatch.setenv(name, "0")
    return Home.find()


@pytest.fixture
def hub():
    with Hub() as served:
        yield served


def jsonl(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


BIG = [f"row {n} " + "word " * 30 for n in range(2000)]


def run(home: Home, hub: Hub, attempt: int = 1, secrets: dict | None = None, **source):
    kind = source.pop("kind", "huggingface")
    job = import_job(source.pop("place", "lab/talk"), kind=kind, source=source)
    made = write_attempt(home, job, attempt=attempt, hubs={"endpoints": hub.settings()})
    if secrets:
        folder = made.folder / "control"
        folder.mkdir()
        (folder / ".secrets").write_text(json.dumps(secrets))
    made.run()
    return made


def texts(home: Home, attempt) -> list[str]:
    (line,) = attempt.of("dataset")
    return [record.content["text"] for record in open_version(home.dataset(line.hash)).records()]


@pytest.mark.parametrize("kind", ["huggingface", "modelscope"])
def test_that_a_dataset_of_a_hub_is_fetched_and_kept(home, hub, kind):
    model = hub.add("datasets/lab/talk", {"data/a.jsonl": jsonl(*BIG), "data/b.jsonl": jsonl("b"), "README.md": b"hi"})
    attempt = run(home, hub, kind=kind)
    assert attempt.end.state == "completed", attempt.end
    assert texts(home, attempt) == [*BIG, "b"]
    manifest = open_version(home.dataset(attempt.of("dataset")[0].hash)).manifest
    assert manifest.files == ["data/a.jsonl", "data/b.jsonl"]
    assert len(manifest.source_commit) == 40
    if kind == "huggingface":
        assert manifest.source_commit == model.commit
    assert [found.name for found in home.datasets.iterdir()] == [manifest.hash]
    phases = [line.phase for line in attempt.of("phase")]
    assert phases.index("downloading") < phases.index("reading")


def test_that_a_download_that_broke_off_goes_on_in_the_next_attempt(home, hub):
    data = jsonl(*BIG)
    hub.add("datasets/lab/talk", {"a.jsonl": data})
    hub.cuts["a.jsonl"] = [200_000, 0, 0, 0, 0, 0, 0]
    first = run(home, hub)
    assert first.end.error.code == "hub.unreachable"
    again = run(home, hub, attempt=2)
    assert texts(home, again) == BIG
    assert hub.asked[-1].offset >= 200_000


def test_that_another_commit_is_fetched_anew(home, hub):
    hub.add("datasets/lab/talk", {"a.jsonl": jsonl(*BIG)})
    hub.cuts["a.jsonl"] = [200_000, 0, 0, 0, 0, 0, 0]
    run(home, hub)
    other = [text.upper() for text in BIG]
    hub.add("datasets/lab/talk", {"a.jsonl": jsonl(*other)})
    assert texts(home, run(home, hub, attempt=2)) in (other, BIG)  # of one commit, never of both


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"place": "lab/none"}, "data.hub_unknown"),
        ({"place": "no id at all"}, "data.hub_unknown"),
        ({"revision": "gone"}, "data.hub_revision"),
        ({"split": "test"}, "data.hub_no_part"),
        ({"place": "lab/empty"}, "data.hub_no_rows"),
        ({"place": "lab/locked"}, "data.hub_gated"),
    ],
)
def test_that_what_a_hub_does_not_have_is_said_of_a_dataset(home, hub, source, code):
    hub.add("datasets/lab/talk", {"a.jsonl": jsonl("a")})
    hub.add("datasets/lab/empty", {"README.md": b"hi"})
    hub.add("datasets/lab/locked", {"a.jsonl": jsonl("a")}, gated=True)
    attempt = run(home, hub, **source)
    assert attempt.end.error.code == code
    assert "{" not in attempt.end.error.what + attempt.end.error.why + attempt.end.error.fix
    assert not home.datasets.exists() or not list(home.datasets.iterdir())


def test_that_offline_nobody_is_asked(home, hub, monkeypatch):
    monkeypatch.setenv("FORGE_HUB_OFFLINE", "1")
    assert run(home, hub).end.error.code == "data.hub_offline"
    assert hub.asked == []


def test_that_a_token_opens_a_private_dataset_and_is_told_to_nobody_else(home, hub):
    hub.tokens["hf_secret"] = "me"
    hub.add("datasets/lab/talk", {"a.jsonl": jsonl(*BIG)}, private=True)
    attempt = run(home, hub, secrets={"huggingface": "hf_secret"})
    assert texts(home, attempt) == BIG
    assert not any(one.authorised for one in hub.asked if "/cdn/" in one.path)
    assert "hf_secret" not in (attempt.folder / "journal.jsonl").read_text()


def test_that_one_file_is_fetched_from_an_address(home, hub):
    hub.archives["rows.jsonl"] = jsonl("a", "b")
    attempt = run(home, hub, kind="url", place=f"{hub.url}/archives/rows.jsonl?x=1")
    assert texts(home, attempt) == ["a", "b"]
    gone = run(home, hub, attempt=2, kind="url", place=f"{hub.url}/archives/none.jsonl")
    assert gone.end.error.code == "data.nothing_there"


@pytest.mark.parametrize(
    "place", ["http://example.com/rows.jsonl", "https://example.com/rows.exe", "ftp://example.com/a.jsonl", "https://u:p@h/a.csv"]
)  # fmt: skip
def test_that_an_address_that_cannot_be_right_is_refused_before_it_is_asked(home, hub, place):
    assert run(home, hub, kind="url", place=place).end.error.code == "data.bad_address"


def listing(*paths: str, configs=()) -> Listing:
    return Listing("0" * 40, [RemoteFile(path, 1, "") for path in paths], {"configs": list(configs)})


def chosen(found: Listing, **source) -> list[str]:
    return [file.path for file in choose(found, ImportSource(kind="huggingface", place="lab/talk", **source))]


def test_that_splits_and_subsets_are_told_by_name():
    plain = listing("train.jsonl", "dev.jsonl", "test-00000.jsonl", "fr/train.jsonl", ".hidden/x.jsonl", "train.csv")
    assert chosen(plain, split="validation") == ["dev.jsonl"]
    assert chosen(plain, split="test") == ["test-00000.jsonl"]
    assert chosen(plain, subset="fr") == ["fr/train.jsonl"]
    assert chosen(plain) == ["train.jsonl", "dev.jsonl", "test-00000.jsonl", "fr/train.jsonl"]
    with pytest.raises(UserError, match=r"data\.hub_no_part"):
        chosen(plain, subset="de")


def test_that_the_card_of_a_dataset_says_which_files_are_of_a_subset():
    configs = [
        {"config_name": "en", "data_files": [{"split": "train", "path": "en/train-*"},
         {"split": "test", "path": ["en/t.parquet"]}]},
        {"config_name": "fr", "default": True, "data_files": "fr/**/*.parquet"},
    ]  # fmt: skip
    found = listing("en/train-0.parquet", "en/t.parquet", "fr/x/1.parquet", "fr/2.parquet", configs=configs)
    assert chosen(found) == ["fr/x/1.parquet", "fr/2.parquet"]
    assert chosen(found, subset="en") == ["en/train-0.parquet", "en/t.parquet"]
    assert chosen(found, subset="en", split="test") == ["en/t.parquet"]
    with pytest.raises(UserError, match=r"data\.hub_no_part"):
        chosen(found, subset="en", split="validation")


def test_that_the_library_of_the_hub_is_given_the_same_files(hub, tmp_path, monkeypatch):
    hub.add("datasets/lab/talk", {"data/a.jsonl": jsonl(*BIG)})
    code = (
        "from huggingface_hub import snapshot_download as get\n"
        f"print(get('lab/talk', repo_type='dataset', endpoint={hub.url!r}, local_dir={str(tmp_path / 'got')!r}))"
    )
    environment = {"PATH": "/usr/bin", "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path / "got/data/a.jsonl").read_bytes() == jsonl(*BIG)


def test_that_the_library_of_the_other_hub_is_given_what_we_are(hub, home, tmp_path):
    """The double speaks as ModelScope does: its own library asks for the same and finds the same files."""
    files = {"data/a.jsonl": jsonl(*BIG), "README.md": b"# Talk\n"}
    hub.add("datasets/lab/talk", files)
    hub.add("lab/tiny", {"config.json": b"{}", "model.safetensors": b"\0\1\2\3" * 40_000})
    code = (
        "from modelscope_hub import HubApi\n"
        f"api = HubApi(endpoint={hub.url!r})\n"
        f"api.download_repo('lab/talk', repo_type='dataset', local_dir={str(tmp_path / 'talk')!r})\n"
        f"api.download_repo('lab/tiny', repo_type='model', local_dir={str(tmp_path / 'tiny')!r})\n"
    )
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, content in files.items():
        assert (tmp_path / "talk" / name).read_bytes() == content
    assert (tmp_path / "tiny/model.safetensors").read_bytes() == hub.models["lab/tiny"].files["model.safetensors"]
    theirs = wanted(hub)
    hub.asked.clear()
    attempt = run(home, hub, kind="modelscope")
    assert texts(home, attempt) == BIG
    assert wanted(hub) == theirs - {("/api/v1/datasets/lab/talk/repo", "README.md")}


def wanted(hub: Hub) -> set[tuple[str, str]]:
    """Which addresses of a dataset were asked for, and which of its files."""
    parts = [urlsplit(one.path) for one in hub.asked if "/datasets/" in one.path]
    return {
        (part.path, "".join(parse_qs(part.query).get("FilePath", []))) for part in parts if "/datasets/" in part.path
    }
