"""What a version of a dataset says of itself: how it is read, where it came from, who learned from it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from engine.contract.datasets import Column, DatasetDetail, Manifest, Repair
from forge_desktop.models.dataset_words import format_text, problem_text
from forge_desktop.theme.controls import Card, Chip, Elided, button, clear, label, row
from forge_desktop.theme.language import note_text, tr, word
from forge_desktop.theme.measures import ago, count_of, moment, percent, size

MOST_COLUMNS, MOST_RUNS, MOST_LANGUAGES = 12, 6, 4


class DatasetFacts(QWidget):
    """Cards for the rail."""

    navigate = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._about, self._columns, self._runs = Card(tr("About")), Card(tr("Columns")), Card(tr("Runs that used it"))
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(7)
        self._grid.setColumnStretch(1, 1)
        self._about.body.addLayout(self._grid)
        self._list, self._users = QVBoxLayout(), QVBoxLayout()
        self._columns.body.addLayout(self._list)
        self._runs.body.addLayout(self._users)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(14)
        for card in (self._about, self._columns, self._runs):
            layout.addWidget(card)
        layout.addStretch(1)

    def show_dataset(self, detail: DatasetDetail) -> None:
        """Of the chosen version."""
        manifest = detail.manifest
        self._columns.setVisible(manifest is not None and bool(manifest.columns))
        if manifest is not None:
            self._show_about(manifest)
            clear(self._list)
            for column in manifest.columns[:MOST_COLUMNS]:
                self._list.addWidget(_column_line(column))
            if len(manifest.columns) > MOST_COLUMNS:
                self._list.addWidget(label(tr("… and {n} more", n=len(manifest.columns) - MOST_COLUMNS), "hint"))
        clear(self._users)
        self._runs.setVisible(bool(detail.runs))
        for run in sorted(detail.runs, key=lambda one: -one.created)[:MOST_RUNS]:
            opened = button(run.name, "link", on_click=partial(self.navigate.emit, f"run/{run.run}"),
                            name=f"dataset.run.{run.run}")  # fmt: skip
            about = label(f"v{run.version} · {word('state', run.state)} · {ago(run.created)}", "hint", wrap=True)
            made = QWidget()
            layout = QVBoxLayout(made)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
            layout.addLayout(row(opened, None))
            layout.addWidget(about)
            self._users.addWidget(made)

    def _show_about(self, manifest: Manifest) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for place, (name, value, tip) in enumerate(lines_of(manifest)):
            said = label(value, "body", wrap=True)
            said.setToolTip(tip)
            self._grid.addWidget(label(name, "label"), place, 0)
            self._grid.addWidget(said, place, 1)


def lines_of(manifest: Manifest) -> list[tuple[str, str, str]]:
    """Name, value and tooltip of what is worth a line."""
    reason = manifest.reason
    why = note_text(str(reason["code"]), dict(reason.get("params", {}))) if reason.get("code") else ""
    languages = sorted(manifest.languages.items(), key=lambda one: -one[1])[:MOST_LANGUAGES]
    spoken = ", ".join(f"{_language(code)} {percent(share)}" for code, share in languages if share >= 0.005)
    turns = ", ".join(f"{word('role', role)} {count_of(number)}" for role, number in manifest.turns.items())
    made = " → ".join(repair_text(repair) for repair in manifest.repairs)
    lines = [
        (tr("Format"), format_text(manifest.format), why),
        (tr("Rows"), f"{manifest.rows:,}", ""),
        (tr("Refused"), f"{manifest.refused:,}" if manifest.refused else "", ""),
        (tr("Turns"), turns, ""),
        (tr("Languages"), spoken, ""),
        (tr("Size"), size(manifest.bytes), tr("{n} characters", n=f"{manifest.characters:,}")),
        (tr("Encoding"), manifest.encoding.upper() if manifest.encoding != "utf-8" else "", ""),
        (tr("Source"), _source(manifest), manifest.source.place),
        (tr("Repairs"), made, ""),
        (tr("Made"), ago(manifest.created), moment(manifest.created)),
        (tr("Fingerprint"), manifest.hash[:12], manifest.hash),
    ]
    return [line for line in lines if line[1]]


def _language(code: str) -> str:
    return tr("unknown") if code == "?" else word("language", code)


def _source(manifest: Manifest) -> str:
    source = manifest.source
    if source.kind == "version":
        return tr("an earlier version")
    name = source.name or source.place
    if source.kind in ("path", "upload"):
        return name.rstrip("/").rpartition("/")[2]
    return f"{word('choice', source.kind)} · {name}"


def repair_text(repair: Repair) -> str:
    """A repair in words."""
    kinds = ", ".join(problem_text(kind) for kind in repair.problems)
    said = word("repair", repair.kind)
    return f"{said} ({kinds})" if kinds else said


def _column_line(column: Column) -> QWidget:
    name = Elided(column.name, "strong")
    about = [word("column_kind", column.kind)] + ([percent(column.filled)] if column.filled < 1 else [])
    made = QWidget()
    line = row(name, Chip(" · ".join(about), "plain"), spacing=8)
    line.setStretch(0, 1)
    made.setLayout(line)
    made.setToolTip(column.example)
    return made
