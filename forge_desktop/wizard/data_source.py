"""The card that chooses training rows: the bundled ones, or files and folders that are picked, dropped or typed."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.draft_queries import Look
from forge_desktop.models.recents import Recents
from forge_desktop.theme.controls import Card, Chip, Choice, Elided, Field, button, clear, label, row
from forge_desktop.theme.language import explain, problem_text, sentences, tr, word
from forge_desktop.wizard.check_line import BigChoice
from forge_desktop.wizard.facts_card import reason_text
from forge_desktop.wizard.fields import sign_of
from forge_desktop.wizard.places import pick_files, pick_folder, recent_button, short

FORMATS = ("auto", "messages", "prompt_completion", "alpaca", "sharegpt", "text")


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
        choices = row(self._demo, self._files, spacing=10)
        for place in range(2):
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
        self._lines.setSpacing(8)
        self.body.addLayout(self._lines)
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
        self._files.setChecked(len(sources) > len(bundled))
        state = repr((sources, self._draft.looks, [str(problem) for problem in self._draft.problems]))
        if state == self._shown:
            return  # lists under the keyboard are made anew only when there is something new
        self._shown = state
        clear(self._lines)
        for place, source in enumerate(self._draft.get("data.train")):
            if source["path"]:
                look = self._draft.looks[place] if place < len(self._draft.looks) else Look()
                self._lines.addWidget(_Line(self._draft, place, source, look))

    def _take_demo(self) -> None:
        self._draft.document["data"]["train"] = self._draft.document["data"]["train"][:1]
        self._draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
        self._refresh()

    def _typed(self) -> None:
        if self._path.text().strip():
            self._draft.add_data([self._path.text().strip()])
            self._path.clear()

    def _take_recent(self, path: str, hub: str) -> None:
        self._draft.add_data([path], hub)

    def _pick(self) -> None:
        self._refresh()
        self._files.setChecked(any(s["path"] and s["hub"] != "bundled" for s in self._draft.get("data.train")))
        pick_files(self, tr("Dataset files"), self._draft.add_data)

    def _pick_folder(self) -> None:
        pick_folder(self, tr("Folder with dataset files"), lambda folder: self._draft.add_data([folder]))


class _Line(QWidget):
    """One dataset: where it lies, its form with the reason, how many rows, and a way to take it out."""

    def __init__(self, draft: DraftModel, place: int, source: dict[str, str], look: Look) -> None:
        super().__init__()
        path = str(source["path"])
        name = Elided(tr("Bundled demo data") if source["hub"] == "bundled" else short(path), "strong")
        name.setToolTip(path)
        form = Choice([(key, word("choice", key)) for key in FORMATS], str(source["format"]))
        form.setObjectName(f"wizard.data.{place}.format")
        form.setAccessibleName(tr("Format of {name}", name=short(path)))
        form.setMinimumContentsLength(12)
        form.activated.connect(lambda _index: draft.set_source(place, "format", form.value()))
        gone = button("", "quiet", "x", lambda: draft.remove_data(place), f"wizard.data.{place}.remove", tr("Remove"))
        gone.setAccessibleName(tr("Remove {name}", name=short(path)))
        gone.setFixedWidth(36)
        head = row(name, _chip(look), form, gone, spacing=10)
        head.setStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        text, tone = _said(draft, place, look)
        layout.addWidget(label(sign_of(tone) + text, "hint", tone=tone, wrap=True))


def _chip(look: Look) -> Chip:
    rows, problems = look.facts.get("rows"), look.facts.get("problems") or []
    if look.busy:
        return Chip(tr("Reading…"), "plain", "loader-circle")
    if look.error is not None:
        return Chip(tr("Cannot be read"), "bad", "circle-alert")
    if problems:
        return Chip(tr("{n} problems", n=look.facts.get("bad_rows") or len(problems)), "bad", "circle-alert")
    if isinstance(rows, int):
        more = "" if look.facts.get("complete", True) else "+"
        return Chip(tr("{n} rows", n=f"{rows:,}{more}"), "ok", "check")
    return Chip(tr("Not read yet"), "plain", "hourglass")


def _said(draft: DraftModel, place: int, look: Look) -> tuple[str, str]:
    wrong = draft.problems_of(f"data.train.{place}.path")
    if look.error is not None:
        return sentences(*explain(look.error)), "bad"
    if wrong:
        return problem_text(wrong[0]), "bad"
    form = str(look.facts.get("format") or "")
    columns = ", ".join(str(name) for name in look.facts.get("columns", [])[:6])
    parts = [word("choice", form) if form else "", reason_text(look.facts.get("reason"))]
    if columns:
        parts.append(tr("columns: {columns}", columns=columns))
    return " · ".join(part for part in parts if part) or tr("Its form is found when its rows are read."), ""


def dropped_paths(event: QDragEnterEvent | QDropEvent) -> list[str]:
    """The local files and folders somebody holds over the window."""
    return [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
