"""Pictures of how datasets are mixed and split in the wizard: as it comes, filled in, and with what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea

from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.wizard.fields import FoldedForm
from forge_desktop.wizard.wizard_page import WizardPage


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the wizard to each state."""
    del backend
    window = desktop.window
    window.go("new/draft-mix")
    page = window.page
    assert isinstance(page, WizardPage)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled", "demo/held_out", "")
    page.findChild(QObject, "wizard.step.data").click()
    page.draft.add_data(["/data/tickets/support-tickets-zh.jsonl", "/data/tickets/more.csv"])
    for path, value in (("0.weight", 0.5), ("1.limit", 300), ("1.weight", 2)):
        page.draft.set(f"data.train.{path}", value)
    QTest.qWait(900)
    yield "mix-weights"
    page.draft.set("data.train.0.weight", 0)
    page.draft.set("data.train.1.limit", "1.5")
    yield "mix-weights-wrong"
    page.draft.set_data("demo", "bundled", "demo/held_out", "")
    page.draft.set("data.train", page.draft.get("data.train")[:1])
    page.draft.set("data.train.0.weight", 1.0)
    fold = next(fold for fold in page.findChildren(FoldedForm) if fold.owns("data.order"))
    QTest.qWait(400)
    _to_end(fold)
    yield "mix-folded"
    fold.open()
    _to_end(fold)
    yield "mix-open"
    for path, value in (
        ("validation_by", "group"),
        ("shuffle_buffer", 10_000),
        ("order", "kept"),
        ("self_cognition.name", "Anvil"),
    ):
        page.draft.set(f"data.{path}", value)
    QTest.qWait(400)
    _to_end(fold)
    yield "mix-wrong"
    for path, value in (
        ("group_column", "person"),
        ("order", "shuffled"),
        ("self_cognition.author", "The Smithy 锻造坊"),
    ):
        page.draft.set(f"data.{path}", value)
    QTest.qWait(400)
    yield "mix-filled"


def _to_end(fold: FoldedForm) -> None:
    """Scroll to its end; in a narrow window more stands below."""
    QTest.qWait(200)
    area = fold.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    if area is not None:
        area.ensureWidgetVisible(fold, 0, 20)
