"""What tests of several pretended nodes share: quick looks, lines of a journal, the notes of a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.control.jobs import reach, watch
from tests.helpers.controller import Bench

STARTED = {"kind": "started", "pid": 1}
ENDED = {"kind": "ended", "state": "completed", "reason": "finished"}


@pytest.fixture(autouse=True)
def quick_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are asked at once, and marked at once; in whichever module imports this."""
    monkeypatch.setattr(reach, "EVERY_S", 0.02)
    monkeypatch.setattr(reach, "AWAY_EVERY_S", 0.02)
    monkeypatch.setattr(watch, "MARK_AFTER_S", 0.0)
    monkeypatch.setattr(watch, "AWAY_POLL_S", 0.01)


def step(n: int) -> dict[str, Any]:
    """A step as a worker tells of it."""
    return {"kind": "step", "step": n, "epoch": 1.0, "values": {"loss": 1.0 / n}}


def codes(bench: Bench, uid: str) -> list[str]:
    """Of the notes in a run's timeline."""
    rows = bench.fetch(
        "SELECT body FROM event JOIN run ON run.id = run_id WHERE uid = ? AND event.kind = 'note' ORDER BY cursor", uid
    )
    return [json.loads(row[0])["code"] for row in rows]
