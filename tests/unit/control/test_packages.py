"""What a worker's environment is made of."""

from __future__ import annotations

from pathlib import Path

from engine.control.executors import packages


def test_that_a_worker_gets_what_the_project_lists(monkeypatch):
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert any(line.startswith("torch>=") for line in packages.requirements())
    assert packages.CPU_INDEX in packages.sources("cpu", "")
    assert packages.CPU_INDEX not in packages.sources("cuda", "")
    assert packages.sources("cpu", "/wheels") == ["--no-index", "--find-links", "/wheels"]
    assert packages.pip(Path("/e/bin/python"), "install", "x")[:4] == ["/e/bin/python", "-m", "pip", "install"]


def test_that_an_index_somebody_chose_is_kept(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    assert packages.sources("cpu", "") == []


def test_that_requirements_of_an_installed_program_keep_what_they_are_bound_to():
    lines = [
        "torch>=2.13 ; extra == 'worker'", "ruff ; extra == 'dev'", "PyYAML>=6.0",
        'bitsandbytes>=0.49; sys_platform != "darwin" and extra == "worker"',
    ]  # fmt: skip
    found = packages.of_worker(lines)
    assert found == ["torch>=2.13", 'bitsandbytes>=0.49; sys_platform != "darwin"']
