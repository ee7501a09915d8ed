"""The menu of a row of the list: open, everything that can be done, tags, priority, comparing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QMenu, QWidget

from engine.contract.api import RunSummary
from engine.contract.states import RunState
from forge_desktop.models.deeds import deeds_of
from forge_desktop.models.run_columns import PRIORITIES, priority_word
from forge_desktop.panels.bulk_actions import BulkActions
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.theme import icons
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens

MOST_OTHERS = 8


def fill_run_menu(
    menu: QMenu,
    run: RunSummary,
    others: Sequence[RunSummary],
    actions: RunActions,
    bulk: BulkActions,
    parent: QWidget,
    navigate: Callable[[str], object],
) -> None:
    """What can be done with a run; `others` are those it may be compared with."""
    menu.setToolTipsVisible(True)
    menu.addAction(_icon("arrow-right"), tr("Open"), lambda: navigate(actions.address_of(run.uid, [run])))
    for deed in deeds_of(run):
        if deed.key == "copy":
            menu.addSeparator()
        if deed.key == "delete":
            _add_sorting_out(menu, run, bulk)
            _add_compare(menu, run, others, navigate)
            menu.addSeparator()
        action = menu.addAction(deed.text, partial(actions.do, deed.key, run, parent, navigate))
        action.setIcon(_icon(deed.icon))
        action.setEnabled(not deed.why_not)
        action.setToolTip(deed.why_not)


def _icon(name: str) -> QIcon:
    return icons.icon(name, tokens().secondary, 16, disabled=tokens().muted)


def _add_sorting_out(menu: QMenu, run: RunSummary, bulk: BulkActions) -> None:
    menu.addAction(_icon("tag"), tr("Tags…"), partial(bulk.do, "tag", [run]))
    part = menu.addMenu(_icon("list-ordered"), tr("Priority"))
    waits = run.state in (RunState.QUEUED, RunState.DRAFT, RunState.PAUSED)
    for value, name in PRIORITIES:
        action = part.addAction(word("priority", name), partial(bulk.set_priority, [run], value))
        action.setCheckable(True)
        action.setChecked(priority_word(run.priority) == name)
    part.menuAction().setEnabled(waits)
    part.menuAction().setToolTip("" if waits else tr("Only a run that waits has a use for a priority."))


def _add_compare(menu: QMenu, run: RunSummary, others: Sequence[RunSummary], navigate: Callable[[str], object]) -> None:
    part = menu.addMenu(_icon("git-compare"), tr("Compare with…"))
    alike = sorted(
        (other for other in others if other.uid != run.uid and other.attempt),
        key=lambda other: (other.dataset != run.dataset, other.model != run.model),
    )
    for other in alike[:MOST_OTHERS]:
        address = f"compare/{run.uid},{other.uid}"
        part.addAction(other.name.replace("&", "&&"), partial(navigate, address))
    part.menuAction().setEnabled(bool(alike) and bool(run.attempt))
    part.menuAction().setToolTip("" if alike and run.attempt else tr("It needs two runs that have been started."))
