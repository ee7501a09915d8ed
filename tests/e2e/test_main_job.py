"""The main job as a person does it: the program as a subprocess, from the wizard to the downloaded adapter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

STAGES = (
    "runs", "wizard-model", "wizard-data", "wizard-training", "wizard-compute", "wizard-review",
    "run-15-percent", "run-50-percent", "run-completed", "run-samples",
)  # fmt: skip


def forge(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """The command line, in the home of this test."""
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *arguments], capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "home"
    monkeypatch.setenv("FORGE_HOME", str(folder))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    yield folder
    forge("controller", "stop")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_that_the_demo_gets_from_the_wizard_to_a_better_model(home: Path, tmp_path: Path):
    output = Path(os.environ.get("FORGE_DEMO_OUTPUT", tmp_path / "shots"))
    done = forge("demo", "--output", str(output), timeout=850)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact match on 200 held-out rows" in done.stdout

    shots = {file.stem.partition("-")[2]: QImage(str(file)) for file in output.glob("*.png")}
    assert set(STAGES) <= set(shots)
    for stage in STAGES:
        image = shots[stage]
        colours = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
        assert len(colours) > 20, f"{stage} shows nothing"

    runs = json.loads(forge("--json", "runs").stdout)["runs"]
    assert [run["state"] for run in runs] == ["completed"]

    got = forge("download", runs[0]["uid"], "--to", str(tmp_path / "got"))
    assert got.returncode == 0, got.stderr
    names = {file.name for file in (tmp_path / "got").rglob("*") if file.is_file()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= names

    metrics = forge("metrics", runs[0]["uid"], "--metric", "loss", "--format", "csv")
    losses = [float(line.rsplit(",", 1)[1]) for line in metrics.stdout.splitlines()[1:]]
    assert losses[-1] < losses[0] / 10
