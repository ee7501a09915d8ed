"""Files with every kind of problem, the same ones each time: what an import finds in them is written down beside.

`python golden_rows.py` (in the worker's environment) writes `golden_import.json` anew: only where a change is meant.
"""

# ruff: noqa: E501
from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("golden_import.json")
SAID = (
    "The teacher finds the old river behind the house.", "A farmer paints, slowly, the engine_room under the bridge.",
    "请写出标准格式的答案。", "今天的天气很好，我们去公园散步吧！", "データを学習する。カタカナ・テスト", "한국어 문장입니다 다시 한번",
    "mixed 学习rate of 0.1学 and GPT模型 here", "Der Garten liegt hinter dem Haus, sagt die Lehrerin.",
    "def f(x):\n\treturn x @ y  # :a1: b2: c", "Café naïve Übergröße €5 – “quotes” … ①②", "emoji 👩‍👩‍👧 and ǅ İstanbul ß",
    "Привет, как дела? Сегодня хорошая погода.", "नमस्ते दुनिया १२३४५६७८९", "٠١٢٣٤٥٦٧٨٩ أهلا", "x_y_z __init__ 3.14 1,000",
)  # fmt: skip
PRIVATE = (
    "write to jane.doe+x@uni-mail.edu please", "a@b x@example.com @property", "ring 13812345678 now", "+49 30 901820",
    "ring (415) 555-2671 now", "身份证 11010519491231002X 号", "card 4111 1111 1111 1111 thanks", "4111 1111 1111 1112",
    "use sk-proj-abcdefghijklmnopqrstuvwx", "AKIAIOSFODNN7EXAMPLQ", "ghp_" + "a1B2" * 9, "-----BEGIN RSA PRIVATE KEY-----",
    "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4fw", "at 93.184.216.34 first", "at 2606:2800:220:1:248:1893:25c8:1946",
    "１３８１２３４５６７８ fullwidth", "12:34:56:78 and a::b::c::d", "电话 ١٢٣٤٥٦٧٨٩٠", "SG.abcdefghijklmnop.qrstuvwxyzabcdefgh",
)  # fmt: skip
BROKEN = (
    "red \x1b[31m text", "zero\u200bwidth", "turned \u202e round", "del\x7f", "c1 \x85 here", "mark \ufeff", "\ufdd0",
    "CafÃ© au lait", "donâ€™t", "lost \ufffd here", "锟斤拷锟斤拷", "烫烫烫", "Ã¼ber alles Ã¶de", "РџСЂРёРІРµС‚ РјРёСЂ", "nbsp\xa0x",
    "ha " * 200, "啊" * 400, "a" * 50, "\u2028line\u2029",
)  # fmt: skip
LINES = (
    b"", b"   ", b"{", b"[1]", b"42", b"null", b'{"messages": []}', b'{"a": 1, "a": 2}', b'{"messages" : 1, "messages" :2}',
    b'{"messages": [{"role": "user", "content": "q", "content": "r"}, {"role": "assistant", "content": "a"}]}',
    b'{"x": NaN, "y": Infinity, "z": -0.0, "messages": [{"role": "user", "content": "n"}, {"role": "assistant", "content": "a"}]}',
    b'{"f": [1e16, 1E5, -0, 1.50, 1e400, 123456789012345678901234567890, 18446744073709551615, true, null, 0.1],'
    b' "messages": [{"role": "user", "content": "f"}, {"role": "assistant", "content": "a"}]}',
    b'{"messages": [{"role": "user", "content": "\\ud83d half"}, {"role": "assistant", "content": "a"}]}',
    b'{"messages": [{"role": "user", "content": "\\ud83d\\ude00 \\u0022: \\/ \\b\\f"}, {"role": "assistant", "content": "\\": x"}]}',
    b'{"messages": [{"role": "user", "content": "zero \x00"}]}', b'{"messages": "\xff\xfe"}', b'{"d": ' + b"[" * 60 + b"]" * 60
    + b', "messages": [{"role": "user", "content": "deep"}, {"role": "assistant", "content": "a"}]}',
    b'{"d": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"n": ' + b"9" * 5000 + b"}", b'{"text": "other"}',
    b'{"messages": [{"role": "user", "content": "q"}]}', b'{"messages": [{"role": "wizard", "content": "q"}]}',
    b'{"messages": [{"role": "user", "content": 5}, {"role": "assistant", "content": "a"}]}',
    b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": " "}]}', b'{"messages": null}',
    b'{"messages": [{"role": "user", "content": "q"}, {"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}]}',
    b'{"messages": [{"role": "assistant", "content": "first"}, {"role": "user", "content": "q"}]}\r',
    b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url"}]},'
    b' {"role": "assistant", "content": "a"}], "images": ["x.png"]}',
    b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls":'
    b' [{"name": "f", "arguments": {"b": 1, "a": 2.5}}]}, {"role": "tool", "content": "42"}, {"role": "assistant", "content": "z"}]}',
    b'{"messages": "[{\\"role\\": \\"user\\", \\"content\\": \\"as text\\"}, {\\"role\\": \\"assistant\\", \\"content\\": \\"a\\"}]"}',
    b'\xef\xbb\xbf{"messages": 1}', b'{"messages": [1, 2]} tail', b'{"key\\\\": 1, "key\\\\" : 2}', b'{"\\u0061": 1, "a": 2}',
)  # fmt: skip


def _text(chance: random.Random) -> str:
    if chance.random() < 0.02:
        return chance.choice(("ha " * 200, "啊" * 400, " ".join(SAID) * 3 + "and the same " * 200))
    pieces = chance.choices(SAID, k=chance.randrange(1, 30))
    if chance.random() < 0.08:
        pieces.append(chance.choice(PRIVATE))
    if chance.random() < 0.06:
        pieces.append(chance.choice(BROKEN))
    if chance.random() < 0.3:
        pieces.append(str(chance.random()))
    chance.shuffle(pieces)
    return chance.choice((" ", "\n", " - ", "")).join(pieces)


def _talk(chance: random.Random) -> dict[str, Any]:
    turns = [
        {"role": "assistant" if n % 2 else "user", "content": _text(chance)} for n in range(chance.randrange(2, 6))
    ]
    if chance.random() < 0.1:
        turns.insert(0, {"role": "system", "content": "You help."})
    row: dict[str, Any] = {"messages": turns}
    if chance.random() < 0.1:
        row["score"] = chance.choice((1.0, 3, 1e-7, 2.5e20, -0.0))
    return row


def _like(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A row in which a word or two are others."""
    text = json.dumps(row, ensure_ascii=False)
    return json.loads(text.replace(chance.choice(("river", "house", "天气", "slowly")), "other", 2))


def conversations() -> bytes:
    """Conversations of all sorts, and lines that are none."""
    chance, rows, lines = random.Random(3), list[dict[str, Any]](), list[bytes]()
    for _ in range(900):
        draw = chance.random()
        row = _talk(chance) if not rows or draw > 0.15 else chance.choice(rows)
        if draw < 0.1:
            row = _like(row, chance)
        rows.append(row)
        text = json.dumps(row, ensure_ascii=chance.random() < 0.2, separators=chance.choice(((",", ":"), (", ", ": "))))
        lines.append(text.encode())
        if chance.random() < 0.1:
            lines.append(chance.choice(LINES))
        if chance.random() < 0.05:  # a letter is lost or put in
            at = chance.randrange(len(lines[-1]) + 1)
            lines[-1] = lines[-1][:at] + chance.choice((b"", b'"', b"\\", b"\x1f", b"\xc3", b":")) + lines[-1][at + 1 :]
    return b"\n".join([lines[0], *LINES, *lines[1:]]) + b"\n"


def verdicts() -> bytes:
    """Answers of which nearly all are good."""
    chance = random.Random(4)
    rows = [{"prompt": _text(chance), "completion": _text(chance), "label": n % 19 != 0} for n in range(150)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def preferences() -> bytes:
    """Two answers, some the same."""
    chance = random.Random(5)
    rows = []
    for n in range(80):
        good = _text(chance)
        rows.append({"prompt": _text(chance), "chosen": good, "rejected": good + " " if n % 9 == 0 else _text(chance)})
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


def english() -> bytes:
    """Plain rows of one language and a few of others, in a table."""
    chance = random.Random(6)
    words = re.findall(r"\w+", " ".join(SAID[:2]))
    rows = ["prompt,completion"]
    for n in range(120):
        said = SAID[3 + n % 9] * 3 if n % 30 == 7 else " ".join(chance.choices(words, k=40))
        rows.append(f'"{said}","{" ".join(chance.choices(words, k=30))}"')
    return "\n".join(rows).encode()


FILES = {"a.jsonl": conversations, "b.jsonl": verdicts, "c.json": preferences, "d.csv": english}


def write_files(folder: Path) -> list[Path]:
    """All of them, the first being what is learned from and the last held out."""
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
    return [folder / name for name in FILES]


def outcome(folder: Path, **options: Any) -> dict[str, Any]:
    """What imports of all files come to: everything that is found, and a sum over the rows as they are kept."""
    from importing import Slow, import_job

    from engine.contract.paths import Home

    home, found = Home(folder / "home"), dict[str, Any]()
    held: list[str] = []
    for path in write_files(folder):
        job = import_job(path, checks={"against": held, "max_length": 900, **options})
        slow = Slow(home, job, shard_rows=400)
        manifest = slow.run()
        assert manifest is not None
        version = slow.version(manifest)
        rows = hashlib.sha256()
        for batch in version.batches():
            for row in batch.to_pylist():
                rows.update(repr(sorted(row.items())).encode())
        told = manifest.model_dump(mode="json", exclude={"created", "shards", "source", "source_bytes", "files"})
        problems = [problem.model_dump(mode="json", exclude_defaults=True) for _, problem in version.problems()]
        found[path.name] = {"manifest": told, "rows_sha256": rows.hexdigest(), "problems": problems}
        held = held or [manifest.hash]
        if len(found) == 1:  # most rows of the second import of it are held out
            (folder / "again.jsonl").write_bytes(
                b"\n".join(path.read_bytes().split(b"\n")[::7]).replace(b"slowly", b"softly")
            )
            job = import_job(folder / "again.jsonl", checks={"against": held, **options})
            again = Slow(home, job)
            manifest = again.run()
            assert manifest is not None
            problems = [p.model_dump(mode="json", exclude_defaults=True) for _, p in again.version(manifest).problems()]
            found["again.jsonl"] = {"hash": manifest.hash, "problems": problems}
    return found


def dump(found: dict[str, Any]) -> str:
    """As it is written down: long lists of problems as sums of each hundred, so that a difference has its place."""
    for entry in found.values():
        problems = entry.pop("problems")
        entry["counts"] = {
            code: sum(p["code"] == code for p in problems) for code in sorted({p["code"] for p in problems})
        }
        entry["sums"] = [
            hashlib.sha256(json.dumps(problems[at : at + 20], sort_keys=True).encode()).hexdigest()[:24]
            for at in range(0, len(problems), 20)
        ]
    return json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    import os
    import tempfile

    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[3])]
    with tempfile.TemporaryDirectory() as name:
        os.environ["FORGE_HOME"] = f"{name}/home"
        found = outcome(Path(name))
        if len(sys.argv) > 1:
            Path(sys.argv[1]).write_text(json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True))
        GOLDEN.write_text(dump(found), encoding="utf-8")
