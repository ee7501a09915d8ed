"""A result goes to a hub by its library: private, with a card, gone on with, and failing without harm to the run."""

import json
from importlib.util import find_spec

import pytest

from engine.compute.hubs import pushing
from engine.compute.hubs.pushing import push
from engine.contract.errors import UserError
from engine.contract.hubs import HubAccess
from engine.contract.paths import AttemptFolder
from engine.contract.push import PushConfig
from engine.contract.secrets import GivenSecrets
from tests.helpers.hub import Hub

TOKEN, REPO = "hf_TopSecret42", "me/result"
pytestmark = pytest.mark.slow
needs_modelscope = pytest.mark.skipif(find_spec("modelscope_hub") is None, reason="modelscope-hub is not installed")


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setenv("FORGE_HUB_OFFLINE", "0")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub():
    with Hub() as found:
        found.tokens[TOKEN] = "me"
        yield found


def trained(attempt, **push_settings):
    return attempt(training={"max_steps": 1, "micro_batch_size": 4}, outputs={"push": push_settings})


def pushed(made, hub, token: str = TOKEN, **settings):
    wanted = PushConfig(hub="huggingface", **{"repo": REPO, **settings})
    secrets = GivenSecrets.model_validate({"huggingface": token} if token else {})
    return push(made.folder, wanted, HubAccess(endpoints=hub.settings()), secrets)


@pytest.fixture
def ended(attempt):
    made = trained(attempt)
    assert made.run() == 0, made.end
    return made


def test_that_an_adapter_goes_there_private_with_a_card_and_no_path_of_ours(ended, hub, model):
    found = pushed(ended, hub, licence="apache-2.0")
    there = hub.models[REPO]
    assert there.private
    assert found.url == f"{hub.url}/{REPO}"
    assert found.commit == there.commit
    adapter = ended.outputs / "adapter"
    assert there.files["adapter_model.safetensors"] == (adapter / "adapter_model.safetensors").read_bytes()
    config = json.loads(there.files["adapter_config.json"])
    assert config["base_model_name_or_path"] == model.name
    card = there.files["README.md"].decode()
    marks = json.loads((ended.outputs / "manifest.json").read_text())
    assert 'license: "apache-2.0"' in card
    assert marks["data"][0]["sha256"] in card
    assert marks["model"] in card
    whole = b"".join(there.files.values())
    assert str(ended.folder.parent).encode() not in whole
    assert TOKEN.encode() not in whole


def test_that_pushing_again_sends_nothing_twice(ended, hub):
    pushed(ended, hub)
    sent = len(hub.put)
    assert sent > 0
    pushed(ended, hub)
    assert len(hub.put) == sent


def test_that_a_push_that_broke_off_is_gone_on_with(ended, hub):
    hub.refused_puts = 1
    with pytest.raises(UserError) as refused:
        pushed(ended, hub)
    assert refused.value.code in ("push.refused", "hub.unreachable")
    assert not hub.models[REPO].files
    pushed(ended, hub)
    assert "adapter_model.safetensors" in hub.models[REPO].files


def test_that_what_was_to_be_private_does_not_go_where_all_can_see_it(ended, hub):
    hub.add(REPO, {"x.txt": b"mine"})
    with pytest.raises(UserError) as refused:
        pushed(ended, hub)
    assert refused.value.code == "push.public"
    assert set(hub.models[REPO].files) == {"x.txt"}
    pushed(ended, hub, private=False)
    assert "README.md" in hub.models[REPO].files


@pytest.mark.parametrize(("token", "code"), [("", "push.no_token"), ("hf_unknownunknown", "push.refused")])
def test_that_a_token_is_needed_that_the_hub_takes(ended, hub, token, code):
    with pytest.raises(UserError) as refused:
        pushed(ended, hub, token)
    assert refused.value.code == code
    assert not token or token not in str(refused.value.params)


def to_modelscope(made, hub, token: str = TOKEN, **settings):
    wanted = PushConfig(hub="modelscope", **{"repo": REPO, **settings})
    secrets = GivenSecrets.model_validate({"modelscope": token})
    return push(made.folder, wanted, HubAccess(endpoints=hub.settings()), secrets)


@needs_modelscope
def test_that_modelscope_gets_the_same_private_and_keeps_no_credentials(ended, hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    found = to_modelscope(ended, hub, licence="apache-2.0")
    there = hub.models[REPO]
    assert there.private
    assert found.url == f"{hub.url}/models/{REPO}"
    adapter = ended.outputs / "adapter"
    assert there.files["adapter_model.safetensors"] == (adapter / "adapter_model.safetensors").read_bytes()
    assert 'license: "apache-2.0"' in there.files["README.md"].decode()
    kept = [path.read_bytes() for path in (tmp_path / "somebody").rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in content for content in kept)
    sent = len(hub.put)
    to_modelscope(ended, hub)
    assert len(hub.put) == sent  # what is there is not sent twice


@needs_modelscope
def test_that_modelscope_refuses_in_words(ended, hub):
    with pytest.raises(UserError) as refused:
        to_modelscope(ended, hub, token="ms-unknownunknown")
    assert refused.value.code == "push.refused"
    assert "ms-unknownunknown" not in str(refused.value.params)
    hub.add(REPO, {"x.txt": b"mine"})
    with pytest.raises(UserError) as refused:
        to_modelscope(ended, hub)
    assert refused.value.code == "push.public"
    assert set(hub.models[REPO].files) == {"x.txt"}


def test_that_a_hub_whose_library_is_missing_is_refused_by_it(ended, hub, monkeypatch):
    find = pushing.importlib.util.find_spec
    hidden = lambda name, *more: None if name == "modelscope_hub" else find(name, *more)  # noqa: E731
    monkeypatch.setattr(pushing.importlib.util, "find_spec", hidden)
    with pytest.raises(UserError) as refused:
        push(ended.folder, PushConfig(hub="modelscope", repo=REPO), HubAccess(endpoints=hub.settings()), GivenSecrets())
    assert (refused.value.code, refused.value.params["package"]) == ("package.missing", "modelscope_hub")


def test_that_a_run_pushes_at_its_end_only_where_it_was_asked_to(attempt, hub):
    made = trained(attempt, hub="huggingface", repo=REPO)
    told(made, hub)
    assert made.run() == 0, made.end
    assert [line.code for line in made.of("note") if line.code.startswith("push.")] == ["push.begun", "push.done"]
    assert hub.models[REPO].private
    assert TOKEN not in (made.folder / "journal.jsonl").read_text()
    silent = attempt(name="silent", training={"max_steps": 1, "micro_batch_size": 4})
    told(silent, hub)
    before = len(hub.posted)
    assert silent.run() == 0, silent.end
    assert len(hub.posted) == before


def test_that_a_push_that_fails_fails_no_run(attempt, hub):
    made = trained(attempt, hub="huggingface", repo=REPO)
    told(made, hub)
    hub.tokens.clear()
    assert made.run() == 0, made.end
    failed = [line for line in made.of("note") if line.code == "push.failed"]
    assert len(failed) == 1
    assert failed[0].level == "warning"
    assert TOKEN not in json.dumps(failed[0].params)
    assert (made.outputs / "adapter").is_dir()


def told(made, hub) -> None:
    """The order says where the hub is; the token comes beside it."""
    folder = AttemptFolder(made.folder)
    order = json.loads(folder.order.read_text())
    folder.order.write_text(json.dumps(order | {"hubs": {"endpoints": hub.settings()}}))
    folder.secrets.parent.mkdir(exist_ok=True)
    folder.secrets.write_text(json.dumps({"huggingface": TOKEN}))


def test_that_a_full_disk_is_said_and_nothing_is_half_there(ended, hub, monkeypatch, tmp_path):
    monkeypatch.setenv("FORGE_FAULT", "push.before_send:ENOSPC")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(UserError) as refused:
        pushed(ended, hub)
    assert refused.value.code == "push.disk_full"
    assert REPO not in hub.models
    monkeypatch.delenv("FORGE_FAULT")
    pushed(ended, hub)
    assert "adapter_model.safetensors" in hub.models[REPO].files


def test_that_a_link_that_breaks_is_told_as_that(ended, hub):
    hub.cut_puts = 100
    with pytest.raises(UserError) as refused:
        pushed(ended, hub)
    assert refused.value.code == "hub.unreachable", refused.value.params
    assert not hub.models[REPO].files
