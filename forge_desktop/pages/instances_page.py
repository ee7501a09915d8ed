"""The Instances page: every container and process on every node, what it does, and what can be done to it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, Signal, Slot
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.nodes import Instance
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.instance_words import VERBS, summary, why_not
from forge_desktop.models.instances_model import COLUMNS, Filter, InstancesModel
from forge_desktop.models.node_words import title_of
from forge_desktop.panels.hint_stack import HintStack
from forge_desktop.panels.instance_deeds import InstanceDeeds
from forge_desktop.panels.instances_bar import ICONS, InstancesBar, verb_text
from forge_desktop.panels.instances_filter import InstancesFilter
from forge_desktop.panels.instances_table import InstancesTable
from forge_desktop.panels.page import ErrorCard, Hint, Page
from forge_desktop.panels.row_menu import add_deeds, pop_up
from forge_desktop.panels.strip import Strip
from forge_desktop.theme.controls import Card, Elided, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import explain, sentences, tr

PREFERENCE, SORT_PREFERENCE = "instances.filter", "instances.sort"


class InstancesPage(Page):
    """Asks again every few seconds while it is shown."""

    told = Signal(str)
    """News for the banner."""

    def __init__(self, session: Session, preferences: Preferences) -> None:
        super().__init__()
        self._session, self._preferences = session, preferences
        self.model = InstancesModel(session, self)
        self._recall()
        self.deeds = InstanceDeeds(self.model, self)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(28, 22, 28, 20)
        self._column.setSpacing(14)
        self.outer.setContentsMargins(0, 0, 0, 0)
        self.outer.addWidget(scrolled(content))
        self._build_head()
        self._build_strips()
        self.filter = InstancesFilter(self.model)
        self.search = self.filter.search
        self.search.setText(self.model.filter.text)
        self.bar = InstancesBar()
        self.table = InstancesTable(self.model)
        for part in (self.filter, self.bar):
            self._column.addWidget(part)
        self._build_stack()
        self._connect()
        self.model.fetch()
        self._refresh()

    def _build_head(self) -> None:
        self._summary = Elided("", "hint")
        titles = column(label(tr("Instances"), "display"), self._summary, spacing=0)
        self._look = button(tr("Look again"), "default", "refresh-cw", self.model.fetch, "instances.refresh")
        line = row(spacing=10)
        line.addLayout(titles, 1)
        line.addWidget(self._look)
        self._column.addLayout(line)

    def _build_strips(self) -> None:
        self._adopt = button(tr("Adopt"), "default", "download", self._adopt_all, "instances.adopt")
        show = button(tr("Show them"), "quiet", on_click=self._show_strangers, name="instances.strangers")
        self.strangers = Strip("instances.unknown", "circle-question-mark", "info", show, self._adopt)
        nodes = button(tr("Open nodes"), "quiet", on_click=partial(self.navigate.emit, "nodes"), name="instances.nodes")
        self.lost = Strip("instances.unreachable", "unplug", "warn", nodes)
        self._error = ErrorCard("instances.error")
        for part in (self.lost, self.strangers, self._error):
            self._column.addWidget(part)

    def _build_stack(self) -> None:
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        asked = tr("Each node is being asked what runs there.")
        self._hints = {
            "loading": Hint("loader-circle", tr("Loading the instances"), asked),
            "offline": Hint(
                "wifi-off",
                tr("Nobody answers yet"),
                tr("The job controller is started and asked again by itself. Runs that are at work go on meanwhile."),
            ),
            "error": Hint("circle-alert", tr("The instances are not known"), tr("It is tried again by itself."),
                          tr("Try again"), self.model.fetch),
            "none": Hint("container", tr("Nothing is at work"),
                         tr("Workers of runs appear here as soon as they start: on this computer and on every node."),
                         tr("New run"), partial(self.navigate.emit, "new")),
            "no_match": Hint("search", tr("No instance matches"), tr("Change the words or the chips above."),
                             tr("Show all"), self.filter.clear),
        }  # fmt: skip
        self._stack = HintStack(card, self._hints)
        self._column.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.model.loaded.connect(self._loaded)
        self.model.filtered.connect(self._filtered)
        self.model.sorted.connect(self._sorted)
        self.model.failed.connect(self._failed)
        self.table.picked_changed.connect(self._show_picked)
        self.table.opened.connect(self._open)
        self.table.menu_wanted.connect(self._menu)
        self.bar.wanted.connect(lambda verb: self.deeds.do(verb, self.table.picked()))
        self.bar.none_wanted.connect(self.table.clearSelection)
        self.deeds.told.connect(self.told)
        self.deeds.failed.connect(self._show_error)
        self._session.online.connect(self._refresh)
        self._session.offline.connect(self._refresh)

    def _recall(self) -> None:
        kept = self._preferences.get(PREFERENCE)
        if isinstance(kept, dict) and isinstance(kept.get("wanted"), dict):
            wanted = {str(facet): frozenset(map(str, values)) for facet, values in kept["wanted"].items()}
            self.model.filter = Filter(str(kept.get("text", "")), wanted)
        order = self._preferences.get(SORT_PREFERENCE)
        if isinstance(order, dict):
            self.model.sort_by(str(order.get("key", "")), bool(order.get("falling")))

    @Slot()
    def _filtered(self) -> None:
        wanted = {facet: sorted(values) for facet, values in self.model.filter.wanted.items() if values}
        self._preferences.set(PREFERENCE, {"text": self.model.filter.text, "wanted": wanted})
        self._refresh()

    @Slot()
    def _sorted(self) -> None:
        self._preferences.set(SORT_PREFERENCE, {"key": self.model.sort_key, "falling": self.model.falling})
        self._show_summary()

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        self._refresh()

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._show_error(error)
        self._refresh()

    @Slot(object)
    def _show_error(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot()
    def _refresh(self, *_news: object) -> None:
        online, known = self._session.is_online, self.model.has_loaded
        self._show_summary()
        self._tell_strangers(online)
        self._tell_lost()
        self.filter.setVisible(known and bool(self.model.all))
        set_enabled(self._look, online, tr("The job controller does not answer."))
        self._stack.show_hint("" if self.model.rows else self._state(online, known))
        self._show_picked()

    def _show_summary(self) -> None:
        """How many there are; and their order, whose column may have no room."""
        by = next((tr(one.title) for one in COLUMNS if one.key == self.model.sort_key), "")
        order = tr("sorted by {column}", column=by) if by else ""
        parts = (summary(self.model.all), order) if self.model.all else ()
        self._summary.set_text(" · ".join(part for part in parts if part))

    def _state(self, online: bool, known: bool) -> str:
        if known:
            return "no_match" if self.model.all else "none"
        if not online:
            return "offline"
        return "error" if self._error.isVisibleTo(self) else "loading"

    def _tell_strangers(self, online: bool) -> None:
        found = self.model.strangers
        nodes = ", ".join(dict.fromkeys(title_of(one.node) for one in found))
        one = tr("1 instance on {nodes} is unknown to the history", nodes=nodes)
        many = tr("{n} instances on {nodes} are unknown to the history", n=len(found), nodes=nodes)
        more = tr("This program labelled it, but no run here knows it: perhaps the history was restored or moved. "
                  "Adopting takes journal and results in.")  # fmt: skip
        self.strangers.say("" if not found else one if len(found) == 1 else many, more)
        set_enabled(self._adopt, online, tr("The job controller does not answer."))

    def _tell_lost(self) -> None:
        lost = self.model.unreachable
        names = ", ".join(title_of(name) for name in sorted(lost))
        text = tr("Not answering: {names}", names=names) if lost else ""
        reasons = dict.fromkeys(sentences(*explain(error)[:2]) for error in lost.values())
        known = tr("What is shown of it is what was known last; it most likely goes on.")
        shown = any(one.node in lost for one in self.model.all)
        self.lost.say(text, sentences(*list(reasons)[:2], known if shown else ""))

    @Slot()
    def _show_picked(self) -> None:
        offline = "" if self._session.is_online else tr("The job controller does not answer.")
        self.bar.show_picked(self.table.picked(), offline)

    def _adopt_all(self) -> None:
        self.deeds.do("adopt", self.model.strangers)

    def _show_strangers(self) -> None:
        """They come first in the list: mark them."""
        if any(self.model.row_of(one.id) < 0 for one in self.model.strangers):
            self.filter.clear()
        self.table.pick([one.id for one in self.model.strangers])
        self.table.scrollToTop()
        self.table.setFocus()

    @Slot(object)
    def _open(self, one: Instance) -> None:
        if one.run and one.known:
            self.navigate.emit(f"run/{one.run}")

    @Slot(object, QPoint)
    def _menu(self, one: Instance, place: QPoint) -> None:
        pop_up(self, "instances.menu", place, lambda menu: self.fill_menu(menu, one))

    def fill_menu(self, menu: QMenu, one: Instance) -> None:
        """What can be done with one."""
        no_run = "" if one.run and one.known else tr("No run of the history belongs to it.")
        entries = (
            ("open", "arrow-right", tr("Open run"), lambda: self._open(one), no_run),
            ("log", "file-text", tr("Open log"), lambda: self.navigate.emit(f"run/{one.run}/log"), no_run),
            ("copy", "copy", tr("Copy id"), lambda: self._copy(one.id), ""),
        )
        add_deeds(menu, "instances.menu", entries)
        order = menu.addMenu(tr("Sort by"))
        order.setObjectName("instances.sort")
        self.table.header.fill_menu(order)
        menu.addSeparator()
        offline = "" if self._session.is_online else tr("The job controller does not answer.")
        verbs = [verb for verb in VERBS if verb != "adopt" or not one.known]
        add_deeds(menu, "instances.menu", (
            (verb, ICONS[verb], verb_text(verb), partial(self.deeds.do, verb, [one]), offline or why_not(one, verb))
            for verb in verbs
        ))  # fmt: skip

    def _copy(self, name: str) -> None:
        QGuiApplication.clipboard().setText(name)
        self.told.emit(tr("Copied: {path}", path=name))

    def state(self) -> str:
        """Which hint stands instead of rows; empty while rows are shown."""
        return self._stack.state

    def error_text(self) -> str:
        """The error shown, if any."""
        return self._error.what.text() if self._error.isVisibleTo(self) else ""

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook."""
        super().showEvent(event)
        self.model.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Qt's own hook."""
        super().hideEvent(event)
        self.model.watch(False)

    def leave(self) -> None:
        """Nobody looks any more."""
        self.model.watch(False)
