"""What the end of a process means for its run."""

import errno
import json

import pytest

from engine.control.executors.base import Exit
from engine.control.jobs.ending import start_verdict, verdict

STOPPED = {"state": "stopped", "reason": "stopped_by_person"}
COMPLETED = {"state": "completed", "reason": "finished"}
PAUSED = {"state": "paused", "reason": "paused_by_person"}
INTERRUPTED = {"state": "stopped", "reason": "interrupted", "step": 7}
DISK_FULL = {"state": "failed", "reason": "disk_full", "error": {"code": "x", "what": "Full."}}
OUT_OF_MEMORY = {"state": "failed", "reason": "out_of_memory", "error": {"code": "x", "what": "Too big."}}


def evidence(word, asked):
    last = json.dumps(word) if word else None
    return {"last_word": last, "stop_asked": 1.0 if asked else None, "stop_verb": asked}


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
    attempt = evidence(word, "stop" if asked else None)
    end = verdict(ended, attempt)
    assert (end.state, end.reason) == (state, reason)
    assert (end.error is None) == (state != "failed")


def test_that_a_killed_worker_names_its_signal():
    assert "signal 9" in verdict(Exit(None, 9), evidence(None, None)).error.what


@pytest.mark.parametrize(
    ("ended", "word", "asked", "state", "reason"),
    [
        (Exit(77), PAUSED, "pause", "paused", "paused_by_person"),
        (Exit(77), None, "pause", "paused", "paused_by_person"),
        (Exit(77), INTERRUPTED, "pause", "paused", "paused_by_person"),
        (Exit(77), PAUSED, "stop", "stopped", "stopped_by_person"),
        (Exit(77), INTERRUPTED, "stop", "stopped", "stopped_by_person"),
        (Exit(0), COMPLETED, "pause", "completed", "finished"),
        (Exit(None, 9), None, "pause", "paused", "paused_by_person"),
        (Exit(), None, "pause", "paused", "paused_by_person"),
        (Exit(3), None, "pause", "failed", "worker_error"),
        (Exit(1), OUT_OF_MEMORY, "pause", "failed", "out_of_memory"),
    ],
)
def test_ends_of_runs_that_were_asked_to_pause_or_stop(ended, word, asked, state, reason):
    end = verdict(ended, evidence(word, asked))
    assert (end.state, end.reason, end.again) == (state, reason, False)


@pytest.mark.parametrize(
    ("ended", "word", "reason", "again"),
    [
        (Exit(None, 9), None, "worker_killed", True),
        (Exit(None, 11), None, "worker_killed", True),
        (Exit(), None, "lost", True),
        (Exit(77), INTERRUPTED, "interrupted", True),
        (Exit(77), None, "interrupted", True),
        (Exit(1), DISK_FULL, "disk_full", True),
        (Exit(1), OUT_OF_MEMORY, "out_of_memory", False),
        (Exit(3), None, "worker_error", False),
    ],
)
def test_which_ends_are_worth_another_attempt(ended, word, reason, again):
    end = verdict(ended, evidence(word, None))
    assert (end.reason, end.again) == (reason, again)


def test_that_a_worker_that_was_ended_for_its_silence_hung():
    end = verdict(Exit(None, 9), evidence(None, None), hung_minutes=15)
    assert (end.reason, end.error.code, end.again) == ("hang", "worker.hung", True)


@pytest.mark.parametrize(("number", "again"), [(errno.EAGAIN, True), (errno.ENOSPC, True), (errno.EACCES, False)])
def test_which_failed_starts_may_pass(number, again):
    assert start_verdict(OSError(number, "no")).again is again
