"""HTTP/1.1 as uvicorn speaks it, without endless patience for connections that never ask anything."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 30.0
"""For the headers of a connection's first request to arrive."""


class PatientProtocol(H11Protocol):
    """Closes a connection on which no request has begun in time; later ones have uvicorn's own limit."""

    _hurry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        self._hurry = asyncio.get_running_loop().call_later(HEADERS_S, self._close_unasked)

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody has left."""
        if self._hurry is not None:
            self._hurry.cancel()
        super().connection_lost(exc)

    def _close_unasked(self) -> None:
        if self.cycle is None:
            self.transport.close()
