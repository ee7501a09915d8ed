"""What remains on a node after the end, and its going: by label, only ours, only what is whole on this computer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from docker.errors import NotFound

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.control.executors.docker import names
from engine.control.executors.docker.link import LONG_S, Link
from engine.control.executors.docker.outcome import moment
from engine.control.executors.docker.remote import LIVE, Refusal, Remote, listed, told

log = logging.getLogger(__name__)
DAY_S = 86_400.0
CACHE_DAYS = 7.0
PROBE = "probe"


@dataclass
class Remains:
    """What a run has left on a node."""

    run: str
    containers: list[str] = field(default_factory=list)
    live: bool = False
    ended: float | None = None
    """When its last container ended; None: not known."""
    keep_days: float | None = None
    copied: bool = True
    """All of it is on this computer too."""

    @property
    def expires(self) -> float | None:
        """When it goes; None: not by itself."""
        if self.live or self.ended is None or self.keep_days is None:
            return None
        return self.ended + self.keep_days * DAY_S


class Keep:
    """Looks after one node. Every method waits for it and may raise Unreachable."""

    def __init__(
        self,
        link: Link,
        controller: str,
        session: str = "",
        copied: Callable[[str, int], bool] = lambda _uid, _attempt: True,
    ) -> None:
        self.link, self.controller, self.session = link, controller, session
        self._copied = copied
        """Whether all of an attempt is on this computer."""

    def remains(self) -> dict[str, Remains]:
        """What this controller's runs have left there, by run."""
        found: dict[str, Remains] = {}
        for row in listed(self.link, CONTROLLER=self.controller):
            labels = row["Labels"]
            if names.RUN in labels and labels.get(names.KIND) != PROBE:
                self._add(found.setdefault(labels[names.RUN], Remains(labels[names.RUN])), row)
        for volume in self._volumes():
            uid = (volume.get("Labels") or {}).get(names.RUN)
            if uid and uid not in found:  # its containers were removed by hand
                days = names.days_of(volume["Labels"].get(names.EXPIRES))
                found[uid] = Remains(uid, ended=moment(_utc(volume.get("CreatedAt", ""))), keep_days=days)
        return found

    def sweep(
        self,
        may_go: Callable[[str], bool],
        days: Mapping[str, float | None] | None = None,
        at: float | None = None,
        is_over: Callable[[str, int], bool] = lambda _uid, _attempt: False,
    ) -> list[str]:
        """Remove what has had its time. `days`: other than its label says, None for good (a pinned run).

        `is_over`: the history closed this attempt. Nobody follows a worker of it that lives: it is ended first.
        """
        self._end_strays(is_over)
        self._tidy_leftovers()
        gone = []
        for uid, left in self.remains().items():
            if days is not None and uid in days:
                left.keep_days = days[uid]
            expires = left.expires
            due = expires is not None and expires <= (now() if at is None else at)
            if due and left.copied and may_go(uid) and self.remove(uid):
                gone.append(uid)
        return gone

    def remove(self, uid: str) -> bool:
        """A run's containers and its volume go now; False, and nothing is gone, while one of them works."""
        rows = listed(self.link, CONTROLLER=self.controller, RUN=uid)
        if any(row["State"] in LIVE for row in rows):
            return False
        try:
            for row in rows:
                Remote(self.link, row["Id"]).remove(force=True)
            for volume in self._volumes(uid):
                self._remove_volume(volume["Name"])
        except Refusal as error:
            log.warning("%s: what is left of run %s could not be removed: %s", self.link.node, uid, error)
            return False
        return True

    def _end_strays(self, is_over: Callable[[str, int], bool]) -> None:
        for row in listed(self.link, CONTROLLER=self.controller):
            uid, number = row["Labels"].get(names.RUN), row["Labels"].get(names.ATTEMPT, "")
            if row["State"] in LIVE and uid and number.isdecimal() and is_over(uid, int(number)):
                log.warning("%s: %s is ended: its attempt is over", self.link.node, row["Names"])
                with contextlib.suppress(Refusal):
                    Remote(self.link, row["Id"]).kill("SIGKILL")

    def fence(self, uid: str, lease: str) -> int:
        """End attempts of this run that work under another lease."""
        others = [
            row for row in listed(self.link, RUN=uid)
            if row["State"] in LIVE and row["Labels"].get(names.LEASE) not in (lease, None)
        ]  # fmt: skip
        for row in others:
            log.warning("%s: %s is ended: its lease is no longer valid", self.link.node, row["Names"])
            Remote(self.link, row["Id"]).kill("SIGKILL")
        return len(others)

    def tidy_private(self, container: str) -> None:
        """An attempt with private inputs has ended, all of it is here: its container goes, and those inputs with it."""
        remote = Remote(self.link, container)
        state = remote.state()
        if state is None or state.live or state.labels.get(names.PRIVATE) != "1":
            return
        remote.remove()
        self.drop_private()

    def _tidy_leftovers(self) -> None:
        """Private inputs of attempts that ended while the node could not be told."""
        for row in listed(self.link, CONTROLLER=self.controller, PRIVATE="1"):
            if row["State"] not in LIVE and self._is_copied(row):
                with contextlib.suppress(Refusal):
                    Remote(self.link, row["Id"]).remove()
        self.drop_private()

    def _is_copied(self, row: dict[str, Any]) -> bool:
        number = row["Labels"].get(names.ATTEMPT, "")
        return not number.isdecimal() or self._copied(row["Labels"].get(names.RUN, ""), int(number))

    def drop_private(self) -> None:
        """Private entries of the cache that no container uses."""
        for volume in self._cache(private=True):
            self._remove_volume(volume["Name"], quiet=True)

    def drop_unused(self, older_than_days: float = CACHE_DAYS, at: float | None = None) -> list[str]:
        """Entries of the cache that no container has mounted, made a while ago."""
        gone = []
        for volume in self._cache(private=False):
            made = moment(_utc(volume.get("CreatedAt", "")))
            if made is None or made + older_than_days * DAY_S > (now() if at is None else at):
                continue
            if self._remove_volume(volume["Name"], quiet=True):
                gone.append(volume["Name"])
        return gone

    def drop_probes(self) -> None:
        """Containers to look through, to fill or to try a node with, left by a controller that was killed."""
        for row in listed(self.link, CONTROLLER=self.controller, KIND=PROBE):
            if row["State"] not in LIVE and self._left_over(row["Labels"]):
                with contextlib.suppress(Refusal, UserError):
                    Remote(self.link, row["Id"]).remove(force=True)
        for volume in self._labelled(f"{names.CONTROLLER}={self.controller}", f"{names.KIND}={PROBE}"):
            if self._left_over(volume["Labels"]):
                self._remove_volume(volume["Name"], quiet=True)

    def _left_over(self, labels: Mapping[str, str]) -> bool:
        session = labels.get(names.SESSION)
        return bool(session) and session not in (self.session, names.PROCESS)

    def _add(self, left: Remains, row: dict[str, Any]) -> None:
        left.containers.append(str(row["Names"][0]).lstrip("/"))
        left.live = left.live or row["State"] in LIVE
        left.copied = left.copied and self._is_copied(row)
        left.keep_days = names.days_of(row["Labels"].get(names.EXPIRES))
        state = Remote(self.link, row["Id"]).state()
        ended = moment(state.finished) if state is not None else None
        if ended is not None:
            left.ended = max(left.ended or 0.0, ended)

    def _volumes(self, uid: str | None = None) -> list[dict[str, Any]]:
        return self._labelled(f"{names.CONTROLLER}={self.controller}", f"{names.RUN}={uid}" if uid else names.RUN)

    def _cache(self, private: bool) -> list[dict[str, Any]]:
        return self._labelled(names.DIGEST, f"{names.PRIVATE}={int(private)}")

    def _labelled(self, *more: str) -> list[dict[str, Any]]:
        labels = [f"{names.MANAGED}=1", *more]
        return self.link.ask(lambda api: api.volumes(filters={"label": labels})["Volumes"]) or []

    def _remove_volume(self, name: str, quiet: bool = False) -> bool:
        try:
            answer = self.link.ask(told(lambda api: api.remove_volume(name)), LONG_S)
        except NotFound:
            return True
        if isinstance(answer, Refusal):
            if quiet:
                return False  # a container has it mounted
            raise answer
        return True


def _utc(text: str) -> str:
    """Volumes have their time with a zone; an engine without one writes Z."""
    return text.replace("+00:00", "Z")
