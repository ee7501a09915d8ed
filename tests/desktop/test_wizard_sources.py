"""Choosing a model and rows: catalogue, hub ids, dropped files, rows as the model sees them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from engine.contract.catalogue import catalogue
from engine.contract.errors import Problem, UserError
from engine.contract.stream import Resources
from forge_desktop.wizard.catalogue_tree import CatalogueTree
from forge_desktop.wizard.data_source import DataSourceCard
from forge_desktop.wizard.facts_card import FactsCard
from forge_desktop.wizard.model_source import ModelSource
from forge_desktop.wizard.rows_card import RowsCard, marked_up, spoken
from forge_desktop.wizard.step_data import DataStep
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.dropping import drop
from tests.desktop.sheets_wizard import SEEN, WIDTHS

pytestmark = pytest.mark.slow

GPU = Resources(slots={"gpu": 1}, used={"gpu": 0}, waiting=0, values={"gpu0.memory_total": 24e9}, names={"gpu0": "X"})


@pytest.fixture
def page(replay, qtbot) -> WizardPage:
    replay.backend.answers["preview_row"] = dict(SEEN)
    replay.backend.answers["inspect_model"] |= {"adapter_widths": WIDTHS}
    replay.window.go("new")
    made = replay.window.page
    assert isinstance(made, WizardPage)
    qtbot.waitUntil(lambda: made.is_built)
    return made


def click(qtbot, page, name):
    button = page.findChild(QPushButton, name)
    assert button.isEnabled(), f"{name}: {button.toolTip()}"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def said(widget: QWidget) -> str:
    return "\n".join(made.text() for made in widget.findChildren(QLabel))


def test_that_the_list_shrinks_with_search_and_filters(replay, page, qtbot):
    tree = page.findChild(CatalogueTree)
    assert len(tree.titles()) == len(catalogue().listed())
    page.findChild(QLineEdit, "wizard.catalogue.search").setText("qwen2.5 instruct")
    assert "7B-Instruct" in tree.titles()
    assert "7B" not in tree.titles()
    licence = page.findChild(QComboBox, "wizard.catalogue.licence")
    licence.setCurrentIndex(licence.findData("conditions"))
    assert tree.titles() == ["3B-Instruct", "72B-Instruct"]
    replay.backend.tell_resources(GPU)
    fits = page.findChild(QCheckBox, "wizard.catalogue.fits")
    qtbot.waitUntil(fits.isEnabled)
    fits.click()
    assert tree.titles() == ["3B-Instruct"]


def test_that_a_picked_model_says_what_it_brings(page, qtbot):
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    text = said(page.findChild(FactsCard))
    for expected in ("8.2 B parameters", "32,768 tokens", "apache-2.0", "about 16.4 GB to download"):
        assert expected in text
    assert page.draft.targets() == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def test_that_a_gated_model_asks_for_a_token(replay, page, qtbot):
    addresses = []
    page.navigate.connect(addresses.append)
    page.draft.set_model("google/gemma-3-1b-it", "huggingface")
    page.findChild(ModelSource).show_draft()
    token = page.findChild(QPushButton, "wizard.model.token")
    assert token.isVisibleTo(page)
    token.click()
    assert addresses == ["settings/hubs"]
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    assert not token.isVisibleTo(page)


def test_that_a_bad_hub_id_is_said_as_it_is_typed(page, qtbot):
    click(qtbot, page, "wizard.model.source.hub")
    path = page.findChild(QLineEdit, "wizard.model.path")
    qtbot.keyClicks(path, "qwen3")
    assert path.property("tone") == "bad"
    assert "owner/name" in page.findChild(ModelSource).problem()[0]
    click(qtbot, page, "wizard.model.source.url")
    path.clear()
    qtbot.keyClicks(path, "example.org/m")
    assert "https://" in page.findChild(ModelSource).problem()[0]


def test_that_a_folder_is_checked_before_rows_are_chosen(replay, page, qtbot, tmp_path):
    missing = Problem(code="config.model_without_config", field="model.path", params={"value": str(tmp_path)})
    elsewhere = Problem(code="config.path_missing", field="data.train.0.path", params={"value": "demo"})
    replay.backend.problems = [missing, elsewhere]
    page.draft.set_model(str(tmp_path), "local")
    qtbot.waitUntil(lambda: page.draft.problems_of("model.path") == [missing])
    assert elsewhere not in page.draft.problems  # nobody chose those rows


def test_that_code_of_a_model_runs_only_when_ticked_for_that_model(page, qtbot):
    page.draft.set_model("internlm/internlm3-8b-instruct", "huggingface")
    assert page.draft.get("model.trust_remote_code") is False
    page.draft.set("model.trust_remote_code", True)
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    assert page.draft.get("model.trust_remote_code") is False


def test_that_a_dropped_folder_is_the_model(page, qtbot, tmp_path):
    assert drop(page.findChild(ModelSource), tmp_path)
    assert (page.draft.get("model.path"), page.draft.get("model.hub")) == (str(tmp_path), "local")


def test_that_several_dropped_files_are_read_together(page, qtbot, tmp_path):
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    click(qtbot, page, "wizard.step.data")
    files = [tmp_path / "a.jsonl", tmp_path / "b.csv"]
    assert drop(page.findChild(DataStep), *files)
    assert [source["path"] for source in page.draft.get("data.train")] == [str(file) for file in files]
    assert page.draft.get("evaluation.data") == []  # the demo's own left with the demo
    qtbot.waitUntil(lambda: page.draft.rows() is None or page.draft.rows() == 4800)
    qtbot.waitUntil(lambda: all(look.facts for look in page.draft.looks))
    click(qtbot, page, "wizard.data.0.remove")
    assert [source["path"] for source in page.draft.get("data.train")] == [str(files[1])]


def test_that_the_same_file_is_not_taken_twice(page, tmp_path):
    page.draft.add_data([str(tmp_path / "a.jsonl"), str(tmp_path / "a.jsonl")])
    page.draft.add_data([str(tmp_path / "a.jsonl")])
    assert len(page.draft.get("data.train")) == 1


def test_that_rows_are_shown_with_what_is_learned_underlined(page, qtbot):
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled")
    qtbot.waitUntil(lambda: bool(page.draft.seen_rows))
    click(qtbot, page, "wizard.step.data")
    card = page.findChild(RowsCard)
    shown = next(made for made in card.findChildren(QLabel) if made.property("role") == "seen")
    assert "text-decoration:underline" in shown.text()
    assert "2021-03-17&lt;|im_end|&gt;" in shown.text()
    assert "learned: 2021-03-17" in shown.accessibleName()
    assert "27%" in said(card)


def test_that_rows_cannot_smuggle_markup_in():
    spans = [{"text": "<img src=x><script>", "trained": True}]
    assert "<img" not in marked_up(spans)
    assert "<img" in spoken(spans)


def test_that_rows_are_shown_by_role_while_the_model_is_elsewhere(page, qtbot):
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    page.draft.set_data("demo", "bundled")
    qtbot.waitUntil(lambda: bool(page.draft.data_facts))
    click(qtbot, page, "wizard.step.data")
    text = said(page.findChild(RowsCard))
    assert "the template is known once the model is here" in text
    assert "Write 17 March 2021 as an ISO date." in text


def test_that_a_failed_look_says_so_and_can_be_repeated(replay, page, qtbot):
    good = replay.backend.answers.pop("preview_data")
    page.draft.set_data("/data/a.jsonl", "local")
    qtbot.waitUntil(lambda: page.draft.data_error is not None)
    replay.backend.answers["preview_data"] = good
    click(qtbot, page, "wizard.step.data")
    click(qtbot, page, "wizard.data.again")
    qtbot.waitUntil(lambda: bool(page.draft.data_facts))
    assert page.draft.data_error is None


def test_that_a_missing_worker_environment_has_a_way_out(replay, qtbot):
    replay.backend.worker_python = None
    replay.window.go("new")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.is_built)
    addresses = []
    page.navigate.connect(addresses.append)
    line = lambda: page.findChild(QPushButton, "wizard.check.settings/workers")  # noqa: E731
    qtbot.waitUntil(lambda: line() is not None)
    line().click()
    assert addresses == ["settings/workers"]


def test_that_a_draft_goes_on_offline_and_starts_later(replay, page, qtbot):
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled")
    click(qtbot, page, "wizard.step.review")
    start = page.findChild(QPushButton, "wizard.next")
    qtbot.waitUntil(start.isEnabled)
    replay.window.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not start.isEnabled()
    assert "Offline" in start.toolTip()
    page.draft.set("training.epochs", 3.0)
    assert page.draft.get("training.epochs") == 3
    replay.window.session.online.emit()
    assert start.isEnabled()


def test_that_what_was_used_lately_is_offered_again(replay, page, qtbot):
    page.draft.set_model("/models/mine", "local")
    page.draft.add_data(["/data/mine.jsonl"])
    qtbot.waitUntil(lambda: bool(page.draft.data_facts))
    click(qtbot, page, "wizard.save")
    qtbot.waitUntil(lambda: replay.window.address == "runs")
    replay.window.go("new")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.is_built)
    menu = page.findChild(QPushButton, "wizard.model.recent").menu()
    assert ["mine" in action.text() for action in menu.actions()] == [True]
    menu.actions()[0].trigger()
    assert page.draft.get("model.path") == "/models/mine"
    click(qtbot, page, "wizard.step.data")
    assert page.findChild(DataSourceCard) is not None


def test_that_the_cost_of_a_rank_is_counted_from_the_models_own_layers(page, qtbot):
    page.draft.set_model("demo", "bundled")
    qtbot.waitUntil(lambda: bool(page.draft.model_facts))
    page.draft.set("tuner.rank", 32)
    assert page.draft.trained_parameters() == 32 * sum(WIDTHS.values())
    page.draft.set("tuner.targets", ["q_proj"])
    assert page.draft.trained_parameters() == 32 * WIDTHS["q_proj"]
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    assert page.draft.trained_parameters() is None  # not guessed


def test_that_a_length_beyond_the_models_context_warns_only_if_a_row_is_that_long(page, qtbot):
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    page.draft.set("data.max_length", 40_000)
    click(qtbot, page, "wizard.step.training")
    qtbot.waitUntil(lambda: page.is_built)
    field = page.findChild(QLineEdit, "field.data.max_length")
    assert field.property("tone") == "warn"
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled")
    qtbot.waitUntil(lambda: bool(page.draft.seen_rows))
    qtbot.waitUntil(lambda: field.property("tone") == "")
    assert page.draft.fitting() == 1
    page.draft.set("data.max_length", 39)
    assert page.draft.fitting() == 0.6


def test_that_no_module_of_another_model_stays_behind(page, qtbot):
    page.draft.set_model("microsoft/phi-4", "huggingface")
    click(qtbot, page, "wizard.step.training")
    qtbot.waitUntil(lambda: page.is_built)
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    chips = [made.text() for made in page.findChildren(QPushButton) if made.objectName().startswith("wizard.target.")]
    assert chips == page.draft.targets()


def test_that_a_hubs_model_says_what_is_to_be_downloaded(replay, page, qtbot):
    replay.backend.answers["inspect_model"] |= {"download_bytes": 16_400_000_000, "cached": False, "gated": True}
    page.draft.set_model("someone/some-model", "huggingface")
    card = page.findChild(FactsCard)
    qtbot.waitUntil(lambda: "16.4 GB" in said(card))
    assert "token" in said(card)
    replay.backend.answers["inspect_model"] |= {"download_bytes": 0, "cached": True}
    page.draft.inspect()
    qtbot.waitUntil(lambda: "Already here" in said(card))


def test_that_the_catalogue_holds_where_its_hub_does_not_answer(replay, page, qtbot):
    del replay.backend.answers["inspect_model"]
    page.draft.set_model("Qwen/Qwen3-8B", "huggingface")
    card = page.findChild(FactsCard)
    qtbot.waitUntil(lambda: page.draft.model_error is not None)
    assert "parameters" in said(card)
    assert card.findChild(QPushButton, "wizard.model.again") is not None


@pytest.mark.parametrize("unlearned", [{"trained_share": 0.0}, {"teaching": 0}])
def test_that_rows_that_teach_nothing_keep_the_run_from_starting(replay, page, qtbot, unlearned):
    replay.backend.answers["preview_row"] = SEEN | unlearned
    click(qtbot, page, "wizard.model.demo")
    page.draft.set_data("demo", "bundled")
    click(qtbot, page, "wizard.step.review")
    qtbot.waitUntil(lambda: [one.code for one in page.draft.problems] == ["data.nothing_learned"])
    start, before = page.findChild(QPushButton, "wizard.next"), page.findChild(QWidget, "wizard.before")
    assert not start.isEnabled()
    assert "Nothing would be learned" in said(before)
    assert "maximum length" in said(before)
    replay.backend.answers["preview_row"] = dict(SEEN)
    page.draft.set("data.max_length", 2048)
    qtbot.waitUntil(start.isEnabled)
    qtbot.waitUntil(lambda: "Nothing would be learned" not in said(before))
