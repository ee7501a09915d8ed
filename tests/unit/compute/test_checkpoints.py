"""Checkpoints as files: whatever happens to one, it is either as it was written or known to be damaged."""

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.compute.worker.artifacts import fingerprint_of
from engine.compute.worker.checkpoints import Checkpoints, Damaged, verified
from engine.compute.worker.journal import Journal
from engine.compute.worker.reporter import Reporter
from engine.contract.checkpoints import MANIFEST, CheckpointConfig, Manifest
from engine.contract.events import journal_line
from engine.contract.paths import KEPT

FILES = {"weights": bytes(range(256)) * 4, "state.json": b'{"x": 1}', "empty": b""}


def manifest(step: int, attempt: int = 1, loss: float | None = None, cause: str = "steps") -> Manifest:
    return Manifest(
        run="r", attempt=attempt, step=step, epoch=step / 10, total_steps=100, loss=0.1 + 0.2, validation_loss=loss,
        cause=cause, created=1790000000.123456, environment={"torch": "2", "threads": 2},
    )  # fmt: skip


def write(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).write_bytes(content)


def make(folder: Path, attempt: int = 1, **config) -> Checkpoints:
    folder.mkdir(parents=True, exist_ok=True)
    made = Checkpoints(
        folder / "checkpoints", CheckpointConfig(**config), attempt, Reporter(Journal(folder / f"j{attempt}"))
    )
    made.begin()
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    made = make(folder)
    made.save(manifest(7, loss=float("nan")), write)
    return folder / "checkpoints" / "a1-s7"


def test_that_an_untouched_one_is_whole_and_its_hash_is_the_journals(whole):
    found = verified(whole)
    assert found.step == 7
    assert found.files.keys() == FILES.keys()
    lines = [journal_line.validate_json(line) for line in (whole.parent.parent / "j1").read_bytes().splitlines()]
    assert fingerprint_of(whole).sha256 == lines[-1].sha256


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*FILES, MANIFEST]),
    how=st.sampled_from(["flip", "cut", "grow", "remove", "swap", "empty"]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_that_no_change_to_any_file_goes_unnoticed(whole, tmp_path_factory, name, how, place, bit):
    folder = tmp_path_factory.mktemp("damaged") / whole.name
    shutil.copytree(whole, folder)
    path = folder / name
    before = path.read_bytes()
    content = bytearray(before)
    if how == "flip" and content:
        content[int(place * len(content))] ^= 1 << bit
    elif how == "cut":
        del content[int(place * len(content)) :]
    elif how == "grow":
        content += b"\n" if name == MANIFEST else b"x"
    elif how == "swap" and len(content) > 1:
        at = int(place * (len(content) - 1))
        content[at], content[at + 1] = content[at + 1], content[at]
    elif how == "empty":
        content.clear()
    path.unlink() if how == "remove" else path.write_bytes(content)
    if how != "remove" and bytes(content) == before:
        assert verified(folder).model_dump_json() == verified(whole).model_dump_json()
        return
    found = None
    with contextlib.suppress(Damaged):
        found = verified(folder)
    if found is not None:  # white space in a manifest says nothing
        assert name == MANIFEST
        assert found.model_dump_json() == verified(whole).model_dump_json()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    saves=st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 9)), min_size=1, max_size=10),
    keep_last=st.integers(1, 3),
    keep_best=st.integers(0, 2),
)
def test_that_the_newest_the_best_and_a_persons_are_kept(tmp_path_factory, saves, keep_last, keep_best):
    folder = tmp_path_factory.mktemp("kept")
    made = make(folder, keep_last=keep_last, keep_best=keep_best)
    there: dict[int, tuple[bool, float | None]] = {}
    for step, (by_person, loss) in enumerate(saves, 1):
        assert made.save(manifest(step, loss=loss, cause="person" if by_person else "steps"), write)
        there[step] = (by_person, loss)
        scored = sorted((loss, f"a1-s{one}", one) for one, (_, loss) in there.items() if loss is not None)
        keep = set(sorted(there)[-keep_last:]) | {one for *_, one in scored[:keep_best]}
        there = {one: known for one, known in there.items() if one in keep or known[0]}
        assert {int(path.name.partition("-s")[2]) for path in made.folder.iterdir()} == set(there)
        assert all(verified(path) for path in made.folder.iterdir())


def test_that_one_that_somebody_keeps_is_not_pruned_until_it_is_released(tmp_path):
    made = make(tmp_path, keep_last=1, keep_best=0)
    made.save(manifest(1), write)
    (tmp_path / KEPT).mkdir()
    (tmp_path / KEPT / "a1-s1").touch()
    for step in (2, 3):
        made.save(manifest(step), write)
    assert {path.name for path in made.folder.iterdir()} == {"a1-s1", "a1-s3"}
    (tmp_path / KEPT / "a1-s1").unlink()
    made.save(manifest(4), write)
    assert {path.name for path in made.folder.iterdir()} == {"a1-s4"}


def test_that_a_new_attempt_clears_what_was_half_written_and_goes_on_pruning(tmp_path):
    old = make(tmp_path, keep_last=2, keep_best=0)
    for step in (1, 2):
        old.save(manifest(step), write)
    (tmp_path / "checkpoints" / ".a1-s3.partial").mkdir()
    new = make(tmp_path, attempt=2, keep_last=2, keep_best=0)
    assert not (tmp_path / "checkpoints" / ".a1-s3.partial").exists()
    new.save(manifest(2, attempt=2), write)
    assert {path.name for path in new.folder.iterdir()} == {"a1-s2", "a2-s2"}
