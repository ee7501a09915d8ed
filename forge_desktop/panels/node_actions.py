"""What can be done to a node, with why not; the buttons of its card and its menu are made from this."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QMenu, QWidget

from engine.contract.nodes import LOCAL, NodeView
from forge_desktop.models.node_words import condition
from forge_desktop.theme import icons
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens


@dataclass(frozen=True)
class Action:
    """One thing that can be done."""

    key: str
    text: str
    icon: str
    why_not: str = ""


def actions_of(node: NodeView) -> list[Action]:
    """Everything, in the order of the menu."""
    local, process = node.profile.name == LOCAL, node.profile.kind == "process"
    nothing = "" if node.runs else tr("Nothing is at work there.")
    stays = tr("It is this computer: it stays.") if local else ""
    busy = tr("Runs are at work there. Drain it first, or move them.") if node.runs else ""
    no_image = tr("This computer starts workers as processes: they need no image.") if process else ""
    offline = tr("It is offline. Put it online first.") if node.state == "offline" else ""
    return [
        *_states(node),
        Action("move", tr("Move runs…"), "arrow-left-right", nothing),
        Action("doctor", tr("Doctor…"), "stethoscope", offline),
        Action("edit", tr("Edit…"), "pencil"),
        Action("alerts", tr("Alert rules…"), "bell"),
        Action("copy", tr("Duplicate…"), "copy", tr("There is only one such node.") if local else ""),
        Action("push", tr("Push worker image"), "upload", no_image or offline),
        Action("export", tr("Export profile…"), "download", tr("It is this computer: others cannot use it.") if local
               else ""),
        Action("remove", tr("Remove…"), "trash-2", stays or busy),
    ]  # fmt: skip


def _states(node: NodeView) -> list[Action]:
    drain = Action("drain", tr("Drain"), "arrow-down-to-line")
    online = Action("online", tr("Put online"), "power")
    offline = Action("offline", tr("Take offline"), "power")
    if node.state == "online":
        return [drain, offline]
    if node.state == "draining":
        return [Action("online", tr("Cancel drain"), "rotate-ccw"), offline]
    return [online]


def buttons_of(node: NodeView) -> list[Action]:
    """The two that matter most now."""
    known = {action.key: action for action in actions_of(node)}
    kind = condition(node)
    if kind in ("unreachable", "broken", "checking"):
        keys = ("doctor", "offline")
    elif kind == "offline":
        keys = ("online", "edit")
    elif node.state == "draining":
        keys = ("online", "move")
    else:
        keys = ("drain", "move")
    return [known[key] for key in keys if key in known]


def menu_of(parent: QWidget, node: NodeView, do: object) -> QMenu:
    """All of it as a menu; what cannot be done now says why."""
    menu = QMenu(parent)
    menu.setObjectName("node.menu")
    menu.setToolTipsVisible(True)
    for action in actions_of(node):
        if action.key in ("edit", "remove"):
            menu.addSeparator()
        made = menu.addAction(icons.icon(action.icon, tokens().secondary, 16, disabled=tokens().muted), action.text)
        made.setObjectName(f"node.menu.{action.key}")
        made.setEnabled(not action.why_not)
        made.setToolTip(action.why_not)
        if callable(do):
            made.triggered.connect(lambda _checked=False, key=action.key: do(key, node.profile.name))
    return menu
