"""What is asked of the engine, and what it tells while it answers."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.compute.inference.engine.shaped import Follower, Shape
from engine.contract.errors import UserError
from engine.contract.ids import new_id

Reason = Literal["stop", "length", "cancelled", "timeout", "failed"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    max_tokens: int = 256
    temperature: float = 1.0
    """0: the most likely one."""
    top_k: int = 0
    """Only so many of the most likely; 0: all."""
    top_p: float = 1.0
    """Only the most likely ones that have this share together."""
    min_p: float = 0.0
    """Only those with this share of the most likely one's chance."""
    repetition: float = 1.0
    """What is divided by it, or multiplied where it is negative, was said or asked before."""
    presence: float = 0.0
    """Taken off everything that was said before."""
    frequency: float = 0.0
    """Taken off for each time it was said."""
    bias: tuple[tuple[int, float], ...] = ()
    """Tokens, and what is added to their logits."""
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not told."""
    ignore_end: bool = False
    """Go on where the model would end."""
    shape: Shape | None = None
    """What the answer must look like."""
    logprobs: int | None = None
    """Tell each token's log-probability, and those of so many others."""

    def check(self, words: int) -> None:
        """Refuse what no token can be chosen by; `words`: tokens the model knows."""
        fits = {
            "temperature": (0 <= self.temperature < math.inf, "0 or more"),
            "top_k": (self.top_k >= 0, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "min_p": (0 <= self.min_p <= 1, "from 0 to 1"),
            "repetition": (0 < self.repetition < math.inf, "above 0"),
            "presence": (math.isfinite(self.presence), "a finite number"),
            "frequency": (math.isfinite(self.frequency), "a finite number"),
            "seed": (self.seed is None or -(2**63) <= self.seed < 2**64, "a whole number of 64 bits"),
            "logprobs": (self.logprobs is None or self.logprobs >= 0, "0 or more"),
        }
        for name, (fit, wanted) in fits.items():
            if not fit:
                raise UserError("inference.sampling", setting=name, value=getattr(self, name), wanted=wanted)
        for token, value in self.bias:
            if not 0 <= token < words or not math.isfinite(value):
                wanted = f"a finite number for a token from 0 to {words - 1}"
                raise UserError("inference.sampling", setting="bias", value=f"{value} for {token}", wanted=wanted)


@dataclass(frozen=True)
class Patience:
    """Seconds each stage may take; None: as long as it takes."""

    queue: float | None = None
    prefill: float | None = None
    stream: float | None = None

    def at_most(self, other: Patience) -> Patience:
        """The smaller of each: a server's, a controller's and the engine's own all count."""
        pairs = ((self.queue, other.queue), (self.prefill, other.prefill), (self.stream, other.stream))
        return Patience(*(min((one for one in pair if one is not None), default=None) for pair in pairs))


@dataclass(frozen=True)
class Asked:
    """One request."""

    tokens: tuple[int, ...]
    sampling: Sampling = field(default_factory=Sampling)
    adapters: tuple[tuple[str, float], ...] = ()
    """Names and weights; none: the base model."""
    tier: int = 0
    """A smaller one comes first."""
    patience: Patience = field(default_factory=Patience)
    realm: str = ""
    """What is kept of prompts is shared with requests of the same realm only."""
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Likely:
    """A token with its log-probability."""

    token: int
    logprob: float


@dataclass(frozen=True)
class Said:
    """One more token: the text it completes, which may be none yet."""

    token: int
    text: str
    logprob: float | None = None
    others: tuple[Likely, ...] = ()


@dataclass(frozen=True)
class Timing:
    """Seconds of the stages, and what they were for."""

    queued: float
    first: float
    """From being asked to the first token; 0: there was none."""
    whole: float
    prompt: int
    cached: int
    """Tokens of the prompt that had not to be computed."""
    answer: int

    @property
    def each(self) -> float:
        """Seconds a token after the first."""
        return (self.whole - self.first) / (self.answer - 1) if self.answer > 1 else 0.0


@dataclass(frozen=True)
class Over:
    """The last word."""

    reason: Reason
    text: str
    """What was held back until it was clear that it is no stop text."""
    timing: Timing
    error: UserError | None = None
    end: int | None = None
    """The token that ended it, where one did; it is no part of the text."""


@dataclass(frozen=True)
class Answer:
    """All of it."""

    text: str
    tokens: tuple[int, ...]
    said: tuple[Said, ...]
    over: Over


class Handle:
    """A request in the engine's hands: what it says as it comes."""

    def __init__(self, asked: Asked, follower: Follower | None = None) -> None:
        self.asked, self.follower = asked, follower
        self._told: queue.SimpleQueue[Said | Over] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._heard: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Nobody wants it any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Its slot is free within one step."""
        self._cancelled.set()

    def tell(self, one: Said | Over) -> None:
        """The engine's side."""
        self._told.put(one)
        if self._heard is not None:
            self._heard()

    def watch(self, heard: Callable[[], None]) -> None:
        """Call this whenever there is something new, mostly from the engine's thread: it must neither wait nor fail."""
        self._heard = heard
        heard()

    def news(self) -> list[Said | Over]:
        """What was told since the last time, without waiting."""
        found = list[Said | Over]()
        while True:
            try:
                found.append(self._told.get_nowait())
            except queue.Empty:
                return found

    def __iter__(self) -> Iterator[Said | Over]:
        """Everything, the last word included."""
        while True:
            one = self._told.get()
            yield one
            if isinstance(one, Over):
                return

    def whole(self) -> Answer:
        """Wait for all of it; raises what went wrong."""
        said = list[Said]()
        for one in self:
            if isinstance(one, Over):
                if one.error is not None:
                    raise one.error
                text = "".join(part.text for part in said) + one.text
                return Answer(text, tuple(part.token for part in said), tuple(said), one)
            said.append(one)
        raise AssertionError("an answer has a last word")


def adapters_of(wanted: str | Sequence[str] | Mapping[str, float] | None) -> tuple[tuple[str, float], ...]:
    """Names and weights, however they are given."""
    if wanted is None:
        return ()
    if isinstance(wanted, str):
        return ((wanted, 1.0),)
    if isinstance(wanted, Mapping):
        return tuple((name, float(weight)) for name, weight in wanted.items())
    return tuple((name, 1.0) for name in wanted)
