"""How hubs are reached, and which names can be theirs."""

import httpx
import pytest

from engine.contract.hubs import HubAccess, check_source, may_be_told
from engine.contract.model import ModelConfig


def chosen(access: HubAccess, url: str, login: str = "") -> str | None:
    """Which way httpx would go, by its own rules."""
    routes = access.routes(login)
    mounts = {pattern: httpx.HTTPTransport(proxy=to) if to else None for pattern, to in routes.items()}
    with httpx.Client(mounts=mounts, trust_env=False) as client:
        found = client._transport_for_url(httpx.URL(url))
        return next((routes[pattern] for pattern, mount in mounts.items() if mount is found and mount), None)


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://huggingface.co/x", False),
        ("huggingface.co", "https://huggingface.co/x", True),
        ("huggingface.co", "https://cdn.huggingface.co/x", True),
        (".example.com, 10.0.0.1", "https://a.example.com/x", True),
        ("*.example.com", "https://a.example.com/x", True),
        ("10.0.0.1", "http://10.0.0.1/x", True),
        ("10.0.0.1", "http://10.0.0.11/x", False),
        ("localhost", "http://localhost:80/x", True),
        ("example.com", "https://notexample.org/x", False),
        ("*", "https://huggingface.co/x", True),
    ],
)
def test_that_named_hosts_are_reached_directly(no_proxy, url, direct):
    access = HubAccess(proxy="http://proxy.example:3128", no_proxy=no_proxy)
    assert chosen(access, url) == (None if direct else "http://proxy.example:3128")


def test_that_a_login_of_any_letters_becomes_part_of_the_way():
    access = HubAccess(proxy="http://proxy.example:3128")
    assert access.routes("ada:p@ss/w:rd") == {"all://": "http://ada:p%40ss%2Fw%3Ard@proxy.example:3128"}
    assert HubAccess().routes("ada:x") == {}


def test_that_a_token_goes_only_where_nobody_listens():
    assert may_be_told("https://huggingface.co/x")
    assert may_be_told("http://127.0.0.1:80/x")
    assert may_be_told("http://localhost/x")
    assert not may_be_told("http://mirror.example/x")
    assert not may_be_told("http://10.0.0.5/x")


@pytest.mark.parametrize("name", ["gpt2", "Qwen/Qwen3-0.6B", "a/b", "01-ai/Yi_1.5-6B", "org.x/m-1_2.3"])
def test_names_of_models(name):
    assert check_source(ModelConfig(path=name, hub="huggingface")) == []


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "a/..", "/a", "a b", "a--b/c", "https://x/y", "a/", "x" * 200])
def test_what_is_no_name_of_a_model(name):
    model = ModelConfig.model_construct(path=name, hub="huggingface", revision=None)
    assert [problem.code for problem in check_source(model)] == ["config.hub_id"]


def test_that_all_that_is_wrong_with_a_model_is_said_at_once():
    model = ModelConfig(path="a b", hub="huggingface", revision=" ")
    assert [problem.field for problem in check_source(model)] == ["model.path", "model.revision"]


def test_that_a_folder_has_no_revision():
    model = ModelConfig(path="/models/x", revision="main")
    assert [problem.code for problem in check_source(model)] == ["config.revision_of_folder"]
