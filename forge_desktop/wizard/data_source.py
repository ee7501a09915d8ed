"""The card that chooses training rows: the bundled ones, or files and folders that are picked, dropped or typed."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMenu, QVBoxLayout

from engine.contract.datasets import DatasetPage
from engine.contract.stages import stage_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.recents import Recents
from forge_desktop.theme.controls import Card, Field, button, clear, label, row
from forge_desktop.theme.language import count, tr
from forge_desktop.wizard.check_line import BigChoice
from forge_desktop.wizard.dataset_line import DatasetLine
from forge_desktop.wizard.places import pick_files, pick_folder, recent_button

MOST_OFFERED = 60
DEMO_ROWS = {
    "conversation": ("demo", "demo/held_out", "demo/validation"),
    "preference": ("demo/preferences", "demo/preferences_held_out", ""),
    "verdict": ("demo/verdicts", "demo/preferences_held_out", ""),
    "class": ("demo/months", "demo/months_held_out", ""),
    "pair": ("demo/pairs", "demo/pairs_held_out", ""),
}
"""Bundled rows to learn from, to ask and to measure on, for each sort of rows."""


class DataSourceCard(Card):
    """Adds to and takes from the draft's training data."""

    def __init__(self, draft: DraftModel, recents: Recents) -> None:
        super().__init__(tr("Training data"))
        self._draft, self._shown = draft, ""
        self.head.addStretch(1)
        self.head.addWidget(recent_button("wizard.data.recent", recents.datasets, self._take_recent))
        self._demo = BigChoice(
            tr("Bundled demo data"), tr("Dates in words → ISO dates, English and Chinese"), "wizard.data.demo"
        )
        self._demo.clicked.connect(self._take_demo)
        self._files = BigChoice(
            tr("Files on this computer"),
            tr("JSONL, JSON, CSV, Parquet or text; or drop them here"),
            "wizard.data.local",
        )
        self._files.clicked.connect(self._pick)
        self._library = BigChoice(tr("Library"), tr("Imported datasets: checked, versioned"), "wizard.data.library")
        self._library.clicked.connect(self._open_library)
        choices = row(self._demo, self._library, self._files, spacing=10)
        for place in range(3):
            choices.setStretch(place, 1)
        self.body.addLayout(choices)
        self._path = Field(hint=tr("/path/to/rows.jsonl"), name="wizard.data.path")
        self._path.setAccessibleName(tr("Dataset file or folder"))
        self._path.returnPressed.connect(self._typed)
        add = button(tr("Add"), "default", "plus", self._typed, name="wizard.data.add")
        folder = button(tr("Folder…"), "default", "folder-open", self._pick_folder, name="wizard.data.folder")
        line = row(self._path, add, folder, spacing=10)
        line.setStretch(0, 1)
        self.body.addLayout(line)
        self._lines = QVBoxLayout()
        self._lines.setSpacing(14)
        self.body.addLayout(self._lines)
        self._together = label("", "label")
        self._together.setObjectName("wizard.data.together")
        self.body.addWidget(self._together)
        draft.changed.connect(self._refresh)
        draft.checked.connect(self._refresh)
        draft.previewed.connect(self._refresh)
        self._refresh()

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self._path.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot()
    def _refresh(self, *_news: object) -> None:
        sources = [source for source in self._draft.get("data.train") if source["path"]]
        bundled = [source for source in sources if source["hub"] == "bundled"]
        self._demo.setChecked(bool(bundled))
        library = [source for source in sources if source["hub"] == "library"]
        self._library.setChecked(bool(library))
        self._files.setChecked(len(sources) > len(bundled) + len(library))
        state = repr([(place, source["path"], source["hub"]) for place, source in enumerate(sources)])
        if state != self._shown:  # lines under the keyboard are made anew only when there are others
            self._shown = state
            clear(self._lines)
            for place, source in enumerate(self._draft.get("data.train")):
                if source["path"]:
                    self._lines.addWidget(DatasetLine(self._draft, place, source))
        rows = self._draft.rows() if len(sources) > 1 else None
        self._together.setText(count(rows or 0, "Together about 1 row an epoch.", "Together about {n} rows an epoch."))
        self._together.setVisible(rows is not None)

    def _take_demo(self) -> None:
        self._draft.document["data"]["train"] = self._draft.document["data"]["train"][:1]
        rows = stage_of(str(self._draft.get("stage"))).rows
        taught = next((found for sort, found in DEMO_ROWS.items() if sort in rows), DEMO_ROWS["conversation"])
        self._draft.set_data(taught[0], "bundled", *taught[1:])
        self._refresh()

    def _open_library(self) -> None:
        self._refresh()
        self._draft.session.ask(
            lambda backend: backend.datasets("", "changed", True, 0, MOST_OFFERED),
            self._offer,
            self._draft.session.failed.emit,
            owner=self,
        )

    def _offer(self, page: DatasetPage) -> None:
        """A menu of what the library holds."""
        menu = QMenu(self)
        menu.setObjectName("wizard.data.library.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for one in page.datasets:
            if one.newest is not None:
                about = count(one.newest.rows, "1 row", "{n} rows")
                action = menu.addAction(f"{one.name} · v{one.newest.n} · {about}")
                action.triggered.connect(partial(self._take_library, one.name, one.newest.hash))
        if menu.isEmpty():
            menu.addAction(tr("Nothing is in the library yet.")).setEnabled(False)
        menu.popup(self._library.mapToGlobal(self._library.rect().bottomLeft()))

    def _take_library(self, name: str, version: str, _checked: bool = False) -> None:
        self._draft.add_library(name, version)

    def _typed(self) -> None:
        if self._path.text().strip():
            self._draft.add_data([self._path.text().strip()])
            self._path.clear()

    def _take_recent(self, path: str, hub: str) -> None:
        self._draft.add_data([path], hub)

    def _pick(self) -> None:
        self._refresh()
        kept = ("bundled", "library")
        self._files.setChecked(any(s["path"] and s["hub"] not in kept for s in self._draft.get("data.train")))
        pick_files(self, tr("Dataset files"), self._draft.add_data)

    def _pick_folder(self) -> None:
        pick_folder(self, tr("Folder with dataset files"), lambda folder: self._draft.add_data([folder]))


def dropped_paths(event: QDragEnterEvent | QDropEvent) -> list[str]:
    """The local files and folders somebody holds over the window."""
    return [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
