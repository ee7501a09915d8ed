"""Write the demo's preference files from its data: the right date against a wrong one, and dates called good or bad.

    python -m resources.demo.make_preferences

A wrong date is what somebody in a hurry writes: another day, another month, or day and month the other way round.
Held-out pairs are made of held-out days, so no day stands in two files here either.
"""

import json
import random
from datetime import date
from typing import Any

from resources.demo.make_data import DATA

SEED = 20210318
SIZES = {"preferences": ("train", 400), "preferences_held_out": ("held_out", 100)}
VERDICTS = 400


def wrong(right: date, rng: random.Random) -> str:
    """A date that is not the right one."""
    turned = f"{right.year:04d}-{right.day:02d}-{right.month:02d}"
    other_day = right.replace(day=rng.choice([day for day in range(1, 29) if day != right.day]))
    other_month = right.replace(day=1, month=rng.choice([month for month in range(1, 13) if month != right.month]))
    found = [other_day.isoformat(), f"{other_month.isoformat()[:8]}{right.day:02d}"]
    return rng.choice([*found, turned] if right.day != right.month else found)


def pairs(name: str, count: int, rng: random.Random) -> list[dict[str, Any]]:
    """The first rows of a data file, each with a wrong answer beside the right one."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    found = []
    for line in lines:
        asked, answer = json.loads(line)["messages"]
        right = answer["content"]
        found.append({"prompt": asked["content"], "chosen": right, "rejected": wrong(date.fromisoformat(right), rng)})
    return found


def files() -> dict[str, str]:
    """The text of each file by name."""
    rng, made = random.Random(SEED), dict[str, list[dict[str, Any]]]()
    for name, (source, count) in SIZES.items():
        made[name] = pairs(source, count, rng)
    made["verdicts"] = [
        {"prompt": row["prompt"], "completion": row["chosen" if good else "rejected"], "label": good}
        for row in pairs("train", VERDICTS, rng)
        for good in (rng.random() < 0.5,)
    ]
    return {name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) for name, rows in made.items()}


def main() -> None:
    """Write the files."""
    for name, text in files().items():
        (DATA / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}.jsonl: {text.count(chr(10))} rows")


if __name__ == "__main__":
    main()
