"""Pretrain the demo model: a fixed number of steps, a fixed seed, two threads."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from resources.demo.recipe.corpus import documents
from resources.demo.recipe.tokenizer import END, END_OF_TEXT

SEED, THREADS = 7, 2
STEPS, ROWS, LENGTH = 1500, 16, 160
PEAK, WARMUP, DECAY = 3e-3, 60, 0.05
CONTEXT = 1024
IGNORED = -100


def fresh_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """The untrained model, the same each time."""
    torch.manual_seed(SEED)
    ids = {"eos_token_id": tokenizer.convert_tokens_to_ids(END), "pad_token_id": tokenizer.pad_token_id}
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=None,
        dtype="float32",
        **ids,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=64, **ids)
    return model


def rows(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Documents end to end, cut into rows of LENGTH: tokens and what is learned of them."""
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    tokens: list[int] = []
    labels: list[int] = []
    for document in documents(seed):
        for text, learned in document:
            piece = tokenizer.encode(text, add_special_tokens=False)
            tokens += piece
            labels += piece if learned else [IGNORED] * len(piece)
        tokens.append(end)
        labels.append(end)
        while len(tokens) >= LENGTH:
            yield tokens[:LENGTH], labels[:LENGTH]
            tokens, labels = tokens[LENGTH:], labels[LENGTH:]


def _rate(step: int, steps: int) -> float:
    """Learning rate: warm up, hold, then fall over the last half."""
    return PEAK * min(1.0, (step + 1) / WARMUP, max(0.02, 2 * (steps - step) / steps))


def pretrain(tokenizer: PreTrainedTokenizerFast, steps: int = STEPS) -> Qwen3ForCausalLM:
    """The trained model, in full precision."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    model = fresh_model(tokenizer).train()
    grown = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": grown, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.98))
    source, started = rows(tokenizer, SEED), time.monotonic()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {steps} steps", flush=True)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, steps)
        batch = [next(source) for _ in range(ROWS)]
        loss = _loss(model, torch.tensor([b[0] for b in batch]), torch.tensor([b[1] for b in batch]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step} loss {loss.item():.4f} after {time.monotonic() - started:.0f} s", flush=True)
    return model.eval()


def _loss(model: Qwen3ForCausalLM, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy where something is learned; logits are made only there."""
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    kept = wanted != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[kept]), wanted[kept])


def save(model: Qwen3ForCausalLM, folder: Path) -> None:
    """Write the weights in bf16, with their configuration."""
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
