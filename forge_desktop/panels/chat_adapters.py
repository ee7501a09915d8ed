"""The adapters an instance holds, those that did not fit and why, and loading another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QFrame, QMenu, QVBoxLayout, QWidget

from engine.contract.serving import AdapterState
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Elided, button, clear, column, label, row, set_enabled
from forge_desktop.theme.language import count, error_text, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import size


class AdaptersCard(Card):
    """A list with a deed an entry."""

    loaded = Signal(str)
    """An adapter the person asked for is there, by its name."""

    def __init__(self, instance: InstanceModel, chat: ChatModel) -> None:
        super().__init__(tr("Adapters"))
        self._instance, self._chat = instance, chat
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        self._none = label(tr("None is loaded: the base answers alone."), "hint", wrap=True)
        self.load = button(tr("Load adapter"), "default", "plus", name="chat.load")
        self._menu = QMenu(self.load)
        self._menu.aboutToShow.connect(self._fill_menu)
        self.load.setMenu(self._menu)
        self.body.addWidget(self._none)
        self.body.addLayout(self._list)
        self.body.addWidget(self.load)
        instance.adapters_changed.connect(self.refresh)
        instance.changed.connect(self.refresh)
        chat.column_changed.connect(self._column_changed)
        chat.columns_changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show what there is now."""
        clear(self._list)
        at_work = {one.name for one in self._chat.chat.shown() if one.name}
        for run, held in grouped(self._instance.adapters, at_work):
            self._list.addWidget(self._walked(run, held) if run else self._entry(held[0], held[0].name in at_work))
        for name in sorted(self._instance.loading):
            self._list.addWidget(_line(name, tr("loading…")))
        for name, error in self._instance.misfits.items():
            why = error_text(error)
            gone = button("", "quiet", "x", partial(self._instance.dismiss, name), f"chat.dismiss.{name}",
                          tr("Do not show '{name}' any more", name=name))  # fmt: skip
            self._list.addWidget(_line(name, tr("not compatible: {why}", why=why), gone, bad=True))
        known = self._instance.adapters or self._instance.loading or self._instance.misfits
        self._none.setVisible(not known)
        why_not = "" if self._instance.state == "ready" else tr("No model is loaded.")
        set_enabled(self.load, not why_not, why_not)

    @Slot(str)
    def _column_changed(self, _key: str) -> None:
        self.refresh()

    def _entry(self, one: AdapterState, at_work: bool) -> QWidget:
        facts = [f"r{one.rank}"] if one.rank else []
        facts += [size(one.bytes)] if one.bytes else []
        facts.append(tr("loaded") if one.loaded else tr("loaded when it is asked"))
        gone = button("", "quiet", "x", partial(self._instance.unload, one.name), f"chat.unload.{one.name}",
                      tr("Unload '{name}'", name=one.name))  # fmt: skip
        why = tr("A column answers with it.") if at_work else ""
        gone.setEnabled(not at_work)
        if why:
            gone.setToolTip(why)
        return _line(one.name, " · ".join(facts), gone, chosen=at_work)

    def _walked(self, run: str, held: list[AdapterState]) -> QWidget:
        """Checkpoints that were walked through: one line for all that no column answers with."""
        names = [one.name for one in held]
        gone = button("", "quiet", "x", partial(self._instance.unload, *names), f"chat.unload.{run}@",
                      tr("Unload these checkpoints of '{name}'", name=run))  # fmt: skip
        facts = [count(len(held), "{n} more checkpoint", "{n} more checkpoints"), size(sum(one.bytes for one in held))]
        return _line(run, " · ".join(facts), gone)

    @Slot()
    def _fill_menu(self) -> None:
        self._menu.clear()
        self._menu.addAction(tr("File…"), self._pick_file)
        self._menu.addAction(tr("Folder of an adapter or a checkpoint…"), self._pick_folder)
        if self._instance.offers:
            self._menu.addSeparator()
        for offer in self._instance.offers:
            text = offer.name if not offer.why_not else f"{offer.name} · {offer.why_not}"
            action = self._menu.addAction(
                text.replace("&", "&&"), partial(self._instance.load_run, offer.run, None, self.loaded.emit)
            )
            action.setEnabled(not offer.why_not)

    def _pick_file(self) -> None:
        dialog = QFileDialog(self, tr("Load adapter"), filter=f"{tr('Adapters')} (*.arrow);;{tr('All files')} (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        self._open(dialog)

    def _pick_folder(self) -> None:
        dialog = QFileDialog(self, tr("Folder of an adapter or a checkpoint"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._open(dialog)

    def _open(self, dialog: QFileDialog) -> None:
        dialog.fileSelected.connect(lambda path: self._instance.load_path(path, self.loaded.emit))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def grouped(adapters: Sequence[AdapterState], at_work: Set[str]) -> Iterator[tuple[str, list[AdapterState]]]:
    """Adapters one by one, checkpoints of a run by their steps; several that no column answers with as one, by run."""
    resting = dict[str, list[AdapterState]]()
    for one in adapters:
        run, mark, step = one.name.rpartition("@")
        if mark and step.isdigit() and one.name not in at_work:
            resting.setdefault(run, []).append(one)
    several = {run for run, held in resting.items() if len(held) > 1}
    for one in sorted(adapters, key=lambda one: _by_step(one.name)):
        run = one.name.rpartition("@")[0]
        if run not in several or one not in resting[run]:
            yield "", [one]
        elif one is resting[run][0]:
            yield run, resting[run]


def _by_step(name: str) -> tuple[str, int]:
    run, mark, step = name.rpartition("@")
    return (run, int(step)) if mark and step.isdigit() else (name, -1)


def _line(name: str, facts: str, deed: QWidget | None = None, chosen: bool = False, bad: bool = False) -> QFrame:
    made = QFrame()
    made.setProperty("role", "chosen-line" if chosen else "plain-line")
    said = label(facts, "hint", tone="bad" if bad else "", wrap=True)
    texts = column(Elided(name, "strong"), said, spacing=1)
    layout = row(spacing=4, margins=(10, 6, 2, 6))
    layout.addLayout(texts, 1)
    if chosen:
        tick = label()
        tick.setPixmap(icons.pixmap("check", tokens().accent_text, 16))
        layout.addWidget(tick)
    if deed is not None:
        deed.setFixedWidth(34)
        layout.addWidget(deed)
        layout.setAlignment(deed, Qt.AlignmentFlag.AlignTop)
    made.setLayout(layout)
    return made
