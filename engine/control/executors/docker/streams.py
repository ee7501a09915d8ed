"""What a container says, and what a command in it answers, as the engine frames them.

The SDK's own reading is not used: it polls a socket whose TLS layer holds the rest of a frame already, so that each
line waits for the next one, and it passes over what came together with the answer's header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docker
import requests
from docker.errors import create_api_error_from_http_exception
from docker.types import CancellableStream

HEADER = 8
STDOUT = 1
MARK = b"\1"
MARKED = ["sh", "-c", "printf '\\001'; exec \"$@\"", "marked"]
"""An engine that could not begin a command (its container is just ending, say) writes why where the command would have
printed: without this sign in front it is no word of the command's."""


def attached(api: docker.APIClient, container: str) -> CancellableStream[bytes]:
    """What a container prints from now on; closing it from another thread ends it."""
    query = {"stdout": 1, "stream": 1, "logs": 0, "stdin": 0, "stderr": 0}
    return _stream(api, f"containers/{container}/attach", params=query)


def carried_out(api: docker.APIClient, container: str, command: list[str]) -> Iterator[bytes]:
    """What a command in a running container prints, in pieces."""
    made = api.exec_create(container, [*MARKED, *command], stdout=True, stderr=False)
    pieces = _stream(api, f"exec/{made['Id']}/start", json={"Detach": False, "Tty": False})
    first = next(pieces, b"")
    if first[:1] != MARK:
        pieces.close()
        return
    if first[1:]:
        yield first[1:]
    yield from pieces


def exit_code(api: docker.APIClient, container: str, command: list[str]) -> int:
    """How a small command in a running container ended."""
    made = api.exec_create(container, command, stdout=True, stderr=True)
    for _ in _stream(api, f"exec/{made['Id']}/start", json={"Detach": False, "Tty": False}):
        pass
    return int(api.exec_inspect(made["Id"])["ExitCode"] or 0)


def _stream(api: docker.APIClient, path: str, **more: Any) -> CancellableStream[bytes]:
    answer = api.post(f"{api.base_url}/v{api.api_version}/{path}", stream=True, timeout=api.timeout, **more)
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
    return CancellableStream(_frames(answer), answer)


def _frames(answer: requests.Response) -> Iterator[bytes]:
    """The frames of stdout; a torn last one is dropped."""
    try:
        while len(header := answer.raw.read(HEADER)) == HEADER:
            size = int.from_bytes(header[4:], "big")
            data = answer.raw.read(size) if size else b""
            if len(data) < size:
                return
            if header[0] == STDOUT and data:
                yield data
    finally:
        answer.close()
