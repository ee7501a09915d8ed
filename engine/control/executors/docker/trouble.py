"""What is in the way to an engine, read out of the exceptions of docker, requests, urllib3 and ssl."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from docker.errors import APIError, DockerException

from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker.link import EngineRefused

TRANSPORT = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    DockerException,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    ssl.SSLError,
)
"""What a broken way may raise. Other errors of files are somebody else's."""
DISK_FULL = "node.disk_full"
NO_ROOM = "no space left on device"
OURS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS)
"""A file of this computer, read or written on the way, was the trouble."""
EXPIRED, NOT_YET, FOREIGN, OTHER_NAME = 10, 9, (2, 18, 19, 20, 21), (62, 64)
"""OpenSSL's results of a verification."""
LONGEST = 300


@dataclass(frozen=True)
class Way:
    """Which way was taken, for the texts."""

    node: str
    address: str
    seconds: float = 10.0

    @property
    def params(self) -> dict[str, Any]:
        """For the texts."""
        return {"node": self.node, "address": self.address}


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it came from, however it was wrapped."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        waiting += [found for found in inner if isinstance(found, BaseException)]


def own_error(error: BaseException) -> OSError | None:
    """The trouble with a file of this computer that stopped a copy, if that is what happened."""
    for one in chain(error):
        if isinstance(one, OSError) and one.errno in OURS:
            return one
    return None


def broke_off(error: BaseException) -> bool:
    """The other side closed, or is gone; a time-out is another matter."""
    gone = ConnectionError | http.client.RemoteDisconnected | FileNotFoundError
    return any(isinstance(one, gone) for one in chain(error))


def never_sent(error: BaseException) -> bool:
    """Nobody took the connection, so nothing was asked."""
    return any(isinstance(one, ConnectionRefusedError | FileNotFoundError) for one in chain(error))


def explain(error: BaseException, way: Way) -> Unreachable:
    """The error of a way, by name."""
    errors = list(chain(error))
    for look in (_certificate, _handshake, _network, _answer):
        for one in errors:
            if found := look(one, way):
                return found
    detail = short(str(errors[-1]) or type(errors[-1]).__name__)
    return Unreachable("node.broken", node=way.node, address=way.address, detail=detail)


def refused(error: APIError, node: str) -> EngineRefused:
    """What the engine itself said no to."""
    detail = short(str(error.explanation or error))
    code = DISK_FULL if no_room(detail) else "node.engine_refused"
    return EngineRefused(code, answer=int(error.status_code or 0), detail=detail, node=node)


def no_room(text: str) -> bool:
    """Whether an engine, or a program on its computer, says that the disk is full."""
    return NO_ROOM in text.lower()


def plain(error: UserError) -> UserError:
    """That a node's disk is full has a name of its own, whatever was tried; else the error as it is."""
    detail = str(error.params.get("detail", ""))
    return UserError(DISK_FULL, node=error.params["node"], detail=short(detail)) if no_room(detail) else error


def short(text: str) -> str:
    """One line of a text that somebody else wrote."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _certificate(error: BaseException, way: Way) -> Unreachable | None:
    """What is wrong with the server's certificate."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    where = way.params
    if error.verify_code == EXPIRED:
        return Unreachable("node.server_expired", **where)
    if error.verify_code == NOT_YET:
        return Unreachable("node.server_not_yet", **where)
    if error.verify_code in FOREIGN:
        return Unreachable("node.server_foreign", **where, detail=error.verify_message)
    if error.verify_code in OTHER_NAME:
        return Unreachable("node.server_name", **where, detail=short(error.verify_message))
    return Unreachable("node.server_bad", **where, detail=short(error.verify_message))


def _handshake(error: BaseException, way: Way) -> Unreachable | None:
    """What the server said of our certificate, or that it does not speak TLS at all."""
    if not isinstance(error, ssl.SSLError):
        return None
    reason, where = error.reason or "", way.params
    if "ALERT" in reason:
        if "EXPIRED" in reason:
            return Unreachable("node.client_expired", **where)
        if reason.endswith("CERTIFICATE_REQUIRED"):
            return Unreachable("node.client_missing", **where)
        if any(word in reason for word in ("UNKNOWN_CA", "CERTIFICATE", "ACCESS_DENIED", "DECRYPT")):
            return Unreachable("node.client_foreign", **where)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
        return Unreachable("node.plain_http", **where)
    if "EOF" in reason or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Unreachable("node.broken", **where, detail="The TLS connection was closed in its middle.")
    return None


def _network(error: BaseException, way: Way) -> Unreachable | None:
    """What the network or the socket's file said."""
    where = way.params
    if isinstance(error, socket.gaierror):
        return Unreachable("node.unknown_host", **where)
    timeouts = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
    # A new connection's error is a time-out to urllib3 by name only.
    if isinstance(error, timeouts) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return Unreachable("node.no_answer", **where, seconds=f"{way.seconds:g}")
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ECONNREFUSED:
        code = "node.daemon_stopped" if way.address.startswith("/") else "node.port_refused"
        return Unreachable(code, **where)
    if error.errno in (errno.ENOENT, errno.ENOTSOCK, errno.ENOTDIR):
        return Unreachable("node.socket_missing", **where)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Unreachable("node.socket_denied", **where)
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN):
        return Unreachable("node.no_route", **where)
    return None


def _answer(error: BaseException, way: Way) -> Unreachable | None:
    """An answer that no Docker engine gives, or half of one."""
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead | ConnectionError):
        return Unreachable("node.broken", node=way.node, address=way.address, detail=short(str(error)))
    if isinstance(error, http.client.BadStatusLine | json.JSONDecodeError | requests.JSONDecodeError):
        return Unreachable("node.not_docker", node=way.node, address=way.address)
    return None
