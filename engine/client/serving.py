"""Asking instances that serve models: starting one, its adapters, and answers as they come.

What goes to an instance goes through the controller (`/runs/{uid}/api/…`), which has a key of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from engine.client.calls import SLOW_S, Calls
from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody, UserError
from engine.contract.serving import AdapterState, Instance, LoadAdapter, ServeJob, ServeStatus

ANSWER_S = 900.0
"""Longest silence in an answer: it may wait for its turn, and a long prompt is read before the first token."""
DONE = "[DONE]"


class Stop:
    """Ends an answer from any thread, also while nothing comes."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def is_set(self) -> bool:
        """Nobody wants the answer any more."""
        return self._set.is_set()

    def set(self) -> None:
        """End it now."""
        self._set.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def hold(self, event: str, info: Mapping[str, Any]) -> None:
        """For httpx's trace: the connection that is to be cut, from the moment it stands."""
        if event == "connection.connect_tcp.complete":
            found = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._socket = found if isinstance(found, socket.socket) else None
            if self.is_set():
                self.set()

    def let_go(self) -> None:
        """It is over: the connection may be closed, and its number another's."""
        with self._lock:
            self._socket = None


@dataclass(frozen=True)
class Token:
    """A token of an answer, its logarithmic probability, and what else was likely there."""

    text: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """What one event of an answer brings."""

    text: str = ""
    tokens: tuple[Token, ...] = ()
    finish: str = ""
    """Why it ended (stop, length …); empty while it goes on."""
    prompt: int | None = None
    """Tokens of the prompt, told at the end."""
    answer: int | None = None
    times: dict[str, Any] = field(default_factory=dict)
    """The instance's own account, told at the end: seconds queued, to the first token, of the whole."""


class ServingCalls(Calls):
    """A part of `ControllerClient`."""

    def serve(
        self, job: ServeJob, name: str = "", tags: Sequence[str] = (), start: bool = True, gpus: int | None = None
    ) -> RunSummary:
        """Begin an instance: a run of kind serve; with 0 GPUs beside training, on the processor."""
        place: dict[str, Any] = {} if gpus is None else {"gpus": gpus}
        named = {"name": name or f"Serve {job.base_name}"[:120], "tags": list(tags), "compute": place}
        spec = {**named, "job": job.model_dump(mode="json")}
        return self._change("POST", "/runs", _Order(spec=spec, start=start))

    def instance(self, run: str) -> Instance:
        """Where an instance answers, once it does."""
        return self._get(f"/runs/{run}/instance", Instance)

    def serving_status(self, run: str) -> ServeStatus:
        """How an instance is doing."""
        return self._get(_path(run, "status"), ServeStatus)

    def served_adapters(self, run: str) -> list[AdapterState]:
        """The adapters an instance knows."""
        answer = self._send("GET", _path(run, "adapters"))
        found = _json(answer)
        if isinstance(found, dict):
            found = found.get("data", found.get("adapters"))
        try:
            return [AdapterState.model_validate(one) for one in found or []]
        except (ValidationError, TypeError) as error:
            raise UserError("controller.strange_answer", path=answer.url.path, detail=str(error)) from error

    def load_adapter(self, run: str, adapter: LoadAdapter) -> None:
        """Have an adapter answer under a name from now on."""
        self._send("POST", _path(run, "adapters"), body=adapter, timeout=SLOW_S)

    def unload_adapter(self, run: str, name: str) -> None:
        """Let an adapter go."""
        self._send("DELETE", _path(run, f"adapters/{quote(name, safe='')}"))

    def count_tokens(self, run: str, messages: Sequence[dict[str, str]]) -> tuple[int, int]:
        """Tokens a prompt has, and tokens a prompt and its answer may have."""
        answer = self._send("POST", _path(run, "tokenize"), body=_Messages(messages=list(messages)))
        found = _json(answer)
        try:
            return int(found["count"]), int(found["context"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("controller.strange_answer", path=answer.url.path, detail=repr(error)) from error

    def complete(self, run: str, body: dict[str, Any]) -> Piece:
        """A whole answer at once."""
        plain = {**body, "stream": False}
        plain.pop("stream_options", None)
        answer = self._send("POST", _path(run, "chat/completions"), body=_Body.model_validate(plain), timeout=ANSWER_S)
        return _piece(_json(answer), "message")

    def chat_stream(self, run: str, body: dict[str, Any], stop: Stop) -> Iterator[Piece]:
        """An answer piece by piece, until it ends or `stop` says so; an answer that breaks off is an error."""
        wish = _Body.model_validate({**body, "stream": True, "stream_options": {"include_usage": True}})
        path = _path(run, "chat/completions")
        if stop.is_set():
            return
        try:
            with self.fetch(path, body=wish, timeout=ANSWER_S, trace=stop.hold) as answer:
                yield from _pieces(answer, path)
        except UserError:
            if not stop.is_set():  # else the line was cut on purpose
                raise
        finally:
            stop.let_go()


class _Order(BaseModel):
    """A new run, whatever the kinds this version knows."""

    spec: dict[str, Any]
    start: bool


class _Messages(BaseModel):
    messages: list[dict[str, str]]


class _Body(BaseModel, extra="allow"):
    """A request in OpenAI's form, as it is."""


def _path(run: str, rest: str) -> str:
    return f"/runs/{run}/api/v1/{rest}"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise UserError("controller.strange_answer", path=answer.url.path, detail=str(error)) from error


def _pieces(answer: httpx.Response, path: str) -> Iterator[Piece]:
    for line in answer.iter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == DONE:
            return
        try:
            found = json.loads(data)
        except ValueError as error:
            raise UserError("controller.strange_answer", path=path, detail=str(error)) from error
        if refused := refusal(found):
            raise refused
        yield _piece(found, "delta")
    raise UserError("serve.broke_off")


def _piece(found: Any, part: str) -> Piece:
    try:
        choices = found.get("choices") or [{}]
        choice, usage = choices[0], found.get("usage") or {}
        said = (choice.get(part) or {}).get("content") or ""
        listed = (choice.get("logprobs") or {}).get("content") or []
        return Piece(
            text=str(said),
            tokens=tuple(_token(one) for one in listed),
            finish=str(choice.get("finish_reason") or ""),
            prompt=usage.get("prompt_tokens"),
            answer=usage.get("completion_tokens"),
            times=dict(found.get("forge") or {}),
        )
    except (AttributeError, TypeError, KeyError, ValueError, IndexError) as error:
        raise UserError("controller.strange_answer", path="/v1/chat/completions", detail=repr(error)) from error


def _token(one: dict[str, Any]) -> Token:
    others = tuple((str(other["token"]), float(other["logprob"])) for other in one.get("top_logprobs") or [])
    return Token(str(one["token"]), float(one["logprob"]), others)


def refusal(found: Any, kind: type[UserError] = UserError) -> UserError | None:
    """The error an instance told in OpenAI's form, by code where it tells one; None where it is another form."""
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    with contextlib.suppress(ValidationError):
        return kind.from_body(ErrorBody.model_validate(error.get("forge")))
    params = {"param": str(error["param"])} if error.get("param") else {}
    code = f"api.{error.get('code') or error.get('type') or 'error'}"
    return kind.from_body(ErrorBody(code=code, what=error["message"], params=params))
