"""Kills for memory as control groups count them, by files as both versions write them."""

from __future__ import annotations

import pytest

from engine.control.executors.cgroup import oom_kills


def group(tmp_path, line: str, file: str, text: str) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(line)
    place = tmp_path / "groups" / file
    place.parent.mkdir(parents=True)
    place.write_text(text)


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("0::/user/run\n", "user/run/memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n"),
        (
            "5:devices:/\n4:memory:/run\n0::/\n",
            "memory/run/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        ),
    ],
)
def test_that_both_versions_are_read(tmp_path, line, file, text):
    group(tmp_path, line, file, text)
    assert oom_kills(7, tmp_path / "proc", tmp_path / "groups") == 2


def test_that_where_nobody_counts_nothing_is_known(tmp_path):
    assert oom_kills(7, tmp_path / "proc", tmp_path / "groups") is None
    group(tmp_path, "nonsense\n0::/run\n", "elsewhere", "")
    assert oom_kills(7, tmp_path / "proc", tmp_path / "groups") is None
