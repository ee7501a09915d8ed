"""Which adapter a request wants: its text and the adapters' descriptions, as the base model sees them, compared.

Scores are cosines, exact in numpy; with many adapters and usearch at hand its index gives candidates, which are scored
exactly again. What comes out depends on the cards alone, not on the order they were added in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import torch

from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.lora_card import LoRACard

INDEXED_FROM = 20_000
"""With fewer adapters looking at all of them is quick enough, and is exact: 5 ms for 20,000 of 896 numbers, against
0.6 ms of the index, whose making takes a minute or two."""
CANDIDATES = 8
"""Times as many as are wanted that the index is asked for."""
DIGITS = 6
"""Scores that agree to so many digits are a tie, which names decide: sums in another order differ behind them."""
MAX_TOKENS = 512
UNLIKE = (
    "The train leaves in the evening.", "How do I bake bread?", "import os", "Summarise the report.", "2 + 2 = 4",
    "Hello!", "Why is the sky blue?", "Translate to French: good morning.", "La maison est grande.", "今天天气很好。",
    "She wrote a long letter to her friend.", "SELECT name FROM users;", "The patient has a fever.", "请写一首诗。",
    "List three advantages of solar power.", "Prices rose by five percent.",
)  # fmt: skip
"""Texts that have little in common: their mean is what a model makes of any text. Without it the cosine of two texts
that have nothing to do with each other is 0.4 to 0.75 with the demo model; with it -0.35 to 0.2 (see Mu, Viswanath:
All-but-the-Top, 2018)."""


@dataclass(frozen=True, slots=True)
class Match:
    """An adapter, how near it is (cosine), and its share of a blend."""

    name: str
    score: float
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes. Nothing is chosen where nothing reaches the threshold: the base alone answers."""

    chosen: tuple[Match, ...]
    considered: tuple[Match, ...]
    threshold: float

    @property
    def weights(self) -> dict[str, float]:
        """As a manager takes them."""
        return {match.name: match.weight for match in self.chosen}

    @property
    def explanation(self) -> dict[str, Any]:
        """Why: plain data."""
        return {
            "threshold": self.threshold,
            "chosen": [{"name": one.name, "score": one.score, "weight": one.weight} for one in self.chosen],
            "passed_over": [
                {"name": one.name, "score": one.score, "below_threshold": one.score < self.threshold}
                for one in self.considered
                if one.name not in self.weights
            ],
        }


class Nearest(Protocol):
    """Finds adapters near a vector."""

    def candidates(self, vector: np.ndarray, count: int) -> Sequence[str]:
        """Names, the nearest among them."""


class Exact:
    """All rows are looked at."""

    def __init__(self, names: Sequence[str], matrix: np.ndarray) -> None:
        self._names, self._matrix = names, matrix

    def candidates(self, vector: np.ndarray, count: int) -> Sequence[str]:
        """Those at least as near as the last of so many, ties and all."""
        scores = np.round(self._matrix @ vector, DIGITS)
        if count >= len(scores):
            return self._names
        last = np.partition(scores, len(scores) - count)[len(scores) - count]
        return [self._names[row] for row in np.flatnonzero(scores >= last).tolist()]


class Indexed:
    """usearch's graph: quick with very many, and nearly always right. One more or fewer does not make it anew."""

    def __init__(self, names: Sequence[str], matrix: np.ndarray) -> None:
        from usearch.index import Index

        self._index = Index(ndim=matrix.shape[1], metric="ip", dtype="f32")
        self._names = dict(enumerate(names))
        self._keys = {name: key for key, name in self._names.items()}
        self._next = len(names)
        self._index.add(np.arange(len(matrix)), matrix, threads=1)

    def add(self, name: str, vector: np.ndarray) -> None:
        """Know one more."""
        self._names[self._next], self._keys[name] = name, self._next
        self._index.add(self._next, vector, threads=1)
        self._next += 1

    def remove(self, name: str) -> None:
        """Forget one."""
        key = self._keys.pop(name)
        del self._names[key]
        self._index.remove(key)

    def candidates(self, vector: np.ndarray, count: int) -> Sequence[str]:
        """More than are wanted, to be scored exactly."""
        found = np.asarray(self._index.search(vector, count * CANDIDATES).keys, dtype=np.int64)
        return [self._names[key] for key in found.tolist() if key in self._names]


def have_index() -> bool:
    """Whether usearch is installed."""
    return find_spec("usearch") is not None


class LoRARouter:
    """Adapters by their descriptions."""

    def __init__(self, indexed_from: int = INDEXED_FROM) -> None:
        self._vectors = dict[str, np.ndarray]()
        self._indexed_from = indexed_from
        self._ready: Nearest | None = None

    def add(self, card: LoRACard) -> None:
        """Know an adapter by its card."""
        if not card.embedding or not any(card.embedding):
            raise UserError("lora.no_embedding", name=card.name)
        if card.name in self._vectors:
            raise Conflict("lora.taken", name=card.name)
        vector = _unit(np.asarray(card.embedding, dtype=np.float64))
        for other in self._vectors.values():
            if len(other) != len(vector):
                raise UserError("lora.embedding_size", name=card.name, found=len(vector), wanted=len(other))
            break
        self._vectors[card.name] = vector
        if isinstance(self._ready, Indexed):
            self._ready.add(card.name, vector.astype(np.float32))
        else:
            self._ready = None

    def remove(self, name: str) -> None:
        """Forget one."""
        if name not in self._vectors:
            raise NotFound("lora.unknown", name=name, known=", ".join(sorted(self._vectors)[:20]) or "none")
        del self._vectors[name]
        if isinstance(self._ready, Indexed):
            self._ready.remove(name)
        else:
            self._ready = None

    def route(self, embedding: Sequence[float], count: int = 1, threshold: float = 0.0) -> Route:
        """The nearest `count` adapters that reach the threshold, weighed by their scores (sum 1)."""
        if not self._vectors or count < 1:
            return Route((), (), threshold)
        vector, size = np.asarray(embedding, dtype=np.float64), len(next(iter(self._vectors.values())))
        if vector.shape != (size,):
            raise UserError("lora.embedding_size", name="request", found=len(vector), wanted=size)
        vector = _unit(vector)
        near = self._prepared().candidates(vector.astype(np.float32), count + 3)
        scores = {name: round(float(self._vectors[name] @ vector), DIGITS) for name in near}
        ordered = [Match(name, score) for name, score in sorted(scores.items(), key=lambda one: (-one[1], one[0]))]
        return Route(_blended(ordered[:count], threshold), tuple(ordered[: count + 3]), threshold)

    def _prepared(self) -> Nearest:
        """Rows by name, so that the order of adding does not matter."""
        if self._ready is None:
            names = sorted(self._vectors)
            matrix = np.stack([self._vectors[name] for name in names]).astype(np.float32)
            indexed = len(names) >= self._indexed_from and have_index()
            self._ready = Indexed(names, matrix) if indexed else Exact(names, matrix)
        return self._ready


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def _blended(matches: Sequence[Match], threshold: float) -> tuple[Match, ...]:
    """Shares by score; scores that are not above 0 share alike."""
    chosen = [match for match in matches if match.score >= threshold]
    sizes = [max(match.score, 0.0) for match in chosen]
    total = sum(sizes)
    if total <= 0:
        sizes, total = [1.0] * len(chosen), float(len(chosen))
    return tuple(Match(one.name, one.score, size / total) for one, size in zip(chosen, sizes, strict=True))


def embed(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[tuple[float, ...]]:
    """Texts as the base model sees them: the mean of its last hidden states over a text's tokens.

    One text at a time, so that what stands beside it in a batch cannot matter.
    """
    found = list[tuple[float, ...]]()
    for text in texts:
        numbers = tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_TOKENS)["input_ids"]
        if numbers.shape[1] == 0:
            found.append(())
            continue
        with torch.no_grad():
            numbers = numbers.to(next(model.parameters()).device)
            hidden = model(input_ids=numbers, output_hidden_states=True).hidden_states
        found.append(tuple(hidden[-1][0].float().mean(0).tolist()))
    return found


def described(card: LoRACard, model: Any, tokenizer: Any) -> LoRACard:
    """The card with the embedding of its description."""
    if not card.description.strip():
        raise UserError("lora.no_embedding", name=card.name)
    return card.model_copy(update={"embedding": embed(model, tokenizer, [card.description])[0]})
