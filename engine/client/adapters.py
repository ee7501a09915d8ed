"""The library of adapters, and the keys of instances, as asked of the controller."""

from __future__ import annotations

from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from engine.client.calls import Calls
from engine.contract.adapter_library import AdapterEntry, AdapterShelf, ImportAdapter
from engine.contract.errors import UserError
from engine.contract.lora_tools import AdapterView
from engine.contract.serving import MadeKey, NewKey, ServeKey

READ_S = 1800.0
"""A large adapter is read, checked and written anew before the answer comes."""
_KEYS = TypeAdapter(list[ServeKey])


class AdapterCalls(Calls):
    """A part of `ControllerClient`."""

    def adapters(self) -> AdapterShelf:
        """All adapters of runs, and those that were brought in."""
        return self._get("/adapters", AdapterShelf)

    def import_adapter(self, asked: ImportAdapter) -> AdapterEntry:
        """Bring one in, and wait until it is there."""
        return self._read(self._send("POST", "/adapters", body=asked, timeout=READ_S), AdapterEntry)

    def adapter_view(self, adapter_id: str) -> AdapterView:
        """One of them, module by module."""
        return self._read(self._send("GET", f"{_at(adapter_id)}/view", timeout=READ_S), AdapterView)

    def remove_adapter(self, adapter_id: str) -> None:
        """Forget one that was brought in."""
        self._send("DELETE", _at(adapter_id))

    def serve_keys(self, run: str) -> list[ServeKey]:
        """Who may ask an instance; keys themselves are not told."""
        answer = self._send("GET", f"/runs/{run}/keys")
        try:
            return _KEYS.validate_json(answer.content)
        except ValidationError as error:
            raise UserError("controller.strange_answer", path=answer.url.path, detail=str(error)) from error

    def make_serve_key(self, run: str, asked: NewKey) -> MadeKey:
        """A new key, told this once."""
        return self._read(self._send("POST", f"/runs/{run}/keys", body=asked), MadeKey)

    def rotate_serve_key(self, run: str, key_id: str, hours: float = 24.0) -> MadeKey:
        """Another key in the place of one, which goes on for so many hours."""
        path = f"/runs/{run}/keys/{quote(key_id, safe='')}/rotate"
        return self._read(self._send("POST", path, query={"hours": hours}), MadeKey)

    def revoke_serve_key(self, run: str, key_id: str) -> None:
        """It is refused from now on."""
        self._send("DELETE", f"/runs/{run}/keys/{quote(key_id, safe='')}")


def _at(adapter_id: str) -> str:
    return f"/adapters/{quote(adapter_id, safe='/')}"
