"""Docs that are made from the code are current. `make docs` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from engine.contract.config_reference import reference
from engine.control.jobs.diagnosis.reference import AREAS
from engine.control.jobs.diagnosis.reference import reference as rules_reference
from engine.control.jobs.diagnosis.registry import RULES
from tests.desktop.screens_shown import SHOWN, index

ROOT = Path(__file__).resolve().parents[2]


def test_that_the_reference_of_settings_is_current():
    assert (ROOT / "docs/run-config.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_that_the_reference_of_the_diagnosis_is_current():
    assert (ROOT / "docs/diagnosis.md").read_text(encoding="utf-8") == rules_reference(), "run `make docs`"
    assert {rule.area for rule in RULES} <= AREAS.keys()


def test_that_every_make_target_named_in_the_docs_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{page} names {named - targets}"


def test_that_links_in_the_docs_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_that_every_picture_of_a_page_is_listed_and_every_listed_one_is_there():
    screens = ROOT / "docs/screens"
    text = (screens / "README.md").read_text(encoding="utf-8")
    assert text == index(), "run `make screenshots`"
    assert {file.name for file in screens.glob("*.webp")} == {one.file for one in SHOWN}
    assert sum(file.stat().st_size for file in screens.glob("*.webp")) < 16e6
