"""Secrets: in the keyring or a closed file, told to a worker only, and never told again."""

import json
import logging
import stat

import keyring
import pytest

from engine.contract import logs
from engine.contract.errors import NotFound, Refused, UserError
from engine.contract.paths import Home
from engine.control.jobs.secrets import SecretStore
from tests.helpers.keyring_double import VARIABLE, FileKeyring

TOKEN = "hf_TopSecret42"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def ring(tmp_path, monkeypatch):
    """A usable keyring in place of the system's."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "ring.json"))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    yield tmp_path / "ring.json"
    keyring.set_keyring(before)


@pytest.fixture
def no_ring():
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(before)


def places(store):
    return {one.name: one.place for one in store.listed().secrets}


def test_that_without_a_keyring_a_file_of_the_owner_keeps_it(home, no_ring):
    store = SecretStore(home)
    assert places(store) == {"huggingface": "", "modelscope": "", "proxy": ""}
    info = store.set("huggingface", f" {TOKEN}\n")
    assert (info.is_set, info.place) == (True, "file")
    assert stat.S_IMODE(home.secrets_file.stat().st_mode) == 0o600
    assert SecretStore(home).get("huggingface") == TOKEN
    assert store.delete("huggingface").is_set is False
    assert store.get("huggingface") == ""
    assert TOKEN not in home.secrets_file.read_text()
    with pytest.raises(NotFound):
        store.delete("huggingface")


def test_that_the_keyring_keeps_it_where_there_is_one(home, ring):
    store = SecretStore(home)
    assert store.set("proxy", "ada:pass:word").place == "keyring"
    assert "pass" not in home.secrets_file.read_text()
    assert SecretStore(home).get("proxy") == "ada:pass:word"
    assert SecretStore(Home(home.root.with_name("other"))).get("proxy") == "", "each home has its own"
    store.delete("proxy")
    assert json.loads(ring.read_text()) == {}


def test_that_a_locked_keyring_is_said_plainly_and_a_new_secret_goes_to_the_file(home, ring):
    store = SecretStore(home)
    store.set("huggingface", TOKEN)
    ring.with_suffix(".locked").touch()
    with pytest.raises(UserError) as caught:
        store.get("huggingface")
    assert caught.value.code == "secret.keyring_closed"
    assert store.set("huggingface", "hf_Another77").place == "file"
    assert store.get("huggingface") == "hf_Another77"
    ring.with_suffix(".locked").unlink()
    ring.write_text("{}")
    store.set("huggingface", TOKEN)
    ring.write_text("{}")
    with pytest.raises(UserError):
        store.get("huggingface")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("huggingface", "  ", "secret.bad"),
        ("huggingface", "two words", "secret.bad"),
        ("huggingface", "line\r\nX-Header: 1", "secret.bad"),
        ("huggingface", "x" * 5000, "secret.bad"),
        ("huggingface", "令牌", "secret.bad"),
        ("proxy", "nocolon", "secret.proxy_form"),
        ("aws", TOKEN, "secret.unknown"),
    ],
)
def test_that_what_cannot_be_one_is_refused_without_repeating_it(home, no_ring, name, value, code):
    with pytest.raises((Refused, NotFound)) as caught:
        SecretStore(home).set(name, value)
    assert caught.value.code == code
    assert value.strip() == "" or value not in caught.value.text
    assert not home.secrets_file.exists()


def test_that_a_damaged_file_is_refused_and_not_overwritten(home, no_ring):
    home.root.mkdir()
    home.secrets_file.write_text("[torn")
    for work in (lambda store: store.get("proxy"), lambda store: store.set("proxy", "a:b")):
        with pytest.raises(UserError) as caught:
            work(SecretStore(home))
        assert caught.value.code == "secret.unreadable"
    assert home.secrets_file.read_text() == "[torn"


def test_that_a_log_never_shows_what_was_hidden(capsys):
    logs.hide(TOKEN)
    for formatter in (logs.PlainFormatter("%(message)s"), logs.JsonFormatter()):
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "sent %s", (TOKEN,), None)
        assert TOKEN not in formatter.format(record)
        assert logs.DOTS in formatter.format(record)
