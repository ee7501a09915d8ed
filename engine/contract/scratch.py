"""A model that begins with fresh weights: its form, its tokenizer, what contradicts itself, and sizes to start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from engine.contract.errors import Problem
from engine.contract.setting import Settings, setting

HUB = "scratch"
"""What `model.hub` says of a model that is made by the run."""
Family = Literal["llama", "qwen3", "qwen3_moe", "deepseek_v3"]
MIXTURES = ("qwen3_moe", "deepseek_v3")
"""Families with experts."""
BYTES = 256
"""Tokens that byte-level BPE begins with."""


class ScratchConfig(Settings):
    """For a model whose source is scratch; the others do not use it."""

    family: Family = setting(
        "llama",
        "How its layers are built: llama and qwen3 are dense, qwen3_moe has experts, deepseek_v3 has experts and keeps "
        "keys and values compressed (MLA).",
        label="Family",
        basic=True,
    )
    hidden: int = setting(128, "Width of the stream between layers.", label="Hidden size", basic=True, ge=8, le=65536)
    layers: int = setting(
        6, "Blocks of attention and feed-forward, one after another.", label="Layers", basic=True, ge=1, le=1000
    )
    heads: int = setting(4, "Attention heads of queries.", label="Heads", basic=True, ge=1, le=1024)
    kv_heads: int = setting(
        2, "Heads of keys and values, each for as many heads of queries (GQA); of deepseek_v3 not used.",
        label="Key and value heads", ge=1, le=1024,
    )  # fmt: skip
    head_size: int | None = setting(
        None,
        "Width of a head; empty: hidden size by heads. Of deepseek_v3: the part without a position.",
        label="Head size",
        ge=2,
        le=1024,
    )
    intermediate: int = setting(
        384, "Inner width of the feed-forward part (SwiGLU); of deepseek_v3 that of its dense layers.",
        label="Feed-forward size", basic=True, ge=8, le=262144,
    )  # fmt: skip
    context: int = setting(
        1024, "Longest row it is made for.", label="Context length", unit="tokens", basic=True, ge=8, le=1 << 20
    )
    tied: bool = setting(True, "The output head is the table of tokens.", label="Tied embeddings")
    rope_theta: float = setting(
        10000.0, "Base of the rotary positions; larger for longer rows.", label="RoPE theta", ge=10, le=1e9
    )
    experts: int = setting(8, "Experts of a layer, where the family has them.", label="Experts", ge=2, le=1024)
    experts_per_token: int = setting(
        2, "Experts that work on a token.", label="Experts per token", ge=1, le=1024
    )  # fmt: skip
    expert_size: int = setting(192, "Inner width of an expert.", label="Expert size", ge=8, le=262144)
    shared_experts: int = setting(
        1, "Experts that work on every token; deepseek_v3 only.", label="Shared experts", ge=1, le=64
    )  # fmt: skip
    dense_layers: int = setting(
        1, "First layers without experts; deepseek_v3 only.", label="Dense layers first", ge=0, le=1000
    )
    balance: float = setting(
        0.001,
        "Weight of the loss that keeps experts evenly used (arXiv 2101.03961); 0: without.",
        label="Balance of experts",
        ge=0,
        le=10,
    )
    kv_rank: int = setting(
        32, "Width keys and values are compressed to; deepseek_v3 only.", label="Rank of keys and values", ge=1,
        le=65536,
    )  # fmt: skip
    q_rank: int | None = setting(
        None, "Width queries are compressed to; empty: they are not; deepseek_v3 only.", label="Rank of queries", ge=1,
        le=65536,
    )  # fmt: skip
    rope_size: int = setting(
        16, "The part of a head that has a position; deepseek_v3 only.", label="Rotary size", ge=2, le=1024
    )
    value_size: int | None = setting(
        None, "Width of a head's values; empty: the head size; deepseek_v3 only.", label="Value size", ge=1, le=1024
    )
    tokenizer: Literal["trained", "base", "folder"] = setting(
        "trained",
        "Trained on the run's own rows, that of a bundled model (base), or that of a folder.",
        label="Tokenizer",
        basic=True,
    )
    tokenizer_path: str = setting(
        "",
        "Of base: the bundled model's name; of folder: a folder with a tokenizer, such as that of any model.",
        label="Tokenizer from",
        max_length=4096,
    )
    algorithm: Literal["bpe", "unigram", "wordpiece"] = setting(
        "bpe",
        "How a tokenizer is trained: bpe works on bytes and knows every text; the others have an unknown token.",
        label="Tokenizer's algorithm",
    )
    vocabulary: int = setting(
        4096, "Tokens of the vocabulary that is trained, special ones included.", label="Vocabulary", unit="tokens",
        basic=True, ge=8, le=1_000_000,
    )  # fmt: skip
    special_tokens: list[str] = setting(
        lambda: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "Tokens that stand for themselves; the first ends a text and fills rows.",
        label="Special tokens",
        min_length=1,
        max_length=1000,
    )
    lower_case: bool = setting(
        False, "Texts are lower-cased first; what is written then is lower-case, too.", label="Lower case"
    )

    @property
    def mixture(self) -> bool:
        """It has experts."""
        return self.family in MIXTURES

    @property
    def head(self) -> int:
        """Width of a head of queries and keys, of MLA without its rotary part."""
        return self.head_size or self.hidden // self.heads

    @property
    def value(self) -> int:
        """Width of a head's values."""
        return self.value_size or self.head if self.family == "deepseek_v3" else self.head


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a model from scratch, in a document that may not validate."""
    model = document.get("model")
    if not isinstance(model, Mapping) or model.get("hub") != HUB:
        return
    stage, tuner = document.get("stage", "sft"), document.get("tuner", {})
    kind = tuner.get("kind", "lora") if isinstance(tuner, Mapping) else "full"
    if stage != "pretrain":
        yield Problem(code="scratch.stage", field="stage", params={"stage": str(stage)})
    if kind != "full":
        yield Problem(code="scratch.tuner", field="tuner.kind", params={"tuner": str(kind)})
    found = document.get("scratch", {})
    if not isinstance(found, Mapping):
        return
    form = _valid_part(found)
    wrong = {name for name in found if name not in form.model_fields_set}
    for problem, needs in _of_form(form, document):
        if not wrong & {"family", *needs}:
            yield problem


def _valid_part(found: Mapping[str, Any]) -> ScratchConfig:
    """The form as far as its values are valid one by one; the rest as if nobody had set it."""
    try:
        return ScratchConfig.model_validate(found)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors()}
        return ScratchConfig.model_validate({name: value for name, value in found.items() if name not in wrong})


def _of_form(form: ScratchConfig, document: Mapping[str, Any]) -> Iterator[tuple[Problem, tuple[str, ...]]]:
    """Contradictions, each with the settings it is about."""
    yield from _of_heads(form)
    if form.mixture and form.experts_per_token > form.experts:
        params: dict[str, Any] = {"chosen": form.experts_per_token, "experts": form.experts}
        yield _problem("scratch.experts", "experts_per_token", **params), ("experts", "experts_per_token")
    if form.family == "deepseek_v3" and form.dense_layers > form.layers:
        params = {"dense": form.dense_layers, "layers": form.layers}
        yield _problem("scratch.dense_layers", "dense_layers", **params), ("layers", "dense_layers")
    yield from _of_tokenizer(form)
    data = document.get("data")
    longest = data.get("max_length", 1024) if isinstance(data, Mapping) else None
    if isinstance(longest, int) and longest > form.context:
        params = {"longest": longest, "context": form.context}
        yield Problem(code="scratch.context", field="data.max_length", params=params), ("context",)


def _of_heads(form: ScratchConfig) -> Iterator[tuple[Problem, tuple[str, ...]]]:
    if form.head_size is None and form.hidden % form.heads:
        below = next((n for n in range(form.heads, 0, -1) if form.hidden % (2 * n) == 0), 1)
        params = {"hidden": form.hidden, "heads": form.heads, "below": below}
        yield _problem("scratch.heads", "heads", **params), ("hidden", "heads", "head_size")
        return
    mla = form.family == "deepseek_v3"
    if not mla and form.heads % form.kv_heads:
        below = next(n for n in range(min(form.kv_heads, form.heads), 0, -1) if form.heads % n == 0)
        params = {"heads": form.heads, "kv_heads": form.kv_heads, "below": below}
        yield _problem("scratch.kv_heads", "kv_heads", **params), ("heads", "kv_heads")
    turned = form.rope_size if mla else form.head
    if turned % 2:
        field = "rope_size" if mla else "head_size"
        yield _problem("scratch.odd", field, size=turned, fix=turned + 1), ("hidden", "heads", "head_size", "rope_size")


def _of_tokenizer(form: ScratchConfig) -> Iterator[tuple[Problem, tuple[str, ...]]]:
    if form.tokenizer != "trained":
        if not form.tokenizer_path:
            choice = {"tokenizer": form.tokenizer}
            yield _problem("scratch.no_tokenizer", "tokenizer_path", **choice), ("tokenizer", "tokenizer_path")
        return
    given = [token for token in form.special_tokens if not token.strip()]
    twice = [token for at, token in enumerate(form.special_tokens) if token in form.special_tokens[:at]]
    if given or twice:
        token = (given or twice)[0]
        yield _problem("scratch.special_tokens", "special_tokens", token=token), ("tokenizer", "special_tokens")
    least = len(form.special_tokens) + (BYTES if form.algorithm == "bpe" else 1)
    if form.vocabulary < least:
        params = {"vocabulary": form.vocabulary, "least": least, "special": len(form.special_tokens)}
        code = "scratch.vocabulary_bytes" if form.algorithm == "bpe" else "scratch.vocabulary_special"
        needs = ("tokenizer", "vocabulary", "special_tokens", "algorithm")
        yield _problem(code, "vocabulary", **params), needs


def _problem(code: str, field: str, **params: Any) -> Problem:
    return Problem(code=code, field=f"scratch.{field}", params=params)


_SIZES: dict[str, dict[str, int]] = {
    "2m": {"hidden": 128, "layers": 6, "heads": 4, "kv_heads": 2, "intermediate": 384, "vocabulary": 4096},
    "20m": {"hidden": 384, "layers": 8, "heads": 6, "kv_heads": 2, "intermediate": 1024, "vocabulary": 16000},
    "125m": {"hidden": 768, "layers": 12, "heads": 12, "kv_heads": 4, "intermediate": 3072, "vocabulary": 32000},
    "350m": {"hidden": 1024, "layers": 24, "heads": 16, "kv_heads": 4, "intermediate": 3584, "vocabulary": 32000},
}
SIZES = tuple(_SIZES)
"""Forms to begin with; what works on a token is about as much in every family."""


def preset(family: str, size: str) -> dict[str, Any]:
    """The settings of a size of a family; those it does not name stay as they are."""
    made: dict[str, Any] = {"family": family, **_SIZES[size], "head_size": None}
    inner, head = made["intermediate"], made["hidden"] // made["heads"]
    if family == "qwen3_moe":
        made |= {"experts": 8, "experts_per_token": 2, "expert_size": inner // 2}
    if family == "deepseek_v3":
        made |= {"experts": 8, "experts_per_token": 2, "expert_size": inner // 4, "shared_experts": 2}
        made |= {"dense_layers": 1, "kv_rank": made["hidden"] // 4, "q_rank": None, "rope_size": head // 2}
        made |= {"value_size": None}
    return made
