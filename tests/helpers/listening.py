"""What listens on loopback with threads: connections are taken one by one, and all of it ends with `close`."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self


class Listening:
    """Calls `serve` for each connection; what a subclass opens and starts goes with it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def serve(self, client: socket.socket) -> None:
        """Deal with a new connection, on the thread that takes them."""
        raise NotImplementedError

    def close(self) -> None:
        """End all connections and threads."""
        for one in (self._socket, *self._open):
            hang_up(one)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        """A thread that `close` waits for."""
        thread = threading.Thread(target=work, args=arguments, name="proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._open.append(client)
                self.serve(client)


def hang_up(*connections: socket.socket) -> None:
    """End both directions; the other side may have done so."""
    for one in connections:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
