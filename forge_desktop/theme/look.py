"""The look in force: tokens, palette and fonts of the whole application, and the style sheet of its window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from engine.contract.paths import resources_folder
from forge_desktop.theme import icons
from forge_desktop.theme.stylesheet import stylesheet
from forge_desktop.theme.tokens import LIGHT, THEMES, Tokens

UI_FAMILIES = ["Inter", "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "Segoe UI", "sans-serif"]
MONO_FAMILIES = ["JetBrains Mono", "Noto Sans Mono CJK SC", "Consolas", "Menlo", "monospace"]

STYLED = "forge.styled"
_current: Tokens = LIGHT


def tokens() -> Tokens:
    """The theme in force."""
    return _current


def load_fonts() -> None:
    """Make the bundled fonts known; the system's stand in where one is missing."""
    for file in sorted((resources_folder() / "fonts").glob("*.?tf")):
        QFontDatabase.addApplicationFont(str(file))


def ui_font(pixels: int = 13, weight: int = 400) -> QFont:
    """The font of all controls; figures are tabular so that changing numbers do not jump."""
    font = QFont()
    font.setFamilies(UI_FAMILIES)
    font.setPixelSize(pixels)
    font.setWeight(QFont.Weight(weight))
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def mono_font(pixels: int = 12) -> QFont:
    """The font of logs."""
    font = QFont()
    font.setFamilies(MONO_FAMILIES)
    font.setPixelSize(pixels)
    font.setStyleHint(QFont.StyleHint.Monospace)
    return font


def system_theme() -> str:
    """What the person chose for the whole desktop: light or dark."""
    hints = QGuiApplication.styleHints()
    return "dark" if hints is not None and hints.colorScheme() == Qt.ColorScheme.Dark else "light"


def apply(app: QApplication, name: str) -> None:
    """Put a theme (light, dark, system) in force. Widgets made before need to be made again for their icons."""
    global _current
    _current = THEMES[system_theme() if name == "system" else name]
    icons.clear()
    if not app.property(STYLED):  # Qt's own style, not one of Python's: each control asks it dozens of times
        app.setStyle(QStyleFactory.create("Fusion"))
        app.setProperty(STYLED, True)
    palette, font = _palette(_current), ui_font()
    if app.palette() != palette:  # every widget hears of it, even where it is the same
        app.setPalette(palette)
    if app.font() != font:
        app.setFont(font)


def dress(window: QWidget) -> None:
    """Give the style sheet in force to a window and all it holds, dialogs and menus too.

    Not to the application: with a sheet of its own each widget restyles all it holds whenever it gets another parent,
    and a page, which is put together from the inside, restyled each of its widgets some eight times.
    """
    window.setStyleSheet(stylesheet(_current))


def _palette(t: Tokens) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for part, colour in (
        (role.Window, t.bg),
        (role.WindowText, t.text),
        (role.Base, t.surface),
        (role.AlternateBase, t.surface2),
        (role.Text, t.text),
        (role.Button, t.surface),
        (role.ButtonText, t.text),
        (role.BrightText, t.bad_text),
        (role.ToolTipBase, t.surface2),
        (role.ToolTipText, t.text),
        (role.Highlight, t.accent),
        (role.HighlightedText, t.on_accent),
        (role.Link, t.accent_text),
        (role.PlaceholderText, t.muted),
        (role.Mid, t.border_strong),
        (role.Dark, t.border_strong),
        (role.Light, t.surface),
    ):
        palette.setColor(part, QColor(colour))
    for part in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, part, QColor(t.muted))
    return palette
