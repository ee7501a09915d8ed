"""A TCP proxy on loopback that cuts connections, so that tests see what a bad line does."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from tests.helpers.listening import Listening, hang_up

PIECE = 1 << 16


class Proxy(Listening):
    """Passes connections on to a port; each of the first ones is cut after so many bytes of answer."""

    def __init__(self, port: int, cuts: list[int], on_cut: Callable[[int], object] = lambda _number: None) -> None:
        self._target, self._cuts, self._on_cut = port, list(cuts), on_cut
        self.connections = 0
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        """Both directions, each on a thread."""
        server = socket.create_connection(("127.0.0.1", self._target))
        self._open.append(server)
        number, self.connections = self.connections, self.connections + 1
        limit = self._cuts[number] if number < len(self._cuts) else None
        self._begin(self._pump, client, server, None, number)
        self._begin(self._pump, server, client, limit, number)

    def _pump(self, source: socket.socket, sink: socket.socket, most: int | None, number: int) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE if most is None else min(PIECE, most - passed)):
                sink.sendall(data)
                passed += len(data)
                if passed == most:
                    self._on_cut(number)
                    break
        hang_up(source, sink)
