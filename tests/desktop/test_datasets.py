"""The library, the import dialog and the page of a dataset: by mouse and by keyboard, with what goes wrong."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QMessageBox, QPushButton

from engine.contract.data_format import Mapping
from engine.contract.dataset_queries import ShownRow, Turn
from engine.contract.datasets import ImportJob
from engine.contract.errors import UserError
from forge_desktop.bridge import fake_datasets
from forge_desktop.models.dataset_rows import turns_of
from forge_desktop.models.datasets_model import PLACE
from forge_desktop.models.xray_model import cut_share
from forge_desktop.pages.dataset_page import DatasetPage
from forge_desktop.pages.datasets_page import DatasetsPage
from forge_desktop.panels.import_dialog import ImportDialog
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.dropping import drop
from tests.desktop.sheets_datasets import FIGURES, FOUND, XRAY

pytestmark = pytest.mark.slow
Key = Qt.Key


def library(replay, qtbot) -> DatasetsPage:
    """The page over the pretended library."""
    fake_datasets.fill(replay.backend, time.time())
    replay.window.go("datasets")
    page = replay.window.page
    assert isinstance(page, DatasetsPage)
    qtbot.waitUntil(lambda: len(page.model.rows) == 8)
    return page


def dataset(replay, qtbot, name: str = "support-tickets-zh", tab: str = "") -> DatasetPage:
    """The page of one."""
    uids = fake_datasets.fill(replay.backend, time.time())
    replay.window.go(f"dataset/{uids[name]}" + (f"/{tab}" if tab else ""))
    page = replay.window.page
    assert isinstance(page, DatasetPage)
    qtbot.waitUntil(lambda: page.rows.has_loaded and page.problems.has_loaded)
    return page


def names(page: DatasetsPage) -> list[str]:
    return [one.name for one in page.model.rows]


def press(name: str) -> None:
    """A button of the question that is open."""
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    box.findChild(QPushButton, name).click()


def imports(replay) -> list[ImportJob]:
    """Every import that was ordered, the newest last."""
    found = replay.backend._runs.values()
    return [run.spec.job for run in found if isinstance(run.spec.job, ImportJob)]


def test_an_empty_library_says_what_to_do(replay, qtbot):
    replay.window.go("datasets")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.state() == "none")
    page._hints["none"].findChild(QPushButton, "hint.action").click()
    assert isinstance(QApplication.activeModalWidget(), ImportDialog)
    QApplication.activeModalWidget().reject()


def test_heads_sort_and_the_order_is_kept(replay, qtbot):
    page = library(replay, qtbot)
    assert names(page)[0] == "crawl-2026-11"
    page.table.horizontalHeader().sectionClicked.emit(PLACE["rows"])
    qtbot.waitUntil(lambda: names(page)[0] == "wiki-zh-pretrain")
    page.table.horizontalHeader().sectionClicked.emit(PLACE["name"])
    qtbot.waitUntil(lambda: names(page)[0] == "agent-tool-calls")
    assert page.model.headerData(PLACE["name"], Qt.Orientation.Horizontal) == "Name ↑"
    replay.window.go("runs")
    replay.window.go("datasets")
    again = replay.window.page
    qtbot.waitUntil(lambda: bool(again.model.rows))
    assert names(again)[0] == "agent-tool-calls"


def test_search_by_name_and_tag(replay, qtbot):
    page = library(replay, qtbot)
    page.search.setText("DPO")
    qtbot.waitUntil(lambda: names(page) == ["helpful-preferences"])
    page.search.setText("nothing")
    qtbot.waitUntil(lambda: page.state() == "no_match")


def test_enter_opens_a_dataset_and_menus_say_why_not(replay, qtbot):
    page = library(replay, qtbot)
    page.table.setFocus()
    row = page.model.row_of(next(one.uid for one in page.model.rows if one.name == "crawl-2026-11"))
    menu = QMenu(page)
    page.fill_menu(menu, page.model.rows[row])
    entries = {action.objectName(): action for action in menu.actions()}
    assert not entries["datasets.menu.train"].isEnabled()
    assert entries["datasets.menu.train"].toolTip()
    page.table.setCurrentIndex(page.model.index(1, 0))
    qtbot.keyClick(page.table, Key.Key_Return)
    qtbot.waitUntil(lambda: replay.window.address.startswith("dataset/"))


def test_deleting_asks_names_what_is_lost_and_is_refused_while_a_run_needs_it(replay, qtbot):
    page = library(replay, qtbot)
    one = next(one for one in page.model.rows if one.name == "med-qa-instruct")
    replay.backend.needed_by[one.uid] = "night-run"
    page._delete(one)
    assert "14 runs" in QApplication.activeModalWidget().informativeText()
    press("datasets.delete")
    qtbot.waitUntil(lambda: page._error.isVisibleTo(page))
    assert "night-run" in page._error.what.text() + page._error.why.text()
    replay.backend.needed_by.clear()
    page._delete(one)
    press("datasets.delete")
    qtbot.waitUntil(lambda: "med-qa-instruct" not in names(page))


def test_a_library_that_cannot_be_asked_says_so_and_comes_back(replay, qtbot):
    replay.backend.datasets_error = UserError("history.damaged", path="h", detail="d")
    replay.window.go("datasets")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.state() == "error")
    replay.backend.datasets_error = None
    page.model.fetch()
    qtbot.waitUntil(lambda: page.state() == "none")
    assert not page._error.isVisibleTo(page)


def test_a_dropped_file_is_looked_at_and_imported(replay, qtbot, tmp_path):
    page = library(replay, qtbot)
    replay.backend.data_answers["inspect_data"] = FOUND.model_dump(mode="json")
    file = tmp_path / "med-qa-instruct.jsonl.gz"
    file.write_text("")
    assert drop(page, file)
    dialog = page.findChildren(ImportDialog)[-1]
    assert not dialog._go.isEnabled()
    qtbot.waitUntil(lambda: dialog.model.found is not None)
    assert dialog.name.text() == "med-qa-instruct"
    rows = dialog._inner  # at once as high as its rows, not squeezed into what room there is
    assert rows.height() >= rows.heightForWidth(rows.width()) > rows.parentWidget().height()
    assert "version 2" in dialog._becomes.text()
    assert set(dialog.mapping.choices) == {"instruction", "input", "output", "system", "history"}
    dialog._go.click()
    qtbot.waitUntil(lambda: bool(imports(replay)))
    (job,) = imports(replay)
    assert (job.dataset, job.source.kind, job.source.place, job.format) == (
        "med-qa-instruct",
        "path",
        str(file),
        "auto",
    )


def test_an_import_by_keyboard_alone_with_another_column(replay, qtbot):
    page = library(replay, qtbot)
    asked: list[dict] = []
    replay.backend.data_answers["inspect_data"] = lambda params: asked.append(params) or FOUND.model_dump(mode="json")
    dialog = page.import_one()
    qtbot.keyClicks(dialog.place, "/data/new-rows.csv")
    qtbot.waitUntil(lambda: dialog.model.found is not None)
    choice = dialog.mapping.choices["system"]
    choice.setFocus()
    for _ in range(4):
        qtbot.keyClick(choice, Key.Key_Down)
    choice.activated.emit(choice.currentIndex())
    qtbot.waitUntil(lambda: not dialog.model.looking)
    assert asked[-1]["source"]["mapping"]["columns"] == {"system": "source"}
    dialog.name.setFocus()
    dialog.name.clear()
    qtbot.keyClicks(dialog.name, "rows of November")
    dialog._go.setFocus()
    qtbot.keyClick(dialog._go, Key.Key_Space)
    qtbot.waitUntil(lambda: bool(imports(replay)))
    (job,) = imports(replay)
    assert (job.dataset, job.mapping.columns) == ("rows of November", {"system": "source"})


def test_the_keys_of_a_turn_are_typed_and_the_rows_shown_change(replay, qtbot):
    page = library(replay, qtbot)
    mixed = FOUND.model_copy(
        update={
            "chosen": FOUND.chosen.model_copy(update={"format": "sharegpt"}),
            "mapping": Mapping(columns={"messages": "talk"}, role_key="from", content_key="value"),
        }
    )
    asked: list[Mapping] = []

    def look(params):
        mapping = Mapping.model_validate(params["source"]["mapping"])
        asked.append(mapping)
        said = Turn(role="user", text=f"read from {mapping.content_key or 'value'}")
        shown = [ShownRow(row=0, line=1, turns=[said])]
        found = mixed.mapping.model_copy(update={"role_key": mapping.role_key or "from"})
        return mixed.model_copy(update={"shown": shown, "mapping": found}).model_dump(mode="json")

    replay.backend.data_answers["inspect_data"] = look
    dialog = page.import_one()
    qtbot.keyClicks(dialog.place, "/data/talk.jsonl")
    qtbot.waitUntil(lambda: dialog.model.found is not None)
    assert set(dialog.mapping.keys) == {"role_key", "content_key"}
    assert dialog.mapping.keys["content_key"].placeholderText() == "found: value"
    dialog.mapping.choices["tools"].setFocus(Qt.FocusReason.TabFocusReason)
    for name, text in (("role_key", "speaker"), ("content_key", "utterance")):
        qtbot.keyClick(dialog.focusWidget(), Key.Key_Tab)
        assert dialog.focusWidget() is dialog.mapping.keys[name]
        qtbot.keyClicks(dialog.focusWidget(), text)
    qtbot.waitUntil(lambda: "read from utterance" in " ".join(one.text() for one in dialog.findChildren(QLabel)))
    assert dialog.focusWidget() is dialog.mapping.keys["content_key"]  # the answer leaves the keyboard where it is
    assert (asked[-1].role_key, asked[-1].content_key) == ("speaker", "utterance")
    dialog._go.setFocus()
    qtbot.keyClick(dialog._go, Key.Key_Space)
    qtbot.waitUntil(lambda: bool(imports(replay)))
    (job,) = imports(replay)
    assert (job.mapping.role_key, job.mapping.content_key) == ("speaker", "utterance")


def test_rows_without_turns_have_no_keys_to_name(replay, qtbot):
    page = library(replay, qtbot)
    replay.backend.data_answers["inspect_data"] = FOUND.model_dump(mode="json")
    dialog = page.import_one()
    dialog.take("/data/rows.jsonl")
    qtbot.waitUntil(lambda: dialog.model.found is not None)
    assert dialog.mapping.choices
    assert not dialog.mapping.keys
    dialog.reject()


def test_several_that_are_dropped_come_one_after_the_other(replay, qtbot, tmp_path):
    page = library(replay, qtbot)
    replay.backend.data_answers["inspect_data"] = FOUND.model_dump(mode="json")
    paths = [
        tmp_path / "one" / "rows.jsonl",
        tmp_path / "other.csv",
        tmp_path / "two" / "rows.jsonl",
        tmp_path / "folder",
    ]
    assert drop(page, *paths)
    dialog = page.findChildren(ImportDialog)[-1]
    for n, (path, skipped) in enumerate(zip(paths, (False, True, False, False), strict=True), 1):
        qtbot.waitUntil(lambda path=path: dialog.model.place == str(path) and dialog.model.found is not None)
        assert dialog.place.text() == str(path)
        assert dialog._order.text().startswith(f"{n} of 4 ")
        assert dialog._skip.isVisible() is (n < 4)
        assert dialog.name.text() == path.name.partition(".")[0]
        press_key = dialog._skip if skipped else dialog._go
        qtbot.waitUntil(press_key.isEnabled)
        if n == 3:
            assert "version 2" in dialog._becomes.text()  # the first one has the same name
        qtbot.keyClick(press_key, Key.Key_Space)
    qtbot.waitUntil(lambda: len(imports(replay)) == 3)
    assert [(job.dataset, job.source.place) for job in imports(replay)] == [
        ("rows", str(paths[0])),
        ("rows", str(paths[2])),
        ("folder", str(paths[3])),
    ]
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)


def test_an_import_waits_for_the_controller_and_goes_on_with_it(replay, qtbot, tmp_path):
    page = library(replay, qtbot)
    replay.backend.data_answers["inspect_data"] = FOUND.model_dump(mode="json")
    replay.backend.hangs = True
    page.model.fetch()
    qtbot.waitUntil(lambda: not replay.desktop.session.is_online)
    assert drop(page, tmp_path / "rows.jsonl")
    dialog = page.findChildren(ImportDialog)[-1]
    assert not dialog._go.isEnabled()
    assert "does not answer" in dialog._go.toolTip()
    assert "does not answer" in dialog._say.text()
    assert not dialog._trouble.isVisibleTo(dialog)
    replay.backend.hangs = False
    qtbot.waitUntil(lambda: dialog.model.found is not None)
    qtbot.waitUntil(dialog._go.isEnabled)
    dialog._go.click()
    qtbot.waitUntil(lambda: [job.source.place for job in imports(replay)] == [str(tmp_path / "rows.jsonl")])


def test_what_cannot_be_read_is_not_imported_and_says_why(replay, qtbot):
    page = library(replay, qtbot)

    def refuse(_params):
        raise UserError("data.missing", path="/data/nowhere.jsonl")

    replay.backend.data_answers["inspect_data"] = refuse
    dialog = page.import_one()
    dialog.take("/data/nowhere.jsonl")
    qtbot.waitUntil(lambda: dialog.model.error is not None)
    assert dialog._trouble.isVisibleTo(dialog)
    assert not dialog._go.isEnabled()
    assert dialog._go.toolTip()
    dialog.reject()


@pytest.mark.parametrize(
    ("kind", "place", "ready"),
    [("huggingface", "alpaca", False), ("huggingface", "tatsu-lab/alpaca", True), ("url", "ftp://x", False)],
)
def test_hub_ids_and_addresses_are_checked_as_they_are_typed(replay, qtbot, kind, place, ready):
    page = library(replay, qtbot)
    dialog = page.import_one()
    dialog._kinds.set_value(kind)
    dialog.place.setText(place)
    dialog._typed()
    assert dialog._go.isEnabled() is ready
    dialog.reject()


def test_rows_are_paged_searched_and_shown_in_full(replay, qtbot):
    page = dataset(replay, qtbot)
    assert page.rows.total == 390
    assert page.rows_panel._place.text() == "Row 1"
    page.rows_panel.search.setText("charged twice")
    qtbot.waitUntil(lambda: 0 < page.rows.total < 390)
    table = page.rows_panel.table
    table.setFocus()
    qtbot.keyClick(table, Key.Key_Down)
    assert page.rows_panel._place.text() != "Row 1"


def test_a_problem_leads_to_its_row_and_to_a_repair(replay, qtbot):
    page = dataset(replay, qtbot, tab="problems")
    page.model.choose(1)
    qtbot.waitUntil(lambda: page.problems.total > 0)
    page.findChild(QPushButton, "dataset.problem.duplicate").click()
    qtbot.waitUntil(lambda: page.problems.kind == "duplicate" and page.problems.total == 10)
    qtbot.waitUntil(lambda: page.problems_panel.repair.isVisibleTo(page))
    page.problems_panel.repair.click()
    assert "new version" in QApplication.activeModalWidget().informativeText()
    press("dataset.repair")
    qtbot.waitUntil(lambda: bool(imports(replay)))
    (job,) = imports(replay)
    assert (job.dataset, job.source.kind, job.source.place) == (
        "support-tickets-zh",
        "version",
        page.model.version.hash,
    )
    assert [repair.kind for repair in job.repairs] == ["deduplicate"]
    wanted = page.problems_panel.table.current().row
    page.findChild(QPushButton, "dataset.problems.row").click()
    assert page.tab == "rows"
    qtbot.waitUntil(lambda: page.rows_panel._place.text() == f"Row {wanted + 1}")


def test_rows_that_were_refused_have_no_row_to_go_to(replay, qtbot):
    page = dataset(replay, qtbot, tab="problems")
    page.model.choose(1)
    qtbot.waitUntil(lambda: page.problems.total > 0)
    page.findChild(QPushButton, "dataset.problem.malformed").click()
    qtbot.waitUntil(lambda: page.problems.kind == "malformed" and page.problems.total == 1)
    go = page.findChild(QPushButton, "dataset.problems.row")
    assert not go.isEnabled()
    assert go.toolTip()
    assert not page.problems_panel.repair.isVisibleTo(page)


def test_two_versions_are_compared_and_one_deleted(replay, qtbot):
    page = dataset(replay, qtbot, tab="versions")
    panel = page.versions_panel
    qtbot.waitUntil(lambda: panel.model.diff is not None)
    assert (panel.model.diff.removed, panel.model.diff.changed, panel.model.diff.added) == (10, 1, 0)
    panel.kinds.set_value("changed")
    panel.kinds.activated.emit(panel.kinds.currentIndex())
    qtbot.waitUntil(lambda: panel.model.total == 1)
    page.findChild(QPushButton, "dataset.version.1.delete").click()
    press("dataset.version.delete")
    qtbot.waitUntil(lambda: len(page.model.detail.versions) == 1)
    assert not panel._diff.isVisibleTo(page)


def test_a_dataset_that_goes_leads_back_to_the_library(replay, qtbot):
    page = dataset(replay, qtbot)
    replay.backend.delete_dataset(page.model.uid)
    qtbot.waitUntil(lambda: replay.window.address == "datasets")


def test_a_run_learns_from_the_version_that_was_newest(replay, qtbot):
    page = dataset(replay, qtbot)
    newest = page.model.detail.versions[0].hash
    page.findChild(QPushButton, "dataset.train").click()
    qtbot.waitUntil(lambda: isinstance(replay.window.page, WizardPage))
    wizard = replay.window.page
    qtbot.waitUntil(lambda: wizard.draft.get("data.train.0.path") == "support-tickets-zh")
    source = wizard.draft.get("data.train.0")
    assert (source["hub"], source["version"]) == ("library", newest)


@pytest.mark.parametrize(
    ("content", "roles"),
    [
        ('{"messages": [{"role": "user", "content": "a"}]}', ["user"]),
        ('{"conversations": [{"from": "gpt", "value": "a"}]}', ["assistant"]),
        ('{"prompt": "p", "chosen": "c", "rejected": "r"}', ["prompt", "chosen", "rejected"]),
        ('{"text": "cut off', ["text"]),
        ("[1, 2]", []),
    ],
)
def test_rows_of_any_shape_are_shown(content: str, roles: list[str]):
    assert [turn.role for turn in turns_of(content)[0]] == roles


def with_tokens(replay, qtbot, tab: str) -> DatasetPage:
    """The page with the X-ray and the figures answered, and every question kept."""
    asked: list[tuple[str, dict]] = []
    replay.backend.questions = asked
    for kind, answer in (("xray", XRAY), ("data_statistics", FIGURES)):
        found = answer.model_dump(mode="json")
        replay.backend.data_answers[kind] = lambda params, k=kind, f=found: asked.append((k, params)) or f
    return dataset(replay, qtbot, tab=tab)


def test_the_x_ray_shows_what_is_learned_and_what_is_cut(replay, qtbot):
    page = with_tokens(replay, qtbot, "xray")
    qtbot.waitUntil(lambda: page.tokens.answer is not None)
    view, row = page.xray_panel.tokens, XRAY.rows[0]
    assert "41.2%" in page.xray_panel._all.text()
    assert {view.fate(place) for place in range(len(row.ids))} == {"trained", "masked", "special", "cut"}
    assert view.fate(0) == "special"
    assert view.fate(len(row.ids) - 1) == "cut"
    view.setFocus()
    qtbot.keyClick(view, Key.Key_Right)
    assert f"id {row.ids[0]}" in page.xray_panel._pointed.text()


def test_the_x_ray_asks_for_the_row_and_the_length_that_are_typed(replay, qtbot):
    page = with_tokens(replay, qtbot, "xray")
    qtbot.waitUntil(lambda: page.tokens.answer is not None)
    number = page.xray_panel._number
    number.setFocus()
    number.selectAll()
    qtbot.keyClicks(number, "17")
    qtbot.keyClick(number, Key.Key_Return)
    qtbot.waitUntil(lambda: replay.backend.questions[-1][1]["rows"] == [16])
    page.xray_panel.length.setText("64")
    page.xray_panel.length.editingFinished.emit()
    qtbot.waitUntil(lambda: replay.backend.questions[-1][1]["max_length"] == 64)
    source = replay.backend.questions[-1][1]["source"]
    assert (source["hub"], source["version"]) == ("library", page.model.version.hash)
    page.xray_panel._only.click()
    qtbot.waitUntil(lambda: replay.backend.questions[-1][1]["assistant_only_loss"] is False)


def test_nothing_is_counted_before_somebody_looks(replay, qtbot):
    page = with_tokens(replay, qtbot, "rows")
    page.show_tab("statistics")
    qtbot.waitUntil(lambda: page.tokens.figures is not None)
    assert [kind for kind, _ in replay.backend.questions] == ["data_statistics"]
    assert "118,000" in page.statistics_panel._about.text()
    assert "25 steps" in page.statistics_panel._steps.text()


def test_the_line_of_the_histogram_moves_by_keys_and_says_what_is_lost(replay, qtbot):
    page = with_tokens(replay, qtbot, "statistics")
    qtbot.waitUntil(lambda: page.tokens.figures is not None)
    chart = page.statistics_panel.chart
    chart.setFocus()
    before = chart._limit
    for _ in range(20):
        qtbot.keyClick(chart, Key.Key_Left)
    assert chart._limit < before
    qtbot.waitUntil(lambda: replay.backend.questions[-1][1]["max_length"] == chart._limit)
    qtbot.waitUntil(lambda: page.tokens.figures is not None)
    rows, lost = cut_share(FIGURES.lengths, chart._limit)
    assert 0 < lost < rows < 1
    assert f"{100 * rows:.1f}%" in page.statistics_panel._cut.text()


def test_a_helper_that_was_too_slow_is_asked_again(replay, qtbot):
    tries: list[int] = []

    def slow(_params):
        tries.append(1)
        if len(tries) < 3:
            raise UserError("query.too_slow", kind="xray", seconds=10)
        return XRAY.model_dump(mode="json")

    replay.backend.data_answers["xray"] = slow
    page = dataset(replay, qtbot, tab="xray")
    qtbot.waitUntil(lambda: page.tokens.answer is not None)
    assert len(tries) == 3
    assert not page.xray_panel._error.isVisibleTo(page)


def test_a_model_that_cannot_be_read_is_said_in_its_place(replay, qtbot):
    def refuse(_params):
        raise UserError("model.no_template")

    replay.backend.data_answers["xray"] = refuse
    page = dataset(replay, qtbot, tab="xray")
    qtbot.waitUntil(lambda: page.tokens.error is not None)
    assert page.xray_panel._error.isVisibleTo(page)


@pytest.mark.parametrize(
    ("lengths", "limit", "share", "lost"), [([], 8, 0, 0), ([10, 20], 20, 0, 0), ([10, 30], 20, 0.5, 0.25)]
)
def test_what_a_limit_costs(lengths, limit, share, lost):
    assert cut_share(lengths, limit) == (share, lost)
