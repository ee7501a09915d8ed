"""A TCP proxy on loopback that cuts connections, so that tests see what a bad line does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

PIECE = 1 << 16


class Proxy:
    """Passes connections on to a port; each of the first ones is cut after so many bytes of answer."""

    def __init__(self, port: int, cuts: list[int], on_cut: Callable[[int], object] = lambda _number: None) -> None:
        self._target, self._cuts, self._on_cut = port, list(cuts), on_cut
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def close(self) -> None:
        """End all connections and threads."""
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                number, self.connections = self.connections, self.connections + 1
                limit = self._cuts[number] if number < len(self._cuts) else None
                self._open += [client, server]
                for source, sink, most in ((client, server, None), (server, client, limit)):
                    self._threads.append(threading.Thread(target=self._pump, args=(source, sink, most, number)))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, most: int | None, number: int) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE if most is None else min(PIECE, most - passed)):
                sink.sendall(data)
                passed += len(data)
                if passed == most:
                    self._on_cut(number)
                    break
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
