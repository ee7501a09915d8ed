"""Every command and every shortcut of the program: palette, keys and shortcuts sheet are made from this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A command: what it is called, where it belongs, and its keys (the first is shown)."""

    key: str
    group: str
    text: str
    icon: str = "arrow-right"
    keys: tuple[str, ...] = ()
    words: str = ""
    """English words it is found by besides its name."""
    listed: bool = True
    """The palette offers it."""


GROUP_TEXTS = {
    "go": "Go to",
    "run": "This run",
    "wizard": "While putting a run together",
    "chat": "In the playground",
    "copy": "Copy",
    "settings": "Settings",
    "look": "Appearance",
    "help": "Help",
    "lists": "In lists and panels",
}
ENTRIES: tuple[Entry, ...] = (
    Entry("go.runs", "go", "Go to the runs", "activity", ("Ctrl+1",), "list history home"),
    Entry("go.new", "go", "New run", "plus", ("Ctrl+N", "Ctrl+2"), "create train fine-tune wizard start"),
    Entry("go.compare", "go", "Compare runs", "layers", ("Ctrl+3",), "diff curves"),
    Entry("go.nodes", "go", "Go to the nodes", "server", ("Ctrl+4",), "computers gpus docker remote machines"),
    Entry("nodes.add", "go", "Add a node…", "plus", words="computer docker ssh remote gpu"),
    Entry("go.instances", "go", "Go to the instances", "container", ("Ctrl+5",), "containers processes docker workers"),
    Entry("go.datasets", "go", "Go to the datasets", "database", ("Ctrl+6",), "library rows data files"),
    Entry("go.playground", "go", "Go to the playground", "message-square", ("Ctrl+7",), "chat compare adapters ask"),
    Entry("go.adapters", "go", "Go to the adapters", "box", ("Ctrl+8",), "lora weights cards"),
    Entry("go.serving", "go", "Go to the serving page", "upload", ("Ctrl+0",), "openai server endpoint keys api"),
    Entry("adapters.import", "go", "Import an adapter…", "download", words="lora peft file folder"),
    Entry("serving.new", "go", "Serve a model…", "upload", words="start instance endpoint openai server"),
    Entry("datasets.import", "go", "Import a dataset…", "download", words="bring in file hub upload rows"),
    Entry("go.settings", "go", "Settings", "settings", ("Ctrl+,", "Ctrl+9"), "preferences options"),
    Entry("search.runs", "go", "Search the runs", "search", ("Ctrl+F",), "find filter"),
    Entry("go.back", "go", "Back to the page before", "chevron-left", ("Alt+Left", "Ctrl+["), "history previous"),
    Entry("go.forward", "go", "Forward again", "chevron-right", ("Alt+Right", "Ctrl+]"), "history next"),
    Entry("escape", "go", "Close what is open, or back to the runs", "x", ("Esc",), listed=False),
    Entry("palette", "go", "All commands", "command", ("Ctrl+K",), listed=False),
    Entry("notices.open", "go", "Notices", "bell", ("Ctrl+Shift+N",), "notifications alerts"),
    Entry("notices.focus", "go", "Go to the newest message", "message-square", ("F8",), "toast notification"),
    Entry("notices.read", "go", "Mark all notices as read", "check-check", words="notifications"),
    Entry("run.start", "run", "Start", "play"),
    Entry("run.resume", "run", "Resume", "play", words="continue go on"),
    Entry("run.pause", "run", "Pause", "pause"),
    Entry("run.move", "run", "Move to another node…", "arrow-left-right", words="migrate gpu computer docker"),
    Entry("run.stop", "run", "Stop…", "square", words="cancel end"),
    Entry("run.save", "run", "Save checkpoint now", "save"),
    Entry("run.ask", "run", "Ask the model now…", "message-square", words="sample generate prompt"),
    Entry("run.chat", "run", "Chat with it…", "message-square", words="playground ask adapter compare"),
    Entry("run.resume_from", "run", "Resume from checkpoint…", "rotate-ccw"),
    Entry("run.extend", "run", "Extend…", "plus", words="more epochs steps"),
    Entry("run.copy", "run", "Copy as draft", "copy", words="duplicate clone"),
    Entry("run.pin", "run", "Pin", "flag", words="keep files"),
    Entry("run.unpin", "run", "Unpin", "flag"),
    Entry("run.delete_files", "run", "Delete working files now…", "trash-2", words="clean"),
    Entry("run.delete", "run", "Delete…", "trash-2", words="remove"),
    Entry("copy.uid", "copy", "Copy the run's id", "copy", words="uid identifier"),
    Entry("copy.name", "copy", "Copy the run's name", "copy"),
    Entry("copy.command", "copy", "Copy the command that shows the run", "copy", words="cli terminal forge show"),
    Entry("theme.light", "look", "Theme: light", "sun", words="appearance bright"),
    Entry("theme.dark", "look", "Theme: dark", "moon", words="appearance night"),
    Entry("theme.system", "look", "Theme: like the system", "monitor", words="appearance auto"),
    Entry("language.en", "look", "Language: English", "languages"),
    Entry("language.zh_CN", "look", "Language: Simplified Chinese", "languages", words="中文 简体"),
    Entry("language.system", "look", "Language: like the system", "languages"),
    Entry("help.page", "help", "Help for this page", "circle-question-mark", ("F1",), "manual documentation"),
    Entry("help.keys", "help", "Keyboard shortcuts", "keyboard", ("Ctrl+/",), "keys cheat sheet"),
    Entry("help.welcome", "help", "First steps with the demo", "rocket", words="onboarding welcome tutorial intro"),
    Entry("window.close", "go", "Close the window; runs go on", "x", ("Ctrl+Q",), "quit exit"),
)
SECTIONS: tuple[Entry, ...] = (
    Entry("settings.appearance", "settings", "Settings: appearance", "sun", words="theme size motion font"),
    Entry("settings.language", "settings", "Settings: language", "languages"),
    Entry("settings.notifications", "settings", "Settings: notices and quiet hours", "bell", words="notifications"),
    Entry(
        "settings.alerts",
        "settings",
        "Settings: alerts and their rules",
        "triangle-alert",
        words="temperature disk money apprise mail warning",
    ),
    Entry("settings.workers", "settings", "Settings: workers and environments", "cpu", words="python torch"),
    Entry("settings.queue", "settings", "Settings: slots and queue", "layers", words="gpu parallel price cost"),
    Entry("settings.runs", "settings", "Settings: what is kept, and how long", "clock", words="retention days"),
    Entry("settings.tokens", "settings", "Settings: hubs and tokens", "download", words="hugging face modelscope"),
    Entry("settings.network", "settings", "Settings: network", "server", words="proxy offline"),
    Entry("settings.data", "settings", "Settings: data folder", "hard-drive", words="location home move disk"),
    Entry("settings.advanced", "settings", "Settings: advanced", "settings", words="logs spare warm"),
    Entry("settings.help", "settings", "Settings: diagnostics and versions", "shield", words="logs report zip bundle"),
)
"""Sections of the settings; each is a command that opens `settings/<section>`."""
LOCAL: tuple[Entry, ...] = (
    Entry("local.move", "lists", "Choose a row", keys=("Up", "Down")),
    Entry("local.open", "lists", "Open the chosen row", keys=("Enter",)),
    Entry("local.tab", "lists", "To the next control, or back", keys=("Tab", "Shift+Tab")),
    Entry("local.press", "lists", "Press a button, tick a box", keys=("Space",)),
    Entry("local.run.rename", "run", "Rename the run", keys=("F2",)),
    Entry("local.run.next", "run", "To the next tab", keys=("Ctrl+Tab",)),
    Entry("local.run.previous", "run", "To the tab before", keys=("Ctrl+Shift+Tab",)),
    Entry("local.run.more", "run", "More that can be done", keys=("Shift+F10",)),
    Entry("local.log.next", "run", "Next place found in the log", keys=("F3",)),
    Entry("local.log.previous", "run", "Place before in the log", keys=("Shift+F3",)),
    Entry("local.chat.send", "chat", "Send the message", keys=("Enter",)),
    Entry("local.chat.line", "chat", "New line in the message", keys=("Shift+Enter",)),
    Entry("local.chat.stop", "chat", "Stop every answer", keys=("Ctrl+.",)),
    Entry("local.chat.vote.left", "chat", "Blind test: left is better", keys=("Alt+1",)),
    Entry("local.chat.vote.right", "chat", "Blind test: right is better", keys=("Alt+2",)),
    Entry("local.chat.vote.tie", "chat", "Blind test: tie", keys=("Alt+3",)),
    Entry("local.chat.vote.bad", "chat", "Blind test: both are bad", keys=("Alt+4",)),
    Entry("local.chat.vote.skip", "chat", "Blind test: skip the prompt", keys=("Alt+5",)),
    Entry("local.wizard.next", "wizard", "Next step", keys=("Alt+Right", "Ctrl+PgDown")),
    Entry("local.wizard.previous", "wizard", "Step before", keys=("Alt+Left", "Ctrl+PgUp")),
    Entry("local.wizard.step.1", "wizard", "Model", keys=("Alt+1",)),
    Entry("local.wizard.step.2", "wizard", "Dataset", keys=("Alt+2",)),
    Entry("local.wizard.step.3", "wizard", "Training", keys=("Alt+3",)),
    Entry("local.wizard.step.4", "wizard", "Compute", keys=("Alt+4",)),
    Entry("local.wizard.step.5", "wizard", "Review", keys=("Alt+5",)),
    Entry("local.wizard.start", "wizard", "Start the run, or review it first", keys=("Ctrl+Return", "Ctrl+Enter")),
    Entry("local.wizard.save", "wizard", "Save as draft", keys=("Ctrl+S",)),
)
"""Keys that act only where the keyboard is; listed in the sheet, handled by the widgets themselves."""
ALL_ENTRIES = (*ENTRIES, *SECTIONS)
EVERY_KEY = (*ALL_ENTRIES, *LOCAL)
