"""How much a key may ask: requests and tokens of the last minute, counted by the package limits."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

from engine.contract.errors import UserError
from engine.contract.serving import ServeJob, ServeKey

PASSWORD = "FORGE_REDIS_PASSWORD"
WAIT_S = 3.0
"""For Redis to answer."""


class Counts:
    """Of all keys; of requests each moment is known, of tokens the shares of two windows."""

    def __init__(self, job: ServeJob, storage: Storage | None = None) -> None:
        self._job = job
        self._storage = storage if storage is not None else open_storage(job.limits_in)
        self._far = not job.limits_in.startswith("memory")
        self._requests = MovingWindowRateLimiter(self._storage)
        self._tokens = SlidingWindowCounterRateLimiter(self._storage)

    def most_requests(self, key: ServeKey) -> int:
        """A minute; 0: without limit."""
        return self._job.requests_per_minute if key.requests_per_minute is None else key.requests_per_minute

    def most_tokens(self, key: ServeKey) -> int:
        """A minute; 0: without limit."""
        return self._job.tokens_per_minute if key.tokens_per_minute is None else key.tokens_per_minute

    async def request(self, key: ServeKey) -> None:
        """One more request of a key; raises where it has made too many, or has used its tokens up."""
        await self._asked(lambda: self._request(key))

    async def tokens(self, key: ServeKey, count: int) -> None:
        """Tokens of a prompt that is to be answered; raises where they are too many."""
        await self._asked(lambda: self._prompt(key, count))

    async def used(self, key: ServeKey, count: int) -> None:
        """Tokens of an answer: it was given, so that they count up to what is left."""
        await self._asked(lambda: self._answer(key, count))

    def _request(self, key: ServeKey) -> None:
        if most := self.most_requests(key):
            item = RateLimitItemPerMinute(most)
            if not self._requests.hit(item, "requests", _who(key)):
                raise self._refused("serve.too_many_requests", self._requests, item, "requests", key)
        if most := self.most_tokens(key):
            item = RateLimitItemPerMinute(most)
            if not self._tokens.test(item, "tokens", _who(key)):
                raise self._refused("serve.too_many_tokens", self._tokens, item, "tokens", key)

    def _prompt(self, key: ServeKey, count: int) -> None:
        most = self.most_tokens(key)
        if most and count:
            item = RateLimitItemPerMinute(most)
            if not self._tokens.hit(item, "tokens", _who(key), cost=count):
                raise self._refused("serve.too_many_tokens", self._tokens, item, "tokens", key)

    def _answer(self, key: ServeKey, count: int) -> None:
        most = self.most_tokens(key)
        if most and count:
            item = RateLimitItemPerMinute(most)
            left = self._tokens.get_window_stats(item, "tokens", _who(key)).remaining
            if min(left, count) > 0:
                self._tokens.hit(item, "tokens", _who(key), cost=min(left, count))

    def _refused(
        self, code: str, limiter: RateLimiter, item: RateLimitItemPerMinute, what: str, key: ServeKey
    ) -> UserError:
        wait = max(1, round(limiter.get_window_stats(item, what, _who(key)).reset_time - time.time() + 0.5))
        return UserError(code, limit=item.amount, seconds=min(wait, 60))

    async def _asked(self, work: Callable[[], None]) -> None:
        """Redis is asked beside the loop that serves everybody."""
        try:
            if self._far:
                await asyncio.to_thread(work)
            else:
                work()
        except UserError:
            raise
        except Exception as error:
            raise UserError("serve.counts_away", detail=type(error).__name__) from error


def _who(key: ServeKey) -> str:
    """The same in every instance that has this key: counts in Redis are of all of them together."""
    return (key.counted_as or key.hash)[:32]


def open_storage(where: str) -> Storage:
    """Where counts are kept; refuses, in words, what is not there."""
    if where.startswith("memory"):
        return storage_from_string("memory://")
    if importlib.util.find_spec("redis") is None:
        raise UserError("serve.redis_missing", where=where)
    password = os.environ.get(PASSWORD, "")
    options: dict[str, Any] = {"socket_connect_timeout": WAIT_S, "socket_timeout": WAIT_S}
    if password:
        options["password"] = password
    try:
        storage = storage_from_string(where, **options)
        there = storage.check()
    except Exception as error:
        raise UserError("serve.redis", where=where, detail=type(error).__name__) from error
    if not there:
        raise UserError("serve.redis", where=where, detail="it does not answer")
    return storage
