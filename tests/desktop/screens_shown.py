"""Which states of the contact sheets are shown in docs/screens, and what each picture shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """One picture."""

    group: str
    state: str
    """As the contact sheets name it."""
    text: str

    @property
    def file(self) -> str:
        """The picture's file."""
        return f"{self.state}.webp"


_PICTURES = {
    "First start": (
        ("welcome-1", "The first of three steps: language and look."),
        ("welcome-2", "The second: what this computer has, checked."),
        ("welcome-2-missing", "The same where no environment can train yet, and what to do about it."),
        ("welcome-3", "The third: a first run on the bundled model and data, or one's own."),
        ("connecting-trouble", "The job controller cannot be started: why, and what helps."),
    ),
    "Runs": (
        ("runs-empty", "Nothing here yet."),
        ("runs-day", "A day's work: running, waiting, failed and completed runs, the queue, the machine."),
        ("runs-picked", "Several runs picked, and what can be done to all of them."),
        ("runs-searched", "A search with operators."),
        ("runs-search-wrong", "A search that cannot be understood says so while it is typed."),
        ("runs-many", "The middle of a history of thousands of runs."),
        ("runs-menu", "What can be done to one run."),
        ("runs-columns-menu", "Which columns are shown."),
        ("runs-help", "The operators of the search."),
        ("runs-tags", "Dialog: tags of several runs."),
        ("runs-bulk-delete", "Dialog: before anything is lost, a question says what."),
        ("runs-refused", "Dialog: which runs were left as they are, and why."),
        ("runs-save-search", "Dialog: keep a search under a name."),
        ("runs-saved-searches", "Dialog: the searches that are kept."),
        ("offline", "The controller is gone; runs go on."),
    ),
    "A new run": (
        ("wizard-blank", "Step 1: the catalogue of models, and what this machine can hold."),
        ("wizard-catalogue-picked", "A model picked; where it comes from and what it needs."),
        ("scratch-experts", "A model from a form, to be pretrained: its parameters are counted as it is typed."),
        ("wizard-data-rows", "Step 2: rows as the model will see them, and what of them is learned."),
        ("heads-rows", "The same for a stage whose model writes no text."),
        ("wizard-data-bad", "Rows that cannot be used, by line."),
        ("wizard-training-balanced", "Step 3: presets and the few settings that matter most."),
        ("wizard-training-open", "All settings, with what was changed."),
        ("wizard-training-method", "Another method: what it does not use is greyed, unknown options are refused."),
        ("stages-dpo-open", "The settings of the chosen stage's loss: here those of DPO."),
        ("online-tried", "Rewards for the model's own answers, tried on the first rows."),
        ("stage-gkd", "Learning from a teacher: a larger model whose answers are followed."),
        ("push", "Where the result goes when the run is over, only if asked for."),
        ("processes", "Several GPUs or processes that share one run."),
        ("wizard-compute-waits", "Step 4: where it runs, when it will start, its limits."),
        ("wizard-review-ready", "Step 5: what will happen, and the run as YAML."),
        ("wizard-no-worker", "No environment to train in, and the way to one."),
        ("wizard-start-over", "Dialog: begin anew."),
    ),
    "A run": (
        ("runpage-live", "A run at work: progress, curves, devices, log."),
        ("charts-options", "Smoothing, logarithmic scale, clipping, the window of steps."),
        ("charts-attempts", "A run that went on from a checkpoint: one curve, what was overwritten stays, faint."),
        ("charts-all", "All curves with one crosshair."),
        ("run-diagnosis", "A failed run: what happened, why, what to change, and the button that does it."),
        ("runpage-checkpoints", "Its checkpoints."),
        ("run-samples", "Answers before and after training, beside what was expected."),
        ("runpage-config", "Its config as it was started."),
        ("runpage-events", "What happened, and who asked for it."),
        ("runpage-log-search", "The log, searched."),
        ("run-retry", "After a fault it tries again by itself; or at once, or not."),
        ("run-transfers", "Downloads, with progress and what stands in the way."),
        ("runpage-done", "Completed: the result and its files."),
        ("stages-run", "A run that learns preferences: its own charts beside the loss."),
        ("online-run", "A run that learns from rewards for its own answers."),
        ("heads-run-scores", "A classifier's result: before and after, class by class."),
        ("guards-overview", "A run that guards acted on, and what it will stop at."),
        ("rows-of-step", "The rows behind a point of the curve, and the loss of each of their tokens."),
        ("rows-ranking", "Rows that were never learned, memorised, or contradict each other."),
        ("reproduce-dialog", "Dialog: run again exactly, and what is other today."),
        ("reproduction-differs", "Where a run first differed from the one it repeats."),
        ("ask", "Dialog: ask the model while it trains."),
        ("extend", "Dialog: train further from a checkpoint."),
        ("run-stop", "Dialog: stop, and save or not."),
        ("run-log-line", "Dialog: one line of the log in full."),
    ),
    "Compare": (
        ("compare-three", "Three runs: what differs in their settings, curves aligned, results."),
        ("compare-ten", "Ten runs."),
        ("compare-one", "One is not enough: choose another."),
    ),
    "Playground": (
        ("playground-start", "Which model should answer, or what a run has taught."),
        ("playground-compare", "One question to a base and an adapter; how quick each was, and which was better."),
        ("playground-chances", "How likely each token was; one column that cannot answer says why."),
        ("playground-four-columns", "Four columns, one of them walking through a run's checkpoints."),
        ("playground-batch", "Many questions at once."),
        ("playground-blind", "A blind test: who answered is told afterwards."),
        ("playground-serve", "Dialog: serve what the columns answer with."),
    ),
    "Adapters": (
        ("adapters", "Every adapter, where it came from, and its card."),
        ("adapters-other-base", "One that was brought in, for another base."),
        ("adapters-import", "Dialog: bring a file or folder in."),
        ("adapters-import-refused", "The same where it is refused, with every reason."),
        ("adapters-smaller", "Dialog: fewer ranks or bits, with the error that costs."),
        ("adapters-none", "None yet."),
    ),
    "Serving": (
        ("serving", "Instances that answer, and how they do."),
        ("instance", "One of them: requests, tokens, times, cache, keys, adapters, how to ask it."),
        ("instance-alerts", "The same with alerts."),
        ("serve", "Dialog: serve a model with adapters, keys and limits."),
        ("serve-refused", "The same where something is wrong with it."),
        ("key-shown", "Dialog: a key is shown once."),
        ("serving-none", "Nothing is served yet."),
    ),
    "Settings": (
        ("settings-appearance", "Look and motion."),
        ("settings-language", "Language, dates and numbers."),
        ("settings-notifications", "What is told, when, and how loudly."),
        ("settings-workers", "Environments to train in: working, being made, broken."),
        ("settings-queue", "How many runs at once."),
        ("settings-runs", "Retries, checkpoints, how long files stay."),
        ("settings-tokens", "Hubs and tokens; tokens lie in the system's keyring."),
        ("settings-network", "Proxies, and working without a network."),
        ("settings-data", "Where everything lies, how much it takes, and moving it."),
        ("settings-advanced", "The rest."),
        ("settings-help", "Versions, logs, and a bundle for a report."),
        ("settings-search", "Settings found by a word."),
        ("settings-unsaved", "Edits that are not saved, and those that cannot be."),
        ("settings-move-question", "Dialog: move all data to another folder."),
        ("settings-bundle", "Dialog: what goes into the bundle for a report."),
    ),
    "Datasets": (
        ("datasets", "The library: format, size, health, versions, runs that used it."),
        ("datasets-none", "Nothing in it yet: drop a file."),
        ("sample", "Dialog: a model answers the questions of a dataset, and which of its answers become rows."),
        ("import", "Dialog: what a file is, how its columns are read, its first rows, before anything is copied."),
        ("dataset-rows", "The rows of a version, however many, searched, one in full."),
        ("dataset-problems", "Every problem with its line, reason and fix; repairs make a new version."),
        ("dataset-xray", "A row as the model's tokens: learned, only read, special, cut off."),
        ("dataset-statistics", "Lengths, what is lost at which, steps, tokens by role, turns, languages."),
        ("dataset-versions", "Versions, and what differs between two, row by row."),
    ),
    "Nodes": (
        ("nodes-cards", "Every computer runs work on: how busy, how hot, what is wrong."),
        ("nodes-table", "The same as a table."),
        ("nodes-heat", "GPUs over time, by temperature or use."),
        ("nodes-costs", "What was spent, by node, person and day."),
        ("nodes-lone", "Only this computer so far, and how to add another."),
        ("node-add", "Dialog: add a node."),
        ("node-host-key", "Dialog: a host nobody has seen before shows its key first."),
        ("node-tested", "Dialog: the doctor looks at it before it is added."),
        ("wizard-nodes", "The wizard takes the scheduler's choice and says why; the others say why not."),
        ("run-unreachable", "A node that cannot be reached has failed nothing."),
        ("alerts", "Alerts, and when they are raised."),
        ("alerts-rules", "Dialog: the rules, with limit, duration and when it is over."),
    ),
    "Moves and instances": (
        ("move-one", "Dialog: where a run could go, what the scheduler would choose and why, and what a move does."),
        ("move-many", "Dialog: the same for the runs of a node."),
        ("move-on-its-way-nodes", "A move under way, below the nodes."),
        ("move-on-its-way-run", "The same on the run's own page."),
        ("moves-ended", "How moves ended: there, or back where it was and why."),
        ("instances", "Every container and process on every node; silent nodes and strangers are named."),
        ("instances-picked", "Several picked, and what can be done to all of them."),
        ("instances-kill", "Dialog: what killing loses; saving comes first."),
        ("instances-refused", "Dialog: what was left as it is, and why."),
        ("instances-none", "Nothing is at work."),
    ),
    "Everywhere": (
        ("palette", "The command palette (Ctrl+K)."),
        ("palette-runs", "The same finds runs, pages and settings."),
        ("notices", "What happened while nobody looked."),
        ("toasts", "The same as it happens."),
        ("help", "Help for the page one is on (F1)."),
        ("shortcuts", "Every key."),
    ),
}
SHOWN = tuple(Shown(group, state, text) for group, pictures in _PICTURES.items() for state, text in pictures)


def index() -> str:
    """The index of the pictures, in Markdown."""
    lines = [
        "# Every page and dialog\n",
        "Each picture is one page or dialog in its four looks: light and dark, English above, Chinese below.",
        "`make screenshots` makes them, over replayed runs.",
    ]
    for group in _PICTURES:
        lines.append(f"\n## {group}\n\n| picture | what it shows |\n|---|---|")
        lines += [f"| [{one.state}]({one.file}) | {one.text} |" for one in SHOWN if one.group == group]
    return "\n".join(lines) + "\n"
