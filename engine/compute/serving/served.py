"""A base model with its adapters, ready to be asked: everything a request needs beside who may make it."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import torch

from engine.compute.data.sandbox import variables_of
from engine.compute.data.templates import Template, choose_template
from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Patience
from engine.compute.inference.int8 import hold_in_int8
from engine.compute.inference.llama_cpp import LlamaPasses, Sequences
from engine.compute.inference.rope import changes
from engine.compute.lora.injection import base_hash
from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.router import MAX_TOKENS, UNLIKE
from engine.compute.passing import in_passing
from engine.compute.serving.adapters import AdapterBook, Lease
from engine.compute.serving.control_tokens import ControlTexts
from engine.compute.serving.sentences import Sentences
from engine.contract.errors import NotFound, Problem, UserError
from engine.contract.held_adapters import HeldAdapter
from engine.contract.lora_card import LoRACard
from engine.contract.paths import expanded
from engine.contract.serving import Routed, ServeJob

BLOCK = 16
"""Tokens of a block of keys and values."""
PIECE = 512
MOST_CACHE = 4 << 30
LEAST_ADAPTERS = 1 << 30
"""Memory for adapters on computers that have little."""


class Served:
    """Model, tokenizer, template, engine and adapters of one instance."""

    def __init__(
        self, job: ServeJob, model: Any, tokenizer: Any, template: Template, folder: Path | None = None
    ) -> None:
        """`folder`: where the model's files are, for a backend that reads them itself, and to know whose they are."""
        self.job, self.tokenizer, self.template = job, tokenizer, template
        self._control = ControlTexts(tokenizer)
        self.model = model.eval().requires_grad_(False)
        self.created = int(time.time())
        self.device = next(model.parameters()).device
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if longest and job.model.rope == "dynamic":  # it stretches as far as is asked for
            longest *= job.model.rope_factor
        self.context = min(job.context, int(longest)) if longest else job.context
        self.manager = LoRAManager(limit_bytes=job.adapters_mb << 20 or max(LEAST_ADAPTERS, self._free() // 4))
        self.manager.inject(model)
        self._folder, self._one = folder, threading.Lock()
        self._aside: Path | None = None
        if job.backend == "llama_cpp":
            self._aside = Path(tempfile.mkdtemp(prefix="forge-llama-"))
        self.embedder = ThreadPoolExecutor(1, "embedding")
        """Embeddings come one after the other, and keep no thread from preparing answers."""
        self._sentences = Sentences(expanded(job.route_model), self.device) if job.route_model else None
        limits = self._limits()
        backend = self._llama(folder, limits) if job.backend == "llama_cpp" and folder is not None else None
        self.engine = ArrowEngine(model, tokenizer, limits, self.manager, template.stops, backend=backend)
        self.book = AdapterBook(
            self.manager, (self.name,), self._purpose, lambda: self._middle, self._identify,
            frozenset(one.name for one in job.adapters),
        )  # fmt: skip

    @classmethod
    def load(
        cls, folder: Path, job: ServeJob, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Served:
        """Load a model from its folder; the adapters come with `add_adapters`."""
        if device is None:
            device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
        asked = job.model
        tokenizer = load_tokenizer(folder)
        template = choose_template(tokenizer, asked.template, thinking=asked.thinking)
        changed = changes(folder, asked, job.context)
        model = load_model(
            folder, dtype or _dtype(job.held_in, device), asked.attention, device, asked.quantisation, changed=changed
        )  # fmt: skip
        if job.int8:
            hold_in_int8(model)
        return cls(job, model, tokenizer, template, folder)

    @property
    def name(self) -> str:
        """The base model's name in requests."""
        return self.job.base_name

    @property
    def models(self) -> list[str]:
        """Names a request may have as its model."""
        return [self.name, *self.book.names, "auto"]

    def close(self) -> None:
        """End the engine; what is at work is cancelled."""
        self.embedder.shutdown(wait=False, cancel_futures=True)
        self.engine.close()
        if self._aside is not None:
            shutil.rmtree(self._aside, ignore_errors=True)

    def add_adapters(self, dropped: Sequence[str] = ()) -> list[Problem]:
        """Those of the job, but for some that were let go before; everything that is wrong with any of them."""
        problems = list[Problem]()
        for index, adapter in enumerate(self.job.adapters):
            try:
                if adapter.name not in dropped:
                    self.book.begin(adapter.name, adapter.path)
            except UserError as error:
                problems += _as_problems(error, f"adapters.{index}.path")
        return problems

    def take_up(self, held: Sequence[HeldAdapter]) -> dict[str, UserError]:
        """Adapters that were loaded while it served before; those that cannot be had keep nothing from serving."""
        lost = dict[str, UserError]()
        for one in held:
            try:
                self.book.add(one.name, one.path, source=one.source)
            except UserError as error:
                lost[one.name] = error
        return lost

    # What is asked, as tokens.

    @property
    def takes_tools(self) -> bool:
        """The chat template has a place for tools."""
        return "tools" in variables_of(self.template.source)

    def of_turns(self, turns: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> tuple[int, ...]:
        """A conversation up to where the assistant begins to speak."""
        self.fits_characters(text for turn in turns if isinstance(text := turn.get("content"), str))
        try:
            return self._control.tokens(
                turns, lambda said, given: _whole(self.template.render(said, True, given)), tools
            )
        except RecursionError:
            raise _too_deep() from None
        except UserError as error:
            raise _too_deep() if error.code == "template.too_deep" else error from None

    def of_text(self, text: str) -> tuple[int, ...]:
        """A text as it is; with the token texts begin with, where the model has one."""
        self.fits_characters([text])
        return tuple(self.tokenizer(text)["input_ids"])

    def fits_characters(self, texts: Iterable[str]) -> None:
        """Refuse what has so many characters that it is too long in any case, before it is made into tokens."""
        count, most = sum(map(len, texts)), self.context * self._longest
        if count > most:
            raise UserError("serve.long_prompt", characters=count, most=most, context=self.context)

    def fits(self, prompt: int, answer: int) -> None:
        """Refuse a prompt that leaves no room for the answer."""
        if prompt + answer > self.context:
            raise UserError(
                "inference.too_long", prompt=prompt, answer=answer, whole=prompt + answer, most=self.context
            )

    @cached_property
    def _longest(self) -> int:
        """Characters of the longest token: no text has fewer tokens than its characters divided by it."""
        return max((len(token) for token in self.tokenizer.get_vocab()), default=1)

    # Which model answers.

    def known(self, model: str) -> str:
        """The name, if it is one of a model; refuses every other."""
        if model not in self.models:
            raise NotFound("serve.model", model=model[:120], known=", ".join(self.models[:20]), param="model")
        return model

    def lease(self, model: str, adapters: Mapping[str, float], text: str) -> tuple[str, Lease]:
        """The name that answers, and the adapters at work; `auto` asks the router with the text."""
        if model != self.name and adapters:
            raise UserError("serve.adapters_twice", model=model, base=self.name, param="adapters")
        for name in adapters:
            if name not in self.book.names:
                known = ", ".join(self.book.names[:20]) or "none"
                raise NotFound("lora.unknown", name=name, known=known, param="adapters")
        routed = self.route(text) if model == "auto" else None
        if routed is not None:
            adapters = routed.adapters
        elif model != self.name:
            adapters = {self.known(model): 1.0}
        found = self.book.lease(adapters)
        found.routed = routed
        return "+".join(found.names) or self.name, found

    def route(self, text: str) -> Routed:
        """Which adapters fit a text, and why."""
        threshold = self.job.route_threshold
        self.fits_characters([text])
        if not self.book.can_route:
            reason = "No adapter says what it is for: the base model answers."
            return Routed(threshold=threshold, reason=reason)
        vector = self._vector(text)
        if not vector:
            return Routed(threshold=threshold, reason="The text has no tokens: the base model answers.")
        found = self.book.route(vector, self.job.route_most, threshold)
        likeness = {match.name: match.score for match in found.considered}
        named = ", ".join(f"{one.name} ({one.score:.3f})" for one in found.chosen)
        reason = f"What they are for is as like the text as {threshold:g} or more: {named}."
        if not found.chosen:
            reason = f"No adapter is for texts as like this one as {threshold:g}: the base model answers."
        return Routed(adapters=found.weights, likeness=likeness, threshold=threshold, reason=reason)

    def _vector(self, text: str, is_request: bool = True) -> tuple[float, ...]:
        """A text as the router compares it; nothing where it has no tokens."""
        if self._sentences is not None and text.strip():
            return self._sentences.of_request(text) if is_request else self._sentences.of_description(text)
        tokens = self.of_text(text)[:MAX_TOKENS]
        return self.pooled(tokens) if tokens and self._sentences is None else ()

    def _purpose(self, card: LoRACard) -> tuple[float, ...]:
        """What an adapter is for. A card's own vector is the base model's, of the prompts it was trained on."""
        if card.embedding and self._sentences is None:
            return card.embedding
        return self._vector(card.description, is_request=False) if card.description.strip() else ()

    @cached_property
    def _middle(self) -> tuple[float, ...]:
        """The mean of texts that have nothing in common: hidden states share a direction, which says nothing."""
        vectors = [self._vector(text) for text in UNLIKE]
        return tuple(sum(numbers) / len(vectors) for numbers in zip(*vectors, strict=True))

    def pooled(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """The mean of the base's last hidden states over these tokens; one at a time, as they take memory."""

        def work() -> tuple[float, ...]:
            with torch.inference_mode(), self.manager.request():
                ids = torch.tensor([list(tokens)], device=self.device)
                hidden = self.model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
                return tuple(hidden[0].float().mean(0).tolist())

        with self._one, _memory_minded():
            return in_passing(work)

    def _identify(self) -> None:
        """Know the base by the hash of its weights; all are read, so only for an adapter that names its base."""
        host = self.manager.host
        if self._folder is not None and host is not None and not host.base_hash:
            self.manager.inject(self.model, base_hash(self._folder))

    # What the engine may take.

    def _limits(self) -> Limits:
        job = self.job
        least = -(-self.context // BLOCK)
        whole = self._cache_bytes() // (self._token_bytes() * BLOCK)
        if job.cache_mb and whole < least:
            raise UserError(
                "serve.cache_small", megabytes=job.cache_mb, tokens=whole * BLOCK, context=self.context,
                needed=-(-least * BLOCK * self._token_bytes() >> 20),
            )  # fmt: skip
        blocks = max(least, min(whole, least * job.parallel * 2))
        patience = Patience(job.queue_timeout or None, job.prompt_timeout or None, job.answer_timeout or None)
        return Limits(self.context, blocks, BLOCK, job.parallel, PIECE, job.waiting, patience=patience)

    def _llama(self, folder: Path, limits: Limits) -> LlamaPasses:
        """llama.cpp over the same files; the model in torch stays for embeddings and the router."""
        pool = Sequences(limits.blocks + 1, limits.block)
        assert self._aside is not None
        storage = self.job.llama_storage
        return LlamaPasses(folder, self._aside, pool, limits.rows, limits.piece, self.manager, storage)

    def _token_bytes(self) -> int:
        """Keys and values of a token."""
        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        dtype = next(self.model.parameters()).dtype
        width = dtype.itemsize if dtype.is_floating_point else 2
        return int(2 * config.num_hidden_layers * heads * size * width)

    def _cache_bytes(self) -> int:
        if self.job.cache_mb:
            return self.job.cache_mb << 20
        return int(min(self._free() // 4, MOST_CACHE))

    def _free(self) -> int:
        """Memory that nobody has taken, where the model lies."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[0])
        return int(psutil.virtual_memory().available)


@contextmanager
def _memory_minded() -> Iterator[None]:
    """Memory that ran out, as an error that says what to do."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise UserError("serve.out_of_memory") from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise UserError("serve.out_of_memory") from error


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    """What the weights are held in; of themselves fp32 on a processor and bf16 on a GPU that has it."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if wanted in named:
        return named[wanted]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _whole(text: str) -> str:
    """The text, if no half characters are in it, which names and schemas of tools may hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        params = {"character": "half of a character", "place": error.start}
        raise UserError("serve.invalid", count=1, problems=[Problem(code="serve.text", params=params)]) from None
    return text


def _too_deep() -> UserError:
    """The template was tried at the start: it is the request whose parts stand in each other a thousand times."""
    params = {"detail": "arguments of a call, or parameters of a tool, stand in each other too deeply"}
    return UserError("serve.invalid", count=1, problems=[Problem(code="serve.field", field="messages", params=params)])


def _as_problems(error: UserError, field: str) -> list[Problem]:
    if error.problems:
        return [one.model_copy(update={"field": f"{field} {one.field}".strip()}) for one in error.problems]
    return [Problem(code=error.code, field=field, params=error.body().params)]
