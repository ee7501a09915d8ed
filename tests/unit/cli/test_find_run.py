"""Naming a run on the command line: by id, by the beginning of one, by name, or nearly."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cli.session import find_run
from engine.contract.api import RunPage, RunSummary
from engine.contract.errors import Conflict, NotFound
from engine.contract.search import parse
from engine.contract.search_filter import matches


class Listing:
    """A controller with a few runs."""

    def __init__(self, **names: str) -> None:
        common: dict[str, Any] = {"project": "p", "owner": "o", "kind": "train", "lane": "gpu", "state": "draft"}
        self._runs = [RunSummary(uid=uid, name=name, created=0.0, **common) for uid, name in names.items()]

    def run(self, uid: str) -> Any:
        raise NotFound("run.unknown", run=uid)

    def runs(self, search: str = "", limit: int = 0) -> RunPage:
        shown = [run for run in self._runs if matches(parse(search), run)]
        return RunPage(runs=shown[:limit], total=len(shown), counts={}, cursor=0)


def test_that_a_beginning_or_a_name_finds_the_run():
    client: Any = Listing(abc1="apples", xyz2="pears")
    assert find_run(client, "apples").uid == "abc1"
    assert find_run(client, "xyz").uid == "xyz2"


@pytest.mark.parametrize("name", ["night:ly", "-v2", 'a "b" c', "loss<1", "x \\ y"])
def test_that_a_name_like_an_operator_is_a_name(name):
    client: Any = Listing(abc1=name, abc2="other")
    assert find_run(client, name).uid == "abc1"


def test_that_a_near_name_is_offered():
    client: Any = Listing(abc1="demo-iso-dates")
    for nearly in ("demo-iso-date", "demo"):
        with pytest.raises(NotFound, match="Did you mean 'demo-iso-dates'"):
            find_run(client, nearly)
    with pytest.raises(NotFound, match="no run 'zebra'"):
        find_run(client, "zebra")


def test_that_a_name_that_fits_two_runs_is_refused_with_both():
    client: Any = Listing(abc1="apples", abc2="apples")
    with pytest.raises(Conflict, match=r"abc1 .*abc2"):
        find_run(client, "apples")
