"""The log of a run: any line of a million at once, levels, search, copy, odd bytes."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import psutil
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetricsF, QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton

from forge_desktop.bridge.backend import LogPart
from forge_desktop.models.log_lines import (
    ALL,
    CHUNK,
    ERROR,
    INFO,
    SHOWN,
    WARNING,
    Needle,
    clean,
    count_lines,
    count_passing,
    hits,
    level_of,
    rows_of,
)
from forge_desktop.panels.log_line import LineDialog
from forge_desktop.panels.log_paint import column_of
from tests.desktop.test_run_page import open_run
from tests.helpers.journals import before_training, resumed

pytestmark = pytest.mark.slow

LINES = 1_000_000
SLACK = 40_000_000
"""Bytes the process may grow by while a log of 100 MB is scrolled, counted and searched."""


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Path:
    """A million lines, over 100 MB; an error every 100,000, one needle near the end."""
    file = tmp_path_factory.mktemp("log") / "worker.log"
    with file.open("w", encoding="utf-8") as out:
        for first in range(0, LINES, 10_000):
            out.write("".join(map(line_of, range(first, first + 10_000))))
    assert file.stat().st_size > 90_000_000
    return file


def line_of(number: int) -> str:
    """What stands in a line of the big log."""
    level = "ERROR" if number % 100_000 == 77_777 else "INFO"
    more = " 针在草堆里" if number == 987_654 else ""
    loss = 1 / (number + 1)
    return f"21:25:41 {level} step {number:07d} loss {loss:.6f} lr 1.18e-04 grad 0.43 {'x' * 30}{more} 3118 tok/s\n"


def show_log(replay, qtbot, text: str):
    uid, page = open_run(replay, qtbot, before_training())
    replay.backend.write_log(uid, text)
    qtbot.waitUntil(lambda: page.log.model.size == len(text.encode()) and page.log.model.counted == 1)
    page.show_tab("log")
    return uid, page


def part(text: str | bytes) -> LogPart:
    data = text.encode() if isinstance(text, str) else text
    return LogPart(data, 0, len(data))


def texts(data: str | bytes, mask: int = ALL) -> list[str]:
    return [row.text for row in rows_of(part(data), 0, mask, INFO)]


def test_that_any_line_of_a_million_is_there_at_once_and_memory_stays_flat(replay, qtbot, big):
    uid, page = open_run(replay, qtbot, before_training())
    page.show_tab("log")
    view, model = page.log.view, page.log.model
    gc.collect()
    before = psutil.Process(os.getpid()).memory_info().rss
    replay.backend.logs.set_file(uid, big)
    replay.backend.logs.set_file(uid, big, 1)
    model.refresh()
    qtbot.waitUntil(
        lambda: f"{LINES - 1:07d}" in view.visible_text()
    )  # the end comes first, long before all is counted
    early = replay.backend.logs.log_bytes_read
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum() // 2)
    qtbot.waitUntil(lambda: "step" in view.visible_text())
    qtbot.waitUntil(lambda: model.counted == 1, timeout=60_000)
    assert model.rows() == LINES
    for number in (0, 1, 499_999, 123_456, 999_950, 777_777):
        view.verticalScrollBar().setValue(number)
        qtbot.waitUntil(lambda number=number: view.visible_text().startswith(line_of(number)[:30]))
    page.log.finder.open()
    page.log.finder.field.setText("针在草堆")
    qtbot.waitUntil(lambda: "针在草堆里" in view.visible_text(), timeout=60_000)
    qtbot.waitUntil(lambda: page.log.finder.search.complete, timeout=60_000)
    assert page.log.finder.search.total == 1
    page.log.finder.close_bar()
    click(qtbot, page, "run.log.errors")
    qtbot.waitUntil(lambda: model.counted == 1 and model.rows() == 10, timeout=60_000)
    qtbot.waitUntil(lambda: view.visible_text().count("ERROR") == 10)
    gc.collect()
    grown = psutil.Process(os.getpid()).memory_info().rss - before
    print(f"{big.stat().st_size:,} B: end shown after {early:,} B read; the process grew by {grown:,} B")
    assert grown < SLACK
    assert early < 20_000_000


def click(qtbot, page, name):
    qtbot.mouseClick(page.findChild(QPushButton, name), Qt.MouseButton.LeftButton)


def test_that_the_log_follows_its_end_until_scrolled(replay, qtbot):
    uid, page = open_run(replay, qtbot, before_training())
    replay.backend.write_log(uid, "".join(f"12:00:00 INFO line {number}\n" for number in range(500)))
    view, bar = page.log.view, page.log.view.verticalScrollBar()
    qtbot.waitUntil(lambda: "line 499" in view.visible_text())
    replay.backend.write_log(uid, "12:00:00 INFO line 500\n")
    qtbot.waitUntil(lambda: "line 500" in view.visible_text())
    bar.setValue(0)
    assert not view.following
    replay.backend.write_log(uid, "12:00:01 INFO line 501\n")
    qtbot.waitUntil(lambda: page.log.model.rows() == 502)
    assert bar.value() == 0
    assert "line 0" in view.visible_text()
    click(qtbot, page, "run.log.end")
    qtbot.waitUntil(lambda: "line 501" in view.visible_text())


def test_that_a_line_that_is_not_ended_yet_is_shown_as_it_grows(replay, qtbot):
    uid, page = show_log(replay, qtbot, "12:00:00 INFO one\n12:00:00 INFO tw")
    qtbot.waitUntil(lambda: page.log.view.visible_text().endswith("INFO tw"))
    replay.backend.write_log(uid, "o\n")
    qtbot.waitUntil(lambda: page.log.view.visible_text().endswith("INFO two"))
    assert page.log.model.rows() == 2


def test_that_levels_choose_lines_and_what_belongs_to_them(replay, qtbot):
    text = (
        "1 INFO a\n2 ERROR b\nTraceback (most recent call last):\n  File x\nValueError: no\n"
        "3 INFO c\n4 WARNING d\n5 INFO e\n"
    )
    _uid, page = show_log(replay, qtbot, text)
    click(qtbot, page, "run.log.errors")
    wanted = "2 ERROR b\nTraceback (most recent call last):\n  File x\nValueError: no"
    qtbot.waitUntil(lambda: page.log.view.visible_text() == wanted)
    click(qtbot, page, f"run.log.level.{WARNING}")
    qtbot.waitUntil(lambda: page.log.view.visible_text() == f"{wanted}\n4 WARNING d")
    page.log.set_levels(INFO)
    qtbot.waitUntil(lambda: page.log.view.visible_text() == "1 INFO a\n3 INFO c\n5 INFO e")


def test_that_search_goes_forward_back_and_around(replay, qtbot):
    lines = [
        f"12:00:00 INFO line {number}{' Needle' if number in (10, 4000, 9000) else ''}\n" for number in range(10_000)
    ]
    _uid, page = show_log(replay, qtbot, "".join(lines))
    find, view = page.log.finder, page.log.view
    view.set_caret((0, 0))
    find.open()
    find.field.setText("needle")

    def at(number: int) -> None:
        qtbot.waitUntil(lambda: view.caret() is not None and view.model.row(view.caret()) == number)
        qtbot.waitUntil(lambda: f"line {number} Needle" in view.visible_text())

    at(10)
    for number in (4000, 9000, 10):
        find.step(1)
        at(number)
    find.step(-1)
    at(9000)
    qtbot.waitUntil(lambda: page.findChild(QLabel, "run.log.find.count").text() == "3 lines match")
    click(qtbot, page, "run.log.find.case")
    qtbot.waitUntil(lambda: page.findChild(QLabel, "run.log.find.count").text() == "0 lines match")


def test_that_what_is_selected_is_copied(replay, qtbot):
    text = "".join(f"12:00:00 INFO line {number} 你好\n" for number in range(3000))
    _uid, page = show_log(replay, qtbot, text)
    view = page.log.view
    view.verticalScrollBar().setValue(0)
    qtbot.waitUntil(lambda: view.visible_text().startswith("12:00:00 INFO line 0"))
    view.setFocus()
    height, metrics = view.line_height, QFontMetricsF(view.font())
    begin = QPoint(6 + round(metrics.horizontalAdvance("12:00:00 ")), height // 2)
    end = QPoint(6 + round(metrics.horizontalAdvance("12:00:00 INFO line 2 你")), 2 * height + height // 2)
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=begin)
    view.mouseMoveEvent(_moved(end))
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=end)
    with qtbot.waitSignal(view.told):
        qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    wanted = "INFO line 0 你好\n12:00:00 INFO line 1 你好\n12:00:00 INFO line 2 你"
    assert QGuiApplication.clipboard().text() == wanted
    qtbot.keyClick(view, Qt.Key.Key_Home)
    for _ in range(2):
        qtbot.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    with qtbot.waitSignal(view.told):
        view.copy()
    assert QGuiApplication.clipboard().text() == "12:00:00 INFO line 0 你好\n12:00:00 INFO line 1 你好\n"
    qtbot.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    with qtbot.waitSignal(view.told):
        view.copy()
    assert QGuiApplication.clipboard().text() == text.removesuffix("\n")


def _moved(point: QPoint):
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtGui import QMouseEvent

    return QMouseEvent(
        QEvent.Type.MouseMove, QPointF(point), QPointF(point), Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip


def test_that_a_copy_that_is_too_long_says_so(replay, qtbot, big):
    uid, page = open_run(replay, qtbot, before_training())
    replay.backend.logs.set_file(uid, big)
    page.log.model.refresh()
    qtbot.waitUntil(lambda: (page.log.model.size or 0) > 90_000_000)
    page.log.view.select_all()
    with qtbot.waitSignal(page.log.view.told, timeout=30_000) as said:
        page.log.view.copy()
    assert "save the log" in said.args[0]
    assert len(QGuiApplication.clipboard().text()) <= 5_000_000


def test_that_the_log_opens_at_full_height_and_goes_back(replay, qtbot):
    _uid, page = show_log(replay, qtbot, "12:00:00 INFO one\n")
    page.show_tab("overview")
    low = page.log.height()
    click(qtbot, page, "run.log.full")
    qtbot.waitUntil(lambda: page.log.isVisible() and page.log.height() > low)
    click(qtbot, page, "run.log.full")
    qtbot.waitUntil(lambda: page.log.isVisible() and page.log.height() == low)


def test_that_a_long_line_is_cut_and_can_be_read_in_full(replay, qtbot):
    _uid, page = show_log(replay, qtbot, "12:00:00 INFO " + "数据" * 5000 + "\n12:00:01 INFO next\n")
    view = page.log.view
    qtbot.waitUntil(lambda: "next" in view.visible_text())
    rows = [row for _place, row in view.visible()]
    assert (len(rows[0].text), rows[0].hidden) == (SHOWN, 14 + 10_000 - SHOWN)
    view.set_caret((0, 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)
    dialog = page.log.findChild(LineDialog)
    qtbot.waitUntil(lambda: len(dialog.findChild(QPlainTextEdit).toPlainText()) == 14 + 10_000)
    dialog.close()


def test_that_earlier_attempts_keep_their_log(replay, qtbot, tmp_path):
    uid, page = open_run(replay, qtbot, [*before_training(), *resumed(10)])
    first = tmp_path / "first.log"
    first.write_text("12:00:00 ERROR of the first\n")
    replay.backend.logs.set_file(uid, first, 1)
    replay.backend.write_log(uid, "12:30:00 INFO of the second\n")
    qtbot.waitUntil(lambda: "of the second" in page.log.view.visible_text())
    chooser = page.log.findChild(object, "run.log.attempt")
    qtbot.waitUntil(chooser.isVisible)
    chooser.setCurrentIndex(1)
    chooser.activated.emit(1)
    qtbot.waitUntil(lambda: "of the first" in page.log.view.visible_text())


def test_that_nothing_written_yet_is_said(replay, qtbot):
    _uid, page = open_run(replay, qtbot, before_training())
    empty = page.findChild(QLabel, "run.log.empty")
    qtbot.waitUntil(lambda: empty.isVisible() and "appears once the worker runs" in empty.text())


def test_what_odd_bytes_look_like():
    assert texts("a\x00b\n\x1b[31mred\x1b[0m\n\x1b]0;title\x07x\n") == ["a\ufffdb", "red", "x"]
    assert texts(b"\xff\xfe ok \xe4\xbd\n") == ["\ufffd\ufffd ok \ufffd"]
    assert texts("10%\r50%\r100%\nnext\r\n\tlast") == ["100%", "next", "    last"]
    assert texts("") == []
    assert texts("\n\n") == ["", ""]
    assert "\n" not in clean("a\u2028b\x85c\x0bd".encode())


def test_that_levels_are_read_from_plain_and_json_lines():
    assert level_of(b"2026-11-21 12:00:00 ERROR forge: x") == ERROR
    assert level_of(b"[WARN] x") == WARNING
    assert level_of(b'{"t": "2026-11-21T12:00:00", "level": "warning", ') == WARNING
    assert level_of(b"the word ERRORS is none") == 0
    assert level_of(b"12:00 INFO no ERROR here") == INFO


def test_that_counting_agrees_with_the_rows_wherever_pieces_end():
    chance = np.random.default_rng(5)
    for _ in range(20):
        lengths = chance.integers(0, 3000, 400)
        data = b"".join((b"1 ERROR " if n % 7 == 0 else b"1 INFO ") + b"x" * int(n) + b"\n" for n in lengths)
        data = data[: len(data) - int(chance.integers(0, 2))]
        chunks = -(-len(data) // CHUNK)
        whole = part(data)
        counts = count_lines(whole, 0, chunks)
        passing, carries = count_passing(whole, 0, chunks, ERROR, INFO)
        found = hits(whole, 0, chunks, Needle("error"), ALL, [INFO] * chunks)
        assert counts.sum() == 400
        for chunk in range(chunks):
            asked = max(0, chunk * CHUNK - 1)
            piece = LogPart(data[asked:], asked, len(data))
            carry = int(carries[chunk - 1]) if chunk else INFO
            assert len(rows_of(piece, chunk, ALL, INFO)) == counts[chunk]
            assert len(rows_of(piece, chunk, ERROR, carry)) == passing[chunk] == found[chunk]


def test_that_chinese_is_measured_as_it_is_drawn(qapp):
    from forge_desktop.theme.look import mono_font

    metrics = QFontMetricsF(mono_font())
    text = "损失 0.5 训练"
    for column in range(len(text) + 1):
        assert column_of(metrics, text, metrics.horizontalAdvance(text[:column])) == column
