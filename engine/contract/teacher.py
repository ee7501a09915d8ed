"""The model that another one learns from, and how its answers are compared with those of the one that learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.model import Hub, ModelConfig
from engine.contract.setting import Settings, setting
from engine.contract.tuners import quantisation_of


class TeacherConfig(Settings):
    """For the stages that learn from a teacher; the others do not use it."""

    path: str = setting(
        "",
        "The teacher: a folder on the worker's computer, a hub id, an address, or the name of a bundled model. It "
        "needs the vocabulary of the model that learns.",
        label="Teacher",
        max_length=4096,
    )
    hub: Hub = setting("local", "Where the teacher is looked up.", label="Source of the teacher")
    revision: str | None = setting(
        None,
        "Branch, tag or commit on the hub; of an address, the sha256 its archive must have.",
        label="Revision of the teacher",
        max_length=200,
    )
    adapter: str = setting(
        "", "Folder of an adapter the teacher answers with; empty: none.", label="Adapter of the teacher",
        max_length=4096,
    )  # fmt: skip
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", "Number format the teacher is held in; auto follows the training precision.", label="Teacher held in"
    )
    beta: float = setting(
        0.5,
        "Of the loss jsd: 0 is the forward KL, 1 the reverse KL, between them the generalised Jensen-Shannon "
        "divergence.",
        label="Beta of the divergence",
        ge=0,
        le=1,
    )
    temperature: float = setting(
        1.0, "What both models' logits are divided by before they are compared.", label="Temperature of the divergence",
        ge=0.01, le=100,
    )  # fmt: skip
    lmbda: float = setting(
        0.5, "Share of the batches whose answers the model samples itself; 0: only those of the rows.",
        label="Share of own answers", ge=0, le=1,
    )  # fmt: skip
    seq_kd: bool = setting(
        False, "In the other batches the teacher's own answers stand in place of those of the rows.",
        label="Answers of the teacher",
    )  # fmt: skip

    @property
    def source(self) -> ModelConfig | None:
        """Where it comes from, as `model` says it; None where no teacher is named."""
        if not self.path:
            return None
        return ModelConfig(path=self.path, hub=self.hub, revision=self.revision)

    @property
    def samples(self) -> bool:
        """Answers are sampled to the rows, by either model."""
        return self.lmbda > 0 or self.seq_kd


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the teacher, in a document that may not validate."""
    found = document.get("teacher", {})
    if not isinstance(found, Mapping):
        return
    path, model = found.get("path", ""), document.get("model")
    if path == "":
        yield Problem(code="teacher.none", field="teacher.path", params={"stage": str(document.get("stage"))})
        return
    if not isinstance(model, Mapping) or found.get("adapter", "") != "":
        return
    tuner = document.get("tuner", {})
    kind = tuner.get("kind", "lora") if isinstance(tuner, Mapping) else "lora"
    held = model.get("quantisation", "none")
    alike = all(found.get(name, usual) == model.get(name, usual) for name, usual in _PLACE.items())
    if alike and held == "none" and quantisation_of(str(kind), "none") == "none":
        yield Problem(code="teacher.itself", field="teacher.path", params={"value": str(path)[:200]})


_PLACE: dict[str, Any] = {"path": "", "hub": "local", "revision": None}
