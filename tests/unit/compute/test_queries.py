"""Helper queries: quick answers about files, never a traceback."""

import json
import subprocess
import sys

import pytest
import tiny
from helpers import ROOT

from engine.compute.worker.queries import answer
from engine.contract.api import QueryAnswer, QueryRequest
from engine.contract.errors import Problem


def ask(kind: str, **params) -> QueryAnswer:
    return answer(QueryRequest(kind=kind, params=params).model_dump_json())


@pytest.mark.parametrize("kind", ["qwen3", "llama", "gemma2", "gpt2"])
def test_that_a_model_is_described_from_its_files(tmp_path, kind):
    folder = tiny.save_model(tmp_path / "tiny-instruct", kind)
    found = ask("inspect_model", path=str(folder)).result
    model = tiny.make_model(kind)
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert found["architecture"] == type(model).__name__
    assert (found["hidden_size"], found["layers"], found["vocab_size"]) == (32, 2, tiny.VOCABULARY)
    assert (found["context_length"], found["dtype"]) == (512, "fp32")
    from engine.compute.training.tuners import linear_names

    assert sorted(found["targets"]) == linear_names(model)
    from engine.compute.training.tuners import apply_tuner
    from engine.contract.tuner import TunerConfig

    tuned = apply_tuner(model, TunerConfig(rank=4))
    trained = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    assert trained == 4 * sum(found["adapter_widths"].values())
    assert found["template"]["choice"] == "tokenizer"
    assert found["type"]["value"] == "chat"
    assert found["problems"] == []


def test_that_a_model_without_a_template_gets_chatml(tmp_path):
    found = ask("inspect_model", path=str(tiny.save_model(tmp_path / "m", template=None))).result
    assert (found["template"]["choice"], found["template"]["has_own"]) == ("chatml", False)
    assert found["type"]["value"] == "base"


def test_that_damaged_and_missing_files_are_problems(tmp_path):
    folder = tiny.save_model(tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    (folder / "tokenizer.json").unlink()
    problems = [Problem.model_validate(found) for found in ask("inspect_model", path=str(folder)).result["problems"]]
    assert {problem.code for problem in problems} == {"model.bad_safetensors", "config.model_without_tokenizer"}
    assert "too early" in problems[0].reason


@pytest.mark.parametrize(
    ("kind", "params", "code"),
    [
        ("inspect_model", {"path": "/nowhere"}, "model.missing"),
        ("inspect_model", {}, "query.invalid"),
        ("inspect_model", {"path": "x", "hub": "mars"}, "query.invalid"),
        ("inspect_model", {"path": "x", "hub": "huggingface"}, "hub.offline"),
        ("preview_data", {"path": "/nowhere.jsonl"}, "data.missing"),
        ("preview_data", {"path": "x", "format": "poem"}, "query.invalid"),
        ("preview_data", {"path": "x", "rows": -1}, "query.invalid"),
        ("divine", {}, "query.unknown"),
    ],
)
def test_that_a_bad_query_has_a_code(kind, params, code):
    assert ask(kind, **params).error.code == code


def test_that_a_broken_config_is_a_coded_error(tmp_path):
    (tmp_path / "config.json").write_text("{not json")
    assert ask("inspect_model", path=str(tmp_path)).error.code == "model.bad_json"
    (tmp_path / "config.json").write_text("[]")
    assert ask("inspect_model", path=str(tmp_path)).error.code == "model.bad_json"


def test_that_a_process_answers_on_stdout_without_importing_torch(model):
    program = (
        "import sys; from engine.compute.worker import queries; queries.main();"
        "sys.exit(3 if {'torch', 'transformers', 'numpy'} & set(sys.modules) else 0)"
    )
    request = QueryRequest(kind="inspect_model", params={"path": str(model)}).model_dump_json()
    done = subprocess.run([sys.executable, "-c", program], input=request, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["model_type"] == "qwen3"


def test_that_rows_are_shown_as_the_model_sees_them(tmp_path):
    data = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"q{n}", "completion": "the answer" * n} for n in range(1, 6)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = str(tiny.save_model(tmp_path / "m", template=None))
    found = ask("preview_row", model={"path": model, "system": "be brief"}, source={"path": str(data)}, rows=2).result
    assert found["template"]["choice"] == "chatml"
    first, second = found["rows"]
    assert (first["line"], second["line"]) == (1, 2)
    text = "".join(span["text"] for span in first["spans"])
    learned = "".join(span["text"] for span in first["spans"] if span["trained"])
    assert "be brief" in text
    assert "q1" in text
    assert learned.strip().startswith("the answer")
    assert "q1" not in learned
    assert sum(span["tokens"] for span in first["spans"]) == first["tokens"] == found["lengths"][0]
    assert len(found["lengths"]) == 5
    assert 0 < found["trained_share"] < 1


def test_that_a_row_that_is_cut_says_so(tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"prompt": "q", "completion": "long " * 200}) + "\n")
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    found = ask("preview_row", model=model, source={"path": str(data)}, max_length=16).result
    assert found["rows"][0]["cut"]
    assert found["rows"][0]["tokens"] == 16
    assert found["lengths"][0] > 16


def test_that_rows_of_which_only_the_question_is_left_teach_nothing(tmp_path):
    data = tmp_path / "rows.jsonl"
    rows = [{"prompt": "why " * 200, "completion": "so"}, {"prompt": "q", "completion": "a"}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    found = ask("preview_row", model=model, source={"path": str(data)}, max_length=64).result
    assert found["trained_share"] > 0
    assert found["teaching"] == 1


def test_that_plain_text_is_not_shown_as_answers(tmp_path):
    data = tmp_path / "rows.txt"
    data.write_text("once upon a time\n")
    model = {"path": str(tiny.save_model(tmp_path / "m", template=None))}
    source = {"path": str(data)}
    assert ask("preview_row", model=model, source=source).error.code == "data.text_needs_pretrain"
    assert ask("preview_row", model=model, source=source, stage="pretrain").result["rows"][0]["spans"]
