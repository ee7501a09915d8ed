"""Contact sheets of the wizard: every step, the catalogue, bad rows, a missing worker, being offline, drafts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QMessageBox, QScrollArea, QWidget

from engine.contract.errors import Problem, UserError
from engine.contract.stream import Resources
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.wizard.fields import FoldedForm
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_nodes import until

SEEN: dict[str, Any] = {
    "rows": [
        {
            "line": 1,
            "spans": [
                {
                    "text": "<|im_start|>user\nWrite 17 March 2021 as an ISO date.<|im_end|>\n<|im_start|>assistant\n",
                    "trained": False,
                    "tokens": 27,
                },
                {"text": "2021-03-17<|im_end|>", "trained": True, "tokens": 11},
                {"text": "\n", "trained": False, "tokens": 1},
            ],
            "tokens": 39,
            "trained_tokens": 11,
            "cut": False,
        },
        {
            "line": 2,
            "spans": [
                {
                    "text": "<|im_start|>user\n二〇三五年一月十七日写成 ISO 日期？<|im_end|>\n<|im_start|>assistant\n",
                    "trained": False,
                    "tokens": 29,
                },
                {"text": "2035-01-17<|im_end|>", "trained": True, "tokens": 11},
            ],
            "tokens": 41,
            "trained_tokens": 11,
            "cut": False,
        },
    ],
    "lengths": [39, 41, 37, 39, 40] * 200,
    "trained_share": 0.27,
    "teaching": 1000,
    "template": {"choice": "tokenizer", "reason": ""},
}
LLAMA = {
    "architecture": "LlamaForCausalLM",
    "model_type": "llama",
    "parameters": 8_030_261_248,
    "bytes": 16_060_556_376,
    "context_length": 131_072,
}
WIDTHS = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), 4608)
LOAD = {"cpu.utilisation": 21.0, "ram.used": 6.1e9, "ram.total": 24e9, "gpu0.memory_total": 24e9}


def wizard_pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the wizard to each of its states; yields the name of one that is to be pictured."""
    window = desktop.window
    backend.answers["preview_row"] = dict(SEEN)
    backend.answers["inspect_model"] |= {"adapter_widths": WIDTHS}
    window.go("new/draft-sheet")
    wizard = _page(desktop)
    now = Resources(slots={"gpu": 1}, used={"gpu": 0}, waiting=0, values=LOAD,
                    names={"cpu": "AMD EPYC 9654", "gpu0": "NVIDIA RTX 4090"})  # fmt: skip
    backend.tell_resources(now)
    yield "wizard-blank"
    yield from _models(desktop, backend, wizard)
    wizard.draft.set_model("demo", "bundled")
    yield "wizard-model-demo"
    window.findChild(QObject, "wizard.step.data").click()
    yield "wizard-data-empty"
    wizard.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    QTest.qWait(900)
    yield "wizard-data-rows"
    yield from _recipe(desktop, wizard)
    backend.tell_resources(now.model_copy(update={"used": {"gpu": 1}, "waiting": 2}))
    window.findChild(QObject, "wizard.step.compute").click()
    window.findChild(QWidget, "wizard.fold.limits").click()
    yield "wizard-compute-waits"
    window.findChild(QObject, "wizard.step.review").click()
    yield "wizard-review-ready"
    yield from _troubles(desktop, backend, wizard)


def _page(desktop: Desktop) -> WizardPage:
    assert isinstance(desktop.window.page, WizardPage)
    return desktop.window.page


def _models(desktop: Desktop, backend: ReplayBackend, wizard: WizardPage) -> Iterator[str]:
    search = desktop.window.findChild(QLineEdit, "wizard.catalogue.search")
    search.setText("qwen")
    yield "wizard-catalogue-search"
    search.setText("no such model")
    yield "wizard-catalogue-none"
    search.setText("")
    facts = backend.answers["inspect_model"]
    backend.answers["inspect_model"] = facts | LLAMA
    wizard.draft.set_model("meta-llama/Llama-3.1-8B-Instruct", "huggingface")
    _scroll(wizard, 1.0)
    yield "wizard-catalogue-picked"
    backend.answers["inspect_model"] = facts
    _scroll(wizard, 0.0)
    desktop.window.findChild(QObject, "wizard.model.source.hub").click()
    path = desktop.window.findChild(QLineEdit, "wizard.model.path")
    path.setText("")
    QTest.keyClicks(path, "qwen3")
    yield "wizard-hub-id-bad"
    desktop.window.findChild(QObject, "wizard.model.source.catalogue").click()


def _recipe(desktop: Desktop, wizard: WizardPage) -> Iterator[str]:
    window = desktop.window
    window.findChild(QObject, "wizard.step.training").click()
    yield "wizard-training-balanced"
    window.findChild(QObject, "wizard.preset.thorough").click()
    wizard.draft.set("training.learning_rate", 0.02)
    wizard.draft.set("training.weight_decay", -0.1)
    yield "wizard-training-changed"
    for fold in wizard.findChildren(FoldedForm):
        if fold.isVisible():
            fold.open()
    _scroll(wizard, 0.5)
    yield "wizard-training-open"
    wizard.draft.set("tuner.kind", "lokr")
    wizard.draft.set("tuner.options", {"decompose_both": True, "decompose_bot": 4})
    QTest.qWait(300)
    wizard.steps.field(2, "tuner.options")
    _reveal(window.findChild(QWidget, "field.tuner.options"))
    yield "wizard-training-method"
    window.findChild(QObject, "wizard.preset.balanced").click()


def _reveal(field: QWidget) -> None:
    """Scroll until it is seen."""
    area = field.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    assert area is not None
    area.ensureWidgetVisible(field, 0, 120)


def _troubles(desktop: Desktop, backend: ReplayBackend, wizard: WizardPage) -> Iterator[str]:
    window = desktop.window
    bad = [
        Problem(code="data.not_an_object", line=3, params={"found": "list"}),
        Problem(code="data.empty_column", field="completion", line=17, params={"column": "completion"}),
    ]
    facts = backend.answers["preview_data"]
    backend.answers["preview_data"] = facts | {"problems": [one.model_dump() for one in bad], "bad_rows": 2}
    wizard.draft.add_data(["/data/tickets/support-tickets-zh.jsonl", "/data/tickets/more.csv"])
    window.findChild(QObject, "wizard.step.data").click()
    yield "wizard-data-bad"
    backend.answers["preview_data"] = facts
    backend.answers["preview_row"] = SEEN | {"trained_share": 0.0, "teaching": 0}
    wizard.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    wizard.draft.set("data.max_length", 32)
    window.findChild(QObject, "wizard.step.review").click()
    until(lambda: bool(wizard.draft.teaching_nothing()))
    yield "wizard-nothing-learned"
    backend.answers["preview_row"] = dict(SEEN)
    window.findChild(QObject, "wizard.again").click()
    yield "wizard-start-over"
    for box in wizard.findChildren(QMessageBox):
        box.close()
    backend.worker_python = None
    window.go("new/draft-sheet")
    wizard = _page(desktop)
    wizard.findChild(QObject, "wizard.step.compute").click()
    yield "wizard-no-worker"
    backend.worker_python = "python"
    window.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    yield "wizard-offline"
    window.session.online.emit()
    while window.overlays.toasts.close_one():  # it says so over the next pages
        pass


def _scroll(wizard: WizardPage, share: float) -> None:
    QTest.qWait(200)
    for area in wizard.findChildren(QScrollArea):
        bar = area.verticalScrollBar()
        bar.setValue(round(share * bar.maximum()))
