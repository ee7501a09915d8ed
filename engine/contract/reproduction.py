"""Doing a run again exactly: what its losses depend on, what is other today, and whether the same came of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.contract.api import RunSummary

MANIFEST_FILE = "manifest.json"
"""In the outputs of an attempt: the manifest with every file of the model."""
IMAGE_VARIABLE = "FORGE_IMAGE"
"""Tells a worker in a container the image it is of, `name@id`."""
TOLERANCE = 1e-3
"""Largest relative difference of a loss that still counts as the same course."""
REPRODUCES = "reproduces"
"""Role of the edge from a run to the one it does again."""
Verdict = Literal["waiting", "equal", "within", "differs", "unknown"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class DataMark(_Body):
    """Training rows of one source."""

    name: str
    rows: int
    sha256: str


class RunManifest(_Body):
    """Everything the losses of an attempt depend on."""

    v: int = 1
    config: str = ""
    """sha256 of the canonical form of the job."""
    model: str = ""
    """sha256 over the names and contents of the model's files."""
    model_commit: str = ""
    data: list[DataMark] = []
    rows: str = ""
    """sha256 over all training rows, their weights and how they are put in order."""
    order: str = ""
    """sha256 over the numbers of the rows of the first epoch, as they come."""
    packages: dict[str, str] = {}
    python: str = ""
    platform: str = ""
    processor: str = ""
    device: str = ""
    driver: str = ""
    cuda: str = ""
    precision: str = ""
    threads: int = 0
    threads_from: str = ""
    """What decides on them: the config, a variable, or the cores there are."""
    seed: int = 0
    image: str = ""
    code: str = ""
    """Version of the program, and sha256 over the worker's modules."""


class Difference(_Body):
    """Something that is other than it was, and what that may cause."""

    name: str
    """A field of the manifest; of a package `packages.<name>`, of a dataset `data.<name>`."""
    was: str
    now: str
    effect: Literal["other_run", "last_digits", "maybe_none"]
    """other_run: other losses from the first step on; last_digits: sums in another order or by other code, so that
    losses differ in their last digits and drift apart; maybe_none: losses do not depend on it as far as is known."""


class ReproductionCheck(_Body):
    """What is other today than when a run was made, as far as it can be looked at before a start."""

    run: str
    attempt: int
    differences: list[Difference] = []
    unchecked: list[str] = []
    """Fields that could not be looked at beforehand; they are compared when the new run has told its own."""
    error: str = ""
    """Why they could not."""


class Reproduction(_Body):
    """How a run stands to the one it does again."""

    original: RunSummary | None = None
    """None: it is not there any more."""
    original_uid: str = ""
    verdict: Verdict
    steps: int = 0
    """Steps both have told."""
    largest: float | None = None
    """Largest relative difference of a loss."""
    largest_step: int | None = None
    first_step: int | None = None
    """The first step whose loss is not the same, bit for bit."""
    losses: tuple[float, float] | None = None
    """Theirs and ours at that step."""
    tolerance: float = TOLERANCE
    differences: list[Difference] = []
    """Between what both runs told of themselves."""


EFFECTS: dict[str, Literal["other_run", "last_digits", "maybe_none"]] = {
    "config": "other_run", "model": "other_run", "model_commit": "maybe_none", "rows": "other_run", "data": "other_run",
    "order": "other_run", "seed": "other_run", "precision": "other_run", "python": "maybe_none",
    "platform": "maybe_none", "processor": "last_digits", "device": "last_digits", "driver": "last_digits",
    "cuda": "last_digits", "threads": "last_digits", "threads_from": "last_digits",
    "image": "last_digits", "code": "last_digits",
}  # fmt: skip
NUMERIC_PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy", "tokenizers", "triton", "bitsandbytes")
"""Packages that reckon or make tokens; another version may change the last digits. NVIDIA's count, too."""


def differences(was: RunManifest, now: RunManifest, unchecked: list[str] | None = None) -> list[Difference]:
    """What is not the same, the gravest first; fields that could not be looked at are left out."""
    found = list[Difference]()
    left_out = {"v", "packages", "data", *(unchecked or [])}
    for name in RunManifest.model_fields:
        if name in left_out:
            continue
        before, after = str(getattr(was, name)), str(getattr(now, name))
        if before != after:
            found.append(Difference(name=name, was=before, now=after, effect=EFFECTS[name]))
    if "data" not in (unchecked or []):
        found += _data(was, now)
    if "packages" not in (unchecked or []):
        found += _packages(was.packages, now.packages)
    if any(one.name.startswith("data.") for one in found):  # they say more than the sum over all
        found = [one for one in found if one.name != "rows"]
    rank = ("other_run", "last_digits", "maybe_none")
    return sorted(found, key=lambda one: (rank.index(one.effect), one.name))


def _data(was: RunManifest, now: RunManifest) -> list[Difference]:
    made = list[Difference]()
    for place in range(max(len(was.data), len(now.data))):
        before = was.data[place] if place < len(was.data) else None
        after = now.data[place] if place < len(now.data) else None
        if before == after:
            continue
        name = (before or after or DataMark(name="", rows=0, sha256="")).name
        made.append(Difference(name=f"data.{name}", was=_mark(before), now=_mark(after), effect="other_run"))
    return made


def _mark(mark: DataMark | None) -> str:
    return "" if mark is None else f"{mark.rows} · {mark.sha256[:12]}"


def _packages(was: dict[str, str], now: dict[str, str]) -> list[Difference]:
    made = list[Difference]()
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            numeric = name in NUMERIC_PACKAGES or name.startswith("nvidia")
            made.append(
                Difference(
                    name=f"packages.{name}", was=was.get(name, ""), now=now.get(name, ""),
                    effect="last_digits" if numeric else "maybe_none",
                )
            )  # fmt: skip
    return made


def as_manifest(plain: dict[str, Any]) -> RunManifest:
    """What stands in a journal."""
    return RunManifest.model_validate(plain)
