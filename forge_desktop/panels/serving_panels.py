"""Cards of an instance's page: its adapters, who may ask it, and how."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QLabel, QMenu, QVBoxLayout, QWidget

from engine.contract.adapter_library import AdapterEntry, AdapterShelf
from engine.contract.api import RunDetail
from engine.contract.serving import AdapterState, MadeKey, ServeJob, ServeKey, name_of
from forge_desktop.bridge.session import Session
from forge_desktop.models.adapter_words import base_of, last_part
from forge_desktop.models.run_model import RunModel
from forge_desktop.models.served_model import ServedModel
from forge_desktop.models.serving_words import curl_text, key_state, python_text
from forge_desktop.panels.key_dialogs import NewKeyDialog, RotateDialog, ShowKeyDialog
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import (
    Card,
    Chip,
    Choice,
    Elided,
    Segments,
    button,
    clear,
    column,
    label,
    line,
    row,
    set_enabled,
)
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, moment, size

MOST_OFFERED = 30


def job_of(detail: RunDetail | None) -> ServeJob | None:
    """What the instance was asked to serve."""
    job = detail.spec.job if detail is not None else None
    return job if isinstance(job, ServeJob) else None


@dataclass(frozen=True)
class _Figures:
    """What changes in an adapter's line."""

    chip: Chip
    rank: QLabel
    size: QLabel
    requests: QLabel

    def show(self, one: AdapterState) -> None:
        """As it is now."""
        if one.loaded:
            self.chip.set(tr("in memory"), "ok", "check")
        else:
            self.chip.set(tr("when asked for"), "plain", "clock")
        self.rank.setText(str(one.rank or "—"))
        self.size.setText(size(one.bytes) if one.bytes else "—")
        self.requests.setText(f"{one.requests:,}")


class ServedAdapters(Card):
    """The adapters an instance knows; more are loaded and others let go while it serves."""

    def __init__(self, session: Session, model: ServedModel, run: RunModel) -> None:
        super().__init__(tr("Adapters"))
        self.setObjectName("serving.adapters")
        self._session, self._model, self._run = session, model, run
        self._shown: object = None
        self._lines: dict[str, _Figures] = {}
        self.library: list[AdapterEntry] = []
        self.load = button(tr("Load…"), "default", "plus", self._ask_library, "serving.load")
        self.head.addStretch(1)
        self.head.addWidget(self.load)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(6)
        self.body.addLayout(self._grid)
        self._none = label("", "hint", wrap=True)
        self.body.addWidget(self._none)
        model.changed.connect(self.refresh)
        run.changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show those there are now."""
        status, job = self._model.seen.status, job_of(self._run.detail)
        states = list(status.adapters) if status is not None else []
        if status is None and job is not None:
            states = [AdapterState(name=one.name, path=one.path) for one in job.adapters]
        set_enabled(self.load, status is not None, tr("Possible once it answers."))
        key = ([(one.name, one.path, one.routed) for one in states], status is None)
        if key != self._shown:
            self._shown = key
            self._lay_out(states, status is not None)
        for one in states:
            self._lines[one.name].show(one)

    def _lay_out(self, states: list[AdapterState], live: bool) -> None:
        """Lines for others than before; figures alone change in their places, so that focus and tooltips stay."""
        clear(self._grid)
        self._lines.clear()
        self._none.setText(tr("It answers as the base model only.") if not states else "")
        self._none.setVisible(not states)
        for place, text in enumerate((tr("Name"), tr("Rank"), tr("On disk"), tr("Requests"), "")):
            if states and text:
                self._grid.addWidget(label(text, "label"), 0, place)
        self._grid.setColumnStretch(0, 1)
        for number, one in enumerate(states):
            self._add(2 * number + 1, one, live)

    def _add(self, place: int, one: AdapterState, live: bool) -> None:
        self._grid.addWidget(line(), place, 0, 1, 5)
        name = Elided(one.name, "strong")
        name.setToolTip(one.path)
        figures = _Figures(Chip(), label(""), label(""), label(""))
        first = QWidget()
        inside = row(name, spacing=8)
        if live and one.routed:
            chosen = Chip("auto", "plain", "target")
            chosen.setToolTip(tr("Requests to the model auto may be answered with it."))
            inside.addWidget(chosen)
        if live:
            inside.addWidget(figures.chip)
        inside.setStretch(0, 1)
        first.setLayout(inside)
        self._grid.addWidget(first, place + 1, 0)
        for number, made in enumerate((figures.rank, figures.size, figures.requests), 1):
            self._grid.addWidget(made, place + 1, number)
        gone = button("", "quiet", "x", partial(self._model.unload, one.name), "serving.unload",
                      tr("Unload {name}", name=one.name))  # fmt: skip
        set_enabled(gone, live, tr("Possible once it answers."))
        self._grid.addWidget(gone, place + 1, 4)
        self._lines[one.name] = figures

    def _ask_library(self) -> None:
        self._session.ask(lambda backend: backend.adapters(), self._offer, self._model.failed.emit, owner=self)

    def _offer(self, shelf: AdapterShelf) -> None:
        menu = QMenu(self)
        menu.setObjectName("serving.load.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, shelf.adapters)
        menu.popup(self.load.mapToGlobal(self.load.rect().bottomLeft()))

    def fill_menu(self, menu: QMenu, library: list[AdapterEntry]) -> None:
        """Those that fit its base by name, the newest first."""
        job, status = job_of(self._run.detail), self._model.seen.status
        mine = last_part(job.model.path) if job is not None else ""
        paths = {one.path for one in status.adapters} if status is not None else set()
        fits = [one for one in library if not one.missing and one.path not in paths
                and base_of(one).casefold() in ("", mine.casefold())]  # fmt: skip
        names = {one.name for one in status.adapters} if status is not None else set()
        for one in fits[:MOST_OFFERED]:
            name = name_of(one.name)
            served = name if name not in names else f"{name[:110]}-{one.created:.0f}"
            action = menu.addAction(f"{one.name} · {ago(one.created)}", partial(self._model.load, served, one.path))
            action.setObjectName("serving.load.one")
        if not fits:
            menu.addAction(tr("No other adapter of the library fits this model.")).setEnabled(False)


class ServedKeys(Card):
    """Who may ask: made, rotated, revoked here."""

    def __init__(self, model: ServedModel, run: RunModel) -> None:
        super().__init__(tr("Keys"))
        self.setObjectName("serving.keys")
        self._model, self._run = model, run
        self.make = button(tr("Make key…"), "default", "key-round", self.make_one, "serving.make_key")
        self.head.addStretch(1)
        self.head.addWidget(self.make)
        self._list = QVBoxLayout()
        self._list.setSpacing(10)
        self.body.addLayout(self._list)
        model.keys_changed.connect(self.refresh)
        model.changed.connect(self.refresh)
        model.made_key.connect(self.show_key)
        run.changed.connect(self.refresh)
        self._shown: object = None
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show those there are now."""
        job = job_of(self._run.detail)
        is_open = job is not None and job.open
        chips = [key_state(one, time.time()) for one in self._model.keys]
        key = (repr(self._model.keys), chips, is_open)
        if key == self._shown:
            return
        self._shown = key
        clear(self._list)
        if is_open:
            text = tr("It answers without a key to anyone who reaches its address.")
            self._list.addWidget(label(text, "hint", "warn", wrap=True))
        elif not self._model.keys:
            self._list.addWidget(
                label(tr("Nobody has a key yet: make one to ask it from elsewhere."), "hint", wrap=True)
            )
        for one in self._model.keys:
            self._list.addWidget(self._line(one))

    def _line(self, one: ServeKey) -> QWidget:
        tone, text = key_state(one, time.time())
        chip = Chip(text, tone, "key-round")
        chip.setToolTip(moment(one.expires) if one.expires else "")
        about = [f"{one.hint}…", one.tenant, tr("tier {n}", n=one.tier),
                 ", ".join(word("scope", scope) for scope in one.scopes), ago(one.created)]  # fmt: skip
        first = row(Elided(one.name or one.hint, "strong"), chip, spacing=8)
        first.setStretch(0, 1)
        said = label(" · ".join(part for part in about if part), "hint", wrap=True)
        rotate = button(tr("Rotate…"), "link", on_click=partial(self.rotate, one), name="serving.rotate")
        set_enabled(
            rotate, not one.replaced_by and tone != "bad", tr("Another key has taken its place, or it is over.")
        )
        revoke = button(tr("Revoke…"), "link", on_click=partial(self.revoke, one), name="serving.revoke")
        for link in (rotate, revoke):
            link.setAccessibleName(f"{link.text()} {one.name or one.hint}")
        made = QWidget()
        whole = column(spacing=2)
        whole.addLayout(first)
        whole.addWidget(said)
        whole.addLayout(row(rotate, revoke, None, spacing=6))
        made.setLayout(whole)
        return made

    def make_one(self) -> NewKeyDialog:
        """Open the dialog that asks for one."""
        dialog = NewKeyDialog(self, self._model.make_key, self.show_key)
        dialog.open()
        return dialog

    @Slot(object)
    def show_key(self, made: MadeKey) -> None:
        """The only time it is told."""
        ShowKeyDialog(made, self.window()).open()

    def rotate(self, one: ServeKey) -> None:
        """Ask how long the old one goes on."""
        RotateDialog(self, one, partial(self._model.rotate, one.id)).open()

    def revoke(self, one: ServeKey) -> None:
        """Ask, then refuse it."""
        text = tr("Whoever uses it is refused from then on. That cannot be taken back.")
        ask_before(self, tr("Revoke '{name}'?", name=one.name or one.hint), text, tr("Revoke"), "serving.revoke.yes",
                   partial(self._model.revoke, one.id))  # fmt: skip


class HowToAsk(Card):
    """Where it answers, and requests to paste elsewhere."""

    told = Signal(str)

    def __init__(self, model: ServedModel, run: RunModel) -> None:
        super().__init__(tr("How to ask it"))
        self.setObjectName("serving.how")
        self._model, self._run = model, run
        self._address = Elided("", "strong")
        self._copy = button("", "link", "copy", self._copy_address, "serving.copy.address", tr("Copy the address"))
        first = row(self._address, self._copy, spacing=6)
        first.setStretch(0, 1)
        self.way = Segments([("curl", "curl"), ("python", "Python")], "curl", "serving.way")
        self.way.chosen.connect(lambda _way: self.refresh())
        self.models = Choice()
        self.models.setObjectName("serving.model")
        self.models.setAccessibleName(tr("Model"))
        self.models.setMinimumContentsLength(5)
        self.models.activated.connect(lambda _place: self.refresh())
        self._copy_text = button(
            "", "quiet", "copy", self._copy_snippet, "serving.copy.snippet", tr("Copy the request")
        )
        self._copy_text.setFixedWidth(40)
        second = row(self.way, self.models, self._copy_text, spacing=8)
        second.setStretch(1, 1)
        self._bar = QWidget()
        self._bar.setLayout(second)
        self.snippet = label("", "excerpt", wrap=True, select=True)
        self.snippet.setObjectName("serving.snippet")
        self._hint = label("", "hint", wrap=True)
        self.body.addLayout(first)
        for part in (self._bar, self.snippet, self._hint):
            self.body.addWidget(part)
        model.changed.connect(self.refresh)
        run.changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show where it answers now."""
        found, job = self._model.seen.instance, job_of(self._run.detail)
        address = found.address if found is not None else ""
        ready = bool(address)
        self._address.set_text(f"{address}/v1" if ready else tr("No address yet"))
        for part in (self._copy, self._bar, self.snippet):
            part.setVisible(ready)
        is_open = job is not None and job.open
        self._hint.setText(self._about(ready, is_open))
        self._hint.setVisible(bool(self._hint.text()))
        if found is None or not ready:
            return
        status = self._model.seen.status
        names = [found.models[0], *(one.name for one in status.adapters)] if status and found.models else found.models
        names = list(dict.fromkeys([*names, "auto"]))
        if [self.models.itemData(place) for place in range(self.models.count())] != names:
            kept = self.models.value()
            self.models.clear()
            for name in names:
                self.models.addItem(tr("auto (the router)") if name == "auto" else name, name)
            self.models.set_value(kept)
        text = curl_text if self.way.value() == "curl" else python_text
        self.snippet.setText(text(address, self.models.value(), is_open))

    def _about(self, ready: bool, is_open: bool) -> str:
        if not ready:
            return tr("It stands here as soon as the instance answers.")
        return "" if is_open else tr("Put a key in the place of YOUR_KEY.")

    def _copy_address(self) -> None:
        found = self._model.seen.instance
        if found is not None and found.address:
            self._give(f"{found.address}/v1")

    def _copy_snippet(self) -> None:
        self._give(self.snippet.text())

    def _give(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.told.emit(tr("Copied."))
