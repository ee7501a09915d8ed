"""docs/server.md names tests that are there, and every parameter that is refused."""

import re
from pathlib import Path

from engine.compute.serving.alerts import THRESHOLDS
from engine.compute.serving.bodies import ChatBody, CompletionBody, EmbeddingBody
from engine.compute.serving.refusals import NEUTRAL, UNSUPPORTED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/server.md").read_text(encoding="utf-8")


def test_that_every_test_it_names_is_there():
    table = PAGE.partition("## What is tested")[2]
    rows = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("| ") and "test_" in line]
    assert len(rows) > 25
    for _, files, names in rows:
        mentioned = re.findall(r"test_[a-z0-9_]+", files)
        found = {file: list((ROOT / "tests").rglob(f"{file}.py")) for file in mentioned}
        assert all(found.values()), found
        texts = "".join(path.read_text(encoding="utf-8") for paths in found.values() for path in paths)
        for name in re.findall(r"[a-z0-9_]{12,}", names):
            assert re.search(rf"def test_(that_)?{name}\(", texts), name


def test_that_every_parameter_stands_in_it():
    parameters = PAGE.partition("## Parameters")[2].partition("## Errors")[0]
    fields = {*ChatBody.model_fields, *CompletionBody.model_fields, *EmbeddingBody.model_fields, *NEUTRAL}
    left = {name for name in fields if f"`{name}" not in parameters and f".{name}" not in parameters} - {"input"}
    assert left == set()
    assert all(f"`{name}`" in PAGE for name in ("audio", "functions", "store", "suffix", "dimensions"))
    assert all(UNSUPPORTED[name][1].endswith(".") for name in UNSUPPORTED)


def test_that_every_alert_stands_in_it():
    for one in THRESHOLDS:
        assert f"`{one.code}`" in PAGE
