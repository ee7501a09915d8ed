"""Nothing of a person is left in what is sent with a report."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from engine.client import diagnostics
from engine.contract.anonymous import Anonymous
from engine.contract.api import Settings
from engine.contract.paths import Home
from engine.control.diagnostics.gather import gather
from engine.control.jobs import settings
from engine.control.store.database import Database
from tests.helpers.controller import make_spec

SECRETS = [
    "hf_AbCdEfGhIjKlMnOpQrStUvWx",
    "sk-proj-0123456789abcdefghij",
    "ghp_abcdefghijklmnopqrstuvwxyz012345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
    "AKIAIOSFODNN7EXAMPLE",
    "0123456789abcdef0123456789abcdef",
    "ada.lovelace+forge@example.co.uk",
    "203.0.113.77",
    "2001:db8::8a2e:370:7334",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "got '{}',", 'header "{}"', "a={};", "({})", "x: {}\ny"])
def test_that_a_secret_is_found_wherever_it_stands(secret, around):
    assert secret not in Anonymous().clean(around.format(secret))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer s3cr3tvalue", "s3cr3tvalue"),
        ('{"password": "correct horse"}', "correct"),
        ("proxy http://ada:pw1234@proxy:3128", "pw1234"),
        ("token=plainword99 done", "plainword99"),
        ("api_key: ZZZZZZZ", "ZZZZZZZ"),
        ("/home/grace/models/x.bin", "grace"),
    ],
)
def test_that_a_word_that_announces_a_secret_is_heeded(text, secret):
    assert secret not in Anonymous().clean(text)


def test_that_the_same_gets_the_same_word_and_others_others():
    clean = Anonymous().clean("a@b.de c@d.de a@b.de 10.0.0.1 10.0.0.2 10.0.0.1")
    assert clean == "<mail-1> <mail-2> <mail-1> <ip-1> <ip-2> <ip-1>"


def test_that_paths_user_and_host_go_and_the_rest_can_be_read():
    known = Anonymous(paths={"/srv/ada": "<home>", "/srv/ada/data": "<data>"}, user="ada", host="babbage.local")
    text = "INFO ada@babbage.local babbage: /srv/ada/data/runs/1 /srv/ada/x 127.0.0.1 at 12:00:01, Qt 6.11.3.1, Canada"
    clean = known.clean(text)
    assert "babbage" not in clean
    assert "<data>/runs/1 <home>/x 127.0.0.1 at 12:00:01" in clean
    assert "Canada" in clean
    assert known.replaced["home"] == 2


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with secrets and names planted everywhere a bundle takes text from."""
    monkeypatch.setenv("HF_TOKEN", "qwertyuiop-env-secret")
    monkeypatch.setenv("HOME", str(tmp_path / "grace"))
    monkeypatch.setattr("socket.gethostname", lambda: "enigma-host")
    monkeypatch.setattr("getpass.getuser", lambda: "gracehopper")
    home = Home(tmp_path / "grace" / "forge")
    home.root.mkdir(parents=True)
    home.token_file.write_text("ab" * 32)
    (home.root / "secrets.json").write_text(json.dumps({"huggingface": "planted-in-the-secrets-file"}))
    settings.save(
        home, Settings(proxy="http://proxy.corp.example:3128", endpoints={"huggingface": "https://hub.corp.example"})
    )
    planted = [*SECRETS, "qwertyuiop-env-secret", "planted-in-the-secrets-file", "ab" * 32, str(home.root)]
    line = " ".join([*planted, "gracehopper", "enigma-host", "secret-project-run", "topsecret-model"])
    home.controller_log.parent.mkdir()
    for name in ("controller.log", "desktop.log", "controller-start.log"):
        (home.root / "logs" / name).write_text(f"12:00 INFO {line}\n" * 3)
    make_history(home, tmp_path, line)
    return home, planted


def make_history(home, folder, line):
    spec = make_spec(folder, "secret-project-run", tags=["hush-tag"])
    database = Database(home.database)

    def write(transaction):
        transaction.execute(
            "INSERT INTO run(uid, kind, lane, name, project, owner, state, reason, error, model, dataset, created, "
            "finished, spec_hash, tags, attempt) VALUES ('u1','train','gpu','secret-project-run','hush-project',"
            "'gracehopper','failed','worker_error',?,'/models/topsecret-model','/data/hushed-rows.jsonl',1,2,'h',"
            "'[\"hush-tag\"]',1)",
            (
                json.dumps(
                    {"code": "worker.bug", "what": "The worker hit a bug.", "why": line, "params": {"detail": line}}
                ),
            ),
        )
        transaction.execute("INSERT INTO run_spec(run_id, spec) VALUES (1, ?)", (spec.model_dump_json(),))

    database.write_now(write) if hasattr(database, "write_now") else __import__("asyncio").run(database.write(write))
    database.close()
    log = home.attempt("u1", 1).log
    log.parent.mkdir(parents=True)
    log.write_text(f"ERROR {line}\n")


def zipped(bundle, tmp_path):
    file = tmp_path / "out.zip"
    diagnostics.save(bundle, file)
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        inside = b"".join(archive.read(name) + name.encode() for name in archive.namelist())
    return file.read_bytes() + inside


def test_that_no_byte_of_a_bundle_tells_who_or_where(home, tmp_path):
    home, planted = home
    every = zipped(gather(home), tmp_path)
    for secret in [*planted, "gracehopper", "enigma-host", "corp.example"]:
        assert secret.encode() not in every, secret
    assert b"secret-project-run" in every
    assert b"worker.bug" in every


def test_that_names_go_when_that_is_asked_for(home, tmp_path):
    home, _planted = home
    every = zipped(gather(home, hide_names=True), tmp_path)
    for name in ("secret-project-run", "hush-project", "topsecret-model", "hushed-rows", "hush-tag"):
        assert name.encode() not in every, name


def test_that_a_bundle_holds_what_a_report_needs(home):
    home, _planted = home
    files = {part.name: part.text for part in gather(home).files}
    assert json.loads(files["history.json"])["rows"]["run"] == 1
    assert json.loads(files["history.json"])["check"] == {"pages": [], "references": [], "journals": []}
    assert "CREATE TABLE" in files["history.json"]
    assert json.loads(files["versions.json"])["packages"]["pydantic"]
    assert {"settings.json", "logs/controller.log", "logs/desktop.log", "runs/failed-1.txt"} <= set(files)


def test_that_a_bundle_comes_of_an_empty_or_damaged_home(tmp_path):
    home = Home(tmp_path / "none")
    home.root.mkdir()
    assert gather(home).files
    home.database.write_bytes(b"no history at all" * 100)
    home.settings_file.write_text("{half")
    files = {part.name: part.text for part in gather(home).files}
    assert "cannot be read" in files["settings.json"]
    assert "error" in json.loads(files["history.json"]) or "check" in json.loads(files["history.json"])
