"""Where the controller of a home listens, and the token that opens its door."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import Conflict
from engine.contract.paths import Home


@dataclass(frozen=True)
class Address:
    """A controller that wrote down where it is; whether it still lives shows when it is asked."""

    port: int
    token: str
    pid: int
    started: float
    version: str
    protocol: int

    @property
    def http(self) -> str:
        """Base of all requests."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream(self) -> str:
        """The WebSocket."""
        return f"ws://127.0.0.1:{self.port}/stream"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


Locate = Callable[[], Address | None]


def read_address(home: Home) -> Address | None:
    """What the controller of this home wrote down, if it did."""
    try:
        content = json.loads(home.controller_file.read_bytes())
        token = home.token_file.read_text().strip()
        return Address(
            int(content["port"]), token, int(content["pid"]), float(content["started"]), str(content["version"]),
            int(content["protocol"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def gone(pid: int) -> bool:
    """Whether no process has this number any more: what it wrote down is stale, and its port may be another's."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return True
    except OSError:  # it lives and is somebody else's
        return False
    return False


def check_protocol(theirs: int) -> None:
    """Refuse a controller of another version in plain words."""
    if theirs != PROTOCOL_VERSION:
        raise Conflict("controller.other_protocol", theirs=theirs, ours=PROTOCOL_VERSION)
