"""Moving all data: what is refused, what is kept, and that a kill at any point leaves one of both folders whole."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import move
from engine.client.client import ControllerClient
from engine.client.history import check_history
from engine.contract.errors import UserError
from engine.contract.paths import Home
from forge_desktop.bridge.backend_settings import MoveWish
from forge_desktop.bridge.controller import connect_to_controller
from tests.helpers.controller import ControllerProcess, make_stub_python
from tests.helpers.dataset_folders import write_version
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.slow
KILLS = ("move.after_marker", "move.copying", "move.after_copy", "move.before_switch", "move.after_switch")


class UsualHome(ControllerProcess):
    """A controller on the home a person has who names none."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, make_stub_python(folder))
        self.home = Home(folder / "data" / "LoRAForge")
        self.client = ControllerClient(self.home)
        self.target = folder / "other-disk" / "forge"

    @property
    def environment(self) -> dict[str, str]:
        named = {k: v for k, v in super().environment.items() if k != "FORGE_HOME"}
        return named | {"XDG_DATA_HOME": str(self.folder / "data"), "XDG_CONFIG_HOME": str(self.folder / "config")}

    def found(self) -> Home:
        """The home a new start would use."""
        content = self.folder / "config" / "LoRAForge" / "home.json"
        return Home(Path(json.loads(content.read_text())["home"])) if content.exists() else self.home

    def close(self) -> None:
        for home in (self.home, self.found()):
            self.home = home
            self._end_recorded()
        super().close()


@pytest.fixture
def usual(tmp_path: Path) -> Iterator[UsualHome]:
    usual = UsualHome(tmp_path)
    try:
        yield usual
    finally:
        usual.close()


def contents(home: Home) -> dict[str, bytes]:
    """What must be the same after a move."""
    return {
        str(path): (home.root / path).read_bytes()
        for path, _size in move.files_of(home.root)
        if path.parts[0] in ("runs", "library", "datasets", "uploads") and not (home.root / path).is_symlink()
    }


def a_run(usual: UsualHome) -> str:
    uid = usual.client.create(usual.spec("done")).uid
    usual.until(uid, "completed", "failed")
    return uid


def test_that_everything_moves_and_goes_on_there(usual):
    usual.start()
    uid = a_run(usual)
    python = usual.home.environments / "e" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (python.parent / "tool").write_text(f"#!{python}\n")
    assert usual.forge("settings", "--worker-python", str(python)).returncode == 0
    write_version(usual.home, ["a", "b"])
    sent = usual.client.upload(python.parent / "tool")
    before = contents(usual.home)
    assert {Path(name).parts[0] for name in before} == {"runs", "datasets", "uploads"}
    done = usual.forge("home", "move", str(usual.target))
    assert done.returncode == 0, done.stderr
    assert "copying 100 %" in done.stderr
    new = usual.found()
    assert new.root == usual.target
    assert contents(new).items() >= before.items()
    assert check_history(new) == []
    client = ControllerClient(new)
    assert client.health().home == str(new.root)
    assert client.run(uid).run.uid == uid
    assert client.upload_view(sent.uid).complete
    assert client.settings().worker_python == str(new.environments / "e" / "bin" / "python")
    assert str(usual.home.root) not in (new.environments / "e" / "bin" / "tool").read_text()
    client.close()
    shown = usual.forge("home", "show")
    assert str(new.root) in shown.stdout
    assert "delete-old" in shown.stdout
    assert usual.home.root.is_dir()
    assert usual.forge("home", "delete-old").returncode == 0
    assert not usual.home.root.exists()
    assert usual.forge("runs").returncode == 0
    assert usual.forge("home", "delete-old").returncode != 0


@pytest.mark.parametrize("where", KILLS)
def test_that_a_kill_leaves_one_of_them_whole(usual, where):
    usual.start()
    uid = a_run(usual)
    before = contents(usual.home)
    os.environ["FORGE_FAULT"] = f"{where}:kill"
    try:
        killed = usual.forge("home", "move", str(usual.target))
    finally:
        del os.environ["FORGE_FAULT"]
    assert killed.returncode == -9, killed.stderr
    home = usual.found()
    assert home.root == (usual.target if where == "move.after_switch" else usual.home.root)
    assert contents(home).items() >= before.items()
    assert check_history(home) == []
    assert usual.forge("show", uid).returncode == 0
    if where != "move.after_switch":
        again = usual.forge("home", "move", str(usual.target))
        assert again.returncode == 0, again.stderr
        assert usual.found().root == usual.target
        assert contents(usual.found()).items() >= before.items()


def test_that_runs_are_paused_moved_and_gone_on_with(usual):
    usual.start()
    uid = usual.client.create(usual.spec("long steps=500 delay=0.1")).uid
    usual.until(uid, "running")
    refused = usual.forge("home", "move", str(usual.target))
    assert "home.runs_live" in refused.stderr
    assert usual.client.run(uid).run.state == "running"
    done = usual.forge("home", "move", str(usual.target), "--pause-runs")
    assert done.returncode == 0, done.stderr
    with ControllerClient(usual.found()) as client:
        wait_until(lambda: client.run(uid).run.attempt == 2, what="it goes on")
        client.stop(uid, save=False)
        wait_until(lambda: client.run(uid).run.state == "stopped")


def test_that_bad_targets_are_refused_with_the_reason(usual, monkeypatch):
    usual.home.root.mkdir(parents=True)
    monkeypatch.delenv("FORGE_HOME", raising=False)
    full = usual.folder / "full"
    full.mkdir()
    (full / "x").write_text("mine")

    def code(target, home=usual.home):
        with pytest.raises(UserError) as raised:
            move.check_target(home, target)
        return raised.value.code

    assert code(full) == "home.target_taken"
    assert code(usual.home.root / "inside") == "home.target_inside"
    assert code(usual.home.root.parent) == "home.target_inside"
    assert code(full / "x" / "below-a-file") == "home.target_locked"
    monkeypatch.setattr(move, "NETWORK", (move.filesystem(usual.folder.resolve()),))
    assert code(usual.target) == "home.target_network"
    move.check_target(usual.home, usual.target, network=True)
    monkeypatch.setenv("FORGE_HOME", str(usual.home.root))
    assert code(usual.target) == "home.fixed"
    assert (full / "x").read_text() == "mine"


def test_that_a_copy_that_differs_is_found(usual, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "runs").mkdir(parents=True)
    (old / "runs" / "a").write_bytes(b"1" * 100)
    sums = move._copy(old, new, lambda _progress: None)
    (new / "runs" / "a").write_bytes(b"1" * 99 + b"2")
    with pytest.raises(UserError, match="runs/a"):
        move._verify(new, sums, lambda _progress: None)


def test_that_a_home_that_is_not_there_is_said_and_no_empty_one_begun(usual):
    usual.start()
    a_run(usual)
    assert usual.forge("home", "move", str(usual.target)).returncode == 0
    usual.forge("controller", "stop")
    wait_until(lambda: not usual.found().controller_file.exists())
    away = usual.target.with_name("unplugged")
    usual.target.rename(away)
    said = usual.forge("runs")
    assert "home.missing" in said.stderr
    assert not usual.target.exists()
    away.rename(usual.target)
    assert usual.forge("runs").returncode == 0


def test_that_only_a_folder_that_was_left_is_deleted(usual, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "x").write_text("mine")
    with pytest.raises(UserError, match="not_old"):
        move.delete_left(Home(usual.target), precious)
    (precious / move.MOVED).write_text(json.dumps({"home": "/elsewhere"}))
    with pytest.raises(UserError, match="not_old"):
        move.delete_left(Home(usual.target), precious)
    assert (precious / "x").read_text() == "mine"


def test_that_the_desktop_goes_on_with_the_data(usual, monkeypatch):
    for name, value in usual.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORGE_HOME", raising=False)
    usual.start()
    uid = a_run(usual)
    backend = connect_to_controller(Home.find())
    lines: list[bool] = []
    stream = iter(backend.stream(0, lines.append))
    reader = threading.Thread(target=lambda: [None for _message in stream], daemon=True)
    reader.start()
    wait_until(lambda: lines == [True])
    steps: list[str] = []
    moved = backend.move_home(MoveWish(usual.target), lambda progress: steps.append(progress.step))
    assert moved == usual.target
    assert {"copying", "verifying", "switching", "starting"} <= set(steps)
    wait_until(lambda: len(lines) > 1 and lines[-1], what="the stream is up again")
    assert backend.health().home == str(usual.target)
    assert backend.run(uid).run.uid == uid
    assert backend.old_home() == usual.home.root
    backend.delete_old_home(usual.home.root)
    assert backend.old_home() is None
    backend.close()
    reader.join(20)
