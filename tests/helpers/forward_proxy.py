"""A forward proxy on loopback that may ask for a login: requests with a whole address, and CONNECT."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from urllib.parse import urlsplit

from tests.helpers.listening import Listening, hang_up

MOST_HEAD = 1 << 16


class ForwardProxy(Listening):
    """Passes on what comes with the right login; `hosts` are those that were asked for."""

    def __init__(self, login: str = "", refuse: bool = False) -> None:
        self._expected = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._refuse = refuse
        self.hosts: list[str] = []
        self.turned_away = 0
        super().__init__()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, client: socket.socket) -> None:
        """On a thread of its own."""
        self._begin(self._answer, client)

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head and len(head) < MOST_HEAD:
                data = client.recv(4096)
                if not data:
                    break
                head += data
            if head:
                self._pass_on(client, head)
        hang_up(client)

    def _pass_on(self, client: socket.socket, head: bytes) -> None:
        first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, target, _version = first.split(" ")
        headers = [line.partition(": ")[::2] for line in lines]
        given = next((value for name, value in headers if name.lower() == "proxy-authorization"), "")
        if self._expected and given != self._expected:
            self.turned_away += 1
            client.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        if self._refuse:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        self.hosts.append(f"{parts.hostname}:{parts.port or 80}")
        server = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._open.append(server)
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            kept = [
                f"{name}: {value}" for name, value in headers if not name.lower().startswith(("proxy-", "connection"))
            ]
            lines = [f"{method} {path or '/'} HTTP/1.1", *kept, "Connection: close"]
            server.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        back = threading.Thread(target=_pump, args=(server, client), name="proxied back")
        back.start()
        _pump(client, server)
        back.join(10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    hang_up(source, sink)
