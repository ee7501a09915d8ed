"""What the end of a process means for its run."""

import json

import pytest

from engine.control.executors.base import Exit
from engine.control.jobs.ending import verdict

STOPPED = {"state": "stopped", "reason": "stopped_by_person"}
COMPLETED = {"state": "completed", "reason": "finished"}
OUT_OF_MEMORY = {"state": "failed", "reason": "out_of_memory", "error": {"code": "x", "what": "Too big."}}


@pytest.mark.parametrize(
    ("ended", "word", "asked", "state", "reason"),
    [
        (Exit(0), COMPLETED, False, "completed", "finished"),
        (Exit(0), None, False, "completed", "finished"),
        (Exit(0), COMPLETED, True, "completed", "finished"),
        (Exit(77), STOPPED, True, "stopped", "stopped_by_person"),
        (Exit(77), None, True, "stopped", "stopped_by_person"),
        (Exit(1), OUT_OF_MEMORY, False, "failed", "out_of_memory"),
        (Exit(0), OUT_OF_MEMORY, False, "failed", "out_of_memory"),
        (Exit(None, 11), COMPLETED, False, "completed", "finished"),
        (Exit(None, 9), None, False, "failed", "worker_killed"),
        (Exit(None, 9), None, True, "stopped", "stopped_by_person"),
        (Exit(3), None, False, "failed", "worker_error"),
        (Exit(3), None, True, "stopped", "stopped_by_person"),
        (Exit(), COMPLETED, False, "completed", "finished"),
        (Exit(), None, False, "failed", "lost"),
    ],
)
def test_verdicts(ended, word, asked, state, reason):
    attempt = {"last_word": json.dumps(word) if word else None, "stop_asked": 1.0 if asked else None}
    end = verdict(ended, attempt)
    assert (end.state, end.reason) == (state, reason)
    assert (end.error is None) == (state != "failed")


def test_that_a_killed_worker_names_its_signal():
    assert "signal 9" in verdict(Exit(None, 9), {"last_word": None, "stop_asked": None}).error.what
