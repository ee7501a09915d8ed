"""The style sheet, made from the tokens. Widgets choose a form by the properties `variant`, `role` and `tone`."""

from string import Template

from engine.contract.paths import resources_folder
from forge_desktop.theme.tokens import RADIUS_CARD, RADIUS_CHIP, RADIUS_CONTROL, Tokens

_SHEET = Template("""
* { outline: none; }
QWidget { color: $text; font-size: 13px; }
QMainWindow, QDialog, QWidget[role="page"] { background: $bg; }
QScrollArea, QScrollArea > QWidget > QWidget, QStackedWidget { background: transparent; border: none; }
QToolTip { background: $surface2; color: $text; border: 1px solid $border_strong; border-radius: ${radius_chip}px; padding: 6px 8px; }

QGraphicsView { background: transparent; border: none; }
QLabel { background: transparent; }
QLabel[role="display"] { font-size: 24px; font-weight: 600; }
QLabel[role="title"] { font-size: 20px; font-weight: 600; }
QLabel[role="card-title"] { font-size: 14px; font-weight: 600; }
QLabel[role="label"] { font-size: 12px; font-weight: 500; color: $secondary; }
QLabel[role="hint"] { font-size: 12px; color: $muted; }
QLabel[role="section"] { font-size: 11px; font-weight: 600; color: $muted; }
QLabel[role="strong"] { font-weight: 600; }
QLabel[role="excerpt"] { font-family: "JetBrains Mono", "Noto Sans Mono CJK SC", monospace; font-size: 12px; color: $secondary;
  background: $surface2; border-radius: ${radius_control}px; padding: 8px 10px; }
QLabel[tone="bad"] { color: $bad_text; }
QLabel[tone="warn"] { color: $warn_text; }
QLabel[tone="ok"] { color: $ok_text; }
QLabel[tone="accent"] { color: $accent_text; }

QFrame[role="card"] { background: $surface; border: 1px solid $border; border-radius: ${radius_card}px; }
QFrame[role="card"][state="bad"] { border: 2px solid $bad_fill; }
QFrame[role="card"][marked="yes"] { border: 2px solid $accent; }
QFrame[role="answer"] { background: $surface2; border: 1px solid $border; border-radius: ${radius_control}px; }
QFrame[role="line"] { background: $border; border: none; max-height: 1px; min-height: 1px; }
QFrame[role="sidebar"] { background: $sidebar; border: none; border-right: 1px solid $border; }
QFrame[role="toast"], QFrame[role="overlay"] { background: $surface; border: 1px solid $border_strong;
  border-radius: ${radius_card}px; }
QFrame[role="side-panel"] { background: $surface; border: none; border-left: 1px solid $border_strong; }
QLabel[role="key"] { background: $surface2; border: 1px solid $border_strong; border-radius: 5px; padding: 2px 7px;
  font-size: 11px; font-weight: 500; color: $secondary; }
QTextBrowser[role="help"] { background: transparent; border: none; selection-background-color: $accent;
  selection-color: $on_accent; }
QLineEdit[role="palette"], QLineEdit[role="palette"]:focus { border: none; background: transparent; font-size: 15px;
  padding: 0; min-height: 34px; }
QFrame[role="banner"] { border-radius: ${radius_control}px; background: $warn_soft; border: 1px solid $warn_fill; }
QFrame[role="banner"][tone="bad"] { background: $bad_soft; border-color: $bad_fill; }
QFrame[role="banner"][tone="info"] { background: $info_soft; border-color: $info_fill; }

QFrame[role="popup"] { background: $surface; border: 1px solid $border_strong; border-radius: ${radius_control}px; }
QFrame[role="bulk"] { background: $accent_soft; border: 1px solid $accent; border-radius: ${radius_control}px; }

QPushButton { background: $surface; border: 1px solid $border_strong; border-radius: ${radius_control}px; padding: 0 14px;
  min-height: 32px; font-weight: 500; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $surface2; }
QPushButton:focus { border: 2px solid $accent; padding: 0 13px; min-height: 30px; }
QPushButton:disabled { color: $muted; background: $surface2; border-color: $border; }
QPushButton[variant="primary"] { background: $accent; border-color: $accent; color: $on_accent; font-weight: 600; }
QPushButton[variant="primary"]:hover { background: $accent_hover; }
QPushButton[variant="primary"]:focus { border-color: $text; }
QPushButton[variant="primary"]:disabled { background: $hover; border-color: $hover; color: $muted; }
QPushButton[variant="danger"] { color: $bad_text; }
QPushButton[variant="danger"]:disabled { color: $muted; }
QPushButton[variant="quiet"] { background: transparent; border-color: transparent; }
QPushButton[variant="quiet"]:hover { background: $hover; }
QPushButton[variant="quiet"]:focus { border-color: $accent; }
QPushButton[variant="danger-quiet"] { background: transparent; border-color: transparent; color: $bad_text; }
QPushButton[variant="danger-quiet"]:hover { background: $bad_soft; }
QPushButton[variant="danger-quiet"]:disabled { color: $muted; }
QPushButton[variant="link"] { background: transparent; border: 1px solid transparent; color: $accent_text; padding: 0 4px;
  font-size: 12px; font-weight: 600; min-height: 24px; border-radius: ${radius_chip}px; }
QPushButton[variant="link"]:hover { background: $accent_soft; }
QPushButton[variant="link"]:focus { border: 1px solid $accent; padding: 0 4px; min-height: 24px; }
QPushButton[variant="link"]:disabled { color: $muted; }
QPushButton[variant="nav"] { background: transparent; border: 1px solid transparent; text-align: left; padding: 0 10px;
  min-height: 32px; font-weight: 500; color: $secondary; }
QPushButton[variant="nav"]:hover { background: $hover; }
QPushButton[variant="nav"]:focus { border: 1px solid $accent; padding: 0 10px; min-height: 32px; }
QPushButton[variant="nav"]:checked { background: $accent_soft; color: $accent_text; font-weight: 600; }
QPushButton[variant="fold"] { background: transparent; border: 1px solid transparent; text-align: left; padding: 0 2px;
  font-size: 14px; font-weight: 600; }
QPushButton[variant="fold"]:focus { border: 1px solid $accent; padding: 0 2px; min-height: 32px; }
QPushButton[variant="step"] { background: transparent; border: 1px solid transparent; padding: 0 6px; color: $muted;
  font-weight: 500; }
QPushButton[variant="step"]:focus { border: 1px solid $accent; padding: 0 6px; min-height: 32px; }
QPushButton[variant="step"][state="now"] { color: $text; font-weight: 600; }
QPushButton[variant="step"][state="done"] { color: $secondary; }

QFrame[role="segments"] { background: $surface2; border: 1px solid $border; border-radius: ${radius_control}px; }
QPushButton[variant="segment"] { background: transparent; border: 1px solid transparent; border-radius: ${radius_chip}px; padding: 0 12px;
  min-height: 26px; color: $secondary; font-weight: 500; }
QPushButton[variant="segment"]:hover { color: $text; }
QPushButton[variant="segment"]:checked { background: $surface; border-color: $border_strong; color: $text; font-weight: 600; }
QPushButton[variant="segment"]:focus { border-color: $accent; padding: 0 12px; min-height: 26px; }
QPushButton[variant="segment"]:disabled { color: $muted; }
QPushButton[variant="toggle-chip"] { background: $hover; border: 1px solid transparent; border-radius: ${radius_chip}px; padding: 0 8px;
  min-height: 24px; font-size: 12px; font-weight: 500; color: $secondary; }
QPushButton[variant="toggle-chip"]:checked { background: $accent_soft; color: $accent_text; }
QPushButton[variant="toggle-chip"]:focus { border-color: $accent; padding: 0 8px; min-height: 24px; }
QPushButton[variant="tab"] { background: transparent; border: none; border-radius: 0; border-bottom: 2px solid transparent;
  padding: 0 2px; min-height: 34px; color: $secondary; font-weight: 500; }
QPushButton[variant="tab"]:hover { color: $text; }
QPushButton[variant="tab"]:checked { color: $text; font-weight: 600; border-bottom: 2px solid $accent; }
QPushButton[variant="tab"]:focus { color: $accent_text; }
QPushButton[variant="check-line"] { background: transparent; border: 1px solid transparent; border-radius: ${radius_chip}px; padding: 0;
  min-height: 0; text-align: left; }
QPushButton[variant="check-line"]:hover { background: $hover; }
QPushButton[variant="check-line"]:focus { border: 1px solid $accent; padding: 0; min-height: 0; }
QPushButton[variant="choice"] { background: $surface; border: 1px solid $border; border-radius: ${radius_control}px; text-align: left;
  padding: 0 12px; min-height: 50px; font-weight: 500; }
QPushButton[variant="choice"]:hover { background: $hover; }
QPushButton[variant="choice"]:checked { border: 1px solid $accent; background: $accent_soft; color: $accent_text; }
QPushButton[variant="choice"]:focus { border-color: $accent; }

QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox, QPlainTextEdit[role="input"] { background: $surface;
  border: 1px solid $border_strong; border-radius: ${radius_control}px; padding: 0 10px; min-height: 32px;
  selection-background-color: $accent; selection-color: $on_accent; }
QPlainTextEdit[role="input"] { padding: 6px 8px; }
QLineEdit:focus, QComboBox:focus, QPlainTextEdit[role="input"]:focus { border-color: $accent; }
QLineEdit:disabled, QComboBox:disabled { background: $surface2; color: $muted; border-color: $border; }
QLineEdit[role="figure"] { background: transparent; border-color: transparent; min-height: 22px; padding: 0 4px; font-weight: 600; }
QLineEdit[role="figure"]:hover { border-color: $border_strong; }
QLineEdit[role="figure"]:focus { border-color: $accent; background: $surface; }
QLineEdit[tone="bad"], QComboBox[tone="bad"] { border-color: $bad_fill; }
QLineEdit[tone="warn"], QComboBox[tone="warn"] { border-color: $warn_fill; }
QComboBox::drop-down { border: none; width: 26px; }
QComboBox::down-arrow { image: url("$icons/chevron-down-$name.svg"); width: 14px; height: 14px; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $border_strong; border-radius: ${radius_control}px; padding: 4px;
  selection-background-color: $hover; selection-color: $text; }
QComboBox QAbstractItemView::item { min-height: 28px; padding: 0 6px; border-radius: ${radius_chip}px; }
QCheckBox { spacing: 8px; min-height: 24px; }
QCheckBox::indicator { width: 16px; height: 16px; border: 1px solid $border_strong; border-radius: 4px; background: $surface; }
QCheckBox::indicator:focus, QCheckBox::indicator:hover { border-color: $accent; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url("$icons/check-on-accent.svg"); }
QCheckBox:focus { color: $accent_text; }
QCheckBox:disabled { color: $muted; }
QCheckBox::indicator:disabled { background: $surface2; border-color: $border; }
QCheckBox::indicator:checked:disabled { background: $muted; border-color: $muted; }
QListView::indicator { width: 16px; height: 16px; border: 1px solid $border_strong; border-radius: 4px; background: $surface; }
QListView::indicator:checked { background: $accent; border-color: $accent; image: url("$icons/check-on-accent.svg"); }
QListWidget[role="boxed"] { border: 1px solid $border_strong; border-radius: ${radius_control}px; padding: 4px; }
QListWidget[role="boxed"]:focus { border-color: $accent; }
QListWidget[role="boxed"]::item { padding: 5px 6px; border-radius: ${radius_chip}px; color: $text; }
QListWidget[role="boxed"]::item:selected { background: $accent_soft; }
QSlider::groove:horizontal { height: 4px; background: $hover; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -6px 0; border-radius: ${radius_control}px; background: $surface;
  border: 2px solid $accent; }

QTreeView[role="catalogue"] { background: $surface; border: 1px solid $border; border-radius: ${radius_control}px; padding: 4px;
  show-decoration-selected: 0; selection-background-color: transparent; }
QTreeView[role="catalogue"]:focus { border-color: $accent; }
QTreeView[role="catalogue"]::item { border: none; }
QTreeView[role="catalogue"]::branch { background: transparent; }
QTreeView[role="catalogue"]::branch:has-children:closed { image: url("$icons/chevron-right-$name.svg"); }
QTreeView[role="catalogue"]::branch:has-children:open { image: url("$icons/chevron-down-$name.svg"); }
QLabel[role="seen"] { font-size: 12px; color: $secondary; }
QTableView, QListView { background: $surface; border: none; gridline-color: transparent; selection-background-color: $surface2;
  selection-color: $text; }
QTableView::item { border: none; }
QHeaderView { background: transparent; border: none; }
QHeaderView::section { background: $surface; color: $secondary; border: none; border-bottom: 1px solid $border; padding: 0 12px;
  font-size: 12px; font-weight: 600; min-height: 36px; }
QHeaderView::section:first { border-top-left-radius: 11px; padding-left: 15px; }
QHeaderView::section:last { border-top-right-radius: 11px; }
QTableView[role="paged"]::item { border: none; border-bottom: 1px solid $border; padding: 0 12px; }
QTableView[role="paged"]::item:selected { background: $accent_soft; color: $text; }
QTableView[role="compare"]::item { border: none; border-bottom: 1px solid $border; padding: 0 10px; }
QTableView[role="compare"] QHeaderView::section:vertical { background: $surface; border: none; border-bottom: 1px solid $border;
  padding: 0 8px 0 2px; font-size: 12px; font-weight: 500; color: $secondary; border-radius: 0; }
QTableView[role="compare"] QHeaderView::section:horizontal { color: $text; padding: 0 10px; border-radius: 0; }
QTableView[role="compare"] QTableCornerButton::section { background: $surface; border: none; border-bottom: 1px solid $border; }
QTextEdit[role="tokens"] { background: $surface; border: 1px solid $border; border-radius: ${radius_control}px; padding: 8px; color: $text; }
QTextEdit[role="tokens"]:focus { border-color: $accent; }
QTextEdit[role="answer-text"] { background: transparent; border: none; padding: 0; color: $text; font-size: 13px; }
QTextEdit[role="answer-text"]:focus { border: none; border-left: 2px solid $accent; }
QFrame[role="bubble"] { background: $hover; border: none; border-radius: ${radius_control}px; }
QFrame[role="chosen-line"] { background: $accent_soft; border: none; border-radius: ${radius_control}px; }
QFrame[role="plain-line"] { background: transparent; border: none; border-radius: ${radius_control}px; }
QPlainTextEdit[role="bare"] { background: transparent; border: none; padding: 0; selection-background-color: $accent;
  selection-color: $on_accent; }
QPlainTextEdit[role="log"] { font-family: "JetBrains Mono", "Noto Sans Mono CJK SC", monospace; font-size: 12px; background: $surface; border: none; color: $secondary; selection-background-color: $accent;
  selection-color: $on_accent; }
QMenu { background: $surface; border: 1px solid $border_strong; border-radius: ${radius_control}px; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 10px; border-radius: ${radius_chip}px; }
QMenu::item:selected { background: $hover; }
QMenu::item:disabled { color: $muted; }
QMenu::icon { padding-left: 8px; }
QMenu::indicator { padding-left: 6px; }
QMenu::separator { height: 1px; background: $border; margin: 4px 6px; }

QScrollBar:vertical { background: transparent; width: 14px; margin: 0 0 0 4px; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: $border_strong; border-radius: 3px; min-height: 30px; min-width: 30px; margin: 2px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { height: 0; width: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QAbstractScrollArea::corner { background: transparent; }
QSplitter::handle { background: transparent; }
""")


def stylesheet(tokens: Tokens) -> str:
    """The style sheet of one theme."""
    icons = (resources_folder() / "icons").as_posix()
    return _SHEET.substitute(
        tokens.colours(),
        icons=icons,
        name=tokens.name,
        radius_chip=RADIUS_CHIP,
        radius_control=RADIUS_CONTROL,
        radius_card=RADIUS_CARD,
    )
