"""Picking a model from the catalogue: search, filters, and what the choice brings with it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QWidget

from engine.contract.catalogue import FIT_SHARE, Listed, catalogue
from engine.contract.stream import Resources
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Choice, Field, Segments, column, label, row
from forge_desktop.theme.language import count, language, tr, word
from forge_desktop.theme.measures import percent, size
from forge_desktop.wizard.catalogue_tree import CatalogueTree
from forge_desktop.wizard.check_line import BigChoice

SIZES = (("", 0.0, 1e15), ("small", 0.0, 2e9), ("medium", 2e9, 9e9), ("large", 9e9, 1e15))
LANGUAGES = ("en", "zh", "de", "fr", "es", "ja", "ko", "ru", "ar", "pt", "it", "hi", "th", "vi")


class CataloguePanel(QWidget):
    """A list that shrinks as one types; arrows go from the search into the list."""

    def __init__(self, draft: DraftModel, session: Session) -> None:
        super().__init__()
        self._draft = draft
        self._memory: float | None = None
        self._precision = "bf16"
        self._marked: Listed | None = None
        self._search = Field(hint=tr("Search models…"), name="wizard.catalogue.search")
        self._search.setAccessibleName(tr("Search the catalogue"))
        self._search.textChanged.connect(self._refresh)
        self._search.installEventFilter(self)
        self._size = self._choice("size", tr("Any size"), [(key, word("size", key)) for key, *_ in SIZES if key])
        classes = [(key, word("licence", key)) for key in ("open", "conditions")]
        self._licence = self._choice("licence", tr("Any licence"), classes)
        self._tongue = self._choice("language", tr("Any language"), _languages())
        self._fits = QCheckBox(tr("Fits this computer"))
        self._fits.setObjectName("wizard.catalogue.fits")
        self._fits.setAccessibleName(tr("Fits this computer"))
        self._fits.toggled.connect(self._refresh)
        self._hub = Segments(
            [("huggingface", word("choice", "huggingface")), ("modelscope", word("choice", "modelscope"))],
            "modelscope" if language() == "zh_CN" else "huggingface",
            "wizard.catalogue.hub",
        )
        self._hub.chosen.connect(self._refresh)
        self._tree = CatalogueTree()
        self._tree.picked.connect(self._picked)
        self._rule = label("", "hint", wrap=True)
        self._demo = BigChoice(
            tr("Bundled demo model"), tr("Small, made to be trained in a minute on any computer"), "wizard.model.demo"
        )
        self._demo.clicked.connect(self._take_demo)
        self._lay_out()
        draft.changed.connect(self._mark_demo)
        session.resources.connect(self._machine)
        session.ask(lambda backend: backend.resources(), self._machine, lambda _error: None, owner=self)
        self._refresh()
        self._mark_demo()

    def _lay_out(self) -> None:
        above = row(self._search, label(tr("Download from"), "label"), self._hub, spacing=10)
        above.setStretch(0, 1)
        filters = row(self._size, self._licence, self._tongue, self._fits, None, spacing=10)
        layout = column(self._demo, spacing=10)
        layout.addLayout(above)
        layout.addLayout(filters)
        layout.addWidget(self._tree, 1)
        layout.addWidget(self._rule)
        self.setLayout(layout)

    def _take_demo(self) -> None:
        self._draft.set_model("demo", "bundled")
        self._mark_demo()

    @Slot()
    def _mark_demo(self, *_news: object) -> None:
        self._demo.setChecked(self._draft.get("model.hub") == "bundled")
        listed = self._draft.listed
        if listed is not None and listed != self._marked:
            self._hub.set_value(str(self._draft.get("model.hub")))
            self._refresh()
            self._tree.stand_on(listed)
        self._marked = listed

    def _choice(self, name: str, every: str, choices: list[tuple[str, str]]) -> Choice:
        made = Choice([("", every), *choices])
        made.setObjectName(f"wizard.catalogue.{name}")
        made.setAccessibleName(every)
        made.setMinimumContentsLength(12)
        made.currentIndexChanged.connect(self._refresh)
        return made

    def focus_first(self) -> None:
        """Begin at the search."""
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: down goes from the search into the list, Enter takes its first model."""
        if watched is self._search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Down:
                self._tree.setFocus(Qt.FocusReason.TabFocusReason)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
                self._tree.setFocus(Qt.FocusReason.TabFocusReason)
                if not self._search.text():
                    self._tree.pick_current()
                return True
        return super().eventFilter(watched, event)

    @Slot(object)
    def _machine(self, now: Resources) -> None:
        """What the weights would have to fit into: the GPU's memory if there is one, else the computer's."""
        gpu = now.values.get("gpu0.memory_total")
        memory, precision = (gpu, "bf16") if gpu else (now.values.get("ram.total"), "fp32")
        if (memory, precision) != (self._memory, self._precision):
            self._memory, self._precision = memory, precision
            self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        found = [one for one in catalogue().listed() if self._passes(one)]
        narrowed = bool(self._search.text().strip() or self._fits.isChecked())
        narrowed = narrowed or any(choice.value() for choice in (self._size, self._licence, self._tongue))
        self._tree.show_entries(found, self._hub.value(), self._memory, self._precision, narrowed)
        self._fits.setEnabled(bool(self._memory))
        self._tree.setVisible(bool(found))
        self._rule.setText(self._said(len(found)))

    def _passes(self, one: Listed) -> bool:
        low, high = next((low, high) for key, low, high in SIZES if key == self._size.value())
        if self._fits.isChecked() and one.size.fit(self._memory, self._precision) != "fits":
            return False
        return (
            one.matches(self._search.text())
            and low <= one.size.parameters < high
            and self._licence.value() in ("", one.licence_class)
            and (not self._tongue.value() or self._tongue.value() in one.languages)
        )

    def _said(self, number: int) -> str:
        if not number:
            return tr("No model matches. Change the search or a filter, or give a folder or a hub id.")
        said = count(number, "1 model.", "{n} models.")
        if not self._memory:
            return said
        rule = tr(
            "Fits is a rough rule: the weights alone, in {precision}, take up to {share} of {memory}.",
            precision=self._precision,
            share=percent(FIT_SHARE),
            memory=size(self._memory),
        )
        return f"{said} {rule}"

    @Slot(object)
    def _picked(self, one: Listed) -> None:
        if one.size.hub_id(self._hub.value()) and not one.size.images:
            self._draft.set_model(one.size.hub_id(self._hub.value()), self._hub.value())


def _languages() -> list[tuple[str, str]]:
    return [(code, word("language", code)) for code in LANGUAGES]
