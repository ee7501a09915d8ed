"""A node's doctor: it looks at one thing after the other, and each is green or comes with its fix. It waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from docker.errors import NotFound

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.nodes import CHECKS, CheckName, DoctorCheck, DoctorReport, NodeFacts, NodeProfile
from engine.control.executors.docker.link import Link
from engine.control.nodes import (
    check_clock,
    check_disk,
    check_engine,
    check_gpus,
    check_image,
    check_neighbours,
    check_reach,
)
from engine.control.nodes.findings import Finding, bad, skipped
from engine.control.nodes.probe import Probe
from engine.control.nodes.process_doctor import PROCESS_CHECKS, Here
from engine.control.nodes.visit import Visit

log = logging.getLogger(__name__)
DOORS: tuple[CheckName, ...] = ("reach", "authentication", "version")
"""Where one of these is bad, there is nothing else to see."""
Check = Callable[[], Finding]
Patient = TypeVar("Patient")

ENGINE_CHECKS: dict[CheckName, Callable[[Visit], Finding]] = {
    "reach": check_reach.reach,
    "authentication": check_reach.authentication,
    "version": check_engine.version,
    "live_restore": check_engine.live_restore,
    "runtime": check_gpus.runtime,
    "driver": check_gpus.driver,
    "gpus": check_gpus.gpus,
    "disk": check_disk.disk,
    "bandwidth": check_disk.bandwidth,
    "clock": check_clock.clock,
    "image": check_image.image,
    "isolation": check_neighbours.isolation,
    "owner": check_neighbours.owner,
}


class Doctor:
    """Examines one node. `facts` grows while it does."""

    def __init__(self, node: str, checks: Mapping[CheckName, Check], facts: Callable[[], NodeFacts]) -> None:
        self._node = node
        self._checks = checks
        self._facts = facts

    def checks(self, only: Sequence[CheckName] = ()) -> Iterator[DoctorCheck]:
        """Each check twice: as it begins, and with what was found. `only`: these; all where none is named."""
        closed = ""
        for name in CHECKS:
            if only and name not in only:
                continue
            if closed:
                yield DoctorCheck(name=name, state="skipped", facts={"because": closed})
                continue
            yield DoctorCheck(name=name, state="running")
            began = time.monotonic()
            found = self._look(name)
            seconds = round(time.monotonic() - began, 3)
            yield DoctorCheck(name=name, state=found.state, facts=found.facts, error=found.error, seconds=seconds)
            if found.state == "bad" and name in DOORS:
                closed = name

    def examine(self, tell: Callable[[DoctorCheck], None], only: Sequence[CheckName] = ()) -> DoctorReport:
        """Examine, telling step by step; the whole report at the end."""
        done = {}
        for check in self.checks(only):
            tell(check)
            done[check.name] = check
        return DoctorReport(node=self._node, at=now(), done=True, checks=list(done.values()), facts=self._facts())

    def _look(self, name: CheckName, again: bool = True) -> Finding:
        try:
            return self._checks[name]()
        except UserError as error:
            # The image's own check is bad then; what needs one cannot be looked at.
            return skipped(error) if error.code == "node.image_first" else bad(error)
        except NotFound as error:
            if again:  # whoever cleans up may have taken a container before it was started
                return self._look(name, again=False)
            return bad(UserError("node.vanished", node=self._node, detail=str(error.explanation or error)))
        except Exception as error:
            # A border: what one check stumbles over must not hide what the others find.
            log.exception("check %s of node %s broke", name, self._node)
            detail = f"{type(error).__name__}: {error}"[:300]
            return bad(UserError("node.check_broke", node=self._node, check=name, detail=detail))


def engine_doctor(profile: NodeProfile, link: Link, image: str, controller: str, probe: Probe | None = None) -> Doctor:
    """For a node with Docker. `image`: the worker image of the settings; `controller`: this home's id in labels."""
    visit = Visit(profile, link, profile.image or image, controller, probe)
    checks = {name: _bound(check, visit) for name, check in ENGINE_CHECKS.items()}
    return Doctor(profile.name, checks, lambda: visit.facts)


def process_doctor(node: str, here: Here) -> Doctor:
    """For this computer's processes."""
    checks: dict[CheckName, Check] = dict.fromkeys(CHECKS, _of_engines_only)
    checks |= {name: _bound(check, here) for name, check in PROCESS_CHECKS.items()}
    return Doctor(node, checks, lambda: here.facts)


def _bound(check: Callable[[Patient], Finding], patient: Patient) -> Check:
    return lambda: check(patient)


def _of_engines_only() -> Finding:
    return skipped(because="process")
