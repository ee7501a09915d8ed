"""A library that exists nowhere: datasets of several formats, with problems, versions and an import under way."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from engine.contract.data_format import DataFormat
from engine.contract.datasets import Column, ImportSource, Manifest, Repair, RowProblem, RowView, Shard, UsedBy
from forge_desktop.bridge.replay_datasets import ReplayDatasets, rows_of

DAY = 86_400.0
QUESTIONS = (
    "The app closes by itself when I open an order. What can I do?",
    "我的订单三天没有更新物流，能帮我查一下吗？",
    "How do I change the address of a parcel that is on its way?",
    "发票抬头写错了，可以重开吗？",
    "I was charged twice for the same invoice.",
    "会员积分什么时候到账？",
)
ANSWERS = (
    "I am sorry about that. Please update to version 6.2 and open the order again; if it closes still, send us the "
    "report that the app offers.",
    "您好，已为您查询：包裹今天 14:20 到达分拨中心，预计明天送达。",
    "Open the order, choose “Delivery”, and then “Another address”. The parcel is led there if it has not left the "
    "last depot.",
    "可以的。请在订单详情里选择“申请换开”，原发票会自动作废。",
    "One of the two charges is a reservation, which the bank gives back within five days.",
    "订单完成后 24 小时内自动到账。",
)


def fill(backend: ReplayDatasets, at: float) -> dict[str, str]:
    """Put the pretended datasets on the shelves; name to uid."""
    found = {}
    found["support-tickets-zh"] = _tickets(backend, at)
    for name, form, rows, tokens, days, tags, runs in (
        ("med-qa-instruct", "alpaca", 182_340, 61_200_000, 2, ["medicine"], 14),
        ("helpful-preferences", "preference", 43_835, 22_900_000, 9, ["dpo"], 3),
        ("sql-create-context", "query_response", 78_577, 9_400_000, 21, [], 6),
        ("kto-verdicts", "kto", 15_000, None, 33, [], 0),
        ("wiki-zh-pretrain", "text", 2_451_008, 1_310_000_000, 60, ["pretrain", "zh"], 1),
        ("agent-tool-calls", "sharegpt", 51_214, 88_000_000, 75, ["tools"], 2),
    ):
        uid = backend.add_dataset(name, at - days * DAY, tags=tags)
        small = rows_of(_contents(form, 40, name))
        made = manifest(name, form, rows, at - days * DAY, small)  # type: ignore[arg-type]
        backend.add_version(uid, made, small, tokens=tokens)
        for n in range(runs):
            backend.use_dataset(uid, UsedBy(run=f"u{n}", name=f"{name}-run-{n + 1}", state="completed", version=1,
                                            created=at - days * DAY / 2))  # fmt: skip
        found[name] = uid
    uid = backend.add_dataset("crawl-2026-11", at - 60)
    backend.change_dataset(uid, importing="import-of-crawl")
    found["crawl-2026-11"] = uid
    return found


def _tickets(backend: ReplayDatasets, at: float) -> str:
    """The one that is looked at: two versions, problems of many kinds."""
    uid = backend.add_dataset("support-tickets-zh", at - 3 * DAY, tags=["support", "zh"],
                              notes="Exported from the help desk, persons' names replaced.")  # fmt: skip
    contents = _contents("messages", 400, "tickets")
    first = rows_of(contents, "tickets.jsonl")
    problems = _problems(first)
    counts: dict[str, int] = {}
    for one in problems:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    refused = sum(one.severity == "refused" for one in problems)
    made = manifest("tickets", "messages", len(first), at - 3 * DAY, first, problems=counts, refused=refused)
    backend.add_version(uid, made, first, problems, tokens=48_400)
    kept = [row for row in first if row.row % 40 != 7]
    kept = [row.model_copy(update={"row": place}) for place, row in enumerate(kept)]
    newer = kept[3].content.replace('"ticket": ', '"ticket": 9')
    kept[3] = kept[3].model_copy(update={"content": newer, "hash": "c" * 32})
    second = manifest("tickets-2", "messages", len(kept), at - DAY, kept, parent=made.hash,
                      repairs=[Repair(kind="drop", problems=["duplicate", "private"])])  # fmt: skip
    backend.add_version(uid, second, kept, [], tokens=47_100)
    for n, state in enumerate(("completed", "running", "failed")):
        backend.use_dataset(uid, UsedBy(run=f"t{n}", name=f"qwen3-8b-support-r{8 << n}", state=state, version=1 + n % 2,
                                        created=at - (2 - n / 2) * DAY))  # fmt: skip
    return uid


def manifest(name: str, form: DataFormat, rows: int, at: float, small: list[RowView], **values: Any) -> Manifest:
    """What a pretended version says of itself."""
    size = int(rows * sum(len(row.content) for row in small) / max(1, len(small)))
    known = {"messages": [Column(name="messages", kind="turns", example="user: …")],
             "text": [Column(name="text", kind="text")]}  # fmt: skip
    return Manifest(
        hash=hashlib.sha256(f"{name}{rows}".encode()).hexdigest(), format=form, rows=rows, created=at,
        columns=known.get(form, [Column(name="instruction", kind="text"), Column(name="output", kind="text")]),
        reason={"code": "inspect.format_by_column", "params": {"column": "messages"}},
        characters=size, turns={"user": rows, "assistant": rows}, languages={"zh": 0.58, "en": 0.41, "?": 0.01},
        encoding="utf-8", files=[f"{name}.jsonl"], source=ImportSource(place=f"/data/{name}.jsonl"), source_bytes=size,
        code="0.1.0", shards=[Shard(name="rows-00000.arrow", rows=rows, bytes=size, sha256="0" * 64)], **values,
    )  # fmt: skip


def _contents(form: str, count: int, seed: str) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    found: list[dict[str, Any]] = []
    for n in range(count):
        place = chance.randrange(len(QUESTIONS))
        question, answer = f"{QUESTIONS[place]} (#{n + 1})", ANSWERS[place]
        if form == "messages":
            turns = [{"role": "system", "content": "You answer for the help desk, briefly and kindly."}]
            for _ in range(chance.choice((1, 1, 2))):
                turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            found.append({"messages": turns, "ticket": 10_000 + n})
        elif form == "preference":
            found.append({"prompt": question, "chosen": answer, "rejected": "I cannot help."})
        elif form == "text":
            found.append({"text": f"{question}\n{answer}"})
        else:
            found.append({"instruction": question, "output": answer})
    return found


def _problems(rows: list[RowView]) -> list[RowProblem]:
    found = []
    for row in rows:
        excerpt = row.content[:160]
        if row.row % 40 == 7:
            found.append(RowProblem(kind="duplicate", severity="warning", row=row.row, file=row.file, line=row.line,
                                    code="checks.duplicate", excerpt=excerpt,
                                    params={"first": row.row - 4, "line_of_first": row.line - 5},
                                    hash=row.hash))  # fmt: skip
        if row.row % 57 == 11:
            found.append(RowProblem(kind="private", severity="warning", row=row.row, file=row.file, line=row.line,
                                    column="messages[1].content", code="checks.private",
                                    params={"kinds": "e-mail", "count": 1}, excerpt="… write to l••••@••••.com …",
                                    hash=row.hash))  # fmt: skip
        if row.row % 97 == 31:
            found.append(RowProblem(kind="too_long", severity="warning", row=row.row, file=row.file, line=row.line,
                                    code="checks.too_long", params={"tokens": 1311, "limit": 1024, "over": 287},
                                    excerpt=excerpt,
                                    hash=row.hash))  # fmt: skip
    for line in (402, 409):
        found.append(RowProblem(kind="no_answer", severity="refused", file="tickets.jsonl", line=line,
                                column="messages", code="data.no_answer", params={"column": "messages"},
                                excerpt='{"messages": [{"role": "user", "content": "Hello?"}]}'))  # fmt: skip
    found.append(RowProblem(kind="malformed", severity="refused", file="tickets.jsonl", line=411, code="data.bad_json",
                            params={"column": 18, "detail": "Expecting ',' delimiter"},
                            excerpt='{"messages": [{"role" "user"'))  # fmt: skip
    return sorted(found, key=lambda one: one.line)
