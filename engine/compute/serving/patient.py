"""HTTP/1.1 as uvicorn speaks it, without endless patience for those who never finish asking, and with words for what
is no HTTP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import ClassVar, cast

import h11
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 30.0
"""For what a client owes while nothing is answered: the headers of a request, or the rest of one that was refused."""
TLS = b"\x16\x03"
"""How an encrypted connection begins."""

Refuse = Callable[[str, Scope | None], Response]
"""Called with the reason, and the request in which it came up, if it came so far as to be one."""


class PatientProtocol(H11Protocol):
    """Closes a connection on which nothing is answered and nothing whole arrives."""

    refuse: ClassVar[Refuse | None] = None
    """Makes the answer to what is no HTTP, and tells of it."""
    _hurry: asyncio.TimerHandle | None = None
    _first: bytes = b""

    @classmethod
    def refusing(cls, refuse: Refuse) -> type[PatientProtocol]:
        """One that answers so what is no HTTP."""
        return type("RefusingProtocol", (cls,), {"refuse": staticmethod(refuse)})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Somebody said something."""
        self._first = self._first or data[: len(TLS)]
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Something was answered."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody has left."""
        if self._hurry is not None:
            self._hurry.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as everything else is refused: with words, a trace and a line in the audit."""
        refuse = type(self).refuse
        if refuse is None or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # it hears an answer already
            return
        why = "it is encrypted (https), and http is spoken here" if self._first == TLS else _why(sys.exc_info()[1])
        self._sent(refuse(why or msg, cast(Scope, self.cycle.scope) if self._at_work else None))

    def _sent(self, answer: Response) -> None:
        headers = [*answer.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)), h11.EndOfMessage(),
        ):  # fmt: skip
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def _at_work(self) -> bool:
        """A request is being answered; its body has a limit of its own."""
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Time runs for a client from the moment nothing is answered, whatever it sends, until something is again."""
        if self._at_work or self.transport.is_closing():
            if self._hurry is not None:
                self._hurry.cancel()
            self._hurry = None
        elif self._hurry is None:
            self._hurry = asyncio.get_running_loop().call_later(HEADERS_S, self._close_unasked)

    def _close_unasked(self) -> None:
        self._hurry = None
        if not self._at_work:
            self.transport.close()


def _why(error: BaseException | None) -> str:
    """What h11 found, without the line it found it in: a key may stand there."""
    return str(error).partition(":")[0].partition("(")[0].strip()[:100] if error is not None else ""
