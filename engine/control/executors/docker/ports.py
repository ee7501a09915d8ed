"""Ports that are served in containers, as ports of this computer's 127.0.0.1.

Where a link leads to the node's own 127.0.0.1 (this computer; ssh), the container's port is published there and only
there, and the connections go to it. Through TLS there is no such way: an engine's TLS port carries the engine's
interface and nothing else, and opening another port of the node to the network would need a certificate and a
firewall of its own. There each connection is a command in the container that the engine starts (`exec`), whose stdin
and stdout are the connection: it goes the way that is open and guarded already, and the container needs no network.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Protocol

import requests
from docker.errors import APIError

from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.streams import HEADER, STDOUT

log = logging.getLogger(__name__)
HOST = "127.0.0.1"
PIECE = 65_536
RELAY = "engine.compute.worker.relay"
ANSWER_S = 60.0
"""How long the far side may take for the rest of what it began to say."""
BACKLOG = 128


class Port(Protocol):
    """A port of this computer that leads to one of a container."""

    address: str
    """`127.0.0.1:PORT`."""

    def close(self) -> None:
        """Nobody gets through any more."""


class DirectPort:
    """The engine published it on this very computer."""

    def __init__(self, port: int) -> None:
        self.address = f"{HOST}:{port}"

    def close(self) -> None:
        """It goes with its container."""


class Far(Protocol):
    """The far end of one connection."""

    socket: Any
    """What to wait on."""

    def pending(self) -> bool:
        """Something is there though the socket does not say so."""

    def receive(self) -> bytes | None:
        """What it said; empty: that was all; None: nothing yet."""

    def send(self, data: bytes) -> None:
        """Pass on all of it."""

    def finish(self) -> bool:
        """Whoever asks has said all; False where that cannot be passed on, and the connection ends."""

    def close(self) -> None:
        """End it."""


class Relay:
    """Listens here; each connection goes on to a far end of its own."""

    def __init__(self, name: str, connect: Callable[[], Far], ended: Callable[[], None] = lambda: None) -> None:
        self._name, self._connect, self._ended = name, connect, ended
        self._listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._closed = False
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen, name=f"relay {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections too."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._guard:
            for near in self._open:
                with contextlib.suppress(OSError):
                    near.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._ended()

    def _listen(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), name=f"relayed {self._name}", daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with self._guard:
            self._open.add(near)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with near, contextlib.closing(self._connect()) as far:
                _pass(near, far)
        except UserError as error:
            log.info("%s: a connection was not passed on: %s", self._name, error.text)
        except (OSError, APIError, requests.RequestException) as error:
            log.info("%s: a connection broke: %s", self._name, error)
        finally:
            with self._guard:
                self._open.discard(near)


def _pass(near: socket.socket, far: Far) -> None:
    """Both ways, until the far side has said all."""
    asking = [near]
    while True:
        wait = 0.0 if far.pending() else None
        ready, _, _ = select.select([far.socket, *asking], [], [], wait)
        if near in ready:
            data = near.recv(PIECE)
            if data:
                far.send(data)
            elif far.finish():
                asking = []
            else:
                return
        if far.socket in ready or wait == 0.0:
            said = far.receive()
            if said == b"":
                return
            if said:
                near.sendall(said)


class SocketFar:
    """A connection that needs no wrapping: the near end of a tunnel."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def pending(self) -> bool:
        """Never."""
        return False

    def receive(self) -> bytes | None:
        """As it comes."""
        return self.socket.recv(PIECE)

    def send(self, data: bytes) -> None:
        """At once."""
        self.socket.sendall(data)

    def finish(self) -> bool:
        """Half of it closes."""
        self.socket.shutdown(socket.SHUT_WR)
        return True

    def close(self) -> None:
        """The whole."""
        self.socket.close()


class ExecFar:
    """A connection by way of a command in the container. One thread reads and writes: TLS wants it so."""

    def __init__(self, api: Any, container: str, port: int) -> None:
        self._api = api
        command = ["python", "-m", RELAY, str(port)]
        made = api.exec_create(container, command, stdin=True, stdout=True, stderr=True)
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        url = f"{api.base_url}/v{api.api_version}/exec/{made['Id']}/start"
        self._answer = api.post(
            url, json={"Detach": False, "Tty": False}, headers=headers, stream=True, timeout=ANSWER_S
        )  # fmt: skip
        self._answer.raise_for_status()
        self._file = self._answer.raw._fp.fp
        self.socket = getattr(self._file.raw, "_sock", self._file.raw)
        self.socket.settimeout(ANSWER_S)
        self._rest, self._said = b"", b""
        if not self._begins():
            self.close()
            raise Unreachable("node.port_silent", port=port, detail=self._said.decode(errors="replace").strip()[-200:])

    def pending(self) -> bool:
        """Decrypted already, or taken apart already."""
        inner = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0
        return bool(self._said) or inner

    def receive(self) -> bytes | None:
        """The payload of whole frames."""
        if not self._said and not self._read():
            return b""
        said, self._said = self._said, b""
        return said or None

    def send(self, data: bytes) -> None:
        """As it is: only answers are in frames."""
        self.socket.sendall(data)

    def finish(self) -> bool:
        """TLS knows no half a connection."""
        if isinstance(self.socket, ssl.SSLSocket):
            return False
        self.socket.shutdown(socket.SHUT_WR)
        return True

    def close(self) -> None:
        """The engine ends the command's stdin by that, and so the command."""
        self._answer.close()
        with contextlib.suppress(OSError):
            self.socket.close()
        self._api.close()

    def _begins(self) -> bool:
        """Its first byte says that somebody listens; else what it said is why not."""
        while not self._said:
            if not self._read(words=True):
                return False
        if self._said[:1] != b"\1":
            while self._read(words=True):
                pass
            return False
        self._said = self._said[1:]
        return True

    def _read(self, words: bool = False) -> bool:
        """Some more; False at the end. `words`: also what it said of its troubles."""
        data = self._file.read1(PIECE)
        if not data:
            return False
        self._rest += data
        while len(self._rest) >= HEADER:
            size = int.from_bytes(self._rest[4:HEADER], "big")
            if len(self._rest) < HEADER + size:
                break
            kind, frame = self._rest[0], self._rest[HEADER : HEADER + size]
            self._rest = self._rest[HEADER + size :]
            if kind == STDOUT or words:
                self._said += frame
        return True


def published(link: Link, container: str, port: int) -> int | None:
    """Where on the node's 127.0.0.1 a container's port lies; None: nowhere."""
    found = link.ask(lambda api: api.inspect_container(container))
    places = (found["NetworkSettings"].get("Ports") or {}).get(f"{port}/tcp") or []
    return next((int(place["HostPort"]) for place in places if place["HostIp"] == HOST), None)


def open_port(link: Link, container: str, port: int) -> Port:
    """A port of this computer that leads to one of a container; raises Unreachable where the node does not answer."""
    place = published(link, container, port)
    forwarded: Port | None = link.forward(place) if place is not None else None
    if forwarded is not None:
        return forwarded
    return Relay(f"{container}:{port} on {link.node}", lambda: link.alone(lambda api: ExecFar(api, container, port)))
