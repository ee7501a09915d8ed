"""The application: every endpoint, what it takes and what it gives."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from engine.compute.serving.bodies import (
    ChatBody,
    CompletionBody,
    EmbeddingBody,
    LoadBody,
    LoadLoraBody,
    RouteBody,
    TokenizeBody,
    UnloadLoraBody,
    bad_inputs,
    inputs_of,
)
from engine.compute.serving.desk import Asking, Desk
from engine.compute.serving.door import ClientGone, Door
from engine.compute.serving.errors import answer_of, invalid, not_there, not_understood
from engine.compute.serving.hearing import EventStream, Hearing, until_gone
from engine.compute.serving.preparing import (
    Prepared,
    prepare_chat,
    prepare_completion,
    spoken,
    too_many,
    turns_of,
)
from engine.compute.serving.reading import ReadingRoute
from engine.compute.serving.served import Served
from engine.compute.serving.speaking import Speaking
from engine.contract.errors import NotFound, UserError
from engine.contract.serving import OWN_KEY, AdapterState, Routed, ServeStatus

T = TypeVar("T")
MOST_EMBEDDED = 300_000
"""Tokens of one request for embeddings, as OpenAI has it."""
OWNER = "loraforge"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
ERROR = {
    "description": "What went wrong: message, type, param, code, trace_id.",
    "content": {"application/json": {"schema": {
        "type": "object", "required": ["error"], "properties": {"error": {
            "type": "object", "required": ["message", "type", "param", "code"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"},
                           "param": {"type": ["string", "null"]}, "code": {"type": "string"},
                           "trace_id": {"type": "string"}}}}}}},
}  # fmt: skip
ERRORS: dict[int | str, dict[str, Any]] = dict.fromkeys(
    (400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 503, 504), ERROR
)

PROBES = ["GET", "HEAD"]
"""Some balancers ask for the head alone."""
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The answer; a stream has one JSON object an event.", "content": {"text/event-stream": {}}}
}


def create_app(desk: Desk) -> FastAPI:
    """An instance's application."""
    app = FastAPI(title="LoRAForge", docs_url=None, redoc_url=None, responses=ERRORS, redirect_slashes=False)
    app.router.route_class = ReadingRoute
    _answers(app, desk)
    _models(app, desk)
    _adapters(app, desk)
    _health(app, desk)
    app.add_exception_handler(UserError, _told)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Door, desk=desk)
    return app


def _answers(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/chat/completions", responses=STREAMED)
    async def chat(body: ChatBody, request: Request) -> Response:
        """Answer a conversation."""
        return await _answered(desk, body, request, lambda asking: prepare_chat(desk.served, body, asking))

    @app.post("/v1/completions", responses=STREAMED)
    async def complete(body: CompletionBody, request: Request) -> Response:
        """Continue texts."""
        return await _answered(desk, body, request, lambda asking: prepare_completion(desk.served, body, asking))

    @app.post("/v1/embeddings")
    async def embed(body: EmbeddingBody, request: Request) -> Response:
        """Texts as numbers: the mean of the base model's last hidden states."""
        return JSONResponse(await _embedded(desk, body, request))

    @app.post("/v1/tokenize")
    async def tokenize(body: TokenizeBody) -> dict[str, int]:
        """How many tokens a conversation or a text has, and how many there may be."""
        served = desk.served
        if body.model is not None:
            served.known(body.model)
        if body.messages is not None:
            turns = turns_of(body.messages, served.job.model.system)
            count = len(await asyncio.to_thread(served.of_turns, turns))
        else:
            count = len(await asyncio.to_thread(served.of_text, body.text or ""))
        return {"count": count, "context": served.context}

    @app.post("/v1/route")
    async def route(body: RouteBody) -> Routed:
        """Which adapters fit a text, and why."""
        text = body.text if body.text is not None else spoken(turns_of(body.messages or []))
        return await asyncio.to_thread(desk.served.route, text)


def _models(app: FastAPI, desk: Desk) -> None:
    served = desk.served

    def told(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": served.created, "owned_by": OWNER,
                "context": served.context, "parent": None if name == served.name else served.name}  # fmt: skip

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The base model, the adapters, and auto."""
        return {"object": "list", "data": [told(name) for name in served.models]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        return told(served.known(name))


def _adapters(app: FastAPI, desk: Desk) -> None:
    book = desk.served.book

    @app.get("/v1/adapters")
    async def adapters(request: Request) -> dict[str, list[AdapterState]]:
        """All that may be asked for; where they are and what others asked of them, to who may change them."""
        found, asking = book.states(), request.scope["forge"]
        if "adapters" not in asking.key.scopes:
            found = [one.model_copy(update={"path": "", "requests": 0, "loaded": False}) for one in found]
        return {"adapters": found}

    @app.post("/v1/adapters")
    async def load(body: LoadBody, request: Request) -> AdapterState:
        """Load one under a name, without a restart."""
        source = body.source if request.scope["forge"].key.id == OWN_KEY else ""
        return await asyncio.to_thread(book.add, body.name, body.path, body.replace, source)

    @app.delete("/v1/adapters/{name}")
    async def unload(name: str) -> dict[str, Any]:
        """Unload one; requests that work with it end as they began."""
        await asyncio.to_thread(book.remove, name)
        return {"id": name, "object": "adapter", "deleted": True}

    @app.post("/v1/load_lora_adapter")
    async def load_lora(body: LoadLoraBody) -> AdapterState:
        """The same by vLLM's name."""
        return await asyncio.to_thread(book.add, body.lora_name, body.lora_path, body.load_inplace)

    @app.post("/v1/unload_lora_adapter")
    async def unload_lora(body: UnloadLoraBody) -> dict[str, Any]:
        """The same by vLLM's name."""
        return await unload(body.lora_name)


def _health(app: FastAPI, desk: Desk) -> None:
    @app.api_route("/health", methods=PROBES)
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.api_route("/ready", methods=PROBES)
    async def ready() -> dict[str, str]:
        """It takes requests."""
        if desk.draining:
            raise UserError("serve.draining", seconds=5)
        return {"status": "ready"}

    @app.get("/v1/status")
    async def status() -> ServeStatus:
        """How it is doing."""
        return desk.status()

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Figures in Prometheus' form."""
        return Response(desk.figures.text(desk.now()), media_type=PROMETHEUS)


async def _answered(
    desk: Desk, body: ChatBody | CompletionBody, request: Request, prepare: Callable[[Asking], Prepared]
) -> Response:
    """Prepared, counted, asked and heard; the status is settled with the first word, whether a stream or not."""
    asking: Asking = request.scope["forge"]
    prepared = await asyncio.to_thread(prepare, asking)
    try:
        await desk.counts.tokens(asking.key, prepared.tokens)
        handles = await asyncio.to_thread(prepared.submit, desk.served)
    except BaseException:
        prepared.lease.release()
        raise
    gone = asyncio.create_task(until_gone(request.receive))
    hearing = Hearing(desk, asking, prepared.lease, prepared.label, handles, prepared.tokens, gone, body.timeout)
    speaking = Speaking(hearing, prepared, body, desk.served.tokenizer)
    try:
        if not body.stream:
            return JSONResponse(await speaking.whole())
        words = hearing.words()
        return EventStream(speaking.lines(words, await anext(words)))
    except BaseException:
        await hearing.close()
        raise


async def _embedded(desk: Desk, body: EmbeddingBody, request: Request) -> dict[str, Any]:
    served, asking = desk.served, request.scope["forge"]
    if body.model != served.name:
        raise NotFound("serve.model", model=body.model[:120], known=served.name, param="model")
    asking.model, asking.user = served.name, body.user or ""
    problems = list(bad_inputs("input", body.input, served.engine.words))
    if problems:
        raise invalid(problems)
    inputs = await asyncio.to_thread(
        lambda: [served.of_text(one) if isinstance(one, str) else tuple(one) for one in inputs_of(body.input)]
    )
    count = sum(map(len, inputs))
    for one in inputs:
        served.fits(len(one), 0)
    if count > MOST_EMBEDDED:
        raise too_many(count, MOST_EMBEDDED)
    await desk.counts.tokens(asking.key, count)
    gone = asyncio.create_task(until_gone(request.receive))
    try:
        late = UserError("serve.timeout", stage="embedding", seconds=body.timeout)
        vectors = await _in_time(body.timeout, late, _vectors(served, inputs, gone))
    finally:
        gone.cancel()
    data = [
        {"object": "embedding", "index": number, "embedding": _coded(one) if body.encoding_format == "base64" else one}
        for number, one in enumerate(vectors)
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": served.name, "usage": usage}


async def _vectors(
    served: Served, inputs: Sequence[tuple[int, ...]], gone: asyncio.Task[None]
) -> list[tuple[float, ...]]:
    """Of each text, within the instance's limits; embeddings come one after the other."""
    loop, job, found = asyncio.get_running_loop(), served.job, list[tuple[float, ...]]()
    late = UserError("inference.timeout", stage="queue", seconds=job.queue_timeout)
    await _in_time(job.queue_timeout, late, loop.run_in_executor(served.embedder, int))  # it is our turn
    for tokens in inputs:
        if gone.done():
            raise ClientGone
        late = UserError("inference.timeout", stage="prefill", seconds=job.prompt_timeout)
        work = loop.run_in_executor(served.embedder, served.pooled, tokens)
        found.append(await _in_time(job.prompt_timeout, late, work))
    return found


async def _in_time(seconds: float | None, late: UserError, work: Awaitable[T]) -> T:
    """What comes of it; raises `late` after so many seconds (0 or None: never)."""
    try:
        async with asyncio.timeout(seconds or None):
            return await work
    except TimeoutError:
        raise late from None


def _coded(vector: Sequence[float]) -> str:
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, UserError)
    asking: Asking = request.scope["forge"]
    asking.code = error.code
    return answer_of(error, asking.trace)


async def _not_understood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _told(request, not_understood(error))


async def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _told(request, not_there(request.url.path))
    if error.status_code == 405:
        method = UserError("serve.method", method=request.method, path=request.url.path[:200])
        answer = await _told(request, method)
        answer.headers.update({k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"})
        return answer
    return await _told(request, UserError("serve.not_json", detail="it cannot be read"))
