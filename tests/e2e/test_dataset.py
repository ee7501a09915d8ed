"""Journey: a file with faults is dropped, looked through, repaired, seen as the model sees it, and learned from."""

from __future__ import annotations

import json

import pytest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton

from engine.contract.paths import resources_folder
from engine.contract.states import RunState
from forge_desktop.pages.dataset_page import DatasetPage
from forge_desktop.pages.datasets_page import DatasetsPage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.import_dialog import ImportDialog
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.dropping import drop
from tests.e2e.person import Person

ROWS, STEPS = 240, 12


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_that_a_file_with_faults_becomes_a_trained_adapter(open_desktop, qtbot, tmp_path):
    good = (resources_folder() / "demo" / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:ROWS]
    bad = [json.dumps({"messages": [{"role": "user", "content": "Nobody answers."}]}), '{"messages": [']
    file = tmp_path / "dates of ours.jsonl"
    file.write_text("\n".join([*good[:100], *bad, *good[100:], *good[:5]]) + "\n", encoding="utf-8")

    me = Person(open_desktop(), qtbot)
    me.window.go("datasets")
    library = me.page(DatasetsPage)
    me.until(lambda: library.state() == "none")
    assert drop(library, file)
    dialog = library.findChildren(ImportDialog)[-1]
    me.until(lambda: dialog.model.found is not None)
    assert dialog.model.chosen_format == "messages"
    me.until(lambda: dialog._go.isEnabled())
    dialog._go.click()
    me.until(lambda: bool(library.model.rows) and library.model.rows[0].newest is not None)
    made = library.model.rows[0]
    assert (made.name, made.newest.rows, made.newest.refused) == ("dates of ours", ROWS + 5, 2)

    me.window.go(f"dataset/{made.uid}/problems")
    page = me.page(DatasetPage)
    me.until(lambda: page.problems.total > 0)
    assert page.problems.counts["duplicate"] == 5
    assert {page.problems.counts["no_answer"], page.problems.counts["malformed"]} == {1}
    page.findChild(QPushButton, "dataset.problem.duplicate").click()
    me.until(lambda: page.problems.total == 5 and page.problems_panel.repair.isVisibleTo(page))
    page.problems_panel.repair.click()
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    box.findChild(QPushButton, "dataset.repair").click()
    me.until(lambda: page.model.version is not None and page.model.version.n == 2)
    assert page.model.version.rows == ROWS
    page.show_tab("versions")
    me.until(lambda: page.versions_panel.model.diff is not None)
    assert (page.versions_panel.model.diff.removed, page.versions_panel.model.diff.same) == (5, ROWS)

    page.show_tab("xray")
    me.until(lambda: page.tokens.answer is not None)
    row = page.tokens.answer.rows[0]
    learned = "".join(text for text, fate in zip(row.texts, row.fates, strict=True) if fate == "t")
    answer = json.loads(good[0])["messages"][-1]["content"]
    assert learned.strip() == answer
    page.show_tab("statistics")
    me.until(lambda: page.tokens.figures is not None)
    assert (page.tokens.figures.rows, page.tokens.figures.exact) == (ROWS, True)

    page.findChild(QPushButton, "dataset.train").click()
    wizard = me.page(WizardPage)
    me.click("wizard.model.demo")
    me.until(lambda: wizard.draft.model_facts and wizard.draft.data_facts)
    assert wizard.draft.data_facts["rows"] == ROWS
    wizard.draft.set("training.max_steps", STEPS)
    wizard.draft.set("name", "on dates of ours")
    for _ in range(5):
        me.click("wizard.next")
    run = me.page(RunPage)
    me.until(lambda: run.model.detail is not None and run.model.detail.run.state.ended)
    assert run.model.detail.run.state == RunState.COMPLETED
    source = run.model.detail.spec.job.data.train[0]
    assert (source.hub, source.version) == ("library", page_hash(me, made.uid))
    assert len(run.model.curve("loss").value) == STEPS


def page_hash(me: Person, uid: str) -> str:
    """The newest version's fingerprint, as the page of the dataset shows it, with the run that learned from it."""
    me.window.go(f"dataset/{uid}")
    page = me.page(DatasetPage)
    me.until(lambda: page.model.detail is not None and bool(page.model.detail.runs))
    assert page.model.detail.runs[0].name == "on dates of ours"
    return page.model.version.hash
