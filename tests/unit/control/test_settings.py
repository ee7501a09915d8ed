"""Settings of the controller: taken or refused whole, every problem named, told to whoever listens."""

from __future__ import annotations

import asyncio

import pytest

from engine.contract.api import Settings
from engine.contract.errors import ErrorBody
from engine.contract.settings_check import problems_of
from engine.contract.stream import SettingsChanged
from engine.control.jobs.requests import Request
from tests.unit.control.test_api import api


def test_that_every_problem_is_named_and_nothing_changed(bench):
    wrong = {"slots": {"gpu": 65}, "retry_seconds": "soon", "proxy": "proxy:1", "keep_days": 3, "spare_workers": 9}

    async def main():
        async with api(bench) as client:
            answer = await client.patch("/settings", json=wrong)
            return answer, (await client.get("/settings")).json()

    answer, after = asyncio.run(main())
    body = ErrorBody.model_validate_json(answer.content)
    assert answer.status_code == 422
    assert {problem.field for problem in body.problems} == {"slots.gpu", "retry_seconds", "proxy", "spare_workers"}
    assert all(problem.fix for problem in body.problems)
    assert after == Settings().model_dump(mode="json")
    assert not bench.home.settings_file.exists()


def test_that_a_change_is_told_to_whoever_listens(bench):
    async def main():
        async with bench.running():
            listener = bench.controller.hub.subscribe()
            await bench.controller.change_settings(Settings(keep_days=3), Request("settings"))
            while True:
                await listener.ready.wait()
                for message in listener.take():
                    if isinstance(message, SettingsChanged):
                        return message.settings.keep_days

    assert asyncio.run(asyncio.wait_for(main(), 30)) == 3


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"keep_days": None, "slots": None},
        {"proxy": "http://proxy:3128", "no_proxy": "localhost, 10.0.0.0,.example.com"},
        {"proxy": "http://proxy:1080"},
        {"endpoints": {"huggingface": "https://hub.example:8443/base"}},
        {"prices": {"gpu": 0, "cpu": 1.5}, "currency": "EUR"},
    ],
)
def test_that_what_can_be_used_is_taken(good):
    assert problems_of(Settings().model_dump() | good) == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"keep_days": float("nan")}, "keep_days"),
        ({"keep_days": float("inf")}, "keep_days"),
        ({"retry_seconds": 1e300}, "retry_seconds"),
        ({"prices": {"gpu": float("inf")}}, "prices.gpu"),
        ({"prices": {"tpu": 1}}, "prices.tpu"),
        ({"endpoints": {"other": "https://x"}}, "endpoints.other"),
        ({"endpoints": {"huggingface": "https://user:pw@hub"}}, "endpoints.huggingface"),
        ({"endpoints": {"huggingface": "ftp://hub"}}, "endpoints.huggingface"),
        ({"proxy": "http://"}, "proxy"),
        ({"proxy": "http://proxy:99999999"}, "proxy"),
        ({"proxy": "http://ada:pw@proxy"}, "proxy"),
        ({"no_proxy": "http://x"}, "no_proxy"),
        ({"slots": {"gpu": "many"}}, "slots.gpu"),
        ({"slots": 3}, "slots"),
        ({"currency": "usd"}, "currency"),
        ({"log_level": "loud"}, "log_level"),
    ],
)
def test_that_what_cannot_be_used_is_refused_by_name(bad, field):
    found = problems_of(Settings().model_dump() | bad)
    assert [problem.field for problem in found] == [field]
    assert found[0].reason
