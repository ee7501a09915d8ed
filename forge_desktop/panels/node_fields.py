"""The fields of a node's dialog: a name, a control, a sentence, and the error beside it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QPlainTextEdit, QWidget

from forge_desktop.models.node_form import usual_text
from forge_desktop.theme.controls import Field, button, column, label, restyle, row
from forge_desktop.theme.language import tr

FILES = ("key", "certificate", "ca")
TITLES = {
    "name": "Name", "address": "Address", "key": "Private key", "certificate": "Client certificate",
    "ca": "Certificate authority", "host_key": "Host key", "docker_socket": "Docker's socket there",
    "price": "Price of a GPU-hour", "currency": "Currency", "max_runs": "Most runs at once", "labels": "Labels",
    "image": "Worker image", "mounts": "Folders its containers see", "mirror_minutes": "Copy checkpoints every",
    "limits.cpus": "Processor cores", "limits.memory_gb": "Memory (GB)", "limits.shm_gb": "Shared memory (GB)",
    "limits.pids": "Processes", "notes": "Notes",
}  # fmt: skip
SENTENCES = {
    "name": "Letters, digits, '.', '_' and '-'. It stays for good.",
    "key": "A file on the controller's computer, or keyring:NAME. Empty: as ssh finds it.",
    "certificate": "Shows the node who asks: a file, or keyring:NAME.",
    "ca": "Signed the server's certificate: a file, or keyring:NAME.",
    "host_key": "Empty: your known_hosts decides. An unknown host is never trusted silently.",
    "docker_socket": "Empty: the usual one.",
    "price": "Empty: it costs nothing.",
    "currency": "Three letters, such as USD.",
    "max_runs": "Empty: one a GPU, or one without GPUs.",
    "labels": "KEY=VALUE, separated by commas. Runs can ask for them.",
    "image": "Empty: that of the settings.",
    "mounts": "/there:/in/the/container, read-only, separated by commas.",
    "mirror_minutes": "In minutes; 0 copies each one. So a run can go on elsewhere if the node is lost.",
    "limits.cpus": "Of one container. Empty: no limit.",
    "limits.memory_gb": "Of one container. Empty: no limit.",
    "limits.shm_gb": "For data loaders.",
    "limits.pids": "Most processes and threads.",
    "notes": "For people; the program does not read them.",
}
ADDRESS = {
    "docker_local": ("Docker's socket", "Empty: the usual one, /var/run/docker.sock.", "/var/run/docker.sock"),
    "docker_ssh": ("Address", "As for ssh: user@host, with :port where it is not 22.", "ada@gpu-1.lab"),
    "docker_tls": ("Address", "Host and port of dockerd, as in its certificate.", "gpu-1.lab:2376"),
}
"""By kind: name, sentence, example."""
KEY_OF_TLS = "Belongs to the client certificate: a file, or keyring:NAME."


class NodeField(QWidget):
    """One field; it says itself what is wrong with it once somebody has been there."""

    edited = Signal()

    def __init__(self, field: str, kind: str) -> None:
        super().__init__()
        self.field, self.touched = field, False
        title, self._sentence, example = TITLES[field], SENTENCES.get(field, ""), ""
        if field == "address":
            title, self._sentence, example = ADDRESS[kind]
        if field == "key" and kind == "docker_tls":
            self._sentence = KEY_OF_TLS
        self.title = tr(title)
        self.control = self._make(example or usual_text(field))
        self.control.setObjectName(f"node.field.{field}")
        self.control.setAccessibleName(self.title)
        self._below = label(tr(self._sentence), "hint", wrap=True)
        self.control.setAccessibleDescription(tr(self._sentence))
        layout = column(label(self.title, "label"), spacing=4)
        line = row(self.control, spacing=6)
        if field in FILES:
            browse = button(tr("Browse…"), on_click=self._browse, name=f"node.browse.{field}")
            browse.setAccessibleName(f"{tr('Browse…')} {self.title}")
            line.addWidget(browse)
        layout.addLayout(line)
        layout.addWidget(self._below)
        self.setLayout(layout)

    def _make(self, hint: str) -> Field | QPlainTextEdit:
        if self.field == "notes":
            made = QPlainTextEdit()
            made.setProperty("role", "input")
            made.setFixedHeight(64)
            made.setTabChangesFocus(True)
            made.textChanged.connect(self._typed)
            return made
        line = Field(hint=hint)
        line.textEdited.connect(self._typed)
        return line

    def _typed(self, *_text: object) -> None:
        self.touched = True
        self.edited.emit()

    def text(self) -> str:
        """What stands there."""
        made = self.control
        return made.toPlainText() if isinstance(made, QPlainTextEdit) else made.text()

    def set_text(self, text: str) -> None:
        """Show a text, as if nobody had typed it."""
        if isinstance(self.control, QPlainTextEdit):
            self.control.blockSignals(True)
            self.control.setPlainText(text)
            self.control.blockSignals(False)
        else:
            self.control.setText(text)

    def show_problem(self, text: str) -> None:
        """What is wrong with it; empty: nothing."""
        self._below.setText(text or tr(self._sentence))
        restyle(self._below, tone="bad" if text else "")
        restyle(self.control, tone="bad" if text else "")
        self.control.setAccessibleDescription(self._below.text())

    def problem(self) -> str:
        """The error beside it."""
        return self._below.text() if self._below.property("tone") == "bad" else ""

    def set_fixed(self, why: str) -> None:
        """It cannot be changed."""
        self.control.setEnabled(False)
        self.control.setToolTip(why)

    def _browse(self) -> None:
        dialog = QFileDialog(self, self.title)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._take)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _take(self, file: str) -> None:
        self.set_text(file)
        self._typed()
