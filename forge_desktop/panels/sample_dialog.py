"""Having a model make a dataset: who answers, what is asked, how answers are drawn, and which are kept."""

from __future__ import annotations

from functools import partial
from typing import get_args

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QDialog, QFileDialog, QGridLayout, QWidget

from engine.contract.api import RunSummary
from engine.contract.bundled import MODELS
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig
from engine.contract.sampling import Choice as Chosen
from engine.contract.sampling import SampleJob
from engine.contract.setting import extra
from forge_desktop.bridge.session import Session
from forge_desktop.models.sample_model import FILE, NUMBERS, PLAIN_REWARDS, SampleModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Choice, Field, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import labelled, setting_label, setting_sentence, tr, word

WIDTH, HEIGHT, HUB_WIDTH = 760, 740, 150
HUBS = ("bundled", "local", "huggingface", "modelscope")
COLUMNS = 3


class SampleDialog(QDialog):
    """Nothing happens before Sample; then a run of its own makes the dataset."""

    started = Signal(object)
    """RunSummary."""

    def __init__(
        self, session: Session, parent: QWidget, dataset: str = "", model: ModelConfig | None = None, adapter: str = ""
    ) -> None:
        """`dataset`: whose questions are asked at first; `model` and `adapter`: what a run has taught."""
        super().__init__(parent)
        self.setObjectName("sample")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Sample a dataset"))
        self.resize(WIDTH, HEIGHT)
        self.model, self._wanted = SampleModel(session, self), f"library:{dataset}" if dataset else ""
        self.numbers: dict[str, Field] = {}
        self._boxes: dict[str, QWidget] = {}
        self._error = ErrorCard("sample.refused")
        self._why = label("", "hint", wrap=True)
        self._why.setObjectName("sample.why")
        self.go = button(tr("Sample"), "primary", "play", self._start, "sample.start")
        inner = QWidget()
        inner.setLayout(column(self._who(model, adapter), self._what(), self._how(), self._which(), None, spacing=16))
        inner.layout().setContentsMargins(0, 0, 10, 0)  # type: ignore[union-attr]
        foot = row(self._why, button(tr("Cancel"), on_click=self.reject, name="sample.cancel"), self.go, spacing=10)
        foot.setStretch(0, 1)
        layout = column(label(self.windowTitle(), "card-title"), spacing=12, margins=(20, 18, 20, 18))
        layout.addWidget(scrolled(inner), 1)
        layout.addWidget(self._error)
        layout.addLayout(foot)
        self.setLayout(layout)
        self.model.changed.connect(self._refresh)
        self.model.listed.connect(self._fill_sources)
        self.model.failed.connect(self._refused)
        self.model.started.connect(self._began)
        self._fill_sources()
        self.model.fetch()
        self._refresh()

    def _who(self, model: ModelConfig | None, adapter: str) -> QWidget:
        """The model, its adapter, a system prompt."""
        self.hub = Choice([(one, word("choice", one)) for one in HUBS], model.hub if model is not None else "bundled")
        self.hub.setMinimumWidth(HUB_WIDTH)
        self.hub.setObjectName("sample.hub")
        self.hub.setAccessibleName(tr("Source of the model"))
        self.path = Field(
            model.path if model is not None else next(iter(MODELS)), tr("Folder or hub id"), "sample.path"
        )
        self.path.setAccessibleName(tr("Model"))
        self.adapter = Field(adapter, tr("none"), "sample.adapter")
        self.adapter.setAccessibleName(setting_label(SampleJob, "adapter"))
        self.system = Field("", tr("none"), "sample.system")
        self.system.setAccessibleName(setting_label(ModelConfig, "system"))
        if model is not None:
            self.model.plain["model"] = model.model_dump(mode="json")
            self.system.setText(model.system or "")
        self.hub.activated.connect(lambda _place: self.model.set("model.hub", self.hub.value()))
        self.path.textChanged.connect(lambda text: self.model.set("model.path", text.strip()))
        self.adapter.textChanged.connect(lambda text: self.model.set("adapter", text.strip()))
        self.system.textChanged.connect(lambda text: self.model.set("model.system", text.strip() or None))
        self.model.plain["model"] |= {"path": self.path.text(), "hub": self.hub.value()}
        self.model.plain["adapter"] = adapter
        pick = button("", "quiet", "folder-open", partial(self._pick_folder, self.path), "sample.pick", tr("Browse…"))
        pick_adapter = button(
            "", "quiet", "folder-open", partial(self._pick_folder, self.adapter), "sample.pick_adapter", tr("Browse…")
        )
        first, second = row(self.hub, self.path, pick, spacing=8), row(self.adapter, pick_adapter, spacing=8)
        first.setStretch(1, 1)
        made = QWidget()
        whole = column(label(tr("Model that answers"), "label"), spacing=5)
        whole.addLayout(first)
        whole.addWidget(label(setting_label(SampleJob, "adapter"), "label"))
        whole.addLayout(second)
        whole.addWidget(label(setting_label(ModelConfig, "system"), "label"))
        whole.addWidget(self.system)
        made.setLayout(whole)
        return made

    def _what(self) -> QWidget:
        """The questions, and the dataset that is made."""
        self.source = Choice()
        self.source.setObjectName("sample.source")
        self.source.setAccessibleName(setting_label(SampleJob, "source"))
        self.file = Field("", "/path/to/questions.jsonl", "sample.file")
        self.file.setAccessibleName(tr("File with the questions"))
        self.name = Field("", tr("What it is called in the library"), "sample.name")
        self.name.setAccessibleName(setting_label(SampleJob, "dataset"))
        self.source.activated.connect(lambda _place: self._take_source())
        self.file.textChanged.connect(lambda _text: self._take_source())
        self.name.textChanged.connect(lambda text: self.model.set("dataset", text.strip()))
        hint = label(setting_sentence(SampleJob, "source"), "hint", wrap=True)
        return _box(
            label(setting_label(SampleJob, "source"), "label"), self.source, self.file, hint,
            label(setting_label(SampleJob, "dataset"), "label"), self.name,
        )  # fmt: skip

    def _how(self) -> QWidget:
        """Numbers, side by side."""
        grid = QGridLayout()
        grid.setSpacing(12)
        plain = [name for name in NUMBERS if name not in ("keep", "threshold", "margin")]
        for place, name in enumerate(plain):
            grid.addWidget(self._number(name), place // COLUMNS, place % COLUMNS)
        made = QWidget()
        made.setLayout(grid)
        grid.setContentsMargins(0, 0, 0, 0)
        return made

    def _number(self, name: str) -> QWidget:
        declared = SampleJob.model_fields[name]
        title, unit = setting_label(SampleJob, name), extra(declared).get("unit")
        made = Field(f"{self.model.plain[name]:g}", "", f"sample.{name}")
        made.setAccessibleName(title)
        made.setToolTip(setting_sentence(SampleJob, name))
        made.textChanged.connect(lambda text: self.model.set(name, _number_of(text)))
        self.numbers[name] = made
        self._boxes[name] = _box(label(f"{title} ({word('unit', unit)})" if unit else title, "label"), made)
        return self._boxes[name]

    def _which(self) -> QWidget:
        """Which answers are kept, and by what."""
        self.choose = Choice([(one, word("choice", one)) for one in get_args(Chosen)], "all")
        self.choose.setObjectName("sample.choose")
        self.choose.setAccessibleName(setting_label(SampleJob, "choose"))
        self.choose.activated.connect(lambda _place: self.model.set("choose", self.choose.value()))
        self.rewards = Field("", "accuracy, length=0.5", "sample.rewards")
        self.rewards.setAccessibleName(setting_label(SampleJob, "rewards"))
        self.rewards.textChanged.connect(self.model.set_rewards)
        known = labelled(tr("Rewards with their weights"), tr(", ").join(PLAIN_REWARDS))
        more = tr("Those with options or files are given on the command line.")
        self.keep_cut = QCheckBox(setting_label(SampleJob, "keep_cut"))
        self.keep_cut.setObjectName("sample.keep_cut")
        self.keep_cut.setToolTip(setting_sentence(SampleJob, "keep_cut"))
        self.keep_cut.toggled.connect(lambda ticked: self.model.set("keep_cut", ticked))
        return _box(
            label(setting_label(SampleJob, "choose"), "label"), self.choose, self._number("keep"),
            self._number("threshold"), self._number("margin"), label(setting_label(SampleJob, "rewards"), "label"),
            self.rewards, label(f"{known} {more}", "hint", wrap=True), self.keep_cut,
        )  # fmt: skip

    @Slot()
    def _fill_sources(self) -> None:
        value = self._wanted or self.source.value()
        self.source.clear()
        for key, text in self.model.choices:
            self.source.addItem(text, key)
        self.source.set_value(value)
        if self.source.value() == self._wanted:
            self._wanted = ""
        self._take_source()

    def _take_source(self) -> None:
        self.file.setVisible(self.source.value() == FILE)
        self.model.set_source(self.source.value(), self.file.text().strip())

    def _pick_folder(self, field: Field) -> None:
        found = QFileDialog.getExistingDirectory(self, tr("Choose a folder"), field.text())
        if found:
            field.setText(found)
            if field is self.path:
                self.hub.set_value("local")
                self.model.set("model.hub", "local")

    @Slot()
    def _refresh(self) -> None:
        for name in ("keep", "threshold", "margin"):
            self._boxes[name].setVisible(self.model.used(name))
        why = self.model.why_not()
        self._why.setText(why)
        set_enabled(self.go, not why, why)

    @Slot()
    def _start(self) -> None:
        self._error.show_error(None)
        self.model.start()

    @Slot(object)
    def _refused(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot(object)
    def _began(self, run: RunSummary) -> None:
        self.started.emit(run)
        self.accept()


def _box(*items: QWidget) -> QWidget:
    made = QWidget()
    made.setLayout(column(*items, spacing=5))
    return made


def _number_of(text: str) -> int | float | str:
    """A number where it is one; the text itself is refused by name."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
