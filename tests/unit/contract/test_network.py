"""Which network a worker in a container sees, and the words for it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.artifact_place import bucket_of, check_place, endpoint_of
from engine.contract.errors import UserError
from engine.contract.network import needs_network, network_of
from engine.contract.run_spec import RunConfig, RunSpec

BUNDLED = {"hub": "bundled", "path": "demo"}


def order(hub: str = "bundled", **compute: Any) -> RunSpec:
    job = {"kind": "train", "model": {"hub": hub, "path": "org/name"}, "data": {"train": [BUNDLED]}}
    return RunSpec.model_validate({"name": "a", "job": job, "compute": compute})


@pytest.mark.parametrize(
    ("spec", "code", "needed"),
    [
        (order(), "network.nothing", False),
        (order("local"), "network.nothing", False),
        (order("huggingface"), "network.hub", True),
        (order("huggingface", network="none"), "network.none", False),
        (order(network="open"), "network.open", True),
    ],
)
def test_that_only_who_needs_a_network_has_one_and_that_is_said(spec, code, needed):
    found, params = network_of(spec)
    assert (found, needs_network(spec)) == (code, needed)
    text = UserError(found, **params).text
    assert text
    assert "{" not in text


def test_that_the_wish_stands_in_the_config_and_in_the_order():
    config = RunConfig.from_spec(order(network="open"))
    assert config.document()["compute"]["network"] == "open"
    assert config.to_spec().compute.network == "open"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3://bucket", ("bucket", "")), ("s3://bucket/a/b/", ("bucket", "a/b")), ("s3://", None), ("s3://B", None),
        ("s3://bucket/../x", None), ("/folder", None),
    ],
)  # fmt: skip
def test_how_buckets_are_written(text, found):
    assert bucket_of(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://host", ("https", "host")), ("http://host:9000/", ("http", "host:9000")), ("host", None),
        ("ftp://host", None), ("https://key:secret@host", None), ("https://host/path", None), ("http://h:0", None),
    ],
)  # fmt: skip
def test_how_services_are_written(text, found):
    assert endpoint_of(text) == found


def test_that_every_problem_of_a_place_is_named():
    assert [one.field for one in check_place("nowhere", "nobody")] == ["artifact_place", "artifact_endpoint"]
    assert list(check_place("", "")) == list(check_place("/mnt/disk", "")) == []
