"""How a setting of the run config is declared: default, unit, one sentence, and where a form shows it.

The wizard, the validation, `forge config` and the docs are all made from these declarations.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Settings(BaseModel):
    """Base of every group of settings: unknown names are refused, numbers must be numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def setting(
    default: Any,
    sentence: str,
    *,
    label: str,
    unit: str = "",
    basic: bool = False,
    executable: tuple[Any, ...] | None = None,
    usual: tuple[float, float] | None = None,
    known: tuple[str, ...] = (),
    **limits: Any,
) -> Any:
    """A setting.

    `basic` shows it without unfolding; `executable` names the values this version can run (None: all that
    are valid); `usual` is the range outside which a form warns; `known` are the values of a text that can only be
    one of a list; `limits` are pydantic's (ge, gt, le, …).
    """
    extra: dict[str, Any] = {"label": label, "unit": unit, "basic": basic}
    if executable is not None:
        extra["executable"] = list(executable)
    if usual is not None:
        extra["usual"] = list(usual)
    if known:
        extra["known"] = list(known)
    if callable(default):
        return Field(default_factory=default, description=sentence, json_schema_extra=extra, **limits)
    return Field(default, description=sentence, json_schema_extra=extra, **limits)


def extra(field: FieldInfo) -> dict[str, Any]:
    """What `setting` recorded about a field besides pydantic's own."""
    recorded = field.json_schema_extra
    return dict(recorded) if isinstance(recorded, dict) else {}
