"""Answers of the engine, heard by the loop that serves everybody: as they come, until they end or nobody wants them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.compute.inference.engine.requests import Handle, Over, Said, Timing
from engine.compute.serving.adapters import Lease
from engine.compute.serving.desk import Asking, Desk
from engine.compute.serving.door import ClientGone
from engine.contract.errors import UserError

STALL_S = 60.0
"""A client that takes nothing for so long is let go of: its answer waits in memory."""
Word = tuple[int, Said | Over]


@dataclass
class Hearing:
    """The choices of one request."""

    desk: Desk
    asking: Asking
    lease: Lease
    label: str
    """The model that answers."""
    handles: Sequence[Handle]
    prompt: int
    """Tokens of all its prompts."""
    gone: asyncio.Task[None]
    timeout: float | None = None
    began: float = field(default_factory=time.monotonic)
    timings: dict[int, Timing] = field(default_factory=dict)
    said: int = 0
    """Tokens."""
    closed: bool = False
    left: set[int] = field(default_factory=set)
    """Choices the engine has not ended."""

    def __post_init__(self) -> None:
        self.left = set(range(len(self.handles)))

    async def words(self) -> AsyncIterator[Word]:
        """Everything, with the number of its choice; whatever ends this ends the answers."""
        news = asyncio.Event()
        self.gone.add_done_callback(lambda _task: news.set())
        self._watch(news.set)
        try:
            while self.left:
                await self._wait(news)
                news.clear()
                for number in sorted(self.left):
                    for one in self.handles[number].news():
                        if isinstance(one, Over):
                            self.left.discard(number)
                            self._over(number, one)
                        else:
                            self.said += 1
                        yield number, one
        finally:
            await self.close()

    async def close(self) -> None:
        """Nobody listens any more; again is the same as once."""
        if self.closed:
            return
        self.closed = True
        for handle in self.handles:
            handle.cancel()
        self.gone.cancel()
        self._watch(self._released)
        self._released()
        self.asking.tokens = self.said
        with contextlib.suppress(UserError):  # it was answered: what cannot be counted is lost
            await self.desk.counts.used(self.asking.key, self.said)

    def _watch(self, heard: Callable[[], object]) -> None:
        """Call this in the loop whenever the engine has told something."""
        loop = asyncio.get_running_loop()

        def called() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(heard)

        for number in self.left:
            self.handles[number].watch(called)

    def _released(self) -> None:
        """The engine lets go of adapters with its last word: they may be unloaded from then on."""
        self.left = {n for n in self.left if not any(isinstance(one, Over) for one in self.handles[n].news())}
        if not self.left:
            self.lease.release()

    async def _wait(self, news: asyncio.Event) -> None:
        left = None if self.timeout is None else self.timeout - (time.monotonic() - self.began)
        try:
            async with asyncio.timeout(left):
                await news.wait()
        except TimeoutError:
            stage = "answer" if self.said else "first token"
            raise UserError("serve.timeout", stage=stage, seconds=self.timeout) from None
        if self.gone.done():
            raise ClientGone

    def _over(self, number: int, over: Over) -> None:
        if over.error is not None:
            raise over.error
        if over.reason == "cancelled":
            raise UserError("inference.closed")
        self.timings[number] = over.timing
        self.desk.figures.answered(over.timing, self.label, self.asking.key.tenant)

    @property
    def usage(self) -> dict[str, object]:
        """Tokens, as OpenAI tells them."""
        answer = sum(one.answer for one in self.timings.values())
        cached = max((one.cached for one in self.timings.values()), default=0)
        return {
            "prompt_tokens": self.prompt, "completion_tokens": answer, "total_tokens": self.prompt + answer,
            "prompt_tokens_details": {"cached_tokens": cached},
        }  # fmt: skip

    @property
    def forge(self) -> dict[str, object]:
        """Seconds of the stages, tokens, and the adapters at work."""
        all_of, routed = list(self.timings.values()), self.lease.routed
        why = {} if routed is None else {"routed": routed.model_dump(exclude={"adapters"})}
        return {
            "queued": max((one.queued for one in all_of), default=0.0),
            "first": max((one.first for one in all_of), default=0.0),
            "whole": max((one.whole for one in all_of), default=0.0),
            "prompt": self.prompt, "cached": max((one.cached for one in all_of), default=0),
            "answer": sum(one.answer for one in all_of), "adapters": self.lease.names,
            **why,
        }  # fmt: skip


async def until_gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Server-sent events, each sent when its client has taken those before it."""

    media_type = "text/event-stream"

    def __init__(self, lines: AsyncIterator[str]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them all; a client that takes nothing is let go of."""
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with contextlib.aclosing(self._lines) as lines:  # type: ignore[type-var]
            async for line in lines:
                body = {"type": "http.response.body", "body": f"data: {line}\n\n".encode(), "more_body": True}
                try:
                    async with asyncio.timeout(STALL_S):
                        await send(body)
                except (TimeoutError, OSError):
                    raise ClientGone from None
        await send({"type": "http.response.body", "body": b"", "more_body": False})
