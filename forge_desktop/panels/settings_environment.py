"""One worker environment: what it holds, whether it works, how its making gets on, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from engine.contract.environments import STEPS, Environment, Progress
from forge_desktop.theme.controls import Bar, Chip, Elided, button, column, label, restyle, row, set_enabled
from forge_desktop.theme.language import count, explain, sentences, tr, word
from forge_desktop.theme.measures import size

STATES: dict[str, tuple[str, str, str]] = {
    "making": ("Being made", "info", "loader-circle"),
    "interrupted": ("Interrupted", "warn", "triangle-alert"),
    "failed": ("Failed", "bad", "circle-x"),
    "cancelled": ("Cancelled", "plain", "square"),
    "looking": ("Being looked at", "plain", "hourglass"),
    "works": ("Works", "ok", "circle-check"),
    "broken": ("Does not work", "bad", "circle-x"),
}
ORIGINS = {
    "variable": "named by FORGE_WORKER_PYTHON",
    "setting": "named by the setting",
    "beside": "beside the program",
    "made": "made by the program",
}
SHARES = {"venv": 0.0, "resolving": 0.05, "downloading": 0.1, "installing": 0.7, "checking": 0.95, "done": 1.0}
"""Where on the bar each step begins."""
UNFINISHED = ("interrupted", "failed", "cancelled")


class EnvironmentLine(QWidget):
    """Shows one; `do(what, name)` is called for use, delete, cancel, again."""

    def __init__(self, one: Environment, do: Callable[[str, Environment], object]) -> None:
        super().__init__()
        self.setObjectName(f"environment.{one.name}")
        self.one = one
        self._chip, self._used = Chip(), Chip(tr("In use"), "accent", "check")
        self._facts, self._path = label("", "hint", wrap=True), Elided("", "hint")
        self._bar, self._step = Bar(6), label("", "hint", wrap=True)
        self._step.setObjectName(f"environment.{one.name}.step")
        self._error = label("", "hint", tone="bad", wrap=True, select=True)
        self._log = QPlainTextEdit()
        self._log.setProperty("role", "log")
        self._log.setReadOnly(True)
        self._log.setFixedHeight(150)
        self._log.setAccessibleName(tr("What its making said"))
        self._log.setTabChangesFocus(True)
        self._log.hide()

        def clicked(key: str) -> None:
            do(key, self.one)

        self._buttons = {
            key: button(text, variant, on_click=partial(clicked, key), name=f"environment.{one.name}.{key}")
            for key, text, variant in (
                ("use", tr("Use this one"), "default"),
                ("again", tr("Go on"), "default"),
                ("cancel", tr("Cancel"), "default"),
                ("delete", tr("Delete…"), "danger"),
            )
        }
        self._fold = button(tr("Log"), "link", on_click=self._toggle, name=f"environment.{one.name}.log")
        self._build()
        self.show_environment(one, "")

    def _build(self) -> None:
        title = label(self.one.name, "strong")
        head = row(title, self._chip, self._used, None, self._fold, *self._buttons.values(), spacing=8)
        layout = column(spacing=6)
        layout.addLayout(head)
        for widget in (self._facts, self._path, self._bar, self._step, self._error, self._log):
            layout.addWidget(widget)
        self.setLayout(layout)

    def show_environment(self, one: Environment, fixed_by: str) -> None:
        """Show how it stands."""
        self.one = one
        text, tone, icon = STATES[one.state]
        self._chip.set(tr(text), tone, icon)
        self._used.setVisible(one.in_use)
        self._facts.setText(facts(one))
        self._path.set_text(one.python)
        progress = one.progress
        self._bar.setVisible(one.state == "making")
        self._step.setVisible(progress is not None and one.state != "works")
        if progress is not None:
            self._bar.set(share(progress))
            self._step.setText(step_text(progress))
        self._error.setVisible(one.error is not None)
        if one.error is not None:
            self._error.setText(sentences(*explain(one.error)))
        self._fold.setVisible(bool(one.log))
        if self._log.toPlainText() != one.log:
            self._log.setPlainText(one.log)
            self._log.verticalScrollBar().setValue(self._log.verticalScrollBar().maximum())
        self._show_buttons(one, fixed_by)

    def _show_buttons(self, one: Environment, fixed_by: str) -> None:
        done = one.state not in ("making", *UNFINISHED)
        self._buttons["use"].setVisible(done and not one.in_use)
        why = tr("FORGE_WORKER_PYTHON decides which is used.") if fixed_by else tr("It does not work.")
        set_enabled(self._buttons["use"], not fixed_by and one.state == "works", why)
        self._buttons["again"].setVisible(one.state in UNFINISHED)
        self._buttons["cancel"].setVisible(one.state == "making")
        self._buttons["delete"].setVisible(one.origin == "made" and one.state != "making")

    def _toggle(self) -> None:
        self._log.setVisible(self._log.isHidden())
        restyle(self._fold, state="open" if self._log.isVisible() else "")
        if self._log.isVisible():
            self._log.setFocus(Qt.FocusReason.OtherFocusReason)


def facts(one: Environment) -> str:
    """Python 3.12 · PyTorch 2.13 for the processor · transformers 5.2 · peft 0.18 · 1.4 GB · where it is from."""
    parts: list[str] = []
    if one.holds is not None:
        parts.append(f"Python {one.holds.python}")
        for name, shown in (("torch", "PyTorch"), ("transformers", "transformers"), ("peft", "peft")):
            version = one.holds.versions.get(name)
            parts.append(f"{shown} {version}" if version else tr("without {package}", package=shown))
        if one.holds.versions.get("torch"):
            cuda = one.holds.cuda
            parts.append(f"CUDA {cuda}" if cuda else tr("for the processor"))
    elif one.build is not None:
        parts.append(word("build", one.build))
    if one.bytes:
        parts.append(size(one.bytes))
    parts.append(tr(ORIGINS[one.origin]))
    return " · ".join(parts)


def share(progress: Progress) -> float:
    """How far the whole is, as a share of one."""
    begin = SHARES[progress.step]
    place = STEPS.index(progress.step)
    end = SHARES[STEPS[min(place + 1, len(STEPS) - 1)]]
    if progress.bytes_total and progress.step == "downloading":
        part = progress.bytes / progress.bytes_total
    else:
        part = progress.done / progress.total if progress.total else 0.0
    return begin + (end - begin) * min(part, 1.0)


def step_text(progress: Progress) -> str:
    """`Fetching packages: 12 of 48, 310.2 MB of 455.1 MB`."""
    text = word("making", progress.step)
    more: list[str] = []
    if progress.total:
        more.append(tr("{done} of {total}", done=min(progress.done, progress.total), total=progress.total))
    elif progress.done:
        more.append(count(progress.done, "1 package", "{n} packages"))
    if progress.bytes and progress.step == "downloading":
        whole = progress.bytes_total
        here = size(min(progress.bytes, whole) if whole else progress.bytes)
        more.append(tr("{done} of {total}", done=here, total=size(whole)) if whole else here)
    return f"{text} · {' · '.join(more)}" if more else text
