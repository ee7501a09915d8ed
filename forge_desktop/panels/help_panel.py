"""F1: help for the page that is open, every other topic, and a search over all of them."""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, QUrl, Signal, Slot
from PySide6.QtGui import (
    QDesktopServices,
    QFont,
    QKeyEvent,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtWidgets import QTextBrowser, QWidget

from forge_desktop.models import help_topics
from forge_desktop.models.command_table import ENTRIES
from forge_desktop.models.commands import keys_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Choice, Field, column
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import MONO_FAMILIES, tokens

SEARCH_MS = 120
LINE_HEIGHT = 142
HEADINGS = {1: 18, 2: 14, 3: 14}
_KEYS = re.compile(r"\{key:([\w.]+)\}")


class HelpPanel(QWidget):
    """Shows a topic. A link `page:<address>` opens a page, `topic:<name>` another topic, `command:<key>` does it."""

    navigate = Signal(str)
    command = Signal(str)

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.setObjectName("help")
        self.topic = ""
        self.search = Field(hint=tr("Search the help…"), name="help.search")
        self.search.setAccessibleName(tr("Search the help"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icons.icon("search", tokens().muted), Field.ActionPosition.LeadingPosition)
        self._soon = QTimer(self, singleShot=True, interval=SEARCH_MS)
        self._soon.timeout.connect(self._find)
        self.search.textChanged.connect(lambda _text: self._soon.start())
        self.search.returnPressed.connect(self._open_first)
        self.search.installEventFilter(self)
        self.topics = Choice([(one.key, one.title) for one in help_topics.topics()], topic)
        self.topics.setObjectName("help.topics")
        self.topics.setAccessibleName(tr("Help topic"))
        self.topics.currentIndexChanged.connect(lambda _index: self.show_topic(self.topics.value()))
        self.browser = QTextBrowser()
        self.browser.setObjectName("help.text")
        self.browser.setAccessibleName(tr("Help"))
        self.browser.setProperty("role", "help")
        self.browser.setOpenLinks(False)
        self.browser.anchorClicked.connect(self._follow)
        layout = column(spacing=10)
        layout.addWidget(self.search)
        layout.addWidget(self.topics)
        layout.addWidget(self.browser, 1)
        self.setLayout(layout)
        self.setFocusProxy(self.browser)
        self.show_topic(topic)

    def show_topic(self, key: str) -> None:
        """Show a help text."""
        found = help_topics.topic(key)
        self.topic = found.key
        self.topics.blockSignals(True)
        self.topics.set_value(found.key)
        self.topics.blockSignals(False)
        self._show(_KEYS.sub(lambda hit: f"`{_keys_of(hit[1])}`", found.text))

    @Slot()
    def _find(self) -> None:
        words = self.search.text().strip()
        if not words:
            self.show_topic(self.topic)
            return
        hits = help_topics.search(words)
        lines = [f"### [{one.title}](topic:{one.key})\n\n{_KEYS.sub('', line)}\n" for one, line in hits]
        self._show("\n".join(lines) or tr("Nothing was found. Try fewer words."))

    def _open_first(self) -> None:
        hits = help_topics.search(self.search.text())
        if hits:
            self.search.clear()
            self._soon.stop()
            self.show_topic(hits[0][0].key)

    def _show(self, markdown: str) -> None:
        self.browser.document().setDefaultFont(self.font())
        self.browser.setMarkdown(markdown)
        _space(self.browser.document())

    @Slot(QUrl)
    def _follow(self, url: QUrl) -> None:
        scheme, rest = url.scheme(), url.toString().partition(":")[2]
        match scheme:
            case "page":
                self.navigate.emit(rest)
            case "topic":
                self.search.clear()
                self._soon.stop()
                self.show_topic(rest)
            case "command":
                self.command.emit(rest)
            case "https":
                QDesktopServices.openUrl(url)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: from the search, the arrow goes into the text."""
        if watched is not self.search or not isinstance(event, QKeyEvent):
            return super().eventFilter(watched, event)
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Down:
            self.browser.setFocus()
            return True
        return super().eventFilter(watched, event)


def _keys_of(command: str) -> str:
    keys = next((entry.keys for entry in ENTRIES if entry.key == command), ())
    return " / ".join(keys_text(one) for one in keys)


def _space(document: QTextDocument) -> None:
    """Air between lines and paragraphs, and our own sizes and weights, which Markdown alone does not give."""
    cursor = QTextCursor(document)
    block = document.begin()
    while block.isValid():
        cursor.setPosition(block.position())
        form = QTextBlockFormat()
        form.setLineHeight(LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        in_list = block.textList() is not None
        form.setTopMargin(14 if block.blockFormat().headingLevel() > 1 else 2 if in_list else 6)
        form.setBottomMargin(2 if in_list else 6)
        cursor.mergeBlockFormat(form)
        _set_type(document, block)
        block = block.next()


def _set_type(document: QTextDocument, block: QTextBlock) -> None:
    level = block.blockFormat().headingLevel()
    parts = block.begin()
    found: list[tuple[int, int, QTextCharFormat]] = []
    while not parts.atEnd():
        part = parts.fragment()
        form = part.charFormat()
        if level or form.fontWeight() > QFont.Weight.Medium:
            form.setFontWeight(QFont.Weight.DemiBold)
        if level:
            form.clearProperty(QTextFormat.Property.FontSizeAdjustment)
            form.setProperty(QTextFormat.Property.FontPixelSize, HEADINGS.get(level, 14))
        if form.fontFixedPitch():
            form.setFontFamilies(MONO_FAMILIES)
        found.append((part.position(), part.length(), form))
        parts += 1
    cursor = QTextCursor(document)
    for place, length, form in found:
        cursor.setPosition(place)
        cursor.setPosition(place + length, QTextCursor.MoveMode.KeepAnchor)
        cursor.setCharFormat(form)
