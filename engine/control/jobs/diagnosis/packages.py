"""Packages of the worker's environment."""

from __future__ import annotations

import re

from engine.contract.states import EndReason
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs

MISSING = re.compile(r"No module named '?([\w.]{1,120})'?|cannot import name '(\w{1,120})'")
LIBRARY = re.compile(r"([\w./-]{1,160}\.so[\w.]{0,40}): cannot open shared object file")


def library_absent(evidence: Evidence) -> Finding | None:
    """A library of the system that a package wants is not installed."""
    if evidence.code != "environment.import" and evidence.reason is not EndReason.WORKER_ERROR:
        return None
    found = LIBRARY.search(evidence.ending)
    return Finding({"library": found[1]}) if found else None


def import_error(evidence: Evidence) -> Finding | None:
    """A package is missing or broken, said by the worker or by an interpreter that did not come that far."""
    if evidence.code != "environment.import" and evidence.reason is not EndReason.WORKER_ERROR:
        return None
    found = MISSING.findall(evidence.ending)
    if not found and evidence.code != "environment.import":
        return None
    module = next((one or other for one, other in reversed(found)), evidence.param("detail"))
    return Finding({"module": module})


PACKAGES: tuple[Rule, ...] = (
    signs(
        "numpy_other_version",
        "packages",
        (
            r"compiled using NumPy 1\.x cannot be run in\s{1,4}NumPy (?P<version>[\d.]{1,12}\d)",
            r"numpy\.dtype size changed",
        ),
        "a package made for an older numpy",
        "https://github.com/pytorch/pytorch/issues/135013",
        params={"version": "2"},
        over=("import_error",),
    ),
    signs(
        "torchvision_other_version",
        "packages",
        r"operator torchvision::nms does not exist",
        "torchvision does not belong to this torch",
        "https://github.com/fudan-generative-vision/hallo/issues/98",
        over=("import_error",),
    ),
    signs(
        "system_library_old",
        "packages",
        r"version `(?P<version>GLIBC(?:XX)?_[\d.]{1,12})' not found",
        "the system's C++ library is older than a package needs",
        "https://github.com/InternLM/xtuner/issues/365",
        over=("import_error",),
    ),
    Rule(
        "library_absent",
        "packages",
        library_absent,
        "a library of the system is not installed",
        over=("import_error", "missing_file"),
    ),
    Rule("import_error", "packages", import_error, "a package is missing or cannot be imported"),
)
