"""Tokens and the proxy's password: set, replaced, checked, deleted; never shown again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLineEdit, QWidget

from engine.contract.artifact_place import ARTIFACT_SECRET
from engine.contract.errors import ErrorBody
from engine.contract.secrets import SecretCheck, SecretInfo, SecretName, Secrets
from forge_desktop.bridge.session import Session
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import Card, Chip, Field, button, column, label, line, restyle, row, set_enabled
from forge_desktop.theme.language import explain, sentences, tr

TITLES: dict[str, str] = {
    "huggingface": "Hugging Face token",
    "modelscope": "ModelScope token",
    "proxy": "Proxy's user and password",
    "wandb": "W&B key",
    "swanlab": "SwanLab key",
    "mlflow": "MLflow token",
    ARTIFACT_SECRET: "Keys of the bucket",
}
CHECKED = get_args(SecretName)
"""A service can be asked whether it takes them."""
PLACES = {
    "keyring": "It is kept in this computer's keyring.",
    "file": "There is no keyring here: it is kept in a file that only you can read.",
}


class SecretLine(QWidget):
    """One secret."""

    def __init__(self, session: Session, card: SecretsCard, name: str) -> None:
        super().__init__()
        self._session, self._card, self._name = session, card, name
        self._info = SecretInfo(name=name)
        self._busy = False
        title = tr(TITLES[name])
        self._chip = Chip(tr("Not set"), "plain")
        self._chip.setObjectName(f"secret.{name}.state")
        self._place = label("", "hint", wrap=True)
        self.field = Field(
            hint=tr("user, colon, password") if name == "proxy" else
            "ACCESS_KEY:SECRET_KEY" if name == ARTIFACT_SECRET else tr("Paste the token"), name=f"secret.{name}"
        )  # fmt: skip
        self.field.setEchoMode(QLineEdit.EchoMode.Password)
        self.field.setAccessibleName(title)
        self.field.textChanged.connect(self._refresh)
        self.field.returnPressed.connect(self._keep)
        self._save = button(tr("Set"), icon="check", on_click=self._keep, name=f"secret.{name}.set")
        self._check = button(tr("Check"), on_click=self._ask, name=f"secret.{name}.check")
        self._delete = button(tr("Delete"), "danger", on_click=self._forget, name=f"secret.{name}.delete")
        self._said = label("", "hint", wrap=True)
        self._said.setObjectName(f"secret.{name}.said")
        layout = column(spacing=8)
        layout.addLayout(row(label(title, "strong"), self._chip, None))
        layout.addWidget(self._place)
        controls = row(self.field, self._save, self._check, self._delete)
        controls.setStretch(0, 1)
        layout.addLayout(controls)
        layout.addWidget(self._said)
        self.setLayout(layout)
        self._said.hide()
        self.show_info(self._info)

    def show_info(self, info: SecretInfo) -> None:
        """Whether it is set, and where it is kept."""
        self._info = info
        self._chip.set(tr("Is set") if info.is_set else tr("Not set"), "ok" if info.is_set else "plain",
                       "check" if info.is_set else "")  # fmt: skip
        why = tr("It is asked for by models with restricted access.")
        if self._name == "proxy":
            why = tr("Needed where the proxy asks who you are.")
        elif self._name == ARTIFACT_SECRET:
            why = tr("A bucket asks for them; a folder needs none.")
        self._place.setText(tr(PLACES[info.place]) if info.place else why)
        self._refresh()

    @Slot()
    def _refresh(self, _text: str = "") -> None:
        online = self._card.ready
        away = tr("The job controller does not answer.")
        self._save.setText(" " + (tr("Replace") if self._info.is_set else tr("Set")))
        set_enabled(self.field, online, away)
        typed = bool(self.field.text().strip())
        set_enabled(self._save, online and typed and not self._busy, tr("Type it first.") if online else away)
        for made in (self._check, self._delete):
            made.setVisible(self._info.is_set and (made is self._delete or self._name in CHECKED))
            set_enabled(made, online and not self._busy, away if not online else tr("It takes a moment."))

    def _keep(self) -> None:
        value, name = self.field.text().strip(), self._name
        if not value or self._busy:
            return
        self._busy = True
        self.field.clear()
        self._tell(tr("Keeping it…"))
        self._session.ask(lambda b: b.set_secret(name, value), self._kept, self._failed, owner=self)

    def _kept(self, secrets: Secrets) -> None:
        self._answered()
        self._card.show_secrets(secrets)
        self._tell(tr("It is kept."), "ok")

    def _ask(self) -> None:
        name, self._busy = cast(SecretName, self._name), True
        self._refresh()
        self._tell(tr("Asking the service…"))
        self._session.ask(lambda b: b.check_secret(name), self._checked, self._failed, owner=self)

    def _checked(self, found: SecretCheck) -> None:
        self._answered()
        if not found.accepted:
            self._tell(tr("The service does not take it. Get a new one there, and replace it."), "bad")
        elif found.account:
            self._tell(tr("The service takes it; it belongs to {account}.", account=found.account), "ok")
        else:
            self._tell(tr("The service takes it."), "ok")

    def _forget(self) -> None:
        name = self._name
        ask_before(self, tr("Delete '{secret}'?", secret=tr(TITLES[name])),
                   tr("What needs it can no longer be fetched until it is set again."), tr("Delete"), "secret.yes",
                   lambda: self._session.ask(lambda b: b.delete_secret(name), self._gone, self._failed, owner=self),
                   )  # fmt: skip

    def _gone(self, secrets: Secrets) -> None:
        self._card.show_secrets(secrets)
        self._tell(tr("It is deleted."))

    def _failed(self, error: ErrorBody) -> None:
        self._answered()
        self._tell(sentences(*explain(error)), "bad")

    def _answered(self) -> None:
        self._busy = False
        self._refresh()

    def _tell(self, text: str, tone: str = "") -> None:
        self._said.setText(text)
        self._said.show()
        restyle(self._said, tone=tone)


class SecretsCard(Card):
    """Several secrets, one below the other."""

    def __init__(self, session: Session, names: Sequence[str]) -> None:
        super().__init__(margins=(20, 16, 20, 18))
        self._session = session
        self.ready = False
        self._error = ErrorCard("secrets.error")
        self.body.addWidget(self._error)
        self._lines: dict[str, SecretLine] = {}
        for name in names:
            if self._lines:
                self.body.addWidget(line())
            self._lines[name] = SecretLine(session, self, name)
            self.body.addWidget(self._lines[name])
        session.online.connect(self._fetch)
        session.offline.connect(self._away)
        self._fetch()

    def show_secrets(self, secrets: Secrets) -> None:
        """What is set."""
        self.ready = True
        self._error.show_error(None)
        known = {info.name: info for info in secrets.secrets}
        for name, made in self._lines.items():
            made.show_info(known.get(name, SecretInfo(name=name)))

    @Slot()
    def _fetch(self) -> None:
        self._session.ask(lambda b: b.secrets(), self.show_secrets, self._failed, owner=self)

    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error if self._session.is_online else None)
        self._away(error)

    @Slot(object)
    def _away(self, _error: ErrorBody) -> None:
        self.ready = False
        for made in self._lines.values():
            made._refresh()
