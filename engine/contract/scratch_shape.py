"""What a model from scratch will be, before any file of it exists: its config.json, its tensors, its parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.bundled import MODELS
from engine.contract.model_shape import ModelShape, Tensor, shape_of
from engine.contract.paths import expanded, resources_folder
from engine.contract.run_spec import TrainJob
from engine.contract.scratch import HUB, ScratchConfig
from engine.contract.vocabulary import MOST_BYTES, tokens_of

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
}
"""Of transformers."""


@dataclass(frozen=True)
class Parameters:
    """How many numbers a model has."""

    total: int
    active: int
    """That work on a token: without the experts that do not."""


def config_of(form: ScratchConfig, vocabulary: int) -> dict[str, Any]:
    """The config.json of the model, as transformers takes it."""
    made: dict[str, Any] = {
        "model_type": form.family, "architectures": [ARCHITECTURES[form.family]], "vocab_size": vocabulary,
        "hidden_size": form.hidden, "num_hidden_layers": form.layers, "num_attention_heads": form.heads,
        "num_key_value_heads": form.kv_heads, "head_dim": form.head, "intermediate_size": form.intermediate,
        "max_position_embeddings": form.context, "tie_word_embeddings": form.tied,
        "rope_parameters": {"rope_type": "default", "rope_theta": form.rope_theta},
    }  # fmt: skip
    if form.family == "qwen3_moe":
        made |= {
            "num_experts": form.experts, "num_experts_per_tok": form.experts_per_token,
            "moe_intermediate_size": form.expert_size, "norm_topk_prob": True,
            "router_aux_loss_coef": form.balance,
        }  # fmt: skip
    if form.family == "deepseek_v3":
        del made["head_dim"]  # there it is the part with a position
        made |= {
            "num_key_value_heads": form.heads, "kv_lora_rank": form.kv_rank, "q_lora_rank": form.q_rank,
            "qk_rope_head_dim": form.rope_size, "qk_nope_head_dim": form.head, "v_head_dim": form.value,
            "n_routed_experts": form.experts, "num_experts_per_tok": form.experts_per_token,
            "moe_intermediate_size": form.expert_size, "n_shared_experts": form.shared_experts,
            "first_k_dense_replace": form.dense_layers, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0,
            "num_nextn_predict_layers": 0,
        }  # fmt: skip
    return made


def tensors_of(form: ScratchConfig, vocabulary: int) -> Iterator[Tensor]:
    """Names and sizes of its parameters, as the files of a saved model have them."""
    hidden = form.hidden
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(form.layers):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", (hidden,)
        yield at + "post_attention_layernorm.weight", (hidden,)
        yield from ((at + "self_attn." + name, sizes) for name, sizes in _attention(form))
        yield from ((at + "mlp." + name, sizes) for name, sizes in _feed(form, layer))
    yield "model.norm.weight", (hidden,)
    if not form.tied:
        yield "lm_head.weight", (vocabulary, hidden)


def _attention(form: ScratchConfig) -> Iterator[Tensor]:
    if form.family == "deepseek_v3":
        yield from _compressed(form)
        return
    queries, keys = form.heads * form.head, form.kv_heads * form.head
    yield "q_proj.weight", (queries, form.hidden)
    yield "k_proj.weight", (keys, form.hidden)
    yield "v_proj.weight", (keys, form.hidden)
    yield "o_proj.weight", (form.hidden, queries)
    if form.family != "llama":
        yield "q_norm.weight", (form.head,)
        yield "k_norm.weight", (form.head,)


def _compressed(form: ScratchConfig) -> Iterator[Tensor]:
    """Attention through a narrow latent (MLA, arXiv 2405.04434, section 2.1)."""
    queries = form.heads * (form.head + form.rope_size)
    if form.q_rank is None:
        yield "q_proj.weight", (queries, form.hidden)
    else:
        yield "q_a_proj.weight", (form.q_rank, form.hidden)
        yield "q_a_layernorm.weight", (form.q_rank,)
        yield "q_b_proj.weight", (queries, form.q_rank)
    yield "kv_a_proj_with_mqa.weight", (form.kv_rank + form.rope_size, form.hidden)
    yield "kv_a_layernorm.weight", (form.kv_rank,)
    yield "kv_b_proj.weight", (form.heads * (form.head + form.value), form.kv_rank)
    yield "o_proj.weight", (form.hidden, form.heads * form.value)


def _feed(form: ScratchConfig, layer: int) -> Iterator[Tensor]:
    if not form.mixture or (form.family == "deepseek_v3" and layer < form.dense_layers):
        yield from _gated("", form.hidden, form.intermediate)
        return
    yield "gate.weight", (form.experts, form.hidden)
    for expert in range(form.experts):
        yield from _gated(f"experts.{expert}.", form.hidden, form.expert_size)
    if form.family == "deepseek_v3":
        yield from _gated("shared_experts.", form.hidden, form.expert_size * form.shared_experts)


def _gated(at: str, hidden: int, inner: int) -> Iterator[Tensor]:
    yield at + "gate_proj.weight", (inner, hidden)
    yield at + "up_proj.weight", (inner, hidden)
    yield at + "down_proj.weight", (hidden, inner)


def parameters_of(form: ScratchConfig, vocabulary: int) -> Parameters:
    """Exactly as many as the model has."""
    total = sum(math.prod(sizes) for _name, sizes in tensors_of(form, vocabulary))
    if not form.mixture:
        return Parameters(total, total)
    layers = form.layers - (form.dense_layers if form.family == "deepseek_v3" else 0)
    resting = layers * (form.experts - form.experts_per_token) * 3 * form.hidden * form.expert_size
    return Parameters(total, total - resting)


def vocabulary_of(form: ScratchConfig) -> int | None:
    """Tokens of its vocabulary; None where the files of its tokenizer do not say."""
    if form.tokenizer == "trained":
        return form.vocabulary
    folder = tokenizer_folder(form)
    file = folder / "tokenizer.json" if folder is not None else None
    try:
        if file is None or file.stat().st_size > MOST_BYTES:
            return None
        return max(tokens_of(json.loads(file.read_bytes())).values()) + 1
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def tokenizer_folder(form: ScratchConfig) -> Path | None:
    """Where a tokenizer that is not trained lies; None where there is none of this name."""
    if form.tokenizer == "base":
        known = MODELS.get(form.tokenizer_path)
        return resources_folder() / known if known else None
    return expanded(form.tokenizer_path) if form.tokenizer_path else None


def _beside(form: ScratchConfig) -> Iterator[Tensor]:
    """What its files hold that is no parameter."""
    if form.family == "deepseek_v3":
        for layer in range(form.dense_layers, form.layers):
            yield f"model.layers.{layer}.mlp.gate.e_score_correction_bias", (form.experts,)


def shape_from(form: ScratchConfig) -> ModelShape | None:
    """The measures of the model; None where its vocabulary is not known yet."""
    vocabulary = vocabulary_of(form)
    if vocabulary is None:
        return None
    return shape_of(config_of(form, vocabulary), [*tensors_of(form, vocabulary), *_beside(form)])


def shape_of_job(job: TrainJob) -> ModelShape | None:
    """The same of a run that begins from scratch; None of all others."""
    return shape_from(job.scratch) if job.model.hub == HUB else None
