"""Files, folders and disks."""

from __future__ import annotations

import re

from engine.contract.states import EndReason
from engine.control.jobs.diagnosis.changes import changed
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs

MISSING_CODES = {"data.missing", "model.missing"}
NO_FILE = re.compile(r"No such file or directory: '([^'\n]{1,400})'")
NO_ROOM = ("No space left on device", "Disk quota exceeded")


def disk_full(evidence: Evidence) -> Finding | None:
    """No room; fewer checkpoints help where there are several."""
    no_room = any(sign in evidence.ending for sign in NO_ROOM)
    if evidence.reason is not EndReason.DISK_FULL and not no_room:
        return None
    several = evidence.job is not None and evidence.job.checkpoints.keep_last > 1
    changes = changed(evidence, ("checkpoints.keep_last", 1)) if several else ()
    return Finding({"path": evidence.param("path") or "its folder"}, changes)


def missing_file(evidence: Evidence) -> Finding | None:
    """A path of the config, or one that Python named, is not there."""
    path = evidence.param("path") if evidence.code in MISSING_CODES else ""
    if not path and evidence.reason in (EndReason.WORKER_ERROR, None):
        found = NO_FILE.findall(evidence.ending)
        path = found[-1] if found else ""
    if not path:
        problems = evidence.error.problems if evidence.error else []
        path = next((p.params.get("value", "") for p in problems if p.code == "config.path_missing"), "")
    return Finding({"path": path}) if path else None


FILES: tuple[Rule, ...] = (
    Rule(
        "disk_full",
        "disk",
        disk_full,
        "no room is left on a disk",
        settings=("checkpoints.keep_last",),
        over=("missing_file",),
    ),
    signs(
        "disk_read_only",
        "disk",
        r"Read-only file system(?:: '(?P<path>[^'\n]{1,160})')?",
        "a disk that can only be read",
        params={"path": "?"},
        at_end=True,
    ),
    signs(
        "not_permitted",
        "disk",
        r"Permission denied(?:: '(?P<path>[^'\n]{1,160})')?",
        "a file or folder of somebody else",
        params={"path": "?"},
        at_end=True,
    ),
    Rule("missing_file", "disk", missing_file, "a file the run needs is not there"),
)
