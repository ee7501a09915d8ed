"""`python -m engine.compute.worker.relay PORT`: stdin and stdout become a connection to a port within the container.

The controller starts it through the engine where no other way leads to a port that is served in there. The first byte
it writes says that somebody listens. Standard library only: it should be there at once.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from typing import Any

PIECE = 65_536
LISTENS = b"\1"
NOBODY = 3
CONNECT_S = 5.0


def main(arguments: list[str]) -> int:
    """Until the side that serves has said its last word."""
    try:
        served = socket.create_connection(("127.0.0.1", int(arguments[0])), CONNECT_S)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return NOBODY
    served.settimeout(None)
    served.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with served:
        _write(LISTENS)
        asking: list[Any] = [0]
        while True:
            ready, _, _ = select.select([served, *asking], [], [])
            if 0 in ready:
                data = os.read(0, PIECE)
                if data:
                    served.sendall(data)
                else:
                    asking = []
                    served.shutdown(socket.SHUT_WR)
            if served in ready:
                data = served.recv(PIECE)
                if not data:
                    return 0
                _write(data)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (BrokenPipeError, ConnectionError):
        sys.exit(0)
