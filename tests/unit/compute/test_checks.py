"""Checks of rows: each flags what it is for and leaves alone what it is not; what was known survives a restart."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compute.data.checks import Checker, languages, private, refused, texts
from engine.compute.data.checks.near import Sketches, alike
from engine.compute.data.checks.private import find, is_card, is_chinese_id
from engine.compute.data.checks.repairs import fingerprint
from engine.compute.data.checks.row import CheckedRow
from engine.compute.data.checks.runs import MOST_CHARACTERS, MOST_WORDS, runs_of
from engine.compute.data.formats import BadRow, convert
from engine.compute.data.rows import Example, Record
from engine.contract.data_format import Mapping
from engine.contract.datasets import MANIFEST, CheckOptions, ImportSource, Manifest, RowProblem, Shard
from engine.contract.errors import Problem
from engine.contract.messages import MESSAGES
from engine.contract.model import ModelConfig

QUICK = {"near_duplicates": None, "languages": False, "private": False}
SUBJECTS = "cat dog bird child teacher river engine garden window letter music farmer".split(" ")  # noqa: SIM905
VERBS = "sees finds leaves paints follows carries opens forgets measures answers".split(" ")  # noqa: SIM905
PLACES = ["behind the house", "under the bridge", "near the station", "in the morning", "after the long rain"]


def words(seed: int, count: int = 12) -> str:
    """A few sentences nobody wrote twice."""
    chance = random.Random(seed)
    return " ".join(
        f"The {chance.choice(SUBJECTS)} {chance.choice(VERBS)} the {chance.choice(SUBJECTS)} {chance.choice(PLACES)}."
        for _ in range(count)
    )


def talk(*texts: str, **columns) -> dict:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)], **columns}


def check(rows: list[dict], form: str = "messages", **options) -> list[RowProblem]:
    checker = Checker(form, Mapping(), CheckOptions(**{**QUICK, **options}))
    found = [
        problem
        for number, row in enumerate(rows)
        for problem in checker.look(number, Record(number + 1, row), convert(Record(number + 1, row), form))
    ]
    found += checker.finish()
    for problem in found:
        message = MESSAGES[problem.code]
        assert message.why.format(**problem.params)
        assert message.fix
        assert problem.row is not None
        assert problem.line == problem.row + 1
        assert json.dumps(problem.params)
    return found


def kinds(rows: list[dict], form: str = "messages", **options) -> list[tuple[str, int | None]]:
    return [(problem.kind, problem.row) for problem in check(rows, form, **options)]


A, B = {"role": "assistant", "content": "an answer"}, {"role": "user", "content": "a question"}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {}}]}
TOOL = {"role": "tool", "content": "42"}
ORDERS = {
    "an answer first": ([A, B, A], "checks.begins_with_answer"),
    "two questions": ([B, B, A], "checks.same_role_twice"),
    "two answers": ([B, A, A], "checks.same_role_twice"),
    "a tool nobody called": ([B, TOOL, A], "checks.tool_first"),
    "a question at the end": ([B, A, B], "checks.unanswered_end"),
    "as it should be": ([{"role": "system", "content": "s"}, B, A, B, A], None),
    "a tool that was called": ([B, CALL, TOOL, TOOL, A], None),
    "two calls": ([B, CALL, CALL, TOOL, A], None),
}


@pytest.mark.parametrize("name", ORDERS)
def test_that_roles_out_of_order_are_told(name):
    turns, code = ORDERS[name]
    assert [problem.code for problem in check([{"messages": turns}])] == ([code] if code else [])


def test_that_equal_answers_are_told():
    same = {"prompt": "p", "chosen": "Yes. ", "rejected": "Yes."}
    other = {"prompt": "p", "chosen": "Yes.", "rejected": "No."}
    assert kinds([other, same], "preference") == [("same_answers", 1)]


def test_that_media_in_messages_are_told_by_row_and_columns_are_not():
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x.png"}}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "a"}]}
    assert kinds([talk("q", "a"), row, talk("q", "a b", images=["x.png"])]) == [("not_trained_media", 1)]


ESCAPE = "\x1b"
TEXTS = {
    "control_characters": [f"red {ESCAPE}[31m text", "zero\u200bwidth", "turned \u202e round", "del\x7f"],
    "mojibake": ["CafÃ© au lait", "donâ€™t", "lost \ufffd here", "锟斤拷锟斤拷", "Ã¼ber alles Ã¶de"],
    "repetition": ["ha " * 200, words(1, 40) + " " + "and then the same " * 300, "啊" * 400],
}
PLAIN = [
    "tabs\tand\nlines", "Café au lait, naïve, Übergröße", "Привет, как дела? Сегодня хорошая погода.", "请写标准格式。",
    "– “quotes” … and €5", words(2, 40), "é»è «français»", "👩‍👩‍👧 family", "नमस्ते", "a" * 50,
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in TEXTS.items() for text in texts])
def test_that_a_broken_text_is_told(kind, text):
    (problem,) = check([talk("q", text)])
    assert (problem.kind, problem.column) == (kind, "messages[1]")
    assert ESCAPE not in problem.excerpt


@pytest.mark.parametrize("text", PLAIN)
def test_that_a_sound_text_is_left_alone(text):
    assert kinds([talk("q", text)], private=True) == []


PRIVATE = {
    "email": "write to jane.doe+x@uni-mail.edu please",
    "phone": "ring 13812345678 now",
    "phone of another country": "ring +49 30 901820 now",
    "phone of America": "ring (415) 555-2671 now",
    "id": "身份证 11010519491231002X 号",
    "card": "card 4111 1111 1111 1111 thanks",
    "key": "use sk-proj-abcdefghijklmnopqrstuvwx for it",
    "key of AWS": "AKIAIOSFODNN7EXAMPLQ is the id",
    "key of GitHub": "token ghp_" + "a1B2" * 9,
    "private key": "-----BEGIN RSA PRIVATE KEY-----",
    "ip": "connect to 93.184.216.34 first",
    "ip of six": "connect to 2606:2800:220:1:248:1893:25c8:1946 first",
}
NOT_PRIVATE = [
    "me@example.com", "version 1.2.3.4567", "192.168.1.1 and 127.0.0.1", "110105194912310021", "4111 1111 1111 1112",
    "the years 1990-2024", "3.14159265358979", "order 20240131123456", "sk-learn is a library", "a@b", "12:34:56:78",
    "0.1.2.3", "call 911", "10000000", "1,234,567,890", "a::b::c::d",
]  # fmt: skip


@pytest.mark.parametrize("name", PRIVATE)
def test_that_private_data_is_told_and_masked(name):
    text = PRIVATE[name]
    (problem,) = check([talk("q", text)], private=True)
    assert (problem.kind, problem.severity, problem.column) == ("private", "warning", "messages[1]")
    assert problem.params["kinds"] == name.partition(" ")[0].replace("private", "key")
    (_, begin, end), *_ = find(text)
    assert text[begin:end] not in problem.excerpt
    assert "•" in problem.excerpt
    assert kinds([talk("q", text)], private=False) == []


@pytest.mark.parametrize("text", NOT_PRIVATE)
def test_that_numbers_of_nobody_are_left_alone(text):
    assert list(find(text)) == []


def test_that_no_digit_of_any_script_is_passed_over():
    digits = [chr(code) for code in range(0x110000) if chr(code).isdecimal()]
    assert len(digits) > 600
    assert [digit for digit in digits if not private._may_hold_number((digit * 7).encode())] == []


PIECES = [*PRIVATE.values(), *NOT_PRIVATE, " ", ".", "中", "é", "：", "sk-", "@", ":", "１２", "٣", "a", "-" * 5, "hf_"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=8).map("".join))
def test_that_what_looks_quickly_passes_nothing_over(text):
    assert list(find(text)) == list(plain_find(text))


def plain_find(text: str) -> Iterator[private.Found]:
    """Every pattern over every text."""
    for match in private.EMAIL.finditer(text):
        if not match.group().lower().endswith(private.RESERVED):
            yield "email", *match.span()
    for match in private.KEY.finditer(text):
        yield "key", *match.span()
    if private.DIGITS.search(text):
        yield from private._numbers(text)
    for match in private.IPV6.finditer(text):
        if text.count(":") > 2 and private._is_public(match.group()):
            yield "ip", *match.span()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*TEXTS["control_characters"], *TEXTS["mojibake"], *PLAIN]) | st.text(), max_size=4))
def test_that_broken_texts_are_told_from_sound_ones_as_by_every_pattern(pieces):
    row = CheckedRow.of(0, Record(1, {}), Example(text=" ".join(pieces)))
    texts.look_at_controls(row)
    assert bool(row.problems) == bool(texts.CONTROL.search(row.body))
    if texts.looks_misread(row.body):
        assert texts.MAYBE_SUSPICIOUS in row.data or texts.MAYBE_CYRILLIC in row.data


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=170) | st.sampled_from([*PLAIN, words(1)[:160], "\0\0"]), max_size=9))
def test_that_languages_of_many_texts_at_once_are_those_of_each(pieces):
    model = languages._identifier()
    plain = [code if sure >= 0.9 else "" for code, sure in map(model.classify, pieces)]
    assert model.sure_of(pieces, 0.9) == plain


@given(st.integers(0, 10**15 - 1))
def test_that_one_wrong_digit_is_no_card(number):
    digits = f"4{number:015d}"[:15]
    checked = next(f"{digits}{last}" for last in range(10) if is_card(f"{digits}{last}") or last == 9)
    assert is_card(checked)
    wrong = checked[:-1] + str((int(checked[-1]) + 1) % 10)
    assert not is_card(wrong)


def test_that_a_chinese_id_has_a_checksum():
    assert is_chinese_id("11010519491231002X")
    assert not any(is_chinese_id(f"11010519491231002{last}") for last in range(10))


def test_that_rows_that_read_the_same_are_told_with_the_first():
    rows = [talk("q", "a"), talk("q", "b"), talk("q", "a", note="another column"), talk("q", "a"), talk("q", "a ")]
    found = check(rows)
    assert [(problem.kind, problem.row, problem.params["first"]) for problem in found] == [
        ("duplicate", 2, 1), ("duplicate", 3, 1),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=60))
def test_that_every_repeated_row_is_found_and_no_other(numbers):
    found = [(problem.row, problem.params["first"] - 1) for problem in check([talk("q", f"a{n}") for n in numbers])]
    assert found == [(row, numbers.index(n)) for row, n in enumerate(numbers) if numbers.index(n) < row]


def test_that_near_duplicates_are_told_with_how_alike_they_are():
    rows = [talk("q", words(seed, 30)) for seed in range(40)]
    changed = words(7, 30).replace("cat", "lion", 1)
    rows += [talk("q", changed), talk("q", words(3, 30)), talk("q", words(99, 30))]
    found = check(rows, near_duplicates=0.8)
    assert [(problem.kind, problem.row, problem.params["first"]) for problem in found] == [
        ("duplicate", 41, 4), ("near_duplicate", 40, 8),
    ]  # fmt: skip
    assert 0.8 <= found[1].params["share"] < 1
    assert kinds(rows) == [("duplicate", 41)]


WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


def plain_runs(text: str) -> list[str]:
    """Runs of five words one by one: slow and plain."""
    found = WORDS.findall(text[:MOST_CHARACTERS].lower())[:MOST_WORDS]
    return [" ".join(found[at : at + 5]) for at in range(max(1, len(found) - 4))]


LETTERS = st.text(st.sampled_from("ab _-Z9中文字ア・한éß①İ\0\n\u3040\ud83d\U0001f600٣"), max_size=40)
ODD = ["", "a" * 40_000, "中 " * 9_000, "x1 " * 9_000, "İ" * 20, "0123456789abcdef 0123456789abcdef " * 9]


@settings(max_examples=150, deadline=None)
@given(st.lists(LETTERS | st.sampled_from(ODD), max_size=5))
def test_that_runs_of_many_texts_at_once_are_those_of_each(texts):
    from rensa import RMinHash

    hashes, offsets = runs_of(texts)
    whole = [[run.encode(errors="surrogatepass") for run in plain_runs(text)] for text in texts]
    found = [hashes[begin:end].tolist() for begin, end in pairwise(offsets.tolist())]
    assert found == RMinHash.hash_token_sets(whole)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.85, 0.95])
def test_that_likeness_is_about_the_share_of_common_runs(share):
    chance = random.Random(5)
    sketches, expected = Sketches(), list[float]()
    pairs = 150
    for number in range(pairs):
        one = [f"w{number}x{place}" for place in range(200)]
        other = list(one)
        for place in sorted(chance.sample(range(200), chance.randrange(0, 25))):
            other[place] = f"n{number}x{place}"
        for text in (one, other):
            sketches.add(" ".join(text))
        first, second = set(plain_runs(" ".join(one))), set(plain_runs(" ".join(other)))
        expected.append(len(first & second) / len(first | second))
    found = {row: likeness for row, _, likeness in alike(sketches.matrix()[:0], sketches.matrix(), share)}
    surely = {2 * number + 1 for number in range(pairs) if expected[number] > share + 0.12}
    never = {2 * number + 1 for number in range(pairs) if expected[number] < share - 0.15}
    assert len(surely & set(found)) >= 0.98 * len(surely)
    assert not never & set(found)
    assert all(abs(likeness - expected[row // 2]) < 0.2 for row, likeness in found.items())


def version(folder: Path, rows: list[dict], form: str = "messages") -> Path:
    """A version of the library, made by hand."""
    folder.mkdir(parents=True)
    contents = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    batch = pa.record_batch(
        {
            "file": pa.array([0] * len(rows), pa.int32()),
            "line": pa.array(range(1, len(rows) + 1), pa.int64()),
            "hash": pa.array([bytes.fromhex(fingerprint(Record(0, row))) for row in rows], pa.binary(16)),
            "characters": pa.array([len(text) for text in contents], pa.int32()),
            "content": pa.array(contents, pa.large_string()),
        }
    )
    with pa.OSFile(str(folder / "rows-00000.arrow"), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    shard = Shard(name="rows-00000.arrow", rows=len(rows), bytes=1, sha256="")
    manifest = Manifest(hash="h", format=form, rows=len(rows), source=ImportSource(place="x"), shards=[shard])
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


def test_that_rows_of_a_held_out_version_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path))
    held = [talk("q", words(seed, 30)) for seed in range(5)]
    version(tmp_path / "datasets" / "0123456789abcdef", [{"instruction": "i", "output": "o"}, *held], "messages")
    rows = [talk("q", words(50, 30)), held[2], talk("q", words(4, 30).replace("cat", "lion", 1) + " Yes.")]
    found = check(rows, against=["0123456789abcdef"], near_duplicates=0.8)
    assert [(problem.kind, problem.code, problem.row, problem.params["other"]) for problem in found] == [
        ("leak", "checks.leak", 1, 4), ("leak", "checks.near_leak", 2, 6),
    ]  # fmt: skip
    assert found[0].params["version"] == "0123456789ab"
    assert [problem.row for problem in check(rows, against=["0123456789abcdef"])] == [1]


def test_that_fingerprints_do_where_a_version_is_not_here():
    row = talk("q", "a")
    earlier = [bytes.fromhex(fingerprint(Record(9, row)))]
    checker = Checker("messages", Mapping(), CheckOptions(against=["gone"], **QUICK), earlier)
    (problem,) = checker.look(0, Record(1, row), convert(Record(1, row), "messages"))
    assert (problem.kind, problem.code) == ("leak", "checks.leak_same")


def test_that_long_rows_are_told_by_how_much(model):
    long = talk("q", words(3, 60))
    (problem,) = check([talk("q", "a"), long], max_length=200)
    assert (problem.kind, problem.row, problem.code) == ("too_long", 1, "checks.probably_too_long")
    assert problem.params["over"] == problem.params["tokens"] - 200
    (problem,) = check([talk("q", "a"), long], max_length=200, model=ModelConfig(path=str(model)))
    assert (problem.code, problem.row) == ("checks.too_long", 1)
    from engine.compute.data.templates import choose_template
    from engine.compute.data.tokenise import Tokeniser

    tokeniser = Tokeniser(choose_template(tiny.make_tokenizer(), "auto"), 1 << 30, answers_only=False)
    exact = len(tokeniser.encode([convert(Record(1, long), "messages")])[0])
    assert (problem.params["tokens"], problem.params["over"]) == (exact, exact - 200)
    assert kinds([talk("q", "a"), talk("q", words(1, 6000))]) == [("too_long", 1)]


def test_that_rows_in_another_language_are_told():
    english = [talk(words(seed, 2), words(seed + 500, 3)) for seed in range(30)]
    chinese = talk("请回答下面的问题。", "今天的天气很好，我们去公园散步吧。")
    german = talk("Wie wird das Wetter morgen?", "Morgen wird es sonnig, aber am Abend kann es ein wenig regnen.")
    rows = [*english, chinese, german]
    assert kinds(rows, languages=True) == [("other_language", 30), ("other_language", 31)]
    assert kinds(rows) == []
    assert kinds([english[0], chinese] * 10, languages=True)[:1] == [("duplicate", 2)]  # half and half is a mix


def test_that_facts_count_turns_and_languages():
    checker = Checker("messages", Mapping(), CheckOptions(near_duplicates=None))
    for number in range(4):
        row = talk(words(number), words(number + 9))
        checker.look(number, Record(number, row), convert(Record(number, row), "messages"))
    facts = checker.facts()
    assert facts["turns"] == {"user": 4, "assistant": 4}
    assert facts["languages"] == {"en": 1.0}


def test_that_unbalanced_labels_are_told():
    def rows(good: int, bad: int) -> list[dict]:
        labels = [True] * good + [False] * bad
        return [{"prompt": f"p{n}", "completion": f"c{n}", "label": label} for n, label in enumerate(labels)]

    (problem,) = check(rows(95, 5), "kto")
    assert (problem.kind, problem.row) == ("unbalanced", 95)
    assert (problem.params["most"], problem.params["least_rows"]) == ("True", 5)
    assert kinds(rows(60, 40), "kto") == []
    assert [problem.code for problem in check(rows(60, 0), "kto")] == ["checks.one_label"]
    spread = [{"text": f"t{n}", "label": n % 3} for n in range(90)]
    assert kinds(spread, "classification") == []
    assert kinds([*spread, {"text": "x", "label": 9}], "classification") == [("unbalanced", 90)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.randoms(use_true_random=False))
def test_that_a_restart_changes_nothing(cut, chance):
    rows = [talk("q", words(chance.randrange(12), 20)) for _ in range(30)]
    options = CheckOptions(private=False)
    records = [Record(number + 1, row) for number, row in enumerate(rows)]
    whole, first, second = (Checker("messages", Mapping(), options) for _ in range(3))
    for number, record in enumerate(records):
        whole.look(number, record, convert(record, "messages"))
    for number, record in enumerate(records[:cut]):
        first.look(number, record, convert(record, "messages"))
    second.restore(first.state())
    for number, record in enumerate(records[cut:], cut):
        second.look(number, record, convert(record, "messages"))
    assert list(second.finish()) == list(whole.finish())
    assert second.facts() == whole.facts()


def test_that_memory_stays_small_a_row():
    checker = Checker("messages", Mapping(), CheckOptions(private=False, languages=False))
    for number in range(1500):
        record = Record(number, talk("q", words(number, 5)))
        checker.look(number, record, convert(record, "messages"))
    state = checker.state()
    size = sum(
        memoryview(part).nbytes for part in (state["digests"]["bytes"], state["lines"], state["sketches"]["sketches"])
    )
    assert size == 1500 * (16 + 8 + 128)


def test_that_what_is_kept_out_is_told_by_kind():
    with pytest.raises(BadRow) as caught:
        convert(Record(3, {"messages": []}), "messages")
    found = refused(caught.value, 3, {"messages": []}, "rows.jsonl")
    assert (found.kind, found.severity, found.line, found.row, found.column) == (
        "empty",
        "refused",
        3,
        None,
        "messages",
    )
    assert found.excerpt == '{"messages": []}'
    assert refused(Problem(code="data.bad_json", line=4)).kind == "malformed"
    assert refused(Problem(code="data.bytes_gb18030", line=4)).kind == "encoding"
