"""The nodes as cards, as many beside each other as there is room for."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QScrollArea, QWidget

from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.panels.node_card import NodeCard

LEAST_WIDTH, MOST_BESIDE = 352, 3


class NodeCards(QWidget):
    """Follows the model; a card lives as long as its node."""

    wanted = Signal(str, str)

    def __init__(self, nodes: NodesModel) -> None:
        super().__init__()
        self.setObjectName("nodes.cards")
        self._nodes = nodes
        self._cards: dict[str, NodeCard] = {}
        self._columns = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(12)
        nodes.changed.connect(self._refresh)
        nodes.node_changed.connect(self._show)
        nodes.reading_came.connect(self._show)
        nodes.transfer_changed.connect(self._show)
        self._refresh()

    def card(self, name: str) -> NodeCard | None:
        """The card of a node."""
        return self._cards.get(name)

    def select(self, name: str, area: QScrollArea | None = None) -> bool:
        """Mark a card, bring it into sight, and give it the keyboard."""
        card = self._cards.get(name)
        if card is None:
            return False
        self._mark(name)
        card.take_keyboard()
        if area is not None:
            QTimer.singleShot(0, card, lambda: area.ensureWidgetVisible(card))
        return True

    @Slot(str)
    def _mark(self, name: str) -> None:
        for card in self._cards.values():
            card.mark(card.name == name)

    def selected(self) -> str:
        """The card that is marked."""
        return next((name for name, card in self._cards.items() if card.is_marked), "")

    @Slot()
    def _refresh(self) -> None:
        names = [node.profile.name for node in self._nodes.nodes]
        for gone in self._cards.keys() - set(names):
            card = self._cards.pop(gone)
            self._grid.removeWidget(card)
            card.hide()
            card.deleteLater()
        for name in names:
            if name not in self._cards:
                self._cards[name] = NodeCard(name)
                self._cards[name].wanted.connect(self.wanted)
                self._cards[name].chosen.connect(self._mark)
            self._show(name)
        self._arrange(again=True)

    @Slot(str)
    def _show(self, name: str) -> None:
        node, card = self._nodes.find(name), self._cards.get(name)
        if node is not None and card is not None:
            card.show_node(node, self._nodes.hot_at(name))
            card.show_recent(self._nodes.recent(name))
            card.show_transfer(self._nodes.transfers.get(name))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self, again: bool = False) -> None:
        room = self.width() + self._grid.spacing()
        least = max((card.minimumSizeHint().width() for card in self._cards.values()), default=0)
        columns = max(1, min(MOST_BESIDE, room // (max(LEAST_WIDTH, least) + self._grid.spacing())))
        if columns == self._columns and not again:
            return
        for card in self._cards.values():
            self._grid.removeWidget(card)
        for place in range(MOST_BESIDE):
            self._grid.setColumnStretch(place, 1 if place < columns else 0)
        before: QWidget | None = None
        for place, node in enumerate(self._nodes.nodes):
            card = self._cards[node.profile.name]
            self._grid.addWidget(card, place // columns, place % columns)
            if before is not None:
                QWidget.setTabOrder(before, card)
            before = card
        self._columns = columns
