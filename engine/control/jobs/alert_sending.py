"""Sends alerts to the addresses a person gave: mail, chat, web hooks, by Apprise. On a thread of its own.

The addresses hold passwords: they are read when they are needed, and stand in no log, answer or export. The library is
imported by that thread when there is something to send, never when the controller starts.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.contract.errors import Conflict, Refused, UserError
from engine.contract.node_alerts import AlertSent

log = logging.getLogger(__name__)
PAUSES_S = (5.0, 30.0, 120.0)
"""Before each further try."""
PATIENCE_S = 10.0
"""To connect to a service, and for each part of its answer."""
WAITING = 200
MOST_ADDRESSES = 50
APP = "LoRAForge"


@dataclass(frozen=True)
class Text:
    """What is sent."""

    title: str
    body: str


class Sender:
    """A thread that sends what it is given; made when there is something to send."""

    def __init__(
        self,
        addresses: Callable[[], list[str]],
        noted: Callable[[UserError | None], None],
        pauses: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._addresses = addresses
        self._noted = noted
        """Called on the thread: once when messages no longer arrive, with None once they do again."""
        self._pauses = pauses
        self._texts: queue.Queue[Text | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._failing = False

    def send(self, text: Text) -> None:
        """Have it sent soon; returns at once. Where far too much waits it is dropped."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()
        try:
            self._texts.put_nowait(text)
        except queue.Full:
            log.warning("too many alerts wait to be sent; one is dropped")

    def close(self) -> None:
        """Send no more. Does not wait for an answer that is on its way."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._texts.put_nowait(None)

    def test(self, text: Text) -> list[AlertSent]:
        """Send to all addresses now, once each. Waits: call it on a thread."""
        addresses = self._addresses()
        if not addresses:
            raise Conflict("alerts.no_addresses")
        return [_sent(number, address, text) for number, address in enumerate(addresses, 1)]

    def _run(self) -> None:
        while not self._closing.is_set():
            text = self._texts.get()
            if text is None:
                return
            try:
                self._deliver(text)
            except UserError as error:
                self._tell(error)
            except Exception as error:  # noqa: BLE001 - a border: the thread goes on; its text may hold an address
                log.error("sending an alert broke: %s", type(error).__name__)

    def _deliver(self, text: Text) -> None:
        """To each address until it took it, or was tried often enough."""
        left = dict(enumerate(self._addresses(), 1))
        count = len(left)
        missed: list[AlertSent] = []
        for pause in (0.0, *self._pauses):
            if not left or self._closing.wait(pause):
                break
            results = {number: _sent(number, address, text) for number, address in left.items()}
            missed = [result for result in results.values() if not result.sent]
            left = {number: left[number] for number, result in results.items() if not result.sent}
        if left and not self._closing.is_set():
            places = ", ".join(result.place for result in missed)
            self._tell(UserError("alerts.not_sent", failed=len(left), count=count, places=places))
        elif count and not left:
            self._tell(None)

    def _tell(self, error: UserError | None) -> None:
        if (error is not None) != self._failing:
            self._failing = error is not None
            if error is not None:
                log.warning("%s", error)
            self._noted(error)


def addresses_of(value: str) -> list[str]:
    """One a line; empty lines and those that begin with # say nothing."""
    lines = [line.strip() for line in value.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def refuse_bad(value: str) -> None:
    """Refused where a line is no address of a service that is known. Its content is never named."""
    addresses = addresses_of(value)
    if not addresses:
        raise Refused("alerts.bad_address", line=1)
    if len(addresses) > MOST_ADDRESSES:
        raise Refused("alerts.too_many", most=MOST_ADDRESSES)
    for number, address in enumerate(addresses, 1):
        if _service(address) is None:
            raise Refused("alerts.bad_address", line=number)


def _service(address: str) -> Any:
    """The service of an address, from the library; None if it is none."""
    try:
        import apprise
    except ImportError:
        raise UserError("alerts.no_library") from None
    for name in ("apprise", "requests", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # they would write addresses down
    asset = apprise.AppriseAsset(app_id=APP, app_desc=APP, app_url="", async_mode=False)
    try:
        return apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - plugins raise what they like for an address they do not understand
        return None


def _sent(number: int, address: str, text: Text) -> AlertSent:
    service = _service(address)
    if service is None:
        return AlertSent(place=f"? ({number})", sent=False)
    service.socket_connect_timeout = service.socket_read_timeout = PATIENCE_S
    try:
        sent = bool(service.notify(body=text.body, title=text.title))
    except Exception as error:  # noqa: BLE001 - as above; the text of the error may hold the address
        log.info("a service for alerts raised %s", type(error).__name__)
        sent = False
    return AlertSent(place=f"{service.service_name} ({number})", sent=sent)
