"""What all links have in common: idle clients, the interface's version, and errors in plain words."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from docker.errors import APIError, NotFound
from docker.utils import version_lt

from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker import trouble
from engine.control.executors.docker.client import EngineClient
from engine.control.executors.docker.link import LONG_S, QUICK_S, Answer
from engine.control.executors.docker.trouble import Way

OLDEST_API = "1.41"
"""Docker 20.10: older engines lack what containers are started with."""
NEWEST_API = "1.45"
"""What the SDK was written for."""
CONNECT_S = 10.0
KEPT = 8
"""So many idle clients at most; each holds a connection."""


class _DeadConnectionError(Exception):
    """An idle connection turned out to be dead."""


class EngineLink(ABC):
    """A link whose way is known. Those that inherit say how a client is made and what an error means."""

    def __init__(self, node: str, address: str) -> None:
        self.node = node
        self.address = address
        self._lock = threading.Lock()
        self._idle: list[EngineClient] = []
        self._round = 0
        self._version = ""
        self._closed = False

    def ask(self, work: Callable[[Any], Answer], timeout: float = QUICK_S) -> Answer:
        """Do `work` with a client of its own time-out."""
        return self._do(work, timeout)

    def stream(self, work: Callable[[Any], Answer]) -> Answer:
        """The same, for what may be silent for long."""
        return self._do(work, LONG_S)

    def alone(self, work: Callable[[Any], Answer]) -> Answer:
        """With a client that is never used again; it is closed here only if the work fails."""
        self.ask(lambda api: api.ping())  # the way is open, and the version agreed on
        client = self._client(self._version)
        client.trust_env, client.timeout = False, LONG_S  # type: ignore[assignment]
        try:
            return work(client)
        except trouble.TRANSPORT as error:
            client.close()
            raise self._explain(error, LONG_S) from error
        except BaseException:
            client.close()
            raise

    @property
    def forwards(self) -> bool:
        """Most lead to the engine only."""
        return False

    def forward(self, port: int) -> Any:  # noqa: ARG002 - see above
        """Nowhere."""
        return None

    def forget(self) -> None:
        """Connect anew from now on; the engine may be another one by then."""
        self._drop_idle()
        self._version = ""

    def close(self) -> None:
        """No more questions."""
        self._closed = True
        self.forget()

    @abstractmethod
    def _client(self, version: str) -> EngineClient:
        """A new client; nothing is asked yet."""

    def _prepare(self, seconds: float) -> None:  # noqa: B027 - most ways need nothing
        """Open the way, if it has to be; raises `Unreachable`."""

    def _revive(self) -> None:  # noqa: B027 - most ways need nothing
        """A connection was dead: look whether the way is."""

    def _explain(self, error: BaseException, seconds: float) -> UserError:
        """What is in the way."""
        return trouble.explain(error, Way(self.node, self.address, seconds))

    def _do(self, work: Callable[[Any], Answer], seconds: float) -> Answer:
        if self._closed:
            raise Unreachable("node.link_closed", node=self.node)
        try:
            return self._once(work, seconds)
        except _DeadConnectionError:
            self._revive()
            return self._once(work, seconds, last=True)

    def _once(self, work: Callable[[Any], Answer], seconds: float, last: bool = False) -> Answer:
        self._prepare(max(min(seconds, QUICK_S), CONNECT_S))
        version = self._version or self._agree()
        return self._with_client(work, seconds, version, last or seconds >= LONG_S)

    def _agree(self) -> str:
        """The newest version of the interface that both sides know."""
        found = self._with_client(lambda api: api.version(api_version=False), QUICK_S, "", last=True)
        if not isinstance(found, dict) or "ApiVersion" not in found:
            raise Unreachable("node.not_docker", node=self.node, address=self.address)
        newest, oldest = str(found["ApiVersion"]), str(found.get("MinAPIVersion", OLDEST_API))
        if version_lt(newest, OLDEST_API):
            params: dict[str, Any] = {"version": str(found.get("Version", "?")), "api": newest, "oldest": OLDEST_API}
            raise Unreachable("node.engine_old", node=self.node, **params)
        agreed = newest if version_lt(newest, NEWEST_API) else NEWEST_API
        self._version = oldest if version_lt(agreed, oldest) else agreed
        return self._version

    def _with_client(self, work: Callable[[Any], Answer], seconds: float, version: str, last: bool) -> Answer:
        """`last`: what fails is not tried again; else what only read is, for its connection had been idle."""
        at, client = self._take(version)
        client.timeout = seconds  # type: ignore[assignment] # the stubs know whole seconds only
        client.only_read = True
        sound = False
        try:
            answer = work(client)
            sound = True
            return answer
        except NotFound:
            sound = True
            raise
        except APIError as error:
            sound = True
            raise trouble.refused(error, self.node) from error
        except trouble.TRANSPORT as error:
            if (ours := trouble.own_error(error)) is not None:
                raise ours from error
            if not last and client.only_read and trouble.broke_off(error):
                self._drop_idle()
                raise _DeadConnectionError from error
            raise self._explain(error, seconds) from error
        finally:
            self._put_back(client, at if sound and version else -1)

    def _take(self, version: str) -> tuple[int, EngineClient]:
        with self._lock:
            at = self._round
            if self._idle and version:
                return at, self._idle.pop()
        client = self._client(version or OLDEST_API)
        client.trust_env = False  # no proxy, netrc or CA bundle of the environment stands between us and a node
        return at, client

    def _drop_idle(self) -> None:
        with self._lock:
            self._round += 1
            dropped, self._idle = self._idle, []
        for client in dropped:
            client.close()

    def _put_back(self, client: EngineClient, at: int) -> None:
        with self._lock:
            if at == self._round and len(self._idle) < KEPT and not self._closed:
                self._idle.append(client)
                return
        client.close()
