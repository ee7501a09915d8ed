"""Asking the controller: one typed method a route, errors as the exceptions they were.

Safe to use from several threads. A controller that was started again listens elsewhere; that is found out and
the request repeated, which idempotency keys make harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import BaseModel, ValidationError

from engine.client.adapters import AdapterCalls
from engine.client.address import Address, Locate, gone, read_address
from engine.client.alerts import AlertCalls
from engine.client.calls import M, Trace
from engine.client.datasets import DatasetCalls
from engine.client.fleet import FleetCalls
from engine.client.forecast import ForecastCalls
from engine.client.forensics import ForensicsCalls
from engine.client.house import HouseCalls
from engine.client.hubs import HubCalls
from engine.client.images import ImageCalls
from engine.client.listing import ListingCalls
from engine.client.nodes import NodeCalls
from engine.client.pushing import PushCalls
from engine.client.serving import ServingCalls, refusal
from engine.contract.api import (
    SLOW_QUERIES,
    CheckResult,
    CreateRun,
    EditRun,
    Health,
    KeepCheckpoint,
    LogEvery,
    QueryAnswer,
    QueryRequest,
    ResumeRun,
    RunDetail,
    RunPage,
    RunSummary,
    SampleNow,
    Settings,
    StopRun,
)
from engine.contract.errors import CLASSES, ErrorBody, Unreachable, UserError, error_of
from engine.contract.ids import new_id
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.stream import Resources

if TYPE_CHECKING:
    from engine.client.arrow import Curve, CurveView

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class LogPiece:
    """Bytes of a worker's log, where they begin, and how long the log is by now."""

    data: bytes
    offset: int
    size: int


class ControllerClient(
    ListingCalls, HubCalls, HouseCalls, ImageCalls, NodeCalls, AlertCalls, FleetCalls, DatasetCalls, ForecastCalls,
    ForensicsCalls, PushCalls, ServingCalls, AdapterCalls,
):  # fmt: skip
    """The controller of one home."""

    def __init__(self, home: Home, locate: Locate | None = None, timeout: float = TIMEOUT_S) -> None:
        self.home = home
        self._locate = locate or partial(read_address, home)
        self._address: Address | None = None
        self._http = httpx.Client(timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def follow(self, home: Home) -> None:
        """Talk to the controller of another home from now on: the data was moved there."""
        self.home, self._locate = home, partial(read_address, home)
        self.forget()

    def forget(self) -> None:
        """Look anew where the controller is, for another may have taken its place."""
        self._address = None

    def __enter__(self) -> ControllerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def health(self, timeout: float | None = None) -> Health:
        """Who answers, within so many seconds."""
        return self._read(self._send("GET", "/health", timeout=timeout), Health)

    def runs(
        self,
        *,
        states: Iterable[str] = (),
        search: str = "",
        project: str = "",
        sort: str = "created",
        descending: bool = True,
        offset: int = 0,
        limit: int = 100,
    ) -> RunPage:
        """One page of runs."""
        query = {
            "state": list(states), "search": search, "project": project, "sort": sort, "descending": descending,
            "offset": offset, "limit": limit,
        }  # fmt: skip
        return self._get("/runs", RunPage, query)

    def run(self, uid: str) -> RunDetail:
        """Everything about a run besides curves and log."""
        return self._get(f"/runs/{uid}", RunDetail)

    def create(self, spec: RunSpec, start: bool = True) -> RunSummary:
        """Make a run, and start it unless it is to stay a draft."""
        return self._change("POST", "/runs", CreateRun(spec=spec, start=start))

    def check(self, spec: RunSpec) -> CheckResult:
        """What is wrong with an order."""
        return self._read(self._send("POST", "/runs/check", body=spec), CheckResult)

    def edit(self, uid: str, change: EditRun) -> RunSummary:
        """Change a draft's spec, a priority, a name, tags."""
        return self._change("PATCH", f"/runs/{uid}", change)

    def start(self, uid: str) -> RunSummary:
        """Put a run into the queue."""
        return self._change("POST", f"/runs/{uid}/start")

    def stop(self, uid: str, save: bool = True) -> RunSummary:
        """End a run, keeping what it learned unless told otherwise."""
        return self._change("POST", f"/runs/{uid}/stop", StopRun(save=save))

    def resume(
        self,
        uid: str,
        *,
        checkpoint: int | None = None,
        from_start: bool = False,
        epochs: float | None = None,
        max_steps: int | None = None,
        rung: str | None = None,
    ) -> RunSummary:
        """Go on as a new attempt: from a checkpoint (the best there is, unless chosen) or from the start."""
        body = ResumeRun(checkpoint=checkpoint, from_start=from_start, epochs=epochs, max_steps=max_steps, rung=rung)
        return self._change("POST", f"/runs/{uid}/resume", body)

    def pause(self, uid: str) -> RunSummary:
        """Save, free the devices, and wait."""
        return self._change("POST", f"/runs/{uid}/pause")

    def checkpoint(self, uid: str) -> RunSummary:
        """A checkpoint at the next step."""
        return self._change("POST", f"/runs/{uid}/checkpoint")

    def sample(self, uid: str, prompts: Iterable[str], max_new_tokens: int = 64) -> RunSummary:
        """Ask the model that is being trained; the answers stand in the run's detail."""
        body = SampleNow(prompts=list(prompts), max_new_tokens=max_new_tokens)
        return self._change("POST", f"/runs/{uid}/sample", body)

    def log_every(self, uid: str, steps: int) -> RunSummary:
        """Another interval between two points of the curve of a run that trains."""
        return self._change("POST", f"/runs/{uid}/log-every", LogEvery(steps=steps))

    def pin(self, uid: str, pinned: bool = True) -> RunSummary:
        """Keep the working files until somebody deletes them, or no longer."""
        return self.edit(uid, EditRun(pinned=pinned))

    def clean(self, uid: str) -> RunSummary:
        """Let the working files of an ended run go now; results stay in the library."""
        return self._change("DELETE", f"/runs/{uid}/files")

    def keep_checkpoint(self, uid: str, checkpoint: int, kept: bool = True) -> RunSummary:
        """Keep a checkpoint for good, or no longer."""
        return self._change("PATCH", f"/runs/{uid}/checkpoints/{checkpoint}", KeepCheckpoint(kept=kept))

    def delete_checkpoint(self, uid: str, checkpoint: int) -> RunSummary:
        """Remove one checkpoint of a run that is not at work."""
        return self._change("DELETE", f"/runs/{uid}/checkpoints/{checkpoint}")

    def copy(self, uid: str, goes_on: bool = False) -> RunSummary:
        """A draft with the same spec; `goes_on`: it begins with the adapter the run has made."""
        return self._change("POST", f"/runs/{uid}/copy" + ("?goes_on=true" if goes_on else ""))

    def delete(self, uid: str) -> None:
        """Remove a run with everything that belongs to it."""
        self._send("DELETE", f"/runs/{uid}", key=new_id())

    def series(self, uid: str, metrics: Iterable[str] = (), after: tuple[int, float] | None = None) -> dict[str, Curve]:
        """Curves by metric, as numpy arrays; `after` is (attempt, step)."""
        from engine.client.arrow import read_curves

        return read_curves(self.series_bytes(uid, metrics, after))

    def series_bytes(self, uid: str, metrics: Iterable[str] = (), after: tuple[int, float] | None = None) -> bytes:
        """The same as the Arrow stream it comes as."""
        query: dict[str, Any] = {"metric": list(metrics)}
        if after is not None:
            query |= {"after_attempt": after[0], "after_step": after[1]}
        return self._send("GET", f"/runs/{uid}/series", query=query).content

    def series_pieces(self, uid: str, metrics: Iterable[str] = ()) -> Iterator[tuple[str, Curve]]:
        """Every point of curves, piece by piece, each with its metric; no more than a piece is held."""
        from engine.client.arrow import read_pieces

        with self.fetch(f"/runs/{uid}/series/points", query={"metric": list(metrics)}) as answer:
            yield from read_pieces(answer.iter_bytes())

    def series_view(
        self,
        uid: str,
        metrics: Iterable[str] = (),
        buckets: int = 2000,
        from_x: float | None = None,
        to_x: float | None = None,
    ) -> dict[str, CurveView]:
        """The course of curves between two x at no more than so many buckets each; no spike is lost."""
        from engine.client.arrow import read_views

        query: dict[str, Any] = {"metric": list(metrics), "buckets": buckets, "from_x": from_x, "to_x": to_x}
        query = {name: value for name, value in query.items() if value is not None}
        return read_views(self._send("GET", f"/runs/{uid}/series", query=query).content)

    def log(self, uid: str, attempt: int | None = None, offset: int = 0, limit: int = 1 << 20) -> LogPiece:
        """Bytes of the worker's log; a negative offset counts from the end."""
        query: dict[str, Any] = {"offset": offset, "limit": limit}
        if attempt is not None:
            query["attempt"] = attempt
        answer = self._send("GET", f"/runs/{uid}/log", query=query)
        return LogPiece(answer.content, int(answer.headers["X-Log-Offset"]), int(answer.headers["X-Log-Size"]))

    def config(self, uid: str, attempt: int | None = None) -> str:
        """The run config as YAML, or the one an attempt was started with."""
        query: dict[str, Any] = {} if attempt is None else {"attempt": attempt}
        return self._send("GET", f"/runs/{uid}/config", query=query).text

    def download(self, uid: str, artifact: int, write: Callable[[bytes], object]) -> str:
        """Hand a result's bytes to `write`; returns its content type (a folder comes as a zip)."""
        with self.fetch(f"/runs/{uid}/artifacts/{artifact}") as answer:
            for piece in answer.iter_bytes():
                write(piece)
            return str(answer.headers.get("content-type", ""))

    @contextmanager
    def fetch(
        self,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        offset: int = 0,
        etag: str = "",
        body: BaseModel | None = None,
        timeout: float | None = None,
        trace: Trace | None = None,
    ) -> Iterator[httpx.Response]:
        """A large answer to be read in pieces; from `offset` on, if the content is still that of the `etag`."""
        address = self._find()
        headers = dict(address.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        if offset and etag:
            headers |= {"Range": f"bytes={offset}-", "If-Range": etag}
        try:
            with (
                self._line(trace) as line,
                line.stream(
                    "GET" if body is None else "POST", address.http + path, params=query, headers=headers,
                    content=None if body is None else body.model_dump_json(), timeout=timeout or self._http.timeout,
                    extensions={} if trace is None else {"trace": trace},
                ) as answer,
            ):  # fmt: skip
                if answer.is_error:
                    answer.read()
                    raise _error(answer)
                yield answer
        except httpx.HTTPError as error:
            self._address = None  # it may listen elsewhere by now
            raise self._unreachable(error) from error

    def _line(self, trace: Trace | None) -> AbstractContextManager[httpx.Client]:
        """The connections all requests share, or one that a trace hears of from its beginning."""
        return nullcontext(self._http) if trace is None else httpx.Client(trust_env=False)

    def resources(self) -> Resources:
        """Slots and load."""
        return self._get("/resources", Resources)

    def settings(self) -> Settings:
        """The controller's settings."""
        return self._get("/settings", Settings)

    def change_settings(self, change: Settings) -> Settings:
        """Change the settings that were given; the others stay."""
        return self._read(self._send("PATCH", "/settings", body=change, key=new_id(), sent_only=True), Settings)

    def query(self, kind: str, **params: Any) -> QueryAnswer:
        """Ask a short-lived helper process of the worker's environment."""
        body, most = QueryRequest(kind=kind, params=params), SLOW_QUERIES.get(kind)
        return self._read(self._send("POST", "/query", body=body, timeout=most and most + TIMEOUT_S), QueryAnswer)

    def shutdown(self) -> None:
        """End the controller; runs go on."""
        self._send("POST", "/shutdown")

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        key: str | None = None,
        sent_only: bool = False,
        timeout: float | None = None,
        data: bytes | None = None,
    ) -> httpx.Response:
        """Send, and send once more where that cannot do harm: unsent, asking only, or under a key."""
        content = body.model_dump_json(exclude_unset=sent_only) if body is not None else data
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        for last in (False, True):
            address = self._find(again=last)
            try:
                answer = self._http.request(
                    method, address.http + path, params=query, content=content, headers={**headers, **address.headers},
                    timeout=timeout or self._http.timeout,
                )  # fmt: skip
            except httpx.HTTPError as error:
                harmless = method == "GET" or key is not None or isinstance(error, httpx.ConnectError)
                if last or not harmless or isinstance(error, httpx.TimeoutException):
                    raise self._unreachable(error) from error
                continue
            if answer.status_code == 401 and not last:
                continue  # another controller may listen on the old one's port
            if answer.is_error:
                raise _error(answer)
            return answer
        raise AssertionError("unreachable code")

    def _find(self, again: bool = False) -> Address:
        if self._address is None or again:
            self._address = self._locate()
        if self._address is None:
            raise Unreachable("controller.unreachable", detail="None is running.", log=str(self.home.controller_log))
        return self._address

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        detail = f"{error or type(error).__name__}."
        return Unreachable("controller.unreachable", detail=detail, log=str(self.home.controller_log))

    def _read(self, answer: httpx.Response, model: type[M]) -> M:
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            if self._address is not None and gone(self._address.pid):
                raise Unreachable(
                    "controller.unreachable", detail="Another program listens in its place.",
                    log=str(self.home.controller_log),
                ) from error  # fmt: skip
            raise UserError("controller.strange_answer", path=answer.url.path, detail=str(error)) from error


def _error(answer: httpx.Response) -> UserError:
    """The error an answer carries, of the class its status says."""
    kind = CLASSES.get(answer.status_code, UserError)
    try:
        body = ErrorBody.model_validate_json(answer.content)
    except ValidationError:
        if refused := refusal(_json_of(answer), kind):
            return refused
        return kind("controller.strange_answer", path=answer.url.path, detail=f"Status {answer.status_code}.")
    return error_of(body, answer.status_code)


def _json_of(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
