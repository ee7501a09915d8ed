"""`forge push` end to end: a result goes to a hub over a link that breaks, and again until it is there, whole."""

from __future__ import annotations

import pytest

from tests.helpers.controller import ControllerProcess
from tests.helpers.hub import Hub
from tests.helpers.real_worker import WORKER, needs_worker
from tests.integration.test_hub_commands import TOKEN, forge
from tests.integration.test_stages import order

pytestmark = [needs_worker, pytest.mark.slow]
REPO = "ada/prefers"
ANY = 100
"""More than the library tries by itself."""


@pytest.fixture
def pushing(tmp_path, monkeypatch):
    """A controller whose pushes may ask a hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    made = ControllerProcess(tmp_path, WORKER)
    made.start()
    yield made
    made.close()


def test_that_a_push_over_a_link_that_breaks_is_gone_on_with(pushing):
    run = pushing.client.create(order(training={"max_steps": 1, "micro_batch_size": 2, "threads": 1}))
    assert pushing.until(run.uid, "completed", "failed", timeout=240).run.state == "completed"
    with Hub() as hub:
        hub.tokens[TOKEN] = "ada"
        forge(pushing, "settings", "--no-offline", "--endpoint", f"huggingface={hub.url}", "--no-proxy", "127.0.0.1")
        without = forge(pushing, "push", run.uid, "--to", f"huggingface:{REPO}")
        assert without.returncode != 0
        assert "push.no_token" in without.stderr
        assert forge(pushing, "secret", "set", "huggingface", typed=TOKEN + "\n").returncode == 0
        hub.cut_puts = ANY
        broken = forge(pushing, "push", run.uid, "--to", f"huggingface:{REPO}")
        assert broken.returncode != 0
        assert "hub.unreachable" in broken.stderr
        assert hub.cut_puts < ANY
        assert not hub.models[REPO].files  # nothing of it can be seen
        hub.cut_puts = 0
        done = forge(pushing, "push", run.uid, "--to", f"huggingface:{REPO}")
        assert done.returncode == 0, done.stderr
        assert f"{hub.url}/{REPO}" in done.stdout
        there = hub.models[REPO]
        assert there.private
        adapter = next(pushing.home.root.rglob("outputs/adapter/adapter_model.safetensors"))
        assert there.files["adapter_model.safetensors"] == adapter.read_bytes()
        assert {"adapter_config.json", "README.md"} <= set(there.files)
        sent = len(hub.put)
        assert forge(pushing, "push", run.uid, "--to", f"huggingface:{REPO}").returncode == 0
        assert len(hub.put) == sent  # what is there is not sent twice
        assert TOKEN not in "".join(one.stdout + one.stderr for one in (without, broken, done))
