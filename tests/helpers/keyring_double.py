"""A keyring that is safe by its own word: a file, named by a variable; locked while another file lies beside it."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

VARIABLE = "FORGE_TEST_KEYRING"


class FileKeyring(KeyringBackend):
    """Named by PYTHON_KEYRING_BACKEND."""

    priority = 5

    @property
    def _file(self) -> Path:
        file = Path(os.environ[VARIABLE])
        if file.with_suffix(".locked").exists():
            raise KeyringLocked("locked")
        return file

    def _content(self) -> dict[str, str]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._content().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file.write_text(json.dumps(self._content() | {f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        content = self._content()
        if content.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError(username)
        self._file.write_text(json.dumps(content))
