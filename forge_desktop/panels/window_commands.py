"""Binds the table of commands to what a window can do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from PySide6.QtGui import QGuiApplication

from engine.contract.api import RunSummary
from forge_desktop.models.command_table import ENTRIES, SECTIONS
from forge_desktop.models.commands import Commands, WhyNot
from forge_desktop.models.deeds import Deed, deeds_of
from forge_desktop.theme.language import tr, word


class Shell(Protocol):
    """What commands need of the window."""

    def go(self, address: str) -> None:
        """Open a page."""

    def back(self) -> None:
        """The page before."""

    def forward(self) -> None:
        """The page after."""

    def can_go(self, by: int) -> bool:
        """There is a page before or after."""

    def knows(self, kind: str) -> bool:
        """There is such a page."""

    def open_run(self) -> RunSummary | None:
        """The run whose page is open."""

    def do_deed(self, key: str) -> None:
        """Do something to the open run."""

    def search_runs(self) -> None:
        """Bring the keyboard to the search."""

    def escape(self) -> None:
        """Close what is open, or go back to the runs."""

    def show_palette(self) -> None:
        """Open the palette."""

    def toggle_notices(self) -> None:
        """Open or close the notice centre."""

    def focus_toast(self) -> None:
        """Bring the keyboard to the newest message."""

    def read_notices(self) -> None:
        """Mark all as read."""

    def unread(self) -> int:
        """How many notices nobody has read."""

    def toggle_help(self) -> None:
        """Open or close help for the page."""

    def show_shortcuts(self) -> None:
        """Open the sheet."""

    def choose_look(self, theme: str, language: str) -> None:
        """Another theme or language; an empty one stays."""

    def tell(self, text: str) -> None:
        """Say something in the banner."""

    def close(self) -> bool:
        """Close the window."""


def bind_all(shell: Shell) -> Commands:
    """Every command of the table, bound."""
    commands = Commands()
    plain: dict[str, Callable[[], object]] = {
        "go.runs": partial(shell.go, "runs"),
        "go.new": partial(shell.go, "new"),
        "search.runs": shell.search_runs,
        "escape": shell.escape,
        "palette": shell.show_palette,
        "notices.open": shell.toggle_notices,
        "notices.focus": shell.focus_toast,
        "help.page": shell.toggle_help,
        "help.keys": shell.show_shortcuts,
        "help.welcome": partial(shell.go, "welcome"),
        "window.close": shell.close,
    }
    for key, do in plain.items():
        commands.bind(key, do)
    commands.bind("go.back", shell.back, lambda: "" if shell.can_go(-1) else _nothing_before())
    commands.bind("go.forward", shell.forward, lambda: "" if shell.can_go(1) else _nothing_after())
    commands.bind("notices.read", shell.read_notices, lambda: "" if shell.unread() else tr("Everything is read."))
    for kind in ("compare", "settings", "nodes", "instances", "datasets", "adapters", "playground", "serving"):
        commands.bind(f"go.{kind}", partial(shell.go, kind), _if_known(shell, kind))
    commands.bind("datasets.import", partial(shell.go, "datasets/import"), _if_known(shell, "datasets"))
    commands.bind("adapters.import", partial(shell.go, "adapters/import"), _if_known(shell, "adapters"))
    commands.bind("serving.new", partial(shell.go, "serving/new"), _if_known(shell, "serving"))
    commands.bind("nodes.add", partial(shell.go, "nodes/add"), _if_known(shell, "nodes"))
    for entry in SECTIONS:
        commands.bind(entry.key, partial(shell.go, entry.key.replace(".", "/", 1)), _if_known(shell, "settings"))
    for theme in ("light", "dark", "system"):
        commands.bind(f"theme.{theme}", partial(shell.choose_look, theme, ""))
    for tongue in ("en", "zh_CN", "system"):
        commands.bind(f"language.{tongue}", partial(shell.choose_look, "", tongue))
    _bind_run(commands, shell)
    return commands


def _if_known(shell: Shell, kind: str) -> WhyNot:
    return lambda: "" if shell.knows(kind) else None


def _bind_run(commands: Commands, shell: Shell) -> None:
    for entry in ENTRIES:
        if entry.group == "run":
            deed = entry.key.partition(".")[2]
            commands.bind(entry.key, partial(shell.do_deed, deed), partial(_why_no_deed, shell, deed))
    texts: dict[str, Callable[[RunSummary], str]] = {
        "copy.uid": lambda run: run.uid,
        "copy.name": lambda run: run.name,
        "copy.command": lambda run: f"forge show {run.uid}",
    }
    for key, text in texts.items():
        commands.bind(key, partial(_copy, shell, text), lambda: "" if shell.open_run() else _no_run())


def _nothing_before() -> str:
    return tr("There is no page before this one.")


def _nothing_after() -> str:
    return tr("There is no page after this one.")


def _no_run() -> str:
    return tr("Open a run first.")


def _why_no_deed(shell: Shell, key: str) -> str | None:
    run = shell.open_run()
    if run is None:
        return _no_run()
    found: Deed | None = next((deed for deed in deeds_of(run) if deed.key == key), None)
    if found is None:
        return tr("Not possible while the run is: {state}.", state=word("state", run.state))
    return found.why_not


def _copy(shell: Shell, text: Callable[[RunSummary], str]) -> None:
    run = shell.open_run()
    if run is not None:
        QGuiApplication.clipboard().setText(text(run))
        shell.tell(tr("Copied: {path}", path=text(run)))
