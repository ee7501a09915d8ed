"""The commands about datasets that need no controller, and how they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cli import data_check, data_import
from engine.cli.__main__ import main, parser
from engine.contract.dataset_queries import XrayAnswer, XrayRow
from engine.contract.errors import UserError
from tests.helpers.real_worker import WORKER, needs_worker


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FORGE_WORKER_PYTHON", str(WORKER))


@pytest.mark.slow
@needs_worker
@pytest.mark.parametrize(
    ("content", "code", "rows", "refused"),
    [
        ('{"text": "a"}\n{"text": "b"}\n', 0, 2, 0),
        ('{"text": "a"}\nno row\n', 1, 1, 1),
        ('{"text": ""}\n{"text": 5}\n', 2, 0, 2),
    ],
)
def test_that_the_exit_code_says_how_sound_a_file_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, code: int, rows: int, refused: int
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    assert main(["data", "check", str(path), "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["rows"], found["refused"]) == ("text", rows, refused)
    assert list(found["columns"]) == (["text"] if rows else [])
    assert found["reason"]["text"]
    assert main(["data", "check", str(path)]) == code
    assert f"{rows} rows, {refused} refused" in capsys.readouterr().out


@pytest.mark.slow
@needs_worker
def test_that_what_cannot_be_used_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"zzz": 1}\n')
    assert main(["data", "check", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "data.unknown_format"
    assert main(["data", "check", str(tmp_path / "none"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "data.missing"
    assert main(["data", "check", str(path), "--map", "nonsense"]) == 2
    assert "PART=COLUMN" in capsys.readouterr().err


def test_that_without_a_worker_environment_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_WORKER_PYTHON", str(tmp_path / "none"))
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n')
    assert main(["data", "check", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "worker.no_environment"


def test_that_versions_and_columns_are_named() -> None:
    assert data_import.named_version("alpha@3") == ("alpha", 3)
    assert data_import.named_version("alpha@v12") == ("alpha", 12)
    assert data_import.named_version("me@home") == ("me@home", None)
    options = parser().parse_args(["data", "import", "x", "--map", "instruction=question", "--map", "output=a=b"])
    assert data_import.mapping_of(options).columns == {"instruction": "question", "output": "a=b"}
    with pytest.raises(UserError, match=r"data\.check_column"):
        data_import.mapping_of(parser().parse_args(["data", "import", "x", "--map", "=b"]))


def test_that_models_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_check.model_of("demo").hub == "bundled"
    assert (data_check.model_of("hf:org/name").hub, data_check.model_of("ms:org/name").hub) == (
        "huggingface", "modelscope",
    )  # fmt: skip
    (tmp_path / "demo").mkdir()
    assert data_check.model_of("demo").path == str(tmp_path / "demo")


def test_that_a_row_is_shown_with_the_fate_of_each_token() -> None:
    row = XrayRow(
        row=0, line=7, ids=[1, 2, 3, 4, 5], texts=["<s>", "Hi", "!", " yes", " no"], fates="smmtt", cut_at=4, tokens=5,
        trained=1,
    )  # fmt: skip
    found = XrayAnswer(rows=[row], template="chatml", trained_share=0.25, sampled=8, untrained=2)
    assert data_check.preview_text(found, colours=False).splitlines() == [
        "row 0, line 7: 5 tokens, 1 trained, cut off at 4",
        "  special              1  '<s>'",
        "  masked               2  'Hi!'",
        "  trained              1  ' yes'",
        "  cut off              1  ' no'",
        "template: chatml; 25.0% of 8 rows is trained; in 2 of them nothing is",
    ]
    painted = data_check.preview_text(found, colours=True).splitlines()[1]
    assert painted == "\033[2m<s>\033[0mHi!\033[32m yes\033[0m\033[9;31m no\033[0m"


@pytest.mark.slow
@needs_worker
@pytest.mark.parametrize(("written", "named"), [("gb18030", "GBK"), ("utf-16-le", "utf-16-le"), ("utf-8", "auto")])
def test_that_a_file_is_read_in_the_encoding_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, named: str
) -> None:
    path = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "锻造坊"}]
    path.write_bytes((json.dumps({"messages": turns}, ensure_ascii=False) + "\n").encode(written))
    assert main(["data", "check", str(path), "--encoding", named, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    assert main(["data", "preview", str(path), "--model", "demo", "--encoding", named]) == 0
    assert "问" in capsys.readouterr().out
    if named != "auto":  # what was named is what it is read in, be it wrong
        assert main(["data", "check", str(path), "--encoding", "utf-8", "--json"]) == 2


@pytest.mark.parametrize("words", [["check", "FILE"], ["preview", "FILE", "--model", "demo"]])
def test_that_an_unknown_encoding_is_refused_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n')
    words = [str(path) if word == "FILE" else word for word in words]
    for named in ("latin-99", "latin-1", "\x00"):
        assert main(["data", *words, "--encoding", named]) != 0
        said = capsys.readouterr().err
        assert "is no encoding that can be read" in said
        assert "gb18030" in said


def test_that_an_import_takes_encodings_by_their_other_names() -> None:
    def named(text: str) -> str:
        return data_import.encoding_of(parser().parse_args(["data", "import", "x", "--encoding", text]))

    assert [named(text) for text in ("auto", "UTF8", "utf_16", "GB2312", "utf-16-be")] == [
        "auto", "utf-8", "utf-16", "gb18030", "utf-16-be",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"data\.encoding_unknown"):
        named("cp1252")
