"""An instance behind a controller on loopback: it answers in OpenAI's form, word by word, as told. No model in it."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from engine.client.address import Address
from engine.client.client import ControllerClient
from engine.contract.paths import Home

CONTEXT = 8192
POLL_S = 0.005


class ChatInstance:
    """Answers on `port` until `close`; what is set here holds for the next request."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        """Bodies of the requests for answers, in order."""
        self.answers: dict[str, str] = {}
        """What a model says, by name; others say what they were asked."""
        self.errors: dict[str, tuple[int, str]] = {}
        """Models that refuse: status and message."""
        self.parts: dict[str, Any] | None = None
        """A refusal as an instance tells it to clients that speak other languages."""
        self.refused_paths: dict[str, str] = {}
        """Adapters that do not fit: path and message."""
        self.fits: list[str] = []
        """Adapters the router chooses."""
        self.adapters: dict[str, dict[str, Any]] = {}
        self.go = threading.Event()
        """Cleared: answers stay after their first word."""
        self.go.set()
        self.takes = threading.Event()
        """Cleared: requests wait for their turn, and nothing is said yet."""
        self.takes.set()
        self.breaks_off = False
        self.cut: list[str] = []
        """Models whose answers nobody waited for."""
        self.ready = True
        self.context = CONTEXT
        config = uvicorn.Config(self._app(), port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="chat-instance")
        self._thread.start()
        while not self._server.started:
            time.sleep(POLL_S)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    def client(self) -> ControllerClient:
        """Somebody who asks it as the controller."""
        address = Address(self.port, "secret", 1, 1.0, "1", 1)
        return ControllerClient(Home(Path("/nowhere")), lambda: address, timeout=15)

    def close(self) -> None:
        """End it."""
        self.go.set()
        self.takes.set()
        self._server.should_exit = True
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.get("/runs/{uid}/instance")(self._instance)
        app.get("/runs/{uid}/api/v1/status")(self._status)
        app.get("/runs/{uid}/api/v1/adapters")(self._list)
        app.post("/runs/{uid}/api/v1/adapters")(self._load)
        app.delete("/runs/{uid}/api/v1/adapters/{name}")(self._unload)
        app.post("/runs/{uid}/api/v1/tokenize")(self._tokenize)
        app.post("/runs/{uid}/api/v1/chat/completions")(self._chat)
        return app

    async def _instance(self, uid: str) -> dict[str, Any]:
        models = ["demo", *self.adapters]
        state = "running" if self.ready else "preparing"
        return {"run": uid, "state": state, "ready": self.ready, "address": "http://127.0.0.1:1", "models": models}

    async def _status(self, uid: str) -> dict[str, Any]:
        return {"model": "demo", "ready": True, "context": self.context, "adapters": list(self.adapters.values())}

    async def _list(self, uid: str) -> list[dict[str, Any]]:
        return list(self.adapters.values())

    async def _load(self, uid: str, request: Request) -> Response:
        asked = await request.json()
        if message := self.refused_paths.get(asked["path"]):
            return _refusal(400, message, "adapter_unfit")
        if asked["name"] in self.adapters and not asked.get("replace"):
            return _refusal(409, f"There is an adapter '{asked['name']}' already.", "name_taken")
        self.adapters[asked["name"]] = {
            "name": asked["name"], "path": asked["path"], "rank": 32, "bytes": 84_000_000, "loaded": True,
        }  # fmt: skip
        return JSONResponse(self.adapters[asked["name"]])

    async def _unload(self, uid: str, name: str) -> Response:
        if self.adapters.pop(name, None) is None:
            return _refusal(404, f"There is no adapter '{name}'.", "not_found")
        return Response(status_code=204)

    async def _tokenize(self, uid: str, request: Request) -> dict[str, int]:
        asked = await request.json()
        return {"count": sum(len(one["content"].split()) for one in asked["messages"]), "context": self.context}

    async def _chat(self, uid: str, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        model = asked["model"]
        used = sum(len(one["content"].split()) for one in asked["messages"])
        if used + int(asked.get("max_tokens") or 0) > self.context:
            return _refusal(400, "The prompt and its answer are too long.", "inference.too_long")
        if asked.get("adapters") and model != "demo":
            return _refusal(400, "Adapters were named twice.", "serve.adapters_twice")
        model = next(iter(asked.get("adapters") or {}), model)
        if model in self.errors:
            return _refusal(*self.errors[model], "refused", self.parts)
        while not self.takes.is_set():
            if await request.is_disconnected():
                self.cut.append(asked["model"])
                return Response(status_code=499)
            await asyncio.sleep(POLL_S)
        words = self._words(model, asked)
        if not asked.get("stream"):
            return JSONResponse(_end(words, model) | {"choices": [{"message": {"content": "".join(words)}}]})
        return StreamingResponse(self._stream(words, asked), media_type="text/event-stream")

    def _words(self, model: str, asked: dict[str, Any]) -> list[str]:
        text = self.answers.get(model, f"{model} heard: {asked['messages'][-1]['content']}")
        most = int(asked.get("max_tokens") or 512)
        return [word + " " for word in text.split(" ")][:most]

    async def _stream(self, words: list[str], asked: dict[str, Any]) -> AsyncIterator[str]:
        try:
            for place, word in enumerate(words):
                choice: dict[str, Any] = {"index": 0, "delta": {"content": word}}
                if asked.get("logprobs"):
                    choice["logprobs"] = {"content": [_chance(word, place)]}
                yield f"data: {json.dumps({'choices': [choice]})}\n\n"
                while not self.go.is_set():
                    await asyncio.sleep(POLL_S)
            if self.breaks_off:
                return
            chosen = self.fits if asked["model"] == "auto" else None
            yield f"data: {json.dumps(_end(words, asked['model'], chosen))}\n\n"
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.cut.append(asked["model"])
            raise


def _chance(word: str, place: int) -> dict[str, Any]:
    share = (0.95, 0.6, 0.2, 0.04)[place % 4]
    others = [{"token": word, "logprob": math.log(share)}, {"token": "other", "logprob": math.log(1 - share)}]
    return {"token": word, "logprob": math.log(share), "top_logprobs": others}


def _end(words: list[str], model: str, chosen: list[str] | None = None) -> dict[str, Any]:
    times: dict[str, Any] = {
        "queued": 0.001, "first": 0.142, "whole": 0.142 + len(words) / 48, "answer": len(words), "prompt": 7,
    }  # fmt: skip
    if chosen is not None:
        times |= {"adapters": dict.fromkeys(chosen, 1.0), "routed": {"likeness": {}, "threshold": 0.3, "reason": ""}}
    return {
        "model": model,
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": len(words)},
        "forge": times,
    }


def _refusal(status: int, message: str, code: str, parts: dict[str, Any] | None = None) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code, "forge": parts}
    return JSONResponse({"error": error}, status_code=status)
