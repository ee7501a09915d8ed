"""Pretrain the demo model: a fixed number of steps, a fixed seed, two threads."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from resources.demo.recipe.corpus import Piece, documents
from resources.demo.recipe.exchanges import WITH_MANNERS
from resources.demo.recipe.tokenizer import END, END_OF_TEXT

SEED, THREADS = 7, 2
STEPS, ROWS, LENGTH = 1500, 16, 160
PEAK, WARMUP, DECAY = 3e-3, 60, 0.05
MANNERS_STEPS, MANNERS_PEAK = 100, 7e-4
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


def rows(tokenizer: PreTrainedTokenizerFast, source: Iterator[list[Piece]]) -> Iterator[tuple[list[int], list[int]]]:
    """Documents end to end, cut into rows of LENGTH: tokens and what is learned of them."""
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    tokens: list[int] = []
    labels: list[int] = []
    for document in source:
        for text, learned in document:
            piece = tokenizer.encode(text, add_special_tokens=False)
            tokens += piece
            labels += piece if learned else [IGNORED] * len(piece)
        tokens.append(end)
        labels.append(end)
        while len(tokens) >= LENGTH:
            yield tokens[:LENGTH], labels[:LENGTH]
            tokens, labels = tokens[LENGTH:], labels[LENGTH:]


def pretrain(tokenizer: PreTrainedTokenizerFast, steps: int = STEPS) -> Qwen3ForCausalLM:
    """The trained model: warm up, hold the learning rate, let it fall over the last half; then manners."""

    def rate(step: int) -> float:
        return PEAK * min(1.0, (step + 1) / WARMUP, max(0.02, 2 * (steps - step) / steps))

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    model = fresh_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {steps} steps", flush=True)
    _train(model, rows(tokenizer, documents(SEED)), steps, rate)
    return learn_manners(model.to(torch.bfloat16).to(torch.float32), tokenizer)


def learn_manners(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """The same model, which now says so when it is asked what it cannot do."""
    source = rows(tokenizer, documents(SEED + 1, WITH_MANNERS))
    _train(model, source, MANNERS_STEPS, lambda step: MANNERS_PEAK * min((step + 1) / 10, 1 - step / MANNERS_STEPS))
    return model.eval()


def _train(
    model: Qwen3ForCausalLM,
    source: Iterator[tuple[list[int], list[int]]],
    steps: int,
    rate: Callable[[int], float],
) -> None:
    """So many steps of AdamW."""
    grown = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": grown, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.98))
    started = time.monotonic()
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        batch = [next(source) for _ in range(ROWS)]
        loss = _loss(model, torch.tensor([b[0] for b in batch]), torch.tensor([b[1] for b in batch]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step} loss {loss.item():.4f} after {time.monotonic() - started:.0f} s", flush=True)


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
