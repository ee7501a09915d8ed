"""The command line without a controller: usage, configs, downloads, tables."""

import json
import zipfile
from pathlib import Path

import pytest

from engine.cli import exits, output
from engine.cli.__main__ import main
from engine.client.download import fingerprint, unpack
from engine.contract.config_file import parse_config, read_config
from engine.contract.errors import Conflict, NotFound, Refused, Unreachable, UserError
from tests.helpers.controller import make_files


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["config", "init", "--help"], ["worker", "--help"]]
)
def test_that_help_explains_itself(capsys, arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert "usage: forge" in capsys.readouterr().out


def test_that_help_names_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for code in (
        exits.OK,
        exits.FAILED,
        exits.USAGE,
        exits.NOT_FOUND,
        exits.UNREACHABLE,
        exits.CONFLICT,
        exits.STOPPED,
    ):
        assert f"\n  {code}  " in text


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["runs", "--colour"], ["run"]])
def test_that_wrong_usage_ends_with_2(arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == exits.USAGE


@pytest.mark.parametrize("error", ["2", "1", "-0.1", "nan"])
def test_that_an_error_no_adapter_can_be_shrunk_to_is_told_in_words(capsys, error):
    assert main(["adapter", "shrink", "a", "b.lora.arrow", "--error", error]) == exits.FAILED
    assert "Set --error, such as 0.05. [lora.shrink_error]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(NotFound, 3), (Unreachable, 4), (Conflict, 5), (Refused, 2), (UserError, 1)]
)
def test_exit_codes(error, code):
    assert exits.exit_code(error("run.unknown", run="u")) == code


def test_that_a_started_config_and_the_demo_are_valid(capsys):
    for arguments in (["config", "init"], ["config", "init", "--demo"], ["config", "init", "--all"]):
        assert main(arguments) == 0
        assert parse_config(capsys.readouterr().out).training.epochs


def test_that_init_does_not_replace_a_file_unasked(capsys):
    assert main(["config", "init", "a.yaml"]) == 0
    assert main(["config", "init", "a.yaml"]) == exits.CONFLICT
    assert main(["config", "init", "a.yaml", "--force"]) == 0
    assert read_config(Path("a.yaml")).name == "my-first-run"


def test_that_check_says_everything_that_is_wrong(capsys):
    Path("a.yaml").write_text("name: x\nmodel: {path: /nowhere}\ndata: {train: [{path: /nothing}]}\n")
    assert main(["config", "check", "a.yaml"]) == exits.USAGE
    text = capsys.readouterr().err
    assert "model.path" in text
    assert "data.train.0.path" in text


def test_that_errors_are_json_where_json_was_asked_for(capsys):
    Path("a.yaml").write_text("name: x\nmodel: {pat: /nowhere}\n")
    assert main(["--json", "config", "check", "a.yaml"]) == exits.USAGE
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "config.refused"
    assert all(problem["reason"] for problem in error["problems"])


def test_that_check_passes_a_good_config(capsys, tmp_path):
    model, data = make_files(tmp_path)
    Path("a.yaml").write_text(f"name: x\nmodel: {{path: {model}}}\ndata: {{train: [{{path: {data}}}]}}\n")
    assert main(["config", "check", "a.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"problems": []}


@pytest.mark.parametrize("arguments", [["controller", "status"], ["controller", "stop"]])
def test_that_looking_at_a_controller_does_not_start_one(arguments, tmp_path):
    assert main(arguments) == exits.UNREACHABLE
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "c:evil", "a\\..\\evil"])
def test_that_an_archive_that_would_land_elsewhere_is_refused_whole(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good", "x")
        archive.writestr(name, "x")
    with pytest.raises(UserError):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_fingerprint_of_a_folder(tmp_path):
    import hashlib

    folder = tmp_path / "f"
    (folder / "b").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "b" / "c").write_text("2")
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert fingerprint(folder) == hashlib.sha256(f"a {one}\nb/c {two}".encode()).hexdigest()


def test_that_an_environment_cannot_be_named_out_of_its_folder():
    assert main(["worker", "install", "--name", "../x"]) == exits.FAILED


def test_tables_and_numbers():
    assert output.table(("a", "long"), [["1", "2"], ["333", "4"]]) == "a    long\n1    2\n333  4"
    assert output.table(("a",), []) == "a"
    assert (output.span(3.25), output.span(75), output.span(7300)) == ("3.2 s", "1 min 15 s", "2 h 01 min")
    assert output.number(None) == "–"


def test_that_sizes_of_models_from_scratch_are_told(capsys):
    assert main(["scratch", "--family", "qwen3_moe", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["size"] for one in found] == ["2m", "20m", "125m", "350m"]
    assert all(0 < one["active"] < one["total"] for one in found)
    assert main(["scratch"]) == 0
    assert f"{found[0]['total']:,}" in capsys.readouterr().out
