"""What of each run lies at the place for artefacts: a small file a run, so that nobody has to ask the place."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from engine.contract.durable import write_durably
from engine.contract.paths import Home


class Kept(BaseModel):
    """Of one run."""

    place: str = ""
    checkpoints: dict[str, str] = {}
    """Name to digest."""
    results: dict[str, str] = {}
    """Path in the attempt's folder, with its attempt, to digest."""
    going: bool = False
    """The run was deleted: what lies there is to go."""


def load(home: Home, uid: str, place: str) -> Kept:
    """What lies there; of another place nothing is known."""
    try:
        found = Kept.model_validate_json((home.kept_elsewhere / f"{uid}.json").read_bytes())
    except (OSError, ValidationError, ValueError):
        return Kept(place=place)
    return found if found.place == place else Kept(place=place, going=found.going)


def keep(home: Home, uid: str, kept: Kept) -> None:
    """Write it down."""
    write_durably(home.kept_elsewhere / f"{uid}.json", kept.model_dump_json().encode())


def let_go(home: Home, uid: str) -> None:
    """The run is deleted: what lies there is to go, whichever place it is."""
    try:
        found = Kept.model_validate_json((home.kept_elsewhere / f"{uid}.json").read_bytes())
    except (OSError, ValidationError, ValueError):
        found = Kept()
    keep(home, uid, found.model_copy(update={"going": True}))


def drop(home: Home, uid: str) -> None:
    """Nothing of it lies there any more."""
    (home.kept_elsewhere / f"{uid}.json").unlink(missing_ok=True)


def known(home: Home) -> list[str]:
    """Runs of which something lies there, or did."""
    return [path.stem for path in home.kept_elsewhere.glob("*.json") if not path.name.startswith(".")]
