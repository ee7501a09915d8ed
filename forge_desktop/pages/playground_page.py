"""The playground: one question to a base model and its adapters side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QWidget

from engine.contract.api import RunDetail
from engine.contract.model import ModelConfig
from engine.contract.serving import ServedAdapter, ServeJob
from forge_desktop.bridge.aside import Aside
from forge_desktop.bridge.backend_instance import Begun
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_batch import BatchModel
from forge_desktop.models.chat_blind import BlindModel
from forge_desktop.models.chat_export import as_json, as_markdown, dataset_name, import_pairs, write
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_turns import ADAPTER, BASE, MOST_COLUMNS, RUN, Column, pairs_of
from forge_desktop.panels.chat_adapters import AdaptersCard
from forge_desktop.panels.chat_batch import BatchPanel, ask_file
from forge_desktop.panels.chat_blind import BlindCard, BlindPanel
from forge_desktop.panels.chat_column import ColumnView
from forge_desktop.panels.chat_input import ChatInput
from forge_desktop.panels.chat_sampling import SamplingCard
from forge_desktop.panels.chat_start import StartPanel
from forge_desktop.panels.key_dialogs import ShowKeyDialog
from forge_desktop.panels.local_keys import bind
from forge_desktop.panels.page import NARROW_PAGE, Page
from forge_desktop.panels.questions import ask_before, ask_name
from forge_desktop.panels.serve_dialog import ServeDialog
from forge_desktop.theme.controls import (
    Elided,
    Segments,
    button,
    clear,
    column,
    face,
    label,
    row,
    scrolled,
    set_enabled,
)
from forge_desktop.theme.language import count, labelled, tr

RAIL = 276
HEAD_ROOM = 1040
"""A narrower head says less: what to serve is told by the button's tooltip."""
OF_RUN = "run"
"""`playground/run/<uid>` and `playground/run/<uid>/<step>` chat with what a run has taught."""


class PlaygroundPage(Page):
    """Columns and their input, settings beside them."""

    told = Signal(str)
    failed = Signal(object)

    def __init__(self, session: Session, preferences: Preferences, rest: str) -> None:
        super().__init__()
        self._session, self._preferences = session, preferences
        self.instance = InstanceModel(session, preferences, self)
        self.instance.failed.connect(self.failed)
        self.model = ChatModel(session, preferences, self.instance, self)
        self.blind = BlindModel(session, preferences, self.model, self.instance, self)
        self.batch = BatchModel(session, preferences, self.model, self.instance, self)
        self._aside = Aside(self)
        self.views: list[ColumnView] = []
        self._was_ready = False
        self._wanted = rest if rest.startswith(f"{OF_RUN}/") else ""
        """What a run has taught is to be loaded, once the model is there."""
        self._build_head()
        self._stack = QStackedWidget()
        self.start = StartPanel(session, preferences, self.instance)
        self.start.run_wanted.connect(self.chat_with)
        self._stack.addWidget(self.start)
        self._stack.addWidget(self._build_chat())
        self.outer.addWidget(self._stack, 1)
        self.instance.changed.connect(self._state_changed)
        self.model.columns_changed.connect(self._columns_changed)
        self.model.busy_changed.connect(self._show_deeds)
        self.model.column_changed.connect(self._column_changed)
        self.instance.adapters_changed.connect(self._show_serve)
        self.model.preferred_changed.connect(self._count_pairs)
        self.blind.changed.connect(self._show_part)
        self.batch.prompts_changed.connect(self.blind_card.refresh)
        bind(self, "local.chat.stop", self.model.stop_all)
        self._columns_changed()
        self._state_changed()
        self.instance.list_runs()
        self._begin = QTimer(self, singleShot=True, interval=0)
        self._begin.timeout.connect(self._take_wanted)
        if self._wanted:
            self._begin.start()

    # Building

    def _build_head(self) -> None:
        self._subtitle = Elided("", "hint")
        titles = column(label(tr("Playground"), "title"), self._subtitle, spacing=2)
        self.mode = Segments(
            [("compare", tr("Compare")), ("single", tr("Single")), ("batch", tr("Batch"))],
            self.model.chat.mode, "chat.mode",
        )  # fmt: skip
        self.mode.chosen.connect(self._set_mode)
        self._add = button("", "quiet", "plus", self.model.add_column, "chat.add", tr("Add a column"))
        self._export = button(tr("Export chat"), "quiet", "download", name="chat.export")
        self._export.clicked.connect(self._show_export)
        self._more = button("", "quiet", "ellipsis", name="chat.more", tip=tr("More that can be done"))
        self._more.clicked.connect(self._show_more)
        self._panel = button("", "quiet", "panel-left", name="chat.panel", tip=tr("Show adapters and sampling"))
        self._panel.setCheckable(True)
        self._panel.setChecked(bool(self._preferences.get("playground.panel", True)))
        self._panel.toggled.connect(self._show_rail)
        for made in (self._add, self._more, self._panel):
            made.setFixedWidth(38)
        self._serve = button("", "primary", "zap", self.serve, "chat.serve")
        head = row(spacing=6)
        head.addLayout(titles, 1)
        for widget in (self.mode, self._add, self._export, self._more, self._panel, self._serve):
            head.addWidget(widget)
        self.outer.addLayout(head)

    def _build_chat(self) -> QWidget:
        made = QWidget()
        beside = QWidget()
        self._columns = QHBoxLayout(beside)
        self._columns.setSpacing(16)
        self._columns.setContentsMargins(0, 0, 0, 0)
        self.blind_panel = BlindPanel(self.blind)
        self.batch_panel = BatchPanel(self._session, self.batch)
        self.batch_panel.told.connect(self.told)
        self.batch_panel.failed.connect(self.failed)
        self._parts = QStackedWidget()
        for part in (beside, self.blind_panel, self.batch_panel):
            self._parts.addWidget(part)
        self.input = ChatInput(self.model)
        self.input.sent.connect(self._send)
        self.input.prompts_wanted.connect(lambda: self._set_mode("batch"))
        main = column(spacing=14)
        main.addWidget(self._parts, 1)
        main.addWidget(self.input)
        self.adapters = AdaptersCard(self.instance, self.model)
        self.adapters.loaded.connect(self._use_adapter)
        self.sampling = SamplingCard(self.model)
        rail = QWidget()
        self.blind_card = BlindCard(self.blind, self.model)
        self.blind_card.save_wanted.connect(self._ask_dataset)
        self._cards = column(self.adapters, self.sampling, self.blind_card, None, spacing=12)
        self._cards.setContentsMargins(0, 0, 2, 0)
        rail.setLayout(self._cards)
        self.rail = scrolled(rail)
        self.rail.setFixedWidth(RAIL)
        self.rail.setVisible(self._panel.isChecked())
        whole = row(spacing=16)
        whole.addLayout(main, 1)
        whole.addWidget(self.rail)
        made.setLayout(whole)
        return made

    # Showing

    @Slot()
    def _state_changed(self) -> None:
        ready = self.instance.state == "ready"
        self._stack.setCurrentIndex(1 if ready else 0)
        self._show_deeds()
        if ready and not self._was_ready and self.isVisible():
            self.input.text.setFocus(Qt.FocusReason.OtherFocusReason)
        self._was_ready = ready
        if ready and self._wanted and not self._begin.isActive():
            self._take_wanted()

    @Slot()
    def _columns_changed(self) -> None:
        chat = self.model.chat
        wanted = chat.shown() if chat.mode != "batch" else []
        self.mode.set_value(chat.mode)
        if [view.objectName() for view in self.views] == [f"chat.column.{one.id}" for one in wanted]:
            for view in self.views:
                view.sync()
        else:
            clear(self._columns)
            self.views = [ColumnView(self._session, self.model, self.instance, one) for one in wanted]
            for view in self.views:
                self._columns.addWidget(view, 1)
            self._fit_rail()
        self._show_deeds()

    @Slot(str)
    def _column_changed(self, _key: str) -> None:
        self._show_serve()

    @Slot()
    def _show_deeds(self) -> None:
        chat = self.model.chat
        number = len(chat.shown())
        name = self.instance.base if self.instance.state == "ready" else ""
        said = tr("Same prompt, {n} models, one base in memory", n=number) if number > 1 else tr("One base in memory")
        self._subtitle.set_text(f"{name} · {said}" if name else tr("Chat with a base model and its adapters"))
        empty = "" if chat.turns else tr("Nothing was said yet.")
        set_enabled(self._export, not empty, empty)
        if not empty:
            self._export.setToolTip(tr("Export chat"))
        full = tr("Four columns are the most.") if len(chat.columns) >= MOST_COLUMNS else ""
        set_enabled(self._add, not full, full)
        if not full:
            self._add.setToolTip(tr("Add a column"))
        self._add.setVisible(chat.mode == "compare" and bool(name) and not self.blind.is_on)
        self._show_serve()
        self._show_part()

    @Slot()
    def _show_serve(self) -> None:
        number = len(self._answering())
        text = count(number, "Serve this adapter", "Serve {n} adapters") if number else tr("Serve this model")
        narrow, more = (
            self.width() < HEAD_ROOM,
            tr("An instance of its own, with an address and keys, that goes on without this page"),
        )
        self._export.setText("" if narrow else face(tr("Export chat"), True))
        self._serve.setText(face(tr("Serve…") if narrow else text, True))
        self._serve.setAccessibleName(text)
        self._serve.setToolTip(labelled(text, more) if narrow else more)
        self._serve.setVisible(self.instance.state == "ready")

    def _answering(self) -> list[ServedAdapter]:
        """The adapters that columns answer with."""
        wanted = dict.fromkeys(one.key for one in self.model.chat.shown())
        found = (self.instance.find(name) for name in wanted)
        return [ServedAdapter(name=one.name, path=one.path) for one in found if one is not None and one.path]

    @Slot()
    def _show_part(self) -> None:
        """Columns, the blind test, or many prompts."""
        batch = self.model.chat.mode == "batch"
        self._parts.setCurrentIndex(2 if batch else 1 if self.blind.is_on else 0)
        self.input.setVisible(not batch)
        self.blind_card.setVisible(self.model.chat.mode == "compare")
        self._count_pairs()

    def pairs(self) -> list[dict[str, Any]]:
        """All that was preferred, in the chat and in blind tests."""
        return [*pairs_of(self.model.chat), *self.blind.rows()]

    @Slot()
    def _count_pairs(self) -> None:
        self.blind_card.set_pairs(len(self.pairs()))

    @Slot(bool)
    def _show_rail(self, shown: bool) -> None:
        self.rail.setVisible(shown)
        self._preferences.set("playground.panel", shown)

    def _fit_rail(self) -> None:
        """Where three columns or more are narrow they would be strips beside it; it comes back with the room."""
        strips = len(self.views) > 2 and self.width() < NARROW_PAGE + RAIL // 2
        wanted = bool(self._preferences.get("playground.panel", True)) and not strips
        self._panel.blockSignals(True)
        self._panel.setChecked(wanted)
        self._panel.blockSignals(False)
        self.rail.setVisible(wanted)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit_rail()
            self._show_serve()

    def _show_more(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("New chat"), self._ask_new).setEnabled(bool(self.model.chat.turns))
        menu.addAction(tr("Choose another model"), self.instance.end).setEnabled(self.instance.state == "ready")
        menu.popup(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    # Doing

    @Slot(str)
    def _send(self, text: str) -> None:
        if self.blind.is_on:
            self.blind.ask(text)
            self.model.set_draft("")
        else:
            self.model.send(text)

    @Slot(str)
    def _set_mode(self, mode: str) -> None:
        if self.blind.is_on:
            self.blind.end()
        self.model.set_mode("single" if mode == "single" else "batch" if mode == "batch" else "compare")

    @Slot()
    def serve(self) -> ServeDialog | None:
        """Serve what columns answer with, for others to ask."""
        if self.instance.model is None:
            return None
        job = ServeJob(model=self.instance.model, adapters=self._answering())
        dialog = ServeDialog(self._session, self._preferences, self, like=("", job))
        dialog.started.connect(self._serving)
        dialog.open()
        return dialog

    @Slot(object)
    def _serving(self, begun: Begun) -> None:
        self.told.emit(tr("'{name}' is being started.", name=begun.run.name))
        if begun.key is not None:
            ShowKeyDialog(begun.key, self).open()

    def _ask_new(self) -> None:
        text = tr("What was said is forgotten for good. Export it first to keep it.")
        ask_before(self, tr("Begin a new chat?"), text, tr("New chat"), "chat.new.yes", self.model.clear)

    @Slot()
    def _show_export(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chat, base = self.model.chat, self.instance.base
        menu.addAction(tr("As Markdown…"), lambda: self._ask_file("chat.md", as_markdown(chat, base)))
        menu.addAction(tr("As JSON…"), lambda: self._ask_file("chat.json", as_json(chat, base)))
        menu.popup(self._export.mapToGlobal(self._export.rect().bottomLeft()))

    def _ask_file(self, name: str, text: str) -> None:
        ask_file(self, tr("Export chat"), name, lambda file: self.save(file, text))

    def save(self, file: str, text: str) -> None:
        """Write a file."""
        done = write(Path(file), text.encode())
        self._aside.do(done, lambda path: self.told.emit(tr("Saved: {path}", path=path)), self.failed.emit)

    @Slot()
    def _ask_dataset(self) -> None:
        ask_name(self, tr("Save as preference dataset"), tr("preferences"), self.save_pairs)

    def save_pairs(self, name: str) -> None:
        """Bring what was preferred into the library."""
        name, rows = dataset_name(name), self.pairs()
        said = tr("'{name}' is being imported: DPO can train on it then.", name=name)
        self._session.transfer(import_pairs(name, rows), lambda _run: self.told.emit(said), self.failed.emit, self)

    @Slot(str)
    def chat_with(self, uid: str, step: str = "") -> None:
        """Load the base of a run, then what it has taught."""
        self._wanted = f"{OF_RUN}/{uid}/{step}".rstrip("/")
        self._take_wanted()

    @Slot()
    def _take_wanted(self) -> None:
        _kind, uid, *rest = self._wanted.split("/")
        self.instance.model_of_run(uid, lambda detail, model: self._got_model(detail, model, rest[0] if rest else ""))

    def _got_model(self, detail: RunDetail, model: ModelConfig, step: str) -> None:
        mine = self.instance.model
        same = mine is not None and (mine.path, mine.hub) == (model.path, model.hub)
        if self.instance.state == "ready" and same:
            self._wanted = ""
            self._use_run(detail, step)
        elif self.instance.state != "starting" or not same:
            self.instance.start(model)

    def _use_run(self, detail: RunDetail, step: str) -> None:
        """The base beside what was taught: its result, or its checkpoints where there is none."""
        uid, name = detail.run.uid, detail.run.name
        self.model.set_mode("compare")
        first, second = self.model.chat.columns[:2]
        self.model.set_answerer(first.id, Column("", BASE))
        made = any(one.kind == "adapter" for one in detail.artifacts)
        if any(one.kind == "model" for one in detail.artifacts):
            return  # what was taught is the base itself
        if step or not made:
            newest = max((one.step for one in detail.checkpoints), default=0)
            self.model.set_answerer(second.id, Column("", RUN, "", uid, name, int(step) if step.isdigit() else newest))
            walked = next((view.scrub for view in self.views if view.objectName().endswith(f".{second.id}")), None)
            if walked is not None:
                walked.reload()
        else:
            self.instance.load_run(uid, None, self._use_adapter)

    @Slot(str)
    def _use_adapter(self, name: str) -> None:
        """A column answers with it: the last one, or the only one."""
        if not any(one.name == name for one in self.model.chat.columns):
            self.model.set_answerer(self.model.chat.shown()[-1].id, Column("", ADAPTER, name))

    def leave(self) -> None:
        """Nobody looks any more; the instance stays a while."""
        self.model.leave()
        self.blind.line.hang_up()
        self.batch.leave()
