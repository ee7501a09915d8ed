"""The Nodes page: every computer runs may work on, how busy and how well it is, and what can be done to it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.nodes import LOCAL
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.costs_model import CostsModel
from forge_desktop.models.node_words import summary
from forge_desktop.models.nodes_history import NodesHistory
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.models.notices import AT_NODE
from forge_desktop.panels.costs_card import CostsCard
from forge_desktop.panels.node_alert import NodeAlert
from forge_desktop.panels.node_cards import NodeCards
from forge_desktop.panels.node_deeds import NodeDeeds
from forge_desktop.panels.nodes_chart_card import NodesChartCard
from forge_desktop.panels.nodes_heat_card import NodesHeatCard
from forge_desktop.panels.nodes_table import NodesTable
from forge_desktop.panels.page import ErrorCard, Hint, Page
from forge_desktop.theme.controls import Card, Elided, Segments, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import tr

VIEWS = (("cards", "Cards"), ("table", "Table"), ("heat", "Heat map"))
PREFERENCE = "nodes.view"


class NodesPage(Page):
    """Follows the nodes of the window."""

    told = Signal(str)
    """News for the banner."""
    move_wanted = Signal(str)
    """The runs of this node are to be moved."""

    def __init__(self, session: Session, nodes: NodesModel, preferences: Preferences, rest: str = "") -> None:
        super().__init__()
        self._session, self.nodes, self._preferences = session, nodes, preferences
        self._wanted = ""
        self.history = NodesHistory(session, nodes, self)
        self.deeds = NodeDeeds(session, nodes, self)
        self.deeds.told.connect(self.told)
        self.deeds.move_wanted.connect(self.move_wanted)
        self._build_head()
        self._error = ErrorCard("nodes.error")
        self._alert = NodeAlert()
        self._alert.wanted.connect(self.deeds.do)
        self._alert.seen.connect(lambda numbers: nodes.alerts.acknowledge(*numbers))
        self._alert.all_wanted.connect(lambda: self.navigate.emit("settings/alerts"))
        self.outer.addWidget(self._alert)
        self.outer.addWidget(self._error)
        self._retry = button(tr("Try again"), "default", "refresh-cw", nodes.fetch, "nodes.retry")
        self.outer.addLayout(row(self._retry, None))
        self._build_views()
        self.deeds.failed.connect(self._show_error)
        nodes.changed.connect(self._refresh)
        nodes.node_changed.connect(self._refresh)
        nodes.alerts.changed.connect(self._show_alert)
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self.show_view(preferences.get(PREFERENCE, "cards"))
        self._refresh()
        if nodes.error is not None:
            nodes.fetch()
        self._wanted = rest.removeprefix(AT_NODE) if rest.startswith(AT_NODE) else ""
        QTimer.singleShot(0, self, self._select_wanted)
        if rest == "add":
            QTimer.singleShot(0, self, self.deeds.add)  # first the page is shown, and takes the keyboard

    def _build_head(self) -> None:
        self._summary = Elided("", "hint")
        titles = column(label(tr("Nodes"), "display"), self._summary, spacing=0)
        self._views = Segments([(key, tr(text)) for key, text in VIEWS], "cards", "nodes.view")
        self._views.chosen.connect(self.show_view)
        self._more = button("", "default", "ellipsis", self._open_menu, "nodes.more", tr("Import and export"))
        self._more.setAccessibleName(tr("Import and export"))
        self._more.setFixedWidth(42)
        self._rules = button(tr("Alert rules"), "default", "bell", self._open_rules, "nodes.rules")
        self._add = button(tr("Add node"), "primary", "plus", self.deeds.add, "nodes.add")
        line = row(spacing=10)
        line.addLayout(titles, 1)
        for made in (self._views, self._rules, self._more, self._add):
            line.addWidget(made)
        self.outer.addLayout(line)

    def _build_views(self) -> None:
        self.cards = NodeCards(self.nodes)
        self.cards.wanted.connect(self.deeds.do)
        self._table_card = Card(margins=(1, 1, 1, 1))
        self.table = NodesTable(self.nodes)
        self.table.wanted.connect(self.deeds.do)
        self._table_card.body.addWidget(self.table)
        self.heat = NodesHeatCard(self.nodes, self.history)
        self._lone = Hint(
            "server",
            tr("Only this computer so far"),
            tr("Add another computer with Docker, or one you reach by SSH: runs started here then work there, with "
               "the same wizard, the same curves and the same results."),
            tr("Add node"), self.deeds.add,
        )  # fmt: skip
        self._loading = label(tr("Asking for the nodes…"), "hint")
        self.chart = NodesChartCard(self.nodes, self.history)
        self.costs_model = CostsModel(self._session, self)
        self.nodes.changed.connect(self.costs_model.fetch)
        self.costs = CostsCard(self.costs_model)
        self._content = QWidget()
        parts = (self._loading, self.cards, self._table_card, self.heat, self._lone, self.chart, self.costs)
        self._content.setLayout(column(*parts, None, spacing=12, margins=(0, 0, 4, 4)))
        self._area = scrolled(self._content)
        self.outer.addWidget(self._area, 1)

    def put_card(self, card: QWidget) -> None:
        """Show something more, below the nodes and above their curves."""
        layout = self._content.layout()
        if isinstance(layout, QVBoxLayout):
            layout.insertWidget(layout.indexOf(self.chart), card)

    @Slot(str)
    def show_view(self, key: str) -> None:
        """Cards, a table or a heat map."""
        key = key if key in dict(VIEWS) else "cards"
        self._view = key
        self._views.set_value(key)
        self._preferences.set(PREFERENCE, key)
        self._refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self.table.set_room(event.size().width())

    @Slot()
    def _refresh(self, *_news: object) -> None:
        known = self.nodes.is_loaded
        nodes = self.nodes.nodes
        self._summary.set_text(summary(nodes, self.nodes.hot_at) if known else "")
        self._loading.setVisible(not known and self.nodes.error is None)
        self.cards.setVisible(known and self._view == "cards")
        self._table_card.setVisible(known and self._view == "table")
        self.heat.setVisible(known and self._view == "heat")
        lone = known and all(node.profile.name == LOCAL for node in nodes)
        self._lone.setVisible(lone)
        self.chart.setVisible(known and not lone and self._view != "heat")
        self.costs.setVisible(known and not lone)
        self._retry.setVisible(self.nodes.error is not None and not known)
        if self.nodes.error is not None and not known:
            self._error.show_error(self.nodes.error)
        elif known and self._error.isVisibleTo(self) and not self.deeds.has_failed:
            self._error.show_error(None)
        online = self._session.is_online
        self._content.setEnabled(online)
        set_enabled(self._rules, online, tr("The job controller does not answer."))
        self._add.setEnabled(online)
        self._add.setToolTip("" if online else tr("The job controller does not answer."))
        self._show_alert()
        if self._wanted:
            QTimer.singleShot(0, self, self._select_wanted)

    @Slot()
    def _show_alert(self, *_name: object) -> None:
        self._alert.show_troubles(self.nodes.troubles if self.nodes.is_loaded else [])

    def _open_rules(self) -> None:
        """Of the node that is selected, else of all."""
        self.deeds.open_rules(self.selected())

    def select(self, name: str) -> bool:
        """Show one node and give it the keyboard; whether there is such a node."""
        if self.nodes.find(name) is None:
            return False
        if self._view == "table":
            return self.table.select(name)
        self.show_view("cards")
        return self.cards.select(name, self._area)

    def selected(self) -> str:
        """The node that is selected; empty where none is."""
        return self.table.selected() if self._view == "table" else self.cards.selected()

    @Slot()
    def _select_wanted(self) -> None:
        """Once the nodes are known."""
        if self._wanted and self.nodes.is_loaded:
            name, self._wanted = self._wanted, ""
            if not self.select(name):
                self.told.emit(tr("There is no node '{node}' any more.", node=name))

    @Slot(object)
    def _show_error(self, error: ErrorBody | None) -> None:
        self._error.show_error(error)

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setObjectName("nodes.menu")
        menu.addAction(tr("Import nodes…"), self.deeds.ask_import).setObjectName("nodes.import")
        export = menu.addAction(tr("Export all nodes…"), self.deeds.ask_export)
        export.setObjectName("nodes.export")
        export.setEnabled(len(self.nodes.nodes) > 1)
        menu.popup(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    def scroll_to_start(self) -> None:
        """To the nodes."""
        self._area.verticalScrollBar().setValue(0)

    def scroll_to_end(self) -> None:
        """To what they cost."""
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        self._area.verticalScrollBar().setValue(self._area.verticalScrollBar().maximum())

    def error_text(self) -> str:
        """The error shown, if any."""
        return self._error.what.text() if self._error.isVisibleTo(self) else ""

    def alert_text(self) -> str:
        """The worst the strip speaks of."""
        return self._alert.text()

    def alert_texts(self) -> list[str]:
        """All the strip speaks of."""
        return self._alert.texts()

    def summary_text(self) -> str:
        """The line below the title."""
        return self._summary.accessibleName()
