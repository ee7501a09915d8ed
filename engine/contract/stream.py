"""What the controller tells those who listen: messages of its stream, beside the journal's lines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from engine.contract.api import RunSummary, Settings
from engine.contract.datasets import DatasetView
from engine.contract.node_alerts import Alert, AlertRule
from engine.contract.nodes import DoctorCheck, MoveView, NodeView, Transfer
from engine.contract.states import Mark


class _Message(BaseModel):
    """The part every stream message shares."""

    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class Hello(_Message):
    """First message on a stream: who answers, and the cursor replay starts after."""

    type: Literal["hello"] = "hello"
    version: str
    protocol: int
    cursor: int


class RunChanged(_Message):
    """A run was made, moved to another state, or was given another name, priority, tag or progress.

    `cursor` is set when the change is a stored event, which a reconnecting client asks for with `since`.
    """

    type: Literal["run"] = "run"
    cursor: int | None = None
    at: float
    actor: str = ""
    run: RunSummary
    mark: Mark | None = None


class RunDeleted(_Message):
    """A run is gone, with everything that belonged to it."""

    type: Literal["deleted"] = "deleted"
    cursor: int | None = None
    at: float
    run: str


class Points(_Message):
    """New points of a live run: a hint, never replayed. A client with a gap refetches `/runs/{run}/series`."""

    type: Literal["points"] = "points"
    run: str
    attempt: int
    points: dict[str, list[tuple[float, float, float]]]
    """Metric to (x, t, value); x is the step, or t for device readings."""


class RunEvent(_Message):
    """A stored event of a run other than a state change: phase, plan, score, sample, artifact, note."""

    type: Literal["event"] = "event"
    cursor: int
    at: float
    run: str
    attempt: int | None = None
    kind: str
    level: int = 20
    body: dict[str, Any] = {}


class LogGrew(_Message):
    """The worker's log has so many bytes now; fetch the rest by offset."""

    type: Literal["log"] = "log"
    run: str
    attempt: int
    size: int


class SettingsChanged(_Message):
    """Somebody changed the controller's settings."""

    type: Literal["settings"] = "settings"
    settings: Settings


class Resources(_Message):
    """Slots and machine load of the controller's computer, about once a second while a client listens."""

    type: Literal["resources"] = "resources"
    slots: dict[str, int]
    """Lane to number of slots."""
    used: dict[str, int]
    """Lane to slots in use."""
    waiting: int
    values: dict[str, float] = {}
    """As in `Device`."""
    names: dict[str, str] = {}


class NodeChanged(_Message):
    """A node was added, edited, drained, lost or found again. Never replayed: on connect a client asks for all."""

    type: Literal["node"] = "node"
    node: NodeView


class NodeRemoved(_Message):
    """A node is no longer used."""

    type: Literal["node_removed"] = "node_removed"
    name: str


class NodeReading(_Message):
    """How busy a node is, every few seconds while somebody listens."""

    type: Literal["node_reading"] = "node_reading"
    node: str
    at: float
    values: dict[str, float] = {}
    names: dict[str, str] = {}


class DoctorChecked(_Message):
    """A doctor got on with a check."""

    type: Literal["doctor"] = "doctor"
    node: str
    check: DoctorCheck


class MoveChanged(_Message):
    """A move got on."""

    type: Literal["move"] = "move"
    move: MoveView


class AlertChanged(_Message):
    """An alert was raised, got worse, was acknowledged or is over."""

    type: Literal["alert"] = "alert"
    alert: Alert


class AlertRulesChanged(_Message):
    """Somebody changed when alerts are raised. Never replayed: on connect a client asks for them."""

    type: Literal["alert_rules"] = "alert_rules"
    rules: list[AlertRule]


class TransferChanged(_Message):
    """A copy to a node got on."""

    type: Literal["transfer"] = "transfer"
    transfer: Transfer


class DatasetChanged(_Message):
    """A dataset was made, renamed, or has a new version. Never replayed: on connect a client asks for all."""

    type: Literal["dataset"] = "dataset"
    dataset: DatasetView


class DatasetRemoved(_Message):
    """A dataset has gone from the library."""

    type: Literal["dataset_removed"] = "dataset_removed"
    uid: str


StreamMessage = Annotated[
    Hello
    | RunChanged
    | RunDeleted
    | Points
    | RunEvent
    | LogGrew
    | Resources
    | SettingsChanged
    | NodeChanged
    | NodeRemoved
    | NodeReading
    | DoctorChecked
    | MoveChanged
    | AlertChanged
    | AlertRulesChanged
    | TransferChanged
    | DatasetChanged
    | DatasetRemoved,
    Field(discriminator="type"),
]
stream_message: TypeAdapter[StreamMessage] = TypeAdapter(StreamMessage)
"""Reads and checks one message of the stream."""
