"""Write the demo's files for models that write no text: questions with their month, and questions with their date.

    python -m resources.demo.make_heads

Held-out rows are made of held-out days, so no day stands in two files here either.
"""

import calendar
import json
from datetime import date
from typing import Any

from resources.demo.make_data import DATA

SIZES = {"": ("train", 400), "_held_out": ("held_out", 100)}


def asked(source: str, count: int) -> list[tuple[str, str]]:
    """The first rows of a data file: each question with its date."""
    lines = (DATA / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    rows = [json.loads(line)["messages"] for line in lines]
    return [(question["content"], answer["content"]) for question, answer in rows]


def files() -> dict[str, str]:
    """The text of each file by name."""
    made = dict[str, list[dict[str, Any]]]()
    for end, (source, count) in SIZES.items():
        rows = asked(source, count)
        made[f"months{end}"] = [
            {"text": question, "label": calendar.month_name[date.fromisoformat(day).month]} for question, day in rows
        ]
        made[f"pairs{end}"] = [{"anchor": question, "positive": day} for question, day in rows]
    return {name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) for name, rows in made.items()}


def main() -> None:
    """Write the files."""
    for name, text in files().items():
        (DATA / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}.jsonl: {text.count(chr(10))} rows")


if __name__ == "__main__":
    main()
