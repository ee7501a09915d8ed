"""Listening to the controller: an endless iterator of messages that connects again by itself.

Stored events are asked for from the last one seen, so none is missed and none comes twice. Points and log sizes
are not stored: after a break `on_gap` says that curves and logs should be fetched anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial

from pydantic import ValidationError
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from engine.client.address import Address, Locate, read_address
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.contract.stream import Hello, StreamMessage, stream_message

log = logging.getLogger(__name__)
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
MAX_MESSAGE_BYTES = 64 << 20
PING_S, PONG_S = 5.0, 10.0
"""A controller that hangs is noticed after fifteen seconds at most."""


def _nothing() -> None:
    """A callback nobody asked for."""


def _no_reason(_reason: str) -> None:
    """A callback nobody asked for."""


class RunStream:
    """Iterate it in a thread of its own; the callbacks run in that thread, `close` may come from any."""

    def __init__(
        self,
        home: Home,
        since: int | None = None,
        *,
        locate: Locate | None = None,
        on_online: Callable[[], None] = _nothing,
        on_offline: Callable[[str], None] = _no_reason,
        on_gap: Callable[[], None] = _nothing,
    ) -> None:
        self.cursor = since
        """The last stored event that was handed out."""
        self._locate = locate or partial(read_address, home)
        self._on_online = on_online
        self._on_offline = on_offline
        self._on_gap = on_gap
        self._closed = threading.Event()
        self._socket: ClientConnection | None = None
        self._lock = threading.Lock()
        self._was_online = False
        self._online = False

    def close(self) -> None:
        """End the iteration, also when it waits."""
        self._closed.set()
        with self._lock:
            socket = self._socket
        if socket is not None:
            socket.close()

    def __iter__(self) -> Iterator[StreamMessage]:
        pause = FIRST_PAUSE_S
        while not self._closed.is_set():
            reason = "The job controller does not run."
            try:
                address = self._locate()
                if address is not None:
                    for message in self._listen(address):
                        pause = FIRST_PAUSE_S
                        yield message
                    reason = "The connection was closed."
            except (OSError, WebSocketException, UserError) as error:
                reason = _in_words(error)
            if self._closed.is_set():
                return
            self._tell_offline(reason)
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _listen(self, address: Address) -> Iterator[StreamMessage]:
        """Messages of one connection, until it ends."""
        query = "" if self.cursor is None else f"?since={self.cursor}"
        with connect(
            address.stream + query,
            additional_headers=address.headers,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=5,
            close_timeout=1,
            compression=None,
            proxy=None,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
        ) as socket:
            with self._lock:
                self._socket = socket
            try:
                if not self._closed.is_set():
                    for text in socket:
                        message = _parse(text)
                        if message is not None:
                            self._take(message)
                            yield message
            finally:
                with self._lock:
                    self._socket = None

    def _take(self, message: StreamMessage) -> None:
        """Note how far we are; the greeting means that we are connected."""
        if isinstance(message, Hello):
            self.cursor = message.cursor
            self._online = True
            self._on_online()
            if self._was_online:
                self._on_gap()
            self._was_online = True
        else:
            cursor = getattr(message, "cursor", None)
            if cursor is not None:
                self.cursor = cursor

    def _tell_offline(self, reason: str) -> None:
        """Once a break, not at every vain try."""
        if self._online or not self._was_online:
            log.info("stream: %s", reason)
        if self._online:
            self._online = False
            self._on_offline(reason)


def _parse(text: str | bytes) -> StreamMessage | None:
    """A message; None for one that only a newer version knows."""
    try:
        return stream_message.validate_json(text)
    except ValidationError:
        log.warning("stream: cannot read %.200r", text)
        return None


def _in_words(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"The job controller refused the connection (status {error.response.status_code})."
    return str(error) or type(error).__name__
