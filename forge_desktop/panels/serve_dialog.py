"""Starting an instance: which model, which adapters on it, who may ask, and within which limits."""

from __future__ import annotations

from functools import partial
from typing import get_args

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QDialog, QFileDialog, QGridLayout, QVBoxLayout, QWidget

from engine.contract.adapter_library import AdapterEntry
from engine.contract.errors import ErrorBody
from engine.contract.serving import ServeJob
from engine.contract.setting import extra
from forge_desktop.bridge.backend_instance import Begun
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.adapter_words import base_of, method_text
from forge_desktop.models.lacking import reasons
from forge_desktop.models.recents import Recents
from forge_desktop.models.serve_draft import NUMBERS, ServeDraft
from forge_desktop.panels.form_line import FormLine
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import (
    Choice,
    Field,
    button,
    clear,
    column,
    label,
    row,
    scrolled,
    set_enabled,
)
from forge_desktop.theme.language import count, problem_text, setting_label, setting_sentence, tr, word
from forge_desktop.theme.measures import ago, size

WIDTH, HEIGHT, HUB_WIDTH = 760, 740, 150
HUBS = ("bundled", "local", "huggingface", "modelscope")
COLUMNS = 2
MOST_ADAPTERS = 60


class ServeDialog(QDialog):
    """Nothing happens before Start; then a run of its own serves the model."""

    started = Signal(object)
    """Begun: the run, and the key that was made with it."""

    def __init__(
        self, session: Session, preferences: Preferences, parent: QWidget, adapter: str = "",
        like: tuple[str, ServeJob] | None = None,
    ) -> None:  # fmt: skip
        """`adapter`: id of one that is served from the start, on its own base; `like`: name and job to begin with."""
        super().__init__(parent)
        self.setObjectName("serve")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Serve a model"))
        self.resize(WIDTH, HEIGHT)
        self.draft = ServeDraft(session, self)
        if like is not None:
            self.draft.begin_like(*like)
        self.lines: dict[str, FormLine] = {}
        """By the setting they show."""
        self.boxes: dict[str, QCheckBox] = {}
        """Adapters that can be chosen, by id."""
        self._recents = Recents(preferences)
        self._error = ErrorCard("serve.refused")
        self._why = label("", "hint", wrap=True)
        self._why.setObjectName("serve.why")
        self.go = button(tr("Start"), "primary", "play", self._start, "serve.start")
        inner = QWidget()
        parts = (self._what(), self._adapters(), self._who(), self._computed(), self._limits())
        inside = column(*parts, None, spacing=16, margins=(0, 0, 10, 0))
        inner.setLayout(inside)
        self._area = scrolled(inner)
        foot = row(self._why, button(tr("Cancel"), on_click=self.reject, name="serve.cancel"), self.go, spacing=10)
        foot.setStretch(0, 1)
        layout = column(label(self.windowTitle(), "card-title"), spacing=12, margins=(20, 18, 20, 18))
        layout.addWidget(self._area, 1)
        layout.addWidget(self._error)
        layout.addLayout(foot)
        self.setLayout(layout)
        self.draft.changed.connect(self._refresh)
        self.draft.listed.connect(self._fill)
        self.draft.refused.connect(self._refused)
        self.draft.begun.connect(self._begun)
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self.draft.fetch(adapter)
        self._fill()

    def _what(self) -> QWidget:
        """Model and name."""
        self.hub = Choice([(one, word("choice", one)) for one in HUBS], "bundled")
        self.hub.setMinimumWidth(HUB_WIDTH)
        self.hub.setObjectName("serve.hub")
        self.hub.setAccessibleName(tr("Source of the model"))
        self.path = Field(hint=tr("Folder or hub id"), name="serve.path")
        pick = button("", "quiet", "folder-open", self._pick_folder, "serve.pick", tr("Browse…"))
        self.recent = Choice([("", tr("Used lately"))])
        self.recent.setObjectName("serve.recent")
        self.recent.setAccessibleName(tr("Models used lately"))
        for path, hub in self._recents.models():
            self.recent.addItem(f"{path.rstrip('/').rpartition('/')[2]} · {word('choice', hub)}", f"{hub}:{path}")
        self.recent.setVisible(self.recent.count() > 1)
        self.recent.activated.connect(lambda _place: self._take_recent())
        self.hub.activated.connect(lambda _place: self.draft.set_model(hub=self.hub.value()))
        self.path.textEdited.connect(lambda text: self.draft.set_model(path=text.strip()))
        line = FormLine(setting_label(ServeJob, "model"), self.path, "", pick)
        self.lines["model"] = line
        first = row(self.hub, self.recent, None, spacing=8)
        name = Field(self.draft.name, tr("Serve {name}", name="…"), "serve.name")
        name.textChanged.connect(lambda text: setattr(self.draft, "name", text.strip()))
        made = QWidget()
        whole = column(label(tr("Source of the model"), "label"), spacing=6)
        whole.addLayout(first)
        whole.addWidget(line)
        whole.addWidget(FormLine(tr("Name of the instance"), name))
        made.setLayout(whole)
        return made

    def _adapters(self) -> QWidget:
        """Those of the library, the ones that fit first."""
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        self._none = label("", "hint", wrap=True)
        box = QWidget()
        inside = column(spacing=6)
        inside.addLayout(self._list)
        inside.addWidget(self._none)
        box.setLayout(inside)
        line = FormLine(setting_label(ServeJob, "adapters"), box,
                        tr("Each is asked for by its name; more can be loaded while it serves."))  # fmt: skip
        self.lines["adapters"] = line
        return line

    def _who(self) -> QWidget:
        """Where it listens, and who may ask."""
        self.unlocked = self._check("open", setting_label(ServeJob, "open"), bool(self.draft.settings.get("open")))
        self.first_key = self._check("first_key", tr("Make a first key with it; it is shown once"), True)
        self.processor = self._check("processor", tr("On the processor, beside training"), False)
        self.restart = self._check("restart", tr("Start it again when its worker dies"),
                                   bool(self.draft.settings.get("restart", True)))  # fmt: skip
        self.unlocked.setToolTip(setting_sentence(ServeJob, "open"))
        self.restart.setToolTip(setting_sentence(ServeJob, "restart"))
        self.unlocked.toggled.connect(lambda ticked: self.draft.set("open", ticked))
        self.restart.toggled.connect(lambda ticked: self.draft.set("restart", ticked))
        self.first_key.toggled.connect(lambda ticked: setattr(self.draft, "first_key", ticked))
        self.processor.clicked.connect(lambda ticked: setattr(self.draft, "on_processor", ticked))
        host = Field(str(self.draft.settings.get("host", "127.0.0.1")), name="serve.host")
        host.textChanged.connect(lambda text: self.draft.set("host", text.strip()))
        self.lines["host"] = FormLine(setting_label(ServeJob, "host"), host, setting_sentence(ServeJob, "host"))
        self.lines["open"] = FormLine(tr("Who may ask"), self.unlocked)
        made = QWidget()
        parts = (self.lines["host"], self.lines["open"], self.first_key, self.processor, self.restart)
        made.setLayout(column(*parts, spacing=8))
        return made

    def _check(self, name: str, text: str, on: bool) -> QCheckBox:
        made = QCheckBox(text)
        made.setObjectName(f"serve.{name}")
        made.setChecked(on)
        return made

    def _computed(self) -> QWidget:
        """Who computes, and what the weights are read in."""
        self.backend = self._choice("backend")
        self.storage = self._choice("llama_storage")
        self.int8 = self._check("int8", setting_label(ServeJob, "int8"), bool(self.draft.settings.get("int8")))
        self.int8.toggled.connect(lambda ticked: self.draft.set("int8", ticked))
        for name, control in (("backend", self.backend), ("llama_storage", self.storage), ("int8", self.int8)):
            title = tr("Precision") if name == "int8" else setting_label(ServeJob, name)
            self.lines[name] = FormLine(title, control, setting_sentence(ServeJob, name))
        made = QWidget()
        made.setLayout(column(*(self.lines[name] for name in ("backend", "llama_storage", "int8")), spacing=8))
        return made

    def _choice(self, name: str) -> Choice:
        """Of a setting that is one of a few."""
        declared = ServeJob.model_fields[name]
        made = Choice([(one, word("choice", one)) for one in get_args(declared.annotation)],
                      str(self.draft.settings.get(name, declared.default)))  # fmt: skip
        made.setObjectName(f"serve.{name}")
        made.activated.connect(lambda _place: self.draft.set(name, made.value()))
        return made

    def _refresh_computed(self) -> None:
        """What goes with who computes, and what cannot be chosen."""
        for value, why in reasons("backend", self.draft.missing):
            self.backend.tell(value, why, not why)
            self.lines["backend"].say(why or setting_sentence(ServeJob, "backend"))
        is_llama = self.backend.value() == "llama_cpp"
        self.lines["llama_storage"].setVisible(is_llama)
        if not self.int8.isChecked():  # what is ticked can be taken away
            set_enabled(self.int8, not is_llama, tr("llama.cpp holds its weights itself."))
        why = self.draft.why_on_processor()
        set_enabled(self.processor, not why, why)
        self.processor.setChecked(self.draft.on_processor or bool(why))

    def _limits(self) -> QWidget:
        """Numbers, two side by side."""
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(14)
        for place, name in enumerate(NUMBERS):
            declared = ServeJob.model_fields[name]
            field = Field(f"{self.draft.settings.get(name, declared.default):g}", name=f"serve.{name}")
            field.textChanged.connect(partial(self._number_typed, name))
            title, unit = setting_label(ServeJob, name), extra(declared).get("unit")
            titled = f"{title} ({word('unit', unit)})" if unit else title
            self.lines[name] = FormLine(titled, field, setting_sentence(ServeJob, name))
            grid.addWidget(self.lines[name], place // COLUMNS, place % COLUMNS)
        for place in range(COLUMNS):
            grid.setColumnStretch(place, 1)
        made = QWidget()
        made.setLayout(grid)
        return made

    def _number_typed(self, name: str, text: str) -> None:
        self.draft.set(name, _number_of(text.strip()))

    @Slot()
    def _fill(self) -> None:
        """The library is known, or another model was chosen for an adapter."""
        if self.path.text().strip() != self.draft.model["path"]:
            self.path.setText(str(self.draft.model["path"]))
        self.hub.set_value(str(self.draft.model["hub"]))
        self._list_fitting()
        self._refresh()

    def _list_fitting(self) -> None:
        """Those of the library that fit the model, where others are shown."""
        lines = {one.path: f"{one.name}   {tr('not in the library')}" for one in self.draft.others()}
        fits = [one for one in self.draft.library if not self.draft.why_not_of(one)][:MOST_ADAPTERS]
        lines |= {one.id: f"{one.name}   {_about(one)}" for one in fits}
        if list(lines) == list(self.boxes):
            return
        clear(self._list)
        self.boxes = {}
        for key, text in lines.items():
            self._list.addWidget(self._adapter_line(key, text))

    def _adapter_line(self, key: str, text: str) -> QCheckBox:
        made = QCheckBox(text.replace("&", "&&"))
        made.setObjectName("serve.adapter")
        made.setChecked(key in self.draft.chosen)
        made.toggled.connect(partial(self.draft.choose, key))
        self.boxes[key] = made
        return made

    def _take_recent(self) -> None:
        hub, _, path = self.recent.value().partition(":")
        if path:
            self.draft.set_model(hub=hub, path=path)
            self._fill()

    def _pick_folder(self) -> None:
        dialog = QFileDialog(self, tr("Folder of a model"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self._take_folder)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _take_folder(self, folder: str) -> None:
        self.draft.set_model(hub="local", path=folder)
        self._fill()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        self._list_fitting()
        for adapter_id, box in self.boxes.items():
            if box.isChecked() != (adapter_id in self.draft.chosen):
                box.setChecked(adapter_id in self.draft.chosen)
        self._none.setText(self._about_adapters())
        self._none.setVisible(bool(self._none.text()))
        is_open = bool(self.draft.settings.get("open"))
        set_enabled(self.first_key, not is_open, tr("Without keys anyone who reaches the address can ask."))
        self._refresh_computed()
        why = self.draft.why_not()
        self._why.setText(why)
        set_enabled(self.go, not why, why)

    def _about_adapters(self) -> str:
        fitting = [one for one in self.draft.library if one.id in self.boxes]
        if not self.draft.library:
            return "" if self.boxes else tr("The library holds no adapter yet: the model is served as it is.")
        if not fitting:
            return tr("None of the library's adapters was made for this model.")
        others = len(self.draft.library) - len(fitting)
        return (
            count(others, "1 other was made for another model.", "{n} others were made for other models.")
            if others
            else ""
        )

    @Slot()
    def _start(self) -> None:
        self._error.show_error(None)
        for line in self.lines.values():
            line.show_problem("")
        self.draft.start()

    def reject(self) -> None:
        """Qt's own hook: the first key is told here alone, so what is being started is waited for."""
        if not self.draft.starting:
            super().reject()

    @Slot(object)
    def _refused(self, error: ErrorBody) -> None:
        """Each problem at its line; those without one, and how many there are, below."""
        self._error.show_error(error)
        first: FormLine | None = None
        for problem in error.problems:
            line = self.lines.get(problem.field) or self.lines.get(problem.field.partition(".")[0])
            if line is not None and not line.problem():
                line.show_problem(problem_text(problem))
                first = first or line
        if first is not None:
            self._area.ensureWidgetVisible(first)
            first.control.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot(object)
    def _begun(self, begun: Begun) -> None:
        self.started.emit(begun)
        self.accept()


def _about(one: AdapterEntry) -> str:
    return " · ".join((base_of(one), method_text(one.card), size(one.bytes), ago(one.created)))


def _number_of(text: str) -> int | float | str:
    """A number where it is one; the text itself is refused by name."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
