"""Parts of the Docker executor that need no engine: copies, archives, outcomes, what a container may do."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import PurePosixPath

import pytest

from engine.contract.checkpoints import ResumePoint
from engine.contract.model_cache import CachedModel, Shelf
from engine.contract.network import needs_network
from engine.contract.nodes import NodeLimits, NodeProfile
from engine.contract.paths import Home
from engine.contract.run_spec import AttemptOrder, RunSpec
from engine.control.executors.base import Exit
from engine.control.executors.docker import container, files, names, outcome, whole
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.copies import JournalCopy, LogCopy, parsed
from engine.control.executors.docker.files import BadArchive, CutOff, Item
from engine.control.executors.docker.inputs import Inputs, Sums
from engine.control.executors.docker.remote import State
from tests.helpers.dataset_folders import write_version

LINES = [json.dumps({"v": 1, "seq": n, "t": 1.0, "kind": "phase"}).encode() for n in range(1, 9)]


def take(copy: JournalCopy, number: int) -> bool:
    return copy.take(LINES[number - 1], parsed(LINES[number - 1]) or {})


def test_that_a_copy_takes_each_line_once_and_in_order(tmp_path):
    copy = JournalCopy(tmp_path / "journal.jsonl")
    assert [take(copy, n) for n in (1, 2, 2, 1, 3)] == [True] * 5
    assert not take(copy, 5)
    copy.close()
    assert copy.path.read_bytes() == b"\n".join([*LINES[:3], b""])


def test_that_a_gap_is_mended_from_the_file(tmp_path):
    whole_file = b"\n".join([*LINES, b""])
    copy = JournalCopy(tmp_path / "journal.jsonl")
    take(copy, 1)
    rest = whole_file[copy.begin_repair() :]
    for start in range(0, len(rest) - 5, 7):  # in small pieces, the last line torn
        copy.repair(rest[start : min(start + 7, len(rest) - 5)])
    assert copy.seq == 7
    assert whole_file.startswith(copy.path.read_bytes())
    copy.repair(whole_file[copy.begin_repair() :])
    assert copy.path.read_bytes() == whole_file
    assert take(copy, 8)


@pytest.mark.parametrize("torn", [b'{"v": 1, "seq": 3', b"\0\0\0", b'{"seq": 9}\n', b"}\n"])
def test_that_a_copy_begins_after_its_last_whole_line(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"\n".join([*LINES[:2], torn]))
    copy = JournalCopy(path)
    assert copy.seq == 2
    assert take(copy, 3)
    assert path.read_bytes() == b"\n".join([*LINES[:3], b""])


def test_that_a_log_is_copied_by_offset(tmp_path):
    copy = LogCopy(tmp_path / "worker.log")
    assert copy.take(0, b"hello ")
    assert not copy.take(10, b"far away")
    assert copy.take(3, b"lo world")
    assert copy.take(0, b"hello")
    copy.skip(20)
    assert copy.take(20, b"end")
    text = copy.path.read_bytes()
    assert text.startswith(b"hello world[lost]\n")
    assert len(text) == 23


def test_that_what_is_packed_comes_out(tmp_path):
    (tmp_path / "big").write_bytes(bytes(range(256)) * 10)
    items = [Item("a"), Item("a/x", b"xyz", 0o600), Item("a/part", tmp_path / "big", start=256, size=300)]
    with tarfile.open(fileobj=io.BytesIO(b"".join(files.packed(items)))) as archive:
        facts = {info.name: (info.mode, info.uid, info.size) for info in archive}
        part = archive.extractfile("a/part")
        assert part is not None
        assert part.read() == (tmp_path / "big").read_bytes()[256:556]
    assert facts == {"a": (0o755, 10001, 0), "a/x": (0o600, 10001, 3), "a/part": (0o644, 10001, 300)}


def test_that_a_file_that_shrinks_is_noticed(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    with pytest.raises(CutOff):
        list(files.packed([Item("x", tmp_path / "x", size=10)]))


class Answer:
    """An engine that answers with this archive."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def get_archive(self, container: str, path: str, chunk_size: int = 0):
        return iter([self.data[n : n + 700] for n in range(0, len(self.data), 700)]), {}


def archive(*entries: tuple[str, str], cut: int = 0) -> Answer:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE}.get(kind, tarfile.SYMTYPE)
            info.linkname = kind if info.issym() else ""
            data = b"content" * 100 if kind == "file" else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = made.getvalue()
    return Answer(data[: len(data) - cut] if cut else data)


def test_that_a_folder_is_received(tmp_path):
    found = archive(("out", "folder"), ("out/a", "file"), ("out/sub", "folder"), ("out/sub/b", "file"))
    files.receive(found, "c", PurePosixPath("/job/out"), tmp_path / ".x.partial")
    files.put_in_place(tmp_path / ".x.partial", tmp_path / "x")
    assert (tmp_path / "x" / "sub" / "b").read_bytes() == b"content" * 100
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("entry", [("out/../../evil", "file"), ("/evil", "file"), ("out/link", "/etc/passwd")])
def test_that_nothing_leads_out(tmp_path, entry):
    with pytest.raises(BadArchive):
        files.receive(archive(("out", "folder"), entry), "c", PurePosixPath("/job/out"), tmp_path / "x")
    assert not (tmp_path.parent / "evil").exists()


def test_that_a_cut_archive_is_noticed(tmp_path):
    found = archive(("out", "folder"), ("out/a", "file"), cut=10_240 - 1500)
    with pytest.raises(CutOff):
        files.receive(found, "c", PurePosixPath("/job/out"), tmp_path / "x")


def state(code: int, oom: bool = False, status: str = "exited", error: str = "", started: str = "2026-01-01T00:00:00Z"):
    return State("id", status, code, oom, error, started, "2026-01-01T00:00:01.5Z", {})


@pytest.mark.parametrize(
    ("found", "witness", "ended"),
    [
        (state(0), {"code": 0, "signal": None, "t": 5.0}, Exit(0)),
        (state(77), None, Exit(77)),
        (state(137), None, Exit(signal=9)),
        (state(137, oom=True), {"code": None, "signal": 9, "t": 5.0}, Exit(signal=9, out_of_memory=True)),
        (state(0, oom=True), {"code": 0, "signal": None, "t": 5.0}, Exit(0)),  # a child that it did without
        (state(1, oom=True), None, Exit(1, out_of_memory=True)),
        (state(143), {"code": 77, "signal": None}, Exit(77)),
    ],
)
def test_what_an_end_means(found, witness, ended):
    assert outcome.outcome("far", found, witness) == ended


@pytest.mark.parametrize(
    "found",
    [
        state(127, error="no such file"), state(128, status="created", error="no gpu", started="0001-01-01T00:00:00Z"),
        state(0, status="created", started="0001-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_that_what_never_started_is_the_nodes_fault(found):
    ended = outcome.outcome("far", found, None)
    assert ended.node_fault is not None
    assert ended.node_fault.code == "docker.not_started"
    assert outcome.from_json(json.loads(json.dumps(outcome.to_json(ended)))) == ended


def test_times_of_an_engine():
    assert outcome.moment("2026-01-01T00:00:01.123456789Z") == pytest.approx(1767225601.1234567)
    assert outcome.moment("0001-01-01T00:00:00Z") is None
    assert outcome.moment("soon") is None


def plan(**more) -> Plan:
    return Plan("c", "image", ["true"], {}, "volume", **more)


def test_that_gpus_are_asked_for_by_name_and_numbered_anew():
    profile = NodeProfile(name="far", limits=NodeLimits(cpus=2.5))
    asked = plan(devices=("1", "3"), environment={"CUDA_VISIBLE_DEVICES": "1,3", "FORGE_LOG_LEVEL": "info"})
    (request,) = container.host_options(asked, profile)["device_requests"]
    assert request["DeviceIDs"] == ["1", "3"]
    found = container.environment(asked, profile)
    assert "CUDA_VISIBLE_DEVICES" not in found
    assert "NVIDIA_VISIBLE_DEVICES" not in found
    assert (found["OMP_NUM_THREADS"], found["FORGE_LOG_LEVEL"]) == ("2", "info")
    assert container.environment(plan(), profile)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "device_requests" not in container.host_options(plan(), profile)


def test_that_only_the_runs_volume_can_be_written():
    profile = NodeProfile(name="far", mounts=["/data:/datasets", "/more:/more:ro"])
    found = container.mounts(plan(inputs={"entry": "/inputs/x"}), profile)
    assert [(mount["Target"], mount["ReadOnly"] or False) for mount in found] == [
        ("/job", False), ("/inputs/x", True), ("/datasets", True), ("/more", True),
    ]  # fmt: skip


@pytest.mark.parametrize(("hub", "needed"), [("bundled", False), ("local", False), ("huggingface", True)])
def test_who_sees_a_network(hub, needed):
    job = {"kind": "train", "model": {"path": "demo", "hub": hub}, "data": {"train": [{"path": "x"}]}}
    spec = RunSpec.model_validate({"name": "x", "job": job})
    order = AttemptOrder(protocol=1, run="r", attempt=1, lease="l", spec=spec, resume=list[ResumePoint]())
    assert needs_network(order.spec) is needed


def test_labels_of_days():
    assert [names.days_of(text) for text in ("7", "0", "never", None, "soon", "-1")] == [7.0, 0.0, None, None, None, 0]
    assert [names.days_text(days) for days in (7.0, 0.5, None)] == ["7", "0.5", "never"]


def test_that_homes_are_told_apart_wherever_they_lie(tmp_path):
    one, other = Home(tmp_path / "a"), Home(tmp_path / "b")
    assert names.known_id(one) is None
    assert not one.root.exists()
    known = names.controller_id(one)
    assert known == names.controller_id(one) == names.known_id(one)
    assert known != names.controller_id(other)
    one.root.rename(tmp_path / "moved")  # a home that moves stays the same
    assert names.controller_id(Home(tmp_path / "moved")) == known
    assert names.controller_id(one) != known  # another computer's at the same path does not count as it


def test_that_sums_are_taken_again_when_a_file_changed(tmp_path):
    path, file = tmp_path / "sums.json", tmp_path / "x"
    file.write_text("one")
    sums = Sums(path)
    first = sums.of(file)
    sums.keep()
    assert Sums(path).of(file) == first
    file.write_text("two")
    assert Sums(path).of(file) != first


def test_that_a_result_must_be_what_the_journal_says(tmp_path):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "x").write_text("x")
    line = {"path": "outputs/x", "sha256": whole.sha256(tmp_path / "outputs" / "x")}
    whole.check_result(tmp_path, line)
    tree = whole.tree_digest({"x": line["sha256"]})
    whole.check_result(tmp_path, {"path": "outputs", "sha256": tree})
    for bad in ({**line, "sha256": "0"}, {**line, "path": "outputs/y"}, {**line, "path": "../x"}):
        with pytest.raises(whole.Damaged):
            whole.check_result(tmp_path, bad)


def test_that_a_version_of_the_library_goes_to_a_node_as_a_folder(tmp_path):
    home = Home(tmp_path / "home")
    made = write_version(home, ["a", "b"])
    source = {"hub": "library", "path": "alpha", "version": made.hash, "private": True}
    gone = {"hub": "library", "path": "gone", "version": "0" * 64}
    job = {
        "kind": "train",
        "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [source], "validation": [gone]},
    }
    order = AttemptOrder(
        protocol=1, run="r", attempt=1, lease="l", spec=RunSpec.model_validate({"name": "x", "job": job})
    )  # fmt: skip
    profile = NodeProfile.model_validate({"name": "far", "kind": "docker_local"})
    inputs = Inputs(home, profile, None, Sums(tmp_path / "sums.json"))  # type: ignore[arg-type] # nothing is copied here
    found, mounted = inputs.find(order, lambda: None)
    train, missing = found.spec.job.data.train[0], found.spec.job.data.validation[0]
    assert (train.hub, train.version) == ("local", None)
    assert train.path.startswith(str(names.INPUTS))
    assert list(mounted.values()) == [train.path]
    [entry] = inputs.entries.values()
    assert {file.name for file in entry.files} == {"dataset.json", "problems.arrow", "rows-00000.arrow"}
    assert inputs.private
    assert (missing.hub, missing.version) == ("library", "0" * 64)  # its worker says that it is not there


def test_that_the_tokenizer_of_a_model_from_scratch_goes_to_a_node_where_a_folder_has_it(tmp_path):
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_text("{}")
    profile = NodeProfile.model_validate({"name": "far", "kind": "docker_local"})
    sums = Sums(tmp_path / "sums.json")
    inputs = Inputs(Home(tmp_path / "home"), profile, None, sums)  # type: ignore[arg-type] # nothing is copied here

    def moved(**scratch):
        job = {
            "kind": "train", "model": {"path": "new", "hub": "scratch"}, "stage": "pretrain", "tuner": {"kind": "full"},
            "data": {"train": [{"path": "demo", "hub": "bundled"}]}, "scratch": scratch,
        }  # fmt: skip
        spec = RunSpec.model_validate({"name": "x", "job": job})
        order = AttemptOrder(protocol=1, run="r", attempt=1, lease="l", spec=spec)
        found, mounted = inputs.find(order, lambda: None)
        return found.spec.job.scratch.tokenizer_path, mounted

    path, mounted = moved(tokenizer="folder", tokenizer_path=str(tmp_path / "tok"))
    assert [path] == list(mounted.values())
    assert path.startswith(str(names.INPUTS))
    assert moved() == ("", {})
    assert moved(tokenizer="base", tokenizer_path="demo") == ("demo", {})


def test_that_a_teacher_goes_to_a_node_and_a_hubs_is_fetched_there_unless_it_lies_here(tmp_path):
    for name in ("big", "adapter"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"is": name}))
    taught = {"path": str(tmp_path / "big"), "adapter": str(tmp_path / "adapter")}
    job = {
        "kind": "train", "model": {"path": "demo", "hub": "bundled"}, "stage": "gkd", "teacher": taught,
        "data": {"train": [{"path": "demo", "hub": "bundled"}]},
    }  # fmt: skip
    profile = NodeProfile.model_validate({"name": "far", "kind": "docker_local"})
    sums = Sums(tmp_path / "sums.json")
    inputs = Inputs(Home(tmp_path / "home"), profile, None, sums)  # type: ignore[arg-type] # nothing is copied here

    def moved(**changes):
        spec = RunSpec.model_validate({"name": "x", "job": {**job, **changes}})
        order = AttemptOrder(protocol=1, run="r", attempt=1, lease="l", spec=spec)
        return inputs.find(order, lambda: None)

    found, mounted = moved()
    teacher = found.spec.job.teacher
    assert {teacher.path, teacher.adapter} == set(mounted.values())
    assert all(path.startswith(str(names.INPUTS)) for path in mounted.values())
    assert moved(stage="sft")[1] == {}  # nobody else asks for it
    hub = moved(teacher={"path": "org/big", "hub": "huggingface"})[0]
    assert hub.spec.job.teacher.path == "org/big"
    assert needs_network(hub.spec)
    assert (inputs.links, inputs.choices) == ({}, {})
    shelf, commit = Shelf.of(inputs.home, "huggingface", "org/big"), "c" * 40
    shelf.part(commit).mkdir(parents=True)
    (shelf.part(commit) / "config.json").write_text("{}")
    shelf.keep(CachedModel(hub="huggingface", path="org/big", commit=commit))
    shelf.remember("main", commit)
    _cached, mounted = moved(teacher={"path": "org/big", "hub": "huggingface"})
    (target,) = mounted.values()
    assert inputs.links == {f"/job/models/huggingface/org--big/{commit}": target}  # it lies here: nobody fetches it
    assert json.loads(inputs.choices["teacher.json"])["commit"] == commit
