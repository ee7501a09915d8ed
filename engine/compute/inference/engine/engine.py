"""ArrowEngine: answers many requests at once, step by step; they join and leave between two steps.

A step takes at most one piece of a prompt, so that nobody who is being answered waits long, and then one token for
each request at work. Blocks for the whole answer are there before a request begins: it never runs out of memory on
the way, it waits, or is refused while too many wait.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from engine.compute.inference.engine.blocks import BlockPool, Policy, chain
from engine.compute.inference.engine.metrics import Metrics
from engine.compute.inference.engine.paged import Row
from engine.compute.inference.engine.passes import Adapters, Passes
from engine.compute.inference.engine.requests import Asked, Handle, Over, Patience, Reason, Said, Timing
from engine.compute.inference.engine.sampling import Chooser
from engine.compute.inference.engine.shaped import Shaper
from engine.compute.inference.engine.texts import TextStream
from engine.compute.inference.engine.waiting import Queue, Waiter
from engine.contract.errors import UserError

if TYPE_CHECKING:  # it maps files by pyarrow, which starts a thread when it is imported
    from engine.compute.lora.manager import LoRAManager


@dataclass(frozen=True)
class Limits:
    """What the engine may take."""

    context: int = 4096
    """Tokens of a prompt with its answer."""
    blocks: int = 1024
    block: int = 16
    """Tokens of a block."""
    rows: int = 16
    """Requests at work at once."""
    piece: int = 512
    """Tokens of a prompt that are computed in one step."""
    queue: int = 1024
    ageing: float = 10.0
    policy: Policy = "lru"
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class _Work:
    """A request at work."""

    handle: Handle
    asked_at: float
    began_at: float
    table: list[int]
    tokens: list[int]
    """Of prompt and answer; those of the answer but the last are in the cache."""
    chooser: Chooser
    text: TextStream
    names: list[bytes]
    key: str
    done: int = 0
    """Tokens in the cache."""
    cached: int = 0
    answer: int = 0
    first_at: float = 0.0

    @property
    def prompt(self) -> int:
        """Tokens that were asked."""
        return len(self.handle.asked.tokens)

    @property
    def answering(self) -> bool:
        """All of the prompt but its last token is in the cache, or has been answered."""
        return self.answer > 0


class Backend(Protocol):
    """Who computes the logits of a step."""

    pool: BlockPool

    def logits(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], adapters: Sequence[Adapters]
    ) -> torch.Tensor:
        """[rows, words] of each row's last token; its tokens before it are known from here on."""

    def close(self) -> None:
        """Nothing is asked any more."""


@dataclass
class _Inbox:
    """What other threads want of the engine."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    closing: bool = False


class ArrowEngine:
    """Of one base model. `submit` may be called from any thread; a thread of the engine's own does the work."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        limits: Limits = Limits(),
        adapters: LoRAManager | None = None,
        ends: Iterable[int] = (),
        thread: bool = True,
        backend: Backend | None = None,
    ) -> None:
        """`ends`: tokens that end an answer beside those the model and its tokenizer name; `backend`: who computes a
        step's logits in place of the model itself.

        Without a thread of its own nothing happens but in `turn`, and what breaks is raised there.
        """
        self.limits, self.tokenizer, self.adapters = limits, tokenizer, adapters
        self.pool = backend.pool if backend is not None else BlockPool(limits.blocks + 1, limits.block, limits.policy)
        if adapters is not None:
            adapters.inject(model)
        self.passes: Backend = backend or Passes(model, self.pool, adapters)
        self.metrics = Metrics(self.pool.tally)
        self._ends = _ends_of(model, tokenizer) | frozenset(ends)
        self._shaper = Shaper(tokenizer, model.config.get_text_config().vocab_size, self._ends)
        self._queue = Queue(limits.queue, limits.ageing)
        self._work: list[_Work] = []
        self._left = 0
        self._crowded: tuple[str, int] | None = None
        """Whose adapter found no room, and how many had left by then: it is tried again when one more has."""
        self._inbox = _Inbox()
        self._failed: UserError | None = None
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True) if thread else None
        if self._thread is not None:
            self._thread.start()

    def __enter__(self) -> ArrowEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End; what is at work is cancelled."""
        with self._inbox.lock:
            self._inbox.closing = True
            self._inbox.lock.notify()
        if self._thread is not None:
            self._thread.join()
        else:
            self._leave()
        self.passes.close()

    def turn(self) -> bool:
        """One step, of an engine without a thread; False: there is nothing to do."""
        if not self._queue and not self._work:
            return False
        self._step()
        return True

    @property
    def running(self) -> int:
        """Requests at work."""
        return len(self._work)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def words(self) -> int:
        """Tokens the model knows."""
        return self._shaper.words

    def submit(self, asked: Asked) -> Handle:
        """Take a request; raises what is wrong with it, or that too many wait."""
        self._check(asked)
        shape = asked.sampling.shape
        handle = Handle(asked, self._shaper.follow(shape) if shape is not None else None)
        with self._inbox.lock:
            if self._failed is not None or self._inbox.closing:
                raise self._failed or UserError("inference.closed")
            if self._queue.full:
                self.metrics.refused()
                raise UserError("inference.busy", waiting=len(self._queue), limit=self.limits.queue)
            self._queue.add(handle, time.monotonic())
            self._inbox.lock.notify()
        return handle

    def _check(self, asked: Asked) -> None:
        sampling, limits = asked.sampling, self.limits
        if not asked.tokens:
            raise UserError("inference.no_prompt")
        whole = len(asked.tokens) + sampling.max_tokens
        most = min(limits.context, limits.blocks * limits.block)
        if sampling.max_tokens < 1 or whole > most:
            raise UserError(
                "inference.too_long", prompt=len(asked.tokens), answer=sampling.max_tokens, whole=whole, most=most
            )
        for value in (min(asked.tokens), max(asked.tokens)):
            if not 0 <= value < self.words:
                raise UserError("inference.no_token", token=value, last=self.words - 1)
        sampling.check(self.words)
        if asked.adapters and self.adapters is None:
            raise UserError("inference.no_adapters", name=asked.adapters[0][0])
        for name, _ in asked.adapters:
            if self.adapters is not None and name not in self.adapters.names:
                raise UserError("lora.unknown", name=name, known=", ".join(self.adapters.names[:20]) or "none")

    # The engine's own thread.

    def _loop(self) -> None:
        while True:
            with self._inbox.lock:
                while not self._queue and not self._work and not self._inbox.closing:
                    self._inbox.lock.wait()
                if self._inbox.closing:
                    break
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - a border: who waits must hear of it, and the engine goes on
                self._broke(error)
        self._leave()

    def _leave(self) -> None:
        for work in list(self._work):
            self._end(work, "cancelled")
        with self._inbox.lock:
            for waiter in self._queue.drop(lambda _one: True):
                self._refuse(waiter, "cancelled")

    def _step(self) -> None:
        at = time.monotonic()
        self._mind(at)
        self._admit(at)
        answering = [work for work in self._work if work.answering]
        self._read(self._readings())
        if answering:
            self._answer(answering)
        self.metrics.steps += 1

    def _readings(self) -> list[_Work]:
        """Whose prompt is read now: the first in turn, and others beside it as far as a piece holds them all."""
        found, width = list[_Work](), 0
        for work in self._work:
            if work.answering:
                continue
            wider = max(width, min(work.prompt - work.done, self.limits.piece))
            if found and wider * (len(found) + 1) > self.limits.piece:
                break
            found.append(work)
            width = wider
        return found

    def _mind(self, at: float) -> None:
        """Who does not wait any longer, and whose time is over."""
        with self._inbox.lock:
            gone = self._queue.drop(lambda one: one.handle.cancelled or self._late(one, at))
        for waiter in gone:
            self._refuse(waiter, "cancelled" if waiter.handle.cancelled else "timeout")
        for work in list(self._work):
            patience = work.handle.asked.patience.at_most(self.limits.patience)
            stage, limit, since = (
                ("stream", patience.stream, work.first_at) if work.answering
                else ("prefill", patience.prefill, work.began_at)
            )  # fmt: skip
            if work.handle.cancelled:
                self._end(work, "cancelled")
            elif limit is not None and at - since > limit:
                self._end(work, "timeout", UserError("inference.timeout", stage=stage, seconds=limit))

    def _late(self, waiter: Waiter, at: float) -> bool:
        limit = waiter.handle.asked.patience.at_most(self.limits.patience).queue
        return limit is not None and at - waiter.since > limit

    def _refuse(self, waiter: Waiter, reason: Reason, error: UserError | None = None) -> None:
        asked = waiter.handle.asked
        waited = time.monotonic() - waiter.since
        limit = asked.patience.at_most(self.limits.patience).queue
        if reason == "timeout":
            error = UserError("inference.timeout", stage="queue", seconds=limit)
        timing = Timing(waited, 0.0, waited, len(asked.tokens), 0, 0)
        self.metrics.ended(reason, timing)
        waiter.handle.tell(Over(reason, "", timing, error))

    def _admit(self, at: float) -> None:
        """Let in who is next while there is room; nobody who needs less overtakes who needs more."""
        while len(self._work) < self.limits.rows:
            with self._inbox.lock:
                waiter = self._next(at)
                if waiter is None or self._crowded == (waiter.handle.asked.id, self._left):
                    return
                try:
                    work = self._begin(waiter, at)
                except Exception as error:  # a border: its adapter cannot be loaded, which is nobody else's business
                    if isinstance(error, UserError) and error.code == "lora.no_room" and self._work:
                        self._crowded = (waiter.handle.asked.id, self._left)  # until one of these is over
                        return
                    self._queue.take(waiter)
                    self._refuse(waiter, "failed", self._told(error))
                    if self._thread is None and not isinstance(error, UserError):
                        raise
                    continue
                if work is None:
                    return
                self._queue.take(waiter)
            self._work.append(work)

    def _next(self, at: float) -> Waiter | None:
        """Who is next of those who go with what is at work; whom these overtook for long is waited for."""
        waiting = self._queue.in_order(at)
        if waiting and at - waiting[0].since >= self.limits.ageing:
            waiting = waiting[:1]
        return next((one for one in waiting if self._goes_with(one.handle.asked)), None)

    def _goes_with(self, asked: Asked) -> bool:
        """A blend is at work alone or with requests of the same one: rows of a batch have one adapter each."""
        blends = {work.handle.asked.adapters for work in self._work} | {asked.adapters}
        return len(blends) == 1 or not any(_is_blend(one) for one in blends)

    def _begin(self, waiter: Waiter, at: float) -> _Work | None:
        held = [name for name, _ in waiter.handle.asked.adapters]
        if self.adapters is not None:
            self.adapters.hold(held)  # these versions, from here on
        try:
            work = self._room_for(waiter, at)
        except BaseException:
            self._let_go(held)
            raise
        if work is None:
            self._let_go(held)
        return work

    def _let_go(self, names: list[str]) -> None:
        if self.adapters is not None:
            self.adapters.let_go(names)

    def _room_for(self, waiter: Waiter, at: float) -> _Work | None:
        """With a table of blocks for prompt and answer; None where too few are free."""
        asked = waiter.handle.asked
        key = self._key(asked)
        names = chain(key, asked.tokens[:-1], self.limits.block)  # the last one is computed: its logits are wanted
        known = names[: self.pool.beginning(names)]
        whole = self.pool.needed(len(asked.tokens) + asked.sampling.max_tokens)
        table = self.pool.take(known, whole)
        if table is None:
            return None
        cached = len(known) * self.limits.block
        self.pool.tally.asked += len(asked.tokens)
        self.pool.tally.found += cached
        return _Work(
            waiter.handle, waiter.since, at, table, list(asked.tokens), Chooser(asked.sampling, asked.tokens),
            TextStream(self.tokenizer, asked.sampling.stop), names, key, cached, cached,
        )  # fmt: skip

    def _key(self, asked: Asked) -> str:
        """What keys and values depend on beside tokens (adapters, versions, weights), and whose they are."""
        parts = [asked.realm] if asked.realm else []
        if self.adapters is not None:
            parts += [f"{name} {self.adapters.version(name)} {weight}" for name, weight in asked.adapters]
        return "\n".join(parts)

    def _read(self, readings: list[_Work]) -> None:
        """A piece of each prompt; with its last token the answer begins."""
        if not readings:
            return
        readings = sorted(readings, key=lambda work: work.handle.asked.adapters)
        ends = [min(work.prompt, work.done + self.limits.piece) for work in readings]
        rows = [Row(work.table, work.done, end - work.done) for work, end in zip(readings, ends, strict=True)]
        pieces = [work.tokens[work.done : end] for work, end in zip(readings, ends, strict=True)]
        with self._failing(readings):
            logits = self.passes.logits(rows, pieces, [work.handle.asked.adapters for work in readings])
            best = _likeliest(readings, logits)
            for number, (work, end) in enumerate(zip(readings, ends, strict=True)):
                work.done = end
                self._keep(work)
                if end == work.prompt:
                    with self._failing([work]):
                        self._say(work, logits[number], best[number])

    def _answer(self, answering: list[_Work]) -> None:
        """One more token for each; rows of one adapter lie side by side, so that there are few arrangements."""
        answering = sorted(answering, key=lambda work: work.handle.asked.adapters)
        rows = [Row(work.table, work.done, 1) for work in answering]
        with self._failing(answering):
            logits = self.passes.logits(
                rows, [work.tokens[-1:] for work in answering], [work.handle.asked.adapters for work in answering]
            )
            best = _likeliest(answering, logits)
            for number, work in enumerate(answering):
                work.done += 1
                self._keep(work)
                with self._failing([work]):
                    self._say(work, logits[number], best[number])

    def _say(self, work: _Work, logits: torch.Tensor, best: int) -> None:
        asked = work.handle.asked.sampling
        follower = work.handle.follower
        allowed = follower.allowed().to(logits.device) if follower is not None else None
        chooser = work.chooser
        token, logprob, others = chooser.take(best) if chooser.plain else chooser.choose(logits, allowed)
        if follower is not None:
            follower.took(token)
        at = time.monotonic()
        work.answer += 1
        if work.answer == 1:
            work.first_at = at
        work.tokens.append(token)
        if token in self._ends and not asked.ignore_end:
            self._end(work, "stop", end=token)
            return
        text = work.text.add(token)
        work.handle.tell(Said(token, text, logprob, others))
        if work.text.stopped or (follower is not None and follower.over):
            self._end(work, "stop")
        elif work.answer >= asked.max_tokens:
            self._end(work, "length")

    def _keep(self, work: _Work) -> None:
        """Blocks that are whole by now are known from here on, those of the answer too."""
        size = self.limits.block
        whole = work.done // size
        if whole > len(work.names):
            work.names = chain(work.key, work.tokens[: whole * size], size)
        for number in range(whole):
            self.pool.keep(work.names[number], work.table[number])

    def _end(self, work: _Work, reason: Reason, error: UserError | None = None, end: int | None = None) -> None:
        self._work.remove(work)
        self._left += 1
        self.pool.give_back(work.table)
        self._let_go([name for name, _ in work.handle.asked.adapters])
        at, asked_at = time.monotonic(), work.asked_at
        first = work.first_at - asked_at if work.first_at else 0.0
        timing = Timing(work.began_at - asked_at, first, at - asked_at, work.prompt, work.cached, work.answer)
        self.metrics.ended(reason, timing)
        work.handle.tell(Over(reason, work.text.rest() if error is None else "", timing, error, end))

    @contextlib.contextmanager
    def _failing(self, works: list[_Work]) -> Iterator[None]:
        """What breaks in a pass ends those who were in it, and nobody else."""
        try:
            yield
        except Exception as error:  # a border: each of them hears of it
            if self._thread is None:
                raise
            known = self._told(error)
            for work in works:
                if work in self._work:
                    self._end(work, "failed", known)

    def _told(self, error: Exception) -> UserError:
        if isinstance(error, UserError):
            return error
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            return UserError(
                "inference.out_of_memory", rows=self.limits.rows, blocks=self.limits.blocks, piece=self.limits.piece
            )
        return UserError("inference.broken", detail=f"{type(error).__name__}: {str(error)[:300]}")

    def _broke(self, error: Exception) -> None:
        known = self._told(error)
        for work in list(self._work):
            self._end(work, "failed", known)


def _likeliest(works: list[_Work], logits: torch.Tensor) -> list[int]:
    """Of each row, all at once, where one takes it as it is."""
    if not any(work.chooser.plain for work in works):
        return [0] * len(works)
    return [int(token) for token in logits.argmax(-1).tolist()]


def _is_blend(adapters: tuple[tuple[str, float], ...]) -> bool:
    return len(adapters) > 1 or any(weight != 1.0 for _, weight in adapters)


def _ends_of(model: Any, tokenizer: Any) -> frozenset[int]:
    known = model.generation_config.eos_token_id
    found = {tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])}
    return frozenset(int(one) for one in found if one is not None)
