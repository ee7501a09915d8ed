"""Threads beside the engine's: what they compute leaves no team of OpenMP behind, for that would slow every token."""

import os
import sys
import threading

import pytest
import torch
from serving_cases import ASKED, adapter, opened, plain, said, wait_for

from engine.compute.passing import in_passing


def native() -> int:
    """Threads of this process that are not Python's."""
    return len(os.listdir("/proc/self/task")) - threading.active_count()


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp, /proc")
def test_that_only_the_engine_has_a_team(tmp_path):
    adapter(tmp_path, "first", 1, description="ISO dates of days in August")
    path = str(tmp_path / "first.lora.arrow")
    torch.ones(256, 256) @ torch.ones(256, 256)  # the team of this thread
    before = native()
    with opened(adapters=[{"name": "first", "path": path}]) as server, plain(server) as http:
        said(server, "first")
        assert http.post("/v1/adapters", json={"name": "second", "path": path}).status_code == 200
        assert http.post("/v1/route", json={"text": "Which day is it?"}).status_code == 200
        found = http.post("/v1/embeddings", json={"model": "demo", "input": ["one", "two"]})
        assert found.status_code == 200
        assert http.post("/v1/tokenize", json={"messages": ASKED}).status_code == 200
        wait_for(lambda: native() - before <= torch.get_num_threads() - 1)


def test_that_what_goes_wrong_in_passing_is_raised():
    assert in_passing(lambda: threading.current_thread().name).startswith("passing")
    with pytest.raises(KeyError, match="no such thing"):
        in_passing(lambda: {}["no such thing"])
