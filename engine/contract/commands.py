"""Commands to a worker: one file each in the attempt's control folder, written aside and renamed."""

from typing import Any, Literal

from pydantic import BaseModel


class WorkerCommand(BaseModel):
    """An order to a live worker; repeating one is harmless, and the journal acknowledges its id."""

    id: str
    verb: Literal["stop", "stop_without_saving", "pause", "save", "sample", "log_every", "keys"]
    """save: a checkpoint now; sample: answers now (params: prompts, max_new_tokens); log_every: another
    interval between two points of the curve (params: steps); keys: who may ask an instance from now on (params:
    keys). A pause whose params say
    `cause: move` is followed by a start elsewhere."""
    params: dict[str, Any] = {}
