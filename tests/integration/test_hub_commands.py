"""`forge secret`, `forge models` and the settings about hubs, against a real controller."""

import json
import subprocess
import sys

import pytest

from tests.helpers.controller import ControllerProcess
from tests.helpers.hub import Hub

TOKEN = "hf_FromTheKeyboard1"


def forge(service: ControllerProcess, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """The command line, with something on its standard input."""
    command = [sys.executable, "-m", "engine.cli", *arguments]
    return subprocess.run(
        command, env=service.environment, input=typed, capture_output=True, text=True, timeout=240, check=False
    )  # fmt: skip


@pytest.fixture
def online(service, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    service.start()
    return service


def test_that_a_token_is_typed_checked_and_forgotten(online):
    with Hub() as hub:
        hub.tokens[TOKEN] = "ada"
        set_up = forge(online, "settings", "--endpoint", f"huggingface={hub.url}", "--no-proxy", "localhost")
        assert set_up.returncode == 0, set_up.stderr
        assert f"huggingface at {hub.url}" in set_up.stdout
        kept = forge(online, "secret", "set", "huggingface", typed=TOKEN + "\n")
        assert kept.returncode == 0, kept.stderr
        checked = forge(online, "secret", "check", "huggingface")
        assert (checked.returncode, "ada" in checked.stdout) == (0, True)
        hub.tokens.clear()
        assert forge(online, "secret", "check", "huggingface").returncode == 1
    listed = forge(online, "secret", "list", "--json")
    assert {one["name"]: one["place"] for one in json.loads(listed.stdout)["secrets"]}["huggingface"] == "file"
    assert forge(online, "secret", "delete", "huggingface").returncode == 0
    assert forge(online, "secret", "delete", "huggingface").returncode == 3
    refused = forge(online, "secret", "set", "proxy", typed="no colon\n")
    assert (refused.returncode, "secret.proxy_form" in refused.stderr) == (2, True)
    assert TOKEN not in "".join(done.stdout + done.stderr for done in (set_up, kept, checked, listed))


def test_that_settings_about_hubs_are_changed_and_checked(online):
    assert "never asked" in forge(online, "settings", "--offline").stdout
    assert "huggingface at https://huggingface.co" in forge(online, "settings", "--no-offline").stdout
    assert "through http://p.example:1" in forge(online, "settings", "--proxy", "http://p.example:1").stdout
    for arguments in (("--proxy", "p.example"), ("--endpoint", "mars=https://x"), ("--endpoint", "huggingface=x")):
        assert forge(online, "settings", *arguments).returncode == 2
    assert "through" not in forge(online, "settings", "--proxy", "").stdout


def test_that_an_empty_cache_is_told_of(online):
    assert "0 in the cache" in forge(online, "models").stdout
    gone = forge(online, "models", "remove", "org/name")
    assert (gone.returncode, "hub.not_cached" in gone.stderr) == (3, True)
