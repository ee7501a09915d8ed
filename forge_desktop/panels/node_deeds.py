"""Doing things to nodes: dialogs, questions before something is lost, files of profiles."""

from __future__ import annotations

import json
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QWidget

from engine.contract.durable import write_durably
from engine.contract.errors import ErrorBody, UserError
from engine.contract.nodes import NodeProfile, NodeProfiles, Nodes
from forge_desktop.bridge.aside import Aside
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_words import title_of
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.panels.alert_rules_dialog import AlertRulesDialog
from forge_desktop.panels.doctor_dialog import DoctorDialog
from forge_desktop.panels.node_dialog import NodeDialog
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.language import count, tr

FILE = "loraforge-nodes.json"
MOST_BYTES = 4_000_000


class NodeDeeds(QObject):
    """What cards, table and menus ask for, by the keys of `node_actions`."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody; None: it is over."""
    move_wanted = Signal(str)

    def __init__(self, session: Session, nodes: NodesModel, page: QWidget) -> None:
        super().__init__(page)
        self._session, self._nodes, self._page = session, nodes, page
        self._aside = Aside(self)
        self.has_failed = False
        nodes.failed.connect(self._fail)
        nodes.done.connect(self._done)

    @Slot(str, str)
    def do(self, key: str, name: str) -> None:
        """One of the actions of a node."""
        self.has_failed = False
        self.failed.emit(None)
        node = self._nodes.find(name)
        if node is None:
            return
        match key:
            case "drain":
                self._nodes.set_state(name, "draining")
            case "online":
                self._nodes.set_state(name, "online")
            case "offline":
                self._take_offline(name, len(node.runs))
            case "move":
                self.move_wanted.emit(name)
            case "doctor":
                DoctorDialog(self._session, name, self._page).open()
            case "edit":
                self._open(NodeDialog(self._session, self._page, node.profile, name))
            case "alerts":
                self.open_rules(name)
            case "copy":
                twin = node.profile.model_copy(update={"name": self._free_name(name), "host_key": ""})
                self._open(NodeDialog(self._session, self._page, twin))
            case "push":
                self._nodes.push_image(name)
            case "export":
                self.ask_export(name)
            case "remove":
                self._remove(name)

    def add(self) -> None:
        """A new node."""
        self._open(NodeDialog(self._session, self._page))

    def open_rules(self, name: str = "") -> None:
        """When alerts are raised, of a node or of all."""
        kept = tr("The rules of alerts are kept.")
        AlertRulesDialog(self._session, self._page, lambda _found: self.told.emit(kept), name).open()

    def _open(self, dialog: NodeDialog) -> None:
        dialog.saved.connect(lambda name: self.told.emit(tr("'{node}' is saved.", node=title_of(name))))
        dialog.open()

    def _free_name(self, name: str) -> str:
        return next(made for n in range(2, 10_000) if self._nodes.find(made := f"{name[:50]}-{n}") is None)

    def _take_offline(self, name: str, runs: int) -> None:
        if not runs:
            self._nodes.set_state(name, "offline")
            return
        work = count(runs, "Its run goes on, but nobody follows it until the node is online again.",
                     "Its {n} runs go on, but nobody follows them until the node is online again.")  # fmt: skip
        title = tr("Take '{node}' offline?", node=title_of(name))
        text = f"{work}\n{tr('To lose sight of nothing, drain it instead: then its runs end first.')}"
        ask_before(self._page, title, text, tr("Take offline"), "nodes.offline.yes",
                   lambda: self._nodes.set_state(name, "offline"))  # fmt: skip

    def _remove(self, name: str) -> None:
        title = tr("Remove '{node}'?", node=title_of(name))
        text = tr("Its profile goes. Runs, their results and what they cost stay; nothing on the node is deleted.")
        ask_before(self._page, title, text, tr("Remove"), "nodes.remove.yes", lambda: self._nodes.remove(name))

    @Slot(str, str)
    def _done(self, what: str, name: str) -> None:
        texts = {
            "draining": tr("'{node}' takes no new runs; those at work end there.", node=title_of(name)),
            "online": tr("'{node}' takes runs again.", node=title_of(name)),
            "offline": tr("'{node}' is offline.", node=title_of(name)),
            "removed": tr("'{node}' is removed.", node=title_of(name)),
            "pushing": tr("The worker image is on its way to '{node}'.", node=title_of(name)),
        }
        if what in texts:
            self.told.emit(texts[what])

    @Slot(object)
    def _fail(self, error: ErrorBody) -> None:
        self.has_failed = True
        self.failed.emit(error)

    def ask_export(self, *names: str) -> None:
        """Where to write profiles: all, or those named."""
        dialog = QFileDialog(self._page, tr("Export nodes"), f"{names[0]}.json" if names else FILE, "JSON (*.json)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.fileSelected.connect(lambda file: self.export(file, *names))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, file: str, *names: str) -> None:
        """Write them; secrets are not among them."""

        def write(found: NodeProfiles) -> None:
            text = found.model_dump_json(indent=2) + "\n"
            done = tr("Saved as {path}", path=file)
            self._aside.do(lambda: _write(Path(file), text), lambda _none: self.told.emit(done), self._fail)

        self._nodes.profiles(write, names)

    def ask_import(self) -> None:
        """Which file to read."""
        dialog = QFileDialog(self._page, tr("Import nodes"), filter="JSON (*.json)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.take)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def take(self, file: str) -> None:
        """Add or change what an export wrote; all of it, or nothing."""

        def taken(_nodes: Nodes, profiles: NodeProfiles) -> None:
            self.told.emit(count(len(profiles.nodes), "1 node was imported.", "{n} nodes were imported."))

        def send(profiles: NodeProfiles) -> None:
            self._nodes.import_profiles(profiles, lambda found: taken(found, profiles))

        self._aside.do(lambda: _read(Path(file)), send, self._fail)


def _write(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode())
    except OSError as error:
        raise UserError("desktop.file_unwritable", file=str(path), detail=error.strerror or str(error)) from error


def _read(path: Path) -> NodeProfiles:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError("nodes.not_an_export")
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("nodes.file_unreadable", file=str(path), detail=str(error)) from None
    if not isinstance(content, dict) or content.get("version") != 1 or not isinstance(content.get("nodes"), list):
        raise UserError("nodes.not_an_export")
    return NodeProfiles(nodes=[_profile(values, path) for values in content["nodes"]])


def _profile(values: object, path: Path) -> NodeProfile:
    try:
        return NodeProfile.model_validate(values)
    except ValueError as error:
        raise UserError("nodes.file_unreadable", file=str(path), detail=str(error).splitlines()[0]) from None
