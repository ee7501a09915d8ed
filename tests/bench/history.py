"""A history of 100,000 runs: how long a page of the list takes, in every order, filter and search; prints a table."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.contract.search_filter import search_text
from engine.control.store import run_list
from engine.control.store.database import Database, Transaction

RUNS = 100_000
ROUNDS = 5
LIMIT_MS = 60
WORDS = ("support", "bot", "translate", "summarise", "legal", "medical", "code", "review", "nightly", "sweep")
WORDS += ("日期格式", "翻译", "客服", "größe")
MODELS = ("Qwen/Qwen2.5-7B-Instruct", "meta-llama/Llama-3.1-8B", "google/gemma-2-9b", "tiny-demo", "中文-base")
STATES = ("completed", "failed", "stopped", "paused", "draft", "queued")
SHARES = (80_000, 12_000, 6_000, 1_500, 497, 3)
REASONS = {"completed": "finished", "failed": "out_of_memory", "stopped": "stopped_by_person"}
SPARKLINE = json.dumps({"every": 8, "seen": 384, "values": [round(3 / n, 5) for n in range(1, 49)]})
SEARCHES = ("qwen", "rows", "nightly", "legal review", "support 77", "nothing like it", "ll", "b", "日期", "翻译 客服")
SEARCHES += ("日期格式", "größe", "GRÖSSE", "medical code 日期")
OPERATORS = (
    "model:qwen",
    "loss<1",
    "score>0.9",
    "steps>1",
    "tag:nightly",
    "-tag:nightly",
    "name:legal",
    "cost<5",
    "tokens>10M",
)
OPERATORS += (
    "created<2024-01-01",
    "state:completed score>0.5",
    "pinned:yes",
    "owner:ann",
    "rows steps>1",
    "-rows loss<9",
)
OPERATORS += (
    "qwen state:completed -tag:sweep method:lora loss<2 score>=0.5 steps>100 cost<40",
    "-state:completed",
    "-rows loss<9",
)
OPERATORS += ('project:"project 3" reason:out_of_memory', "priority>0 dataset:rows-1", "nightly tag:nightly loss<3")
_COLUMNS = (
    "id, uid, kind, lane, name, project, owner, state, priority, model, dataset, method, created, queued, started, "
    "finished, spec_hash, tags, attempt, last_step, total_steps, loss, pace, sparkline, worked_seconds, cost, score, "
    "reason, node, tokens_seen"
)


def uid(created: float, chance: random.Random) -> str:
    """As `engine.contract.ids.new_id` would have made it then."""
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    number = (int(created * 1000) << 35) | chance.getrandbits(35)
    return "".join(digits[(number >> (5 * place)) & 31] for place in reversed(range(16)))


def rows(count: int, seed: int = 7) -> list[tuple[Any, ...]]:
    """Runs as some years leave them: few names that differ much, many that differ in a number."""
    chance, later = random.Random(seed), random.Random(seed + 1)
    states = chance.choices(STATES, SHARES, k=count)
    found = []
    for n in range(1, count + 1):
        name = f"{' '.join(chance.choices(WORDS, k=3))} {n}"
        created = 1.7e9 + 300 * n
        tags = json.dumps(chance.sample(["nightly", "baseline", "sweep", "论文"], k=chance.randint(0, 2)))
        steps = chance.randint(10, 20_000)
        found.append(
            (
                *(n, uid(created, chance), "train", "gpu", name, f"project {n % 12}", "ann"),
                *(states[n - 1], chance.randint(-2, 2), chance.choice(MODELS), f"rows-{n % 97}.jsonl"),
                *(chance.choice(("sft lora", "sft full", "dpo qlora")), created, created + 1, created + 5),
                *(created + 900, "0" * 64, tags, 1, steps, steps, None if n % 50 == 0 else chance.random() * 4),
                *(0.2, SPARKLINE, later.uniform(1, 90_000), None if n % 3 == 0 else later.uniform(0, 50)),
                *(None if n % 4 == 0 else round(later.random(), 3), REASONS.get(states[n - 1]), "local"),
                None if n % 5 == 0 else steps * 512 * (n % 7),
            )
        )
    return found


def fill(database: Database, count: int = RUNS) -> None:
    """Put them in, all at once."""

    def write(transaction: Transaction) -> None:
        marks = ",".join("?" * len(_COLUMNS.split(",")))
        made = rows(count)
        transaction.connection.executemany(f"INSERT INTO run({_COLUMNS}) VALUES ({marks})", made)
        transaction.connection.executemany(
            "INSERT INTO run_search VALUES (?, ?)",
            ((row[0], search_text(row[4], row[9], row[10], json.loads(row[17]))) for row in made),
        )

        transaction.connection.executemany(
            "INSERT INTO run_tag VALUES (?, ?)", ((tag, row[0]) for row in made for tag in json.loads(row[17]))
        )

    database.write_now(write)


def set_to_work(database: Database, count: int = 8) -> None:
    """Some of them are at work; their time and cost grow."""
    database.write_now(
        lambda t: t.execute(
            "UPDATE run SET state = 'running', working_since = 1.7e9, price = 2.5 WHERE id % 1000 = 7 AND id < ?",
            (1000 * count,),
        )
    )


def questions() -> dict[str, dict[str, Any]]:
    """What a person may ask of the list."""
    asked: dict[str, dict[str, Any]] = {"newest first": {}}
    for sort in run_list.SORTS:
        for descending in (True, False):
            asked[f"by {sort}, {'down' if descending else 'up'}"] = {"sort": sort, "descending": descending}
    asked["offset 99,000"] = {"offset": 99_000}
    asked["by loss, offset 50,000"] = {"sort": "loss", "offset": 50_000}
    asked["by name, offset 99,000"] = {"sort": "name", "offset": 99_000}
    for state in ("completed", "failed", "draft", "queued", "running"):
        asked[f"state {state}"] = {"states": [state]}
    asked["two states, by loss"] = {"states": ["failed", "stopped"], "sort": "loss"}
    asked["state queued, by loss"] = {"states": ["queued"], "sort": "loss"}
    asked["state completed, by name, offset 70,000"] = {"states": ["completed"], "sort": "name", "offset": 70_000}
    asked["project"] = {"project": "project 3"}
    asked["project and state, by step"] = {"project": "project 3", "states": ["failed"], "sort": "step"}
    for text in SEARCHES:
        asked[f"search “{text}”"] = {"search": text}
    known = uid(1.7e9 + 300 * 99_000, random.Random(0))
    asked["search by the first 3 letters of an id"] = {"search": known[:3]}
    asked["search by the first 9 letters of an id"] = {"search": known[:9]}
    asked["search “rows”, offset 90,000"] = {"search": "rows", "offset": 90_000}
    asked["search “qwen”, by loss"] = {"search": "qwen", "sort": "loss"}
    asked["search “ll”, by name, offset 15,000"] = {"search": "ll", "sort": "name", "offset": 15_000}
    asked["search “legal” in state failed, by loss"] = {"search": "legal", "states": ["failed"], "sort": "loss"}
    asked["search “legal” in state completed, offset 20,000"] = {
        "search": "legal", "states": ["completed"], "offset": 20_000
    }  # fmt: skip
    asked["search “rows”, by loss, offset 50,000"] = {"search": "rows", "sort": "loss", "offset": 50_000}
    asked["search “rows” in a project"] = {"search": "rows", "project": "project 3"}
    for text in OPERATORS:
        asked[f"`{text}`"] = {"search": text}
    asked["`steps>100`, by cost, offset 50,000"] = {"search": "steps>100", "sort": "cost", "offset": 50_000}
    asked["`-tag:nightly loss<2`, by name"] = {"search": "-tag:nightly loss<2", "sort": "name"}
    asked["by seconds, offset 50,000"] = {"sort": "seconds", "offset": 50_000}
    return asked


def measure(database: Database, options: dict[str, Any]) -> tuple[float, int]:
    """Milliseconds of processor time for a page (median), and how many runs there are in all."""
    found = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        page = database.read_now(lambda c: run_list.page(c, **options))
        found.append(1000 * (time.process_time() - begin))
    return statistics.median(found), page.total


def main() -> int:
    """The table; 1 if a page took too long."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "history.sqlite3")
        begin = time.perf_counter()
        fill(database)
        set_to_work(database)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"{RUNS:,} runs, filled in {time.perf_counter() - begin:.1f} s, {size / 1e6:.0f} MB on disk\n")
        print(f"| a page of 100 | runs in all | ms (processor, median of {ROUNDS}) |\n|---|---|---|")
        slowest = 0.0
        for title, options in questions().items():
            spent, total = measure(database, options)
            slowest = max(slowest, spent)
            print(f"| {title} | {total:,} | {spent:.1f}{' (too long)' if spent > LIMIT_MS else ''} |")
        print(f"\nSlowest: {slowest:.1f} ms; allowed: {LIMIT_MS} ms.")
        database.close()
    return int(slowest > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
