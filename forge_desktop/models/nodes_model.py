"""The nodes as pages follow them: as they are now, with the last readings of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.nodes import LOCAL, NodeProfile, NodeProfiles, Nodes, NodeState, NodeView, Transfer
from engine.contract.stream import NodeReading
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_alerts import NodeAlerts
from forge_desktop.models.node_figures import value_of
from forge_desktop.models.node_troubles import Trouble, troubles

RECENT = 60
"""Readings of a node that its small curve shows."""


class NodesModel(QObject):
    """All nodes, this computer last. The controller has the last word: what is done here is seen when it says so."""

    changed = Signal()
    """Nodes came, went, or are known at all."""
    node_changed = Signal(str)
    """One of them is not as it was."""
    reading_came = Signal(str)
    transfer_changed = Signal(str)
    """An image on its way to a node got on."""
    failed = Signal(object)
    """ErrorBody of something that was asked for."""
    done = Signal(str, str)
    """What was done, and to which node."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._nodes: dict[str, NodeView] = {}
        self._recent: dict[str, list[float]] = {}
        self.transfers: dict[str, Transfer] = {}
        self.is_loaded = False
        self.error: ErrorBody | None = None
        """Why the nodes are not known."""
        self.image = ""
        self._asked = 0
        self.alerts = NodeAlerts(session, self)
        self.alerts.changed.connect(self._alerts_changed)
        self.alerts.failed.connect(self.failed)
        session.online.connect(self.fetch)
        session.node_changed.connect(self._node_came)
        session.node_removed.connect(self._node_went)
        session.node_reading.connect(self._reading)
        session.transfer_changed.connect(self._transfer)
        if session.is_online:
            self.fetch()

    @property
    def nodes(self) -> list[NodeView]:
        """All, by the order they were added; this computer last."""
        return sorted(self._nodes.values(), key=lambda node: node.profile.name == LOCAL)

    def find(self, name: str) -> NodeView | None:
        """One of them."""
        return self._nodes.get(name)

    def recent(self, name: str) -> list[float]:
        """How busy a node was lately."""
        return self._recent.get(name, [])

    def seed(self, name: str, values: list[float]) -> None:
        """What was kept of a node before anybody listened."""
        if len(self._recent.get(name, [])) < len(values):
            self._recent[name] = values[-RECENT:]
            self.reading_came.emit(name)

    def hot_at(self, name: str) -> float:
        """°C at which a node counts as hot now, by the rules of alerts."""
        return self.alerts.hot_at(name)

    @property
    def troubles(self) -> list[Trouble]:
        """What is the matter and nobody has seen, the worst first."""
        return troubles(self.alerts.raised, self.nodes)

    @Slot()
    def fetch(self) -> None:
        """Ask for all of them; an older answer that comes late is dropped."""
        self._asked += 1
        asked = self._asked
        self._session.ask(
            lambda backend: backend.nodes(), lambda found: self._got(asked, found), self._lost, owner=self
        )

    def _got(self, asked: int, found: Nodes) -> None:
        if asked != self._asked:
            return
        self.error, self.is_loaded, self.image = None, True, found.image
        self._nodes = {node.profile.name: node for node in found.nodes}
        self.changed.emit()

    def _lost(self, error: ErrorBody) -> None:
        self.error = error
        self.changed.emit()

    @Slot(object)
    def _node_came(self, node: NodeView) -> None:
        known = node.profile.name in self._nodes
        self._nodes[node.profile.name] = node
        if known:
            self.node_changed.emit(node.profile.name)
        elif self.is_loaded:
            self.changed.emit()

    @Slot(str)
    def _node_went(self, name: str) -> None:
        self._recent.pop(name, None)
        if self._nodes.pop(name, None) is not None:
            self.changed.emit()

    @Slot(object)
    def _reading(self, reading: NodeReading) -> None:
        node = self._nodes.get(reading.node)
        if node is None:
            return
        names = {**node.names, **reading.names}
        update = {"values": reading.values, "names": names, "read_at": reading.at, "last_seen": reading.at}
        self._nodes[reading.node] = node.model_copy(update=update)
        busy = value_of("utilisation", reading.values)
        if busy is not None:
            self._recent[reading.node] = [*self._recent.get(reading.node, []), busy][-RECENT:]
        self.reading_came.emit(reading.node)

    @Slot(str)
    def _alerts_changed(self, name: str) -> None:
        for one in [name] if name else list(self._nodes):
            self.node_changed.emit(one)
        if not self._nodes:
            self.node_changed.emit(name)

    @Slot(object)
    def _transfer(self, transfer: Transfer) -> None:
        self.transfers[transfer.node] = transfer
        self.transfer_changed.emit(transfer.node)

    def set_state(self, name: str, state: NodeState) -> None:
        """Drain a node, take it offline, or put it back online."""
        self._do(lambda backend: backend.set_node_state(name, state), state, name)

    def remove(self, name: str) -> None:
        """Use it no longer."""
        self._do(lambda backend: backend.remove_node(name), "removed", name)

    def push_image(self, name: str) -> None:
        """Bring the worker image there."""
        self._do(lambda backend: backend.push_image(name), "pushing", name)

    def import_profiles(self, profiles: NodeProfiles, done: Callable[[Nodes], object]) -> None:
        """Add or change many; all or none."""

        def taken(found: Nodes) -> None:
            self._got(self._asked, found)
            done(found)

        self._session.ask(lambda backend: backend.import_nodes(profiles), taken, self.failed.emit, owner=self)

    def profiles(self, done: Callable[[NodeProfiles], object], names: tuple[str, ...] = ()) -> None:
        """All profiles, or some of them, as they are kept in a file."""

        def some(found: NodeProfiles) -> None:
            chosen: list[NodeProfile] = [one for one in found.nodes if not names or one.name in names]
            done(NodeProfiles(nodes=chosen))

        self._session.ask(lambda backend: backend.node_profiles(), some, self.failed.emit, owner=self)

    def _do(self, work: Callable[[Backend], Any], what: str, name: str) -> None:
        self._session.ask(work, lambda _answer: self.done.emit(what, name), self.failed.emit, owner=self)
