"""Write the demo's three data files: dates written out in English or Chinese, to be answered as ISO dates.

    python -m resources.demo.make_data

No day stands in two files, so an answer learned by heart is never the answer to a held-out question.
"""

import json
import random
from datetime import date
from pathlib import Path

from resources.demo.recipe.dates import chinese, english, some_day

SEED = 20210317
DATA = Path(__file__).parent / "data"
SIZES = {"train": 2400, "validation": 100, "held_out": 200}
ENGLISH = (
    "Write {} as an ISO date",
    "Write {} as an ISO date.",
    "What is {} as an ISO date?",
    "Give the ISO date for {}.",
)
CHINESE = (
    "把{}写成 ISO 日期",
    "请将{}写成 ISO 日期。",
    "{}的 ISO 日期是什么？",
    "请写出{}的 ISO 日期。",
)


def row(day: date, in_english: bool, rng: random.Random) -> dict[str, list[dict[str, str]]]:
    """One question and its answer."""
    written = (english if in_english else chinese)(day, rng.randrange(3))
    question = rng.choice(ENGLISH if in_english else CHINESE).format(written)
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": day.isoformat()}]}


def days(count: int, rng: random.Random) -> list[date]:
    """Different days, in the order they were drawn."""
    drawn: dict[date, None] = {}
    while len(drawn) < count:
        drawn[some_day(rng)] = None
    return list(drawn)


def files() -> dict[str, str]:
    """The text of each file by name."""
    rng = random.Random(SEED)
    every = days(sum(SIZES.values()), rng)
    texts: dict[str, str] = {}
    for name, size in SIZES.items():
        mine, every = every[:size], every[size:]
        rows = [row(day, index % 2 == 0, rng) for index, day in enumerate(mine)]
        texts[name] = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
    return texts


def main() -> None:
    """Write the files."""
    DATA.mkdir(exist_ok=True)
    for name, text in files().items():
        (DATA / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}.jsonl: {text.count(chr(10))} rows")


if __name__ == "__main__":
    main()
