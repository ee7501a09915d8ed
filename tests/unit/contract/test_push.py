"""A push that was asked for: where it may go, what it needs, and what is refused before the start."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.config_file import check_document
from engine.contract.network import needs_network
from engine.contract.run_spec import RunConfig


def document(**groups: Any) -> dict[str, Any]:
    return {
        "name": "x", "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}, **groups,
    }  # fmt: skip


def problems(push: dict[str, Any], **groups: Any) -> list[tuple[str, str | None]]:
    found = check_document(document(outputs={"push": push}, **groups))[1]
    return [(problem.code, problem.field) for problem in found]


def test_that_nothing_is_pushed_unless_asked_for_and_then_private() -> None:
    config = RunConfig.model_validate(document())
    assert (config.outputs.push.hub, config.outputs.push.private) == ("none", True)
    assert not needs_network(config.to_spec())
    asked = RunConfig.model_validate(document(outputs={"push": {"hub": "huggingface", "repo": "me/x"}}))
    assert needs_network(asked.to_spec())


@pytest.mark.parametrize("repo", ["", "name", "a/b/c", "me/", "/x", "me/../x", "me/x y", "https://x/y"])
def test_that_a_name_that_no_hub_takes_is_refused(repo: str) -> None:
    assert problems({"hub": "huggingface", "repo": repo}) == [("config.push_repo", "outputs.push.repo")]
    assert problems({"hub": "none", "repo": repo}) == []


def test_that_a_worker_without_a_network_cannot_push() -> None:
    found = problems({"hub": "modelscope", "repo": "me/x"}, compute={"network": "none"})
    assert found == [("config.push_network", "compute.network")]


def test_that_a_licence_is_a_plain_name() -> None:
    assert problems({"hub": "huggingface", "repo": "me/x", "licence": "apache-2.0"}) == []
    found = problems({"hub": "huggingface", "repo": "me/x", "licence": "a\nb: c"})
    assert [field for _code, field in found] == ["outputs.push.licence"]
