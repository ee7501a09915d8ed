"""The filter of the instances: words, and a chip for each kind, state and node there is."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, QTimer, Slot
from PySide6.QtWidgets import QLabel, QMenu, QPushButton, QWidget

from forge_desktop.models.instances_model import FACETS, Filter, InstancesModel
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.controls import Field, button, column, label, row
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.later import come_after

TYPING_MS = 120
CHIP_HEIGHT = 26
MOST_CHIPS = 8
"""Of nodes; more of them are a menu."""


class InstancesFilter(QWidget):
    """Sets the model's filter. Chips stay the same widgets while their numbers change."""

    def __init__(self, model: InstancesModel) -> None:
        super().__init__()
        self._model = model
        self._chips: dict[tuple[str, str], QPushButton] = {}
        self._shape: list[tuple[str, str]] = []
        self.search = Field(hint=tr("Run, person, image, id …"), name="instances.search")
        self.search.setAccessibleName(tr("Filter the instances"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(240)
        self._all = button(tr("Show all"), "link", on_click=self.clear, name="instances.filter.clear")
        self._holder = QWidget()
        self._flow = FlowLayout(self._holder, 6)
        self._nodes = button("", "toggle-chip", on_click=self._open_nodes, name="instances.filter.nodes")
        self._nodes.setParent(self._holder)
        self._nodes.hide()
        line = row(self.search, self._all, spacing=10)
        line.setStretch(0, 1)
        layout = column(spacing=10)
        layout.addLayout(line)
        layout.addWidget(self._holder)
        self.setLayout(layout)
        self._soon = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._soon.timeout.connect(self._typed)
        self.search.textChanged.connect(lambda _text: self._soon.start())
        model.loaded.connect(self.refresh)
        model.filtered.connect(self.refresh)
        self.refresh()

    def _wanted(self, facet: str) -> frozenset[str]:
        return self._model.filter.wanted.get(facet, frozenset())

    @Slot()
    def _typed(self) -> None:
        self._model.set_filter(Filter(self.search.text(), self._model.filter.wanted))

    def toggle(self, facet: str, value: str, on: bool) -> None:
        """Show those of a value, or no longer only those."""
        values = self._wanted(facet) | {value} if on else self._wanted(facet) - {value}
        self._model.set_filter(Filter(self._model.filter.text, {**self._model.filter.wanted, facet: values}))

    def clear(self) -> None:
        """Show everything."""
        self.search.blockSignals(True)
        self.search.setText("")
        self.search.blockSignals(False)
        self._soon.stop()
        self._model.set_filter(Filter())
        self.search.setFocus()

    @Slot()
    def refresh(self) -> None:
        """Chips for what there is, with how many."""
        counts = {facet: self._model.counts(facet) for facet in FACETS}
        many = len(counts["node"]) > MOST_CHIPS
        shape = [(facet, value) for facet in FACETS for value in counts[facet]
                 if len(counts[facet]) > 1 and not (facet == "node" and many)]  # fmt: skip
        if shape != self._shape or self._nodes.isVisibleTo(self._holder) != many:
            self._rebuild(shape, many)
        for (facet, value), made in self._chips.items():
            text = f"{_name(facet, value)} {counts[facet].get(value, 0)}"
            made.setText(text.replace("&", "&&"))
            made.setAccessibleName(text)
            made.setChecked(value in self._wanted(facet))
        chosen = self._wanted("node")
        nodes = ", ".join(title_of(name) for name in sorted(chosen)) if 0 < len(chosen) < 3 else str(len(chosen))
        text = tr("Nodes: {names}", names=nodes) if chosen else tr("All nodes")
        self._nodes.setText(text.replace("&", "&&"))
        self._nodes.setAccessibleName(text)
        self._nodes.setCheckable(True)
        self._nodes.setChecked(bool(chosen))
        self._all.setVisible(not self._model.filter.is_open)
        self._holder.setVisible(bool(shape) or many)
        self._flow.invalidate()

    def _rebuild(self, shape: list[tuple[str, str]], many: bool) -> None:
        while self._flow.count():
            item = self._flow.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None and widget is not self._nodes:
                widget.hide()
                widget.deleteLater()
        self._shape, self._chips = shape, {}
        texts = {"kind": tr("Kind"), "state": tr("State"), "node": tr("Node")}
        last: QWidget = self._all
        for facet in FACETS:
            values = [value for of, value in shape if of == facet]
            if values or (facet == "node" and many):
                self._flow.addWidget(_title(texts[facet], bool(self._flow.count())))
            for value in values:
                made = button("", "toggle-chip", name=f"instances.{facet}.{value}")
                made.setCheckable(True)
                made.clicked.connect(lambda on, facet=facet, value=value: self.toggle(facet, value, on))
                self._chips[facet, value] = made
                self._flow.addWidget(made)
                come_after(last, made)
                last = made
        self._nodes.setVisible(many)
        if many:
            self._flow.addWidget(self._nodes)
            come_after(last, self._nodes)

    def _open_nodes(self) -> None:
        menu = QMenu(self)
        menu.setObjectName("instances.nodes.menu")
        for name, number in self._model.counts("node").items():
            action = menu.addAction(f"{title_of(name)} {number}".replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(name in self._wanted("node"))
            action.toggled.connect(partial(self.toggle, "node", name))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self._nodes.mapToGlobal(QPoint(0, self._nodes.height() + 2)))
        self.refresh()


def _title(text: str, apart: bool) -> QLabel:
    made = label(text, "label")
    made.setFixedHeight(CHIP_HEIGHT)
    made.setContentsMargins(10 if apart else 0, 0, 2, 0)
    return made


def _name(facet: str, value: str) -> str:
    return title_of(value) if facet == "node" else word(f"instance_{facet}", value)
