"""Rows to tokens with masks: rows and megabytes a second, against the plain call of the tokenizer on the same text.

In turns, so that a busy computer slows both. Plain means: the rendered texts, all at once, ids alone.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"})

from engine.compute.data.rows import Example
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.compute.inference.base import load_tokenizer
from engine.contract.bundled import locate
from engine.contract.model import ModelConfig
from engine.contract.templates import template_text

ROUNDS, ROWS = int(os.environ.get("BENCH_ROUNDS", "5")), int(os.environ.get("BENCH_ROWS", "4000"))
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "你好", "世界", "says", "nothing")


@dataclass
class Rate:
    """Seconds by the clock and of processor time."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Rate:
    """How long something takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Rate(time.perf_counter() - wall, time.process_time() - processor)


def conversations(turns: int, words: int) -> list[Example]:
    """Rows of so many questions and answers."""
    said = [" ".join(WORDS[(row + at) % len(WORDS)] for at in range(words)) for row in range(64)]
    pairs = [({"role": "user", "content": text}, {"role": "assistant", "content": text}) for text in said]
    return [
        Example(turns=tuple(turn for at in range(turns) for turn in pairs[(row + at) % 64]), line=row)
        for row in range(ROWS // turns)
    ]


def measure(tokenizer: Any, source: str | None, rows: Sequence[Example]) -> tuple[list[Rate], list[Rate], int]:
    """Ours and the plain call, in turns; and the bytes of text."""
    template = choose_template(tokenizer, "auto", source)
    texts = [template.render(row.turns) for row in rows]
    ours, plain = list[Rate](), list[Rate]()
    for _ in range(ROUNDS):
        plain.append(timed(lambda: tokenizer(texts, add_special_tokens=False)))
        ours.append(timed(lambda: Tokeniser(template, 4096).encode(rows)))
    return ours, plain, sum(len(text.encode()) for text in texts)


def main() -> None:
    """Short and long rows, with the template's own marks and without."""
    folder = locate(ModelConfig(path="demo", hub="bundled"))
    assert folder is not None
    tokenizer = load_tokenizer(folder)
    marked = template_text("chatml")
    plain = marked.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    print(f"{ROWS} turns in all, bundled tokenizer, one thread; medians of {ROUNDS} rounds in turns.\n")
    print("| rows | rows/s | MB/s | rows a CPU-second | time by the plain call's | by CPU |")
    print("|---|---:|---:|---:|---:|---:|")
    for title, source, turns, words in (
        ("2 turns of 20 words, marked", marked, 1, 20),
        ("2 turns of 200 words, marked", marked, 1, 200),
        ("8 turns of 40 words, marked", marked, 4, 40),
        ("2 turns of 20 words, unmarked", plain, 1, 20),
        ("8 turns of 40 words, unmarked", plain, 4, 40),
        ("8 turns of 40 words, Qwen3", template_text("qwen3"), 4, 40),
    ):
        rows = conversations(turns, words)
        ours, theirs, size = measure(tokenizer, source, rows)
        wall = statistics.median(rate.wall for rate in ours)
        processor = statistics.median(rate.processor for rate in ours)
        by_wall = statistics.median(one.wall / other.wall for one, other in zip(ours, theirs, strict=True))
        by_cpu = statistics.median(one.processor / other.processor for one, other in zip(ours, theirs, strict=True))
        print(
            f"| {title} | {len(rows) / wall:.0f} | {size / wall / 1e6:.1f} | {len(rows) / processor:.0f} "
            f"| {by_wall:.2f} | {by_cpu:.2f} |"
        )


if __name__ == "__main__":
    main()
