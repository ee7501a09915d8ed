"""Raises alerts, keeps them, tells of them, and has them sent. What is on survives a restart and is not told again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from engine.contract import alert_check
from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.errors import ErrorBody, NotFound, Refused, UserError
from engine.contract.node_alerts import Alert, AlertRule, AlertRules, Alerts, AlertsSent, figures, words
from engine.contract.secrets import ALERT_SECRET
from engine.contract.stream import AlertChanged, AlertRulesChanged, RunEvent
from engine.control.jobs import alert_sights
from engine.control.jobs.alert_core import Change, Watcher
from engine.control.jobs.alert_sending import Sender, Text, addresses_of
from engine.control.jobs.pool import Pool
from engine.control.jobs.requests import Request, once_only
from engine.control.jobs.secrets import SecretStore
from engine.control.store import alerts, audit, events
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
OVER = "alert.over"


class AlertDesk:
    """Looks after alerts, and takes requests about them. Belongs to the event loop."""

    def __init__(
        self, pool: Pool, database: Database, secrets: SecretStore, settings: Callable[[], Settings],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._pool, self._database, self._secrets, self._settings = pool, database, secrets, settings
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._rules: list[AlertRule] = []
        self._watcher: Watcher | None = None
        self._sights: alert_sights.Sights | None = None
        self._trouble: ErrorBody | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.sender = Sender(self._addresses, self._note_from_thread)

    async def look(self) -> list[str]:
        """See what has changed; the names of nodes that have another number of alerts now."""
        clock, at = self._clock(), now()
        watcher, sights = await self._begun(clock)
        settings, budget = self._settings(), sights.wants_budget(clock)
        found = await self._database.read(lambda c: alert_sights.facts(c, settings, at, budget))
        changes = watcher.look(self._rules, sights.of(self._pool, found, settings, clock, at), clock, at)
        if not changes:
            return []
        ids = {node.name: node.id for node in self._pool}
        try:
            kept = await self._database.write(lambda t: _keep(t, changes, ids, at), durable=True)
        except BaseException:
            self._watcher = None  # what it believes was not written: begin again from what was
            raise
        for change, alert in zip(changes, kept, strict=True):
            if change.what == "raised":
                watcher.keep(alert.kind, change.subject, alert)
            if change.what != "worse":
                self._send(alert)
        return sorted({change.alert.node for change in changes if change.what != "worse" and change.alert.node})

    async def rules(self) -> AlertRules:
        """All rules, and to how many addresses alerts are sent."""
        await self._begun(self._clock())
        count = len(await asyncio.to_thread(self._addresses))
        return AlertRules(rules=self._rules, targets=count, trouble=self._trouble if count else None)

    async def set_rules(self, values: Mapping[str, Any], request: Request) -> AlertRules:
        """Keep other rules, all at once; Refused with every problem."""
        problems = alert_check.problems_of(values.get("rules"), self._pool.names)
        if problems:
            raise Refused("alerts.refused", count=len(problems), problems=problems)
        wanted = [AlertRule.model_validate(rule) for rule in values["rules"]]
        await self._begun(self._clock())

        def write(transaction: Transaction) -> None:
            alerts.set_rules(transaction, wanted)
            transaction.news.append(AlertRulesChanged(rules=alerts.rules(transaction.connection)))

        await self._database.write(lambda t: once_only(t, request, write), durable=True)
        self._rules = await self._database.read(alerts.rules)
        return await self.rules()

    async def listed(self) -> Alerts:
        """Those that are on, and the latest that are over."""
        return Alerts(alerts=await self._database.read(alerts.listed))

    async def acknowledge(self, number: int, person: str = "") -> Alert:
        """Somebody has seen it: for all windows, until it is over and raised again."""
        at = now()

        def write(transaction: Transaction) -> Alert | None:
            found, first = alerts.acknowledge(transaction, number, person, at)
            if found is not None and first:
                about = events.dump({"kind": found.kind, "node": found.node})
                audit.append(transaction, at=at, actor=person or "local", action="acknowledge_alert",
                             target=str(number), detail=about)  # fmt: skip
                transaction.news.append(AlertChanged(alert=found))
            return found

        found = await self._database.write(write, durable=True)
        if found is None:
            raise NotFound("alerts.unknown", id=number)
        if self._watcher is not None:
            for subject, alert in self._watcher.on:
                if alert.id == number:
                    seen = {name: getattr(found, name) for name in alerts.SEEN}
                    self._watcher.keep(alert.kind, subject, alert.model_copy(update=seen))
        return found

    async def test(self) -> AlertsSent:
        """Send a test to all addresses."""
        message = UserError("alert.test").body()
        results = await asyncio.to_thread(self.sender.test, _text(message.what, message))
        if all(result.sent for result in results):
            self._trouble = None
        return AlertsSent(results=results)

    def close(self) -> None:
        """Send no more."""
        self.sender.close()

    async def _begun(self, clock: float) -> tuple[Watcher, alert_sights.Sights]:
        """Go on from what an earlier controller left."""
        if self._watcher is None or self._sights is None:
            self._rules, on = await self._database.read(lambda c: (alerts.rules(c), alerts.on(c)))
            self._watcher, self._sights = Watcher(on), alert_sights.Sights(on, clock)
        return self._watcher, self._sights

    def _addresses(self) -> list[str]:
        try:
            return addresses_of(self._secrets.get(ALERT_SECRET))
        except UserError as error:
            log.warning("the addresses for alerts cannot be read: %s", error)
            return []

    def _send(self, alert: Alert) -> None:
        body = words(alert)
        what = body.what if alert.ended is None else UserError(OVER, what=body.what).what
        self.sender.send(_text(what, body if alert.ended is None else None))

    def _note_from_thread(self, error: UserError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._note, error.body() if error is not None else None)
        except RuntimeError:
            log.info("the controller ends before it could note that alerts do not arrive")

    def _note(self, error: ErrorBody | None) -> None:
        self._trouble = error
        if error is not None:
            at, params = now(), error.params
            body = {"code": error.code, "params": params}
            task = asyncio.create_task(self._noted(body, at))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _noted(self, body: dict[str, Any], at: float) -> None:
        with contextlib.suppress(sqlite3.Error, UserError):  # a full disk: the log has it
            await self._database.write(lambda t: events.add(t, "alert", body, at=at, level=events.WARNING))


def _text(title: str, body: ErrorBody | None) -> Text:
    parts = [body.why, body.fix] if body is not None else []
    return Text(f"LoRAForge: {title}", "\n".join(part for part in parts if part) or title)


def _keep(transaction: Transaction, changes: list[Change], node_ids: Mapping[str, int], at: float) -> list[Alert]:
    """Write changes down, and tell of them once they are."""
    kept = []
    for change in changes:
        alert = change.alert
        row = transaction.one("SELECT id FROM run WHERE uid = ?", (alert.run,)) if alert.run else None
        run_id = int(row["id"]) if row is not None else None
        if change.what == "raised":
            alert = alerts.begin(transaction, change.subject, alert, node_ids.get(alert.node), run_id)
        else:
            alert = alerts.update(transaction, alert)
        if change.what != "worse":
            _note(transaction, alert, run_id, at)
        transaction.news.append(AlertChanged(alert=alert))
        kept.append(alert)
    alerts.forget_old(transaction, at)
    return kept


def _note(transaction: Transaction, alert: Alert, run_id: int | None, at: float) -> None:
    """Into the timeline of its run, or among the events of no run."""
    over = alert.ended is not None
    code, params = f"alert.{alert.kind}", figures(alert)
    if alert.kind == "run_stalled" and run_id is not None and not over:
        note: dict[str, Any] = {"level": "warning", "code": code, "params": params}
        cursor = events.add(transaction, "note", note, at=at, run_id=run_id, level=events.WARNING)
        told = RunEvent(cursor=cursor, at=at, run=alert.run, kind="note", level=events.WARNING, body=note)
        transaction.news.append(told)
        return
    body: dict[str, Any] = {"id": alert.id, "code": code, "params": params, "over": over}
    events.add(transaction, "alert", body, at=at, level=events.INFO if over else events.WARNING)
