"""Packages a run wants and its worker's environment does not have: named before Start, looked up by name only."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.run_spec import RunSpec
from engine.control.jobs.package_check import absent, problems_of_packages
from tests.helpers.controller import make_spec


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment with one package that some runs want."""
    room = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    (room / "bitsandbytes").mkdir(parents=True)
    return tmp_path / "env" / "bin" / "python"


def order(folder: Path, **job: object) -> RunSpec:
    spec = make_spec(folder).model_dump(mode="json")
    for group, values in job.items():
        spec["job"][group] |= values
    return RunSpec.model_validate(spec)


def test_that_each_missing_package_is_named_with_its_setting(tmp_path, python):
    spec = order(tmp_path, training={"optimizer": "apollo_adamw"}, watching={"trackers": ["mlflow", "trackio"]})
    found = {problem.field: (problem.code, problem.params) for problem in problems_of_packages(spec, str(python))}
    assert set(found) == {"training.optimizer", "watching.trackers.0", "watching.trackers.1"}
    code, params = found["training.optimizer"]
    assert (code, params["package"], params["install"]) == ("package.missing", "apollo_torch", "apollo-torch")


def test_that_what_is_there_is_not_named(tmp_path, python):
    for job in ({"tuner": {"kind": "qlora"}}, {"training": {"optimizer": "adamw_8bit"}}, {}):
        assert problems_of_packages(order(tmp_path, **job), str(python)) == []
    (python.parents[1] / "lib" / "python3.11" / "site-packages" / "bitsandbytes").rmdir()
    (problem,) = problems_of_packages(order(tmp_path, tuner={"kind": "qlora"}), str(python))
    assert (problem.code, problem.field) == ("package.missing", "model.quantisation")


@pytest.mark.parametrize(("held", "package"), [("torchao_8bit", "torchao")])
def test_that_another_holder_of_weights_is_named_where_it_is_missing(tmp_path, python, held, package):
    spec = order(tmp_path, model={"quantisation": held})
    (problem,) = problems_of_packages(spec, str(python))
    assert (problem.code, problem.field) == ("package.missing", "model.quantisation")
    assert (problem.params["package"], problem.params["used_for"]) == (package, held)
    (python.parents[1] / "lib" / "python3.11" / "site-packages" / package).mkdir()
    assert problems_of_packages(spec, str(python)) == []


def test_that_an_environment_nobody_can_read_is_left_to_the_worker(tmp_path):
    spec = order(tmp_path, training={"optimizer": "apollo_adamw"})
    assert problems_of_packages(spec, str(tmp_path / "nowhere" / "bin" / "python")) == []
    assert problems_of_packages(spec, None) == []


@pytest.mark.parametrize("strategy", ["zero1", "zero2", "zero3"])
def test_that_deepspeed_is_named_with_the_command_that_installs_it(tmp_path, python, strategy):
    spec = order(tmp_path)
    spec = spec.model_copy(update={"compute": spec.compute.model_copy(update={"strategy": strategy})})
    (problem,) = problems_of_packages(spec, str(python))
    assert (problem.code, problem.field) == ("package.missing", "compute.strategy")
    assert problem.params["used_for"] == strategy
    assert "deepspeed==" in problem.params["install"]
    (python.parents[1] / "lib" / "python3.11" / "site-packages" / "deepspeed").mkdir()
    assert problems_of_packages(spec, str(python)) == []


def test_that_an_instance_says_so_too_and_the_choice_is_known_to_be_absent(python):
    job = {"kind": "serve", "model": {"path": "demo", "hub": "bundled"}, "backend": "llama_cpp"}
    spec = RunSpec.model_validate({"name": "desk", "job": job})
    (problem,) = problems_of_packages(spec, str(python))
    assert (problem.code, problem.field, problem.params["install"]) == (
        "package.missing",
        "backend",
        "llama-cpp-python",
    )
    assert "llama_cpp" in absent(str(python))
    (python.parents[1] / "lib" / "python3.11" / "site-packages" / "llama_cpp").mkdir()
    assert problems_of_packages(spec, str(python)) == []
    assert "llama_cpp" not in absent(str(python))
