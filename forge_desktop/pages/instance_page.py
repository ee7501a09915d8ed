"""The page of one instance that serves: how it is doing, its adapters, who may ask it, and how."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend import Item
from forge_desktop.bridge.session import Session
from forge_desktop.models.run_model import RunModel
from forge_desktop.models.served_model import ServedModel
from forge_desktop.models.serving_words import alert_texts, models_text, state_of
from forge_desktop.panels.log_panel import LogPanel
from forge_desktop.panels.page import ErrorCard, Hint, Page, TwoColumns
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.serving_cards import ServingCards
from forge_desktop.panels.serving_deeds import ServingDeed, ServingDeeds, deeds_of
from forge_desktop.panels.serving_panels import HowToAsk, ServedAdapters, ServedKeys, job_of
from forge_desktop.panels.strip import Strip
from forge_desktop.theme.controls import Chip, Elided, button, clear, column, row, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.measures import ago

LOG_HEIGHT = 260


class InstancePage(Page):
    """Looks every two seconds while it is shown."""

    told = Signal(str)
    """News for the banner."""

    def __init__(self, session: Session, actions: RunActions, uid: str) -> None:
        super().__init__()
        self._session, self._actions = session, actions
        self.run = RunModel(session, uid, self)
        self.model = ServedModel(session, uid, self)
        self.deeds = ServingDeeds(session, self)
        self._shown: list[ServingDeed] | None = None
        self._build_head()
        self.alert = Strip("serving.alert", "triangle-alert", "warn")
        self._ended = ErrorCard("serving.ended")
        self._error = ErrorCard("serving.error")
        for part in (self.alert, self._ended, self._error):
            self.outer.addWidget(part)
        self._build_content()
        self._connect()
        self.run.refetch()
        self._refresh()

    def _build_head(self) -> None:
        back = button("", "quiet", "chevron-left", partial(self.navigate.emit, "serving"), "serving.back",
                      tr("Back to all instances"))  # fmt: skip
        self._name = Elided("", "title")
        self._about = Elided("", "hint")
        self._chip = Chip("", "plain")
        self._buttons = row(spacing=10)
        head = row(back, spacing=10)
        head.addLayout(column(self._name, self._about, spacing=0), 1)
        head.addWidget(self._chip)
        head.addLayout(self._buttons)
        head.addWidget(
            button("", "quiet", "copy", partial(self.navigate.emit, f"serving/like/{self.run.uid}"), "serving.like",
                   tr("Serve another like it…"))
        )  # fmt: skip
        self.outer.addLayout(head)

    def _build_content(self) -> None:
        self.cards = ServingCards(self.model)
        self.adapters = ServedAdapters(self._session, self.model, self.run)
        self.how = HowToAsk(self.model, self.run)
        self.keys = ServedKeys(self.model, self.run)
        self.log = LogPanel(self.run, self._save_log)
        self.log.setMinimumHeight(LOG_HEIGHT)
        self.log.full_wanted.connect(self._show_full)
        main, rail = QWidget(), QWidget()
        self._main = QVBoxLayout(main)
        self._main.setContentsMargins(0, 0, 0, 0)
        self._main.setSpacing(14)
        self._main.addWidget(self.cards)
        self._main.addWidget(self.adapters)
        self._main.addWidget(self.log, 1)
        rail.setLayout(column(self.how, self.keys, None, spacing=14))
        self._columns = TwoColumns(main, rail)
        self._waiting = Hint("loader-circle", tr("Loading the instance"), tr("The job controller is being asked."))
        self._full = QWidget()
        self._full.setLayout(column())
        self._stack = QStackedWidget()
        for shown in (self._waiting, self._columns, self._full):
            self._stack.addWidget(shown)
        self.outer.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.run.changed.connect(self._refresh)
        self.run.failed.connect(self._not_loaded)
        self.run.gone.connect(partial(self.navigate.emit, "serving"))
        self.model.changed.connect(self._refresh)
        self.model.failed.connect(self._error.show_error)
        self.deeds.failed.connect(self._error.show_error)
        self.deeds.told.connect(self.told)
        self.how.told.connect(self.told)
        self.log.told.connect(self.told)
        self._session.online.connect(self._refresh)
        self._session.offline.connect(self._refresh)

    @Slot()
    def _refresh(self, *_news: object) -> None:
        detail, seen = self.run.detail, self.model.seen
        if detail is None:
            return
        run, job = detail.run, job_of(detail)
        if self._stack.currentWidget() is self._waiting:
            self._stack.setCurrentWidget(self._columns)
        self._name.set_text(run.name)
        tone, icon, text = state_of(run, seen, job)
        self._chip.set(text, tone, icon)
        parts = [models_text(seen.instance, job), tr("begun {ago}", ago=ago(run.started or run.created))]
        if seen.instance is not None and seen.instance.restarts:
            parts.append(tr("started again {n} times within an hour", n=seen.instance.restarts))
        self._about.set_text(" · ".join(part for part in parts if part))
        self._show_alerts()
        self._ended.show_error(run.error if run.error is not None and run.state.ended else seen.error)
        self._show_deeds(deeds_of(run, self._session.is_online))

    def _show_alerts(self) -> None:
        status = self.model.seen.status
        found = alert_texts(status) if status is not None else []
        if not found:
            self.alert.hide()
            return
        first, *others = found
        self.alert.say(first[0], "\n".join([first[1], *(f"{what} {more}" for what, more in others)]))

    def _show_deeds(self, deeds: list[ServingDeed]) -> None:
        if deeds == self._shown:
            return  # a button must not go while it is being pressed
        self._shown = deeds
        clear(self._buttons)
        for deed in deeds:
            variant = {"start": "primary", "stop": "danger"}.get(deed.key, "default")
            made = button(deed.text, variant, deed.icon, partial(self._do, deed.key), f"serving.{deed.key}")
            set_enabled(made, not deed.why_not, deed.why_not)
            self._buttons.addWidget(made)

    def _do(self, key: str) -> None:
        if self.run.detail is not None:
            self._error.show_error(None)
            self.deeds.do(key, self.run.detail.run)

    @Slot(object)
    def _not_loaded(self, error: ErrorBody) -> None:
        if self.run.detail is None:
            self._error.show_error(error)
            self._waiting.say(tr("This instance cannot be shown"), "")

    def _save_log(self) -> None:
        if self.run.detail is not None:
            self._actions.save_file(self.run.detail.run, Item("log"), self)

    @Slot(bool)
    def _show_full(self, full: bool) -> None:
        """The log alone, or in its place below the cards."""
        home = self._full.layout() if full else self._main
        if home is not None:
            home.addWidget(self.log)
        if not full:
            self._main.setStretch(self._main.count() - 1, 1)
        self.log.set_full(full)
        self._stack.setCurrentWidget(self._full if full else self._columns)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook."""
        super().showEvent(event)
        self.model.set_watching(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Qt's own hook: nobody looks."""
        super().hideEvent(event)
        self.model.set_watching(False)
