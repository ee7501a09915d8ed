"""Fine-tune the demo model with a plain peft loop and the demo preset; print exact match before and after.

    .venv-worker/bin/python -m resources.demo.check_model [--seeds 42 43 44]

Ends with 1 if the base answers more than 5 % of the held-out rows, or the adapter fewer than 80 % for any seed.
"""

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from engine.contract.bundled import locate
from engine.contract.config_file import read_config
from engine.contract.run_spec import RunConfig
from resources.demo.make_model import MODEL

PRESET = Path(__file__).parents[1] / "presets" / "demo.yaml"
IGNORED, MOST_BEFORE, LEAST_AFTER = -100, 0.05, 0.80
Row = tuple[list[int], list[int]]


def messages(file: Path) -> list[list[dict[str, str]]]:
    """The conversations of a file."""
    return [json.loads(line)["messages"] for line in file.read_text(encoding="utf-8").splitlines()]


def encode(tokenizer: PreTrainedTokenizerFast, talk: list[dict[str, str]]) -> Row:
    """Tokens of a conversation, and those of the answer as labels."""
    made = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
    pairs = zip(made["input_ids"], made["assistant_masks"], strict=True)
    return made["input_ids"], [token if mask else IGNORED for token, mask in pairs]


def pad(rows: list[list[int]], value: int, left: bool = False) -> torch.Tensor:
    """Rows of one length."""
    width = max(map(len, rows))
    return torch.tensor([[value] * (width - len(r)) + r if left else r + [value] * (width - len(r)) for r in rows])


@torch.inference_mode()
def answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, talks: list, longest: int) -> list[str]:
    """Greedy answers to the first message of each conversation."""
    model.eval()
    given: list[str] = []
    for start in range(0, len(talks), 50):
        prompts = [
            tokenizer.apply_chat_template(talk[:1], add_generation_prompt=True, return_dict=True)["input_ids"]
            for talk in talks[start : start + 50]
        ]
        tokens = pad(prompts, tokenizer.pad_token_id, left=True)
        mask = pad([[1] * len(p) for p in prompts], 0, left=True)
        made = model.generate(input_ids=tokens, attention_mask=mask, max_new_tokens=longest, do_sample=False)
        given += tokenizer.batch_decode(made[:, tokens.shape[1] :], skip_special_tokens=True)
    return given


def share_right(given: list[str], talks: list) -> float:
    """Exact match."""
    return sum(one.strip() == talk[-1]["content"] for one, talk in zip(given, talks, strict=True)) / len(talks)


def train(model: PreTrainedModel, rows: list[Row], config: RunConfig, seed: int, padding: int) -> list[float]:
    """The plain loop; gives the loss of each step."""
    recipe, size = config.training, config.training.micro_batch_size
    rng = random.Random(seed)
    order = [i for _ in range(math.ceil(recipe.epochs)) for i in rng.sample(range(len(rows)), len(rows))]
    steps = math.ceil(len(rows) * recipe.epochs / size)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], recipe.learning_rate)
    warmup = max(1, round(recipe.warmup_share * steps))
    losses: list[float] = []
    model.train()
    for step in range(steps):
        rise, fall = (step + 1) / warmup, (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * (rise if step < warmup else fall)
        batch = [rows[i] for i in order[step * size : (step + 1) * size]]
        tokens, labels = pad([b[0] for b in batch], padding), pad([b[1] for b in batch], IGNORED)
        mask = pad([[1] * len(b[0]) for b in batch], 0)
        loss = model(input_ids=tokens, attention_mask=mask, labels=labels).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimiser.step()
        losses.append(loss.item())
    return losses


def run(folder: Path, config: RunConfig, seed: int) -> tuple[float, float]:
    """One fine-tune; gives the scores before and after."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    train_file, held_file = locate(config.data.train[0]), locate(config.evaluation.data[0])
    assert train_file is not None
    assert held_file is not None
    talks, longest = messages(held_file), config.evaluation.max_new_tokens
    given_before = answers(base, tokenizer, talks, longest)
    targets = "all-linear" if config.tuner.targets == ["all-linear"] else config.tuner.targets
    lora = LoraConfig(
        r=config.tuner.rank,
        lora_alpha=config.tuner.alpha,
        lora_dropout=config.tuner.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, lora)
    rows = [encode(tokenizer, talk) for talk in messages(train_file)]
    started = time.monotonic()
    losses = train(model, rows, config, seed, tokenizer.pad_token_id)
    seconds = time.monotonic() - started
    given = answers(model, tokenizer, talks, longest)
    before, after = share_right(given_before, talks), share_right(given, talks)
    for talk, old, new in list(zip(talks, given_before, given, strict=True))[: config.evaluation.samples]:
        print(f"  {talk[0]['content']} | before: {old} | after: {new} | expected: {talk[-1]['content']}")
    curve = " ".join(f"{sum(losses[i : i + 20]) / len(losses[i : i + 20]):.3f}" for i in range(0, len(losses), 20))
    print(f"  loss, means of 20 steps: {curve}")
    print(f"seed {seed}: exact match {before:.1%} before, {after:.1%} after; {len(losses)} steps in {seconds:.1f} s")
    return before, after


def main() -> None:
    """Check each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--preset", type=Path, default=PRESET)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    asked = parser.parse_args()
    torch.set_num_threads(2)
    config = read_config(asked.preset)
    scores = [run(asked.model, config, seed) for seed in asked.seeds]
    sys.exit(0 if all(b <= MOST_BEFORE and a >= LEAST_AFTER for b, a in scores) else 1)


if __name__ == "__main__":
    main()
